"""One person: synchronised or not and why, how matched, what each side holds, and what the next run would do.

The following tab and ``maxchimp explain`` tell the same, from the same functions. Nothing is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import Engine

from domain.changeset import EDITED, FLAG, LAST_NAME, MARKER, STAMP, STATUS
from domain.commands import released
from flows.person import NO, YES, Person, Row, flag_of, text_of
from storage import changes
from storage.connections import Connection
from storage.engine import reading

if TYPE_CHECKING:
    from flows.forecast import Forecast

OWN = {
    FLAG: "Sync with MailChimp",
    MARKER: "MailChimp ID",
    STAMP: "CLIENTID and CONTACTNO",
    STATUS: "status",
    LAST_NAME: "LastName",
}


@dataclass(frozen=True)
class Verdict:
    """``state``: synchronised | partly | waiting | not. ``rule``: of the rules of the sync."""

    state: str
    sentence: str
    remedy: str = ""
    rule: str = ""


# ---------------------------------------------------------------- why


def why(person: Person, connection: Connection, yes: str = YES, no: str = NO) -> Verdict:
    """Whether this person is synchronised, and the one reason that a person can act on."""
    flag = flag_of(person, connection, yes, no)
    if person.entry is not None and text_of(person.entry, "Type") == "Company":
        return Verdict("not", "This is a company: only Individuals and Contacts are synchronised.", "", "R4")
    if person.waiting:
        row = person.waiting[0]
        about = f"{row['field']}: " if row["field"] else ""
        state = "partly" if person.link else "not"
        remedy = released(str(row["remedy"]), int(row["id"]))
        sentence = f"Waits for a person, number {row['id']} in quarantine: {about}{row['reason']}."
        return Verdict(state, sentence, remedy, str(row["rule"]))
    if person.resting:
        sentence = "A write of the last run got no clear answer; it is looked up before anything else is written."
        return Verdict("waiting", sentence, "Nothing to do: the next run settles it.", "R36")
    if person.link is not None and person.link["state"] != "ended":
        return _linked(person, flag)
    return _unlinked(person, flag, connection)


def _linked(person: Person, flag: str) -> Verdict:
    link = person.link or {}
    if link["state"] == "left" or (person.member is None and not person.member_problem) or person.status == "archived":
        return Verdict(
            "not",
            "The member is no longer on the list; the entry stays, and its flag is set to No.",
            "If this person asks for it, set Sync with MailChimp to Yes again; the list is not joined by itself.",
            "R14",
        )
    if person.entry is None:
        return Verdict(
            "partly",
            "The entry is gone from Maximizer or cannot be read by the service user; the member stays.",
            "If it was deleted, it is made again when the member changes; if not, give the service user its rights.",
            "R16",
        )
    if flag != "Yes":
        return Verdict(
            "partly",
            f"Sync with MailChimp is {flag or 'not set'}: Mailchimp's changes come in, nothing goes to Mailchimp.",
            "Set Sync with MailChimp to Yes to send changes again.",
            "R3",
        )
    if not person.email1:
        return Verdict("partly", "Email 1 is empty: nothing goes to Mailchimp.", "Fill in Email 1.", "R3")
    if person.status and person.status != "subscribed":
        return Verdict(
            "synchronised",
            f"Fields go both ways; the subscription is {person.status}, which only the person can change.",
            "",
            "R18",
        )
    return Verdict("synchronised", "Changes go both ways.")


def _unlinked(person: Person, flag: str, connection: Connection) -> Verdict:
    if person.suppressed:
        word = "was erased here" if person.suppressed == "erased" else "was deleted for good in Mailchimp"
        return Verdict("not", f"This person {word} and is never created again.", "Only they can sign up anew.", "R18")
    if person.entry is None:
        return _member_alone(person)
    if flag != "Yes" and person.status == "subscribed":
        return Verdict("waiting", "A subscriber has this address, and is not linked with this entry.", "", "R1")
    if flag != "Yes":
        shown = f"{flag}" if flag else "not set"
        return Verdict(
            "not", f"Sync with MailChimp is {shown}.", "Set it to Yes, and check that Email 1 is filled in.", "R3"
        )
    if not person.email1:
        return Verdict(
            "not", "Sync with MailChimp is Yes, but Email 1 is empty.", "Fill in Email 1; the next run adds them.", "R3"
        )
    if person.member_problem:
        return Verdict("waiting", "Not linked so far; Mailchimp could not be asked.", "Try again later.", "")
    if person.status == "archived":
        return Verdict(
            "not",
            "This address was archived in Mailchimp, and is not subscribed again by itself.",
            "The person can sign up again, or somebody brings the contact back in Mailchimp.",
            "R18",
        )
    return Verdict("waiting", "Not synchronised yet: the next run looks at them.", "", "R3")


def _member_alone(person: Person) -> Verdict:
    if person.status == "subscribed":
        return Verdict("waiting", "A subscriber without an entry: the next run looks for one.", "", "R10")
    if person.member is None:
        return Verdict("not", "Nobody is known by that on either side.", "Check the address.", "")
    sentence = f"A member who is {person.status} and has no entry: only subscribers become entries."
    return Verdict("not", sentence, "", "R1")


# ---------------------------------------------------------------- how matched, and when last


def matched(person: Person) -> str:
    """How the pair came about, in words."""
    return str((person.link or {}).get("reason") or "")


_KEPT = {
    "maximizer": "both sides differed: Maximizer's value was kept",
    "mailchimp": "both sides differed: Mailchimp's value was kept",
    "withheld": "both sides differ, and neither value fits the other side",
}


def remark(kind: str, problem: str) -> str:
    """What a finding says, for people."""
    return _KEPT.get(problem.removesuffix(EDITED), problem) if kind == "conflict" else problem


def remarks(person: Person) -> list[tuple[str, str]]:
    """(field, what the last run found) of values that are withheld, without a counterpart, or were in conflict."""
    found: dict[str, str] = {}
    for kind in ("withheld", "unmapped", "conflict"):
        for row in person.findings:
            if row["kind"] == kind:
                found.setdefault(str(row["field"]), remark(kind, str(row["problem"])))
    return list(found.items())


@dataclass(frozen=True)
class Done:
    """One write of a run: when, on which side, what kind, by which rule, which fields (names, not values)."""

    run: int
    at: float | None
    side: str
    op: str
    rule: str
    state: str
    fields: tuple[str, ...]


def history(engine: Engine, connection: Connection, person: Person) -> list[Done]:
    """Every write about this person that is still remembered, the newest first."""
    if not person.contact_id and not person.entry_id:
        return []
    with reading(engine) as db:
        rows = changes.history(db, connection.id, person.contact_id, person.entry_id)
    rows = rows[rows["state"].isin(["sent", "done", "refused", "ambiguous", "held", "skipped"])]
    return [_done(row) for row in reversed(rows.to_dict("records"))]


def _done(row: Mapping[Any, Any]) -> Done:
    stored = json.loads(row["fields"])
    items = stored["set"] if isinstance(stored, dict) else stored
    ended = row["finished_at"] if pd.notna(row["finished_at"]) else row["sent_at"]
    rules = [str(item.get("rule") or "") for item in items]
    return Done(
        run=int(row["run_id"]),
        at=float(ended) if pd.notna(ended) else None,
        side=str(row["side"]),
        op=str(row["op"]),
        rule=str(row["rule"] or next((rule for rule in rules if rule), "")),
        state=str(row["state"]),
        fields=tuple(OWN.get(str(item["field"]), str(item["field"])) for item in items),
    )


@dataclass(frozen=True)
class Explanation:
    """Everything about one person, for people; ``to_json`` for scripts.

    ``next`` is ``forecast`` in words: of the next run; ``full``: of one that compares everything, if that is another.
    """

    person: Person
    verdict: Verdict
    matched: str
    fields: tuple[Row, ...] = ()
    next: tuple[str, ...] = ()
    done: tuple[Done, ...] = ()
    forecast: Forecast | None = None
    full: Forecast | None = None

    def to_json(self) -> dict[str, Any]:
        person, link = self.person, self.person.link or {}
        return {
            "entry": person.entry_id or None,
            "member": person.contact_id or None,
            "link": int(link["id"]) if link else None,
            "state": self.verdict.state,
            "why": asdict(self.verdict),
            "matched": self.matched,
            "email": {"member": (person.member or {}).get("email_address"), "entry": person.email1 or None},
            "status": person.status or None,
            "fields": list(self.fields),
            "waiting": [
                {name: row[name] for name in ("id", "side", "field", "reason", "rule")}
                | {"remedy": released(str(row["remedy"]), int(row["id"]))}
                for row in person.waiting
            ],
            "findings": [{name: row[name] for name in ("kind", "field", "problem")} for row in person.findings],
            "history": [asdict(done) for done in self.done],
            "next": list(self.next),
            "forecast": self.forecast.to_json() if self.forecast else None,
            "forecast_full": self.full.to_json() if self.full else None,
        }
