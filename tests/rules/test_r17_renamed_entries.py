"""R15 and R17: what the way to Mailchimp does to a member, and somebody changes Email 1 in Maximizer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from harness import FLAG, MARKER, Office

NewOffice = Callable[..., Office]
Key = tuple[str, int]
OLD, NEW = "ann@lantern.test", "ann@harbour.test"


def linked(office: Office, name: str = "ann") -> tuple[str, Key]:
    contact_id = office.subscribe(f"{name}@lantern.test", name.title(), "Reed")
    office.sync()
    (key,) = office.entries(f"{name}@lantern.test")
    return contact_id, key


def reasons(office: Office) -> list[str]:
    return [row["reason"] for row in office.quarantined()]


@pytest.mark.parametrize("conflict", ["maximizer", "mailchimp"])
def test_r15_a_first_push_updates_the_member_that_is_there(new_office: NewOffice, conflict: str) -> None:
    """By the entry's values, subject to the conflict setting; a value that one side lacks is taken from the other."""
    both = new_office()
    both.map("REF", r"Marketing\Reference")
    both.map("JOB", "Position")
    both.set(conflict=conflict)
    contact_id = both.subscribe(OLD, "Ann", "Reed", merge_fields={"REF": "A1"})
    udfs = {r"Marketing\Reference": "B1"}
    key = both.add("Anne", "Reed", OLD, flag="Yes", udfs=udfs, Position="Baker")
    both.sync()
    both.quiet()
    merge = both.member(contact_id)["merge_fields"]
    assert (merge["FNAME"], merge["REF"]) == (("Anne", "B1") if conflict == "maximizer" else ("Ann", "A1"))
    assert merge["JOB"] == "Baker"
    assert both.entry(key)["FirstName"] == "Anne"
    assert both.member(contact_id)["status"] == "subscribed"
    assert len(both.mailchimp.members(both.list_id)) == 1


def test_r15_a_later_join_is_a_first_push_too(new_office: NewOffice) -> None:
    """An existing member that left long ago, and an entry that is flagged now: updated, not subscribed."""
    office = new_office()
    contact_id = office.subscribe(OLD, "Ann", "Reed", status="unsubscribed")
    key = office.add("Anne", "Moor", OLD)
    office.sync()
    assert office.links() == []
    office.maximizer.edit(key, {FLAG: "Yes"})
    office.sync()
    office.quiet()
    merge = office.member(contact_id)["merge_fields"]
    assert (merge["FNAME"], merge["LNAME"]) == ("Anne", "Moor")
    assert office.member(contact_id)["status"] == "unsubscribed"


def test_r17_the_member_is_renamed_and_the_marker_refreshed(way: tuple[Office, bool]) -> None:
    both, full = way
    contact_id, key = linked(both)
    before = both.entry(key)["udfs"][MARKER]
    both.maximizer.edit(key, {"Email1": NEW, "LastName": "Moor"})
    (both.backfill if full else both.sync)()
    both.quiet()
    member = both.member(contact_id)
    assert (member["email_address"], member["merge_fields"]["LNAME"]) == (NEW, "Moor")
    assert len(both.mailchimp.members(both.list_id)) == 1
    assert both.entry(key)["udfs"][MARKER] == member["unique_email_id"] != before
    assert [(row["email"], row["email1"]) for row in both.links()] == [(NEW, NEW)]
    assert both.entries() == [key]


@pytest.mark.parametrize("how", ["unsubscribe", "clean", "pending"])
def test_r17_only_subscribed_members_are_renamed(new_office: NewOffice, how: str) -> None:
    office = new_office()
    contact_id, key = linked(office)
    if how == "pending":
        office.mailchimp.subscribe(office.list_id, OLD, status="pending")
    else:
        getattr(office.mailchimp, how)(contact_id)
    office.sync()
    office.maximizer.edit(key, {"Email1": NEW})
    assert office.writes() == []
    office.sync()
    assert reasons(office) == ["Mailchimp renames subscribed members only"]
    assert office.member(contact_id)["email_address"] == OLD
    assert office.by_email(NEW) is None
    office.mailchimp.resubscribe(contact_id)
    office.sync()
    assert office.member(contact_id)["email_address"] == NEW
    assert reasons(office) == []
    office.quiet()


@pytest.mark.parametrize("holder", ["stranger", "linked", "archived", "unsubscribed"])
def test_r17_not_onto_an_address_that_is_on_the_list(new_office: NewOffice, holder: str, full: bool) -> None:
    """Whoever holds it, and nothing is even tried. Both people stay what they are."""
    office = new_office()
    contact_id, key = linked(office)
    other = office.subscribe(NEW, "Ann", "Moor", status="unsubscribed" if holder == "unsubscribed" else "subscribed")
    if holder == "stranger":
        office.maximizer.add_person("X", "Y", NEW)
        office.maximizer.add_person("Z", "Y", NEW)  # ambiguous, so that nobody is linked with the stranger
    if holder == "archived":
        office.mailchimp.archive(other)
    office.sync()
    office.maximizer.edit(key, {"Email1": NEW, "FirstName": "Anna"})
    (office.backfill if full else office.sync)()
    refused = [call for call in office.doors["mailchimp"].mutations() if call.status not in (200, 204)]
    assert refused == []
    office.sync()
    assert "the new address is already on the list" in reasons(office)
    assert office.member(contact_id)["email_address"] == OLD
    assert office.member(other)["email_address"] == NEW
    assert office.entry(key)["Email1"] == NEW
    assert [row["contact_id"] for row in office.links() if row["entry_id"] == f"{key[0]}#{key[1]}"] == [contact_id]
    # Mended in Maximizer: everything else that waited goes its way.
    office.maximizer.edit(key, {"Email1": OLD})
    office.sync()
    assert "the new address is already on the list" not in reasons(office)
    assert office.member(contact_id)["merge_fields"]["FNAME"] == "Anna"
    office.quiet()


