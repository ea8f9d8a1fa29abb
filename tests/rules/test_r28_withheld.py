"""R28 (a value the other side cannot hold waits, for its field only) and R27 (a mapping that broke)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from harness import Office

NewOffice = Callable[..., Office]
FILLED = {"POINTS": 1, "PLAN": "Plus", "REF": "x"}
REF, POINTS, PLAN, JOINED = r"Marketing\Reference", r"Marketing\Loyalty Points", r"Marketing\Plan", r"Marketing\Joined"
STREET = {"AddressLine1": "1 Elm St", "City": "Reno", "StateProvince": "NV", "ZipCode": "89501", "Country": "USA"}
HOME = {"addr1": "1 Elm St", "addr2": "", "city": "Reno", "state": "NV", "zip": "89501", "country": "US"}
SENTENCE = "Plan should be mapped to single-value table field."


@pytest.fixture
def made(new_office: NewOffice) -> Office:
    """Without what Mailchimp demands: mandatory fields are R22's business."""
    found = new_office()
    for tag in ("POINTS", "PLAN", "REF"):
        found.mailchimp.edit_merge_field(found.list_id, tag, required=False)
    found.maximizer.add_udf(r"Marketing\Note", "text", max_length=300)
    found.map_all(m for m in found.world.suggested_mappings() if not m[0].startswith("@"))
    found.unmap("JOB")
    found.map("JOB", r"Marketing\Note")
    return found


def withheld(made: Office) -> dict[str, str]:
    return {f["field"]: f["problem"] for f in made.findings("withheld")}


def edit(made: Office, email: str, **merge: Any) -> None:
    member = made.by_email(email)
    assert member is not None
    made.mailchimp.edit(member["contact_id"], merge)


BAD_ENTRY = {
    r"Marketing\Note": "ü" * 128,  # 256 bytes
    "WebSite": "lantern dot test",
    r"Marketing\Web\Photo": "C:\\photo.png",
    "Phone2": "+44 20 7946 0000",
    r"Marketing\Billing ZIP": "K1A 0B1",
    PLAN: "Platinum",
    "Address": {"City": "Reno", "Country": "USA"},
}
GOOD_ENTRY = {
    r"Marketing\Note": "ü" * 127,
    "WebSite": "https://lantern.test",
    r"Marketing\Web\Photo": "https://lantern.test/p.png",
    "Phone2": "415.555.0100",
    r"Marketing\Billing ZIP": "94105",
    PLAN: "Basic",
    "Address": STREET,
}
PROBLEMS = {
    "JOB": "longer than 255 bytes",
    "WEBSITE": "not a web address of at most 255 bytes",
    "PHOTO": "not a web address of at most 255 bytes",
    "MOBILE": "not a US phone number",
    "POSTCODE": "not a US zip code of 5 digits",
    "PLAN": "no option 'Platinum' there",
    "ADDRESS.city": "the address is incomplete",
    "ADDRESS.country": "the address is incomplete",
}


def check_mailchimp(made: Office, email: str) -> None:
    merge = made.merge(email)
    assert merge["JOB"] == "ü" * 127
    assert (merge["WEBSITE"], merge["PHOTO"]) == ("https://lantern.test", "https://lantern.test/p.png")
    assert (merge["MOBILE"], merge["POSTCODE"], merge["PLAN"]) == ("415-555-0100", "94105", "Basic")
    assert merge["ADDRESS"] == HOME


def test_r28_a_new_member_comes_without_what_it_cannot_hold(made: Office) -> None:
    key = made.add("Ada", "Byron", "ada@lantern.test", flag="Yes", udfs={REF: "R1"})
    made.maximizer.edit(key, BAD_ENTRY)
    made.sync()
    assert withheld(made) == PROBLEMS
    merge = made.merge("ada@lantern.test")
    assert {merge[tag.partition(".")[0]] for tag in PROBLEMS} == {""}  # nothing was cut
    assert (merge["REF"], merge["LNAME"]) == ("R1", "Byron")
    made.quiet(1)
    assert withheld(made) == PROBLEMS
    made.maximizer.edit(key, GOOD_ENTRY)
    made.sync()
    check_mailchimp(made, "ada@lantern.test")
    made.quiet(1)
    assert withheld(made) == {}


