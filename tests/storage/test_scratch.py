"""What is remembered of a few people, in a store in memory."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine

from storage import connections, links, parking, snapshots
from storage.connections import Connection
from storage.engine import begin, reading
from storage.scratch import part_of

NOW = 1_800_000_000.0


def fill(store: Engine, ours: Connection) -> None:
    names = ["gone", "ann", "bea", "cyd"]
    pairs = pd.DataFrame({"contact_id": names, "entry_id": [f"{name}#0" for name in names]})
    pairs = pairs.assign(connection_id=ours.id, created_run=1, created_at=NOW, member_hash=-1, entry_hash=2**62)
    with begin(store) as db:
        ids = links.insert(db, pairs)
        base = {"mailchimp": '{"FNAME":"Zoë"}', "maximizer": "{}", "notes": '{"FNAME":"x"}'}
        links.put_baselines(db, pd.DataFrame([{"link_id": i, **base} for i in ids]))
        links.end(db, ids[:1], "why")
        for key in ("ann", "new:bea#0", "cyd"):
            row = {"side": "mailchimp", "key": key, "reason": "why", "rule": "R9", "since_run": 1, "since_at": NOW}
            parking.park(db, ours.id, [{**row, "evidence": {"contact_id": key}}])
        for number in parking.open_rows(db, ours.id)["id"][:1]:
            parking.release(db, int(number))
        for email in ("ann@x.test", "cyd@x.test"):
            parking.suppress(db, ours.id, email, "erased", NOW)


def test_only_what_concerns_them_is_copied(store: Engine, ours: Connection) -> None:
    fill(store, ours)
    few = part_of(store, ours.id, ["gone", "ann"], ["bea#0"], ["ANN@x.test", "bea@x.test"])
    with few as copy, reading(store) as whole, reading(copy) as db:
        assert connections.find(copy, "default") == ours
        same = links.named(whole, ours.id, ["ann", "bea"])
        assert links.named(db, ours.id, ["ann", "bea", "cyd", "gone"]) == same
        kept = links.links(db, ours.id)
        assert kept.to_dict("records") == links.by_ids(whole, same.values()).to_dict("records")
        assert links.last_notes(db, ours.id, ["gone"])["notes"].tolist() == ['{"FNAME":"x"}']
        assert links.baselines(db, kept["id"])["mailchimp"].tolist() == ['{"FNAME":"Zoë"}'] * 2
        assert parking.open_rows(db, ours.id)["key"].tolist() == ["new:bea#0"]
        assert parking.open_rows(db, ours.id)["evidence"].tolist() == [{"contact_id": "new:bea#0"}]
        assert parking.open_rows(db, ours.id, "released")["key"].tolist() == ["ann"]
        assert parking.suppressed_as(db, ours.id, "ann@x.test") == "erased"
        assert parking.suppressed(db, ours.id, ["ann@x.test", "bea@x.test", "cyd@x.test"]) == {"ann@x.test": "erased"}


def test_the_copy_is_a_store_to_work_in_and_nothing_comes_back(store: Engine, ours: Connection, run_id: int) -> None:
    fill(store, ours)
    with part_of(store, ours.id, ["ann"], [], []) as copy:
        with begin(copy) as db:
            parking.resolve(db, parking.open_rows(db, ours.id, "released")["id"])
            assert links.moved(db, ours.id, 1, full=True) == list(links.named(db, ours.id, ["ann"]).values())
            assert snapshots.count(db, 1, "mailchimp") == 0
        with reading(store) as whole:
            assert len(parking.open_rows(whole, ours.id, "released")) == 1
