from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest
from oddities import FIELDS, OPTIONS, TITLES
from sqlalchemy import Engine, func, select

from domain.errors import Misconfigured
from domain.settings import SyncSettings
from storage import connections, leases, links, parking, runs
from storage.connections import Connection, MappingRow
from storage.engine import begin, reading
from storage.tables import metadata

NOW = 1_800_000_000.0
FNAME = MappingRow(0, "FNAME", "1", "FirstName", "FirstName", "text", "text", False)
CITY = MappingRow(0, "ADDRESS.city", "2", "Address/City", "Address.City", "text", "text", True)


def again(store: Engine, ours: Connection) -> Connection:
    found = connections.find(store, ours.name)
    assert found is not None
    return found


def synced(store: Engine, ours: Connection) -> None:
    connections.update(store, ours.id, full_reason="", synced=True, mailchimp_cursor="m", fingerprint="f")


def linked(store: Engine, ours: Connection, *contacts: str) -> list[int]:
    """Links with a value on both sides and one note for every mapping."""
    run_id = runs.start(store, ours.id, "sync", True, NOW)
    frame = pd.DataFrame({"contact_id": list(contacts), "entry_id": [f"{c}#0" for c in contacts]})
    values = {"FNAME": "Ann", "ADDRESS.city": "Zoë's", 'group:"A\\B"': "x"}
    with begin(store) as db:
        ids = links.insert(db, frame.assign(connection_id=ours.id, created_run=run_id, created_at=NOW))
        text, notes = json.dumps(values), json.dumps(dict.fromkeys(values, "ours"))
        links.put_baselines(
            db, pd.DataFrame({"link_id": ids, "mailchimp": text, "maximizer": text, "notes": notes}).astype(object)
        )
    return ids


def tags(store: Engine, column: str) -> list[set[str]]:
    with reading(store) as db:
        return [set(json.loads(text)) for text in links.baselines(db)[column]]


def test_a_new_connection(store: Engine) -> None:
    made = connections.create(store, "default", NOW)
    assert made == connections.find(store, "default")
    assert (made.full_reason, made.synced, made.traits) == ("first sync", False, {})
    assert made.settings == SyncSettings()
    assert connections.find(store, "other") is None
    with pytest.raises(Misconfigured, match="already"):
        connections.create(store, "default", NOW)


def test_r20_names_come_back_as_they_were_given(store: Engine, ours: Connection) -> None:
    for n, name in enumerate((*FIELDS, *(f"group:{title}" for title in TITLES))):
        made = connections.put_mapping(store, ours.id, replace(FNAME, tag=f"{name} {n}", field=name))
        assert made in connections.mappings(store, ours.id)
        connections.set_option_pairs(store, made.id, [(label, f"{n}") for n, label in enumerate(OPTIONS)])
        assert dict(connections.option_pairs(store, made.id)) == {label: f"{n}" for n, label in enumerate(OPTIONS)}
        assert connections.remove_mapping(store, ours.id, made.tag)
    assert connections.mappings(store, ours.id) == []


def test_update_joins_a_transaction_or_opens_one(store: Engine, ours: Connection) -> None:
    settings = replace(ours.settings, conflict="mailchimp")
    connections.update(store, ours.id, settings=settings, traits={"searches_dates": True})
    assert again(store, ours).settings == settings
    assert again(store, ours).traits == {"searches_dates": True}

    def crash() -> None:
        with begin(store) as db:
            connections.update(db, ours.id, list_id="gone")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        crash()
    assert again(store, ours).list_id == ""


def test_mappings_keep_their_order_and_place(store: Engine, ours: Connection) -> None:
    first = connections.put_mapping(store, ours.id, FNAME)
    second = connections.put_mapping(store, ours.id, CITY)
    changed = connections.put_mapping(store, ours.id, replace(FNAME, maximizer_kind="date"))
    assert changed == replace(first, maximizer_kind="date")
    assert connections.mappings(store, ours.id) == [changed, second]
    other = connections.create(store, "other", NOW)
    assert connections.mappings(store, other.id) == []


