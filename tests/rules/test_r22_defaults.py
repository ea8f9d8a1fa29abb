"""R22 and R23: what a mandatory Mailchimp field gets whose Maximizer value is empty, and that it never flows back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from harness import Office

from storage import connections

NewOffice = Callable[..., Office]

ADDRESS = {"addr1": "-", "addr2": "", "city": "-", "state": "-", "zip": "-", "country": "US"}
# Every kind of field at the value that the rule names; the first cycle runs on 5 January 2026.
PLACEHOLDERS: dict[str, Any] = {
    "REF": "-",
    "JOB": "-",
    "POINTS": 0,
    "PLAN": "Basic",
    "REGION": "North",
    "JOINED": "2026-01-05",
    "BIRTHDAY": "01/05",
    "POSTCODE": "10000",
    "PHONE": "-",
    "WEBSITE": "http://www.google.com",
    "PHOTO": "http://www.google.com",
    "ADDRESS": ADDRESS,
}
UDFS = {
    "REF": "Reference",
    "POINTS": "Loyalty Points",
    "PLAN": "Plan",
    "REGION": "Region",
    "JOINED": "Joined",
    "BIRTHDAY": "Birthday",
    "POSTCODE": "Billing ZIP",
    "PHOTO": "Photo",
}
TRUE_MEMBER = {
    "REF": "00123",
    "JOB": "Baker",
    "POINTS": 7.5,
    "PLAN": "Premium",
    "REGION": "West",
    "JOINED": "2020-02-29",
    "BIRTHDAY": "02/29",
    "POSTCODE": "94105",
    "PHONE": "+1 415 555 0100",
    "WEBSITE": "https://lantern.test/a",
    "PHOTO": "https://lantern.test/a.png",
    "ADDRESS": {"addr1": "1 Elm St", "addr2": "", "city": "Reno", "state": "NV", "zip": "89501", "country": "US"},
}
TRUE_ENTRY = {
    r"Marketing\Reference": "00123",
    "Position": "Baker",
    r"Marketing\Loyalty Points": 7.5,
    r"Marketing\Plan": "Premium",
    r"Marketing\Region": "West",
    r"Marketing\Joined": "2020-02-29",
    r"Marketing\Birthday": "2000-02-29",
    r"Marketing\Billing ZIP": "94105",
    "Phone1": "+1 415 555 0100",
    "WebSite": "https://lantern.test/a",
    r"Marketing\Web\Photo": "https://lantern.test/a.png",
    "Address.AddressLine1": "1 Elm St",
    "Address.City": "Reno",
    "Address.StateProvince": "NV",
    "Address.ZipCode": "89501",
    "Address.Country": "USA",
}
BASICS = ("Position", "Phone1", "WebSite")
DAY = 86_400


def demanding(new_office: NewOffice) -> Office:
    """An office whose list requires every field that is mapped (but groups, which cannot be required)."""
    made = new_office()
    for tag in PLACEHOLDERS:
        made.mailchimp.edit_merge_field(made.list_id, tag, required=True)
    made.map_all(m for m in made.world.suggested_mappings() if m[0] != "MOBILE")
    return made


def lost(made: Office) -> None:
    """Everything that was remembered of the pairs is gone; the mappings stay."""
    connections.end_links(made.engine, made.connection.id, "the store was lost")


def shown(made: Office, email: str) -> dict[str, Any]:
    merge = made.merge(email)
    return {tag: merge[tag] for tag in PLACEHOLDERS}


def nothing_came_back(made: Office, key: tuple[str, int]) -> None:
    entry = made.entry(key)
    assert {name: entry[name] for name in BASICS} == dict.fromkeys(BASICS, "")
    assert {name: made.udfs(key)[name] for name in UDFS.values()} == dict.fromkeys(UDFS.values())
    assert set(entry["Address"].values()) == {""}


def test_r22_placeholders_of_a_new_member_stay_and_never_flow_back(new_office: NewOffice) -> None:
    made = demanding(new_office)
    key = made.add("Ada", "Byron", "ada@lantern.test", flag="Yes")
    result = made.sync()
    assert shown(made, "ada@lantern.test") == PLACEHOLDERS
    assert result["counts"]["placeholders"] >= len(PLACEHOLDERS)
    made.clock.advance(DAY)  # "today" was chosen once
    made.quiet(1)
    made.clock.advance(400 * DAY)
    assert made.writes(made.backfill) == []
    assert shown(made, "ada@lantern.test") == PLACEHOLDERS
    nothing_came_back(made, key)

    true = TRUE_ENTRY | {"Address.Country": "Canada"}
    made.maximizer.edit(key, true)
    made.sync()
    assert shown(made, "ada@lantern.test") == TRUE_MEMBER | {"ADDRESS": TRUE_MEMBER["ADDRESS"] | {"country": "CA"}}
    made.quiet(1)


def test_r22_placeholders_when_true_values_are_emptied(new_office: NewOffice) -> None:
    made = demanding(new_office)
    _, key = made.met("ada@lantern.test", TRUE_MEMBER, TRUE_ENTRY)
    made.sync()
    assert shown(made, "ada@lantern.test") == TRUE_MEMBER
    made.maximizer.edit(key, dict.fromkeys(TRUE_ENTRY))
    made.sync()
    assert shown(made, "ada@lantern.test") == PLACEHOLDERS
    made.clock.advance(2 * DAY)
    made.quiet(1)
    nothing_came_back(made, key)


def test_r22_first_meeting_of_empty_with_empty_and_with_true_values(new_office: NewOffice) -> None:
    made = demanding(new_office)
    _, blank = made.met("blank@lantern.test", {}, {})
    _, full = made.met("full@lantern.test", TRUE_MEMBER, {})
    made.sync()
    assert shown(made, "blank@lantern.test") == PLACEHOLDERS
    assert shown(made, "full@lantern.test") == TRUE_MEMBER  # a person's own values are never replaced by ours
    udfs = made.udfs(full)
    assert udfs["Reference"] == "00123"
    assert udfs["Loyalty Points"] == 7.5
    assert made.entry(full)["Position"] == ""  # basic: protected (R12)
    made.quiet(1)
    nothing_came_back(made, blank)


def test_r23_a_persons_own_later_value_flows(new_office: NewOffice) -> None:
    made = demanding(new_office)
    key = made.add("Ada", "Byron", "ada@lantern.test", flag="Yes")
    made.sync()
    member = made.by_email("ada@lantern.test")
    assert member is not None
    made.mailchimp.edit(member["contact_id"], TRUE_MEMBER)
    made.sync()
    udfs = made.udfs(key)
    assert {tag: udfs[name] for tag, name in UDFS.items()} == {
        **{tag: TRUE_MEMBER[tag] for tag in UDFS if tag != "BIRTHDAY"},
        "BIRTHDAY": "2024-02-29",
    }
    assert {made.entry(key)[name] for name in BASICS} == {""}  # protected (R12)
    made.quiet(1)
    assert shown(made, "ada@lantern.test") == TRUE_MEMBER


def test_r23_what_a_person_takes_away_and_chooses_anew_is_theirs(new_office: NewOffice) -> None:
    """It reads like our placeholder, but nobody wrote it for want of a value; "-" stays one by sight."""
    made = demanding(new_office)
    key = made.add("Ada", "Byron", "ada@lantern.test", flag="Yes")
    made.sync()
    member = made.by_email("ada@lantern.test")
    assert member is not None
    made.mailchimp.edit(member["contact_id"], {"PLAN": "", "REF": "", "JOINED": ""})
    made.sync()
    made.mailchimp.edit(member["contact_id"], {"PLAN": "Basic", "REF": "-", "JOINED": "2026-01-05"})
    made.sync()
    udfs = made.udfs(key)
    assert (udfs["Plan"], udfs["Joined"], udfs["Reference"]) == ("Basic", "2026-01-05", None)
    made.quiet(1)


def own_only(made: Office, key: tuple[str, int]) -> None:
    """The entry has its own UDF value and none of the member's placeholders."""
    udfs = made.udfs(key)
    assert udfs["Billing ZIP"] == "94105"
    assert {udfs[name] for name in UDFS.values() if name != "Billing ZIP"} == {None}
    assert {made.entry(key)[name] for name in BASICS} == {""}
    assert set(made.entry(key)["Address"].values()) == {""}


