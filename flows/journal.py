"""What a run leaves to people, as lines of the log: who (by link, never by address), field, rule, what to do (R50)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sqlalchemy import Connection as Database

from storage import links, parking

log = logging.getLogger("maxchimp.cycle")
# A conflict is kept under the name of the side whose value was taken.
_WORDS = {
    ("conflict", "maximizer"): "both sides held different values, Maximizer's was taken",
    ("conflict", "mailchimp"): "both sides held different values, Mailchimp's was taken",
    ("conflict", "withheld"): "both sides held different values, and the one to be taken cannot be held there",
    ("conflict", "same"): "both sides held different values",
}
SHOWN = 5  # records named in a line; the others are counted
_RULES = {
    "withheld": "R28",
    "unmapped": "R26",
    "conflict": "R31",
    "no-email": "R3",
    "email23": "R7",
    "no-address": "R1",
}
_REMEDIES = {
    "withheld": "correct the value, or add the option; it goes by itself as soon as it fits",
    "unmapped": "add the option on the other side under the same name, or leave it",
    "conflict": "nothing; what was overwritten is kept: maxchimp runs show",
    "no-email": "fill in Email 1, or set the flag to No",
    "email23": "make it Email 1 of that entry, if it is the same person",
    "no-address": "give the contact an address in Mailchimp",
}


@dataclass(frozen=True)
class Line:
    """A sentence for people, and what it is made of, for programs."""

    text: str
    facts: dict[str, Any]


def tell(db: Database, connection_id: int, run_id: int) -> None:
    """Log what a run leaves to people."""
    for line in lines(db, connection_id, run_id):
        log.warning("%s", line.text, extra={"facts": line.facts})


def lines(db: Database, connection_id: int, run_id: int) -> list[Line]:
    """One line per record that waits since this run, and per field and problem that this run found."""
    waiting = parking.open_rows(db, connection_id)
    waiting = waiting[waiting["since_run"] == run_id]
    found = parking.findings(db, connection_id)
    found = found[(found["run_id"] == run_id) & found["kind"].isin(list(_RULES))]
    groups = [
        (tuple(map(str, key)), rows["key"].str.partition(":")[2])
        for key, rows in found.groupby(["kind", "field", "problem"])
    ]
    keys = [*waiting["key"], *(key for _, rows in groups for key in rows.head(SHOWN))]
    known = links.named(db, connection_id, keys)
    return [*_waiting(waiting, known), *_found(groups, known)]


def _waiting(rows: pd.DataFrame, known: dict[str, int]) -> Iterator[Line]:
    for row in rows.to_dict("records"):
        field = f"{row['field']}: " if row["field"] else ""
        remedy = row["remedy"] or "see: maxchimp quarantine list"
        who = ", ".join([f"quarantine {row['id']}", *_called([row["key"]], known)])
        text = f"{who}: {field}{row['reason']} ({row['rule']}). Waits. To do: {remedy}."
        facts = {"quarantine": int(row["id"]), "side": row["side"], **_named([row["key"]], known)}
        facts |= {"field": row["field"], "problem": row["reason"], "rule": row["rule"], "remedy": remedy}
        yield Line(text, {**facts, "waits": True})


def _found(groups: list[tuple[tuple[str, ...], pd.Series]], known: dict[str, int]) -> Iterator[Line]:
    for (kind, field, found), keys in groups:
        problem = _WORDS.get((kind, found), found)
        called = _called(keys.head(SHOWN).tolist(), known)
        named = f": {', '.join(called)}" if called else ""
        more = f" and {len(keys) - len(called)} more" if called and len(keys) > len(called) else ""
        what = f"{field}: {problem}" if field else problem
        count = f"{len(keys)} record{'' if len(keys) == 1 else 's'}"
        text = f"{what} ({_RULES[kind]}): {count}{named}{more}. To do: {_REMEDIES[kind]}."
        facts = {"finding": kind, "field": field, "problem": problem, "records": len(keys)}
        more_facts = {"rule": _RULES[kind], "remedy": _REMEDIES[kind]}
        yield Line(text, {**facts, **_named(keys.head(SHOWN).tolist(), known), **more_facts})


def _called(keys: list[str], known: dict[str, int]) -> list[str]:
    """Records as people find them again: by link, or by Client ID and number.

    A member that has no link yet has nothing but a hash to be called by, which no log may hold.
    """
    named = _named(keys, known)
    return [
        *(f"link {number}" for number in named.get("links", ())),
        *(f"entry {key}" for key in named.get("entries", ())),
    ]


def _named(keys: list[str], known: dict[str, int]) -> dict[str, Any]:
    """Records by the ids of their links, and entries without one by their own."""
    records = [key.removeprefix("new:") for key in keys]
    links = [known[record] for record in records if record in known]
    entries = [record for record in records if record not in known and "#" in record]
    return {name: listed for name, listed in (("links", links), ("entries", entries)) if listed}
