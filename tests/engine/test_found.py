"""What the histories of test_machine found, each as one short story."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import FLAG, Office, office


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
