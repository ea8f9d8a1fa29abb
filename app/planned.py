"""A run for people: what it would write or wrote, why, and what is left for a person to decide."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from app import counted, show
from app.call import Call
from domain.sums import closes

if TYPE_CHECKING:
    from storage.runs import Run

LIMIT = 20
NOTED = 1000  # findings that a run keeps (flows.apply)
SIDES = {"mailchimp": ("Mailchimp", "member"), "maximizer": ("Maximizer", "entry")}
OPERATIONS = {"create": "to create", "update": "to update", "rename": "to rename", "revive": "to bring back"}
DONE = {"create": "created", "update": "updated", "rename": "renamed", "revive": "brought back"}
OWN_FIELDS = {
    "#flag": "Sync with MailChimp",
    "#marker": "MailChimp ID",
    "#stamp": "CLIENTID and CONTACTNO",
    "#status": "status",
    "#lastname": "LastName",
}


class PlanView:
    """The stored changes of a plan or a run. ``every``: all of them, not the first of each kind."""

    def __init__(self, call: Call, document: dict[str, Any], every: bool) -> None:
        from storage import changes, runs
        from storage.engine import reading

        self.told, self.counts, self.run_id, self.every = document, document["counts"], int(document["run"]), every
        found = runs.get(call.store, self.run_id)
        assert found is not None
        self.run: Run = found
        self.notes: dict[str, Any] = found.facts.get("plan", {})
        self.held: list[dict[str, Any]] = found.facts.get("held", [])
        with reading(call.store) as db:
            stored = changes.of_run(db, self.run_id).to_dict("records")
        waits = {row["field"] for row in self.held} if found.kind == "plan" else set()
        self.changes = [_change(row, waits) for row in stored]
        # What waits is shown and not counted.
        if found.kind == "plan" and document["planned"] and self.changes and not self.held:
            planned = sum(sum(count.values()) for count in document["planned"].values())
            closes(f"plan {self.run_id}", planned, [len(self.changes)])
        self.labels = _labels(call, self.changes)

    def document(self) -> dict[str, Any]:
        """What ``--json --all`` adds to the run's document."""
        return {"changes": self.changes, "notes": self.notes}  # what waits is in the run's document

    def tell(self) -> None:
        """All of it; nothing when the run was refused before there was a plan."""
        if not self.notes:
            return
        self._tell_counts()
        self.tell_changes()
        tell_held(self.held)
        self._tell_parked()
        self.tell_findings()
        self._tell_next()

    def tell_changes(self) -> None:
        """Every write: what it replaces and the rule that causes it, also of a run that is over."""
        for side, op in dict.fromkeys((row["side"], row["op"]) for row in self.changes):
            self._tell_group(side, op, [row for row in self.changes if (row["side"], row["op"]) == (side, op)])

    def _tell_counts(self) -> None:
        full = "everything was compared" if self.run.full else "what changed since the last sync was compared"
        show.say(f"Plan {self.run_id}: {full}; nothing was written.")
        counted.tell_sides(self.told)
        others = counted.rest(self.told, self.run.facts)
        if aside := self.notes.get("parked_total", 0):
            others.append(f"{aside:,} quarantined")
        if self.held:
            others.append(f"{self.told['counts']['held']:,} held")
        if others:
            show.say(", ".join(others))

    def _tell_group(self, side: str, op: str, rows: list[dict[str, Any]]) -> None:
        name, noun = SIDES[side]
        many = "entries" if noun == "entry" else "members"
        self._heading(f"{name}: {show.number(len(rows), noun, many)}", op, rows)
        shown = rows if self.every else rows[:LIMIT]
        show.table(["who", "field", "now", "then", "rule"], [line for row in shown for line in self.lines(row)])
        if len(shown) < len(rows):
            show.say(f"... and {len(rows) - len(shown)} more; --all shows them")

    def _heading(self, what: str, op: str, rows: list[dict[str, Any]]) -> None:
        """Of a run that is over: how many of them were really written."""
        done = sum(row["state"] == "done" for row in rows)
        if self.run.kind == "plan" or self.run.state == "blocked":
            waiting = sum(bool(row["fields"]) and all(item["waits"] for item in row["fields"]) for row in rows)
            show.heading(f"\n{what} {OPERATIONS[op]}{f', {waiting} of them only once approved' if waiting else ''}")
        elif done == len(rows):
            show.heading(f"\n{what} {DONE[op]}")
        else:
            show.heading(f"\n{what} {OPERATIONS[op]}, {done} of them done")

    def lines(self, row: dict[str, Any]) -> list[tuple[str, ...]]:
        """One line per field; the person stands on the first."""
        lines: list[tuple[str, ...]] = []
        for position, item in enumerate(row["fields"]):
            old, new = (self._value(item["field"], item[name]) for name in ("old", "new"))
            if not new and (item["field"] in ("#stamp", "#marker") or item["note"] == "from-new-member"):
                new = "(as soon as the other side has made its record)"
            name = OWN_FIELDS.get(item["field"], item["field"])
            rule = (item["rule"] or row["rule"]) + (", waits" if item["waits"] else "")
            lines.append((_who(row) if position == 0 else "", name, old, new or "(empty)", rule))
        return lines or [(_who(row), "", "", "", row["rule"])]

    def _value(self, field: str, text: str) -> str:
        from domain.values import labelled

        labels = self.labels.get(field, {})
        if not labels or not text:
            return text
        return labelled(text, labels)

    def _tell_parked(self) -> None:
        parked = self.notes.get("parked", [])
        if not parked:
            return
        total = self.notes["parked_total"]
        show.heading(f"\nQuarantined: {total} (left alone until somebody decides; nothing else waits for them)")
        shown = parked if self.every else parked[:LIMIT]
        rows = [(_record(row["side"], row["key"]), row["reason"], row["rule"], row["remedy"]) for row in shown]
        show.table(["record", "why", "rule", "what to do"], rows)
        if len(shown) < total:
            show.say(f"... and {total - len(shown)} more")

    def tell_findings(self) -> None:
        """What was left as it is, and why: per field and problem, with how many records carry it (R3, R28)."""
        found = self.notes.get("findings", [])
        kinds = {
            "conflict": f"Conflicts, both sides hold different values ({self.notes.get('conflict_setting', '')} wins)",
            "withheld": "Values that the other side cannot hold, left as they are",
            "unmapped": "Options without a counterpart, left alone",
            "no-email": "Flagged entries without an Email 1",
            "email23": "Members whose address is only Email 2 or 3 of an entry",
            "no-address": "Members without an address",
        }
        for kind, title in kinds.items():
            rows = [row for row in found if row["kind"] == kind]
            if rows:
                total = counted.sum_of(rows, "count", self._total(kind), whole=len(found) < NOTED)
                show.heading(f"\n{title}: {total:,}")
                show.table(["field", "what", "records"], [(row["field"], described(row), row["count"]) for row in rows])

    def _total(self, kind: str) -> int | None:
        totals = self.notes.get("findings_total")
        return None if totals is None else int(totals.get(kind, 0))

    def _tell_next(self) -> None:
        if self.run.state == "planned" and self.changes and self.held:
            show.say(
                "",
                f"To do exactly this, what waits included: maxchimp sync --plan {self.run_id}",
                "To do all but what waits: maxchimp sync",
            )
        elif self.run.state == "planned" and self.changes:
            show.say("", f"To do exactly this: maxchimp sync --plan {self.run_id}")
        elif self.run.state == "planned":
            show.say("", "Both sides agree: there is nothing to write.")


