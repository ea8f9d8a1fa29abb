"""The one sentence for somebody in a hurry, and the pairs it speaks of: in step, and whether all their fields agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from domain.sums import closes
from quality.people import CLASSES, Classified

# Why fields of a pair in step differ, in words; a pair counts under the first of its reasons.
REASONS = {
    "other": "for no reason that is known",
    "waiting": "waits for a decision",
    "pending": "on the way",
    "withheld": "cannot be held there",
    "one-way": "held back by the flag",
    "protected": "protected in Maximizer",
    "placeholder": "placeholder of ours",
}


def differing(people: Classified, details: pd.DataFrame) -> dict[str, Any]:
    """Pairs in step: ``pairs`` = ``agree`` + ``differ``, and ``differ`` by ``reasons``.

    ``details``: flows.agreement, one row per field of a pair that does not agree.
    """
    codes = [one.code for one in CLASSES if one.group == "in step"]
    links = people.members.loc[people.members["class"].isin(codes), "link"]
    rows = details.loc[details["link"].isin(links), ["link", "state"]]
    rows = rows.assign(order=rows["state"].map({state: place for place, state in enumerate(REASONS)}))
    first = rows.sort_values("order", kind="stable").drop_duplicates("link")["state"].value_counts()
    reasons = {state: int(first[state]) for state in REASONS if state in first}
    differ = closes("the pairs that differ", int(rows["link"].nunique()), reasons.values())
    return {"pairs": len(links), "agree": len(links) - differ, "differ": differ, "reasons": reasons}


def headline(people: Mapping[str, int], differing: Mapping[str, Any]) -> str:
    """``people``: persons by group; ``differing``: what the function of that name found."""
    pairs, pending, waiting = people["in step"], people["pending"], people["waiting"]
    everybody = pairs + pending + waiting
    if not everybody:
        return "Nobody takes part yet: no member is subscribed, and no entry is flagged."
    shown = "All" if pairs == everybody else f"{min(pairs / everybody * 100, 99.9):.1f} % of"
    rest = [f"{pending:,} {'follows' if pending == 1 else 'follow'} with the next sync"] if pending else []
    rest += [f"{waiting:,} {'waits' if waiting == 1 else 'wait'} for somebody's decision"] if waiting else []
    tail = "; " + " and ".join(rest) if rest else ""
    return f"{shown} the {everybody:,} people who take part are in step on both sides{_though(differing)}{tail}."


def _though(differing: Mapping[str, Any]) -> str:
    """How many of those in step hold different values all the same, and why."""
    reasons = dict(differing["reasons"])
    unknown = reasons.pop("other", 0)
    stated = sum(reasons.values())
    named = ", ".join(f"{REASONS[state]} {number:,}" for state, number in sorted(reasons.items(), key=lambda r: -r[1]))
    told = [f"{stated:,} of them with fields that differ for a stated reason ({named})"] if stated else []
    told += [f"{unknown:,} with fields that differ {REASONS['other']}"] if unknown else []
    return ", " + " and ".join(told) if told else ""
