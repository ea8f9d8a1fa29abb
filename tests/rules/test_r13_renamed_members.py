"""R13: somebody changes the address in Mailchimp."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from harness import FLAG, MARKER, Office

NewOffice = Callable[..., Office]
Key = tuple[str, int]
OLD, NEW = "ann@lantern.test", "ann@harbour.test"


def linked(office: Office) -> tuple[str, Key]:
    """Ann on both sides."""
    contact_id = office.subscribe(OLD, "Ann", "Reed")
    office.sync()
    (key,) = office.entries(OLD)
    return contact_id, key


def pairs(office: Office) -> dict[str, str]:
    """Member address -> Email 1 of the entry, for every link."""
    found = {}
    for row in office.links():
        client, _, number = row["entry_id"].rpartition("#")
        found[office.member(row["contact_id"])["email_address"]] = office.entry((client, int(number)))["Email1"]
    return found


def test_r13_a_new_entry_for_the_new_address_and_a_new_member_for_the_old_one(way: tuple[Office, bool]) -> None:
    both, full = way
    contact_id, key = linked(both)
    stale = both.entry(key)["udfs"][MARKER]
    both.mailchimp.change_email(contact_id, NEW)
    (both.backfill if full else both.sync)()
    both.sync()
    assert both.writes() == []  # a fixpoint within two cycles
    both.quiet()
    assert pairs(both) == {OLD: OLD, NEW: NEW}
    assert len(both.entries()) == 2
    (made,) = both.entries(NEW)
    original = both.by_email(OLD)
    assert original is not None
    assert original["contact_id"] != contact_id
    assert original["merge_fields"]["LNAME"] == "Reed"
    merge = both.member(contact_id)["merge_fields"]
    assert (str(merge["CLIENTID"]), str(merge["CONTACTNO"])) == (made[0], str(made[1]))
    assert both.entry(made)["udfs"][MARKER] == both.member(contact_id)["unique_email_id"] != stale
    assert both.entry(key)["udfs"] == both.entry(key)["udfs"] | {FLAG: "Yes", MARKER: original["unique_email_id"]}


def test_r13_many_cycles_later_nothing_moves(new_office: NewOffice) -> None:
    office = new_office()
    contact_id, _ = linked(office)
    office.mailchimp.change_email(contact_id, NEW)
    office.sync()
    office.sync()
    assert [office.writes() for _ in range(5)] == [[]] * 5
    office.quiet()


def test_r13_without_the_flag_no_new_member(new_office: NewOffice) -> None:
    office = new_office()
    contact_id, key = linked(office)
    office.maximizer.edit(key, {FLAG: "No"})
    office.mailchimp.change_email(contact_id, NEW)
    office.sync()
    office.quiet()
    assert pairs(office) == {NEW: NEW}
    assert office.by_email(OLD) is None
    assert office.entry(key)["udfs"][FLAG] == "No"
    assert len(office.entries()) == 2


def test_r13_an_address_that_had_left_is_not_subscribed_anew(new_office: NewOffice) -> None:
    """Unsubscribed when last seen; back under another address. The old one stays off the list, whatever changes."""
    office = new_office()
    contact_id, key = linked(office)
    office.mailchimp.unsubscribe(contact_id)
    office.sync()
    office.mailchimp.resubscribe(contact_id)
    office.mailchimp.change_email(contact_id, NEW)
    office.sync()
    assert [row["rule"] for row in office.quarantined()] == ["R13"]
    office.sync()
    office.maximizer.edit(key, {"Phone1": "555-0100", "FirstName": "Anna"})
    office.sync()
    assert pairs(office) == {NEW: NEW}
    assert office.by_email(OLD) is None
    assert len(office.entries()) == 2
    assert [row["key"] for row in office.quarantined()] == [f"{key[0]}#{key[1]}"]
    # A person decides; nothing waits any more, and nobody is subscribed.
    office.maximizer.edit(key, {FLAG: "No"})
    office.sync()
    assert office.quarantined() == []
    office.quiet()


def test_r13_unsubscribed_under_the_new_address_changes_nothing(new_office: NewOffice) -> None:
    """Only a subscribed member makes an entry (R1): the link stays as it is until the person is back."""
    office = new_office()
    contact_id, key = linked(office)
    office.mailchimp.change_email(contact_id, NEW)
    office.mailchimp.unsubscribe(contact_id)
    office.sync()
    office.sync()
    assert office.entries() == [key]
    assert office.entry(key)["Email1"] == OLD
    assert office.by_email(OLD) is None
    assert [row["contact_id"] for row in office.links()] == [contact_id]
    office.mailchimp.resubscribe(contact_id)
    office.sync()
    office.quiet()
    assert len(office.entries()) == 2
    assert office.by_email(OLD) is None  # it was not subscribed when last seen


@pytest.mark.parametrize("flag", ["Yes", "No"])
def test_r13_the_new_address_is_that_of_another_entry(new_office: NewOffice, flag: str) -> None:
    """Nobody is made for it: the member meets the entry that has been waiting there."""
    office = new_office()
    contact_id, key = linked(office)
    other = office.add("Ann", "Moor", NEW, flag="No")
    office.maximizer.edit(key, {FLAG: flag})
    office.sync()
    office.mailchimp.change_email(contact_id, NEW)
    office.sync()
    office.quiet()
    assert set(office.entries()) == {key, other}
    assert pairs(office) == ({OLD: OLD, NEW: NEW} if flag == "Yes" else {NEW: NEW})
    assert office.entry(other)["udfs"][FLAG] == "Yes"
    assert office.entry(key)["udfs"][FLAG] == flag


def test_r13_the_new_address_is_that_of_two_other_entries(new_office: NewOffice) -> None:
    """Ambiguous (R9): no third one is made; the old entry gets its member back all the same."""
    office = new_office()
    contact_id, _ = linked(office)
    twins = [office.add(name, "Moor", NEW) for name in "AB"]
    office.mailchimp.change_email(contact_id, NEW)
    office.sync()
    office.sync()
    assert len(office.entries()) == 3
    assert pairs(office) == {OLD: OLD}
    assert [row["key"] for row in office.quarantined()] == [contact_id]
    office.maximizer.edit(twins[0], {"Email1": "abe@harbour.test"})
    office.sync()
    assert pairs(office) == {OLD: OLD, NEW: NEW}
    office.quiet()


def test_r13_two_members_swap_their_addresses(new_office: NewOffice) -> None:
    """Each member meets the entry that has its address now."""
    office = new_office()
    ann, bea = (office.subscribe(f"{name}@lantern.test", name, "Reed") for name in ("ann", "bea"))
    office.sync()
    office.mailchimp.change_email(ann, "between@lantern.test")
    office.mailchimp.change_email(bea, OLD)
    office.mailchimp.change_email(ann, "bea@lantern.test")
    office.sync()
    office.quiet()
    assert pairs(office) == {OLD: OLD, "bea@lantern.test": "bea@lantern.test"}
    assert len(office.entries()) == 2
    assert len(office.mailchimp.members(office.list_id)) == 2


def test_r13_there_and_back_is_no_change(new_office: NewOffice) -> None:
    office = new_office()
    contact_id, key = linked(office)
    office.mailchimp.change_email(contact_id, NEW)
    office.mailchimp.change_email(contact_id, OLD)
    assert office.writes() == []
    office.mailchimp.change_email(contact_id, "ANN@Lantern.test")
    office.sync()
    office.quiet()
    assert office.entries() == [key]
    assert office.entry(key)["Email1"] == OLD


def test_r13_follow_keeps_the_link_and_renames_the_entry(way: tuple[Office, bool]) -> None:
    both, full = way
    both.set(email_change="follow")
    contact_id, key = linked(both)
    both.mailchimp.change_email(contact_id, NEW)
    (both.backfill if full else both.sync)()
    both.quiet()
    assert both.entries() == [key]
    assert both.entry(key)["Email1"] == NEW
    assert both.entry(key)["udfs"][MARKER] == both.member(contact_id)["unique_email_id"]
    assert pairs(both) == {NEW: NEW}
    assert both.by_email(OLD) is None


@pytest.mark.parametrize("state", ["flag No", "unsubscribed"])
def test_r13_follow_whatever_flag_and_status(new_office: NewOffice, state: str) -> None:
    """The flag governs only the way to Mailchimp, and a linked member keeps synchronising (R1, R3)."""
    office = new_office()
    office.set(email_change="follow")
    contact_id, key = linked(office)
    if state == "flag No":
        office.maximizer.edit(key, {FLAG: "No"})
    office.mailchimp.change_email(contact_id, NEW)
    if state == "unsubscribed":
        office.mailchimp.unsubscribe(contact_id)
    office.sync()
    office.quiet()
    assert office.entry(key)["Email1"] == NEW
    assert office.entry(key)["udfs"][MARKER] == office.member(contact_id)["unique_email_id"]
    assert pairs(office) == {NEW: NEW}


def test_r13_follow_onto_the_address_of_another_entry_waits(new_office: NewOffice) -> None:
    """Two entries with one address would be ambiguous ever after: a person decides."""
    office = new_office()
    office.set(email_change="follow")
    contact_id, key = linked(office)
    other = office.add("Ann", "Moor", NEW)
    office.mailchimp.change_email(contact_id, NEW)
    office.sync()
    office.sync()
    assert office.entry(key)["Email1"] == OLD
    assert [row["key"] for row in office.quarantined()] == [contact_id]
    office.maximizer.edit(other, {"Email1": ""})
    office.sync()
    office.quiet()
    assert office.entry(key)["Email1"] == NEW
    assert office.quarantined() == []


@pytest.mark.parametrize(("setting", "conflict"), [("new-entry", "maximizer"), ("follow", "mailchimp")])
def test_r13_both_sides_renamed_at_once_waits(new_office: NewOffice, setting: str, conflict: str) -> None:
    office = new_office()
    office.set(email_change=setting, conflict=conflict)
    contact_id, key = linked(office)
    office.mailchimp.change_email(contact_id, NEW)
    office.maximizer.edit(key, {"Email1": "ann@quarry.test", "FirstName": "Anna"})
    assert office.writes() == []
    office.sync()
    (row,) = office.quarantined()
    assert row["reason"] == "the address was changed on both sides"
    assert (office.member(contact_id)["email_address"], office.entry(key)["Email1"]) == (NEW, "ann@quarry.test")
    # One side agrees with the other, and everything goes on.
    office.maximizer.edit(key, {"Email1": NEW})
    office.sync()
    assert office.quarantined() == []
    assert office.member(contact_id)["merge_fields"]["FNAME"] == "Anna"
    office.quiet()
    assert office.entries() == [key]
    assert office.entry(key)["udfs"][MARKER] == office.member(contact_id)["unique_email_id"]


def test_r13_both_sides_renamed_to_the_same_address_agree(new_office: NewOffice) -> None:
    office = new_office()
    contact_id, key = linked(office)
    office.mailchimp.change_email(contact_id, NEW)
    office.maximizer.edit(key, {"Email1": NEW.upper()})
    office.sync()
    office.quiet()
    assert office.entries() == [key]
    assert office.entry(key)["udfs"][MARKER] == office.member(contact_id)["unique_email_id"]
    assert office.quarantined() == []
