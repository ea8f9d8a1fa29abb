"""What a ChangeSet means for our own store, before the first write leaves: links, remembered values, what waits."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
from sqlalchemy import Connection as Database

from domain.changeset import ChangeSet
from storage import changes, links, parking

_REASON = ("side", "key", "field", "reason")
NOTED = 1000  # records and findings kept with a plan


def store_plan(db: Database, run_id: int, connection_id: int, decided: ChangeSet) -> None:
    """The changes alone, state planned: what ``plan`` shows."""
    updates = decided.link_updates
    known = updates[["id", "contact_id", "entry_id"]] if len(updates) else updates
    changes.store(db, run_id, connection_id, _with_links(decided.changes, known))


def plan_notes(decided: ChangeSet) -> dict[str, Any]:
    """What a plan leaves to people, for its run's facts: ids, fields, reasons and counts, no values.

    ``parked``: side, key, field, reason, rule, remedy of the first records; ``findings``: kind, field, problem, count.
    ``findings_total``: how many of each kind, those that are not listed included.
    """
    parked = decided.parked[["side", "key", "field", "reason", "rule", "remedy"]].astype(str)
    found = decided.findings.drop_duplicates(["kind", "key", "field"], keep="last")
    found = found.groupby(["kind", "field", "problem"], sort=True).size().reset_index(name="count")
    return {
        "parked": parked.head(NOTED).to_dict("records"),
        "parked_total": len(parked),
        "findings": [
            {"kind": row["kind"], "field": row["field"], "problem": row["problem"], "count": int(row["count"])}
            for row in found.head(NOTED).to_dict("records")
        ],
        "findings_total": {str(kind): int(number) for kind, number in found.groupby("kind")["count"].sum().items()},
    }


def apply(db: Database, run_id: int, connection_id: int, decided: ChangeSet, now: float) -> None:
    """Accept what was decided: end, update and make links, remember agreed values, park, store the changes."""
    updates = decided.link_updates
    ended = updates[updates["state"] == "ended"] if len(updates) else updates
    for reason, rows in ended.groupby("reason") if len(ended) else ():
        links.end(db, [int(i) for i in rows["id"]], str(reason))
    kept = updates[updates["state"] != "ended"] if len(updates) else updates
    if len(kept):
        links.update(db, kept)
    new = decided.new_links
    ids = []
    if len(new):
        ids = links.insert(db, new.assign(connection_id=connection_id, created_run=run_id, created_at=now))
    made = new.assign(id=pd.Series(ids, index=new.index, dtype="int64"))[["id", "contact_id", "entry_id"]]
    pairs = pd.concat([kept[["id", "contact_id", "entry_id"]], made], ignore_index=True) if len(kept) else made
    _remember(db, decided.adopted, pairs)
    _park(db, run_id, connection_id, decided, now)
    changes.store(db, run_id, connection_id, _with_links(decided.changes, pairs))


def _with_links(planned: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Changes with ``link_id`` where both records are linked (NA: the change makes the link, or completes it)."""
    if not len(planned) or not len(pairs):
        return planned.assign(link_id=pd.Series(pd.NA, index=planned.index, dtype="Int64"))
    named = pairs.rename(columns={"id": "link_id"})[["contact_id", "entry_id", "link_id"]]
    merged = planned.merge(named, on=["contact_id", "entry_id"], how="left")
    return merged.assign(link_id=merged["link_id"].astype("Int64"))


def _remember(db: Database, adopted: pd.DataFrame, pairs: pd.DataFrame) -> None:
    """Last-seen values that move without a write. NA leaves what is remembered."""
    if not len(adopted) or not len(pairs):
        return
    cells = adopted.merge(pairs, on=["contact_id", "entry_id"])
    before = {
        int(row["link_id"]): {name: json.loads(row[name]) for name in ("mailchimp", "maximizer", "notes")}
        for row in links.baselines(db, cells["id"].unique().tolist()).to_dict("records")
    }
    columns = (
        cells[name].astype(object).where(cells[name].notna(), None)
        for name in ("tag", "mailchimp", "maximizer", "note")
    )
    for link, tag, mailchimp, maximizer, note in zip(cells["id"].tolist(), *columns, strict=True):
        base = before.setdefault(link, {"mailchimp": {}, "maximizer": {}, "notes": {}})
        if mailchimp is not None:
            base["mailchimp"][tag] = mailchimp
        if maximizer is not None:
            base["maximizer"][tag] = maximizer
        if note is not None:
            base["notes"].pop(tag, None)
            if note:
                base["notes"][tag] = note
    touched = set(cells["id"].tolist())
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    rows = [
        {"link_id": link, **{name: encode(base[name]) for name in base}}
        for link, base in before.items()
        if link in touched
    ]
    links.put_baselines(db, pd.DataFrame(rows))


