"""One run for people: how long each stage took, what was written, what was not and why, and whose values lost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from app import counted, show
from app.call import Call
from app.planned import NOTED, tell_held
from domain.commands import released

if TYPE_CHECKING:
    from storage.runs import Run

LIMIT = 20
SIDES = ("mailchimp", "maximizer")
STATES = {
    "refused": "refused by the service",
    "ambiguous": "uncertain: it rests, then is looked up",
    "held": "held for a person",
    "skipped": "skipped: the record had moved since it was read",
    "discarded": "not sent, or certainly without effect: the next run plans it anew",
    "planned": "not sent: the run ended before",
    "sent": "uncertain: the run ended while it was sent",
}
FOUND = {
    "withheld": "Values that the other side cannot hold, left as they are (R28)",
    "unmapped": "Options without a counterpart (R26)",
    "protected": "Values of Mailchimp that do not overwrite basic fields (R12)",
    "no-email": "Flagged entries without an Email 1 (R3)",
    "email23": "Members whose address is only Email 2 or 3 of an entry (R7)",
    "no-address": "Members without an address (R1)",
    "check": "Values that are not of their field's kind",
}


class RunView:
    """A run with what it left behind. ``every``: all records, not the first of each kind.

    The owner of the store may see values here; no log has them.
    """

    def __init__(self, call: Call, run: Run, *, every: bool) -> None:
        from storage import changes, parking
        from storage.engine import reading

        self.run, self.every = run, every
        with reading(call.store) as db:
            self.states = changes.states(db, run.id)
            left = changes.left_undone(db, run.id).to_dict("records") if run.kind != "plan" else []
            self.undone = [_undone(row) for row in left]
            self.conflicts = [
                _conflict(row) for row in changes.conflicts(db, run.connection_id, run_id=run.id).to_dict("records")
            ]
            waiting = parking.since(db, run.connection_id, run.id).to_dict("records")
            self.waiting = [
                {name: row[name] for name in _WAITING} | {"remedy": released(row["remedy"], row["id"])}
                for row in waiting
            ]
            self.found = _found(run) or parking.tally(db, run.connection_id, run.id)
        self.told = counted.document(run)

    def document(self) -> dict[str, Any]:
        """What ``--json`` adds to the run's document."""
        return {
            "facts": self.run.facts,
            "changes": self.states,
            "undone": self.undone,
            "quarantined": self.waiting,
            "findings": self.found,
            "conflicts": self.conflicts,
        }

    def tell(self) -> None:
        self._tell_head()
        self._tell_stages()
        tell_held(self.run.facts.get("held", []))
        self._tell_undone()
        self._tell_waiting()
        self._tell_found()
        self._tell_conflicts()

    def _tell_head(self) -> None:
        run = self.run
        lasted = "" if run.seconds is None else f", {run.seconds:.1f} seconds"
        show.facts(
            {
                "Run": f"{run.id} ({run.kind}{', everything read' if run.full else ''})",
                "State": run.state,
                "Reason": run.reason or "-",
                "Started": show.moment(run.started_at) + lasted,
                "Finished": show.moment(run.finished_at) or "-",
                "Changes": self._changes(),
            }
        )
        show.say("")
        counted.tell_sides(self.told, run.facts)
        others = counted.rest(self.told, run.facts)
        if (waiting := run.facts.get("waiting")) is not None:
            others.append(f"{waiting:,} waiting for a person when it ended")
        if others:
            show.say("", ", ".join(others))

    def _changes(self) -> str:
        """By what became of them; those whose log is gone are named too."""
        listed = [f"{count:,} {state}" for state, count in self.states.items()]
        kept, made = sum(self.states.values()), sum(sum(count.values()) for count in self.told["written"].values())
        if self.run.facts.get("written") and self.run.state not in ("blocked", "running") and made > kept:
            listed.append(f"{made - kept:,} no longer in the log (kept for the retention)")
        return ", ".join(listed) or "none"

    def _tell_stages(self) -> None:
        stages = self.run.facts.get("stages", {})
        if stages:
            show.heading("\nSeconds per stage")
            whole = sum(stages.values()) or 1.0
            show.table(None, [[name, f"{taken:.3f}", f"{taken / whole:4.0%}"] for name, taken in stages.items()])
        if self.run.facts.get("let_through"):
            show.say("", "Let through by a person: " + ", ".join(self.run.facts["let_through"]))
        for sentence in self.run.facts.get("broken_mappings", ()):
            show.say("", sentence)

    def _tell_undone(self) -> None:
        for state, title in STATES.items():
            rows = [row for row in self.undone if row["state"] == state]
            self._table(
                f"Not written, {title}",
                ["change", "side", "what", "record", "fields", "why", "rule"],
                [
                    [r["change"], r["side"], r["op"], r["record"], ", ".join(r["fields"]), r["why"], r["rule"]]
                    for r in rows
                ],
            )

    def _tell_waiting(self) -> None:
        self._table(
            "Began to wait for a person in this run (what still does: maxchimp quarantine list)",
            ["id", "record", "field", "why", "what to do", "rule", "now"],
            [
                [r["id"], f"{r['side']} {r['key']}", r["field"], r["reason"], r["remedy"], r["rule"], r["state"]]
                for r in self.waiting
            ],
        )

    def _tell_found(self) -> None:
        for kind, title in FOUND.items():
            rows = [r for r in self.found if r["kind"] == kind]
            totals = self.run.facts.get("plan", {}).get("findings_total")
            total = None if totals is None else int(totals.get(kind, 0))
            number = counted.sum_of(rows, "records", total, whole=len(self.found) < NOTED)
            lines = [[r["field"], r["problem"], r["records"]] for r in rows]
            self._table(f"{title}, found in this run", ["field", "what", "records"], lines, number)

    def _tell_conflicts(self) -> None:
        self._table(
            "Conflicts decided in this run: what was overwritten (R30, R31)",
            ["link", "field", "winner", "kept", "lost", "rule"],
            [
                [r["link"], r["field"], r["winner"], r["kept"], r["lost"] or "(empty)", r["rule"]]
                for r in self.conflicts
            ],
        )

    def _table(
        self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], number: int | None = None
    ) -> None:
        """``number``: what is counted, where one row tells of several."""
        if not rows:
            return
        show.heading(f"\n{title}: {len(rows) if number is None else number:,}")
        shown = rows if self.every else rows[:LIMIT]
        show.table(columns, shown)
        if len(shown) < len(rows):
            show.say(f"... and {len(rows) - len(shown):,} more; --all shows them")


_WAITING = ("id", "side", "key", "field", "reason", "rule", "remedy", "state")


def _found(run: Run) -> list[dict[str, Any]]:
    """Findings as the run counted them, most first: what later runs found anew, or settled, is still told of it."""
    rows = [
        {**{name: row[name] for name in ("kind", "field", "problem")}, "records": row["count"]}
        for row in run.facts.get("plan", {}).get("findings", ())
    ]
    return sorted(rows, key=lambda row: -int(row["records"]))


def _undone(row: Mapping[Any, Any]) -> dict[str, Any]:
    stored = json.loads(row["fields"])
    items = stored["set"] if isinstance(stored, dict) else stored
    return {
        "change": int(row["id"]),
        "side": row["side"],
        "op": row["op"],
        "record": row["target"],
        "state": row["state"],
        "why": row["outcome"],
        "rule": row["rule"],
        "fields": [item["field"] for item in items],
    }


def _conflict(row: Mapping[Any, Any]) -> dict[str, Any]:
    import pandas as pd

    link = int(row["link_id"]) if pd.notna(row["link_id"]) else None
    kept = {name: row[name] for name in ("contact_id", "entry_id", "field", "winner", "kept", "lost", "rule")}
    return {"link": link, **kept}
