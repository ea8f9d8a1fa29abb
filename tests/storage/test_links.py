from __future__ import annotations

import json

import pandas as pd
import pytest
from sqlalchemy import Connection as Database
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from storage import links, runs, snapshots
from storage.connections import Connection, create
from storage.engine import begin, reading

NOW = 1_800_000_000.0


def pairs(ours: Connection, *names: str, **columns: object) -> pd.DataFrame:
    frame = pd.DataFrame({"contact_id": list(names), "entry_id": [f"{n}#0" for n in names]})
    return frame.assign(connection_id=ours.id, created_run=1, created_at=NOW, **columns)


def done(ours: Connection, *names: str) -> pd.DataFrame:
    return pairs(ours, *names, member_hash=-1, entry_hash=2)


def names(frame: pd.DataFrame) -> list[str]:
    return sorted(frame.contact_id)


def test_links_come_back_with_every_column(store: Engine, ours: Connection) -> None:
    with begin(store) as db:
        ids = links.insert(db, pairs(ours, "b", "a", email=["b@x.test", "NA"], member_hash=[None, 5]))
        found = links.links(db, ours.id)
    assert found.id.tolist() == ids == sorted(ids)
    assert found.contact_id.tolist() == ["b", "a"]
    assert found.email.tolist() == ["b@x.test", "NA"]
    assert str(found.member_hash.dtype) == "Int64"
    assert found.member_hash.tolist() == [pd.NA, 5]
    assert found.archived.tolist() == [False, False]
    assert set(found.state) == {"active"}
    assert tuple(found.columns) == links.COLUMNS


@pytest.mark.parametrize("column", ["contact_id", "entry_id"])
def test_a_side_is_linked_once_and_may_be_linked_anew(store: Engine, ours: Connection, column: str) -> None:
    with begin(store) as db:
        first = links.insert(db, pairs(ours, "a"))
        links.insert(db, pairs(create_other(db), "a"))
    again = pairs(ours, "z").assign(**{column: pairs(ours, "a")[column]})

    def link() -> None:
        with begin(store) as db:
            links.insert(db, again)

    with pytest.raises(IntegrityError):
        link()
    with begin(store) as db:
        assert links.end(db, first, "moved") == 1
        assert links.end(db, first, "again") == 0
        links.insert(db, again)
        assert links.by_ids(db, first)[["state", "reason"]].to_numpy().tolist() == [["ended", "moved"]]


def create_other(db: object) -> Connection:
    """Another connection, made in the caller's transaction."""
    from storage.tables import connection

    made = connection.insert().values(name="other", traits={}, settings={}, created_at=NOW).returning(connection.c.id)
    number = db.execute(made).scalar_one()  # type: ignore[attr-defined]
    return Connection(number, *([None] * 16))  # type: ignore[arg-type]


