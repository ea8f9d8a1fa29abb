from __future__ import annotations

import json

import pandas as pd
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from domain.errors import Incomplete
from storage import changes, runs
from storage.connections import Connection, create
from storage.engine import begin, reading
from storage.leases import Lease

NOW = 1_800_000_000.0


def plan(*targets: str, **columns: object) -> pd.DataFrame:
    blank = {"side": "maximizer", "op": "create", "contact_id": "", "entry_id": "", "marker": "", "rule": "R9"}
    frame = pd.DataFrame({"target": list(targets), "link_id": pd.array([None] * len(targets), "Int64")})
    return frame.assign(**(blank | {"fields": '[{"field": "FNAME", "old": "", "new": "Zoë", "rule": "R9"}]'} | columns))


def stored(store: Engine, run_id: int, ours: Connection, frame: pd.DataFrame) -> list[int]:
    with begin(store) as db:
        return changes.store(db, run_id, ours.id, frame)


def states(store: Engine, run_id: int) -> list[str]:
    with reading(store) as db:
        return [str(state) for state in changes.of_run(db, run_id).state]


@pytest.fixture
def lease(store: Engine, ours: Connection) -> Lease:
    return Lease.acquire(store, ours.id, "test", now=lambda: NOW)


def test_a_plan_comes_back_in_order(store: Engine, ours: Connection, run_id: int) -> None:
    n = 5_000
    frame = plan(*(f"new:{i}" for i in range(n)), link_id=pd.array([None, *range(1, n)], "Int64"), marker="m" * 29)
    ids = stored(store, run_id, ours, frame)
    with reading(store) as db:
        found = changes.of_run(db, run_id)
        assert changes.of_run(db, run_id, "sent").empty
    assert found.id.tolist() == ids
    assert found.target.tolist() == frame.target.tolist()
    assert found.link_id.tolist() == [pd.NA, *range(1, n)]
    assert set(found.state) == {"planned"}
    assert set(found.attempt) == set(found.lease_token) == {0}
    assert found.fields[0] == frame.fields[0]
    assert found.sent_at.isna().all()


def test_one_change_per_run_side_and_record(store: Engine, ours: Connection, run_id: int) -> None:
    stored(store, run_id, ours, plan("a"))
    stored(store, run_id, ours, plan("a", side="mailchimp"))
    with pytest.raises(IntegrityError):
        stored(store, run_id, ours, plan("a", op="update"))


def test_a_marker_is_never_longer_than_29(store: Engine, ours: Connection, run_id: int) -> None:
    with pytest.raises((IntegrityError, Exception), match=r"marker|too long"):
        stored(store, run_id, ours, plan("a", marker="m" * 30))
    assert states(store, run_id) == []


def test_sent_is_recorded_before_anything_leaves(store: Engine, ours: Connection, run_id: int, lease: Lease) -> None:
    ids = stored(store, run_id, ours, plan("a", "b", "c"))
    changes.send(store, lease, ids[:2], NOW)
    with reading(store) as db:
        found = changes.of_run(db, run_id, "sent")
        assert changes.open_changes(db, ours.id).id.tolist() == ids[:2]
    assert found.target.tolist() == ["a", "b"]
    assert set(found.lease_token) == {lease.token}
    assert found.attempt.tolist() == [1, 1]
    assert found.sent_at.tolist() == [NOW, NOW]


def test_what_is_not_planned_any_more_is_not_sent(store: Engine, ours: Connection, run_id: int, lease: Lease) -> None:
    ids = stored(store, run_id, ours, plan("a", "b"))
    changes.send(store, lease, ids[:1], NOW)
    with pytest.raises(Incomplete, match="not planned"):
        changes.send(store, lease, ids, NOW)
    assert states(store, run_id) == ["sent", "planned"]


@pytest.mark.parametrize("state", ["sent", "ambiguous", "held"])
def test_one_open_change_per_record(store: Engine, ours: Connection, run_id: int, lease: Lease, state: str) -> None:
    first = stored(store, run_id, ours, plan("a"))
    later = runs.start(store, ours.id, "sync", True, NOW)
    second = stored(store, later, ours, plan("a", "b"))
    with begin(store) as db:
        changes.mark(db, first, state)
    with pytest.raises(Incomplete, match="still open"):
        changes.send(store, lease, second, NOW)
    assert states(store, later) == ["planned", "planned"]
    with begin(store) as db:
        changes.mark(db, first, "done")
    changes.send(store, lease, second, NOW)


def test_outcomes(store: Engine, ours: Connection, run_id: int) -> None:
    ids = stored(store, run_id, ours, plan("a", "b", "c"))
    with begin(store) as db:
        assert changes.mark(db, ids[:2], "done", outcome="E1#0", finished_at=NOW) == 2
        assert changes.mark(db, [], "done") == 0
        changes.record_failure(db, ids[0], NOW, "ambiguous", 0)
        changes.record_failure(db, ids[0], NOW + 1, "refused", 400)
        assert changes.attempts(db, ids[0])[["outcome", "status"]].to_numpy().tolist() == [
            ["ambiguous", 0],
            ["refused", 400],
        ]
        found = changes.of_run(db, run_id)
    assert found.state.tolist() == ["done", "done", "planned"]
    assert found.outcome.tolist() == ["E1#0", "E1#0", ""]


