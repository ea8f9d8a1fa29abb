"""The ChangeSet: everything one run has decided, as frames that can be printed, counted, stored and refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any

import pandas as pd

from domain.fields import MailchimpField
from domain.records import Layout
from domain.settings import SyncSettings

CHANGE = ("side", "op", "target", "contact_id", "entry_id", "marker", "fields", "rule")
NEW_LINK = (
    "contact_id",
    "entry_id",
    "email",
    "email1",
    "unique_email_id",
    "web_id",
    "status",
    "flag",
    "flag_ours",
    "member_hash",
    "entry_hash",
    "reason",
)
CELL = ("contact_id", "entry_id", "tag", "mailchimp", "maximizer", "note")
PARKED = ("side", "key", "field", "reason", "rule", "remedy", "evidence", "member_hash", "entry_hash")
FINDING = ("kind", "key", "field", "value", "problem")

# Fields of a change that are no mapping: the two UDFs of ours, and the entry's identity as carried by the member.
FLAG, MARKER, STAMP, STATUS = "#flag", "#marker", "#stamp", "#status"
LAST_NAME = "#lastname"  # of a new entry when no mapping leads there
# The rule of a value that won over another one: at a first meeting, or after edits on both sides (by R30's setting).
FIRST_MEETING, BOTH_EDITED = "R30", "R31, R30"
EDITED = ", both edited"  # so ends the problem of a conflict's finding that is none of a first meeting
# Why a link ended whose member took another address: until it is stamped anew, the member still names its old entry.
READDRESSED = "the member's address was changed in Mailchimp (R13)"


def empty(columns: tuple[str, ...]) -> pd.DataFrame:
    """A frame of no rows, columns of dtype object; the caller's own, though the arrays are shared (copy on write)."""
    return _no_rows(columns).copy(deep=False)


@cache
def _no_rows(columns: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype="object") for name in columns})


@dataclass(frozen=True)
class Policy:
    """What decisions depend on beside the data. ``today`` is the run's own date, chosen once (R22)."""

    layout: Layout
    settings: SyncSettings
    today: date
    full: bool = True
    # Absence from a complete snapshot may be concluded; otherwise only what a point read showed (hazard A2).
    members_complete: bool = True
    entries_complete: bool = True
    # The latest change in Mailchimp, by its own clock, that a finished cycle has seen ("" none).
    mailchimp_cursor: str = ""
    # Mandatory merge fields that no mapping fills: a placeholder in new members, left alone in others (R22).
    unmapped_required: tuple[MailchimpField, ...] = ()
    # Fields whose mapping or options changed: what moves there is nobody's edit. ``held``: those that wait for a
    # person; pairs are treated as if they were not mapped, so that they still meet for the first time (R30).
    changed: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Inputs:
    """What one decision looks at: staged rows that moved or stand alone, and what we remember of them.

    ``members`` and ``entries``: wide frames with ``row_hash`` (domain.records). ``links``: columns of the link table
    for every pair with a row here. ``baselines``: link_id, mailchimp, maximizer, notes (JSON objects tag -> text).
    ``holders``: links (id, contact_id, entry_id, email, email1, unique_email_id) that hold an address or an identity
    which a newcomer claims. ``parked``: open quarantine rows; ``held`` (bool): what was refused is not tried again.
    ``resting``: targets with an open write (frozen).
    ``readdressed``: members whose stamp names the entry they left when they took another address (R13).
    ``notes``: contact_id and notes of members without a link, as their last one knew them (R23), the latest last.
    ``suppressed``: addresses (keys) never to be made members; ``erased``: those of them never to be made entries.
    """

    members: pd.DataFrame
    entries: pd.DataFrame
    links: pd.DataFrame
    baselines: pd.DataFrame
    holders: pd.DataFrame
    parked: pd.DataFrame
    resting: frozenset[str] = frozenset()
    suppressed: frozenset[str] = frozenset()
    erased: frozenset[str] = frozenset()
    readdressed: frozenset[str] = frozenset()
    notes: pd.DataFrame = field(default_factory=lambda: empty(("contact_id", "notes")))


@dataclass
class ChangeSet:
    """All decisions of one run.

    ``changes``: CHANGE columns, one row per record and side; ``fields`` is a JSON object
    ``{"set": [{field, old, new, seen, note, rule}, ...], "then": {link column: value}}``: what to write, and what the
    link becomes once it is confirmed (for a new entry also ``placeholders``: what of its member is ours, tag -> value).
    ``seen`` is the other side's value that the write carries over.
    ``new_links``: pairs accepted now (columns of the link table). ``link_updates``: id and columns of the link table
    to set before loading. ``adopted``: CELL, values to be remembered without a write (NA = leave as remembered).
    ``parked``: PARKED. ``findings``: FINDING. ``evaluated``: keys of records whose old findings no longer count.
    ``held_back``: ``"<side> <target>"`` of changes that were refused before and wait until their record changes (R51).
    """

    changes: pd.DataFrame = field(default_factory=lambda: empty(CHANGE))
    new_links: pd.DataFrame = field(default_factory=lambda: empty(NEW_LINK))
    link_updates: pd.DataFrame = field(default_factory=lambda: empty(("id",)))
    adopted: pd.DataFrame = field(default_factory=lambda: empty(CELL))
    parked: pd.DataFrame = field(default_factory=lambda: empty(PARKED))
    findings: pd.DataFrame = field(default_factory=lambda: empty(FINDING))
    evaluated: tuple[str, ...] = ()
    held_back: tuple[str, ...] = ()
    tallies: dict[str, int] = field(default_factory=dict)

    def counted(self) -> dict[str, Any]:
        """Counts in the shape of the contract: planned writes per side, and what was decided without a write."""
        sides = {side: {"create": 0, "update": 0, "failed": 0} for side in ("mailchimp", "maximizer")}
        for (side, op), rows in self.changes.groupby(["side", "op"], sort=False):
            sides[str(side)]["create" if op == "create" else "update"] += len(rows)
        names = ("conflicts", "protected", "placeholders", "unchanged", "held")
        rest = {name: int(self.tallies.get(name, 0)) for name in names}
        return {**sides, **rest, "quarantined": len(self.parked)}


def add_counts(counts: Mapping[str, Any], side: str, **more: int) -> dict[str, Any]:
    """A copy of ``counts`` with a side's numbers replaced."""
    return {**counts, side: {**counts[side], **more}}
