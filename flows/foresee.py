"""What the next run would do with one person, decided by the very functions that a run decides with.

A run sees everybody. So whoever competes with the person is asked for as well (``flows.neighbours``), and the decision
is made over all of them: a run's own steps, in a store in memory that holds these people only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, cast

import pandas as pd
from sqlalchemy import Engine

from clients.mailchimp import Mailchimp
from clients.maximizer import Maximizer
from domain.changeset import ChangeSet, Inputs, Policy
from domain.errors import Blocked
from extract.reading import Reading
from flows import pair
from flows.apply import about, over, waiting
from flows.asread import Entries, Members
from flows.explain import Explanation, Verdict, history, matched, why
from flows.extracting import read_both, read_others
from flows.fieldwise import rows_of, wide
from flows.forecast import Forecast, Halt, Step, Wait, beyond, halted, sentences, sharpened
from flows.gather import gather_for, policy_of, run_day
from flows.held import Unmet, unmet
from flows.judging import set_aside
from flows.neighbours import Neighbours, neighbours
from flows.person import Person, Row, find, remembered
from flows.prepare import Prepared, check_identity, prepare
from flows.services import Services
from storage import changes, links
from storage.connections import Connection
from storage.engine import reading
from storage.scratch import part_of
from transform.decide import decide
from transform.held import meanwhile

RUNS = {False: 1, True: 2}  # of the copy in memory: one that follows what changed, one that compares everything


def explain(
    engine: Engine, connection: Connection, services: Services, who: str, *, now: Callable[[], float] = time.time
) -> list[Explanation]:
    """Everybody meant by ``who`` (see ``flows.person.find``) with every field and what the next run would do.

    Where account or Address Book are others than those of the links, only what is remembered is told: whoever stands
    there is somebody else. Blocked when that is nothing.
    """
    try:
        _identify(engine, connection, services, now)
    except Blocked as refusal:
        known = remembered(engine, connection, who)
        if not known:
            raise
        return [_stopped(engine, connection, person, Halt.of(refusal), _unseen(refusal)) for person in known]
    people = find(engine, connection, services, who)
    return told(engine, connection, services, people, identified=True, now=now)


def _identify(engine: Engine, connection: Connection, services: Services, now: Callable[[], float]) -> None:
    """Account and Address Book are those of the links, and no other connection's (R36, R43); else Blocked."""
    session = check_identity(connection, services)
    pair.look(engine, connection.name, services, pair.both(connection, services, session), now)


def _unseen(refusal: Blocked) -> Verdict:
    rule = "R36" if refusal.reason == pair.TAKEN else "R43"
    return Verdict("partly", "Linked; how things stand cannot be looked at now.", f"{refusal.remedy}.", rule)


def told(
    engine: Engine,
    connection: Connection,
    services: Services,
    people: Sequence[Person],
    *,
    identified: bool = False,
    now: Callable[[], float] = time.time,
) -> list[Explanation]:
    """These people with fields and future; what would stop the whole run is told in place of what it would do.

    ``identified``: account and Address Book were looked at and are right.
    """
    if not people:
        return []
    try:
        if not identified:
            _identify(engine, connection, services, now)
        prepared = prepare(engine, connection, services, keep=False)
    except Blocked as refusal:
        return [_stopped(engine, connection, person, Halt.of(refusal)) for person in people]
    return [explained(engine, connection, services, person, prepared, now=now) for person in people]


def _stopped(
    engine: Engine, connection: Connection, person: Person, halt: Halt, verdict: Verdict | None = None
) -> Explanation:
    forecast = Forecast(full=bool(connection.full_reason), halted=halt)
    verdict = verdict or sharpened(why(person, connection), forecast, person)
    lines = tuple(sentences(forecast, person, verdict, None))
    done = tuple(history(engine, connection, person))
    return Explanation(person, verdict, matched(person), next=lines, done=done, forecast=forecast)


