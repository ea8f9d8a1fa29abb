"""Great Expectations, behind one function: checks and a frame in, outcomes out, and no way to pass unjudged.

The library never raises for a check that fails inside: it reports it in ``exception_info``. Whatever is not a whole,
consistent answer counts as a failure of the run (hazard C14), so nothing is written after checks that did not happen.
Results hold row numbers only, never values (hazard S28); analytics and progress bars are off (hazard S40).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd

from domain.errors import Blocked
from domain.quoting import quoted
from quality.checks import Check, Outcome

ROW = "row_id"
_LEAN = {
    "result_format": "COMPLETE",
    "unexpected_index_column_names": [ROW],
    "partial_unexpected_count": 0,
    "exclude_unexpected_values": True,
    "return_unexpected_index_query": False,
}
_SOURCE = "memory"
# The context serves the whole process and holds one source by that name.
_one_at_a_time = Lock()


class _Unusable(Exception):
    """An answer of the library that proves nothing; the text names the check, never a value."""


def warm_up() -> None:
    """Import the library and make its context: 3 to 6 seconds, once per process, to be spent while waiting."""
    _library()


def evaluate(suite: str, checks: Sequence[Check], frame: pd.DataFrame) -> list[Outcome]:
    """An outcome for every check, in order; ``frame`` has the checks' columns, NA where there is nothing to judge.

    Raises Blocked when the checks could not be carried out, wholly and consistently.
    """
    frame = frame.assign(**{ROW: np.arange(len(frame))})
    try:
        with _one_at_a_time:
            results = _validate(suite, checks, frame)
        return _outcomes(suite, checks, results, len(frame))
    except _Unusable as problem:
        raise _not_carried_out(suite, str(problem)) from None
    except Exception as error:
        # The text and the traceback of the library may quote values: only the kind of the error is told.
        raise _not_carried_out(suite, f"{type(error).__name__} in the validation library") from None


def _not_carried_out(suite: str, problem: str) -> Blocked:
    return Blocked(
        "checks",
        f"the data quality checks could not be carried out: {problem} (suite {quoted(suite)}); nothing was written",
        remedy="run it again; if it stays, report it with the version of great_expectations",
    )


@cache
def _library() -> tuple[Any, Any]:
    """The library and the one context of this process. An ephemeral context keeps nothing on disk."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = great_expectations.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    return great_expectations, context


def _validate(suite: str, checks: Sequence[Check], frame: pd.DataFrame) -> Sequence[Any]:
    """The library's results, in its own order; ``meta`` tells which check each belongs to."""
    library, context = _library()
    expectations = [
        getattr(library.expectations, _class_name(check.expectation))(meta={"check": number}, **check.arguments)
        for number, check in enumerate(checks)
    ]
    declared = library.ExpectationSuite(name=suite, expectations=expectations)
    source = context.data_sources.add_pandas(_SOURCE)
    try:
        batches = source.add_dataframe_asset("frame").add_batch_definition_whole_dataframe("whole")
        batch = batches.get_batch(batch_parameters={"dataframe": frame})
        results: Sequence[Any] = batch.validate(declared, result_format=dict(_LEAN)).results
    finally:
        # A source holds on to the last frame it saw, which may be a million people.
        context.data_sources.delete(_SOURCE)
    return results


def _class_name(expectation: str) -> str:
    return "".join(word.title() for word in expectation.split("_"))


def _outcomes(suite: str, checks: Sequence[Check], results: Sequence[Any], rows: int) -> list[Outcome]:
    if not results:
        raise _Unusable("the result is empty")
    by_check = {result.expectation_config.meta["check"]: result for result in results}
    if len(results) != len(checks) or set(by_check) != set(range(len(checks))):
        raise _Unusable(f"{len(results)} of {len(checks)} expectations were evaluated")
    return [_outcome(suite, check, by_check[number], rows) for number, check in enumerate(checks)]


def _outcome(suite: str, check: Check, result: Any, rows: int) -> Outcome:
    name = f"{check.expectation} of {check.column}"
    # An error inside is keyed by the metric that failed; only the plain form says that nothing was raised.
    if (result.exception_info or {}).get("raised_exception") is not False:
        raise _Unusable(f"{name} raised an error")
    found: Mapping[str, Any] = result.result or {}
    if found.get("element_count") != rows or "unexpected_count" not in found:
        raise _Unusable(f"{name} was not evaluated on every row")
    failing = _row_numbers(found.get("unexpected_index_list") or [])
    if len(failing) != found["unexpected_count"] or bool(result.success) != (not len(failing)):
        raise _Unusable(f"{name} contradicts itself")
    return Outcome(suite, check, rows - int(found.get("missing_count", 0)), failing)


def _row_numbers(listed: Sequence[Mapping[str, Any]]) -> np.ndarray:
    parts = [np.atleast_1d(np.asarray(item[ROW], dtype="int64")) for item in listed]
    return np.sort(np.concatenate(parts)) if parts else np.empty(0, dtype="int64")
