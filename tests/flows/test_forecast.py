"""The forecast of everybody is what the run then does with them: in every class of the report, on both sides."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from foretold import Told, differences, everybody, run, watched
from gallery import Gallery
from history import History
from killing import Stand, moved_in
from shelves import Files
from steps import CycleStep, Script, script
from verdict import Violation

from extract import counterparts
from flows.asked import Asked
from flows.neighbours import CALLS
from flows.survey import Survey
from quality.people import CLASSES
from storage import leases

# So many of them fit into a normal run.
NUMBER = int(os.environ.get("MAXCHIMP_FORECASTS", "4"))


class Hall:
    """The gallery before its cycle, with everybody's forecast; ``stand`` is a copy to go on with."""

    def __init__(self) -> None:
        self.shelf = Files()
        url = self.shelf.empty()
        self.gallery = Gallery(url)
        self.told: list[Told] = everybody(self.gallery.office)
        self.calls = self._calls()
        self.gallery.office.engine.dispose()
        self.kept = self.shelf.keep(url)

    def _calls(self) -> int:
        """The most questions that one person's forecast needs."""
        return max(one.calls for one in self.told)

    def stand(self) -> Stand:
        made = moved_in(self.gallery.office.world, self.shelf.take(self.kept))
        made.judge = True
        return made


@pytest.fixture(scope="module")
def hall() -> Iterator[Hall]:
    made = Hall()
    yield made
    made.shelf.close()


@pytest.mark.parametrize("kind", ["sync", "backfill"])
def test_everybody_in_every_situation(hall: Hall, kind: str) -> None:
    stand = hall.stand()
    noted = run(stand.cycle(kind=kind))
    assert noted.cycle.full == (kind == "backfill")
    assert differences(hall.told, noted) == []
    assert all(one.forecasts[True].whole for one in hall.told)
    stand.engine.dispose()


def test_every_class_of_the_report_is_among_them(hall: Hall) -> None:
    """Whoever adds a class adds somebody to the gallery, so that the two tests above are about them too."""
    stand = hall.stand()
    stand.clock.advance(10)
    survey = Survey(
        stand.engine,
        stand.connection,
        stand.services(),
        Asked("report", full=True, yes=True),
        now=stand.now,
        parallel=1,
    )
    survey.tell()
    seen = {code for code, sides in survey.people.counts.items() if sum(sides.values())}
    # Without an address nobody passes the checks; a decision by another rule than those with a class is asked nowhere.
    assert {one.code for one in CLASSES} - seen <= {"other", "no-address", "decision"}
    asked = {key for one in hall.told for key in one.keys}
    members, entries = survey.people.members, survey.people.entries
    # Who has no address is read in lists only.
    assert asked >= {*members.loc[members["email"] != "", "contact_id"], *entries["entry_id"]}
    stand.engine.dispose()


def test_all_that_can_happen_is_foretold_of_somebody(hall: Hall) -> None:
    forecasts = [one.forecasts[full] for one in hall.told for full in (False, True)]
    steps = {(step.side, step.op) for one in forecasts for step in one.steps}
    assert steps == {
        ("mailchimp", "create"), ("mailchimp", "update"), ("mailchimp", "rename"), ("mailchimp", "revive"),
        ("maximizer", "create"), ("maximizer", "update"),
    }  # fmt: skip
    waits = [wait for one in forecasts for wait in one.waits]
    assert {wait.number is None for wait in waits} == {wait.retried for wait in waits} == {True, False}
    assert {wait.rule for wait in waits} >= {"R9", "R17", "R18", "R28", "R51", "checks"}
    assert any(one.pairs for one in forecasts)
    assert any(one.over for one in forecasts)
    assert any(one.uncertain for one in forecasts)


def test_a_look_asks_a_few_questions(hall: Hall) -> None:
    assert hall.calls <= CALLS // 2
    assert sorted(one.calls for one in hall.told)[len(hall.told) // 2] <= 3


class Foretold(History):
    """A history in which everybody's forecast is asked for before every cycle that nothing disturbs."""

    def __init__(self, made: Script) -> None:
        super().__init__(made, judge=False, told=lambda line: None)
        self.wrong: list[str] = []
        self.asked = 0

    def run_cycle(self, step: CycleStep) -> str:
        if step.between or step.faults or step.dies or step.full_at or step.kind == "plan":
            return super().run_cycle(step)
        told = everybody(self.office, self.office.now)
        self.asked += len(told)
        make, noted = self.office.cycle, []

        def cycle(**asked: Any) -> Any:
            made = make(**asked)
            noted.append(watched(made))
            return made

        self.office.cycle = cycle  # type: ignore[method-assign]
        try:
            state = super().run_cycle(step)
        finally:
            self.office.cycle = make  # type: ignore[method-assign]
        self.wrong += differences(told, noted[0])
        return state


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(counterparts, "PARALLEL", 1)
    monkeypatch.setattr(leases, "died_here", lambda holder: True)
    with pd.option_context("mode.string_storage", "python"):
        yield


@pytest.mark.parametrize("seed", range(1, NUMBER + 1))
def test_everybody_in_a_history(seed: int, alone: None) -> None:
    """Histories of people and misfortunes; what they come to otherwise is judged elsewhere."""
    history = Foretold(script(seed))
    try:
        history.play()
    except Violation:
        pytest.skip("the history itself fails")
    finally:
        history.close()
    assert history.asked
    assert history.wrong == []
