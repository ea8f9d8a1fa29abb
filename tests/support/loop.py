"""The kill loop: the engine dies at the n-th boundary of a scene, n = 1, 2, ... until none is left.

After each death it is run again until all is quiet; then both sides and what is remembered must be exactly what an
undisturbed run of the same scene left, and nothing more is written.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from killing import Stand, forked
from scenes import Scene, Still, base, facts, played
from shelves import Shelf
from sqlalchemy import select

from storage import changes, runs
from storage.engine import reading
from storage.tables import metadata

GAPS = (1.0, 60.0, 3600.0)  # seconds between a death and the next start, in turn
QUARANTINE = 400.0
SECOND = 31  # second deaths are spread over so many boundaries; about as many as a small run has


@dataclass
class Tally:
    """What the loop met: kill points by kind of boundary, seconds, and every violation.

    ``remains``: different states that the deaths left in store and services; each was followed to its end.
    ``again``: of these, how many met a second death on their way.
    """

    scene: str
    database: str
    points: Counter[str] = field(default_factory=Counter)
    remains: int = 0
    again: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


def remains(stand: Stand) -> bytes:
    """Fingerprint of all that outlives the engine: every row of the store, and both services."""
    told = hashlib.sha256(repr(stand.mailchimp.members(stand.list_id)).encode())
    told.update(repr(list(stand.maximizer.entries().items())).encode())
    told.update(repr([len(door.mutations()) for door in stand.doors.values()]).encode())
    with reading(stand.engine) as db:
        for table in metadata.sorted_tables:
            # Whoever held the lease is dead, and stages take their time.
            columns = [column for column in table.c if column.name not in ("holder", "facts")]
            told.update(repr(sorted(map(repr, db.execute(select(*columns))))).encode())
    return told.digest()


class Loop:
    """One scene on one database. ``twice``: the process that picks up the pieces is killed as well."""

    def __init__(self, shelf: Shelf, scene: Scene, ground: Still | None = None, *, twice: bool = False) -> None:
        self.shelf, self.scene, self.twice = shelf, scene, twice
        self.again = 0  # second deaths so far
        self.start = played(shelf, scene, ground or base(shelf))
        self.twin = self._undisturbed()
        self.known: dict[bytes, list[str]] = {}

    def stand(self) -> Stand:
        made = self.start.stand(self.shelf)
        made.parallel = self.scene.parallel
        return made

    def _undisturbed(self) -> dict[str, Any]:
        stand = self.stand()
        for kind in self.scene.cycles:
            stand.sync(kind=kind)
        problems = self.settle(stand)
        assert not problems, f"{self.scene.name}: an undisturbed run is not sound: {problems}"
        assert self.scene.proof(stand), f"{self.scene.name} is not what its name says"
        found = facts(stand)
        stand.close()
        return found

    def settle(self, stand: Stand, *, backfill: bool = True) -> list[str]:
        """Run on until a cycle writes nothing: at most the quarantine, three cycles, and that one. What is wrong then.

        Two would do, but a write that is refused for a reason that may pass is tried in three (R51). It begins with the
        kind of cycle that died: what only a full one may conclude waits for that (R14, R16).
        """
        stand.parallel = 1
        written = self._written(stand, self.scene.cycles[0])
        if stand.last.facts.get("resting"):
            stand.clock.advance(QUARANTINE)
            written = ["resting"]
        for _ in range(4):
            if not written:
                break
            written = self._written(stand)
        wrong = [f"still writing: {written}"] if written else []
        if backfill and (late := self._written(stand, "backfill")):
            wrong.append(f"a backfill writes: {late}")
        try:
            stand.sound()
        except AssertionError as problem:
            wrong.append(f"not sound: {str(problem)[:300]}")
        with reading(stand.engine) as db:
            left = changes.open_changes(db, stand.connection.id)
        wrong += [f"still open: {row['side']} {row['op']} {row['state']}" for row in left.to_dict("records")]
        states = {run.state for run in runs.latest(stand.engine, stand.connection.id, 100)}
        if "running" in states:
            wrong.append("a run never ended")
        return wrong

    @staticmethod
    def _written(stand: Stand, kind: str = "sync") -> list[str]:
        return [call.operation for call in stand.writes(lambda: stand.sync(kind=kind))]

    def compared(self, stand: Stand) -> list[str]:
        """Differences from the undisturbed run: lost, duplicated, or otherwise decided."""
        found = facts(stand)
        wrong = []
        for what, wanted in self.twin.items():
            missing, more = Counter(map(repr, wanted)), Counter(map(repr, found[what]))
            wrong += [f"{what}: lacks {row}" for row in missing - more]
            wrong += [f"{what}: has {row}" for row in more - missing]
        return wrong

    def deaths(self, step: int = 1) -> Iterator[tuple[str, list[str]]]:
        """(boundary, violations) of every ``step``-th kill point, until none fires.

        A death that left exactly what an earlier one left has the same sequel, which is not played again. Every third
        from the second on meets what differs: before the intent, after the effect, after the outcome.
        """
        n = min(step, 2)
        while True:
            stand = self.stand()
            ended = forked(stand, self.scene.cycles, at=n, whole=self.scene.whole)
            if not ended.where:
                assert ended.code == 0, ended
                stand.close()
                return
            assert ended.code == -9, ended
            left = remains(stand)
            if left not in self.known:
                number = len(self.known)
                stand.clock.advance(GAPS[number % len(GAPS)])
                if self.twice:
                    self._die_again(stand, number)
                self.known[left] = self.settle(stand, backfill=number % 3 == 0) or self.compared(stand)
            stand.close()
            yield f"{n}: {ended.where}", self.known[left]
            n += step

    def _die_again(self, stand: Stand, number: int) -> None:
        """The next process dies too, each time at another of its boundaries, those of the recovery included."""
        ended = forked(stand, ("sync",), at=1 + 3 * number % SECOND, whole=True)
        self.again += bool(ended.where)
        stand.clock.advance(1.0)

    def run(self, step: int = 1) -> Tally:
        tally = Tally(self.scene.name, self.shelf.name)
        begun = time.monotonic()
        for where, wrong in self.deaths(step):
            tally.points[where.partition(": ")[2]] += 1
            tally.wrong += [f"{self.scene.name}, {self.shelf.name}, {where}: {text}" for text in wrong]
        tally.remains, tally.again = len(self.known), self.again
        tally.seconds = time.monotonic() - begun
        return tally