def test_r28_an_existing_member_keeps_its_good_values(made: Office) -> None:
    key = made.add("Ada", "Byron", "ada@lantern.test", flag="Yes")
    made.maximizer.edit(key, GOOD_ENTRY)
    made.sync()
    made.maximizer.edit(key, BAD_ENTRY | {REF: "R2", "Address.AddressLine1": None})
    made.sync()
    check_mailchimp(made, "ada@lantern.test")
    assert made.merge("ada@lantern.test")["REF"] == "R2"
    made.quiet(1)
    assert set(withheld(made)) >= set(PROBLEMS) - {"ADDRESS.city", "ADDRESS.country"}
    check_mailchimp(made, "ada@lantern.test")
    made.maximizer.edit(key, GOOD_ENTRY)  # back to what Mailchimp has: nothing to write
    assert made.writes() == []
    assert withheld(made) == {}


def test_r28_towards_maximizer(made: Office) -> None:
    contact, key = made.met("ada@lantern.test", {}, {})
    made.sync()
    bad = {"REF": "x" * 31, "POINTS": 1.239, "POSTCODE": "10001"}
    made.mailchimp.edit(contact, bad | {"JOINED": "2020-01-01"})
    made.sync()
    made.quiet(1)
    udfs = made.udfs(key)
    assert (udfs["Reference"], udfs["Loyalty Points"], udfs["Joined"]) == (None, None, "2020-01-01")
    assert withheld(made) == {
        "REF": "longer than 30 characters",
        "POINTS": "not a number of at most 15 digits and 2 decimals",
    }
    assert made.member(contact)["merge_fields"]["REF"] == "x" * 31
    made.mailchimp.edit(contact, {"REF": "x" * 30, "POINTS": 1.23})
    made.sync()
    assert (made.udfs(key)["Reference"], made.udfs(key)["Loyalty Points"]) == ("x" * 30, 1.23)
    made.quiet(1)


def test_r28_stays_reported_when_its_person_was_archived_and_came_back(made: Office) -> None:
    contact, _ = made.met("ada@lantern.test", {}, {})
    made.sync()
    made.mailchimp.edit(contact, {"REF": "x" * 31})
    made.sync()
    made.mailchimp.archive(contact)
    made.sync()
    made.mailchimp.resubscribe(contact)
    made.sync()
    assert withheld(made) == {"REF": "longer than 30 characters"}
    made.quiet(1)
    assert withheld(made) == {"REF": "longer than 30 characters"}


def test_r28_a_new_entry_comes_without_what_it_cannot_hold(made: Office) -> None:
    long = {"FNAME": "F" * 80, "LNAME": "L" * 79, "REF": "x" * 31, "PHONE": "9" * 31, "JOINED": "2020-01-01"}
    contact = made.subscribe("ada@lantern.test", merge_fields=long)
    made.sync()
    (key,) = made.entries("ada@lantern.test")
    entry = made.entry(key)
    assert (entry["FirstName"], entry["LastName"], entry["Phone1"]) == ("", "L" * 79, "")
    assert (made.udfs(key)["Reference"], made.udfs(key)["Joined"]) == (None, "2020-01-01")
    assert set(withheld(made)) == {"FNAME", "REF", "PHONE"}
    made.quiet(1)
    assert {tag: made.member(contact)["merge_fields"][tag] for tag in long} == long


def test_r28_reported_per_value_with_its_records(made: Office) -> None:
    for n in range(3):
        made.add("Ada", "Byron", f"a{n}@lantern.test", flag="Yes", udfs={PLAN: "Platinum"})
    made.sync()
    rows = [(f["field"], f["problem"]) for f in made.findings("withheld")]
    assert rows == [("PLAN", "no option 'Platinum' there")] * 3
    made.quiet(1)
    assert len(made.findings("withheld")) == 3


def test_r28_addresses(made: Office) -> None:
    key = made.add("Ada", "Byron", "ada@lantern.test", flag="Yes")
    made.maximizer.edit(key, {"Address": STREET})
    made.sync()
    made.maximizer.edit(
        key, {"Address": STREET | {"AddressLine2": "Flat 2", "ZipCode": "K1A 0B1", "Country": "Canada"}}
    )
    made.sync()
    whole = HOME | {"addr2": "Flat 2", "zip": "K1A 0B1", "country": "CA"}
    assert made.merge("ada@lantern.test")["ADDRESS"] == whole
    made.maximizer.edit(key, {"Address.City": None})  # now it is partial: the old one stays
    made.sync()
    assert made.merge("ada@lantern.test")["ADDRESS"] == whole
    assert withheld(made) == {"ADDRESS.city": "the address is incomplete"}
    made.maximizer.edit(key, {"Address": dict.fromkeys(("AddressLine1", "StateProvince", "ZipCode"))})
    made.quiet(1)
    assert made.merge("ada@lantern.test")["ADDRESS"] == whole  # a country and a flat are no address
    made.maximizer.edit(key, {"Address": dict.fromkeys([*STREET, "AddressLine2"])})
    made.sync()
    assert made.merge("ada@lantern.test")["ADDRESS"] == ""  # emptied as a whole
    made.quiet(1)
    assert withheld(made) == {}


