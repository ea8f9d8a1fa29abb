"""R14 and R16: a record that was synchronised is gone on one side."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from harness import FLAG, MARKER, Office

from domain.errors import Blocked

NewOffice = Callable[..., Office]
Key = tuple[str, int]
ANN = "ann@lantern.test"
GONE = ("archive", "delete_permanently")


def linked(office: Office) -> tuple[str, Key]:
    """Ann on both sides."""
    contact_id = office.subscribe(ANN, "Ann", "Reed")
    office.sync()
    (key,) = office.entries(ANN)
    return contact_id, key


def flag(office: Office, key: Key) -> object:
    return office.entry(key)["udfs"][FLAG]


# --- the member is gone ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", GONE)
def test_r14_a_full_cycle_settles_it_at_once(both: Office, how: str) -> None:
    contact_id, key = linked(both)
    getattr(both.mailchimp, how)(contact_id)
    both.backfill()
    assert flag(both, key) == "No"
    assert both.entry(key)["LastName"] == "Reed"
    both.sync()
    # After that it is no longer synchronised.
    both.maximizer.edit(key, {"LastName": "Moor", "Phone1": "555-0100"})
    assert both.writes() == []
    both.quiet()
    assert [row for row in both.links() if row["state"] == "active"] == []


@pytest.mark.parametrize("how", GONE)
def test_r14_a_scheduled_cycle_waits_for_a_change_to_the_entry(new_office: NewOffice, how: str) -> None:
    office = new_office()
    contact_id, key = linked(office)
    getattr(office.mailchimp, how)(contact_id)
    assert office.writes() == []
    assert office.writes() == []
    assert flag(office, key) == "Yes"
    office.maximizer.edit(key, {"LastName": "Moor"})
    office.sync()
    assert flag(office, key) == "No"
    office.quiet()
    assert office.entry(key)["LastName"] == "Moor"


def test_r14_somebody_archived_who_is_back_in_time_was_never_away(new_office: NewOffice) -> None:
    office = new_office()
    contact_id, key = linked(office)
    office.mailchimp.archive(contact_id)
    office.sync()
    office.mailchimp.resubscribe(contact_id)
    office.maximizer.edit(key, {"LastName": "Moor"})
    office.sync()
    office.quiet()
    assert flag(office, key) == "Yes"
    assert office.member(contact_id)["merge_fields"]["LNAME"] == "Moor"


def test_r14_absence_is_never_believed_from_an_incomplete_read(new_office: NewOffice) -> None:
    """The listing announces more people than it shows: nothing is concluded from who is missing."""
    office = new_office()
    _, key = linked(office)
    bea = office.subscribe("bea@lantern.test", "Bea", "Reed")
    office.sync()
    plain = office.mailchimp.handle

    def short(request: Any) -> Any:
        answer = plain(request)
        if request.method == "GET" and request.path.endswith("/members"):
            shown = json.loads(answer.body)
            shown["members"] = [m for m in shown["members"] if m["contact_id"] == bea]
            answer.body = json.dumps(shown).encode()
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(office.mailchimp, "handle", short)
        office.backfill()
        assert not office.last.members.complete
    assert flag(office, key) == "Yes"
    assert len(office.links()) == 2
    office.quiet()


@pytest.mark.parametrize("how", GONE)
def test_r14_our_no_is_taken_back_when_the_person_subscribes_again(new_office: NewOffice, how: str) -> None:
    both = new_office()
    contact_id, key = linked(both)
    getattr(both.mailchimp, how)(contact_id)
    both.backfill()
    assert flag(both, key) == "No"
    both.maximizer.edit(key, {"LastName": "Moor"})
    both.sync()
    back = both.subscribe(ANN, "Ann", "Reed")
    both.sync()
    assert flag(both, key) == "Yes"
    both.quiet()
    assert both.entries() == [key]
    assert [(row["contact_id"], row["state"]) for row in both.links()] == [(back, "active")]
    assert both.entry(key)["udfs"][MARKER] == both.member(back)["unique_email_id"]


def test_r14_a_no_of_ours_is_not_taken_back_for_somebody_who_is_not_subscribed(new_office: NewOffice) -> None:
    office = new_office()
    contact_id, key = linked(office)
    office.mailchimp.archive(contact_id)
    office.backfill()
    office.mailchimp.unsubscribe(contact_id)  # taken out of the archive, but not subscribed
    office.sync()
    office.sync()
    assert flag(office, key) == "No"
    assert office.member(contact_id)["status"] == "unsubscribed"
    office.mailchimp.resubscribe(contact_id)
    office.sync()
    office.quiet()
    assert flag(office, key) == "Yes"


def test_r14_a_no_of_a_person_is_not_taken_back(new_office: NewOffice) -> None:
    """Before the archiving, or after ours: theirs stays."""
    office = new_office()
    contact_id, key = linked(office)
    office.maximizer.edit(key, {FLAG: "No"})
    office.sync()
    office.mailchimp.archive(contact_id)
    office.backfill()
    office.mailchimp.resubscribe(contact_id)
    office.sync()
    office.quiet()
    assert flag(office, key) == "No"


def test_r14_a_no_of_ours_that_a_person_confirms_is_theirs(new_office: NewOffice) -> None:
    """Yes by hand is answered by R18's exception; No by hand after that is the person's own."""
    office = new_office()
    contact_id, key = linked(office)
    office.mailchimp.archive(contact_id)
    office.backfill()
    office.revived.add(contact_id)
    office.maximizer.edit(key, {FLAG: "Yes"})
    office.sync()
    assert office.member(contact_id)["status"] == "subscribed"
    office.maximizer.edit(key, {FLAG: "No"})
    office.sync()
    office.mailchimp.archive(contact_id)
    office.backfill()
    office.mailchimp.resubscribe(contact_id)
    office.sync()
    office.quiet()
    assert flag(office, key) == "No"


def test_r14_both_records_gone_ends_the_link(new_office: NewOffice) -> None:
    office = new_office()
    contact_id, key = linked(office)
    office.mailchimp.delete_permanently(contact_id)
    office.maximizer.remove(key)
    office.backfill()
    office.quiet()
    assert office.links() == []
    assert office.entries() == []


# --- the entry is gone ----------------------------------------------------------------------------------------------


def test_r16_a_full_cycle_recreates_the_entry_at_once(both: Office) -> None:
    contact_id, key = linked(both)
    both.maximizer.remove(key)
    both.backfill()
    (made,) = both.entries()
    assert made != key
    assert flag(both, made) == "Yes"
    assert both.entry(made)["udfs"][MARKER] == both.member(contact_id)["unique_email_id"]
    merge = both.member(contact_id)["merge_fields"]
    assert (str(merge["CLIENTID"]), str(merge["CONTACTNO"])) == (made[0], str(made[1]))
    both.quiet()


def test_r16_a_scheduled_cycle_waits_for_a_change_to_the_member(new_office: NewOffice) -> None:
    office = new_office()
    contact_id, key = linked(office)
    office.maximizer.remove(key)
    assert office.writes() == []
    assert office.writes() == []
    assert office.entries() == []
    office.mailchimp.edit(contact_id, {"FNAME": "Anna"})
    office.sync()
    assert [office.entry(made)["FirstName"] for made in office.entries()] == ["Anna"]
    office.quiet()


@pytest.mark.parametrize("how", ["unsubscribe", "clean", "archive"])
def test_r16_only_for_somebody_who_is_subscribed(new_office: NewOffice, how: str) -> None:
    office = new_office()
    contact_id, key = linked(office)
    getattr(office.mailchimp, how)(contact_id)
    office.maximizer.remove(key)
    office.backfill()
    office.sync()
    assert office.entries() == []
    assert office.member(contact_id)["status"] != "subscribed"
    office.mailchimp.resubscribe(contact_id)
    office.sync()
    assert len(office.entries(ANN)) == 1
    office.quiet()


def test_r16_many_entries_that_the_user_may_not_read_are_not_deleted_ones(new_office: NewOffice) -> None:
    """Rights were lost: refused before the first write, and nothing is made twice when they are back."""
    both = new_office()
    for n in range(12):
        both.subscribe(f"ann{n}@lantern.test", "Ann", "Reed")
    both.sync()
    keys = both.entries()
    both.maximizer.hide(keys[:11])
    with pytest.raises(Blocked):
        both.backfill(yes=False)
    assert both.writes() == []  # a scheduled cycle does not even notice
    both.maximizer.unhide(keys)
    both.backfill(yes=False)
    both.quiet()
    assert both.entries() == keys


def test_r16_one_hidden_entry_that_comes_back_disturbs_nobody(new_office: NewOffice) -> None:
    """It cannot be told from a deleted one; found again, it waits beside the entry that took its place."""
    office = new_office()
    key = office.add("Ann", "Reed", ANN)
    contact_id, _ = linked(office)
    office.maximizer.hide([key])
    office.backfill()
    office.maximizer.database.book.hidden.clear()
    office.maximizer.edit(key, {"Position": "Baker"})
    office.sync()
    office.backfill()
    assert f"{key[0]}#{key[1]}" in {row["key"] for row in office.quarantined()}
    assert [row["contact_id"] for row in office.links()] == [contact_id]
    office.quiet()
    assert len(office.entries(ANN)) == 2