def test_only_what_a_run_touches_and_what_is_unfinished(store: Engine, ours: Connection, run_id: int) -> None:
    elsewhere = create(store, "other", NOW)
    with begin(store) as db:
        links.insert(db, done(ours, "by-member", "by-entry", "untouched", "ended"))
        links.insert(db, pairs(ours, "unfinished", entry_hash=1))
        links.insert(db, done(elsewhere, "by-member"))
        links.end(db, links.links(db, ours.id).id[3:4], "over")
        member = dict.fromkeys(snapshots.MEMBER_COLUMNS, "") | {"found": True, "row_hash": 1}
        staged = [member | {"contact_id": name} for name in ("by-member", "ended", "unknown")]
        snapshots.stage_members(db, run_id, pd.DataFrame(staged))
        entry = dict.fromkeys(snapshots.ENTRY_COLUMNS, "") | {"found": False, "row_hash": 1, "entry_id": "by-entry#0"}
        snapshots.stage_entries(db, run_id, pd.DataFrame([entry]))
    with reading(store) as db:
        assert names(links.links(db, ours.id)) == ["by-entry", "by-member", "unfinished", "untouched"]
        assert names(links.links(db, ours.id, touching_run=run_id)) == ["by-entry", "by-member", "unfinished"]
        assert names(links.links(db, ours.id, unfinished=True)) == ["unfinished"]
        assert names(links.links(db, ours.id, touching_run=runs.start(store, ours.id, "sync", False, NOW))) == [
            "unfinished"
        ]


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)  # PostgreSQL plans by what is in the tables
def test_a_small_run_finds_its_links_by_index(store: Engine, ours: Connection, run_id: int) -> None:
    """No part of the statement reads every link: there may be a million."""
    statement = links._touching(ours.id, run_id).compile(store)
    values = tuple(statement.params[name] for name in statement.positiontup)
    with reading(store) as db:
        plan = [row.detail for row in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert [line for line in plan if "link" in line and "contact_id=?" in line]
    assert [line for line in plan if "link" in line and "entry_id=?" in line]
    assert [line for line in plan if "ix_link_unfinished" in line]
    assert not [line for line in plan if line.startswith("SCAN link")]


def test_many_links_are_updated_at_once(store: Engine, ours: Connection) -> None:
    n = 5_000
    with begin(store) as db:
        ids = links.insert(db, pairs(ours, *(f"c{i:05}" for i in range(n))))
        new = pd.DataFrame({"id": ids[::-1], "member_hash": range(n), "archived": True}).head(n - 1)
        assert links.update(db, new) == n - 1
        assert links.update(db, new.head(0)) == 0
        found = links.links(db, ours.id)
    assert found.member_hash.tolist() == [pd.NA, *range(n - 2, -1, -1)]
    assert found.archived.tolist() == [False] + [True] * (n - 1)
    assert set(found.email) == {""}


def test_links_are_found_by_address_and_by_id(store: Engine, ours: Connection) -> None:
    frame = pairs(ours, "a", "b", "c", "ended", unique_email_id=["u1", "u2", "", "u1"])
    with begin(store) as db:
        emails = {"email": ["Ann@X.test", "", "", "ann@x.test"], "email1": ["", "BOB@x.test", "", ""]}
        ids = links.insert(db, frame.assign(**emails))
        links.end(db, ids[3:], "over")
        assert names(links.by_marker(db, ours.id, ["u1", "u9"])) == ["a"]
        assert names(links.holding(db, ours.id, ["ann@x.test", "bob@x.test"], [])) == ["a", "b"]
        assert names(links.holding(db, ours.id, [], ["u2"])) == ["b"]
        assert names(links.holding(db, ours.id, [], [])) == []


def test_counts_by_state(store: Engine, ours: Connection) -> None:
    with begin(store) as db:
        ids = links.insert(db, pairs(ours, "a", "b", "c", state=["active", "left", "active"]))
        links.end(db, ids[:1], "over")
        assert [links.count(db, ours.id, state) for state in ("active", "left", "ended")] == [1, 1, 1]
        assert names(links.links(db, ours.id)) == ["b", "c"]


def test_baselines_are_replaced_and_end_with_their_link(store: Engine, ours: Connection) -> None:
    value = json.dumps({"FNAME": "Zoë", "X": "NA"})
    with begin(store) as db:
        ids = links.insert(db, pairs(ours, "a", "b", "c"))
        frame = pd.DataFrame({"link_id": ids, "mailchimp": value, "maximizer": "{}", "notes": "{}"})
        assert links.put_baselines(db, frame.head(2)) == 2
        assert links.put_baselines(db, frame.tail(2).assign(notes='{"FNAME": "ours"}')) == 2
        assert links.put_baselines(db, frame.head(0)) == 0
        mixed = pd.concat([frame.tail(1), frame]).assign(maximizer=["1", "2", "3", "4"])
        assert links.put_baselines(db, mixed) == 3
    with begin(store) as db:
        found = links.baselines(db, ids)
        assert found.mailchimp.tolist() == [value] * 3
        assert found.maximizer.tolist() == ["2", "3", "4"]
        assert links.baselines(db, ids[1:2]).link_id.tolist() == ids[1:2]
        links.end(db, ids[:1], "over")
        assert links.baselines(db).link_id.tolist() == ids[1:]


def staged(db: Database, run: int, members: dict[str, int], entries: dict[str, int]) -> None:
    base = {"found": True, "last_changed": "", "fields": "{}"}
    snapshots.stage_members(
        db,
        run,
        pd.DataFrame({"contact_id": list(members), "row_hash": list(members.values())}).assign(
            **base, email="", unique_email_id="", web_id="", status="", pair=""
        ),
    )
    names = [f"{n}#0" for n in entries]
    snapshots.stage_entries(
        db,
        run,
        pd.DataFrame({"entry_id": names, "row_hash": list(entries.values())}).assign(
            **base, type="", email1="", email2="", email3="", flag="", marker=""
        ),
    )


def test_what_moved_in_a_full_run(store: Engine, ours: Connection) -> None:
    """Changed on either side, missing on either side, unfinished; not what is as it was."""
    run = runs.start(store, ours.id, "sync", True, NOW)
    with begin(store) as db:
        frame = pairs(ours, "same", "member", "entry", "no-member", "no-entry", "open", "over")
        frame = frame.assign(member_hash=pd.array([1, 1, 1, 1, 1, None, 1], "Int64"), entry_hash=2)
        ids = links.insert(db, frame)
        links.end(db, ids[6:], "over")
        members = {"same": 1, "member": 9, "entry": 1, "no-entry": 1, "open": 1, "new": 5}
        staged(db, run, members, {"same": 2, "member": 2, "entry": 9, "no-member": 2, "open": 2})
        assert links.moved(db, ours.id, run, full=True) == ids[1:6]
        assert links.unread(db, ours.id, run, "mailchimp") == ["no-member"]
        assert links.unread(db, ours.id, run, "maximizer") == ["no-entry#0"]
        assert links.unlinked(db, ours.id, run, "mailchimp") == ["new"]
        assert links.unlinked(db, ours.id, run, "maximizer") == []


def test_what_moved_in_a_scheduled_run(store: Engine, ours: Connection) -> None:
    """Only what was read and differs, and the unfinished; what was not read did not move."""
    run = runs.start(store, ours.id, "sync", False, NOW)
    with begin(store) as db:
        frame = pairs(ours, "same", "member", "entry", "unread", "open")
        ids = links.insert(db, frame.assign(member_hash=1, entry_hash=pd.array([2, 2, 2, 2, None], "Int64")))
        staged(db, run, {"same": 1, "member": 9}, {"entry": 9})
        assert links.moved(db, ours.id, run, full=False) == [ids[1], ids[2], ids[4]]
        assert links.unread(db, ours.id, run, "maximizer", [ids[1]]) == ["member#0"]
