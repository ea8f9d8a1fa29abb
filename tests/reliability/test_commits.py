"""F6: the n-th commit fails, once or from then on. Nothing is ever sent whose intent is not on disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from killing import LEASE, Stand
from loop import Loop
from psycopg.errors import DiskFull
from scenes import Scene, Still
from shelves import Shelf

from domain.errors import MaxchimpError
from sandbox.web import Request, Response
from storage import changes
from storage.engine import open_store, reading

pytestmark = pytest.mark.xdist_group("kills")


class Disk:
    """Where commits go; the n-th from the load stage on does not get there, nor any later one if full for good."""

    def __init__(self, stand: Stand, number: int, *, for_good: bool) -> None:
        self.stand, self.number, self.for_good = stand, number, for_good
        self.open, self.count = False, 0
        self.commit = stand.engine.dialect.do_commit
        stand.engine.dialect.do_commit = self

    def __call__(self, connection: Any) -> None:
        self.count += self.open
        if self.open and (self.count == self.number or (self.for_good and self.count > self.number)):
            raise self._full()
        self.commit(connection)

    def _full(self) -> Exception:
        if self.stand.engine.dialect.name == "postgresql":
            return DiskFull("could not extend file")
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        return error

    def stage(self, name: str) -> None:
        self.open = self.open or name == "load"

    def freed(self) -> None:
        self.stand.engine.dialect.do_commit = self.commit


def on_disk(stand: Stand) -> Callable[[], None]:
    """Look at every write that arrives, from outside, whether its intent is durable; what to call at the end."""
    outside = open_store(stand.url)

    def watched(handle: Callable[[Request], Response], service: Any) -> Callable[[Request], Response]:
        def look(request: Request) -> Response:
            if service.writes(request):
                with reading(outside) as db:
                    states = changes.open_changes(db, 1)["state"].tolist()
                assert "sent" in states, f"{service.operation(request)} without an intent on disk"
            return handle(request)

        return look

    for door in stand.doors.values():
        door.handle = watched(door.handle, door.service)  # type: ignore[method-assign]
    return outside.dispose


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
def test_f6_a_commit_that_fails(ground: tuple[Shelf, Still], scene: Callable[[str], Scene], for_good: bool) -> None:
    shelf, still = ground
    if for_good and shelf.name == "postgresql":
        pytest.skip("the same code as on SQLite")
    loop = Loop(shelf, scene("new member"), still)
    number, fired = 1, True
    while fired:
        stand = loop.stand()
        done = on_disk(stand)
        disk = Disk(stand, number, for_good=for_good)
        cycle = stand.cycle()
        cycle.progress = disk.stage
        try:
            cycle.tell()
            told = ""
        except MaxchimpError as error:
            told = error.message
        fired = disk.count >= number
        assert ("disk" in told or "room" in told) == fired, told
        disk.freed()
        stand.clock.advance(LEASE + 1)
        assert (loop.settle(stand, backfill=False) or loop.compared(stand)) == [], f"commit {number}"
        done()
        stand.close()
        number += 1 if shelf.name == "sqlite" else 2
    assert number > 7