@pytest.mark.parametrize("store", ["kept", "lost"])
def test_r10_r16_r23_an_entry_is_made_anew_without_the_placeholders_of_its_member(
    new_office: NewOffice, store: str
) -> None:
    """Without a store those that everybody knows by sight are left out."""
    made = demanding(new_office)
    key = made.add("Ada", "Byron", "ada@lantern.test", flag="Yes", udfs={r"Marketing\Billing ZIP": "94105"})
    made.sync()
    made.maximizer.remove(key)
    if store == "lost":
        lost(made)
    made.backfill()
    (again,) = made.entries("ada@lantern.test")
    if store == "kept":
        own_only(made, again)
    udfs = made.udfs(again)
    assert (udfs["Reference"], udfs["Photo"], udfs["Billing ZIP"]) == (None, None, "94105")
    assert {made.entry(again)[name] for name in BASICS} == {""}
    made.quiet(1)
    made.maximizer.edit(again, {r"Marketing\Loyalty Points": 5, r"Marketing\Reference": "R-5"})
    made.sync()
    assert (made.merge("ada@lantern.test")["POINTS"], made.merge("ada@lantern.test")["REF"]) == (5, "R-5")
    made.quiet(1)


def test_r13_r23_a_new_address_takes_no_placeholder_to_its_new_entry(new_office: NewOffice) -> None:
    made = demanding(new_office)
    made.add("Ada", "Byron", "ada@lantern.test", flag="Yes", udfs={r"Marketing\Billing ZIP": "94105"})
    made.sync()
    member = made.by_email("ada@lantern.test")
    assert member is not None
    made.mailchimp.change_email(member["contact_id"], "lovelace@lantern.test")
    made.sync()
    made.sync()
    (new,) = made.entries("lovelace@lantern.test")
    own_only(made, new)
    made.quiet(1)