def explained(
    engine: Engine,
    connection: Connection,
    services: Services,
    person: Person,
    prepared: Prepared,
    *,
    now: Callable[[], float] = time.time,
) -> Explanation:
    """One person with fields and future; a member that could not be read leaves these out."""
    layout = prepared.layout
    verdict = why(person, connection, layout.flag_yes, layout.flag_no)
    done = tuple(history(engine, connection, person))
    if person.member_problem:
        unknown = f"Not known: Mailchimp could not be asked ({person.member_problem})."
        return Explanation(person, verdict, matched(person), next=(unknown,), done=done)
    looked = look(engine, connection, services, person, prepared, now=now)
    scheduled, full = looked.forecast(full=False), looked.forecast(full=True)
    forecast = full if bool(connection.full_reason) or prepared.changed else scheduled
    verdict = sharpened(verdict, forecast, person)
    lines = sentences(forecast, person, verdict, layout)
    if forecast is scheduled and not forecast.halted:
        lines += beyond(scheduled, full, person, layout)
    return Explanation(
        person, verdict, matched(person), looked.fields(forecast), tuple(lines), done, forecast,
        full if forecast is scheduled else None,
    )  # fmt: skip


def look(
    engine: Engine,
    connection: Connection,
    services: Services,
    person: Person,
    prepared: Prepared,
    *,
    now: Callable[[], float] = time.time,
) -> Look:
    """Everything that is asked about one person, on both sides and in the store; ``Look`` asks nothing more."""
    around = neighbours(engine, connection, services, prepared.layout, person)
    with reading(engine) as db:
        left = changes.open_changes(db, connection.id)
        waiting_for = unmet(db, connection.id, prepared.layout.fields)
    near = left["contact_id"].isin([*around.members]) | left["entry_id"].isin([*around.entries])
    halt = halted(engine, connection)
    return Look(engine, connection, services, person, prepared, around, left[near], run_day(now()), halt, waiting_for)


@dataclass
class Look:
    """One person, everybody around them, and what a run would decide about them all.

    ``left``: writes about these people without a clear answer. Nothing is read or asked any more but our own store.
    """

    engine: Engine
    connection: Connection
    services: Services
    person: Person
    prepared: Prepared
    around: Neighbours
    left: pd.DataFrame
    today: date
    halt: Halt | None
    unmet: Unmet
    stored: list[Row] = field(default_factory=list)
    decided: dict[bool, ChangeSet] = field(default_factory=dict)

    def forecast(self, *, full: bool) -> Forecast:
        """What a run does with the person: one that compares everything, or one that follows what changed."""
        if not self.decided:
            self._decide()
        decided, person = self.decided[full], self.person
        ours = _mine(decided.changes, person, decided.changes["target"])
        steps = tuple(map(_step, decided.changes[ours].to_dict("records")))
        pairs = decided.new_links[_mine(decided.new_links, person)] if len(decided.new_links) else decided.new_links
        waits, over = _waits(self.stored, decided, person, steps)
        return Forecast(
            full=full,
            steps=steps,
            pairs=tuple((str(row["contact_id"]), str(row["entry_id"])) for row in pairs.to_dict("records")),
            waits=waits,
            over=over,
            uncertain=tuple(dict.fromkeys(int(run) for run in self.left["run_id"])),
            whole=self.around.whole,
            halted=self.halt,
        )

    def _decide(self) -> None:
        """A run's own steps from what was read to what is decided, over a copy that holds these people only."""
        around, prepared, connection = self.around, self.prepared, self.connection
        keys = around.members, around.entries, around.addresses
        with part_of(self.engine, connection.id, *keys) as copy:
            for full, run in RUNS.items():
                self._read(copy, run, full=full)
            with reading(copy) as db:
                gathered = {
                    full: gather_for(
                        db,
                        connection,
                        run,
                        prepared,
                        self.unmet,
                        frozenset({*self.left["contact_id"], *self.left["entry_id"]} - {""}),
                        full=full,
                    )
                    for full, run in RUNS.items()
                }
                self.stored = [{str(k): v for k, v in row.items()} for row in waiting(db, connection.id)]
        for full, one in gathered.items():
            inputs, parked = self._judged(one.inputs)
            decided = decide(inputs, self._policy(full))
            if len(parked):
                decided.parked = pd.concat([decided.parked, parked], ignore_index=True)
            self.decided[full] = decided

    def _read(self, copy: Engine, run: int, *, full: bool) -> None:
        """As the run would read them: everybody, or who changed and whoever that makes it look for (R34)."""
        reading = Reading(
            engine=copy,
            run_id=run,
            connection_id=self.connection.id,
            list_id=self.connection.list_id,
            layout=self.prepared.layout,
            mailchimp=cast(Mailchimp, Members(self.around.members)),
            maximizer=cast(Maximizer, Entries(self.around.entries)),
            buffer_ms=self.connection.settings.buffer_ms,
        )
        read_both(reading, self.connection, full=full, parallel=1, meanwhile=None)
        read_others(reading, full=full)

    def _judged(self, inputs: Inputs) -> tuple[Inputs, pd.DataFrame]:
        """Without records that fail a check (R51)."""
        from quality import failed_of_few

        layout = self.prepared.layout
        failed = [
            failed_of_few("mailchimp", inputs.members, layout),
            failed_of_few("maximizer", inputs.entries, layout),
        ]
        return set_aside(inputs, failed)

    def _policy(self, full: bool) -> Policy:
        policy = policy_of(self.connection, self.prepared, self.unmet, self.today, full=full)
        # Only a full run judges a changed mapping, and by everybody: what waited in the last one is taken to wait.
        waits = {tag for tag, figures in self.unmet.changed.items() if figures or not full}
        return meanwhile(policy, waits if self.connection.synced else (), self.unmet.options)

    def fields(self, forecast: Forecast) -> tuple[Row, ...]:
        """One row per mapped field: both values now and when last seen, whose value it is, what is wrong with it."""
        layout, person = self.prepared.layout, self.person
        members = wide("mailchimp", self.around.members.get(person.contact_id), layout)
        entries = wide("maximizer", self.around.entries.get(person.entry_id), layout)
        with reading(self.engine) as db:
            base = links.baselines(db, [int(person.link["id"])] if person.link else [])
        waits = self._policy(forecast.full).held
        return rows_of(members, entries, base, layout, person, self.decided[forecast.full], forecast, waits)


