"""Guards: what would happen is too much, so nothing happens before a person said so (design section 7).

Shares count only above a floor, so that a small book is never blocked by its size.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pandas as pd

from domain.changeset import FLAG, MARKER, STAMP, STATUS
from domain.settings import SyncSettings

ABSENT_FLOOR, CHANGED_FLOOR, NEW_FLOOR, BLANKED_FLOOR = 10, 25, 50, 10
_OWN = (FLAG, MARKER, STAMP, STATUS)


@dataclass(frozen=True)
class Trip:
    """One guard that refuses: its short name and a sentence with the numbers."""

    guard: str
    message: str


def absent(missing: dict[str, int], active: int, settings: SyncSettings) -> list[Trip]:
    """Links whose record a snapshot lacks: deleted, or no longer readable (hazards A5, A12). Before point reads."""
    return [
        Trip(
            "absent",
            f"{number} of {active} linked {_WORDS[side]} are missing in {side.capitalize()} ({_share(number, active)})",
        )
        for side, number in missing.items()
        if number >= ABSENT_FLOOR and number > settings.max_absent * active
    ]


def emptied(found: dict[str, int], active: int) -> list[Trip]:
    """A side that suddenly has nothing is an alarm, not a change (hazard A1)."""
    return [
        Trip("empty", f"{side.capitalize()} shows no {_WORDS[side]} at all, but {active} are linked")
        for side, number in found.items()
        if number == 0 and active > 0
    ]


def guard(changes: pd.DataFrame, active: int, settings: SyncSettings, *, initial: bool) -> list[Trip]:
    """Guards over a ChangeSet (columns of domain.changeset.CHANGE); ``active``: links before this run."""
    trips = []
    updates = changes[changes["op"] != "create"]
    fields = _fields(updates)
    people = fields[~fields["field"].isin(_OWN)]
    for side, rows in people.groupby("side"):
        touched = rows["target"].nunique()
        if touched >= CHANGED_FLOOR and touched > settings.max_changed * active and active and not initial:
            trips.append(
                Trip(
                    "changed",
                    f"{touched} of {active} linked {_WORDS[str(side)]} would change in {str(side).capitalize()}",
                )
            )
    new = int(((changes["side"] == "mailchimp") & (changes["op"] == "create")).sum())
    if new >= NEW_FLOOR and new > settings.max_new * active and not initial:
        trips.append(
            Trip("new", f"{new} people would be added to the Mailchimp list, which has {active} linked members")
        )
    blanked = people[(people["new"] == "") & (people["old"] != "")]
    for side, field in blanked[["side", "field"]].drop_duplicates().itertuples(index=False):
        number = int(((blanked["side"] == side) & (blanked["field"] == field)).sum())
        if number >= BLANKED_FLOOR and number > settings.max_blanked * active:
            trips.append(Trip("blanked", f"{field} would be emptied for {number} people in {str(side).capitalize()}"))
    return trips


_WORDS = {"mailchimp": "members", "maximizer": "entries"}


def _share(number: int, whole: int) -> str:
    return f"{100 * number / whole:.1f} %" if whole else "all"


def _fields(changes: pd.DataFrame) -> pd.DataFrame:
    """One row per change and field: side, target, field, old, new."""
    rows = [
        (side, target, item["field"], item["old"], item["new"])
        for side, target, fields in zip(changes["side"], changes["target"], changes["fields"], strict=True)
        for item in json.loads(fields)["set"]
    ]
    return pd.DataFrame(rows, columns=["side", "target", "field", "old", "new"])
