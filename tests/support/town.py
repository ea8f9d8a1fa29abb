"""Both sandbox services over real HTTP and a connection that is set up, for tests of whole cycles in real processes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from domain.errors import Side
from flows.describe import address_book, audience
from flows.outside import prefix
from flows.services import connect
from flows.settings import Settings
from flows.setup import Wish, put_mapping, set_up
from sandbox.clock import SystemClock
from sandbox.main import settings as environment
from sandbox.web import Door, Service, serve
from sandbox.world import build_world
from storage import connections, runs
from storage.engine import open_store

FLAG = r"MailChimp\Sync with MailChimp"


class Town:
    """``folder`` is HOME_DIR; ``close`` ends both servers. Time moves a minute before every ``asked_later``.

    ``url``: of the store, by default a file in the folder; ``name``: of the connection.
    """

    def __init__(
        self, folder: Path, people: int = 0, latency_ms: float = 0.0, *, url: str = "", name: str = "default"
    ) -> None:
        self.folder, self.name = folder, name
        self.clock = SystemClock()
        self.clock.advance(-86400)
        self.world = build_world(seed=5, people=people, clock=self.clock)
        self.clock.advance(86400)
        self.mailchimp, self.maximizer = self.world.mailchimp, self.world.maximizer
        services: dict[Side, Service] = {"mailchimp": self.mailchimp, "maximizer": self.maximizer}
        self.doors = {side: Door(service, self.clock, latency_ms=latency_ms) for side, service in services.items()}
        self.servers = [serve(door) for door in self.doors.values()]
        self.environment = environment(self.world, *self.servers) | {
            "MAXCHIMP_DATABASE_URL": url or f"sqlite:///{folder / 'maxchimp.db'}",
            "MAXCHIMP_HOME_DIR": str(folder),
        }
        given: dict[str, Any] = {k.removeprefix("MAXCHIMP_").lower(): v for k, v in self.environment.items()}
        self.settings = Settings(_env_file=None, connection=name, **given)
        self.engine = open_store(self.settings.database_url.get_secret_value())

    def setup(self) -> Town:
        services = connect(self.settings)
        outcome = set_up(self.engine, services, Wish())
        assert outcome.connection is not None
        known, fields = audience(services.mailchimp, self.world.list_id), address_book(services.maximizer)
        for tag, field in self.world.suggested_mappings():
            put_mapping(self.engine, outcome.connection, known, field, tag, fields=fields)
        self.world.flag()
        self.later()
        return self

    def later(self) -> None:
        """A minute passes, so that edits and reads fall into different seconds."""
        self.clock.advance(60)

    def add(self, number: int, flag: str = "Yes") -> None:
        """So many new people in Maximizer, flagged."""
        for n in range(number):
            self.maximizer.add_person(f"Ilse{n}", f"Tarnow{n}", f"ilse.tarnow{n}@birchmail.test", udfs={FLAG: flag})

    def writes(self) -> int:
        return sum(len(door.mutations()) for door in self.doors.values())

    def members(self) -> int:
        return len(self.mailchimp.members(self.world.list_id))

    def runs(self) -> list[runs.Run]:
        """Newest first."""
        found = connections.find(self.engine, self.name)
        return runs.latest(self.engine, found.id) if found else []

    def own(self) -> dict[str, str]:
        """The environment with which a process finds this connection beside others."""
        ours = {"MAXCHIMP_DATABASE_URL", "MAXCHIMP_HOME_DIR"}
        return {(k if k in ours else prefix(self.name) + k.removeprefix("MAXCHIMP_")): v
                for k, v in self.environment.items()}  # fmt: skip

    def set(self, **columns: Any) -> None:
        """Settings of the connection as they are, whatever they may be (a test cannot wait a minute)."""
        found = connections.find(self.engine, self.name)
        assert found is not None
        connections.update(self.engine, found.id, settings=replace(found.settings, **columns))

    def secrets(self) -> list[str]:
        """What may be found nowhere: credentials, and people's addresses."""
        addresses = [m["email_address"] for m in self.mailchimp.members(self.world.list_id)]
        addresses += [e["Email1"] for e in self.maximizer.entries().values() if e["Email1"]]
        return [self.mailchimp.api_key, self.maximizer.password, *addresses]

    def close(self) -> None:
        for server in self.servers:
            server.close()
        self.engine.dispose()
