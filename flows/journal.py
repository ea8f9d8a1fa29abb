"""What a run leaves to people, as lines of the log: who (by link, never by address), field, rule, what to do (R50)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sqlalchemy import Connection as Database

from domain.changeset import BOTH_EDITED, EDITED, FIRST_MEETING
from domain.commands import here, released
from flows.held import advice, sentence
from storage import links, parking

log = logging.getLogger("maxchimp.cycle")
# A conflict is kept under the name of the side whose value was taken.
_TAKEN = {
    "maximizer": ", Maximizer's was taken",
    "mailchimp": ", Mailchimp's was taken",
    "withheld": ", and the one to be taken cannot be held there",
}
SHOWN = 5  # records named in a line; the others are counted
_RULES = {
    "withheld": "R28",
    "unmapped": "R26",
    "conflict": FIRST_MEETING,
    "no-email": "R3",
    "email23": "R7",
    "no-address": "R1",
}
_REMEDIES = {
    "withheld": "correct the value, or add the option; it goes by itself as soon as it fits",
    "unmapped": "add the option on the other side under the same name, or leave it",
    "conflict": "nothing; what was overwritten is kept: maxchimp runs show {run}",
    "no-email": "fill in Email 1, or set the flag to No",
    "email23": "make it Email 1 of that entry, if it is the same person",
    "no-address": "give the contact an address in Mailchimp",
}


@dataclass(frozen=True)
class Line:
    """A sentence for people, and what it is made of, for programs."""

    text: str
    facts: dict[str, Any]


def tell(db: Database, connection_id: int, run_id: int, held: Sequence[Mapping[str, Any]] = ()) -> None:
    """Log what a run leaves to people. ``held``: what changed mappings make wait (flows.held)."""
    for line in [*_held(held, run_id), *lines(db, connection_id, run_id)]:
        log.warning("%s", line.text, extra={"facts": line.facts})


def lines(db: Database, connection_id: int, run_id: int) -> list[Line]:
    """One line per record that waits since this run, and per field and problem that this run found."""
    waiting = parking.open_rows(db, connection_id)
    waiting = waiting[waiting["since_run"] == run_id]
    found = parking.findings(db, connection_id, run_id=run_id)
    found = found[found["kind"].isin(list(_RULES))]
    groups = [
        (tuple(map(str, key)), rows["key"].str.partition(":")[2])
        for key, rows in found.groupby(["kind", "field", "problem"])
    ]
    keys = [*waiting["key"], *(key for _, rows in groups for key in rows.head(SHOWN))]
    known = links.named(db, connection_id, keys)
    return [*_waiting(waiting, known), *_found(run_id, groups, known)]


def _held(rows: Sequence[Mapping[str, Any]], run_id: int) -> Iterator[Line]:
    """Fields that this run counted: told again only when they are counted again."""
    for row in rows:
        if row["run"] in (run_id, None):
            facts = {name: row[name] for name in ("field", "mailchimp", "maximizer", "links")}
            remedy = advice()
            text = f"{sentence(row)} (R30). To do: {remedy}."
            yield Line(text, {**facts, "rule": "R30", "remedy": remedy, "waits": True})


def _waiting(rows: pd.DataFrame, known: dict[str, int]) -> Iterator[Line]:
    for row in rows.to_dict("records"):
        field = f"{row['field']}: " if row["field"] else ""
        remedy = released(row["remedy"], row["id"]) or here("see: maxchimp quarantine list")
        who = ", ".join([f"quarantine {row['id']}", *_called([row["key"]], known)])
        text = f"{who}: {field}{row['reason']} ({row['rule']}). Waits. To do: {remedy}."
        facts = {"quarantine": int(row["id"]), "side": row["side"], **_named([row["key"]], known)}
        facts |= {"field": row["field"], "problem": row["reason"], "rule": row["rule"], "remedy": remedy}
        yield Line(text, {**facts, "waits": True})


def _found(run_id: int, groups: list[tuple[tuple[str, ...], pd.Series]], known: dict[str, int]) -> Iterator[Line]:
    for (kind, field, found), keys in groups:
        problem, rule = conflict(found) if kind == "conflict" else (found, _RULES[kind])
        called = _called(keys.head(SHOWN).tolist(), known)
        named = f": {', '.join(called)}" if called else ""
        more = f" and {len(keys) - len(called)} more" if called and len(keys) > len(called) else ""
        what = f"{field}: {problem}" if field else problem
        count = f"{len(keys)} record{'' if len(keys) == 1 else 's'}"
        remedy = here(_REMEDIES[kind].format(run=run_id))
        text = f"{what} ({rule}): {count}{named}{more}. To do: {remedy}."
        facts = {"finding": kind, "field": field, "problem": problem, "records": len(keys)}
        more_facts = {"rule": rule, "remedy": remedy}
        yield Line(text, {**facts, **_named(keys.head(SHOWN).tolist(), known), **more_facts})


def conflict(problem: str) -> tuple[str, str]:
    """What a conflict's finding says, for people, and its rule: of a first meeting, or of edits on both sides."""
    edited = problem.endswith(EDITED)
    how = "both sides were edited to different values" if edited else "both sides held different values"
    return how + _TAKEN.get(problem.removesuffix(EDITED), ""), BOTH_EDITED if edited else FIRST_MEETING


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
