"""The invented world: deterministic, related on both sides, with every kind of field and every kind of trouble."""

import time
from collections import Counter
from typing import Any

import pytest

from sandbox.clock import VirtualClock
from sandbox.people import TROUBLESOME, ascii_letters, words
from sandbox.world import FLAG, World, build_world

Members = dict[str, dict[str, Any]]
Entries = dict[tuple[str, int], dict[str, Any]]


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(seed=3, people=1000)


@pytest.fixture(scope="module")
def members(world: World) -> Members:
    return {member["contact_id"]: member for member in world.mailchimp.members(world.list_id)}


@pytest.fixture(scope="module")
def entries(world: World) -> Entries:
    return world.maximizer.entries()


def test_a_seed_gives_one_world() -> None:
    def picture(seed: int) -> tuple[Any, ...]:
        world = build_world(seed, people=60)
        members = world.mailchimp.members(world.list_id)
        return members, world.maximizer.entries(), world.pairs, world.to_flag, world.mailchimp.history

    assert picture(5) == picture(5)
    assert picture(5)[:2] != picture(6)[:2]


def test_two_thousand_people_within_two_seconds() -> None:
    started = time.process_time()
    build_world(people=2000)
    assert time.process_time() - started < 2


def test_half_on_both_sides_and_a_quarter_on_each(world: World, members: Members, entries: Entries) -> None:
    assert 0.45 < len(world.pairs) / 1000 < 0.55
    assert 0.2 < len(world.mailchimp_only) / 1000 < 0.3
    assert 0.2 < len(world.maximizer_only) / 1000 < 0.3
    assert 0 < len(world.to_flag) < len(world.maximizer_only) / 2
    assert {contact_id for contact_id, _ in world.pairs} | set(world.mailchimp_only) == set(members)
    assert {key for _, key in world.pairs} | set(world.maximizer_only) | set(world.companies) == set(entries)


def test_pairs_have_one_address_and_some_differences(world: World, members: Members, entries: Entries) -> None:
    pairs = [(members[contact_id], entries[key]) for contact_id, key in world.pairs]
    addresses = [(m["email_address"], e["Email1"]) for m, e in pairs if e["Email1"]]
    assert all(one.casefold() == other.casefold() for one, other in addresses)
    assert any(one != other for one, other in addresses)
    assert any(not e["Email1"] for _, e in pairs)
    same_phone = sum(m["merge_fields"]["PHONE"] == e["Phone1"] for m, e in pairs)
    assert 0 < same_phone < len(pairs) * 0.5
    assert any(m["merge_fields"]["LNAME"] != e["LastName"] for m, e in pairs)
    for field in ("REF", "PLAN", "POINTS", "JOINED", "BIRTHDAY"):
        assert any(m["merge_fields"][field] == "" for m, _ in pairs), field


def test_every_status_and_every_type(members: Members, entries: Entries) -> None:
    statuses = Counter(member["status"] for member in members.values())
    assert set(statuses) == {"subscribed", "unsubscribed", "cleaned", "pending", "archived"}
    assert statuses["subscribed"] > len(members) * 0.7
    assert set(Counter(entry["Type"] for entry in entries.values())) == {"Company", "Individual", "Contact"}


def test_troubles_are_there(members: Members, entries: Entries) -> None:
    emails = Counter(entry["Email1"].casefold() for entry in entries.values() if entry["Email1"])
    assert any(count > 1 for count in emails.values())
    assert {"NA", "null", "00123"} <= {entry["udfs"].get(r"Marketing\Reference") for entry in entries.values()}
    assert {"NA", "null", "00123"} <= set(TROUBLESOME)
    assert any(not entry["FirstName"].isascii() for entry in entries.values())
    births = [entry["udfs"].get(r"Marketing\Birthday") or "" for entry in entries.values()]
    assert any(birth.endswith("02-29") for birth in births)
    assert any(member["merge_fields"]["BIRTHDAY"] == "02/29" for member in members.values())
    countries = {
        member["merge_fields"]["ADDRESS"]["country"] for member in members.values() if member["merge_fields"]["ADDRESS"]
    }
    assert countries == {"CA", "US"}
    assert any(member["merge_fields"]["POSTCODE"] for member in members.values())
    assert any(e["Address"]["City"] and not e["Address"]["ZipCode"] for e in entries.values() if e["Type"] != "Company")
    assert len({entry["Phone1"][:1] for entry in entries.values() if entry["Phone1"]}) > 3


