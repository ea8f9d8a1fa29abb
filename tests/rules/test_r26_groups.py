"""R26 and R28 for options: groups, radio buttons and drop-downs against tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from harness import Office

NewOffice = Callable[..., Office]
FILLED = {"POINTS": 1, "PLAN": "Plus", "REF": "x"}
OPT_IN, TYPE, PLAN = r"Marketing\Email Opt-In", r"Marketing\Customer Type", r"Marketing\Plan"


@pytest.fixture
def made(new_office: NewOffice) -> Office:
    found = new_office()
    found.map_all([("group:Email Profile", OPT_IN), ("group:Customer Type", TYPE), ("PLAN", PLAN)])
    return found


def person(made: Office, name: str, interests: list[str], tables: dict[str, Any], **merge: Any) -> tuple[str, Any]:
    more = {"interests": interests}
    return made.met(f"{name}@lantern.test", FILLED | merge, tables, **more)


def interests(made: Office, contact_id: str) -> set[str]:
    """Labels of what a member has chosen."""
    audience = made.mailchimp.audiences[made.list_id]
    chosen = made.member(contact_id)["interests"]
    return {audience.interests[key].name for key, on in chosen.items() if on}


def category(made: Office, title: str) -> str:
    found = made.mailchimp.audiences[made.list_id].categories.values()
    return next(one.id for one in found if one.title == title)


def table(made: Office, key: Any, path: str = OPT_IN) -> set[str]:
    return set(made.entry(key)["udfs"][path])


def test_r26_sets_move_option_by_option_and_unpaired_ones_stay(made: Office) -> None:
    """Surveys is known to Mailchimp alone, Printed Catalogue to Maximizer alone."""
    contact, key = person(made, "ada", ["Newsletter", "Surveys"], {OPT_IN: ["Newsletter", "Printed Catalogue"]})
    made.sync()
    assert (interests(made, contact), table(made, key)) == (
        {"Newsletter", "Surveys"},
        {"Newsletter", "Printed Catalogue"},
    )
    made.mailchimp.edit(contact, interests={"Events": True})
    made.sync()
    assert table(made, key) == {"Newsletter", "Events", "Printed Catalogue"}
    made.maximizer.edit(key, {OPT_IN: ["Events", "Special Offers"]})
    made.sync()
    assert interests(made, contact) == {"Events", "Special Offers", "Surveys"}
    made.maximizer.edit(key, {OPT_IN: ["Events", "Special Offers", "Printed Catalogue"]})
    assert made.writes() == []  # nothing of this concerns Mailchimp
    made.mailchimp.edit(contact, interests=[])
    made.sync()
    assert table(made, key) == {"Printed Catalogue"}
    made.mailchimp.edit(contact, interests=["Surveys"])
    assert made.writes() == []
    made.quiet(1)
    assert {f["field"]: f["problem"] for f in made.findings("unmapped")} == {
        "group:Email Profile": "no option 'Printed Catalogue' there; no option 'Surveys' there"
    }


def test_r28_unpaired_options_stay_reported_while_they_are_there(made: Office) -> None:
    _, key = person(made, "ada", [], {OPT_IN: ["Printed Catalogue"]})
    made.sync()
    for n in range(2):
        made.maximizer.edit(key, {"FirstName": f"Ada {n}"})
        made.sync()
        assert [f["problem"] for f in made.findings("unmapped")] == ["no option 'Printed Catalogue' there"]
    made.maximizer.edit(key, {OPT_IN: []})
    made.sync()
    assert made.findings("unmapped") == []


def test_r26_a_group_that_takes_one_option(made: Office) -> None:
    contact, key = person(made, "ada", [], {TYPE: ["Retail", "Partner"]})
    _, new = "", made.add("Bob", "Byron", "bob@lantern.test", flag="Yes", udfs={TYPE: ["Retail", "Partner"]})
    made.maximizer.edit(key, {"FirstName": "Augusta"})
    made.sync()
    made.quiet(1)
    assert interests(made, contact) == set()
    assert made.merge("ada@lantern.test")["FNAME"] == "Augusta"  # only this field waits
    bob = made.by_email("bob@lantern.test")
    assert bob is not None
    assert interests(made, bob["contact_id"]) == set()
    assert (table(made, key, TYPE), table(made, new, TYPE)) == ({"Retail", "Partner"}, {"Retail", "Partner"})
    assert [(f["field"], f["problem"]) for f in made.findings("withheld")] == [
        ("group:Customer Type", "more than one option for a group that takes one")
    ] * 2
    made.maximizer.edit(key, {TYPE: ["Partner"]})
    made.sync()
    assert interests(made, contact) == {"Partner"}
    made.maximizer.edit(key, {TYPE: ["Retail"]})
    made.sync()
    assert interests(made, contact) == {"Retail"}  # the other one is taken away
    made.mailchimp.edit(contact, interests=["Wholesale"])
    made.sync()
    assert table(made, key, TYPE) == {"Wholesale"}
    made.quiet(1)


def test_r26_renamed_options_keep_their_pair(made: Office) -> None:
    contact, key = person(made, "ada", ["Events"], {OPT_IN: ["Events"], PLAN: "Plus"}, PLAN="Plus")
    made.sync()
    audience = made.mailchimp.audiences[made.list_id]
    events = next(i.id for i in audience.interests.values() if i.name == "Events")
    made.mailchimp.rename_option(made.list_id, events, "Gatherings")
    item = next(k for k, label in made.maximizer.options(OPT_IN).items() if label == "Newsletter")
    made.maximizer.rename_option(OPT_IN, item, "Letter")
    plus = next(k for k, label in made.maximizer.options(PLAN).items() if label == "Plus")
    made.maximizer.rename_option(PLAN, plus, "Plus One")
    assert made.writes() == []
    made.maximizer.edit(key, {OPT_IN: ["Events", "Letter"]})
    made.sync()
    assert interests(made, contact) == {"Gatherings", "Newsletter"}
    made.mailchimp.edit(contact, {"PLAN": "Basic"}, interests=["Newsletter"])
    made.sync()
    assert (table(made, key), made.udfs(key)["Plan"]) == ({"Letter"}, "Basic")
    made.maximizer.edit(key, {PLAN: "Plus One"})
    made.sync()
    assert made.merge("ada@lantern.test")["PLAN"] == "Plus"
    made.quiet(1)


def test_r30_an_option_added_later_makes_the_cycle_full_and_delivers(made: Office) -> None:
    contact, key = person(made, "ada", [], {OPT_IN: ["Printed Catalogue"], PLAN: "Platinum"}, PLAN="Plus")
    other, there = person(made, "bob", ["Surveys"], {})
    made.sync()
    made.quiet(1)
    assert made.merge("ada@lantern.test")["PLAN"] == "Plus"
    assert [(f["field"], f["problem"]) for f in made.findings("withheld")] == [("PLAN", "no option 'Platinum' there")]
    made.mailchimp.add_option(made.list_id, category(made, "Email Profile"), "Printed Catalogue")
    made.maximizer.add_option(OPT_IN, "Surveys")
    choices = ["Basic", "Plus", "Premium", "Platinum"]
    made.mailchimp.edit_merge_field(made.list_id, "PLAN", options={"choices": choices})
    made.sync()
    assert made.last.full
    assert interests(made, contact) == table(made, key) == {"Printed Catalogue"}
    assert interests(made, other) == table(made, there) == {"Surveys"}
    assert made.merge("ada@lantern.test")["PLAN"] == "Platinum"
    made.quiet(1)
    assert made.findings("withheld") == made.findings("unmapped") == []


def test_r28_a_choice_that_maximizer_does_not_have(made: Office) -> None:
    choices = ["Basic", "Plus", "Premium", "Trial"]
    made.mailchimp.edit_merge_field(made.list_id, "PLAN", options={"choices": choices})
    contact, key = person(made, "ada", [], {PLAN: "Plus"}, PLAN="Plus")
    made.sync()
    made.mailchimp.edit(contact, {"PLAN": "Trial", "FNAME": "Zoe"}, interests=["Events"])
    made.sync()
    made.quiet(1)
    assert (made.udfs(key)["Plan"], table(made, key)) == ("Plus", {"Events"})
    assert made.merge("ada@lantern.test")["PLAN"] == "Trial"
    assert [(f["field"], f["value"], f["problem"]) for f in made.findings("withheld")] == [
        ("PLAN", "Trial", "no option 'Trial' there")
    ]
    made.mailchimp.edit(contact, {"PLAN": "Premium"})
    made.sync()
    assert made.udfs(key)["Plan"] == "Premium"
    assert made.findings("withheld") == []


def test_r26_an_option_removed_on_one_side_empties_nothing_on_the_other(made: Office) -> None:
    contact, key = person(made, "ada", ["Events", "Newsletter"], {OPT_IN: ["Events", "Newsletter"]})
    made.sync()
    audience = made.mailchimp.audiences[made.list_id]
    events = next(i.id for i in audience.interests.values() if i.name == "Events")
    made.mailchimp.remove_option(made.list_id, events)
    item = next(k for k, label in made.maximizer.options(OPT_IN).items() if label == "Newsletter")
    made.maximizer.remove_option(OPT_IN, item)
    made.sync()
    made.quiet(1)
    assert (interests(made, contact), table(made, key)) == ({"Newsletter"}, {"Events"})
    made.mailchimp.add_option(made.list_id, category(made, "Email Profile"), "Events")  # another one, of the same name
    made.sync()
    assert (interests(made, contact), table(made, key)) == ({"Newsletter", "Events"}, {"Events"})
    made.quiet(1)


def test_r26_a_title_that_changes_keeps_the_mapping(made: Office) -> None:
    contact, key = person(made, "ada", ["Events"], {OPT_IN: ["Events"]})
    made.sync()
    made.mailchimp.audiences[made.list_id].categories[category(made, "Email Profile")].title = "Letters"
    made.maximizer.rename_udf(OPT_IN, "Letters")
    fields = made.mailchimp.audiences[made.list_id].fields
    plan = next(field for field in fields.values() if field.tag == "PLAN")
    fields[plan.merge_id] = replace(plan, tag="TARIFF", name="Tariff")
    assert made.writes() == []
    made.maximizer.edit(key, {r"Marketing\Letters": ["Newsletter"], PLAN: "Basic"})
    made.sync()
    assert interests(made, contact) == {"Newsletter"}
    assert made.merge("ada@lantern.test")["TARIFF"] == "Basic"
    made.quiet(1)
