"""F1, F2: two processes of one connection. Whoever slept through its lease writes nothing more, whatever it was about.

There is no Prefect here, so none of its limits either: the lease alone decides (hazard F3).
"""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
from killing import LEASE, Stand, forked, written
from loop import Loop
from scenes import Scene, Still
from shelves import Shelf

from domain.errors import Incomplete, LeaseHeld
from storage import engine as storage_engine

pytestmark = pytest.mark.xdist_group("kills")

LONGER_THAN_THE_LEASE = LEASE + 1
IN_A_TRANSACTION = "before a commit"


@pytest.fixture
def loop(ground: tuple[Shelf, Still], scene: Callable[[str], Scene]) -> Loop:
    shelf, still = ground
    return Loop(shelf, scene("new member"), still)


def stopped(loop: Loop, at: int, meanwhile: Callable[[Stand, str], None]) -> tuple[Stand, str, int, int]:
    """The stand after a run that was paused at a boundary: where, its exit code, and what it wrote after the pause."""
    stand = loop.stand()
    before: list[int] = []

    def act(where: str) -> None:
        meanwhile(stand, where)
        before.append(written(stand))

    ended = forked(stand, at=at, number=signal.SIGSTOP, meanwhile=act)
    return stand, ended.where, ended.code, written(stand) - before[0] if before else 0


def knocked(stand: Stand) -> None:
    stand.engine = storage_engine.open_store(stand.url)
    stand.sync()


def overtake(stand: Stand, where: str) -> None:
    """Another process takes over and comes to its end."""
    stand.clock.advance(LONGER_THAN_THE_LEASE)
    if where != IN_A_TRANSACTION:
        stand.sync()


def test_f1_f2_a_paused_process_writes_nothing_more(loop: Loop) -> None:
    at, met = 1, set()
    every = loop.shelf.name == "sqlite"  # on PostgreSQL every second one
    while True:
        stand, where, code, late = stopped(loop, at, overtake)
        at += 1 if every else 2
        if not where:
            stand.close()
            break
        if where != IN_A_TRANSACTION:
            met.add(where)
            assert late == 0, f"{where}: wrote after its lease was taken"
            assert code == 1
            assert (loop.settle(stand, backfill=False) or loop.compared(stand)) == [], f"{at}: {where}"
        stand.close()
    assert met == {"before the send", "after the effect", "after the answer", "after the commit"} if every else met


def test_f1_a_pause_within_a_transaction_keeps_the_others_out(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_engine, "BUSY_TIMEOUT", 0.2)
    told: list[str] = []

    def knock(stand: Stand, where: str) -> None:
        assert where == IN_A_TRANSACTION
        stand.clock.advance(LONGER_THAN_THE_LEASE)
        stand.engine.dispose()
        with pytest.raises(Incomplete, match="busy") as busy:
            knocked(stand)
        told.append(busy.value.remedy)

    stand, where, code, _ = stopped(loop, 1, knock)
    assert (where, told) == (IN_A_TRANSACTION, ["wait for the other run to end"])
    assert code in (0, 1)
    assert (loop.settle(stand) or loop.compared(stand)) == []
    stand.close()


def test_f1_a_pause_that_nobody_used_costs_nothing(loop: Loop) -> None:
    """The lease ran out and nobody took it: the process proves that, and goes on."""
    stand, where, code, late = stopped(loop, 3, lambda stand, where: stand.clock.advance(LONGER_THAN_THE_LEASE))
    assert where == "before the send"
    assert (code, late) == (0, 2)
    assert loop.compared(stand) == []
    stand.close()


def test_r36_while_one_works_the_other_is_told_who(loop: Loop) -> None:
    told: list[str] = []

    def knock(stand: Stand, where: str) -> None:
        with pytest.raises(LeaseHeld) as held:
            stand.sync()
        told.append(held.value.holder)

    stand, where, code, _ = stopped(loop, 3, knock)
    assert (where, code) == ("before the send", 0)
    assert len(told) == 1
    assert "process" in told[0]
    assert loop.compared(stand) == []
    stand.close()