def described(row: Mapping[str, Any]) -> str:
    """A finding of a plan in a sentence."""
    from flows.journal import conflict

    return conflict(row["problem"])[0] if row["kind"] == "conflict" else str(row["problem"])


def tell_held(rows: Sequence[Mapping[str, Any]]) -> None:
    """What changed mappings make wait, and how it is let through (R30)."""
    from flows.held import advice, sentence

    if rows:
        show.heading(f"\nWaits for a person: {show.number(len(rows), 'changed mapping')} (R30)")
        show.say(*(f"{sentence(row)}." for row in rows), f"Everything else goes on. To do: {advice()}.")


def _change(row: Mapping[Any, Any], held: Collection[str] = ()) -> dict[str, Any]:
    """``held``: fields that wait; who is new is made all the same."""
    import pandas as pd

    stored = json.loads(row["fields"])
    items = stored["set"] if isinstance(stored, dict) else stored
    return {
        "side": row["side"],
        "op": row["op"],
        "link": int(row["link_id"]) if pd.notna(row["link_id"]) else None,
        "member": row["contact_id"],
        "entry": row["entry_id"],
        "rule": row["rule"],
        "state": row["state"],
        "fields": [
            {name: item.get(name, "") or "" for name in ("field", "old", "new", "note", "rule")}
            | {"waits": row["op"] != "create" and item["field"] in held}
            for item in items
        ],
    }


def _who(row: dict[str, Any]) -> str:
    if row["link"] is not None:
        return f"link {row['link']}"
    if row["op"] == "create":
        other, key = ("maximizer", row["entry"]) if row["side"] == "mailchimp" else ("mailchimp", row["member"])
        return f"for {_record(other, key)}"
    own, key = ("mailchimp", row["member"]) if row["side"] == "mailchimp" else ("maximizer", row["entry"])
    return _record(own, key)


def _record(side: str, key: str) -> str:
    return f"{SIDES[side][1]} {key}"


def _labels(call: Call, rows: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """What people call the options of the fields that change, by tag and key; read only where there are any."""
    from storage import connections

    touched = {item["field"] for row in rows for item in row["fields"]}
    tables = [
        m
        for m in connections.mappings(call.store, call.connection.id)
        if m.tag in touched and m.mailchimp_kind in ("group", "radio", "dropdown")
    ]
    if not tables:
        return {}
    from domain.errors import MaxchimpError
    from flows.describe import address_book, audience

    try:
        known = audience(call.services.mailchimp, call.connection.list_id, groups=[m.mailchimp_ref for m in tables])
        listed = address_book(call.services.maximizer, options_of=[m.maximizer_ref for m in tables])
    except MaxchimpError:
        return {}  # the keys must do
    fields = {f.ref: f.options for f in known.fields} | {f.ref: f.options for f in listed}
    return {
        m.tag: {o.key: o.label for ref in (m.mailchimp_ref, m.maximizer_ref) for o in fields.get(ref, ())}
        for m in tables
    }
