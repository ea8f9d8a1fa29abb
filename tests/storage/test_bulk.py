from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError

from storage import bulk, snapshots
from storage.engine import begin, reading
from storage.tables import attempt, change, member_snapshot, run, secret

TRICKY = ["NA", "null", "None", "NaN", "", " ", "00123", "1e6", "Zoë \U0001f98e", 'a"b\\c\td\ne', "\\N", "1,2", "{}"]
COLUMNS = [c.name for c in member_snapshot.c]


def member(run_id: int, key: str, **columns: object) -> tuple[object, ...]:
    blank = dict.fromkeys(COLUMNS, "") | {"run_id": run_id, "contact_id": key, "found": True, "row_hash": 0}
    return tuple((blank | columns).values())


def test_text_comes_back_as_it_was(store: Engine, run_id: int) -> None:
    rows = [member(run_id, f"c{i:02}", email=text, found=i % 2 == 0) for i, text in enumerate(TRICKY)]
    with begin(store) as db:
        assert bulk.insert(db, member_snapshot, COLUMNS, rows) == len(TRICKY)
    with reading(store) as db:
        frame = bulk.read(db, select(member_snapshot).order_by(member_snapshot.c.contact_id))
    assert frame.email.tolist() == TRICKY
    assert frame.found.tolist() == [i % 2 == 0 for i in range(len(TRICKY))]
    assert frame.dtypes[["run_id", "found", "email", "row_hash"]].astype(str).tolist() == [
        "int64",
        "bool",
        "str",
        "int64",
    ]


def test_missing_numbers_and_floats(store: Engine, run_id: int) -> None:
    with begin(store) as db:
        db.execute(run.update().values(reason=None))
        frame = bulk.read(db, select(run.c.reason, run.c.started_at, run.c.finished_at, run.c.facts))
        nothing = bulk.read(db, select(change.c.link_id, change.c.sent_at, change.c.fields))
    assert frame.reason.dtype == "str"
    assert frame.reason.isna().all()
    assert frame.started_at.dtype == frame.finished_at.dtype == np.dtype("float64")
    assert frame.facts.tolist() == [{}]
    assert nothing.empty
    assert [str(kind) for kind in nothing.dtypes] == ["int64", "float64", "str"]


