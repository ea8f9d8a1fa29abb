from __future__ import annotations

from typing import Any

import pandas as pd
from sqlalchemy import Engine, text

from storage import parking
from storage.connections import Connection, create
from storage.engine import begin, reading

NOW = 1_800_000_000.0


def row(key: str, **columns: Any) -> dict[str, Any]:
    return {"side": "mailchimp", "key": key, "reason": "no last name", "since_run": 1, "since_at": NOW} | columns


def test_r51_a_second_parking_counts_and_refreshes(store: Engine, ours: Connection) -> None:
    with begin(store) as db:
        assert parking.park(db, ours.id, [row("a", member_hash=1, evidence={"field": "Zoë"}), row("b")]) == 2
        assert parking.park(db, ours.id, [row("a", member_hash=2, since_at=NOW + 9), row("a", field="LNAME")]) == 1
        assert parking.park(db, ours.id, []) == 0
        found = parking.open_rows(db, ours.id)
    assert found.key.tolist() == ["a", "b", "a"]
    assert found.attempts.tolist() == [2, 1, 1]
    assert found.member_hash.tolist() == [2, pd.NA, pd.NA]
    assert found.since_at.tolist() == [NOW] * 3
    assert found.evidence.tolist() == [{}, {}, {}]


def test_a_frame_is_parked_too(store: Engine, ours: Connection) -> None:
    n = 5_000
    hashes = pd.array([None, *range(1, n)], "Int64")
    frame = pd.DataFrame([row(f"k{i}", evidence={"i": i}) for i in range(n)]).assign(entry_hash=hashes)
    with begin(store) as db:
        assert parking.park(db, ours.id, frame) == n
        assert parking.park(db, ours.id, frame) == 0
        found = parking.open_rows(db, ours.id)
    assert found.entry_hash.tolist() == [pd.NA, *range(1, n)]
    assert found.evidence.tolist() == [{"i": i} for i in range(n)]
    assert set(found.attempts) == {2}


def test_numbers_picked_out_of_a_frame_are_taken(store: Engine, ours: Connection) -> None:
    hashes = pd.Series([7])
    with begin(store) as db:
        parking.park(db, ours.id, [row("a", member_hash=hashes[0])])
        assert parking.release(db, parking.open_rows(db, ours.id).id[0])
        assert parking.open_rows(db, ours.id, "released").member_hash.tolist() == [7]


def test_a_released_record_is_tried_again_and_may_wait_again(store: Engine, ours: Connection) -> None:
    with begin(store) as db:
        parking.park(db, ours.id, [row("a")])
        number = int(parking.open_rows(db, ours.id).id[0])
        assert parking.release(db, number)
        assert not parking.release(db, number)
        assert parking.open_rows(db, ours.id).empty
        assert parking.open_rows(db, ours.id, "released").id.tolist() == [number]
        assert parking.park(db, ours.id, [row("a")]) == 0
        assert parking.open_rows(db, ours.id)[["id", "attempts"]].to_numpy().tolist() == [[number, 2]]


def test_what_is_in_order_again_waits_no_more(store: Engine, ours: Connection) -> None:
    elsewhere = create(store, "other", NOW)
    with begin(store) as db:
        parking.park(db, ours.id, [row("a"), row("a", field="X"), row("a", side="maximizer"), row("b")])
        parking.park(db, elsewhere.id, [row("a")])
        waiting = parking.open_rows(db, ours.id)
        mine = waiting[(waiting["side"] == "mailchimp") & (waiting["key"] == "a")]
        assert parking.resolve(db, [*mine["id"], 99]) == 2
        assert parking.resolve(db, mine["id"]) == 0
        assert parking.open_rows(db, ours.id)[["side", "key"]].to_numpy().tolist() == [
            ["maximizer", "a"],
            ["mailchimp", "b"],
        ]
        assert len(parking.open_rows(db, elsewhere.id)) == 1
        assert parking.park(db, ours.id, [row("a")]) == 1  # closed rows are history


def findings(*keys: str, kind: str = "withheld", value: str = "x") -> pd.DataFrame:
    frame = pd.DataFrame({"kind": kind, "key": list(keys), "field": "STATE"})
    return frame.assign(value=value, problem="no such option")


def test_r28_findings_follow_the_last_look(store: Engine, ours: Connection) -> None:
    with begin(store) as db:
        parking.put_findings(db, ours.id, 1, findings("link:1", "link:2", "link:3"), [])
        parking.put_findings(db, ours.id, 2, findings("link:2", kind="conflict"), ["link:1", "link:2"])
        assert parking.put_findings(db, ours.id, 3, findings("link:3", "link:3", value="y"), []) == 1
        assert parking.put_findings(db, ours.id, 3, findings(), []) == 0
    with reading(store) as db:
        found = parking.findings(db, ours.id)
        assert found[["kind", "key", "value", "run_id"]].to_numpy().tolist() == [
            ["conflict", "link:2", "x", 2],
            ["withheld", "link:3", "y", 3],
        ]
        assert parking.findings(db, ours.id, "conflict").key.tolist() == ["link:2"]
        assert parking.findings(db, create(store, "other", NOW).id).empty


def test_s30_a_forgotten_address_is_known_by_its_keyed_hash_only(store: Engine, ours: Connection) -> None:
    elsewhere = create(store, "other", NOW)
    with begin(store) as db:
        parking.suppress(db, ours.id, " Ann@People.test", "forgotten", NOW)
        parking.suppress(db, ours.id, "ann@people.test", "erased", NOW + 1)
        assert parking.suppressed(db, ours.id, ["ann@people.test", "bob@people.test"]) == {"ann@people.test": "erased"}
        assert parking.suppressed(db, elsewhere.id, ["ann@people.test"]) == {}
        known = parking.email_hmac(db, "ann@people.test ")
        assert known != parking.email_hmac(db, "bob@people.test")
        assert len(known) == 64
        hasher = parking.email_hasher(db)
        assert hasher("ANN@people.test") == known
        (stored,) = db.execute(text("SELECT * FROM suppression")).all()
        assert stored.email_hmac == known
        assert "ann" not in str(stored).lower().replace(known, "")
        assert stored.reason == "erased"
        db.execute(text("UPDATE secret SET value = :key WHERE name = 'email-hmac'"), {"key": "00" * 32})
        assert parking.email_hmac(db, "ann@people.test") != known


def test_every_store_has_a_key_of_its_own(tmp_path: Any) -> None:
    from storage.engine import open_store
    from storage.schema import migrate

    keys = set()
    for name in ("one", "two"):
        engine = open_store(f"sqlite:///{tmp_path / name}.db")
        migrate(engine)
        with reading(engine) as db:
            keys.add(parking.email_hmac(db, "ann@people.test"))
        engine.dispose()
    assert len(keys) == 2