def _mine(rows: pd.DataFrame, person: Person, targets: pd.Series | None = None) -> pd.Series:
    """Rows that speak of the person's member or entry."""
    keys = [key for key in (person.contact_id, person.entry_id) if key]
    found = rows["contact_id"].isin(keys) | rows["entry_id"].isin(keys)
    return found if targets is None else found | targets.isin([*keys, *(f"new:{key}" for key in keys)])


def _step(row: Mapping[Any, Any]) -> Step:
    side, op, target, contact_id, entry_id, rule = (
        str(row[name]) for name in ("side", "op", "target", "contact_id", "entry_id", "rule")
    )
    items = json.loads(str(row["fields"]))["set"]
    shown = tuple({name: str(item[name]) for name in ("field", "old", "new")}
                  | {"rule": str(item["rule"] or row["rule"])} for item in items)  # fmt: skip
    return Step(side, op, target, contact_id, entry_id, rule, shown)


def _waits(
    stored: Sequence[Row], decided: ChangeSet, person: Person, steps: Sequence[Step]
) -> tuple[tuple[Wait, ...], tuple[int, ...]]:
    """What waits for a person after this decision, and the numbers of what does no longer."""
    keys = [key for key in (person.contact_id, person.entry_id) if key]
    ours = {f"member:{person.contact_id}", f"entry:{person.entry_id}"} - {"member:", "entry:"}
    ours |= {f"{noun}:new:{key}" for noun in ("member", "entry") for key in keys}
    mine = [row for row in stored if not ours.isdisjoint(about(row))]
    numbers = {_identity(row): int(row["id"]) for row in mine}
    parked = decided.parked[decided.parked["key"].isin(keys)]
    waits = {_identity(row): _wait(row, numbers.get(_identity(row))) for row in parked.to_dict("records")}
    settled = {int(row["id"]) for row in over(list(mine), decided)}
    tried = {(step.side, step.target) for step in steps}
    for row in mine:
        if int(row["id"]) not in settled and row["state"] == "open" and _identity(row) not in waits:
            whole = row["rule"] == "R51" and not row["field"]
            again = whole and (row["side"], row["key"]) in tried
            waits[_identity(row)] = replace(_wait(row, int(row["id"])), retried=again)
    return tuple(waits.values()), tuple(sorted(settled))


def _identity(row: Mapping[Any, Any]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in ("side", "key", "field", "reason"))


def _wait(row: Mapping[Any, Any], number: int | None) -> Wait:
    side, key, field_, reason, rule, remedy = (
        str(row[name]) for name in ("side", "key", "field", "reason", "rule", "remedy")
    )
    return Wait(number, side, key, field_, reason, rule, remedy)
