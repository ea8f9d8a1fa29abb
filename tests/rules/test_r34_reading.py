"""R34: a scheduled cycle reads only what changed, and loses nothing all the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from harness import FLAG, MARKER, Office

from storage import connections

NewOffice = Callable[..., Office]
REFERENCE = r"Marketing\Reference"
SLOW = {
    "searchable": (),
    "dates not searchable": ("date-not-searchable",),
    "UDF edits keep the date": ("udf-edits-keep-date",),
    "UDFs not searchable": ("udf-not-searchable",),
    "nothing searchable": ("udf-not-searchable", "email-not-searchable", "date-not-searchable"),
}


def read(office: Office, side: str = "mailchimp") -> int:
    """Calls that read, of one scheduled cycle."""
    door = office.doors[side]
    before = len(door.calls)
    office.sync()
    return len([call for call in door.calls[before:] if not call.writes])


@pytest.fixture(params=SLOW, ids=lambda name: name.replace(" ", "-"))
def server(request: pytest.FixtureRequest, new_office: NewOffice) -> Office:
    """Servers of different abilities; somebody is in the Address Book when set-up looks."""
    office = new_office(ready=False, quirks=SLOW[request.param])
    office.maximizer.add_person("Olga", "Stone", "olga@lantern.test")
    office.setup()
    office.map("REF", REFERENCE)
    office.subscribe("ann@lantern.test", "Ann", "Reed", merge_fields={"REF": "A1"})
    office.subscribe("olga@lantern.test", "Olga", "Stone")
    office.sync()
    return office


def test_r34_a_first_cycle_is_full_and_the_next_ones_are_not(new_office: NewOffice) -> None:
    both = new_office()
    both.subscribe("ann@lantern.test", "Ann", "Reed")
    for kind, full in (("sync", True), ("sync", False), ("backfill", True), ("sync", False)):
        both.sync(kind=kind)
        assert both.last.full is full
    both.quiet()


def test_r34_what_is_asked_for_while_a_full_cycle_reads_is_done_by_the_next_one(new_office: NewOffice) -> None:
    office = new_office()
    office.sync()
    office.sync()
    cycle = office.cycle(kind="backfill")
    judging = cycle.check_snapshots

    def somebody_asks() -> None:
        connections.ask_full(office.engine, office.connection.id, office.clock.now())
        judging()

    cycle.check_snapshots = somebody_asks  # type: ignore[method-assign]
    cycle.tell()
    assert office.connection.full_reason.startswith("Sync Entire List")
    for full in (True, False):
        office.sync()
        assert office.last.full is full


def test_r34_a_backfill_finds_what_no_date_tells(new_office: NewOffice) -> None:
    """An edit that left no trace in the dates is found on demand, at the next cycle."""
    office = new_office()
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed")
    office.sync()
    (key,) = office.entries()
    office.clock.advance(60)
    # Whoever was changed last is read again by every cycle; and the first UDF that we write shows what dates tell.
    office.add("Bea", "Moor", "bea@lantern.test", flag="Yes")
    office.sync()
    office.sync()
    entry = office.maximizer.database.book.get(key)
    assert entry is not None
    office.maximizer.database.book.write(entry, {"LastName": "Moor"}, "PERSON", keep_date=True)
    assert office.writes() == []
    office.backfill()
    assert office.member(contact_id)["merge_fields"]["LNAME"] == "Moor"
    office.quiet()


def test_r34_the_work_of_a_scheduled_cycle_does_not_grow_with_the_list(server: Office) -> None:
    """Nor with the Address Book, where that has to be read in full: no member is asked for without need."""
    server.sync()
    few = read(server)
    for n in range(40):
        server.subscribe(f"p{n}@lantern.test", "P", "Reed")
    server.sync()
    server.sync()
    assert read(server) == few
    assert read(server, "maximizer") < 40
    server.quiet()


def test_r34_every_edit_reaches_the_other_side(server: Office) -> None:
    (key,) = server.entries("ann@lantern.test")
    member = server.by_email("ann@lantern.test")
    assert member is not None
    contact_id = member["contact_id"]
    server.maximizer.edit(key, {"LastName": "Moor"})
    server.sync()
    assert server.member(contact_id)["merge_fields"]["LNAME"] == "Moor"
    server.maximizer.edit(key, {REFERENCE: "A2"})  # a UDF alone
    server.sync()
    assert server.member(contact_id)["merge_fields"]["REF"] == "A2"
    server.mailchimp.edit(contact_id, {"REF": "A3"})
    server.sync()
    assert server.entry(key)["udfs"][REFERENCE] == "A3"
    server.quiet()


def test_r34_a_flag_alone_is_found(server: Office) -> None:
    """Set on an entry that we never saw, and on one that we know: UDF edits both."""
    new = server.add("Bea", "Reed", "bea@lantern.test")
    server.sync()
    server.maximizer.edit(new, {FLAG: "Yes"})
    server.sync()
    member = server.by_email("bea@lantern.test")
    assert member is not None
    assert server.entry(new)["udfs"][MARKER] == member["unique_email_id"]
    server.maximizer.edit(new, {FLAG: "No"})
    server.sync()
    server.maximizer.edit(new, {"LastName": "Moor"})
    server.sync()
    assert server.member(member["contact_id"])["merge_fields"]["LNAME"] == "Reed"
    server.maximizer.edit(new, {FLAG: "Yes"})
    server.sync()
    assert server.member(member["contact_id"])["merge_fields"]["LNAME"] == "Moor"
    server.quiet()


def test_r34_counterparts_are_read_by_every_key(new_office: NewOffice) -> None:
    """Whoever changed, the other half is found although it did not: by link, addresses, marker and Client ID."""
    office = new_office()
    old = {name: office.add(name, "Reed", f"{name}@lantern.test") for name in ("ann", "bea")}
    for name in ("cyd", "dee"):
        old[name] = office.add(name, "Reed", "")
    gone = office.subscribe("eva@lantern.test", "eva", "Reed", status="unsubscribed")
    office.sync()
    office.clock.advance(3600)
    office.sync()
    ids = {name: office.subscribe(f"{name}@LANTERN.test", name, "Reed") for name in ("ann", "cyd", "dee")}
    office.mailchimp.edit(ids["cyd"], {"CLIENTID": old["cyd"][0], "CONTACTNO": old["cyd"][1]})
    uid = office.member(ids["dee"])["unique_email_id"]
    office.maximizer.database.book.write(
        office.maximizer.database.book.keys[old["dee"]],
        {office.maximizer.database.schema.at(MARKER).typeid: uid},
        "PERSON",
        keep_date=True,
    )
    flagged = office.add("eva", "Moor", "Eva@lantern.test", flag="Yes")
    office.sync()
    assert {row["contact_id"]: row["entry_id"] for row in office.links()} == {
        **{ids[name]: f"{old[name][0]}#{old[name][1]}" for name in ids},
        gone: f"{flagged[0]}#{flagged[1]}",
    }
    office.quiet()
    assert len(office.entries()) == 5


def test_r34_what_was_refused_or_waits_is_read_again(new_office: NewOffice) -> None:
    """The cause goes away on the other side, or outside of both records: the next cycle notices."""
    office = new_office()
    ann = office.subscribe("ann@lantern.test", "Ann", "Reed")
    office.sync()
    (key,) = office.entries("ann@lantern.test")
    holder = office.subscribe("ann@harbour.test", "Bea", "Moor", status="unsubscribed")
    office.maximizer.edit(key, {"Email1": "ann@harbour.test"})
    office.sync()
    assert len(office.quarantined()) == 1
    office.clock.advance(7200)
    office.sync()
    office.mailchimp.change_email(holder, "bea@harbour.test")
    office.sync()
    assert office.quarantined() == []
    assert office.member(ann)["email_address"] == "ann@harbour.test"
    office.quiet()


def test_r34_a_skipped_record_is_done_in_the_next_cycle(new_office: NewOffice) -> None:
    """Somebody edits between our reading and our writing: nothing is lost, neither theirs nor what we meant to send."""
    office = new_office()
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed")
    office.sync()
    (key,) = office.entries()
    office.maximizer.edit(key, {"LastName": "Moor"})
    cycle = office.cycle()
    loading = cycle.load

    def edited_before() -> None:
        office.mailchimp.edit(contact_id, {"LNAME": "Mohr", "FNAME": "Anna"})
        loading()

    cycle.load = edited_before  # type: ignore[method-assign]
    cycle.tell()
    assert office.member(contact_id)["merge_fields"]["LNAME"] == "Mohr"
    office.sync()
    merge = office.member(contact_id)["merge_fields"]
    assert (merge["LNAME"], merge["FNAME"]) == ("Moor", "Anna")  # the conflict setting: Maximizer overrides
    office.quiet()


def test_r34_a_failed_read_moves_no_cursor(new_office: NewOffice) -> None:
    """A cycle that breaks off has read nothing: the next one sees everything that changed."""
    office = new_office()
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed")
    office.sync()
    (key,) = office.entries()
    office.maximizer.edit(key, {"LastName": "Moor"})
    office.doors["maximizer"].faults.next("maximizer", "500-before", "Read", times=50)
    with pytest.raises(Exception, match=r"Maximizer|maximizer"):
        office.sync()
    office.doors["maximizer"].faults.clear()
    assert office.member(contact_id)["merge_fields"]["LNAME"] == "Reed"
    office.sync()
    assert office.member(contact_id)["merge_fields"]["LNAME"] == "Moor"
    office.quiet()
