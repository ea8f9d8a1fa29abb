"""The quality report from a staged store: checks, classes, field by field, page and lists; without the reading.

    python -m benchmarks.report [PAIRS ...]

Printed: seconds of each part, peak MiB, and the size of page and lists.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.frames import peak_mib
from benchmarks.plan import layout, prepare
from domain.changeset import FINDING, PARKED, Policy, empty
from domain.settings import SyncSettings
from extract.reading import Read
from flows import reporting
from flows.asked import Asked
from flows.gather import gather
from flows.survey import Survey
from storage import connections
from storage.engine import open_store, reading

ROOT = Path(__file__).resolve().parent.parent


class Staged(Survey):
    """A survey of what was staged before: everything but the reading of both sides."""

    def stages(self, run: int) -> dict[str, float]:
        self.run_id, self.full, self.state = run, True, "done"
        self.began = self.now()
        self.resting = frozenset()
        self.members = self.entries = Read(0, True, "")
        self.prepared = SimpleNamespace(layout=layout(), changed=False, broken=())  # type: ignore[assignment]
        self.policy = Policy(layout(), SyncSettings(), date(2026, 1, 5))
        taken = {}
        for name in ("check_snapshots", "decide", "check_changes"):
            begun = time.perf_counter()
            getattr(self, name)()
            taken[name] = self.facts["stages"][name] = time.perf_counter() - begun
        return taken

    def _look(self) -> None:
        with reading(self.engine) as db:
            here = self.connection.id, self.run_id, layout(), frozenset[str]()
            found = gather(db, *here, full=True, every=False, again=False)
        self.inputs, self.untouched, self.active = found.inputs, found.untouched, found.active
        self.set_aside, self.noted = empty(PARKED), empty(FINDING)


def measure(url: str, run: int, home: Path) -> None:
    """In a process of its own: one report, printed as JSON."""
    engine = open_store(url)
    found = connections.find(engine, "default")
    assert found is not None
    ready = replace(found, synced=True, fingerprint="x")
    services: Any = None
    survey = Staged(engine, ready, services, Asked("report", full=True, yes=True))
    begun, cpu = time.perf_counter(), time.process_time()
    taken = survey.stages(run)
    written = time.perf_counter()
    made = reporting.write(survey, home)
    taken |= {
        "write": time.perf_counter() - written,
        "total": time.perf_counter() - begun,
        "cpu": time.process_time() - cpu,
    }
    size = sum(path.stat().st_size for path in made.page.parent.rglob("*.csv"))
    taken |= {"peak": peak_mib(), "page": made.page.stat().st_size, "lists": size}
    assert sum(row["mailchimp"] for row in made.told["classes"]) == made.told["totals"]["mailchimp"]
    print(json.dumps(taken))


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        return measure(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    for size in [int(text) for text in sys.argv[1:]] or [10_000, 100_000, 1_000_000]:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/store/report.db"
            _, run = prepare(size, url, 0.04)
            words = [sys.executable, "-m", "benchmarks.report", "--one", url, str(run), folder]
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
        told = json.loads(done.stdout.splitlines()[-1])
        parts = ", ".join(
            f"{name} {told[key]:.2f}"
            for name, key in (
                ("checks", "check_snapshots"),
                ("decide", "decide"),
                ("people and fields", "check_changes"),
                ("page and lists", "write"),
            )
        )
        print(
            f"{size:>9,} pairs  {told['total']:6.2f} s ({parts}; cpu {told['cpu']:.1f})  {told['peak']:6.0f} MiB  ",
            end="",
        )
        print(f"page {told['page'] / 1024:.0f} KiB, lists {told['lists'] / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