def test_a_planned_change_learns_which_record_was_made(
    store: Engine, ours: Connection, run_id: int, lease: Lease
) -> None:
    ids = stored(store, run_id, ours, plan("e1#0", "e2#0", op="update"))
    changes.send(store, lease, ids[1:], NOW)
    with begin(store) as db:
        assert changes.follow(db, run_id, "maximizer", "e1#0", contact_id="c1", link_id=7) == 1
        assert changes.follow(db, run_id, "mailchimp", "e1#0", contact_id="c1") == 0
        assert changes.follow(db, run_id, "maximizer", "e2#0", contact_id="c1") == 0  # sent as it was
        found = changes.of_run(db, run_id)
    assert found.contact_id.tolist() == ["c1", ""]
    assert found.link_id.tolist() == [7, pd.NA]


def test_planned_work_of_old_runs_is_discarded_but_plans_are_kept(store: Engine, ours: Connection, run_id: int) -> None:
    elsewhere = create(store, "other", NOW)
    plan_run, new, other = (
        runs.start(store, c.id, kind, True, NOW) for c, kind in ((ours, "plan"), (ours, "sync"), (elsewhere, "sync"))
    )
    ids = stored(store, run_id, ours, plan("a", "b"))
    for run, connection in ((plan_run, ours), (new, ours), (other, elsewhere)):
        stored(store, run, connection, plan("a"))
    with begin(store) as db:
        changes.mark(db, ids[:1], "sent")
        assert changes.discard_planned(db, ours.id, except_run=new) == 1
    assert [states(store, run) for run in (run_id, plan_run, new, other)] == [
        ["sent", "discarded"],
        ["planned"],
        ["planned"],
        ["planned"],
    ]


def test_the_history_of_one_person(store: Engine, ours: Connection, run_id: int) -> None:
    """Changes of the member and of the entry, and those by which one was made of the other; no plans."""
    ids = stored(store, run_id, ours, plan("e1", "new:c1", "e2"))
    ids += stored(store, run_id, ours, plan("c1", "new:e2", side="mailchimp"))
    stored(store, runs.start(store, ours.id, "plan", True, NOW), ours, plan("e1"))
    elsewhere = create(store, "other", NOW)
    stored(store, runs.start(store, elsewhere.id, "sync", True, NOW), elsewhere, plan("e1"))
    with reading(store) as db:
        assert changes.history(db, ours.id, contact_id="c1", entry_id="e1").id.tolist() == [*ids[:2], ids[3]]
        assert changes.history(db, ours.id, entry_id="e2").id.tolist() == [ids[2], ids[4]]
        assert changes.history(db, ours.id).empty


def test_failures_count_until_a_write_of_the_record_is_confirmed(store: Engine, ours: Connection) -> None:
    def failed(*targets: str, confirmed: str = "") -> dict[str, int]:
        run = runs.start(store, ours.id, "sync", True, NOW)
        ids = stored(store, run, ours, plan(*targets))
        with begin(store) as db:
            for target, number in zip(targets, ids, strict=True):
                changes.mark(db, [number], "done" if target == confirmed else "refused")
                if target != confirmed:
                    changes.record_failure(db, number, NOW, "refused", 400)
            assert changes.failures(db, ours.id, "mailchimp", ["a", "b"]) == {}
            assert changes.failures(db, ours.id, "maximizer", ["a"]).keys() <= {"a"}
            return changes.failures(db, ours.id, "maximizer", ["a", "b", "c"])

    assert failed("a", "b") == {"a": 1, "b": 1}
    assert failed("a", "b", confirmed="b") == {"a": 2}
    assert failed("b") == {"a": 2, "b": 1}


def test_outcomes_and_conflicts_of_a_run_add_up(store: Engine, ours: Connection, run_id: int) -> None:
    """Every change ends in one outcome; conflicts are counted by the rule of their fields, whatever values say."""
    rules = ["R30", "R31, R30", "R31", "R22"]
    items = [{"field": "A", "old": "", "new": '"rule":"R30"', "rule": rule} for rule in rules]
    spaced = json.dumps({"set": [{"field": "A", "old": "x", "new": "R30", "rule": "R30"}]})
    tight = json.dumps({"set": items}, separators=(",", ":"))
    ids = stored(store, run_id, ours, plan("a", "b", "c", "d", "e", fields=tight))
    ids += stored(store, run_id, ours, plan("a", "b", "c", side="mailchimp", op="update", fields=spaced))
    states_of = ["done", "refused", "skipped", "sent", "planned", "done", "done", "discarded"]
    with begin(store) as db:
        for number, state in zip(ids, states_of, strict=True):
            changes.mark(db, [number], state)
        found, conflicts = changes.outcomes(db, run_id), changes.conflicts_by_state(db, run_id)
        lost = changes.conflicts(db, ours.id, run_id=run_id)
    assert found["planned"] == {"mailchimp": {"create": 0, "update": 3}, "maximizer": {"create": 5, "update": 0}}
    assert found["written"] == {
        "mailchimp": {"create": 0, "update": 2, "failed": 0, "left": 1},
        "maximizer": {"create": 1, "update": 0, "failed": 2, "left": 2},
    }
    assert conflicts == {"done": 4, "refused": 2, "skipped": 2, "sent": 2, "planned": 2, "discarded": 1}
    assert lost["rule"].tolist() == ["R30", "R31, R30", "R30", "R30"]