def test_r09_r23_who_meets_another_entry_brings_it_no_placeholder(new_office: NewOffice) -> None:
    """Its own entry is gone; the one that has its address too is empty where the first one was."""
    made = demanding(new_office)
    made.set(conflict="mailchimp")
    key = made.add("Ada", "Byron", "ada@lantern.test", flag="Yes", udfs={r"Marketing\Billing ZIP": "94105"})
    made.sync()
    made.maximizer.remove(key)
    other = made.add("Ada", "Byron", "ada@lantern.test")
    made.clock.advance(3 * DAY)  # today is another one
    made.backfill()
    made.backfill()
    assert made.entries("ada@lantern.test") == [other]
    own_only(made, other)
    made.quiet(1)


def test_r23_lost_store_takes_what_stands_in_for_a_placeholder(new_office: NewOffice) -> None:
    made = demanding(new_office)
    for name, value in (("ada", None), ("bob", "Real"), ("eve", "-")):
        key = made.add(name, "Byron", f"{name}@lantern.test", flag="Yes")
        made.maximizer.edit(key, {r"Marketing\Reference": value})
    made.set(conflict="mailchimp")
    made.sync()
    keys = {name: made.entries(f"{name}@lantern.test")[0] for name in ("ada", "bob", "eve")}
    lost(made)
    bob = made.by_email("bob@lantern.test")
    assert bob is not None
    # Nobody remembers that this one is a placeholder; it must not cost a true value even if Mailchimp overrides.
    made.mailchimp.edit(bob["contact_id"], {"REF": "-"})
    made.sync()
    made.quiet(1)
    assert {name: made.udfs(key)["Reference"] for name, key in keys.items()} == {"ada": None, "bob": "Real", "eve": "-"}
    assert made.udfs(keys["ada"])["Billing ZIP"] is None
    assert made.udfs(keys["ada"])["Photo"] is None
    assert made.merge("bob@lantern.test")["REF"] == "Real"
    assert made.entry(keys["ada"])["WebSite"] == ""


