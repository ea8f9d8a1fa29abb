"""What people are told of a connection: each change of its state, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from domain.settings import SyncSettings
from flows import health
from flows.held import told as told_of
from storage import connections
from storage.engine import open_store
from storage.held import Held
from storage.schema import migrate

WHY = "Mailchimp does not know this API key"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    migrate(made)
    found = connections.create(made, "north", 1.0)
    connections.update(made, found.id, settings=SyncSettings(remind_after=3))
    yield made
    made.dispose()


def told(engine: Engine, *ends: str | None) -> list[str]:
    """The events of cycles that ended so, "" for none."""
    news = [health.note(engine, "north", end) for end in ends]
    return [one.event.removeprefix("maxchimp.connection.") if one else "" for one in news]


def test_a_sound_connection_says_nothing(engine: Engine) -> None:
    assert told(engine, None, None) == ["", ""]


def test_each_change_is_told_once(engine: Engine) -> None:
    ends = [WHY, WHY, WHY, WHY, WHY, None, None, WHY, None]
    assert told(engine, *ends) == ["failed", "", "still-failing", "", "", "recovered", "", "failed", "recovered"]


def test_what_is_told_survives_the_process(engine: Engine, tmp_path: Path) -> None:
    assert told(engine, WHY) == ["failed"]
    again = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    assert told(again, WHY, None) == ["", "recovered"]
    again.dispose()


def test_people_read_which_connection_and_why(engine: Engine) -> None:
    news = health.note(engine, "north", WHY)
    assert news is not None
    assert (news.subject, WHY in news.body) == ("maxchimp: north failed", True)
    health.note(engine, "north", WHY)
    better = health.note(engine, "north", None)
    assert better is not None
    assert "after 2 cycles" in better.body


def test_the_other_connections_are_their_own(engine: Engine) -> None:
    connections.create(engine, "south", 1.0)
    assert told(engine, WHY) == ["failed"]
    south = health.note(engine, "south", WHY)
    assert south is not None
    assert south.event == "maxchimp.connection.failed"
    assert health.note(engine, "gone", WHY) is None


def test_r30_a_changed_mapping_that_waits_is_told_once() -> None:
    """By the run that held it back first; the later ones count it anew, or only pass it on."""
    held = told_of({"REF": Held(0, 30, 40, run=7, since=7), "JOB": Held(30, 0, 40, run=7, since=3), "NEW": None})
    news = health.waiting("north", held, 7)
    assert news is not None
    assert news.event in health.EVENTS
    assert news.subject == "maxchimp: north waiting"
    assert "REF waits: its changed mapping would write to 30 entries in Maximizer, of 40 linked people." in news.body
    assert "maxchimp sync --connection north --yes" in news.body
    assert "JOB" not in news.body
    assert health.waiting("north", held, 8) is None
    assert health.waiting("north", [], 7) is None