@pytest.mark.parametrize("n", [0, 1, 5_000])
def test_any_number_of_rows_in_any_order_of_columns(store: Engine, run_id: int, n: int, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(bulk, "CHUNK", 999)
    backwards = COLUMNS[::-1]
    rows = (member(run_id, f"c{i}", row_hash=i - 2**62)[::-1] for i in range(n))
    with begin(store) as db:
        assert bulk.insert(db, member_snapshot, backwards, rows) == n
        frame = bulk.read(db, select(member_snapshot).order_by(member_snapshot.c.row_hash))
    assert frame.contact_id.tolist() == [f"c{i}" for i in range(n)]
    assert frame.row_hash.tolist() == [i - 2**62 for i in range(n)]


def test_a_rolled_back_transaction_leaves_nothing(store: Engine, run_id: int) -> None:
    def crash() -> None:
        with begin(store) as db:
            bulk.insert(db, member_snapshot, COLUMNS, [member(run_id, "c1")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        crash()
    with reading(store) as db:
        assert snapshots.count(db, run_id, "mailchimp") == 0


def test_an_error_quotes_no_row(store: Engine, run_id: int) -> None:
    rows = [member(run_id, "c1", email="ann@people.test")] * 2
    with pytest.raises(IntegrityError) as caught, begin(store) as db:
        bulk.insert(db, member_snapshot, COLUMNS, rows)
    assert "ann@" not in str(caught.value)
    assert "c1" not in str(caught.value)
    assert caught.value.params is None or caught.value.hide_parameters


@pytest.mark.parametrize("fresh", [True, False])
def test_upsert_replaces_and_adds(store: Engine, run_id: int, fresh: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 1)

    def put(*keys: str, email: str) -> None:
        rows = (member(run_id, key, email=email) for key in keys)
        bulk.upsert(db, member_snapshot, COLUMNS, rows, ("run_id", "contact_id"), fresh=fresh)

    with begin(store) as db:
        put("a", "b", email="old")
        put("b", "c", email="new")
        frame = bulk.read(db, select(member_snapshot).order_by(member_snapshot.c.contact_id))
    assert frame.email.tolist() == ["old", "new", "new"]


def test_update_touches_only_the_named_rows_and_columns(store: Engine, run_id: int) -> None:
    with begin(store) as db:
        rows = [member(run_id, key, email=key) for key in "abc"]
        bulk.insert(db, member_snapshot, COLUMNS, rows)
        new = [(7, "c", "left"), (8, "a", "stays")]
        assert bulk.update(db, member_snapshot, ["row_hash", "contact_id", "status"], new, key="contact_id") == 2
        frame = bulk.read(db, select(member_snapshot).order_by(member_snapshot.c.contact_id))
    assert frame.row_hash.tolist() == [8, 0, 7]
    assert frame.status.tolist() == ["stays", "", "left"]
    assert frame.email.tolist() == list("abc")


@pytest.mark.parametrize("n", [1, 60])
def test_json_columns_take_objects(store: Engine, run_id: int, n: int) -> None:
    """Few and many rows go different ways on PostgreSQL."""
    with begin(store) as db:
        columns = ["id", "connection_id", "kind", "state", "full", "counts", "facts", "started_at"]
        ids = bulk.new_ids(db, run, n)
        bulk.insert(db, run, columns, [(i, 1, "sync", "done", True, {"n": i}, {}, 0.0) for i in ids])
        bulk.update(db, run, ["facts", "id"], [({"x": [i, "é"]}, i) for i in ids])
        found = bulk.read(db, select(run.c.counts, run.c.facts).where(run.c.id != run_id).order_by(run.c.id))
        assert db.execute(select(run.c.facts["x"][0].as_integer()).where(run.c.id == ids[-1])).scalar() == ids[-1]
    assert found.counts.tolist() == [{"n": i} for i in ids]
    assert found.facts.tolist() == [{"x": [i, "é"]} for i in ids]


def test_whole_numbers_keep_their_digits() -> None:
    def link_ids(values: object) -> list[object]:
        return [row[0] for row in bulk.rows_of(pd.DataFrame({"link_id": values}), change, ["link_id"])]

    for values in ([1.0, np.nan], pd.array([1, None], "Int64"), pd.Series([np.int64(1), None], dtype=object)):
        assert link_ids(values) == [1, None]
        assert type(link_ids(values)[0]) is int
    with pytest.raises(ValueError, match="lost digits"):
        link_ids([2.0**53, None])


def test_several_sets_of_keys_in_one_statement(store: Engine) -> None:
    with begin(store) as db:
        bulk.insert(db, secret, ["name", "value"], [(f"k{i}", f"{i}") for i in range(5_000)])
        many, few = bulk.with_keys(db, [f"k{i}" for i in range(0, 6_000, 2)]), bulk.with_keys(db, ["k2", "k3", "k2"])
        joined = select(secret.c.name).join(many, many.c.key == secret.c.name).join(few, few.c.key == secret.c.name)
        assert db.execute(joined).scalars().all() == ["k2"]
        odd = bulk.with_keys(db, pd.Series(['a"b', "é", "NA"]))
        assert set(db.execute(select(odd.c.key)).scalars()) == {'a"b', "é", "NA"}
        assert db.execute(select(secret.c.name).where(bulk.among(db, secret.c.name, []))).all() == []


def test_whole_numbers_as_keys(store: Engine, run_id: int) -> None:
    with reading(store) as db:
        for keys in ([run_id, 99], pd.Series([run_id]), np.array([run_id]), {run_id}):
            assert db.execute(select(run.c.id).where(bulk.among(db, run.c.id, keys))).scalars().all() == [run_id]  # type: ignore[arg-type]


def test_new_ids_rise_and_are_free(store: Engine, run_id: int) -> None:
    with begin(store) as db:
        first = bulk.new_ids(db, attempt, 3)
        assert first == sorted(set(first))
        assert len(first) == 3
        assert bulk.new_ids(db, run, 1)[0] > run_id


def test_a_hundred_thousand_rows(store: Engine, run_id: int) -> None:
    n = 100_000
    frame = pd.DataFrame({"contact_id": [f"{i:010x}" for i in range(n)], "row_hash": np.arange(n)})
    for name in COLUMNS[2:]:
        if name not in frame:
            frame[name] = True if name == "found" else "some text"
    with begin(store) as db:
        assert snapshots.stage_members(db, run_id, frame) == n
    with reading(store) as db:
        back = snapshots.members(db, run_id)
        picked = snapshots.members(db, run_id, back.contact_id[::2])
    assert back.sort_values("contact_id").row_hash.tolist() == list(range(n))
    assert len(picked) == n // 2
