"""What whole histories found, each as one short story."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import FLAG, Office, office

from storage import links
from storage.engine import reading


@pytest.fixture
def new_office(tmp_path: Path) -> Iterator[Callable[..., Office]]:
    made: list[Office] = []

    def make(**more: object) -> Office:
        made.append(office(tmp_path, **more))
        return made[-1]

    yield make
    for one in made:
        one.sound()
        one.engine.dispose()


def test_r14_a_full_cycle_settles_an_archived_member_that_a_scheduled_one_has_seen(
    new_office: Callable[..., Office],
) -> None:
    """The scheduled cycle waits for a change to the entry; that must not hide the pair from the full one."""
    made = new_office()
    contact_id = made.subscribe("ann@lantern.test", "Ann", "Reed")
    made.sync()
    (key,) = made.entries("ann@lantern.test")
    made.mailchimp.archive(contact_id)
    made.sync()
    assert made.entry(key)["udfs"][FLAG] == "Yes"
    made.backfill()
    assert made.entry(key)["udfs"][FLAG] == "No"
    made.quiet()


def test_r14_of_a_member_deleted_for_good_no_value_is_kept(new_office: Callable[..., Office]) -> None:
    made = new_office()
    contact_id = made.subscribe("ann@lantern.test", "Ann", "Reed")
    made.sync()
    made.mailchimp.delete_permanently(contact_id)
    made.backfill()
    with reading(made.engine) as db:
        kept = links.baselines(db)
    assert "Reed" not in "".join([*kept["mailchimp"], *kept["maximizer"]])
    made.quiet()


def test_r09_r13_a_renamed_member_does_not_pass_over_the_entry_that_has_its_new_address(
    new_office: Callable[..., Office],
) -> None:
    """That entry's own member is gone for good, which a scheduled cycle does not see: no second entry is made."""
    made = new_office()
    ann, bea = (made.subscribe(f"{name}@lantern.test", name.title(), "Reed") for name in ("ann", "bea"))
    made.sync()
    (theirs,) = made.entries("ann@lantern.test")
    made.mailchimp.delete_permanently(ann)
    made.mailchimp.change_email(bea, "ann@lantern.test")
    made.sync()
    assert made.entries("ann@lantern.test") == [theirs]
    assert bea in {row["key"] for row in made.quarantined()}
    made.backfill()
    made.quiet()
    assert made.entries("ann@lantern.test") == [theirs]
    assert made.quarantined() == []


def test_r51_a_refused_rename_writes_nothing_to_the_entry(new_office: Callable[..., Office]) -> None:
    """The marker that follows a rename says nothing new without it, and would make the entry look edited each time."""
    made = new_office()
    for name in ("ann", "bea"):
        made.subscribe(f"{name}@lantern.test", name.title(), "Reed")
    made.sync()
    (key,) = made.entries("ann@lantern.test")
    bea = made.by_email("bea@lantern.test")
    assert bea is not None
    made.mailchimp.delete_permanently(bea["contact_id"])
    made.backfill()
    made.backfill()
    made.maximizer.edit(key, {"Email1": "bea@lantern.test"})
    asked = made.writes()
    assert [(call.operation, call.status) for call in asked] == [("PATCH member", 400)]
    made.quiet()
    assert [row["rule"] for row in made.quarantined()] == ["R51"]


def test_r07_r16_a_scheduled_cycle_looks_for_the_entry_of_a_member_whose_own_was_removed(
    new_office: Callable[..., Office],
) -> None:
    """The other entry with its address is as old as the first sync, so no search by date shows it."""
    made = new_office()
    contact_id = made.subscribe("ann@lantern.test", "Ann", "Reed")
    made.sync()
    (theirs,) = made.entries("ann@lantern.test")
    other = made.add("Ann", "Reed", "ann@lantern.test")
    made.sync()
    made.clock.advance(3600)
    made.sync()
    made.maximizer.remove(theirs)
    made.mailchimp.edit(contact_id, merge_fields={"LNAME": "Moor"})
    made.sync()
    assert made.entries("ann@lantern.test") == [other]
    assert made.merge("ann@lantern.test")["CLIENTID"] == other[0]
    made.quiet()
