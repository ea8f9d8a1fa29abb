from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine

from storage import runs, snapshots
from storage.connections import Connection
from storage.engine import begin, reading

NOW = 1_800_000_000.0


def members(*ids: str, **columns: object) -> pd.DataFrame:
    blank = dict.fromkeys(snapshots.MEMBER_COLUMNS, "") | {"found": True, "row_hash": 1, "fields": "{}"}
    return pd.DataFrame({**blank, **columns, "contact_id": list(ids)})


def entries(*ids: str, **columns: object) -> pd.DataFrame:
    blank = dict.fromkeys(snapshots.ENTRY_COLUMNS, "") | {"found": True, "row_hash": 1, "fields": "{}"}
    return pd.DataFrame({**blank, **columns, "entry_id": list(ids)})


def test_a_row_staged_twice_keeps_the_later_one(store: Engine, run_id: int) -> None:
    with begin(store) as db:
        assert snapshots.stage_members(db, run_id, members("a", "b", "b", email=["1", "2", "3"])) == 2
        assert snapshots.stage_members(db, run_id, members("c", "a", email=["4", "5"])) == 2
    with reading(store) as db:
        found = snapshots.members(db, run_id).sort_values("contact_id")
    assert found.email.tolist() == ["5", "3", "4"]
    assert tuple(found.columns) == snapshots.MEMBER_COLUMNS


def test_rows_of_several_runs_stay_apart(store: Engine, ours: Connection, run_id: int) -> None:
    small = runs.start(store, ours.id, "sync", False, NOW)
    with begin(store) as db:
        snapshots.stage_entries(db, run_id, entries("a", "b", "c", found=[True, False, True], row_hash=[1, 2, -3]))
        snapshots.stage_entries(db, small, entries("b", row_hash=9))
    with reading(store) as db:
        assert snapshots.count(db, run_id, "maximizer") == 2
        assert snapshots.count(db, run_id, "mailchimp") == 0
        assert snapshots.hashes(db, small, "maximizer").to_dict("records") == [
            {"entry_id": "b", "found": True, "row_hash": 9}
        ]
        assert sorted(snapshots.hashes(db, run_id, "maximizer").row_hash) == [-3, 1, 2]
        assert snapshots.entries(db, run_id, ["b", "c", "x"]).row_hash.tolist() == [2, -3]
        assert snapshots.entries(db, small).entry_id.tolist() == ["b"]
        assert snapshots.members(db, run_id).empty


def test_an_empty_page_is_no_error(store: Engine, run_id: int) -> None:
    with begin(store) as db:
        assert snapshots.stage_members(db, run_id, members()) == 0
        assert snapshots.entries(db, run_id, []).empty
