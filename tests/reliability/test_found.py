"""What the kill loop found, each as one short story; a write that is certainly not applied shows it as well."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from harness import FLAG, MARKER
from killing import Stand
from scenes import REF, Still
from shelves import Shelf

from domain.errors import Incomplete


@pytest.fixture
def stand(sqlite_ground: tuple[Shelf, Still]) -> Iterator[Stand]:
    shelf, still = sqlite_ground
    made = still.stand(shelf)
    yield made
    made.sound()
    made.close()


def broken_off(stand: Stand, **operations: str) -> None:
    """A cycle in which a side takes no such call."""
    for side, operation in operations.items():
        stand.doors[side].faults.next(side, "refused", operation, 99)
    with contextlib.suppress(Incomplete):
        stand.sync()
    for door in stand.doors.values():
        door.faults.clear()


def test_r02_a_first_meeting_that_broke_off_still_sets_the_flag(stand: Stand) -> None:
    """Without it the entry would count as one that somebody has taken off the list, and send nothing for ever."""
    stand.subscribe("gil@lantern.test", "Gil", "Moor", merge_fields={"REF": "theirs"})
    key = stand.add("Gil", "Stone", "gil@lantern.test", udfs={REF: "ours"})
    broken_off(stand, maximizer="AbEntryUpdate")
    assert stand.entry(key)["udfs"][FLAG] is None
    stand.maximizer.edit(key, {"LastName": "Reed"})
    stand.sync()
    stand.quiet()
    assert stand.entry(key)["udfs"][FLAG] == "Yes"
    assert (stand.merge("gil@lantern.test")["LNAME"], stand.merge("gil@lantern.test")["REF"]) == ("Reed", "ours")


def test_r03_a_flag_that_somebody_set_to_no_meanwhile_stays_no(stand: Stand) -> None:
    stand.subscribe("gil@lantern.test", "Gil", "Moor")
    key = stand.add("Gil", "Moor", "gil@lantern.test")
    broken_off(stand, maximizer="AbEntryUpdate")
    stand.maximizer.edit(key, {FLAG: "No"})
    stand.quiet()
    assert stand.entry(key)["udfs"][FLAG] == "No"


def test_r13_a_new_address_whose_entry_could_not_be_made_yet_is_not_taken_back(stand: Stand) -> None:
    """The member still names its former entry: that must not pair them again and rename it to the old address."""
    contact_id, key = stand.contact("ann"), stand.key("ann")
    stand.mailchimp.change_email(contact_id, "gil@lantern.test")
    broken_off(stand, maximizer="AbEntryCreate", mailchimp="POST list")
    for _ in range(3):
        stand.sync()
    stand.quiet()
    assert stand.member(contact_id)["email_address"] == "gil@lantern.test"
    (made,) = stand.entries("gil@lantern.test")
    assert stand.entry(made)["udfs"][MARKER] == stand.member(contact_id)["unique_email_id"]
    assert stand.entries("ann@lantern.test") == [key]
