"""F8: SIGTERM at many boundaries: what is in flight is finished and recorded, and nothing new is sent."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
from killing import forked, written
from loop import Loop
from scenes import Scene, Still
from shelves import Shelf

from storage import changes
from storage.engine import reading

pytestmark = pytest.mark.xdist_group("kills")

# Writes that may still arrive: the one that was under way.
IN_FLIGHT = {"before the send": 1, "after the effect": 1}


@pytest.mark.parametrize(("name", "step"), [("new members", 5), ("departures", 4)])
def test_f8_sigterm_anywhere(
    sqlite_ground: tuple[Shelf, Still], scene: Callable[[str], Scene], name: str, step: int
) -> None:
    shelf, ground = sqlite_ground
    loop = Loop(shelf, scene(name), ground)
    states = set()
    for at in range(1, 1000, step):
        stand = loop.stand()
        ended = forked(stand, loop.scene.cycles, at=at, number=signal.SIGTERM)
        if not ended.where:
            assert (ended.code, ended.states) == (0, ("done",))
            stand.close()
            break
        state, _, reason = ended.states[0].partition(": ")
        states.add(state)
        # Asked when all was said and done, a run simply ends.
        assert (state, ended.code) in (("partial", 1), ("failed", 1), ("done", 0))
        assert "stopped on request" in reason or state == "done"
        assert written(stand) - ended.written <= IN_FLIGHT.get(ended.where, 0), ended
        with reading(stand.engine) as db:
            assert len(changes.open_changes(db, stand.connection.id)) == 0, "what was in flight is not recorded"
        assert (loop.settle(stand, backfill=False) or loop.compared(stand)) == [], ended
        stand.close()
    assert "partial" in states
