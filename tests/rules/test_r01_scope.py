"""R1 to R6: who is synchronised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from harness import FLAG, MARKER, Office

NewOffice = Callable[..., Office]
OLD_FLAG = r"MailChimp\Sync to MailChimp"
REFERENCE = r"Marketing\Reference"
NOT_SUBSCRIBED = ("unsubscribed", "cleaned", "pending", "transactional")


def test_r01_every_subscribed_member_reaches_maximizer(both: Office) -> None:
    ids = {f"{name}@lantern.test": both.subscribe(f"{name}@lantern.test", name, "Reed") for name in ("ann", "bea")}
    both.sync()
    both.quiet()
    assert len(both.entries()) == 2
    for address, contact_id in ids.items():
        (key,) = both.entries(address)
        assert both.entry(key)["udfs"][FLAG] == "Yes"
        assert both.entry(key)["udfs"][MARKER] == both.member(contact_id)["unique_email_id"]


@pytest.mark.parametrize("status", [*NOT_SUBSCRIBED, "archived"])
def test_r01_nobody_else_creates_an_entry(new_office: NewOffice, status: str) -> None:
    office = new_office()
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed", status="subscribed")
    audience, member = office.mailchimp.locate(contact_id)
    audience.put(replace(member, status=status))
    office.sync()
    office.quiet()
    assert office.entries() == []
    assert office.links() == []


@pytest.mark.parametrize("status", NOT_SUBSCRIBED)
def test_r01_an_unsubscribed_member_meets_flagged_entries_only(new_office: NewOffice, status: str) -> None:
    office = new_office()
    plain = office.add("Ann", "Reed", "ann@lantern.test")
    flagged = office.add("Bea", "Reed", "bea@lantern.test", flag="Yes")
    refused = office.add("Cyd", "Reed", "cyd@lantern.test", flag="No")
    for name in ("ann", "bea", "cyd"):
        office.subscribe(f"{name}@lantern.test", name.title(), "Reed", status=status)
    office.sync()
    office.quiet()
    assert [office.entry(key)["udfs"][FLAG] for key in (plain, flagged, refused)] == [None, "Yes", "No"]
    assert [row["email"] for row in office.links()] == ["bea@lantern.test"]
    assert len(office.entries()) == 3


@pytest.mark.parametrize("leave", ["unsubscribe", "clean"])
def test_r01_a_linked_member_that_leaves_stays_linked_and_synchronised(new_office: NewOffice, leave: str) -> None:
    office = new_office(mappings=[("REF", REFERENCE)])
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed", merge_fields={"REF": "A1"})
    office.sync()
    (key,) = office.entries()
    getattr(office.mailchimp, leave)(contact_id)
    office.sync()
    office.mailchimp.edit(contact_id, {"REF": "A2"})
    office.sync()
    assert office.entry(key)["udfs"][REFERENCE] == "A2"
    office.maximizer.edit(key, {REFERENCE: "A3", "LastName": "Reeds"})
    office.sync()
    assert office.member(contact_id)["merge_fields"]["REF"] == "A3"
    assert office.member(contact_id)["merge_fields"]["LNAME"] == "Reeds"
    assert office.member(contact_id)["status"] in ("unsubscribed", "cleaned")
    office.quiet()
    assert office.entry(key)["udfs"][FLAG] == "Yes"
    assert [row["state"] for row in office.links()] == ["active"]


def test_r01_a_person_who_subscribes_later_is_synchronised_then(new_office: NewOffice) -> None:
    office = new_office()
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed", status="pending")
    office.sync()
    assert office.entries() == []
    office.mailchimp.resubscribe(contact_id)
    office.sync()
    assert len(office.entries("ann@lantern.test")) == 1
    office.quiet()


def test_r01_a_member_without_an_address_is_reported_and_left_alone(new_office: NewOffice) -> None:
    office = new_office()
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed")
    audience, member = office.mailchimp.locate(contact_id)
    audience.put(replace(member, email=""))
    office.add("Ann", "Reed", "")
    assert office.writes() == []
    assert [row["key"] for row in office.findings("no-address")] == [f"member:{contact_id}"]
    office.quiet()


def test_r02_the_flag_is_set_when_a_subscribed_member_is_first_linked(both: Office) -> None:
    unset = both.add("Ann", "Reed", "ann@lantern.test")
    refused = both.add("Bea", "Reed", "bea@lantern.test", flag="No")
    both.subscribe("ann@lantern.test", "Ann", "Reed")
    both.subscribe("bea@lantern.test", "Bea", "Reed")
    both.sync()
    assert [both.entry(key)["udfs"][FLAG] for key in (unset, refused)] == ["Yes", "Yes"]
    assert len(both.entries()) == 2
    both.quiet()


def test_r03_an_entry_needs_the_flag_and_an_email_1(both: Office) -> None:
    both.add("Ann", "Reed", "ann@lantern.test", flag="Yes")
    both.add("Bea", "Reed", "bea@lantern.test", flag="No")
    both.add("Cyd", "Reed", "cyd@lantern.test")
    blank = both.add("Dee", "Reed", "", flag="Yes", Email2="dee@lantern.test")
    both.sync()
    assert [m["email_address"] for m in both.mailchimp.members(both.list_id)] == ["ann@lantern.test"]
    assert [(f["key"], f["problem"]) for f in both.findings("no-email")] == [
        (f"entry:{blank[0]}#{blank[1]}", "no Email 1")
    ]
    both.quiet()
    assert len(both.findings("no-email")) == 1
    both.maximizer.edit(blank, {"Email1": "dee@lantern.test"})
    both.sync()
    assert both.by_email("dee@lantern.test") is not None
    assert both.findings("no-email") == []


@pytest.mark.parametrize("how", ["No", None])
def test_r03_without_the_flag_nothing_goes_to_mailchimp_and_mailchimps_changes_come_in(
    new_office: NewOffice, how: str | None
) -> None:
    office = new_office(mappings=[("REF", REFERENCE), ("POINTS", r"Marketing\Loyalty Points")])
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed", merge_fields={"REF": "A1", "POINTS": 5})
    office.sync()
    (key,) = office.entries()
    office.maximizer.edit(key, {FLAG: how})
    office.sync()
    office.maximizer.edit(key, {"LastName": "Moor", REFERENCE: "A2", "Email1": "ann@harbour.test"})
    assert office.writes() == []
    office.mailchimp.edit(contact_id, {"POINTS": 7})
    office.sync()
    office.quiet()
    member, entry = office.member(contact_id), office.entry(key)
    assert (member["email_address"], member["merge_fields"]["LNAME"]) == ("ann@lantern.test", "Reed")
    assert member["merge_fields"]["REF"] == "A1"
    assert entry["udfs"][r"Marketing\Loyalty Points"] == 7
    assert entry["udfs"][FLAG] == how
    assert (entry["LastName"], entry["udfs"][REFERENCE], entry["Email1"]) == ("Moor", "A2", "ann@harbour.test")


def test_r03_when_the_flag_is_yes_again_what_differs_is_an_edit_of_maximizer(new_office: NewOffice) -> None:
    both = new_office()
    both.map("REF", REFERENCE)
    contact_id = both.subscribe("ann@lantern.test", "Ann", "Reed", merge_fields={"REF": "A1"})
    both.sync()
    (key,) = both.entries()
    both.maximizer.edit(key, {FLAG: "No"})
    both.sync()
    both.maximizer.edit(key, {"LastName": "Moor", REFERENCE: "A2", "Email1": "ann@harbour.test"})
    both.sync()
    both.backfill()
    both.maximizer.edit(key, {FLAG: "Yes"})
    both.sync()
    member = both.member(contact_id)
    assert (member["merge_fields"]["LNAME"], member["merge_fields"]["REF"]) == ("Moor", "A2")
    assert member["email_address"] == "ann@harbour.test"
    both.quiet()
    assert both.entry(key)["udfs"][MARKER] == both.member(contact_id)["unique_email_id"]


def test_r03_a_no_set_by_a_person_is_never_set_back(new_office: NewOffice) -> None:
    office = new_office()
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed")
    office.sync()
    (key,) = office.entries()
    office.maximizer.edit(key, {FLAG: "No"})
    office.sync()
    for step in (office.mailchimp.unsubscribe, office.mailchimp.resubscribe, office.mailchimp.archive):
        step(contact_id)
        office.sync()
        office.backfill()
    office.mailchimp.resubscribe(contact_id)
    office.sync()
    office.quiet()
    assert office.entry(key)["udfs"][FLAG] == "No"


def test_r04_companies_never(new_office: NewOffice) -> None:
    both = new_office()
    company = both.maximizer.add_company("Harbour Ltd", Email1="office@harbour.test")
    contact = both.add("Ann", "Reed", "ann@harbour.test", flag="Yes", type="Contact", parent=company)
    both.subscribe("office@harbour.test", "Office", "Desk")
    before = both.entry(company)
    both.sync()
    both.quiet()
    assert both.entry(company) == before
    assert both.by_email("ann@harbour.test") is not None
    assert both.entry(contact)["udfs"][MARKER]
    # The company's address belongs to a member of its own, who becomes an Individual.
    assert {both.entry(key)["Type"] for key in both.entries("office@harbour.test")} == {"Individual"}


def test_r05_connections_are_pairs_of_their_own(new_office: NewOffice) -> None:
    north, south = new_office(name="north", seed=1), new_office(name="south", seed=2)
    north.subscribe("ann@lantern.test", "Ann", "Reed")
    south.subscribe("ann@lantern.test", "Ann", "Moor")
    with north.cycle().leased():
        south.sync()
    north.sync()
    north.sync()
    south.quiet()
    assert [north.entry(key)["LastName"] for key in north.entries()] == ["Reed"]
    assert [south.entry(key)["LastName"] for key in south.entries()] == ["Moor"]
    assert north.connection.id != south.connection.id


def test_r06_set_up_makes_the_flag_under_its_proper_name(new_office: NewOffice) -> None:
    both = new_office()
    assert FLAG in both.entry(both.add("Ann", "Reed"))["udfs"]


def test_r06_an_existing_flag_under_the_other_name_is_used(new_office: NewOffice) -> None:
    office = new_office(ready=False)
    office.maximizer.add_udf(OLD_FLAG, "yesno")
    key = office.maximizer.add_person("Ann", "Reed", "ann@lantern.test", udfs={OLD_FLAG: "Yes"})
    outcome = office.setup()
    assert not any("Sync" in line for line in outcome.done)
    office.subscribe("bea@lantern.test", "Bea", "Reed")
    office.sync()
    office.quiet()
    assert office.by_email("ann@lantern.test") is not None
    assert FLAG not in office.entry(key)["udfs"]
    (made,) = office.entries("bea@lantern.test")
    assert office.entry(made)["udfs"][OLD_FLAG] == "Yes"
