"""One history played: people, misfortunes, the administrator and fate, and a truth of its own that all of it must meet.

One small world is made once and perturbed on both sides. Time is virtual and nothing sleeps; what happens is in the
script (``steps``), so that the same script leaves the same trace.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crowd import Crowd
from room import ROOM
from stage import Killed, Small, Store, Watched, copy_of, template
from steps import JUMP, CycleStep, Misfortune, Script
from truth import FIELDS, Key, Truth
from verdict import Judge, Violation

from domain.errors import MaxchimpError
from extract import counterparts
from sandbox.web import Request
from storage import leases

QUARANTINE = 400  # seconds that pass before all is quiet: the quarantine of 300 and what lags or comes late
LATE = 121


@dataclass
class Played:
    """What came of a history. ``wrong``: kind of violation -> sentences. ``met``: (side, operation, fault) -> times."""

    trace: str = ""
    cycles: int = 0
    overtaken: int = 0
    wrong: dict[str, list[str]] = field(default_factory=dict)
    met: Counter[tuple[str, str, str]] = field(default_factory=Counter)


@dataclass(frozen=True)
class Backup:
    """The store after a cycle, with what the administrator had set then."""

    content: bytes
    mapped: frozenset[str]
    pairs: frozenset[tuple[str, Key]]


def play(script: Script, *, judge: bool = False, told: Callable[[str], None] = lambda line: None) -> Played:
    """Play a script to its end or its first violation. Raises what is no error of the project: a defect as well.

    ``told`` gets a line for everything that happens.
    """
    # No threads, and whoever held a lease before is a process of this machine that ended.
    before = counterparts.PARALLEL, leases.died_here
    counterparts.PARALLEL, leases.died_here = 1, lambda holder: True
    history = History(script, judge=judge, told=told)
    try:
        history.play()
    except Violation as problem:
        history.played.wrong = problem.wrong
    finally:
        counterparts.PARALLEL, leases.died_here = before
        history.close()
    return history.played


class History:
    def __init__(self, script: Script, *, judge: bool, told: Callable[[str], None]) -> None:
        self.script, self.played, self.told = script, Played(), told
        world, self.empty, content = template(script.quirks & {"udf-edits-keep-date"})
        self.folder = Path(tempfile.mkdtemp(prefix="maxchimp-", dir=ROOM))
        self.store = Store(self.folder)
        self.office = Small(self.store.open(content), ready=False, judge=judge)
        self.store.watch(self.office.engine)
        self.office.page = script.page
        self._move_in(copy_of(world))
        self.truth = Truth(self.office)
        self.judge = Judge(self.truth)
        self.crowd = Crowd(self.office, self.truth)
        self.truth.settle()
        self.sum = hashlib.sha256()
        self.pending: list[tuple[int, Any]] = []
        self.dies: tuple[str, int] | None = None
        self.disturbed = self.unlucky = self.within = False
        self.passed = 0
        self.backups: list[Backup] = []
        self.peak = 0.0  # how far ahead our clock has ever been
        self._back_up()

    def _move_in(self, world: Any) -> None:
        office = self.office
        office.world, office.clock = world, world.clock
        office.mailchimp, office.maximizer, office.list_id = world.mailchimp, world.maximizer, world.list_id
        office.maximizer.quirks = self.script.quirks
        for side, service in (("mailchimp", world.mailchimp), ("maximizer", world.maximizer)):
            office.doors[side] = Watched(service, world.clock, tell=self._tell)

    def close(self) -> None:
        self.office.engine.dispose()
        shutil.rmtree(self.folder, ignore_errors=True)

    def note(self, *what: object, briefly: str = "") -> None:
        line = repr(what)
        self.sum.update(line.encode())
        self.told(briefly or line)

    # ------------------------------------------------------------- between two calls

    def _tell(self, side: str, request: Request | None, when: str) -> None:
        """Before a call whoever is due acts; after it the truth is told who wrote what."""
        if when == "late":
            self.note(side, "late effect")
            self.judge.wrote(late=True)
            return
        assert request is not None
        if when == "before":
            self.truth.calls += 1
            self.passed += 1
            self._those_who_are_due()
            self._perhaps_die("before")
            return
        self._answered(side, request)
        self._perhaps_die("after")

    def _those_who_are_due(self) -> None:
        while self.within and self.pending and self.pending[0][0] <= self.passed:
            _, act = self.pending.pop(0)
            self.disturbed = True
            self.office.clock.advance(1)
            if act[0] == JUMP:
                self._jump(act[1])
            else:
                self._person(act)

    def _perhaps_die(self, where: str) -> None:
        if self.within and self.dies == (where, self.passed):
            self.store.dead = True
            raise Killed

    def _answered(self, side: str, request: Request) -> None:
        door = self.office.doors[side]
        call = door.calls[-1]
        brief = f"  {side} {call.operation} {call.status or 'no answer'}{f' ({call.fault})' if call.fault else ''}"
        if call.writes:
            brief += f" {call.path} {call.body.decode(errors='replace')}"
        facts = (side, call.operation, call.path, call.query, call.body, call.status, call.fault, call.time)
        self.note(*facts, briefly=brief)
        if call.fault:
            self.unlucky = True
            self.played.met[side, call.operation, call.fault] += 1
        if call.writes:
            self.judge.wrote()
        else:
            self.judge.read(side, request)

    def _person(self, act: Any) -> None:
        self._late_effects()
        self.note("person", act)
        self.crowd.do(act)

    def _late_effects(self) -> None:
        for door in self.office.doors.values():
            door.settle()

    def _pass(self, seconds: float) -> None:
        """Time passes, and what comes late comes at its time."""
        clock = self.office.clock
        until = clock.now() + seconds
        while due := [moment for door in self.office.doors.values() if (moment := door.next_late()) is not None]:
            if min(due) > until:
                break
            clock.advance(max(0.0, min(due) - clock.now()))
            self._late_effects()
        clock.advance(until - clock.now())

    def _jump(self, seconds: float) -> None:
        """Our own clock jumps. Forward it must not leap over a write that may still come: nobody promises that."""
        if seconds > 0:
            self._pass(LATE)
        self.disturbed = True
        self.office.ahead += seconds
        self.peak = max(self.peak, self.office.ahead)
        self.played.met["process", "clock", "jump"] += 1

    # ------------------------------------------------------------- cycles

    def run_cycle(self, step: CycleStep) -> str:
        """The state the run ended in: done, partial, failed, planned, or killed."""
        truth, office = self.truth, self.office
        self._late_effects()
        truth.cycle, truth.before_cycle, truth.begun = truth.cycle + 1, dict(truth.state), office.clock.now()
        self.pending, self.dies = list(step.between), step.dies if step.dies and step.dies[0] != "at" else None
        self.store.expect(fails=step.full_at, dies=step.dies[1] if step.dies and step.dies[0] == "at" else 0)
        self._plan_faults(step.faults)
        self.disturbed = self.unlucky = False
        self.passed, self.within = 0, True
        cycle = office.cycle(kind=step.kind)
        try:
            cycle.tell()
            state = str(cycle.state)
        except MaxchimpError as error:
            state = f"failed: {error.message}"
        except Killed:
            state = "killed"
            self.played.met["process", step.dies[0] if step.dies else "", "killed"] += 1
        finally:
            self.within = False
        self._after(step, cycle, state)
        return state

    def _plan_faults(self, faults: tuple[Misfortune, ...]) -> None:
        for one in faults:
            plan = self.office.doors[one.side].faults
            plan.at(one.side, one.at, one.kind, one.operation, one.times)

    def _after(self, step: CycleStep, cycle: Any, state: str) -> None:
        truth, played = self.truth, self.played
        if step.full_at and self.store.commits >= step.full_at:
            self.unlucky = True
            played.met["store", "commit", "disk full"] += 1
        self.store.revive()
        for door in self.office.doors.values():
            door.faults.clear()
        self.pending, truth.cycle = [], 0
        played.cycles += 1
        self.note("cycle", step.kind, state)
        self.judge.after_cycle(cycle.run_id)
        if not self.disturbed and not self.unlucky and state not in ("done", "planned", "killed"):
            self.judge.say("unquiet", f"an undisturbed {step.kind} ended {state}: {cycle.reason}")
        if not self.disturbed and state == "done" and not cycle.facts.get("resting"):
            truth.remember_agreement()
        else:
            truth.perhaps_agreed()
        for told in self.office.unplanned():
            self.judge.say("unplanned", told)
        self.judge.verdict()
        self._back_up()

    def _back_up(self) -> None:
        if self.script.restores:
            pairs = frozenset(self.truth.pairs_before)
            self.backups.append(Backup(self.store.copy(), frozenset(self.truth.mapped), pairs))

    def writes(self, kind: str) -> list[Any]:
        before = {side: len(door.mutations()) for side, door in self.office.doors.items()}
        self.run_cycle(CycleStep(kind))
        made = [call for side, door in self.office.doors.items() for call in door.mutations()[before[side] :]]
        return [(call.operation, call.path, call.body[:600]) for call in made]

    def calm(self, how: str) -> None:
        """Faults and edits have stopped and the quarantine has passed: two cycles settle everything, the third is idle.

        What only a full cycle may conclude (R14, R16) needs a full one among the two: ``scheduled first`` shows that
        all the rest needs none, and goes on from there.
        """
        # Whatever rests does so by our own clock: where that was set back, until it has caught up.
        self._pass(QUARANTINE + self.peak - self.office.ahead)
        if how == "scheduled first":
            for kind in ("sync", "sync"):
                self.run_cycle(CycleStep(kind))
            self._silent("sync")
        for kind in ("backfill", "sync"):
            self.run_cycle(CycleStep(kind))
        self._silent("backfill")
        self.judge.quiet()
        self.judge.verdict()
        self.truth.settle()

    def _silent(self, kind: str) -> None:
        made = self.writes(kind)
        if made:
            self.judge.say("unquiet", f"a {kind} after all had settled wrote {made}")
            self.judge.verdict()

    # ------------------------------------------------------------- steps

    def play(self) -> None:
        for step in self.script.steps:
            if isinstance(step, CycleStep):
                self.run_cycle(step)
            else:
                self.note(*step)
                getattr(self, f"do_{step[0]}")(*step[1:])
        self.calm(self.script.calm)
        self.note(sorted(self.truth.state.items(), key=repr))
        self.played.overtaken = self.truth.overtaken
        self.played.trace = self.sum.hexdigest()

    def do_person(self, act: Any) -> None:
        self._person(act)

    def do_wait(self, seconds: float) -> None:
        self._pass(seconds)

    def do_jump(self, seconds: float) -> None:
        self._jump(seconds)

    def do_plan(self) -> None:
        if made := self.writes("plan"):
            self.judge.say("unquiet", f"a plan wrote {made}")
            self.judge.verdict()

    def do_quiet(self) -> None:
        self.calm("full first")

    def do_conflict(self, side: str) -> None:
        self.office.set(conflict=side)
        self.truth.settings.add(side)

    def do_email_change(self, follow: bool) -> None:
        self.office.set(email_change="follow" if follow else "new-entry")
        self.truth.follows = self.truth.follows or follow

    def do_map(self, tag: str) -> None:
        self.truth.forget_mapping(tag)
        if tag in self.truth.mapped:
            self.office.unmap(tag)
            self.truth.mapped.discard(tag)
        else:
            self.office.map(tag, FIELDS[tag].path)
            self.truth.mapped.add(tag)

    def _late_ones_first(self) -> None:
        """Another store does not know that a write may still come: nobody promises anything before it has."""
        if any(door.next_late() is not None for door in self.office.doors.values()):
            self._pass(LATE)

    def do_lose(self) -> None:
        """The store is a fresh one after set-up; both sides stay as they are."""
        self._late_ones_first()
        office, kept = self.office, self.office.connection.settings
        self.store.put(office, self.empty)
        office.set(conflict=kept.conflict, email_change=kept.email_change)
        for tag in FIELDS.keys() - self.truth.mapped:
            office.unmap(tag)
        self.truth.store_lost()
        self.played.met["store", "file", "lost"] += 1

    def do_restore(self, cycles: int) -> None:
        """The store is that of some cycles ago; both sides stay as they are."""
        self._late_ones_first()
        old = self.backups[max(0, len(self.backups) - 1 - cycles)]
        self.store.put(self.office, old.content)
        settings = self.office.connection.settings
        self.truth.settings.add(settings.conflict)
        self.truth.follows = self.truth.follows or settings.email_change == "follow"
        self.truth.mapped = set(old.mapped)
        self.truth.store_restored(old.pairs)
        self.played.met["store", "file", "restored"] += 1
