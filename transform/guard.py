"""Guards: what would happen is too much, so nothing happens before a person said so (design section 7).

| guard     | refuses                                                                    | limit         | floor |
|-----------|----------------------------------------------------------------------------|---------------|-------|
| empty     | a side that has nothing, although records of it are linked                 |               |       |
| absent    | linked records of a side that are deleted, archived or no longer readable  | `max_absent`  | 10    |
| changed   | linked records of a side that people have edited since they were last seen | `max_changed` | 25    |
| new       | people added to the Mailchimp list, or brought back to it                  | `max_new`     | 50    |
| blanked   | values of one field that give way to nothing, or to a placeholder          | `max_blanked` | 10    |

A guard trips above its floor *and* above its share of the links, so that a small book is never blocked by its size.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pandas as pd

from domain.changeset import FLAG, MARKER, STAMP, STATUS, ChangeSet
from domain.records import PLACEHOLDER
from domain.settings import SyncSettings

ABSENT_FLOOR, CHANGED_FLOOR, NEW_FLOOR, BLANKED_FLOOR = 10, 25, 50, 10
_OWN = (FLAG, MARKER, STAMP, STATUS)
_WORDS = {"mailchimp": "members", "maximizer": "entries"}
_WHY = {
    "mailchimp": "deleted or archived",
    "maximizer": "deleted, or the service user may no longer read them",
}


@dataclass(frozen=True)
class Trip:
    """One guard that refuses: its short name and a sentence with the numbers."""

    guard: str
    message: str


def absent(missing: dict[str, int], active: int, settings: SyncSettings) -> list[Trip]:
    """Links whose record is missing, per side (hazards A5, A12): in a snapshot, or as point reads have shown."""
    return [
        Trip(
            "absent",
            f"{number} of {active} linked {_WORDS[side]} are missing in {side.capitalize()} "
            f"({_share(number, active)}): {_WHY[side]}",
        )
        for side, number in missing.items()
        if over(number, ABSENT_FLOOR, settings.max_absent, active)
    ]


def emptied(found: dict[str, int], active: int) -> list[Trip]:
    """A side that suddenly has nothing is an alarm, not a change (hazard A1)."""
    return [
        Trip("empty", f"{side.capitalize()} shows no {_WORDS[side]} at all, but {active} are linked")
        for side, number in found.items()
        if number == 0 and active > 0
    ]


def guard(decided: ChangeSet, active: int, settings: SyncSettings, *, initial: bool) -> list[Trip]:
    """Guards over a decision. ``active``: links before this run; ``initial``: no first sync was completed yet."""
    trips = absent(_tally(decided, "gone"), active, settings)
    if not initial:
        trips += [
            Trip("changed", f"{number} of {active} linked {_WORDS[side]} were changed in {side.capitalize()}")
            for side, number in _tally(decided, "moved").items()
            if over(number, CHANGED_FLOOR, settings.max_changed, active)
        ]
        trips += _joining(decided.changes, active, settings)
    return trips + _blanked(decided.changes, active, settings)


def over(number: int, floor: int, limit: float, active: int) -> bool:
    """Whether a number is above its floor and above its share of the links."""
    return number > floor and number > limit * active


def _tally(decided: ChangeSet, what: str) -> dict[str, int]:
    return {side: decided.tallies.get(f"{what} in {side}", 0) for side in _WORDS}


def _joining(changes: pd.DataFrame, active: int, settings: SyncSettings) -> list[Trip]:
    """Hazard E4: an import may set thousands of flags."""
    new = int(((changes["side"] == "mailchimp") & changes["op"].isin(["create", "revive"])).sum())
    if not over(new, NEW_FLOOR, settings.max_new, active):
        return []
    return [Trip("new", f"{new} people would be added to the Mailchimp list, which has {active} linked members")]


def _blanked(changes: pd.DataFrame, active: int, settings: SyncSettings) -> list[Trip]:
    fields = items(changes[changes["op"] != "create"])
    fields = fields[~fields["field"].isin(_OWN) & (fields["old"] != "")]
    lost = fields[(fields["new"] == "") | fields["note"].str.startswith(PLACEHOLDER)]
    counted = lost.groupby(["side", "field"]).size().reset_index(name="number")
    return [
        Trip("blanked", f"{field} would be emptied for {number} people in {str(side).capitalize()}")
        for side, field, number in counted.itertuples(index=False, name=None)
        if over(number, BLANKED_FLOOR, settings.max_blanked, active)
    ]


def _share(number: int, whole: int) -> str:
    return f"{100 * number / whole:.1f} %" if whole else "all"


def items(changes: pd.DataFrame) -> pd.DataFrame:
    """One row per change and field: side, field, old, new, note."""
    rows = [
        (side, item["field"], item["old"], item["new"], item["note"])
        for side, fields in zip(changes["side"], changes["fields"], strict=True)
        for item in json.loads(fields)["set"]
    ]
    return pd.DataFrame(rows, columns=["side", "field", "old", "new", "note"]).astype("str")
