"""How many calls a cycle makes: bounded by what changed, never by the size of the list."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Office, office

TEAM = ("JOB", "Position")
LEVEL = ("REF", r"Marketing\Reference")


def calls(town: Office, action: Callable[[], object]) -> int:
    """Calls to both sides made by an action."""
    before = [len(door.calls) for door in town.doors.values()]
    action()
    return sum(len(door.calls) - n for door, n in zip(town.doors.values(), before, strict=True))


def in_step(folder: Path, profile: str = "on-premise") -> Office:
    """Ten people in step. Marking an entry that was there before teaches that UDF edits move its date."""
    made = office(folder, profile=profile, mappings=[TEAM, LEVEL])
    for n in range(10):
        made.subscribe(f"p{n}@lake.test", f"First{n}", f"Last{n}")
        made.add(f"First{n}", f"Last{n}", f"p{n}@lake.test")
    made.sync()
    made.sync()
    return made


@pytest.fixture
def town(tmp_path: Path) -> Office:
    return in_step(tmp_path)


@pytest.mark.parametrize("profile", ["on-premise", "cloud"])
def test_r34_a_scheduled_cycle_with_nothing_changed_makes_at_most_15_calls(tmp_path: Path, profile: str) -> None:
    town = in_step(tmp_path, profile)
    assert town.connection.traits["udf_moves_date"] is True
    assert calls(town, town.sync) <= 15


def test_r34_whoever_waits_is_not_read_one_by_one(town: Office) -> None:
    for n in range(20):
        town.subscribe(f"twin{n}@lake.test", "Ann", f"Twin{n}")
        for _ in range(2):
            town.add("Ann", f"Twin{n}", f"twin{n}@lake.test")
    town.sync()
    town.sync()
    assert len({row["key"] for row in town.quarantined() if row["side"] == "mailchimp"}) == 20
    assert calls(town, town.sync) <= 20


def test_a_backfill_with_nothing_changed_reads_its_pages_and_little_else(town: Office) -> None:
    assert calls(town, town.backfill) <= 1.05 * 2 + 30


def test_each_updated_record_adds_a_read_and_a_write(town: Office) -> None:
    quiet = calls(town, town.backfill)
    for n, link in enumerate(town.links()[:10]):
        town.mailchimp.edit(link["contact_id"], merge_fields={"REF": f"edited {n}"})
    assert calls(town, town.backfill) <= quiet + 2 * 10


def test_each_new_entry_adds_two_calls_and_the_stamp_of_its_member(town: Office) -> None:
    quiet = calls(town, town.backfill)
    for n in range(10):
        town.subscribe(f"new{n}@lake.test", "New", f"Person{n}")
    # REF is mandatory: the stamp needs the member's own values, hence one read more each.
    assert calls(town, town.backfill) <= quiet + 10 * 2 + 10 * 2


def test_new_members_go_in_batches(town: Office) -> None:
    quiet = calls(town, town.backfill)
    for n in range(30):
        town.add("New", f"Person{n}", f"entry{n}@lake.test", flag="Yes")
    batches = math.ceil(30 / 500)
    # One call a batch and its read-back; the marker goes back to each entry (read in bulk, written one by one).
    assert calls(town, town.backfill) <= quiet + batches + 2 + 2 * 30
