"""The world of the demo: both services as HTTP servers on this machine, a fresh store, a Prefect server of its own."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine

from domain.errors import Side
from domain.records import split_entry_id
from flows import reporting
from flows.asked import Asked
from flows.describe import address_book, audience
from flows.launch import at_home, launch
from flows.reporting import Written
from flows.server import PrefectServer
from flows.services import connect
from flows.settings import Settings
from flows.setup import Outcome, Wish, put_mapping, set_up
from sandbox.clock import SystemClock
from sandbox.web import Door, Server, Service, serve
from sandbox.world import World, build_world
from storage import connections, links, parking, runs
from storage.engine import open_store, reading

SIDES: tuple[Side, Side] = ("mailchimp", "maximizer")
YEAR, HOUR, MINUTE = 31_536_000.0, 3600.0, 60.0
Key = tuple[str, int]


@dataclass(frozen=True)
class Told:
    """One cycle as it went. ``requests`` and ``writes``: what each service saw, by its own list of calls."""

    document: dict[str, Any]
    facts: dict[str, Any]
    seconds: float
    requests: dict[str, int]
    writes: dict[str, int]
    before: dict[str, int]
    after: dict[str, int]

    @property
    def counts(self) -> dict[str, Any]:
        return dict(self.document["counts"])


class _Calendar(SystemClock):
    """A clock that starts a year ago and moves a minute with every look at it, so that people arrive over time."""

    def __init__(self) -> None:
        super().__init__()
        self._step = MINUTE
        self.advance(-YEAR)

    def now(self) -> float:
        self.advance(self._step)
        return super().now()

    def catch_up(self) -> None:
        """From here on it is the machine's clock, plus what it is advanced by."""
        self._step = 0.0
        self.advance(max(0.0, time.time() - super().now()))