def test_r28_half_an_address_that_a_form_let_through_blocks_nothing(made: Office) -> None:
    contact, key = made.met("ada@lantern.test", {"ADDRESS": {"city": "Reno"}}, {REF: "R1"})
    made.sync()
    made.maximizer.edit(key, {REF: "R2"})
    made.sync()
    merge = made.member(contact)["merge_fields"]
    assert merge["REF"] == "R2"
    assert merge["ADDRESS"]["city"] == "Reno"
    assert made.quarantined() == []
    made.quiet(1)
    made.maximizer.edit(key, {"Address": STREET})
    made.sync()
    assert made.member(contact)["merge_fields"]["ADDRESS"] == HOME
    made.quiet(1)


# ----------------------------------------------------------------------------------------------------- R27


def test_r27_a_field_that_changed_its_type_fails_alone(made: Office, caplog: pytest.LogCaptureFixture) -> None:
    contact, key = made.met("ada@lantern.test", FILLED, {PLAN: "Plus", REF: "x", POINTS: 1})
    made.sync()
    made.maximizer.change_kind(PLAN, "text")
    made.maximizer.edit(key, {PLAN: "Basic", REF: "R2"})
    made.mailchimp.edit(contact, {"PLAN": "Premium", "POINTS": 9})
    made.sync()
    assert made.last.prepared.broken == (SENTENCE,)
    assert SENTENCE in caplog.text
    assert (made.udfs(key)["Plan"], made.udfs(key)["Loyalty Points"]) == ("Basic", 9)
    merge = made.merge("ada@lantern.test")
    assert (merge["PLAN"], merge["REF"]) == ("Premium", "R2")
    made.quiet(1)
    made.maximizer.add_udf(r"Marketing\Tariff", "single", ["Basic", "Plus", "Premium"])
    made.map("PLAN", r"Marketing\Tariff")
    made.sync()
    assert made.entry(key)["udfs"][r"Marketing\Tariff"] == "Premium"
    assert made.udfs(key)["Plan"] == "Basic"
    made.quiet(1)


@pytest.mark.parametrize(
    ("path", "kind", "sentence"),
    [
        (REF, "number", "Reference should be mapped to alphanumeric field."),
        (POINTS, "text", "Loyalty Points should be mapped to numeric field."),
        (JOINED, "single", "Customer Since should be mapped to date field."),
        (r"Marketing\Birthday", "text", "Birthday should be mapped to date field."),
        (r"Marketing\Email Opt-In", "single", "Email Profile should be mapped to multi-value table field."),
        (r"Marketing\Region", "multi", "Region should be mapped to single-value table field."),
        (r"Marketing\Web\Photo", "date", "Photo should be mapped to alphanumeric field."),
    ],
)
def test_r27_every_kind_has_its_sentence(new_office: NewOffice, path: str, kind: str, sentence: str) -> None:
    made = new_office()
    made.map_all(m for m in made.world.suggested_mappings() if m[1] == path)
    made.maximizer.change_kind(path, kind)
    made.sync()
    assert made.last.prepared.broken == (sentence,)


def test_r27_fields_that_are_gone(made: Office) -> None:
    contact, key = made.met("ada@lantern.test", FILLED, {PLAN: "Plus", REF: "x", POINTS: 1, JOINED: "2020-01-01"})
    made.sync()
    made.maximizer.remove_udf(REF)
    made.mailchimp.remove_merge_field(made.list_id, "JOINED")
    made.mailchimp.edit(contact, {"POINTS": 4})
    made.sync()
    assert {text.partition(":")[0] for text in made.last.prepared.broken} == {
        rf"{REF} no longer exists in Maximizer",
        "JOINED no longer exists in Mailchimp",
    }
    assert made.udfs(key)["Loyalty Points"] == 4
    assert made.udfs(key)["Joined"] == "2020-01-01"  # never written empty
    assert made.member(contact)["merge_fields"]["REF"] == "x"
    made.quiet(1)
