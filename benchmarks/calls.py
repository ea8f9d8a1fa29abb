"""Calls, time and memory of whole cycles over real HTTP, by size of the list, in a store with a past.

python -m benchmarks.calls [PEOPLE ...]            everything
python -m benchmarks.calls --edits [PEOPLE ...]    only whether a cycle after 100 edits is longer in a longer list
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import past
from benchmarks.frames import peak_mib
from flows.asked import Asked
from flows.cycle import Cycle
from flows.describe import address_book, audience
from flows.services import Services, connect
from flows.settings import Settings
from flows.setup import Wish, put_mapping, set_up
from storage import connections, runs
from storage.engine import open_store

ROOT = Path(__file__).resolve().parent.parent


class Town:
    def __init__(self, size: int) -> None:
        command = [sys.executable, "-m", "benchmarks.town", str(size)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self.process.stdout
        self.settings = json.loads(self.process.stdout.readline())

    def do(self, what: str, number: int = 0) -> list[int]:
        """People act; the numbers of calls each side has seen so far."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([what, number]) + "\n")
        self.process.stdin.flush()
        return [int(n) for n in json.loads(self.process.stdout.readline())]

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(30)


def measure(store: str, town: dict[str, Any], kind: str, size: int) -> None:
    """One cycle in a process of its own, printed as JSON; or the set-up, with the past of so many people."""
    settings = Settings(
        mailchimp_api_key=town["key"], mailchimp_url=town["mailchimp"] + "/3.0", maximizer_url=town["maximizer"],
        maximizer_database=town["database"], maximizer_user=town["user"], maximizer_password=town["password"],
    )  # fmt: skip
    engine = open_store(store)
    found = connections.find(engine, "default") if kind != "setup" else None
    services: Services = connect(settings, found.dialect if found else "")
    begun, used = time.perf_counter(), time.process_time()
    if kind == "setup":
        outcome = set_up(engine, services, Wish())
        assert outcome.connection
        known = audience(services.mailchimp, outcome.connection.list_id)
        put_mapping(
            engine, outcome.connection, known, r"Marketing\Team", "TEAM", fields=address_book(services.maximizer)
        )
        return past.history(engine, outcome.connection.id, size, time.time())
    assert found
    if kind == "strangers":
        first = runs.latest(engine, found.id, 10)[-1].id
        return past.strangers(engine, found.id, size, first, time.time())
    cycle = Cycle(engine, found, services, Asked("backfill" if kind == "backfill" else "sync", yes=True), judge=False)
    cycle.tell()
    told = {
        "seconds": time.perf_counter() - begun,
        "cpu": time.process_time() - used,
        "peak": peak_mib(),
        "calls": services.calls(),
        "counts": cycle.counts,
        "stages": cycle.facts["stages"],
    }
    print(json.dumps(told))


def run(store: str, town: Town, kind: str, size: int = 0) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.calls", "--one", store, json.dumps(town.settings), kind, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return dict(json.loads(done.stdout.splitlines()[-1])) if done.stdout.strip() else {}


def table(size: int) -> None:
    town, folder = Town(size), tempfile.TemporaryDirectory()
    store = f"sqlite:///{folder.name}/store/maxchimp.db"
    pages = 2 * math.ceil(size / 1000)
    try:
        run(store, town, "setup", size)
        rows: list[tuple[str, str, dict[str, Any]]] = [("first cycle, everybody known", "", run(store, town, "sync"))]
        rows.append(("backfill, nothing to do", f"<= {1.05 * pages + 30:.0f}", run(store, town, "backfill")))
        town.do("edit", 100)
        # The first edits of UDFs also teach that dates move with them; from then on entries are read by date.
        rows.append(("scheduled, 100 edited on both sides", "", run(store, town, "sync")))
        town.do("wait")
        rows.append(("scheduled, nothing to do", "<= 15", run(store, town, "sync")))
        town.do("edit", 100)
        rows.append(("scheduled, 100 edited on both sides", "", run(store, town, "sync")))
        town.do("edit", 100)
        rows.append(
            ("backfill, 100 edited on both sides", f"<= {1.05 * pages + 30 + 400:.0f}", run(store, town, "backfill"))
        )
        town.do("subscribe", 50)
        rows.append(("scheduled, 50 new members", "", run(store, town, "sync")))
        town.do("flag", 50)
        rows.append(("scheduled, 50 new flagged entries", "", run(store, town, "sync")))
        town.do("wait")
        rows.append(("scheduled, nothing to do", "<= 15", run(store, town, "sync")))
    finally:
        town.close()
        folder.cleanup()
    for what, limit, found in rows:
        calls = sum(found["calls"].values())
        counts = found["counts"]
        wrote = " ".join(f"{s[:4]} {counts[s]['create']}+{counts[s]['update']}" for s in ("mailchimp", "maximizer"))
        cost = f"{calls:5} calls {limit:8} {found['seconds']:7.2f} s {found['peak']:6.0f} MiB"
        print(f"{size:>8,}  {what:36} {cost}  wrote {wrote}")


THERE = 2_000  # people whom the services know; the others are in the store alone
ROUNDS = 9


def edits(sizes: list[int]) -> None:
    """A scheduled cycle after 100 edits on both sides, in turn in a short list and in longer ones, so that what else
    the machine does falls on all of them: medians, and their ratio to the first.
    """
    folder = tempfile.TemporaryDirectory()
    stores = {size: f"sqlite:///{folder.name}/{size}/maxchimp.db" for size in sizes}
    towns = {size: Town(THERE) for size in sizes}
    found: dict[int, list[dict[str, Any]]] = {size: [] for size in sizes}
    try:
        for size in sizes:
            run(stores[size], towns[size], "setup", size)
            for _ in range(
                2
            ):  # the second one teaches that dates move with UDFs: from then on entries are read by date
                run(stores[size], towns[size], "sync")
                towns[size].do("edit", 100)
            run(stores[size], towns[size], "sync")
            run(stores[size], towns[size], "strangers", size - THERE)
        for _ in range(ROUNDS):
            for size in sizes:
                towns[size].do("edit", 100)
                found[size].append(run(stores[size], towns[size], "sync"))
    finally:
        for town in towns.values():
            town.close()
        folder.cleanup()
    first = {name: _median(found[sizes[0]], name) for name in ("seconds", "cpu")}
    for size, rows in found.items():
        took = {name: _median(rows, name) for name in first}
        ratios = {name: took[name] / first[name] for name in first}
        counts = rows[-1]["counts"]
        wrote = " + ".join(str(counts[side]["update"]) for side in ("mailchimp", "maximizer"))
        calls = sum(rows[-1]["calls"].values())
        print(
            f"{size:>8,} links  {took['seconds']:6.2f} s ({ratios['seconds']:.2f} x)  cpu {took['cpu']:6.2f} s "
            f"({ratios['cpu']:.2f} x)  {max(row['peak'] for row in rows):.0f} MiB  {calls} calls  wrote {wrote}"
        )
        stages = {name: statistics.median(row["stages"][name] for row in rows) for name in rows[0]["stages"]}
        print("                " + ", ".join(f"{name} {part:.2f}" for name, part in stages.items()))


def _median(rows: list[dict[str, Any]], name: str) -> float:
    return float(statistics.median(row[name] for row in rows))


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        return measure(sys.argv[2], json.loads(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
    if sys.argv[1:2] == ["--edits"]:
        return edits([int(text) for text in sys.argv[2:]] or [10_000, 300_000])
    for size in [int(text) for text in sys.argv[1:]] or [2_000, 10_000, 300_000]:
        table(size)


if __name__ == "__main__":
    main()
