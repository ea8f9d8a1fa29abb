"""The whole plan from a staged store: read snapshots and baselines, match, compare, rules, store the ChangeSet.

    python -m benchmarks.plan [PAIRS ...]

Printed: seconds of each part, peak MiB, and the ratio to DuckDB's plain compare of frames of the same size.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import pandas as pd

from benchmarks.frames import COLUMNS, frames, mappings, peak_mib
from domain import records, values
from domain.changeset import Policy
from domain.fields import FieldMapping, MailchimpField, MaximizerField
from domain.records import Layout
from domain.settings import SyncSettings
from flows.apply import store_plan
from flows.gather import gather
from storage import connections, links, runs, schema, snapshots
from storage.engine import begin, open_store, reading
from transform.decide import decide

ROOT = Path(__file__).resolve().parent.parent


def layout() -> Layout:
    email = FieldMapping(
        "EMAIL", MailchimpField("EMAIL", "EMAIL", "Email", "email"), MaximizerField("Email1", "Email1", "email")
    )
    return Layout((email, *mappings()), "Udf/$TYPEID(1)", "Udf/$TYPEID(2)")


def wide(frame: pd.DataFrame, side: str) -> pd.DataFrame:
    """Identity columns around the twelve fields."""
    key = frame[records.KEY[side]]
    number = key.str[1:]
    if side == "mailchimp":
        identity = {
            "contact_id": key,
            "found": True,
            "email": "p" + number + "@list.test",
            "unique_email_id": "u" + number,
            "web_id": number,
            "status": values.texts(["subscribed"] * len(frame)),
            "pair": "e" + number + "#0",
            "last_changed": values.texts(["2026-01-05T09:00:00+00:00"] * len(frame)),
        }
    else:
        empty = values.texts([""] * len(frame))
        identity = {
            "entry_id": key + "#0",
            "found": True,
            "type": values.texts(["Individual"] * len(frame)),
            "email1": "p" + number + "@list.test",
            "email2": empty,
            "email3": empty,
            "flag": values.texts(["Yes"] * len(frame)),
            "marker": "u" + number,
            "last_changed": values.texts(["2026-01-05T09:00:00Z"] * len(frame)),
        }
    return pd.concat([pd.DataFrame(identity), frame[COLUMNS]], axis=1)


def prepare(pairs: int, url: str, touched: float) -> tuple[int, int]:
    """A store with that many links, remembered as they were, and two staged snapshots of now."""
    engine = open_store(url)
    schema.migrate(engine)
    made = connections.create(engine, "default", 0.0)
    run = runs.start(engine, made.id, "plan", True, 0.0)
    data = frames(pairs, touched)
    seen = {
        side: records.stage(wide(data[f"{name}_seen"], side), side)
        for side, name in (("mailchimp", "member"), ("maximizer", "entry"))
    }
    member, entry = seen["mailchimp"], seen["maximizer"]
    frame = pd.DataFrame(
        {
            "contact_id": member["contact_id"],
            "entry_id": entry["entry_id"],
            "email": member["email"],
            "email1": entry["email1"],
        }
    )
    frame = frame.assign(
        connection_id=made.id, unique_email_id=member["unique_email_id"], web_id=member["web_id"], status="subscribed",
        flag="Yes", member_hash=member["row_hash"], entry_hash=entry["row_hash"], reason="", created_run=run,
        created_at=0.0,
    )  # fmt: skip
    with begin(engine) as db:
        ids = links.insert(db, frame)
        links.put_baselines(
            db,
            pd.DataFrame({"link_id": ids, "mailchimp": member["fields"], "maximizer": entry["fields"], "notes": "{}"}),
        )
    with begin(engine) as db:
        snapshots.stage_members(db, run, records.stage(wide(data["member"], "mailchimp"), "mailchimp"))
        snapshots.stage_entries(db, run, records.stage(wide(data["entry"], "maximizer"), "maximizer"))
    return made.id, run


def measure(url: str, connection: int, run: int, *, full: bool = True) -> None:
    """In a process of its own: one plan, printed as JSON."""
    engine = open_store(url)
    policy = Policy(layout(), SyncSettings(), date(2026, 1, 5), full=full)
    begun = time.perf_counter()
    with reading(engine) as db:
        gathered = gather(db, connection, run, policy.layout, frozenset(), full=full, every=False, again=False)
    read = time.perf_counter()
    decided = decide(gathered.inputs, policy)
    judged = time.perf_counter()
    with begin(engine) as db:
        store_plan(db, run, connection, decided)
    stored = time.perf_counter()
    peak = peak_mib()
    parts = {"gather": read - begun, "decide": judged - read, "store": stored - judged, "total": stored - begun}
    print(json.dumps({**parts, "peak": peak, "changes": len(decided.changes)}))


def child(*arguments: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, check=True, cwd=ROOT)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        return measure(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    for size in [int(text) for text in sys.argv[1:]] or [100_000, 1_000_000]:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/store/plan.db"
            connection, run = prepare(size, url, 0.04)
            found = child("benchmarks.plan", "--one", url, str(connection), str(run))
        peer = child("benchmarks.compare", "--one", "duckdb", str(size))
        ratio = found["total"] / peer["seconds"]
        parts = ", ".join(f"{name} {found[name]:.2f}" for name in ("gather", "decide", "store"))
        print(f"{size:>9,} pairs  {found['total']:6.2f} s ({parts})  {found['peak']:6.0f} MiB  ", end="")
        print(f"{ratio:4.2f} x duckdb's compare ({peer['seconds']:.2f} s)  {found['changes']:,.0f} changes")


if __name__ == "__main__":
    main()
