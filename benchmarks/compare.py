"""The three-way compare alone, against DuckDB and datacompy on the same frames in the same run.

    python -m benchmarks.compare [PAIRS ...]

Each way runs three times in a process of its own; printed: median seconds, peak MiB, ratio to DuckDB.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

HERE = Path(__file__).resolve().parent


def ours(data: dict[str, pd.DataFrame]) -> int:
    from datetime import date

    from benchmarks.frames import COLUMNS, mappings
    from domain.frames import aligned
    from transform.compare import Aligned, compare

    links = data["links"]
    pairs = Aligned(
        aligned(data["member"], "contact_id", links["contact_id"], COLUMNS),
        aligned(data["entry"], "entry_id", links["entry_id"], COLUMNS),
        aligned(data["member_seen"], "contact_id", links["contact_id"], COLUMNS),
        aligned(data["entry_seen"], "entry_id", links["entry_id"], COLUMNS),
        None,
        pd.Series(True, index=links.index),
    )
    return len(compare(pairs, mappings(), "maximizer", date(2026, 1, 5)))


def duckdb(data: dict[str, pd.DataFrame]) -> int:
    import duckdb as engine

    from benchmarks.frames import COLUMNS

    db = engine.connect()
    for name, frame in data.items():
        db.register(name, frame)
    verdict = ", ".join(
        f"CASE WHEN m.{c} = e.{c} AND (m.{c} <> ms.{c} OR e.{c} <> es.{c}) THEN 'same'"
        f" WHEN m.{c} <> ms.{c} AND e.{c} <> es.{c} THEN 'both'"
        f" WHEN e.{c} <> es.{c} THEN 'maximizer' WHEN m.{c} <> ms.{c} THEN 'mailchimp' END AS v_{c}"
        for c in COLUMNS
    )
    moved = " OR ".join(f"m.{c} <> ms.{c} OR e.{c} <> es.{c}" for c in COLUMNS)
    both = ", ".join(f"m.{c} AS m_{c}, e.{c} AS e_{c}" for c in COLUMNS)
    found = db.execute(
        f"SELECT l.contact_id, l.entry_id, {both}, {verdict} FROM links l JOIN member m USING (contact_id) "
        f"JOIN entry e USING (entry_id) JOIN member_seen ms ON ms.contact_id = l.contact_id "
        f"JOIN entry_seen es ON es.entry_id = l.entry_id WHERE {moved}"
    ).df()
    return int(sum(found[f"v_{c}"].notna().sum() for c in COLUMNS))


def datacompy(data: dict[str, pd.DataFrame]) -> int:
    """Each side against its own last-seen values, and the sides with each other."""
    import datacompy as library

    def different(left: pd.DataFrame, right: pd.DataFrame, key: str) -> int:
        compared = library.PandasCompare(left, right, join_columns=[key])
        return int(sum(stat["unequal_cnt"] for stat in compared.column_stats))

    links = data["links"]
    entry = data["entry"].merge(links, on="entry_id").drop(columns="entry_id")
    return sum(
        (
            different(data["member"], data["member_seen"], "contact_id"),
            different(data["entry"], data["entry_seen"], "entry_id"),
            different(data["member"], entry, "contact_id"),
        )
    )


WAYS = {"ours": ours, "duckdb": duckdb, "datacompy": datacompy}


def measure(way: str, pairs: int) -> None:
    """In a process of its own: three timed runs, printed as JSON."""
    from benchmarks.frames import frames, peak_mib

    data = frames(pairs)
    seconds, cells = [], 0
    for _ in range(3):
        begun = time.perf_counter()
        cells = WAYS[way](data)
        seconds.append(time.perf_counter() - begun)
    print(json.dumps({"seconds": statistics.median(seconds), "peak": peak_mib(), "cells": cells}))


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        return measure(sys.argv[2], int(sys.argv[3]))
    sizes = [int(text) for text in sys.argv[1:]] or [100_000, 1_000_000]
    peers = HERE / ".venv" / "bin" / "python"
    for size in sizes:
        results = {}
        for way in WAYS:
            python = str(peers) if way == "datacompy" else sys.executable
            if not Path(python).exists():
                print(f"{way}: not installed (benchmarks/README.md says how)")
                continue
            command = [python, "-m", "benchmarks.compare", "--one", way, str(size)]
            environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=HERE.parent)
            results[way] = json.loads(done.stdout.splitlines()[-1])
        base = results["duckdb"]["seconds"]
        for way, found in results.items():
            cost = f"{found['seconds']:7.2f} s  {found['peak']:7.0f} MiB  {found['seconds'] / base:5.2f} x duckdb"
            print(f"{size:>9,} pairs  {way:10} {cost}  {found['cells']:,} cells")


if __name__ == "__main__":
    main()