def test_nobody_can_be_met(members: Members) -> None:
    assert all(member["email_address"].casefold().endswith(".test") for member in members.values())
    digits = ["".join(filter(str.isdigit, member["merge_fields"]["PHONE"])) for member in members.values()]
    assert all("55501" in number for number in digits if number)


def test_every_kind_of_field_and_two_groups(world: World) -> None:
    audience = world.mailchimp.audiences[world.list_id]
    kinds = Counter(field.type for field in audience.fields.values())
    every = {"text", "number", "address", "phone", "date", "url", "imageurl", "radio", "dropdown", "birthday", "zip"}
    assert set(kinds) == every
    formats = {field.options.get("phone_format") for field in audience.fields.values() if field.type == "phone"}
    assert formats == {"none", "US"}
    assert any(field.required for field in audience.fields.values())
    assert [(category.title, category.type) for category in audience.categories.values()] == [
        ("Email Profile", "checkboxes"),
        ("Customer Type", "radio"),
    ]
    udfs = world.maximizer.database.schema.udfs.values()
    assert {udf.kind for udf in udfs} == {"text", "number", "date", "annual", "single", "multi", "yesno"}


def test_suggested_mappings_name_fields_that_exist(world: World) -> None:
    audience = world.mailchimp.audiences[world.list_id]
    titles = {category.title for category in audience.categories.values()}
    mappings = world.suggested_mappings()
    assert len({tag for tag, _ in mappings}) == len(mappings)
    assert len({field for _, field in mappings}) == len(mappings)
    for tag, field in mappings:
        if tag.startswith("group:"):
            assert tag.removeprefix("group:") in titles
        elif not tag.startswith("@"):
            assert audience.field_by_tag(tag.partition(".")[0]) is not None
        resolved = world.maximizer.database.schema
        assert "\\" not in field or resolved.find(field) is not None
    mapped = {tag.partition(".")[0] for tag, _ in mappings}
    assert {field.tag for field in audience.fields.values()} - {"FNAME", "LNAME"} <= mapped


def test_flags_come_after_set_up() -> None:
    world = build_world(people=60)
    with pytest.raises(KeyError):
        world.flag(world.maximizer_only)
    world.maximizer.add_udf(FLAG, "yesno")
    assert world.flag() == len(world.to_flag) > 0
    key = world.maximizer_only[0]
    assert world.flag([key]) == 1
    assert world.maximizer.entry(key)["udfs"][FLAG] == "Yes"


def test_a_given_clock_is_left_alone() -> None:
    clock = VirtualClock(1_800_000_000.0)
    world = build_world(people=20, profile="cloud", clock=clock, quirks={"page-cap=7"})
    assert clock.now() == 1_800_000_000.0
    assert {entry["CreationDate"] for entry in world.maximizer.entries().values()} == {1_800_000_000}
    assert world.maximizer.profile == "cloud"
    assert "page-cap=7" in world.maximizer.quirks
    assert world.clock is world.mailchimp.clock is world.maximizer.clock is clock


def test_word_lists() -> None:
    for name in ("first_names", "last_names", "streets", "company_words", "company_kinds", "positions", "mail_words"):
        assert len(words(name)) == len(set(words(name))) > 10
    assert all(line.count("|") == 4 for line in words("places"))
    assert [ascii_letters(name) for name in ("Włada", "Søren", "Großhainer", "Ngọc", "O'Verwyn", "王")] == [
        "wlada",
        "soren",
        "grosshainer",
        "ngoc",
        "overwyn",
        "someone",
    ]
