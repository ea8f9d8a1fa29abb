"""Where histories play: the small world and its store, made once and copied, and doors that tell what passes."""

from __future__ import annotations

import copy
import random
import sqlite3
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from crowd import ADDRESSES, mappings
from harness import Office
from room import ROOM
from sqlalchemy import Engine, event

from sandbox.web import Door, Request, Response
from storage.engine import open_store


class Killed(BaseException):
    """The process ends between two calls."""


class Watched(Door):
    """A door that tells what passes: people may act in between, and whoever judges sees every effect.

    ``tell(side, request, when)``: "before" and "after" every request, "late" after an effect that came on its own.
    """

    def __init__(self, service: Any, clock: Any, *, tell: Callable[[str, Request | None, str], None]) -> None:
        super().__init__(service, clock)
        self.tell = tell

    def handle(self, request: Request) -> Response:
        self.tell(self.service.name, request, "before")
        try:
            return super().handle(request)
        finally:
            self.tell(self.service.name, request, "after")

    def settle(self) -> int:
        done = super().settle()
        if done:
            self.tell(self.service.name, None, "late")
        return done


class Store:
    """The office's store as fate treats it: copied, put back, lost; a commit fails; the process dies at one.

    ``fails`` and ``dies``: the number of the commit from now on that does so, 0 for none. A dead process commits
    nothing more until ``revive``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.number = folder, 0
        self.fails = self.dies = self.commits = 0
        self.dead = False

    def open(self, content: bytes) -> str:
        """A new file with this content; its address."""
        self.number += 1
        path = self.folder / f"store{self.number}.db"
        path.touch(mode=0o600)
        path.write_bytes(content)
        return f"sqlite:///{path}"

    def put(self, office: Office, content: bytes) -> None:
        """The office works with this content from now on."""
        office.engine.dispose()
        office.engine = open_store(self.open(content))
        self.watch(office.engine)

    def copy(self) -> bytes:
        with sqlite3.connect(self.folder / f"store{self.number}.db") as db:
            content = db.serialize()
        db.close()
        # A file of its own is not in write-ahead mode (bytes 18 and 19 of the header), as after a backup.
        return content[:18] + b"\x01\x01" + content[20:]

    def watch(self, engine: Engine) -> None:
        event.listen(engine, "begin", self._begin, insert=True)
        event.listen(engine, "commit", self._commit)

    def expect(self, *, fails: int = 0, dies: int = 0) -> None:
        self.commits, self.fails, self.dies = 0, fails, dies

    def revive(self) -> None:
        self.dead = False
        self.expect()

    def _begin(self, db: Any) -> None:
        if self.dead:
            raise Killed

    def _commit(self, db: Any) -> None:
        self.commits += 1
        if self.commits == self.dies:
            self.dead = True
            raise Killed
        if self.commits == self.fails:
            problem = sqlite3.OperationalError("database or disk is full")
            problem.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise problem


class Small(Office):
    """An office over a world and a store that were made before.

    ``page``: rows per page of Mailchimp's listings. ``ahead``: seconds by which our own clock is ahead of theirs.
    """

    page = 1000
    ahead = 0.0

    def services(self) -> Any:
        made = super().services()
        for client in (made.mailchimp, made.maximizer):
            client.session._rng = random.Random(0)
        made.mailchimp.members = partial(made.mailchimp.members, page_size=self.page)
        return made

    def now(self) -> float:
        return self.clock.now() + self.ahead

    def cycle(self, **asked: Any) -> Any:
        made = super().cycle(**asked)
        made.now = self.now
        return made


@cache
def template(quirks: frozenset[str] = frozenset()) -> tuple[Any, bytes, bytes]:
    """The world after set-up and first sync, an empty store, and the store as it is then."""
    with tempfile.TemporaryDirectory(prefix="maxchimp-", dir=ROOM) as folder:
        office = Small(f"sqlite:///{folder}/maxchimp.db", mappings=mappings(), quirks=quirks)
        office.engine.dispose()
        empty = Path(folder, "maxchimp.db").read_bytes()
        office.maximizer.add_company("Lantern Works")
        for number, text in enumerate(ADDRESSES[:4]):
            if number != 3:
                office.subscribe(text, "Ann", f"Reed{number}", merge_fields={"REF": "R-1", "PLAN": "Plus"})
            if number != 2:
                plan = {r"Marketing\Plan": "Plus", r"Marketing\Loyalty Points": 7}
                office.add("Ann", f"Reed{number}", text, flag=(None, "Yes", None, "Yes")[number], udfs=plan)
        office.sync()
        office.sync()
        office.clock.advance(3600)  # whatever lags has caught up
        office.engine.dispose()
        return office.world, empty, Path(folder, "maxchimp.db").read_bytes()


def copy_of(world: Any) -> Any:
    made = copy.deepcopy(world)
    made.maximizer.database.book.forget_indexes()  # they hold functions of the first world
    return made
