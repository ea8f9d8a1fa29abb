"""What is told of everybody before a cycle, beside what the cycle then decides: the two must be the same."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness import Office

from domain.errors import Blocked, MaxchimpError
from flows.apply import still_waiting
from flows.cycle import Cycle
from flows.forecast import Forecast
from flows.foresee import Look, look
from flows.person import Person, by_entry, find
from flows.prepare import prepare
from storage.engine import reading


@dataclass
class Told:
    """``forecasts``: by whether everything is compared. ``left``: records with a write that got no clear answer.

    ``calls``: how many questions to both services the forecast took.
    """

    person: Person
    forecasts: dict[bool, Forecast]
    left: set[str]
    calls: int

    @property
    def keys(self) -> list[str]:
        return [key for key in (self.person.contact_id, self.person.entry_id) if key]


@dataclass
class Decided:
    """What a cycle decided right before its first write; ``blocked``: why it did not come that far."""

    cycle: Cycle
    blocked: Blocked | None = None
    waiting: list[dict[str, Any]] = field(default_factory=list)


def everybody(office: Office, now: Callable[[], float] | None = None) -> list[Told]:
    """Forecasts of each member and each entry, asked for under its own name."""
    services, connection = office.services(), office.connection
    prepared = prepare(office.engine, connection, services, keep=False)
    people = {}
    for client, number in office.maximizer.entries():
        one = by_entry(office.engine, connection, services, f"{client}#{number}")
        people[one.entry_id, one.contact_id] = one
    for row in office.mailchimp.members(office.list_id):
        for one in find(office.engine, connection, services, row["contact_id"]):
            people.setdefault((one.entry_id, one.contact_id), one)
    told = []
    for person in people.values():
        before = sum(len(door.calls) for door in office.doors.values())
        made: Look = look(office.engine, connection, services, person, prepared, now=now or office.clock.now)
        forecasts = {full: made.forecast(full=full) for full in (False, True)}
        left = {*made.left["contact_id"], *made.left["entry_id"]} - {""}
        calls = sum(len(door.calls) for door in office.doors.values()) - before
        told.append(Told(person, forecasts, left, calls))
    return told


def watched(cycle: Cycle) -> Decided:
    """The cycle, which when it is told notes what it has decided before it writes."""
    noted, whole = Decided(cycle), cycle.tell

    def stage(name: str, function: Callable[[], None]) -> None:
        if name == "load":
            _note(noted)
        cycle.timed(name, function)

    def tell(_: Any = None) -> None:
        try:
            whole(stage)
        except Blocked as refusal:
            noted.blocked = refusal
            raise

    cycle.tell = tell  # type: ignore[method-assign]
    return noted


def _note(noted: Decided) -> None:
    cycle = noted.cycle
    with reading(cycle.engine) as db:
        noted.waiting = still_waiting(db, cycle.connection.id, cycle.decided).to_dict("records")


def differences(told: list[Told], noted: Decided) -> list[str]:
    """In sentences; nothing where everybody's forecast came true."""
    cycle = noted.cycle
    wrong = []
    for one in told:
        forecast = one.forecasts[cycle.full]
        name = f"{one.person.entry_id or '-'} {one.person.contact_id or '-'}, {'full' if cycle.full else 'scheduled'}"
        if noted.blocked:
            wrong += [] if forecast.halted else [f"{name}: blocked by {noted.blocked.reason}, which was not foretold"]
            continue
        if forecast.uncertain and not one.left <= cycle.resting:
            continue  # it was said that this depends on what is found
        if not forecast.whole:
            continue
        for what, foretold, happened in (
            ("writes", Counter(map(_step, forecast.steps)), Counter(_happened(cycle, one.keys))),
            ("pairs", Counter(forecast.pairs), Counter(_pairs(cycle, one.keys))),
            ("waits", set(_waits(forecast)), set(_waiting(noted, one.keys))),
        ):
            if foretold != happened:
                wrong.append(f"{name}: {what} foretold {dict.fromkeys(foretold)}, happened {dict.fromkeys(happened)}")
    return wrong


def _step(step: Any) -> tuple[Any, ...]:
    items = tuple(sorted((item["field"], item["old"], item["new"], item["rule"]) for item in step.fields))
    return step.side, step.op, step.target, step.contact_id, step.entry_id, items


def _happened(cycle: Cycle, keys: list[str]) -> list[tuple[Any, ...]]:
    rows = []
    for row in cycle.decided.changes.to_dict("records"):
        names = {row["contact_id"], row["entry_id"], row["target"].removeprefix("new:")}
        if names & set(keys):
            items = tuple(
                sorted(
                    (item["field"], item["old"], item["new"], item["rule"] or row["rule"])
                    for item in json.loads(row["fields"])["set"]
                )
            )
            rows.append((row["side"], row["op"], row["target"], row["contact_id"], row["entry_id"], items))
    return rows


def _pairs(cycle: Cycle, keys: list[str]) -> list[tuple[str, str]]:
    rows = cycle.decided.new_links.to_dict("records")
    return [(row["contact_id"], row["entry_id"]) for row in rows if {row["contact_id"], row["entry_id"]} & set(keys)]


def _waits(forecast: Forecast) -> list[tuple[str, ...]]:
    return [(one.side, one.key, one.reason, one.rule) for one in forecast.waits]


def _waiting(noted: Decided, keys: list[str]) -> list[tuple[str, ...]]:
    return [
        (row["side"], row["key"], row["reason"], row["rule"])
        for row in noted.waiting
        if {row["key"].removeprefix("new:"), row["contact_id"], row["entry_id"]} & set(keys)
    ]


def run(cycle: Cycle) -> Decided:
    """The cycle to its end, whatever it comes to."""
    noted = watched(cycle)
    try:
        cycle.tell()
    except MaxchimpError:
        if noted.blocked is None and not hasattr(cycle, "decided"):
            raise
    return noted
