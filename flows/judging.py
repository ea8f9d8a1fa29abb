"""The data quality checks of a cycle: what ``quality`` says, and what follows for the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from domain import records
from domain.changeset import PARKED, ChangeSet, Inputs, Policy
from domain.errors import Blocked, Side
from flows.result import summary
from transform.guard import Trip

_FRAMES: tuple[tuple[Side, str], ...] = (("mailchimp", "members"), ("maximizer", "entries"))


def warm_up_checks() -> None:
    from quality import warm_up

    warm_up()


def judge_both(
    inputs: Inputs, layout: records.Layout, facts: dict[str, Any]
) -> tuple[Inputs, pd.DataFrame, pd.DataFrame]:
    """Judge both sides; rows that fail an identity check take no part and are parked (PARKED columns).

    Odd values make findings (FINDING columns): the compare withholds what the other side cannot hold (R28).
    """
    from quality import judge_snapshot

    verdicts = {side: judge_snapshot(side, getattr(inputs, name), layout) for side, name in _FRAMES}
    facts["checks"] = [result for verdict in verdicts.values() for result in verdict.results]
    kept, parked = set_aside(inputs, [verdict.failed_rows for verdict in verdicts.values()])
    return kept, parked, pd.concat([verdict.findings for verdict in verdicts.values()], ignore_index=True)


def set_aside(inputs: Inputs, failed_rows: list[pd.DataFrame]) -> tuple[Inputs, pd.DataFrame]:
    """The inputs without the rows that failed (FAILED columns, one frame per side), and those as PARKED rows."""
    failed = pd.concat(failed_rows, ignore_index=True)
    sound = {}
    for side, name in _FRAMES:
        rows = getattr(inputs, name)
        bad = failed.loc[failed["side"] == side, "key"]
        sound[name] = rows[~rows[records.KEY[side]].isin(bad)].reset_index(drop=True)
    parked = failed.rename(columns={"expectation": "evidence"}).assign(
        rule="checks",
        remedy="correct the record; it is looked at again in every run",
        member_hash=None,
        entry_hash=None,
    )
    return replace(inputs, **sound), parked[list(PARKED)]


def judge_plan(decided: ChangeSet, policy: Policy, facts: dict[str, Any]) -> None:
    from quality import judge_changes

    facts.setdefault("checks", []).extend(judge_changes(decided, policy).results)


def refusal(trips: Sequence[Trip], again: str) -> Blocked:
    """What people are told when guards trip; the first one gives the reason its name. ``again``: what lets it pass."""
    return Blocked(
        trips[0].guard,
        "; ".join(trip.message for trip in trips),
        remedy=f"find out why; if it is right, let it pass with: {again} (limits: maxchimp settings show)",
    )


def first_sync(counts: dict[str, Any], again: str) -> Blocked:
    """A first sync asks before it writes (design section 7)."""
    return Blocked(
        "first-sync",
        "this is the first sync of the connection, and it would write: " + summary(counts),
        remedy=f"look at it with: maxchimp plan; then let it pass with: {again}",
    )
