"""R51: a refused record blocks nobody, waits with its reason, is listed, and is tried again when its data change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from harness import FLAG, Office

from domain.errors import Incomplete
from storage import parking
from storage.engine import begin

NewOffice = Callable[..., Office]
REFERENCE = r"Marketing\Reference"


def waiting(office: Office) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in office.quarantined()}


def people(office: Office) -> dict[str, tuple[str, int]]:
    """Three flagged entries whose addresses are not on the list."""
    return {
        name: office.add(name.title(), "Reed", f"{name}@lantern.test", flag="Yes") for name in ("ann", "bea", "cyd")
    }


def new(key: tuple[str, int]) -> str:
    return f"new:{key[0]}#{key[1]}"


@pytest.mark.parametrize(
    ("switch", "reason"), [("fake_addresses", "invalid"), ("too_many_lists", "signed up to many lists")]
)
def test_r51_a_refused_member_waits_and_the_others_go_on(new_office: NewOffice, switch: str, reason: str) -> None:
    office = new_office()
    keys = people(office)
    getattr(office.mailchimp, switch).add("bea@lantern.test")
    counts = office.sync()["counts"]
    assert (counts["mailchimp"]["create"], counts["mailchimp"]["failed"], counts["quarantined"]) == (2, 1, 1)
    row = waiting(office)[new(keys["bea"])]
    assert reason in row["reason"]
    assert row["remedy"]
    assert row["side"] == "mailchimp"
    assert "bea@lantern.test" not in str(row)
    office.quiet()
    assert list(waiting(office)) == [new(keys["bea"])]


def test_r51_retried_when_its_data_change_and_closed_when_it_went_well(new_office: NewOffice) -> None:
    office = new_office()
    keys = people(office)
    office.mailchimp.fake_addresses.add("bea@lantern.test")
    office.sync()
    office.sync()
    office.mailchimp.fake_addresses.clear()
    assert office.writes() == []  # nothing of the record has changed
    office.maximizer.edit(keys["bea"], {"FirstName": "Beatrix"})
    office.sync()
    assert office.by_email("bea@lantern.test") is not None
    assert waiting(office) == {}
    office.quiet()


def test_r51_a_second_refusal_waits_again(new_office: NewOffice) -> None:
    office = new_office()
    keys = people(office)
    office.mailchimp.fake_addresses |= {"bea@lantern.test", "beatrix@lantern.test"}
    office.sync()
    office.maximizer.edit(keys["bea"], {"Email1": "beatrix@lantern.test"})
    assert len(office.writes()) == 1
    office.quiet()
    assert list(waiting(office)) == [new(keys["bea"])]


def test_r51_released_by_hand_it_is_tried_at_once(new_office: NewOffice) -> None:
    office = new_office()
    keys = people(office)
    office.mailchimp.fake_addresses.add("bea@lantern.test")
    office.sync()
    office.mailchimp.fake_addresses.clear()
    with begin(office.engine) as db:
        assert parking.release(db, waiting(office)[new(keys["bea"])]["id"])
    office.sync()
    assert office.by_email("bea@lantern.test") is not None
    assert waiting(office) == {}
    with begin(office.engine) as db:
        assert len(parking.open_rows(db, office.connection.id, "released")) == 0
    office.quiet()


def test_r51_what_no_longer_has_to_be_written_no_longer_waits(new_office: NewOffice) -> None:
    office = new_office()
    keys = people(office)
    office.mailchimp.fake_addresses.add("bea@lantern.test")
    office.sync()
    office.maximizer.edit(keys["bea"], {FLAG: "No"})
    office.sync()
    assert waiting(office) == {}
    office.maximizer.edit(keys["cyd"], {"LastName": "Moor"})
    office.quiet()


def test_r51_a_refused_entry_waits_and_the_others_go_on(both: Office) -> None:
    both.map("REF", REFERENCE)
    ids = {n: both.subscribe(f"{n}@lantern.test", n, "Reed", merge_fields={"REF": "A1"}) for n in ("ann", "bea")}
    both.sync()
    keys = {name: both.entries(f"{name}@lantern.test")[0] for name in ids}
    both.maximizer.protect([keys["ann"]])
    for contact_id in ids.values():
        both.mailchimp.edit(contact_id, {"REF": "A2"})
    both.sync()
    both.sync()
    assert [both.entry(keys[name])["udfs"][REFERENCE] for name in ids] == ["A1", "A2"]
    assert [row["side"] for row in both.quarantined()] == ["maximizer"]
    both.maximizer.database.book.protected.clear()
    both.mailchimp.edit(ids["ann"], {"REF": "A3"})
    both.sync()
    both.quiet()
    assert both.entry(keys["ann"])["udfs"][REFERENCE] == "A3"
    assert both.quarantined() == []


def test_r51_a_field_that_is_refused_does_not_hold_up_the_record(new_office: NewOffice) -> None:
    """An unknown option is withheld before it is sent; what only Mailchimp can refuse waits by name."""
    office = new_office(mappings=[("WEBSITE", "WebSite"), ("JOB", "Position")])
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed")
    office.sync()
    (key,) = office.entries()
    plain = office.mailchimp.handle
    refusing = True

    def picky(request: Any) -> Any:
        if refusing and request.method == "PATCH" and b'"JOB": "Smith"' in request.body:
            from sandbox.mailchimp import problems

            return problems.merge_fields([("JOB", "Not today")]).response("x")
        return plain(request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(office.mailchimp, "handle", picky)
        office.maximizer.edit(key, {"Position": "Smith", "LastName": "Moor"})
        office.sync()
        assert office.member(contact_id)["merge_fields"]["LNAME"] == "Moor"
        assert office.member(contact_id)["merge_fields"]["JOB"] == ""
        assert any("JOB" in row["reason"] for row in office.quarantined())
        office.quiet()
        refusing = False
        office.maximizer.edit(key, {"FirstName": "Anna"})
        office.sync()
    assert office.member(contact_id)["merge_fields"]["JOB"] == "Smith"
    assert office.quarantined() == []
    office.quiet()


def test_r51_accepted_and_not_stored_is_not_sent_for_ever(new_office: NewOffice) -> None:
    office = new_office(mappings=[("JOB", "Position")])
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed")
    office.sync()
    (key,) = office.entries()
    office.mailchimp.ignored_tags.add("JOB")
    office.maximizer.edit(key, {"Position": "Baker"})
    office.sync()
    office.sync()
    assert [row["field"] for row in office.quarantined()] == ["JOB"]
    office.mailchimp.ignored_tags.clear()
    office.maximizer.edit(key, {"Position": "Smith"})
    office.sync()
    assert office.member(contact_id)["merge_fields"]["JOB"] == "Smith"
    assert office.quarantined() == []
    office.quiet()


def test_r51_a_record_that_is_gone_waits_no_longer(new_office: NewOffice) -> None:
    """A person followed the advice: one of two entries with the same address was deleted."""
    office = new_office()
    first, second = (office.add(name, "Reed", "ann@lantern.test", flag="Yes") for name in "AB")
    office.sync()
    assert len(office.quarantined()) == 2
    office.maximizer.remove(second)
    office.sync()
    assert office.quarantined() == []
    assert office.by_email("ann@lantern.test") is not None
    office.quiet()
    assert office.entries() == [first]


def test_two_entries_of_an_uncertain_create_wait_until_one_is_left(both: Office) -> None:
    """Whoever copies the entry of a create whose answer was lost makes a question of it; deleting one answers it."""
    contact_id = both.subscribe("ann@lantern.test", "Ann", "Reed")
    both.doors["maximizer"].faults.next("maximizer", "drop-after", "Create")
    with pytest.raises(Incomplete):
        both.sync()
    copy = both.maximizer.copy_entry(both.entries()[0])
    both.clock.advance(400)
    for _ in range(2):
        both.sync()
        assert "several entries match this member" in {row["reason"] for row in both.quarantined()}
        assert both.links() == []
        assert len(both.entries()) == 2
    both.maximizer.remove(copy)
    both.clock.advance(60)
    both.sync()
    assert both.quarantined() == []
    assert [link["contact_id"] for link in both.links()] == [contact_id]
    both.quiet()
    assert len(both.entries()) == 1


def test_r42_rights_that_are_given_later_need_no_release(both: Office) -> None:
    both.map("REF", REFERENCE)
    contact = both.subscribe("ann@lantern.test", "Ann", "Reed", merge_fields={"REF": "A1"})
    both.sync()
    both.maximizer.protect(both.entries())
    both.mailchimp.edit(contact, {"REF": "A2"})
    both.sync()
    assert len(both.quarantined()) == 1
    both.maximizer.database.book.protected.clear()
    both.sync()
    assert both.quarantined() == []
    assert both.udfs(both.entries()[0])["Reference"] == "A2"
    both.quiet()
