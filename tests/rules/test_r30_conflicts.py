"""R30 and R31 (who wins, field by field), R12 (what Mailchimp never writes), R32 and R15 where they meet these."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from harness import FLAG, Office

NewOffice = Callable[..., Office]
FILLED = {"POINTS": 1, "PLAN": "Plus", "REF": "x"}
REF, POINTS, JOINED = r"Marketing\Reference", r"Marketing\Loyalty Points", r"Marketing\Joined"
MAPPED = (("REF", REF), ("POINTS", POINTS), ("JOINED", JOINED), ("JOB", "Position"))
EITHER = pytest.mark.parametrize("setting", ["maximizer", "mailchimp"])


@pytest.fixture
def made(new_office: NewOffice) -> Office:
    found = new_office()
    for tag in ("POINTS", "PLAN", "REF"):
        found.mailchimp.edit_merge_field(found.list_id, tag, required=False)
    found.map_all(MAPPED)
    return found


def both(made: Office, contact: str, key: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """(REF, POINTS, JOB) on either side."""
    merge, udfs, entry = made.member(contact)["merge_fields"], made.udfs(key), made.entry(key)
    return (merge["REF"], merge["POINTS"], merge["JOB"]), (
        udfs["Reference"] or "",
        "" if udfs["Loyalty Points"] is None else udfs["Loyalty Points"],
        entry["Position"],
    )


def losers(made: Office) -> set[tuple[str, str, str]]:
    """(field, old, new) of what the last run wrote over somebody's value."""
    items = [i for row in made.changes(made.last.run_id) for i in json.loads(row["fields"])["set"]]
    return {(i["field"], i["old"], i["new"]) for i in items if i["old"] and not i["field"].startswith("#")}


@EITHER
def test_r30_first_meeting(made: Office, setting: str) -> None:
    made.set(conflict=setting)
    people = {
        "differ": ({"REF": "M", "POINTS": 1, "JOB": "Baker"}, {REF: "E", POINTS: 2, "Position": "Cook"}),
        "equal": ({"REF": "S", "POINTS": 1.5, "JOB": "Same"}, {REF: "S", POINTS: 1.50, "Position": "Same"}),
        "mine": ({"REF": "M", "POINTS": 1, "JOB": "Baker"}, {}),
        "theirs": ({}, {REF: "E", POINTS: 2, "Position": "Cook"}),
        "mixed": ({"REF": "M"}, {POINTS: 2}),
    }
    pairs = {name: made.met(f"{name}@lantern.test", *sides) for name, sides in people.items()}
    result = made.sync()
    ours = setting == "maximizer"
    expected = {
        "differ": (("E", 2, "Cook"), ("E", 2, "Cook")) if ours else (("M", 1, "Baker"), ("M", 1, "Cook")),
        "equal": (("S", 1.5, "Same"), ("S", 1.5, "Same")),
        "mine": (("M", 1, "Baker"), ("M", 1, "")),
        "theirs": (("E", 2, "Cook"), ("E", 2, "Cook")),
        "mixed": (("M", 2, ""), ("M", 2, "")),
    }
    assert {name: both(made, *pair) for name, pair in pairs.items()} == expected
    # A protected difference is no conflict (R12): Position differs under "MailChimp overrides" and is not counted.
    assert result["counts"]["conflicts"] == (3 if ours else 2)
    assert result["counts"]["protected"] == (1 if ours else 2)
    assert losers(made) >= {("REF", "M", "E") if ours else ("REF", "E", "M")}
    made.quiet(1)
    assert {name: both(made, *pair) for name, pair in pairs.items()} == expected


@EITHER
def test_r30_an_existing_entry_joins_the_list(made: Office, setting: str) -> None:
    """The member was there long before the entry's flag became Yes."""
    made.set(conflict=setting)
    made.sync()
    key = made.add("Ada", "Byron", "ada@lantern.test", udfs={REF: "E"}, Position="Cook")
    contact = made.subscribe("ada@lantern.test", "Ada", "Byron", status="unsubscribed", merge_fields={"REF": "M"})
    made.sync()
    assert both(made, contact, key)[0][0] == "M"  # nobody asked for it yet
    made.maximizer.edit(key, {FLAG: "Yes"})
    made.sync()
    value = "E" if setting == "maximizer" else "M"
    assert both(made, contact, key) == ((value, "", "Cook"), (value, "", "Cook"))
    made.quiet(1)


