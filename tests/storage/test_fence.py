from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd
import pytest
from sqlalchemy import Engine, event

from domain.errors import Incomplete, LeaseLost
from storage import changes, connections
from storage.connections import Connection
from storage.engine import begin, reading
from storage.fence import PATIENCE, Fence
from storage.leases import Lease


@dataclass
class Times:
    """Our own clock and the monotonic one, which need not go together."""

    own: float = 1000.0
    running: float = 5.0
    asked: list[str] = field(default_factory=list)

    def now(self) -> float:
        return self.own

    def monotonic(self) -> float:
        return self.running


def planned(store: Engine, ours: Connection, run_id: int) -> list[int]:
    frame = pd.DataFrame({"target": ["a", "b"], "side": "mailchimp", "op": "update", "link_id": None, "fields": "[]"})
    with begin(store) as db:
        return changes.store(db, run_id, ours.id, frame.assign(contact_id="", entry_id="", marker="", rule=""))


def sent_at(store: Engine, run_id: int) -> list[float]:
    with reading(store) as db:
        return [float(at) for at in changes.of_run(db, run_id, "sent")["sent_at"]]


@pytest.mark.parametrize("slept", ["own", "running"])
def test_f2_after_a_pause_the_lease_is_proven_before_anything_is_sent(
    store: Engine, ours: Connection, run_id: int, slept: str
) -> None:
    times = Times()
    lease = Lease.acquire(store, ours.id, "one", ttl=120.0, now=times.now)
    fence = Fence(lease, times.monotonic)
    first, second = planned(store, ours, run_id)
    changes.send(store, lease, [first], times.now())
    event.listen(store, "begin", lambda db: times.asked.append("begin"))
    times.own += PATIENCE
    fence()
    assert times.asked == []
    setattr(times, slept, getattr(times, slept) + PATIENCE + 1)
    fence()
    assert times.asked == ["begin"]
    # Its quarantine begins with the send that may follow now, not with the intent.
    assert sent_at(store, run_id) == [times.own]
    with reading(store) as db:
        assert changes.of_run(db, run_id, "planned")["id"].tolist() == [second]


def test_f2_nothing_is_sent_once_the_lease_was_taken(store: Engine, ours: Connection, run_id: int) -> None:
    times = Times()
    lease = Lease.acquire(store, ours.id, "one", ttl=120.0, now=times.now)
    fence = Fence(lease, times.monotonic)
    changes.send(store, lease, planned(store, ours, run_id), times.now())
    before = sent_at(store, run_id)
    times.own += 121
    Lease.acquire(store, ours.id, "two", ttl=120.0, now=times.now)
    for _ in range(2):
        with pytest.raises(LeaseLost):
            fence()
    assert sent_at(store, run_id) == before


@pytest.mark.parametrize("act", ["note", "send"])
def test_f1_every_transaction_of_a_run_is_under_its_lease(
    store: Engine, ours: Connection, run_id: int, act: str
) -> None:
    times = Times()
    slept = Lease.acquire(store, ours.id, "one", ttl=120.0, now=times.now)
    ids = planned(store, ours, run_id)
    times.own += 121
    other = Lease.acquire(store, ours.id, "two", ttl=120.0, now=times.now)

    def note(lease: Lease) -> None:
        with lease.begin() as db:
            changes.mark(db, ids, "done")

    acts: dict[str, Callable[[Lease], None]] = {
        "note": note,
        "send": lambda lease: changes.send(store, lease, ids, times.now()),
    }
    with pytest.raises(LeaseLost):
        acts[act](slept)
    with reading(store) as db:
        assert set(changes.of_run(db, run_id)["state"]) == {"planned"}
    acts[act](other)


def test_f5_nothing_new_begins_under_other_terms(store: Engine, ours: Connection, run_id: int) -> None:
    times = Times()
    lease = Lease.acquire(store, ours.id, "one", ttl=120.0, now=times.now)
    with reading(store) as db:
        lease.terms = connections.terms(db, ours.id)
    first, second = planned(store, ours, run_id)
    changes.send(store, lease, [first], times.now())
    connections.update(store, ours.id, settings=ours.settings.with_text({"conflict": "mailchimp"}))
    with pytest.raises(Incomplete, match="changed"):
        changes.send(store, lease, [second], times.now())
    with lease.begin() as db:  # what was sent is written down nevertheless
        changes.mark(db, [first], "done")
