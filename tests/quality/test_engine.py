"""Whatever keeps the checks from happening stops the run: nothing passes unjudged (hazard C14)."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

import quality
from domain.changeset import ChangeSet, Policy
from domain.errors import Blocked
from domain.records import Layout
from quality import engine
from quality.checks import Check, among, filled, matches

CHECKS = [filled("name", "no name"), among("state", ["on", "off"], "no state"), matches("name", "^[a-z]+$", "odd")]


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame({"name": ["ada", None, "canary-7f3a"], "state": ["on", "off", "on"]}, dtype="str")


def refused(checks: list[Check], frame: pd.DataFrame) -> str:
    with pytest.raises(Blocked) as blocked:
        engine.evaluate("suite", checks, frame)
    assert blocked.value.reason == "checks"
    assert blocked.value.message.startswith("the data quality checks could not be carried out: ")
    assert "canary" not in blocked.value.message
    assert blocked.value.__suppress_context__  # the library's own text may quote values
    return blocked.value.message


def test_outcomes_come_in_the_order_of_the_checks_with_row_numbers(frame: pd.DataFrame) -> None:
    outcomes = engine.evaluate("suite", CHECKS, frame)
    assert [outcome.check for outcome in outcomes] == CHECKS
    assert [outcome.rows.tolist() for outcome in outcomes] == [[1], [], [2]]
    assert [outcome.evaluated for outcome in outcomes] == [3, 3, 2]


def test_c14_the_library_raises(frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("canary")

    from great_expectations.datasource.fluent.interfaces import Batch

    monkeypatch.setattr(Batch, "validate", fail)
    assert "RuntimeError" in refused(CHECKS, frame)
    monkeypatch.undo()
    assert engine.evaluate("suite", CHECKS, frame), "the next run is not harmed"


@pytest.mark.parametrize("broken", [matches("name", "(", "odd"), filled("absent", "no column")])
def test_c14_an_expectation_raises_inside_and_the_library_keeps_quiet(broken: Check, frame: pd.DataFrame) -> None:
    assert "raised an error" in refused([*CHECKS, broken], frame)


def _answer(monkeypatch: pytest.MonkeyPatch, change: Callable[[list[Any]], Any]) -> None:
    """The library's true results, changed on their way to us."""
    true = engine._validate
    monkeypatch.setattr(engine, "_validate", lambda *given: change(list(true(*given))))


@pytest.mark.parametrize("nothing", [[], None])
def test_c14_the_result_is_empty(nothing: Any, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    _answer(monkeypatch, lambda results: nothing)
    assert "empty" in refused(CHECKS, frame)


@pytest.mark.parametrize(
    "change",
    [lambda results: results[1:], lambda results: [*results, results[0]], lambda results: [*results[1:], results[1]]],
    ids=["one-less", "one-more", "one-twice"],
)
def test_c14_another_number_of_expectations_was_evaluated(
    change: Callable[[list[Any]], Any], frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answer(monkeypatch, change)
    assert "of 3 expectations were evaluated" in refused(CHECKS, frame)


ERROR, PARTIAL, TORN = "raised an error", "was not evaluated on every row", "contradicts itself"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"exception_info": {}}, ERROR),
        ({"exception_info": None}, ERROR),
        ({"exception_info": {"raised_exception": True, "exception_message": "canary"}}, ERROR),
        ({"exception_info": {"some metric": {"raised_exception": True}}}, ERROR),
        ({"result": {}}, PARTIAL),
        ({"result": None}, PARTIAL),
        ({"result": {"element_count": 2, "unexpected_count": 0}}, PARTIAL),
        ({"result": {"element_count": 3}}, PARTIAL),
        ({"result": {"element_count": 3, "unexpected_count": 0}, "success": False}, TORN),
        ({"result": {"element_count": 3, "unexpected_count": 2}}, TORN),
        ({"result": {"element_count": 3, "unexpected_count": 2, "unexpected_index_list": [{"row_id": [1]}]}}, TORN),
        ({"success": True}, TORN),
    ],
)
def test_c14_an_inconsistent_result_proves_nothing(
    wrong: dict[str, Any], said: str, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(results: list[Any]) -> list[Any]:
        first = next(result for result in results if not result.success)
        given = {name: getattr(first, name) for name in ("expectation_config", "exception_info", "result", "success")}
        return [SimpleNamespace(**(given | wrong)), *(result for result in results if result is not first)]

    _answer(monkeypatch, change)
    assert said in refused(CHECKS, frame)


def test_s28_the_results_of_the_library_hold_no_values(frame: pd.DataFrame) -> None:
    results = engine._validate("suite", CHECKS, frame.assign(row_id=range(3)))
    assert not all(result.success for result in results)
    assert "canary" not in "".join(str(result.to_json_dict()) for result in results)


def test_c14_no_plan_passes_when_the_checks_do_not_happen(
    layout: Layout, policy: Policy, members: Callable[..., pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_validate", lambda *_: [])
    with pytest.raises(Blocked, match="could not be carried out"):
        quality.judge_changes(ChangeSet(), policy)
    with pytest.raises(Blocked, match="could not be carried out"):
        quality.judge_snapshot("mailchimp", members(), layout)


def test_s40_telemetry_and_progress_bars_are_off_and_nothing_is_kept_on_disk() -> None:
    quality.warm_up()
    _, context = engine._library()
    # In a process of its own: here other tests may have put the environment back since the library was loaded.
    told = "import os, quality; quality.warm_up(); print(os.environ['GX_ANALYTICS_ENABLED'])"
    here = {name: value for name, value in os.environ.items() if name != "GX_ANALYTICS_ENABLED"}
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, env=here)
    assert done.stdout.strip() == "false"
    assert type(context).__name__ == "EphemeralDataContext"
    assert not context.variables.progress_bars["globally"]
    assert not context.variables.progress_bars["metric_calculations"]
    assert engine._library()[1] is context, "one context per process"


def test_the_library_lets_go_of_the_people_it_judged(frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[weakref.ref[pd.DataFrame]] = []
    true = engine._validate

    def watched(suite: str, checks: Any, given: pd.DataFrame) -> Any:
        seen.append(weakref.ref(given))
        return true(suite, checks, given)

    monkeypatch.setattr(engine, "_validate", watched)
    engine.evaluate("suite", CHECKS, frame)
    gc.collect()
    assert seen[0]() is None


def test_the_library_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, quality; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
