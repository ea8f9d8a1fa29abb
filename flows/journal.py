"""What a run leaves to people, as lines of the log: who (by link, never by address), field, rule, what to do (R50)."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from sqlalchemy import Connection as Database

from storage import links, parking

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


def lines(db: Database, connection_id: int, run_id: int) -> list[str]:
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


def _waiting(rows: pd.DataFrame, known: dict[str, int]) -> Iterator[str]:
    for row in rows.to_dict("records"):
        field = f"{row['field']}: " if row["field"] else ""
        remedy = row["remedy"] or "see: maxchimp quarantine list"
        yield f"{_who(row['key'], known)}: {field}{row['reason']} ({row['rule']}). Waits. To do: {remedy}."


def _found(groups: list[tuple[tuple[str, ...], pd.Series]], known: dict[str, int]) -> Iterator[str]:
    for (kind, field, problem), keys in groups:
        named = ", ".join(_who(key, known) for key in keys.head(SHOWN))
        more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
        what = f"{field}: {problem}" if field else problem
        yield f"{what} ({_RULES[kind]}): {len(keys)} records: {named}{more}. To do: {_REMEDIES[kind]}."


def _who(key: str, known: dict[str, int]) -> str:
    record = key.removeprefix("new:")
    return f"link {known[record]}" if record in known else f"record {record}"