class DemoWorld:
    """Everything the demo starts; ``close`` ends it. Files are under ``home``, made anew each time."""

    def __init__(self, home: Path, people: int, seed: int) -> None:
        self.home = home.resolve()
        self._open = ExitStack()
        with self._open:
            self._fresh()
            self.prefect = self._open.enter_context(PrefectServer(self.home / "prefect" / "server.log"))
            clock = _Calendar()
            self.world: World = build_world(seed, people, clock=clock)
            clock.catch_up()
            services: dict[Side, Service] = {"mailchimp": self.world.mailchimp, "maximizer": self.world.maximizer}
            self.doors = {side: Door(service, clock) for side, service in services.items()}
            self.servers: dict[Side, Server] = {
                side: self._open.enter_context(serve(door)) for side, door in self.doors.items()
            }
            self.store = self.home / "maxchimp.db"
            self.engine: Engine = open_store(f"sqlite:///{self.store}")
            self._open.callback(self.engine.dispose)
            # From here on they live until close().
            self._open = self._open.pop_all()

    def _fresh(self) -> None:
        """An empty folder and an environment in which nothing of the user's own Prefect is touched."""
        for name in ("prefect", "reports"):
            shutil.rmtree(self.home / name, ignore_errors=True)
        for name in ("maxchimp.db", "maxchimp.db-wal", "maxchimp.db-shm"):
            (self.home / name).unlink(missing_ok=True)
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in [name for name in os.environ if name.startswith("PREFECT_")]:
            del os.environ[name]
        os.environ["NO_PROXY"] = ",".join(filter(None, ["127.0.0.1", os.environ.get("NO_PROXY")]))
        at_home(self.home)

    @cached_property
    def settings(self) -> Settings:
        """Of this world alone: every value is given, so none comes from the user's own environment."""
        crm, mailchimp = self.world.maximizer, self.world.mailchimp
        return Settings(
            _env_file=None,
            connection="default",
            database_url=SecretStr(f"sqlite:///{self.store}"),
            mailchimp_api_key=SecretStr(mailchimp.api_key),
            mailchimp_url=f"{self.servers['mailchimp'].url}/3.0",
            maximizer_url=self.servers["maximizer"].url + crm.base_path,
            maximizer_web_url=self.servers["maximizer"].url + crm.web_path,
            maximizer_database=crm.database.name,
            maximizer_user=crm.user,
            maximizer_password=SecretStr(crm.password),
            maximizer_token=SecretStr(""),
            secret_key=SecretStr(""),
            home_dir=self.home,
        )

    def set_up(self) -> tuple[Outcome, int]:
        """Through the same functions as ``maxchimp setup`` and ``map add``; (outcome, number of mappings)."""
        services = connect(self.settings)
        outcome = set_up(self.engine, services, Wish())
        assert outcome.connection is not None
        known = audience(services.mailchimp, self.world.list_id)
        fields = address_book(services.maximizer)
        for tag, field in self.world.suggested_mappings():
            put_mapping(self.engine, outcome.connection, known, field, tag, fields=fields)
        return outcome, len(connections.mappings(self.engine, outcome.connection.id))

    def cycle(self, asked: Asked, progress: Callable[[str], None]) -> Told:
        """One cycle, a minute later; a sync through Prefect, a plan in this process."""
        self.world.clock.advance(MINUTE)
        if asked.kind != "plan":
            self.prefect.wait()
            os.environ["PREFECT_API_URL"] = self.prefect.api
        calls = {side: len(door.calls) for side, door in self.doors.items()}
        before, begun = self.people(), time.monotonic()
        document = launch("default", asked, progress=progress, settings=self.settings)
        run = runs.get(self.engine, document["run"])
        seen = {side: door.calls[calls[side] :] for side, door in self.doors.items()}
        return Told(
            document=document,
            facts=run.facts if run else {},
            seconds=time.monotonic() - begun,
            requests={side: len(listed) for side, listed in seen.items()},
            writes={side: sum(call.writes for call in listed) for side, listed in seen.items()},
            before=before,
            after=self.people(),
        )

    def report(self, progress: Callable[[str], None]) -> tuple[Written, dict[str, int]]:
        """The data quality report, and the writes that the services saw meanwhile: none, it is promised."""
        calls = {side: len(door.calls) for side, door in self.doors.items()}
        made = reporting.report("default", settings=self.settings, progress=progress)
        return made, {s: sum(call.writes for call in d.calls[calls[s] :]) for s, d in self.doors.items()}

    def pass_time(self) -> None:
        """An hour goes by on both services."""
        self.world.clock.advance(HOUR)

    # --- what is there, as the services themselves and our store know it --------------------------------------------

    def people(self) -> dict[str, int]:
        """How many people each service holds: everybody on the list (left and archived ones too), people's entries."""
        entries = self.world.maximizer.entries().values()
        return {
            "mailchimp": len(self.world.mailchimp.members(self.world.list_id)),
            "maximizer": sum(entry["Type"] in ("Individual", "Contact") for entry in entries),
        }

    def pairs(self) -> list[tuple[str, Key]]:
        """Linked people who are subscribed, flagged, and have nothing left to do: (contact_id, entry)."""
        with reading(self.engine) as db:
            frame = links.links(db, self.connection_id)
        quiet = (frame["state"] == "active") & (frame["status"] == "subscribed") & (frame["flag"] == "Yes")
        quiet &= frame["member_hash"].notna() & frame["entry_hash"].notna()
        return [(str(c), split_entry_id(str(e))) for c, e in frame.loc[quiet, ["contact_id", "entry_id"]].to_numpy()]

    def waiting(self) -> list[dict[str, Any]]:
        """What waits for a person."""
        with reading(self.engine) as db:
            return parking.open_rows(db, self.connection_id).to_dict("records")  # type: ignore[return-value]

    @property
    def connection_id(self) -> int:
        found = connections.find(self.engine, "default")
        assert found is not None
        return found.id

    def close(self) -> None:
        """End both services and the Prefect server."""
        self._open.close()

    def __enter__(self) -> DemoWorld:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
