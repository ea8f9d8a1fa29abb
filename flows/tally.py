"""What a run planned and what it came to, in numbers that add up; and the document that tells both apart.

``planned``: per side ``create`` and ``update``, None for a run that decided nothing. ``written``: per side ``create``,
``update``, ``failed`` and ``left`` (not written, for whatever reason). Of every run that decided, both add up to the
same. ``conflicts``: ``found`` = ``withheld`` (the other side cannot hold the value) + ``held_back`` (the record waits)
+ ``decided`` (by a write that is confirmed) + ``left`` (its write is not).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection as Database

from domain.changeset import ChangeSet
from domain.sums import closes
from flows.result import no_counts
from storage import changes, runs
from storage.leases import Lease

SIDES = ("mailchimp", "maximizer")
WRITING = ("sync", "backfill")
Numbers = dict[str, dict[str, int]]


def decided(made: ChangeSet) -> dict[str, Any]:
    """The facts of a decision of which nothing is written yet."""
    counts = made.counted()
    planned: Numbers = {side: {op: counts[side][op] for op in ("create", "update")} for side in SIDES}
    found = made.findings[made.findings["kind"] == "conflict"]
    conflicts = {
        "found": counts["conflicts"],
        "withheld": int(found["problem"].str.startswith("withheld").sum()) if len(found) else 0,
        "held_back": made.tallies.get("conflicts held back", 0),
        "decided": 0,
        "left": made.tallies.get("conflicts planned", 0),
    }
    return {"planned": planned, "written": _nothing_of(planned), "conflicts": conflicts}


def _parts(conflicts: Mapping[str, int]) -> list[int]:
    return [number for name, number in conflicts.items() if name != "found"]


def _nothing_of(planned: Numbers) -> Numbers:
    return {
        side: {"create": 0, "update": 0, "failed": 0, "left": sum(count.values())} for side, count in planned.items()
    }


def came_to(db: Database, run_id: int, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a run whose changes were stored, by what became of each; ``facts``: what is known of the run."""
    found: dict[str, Any] = changes.outcomes(db, run_id)
    if conflicts := facts.get("conflicts"):
        by_state = changes.conflicts_by_state(db, run_id)
        done = by_state.pop("done", 0)
        found["conflicts"] = {**conflicts, "decided": done, "left": sum(by_state.values())}
    return found


def counted(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Counts in the shape of the contract: what was confirmed and what failed, per side."""
    written = facts["written"]
    return {side: {name: written[side][name] for name in ("create", "update", "failed")} for side in SIDES}


def check(facts: Mapping[str, Any], planned: Mapping[str, Any], loaded: Mapping[str, Mapping[str, int]]) -> None:
    """Miscounted unless every planned change ended in one outcome, and what was confirmed is what the loader counted.

    ``planned``: by the decision; ``loaded``: by the loader.
    """
    for side in SIDES:
        name, written = side.capitalize(), facts["written"][side]
        closes(f"the changes of {name}", sum(planned[side].values()), written.values())
        for op in ("create", "update"):
            closes(f"the {op}s of {name}", written[op], [loaded[side][op]])
    closes("the conflicts of this run", facts["conflicts"]["found"], _parts(facts["conflicts"]))


def check_plan(facts: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
    """Miscounted unless the plan holds what was decided, and its conflicts add up."""
    for side in SIDES:
        for op in ("create", "update"):
            closes(
                f"the {op}s planned for {side.capitalize()}", facts["planned"][side][op], [stored["planned"][side][op]]
            )
    closes("the conflicts of the plan", facts["conflicts"]["found"], _parts(stored["conflicts"]))


def renumber(lease: Lease, run_ids: Iterable[int]) -> None:
    """The numbers of earlier runs, which died or left writes uncertain, by what became of their changes since."""
    for run_id in run_ids:
        with lease.begin() as db:
            run = runs.of_id(db, run_id)
            if run is None:
                continue
            came = came_to(db, run_id, run.facts)
            if not any(sum(count.values()) for count in came["planned"].values()):
                came = {}  # it died before there was anything to write
            counts = no_counts() | run.counts | (counted(came) if came else {})
            wrote = any(count["create"] + count["update"] for count in came.get("written", {}).values())
            state = "partial" if wrote and run.reason == runs.INTERRUPTED else run.state
            runs.recount(db, run_id, state, counts, came)


def told(kind: str, state: str, counts: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """``planned`` and ``written`` of a run's document. Runs of older versions kept one of both, under ``counts``."""
    if facts.get("planned") and facts.get("written"):
        planned, written = facts["planned"], facts["written"]
        for side in SIDES:
            closes(f"the changes of {side.capitalize()}", sum(planned[side].values()), written[side].values())
        return {"planned": planned, "written": written}
    known = {side: counts.get(side) or {} for side in SIDES}
    if kind in WRITING and state != "blocked":
        names = ("create", "update", "failed")
        return {
            "planned": None,
            "written": {s: {n: c.get(n, 0) for n in names} | {"left": 0} for s, c in known.items()},
        }
    planned = {side: {op: count.get(op, 0) for op in ("create", "update")} for side, count in known.items()}
    decided = any(sum(count.values()) for count in planned.values()) or state in ("planned", "done")
    return {"planned": planned if decided else None, "written": _nothing_of(planned)}


def of_run(run: runs.Run) -> dict[str, Any]:
    """``planned`` and ``written`` of a stored run."""
    return told(run.kind, run.state, run.counts, run.facts)


def in_words(document: Mapping[str, Any], side: str) -> str:
    """What a run wrote to a side, or would write, for a column of a table: of its document."""
    planned, written = document["planned"], document["written"][side]
    if document["kind"] not in (*WRITING, "plan"):
        return "read only"
    if document["state"] == "running":
        return ""
    if document["kind"] == "plan" and planned:
        return f"would create {planned[side]['create']:,}, update {planned[side]['update']:,}"
    total, wrote = sum(written.values()), written["create"] + written["update"]
    told = f"{written['create']:,} new, {written['update']:,} changed" if wrote or document["state"] == "done" else ""
    if wrote == total:
        return told or "nothing"
    return f"{told or 'nothing'} of {total:,} planned"


def only_planned(document: Mapping[str, Any]) -> bool:
    """Whether a run's numbers are of what it would have written: of a plan, and of one that was refused."""
    return bool(document["kind"] == "plan" or document["state"] == "blocked")


def line(document: Mapping[str, Any]) -> str:
    """All numbers as a sentence for the log: what was written, then what else was counted."""
    sides = "; ".join(f"{side.capitalize()} {in_words(document, side) or 'nothing'}" for side in SIDES)
    others = [f"{name} {number:,}" for name, number in document["counts"].items() if name not in SIDES and number]
    return "; ".join([sides, *([", ".join(others)] if others else [])])