def test_r30_a_changed_mapping_drops_its_baseline_and_r23_keeps_its_notes(
    store: Engine, ours: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_AT_ONCE", 2)
    connections.put_mapping(store, ours.id, CITY)
    linked(store, ours, "c1", "c2", "c3", "c4", "c5")
    synced(store, ours)
    connections.put_mapping(store, ours.id, replace(CITY, field="Address.Other"))
    for side in ("mailchimp", "maximizer"):
        assert tags(store, side) == [{"FNAME", 'group:"A\\B"'}] * 5
    assert tags(store, "notes") == [{"FNAME", "ADDRESS.city", 'group:"A\\B"'}] * 5
    assert again(store, ours).full_reason == "mapping changed"


def test_an_equal_mapping_changes_nothing(store: Engine, ours: Connection) -> None:
    made = connections.put_mapping(store, ours.id, CITY)
    linked(store, ours, "c1")
    synced(store, ours)
    connections.set_option_pairs(store, made.id, [])
    assert connections.put_mapping(store, ours.id, CITY) == made
    assert again(store, ours).full_reason == ""
    assert "ADDRESS.city" in tags(store, "mailchimp")[0]


def test_a_first_sync_stays_one(store: Engine, ours: Connection) -> None:
    connections.put_mapping(store, ours.id, CITY)
    assert again(store, ours).full_reason == "first sync"


def test_r30_a_removed_mapping(store: Engine, ours: Connection) -> None:
    made = connections.put_mapping(store, ours.id, FNAME)
    connections.set_option_pairs(store, made.id, [("a", "1")])
    linked(store, ours, "c1")
    synced(store, ours)
    assert not connections.remove_mapping(store, ours.id, "NOPE")
    assert again(store, ours).full_reason == ""
    assert connections.remove_mapping(store, ours.id, "FNAME")
    assert connections.mappings(store, ours.id) == []
    assert connections.option_pairs(store, made.id) == []
    assert tags(store, "maximizer") == [{"ADDRESS.city", 'group:"A\\B"'}]
    assert again(store, ours).full_reason == "mapping changed"


def test_r39_all_mappings_at_once_but_only_of_this_connection(store: Engine, ours: Connection) -> None:
    other = connections.create(store, "other", NOW)
    for connection in (ours, other):
        connections.put_mapping(store, connection.id, FNAME)
        connections.put_mapping(store, connection.id, CITY)
        linked(store, connection, "c1")
    assert connections.drop_mappings(store, ours.id) == 2
    assert len(connections.mappings(store, other.id)) == 2
    assert tags(store, "mailchimp") == [{'group:"A\\B"'}, {"FNAME", "ADDRESS.city", 'group:"A\\B"'}]


def test_r30_a_new_option_pair_makes_the_next_cycle_full(store: Engine, ours: Connection) -> None:
    made = connections.put_mapping(store, ours.id, FNAME)
    connections.set_option_pairs(store, made.id, [("b", "2"), ("a", "1")])
    synced(store, ours)
    connections.set_option_pairs(store, made.id, [("a", "1"), ("b", "2")])
    assert again(store, ours).full_reason == ""
    connections.set_option_pairs(store, made.id, [("b", "1"), ("a", "2")])
    assert connections.option_pairs(store, made.id) == [("a", "2"), ("b", "1")]
    assert again(store, ours).full_reason == "options changed"


def test_r39_another_list_ends_every_link(store: Engine, ours: Connection) -> None:
    other = connections.create(store, "other", NOW)
    linked(store, other, "c1")
    linked(store, ours, "c1", "c2")
    synced(store, ours)
    parked = {"side": "mailchimp", "key": "c1", "reason": "no", "since_run": 1, "since_at": NOW}
    with begin(store) as db:
        parking.park(db, ours.id, [parked])
    assert connections.end_links(store, ours.id, "list changed") == 2
    with reading(store) as db:
        assert links.links(db, ours.id).empty
        assert links.count(db, ours.id, "ended") == 2
        assert links.count(db, other.id) == 1
        assert len(links.baselines(db)) == 1
        assert parking.open_rows(db, ours.id).empty
    found = again(store, ours)
    assert (found.full_reason, found.synced, found.fingerprint) == ("first sync", False, "")
    assert found.mailchimp_cursor == found.maximizer_cursor == ""


# --- several connections -----------------------------------------------------------------------------------------


def test_every_connection_by_name(store: Engine) -> None:
    for name in ("south", "north"):
        connections.create(store, name, NOW)
    assert [c.name for c in connections.every(store)] == ["north", "south"]
    assert (connections.every(store)[0].failures, connections.every(store)[0].told) == (0, "")


def test_a_removed_connection_leaves_nothing_and_the_others_everything(store: Engine, ours: Connection) -> None:
    other = connections.create(store, "other", NOW)
    for one in (ours, other):
        linked(store, one, f"c{one.id}")
        row = connections.put_mapping(store, one.id, FNAME)
        connections.set_option_pairs(store, row.id, [("a", "b")])
        leases.acquire(store, one.id, "somebody").release()
    before = rows(store)
    with begin(store) as db:
        connections.remove(db, ours.id)
    assert [c.name for c in connections.every(store)] == ["other"]
    assert rows(store) == {name: count // 2 for name, count in before.items()}


def rows(store: Engine) -> dict[str, int]:
    """Rows per table, of those that belong to a connection and have any."""
    with reading(store) as db:
        found = {t.name: db.execute(select(func.count()).select_from(t)).scalar_one() for t in metadata.sorted_tables}
    return {name: count for name, count in found.items() if count and name != "secret"}


def test_asked_for_twice_is_asked_for_anew(store: Engine, ours: Connection) -> None:
    assert connections.ask_full(store, ours.id, NOW) == connections.FIRST_SYNC
    synced(store, ours)
    first = connections.ask_full(store, ours.id, NOW)
    assert again(store, ours).full_reason == first
    assert connections.ask_full(store, ours.id, NOW + 60) != first