@EITHER
def test_r30_a_changed_mapping_meets_for_the_first_time_alone(made: Office, setting: str) -> None:
    made.maximizer.add_udf(r"Marketing\Other", "text")
    contact, key = made.met("ada@lantern.test", {"REF": "S", "POINTS": 1}, {REF: "S", POINTS: 1})
    made.sync()
    made.set(conflict=setting)
    made.maximizer.edit(key, {r"Marketing\Other": "E", POINTS: 5})
    made.map("REF", r"Marketing\Other")
    made.mailchimp.edit(contact, {"REF": "M"})
    assert made.connection.full_reason != ""
    made.sync()
    assert made.last.full
    value = "E" if setting == "maximizer" else "M"
    assert made.member(contact)["merge_fields"]["REF"] == made.entry(key)["udfs"][r"Marketing\Other"] == value
    assert made.udfs(key)["Reference"] == "S"  # no longer mapped: left alone
    assert made.member(contact)["merge_fields"]["POINTS"] == 5  # a later edit, not a first meeting
    made.quiet(1)


def test_r30_a_first_meeting_is_settled_for_an_empty_side_too(made: Office) -> None:
    """Both empty once; what is filled in later is an edit, whoever overrides."""
    contact, key = made.met("ada@lantern.test", {}, {})
    made.sync()
    made.mailchimp.edit(contact, {"REF": "M"})
    made.sync()
    assert both(made, contact, key)[1][0] == "M"
    made.mailchimp.edit(contact, {"REF": ""})
    made.sync()
    assert both(made, contact, key)[1][0] == ""
    made.quiet(1)


@EITHER
def test_r31_later_edits(made: Office, setting: str) -> None:
    made.set(conflict=setting)
    contact, key = made.met("ada@lantern.test", {"REF": "0", "POINTS": 0}, {REF: "0", POINTS: 0})
    made.sync()
    # Edits of different fields of one person both survive.
    made.mailchimp.edit(contact, {"REF": "M1"})
    made.maximizer.edit(key, {POINTS: 1})
    assert made.sync()["counts"]["conflicts"] == 0
    assert both(made, contact, key) == (("M1", 1, ""), ("M1", 1, ""))
    # Equal edits of the same field are adopted without a write.
    made.mailchimp.edit(contact, {"REF": "both", "POINTS": 2.0})
    made.maximizer.edit(key, {REF: "both", POINTS: 2})
    assert made.writes() == []
    # Different edits of the same field: the setting decides, and the loser is in the change log.
    made.mailchimp.edit(contact, {"REF": "M2"})
    made.maximizer.edit(key, {REF: "E2"})
    assert made.sync()["counts"]["conflicts"] == 1
    winner, loser = ("E2", "M2") if setting == "maximizer" else ("M2", "E2")
    assert both(made, contact, key)[0][0] == both(made, contact, key)[1][0] == winner
    assert losers(made) == {("REF", loser, winner)}
    assert [f["field"] for f in made.findings("conflict")] == ["REF"]
    # One side empties what the other one changes: an empty value is a value here.
    made.mailchimp.edit(contact, {"REF": ""})
    made.maximizer.edit(key, {REF: "E3"})
    made.sync()
    value = "E3" if setting == "maximizer" else ""
    assert both(made, contact, key)[0][0] == both(made, contact, key)[1][0] == value
    made.quiet(1)


def test_r31_who_differs_but_did_not_move_is_left_alone(made: Office) -> None:
    """Differences that were settled once (here: a protected one) are no news, whatever else changes."""
    contact, key = made.met("ada@lantern.test", {"JOB": "Baker"}, {})
    made.sync()
    made.maximizer.edit(key, {REF: "E"})
    made.set(conflict="mailchimp")
    made.sync()
    made.set(conflict="maximizer")
    made.quiet(1)
    assert both(made, contact, key) == (("E", "", "Baker"), ("E", "", ""))


