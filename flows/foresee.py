"""What the next run would do with one person, decided by the very functions that a run decides with."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from sqlalchemy import Connection as Database
from sqlalchemy import Engine

from domain import records
from domain.changeset import ChangeSet, Inputs, Policy
from domain.fields import FieldMapping
from domain.records import PLACEHOLDER, Layout
from domain.values import address_key
from extract.reading import scope_of
from flows import pair
from flows.explain import OWN, Explanation, history, matched, remark, why
from flows.gather import parked
from flows.person import Person, Row, find
from flows.prepare import Prepared, check_identity, prepare
from flows.services import Services
from storage import held, links, parking
from storage.connections import Connection
from storage.engine import reading
from transform.decide import decide
from transform.held import NewOptions, meanwhile

OPERATIONS = {"create": "Create the", "update": "Update the", "rename": "Rename the", "revive": "Bring back the"}
WAITS = "nothing before a person lets its changed mapping pass (R30): maxchimp plan"
NOUNS = {"mailchimp": "member", "maximizer": "entry"}


def explain(
    engine: Engine, connection: Connection, services: Services, who: str, *, now: Callable[[], float] = time.time
) -> list[Explanation]:
    """Everybody meant by ``who`` (see ``flows.person.find``) with every field and what the next run would do."""
    session = check_identity(connection, services)
    pair.look(engine, connection.name, services, pair.both(connection, services, session), now)
    people = find(engine, connection, services, who)
    prepared = prepare(engine, connection, services, keep=False) if people else None
    return [explained(engine, connection, services, person, prepared, now=now) for person in people if prepared]


def explained(
    engine: Engine,
    connection: Connection,
    services: Services,
    person: Person,
    prepared: Prepared,
    *,
    now: Callable[[], float] = time.time,
) -> Explanation:
    """One person with fields and future; a service that does not answer leaves these out."""
    layout = prepared.layout
    verdict = why(person, connection, layout.flag_yes, layout.flag_no)
    told = (person, verdict, matched(person))
    done = tuple(history(engine, connection, person))
    if person.member_problem:
        return Explanation(*told, done=done)
    person = _whole(services, person, prepared)
    inputs = _inputs(engine, connection, person, layout)
    policy = Policy(
        layout=layout,
        settings=connection.settings,
        today=datetime.fromtimestamp(now(), UTC).astimezone().date(),
        full=bool(connection.full_reason) or prepared.changed,
        unmapped_required=prepared.unmapped_required,
    )
    waits, new_options = _held(engine, connection)
    policy = meanwhile(policy, waits, new_options)
    decided = decide(inputs, policy)
    fields = _fields(inputs, layout, person, decided, waits)
    return Explanation(*told, fields, tuple(_next(decided, layout)), done)


def _held(engine: Engine, connection: Connection) -> tuple[frozenset[str], NewOptions]:
    """Fields whose changed mapping waits for a person, and options that are new (R30)."""
    with reading(engine) as db:
        return frozenset(held.waiting(db, connection.id)), held.new_options(db, connection.id)


def _whole(services: Services, person: Person, prepared: Prepared) -> Person:
    """The entry with every mapped field."""
    if person.entry is None:
        return person
    entry = services.maximizer.entry(scope_of(prepared.layout), *records.split_entry_id(person.entry_id))
    return replace(person, entry=entry)


def _inputs(engine: Engine, connection: Connection, person: Person, layout: Layout) -> Inputs:
    members = _wide("mailchimp", person.member, person.contact_id if person.link else "", layout)
    entries = _wide("maximizer", person.entry, person.entry_id if person.link else "", layout)
    ids = [int(person.link["id"])] if person.link else []
    addresses = {*address_key(members["email"]), *address_key(entries["email1"])} - {""}
    with reading(engine) as db:
        ours = links.by_ids(db, ids)
        waiting = parking.waiting_for(db, connection.id, [person.contact_id, person.entry_id])
        return Inputs(
            members=members,
            entries=entries,
            links=ours,
            baselines=links.baselines(db, ids),
            holders=links.holding(db, connection.id, addresses, set(entries["marker"]) - {""}),
            parked=parked(waiting),
            resting=frozenset(person.resting),
            suppressed=_suppressed(db, connection, addresses, "forgotten", "erased"),
            erased=_suppressed(db, connection, addresses, "erased"),
            notes=links.last_notes(db, connection.id, [] if person.link else [person.contact_id or ""]),
        )


def _wide(side: str, row: Row | None, missing: str, layout: Layout) -> pd.DataFrame:
    """One row as a run stages it; a linked record that is gone is a row that says so."""
    tags = layout.member_tags if side == "mailchimp" else layout.entry_tags
    if row is None:
        return records.unstage(records.missing(side, [missing] if missing else []), tags)
    wide = (records.members if side == "mailchimp" else records.entries)([row], layout)
    return records.unstage(records.stage(wide, side), tags)


def _suppressed(db: Database, connection: Connection, addresses: set[str], *reasons: str) -> frozenset[str]:
    return frozenset(key for key in addresses if parking.suppressed_as(db, connection.id, key) in reasons)


# ---------------------------------------------------------------- in words


def _fields(
    inputs: Inputs, layout: Layout, person: Person, decided: ChangeSet, held: frozenset[str]
) -> tuple[Row, ...]:
    """One row per mapped field: both values now, both when last seen, whose value it is, what is wrong with it."""
    base = inputs.baselines.to_dict("records")[0] if len(inputs.baselines) else {}
    seen = {name: json.loads(str(base.get(name) or "{}")) for name in ("mailchimp", "maximizer", "notes")}
    planned = _planned(decided)
    found: list[Mapping[Any, Any]] = [*person.findings, *decided.findings.to_dict("records")]
    problems = {
        str(row["field"]): remark(str(row["kind"]), str(row["problem"])) for row in found if row["kind"] != "protected"
    }
    rows = [_address(inputs)]
    for mapping in layout.fields:
        tag = mapping.tag
        rows.append(
            {
                "tag": tag,
                "field": mapping.maximizer.name,
                "mailchimp": _label(mapping, "mailchimp", _cell(inputs.members, tag)),
                "maximizer": _label(mapping, "maximizer", _cell(inputs.entries, tag)),
                "seen_mailchimp": _label(mapping, "mailchimp", seen["mailchimp"].get(tag)),
                "seen_maximizer": _label(mapping, "maximizer", seen["maximizer"].get(tag)),
                "origin": _origin(mapping, str(seen["notes"].get(tag) or "")),
                "problem": mapping.broken or problems.get(tag, ""),
                "next": "; ".join(planned.get(tag, ())) or (WAITS if tag in held else ""),
            }
        )
    return tuple(rows)


def _address(inputs: Inputs) -> Row:
    link = inputs.links.to_dict("records")[0] if len(inputs.links) else {}
    return {
        "tag": "EMAIL",
        "field": "Email1",
        "mailchimp": _cell(inputs.members, "email"),
        "maximizer": _cell(inputs.entries, "email1"),
        "seen_mailchimp": str(link.get("email") or "") if link else None,
        "seen_maximizer": str(link.get("email1") or "") if link else None,
        "origin": "",
        "problem": "",
        "next": "",
    }


def _cell(frame: pd.DataFrame, name: str) -> str | None:
    if not len(frame) or name not in frame or pd.isna(frame[name].iloc[0]):
        return None
    return str(frame[name].iloc[0])


def _label(mapping: FieldMapping, side: str, value: Any) -> str | None:
    """Option keys as people call them."""
    options = (mapping.mailchimp if side == "mailchimp" else mapping.maximizer).options
    if value is None or not value or not options:
        return None if value is None else str(value)
    names: dict[str, str] = {option.key: option.label for option in options}
    text = str(value)
    keys = json.loads(text) if text.startswith("[") else [text]
    return ", ".join(names.get(str(key), str(key)) for key in keys)


def _origin(mapping: FieldMapping, note: str) -> str:
    if note.startswith(PLACEHOLDER):
        return "Mailchimp's value is a placeholder of ours (R23)"
    if note == records.MAILCHIMP_WAITS:
        return "Mailchimp's value waits: Maximizer cannot hold it (R28)"
    if note == records.MAXIMIZER_WAITS:
        return "Maximizer's value waits: Mailchimp cannot hold it (R28)"
    if mapping.one_way:
        return "read from Mailchimp only (R52)"
    return "protected: Mailchimp never changes this basic field (R12)" if mapping.protected else ""


def _planned(decided: ChangeSet) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in decided.changes.to_dict("records"):
        for item in json.loads(row["fields"])["set"]:
            side = str(row["side"]).capitalize()
            found.setdefault(str(item["field"]), []).append(f"written to {side} ({item.get('rule') or row['rule']})")
    return found


def _next(decided: ChangeSet, layout: Layout) -> list[str]:
    """What the next run would do, a sentence each; one sentence when it is nothing."""
    told = [_sentence(row, layout) for row in decided.changes.to_dict("records")]
    told += [f"Set aside for a person: {row['reason']} ({row['rule']})." for row in decided.parked.to_dict("records")]
    if len(decided.new_links) and not any("Create" in line for line in told):
        told.insert(0, "Link the member and the entry.")
    return told or ["Nothing: both sides are as they should be, or nothing may be written."]


def _sentence(row: Mapping[Any, Any], layout: Layout) -> str:
    names = {mapping.tag: mapping.maximizer.name for mapping in layout.fields}
    items = [str(item["field"]) for item in json.loads(row["fields"])["set"]]
    side = str(row["side"])
    shown = [OWN.get(item, item if side == "mailchimp" else names.get(item, item)) for item in items]
    fields = f": {', '.join(dict.fromkeys(shown))}" if shown else ""
    return f"{OPERATIONS[str(row['op'])]} {NOUNS[side]}{fields} ({row['rule']})."
