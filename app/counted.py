"""Numbers of a run for people: what was planned under words of a plan, what was written under words of what is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from app import show
from domain.sums import closes

if TYPE_CHECKING:
    from storage.runs import Run

SIDES = ("mailchimp", "maximizer")


def document(run: Run) -> dict[str, Any]:
    """A stored run as scripts see it: counts as in the contract, and what was planned apart from what was written."""
    from flows import tally

    return {
        "run": run.id,
        "kind": run.kind,
        "state": run.state,
        "reason": run.reason,
        "full": run.full,
        "counts": run.counts,
        **tally.of_run(run),
        "held": run.facts.get("held", []),
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "seconds": run.seconds,
    }


def tell_sides(document: Mapping[str, Any], facts: Mapping[str, Any] | None = None) -> None:
    """Per side, of a run's document; with its facts also what was read and how many requests were sent."""
    names, numbers = _columns(document)
    read, calls = (facts.get("read", {}), facts.get("calls", {})) if facts is not None else ({}, {})
    rows = {side: [document[name][side][what] for name, what in numbers] for side in SIDES}
    if facts is not None:
        names = ["read", *names, "requests"]
        rows = {side: [read.get(side, ""), *row, calls.get(side, "")] for side, row in rows.items()}
    if names:
        show.table(["", *names], [[side.capitalize(), *rows[side]] for side in SIDES])


def _columns(document: Mapping[str, Any]) -> tuple[list[str], list[tuple[str, str]]]:
    """Names of the columns and where their numbers stand in the document; and a sentence where words are needed."""
    from flows.tally import only_planned

    if document["kind"] == "report":
        show.say("A report writes nothing.")
        return [], []
    if not only_planned(document):
        written = ("create", "update", "failed", "left")
        return ["created", "updated", "failed", "not written"], [("written", name) for name in written]
    if document["state"] == "blocked":
        show.say("Nothing was written." + (" It would have been:" if document["planned"] else ""))
    if not document["planned"]:
        return [], []
    return ["to create", "to update"], [("planned", name) for name in ("create", "update")]


def rest(document: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    """What else was counted, in words that say of what."""
    counts = document["counts"]
    told = [f"{counts['unchanged']:,} pairs unchanged"] if counts.get("unchanged") else []
    if counts.get("conflicts"):
        told.append(_conflicts(counts["conflicts"], facts.get("conflicts"), facts))
    told += [
        f"{counts[name]:,} {words}"
        for name, words in (
            ("protected", "values that do not overwrite basic fields"),
            ("placeholders", "placeholders"),
        )
        if counts.get(name)
    ]
    return told


def _conflicts(found: int, outcome: Mapping[str, int] | None, facts: Mapping[str, Any]) -> str:
    said = f"{found:,} conflict{'' if found == 1 else 's'}"
    if not outcome:
        return said
    words = {
        "decided": "decided",
        "left": "not written",
        "withheld": "that the other side cannot hold",
        "held_back": "of records that wait",
    }
    closes("the conflicts of this run", found, [outcome[name] for name in words])
    parts = [f"{outcome[name]:,} {word}" for name, word in words.items() if outcome[name]]
    return f"{said} ({', '.join(parts)})"


def sum_of(rows: Sequence[Mapping[str, Any]], number: str, total: int | None, *, whole: bool = True) -> int:
    """How many findings stand behind these rows. ``total``: as the run counted them; ``whole``: the rows are all."""
    here = sum(int(row[number]) for row in rows)
    if total is None:
        return here
    return closes("what this run found", total, [here]) if whole else total