def _park(db: Database, run_id: int, connection_id: int, decided: ChangeSet, now: float) -> None:
    """Open what waits now, and close what was looked at and waits no longer, at least not for that reason."""
    rows = [_parking_row(row, run_id, now) for row in decided.parked.to_dict("records")]
    closed = [int(row["id"]) for row in over(waiting(db, connection_id), decided)]
    parking.resolve(db, closed)
    if rows:
        parking.park(db, connection_id, rows)
    parking.put_findings(db, connection_id, run_id, decided.findings, decided.evaluated)


def waiting(db: Database, connection_id: int) -> list[dict[Any, Any]]:
    states = ("open", "released")
    return [row for state in states for row in parking.open_rows(db, connection_id, state).to_dict("records")]


def over(stored: list[dict[Any, Any]], decided: ChangeSet) -> list[dict[Any, Any]]:
    """What was looked at and waits no longer, at least not for that reason."""
    still = {tuple(str(row[name]) for name in _REASON) for row in decided.parked[list(_REASON)].to_dict("records")}
    seen, held_back = set(decided.evaluated), set(decided.held_back)
    return [
        row
        for row in stored
        if not seen.isdisjoint(about(row))
        and tuple(str(row[name]) for name in _REASON) not in still
        and not (row["rule"] == "R51" and f"{row['side']} {row['key']}" in held_back)
    ]


def still_waiting(db: Database, connection_id: int, decided: ChangeSet) -> pd.DataFrame:
    """What would wait for a person after this decision, without storing it.

    Columns side, key, contact_id, entry_id, reason, rule, remedy, since_at (NaN: it begins now).
    """
    stored = waiting(db, connection_id)
    closed = {row["id"] for row in over(stored, decided)}
    rows = [_parking_row(row, 0, float("nan")) for row in decided.parked.to_dict("records")]
    since = {tuple(str(row[name]) for name in _REASON): row["since_at"] for row in stored}
    # Released ones are tried again by the next sync: they wait for nobody.
    rows += [row for row in stored if row["id"] not in closed and row["state"] == "open"]
    listed = {}
    for row in rows:
        identity = tuple(str(row[name]) for name in _REASON)
        told = row["evidence"] if isinstance(row["evidence"], dict) else {}
        named = {name: str(told.get(name) or "") for name in ("contact_id", "entry_id")}
        kept = {name: row[name] for name in ("side", "key", "reason", "rule", "remedy")}
        listed[identity] = {**kept, **named, "since_at": since.get(identity, row["since_at"])}
    columns = ["side", "key", "contact_id", "entry_id", "reason", "rule", "remedy", "since_at"]
    kinds = dict.fromkeys(columns[:-1], "str")
    return pd.DataFrame(list(listed.values()), columns=columns).astype(kinds)


def about(row: dict[Any, Any]) -> set[str]:
    """The records that a quarantine row is about, as ``ChangeSet.evaluated`` names them."""
    evidence = row["evidence"] if isinstance(row["evidence"], dict) else {}
    named = {f"member:{evidence.get('contact_id')}", f"entry:{evidence.get('entry_id')}"}
    return named | {("member:" if row["side"] == "mailchimp" else "entry:") + str(row["key"])}


def _parking_row(row: dict[Any, Any], run_id: int, now: float) -> dict[str, Any]:
    key = "contact_id" if row["side"] == "mailchimp" else "entry_id"
    return {
        **{str(name): None if pd.isna(value) else value for name, value in row.items()},
        "evidence": {key: row["key"], "with": row["evidence"] if isinstance(row["evidence"], str) else ""},
        "since_run": run_id,
        "since_at": now,
    }
