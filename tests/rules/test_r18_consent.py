"""R18: nobody is subscribed against their will, nobody is deleted, and an erased person stays away."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from harness import FLAG, MARKER, Office

from storage import parking
from storage.engine import begin

NewOffice = Callable[..., Office]
Key = tuple[str, int]
ANN = "ann@lantern.test"


def linked(office: Office) -> tuple[str, Key]:
    contact_id = office.subscribe(ANN, "Ann", "Reed")
    office.sync()
    (key,) = office.entries(ANN)
    return contact_id, key


def sent(office: Office, operation: str = "") -> list[dict[str, object]]:
    """Bodies that were written to Mailchimp."""
    calls = office.doors["mailchimp"].mutations()
    return [json.loads(call.body) for call in calls if operation in call.operation]


def archived(office: Office) -> tuple[str, Key]:
    """Ann, archived in Mailchimp, and her entry with a No of ours."""
    contact_id, key = linked(office)
    office.mailchimp.archive(contact_id)
    office.backfill()
    assert office.entry(key)["udfs"][FLAG] == "No"
    return contact_id, key


@pytest.mark.parametrize("leave", ["unsubscribe", "clean"])
def test_r18_an_update_never_carries_a_status(new_office: NewOffice, leave: str) -> None:
    office = new_office(mappings=[("JOB", "Position"), ("group:Email Profile", r"Marketing\Email Opt-In")])
    contact_id, key = linked(office)
    profile = next(iter(office.maximizer.options(r"Marketing\Email Opt-In").values()))
    getattr(office.mailchimp, leave)(contact_id)
    office.maximizer.edit(key, {"Position": "Baker", "LastName": "Moor", r"Marketing\Email Opt-In": [profile]})
    office.sync()
    office.maximizer.edit(key, {FLAG: "No"})
    office.sync()
    office.maximizer.edit(key, {FLAG: "Yes", "Position": "Smith"})
    office.quiet()
    assert office.member(contact_id)["merge_fields"]["JOB"] == "Smith"
    assert office.member(contact_id)["status"] in ("unsubscribed", "cleaned")
    bodies = sent(office, "PATCH member")
    assert len(bodies) > 2
    assert not any("status" in body or "status_if_new" in body for body in bodies)


@pytest.mark.parametrize("status", ["subscribed", "pending"])
def test_r18_a_new_member_gets_the_status_of_the_setting(new_office: NewOffice, status: str) -> None:
    both = new_office()
    if status == "pending":
        both.set(new_member_status="pending")
    key = both.add("Ann", "Reed", ANN, flag="Yes")
    both.sync()
    both.sync()
    member = both.by_email(ANN)
    assert member is not None
    assert member["status"] == status
    assert both.entry(key)["udfs"][MARKER] == member["unique_email_id"]
    both.maximizer.edit(key, {"LastName": "Moor"})
    both.sync()
    both.quiet()
    assert both.member(member["contact_id"])["merge_fields"]["LNAME"] == "Moor"
    assert both.member(member["contact_id"])["status"] == status
    assert both.entries() == [key]


def test_r18_an_archived_stranger_is_never_revived_by_a_newcomer(way: tuple[Office, bool]) -> None:
    both, full = way
    contact_id = both.subscribe(ANN, "Ann", "Reed")
    both.mailchimp.archive(contact_id)
    if not full:
        both.sync()
    key = both.add("Ann", "Reed", ANN, flag="Yes")
    both.sync()
    both.sync()
    assert both.member(contact_id)["status"] == "archived"
    (row,) = both.quarantined()
    assert (row["rule"], row["key"]) == ("R18", f"{key[0]}#{key[1]}")
    assert "archived" in row["reason"]
    both.maximizer.edit(key, {"LastName": "Moor"})
    both.sync()
    assert both.member(contact_id)["status"] == "archived"
    # The person comes back by themselves.
    both.mailchimp.resubscribe(contact_id)
    both.sync()
    both.quiet()
    assert both.quarantined() == []
    assert [row["contact_id"] for row in both.links()] == [contact_id]


def test_r18_the_one_exception_a_flag_set_by_hand_after_the_archiving(way: tuple[Office, bool]) -> None:
    both, full = way
    contact_id, key = archived(both)
    both.revived.add(contact_id)
    both.maximizer.edit(key, {FLAG: "Yes", "LastName": "Moor"})
    (both.backfill if full else both.sync)()
    both.quiet()
    assert both.member(contact_id)["status"] == "subscribed"
    assert both.member(contact_id)["merge_fields"]["LNAME"] == "Moor"
    assert both.entry(key)["udfs"][FLAG] == "Yes"
    assert [(row["contact_id"], row["state"]) for row in both.links()] == [(contact_id, "active")]
    assert len(both.entries()) == 1


def test_r18_no_exception_without_a_no_before(new_office: NewOffice) -> None:
    """The flag was Yes all the time: it says nothing about the archiving."""
    office = new_office()
    contact_id, key = linked(office)
    office.mailchimp.archive(contact_id)
    office.sync()  # R14 waits for a change to the entry
    office.maximizer.edit(key, {"LastName": "Moor"})
    office.sync()
    office.quiet()
    assert office.member(contact_id)["status"] == "archived"
    assert office.entry(key)["udfs"][FLAG] == "No"


def test_r18_no_exception_for_a_flag_set_before_the_archiving(new_office: NewOffice) -> None:
    office = new_office()
    contact_id, key = linked(office)
    office.maximizer.edit(key, {FLAG: "No"})
    office.sync()
    office.maximizer.edit(key, {FLAG: "Yes"})
    office.sync()
    office.mailchimp.archive(contact_id)
    office.backfill()
    office.quiet()
    assert office.member(contact_id)["status"] == "archived"


@pytest.mark.parametrize("leave", ["unsubscribe", "clean"])
def test_r18_no_exception_for_somebody_who_had_left(new_office: NewOffice, leave: str) -> None:
    """Unsubscribed, then archived: a Yes by hand brings nobody back, and is answered."""
    office = new_office()
    contact_id, key = linked(office)
    getattr(office.mailchimp, leave)(contact_id)
    office.sync()
    office.mailchimp.archive(contact_id)
    office.backfill()
    assert office.entry(key)["udfs"][FLAG] == "No"
    office.maximizer.edit(key, {FLAG: "Yes"})
    office.sync()
    office.sync()
    assert office.member(contact_id)["status"] == "archived"
    assert [(row["key"], row["rule"]) for row in office.quarantined()] == [(f"{key[0]}#{key[1]}", "R18")]
    office.maximizer.edit(key, {FLAG: "No"})
    office.sync()
    office.quiet()
    assert office.quarantined() == []


def test_r18_the_exception_is_for_the_address_that_was_archived(new_office: NewOffice) -> None:
    """Another Email 1 by now: the archived person is not who the entry asks for."""
    office = new_office()
    contact_id, key = archived(office)
    office.maximizer.edit(key, {FLAG: "Yes", "Email1": "ann@harbour.test"})
    office.sync()
    office.sync()
    assert office.member(contact_id)["status"] == "archived"
    assert office.member(contact_id)["email_address"] == ANN
    assert len(office.quarantined()) == 1
    office.maximizer.edit(key, {"Email1": ""})
    office.sync()
    office.quiet()
    assert office.member(contact_id)["status"] == "archived"


def test_r18_somebody_deleted_for_good_is_never_subscribed(new_office: NewOffice) -> None:
    """Mailchimp refuses it, which is remembered: no second attempt, whatever the entry does."""
    both = new_office()
    contact_id, key = linked(both)
    both.mailchimp.delete_permanently(contact_id)
    both.backfill()
    both.maximizer.edit(key, {FLAG: "Yes"})
    both.sync()
    assert len(both.quarantined()) == 1
    both.maximizer.edit(key, {"LastName": "Moor"})
    assert both.writes() == []
    both.sync()
    assert both.by_email(ANN) is None
    assert len(both.quarantined()) == 1
    # They come back by themselves.
    back = both.subscribe(ANN, "Ann", "Reed")
    both.sync()
    both.quiet()
    assert [row["contact_id"] for row in both.links()] == [back]
    assert both.entries() == [key]
    assert both.quarantined() == []


@pytest.mark.parametrize("reason", ["erased", "forgotten"])
def test_r18_an_erased_person_is_never_created_on_either_side(new_office: NewOffice, reason: str) -> None:
    office = new_office()
    with begin(office.engine) as db:
        for address in (ANN, "bea@lantern.test"):
            parking.suppress(db, office.connection.id, address, reason, office.clock.now())
    contact_id = office.subscribe("Ann@lantern.test", "Ann", "Reed")
    office.add("Bea", "Reed", "BEA@lantern.test", flag="Yes")
    office.sync()
    office.mailchimp.edit(contact_id, {"FNAME": "Anna"})
    office.quiet()
    assert office.by_email("bea@lantern.test") is None
    assert len(office.entries()) == (1 if reason == "erased" else 2)


def test_r18_neither_client_has_a_call_that_deletes(new_office: NewOffice) -> None:
    office = new_office()
    services = office.services()
    for client in (services.mailchimp, services.maximizer):
        assert [name for name in dir(client) if "delete" in name.lower() or "archive" in name.lower()] == []
