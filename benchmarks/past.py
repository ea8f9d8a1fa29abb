"""A store with a past: what is there after years of hourly runs, and links to people whom no service knows.

A scheduled cycle never asks for a pair that did not move, so nobody has to exist for a full store.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection, Engine

from domain import values
from storage import bulk, changes, links, parking, snapshots
from storage.engine import begin
from storage.tables import attempt, change, quarantine, run, suppression

HOUR = 3600.0
HOURS = 29 * 24  # whose changes are still there
ALL_HOURS = 2 * 365 * 24  # runs are never forgotten


def names(prefix: str, count: int, suffix: str = "") -> pd.Series:
    return values.texts(f"{prefix}{n}{suffix}" for n in range(count))


def history(engine: Engine, connection_id: int, people: int, now: float) -> None:
    """Two years of hourly runs, a full one a week. Of the last month: changes of 0.1 % of the people per side
    and run, failed tries, what waited and does no longer, findings, forgotten people, ended links, a plan of everybody.
    """
    with begin(engine) as db:
        ids = _runs(db, connection_id, now)
        _changes(db, connection_id, ids[-HOURS:], people, now)
        planned = int(
            db.execute(run.insert().values(_run(connection_id, "plan", now)).returning(run.c.id)).scalar_one()
        )
        changes.store(db, planned, connection_id, _planned(people))
        _waited(db, connection_id, ids, people, now)
        _parted(db, connection_id, ids, people, now)


def strangers(engine: Engine, connection_id: int, count: int, staged_in: int, now: float) -> None:
    """Links with nothing to do, their baselines, and their rows in the snapshots of an earlier full run."""
    contact, entry = names("s", count), names("S", count, "#0")
    numbers = np.arange(count)
    seen = values.texts([json.dumps({"FNAME": "Some", "LNAME": "Body"})] * count)
    pairs = pd.DataFrame({"contact_id": contact, "entry_id": entry, "email": contact + "@far.test"})
    pairs = pairs.assign(
        connection_id=connection_id, email1=pairs["email"], unique_email_id="u" + contact, web_id=contact,
        status="subscribed", flag="Yes", member_hash=numbers, entry_hash=numbers, created_run=staged_in, created_at=now,
    )  # fmt: skip
    shared: dict[str, Any] = {"found": True, "last_changed": "", "row_hash": numbers, "fields": seen}
    members = pairs[["contact_id", "email", "unique_email_id", "web_id", "status"]].assign(pair=entry, **shared)
    entries = pairs[["entry_id", "email1", "flag"]].assign(
        type="Individual", email2="", email3="", marker="u" + contact, **shared
    )
    with begin(engine) as db:
        ids = links.insert(db, pairs)
        links.put_baselines(db, pd.DataFrame({"link_id": ids, "mailchimp": seen, "maximizer": seen, "notes": "{}"}))
        snapshots.stage_members(db, staged_in, members)
        snapshots.stage_entries(db, staged_in, entries)


def _run(connection_id: int, kind: str, at: float) -> dict[str, Any]:
    full = kind == "backfill"
    facts = {"stages": {"extract": 1.5}, "calls": {"mailchimp": 7, "maximizer": 7}, "complete": full}
    return {
        "connection_id": connection_id,
        "kind": kind,
        "state": "planned" if kind == "plan" else "done",
        "full": full,
        "counts": {"mailchimp": {"create": 0, "update": 1, "failed": 0}},
        "facts": facts,
        "started_at": at,
        "finished_at": at + 60,
    }


def _runs(db: Connection, connection_id: int, now: float) -> list[int]:
    """Ids of the runs, oldest first; the last one began an hour ago."""
    rows = [
        _run(connection_id, "backfill" if hour % 168 == 0 else "sync", now - hour * HOUR)
        for hour in range(ALL_HOURS, 0, -1)
    ]
    ids = bulk.new_ids(db, run, len(rows))
    columns = list(rows[0])
    bulk.insert(db, run, ["id", *columns], ((i, *(row[c] for c in columns)) for i, row in zip(ids, rows, strict=True)))
    return ids


def _changes(db: Connection, connection_id: int, runs: list[int], people: int, now: float) -> None:
    """Two of a hundred were refused, twice each."""
    each = max(1, people // 1000)
    count = 2 * each * len(runs)
    place = np.arange(count) // (2 * each)
    number = np.arange(count) // 2 % people
    mailchimp = np.arange(count) % 2 == 0
    state = np.where(np.arange(count) % 50 == 49, "refused", "done")
    contact, entry = names("s", people).to_numpy()[number], names("S", people, "#0").to_numpy()[number]
    ids = bulk.new_ids(db, change, count)
    finished = now - (len(runs) - place) * HOUR + 30
    fields = json.dumps({"set": [_item()], "then": {}})
    columns = [
        "id", "run_id", "connection_id", "side", "op", "target", "link_id", "contact_id", "entry_id", "marker",
        "fields", "rule", "state", "outcome", "attempt", "lease_token", "sent_at", "finished_at",
    ]  # fmt: skip
    frame = pd.DataFrame(
        {
            "id": ids,
            "run_id": np.array(runs)[place],
            "side": np.where(mailchimp, "mailchimp", "maximizer"),
            "target": np.where(mailchimp, contact, entry),
            "link_id": number + 1,
            "contact_id": contact,
            "entry_id": entry,
            "state": state,
            "sent_at": finished - 1,
            "finished_at": finished,
        }
    )
    frame = frame.assign(
        connection_id=connection_id, op="update", marker="", fields=fields, rule="R31", outcome="", attempt=1,
        lease_token=1,
    )  # fmt: skip
    bulk.insert(db, change, columns, bulk.rows_of(frame, change, columns))
    failed = frame.loc[frame["state"] == "refused", "id"].to_numpy().repeat(2)
    tries = pd.DataFrame({"change_id": failed, "at": now, "outcome": "refused", "status": 400})
    columns = ["change_id", "at", "outcome", "status"]
    bulk.insert(db, attempt, columns, bulk.rows_of(tries, attempt, columns))


def _item() -> dict[str, str]:
    return {"field": "FNAME", "old": "Any", "new": "Some", "seen": "Some", "note": "", "rule": "R31"}


def _planned(people: int) -> pd.DataFrame:
    fields = json.dumps({"set": [_item()], "then": {}})
    frame = pd.DataFrame({"target": names("s", people), "link_id": pd.array([None] * people, "Int64")})
    return frame.assign(
        side="mailchimp", op="update", contact_id=frame["target"], entry_id=names("S", people, "#0"), marker="",
        fields=fields, rule="R31",
    )  # fmt: skip


def _waited(db: Connection, connection_id: int, runs: list[int], people: int, now: float) -> None:
    """One in twenty waited once, one in five has a value that does not fit, one in fifty was forgotten."""
    waited, withheld, forgotten = people // 20, people // 5, people // 50
    hours = np.arange(waited) % HOURS + 1
    closed = pd.DataFrame({"key": names("s", waited), "since_at": now - hours * HOUR})
    closed = closed.assign(
        connection_id=connection_id, side="mailchimp", field="", reason="the value is refused", rule="R51",
        remedy="correct it", evidence=np.array([{}] * waited, dtype=object), attempts=1, state="resolved",
        since_run=np.array(runs)[-hours],
    )  # fmt: skip
    columns = [str(name) for name in closed.columns]
    bulk.insert(db, quarantine, columns, bulk.rows_of(closed, quarantine, columns))
    found = pd.DataFrame({"key": names("member:s", withheld)})
    found = found.assign(kind="withheld", field="FNAME", value="Any", problem="too long")
    parking.put_findings(db, connection_id, runs[-1], found, [])
    gone = pd.DataFrame({"email_hmac": names("h", forgotten)})
    gone = gone.assign(connection_id=connection_id, reason="forgotten", since_at=now)
    columns = [str(name) for name in gone.columns]
    bulk.insert(db, suppression, columns, bulk.rows_of(gone, suppression, columns))


def _parted(db: Connection, connection_id: int, runs: list[int], people: int, now: float) -> None:
    """One in ten has an earlier link, of which a placeholder is remembered."""
    count = people // 10
    ended = pd.DataFrame({"contact_id": names("s", count), "entry_id": names("P", count, "#0")})
    ended = ended.assign(
        connection_id=connection_id, state="ended", reason="the member has another address", created_run=runs[0],
        created_at=now,
    )  # fmt: skip
    ids = links.insert(db, ended)
    notes = pd.DataFrame({"link_id": ids, "mailchimp": "{}", "maximizer": "{}", "notes": '{"JOB": "placeholder:-"}'})
    links.put_baselines(db, notes)