def test_r17_a_chain_of_renames_settles_within_two_cycles(new_office: NewOffice) -> None:
    """Ann takes Bea's address in the cycle in which Bea gets another: first Bea, then Ann."""
    office = new_office()
    (ann, ann_key), (bea, bea_key) = linked(office, "ann"), linked(office, "bea")
    office.maximizer.edit(bea_key, {"Email1": "bea@harbour.test"})
    office.maximizer.edit(ann_key, {"Email1": "bea@lantern.test"})
    office.sync()
    office.sync()
    assert office.writes() == []
    office.quiet()
    assert office.member(bea)["email_address"] == "bea@harbour.test"
    assert office.member(ann)["email_address"] == "bea@lantern.test"
    assert reasons(office) == []
    for contact_id, key in ((ann, ann_key), (bea, bea_key)):
        assert office.entry(key)["udfs"][MARKER] == office.member(contact_id)["unique_email_id"]


def test_r17_two_entries_that_swap_their_addresses_wait(new_office: NewOffice) -> None:
    office = new_office()
    (ann, ann_key), (bea, bea_key) = linked(office, "ann"), linked(office, "bea")
    office.maximizer.edit(ann_key, {"Email1": "bea@lantern.test"})
    office.maximizer.edit(bea_key, {"Email1": "ann@lantern.test"})
    office.sync()
    office.quiet()
    assert reasons(office) == ["the new address is already on the list"] * 2
    assert [office.member(contact_id)["email_address"] for contact_id in (ann, bea)] == [OLD, "bea@lantern.test"]


def test_r17_two_entries_that_take_one_new_address(new_office: NewOffice) -> None:
    """Neither is guessed to be the right one."""
    office = new_office()
    (ann, ann_key), (bea, bea_key) = linked(office, "ann"), linked(office, "bea")
    for key in (ann_key, bea_key):
        office.maximizer.edit(key, {"Email1": "both@harbour.test"})
    office.sync()
    office.sync()
    assert reasons(office) == ["several linked entries take this address"] * 2
    assert [office.member(contact_id)["email_address"] for contact_id in (ann, bea)] == [OLD, "bea@lantern.test"]
    office.maximizer.edit(bea_key, {"Email1": "bea@lantern.test"})
    office.sync()
    office.quiet()
    assert office.member(ann)["email_address"] == "both@harbour.test"
    assert reasons(office) == []


def test_r17_email_1_emptied_is_reported_and_the_member_stays(new_office: NewOffice) -> None:
    both = new_office()
    contact_id, key = linked(both)
    both.maximizer.edit(key, {"Email1": ""})
    assert both.writes() == []
    both.sync()
    assert both.member(contact_id)["email_address"] == OLD
    assert both.entry(key)["udfs"][FLAG] == "Yes"
    assert [row["key"] for row in both.findings("no-email")] == [f"entry:{key[0]}#{key[1]}"]
    # Other fields go on, and the report stays for as long as it is true.
    both.maximizer.edit(key, {"LastName": "Moor"})
    both.sync()
    assert both.member(contact_id)["merge_fields"]["LNAME"] == "Moor"
    assert len(both.findings("no-email")) == 1
    both.maximizer.edit(key, {"Email1": NEW})
    both.sync()
    both.quiet()
    assert both.member(contact_id)["email_address"] == NEW
    assert both.findings("no-email") == []


def test_r17_email_1_emptied_and_filled_with_the_same_address(new_office: NewOffice) -> None:
    office = new_office()
    contact_id, key = linked(office)
    office.maximizer.edit(key, {"Email1": ""})
    office.sync()
    office.maximizer.edit(key, {"Email1": OLD})
    assert office.writes() == []
    office.quiet()
    assert office.findings("no-email") == []
    assert [row["contact_id"] for row in office.links()] == [contact_id]


@pytest.mark.parametrize("side", ["maximizer", "mailchimp"])
def test_r17_a_change_of_case_only_is_none(new_office: NewOffice, side: str) -> None:
    office = new_office()
    contact_id, key = linked(office)
    if side == "maximizer":
        office.maximizer.edit(key, {"Email1": "Ann@Lantern.TEST"})
    else:
        office.mailchimp.change_email(contact_id, "Ann@Lantern.TEST")
    assert office.writes() == []
    office.quiet()
    assert len(office.entries()) == len(office.mailchimp.members(office.list_id)) == 1


def test_r17_a_text_that_is_no_address_waits(new_office: NewOffice) -> None:
    office = new_office()
    contact_id, key = linked(office)
    office.maximizer.edit(key, {"Email1": "ann at harbour"})
    assert office.writes() == []
    office.quiet()
    assert reasons(office) == ["Email 1 is not an e-mail address"]
    assert office.member(contact_id)["email_address"] == OLD


def test_r17_an_address_that_mailchimp_refuses_waits_until_it_changes(new_office: NewOffice) -> None:
    office = new_office()
    office.mailchimp.fake_addresses.add(NEW)
    contact_id, key = linked(office)
    office.maximizer.edit(key, {"Email1": NEW})
    office.sync()
    office.sync()
    assert len(office.quarantined()) == 1
    assert office.member(contact_id)["email_address"] == OLD
    office.maximizer.edit(key, {"Email1": "ann@quarry.test"})
    office.sync()
    office.quiet()
    assert office.member(contact_id)["email_address"] == "ann@quarry.test"
    assert office.quarantined() == []