def test_r23_removed_and_added_again(new_office: NewOffice) -> None:
    made = demanding(new_office)
    keys = {}
    for name in ("ada", "bob", "eve"):
        keys[name] = made.add(name, "Byron", f"{name}@lantern.test", flag="Yes")
    made.sync()
    for tag in ("REF", "POINTS", "JOINED"):
        made.unmap(tag)
    made.clock.advance(3 * DAY)
    made.sync()
    bob = made.by_email("bob@lantern.test")
    assert bob is not None
    own = {"REF": "mine", "POINTS": 4, "JOINED": "2019-01-01"}
    made.mailchimp.edit(bob["contact_id"], own)
    made.maximizer.edit(keys["eve"], {r"Marketing\Reference": "true", r"Marketing\Loyalty Points": 5})
    made.set(conflict="mailchimp")
    made.map_all(m for m in made.world.suggested_mappings() if m[0] in ("REF", "POINTS", "JOINED"))
    made.sync()
    made.quiet(1)
    names = ("Reference", "Loyalty Points", "Joined")
    assert [made.udfs(keys["ada"])[name] for name in names] == [None, None, None]
    assert [made.udfs(keys["bob"])[name] for name in names] == ["mine", 4, "2019-01-01"]
    assert made.merge("ada@lantern.test")["JOINED"] == "2026-01-05"
    assert made.merge("eve@lantern.test")["REF"] == "true"
    assert made.merge("eve@lantern.test")["POINTS"] == 5


def test_r22_where_the_true_value_cannot_go(new_office: NewOffice) -> None:
    """The member is made with the placeholder, the true value is reported, kept, and goes when it has been mended."""
    made = demanding(new_office)
    made.set(conflict="mailchimp")
    bad = {
        r"Marketing\Web\Photo": "not a link",
        r"Marketing\Billing ZIP": "K1A 0B1",
        r"Marketing\Plan": "Platinum",
        "Address.Country": "Atlantis",
    }
    key = made.add("Ada", "Byron", "ada@lantern.test", flag="Yes")
    made.maximizer.edit(key, bad)
    made.sync()
    made.quiet(1)
    assert shown(made, "ada@lantern.test") == PLACEHOLDERS
    udfs = made.udfs(key)
    assert (udfs["Photo"], udfs["Billing ZIP"], udfs["Plan"]) == ("not a link", "K1A 0B1", "Platinum")
    assert {f["field"] for f in made.findings("withheld")} == {"PHOTO", "POSTCODE", "PLAN", "ADDRESS.country"}
    good = {r"Marketing\Web\Photo": "https://lantern.test/a.png", r"Marketing\Billing ZIP": "94105"}
    made.maximizer.edit(key, good | {r"Marketing\Plan": "Plus", "Address.Country": "Mexico"})
    made.sync()
    merge = made.merge("ada@lantern.test")
    assert (merge["PHOTO"], merge["POSTCODE"], merge["PLAN"]) == ("https://lantern.test/a.png", "94105", "Plus")
    assert merge["ADDRESS"] == ADDRESS | {"country": "MX"}
    made.quiet(1)
    assert made.findings("withheld") == []


def test_r22_a_field_that_becomes_mandatory_later(new_office: NewOffice) -> None:
    made = new_office()
    made.map_all([("JOINED", r"Marketing\Joined"), ("JOB", r"Marketing\Reference")])
    _, key = made.met("ada@lantern.test", {"POINTS": 1, "PLAN": "Plus", "REF": "x"}, {})
    made.sync()
    for tag in ("JOINED", "JOB", "PHOTO"):
        made.mailchimp.edit_merge_field(made.list_id, tag, required=True)
    made.maximizer.edit(key, {"FirstName": "Augusta"})
    made.sync()
    made.clock.advance(2 * DAY)
    made.quiet(1)
    merge = made.merge("ada@lantern.test")
    assert (merge["FNAME"], merge["JOINED"], merge["JOB"]) == ("Augusta", "2026-01-05", "-")
    # Mandatory and not mapped: left alone on update, filled or empty.
    assert (merge["POINTS"], merge["PLAN"], merge["REF"], merge["PHOTO"]) == (1, "Plus", "x", "")
    assert (made.udfs(key)["Joined"], made.udfs(key)["Reference"]) == (None, None)


