"""F5: settings and mappings are those a run began with; once they change it begins nothing more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from killing import Stand
from scenes import Still
from shelves import Shelf

from domain.errors import Incomplete
from sandbox.web import Request, Response
from storage import connections


@pytest.fixture
def stand(sqlite_ground: tuple[Shelf, Still]) -> Iterator[Stand]:
    """Three new members wait for their entries; the first of a run is made alone."""
    shelf, still = sqlite_ground
    made = still.stand(shelf)
    for name in ("gil", "hal", "ida"):
        made.subscribe(f"{name}@lantern.test", name.title(), "Moor")
    yield made
    made.close()


def at_the_first_write(stand: Stand, act: Callable[[], Any]) -> None:
    door, waiting = stand.doors["maximizer"], [act]
    handle = door.handle

    def watched(request: Request) -> Response:
        if door.service.writes(request) and waiting:
            waiting.pop()()
        return handle(request)

    door.handle = watched  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "change",
    [
        lambda stand: stand.set(conflict="mailchimp"),
        lambda stand: stand.map("JOB", "Position"),
        lambda stand: stand.unmap("REF"),
        lambda stand: connections.update(stand.engine, stand.connection.id, list_id="another"),
    ],
    ids=["setting", "mapping added", "mapping removed", "another list"],
)
def test_f5_a_change_stops_the_run_before_its_next_batch(stand: Stand, change: Callable[[Stand], Any]) -> None:
    list_id = stand.connection.list_id
    at_the_first_write(stand, lambda: change(stand))
    cycle = stand.cycle()
    with pytest.raises(Incomplete, match="were changed") as told:
        cycle.tell()
    assert "next cycle" in told.value.remedy
    assert (cycle.state, cycle.counts["maximizer"]["create"]) == ("partial", 1)
    connections.update(stand.engine, stand.connection.id, list_id=list_id)
    stand.quiet()
    assert all(len(stand.entries(f"{name}@lantern.test")) == 1 for name in ("gil", "hal", "ida"))


def test_f5_a_change_that_comes_with_the_last_write_keeps_the_cursors(stand: Stand) -> None:
    """The list that is read next is another one: nothing that was read of this one counts for it."""
    before = stand.connection.mailchimp_cursor
    seen = []
    door = stand.doors["mailchimp"]
    handle = door.handle

    def watched(request: Request) -> Response:
        if door.service.writes(request):
            seen.append(request)
            if len(seen) == 3:
                connections.end_links(stand.engine, stand.connection.id, "another list")
                connections.update(stand.engine, stand.connection.id, list_id="another")
        return handle(request)

    door.handle = watched  # type: ignore[method-assign]
    with pytest.raises(Incomplete, match="were changed"):
        stand.sync()
    assert stand.connection.mailchimp_cursor in ("", before)
    assert stand.connection.full_reason == connections.FIRST_SYNC
    assert stand.connection.fingerprint == ""


def test_f5_the_interval_may_change_at_any_time(stand: Stand) -> None:
    at_the_first_write(stand, lambda: stand.set(interval="2h"))
    assert stand.sync()["state"] == "done"
