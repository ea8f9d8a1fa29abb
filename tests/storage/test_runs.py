from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine, text

from storage import changes, runs, snapshots
from storage.connections import Connection, create
from storage.engine import begin, reading

NOW = 1_800_000_000.0


def made(store: Engine, ours: Connection, state: str, full: bool = True, at: float = NOW, **facts: object) -> int:
    """A finished run with one staged member."""
    run_id = runs.start(store, ours.id, "sync", full, at)
    with begin(store) as db:
        columns = dict.fromkeys(snapshots.MEMBER_COLUMNS, "") | {"found": True, "row_hash": 1, "contact_id": "c"}
        snapshots.stage_members(db, run_id, pd.DataFrame([columns]))
    if state != "running":
        runs.finish(store, run_id, state, None, {}, facts, at)
    return run_id


def staged(store: Engine) -> set[int]:
    with reading(store) as db:
        return set(db.execute(text("SELECT run_id FROM member_snapshot")).scalars())


def test_a_run_from_start_to_finish(store: Engine, ours: Connection) -> None:
    run_id = runs.start(store, ours.id, "backfill", True, NOW)
    runs.note(store, run_id, calls=3, complete=False)
    runs.note(store, run_id, versions={"a": "1"})
    runs.finish(store, run_id, "partial", "offline", {"conflicts": 2}, {"complete": True}, NOW + 5)
    found = runs.get(store, run_id)
    assert found is not None
    assert found == runs.Run(
        run_id,
        ours.id,
        "backfill",
        "partial",
        True,
        "offline",
        {"conflicts": 2},
        {"calls": 3, "complete": True, "versions": {"a": "1"}},
        NOW,
        NOW + 5,
    )
    assert runs.get(store, run_id + 1) is None


def test_latest_runs_of_one_connection(store: Engine, ours: Connection) -> None:
    other = create(store, "other", NOW)
    ids = [runs.start(store, c.id, "sync", False, NOW) for c in (ours, other, ours, ours)]
    assert [run.id for run in runs.latest(store, ours.id, 2)] == [ids[3], ids[2]]


def test_abandoned_runs_have_failed(store: Engine, ours: Connection) -> None:
    other = create(store, "other", NOW)
    one, two = made(store, ours, "running"), made(store, ours, "running")
    made(store, ours, "done")
    elsewhere = made(store, other, "running")
    assert runs.abandoned(store, ours.id) == [one, two]
    assert runs.abandoned(store, ours.id) == []
    found = runs.get(store, one)
    assert found is not None
    assert (found.state, found.reason) == ("failed", "interrupted")
    assert (running := runs.get(store, elsewhere)) is not None
    assert running.state == "running"


def test_the_previous_complete_run(store: Engine, ours: Connection) -> None:
    first = made(store, ours, "done", complete=True)
    second = made(store, ours, "partial", complete=True)
    for state, full, complete in (
        ("blocked", True, True),  # its snapshot was refused: nothing may be measured by it
        ("done", True, False),
        ("done", False, True),
        ("running", True, True),
        ("planned", True, True),
    ):
        made(store, ours, state, full=full, complete=complete)
    last = made(store, ours, "done")
    with reading(store) as db:
        assert snapshots.previous(db, ours.id, last) == second
        assert snapshots.previous(db, ours.id, second) == first
        assert snapshots.previous(db, ours.id, first) is None
        assert snapshots.previous(db, create(store, "other", NOW).id, last) is None


def test_s29_snapshots_are_kept_for_two_complete_runs(store: Engine, ours: Connection) -> None:
    oldest = made(store, ours, "done", complete=True)
    kept = [made(store, ours, "done", complete=True), made(store, ours, "partial", complete=True)]
    broken = [made(store, ours, "failed", complete=True), made(store, ours, "blocked", complete=True)]
    small = [made(store, ours, "done", full=False) for _ in range(3)]
    going_on = made(store, ours, "running")
    elsewhere = made(store, create(store, "other", NOW), "failed")
    removed = runs.purge(store, ours.id, now=NOW)
    assert removed["member_snapshot"] == 4
    assert staged(store) == {*kept, *small[1:], going_on, elsewhere}
    assert oldest not in staged(store)
    assert not staged(store).intersection(broken)


def test_s29_old_changes_go_unless_their_effect_is_unknown(store: Engine, ours: Connection) -> None:
    old, new = (runs.start(store, ours.id, "sync", True, at) for at in (NOW - 31 * runs.DAY, NOW - 29 * runs.DAY))
    states = ["done", "sent", "ambiguous", "held", "refused", "planned"]
    frame = pd.DataFrame({"target": states, "side": "mailchimp", "op": "update", "link_id": None, "fields": "[]"})
    with begin(store) as db:
        for run_id in (old, new):
            ids = changes.store(db, run_id, ours.id, frame.assign(contact_id="", entry_id="", marker="", rule=""))
            for change_id, state in zip(ids, states, strict=True):
                if run_id == old or state in ("done", "refused"):
                    changes.mark(db, [change_id], state)
        late = changes.of_run(db, old).id[4]
        changes.mark(db, [late], "refused", finished_at=NOW - 1)
        changes.record_failure(db, int(changes.of_run(db, old).id[0]), NOW, "refused", 400)
    assert runs.purge(store, ours.id, now=NOW)["change"] == 2
    with reading(store) as db:
        assert changes.of_run(db, old).state.tolist() == ["sent", "ambiguous", "held", "refused"]
        assert len(changes.of_run(db, new)) == 6
