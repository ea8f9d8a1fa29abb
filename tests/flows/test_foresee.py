"""``explain`` foresees what the next run does: the very changes, for everybody, whatever has happened."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from floor import Floor, furnish
from harness import MARKER, office

from domain.errors import Blocked, Misconfigured
from flows import foresee
from flows.forecast import QUIET
from flows.foresee import explain
from flows.person import by_entry, find
from storage import connections, runs

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
    for name in ("nobody@birchmail.test", "1234567890", "x#0", "0" * 32, "link 999"):
        assert find(office.engine, office.connection, office.services(), name) == [], name
    for name in ("", "  ", "%", "*", "no#body", "ann @birchmail.test"):
        with pytest.raises(Misconfigured, match=r"nobody is named|names nobody"):
            find(office.engine, office.connection, office.services(), name)


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


def twins(floor: Floor) -> str:
    """Two flagged entries with one address, which wait since a run; the first one's key."""
    office = floor.office
    floor.keys["twin"] = office.add("Twin", "Reed", "plain@birchmail.test", flag="Yes")
    office.maximizer.edit(floor.keys["plain"], {FLAG: "Yes"})
    office.sync()
    return "#".join(map(str, floor.keys["plain"]))


def test_whoever_waits_is_told_so_and_with_which_number(floor: Floor) -> None:
    key = twins(floor)
    (row,) = [row for row in floor.office.quarantined() if row["key"] == key]
    one = told(floor, key)
    (line,) = one.next
    assert line.startswith(
        f"Nothing: it waits in quarantine (number {row['id']}) because several entries have this e-mail address (R9); "
    )
    assert line.endswith(f"; `maxchimp quarantine release {row['id']}` has it tried again.")
    assert (one.verdict.state, one.verdict.rule) == ("not", "R9")
    (waits,) = one.to_json()["forecast"]["waits"]
    assert (waits["number"], waits["key"], waits["rule"]) == (row["id"], key, "R9")
    assert one.to_json()["forecast"]["steps"] == ()
    # The page says the same.
    visitor = floor.visitor()
    visitor.launch("ADA", floor.keys["plain"])
    assert html.escape(line) in visitor.post("/api/tab/fields").text
    # A person has mended it: the next run goes on, with both.
    floor.office.maximizer.edit(floor.keys["twin"], {"Email1": "twin@birchmail.test"})
    one = told(floor, key)
    assert [line.split(":")[0] for line in one.next] == [
        "Create the member",
        "Update the entry",
        f"Number {row['id']} in quarantine is settled.",
    ]
    assert one.verdict.sentence.startswith("Waits for a person")


def test_a_candidate_of_an_ambiguous_match_is_not_linked(floor: Floor) -> None:
    office = floor.office
    keys = [office.add(name, "Reed", "torn@birchmail.test") for name in ("One", "Two")]
    office.subscribe("torn@birchmail.test", "Torn", "Reed")
    for key in keys:
        one = told(floor, "#".join(map(str, key)))
        assert [line.split(":")[0] for line in one.next] == ["Nothing but set aside for a person"]
        assert (one.verdict.state, one.verdict.sentence) == (
            "not",
            "Waits for a person: several entries match this member.",
        )
    everybody = explain(
        office.engine, office.connection, office.services(), "torn@birchmail.test", now=office.clock.now
    )
    assert len(everybody) == 2


def test_an_address_that_is_held_names_both(floor: Floor) -> None:
    office = floor.office
    key = office.add("Other", "Reed", "both@birchmail.test", flag="Yes")
    linked, other = explain(
        office.engine, office.connection, office.services(), "both@birchmail.test", now=office.clock.now
    )
    assert linked.next == (QUIET,)
    assert other.person.entry_id == "#".join(map(str, key))
    assert "held by" in other.next[0] or "linked already" in other.next[0]


def test_what_only_a_full_run_may_conclude_is_told_apart(floor: Floor) -> None:
    floor.office.mailchimp.delete_permanently(floor.members["both"])
    one = told(floor, "#".join(map(str, floor.keys["both"])))
    assert one.next[0].startswith("Nothing: ")
    assert one.next[1:] == ("Only in a full run (maxchimp backfill): Update the entry: Sync with MailChimp (R14).",)
    assert [step["side"] for step in one.to_json()["forecast_full"]["steps"]] == ["maximizer"]


# ---------------------------------------------------------------- a run that is stopped as a whole


def halted(floor: Floor, who: str) -> Any:
    one = told(floor, who)
    assert one.next[0].startswith("Nothing before this is settled: ")
    assert one.forecast.halted
    return one


def test_a_list_without_groups(floor: Floor) -> None:
    office = floor.office
    office.mailchimp.audiences[office.list_id].categories.clear()
    one = halted(floor, "both@birchmail.test")
    assert "This list does not have interest groups enabled." in one.next[0]
    visitor = floor.visitor()
    visitor.launch("ADA", floor.keys["both"])
    assert "This list does not have interest groups enabled." in visitor.post("/api/tab/fields").text
    with pytest.raises(Blocked):
        office.sync()


