"""``explain`` foresees what the next run does: the very changes, for everybody, whatever has happened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from floor import Floor, furnish

from flows.foresee import explain
from flows.person import find

FLAG = r"MailChimp\Sync with MailChimp"


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return furnish(tmp_path)


def told(floor: Floor, who: str) -> Any:
    office = floor.office
    (one,) = explain(office.engine, office.connection, office.services(), who, now=office.clock.now)
    return one


def edits(floor: Floor) -> None:
    """A bit of everything, one thing per person."""
    office = floor.office
    office.maximizer.edit(floor.keys["both"], {r"Marketing\Plan": "Premium"})
    office.mailchimp.edit(floor.members["both"], {"REF": "R-2"})
    office.mailchimp.change_email(floor.members["lone"], "moved@birchmail.test")
    office.maximizer.edit(floor.keys["gone"], {"Email1": "gone2@birchmail.test"})
    office.maximizer.edit(floor.keys["plain"], {FLAG: "Yes"})
    office.maximizer.edit(floor.keys["mute"], {"Position": "Chef"})
    floor.members["fresh"] = office.subscribe("fresh@birchmail.test", "Fresh", "Reed", merge_fields={"REF": "-"})
    floor.members["left"] = office.subscribe("left@birchmail.test", "Left", "Reed", status="unsubscribed")


def test_what_is_foreseen_is_what_happens(floor: Floor) -> None:
    edits(floor)
    entries = {f"{key[0]}#{key[1]}": key for key in floor.office.entries()}
    everybody = [*entries, *floor.members.values()]
    foreseen = {}
    for who in everybody:
        one = told(floor, who)
        pair = (one.person.entry_id, one.person.contact_id)
        foreseen[pair] = sum(line.split(" ")[0] in ("Create", "Update", "Rename", "Bring") for line in one.next)
    document = floor.office.sync(full=True)
    made = floor.office.changes(document["run"])
    assert len(made) > 4
    for (entry, member), count in foreseen.items():
        mine = [
            row
            for row in made
            if (entry and (row["entry_id"] == entry or row["target"] in (entry, f"new:{entry}")))
            or (member and (row["contact_id"] == member or row["target"] in (member, f"new:{member}")))
        ]
        assert len(mine) == count, (entry, member, [json.loads(row["fields"]) for row in mine])


def test_after_a_sync_there_is_nothing_left_to_do(floor: Floor) -> None:
    edits(floor)
    floor.office.sync(full=True)
    floor.office.sync(full=True)
    for key in floor.office.entries():
        one = told(floor, f"{key[0]}#{key[1]}")
        assert not any(line.startswith(("Create", "Update", "Rename", "Bring")) for line in one.next), one.next


def test_everybody_is_found_by_every_name(floor: Floor) -> None:
    office = floor.office
    member = office.member(floor.members["both"])
    entry = "#".join(map(str, floor.keys["both"]))
    (link,) = [row for row in office.links() if row["entry_id"] == entry]
    names = [
        entry,
        member["contact_id"],
        member["email_address"].upper(),
        member["unique_email_id"],
        f"Link {link['id']}",
    ]
    for name in names:
        (found,) = find(office.engine, office.connection, office.services(), name)
        assert (found.entry_id, found.contact_id) == (entry, member["contact_id"]), name
    for name in ("nobody@birchmail.test", "1234567890", "x#0", "0" * 32, "no#body", "link 999"):
        assert find(office.engine, office.connection, office.services(), name) == [], name


def test_two_entries_with_one_address_are_both_told(floor: Floor) -> None:
    office = floor.office
    office.add("Twin", "Reed", "plain@birchmail.test", flag="Yes")
    found = explain(office.engine, office.connection, office.services(), "plain@birchmail.test", now=office.clock.now)
    assert len(found) == 2


def test_nothing_is_kept_of_what_was_looked_at(floor: Floor) -> None:
    """Option pairs that are found on the way are not stored: they would make the next run a full one."""
    office = floor.office
    office.maximizer.add_option(r"Marketing\Email Opt-In", "Surveys")
    before = office.connection
    told(floor, "both@birchmail.test")
    assert office.connection == before