def test_r22_mandatory_without_a_mapping(new_office: NewOffice) -> None:
    made = new_office()
    made.add("Ada", "Byron", "ada@lantern.test", flag="Yes")
    made.sync()
    merge = made.merge("ada@lantern.test")
    assert (merge["REF"], merge["POINTS"], merge["PLAN"]) == ("-", 0, "Basic")
    assert {f.tag for f in made.last.prepared.unmapped_required} == {"REF", "POINTS", "PLAN"}
    made.quiet(1)


def test_r10_address_in_place_of_a_last_name_stays_here(new_office: NewOffice) -> None:
    made = new_office()
    made.subscribe("ada@lantern.test")
    made.sync()
    (key,) = made.entries("ada@lantern.test")
    assert made.entry(key)["LastName"] == "ada@lantern.test"
    made.quiet(1)
    lost(made)
    made.sync()
    made.unmap("LNAME")
    made.sync()
    made.map("LNAME", "LastName")
    made.quiet(1)
    assert made.merge("ada@lantern.test")["LNAME"] == ""
    made.maximizer.edit(key, {"LastName": "Byron"})
    made.quiet(1)
    assert made.merge("ada@lantern.test")["LNAME"] == "Byron"


def test_r22_a_format_that_forbids_the_placeholder_stops_nobody(new_office: NewOffice) -> None:
    """A phone field with US format may refuse "-": what nobody entered is no reason to hold a person back."""
    made = demanding(new_office)
    made.mailchimp.edit_merge_field(made.list_id, "MOBILE", required=True)
    made.map("MOBILE", "Phone2")
    keys = [made.add(name, "Byron", f"{name}@lantern.test", flag="Yes") for name in ("ada", "bob")]
    made.maximizer.edit(keys[1], {"Phone2": "(415) 555-0100"})
    made.sync()
    assert [made.merge(f"{name}@lantern.test")["MOBILE"] for name in ("ada", "bob")] == ["-", "415-555-0100"]
    made.maximizer.edit(keys[0], {r"Marketing\Reference": "R1"})
    made.maximizer.edit(keys[1], {"Phone2": None})
    made.sync()
    assert made.merge("ada@lantern.test")["REF"] == "R1"
    assert made.merge("bob@lantern.test")["MOBILE"] == "-"
    made.quiet(1)
    assert made.quarantined() == []


# ------------------------------------------------------------------ what nobody planned, and what a person chose


def test_r22_an_unmapped_mandatory_field_of_a_member_is_left_alone(new_office: NewOffice) -> None:
    """Filled or empty: it is in no plan, so it is in no body; the placeholder of a new member stands in the plan."""
    made = new_office(mappings=[("JOB", r"Marketing\Reference")])
    for tag in ("REF", "POINTS", "PLAN", "JOINED", "ADDRESS"):
        made.mailchimp.edit_merge_field(made.list_id, tag, required=True)
    _, key = made.met("blank@lantern.test", {}, {r"Marketing\Reference": "Baker"})
    made.met("full@lantern.test", {"REF": "own", "POINTS": 4}, {r"Marketing\Reference": "Cook"})
    made.add("New", "Byron", "new@lantern.test", flag="Yes")
    told = made.sync()
    assert told["counts"]["placeholders"] == 8  # of the new member alone, an address in its four parts
    merge = made.merge("blank@lantern.test")
    assert {tag: merge[tag] for tag in ("REF", "POINTS", "PLAN", "JOINED", "ADDRESS", "JOB")} == {
        **dict.fromkeys(("REF", "POINTS", "PLAN", "JOINED", "ADDRESS"), ""),
        "JOB": "Baker",
    }
    assert (made.merge("full@lantern.test")["REF"], made.merge("full@lantern.test")["POINTS"]) == ("own", 4)
    new = made.merge("new@lantern.test")
    assert (new["REF"], new["POINTS"], new["JOINED"]) == ("-", 0, "2026-01-05")
    assert {new["ADDRESS"][part] for part in ("addr1", "city", "state", "zip")} == {"-"}
    logged = " ".join(str(row["fields"]) for row in made.changes(told["run"]) if row["op"] == "create")
    assert logged.count('"note":"placeholder:') == 8
    made.quiet(1)
    made.maximizer.edit(key, {r"Marketing\Reference": "Miller", "FirstName": "Augusta"})
    made.sync()
    assert made.merge("blank@lantern.test") | {"FNAME": "Augusta", "JOB": "Miller"} == made.merge("blank@lantern.test")
    assert made.merge("blank@lantern.test")["REF"] == ""
    made.quiet(1)