def test_r43_of_a_wrong_address_book_only_what_is_remembered(floor: Floor) -> None:
    office = floor.office
    (link,) = [row for row in office.links() if row["contact_id"] == floor.members["both"]]
    connections.update(office.engine, office.connection.id, address_book="Another")
    for who in ("both@birchmail.test", link["contact_id"], link["entry_id"], f"link {link['id']}"):
        one = halted(floor, who)
        assert "the wrong Address Book" in one.next[0]
        assert (one.person.entry, one.person.member) == (None, None)
        assert one.person.entry_id == link["entry_id"]
        assert one.fields == ()
    with pytest.raises(Blocked):
        told(floor, "plain@birchmail.test")


def test_a_guard_that_stopped_the_last_run(floor: Floor) -> None:
    office = floor.office
    for contact_id in floor.members.values():
        office.mailchimp.delete_permanently(contact_id)
    assert told(floor, "#".join(map(str, floor.keys["both"]))).forecast.halted is None
    with pytest.raises(Blocked) as refused:
        office.backfill(yes=False)
    run = max(one.id for one in runs.latest(office.engine, office.connection.id))
    one = halted(floor, "#".join(map(str, floor.keys["both"])))
    assert one.forecast.halted.by == refused.value.reason == "empty"
    assert f"run {run} was stopped: {refused.value.message}" in one.next[0]
    office.sync(full=True)
    assert told(floor, "#".join(map(str, floor.keys["both"]))).forecast.halted is None


def test_a_first_sync_that_nobody_let_through(tmp_path: Path) -> None:
    made = office(tmp_path)
    made.subscribe("ann@birchmail.test", "Ann", "Reed")
    (one,) = explain(made.engine, made.connection, made.services(), "ann@birchmail.test", now=made.clock.now)
    first, then, *rest = one.next
    assert first.startswith("Nothing before this is settled: the first sync")
    assert then == "After that, as things are now:"
    assert rest[0].startswith("Create the entry: ")
    with pytest.raises(Blocked) as refused:
        made.sync(yes=False)
    assert refused.value.reason == one.forecast.halted.by == "first-sync"
    made.sync()
    (one,) = explain(made.engine, made.connection, made.services(), "ann@birchmail.test", now=made.clock.now)
    assert one.next == (QUIET,)


def test_a_mailchimp_that_does_not_answer_is_no_forecast(floor: Floor) -> None:
    visitor = floor.visitor()
    visitor.launch("ADA", floor.keys["both"])
    one = by_entry(*_place(floor), "#".join(map(str, floor.keys["both"])))
    (unknown,) = foresee.told(*_place(floor), [replace(one, member=None, member_problem="no answer")])
    assert unknown.next == ("Not known: Mailchimp could not be asked (no answer).",)
    assert unknown.to_json()["forecast"] is None


def _place(floor: Floor) -> tuple[Any, Any, Any]:
    return floor.office.engine, floor.office.connection, floor.office.services()


def test_an_entry_beside_the_one_that_is_meant_is_not_linked(floor: Floor) -> None:
    """The MailChimp ID leads elsewhere: who only shares the address hears of it, and of nobody's values."""
    office = floor.office
    contact_id = office.subscribe("torn@birchmail.test", "Torn", "Reed")
    uid = office.member(contact_id)["unique_email_id"]
    marked = office.add("One", "Reed", "torn@birchmail.test", udfs={MARKER: uid, r"Marketing\Reference": "R-7"})
    beside = office.add("Two", "Reed", "other@birchmail.test")
    office.maximizer.edit(beside, {"Email2": "torn@birchmail.test"})
    one = told(floor, "#".join(map(str, marked)))
    assert one.next[0] == "Link the member and the entry."
    assert one.verdict.sentence == "Found on both sides: the next run links them."
    assert {row["tag"]: row["next"] for row in one.fields}["REF"] == "R-7 is written to Mailchimp (R31)"
    office.maximizer.edit(beside, {"Email1": "torn@birchmail.test"})
    one = told(floor, "#".join(map(str, beside)))
    assert one.verdict.state == "not"
    assert "Link the member and the entry." not in one.next
    assert {row["next"] for row in one.fields} == {""}


def test_a_member_who_names_an_entry_of_another_is_told_of_themselves(floor: Floor) -> None:
    office = floor.office
    contact_id = office.subscribe("stray@birchmail.test", "Stray", "Reed")
    client_id, number = floor.keys["both"]
    office.mailchimp.edit(contact_id, {"CLIENTID": client_id, "CONTACTNO": number})
    found = find(office.engine, office.connection, office.services(), "stray@birchmail.test")
    assert contact_id in {person.contact_id for person in found}
