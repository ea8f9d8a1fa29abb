"""What a check is, what came of it, and the verdict over a whole frame. No value of a person is kept in any of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from domain.changeset import FINDING, empty

FAILED = ("side", "key", "field", "expectation", "reason")

# Whose fault a failure is: the whole set's (nothing may be written), one record's (it waits for a person, R51),
# or one value's (it is reported; the compare withholds it for that field only, R28).
Level = Literal["set", "record", "value"]
FEW, FEW_SHARE = 10, 0.01


@dataclass(frozen=True)
class Check:
    """One expectation: its name in Great Expectations, the column it looks at, and what a failure means.

    ``reason`` completes "this record: ..." without values. ``rule`` is the number of the rule that it guards.
    ``escalates``: a record's failure that becomes the set's when there are more than a few
    (``FEW`` records and ``FEW_SHARE`` of all): then the service speaks another language than we do.
    """

    expectation: str
    column: str
    reason: str
    level: Level = "record"
    rule: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    escalates: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a check. ``rows``: positions of the failing rows. ``evaluated``: rows with something to judge."""

    suite: str
    check: Check
    evaluated: int
    rows: np.ndarray

    @property
    def blocks(self) -> bool:
        """Whether the set as a whole has failed."""
        bad = len(self.rows)
        many = bad > max(FEW, FEW_SHARE * self.evaluated)
        return (self.check.level == "set" and bad > 0) or (self.check.escalates and many)

    def result(self) -> dict[str, Any]:
        return {
            "suite": self.suite,
            "expectation": self.check.expectation,
            "column": self.check.column,
            "success": not len(self.rows),
            "evaluated": self.evaluated,
            "unexpected": len(self.rows),
            "mandatory": self.check.level != "value",
            "reason": self.check.reason,
            "rule": self.check.rule,
        }


@dataclass(frozen=True)
class Verdict:
    """What the checks of one frame found, without any value.

    ``failed_rows``: FAILED columns, one row per record and failed mandatory check: to be put aside, with ``reason`` a
    sentence for people (R51). ``results``: one JSON-able dict per expectation (suite, expectation, column, success,
    evaluated, unexpected, mandatory, reason, rule). ``findings``: FINDING columns of kind "check", ``value`` empty:
    values that are not of their field's kind; nothing has to wait for them (R28).
    """

    failed_rows: pd.DataFrame = field(default_factory=lambda: empty(FAILED))
    results: list[dict[str, Any]] = field(default_factory=list)
    findings: pd.DataFrame = field(default_factory=lambda: empty(FINDING))


# ------------------------------------------------------------------ the few kinds of checks


def filled(column: str, reason: str, level: Level = "record", rule: str = "") -> Check:
    return Check("expect_column_values_to_not_be_null", column, reason, level, rule, {"column": column})


def unique(columns: Sequence[str], reason: str, level: Level = "record", rule: str = "") -> Check:
    """Each row differs from every other in ``columns``."""
    name = "+".join(columns)
    if len(columns) == 1:
        return Check("expect_column_values_to_be_unique", name, reason, level, rule, {"column": name})
    listed = {"column_list": list(columns)}
    return Check("expect_compound_columns_to_be_unique", name, reason, level, rule, listed)


def matches(column: str, pattern: str, reason: str, level: Level = "record", rule: str = "") -> Check:
    """``pattern`` is anchored, and has no capturing groups."""
    arguments = {"column": column, "regex": pattern}
    return Check("expect_column_values_to_match_regex", column, reason, level, rule, arguments)


def among(
    column: str,
    accepted: Iterable[str],
    reason: str,
    level: Level = "record",
    rule: str = "",
    *,
    escalates: bool = False,
) -> Check:
    arguments = {"column": column, "value_set": list(accepted)}
    return Check("expect_column_values_to_be_in_set", column, reason, level, rule, arguments, escalates)


def none_of(column: str, refused: Iterable[str], reason: str, level: Level = "record", rule: str = "") -> Check:
    arguments = {"column": column, "value_set": list(refused)}
    return Check("expect_column_values_to_not_be_in_set", column, reason, level, rule, arguments)


def at_most(column: str, length: int, reason: str, level: Level = "record", rule: str = "") -> Check:
    """Texts of at most ``length`` characters."""
    arguments = {"column": column, "max_value": length}
    return Check("expect_column_value_lengths_to_be_between", column, reason, level, rule, arguments)


def at_least(column: str, number: int, reason: str, level: Level = "record", rule: str = "") -> Check:
    arguments = {"column": column, "min_value": number}
    return Check("expect_column_values_to_be_between", column, reason, level, rule, arguments)


# ------------------------------------------------------------------ without the library


def by_hand(suite: str, check: Check, column: pd.Series) -> Outcome:
    """The outcome of a check of one record, as the library would find it; NA is nothing to judge."""
    there = column.notna()
    match check.expectation, dict(check.arguments):
        case "expect_column_values_to_not_be_null", _:
            bad, there = column.isna(), pd.Series(True, index=column.index)
        case "expect_column_values_to_match_regex", {"regex": pattern}:
            bad = there & ~column.fillna("").str.contains(pattern, regex=True).astype(bool)
        case "expect_column_values_to_be_in_set", {"value_set": accepted}:
            bad = there & ~column.isin(accepted)
        case "expect_column_value_lengths_to_be_between", {"max_value": longest}:
            bad = there & (column.fillna("").str.len() > longest)
        case _:
            raise NotImplementedError(check.expectation)
    return Outcome(suite, check, int(there.sum()), np.flatnonzero(bad.to_numpy(bool)))
