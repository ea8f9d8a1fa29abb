"""What changed mappings make wait (R30): how a cycle judges it, and how everybody tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection as Database

from domain.changeset import ChangeSet
from domain.commands import here
from domain.fields import FieldMapping
from domain.settings import SyncSettings
from storage import held
from storage.held import Held
from transform.held import SIDES, NewOptions, to_hold

NOUNS = {"mailchimp": ("member", "members"), "maximizer": ("entry", "entries")}


@dataclass(frozen=True)
class Unmet:
    """Sound mappings that no run has taken in yet, and new options (R30). ``changed``: None for one never judged."""

    changed: dict[str, Held | None]
    options: NewOptions


def unmet(db: Database, connection_id: int, mappings: Iterable[FieldMapping]) -> Unmet:
    sound = {mapping.tag for mapping in mappings if not mapping.broken}
    changed = held.changed(db, connection_id)
    known = {tag: figures for tag, figures in changed.items() if tag in sound}
    return Unmet(known, held.new_options(db, connection_id))


def judged(
    changed: Mapping[str, Held | None],
    decided: ChangeSet,
    active: int,
    settings: SyncSettings,
    run_id: int,
    *,
    complete: bool,
) -> dict[str, Held | None]:
    """The changed fields that wait, by a decision over every pair that takes all of them in.

    ``complete``: both sides were read to the end. Else nobody knows how many more there are, and every field waits.
    """
    over: dict[str, Held | None] = {
        tag: Held(**numbers, links=active, run=run_id, since=_since(changed[tag], run_id))
        for tag, numbers in to_hold(decided, changed.keys(), active, settings).items()
    }
    return over if complete else {**changed, **over}


def _since(before: Held | None, run_id: int) -> int:
    return run_id if before is None else before.since


def told(waits: Mapping[str, Held | None]) -> list[dict[str, Any]]:
    """What waits, a row per field; a field that was not counted yet has no figures."""
    none = dict.fromkeys(Held.__dataclass_fields__)
    return [{"field": tag, **(asdict(figures) if figures else none)} for tag, figures in waits.items()]


def advice() -> str:
    """What a person does about it."""
    return here("look at it with: maxchimp plan; then let it pass with: maxchimp sync --yes, or map it anew")


def writes(rows: Sequence[Mapping[str, Any]]) -> int:
    """All writes that wait."""
    return sum(int(row[side] or 0) for row in rows for side in SIDES)


def sentence(row: Mapping[str, Any]) -> str:
    """One field that waits, for people; no value of anybody."""
    if row["links"] is None:
        return (
            f"{row['field']} waits: its mapping changed, and not everything could be read to count what it would write"
        )
    sides = " and ".join(
        f"{row[side]} {NOUNS[side][row[side] > 1]} in {side.capitalize()}" for side in SIDES if row[side]
    )
    return f"{row['field']} waits: its changed mapping would write to {sides}, of {row['links']} linked people"
