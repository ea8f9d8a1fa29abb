"""A small office to synchronise: both sandbox services in this process, a real store, virtual time.

People act through ``mailchimp`` and ``maximizer`` (the sandbox's person-level API); ``sync()`` runs whole cycles of
the real engine over HTTP semantics without sockets. Nothing sleeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import requests
from witness import Witness

from clients.session import Session
from flows.asked import Asked
from flows.cycle import Cycle
from flows.describe import address_book, audience
from flows.services import Services, connect
from flows.settings import Settings
from flows.setup import Wish, put_mapping, set_up
from sandbox.web import Door
from sandbox.world import World, build_world
from storage import changes, connections, links, parking
from storage.connections import Connection
from storage.engine import open_store, reading

FLAG = r"MailChimp\Sync with MailChimp"
MARKER = r"MailChimp\MailChimp ID"


class Office:
    """One connection, set up and ready. ``world.people=0`` unless asked for; ``map`` adds mappings.

    ``witnessing``: every body that leaves is compared with the plan.
    """

    witnessing = True

    def __init__(
        self,
        url: str,
        *,
        people: int = 0,
        seed: int = 0,
        profile: str = "on-premise",
        quirks: Iterable[str] = (),
        mappings: Iterable[tuple[str, str]] = (),
        judge: bool = False,
        ready: bool = True,
        name: str = "default",
    ) -> None:
        self.name = name
        self.world: World = build_world(seed=seed, people=people, profile=profile, quirks=frozenset(quirks))
        self.mailchimp, self.maximizer, self.clock = self.world.mailchimp, self.world.maximizer, self.world.clock
        self.list_id = self.world.list_id
        self.doors = {"mailchimp": Door(self.mailchimp, self.clock), "maximizer": Door(self.maximizer, self.clock)}
        self.engine = open_store(url)
        self.judge = judge
        self.witnesses: list[Witness] = []
        self.revived: set[str] = set()  # contact_ids that R18's one exception brings back
        self.settings = Settings(
            _env_file=None,
            connection=name,
            mailchimp_api_key=self.mailchimp.api_key,
            mailchimp_url="http://127.0.0.1:1/3.0",
            maximizer_url=f"http://127.0.0.1:{2 + seed}{self.maximizer.base_path}",  # another world, another server
            maximizer_database=self.maximizer.database.name,
            maximizer_user=self.maximizer.user,
            maximizer_password=self.maximizer.password,
            maximizer_token=self.maximizer.token or "",
        )
        if ready:
            self.setup()
            self.map_all(mappings)

    # ------------------------------------------------------------- the administrator

    def services(self) -> Services:
        found = connections.find(self.engine, self.name) if self._migrated() else None
        made = connect(self.settings, found.dialect if found else "", opener=self._open, parallel=1)
        for client in (made.mailchimp, made.maximizer):
            _without_waiting(client.session, self.clock.advance)
        return made

    def _open(self, side: str, http: requests.Session) -> None:
        self.witnesses.append(Witness(self, side, self.doors[side]))
        http.mount("http://", self.witnesses[-1])

    def _migrated(self) -> bool:
        from storage import schema

        return schema.current(self.engine) is not None

    def setup(self, **wish: Any) -> Any:
        wish.setdefault("confirm", lambda question: True)
        return set_up(self.engine, self.services(), Wish(**wish), now=self.clock.now)

    def map(self, tag: str, field: str, *, basic_update: bool = False) -> None:
        self.map_all([(tag, field)], basic_update=basic_update)

    def map_all(self, mappings: Iterable[tuple[str, str]], *, basic_update: bool = False) -> None:
        """(Mailchimp tag, Maximizer field) each; both schemas are read once."""
        wanted = list(mappings)
        if not wanted:
            return
        services = self.services()
        known, fields = audience(services.mailchimp, self.list_id), address_book(services.maximizer)
        for tag, field in wanted:
            put_mapping(self.engine, self.connection, known, field, tag, fields=fields, basic_update=basic_update)

    def unmap(self, tag: str) -> None:
        connections.remove_mapping(self.engine, self.connection.id, tag)

    def set(self, **assignments: str) -> None:
        settings = self.connection.settings.with_text(assignments)
        connections.update(self.engine, self.connection.id, settings=settings)

    @property
    def connection(self) -> Connection:
        found = connections.find(self.engine, self.name)
        assert found is not None
        return found

    # ------------------------------------------------------------- the cycle

    def cycle(self, **asked: Any) -> Cycle:
        """A cycle that has not run yet. Time moves on so that edits and reads fall into different seconds."""
        self.clock.advance(10)
        asked.setdefault("yes", True)
        return Cycle(
            self.engine,
            self.connection,
            self.services(),
            Asked(**asked),
            now=self.clock.now,
            parallel=1,
            judge=self.judge,
        )

    def sync(self, **asked: Any) -> dict[str, Any]:
        """Run one cycle to its end (errors are raised) and return the contract's JSON document."""
        cycle = self.cycle(**asked)
        cycle.tell()
        self.last = cycle
        return cycle.result()

    def backfill(self, **asked: Any) -> dict[str, Any]:
        return self.sync(kind="backfill", **asked)

    def plan(self, **asked: Any) -> dict[str, Any]:
        return self.sync(kind="plan", yes=False, **asked)

    def writes(self, action: Callable[[], Any] | None = None) -> list[Any]:
        """Calls that write, made by the action (default: one sync)."""
        before = {side: len(door.mutations()) for side, door in self.doors.items()}
        (action or self.sync)()
        return [call for side, door in self.doors.items() for call in door.mutations()[before[side] :]]

    def quiet(self, settle: int = 2) -> None:
        """A few cycles without edits: whatever was left is done; one more and a backfill must write nothing (R32)."""
        for _ in range(settle):
            self.sync()
        assert self.writes() == []
        assert self.writes(self.backfill) == []
        self.sound()

    def unplanned(self) -> list[str]:
        """What has left and was not what the plan says."""
        return [told for witness in self.witnesses for told in witness.wrong]

    def sound(self) -> None:
        """What holds after every history: only planned writes, nothing deleted, nobody brought back or made twice."""
        wrong = self.unplanned()
        assert not wrong, wrong
        assert (self.mailchimp.deletes, self.maximizer.deletes) == (0, 0)
        ours = [t for t in self.mailchimp.history if t.by == "api"]
        assert [t for t in ours if t.before is not None and t.contact_id not in self.revived] == []
        for new in (t for t in ours if t.before is None):
            left = [t for t in self.mailchimp.history if t.email.lower() == new.email.lower() and t.time < new.time]
            assert not left or left[-1].after not in ("unsubscribed", "cleaned", ""), f"{new.email} had left"
        untouched = [
            row
            for row in self.maximizer.database.book.rows.values()
            if row.creator == row.modified_by == self.maximizer.user
        ]
        made = [str(row.values.get("Email1", "")).lower() for row in untouched]
        assert len(made) == len(set(made))
        for side in ("contact_id", "entry_id"):
            linked = [row[side] for row in self.links()]
            assert len(linked) == len(set(linked))

    # ------------------------------------------------------------- people

    def subscribe(self, email: str, first: str = "", last: str = "", status: str = "subscribed", **more: Any) -> str:
        fields = {"FNAME": first, "LNAME": last, **more.pop("merge_fields", {})}
        return str(self.mailchimp.subscribe(self.list_id, email, merge_fields=fields, status=status, **more))

    def add(self, first: str, last: str, email1: str = "", flag: str | None = None, **more: Any) -> tuple[str, int]:
        udfs = {**more.pop("udfs", {}), **({FLAG: flag} if flag else {})}
        return tuple(self.maximizer.add_person(first, last, email1, udfs=udfs, **more))

    def member(self, contact_id: str) -> dict[str, Any]:
        return dict(self.mailchimp.member(contact_id))

    def by_email(self, email: str) -> dict[str, Any] | None:
        rows = [m for m in self.mailchimp.members(self.list_id) if m["email_address"].lower() == email.lower()]
        assert len(rows) < 2
        return dict(rows[0]) if rows else None

    def entries(self, email1: str | None = None) -> list[tuple[str, int]]:
        """Keys of people's entries, all or those with this Email 1."""
        return [
            key
            for key, row in self.maximizer.entries().items()
            if row["Type"] in ("Individual", "Contact") and email1 in (None, row["Email1"])
        ]

    def entry(self, key: tuple[str, int]) -> dict[str, Any]:
        return dict(self.maximizer.entry(key))

    def merge(self, email: str) -> dict[str, Any]:
        """Merge fields of the member with this address."""
        found = self.by_email(email)
        assert found is not None, f"no member {email}"
        return dict(found["merge_fields"])

    def udfs(self, key: tuple[str, int]) -> dict[str, Any]:
        """Values of an entry's UDFs in the folder Marketing, by name; tables as labels."""
        return {name.rpartition("\\")[2]: value for name, value in self.maximizer.entry(key)["udfs"].items()}

    def met(
        self, email: str, merge: dict[str, Any], fields: dict[str, Any], **more: Any
    ) -> tuple[str, tuple[str, int]]:
        """One person on both sides, not linked yet: (contact_id, key). ``fields`` as in ``maximizer.edit``."""
        contact_id = self.subscribe(email, "Ada", "Byron", merge_fields=merge, **more)
        key = self.add("Ada", "Byron", email, flag="Yes")
        if fields:
            self.maximizer.edit(key, fields)
        return contact_id, key

    # ------------------------------------------------------------- what is remembered

    def links(self) -> list[dict[str, Any]]:
        with reading(self.engine) as db:
            return links.links(db, self.connection.id).to_dict("records")

    def quarantined(self) -> list[dict[str, Any]]:
        with reading(self.engine) as db:
            return parking.open_rows(db, self.connection.id).to_dict("records")

    def findings(self, kind: str | None = None) -> list[dict[str, Any]]:
        with reading(self.engine) as db:
            return parking.findings(db, self.connection.id, kind).to_dict("records")

    def changes(self, run: int) -> list[dict[str, Any]]:
        with reading(self.engine) as db:
            return changes.of_run(db, run).to_dict("records")


def _without_waiting(session: Session, advance: Callable[[float], object]) -> None:
    """Back-off passes in virtual time, and nothing is paced."""
    session.pacing = (1_000_000, 1.0)
    session._sleep = advance


def office(folder: Path, **more: Any) -> Office:
    return Office(f"sqlite:///{folder / 'maxchimp.db'}", **more)
