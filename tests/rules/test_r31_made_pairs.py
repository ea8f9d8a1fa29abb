"""R31: a pair that we made has been seen in every field, so its first edit is an edit and no first meeting."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from harness import Office

from domain.errors import Blocked, Incomplete
from storage import links
from storage.engine import reading

NewOffice = Callable[..., Office]
REFERENCE, POINTS, PLAN = r"Marketing\Reference", r"Marketing\Loyalty Points", r"Marketing\Plan"
MAPPED = [("REF", REFERENCE), ("POINTS", POINTS), ("JOB", "Position"), ("POSTCODE", r"Marketing\Billing ZIP")]


def seen(made: Office) -> list[dict[str, set[str]]]:
    """Per link the fields that have a last-seen value on either side."""
    with reading(made.engine) as db:
        rows = links.baselines(db, [row["id"] for row in made.links()]).to_dict("records")
    return [{side: set(json.loads(row[side])) for side in ("mailchimp", "maximizer")} for row in rows]


@pytest.mark.parametrize("made_in", ["mailchimp", "maximizer"])
@pytest.mark.parametrize("edited", ["mailchimp", "maximizer"])
def test_r31_the_first_mass_edit_of_people_that_we_made_is_refused(
    new_office: NewOffice, made_in: str, edited: str
) -> None:
    made = new_office(mappings=MAPPED)
    emails = [f"p{n}@lantern.test" for n in range(40)]
    for email in emails:
        if made_in == "maximizer":
            made.subscribe(email, "Ada", "Byron")
        else:
            made.add("Ada", "Byron", email, flag="Yes")
    made.sync()
    assert all(one["mailchimp"] == one["maximizer"] >= {"REF", "POINTS", "JOB", "POSTCODE"} for one in seen(made))
    for email in emails[:30]:
        if edited == "maximizer":
            made.maximizer.edit(made.entries(email)[0], {REFERENCE: "new"})
        else:
            member = made.by_email(email)
            assert member is not None
            made.mailchimp.edit(member["contact_id"], {"REF": "new"})
    with pytest.raises(Blocked) as refused:
        made.sync(yes=False)
    assert refused.value.reason == "changed"
    made.sync(yes=True)
    assert [made.udfs(made.entries(email)[0])["Reference"] for email in emails] == ["new"] * 30 + [None] * 10
    made.quiet(1)


def test_r31_both_sides_edit_what_was_empty_when_the_pair_was_made(new_office: NewOffice) -> None:
    """The losing value stands in the log under the rule of edits, not of first meetings."""
    made = new_office(mappings=MAPPED)
    contact_id = made.subscribe("ada@lantern.test", "Ada", "Byron")
    made.sync()
    (key,) = made.entries("ada@lantern.test")
    made.mailchimp.edit(contact_id, {"REF": "theirs", "POINTS": 3})
    made.maximizer.edit(key, {REFERENCE: "ours"})
    told = made.sync()
    assert (made.merge("ada@lantern.test")["REF"], made.udfs(key)["Loyalty Points"]) == ("ours", 3)
    assert told["counts"]["conflicts"] == 1
    made.quiet(1)


def test_r31_r28_a_value_that_a_new_record_could_not_take_waits_and_goes_when_it_fits(new_office: NewOffice) -> None:
    made = new_office(mappings=MAPPED)
    key = made.add("Ada", "Byron", "ada@lantern.test", flag="Yes", udfs={r"Marketing\Billing ZIP": "K1A 0B1"})
    contact_id = made.subscribe("eve@lantern.test", "Eve", "Byron", merge_fields={"REF": "x" * 200})
    made.sync()
    (eve,) = made.entries("eve@lantern.test")
    waits = [("POSTCODE", "K1A 0B1"), ("REF", "x" * 200)]
    assert sorted((f["field"], f["value"]) for f in made.findings("withheld")) == waits
    made.maximizer.edit(key, {REFERENCE: "R1"})  # looked at again for another reason
    made.mailchimp.edit(contact_id, {"POINTS": 1})
    made.sync()
    made.backfill()
    assert sorted((f["field"], f["value"]) for f in made.findings("withheld")) == waits
    made.maximizer.edit(key, {r"Marketing\Billing ZIP": "94105"})
    made.mailchimp.edit(contact_id, {"REF": "short"})
    made.sync()
    assert (made.merge("ada@lantern.test")["POSTCODE"], made.udfs(eve)["Reference"]) == ("94105", "short")
    assert made.findings("withheld") == []
    made.quiet(1)


@pytest.mark.parametrize("side", ["mailchimp", "maximizer"])
def test_r31_a_pair_whose_creation_was_uncertain_has_been_seen_too(new_office: NewOffice, side: str) -> None:
    made = new_office(mappings=MAPPED)
    if side == "mailchimp":
        made.add("Ada", "Byron", "ada@lantern.test", flag="Yes")
        made.doors["mailchimp"].faults.next("mailchimp", "drop-after", "POST list")
    else:
        made.subscribe("ada@lantern.test", "Ada", "Byron")
        made.doors["maximizer"].faults.next("maximizer", "drop-after", "AbEntryCreate")
    with pytest.raises(Incomplete):
        made.sync()
    made.clock.advance(600)
    made.sync()
    made.sync()
    (one,) = seen(made)
    assert one["mailchimp"] == one["maximizer"] >= {"REF", "POINTS", "JOB", "POSTCODE"}
    made.quiet(1)


@pytest.mark.parametrize("side", ["mailchimp", "maximizer"])
def test_r30_r31_a_mapping_that_is_younger_than_an_uncertain_create_still_meets(
    new_office: NewOffice, side: str
) -> None:
    """The pair was made without that field: what both sides hold there differs for the first time."""
    made = new_office(mappings=MAPPED[1:])
    contact_id = key = None
    if side == "mailchimp":
        key = made.add("Ada", "Byron", "ada@lantern.test", flag="Yes", udfs={REFERENCE: "ours"})
        made.doors["mailchimp"].faults.next("mailchimp", "drop-after", "POST list")
    else:
        contact_id = made.subscribe("ada@lantern.test", "Ada", "Byron", merge_fields={"REF": "theirs"})
        made.doors["maximizer"].faults.next("maximizer", "drop-after", "AbEntryCreate")
    with pytest.raises(Incomplete):
        made.sync()
    made.map(*MAPPED[0])
    if contact_id is None:
        member = made.by_email("ada@lantern.test")
        assert member is not None
        made.mailchimp.edit(member["contact_id"], {"REF": "theirs"})
    else:
        (key,) = made.entries("ada@lantern.test")
        made.maximizer.edit(key, {REFERENCE: "ours"})
    made.clock.advance(600)
    told = made.sync()
    told = told if told["counts"]["conflicts"] else made.sync()
    assert told["counts"]["conflicts"] == 1
    fields = [item for row in made.changes(told["run"]) for item in json.loads(row["fields"])["set"]]
    assert [item["rule"] for item in fields if item["field"] == "REF"] == ["R30"]
    assert made.merge("ada@lantern.test")["REF"] == "ours"
    made.quiet(1)