@EITHER
def test_r12_basic_fields_of_existing_entries_are_protected(made: Office, setting: str) -> None:
    made.set(conflict=setting)
    made.map("PHONE", "Phone1")
    contact, key = made.met("ada@lantern.test", {"JOB": "Baker"}, {})
    made.sync()
    before = made.entry(key)
    made.mailchimp.edit(contact, {"FNAME": "Augusta", "LNAME": "King", "JOB": "Cook", "PHONE": "1"})
    result = made.sync()
    assert result["counts"]["protected"] == 4
    assert result["counts"]["conflicts"] == result["counts"]["maximizer"]["update"] == 0
    names = ("FirstName", "LastName", "Position", "Phone1")
    assert [made.entry(key)[n] for n in names] == [before[n] for n in names]
    made.quiet(1)
    assert made.member(contact)["merge_fields"]["FNAME"] == "Augusta"  # Mailchimp keeps its own
    made.maximizer.edit(key, {"FirstName": "Ada Augusta"})  # a Maximizer edit goes
    made.sync()
    assert made.member(contact)["merge_fields"]["FNAME"] == "Ada Augusta"
    # Both edited: Maximizer's goes or Mailchimp's stays; Maximizer's own is untouched in any case.
    made.mailchimp.edit(contact, {"FNAME": "A"})
    made.maximizer.edit(key, {"FirstName": "B"})
    made.sync()
    made.quiet(1)
    assert made.entry(key)["FirstName"] == "B"
    assert made.member(contact)["merge_fields"]["FNAME"] == ("B" if setting == "maximizer" else "A")


def test_r12_a_mapping_may_opt_out(made: Office) -> None:
    made.map_all([("JOB", "Position"), ("ADDRESS.city", "Address.City")], basic_update=True)
    contact, key = made.met("ada@lantern.test", {"JOB": "Baker"}, {"Phone1": "1", "Address.ZipCode": "89501"})
    made.sync()
    assert made.entry(key)["Position"] == "Baker"  # filled when empty
    home = {"addr1": "1 Elm St", "city": "Reno", "state": "NV", "zip": "89501"}
    made.mailchimp.edit(contact, {"JOB": "Cook", "FNAME": "Augusta", "ADDRESS": home})
    made.sync()
    entry = made.entry(key)
    assert (entry["Position"], entry["FirstName"], entry["Phone1"]) == ("Cook", "Ada", "1")
    assert (entry["Address"]["City"], entry["Address"]["ZipCode"]) == ("Reno", "89501")
    made.quiet(1)


def test_r15_first_push_onto_a_member_with_the_same_address(made: Office) -> None:
    contact = made.subscribe("ada@lantern.test", "Old", "Name", merge_fields={"JOB": "Baker"})
    key = made.add("Ada", "Byron", "Ada@Lantern.test", flag="Yes", udfs={REF: "E"})
    made.sync()
    merge = made.member(contact)["merge_fields"]
    assert (merge["FNAME"], merge["LNAME"], merge["REF"], merge["JOB"]) == ("Ada", "Byron", "E", "Baker")
    assert made.entry(key)["Position"] == ""
    made.quiet(1)


def test_c10_a_write_holds_what_changed_and_nothing_else(made: Office) -> None:
    contact, key = made.met("ada@lantern.test", {"REF": "0", "POINTS": 1}, {REF: "0", POINTS: 1})
    made.sync()
    made.maximizer.edit(key, {REF: "1"})
    made.mailchimp.edit(contact, {"POINTS": 2})
    to_member, to_entry = (json.loads(call.body) for call in made.writes())
    assert to_member == {"merge_fields": {"REF": "1"}}
    assert set(to_entry["AbEntry"]["Data"]) == {"Key", made.last.prepared.layout.mapping("POINTS").maximizer.ref}
