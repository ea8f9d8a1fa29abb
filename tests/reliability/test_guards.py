"""Guards refuse before the first write (design section 7): what would have happened, and how to let one run through."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest
from harness import FLAG, Office
from hypothesis import given
from hypothesis import strategies as st

from domain.changeset import CHANGE, ChangeSet
from domain.errors import Blocked, MaxchimpError
from domain.settings import SyncSettings
from transform.guard import Trip, absent, emptied, guard

DEFAULTS = SyncSettings()
POINTS = r"Marketing\Loyalty Points"
People = list[tuple[str, tuple[str, int]]]


def names(trips: list[Trip]) -> list[str]:
    return [trip.guard for trip in trips]


def decided(*changes: tuple[str, str, str], **tallies: int) -> ChangeSet:
    """Changes as (side, op, fields) and what was tallied."""
    rows = [dict.fromkeys(CHANGE, "") | {"side": side, "op": op, "fields": fields} for side, op, fields in changes]
    counted = {name.replace("_", " in "): number for name, number in tallies.items()}
    return ChangeSet(changes=pd.DataFrame(rows, columns=list(CHANGE), dtype="str"), tallies=counted)


def field(old: str, new: str, note: str = "") -> str:
    item = f'{{"field":"PHONE","old":"{old}","new":"{new}","seen":"","note":"{note}","rule":"R31"}}'
    return f'{{"set":[{item}],"then":{{}}}}'


# ------------------------------------------------------------------ the limits


@pytest.mark.parametrize(
    ("missing", "active", "refused"),
    [(49, 1000, False), (50, 1000, False), (51, 1000, True), (10, 20, False), (11, 20, True), (11, 300, False)],
)
def test_a5_absence_counts_above_its_floor_and_its_share(missing: int, active: int, refused: bool) -> None:
    assert names(absent({"maximizer": missing}, active, DEFAULTS)) == ["absent"] * refused
    told = decided(gone_mailchimp=missing)
    assert names(guard(told, active, DEFAULTS, initial=False)) == ["absent"] * refused


@pytest.mark.parametrize(
    ("moved", "active", "refused"), [(490, 1000, False), (500, 1000, False), (510, 1000, True), (25, 25, False)]
)
def test_a5_mass_change(moved: int, active: int, refused: bool) -> None:
    told = decided(moved_maximizer=moved)
    assert names(guard(told, active, DEFAULTS, initial=False)) == ["changed"] * refused
    assert guard(told, active, DEFAULTS, initial=True) == []


@pytest.mark.parametrize("op", ["create", "revive"])
@pytest.mark.parametrize(
    ("new", "active", "refused"), [(50, 100, False), (51, 100, True), (100, 1000, False), (101, 1000, True)]
)
def test_e4_mass_subscription(op: str, new: int, active: int, refused: bool) -> None:
    told = decided(*[("mailchimp", op, field("", "x"))] * new)
    assert names(guard(told, active, DEFAULTS, initial=False)) == ["new"] * refused
    assert guard(told, active, DEFAULTS, initial=True) == []


@pytest.mark.parametrize(("new", "note"), [("", ""), ("-", "placeholder:-")])
@pytest.mark.parametrize(("blanked", "active", "refused"), [(10, 100, False), (11, 100, True), (50, 1000, False)])
def test_mass_blanking_also_by_placeholders(new: str, note: str, blanked: int, active: int, refused: bool) -> None:
    told = decided(*[("mailchimp", "update", field("604-555-0123", new, note))] * blanked)
    assert names(guard(told, active, DEFAULTS, initial=False)) == ["blanked"] * refused
    filled = decided(*[("mailchimp", "update", field("", new, note))] * blanked)
    assert guard(filled, active, DEFAULTS, initial=False) == []


@given(st.integers(1, 500), st.sampled_from(["mailchimp", "maximizer"]))
def test_a1_an_empty_side_has_no_floor(active: int, side: str) -> None:
    found = {"mailchimp": 7, "maximizer": 7} | {side: 0}
    assert names(emptied(found, active)) == ["empty"]
    assert emptied(found, 0) == []


# ------------------------------------------------------------------ whole cycles


@pytest.fixture
def thirty(new_office: Callable[..., Office]) -> tuple[Office, People]:
    """Thirty people in step, with phone and points mapped."""
    office = new_office(mappings=[("PHONE", "Phone1"), ("POINTS", POINTS)])
    for n in range(30):
        merge = {"PHONE": f"604-555-{1000 + n}", "POINTS": n + 1}
        office.met(f"ann{n}@lantern.test", merge, {"Phone1": f"604-555-{1000 + n}", POINTS: n + 1})
    office.sync()
    office.sync()
    pairs = {link["contact_id"]: link["entry_id"].rpartition("#") for link in office.links()}
    return office, [(contact, (key[0], int(key[2]))) for contact, key in pairs.items()]


def without_members(office: Office, people: People) -> None:
    for contact, _ in people:
        office.mailchimp.delete_permanently(contact)


def without_entries(office: Office, people: People) -> None:
    office.maximizer.hide([key for _, key in people])


def archived(office: Office, people: People) -> None:
    for contact, _ in people[:11]:
        office.mailchimp.archive(contact)


def few_readable(office: Office, people: People) -> None:
    office.maximizer.hide([key for _, key in people[:11]])


def unreadable_counterparts(office: Office, people: People) -> None:
    """Rights are lost, and a campaign touches the members: a scheduled cycle would make every entry anew (R16)."""
    few_readable(office, people)
    for contact, _ in people[:11]:
        office.mailchimp.edit(contact, {"POINTS": 500})


def other_phones(office: Office, people: People) -> None:
    for n, (_, key) in enumerate(people[:26]):
        office.maximizer.edit(key, {"Phone1": f"778-555-{2000 + n}"})


def other_points(office: Office, people: People) -> None:
    for contact, _ in people[:26]:
        office.mailchimp.edit(contact, {"POINTS": 900})


def other_addresses(office: Office, people: People) -> None:
    for n, (contact, _) in enumerate(people[:26]):
        office.mailchimp.change_email(contact, f"bob{n}@lantern.test")


def no_phones(office: Office, people: People) -> None:
    for _, key in people[:11]:
        office.maximizer.edit(key, {"Phone1": ""})


def an_import(office: Office, people: People) -> None:
    for n in range(51):
        office.add("Cy", f"Gull{n}", f"cy{n}@lantern.test", flag="Yes")


MISHAPS = [
    (without_members, "empty", ("backfill",)),
    (without_entries, "empty", ("backfill",)),
    (archived, "absent", ("backfill",)),
    (few_readable, "absent", ("backfill",)),
    (unreadable_counterparts, "absent", ("sync", "backfill")),
    (other_phones, "changed", ("sync", "backfill")),
    (other_points, "changed", ("sync", "backfill")),
    (other_addresses, "changed", ("sync", "backfill")),
    (no_phones, "blanked", ("sync", "backfill")),
    (an_import, "new", ("sync", "backfill")),
]


@pytest.mark.parametrize(
    ("mishap", "guarded", "kind"),
    [(mishap, name, kind) for mishap, name, kinds in MISHAPS for kind in kinds],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_guard_refuses_before_the_first_write(
    thirty: tuple[Office, People],
    mishap: Callable[[Office, People], None],
    guarded: str,
    kind: str,
) -> None:
    office, people = thirty
    mishap(office, people)
    office.clock.advance(60)
    refusals = []

    def run(asked: str, **more: bool) -> None:
        with pytest.raises(Blocked) as refusal:
            office.sync(kind=asked, yes=False, **more)
        refusals.append(refusal.value)

    assert office.writes(lambda: run(kind)) == []
    assert office.writes(lambda: run("plan", full=kind == "backfill")) == []
    # A plan refuses exactly as a sync does: for the same reason, in the same words.
    assert {refusal.reason for refusal in refusals} == {guarded}
    assert len({refusal.message for refusal in refusals}) == 1
    assert "--yes" in refusals[0].remedy
    assert not any(letter == "@" for letter in refusals[0].message)
    assert len(office.links()) == 30


def test_a_run_that_was_let_through_does_what_was_refused(thirty: tuple[Office, People]) -> None:
    office, people = thirty
    an_import(office, people)
    with pytest.raises(Blocked):
        office.sync(yes=False)
    told = office.sync(yes=True)
    assert told["counts"]["mailchimp"]["create"] == 51
    assert office.last.facts["let_through"] == ["new"]
    office.quiet()


def test_limits_are_settings(thirty: tuple[Office, People]) -> None:
    office, people = thirty
    other_phones(office, people)
    office.set(max_changed="90%")
    office.sync(yes=False)
    office.quiet()


def test_a_new_mapping_is_no_mass_change(thirty: tuple[Office, People]) -> None:
    """What meets for the first time was edited by nobody (R30): an administrator is not asked twice."""
    office, _ = thirty
    office.unmap("POINTS")
    office.sync(yes=False)
    office.map("POINTS", POINTS)
    office.set(conflict="mailchimp")
    for link in office.links():
        client_id, _, number = link["entry_id"].rpartition("#")
        office.maximizer.edit((client_id, int(number)), {POINTS: 5})
    office.sync(yes=False)
    office.quiet()


def test_rights_that_come_back_find_everybody_in_place(thirty: tuple[Office, People]) -> None:
    office, people = thirty
    unreadable_counterparts(office, people)
    with pytest.raises(Blocked):
        office.sync(yes=False)
    office.maximizer.unhide([key for _, key in people])
    office.sync(yes=False)
    assert len(office.entries()) == 30
    assert [office.udfs(key)["Loyalty Points"] for _, key in people[:11]] == [500] * 11
    office.quiet()


# ------------------------------------------------------------------ other sides than those of the links


def test_a6_another_address_book_between_reading_and_writing(thirty: tuple[Office, People]) -> None:
    office, people = thirty
    office.mailchimp.edit(people[0][0], {"POINTS": 77})
    cycle = office.cycle(yes=False)
    before = cycle.check_changes

    def swapped() -> None:
        before()
        office.maximizer.database.name = "AnotherBook"

    cycle.check_changes = swapped  # type: ignore[method-assign]

    def run() -> None:
        with pytest.raises(MaxchimpError):
            cycle.tell()

    assert office.writes(run) == []


def test_gone_by_a_hair(new_office: Callable[..., Office]) -> None:
    """Ten of thirty is no alarm: each is looked for by itself, then settled (R14)."""
    office = new_office()
    for n in range(30):
        office.subscribe(f"dee{n}@lantern.test", "Dee", f"Reed{n}")
    office.sync()
    for link in office.links()[:10]:
        office.mailchimp.archive(link["contact_id"])
    office.backfill(yes=False)
    flags = [office.entry(key)["udfs"][FLAG] for key in office.entries()]
    assert flags.count("No") == 10
    office.quiet()
