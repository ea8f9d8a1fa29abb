"""What a changed mapping or setting would write in the next cycle, as far as our own store can know it.

Neither service is asked. What no cycle has read is not guessed: then the most that it can be is told, and how to look.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
from sqlalchemy import Engine

from domain.commands import here
from domain.fields import FieldMapping
from domain.records import cells
from domain.settings import SyncSettings
from domain.values import texts
from flows.held import NOUNS
from storage import held, links, runs
from storage.connections import Connection
from storage.engine import reading
from transform.compare import Aligned, compare
from transform.guard import CHANGED_FLOOR, over

LOOK = "To look first: maxchimp plan"
FIRST = "the first sync shows everything and asks before it writes."
DECIDING = ("conflict", "email_change", "new_member_status")


@dataclass(frozen=True)
class Effect:
    """``mailchimp``, ``maximizer``: linked records that the next cycle would write to; None where nobody can know.

    ``run`` was the last to read them, at ``read_at``. ``says`` is all of it for people.
    """

    mailchimp: int | None
    maximizer: int | None
    run: int | None
    read_at: float | None
    says: str

    def to_json(self) -> dict[str, Any]:
        return {**self.__dict__, "look": here("maxchimp plan")}


@dataclass(frozen=True)
class Seen:
    """One field of every linked pair as it was last seen: columns member, entry (NA never), note, sends."""

    frame: pd.DataFrame
    tag: str


def last_seen(engine: Engine, connection: Connection, tag: str) -> Seen:
    """To be asked before the mapping is replaced, which forgets it."""
    with reading(engine) as db:
        pairs = links.links(db, connection.id)
        pairs = pairs[pairs["state"] == "active"]
        base = links.baselines(db, [int(i) for i in pairs["id"]]).set_index("link_id").reindex(pairs["id"])
    columns = {
        name: cells(base[column].reset_index(drop=True), [tag])[tag]
        for name, column in (("member", "mailchimp"), ("entry", "maximizer"), ("note", "notes"))
    }
    return Seen(pd.DataFrame({**columns, "sends": (pairs["flag"] == "Yes").to_numpy()}), tag)


def of_mapping(engine: Engine, connection: Connection, mapping: FieldMapping, seen: Seen | None = None) -> Effect:
    """What a mapping just made or changed would write. ``seen``: what both sides held, if its fields are the same."""
    if not connection.synced:
        return _effect(engine, connection, None, None, FIRST)
    with reading(engine) as db:
        active, flagged = links.count(db, connection.id), links.count(db, connection.id, flag="Yes")
    unknown = _unknown(mapping, seen)
    if seen is not None and not unknown:
        found = _met(mapping, seen, connection)
        waits = any(over(n, CHANGED_FLOOR, connection.settings.max_changed, active) for n in found.values())
        told = f"it would write to {_many(found)}, of {active} linked people"
        told += "; these writes would wait for a person (R30)." if waits else "."
        return _effect(engine, connection, found["mailchimp"], found["maximizer"], told)
    most = {"mailchimp": 0 if mapping.one_way else flagged, "maximizer": 0 if mapping.protected else active}
    limit = max(CHANGED_FLOOR, int(connection.settings.max_changed * active))
    told = (
        f"how many records it would write is not known, for {unknown}; "
        f"{_many(most)} at most. More than {limit} on one side would wait for a person (R30)."
    )
    return _effect(engine, connection, most["mailchimp"] and None, most["maximizer"] and None, told)


def _unknown(mapping: FieldMapping, seen: Seen | None) -> str:
    """Why what a mapping would write cannot be known from the store, "" when it can."""
    if seen is None:
        return "no cycle has read these two fields together yet"
    if mapping.mailchimp.kind in ("address", "country"):
        return "an address is written as a whole"
    whole = seen.frame[["member", "entry"]].notna().to_numpy().all()
    return "" if whole else "not everybody's values have been read together yet"


def of_removal(engine: Engine, connection: Connection) -> Effect:
    return _effect(
        engine, connection, 0, 0, "0 linked records would be written because of this; both sides stay as they are."
    )


def of_settings(engine: Engine, connection: Connection, changed: SyncSettings, names: Collection[str]) -> Effect | None:
    """What settings that decide would write; None when none of these decides anything. ``connection``: as it was."""
    if not connection.synced:
        return _effect(engine, connection, None, None, FIRST) if set(names) & {*DECIDING, "max_changed"} else None
    with reading(engine) as db:
        unfinished = len(links.links(db, connection.id, unfinished=True))
        news = held.changed(db, connection.id)
    parts = []
    if set(names) & set(DECIDING):
        parts.append(
            "0 settled records would be written because of this; it decides what is edited, met or made from now on."
        )
        if unfinished:
            parts.append(f"{unfinished} linked people are not settled: it decides about them too.")
        if news:
            parts.append(f"{', '.join(news)} meets for the first time by it; how much that writes is not known.")
    free = [tag for tag, row in news.items() if row and "max_changed" in names and not _holds(changed, row)]
    if free:
        parts.append(f"below the new limit {', '.join(free)} waits no longer: the next full cycle writes it.")
    if not parts:
        return None
    known = 0 if not unfinished and not news else None
    return _effect(engine, connection, known, known, " ".join(parts))


def _holds(settings: SyncSettings, row: held.Held) -> bool:
    return any(over(n, CHANGED_FLOOR, settings.max_changed, row.links) for n in (row.mailchimp, row.maximizer))


def _met(mapping: FieldMapping, seen: Seen, connection: Connection) -> dict[str, int]:
    """Writes per side if every pair met for the first time with what each side held when last seen."""
    frame = seen.frame.reset_index(drop=True)
    unseen = pd.DataFrame({mapping.tag: texts([None] * len(frame))}, index=frame.index)
    whole = Aligned(
        frame[["member"]].set_axis([mapping.tag], axis=1),
        frame[["entry"]].set_axis([mapping.tag], axis=1),
        unseen,
        unseen,
        frame[["note"]].set_axis([mapping.tag], axis=1).fillna(""),
        frame["sends"],
    )
    found = compare(whole, (mapping,), connection.settings.conflict, _today())["verdict"]
    return {"mailchimp": int((found == "maximizer").sum()), "maximizer": int((found == "mailchimp").sum())}


def _today() -> date:
    return datetime.now(UTC).astimezone().date()


def _many(numbers: Mapping[str, int]) -> str:
    return " and ".join(
        f"{number} {NOUNS[side][number != 1]} in {side.capitalize()}" for side, number in numbers.items()
    )


def _effect(engine: Engine, connection: Connection, mailchimp: int | None, maximizer: int | None, told: str) -> Effect:
    """With what it rests on: the last cycle that read both sides."""
    read = [r for r in runs.latest(engine, connection.id, 100) if r.kind in ("sync", "backfill")]
    last = next((r for r in read if r.state in ("done", "partial")), None)
    if last is None or not connection.synced:
        return Effect(mailchimp, maximizer, None, None, here(f"{told[0].upper()}{told[1:]} {LOOK}."))
    at = f"{datetime.fromtimestamp(last.started_at, UTC):%Y-%m-%d %H:%M} UTC"
    says = here(f"By what was read at {at} (run {last.id}), {told} {LOOK}.")
    return Effect(mailchimp, maximizer, last.id, last.started_at, says)
