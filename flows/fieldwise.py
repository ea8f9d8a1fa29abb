"""One person field by field: what both sides hold and held, whose value it is, and what the next run does with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from domain import records
from domain.changeset import ChangeSet
from domain.commands import here
from domain.fields import FieldMapping
from domain.records import PLACEHOLDER, Layout
from domain.values import labelled
from flows.explain import remark
from flows.forecast import Forecast
from flows.person import Person, Row

WAITS = "nothing before a person lets its changed mapping pass (R30): maxchimp plan"


def wide(side: str, row: Row | None, layout: Layout) -> pd.DataFrame:
    """One row as a run stages it, none where the record is not there."""
    tags = layout.member_tags if side == "mailchimp" else layout.entry_tags
    if row is None:
        return records.unstage(records.missing(side, []), tags)
    frame = (records.members if side == "mailchimp" else records.entries)([row], layout)
    return records.unstage(records.stage(frame, side), tags)


def rows_of(
    members: pd.DataFrame,
    entries: pd.DataFrame,
    baselines: pd.DataFrame,
    layout: Layout,
    person: Person,
    decided: ChangeSet,
    forecast: Forecast,
    held: frozenset[str],
) -> tuple[Row, ...]:
    """One row per mapped field. ``members``, ``entries``: the person's own (``wide``), none or one row each.

    ``held``: fields whose changed mapping waits for a person (R30).
    """
    base = baselines.to_dict("records")[0] if len(baselines) else {}
    seen = {name: json.loads(str(base.get(name) or "{}")) for name in ("mailchimp", "maximizer", "notes")}
    keys = [f"member:{person.contact_id}", f"entry:{person.entry_id}"]
    mine = decided.findings[decided.findings["key"].isin(keys)]
    found: list[Mapping[Any, Any]] = [*person.findings, *mine.to_dict("records")]
    problems = {
        str(row["field"]): remark(str(row["kind"]), str(row["problem"])) for row in found if row["kind"] != "protected"
    }
    rows = [_address(members, entries, person, forecast)]
    for mapping in layout.fields:
        tag = mapping.tag
        rows.append(
            {
                "tag": tag,
                "field": mapping.maximizer.name,
                "mailchimp": _label(mapping, "mailchimp", _cell(members, tag)),
                "maximizer": _label(mapping, "maximizer", _cell(entries, tag)),
                "seen_mailchimp": _label(mapping, "mailchimp", seen["mailchimp"].get(tag)),
                "seen_maximizer": _label(mapping, "maximizer", seen["maximizer"].get(tag)),
                "origin": _origin(mapping, str(seen["notes"].get(tag) or "")),
                "problem": mapping.broken or problems.get(tag, ""),
                "next": _next(forecast, person, tag, mapping) or (here(WAITS) if tag in held else ""),
            }
        )
    return tuple(rows)


def _address(members: pd.DataFrame, entries: pd.DataFrame, person: Person, forecast: Forecast) -> Row:
    link = person.link
    return {
        "tag": "EMAIL",
        "field": "Email1",
        "mailchimp": _cell(members, "email"),
        "maximizer": _cell(entries, "email1"),
        "seen_mailchimp": str(link.get("email") or "") if link else None,
        "seen_maximizer": str(link.get("email1") or "") if link else None,
        "origin": "",
        "problem": "",
        "next": _next(forecast, person, "EMAIL"),
    }


def _next(forecast: Forecast, person: Person, tag: str, mapping: FieldMapping | None = None) -> str:
    """What becomes of one field, with the value; what another's record gives or takes is not told here (hazard S32)."""
    lines = []
    for step in forecast.steps:
        if person.entry_id and step.entry_id not in ("", person.entry_id):
            continue
        for item in step.fields:
            if item["field"] == tag:
                value = _label(mapping, step.side, item["new"]) if mapping else item["new"]
                side = step.side.capitalize()
                lines.append(
                    f"{value} is written to {side} ({item['rule']})" if value else f"emptied in {side} ({item['rule']})"
                )
    return "; ".join(lines)


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
    return labelled(str(value), names)


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
