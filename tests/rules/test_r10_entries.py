"""R10 to R12: new Individuals, conversions, and what an existing entry takes from Mailchimp."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from harness import FLAG, MARKER, Office

NewOffice = Callable[..., Office]
REFERENCE, JOINED = r"Marketing\Reference", r"Marketing\Joined"


def test_r10_a_new_member_becomes_an_individual_in_one_create(both: Office) -> None:
    for tag, field in (("JOB", "Position"), ("REF", REFERENCE), ("JOINED", JOINED), ("ADDRESS.city", "Address.City")):
        both.map(tag, field)
    home = {"addr1": "1 Quay", "city": "Leith", "state": "LO", "zip": "EH6", "country": "GB"}
    merge = {"JOB": "Baker", "REF": "A1", "JOINED": "2024-02-29", "ADDRESS": home}
    contact_id = both.subscribe("ann@lantern.test", "Ann", "Reed", merge_fields=merge)
    calls = both.writes()
    assert len([call for call in calls if "Create" in call.operation]) == 1
    assert len(calls) == 2  # and the stamp on the member
    (key,) = both.entries()
    entry = both.entry(key)
    shown = {name: entry[name] for name in ("Type", "FirstName", "LastName", "Email1", "Position")}
    assert shown == {
        "Type": "Individual",
        "FirstName": "Ann",
        "LastName": "Reed",
        "Email1": "ann@lantern.test",
        "Position": "Baker",
    }
    assert entry["Address"]["City"] == "Leith"
    assert (entry["udfs"][REFERENCE], str(entry["udfs"][JOINED])[:10]) == ("A1", "2024-02-29")
    assert (entry["udfs"][FLAG], entry["udfs"][MARKER]) == ("Yes", both.member(contact_id)["unique_email_id"])
    both.quiet()


@pytest.mark.parametrize("mapped", [True, False])
def test_r10_without_a_last_name_the_address_stands_in_and_never_flows_back(
    new_office: NewOffice, mapped: bool
) -> None:
    office = new_office()
    if not mapped:
        office.unmap("LNAME")
    contact_id = office.subscribe("ann@lantern.test", "Ann", "")
    office.sync()
    (key,) = office.entries()
    assert office.entry(key)["LastName"] == "ann@lantern.test"
    office.maximizer.edit(key, {"FirstName": "Anna"})
    office.sync()
    assert office.member(contact_id)["merge_fields"]["FNAME"] == "Anna"
    assert office.member(contact_id)["merge_fields"]["LNAME"] == ""
    office.sync()
    # A name that a person puts there is a name.
    office.maximizer.edit(key, {"LastName": "Reed"})
    office.sync()
    assert office.member(contact_id)["merge_fields"]["LNAME"] == ("Reed" if mapped else "")
    office.quiet()


def test_r10_another_mandatory_field_without_a_value_waits_by_name(new_office: NewOffice) -> None:
    both = new_office()
    both.map("JOB", "Position")
    both.maximizer.set_required("Position")
    lacking = both.subscribe("ann@lantern.test", "Ann", "Reed")
    both.subscribe("bea@lantern.test", "Bea", "Reed", merge_fields={"JOB": "Baker"})
    both.sync()
    assert [both.entry(key)["FirstName"] for key in both.entries()] == ["Bea"]
    (row,) = both.quarantined()
    assert "Position" in row["reason"]
    assert row["evidence"]["contact_id"] == lacking
    both.sync()
    both.mailchimp.edit(lacking, {"JOB": "Smith"})
    both.sync()
    assert len(both.entries()) == 2
    assert both.quarantined() == []
    both.quiet()


def test_r11_an_individual_that_becomes_a_contact_keeps_synchronising(way: tuple[Office, bool]) -> None:
    """Its key changes; what it holds does not."""
    both, full = way
    both.map("REF", REFERENCE)
    contact_id = both.subscribe("ann@lantern.test", "Ann", "Reed", merge_fields={"REF": "A1"})
    both.sync()
    (old,) = both.entries()
    key = both.maximizer.convert_to_contact(old, both.maximizer.add_company("Harbour Ltd"))
    both.maximizer.edit(key, {"LastName": "Moor"})
    (both.backfill if full else both.sync)()
    assert both.member(contact_id)["merge_fields"]["LNAME"] == "Moor"
    both.sync()
    assert [(row["contact_id"], row["entry_id"]) for row in both.links()] == [(contact_id, f"{key[0]}#{key[1]}")]
    merge = both.member(contact_id)["merge_fields"]
    assert (str(merge["CLIENTID"]), str(merge["CONTACTNO"])) == (key[0], str(key[1]))
    assert both.entries() == [key]
    assert both.quarantined() == []
    both.mailchimp.edit(contact_id, {"REF": "A2"})
    both.sync()
    assert both.entry(key)["udfs"][REFERENCE] == "A2"
    both.quiet()


def test_r11_a_conversion_together_with_an_edit_of_the_member(new_office: NewOffice, full: bool) -> None:
    office = new_office(mappings=[("REF", REFERENCE)])
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed", merge_fields={"REF": "A1"})
    office.sync()
    (old,) = office.entries()
    key = office.maximizer.convert_to_contact(old, office.maximizer.add_company("Harbour Ltd"))
    office.mailchimp.edit(contact_id, {"REF": "A2"})
    (office.backfill if full else office.sync)()
    office.quiet()
    assert office.entries() == [key]
    assert office.entry(key)["udfs"][REFERENCE] == "A2"
    assert [row["entry_id"] for row in office.links()] == [f"{key[0]}#{key[1]}"]
    assert office.quarantined() == []


def test_r11_a_converted_entry_and_its_copy_are_ambiguous(new_office: NewOffice) -> None:
    """Gone there and the marker found twice elsewhere: nobody can say which of them is the person."""
    office = new_office()
    office.subscribe("ann@lantern.test", "Ann", "Reed")
    office.sync()
    (old,) = office.entries()
    key = office.maximizer.convert_to_contact(old, office.maximizer.add_company("Harbour Ltd"))
    office.maximizer.copy_entry(key)
    office.backfill()
    office.quiet()
    assert len(office.entries()) == 2
    assert office.quarantined()
    assert len(office.mailchimp.members(office.list_id)) == 1


def test_r11_a_copy_beside_the_living_entry_is_no_move(new_office: NewOffice) -> None:
    """The linked key is read first: it is there, so the link stays where it is."""
    office = new_office()
    office.subscribe("ann@lantern.test", "Ann", "Reed")
    office.sync()
    (key,) = office.entries()
    copy = office.maximizer.copy_entry(key)
    office.sync()
    office.backfill()
    assert [row["entry_id"] for row in office.links()] == [f"{key[0]}#{key[1]}"]
    assert [row["key"] for row in office.quarantined()] == [f"{copy[0]}#{copy[1]}"]
    office.quiet()


@pytest.mark.parametrize("conflict", ["maximizer", "mailchimp"])
def test_r12_an_existing_entry_takes_udfs_only(new_office: NewOffice, conflict: str) -> None:
    """Basic fields are neither overwritten nor filled, at the first meeting and later, under either setting."""
    both = new_office()
    for tag, field in (("JOB", "Position"), ("REF", REFERENCE)):
        both.map(tag, field)
    both.set(conflict=conflict)
    key = both.add("Anne", "Reed", "ann@lantern.test")
    before = both.entry(key)
    contact_id = both.subscribe("ann@lantern.test", "Ann", "Moor", merge_fields={"JOB": "Baker", "REF": "A1"})
    first = both.sync()
    both.mailchimp.edit(contact_id, {"FNAME": "Annie", "JOB": "Smith", "REF": "A2"})
    second = both.sync()
    both.quiet()
    after = both.entry(key)
    basic = ("FirstName", "LastName", "Position", "Email1")
    assert {name: after[name] for name in basic} == {name: before[name] for name in basic}
    assert after["udfs"][REFERENCE] == "A2"
    assert first["counts"]["protected"] + second["counts"]["protected"] > 0
    assert second["counts"]["conflicts"] == 0
    # Mailchimp keeps its own later edits; at the first meeting the setting decides whose name it shows.
    merge = both.member(contact_id)["merge_fields"]
    assert (merge["FNAME"], merge["JOB"], merge["LNAME"]) == (
        "Annie",
        "Smith",
        "Moor" if conflict == "mailchimp" else "Reed",
    )
    assert both.quarantined() == []


def test_r12_a_mapping_may_opt_out_of_the_protection(new_office: NewOffice) -> None:
    office = new_office()
    office.map("JOB", "Position", basic_update=True)
    key = office.add("Ann", "Reed", "ann@lantern.test")
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed", merge_fields={"JOB": "Baker"})
    office.sync()
    assert office.entry(key)["Position"] == "Baker"
    office.mailchimp.edit(contact_id, {"JOB": "Smith", "FNAME": "Anna"})
    office.sync()
    office.quiet()
    assert (office.entry(key)["Position"], office.entry(key)["FirstName"]) == ("Smith", "Ann")


def test_r12_an_entry_that_we_made_is_existing_from_then_on(new_office: NewOffice) -> None:
    office = new_office()
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed")
    office.sync()
    (key,) = office.entries()
    office.mailchimp.edit(contact_id, {"LNAME": "Moor"})
    assert office.sync()["counts"]["protected"] == 1
    office.quiet()
    assert office.entry(key)["LastName"] == "Reed"
    assert office.member(contact_id)["merge_fields"]["LNAME"] == "Moor"
