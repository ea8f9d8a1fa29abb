"""What reading a side needs and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from clients.mailchimp import Mailchimp
from clients.maximizer import Maximizer
from domain import records
from domain.records import Layout
from storage import snapshots
from storage.engine import begin

# Both services count in whole seconds and a change may become visible a moment after its date: the floor of every
# overlap, to which the buffer setting is added (R35). It widens what is read and can cause no write (R32).
OVERLAP = 3.0


@dataclass(frozen=True)
class Reading:
    """One run's reading. ``progress`` is told the side and the number of rows of each page."""

    engine: Engine
    run_id: int
    connection_id: int
    list_id: str
    layout: Layout
    mailchimp: Mailchimp
    maximizer: Maximizer
    buffer_ms: int
    progress: Callable[[str, int], None] = lambda side, rows: None

    @property
    def scope(self) -> list[str]:
        """Fields to read of an entry."""
        return scope_of(self.layout)

    def stage(self, side: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Canonical values of a page into the snapshot table; the later of two readings of a record stays."""
        if not rows:
            return
        wide = (records.members if side == "mailchimp" else records.entries)(rows, self.layout)
        staged = records.stage(wide, side)
        with begin(self.engine) as db:
            put = snapshots.stage_members if side == "mailchimp" else snapshots.stage_entries
            put(db, self.run_id, staged)
        self.progress(side, len(rows))

    def stage_missing(self, side: str, keys: Sequence[str]) -> None:
        """Note that a point read did not find these records."""
        if keys:
            with begin(self.engine) as db:
                put = snapshots.stage_members if side == "mailchimp" else snapshots.stage_entries
                put(db, self.run_id, records.missing(side, keys))


def scope_of(layout: Layout) -> list[str]:
    """Fields to read of an entry: the mapped ones, and those that every sync looks at."""
    refs = [m.maximizer.ref for m in layout.mappings]
    return [*dict.fromkeys([*refs, "Email1", "Email2", "Email3", layout.flag_ref, layout.marker_ref])]


@dataclass(frozen=True)
class Read:
    """``complete``: every row that the side announced was read. ``cursor``: the latest change seen, its own clock."""

    rows: int
    complete: bool
    cursor: str


def earlier(moment: str, seconds: float) -> str:
    """An ISO time some seconds before another, in the same form (``Z`` or offset), whole seconds rounded down."""
    read = datetime.fromisoformat(moment.replace("Z", "+00:00")) - timedelta(seconds=seconds)
    text = read.replace(microsecond=0).isoformat()
    return text.replace("+00:00", "Z") if moment.endswith("Z") else text


def latest(*moments: str) -> str:
    """The latest of ISO times of one service, "" when there is none."""
    known = [m for m in moments if m]
    return max(known, key=lambda m: datetime.fromisoformat(m.replace("Z", "+00:00")).replace(tzinfo=None), default="")
