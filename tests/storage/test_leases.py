from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import dataclass

import pandas as pd
import pytest
from sqlalchemy import Engine

from domain.errors import Incomplete, LeaseHeld, LeaseLost
from storage import changes, leases
from storage.connections import Connection
from storage.engine import begin, open_store, reading
from storage.leases import Lease, heartbeat


@dataclass
class Clock:
    """Time that passes when a test says so."""

    time: float = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


def take(store: Engine, ours: Connection, clock: Clock, holder: str = "one") -> Lease:
    return Lease.acquire(store, ours.id, holder, ttl=120.0, now=clock)


def check(lease: Lease) -> None:
    with begin(lease.engine) as db:
        lease.check(db)


def test_r36_a_second_holder_is_told_who_holds_it(store: Engine, ours: Connection, clock: Clock) -> None:
    lease = take(store, ours, clock)
    clock.time += 50
    with pytest.raises(LeaseHeld) as caught:
        take(store, ours, clock, "two")
    assert (caught.value.holder, caught.value.expires_in) == ("one", 70.0)
    assert leases.held_by(store, ours.id, clock) == ("one", 70.0)
    check(lease)


def test_f1_the_token_only_grows(store: Engine, ours: Connection, clock: Clock) -> None:
    tokens = []
    for _ in range(3):
        lease = take(store, ours, clock)
        tokens.append(lease.token)
        lease.release()
    clock.time += 1000
    tokens.append(take(store, ours, clock).token)
    clock.time += 120
    tokens.append(take(store, ours, clock).token)
    assert tokens == sorted(set(tokens))


def test_f1_a_holder_that_slept_may_write_nothing_more(
    store: Engine, store_url: str, ours: Connection, clock: Clock
) -> None:
    slept = take(store, ours, clock)
    clock.time += 120
    with pytest.raises(LeaseLost):
        check(slept)  # nobody took it, yet it is over
    other = open_store(store_url)
    next_one = take(other, ours, clock, "two")
    for forbidden in (lambda: check(slept), slept.renew):
        with pytest.raises(LeaseLost):
            forbidden()
    slept.release()
    check(next_one)
    assert slept.lost
    other.dispose()


def test_after_a_crash_the_lease_is_free_when_it_is_over(store: Engine, ours: Connection, clock: Clock) -> None:
    take(store, ours, clock)
    clock.time += 119
    with pytest.raises(LeaseHeld):
        take(store, ours, clock)
    clock.time += 1
    check(take(store, ours, clock))


def test_renewing_holds_it_longer(store: Engine, ours: Connection, clock: Clock) -> None:
    lease = take(store, ours, clock)
    clock.time += 100
    lease.renew()
    clock.time += 100
    check(lease)
    clock.time += 100  # over, but nobody took it
    with begin(store) as db:
        lease.renew(db)
        lease.check(db)
    lease.release()
    with pytest.raises(LeaseLost):
        lease.renew()
    assert leases.held_by(store, ours.id, clock) is None


def test_one_of_many_threads_gets_it(store: Engine, ours: Connection, clock: Clock) -> None:
    got, refused = [], []

    def run(number: int) -> None:
        try:
            got.append(take(store, ours, clock, f"t{number}"))
        except LeaseHeld as held:
            refused.append(held.holder)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    assert refused == [got[0].holder] * 5


def test_the_heartbeat_renews_until_the_block_ends(
    store: Engine, ours: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = take(store, ours, clock)
    beats, enough = [], threading.Event()
    renew = lease.renew

    def beat() -> None:
        beats.append(clock.time)
        if len(beats) == 1:
            raise Incomplete("the store was busy")  # one miss is no loss
        renew()
        enough.set()

    monkeypatch.setattr(lease, "renew", beat)
    clock.time += 100
    with heartbeat(lease, every=0.001):
        assert enough.wait(10)
    assert not [thread for thread in threading.enumerate() if thread.name == "lease"]
    clock.time += 119
    check(lease)


def test_the_heartbeat_ends_when_the_lease_is_lost(store: Engine, ours: Connection, clock: Clock) -> None:
    lease = take(store, ours, clock)
    clock.time += 120
    take(store, ours, clock, "two")
    with heartbeat(lease, every=0.001):
        for thread in threading.enumerate():
            if thread.name == "lease":
                thread.join(30)
        assert lease.lost


def test_the_holder_is_named_by_host_and_process() -> None:
    assert leases.holder_name().startswith("maxchimp on ")
    assert leases.holder_name().split()[-1].isdigit()


def test_f1_nothing_is_sent_under_a_lost_lease(store: Engine, ours: Connection, run_id: int, clock: Clock) -> None:
    frame = pd.DataFrame({"target": ["a"], "side": "mailchimp", "op": "update", "link_id": None, "fields": "[]"})
    with begin(store) as db:
        ids = changes.store(db, run_id, ours.id, frame.assign(contact_id="", entry_id="", marker="", rule=""))
    slept = take(store, ours, clock)
    clock.time += 121
    with pytest.raises(LeaseLost):
        changes.send(store, slept, ids, clock())
    take(store, ours, clock, "two")
    with pytest.raises(LeaseLost):
        changes.send(store, slept, ids, clock())
    with reading(store) as db:
        assert changes.of_run(db, run_id).state.tolist() == ["planned"]


def test_a_holder_that_died_on_this_machine_is_not_waited_for(store: Engine, ours: Connection) -> None:
    """The lease of a killed process is taken at once; that of a living one is not."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    name = leases.holder_name().rpartition(" ")[0]
    first = leases.acquire(store, ours.id, f"{name} {ended.pid}")
    second = leases.acquire(store, ours.id, leases.holder_name())
    assert second.token > first.token
    with pytest.raises(LeaseHeld):
        leases.acquire(store, ours.id, "somebody else")


def test_a_holder_on_another_machine_is_waited_for(store: Engine, ours: Connection) -> None:
    leases.acquire(store, ours.id, "maxchimp on elsewhere, process 999999999")
    with pytest.raises(LeaseHeld):
        leases.acquire(store, ours.id, leases.holder_name())
