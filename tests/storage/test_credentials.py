"""What the set-up page keeps, and what it asks about one person, on both databases."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine

from storage import changes, connections, credentials, parking, runs
from storage.engine import begin, reading


def test_values_are_kept_per_connection_and_replaced_by_name(store: Engine) -> None:
    assert credentials.ready(store)
    credentials.keep(store, "default", {"key": ("AAA", "a"), "user": ("BBB", "")}, 1.0)
    credentials.keep(store, "default", {"key": ("CCC", "c")}, 2.0)
    credentials.keep(store, "second", {"key": ("DDD", "d")}, 3.0)
    found = credentials.kept(store, "default")
    assert {name: (row.value, row.hint, row.changed_at) for name, row in found.items()} == {
        "key": ("CCC", "c", 2.0),
        "user": ("BBB", "", 1.0),
    }
    assert credentials.kept(store, "third") == {}


def test_a_code_is_spent_once_and_forgotten_when_it_has_run_out(store: Engine) -> None:
    assert credentials.spend(store, "one", 100.0, 0.0)
    assert not credentials.spend(store, "one", 100.0, 50.0)
    assert credentials.spend(store, "two", 300.0, 50.0)
    assert credentials.spend(store, "one", 300.0, 150.0)  # its first use is forgotten: the token itself has run out


def test_what_is_asked_about_one_person(store: Engine) -> None:
    connection = connections.create(store, "default", 0.0)
    numbers = [runs.start(store, connection.id, kind, True, 0.0) for kind in ("sync", "plan", "sync")]
    row = {"side": "mailchimp", "op": "create", "target": "new:E#0", "link_id": None, "contact_id": "",
           "entry_id": "E#0", "marker": "", "fields": "[]", "rule": "R18"}  # fmt: skip
    others = {"side": "maximizer", "target": "F#0", "entry_id": "F#0"}
    with begin(store) as db:
        for number in numbers:
            changes.store(db, number, connection.id, pd.DataFrame([row, row | others]))
        parked = {"side": "maximizer", "reason": "why", "since_run": numbers[0], "since_at": 0.0}
        parking.park(db, connection.id, [parked | {"key": "E#0"}, parked | {"key": "new:M"}, parked | {"key": "F#0"}])
        found = pd.DataFrame([{"kind": "withheld", "key": key, "field": "PLAN", "value": "", "problem": "p"}
                              for key in ("link:1", "entry:E#0", "entry:F#0")])  # fmt: skip
        parking.put_findings(db, connection.id, numbers[0], found, [])
        parking.suppress(db, connection.id, "Ann@Lee.test", "erased", 0.0)
    with reading(store) as db:
        assert changes.history(db, connection.id, "M", "E#0")["run_id"].tolist() == [numbers[0], numbers[2]]
        assert set(parking.waiting_for(db, connection.id, ["M", "E#0", ""])["key"]) == {"E#0", "new:M"}
        assert set(parking.findings_about(db, connection.id, ["link:1", "entry:E#0"])["key"]) == {"link:1", "entry:E#0"}
        assert parking.suppressed_as(db, connection.id, "ann@lee.test") == "erased"
        assert parking.suppressed_as(db, connection.id, "bob@lee.test") == ""