CHOSEN = {"POINTS": 0, "PLAN": "Basic", "REGION": "North", "JOINED": "2026-01-05", "BIRTHDAY": "01/05"}
IN_ENTRY = {"POINTS": 0, "PLAN": "Basic", "REGION": "North", "JOINED": "2026-01-05", "BIRTHDAY": "2026-01-05"}
BY_SIGHT = {"REF": "-", "POSTCODE": "10000", "PHOTO": "http://www.google.com"}


def chosen_reached(made: Office, key: tuple[str, int]) -> None:
    udfs = made.udfs(key)
    assert {tag: udfs[UDFS[tag]] for tag in IN_ENTRY} == IN_ENTRY
    assert {udfs[UDFS[tag]] for tag in BY_SIGHT} == {None}


def test_r23_what_a_member_chose_reaches_an_empty_entry(new_office: NewOffice) -> None:
    """At a first meeting, after a lost store and with an added mapping: a choice that reads like ours is a value."""
    made = demanding(new_office)
    _, key = made.met("ada@lantern.test", CHOSEN | BY_SIGHT, {})
    told = made.sync()
    chosen_reached(made, key)
    # Beside the new values only what nobody has is filled in.
    assert shown(made, "ada@lantern.test") == PLACEHOLDERS
    assert told["counts"]["placeholders"] == len(PLACEHOLDERS) - len(CHOSEN) - len(BY_SIGHT) + 3
    made.quiet(1)

    made.maximizer.edit(key, dict.fromkeys([r"Marketing\Plan", r"Marketing\Loyalty Points"]))
    lost(made)
    made.sync()
    chosen_reached(made, key)
    made.quiet(1)


def test_r23_an_added_mapping_takes_what_members_chose(new_office: NewOffice) -> None:
    made = new_office()
    for tag in CHOSEN | BY_SIGHT:
        made.mailchimp.edit_merge_field(made.list_id, tag, required=True)
    _, key = made.met("ada@lantern.test", CHOSEN | BY_SIGHT, {})
    made.sync()
    made.map_all(m for m in made.world.suggested_mappings() if m[0] in CHOSEN | BY_SIGHT)
    made.sync()
    chosen_reached(made, key)
    made.quiet(1)


def test_r23_a_new_entry_takes_what_its_member_chose(new_office: NewOffice) -> None:
    made = demanding(new_office)
    made.subscribe("ada@lantern.test", "Ada", "Byron", merge_fields=CHOSEN | BY_SIGHT)
    made.sync()
    (key,) = made.entries("ada@lantern.test")
    chosen_reached(made, key)
    made.quiet(1)


def test_r23_a_value_that_only_looks_like_another_kinds_placeholder_is_a_value(new_office: NewOffice) -> None:
    made = demanding(new_office)
    _, key = made.met("ada@lantern.test", {"POINTS": 10000, "REF": "10000", "PHOTO": "http://www.google.com/a"}, {})
    made.sync()
    udfs = made.udfs(key)
    assert (udfs["Loyalty Points"], udfs["Reference"], udfs["Photo"]) == (10000, "10000", "http://www.google.com/a")
    made.quiet(1)
