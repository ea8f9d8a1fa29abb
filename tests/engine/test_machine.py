"""Whole histories: people on both sides, misfortunes in between, and a truth of its own that every cycle must meet.

One small world is made once and perturbed on both sides. Time is virtual, nothing sleeps, nothing is random but what
Hypothesis draws. ``MAXCHIMP_HISTORIES=n`` runs n random histories instead of the few fixed ones.
"""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crowd import ACTS, Act, Crowd
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from stage import ROOM, Killed, Small, Watched, template
from truth import FIELDS, FIRST, Truth
from verdict import Judge

from domain.errors import MaxchimpError
from extract import counterparts
from sandbox.faults import KINDS, MAXIMIZER_ONLY
from sandbox.web import Request
from storage.engine import open_store

SIDES = ("mailchimp", "maximizer")

acts = st.tuples(st.sampled_from(sorted(ACTS)), st.integers(0, 7), st.integers(0, 11), st.integers(0, 5))
faults = st.tuples(
    st.sampled_from(SIDES), st.sampled_from(sorted(KINDS)), st.integers(1, 25), st.sampled_from((1, 1, 2, 4, 9))
)
moments = st.tuples(st.integers(1, 40), acts)


class Histories(RuleBasedStateMachine):
    """One history: rules are what people, fate and the administrator do."""

    judged = False

    def __init__(self) -> None:
        super().__init__()
        world, _, store = template()
        self.folder = Path(tempfile.mkdtemp(prefix="maxchimp-", dir=ROOM))
        self.stores = 0
        self.office = Small(self._store(store), ready=False, judge=self.judged)
        self._move_in(copy.deepcopy(world))
        self.truth = Truth(self.office)
        self.judge = Judge(self.truth)
        self.crowd = Crowd(self.office, self.truth)
        self.truth.settle()
        self.pending: list[tuple[int, Act | None]] = []
        self.disturbed = self.within = self.broken = False
        self.passed = 0

    def _store(self, content: bytes) -> str:
        self.stores += 1
        path = self.folder / f"store{self.stores}.db"
        path.touch(mode=0o600)
        path.write_bytes(content)
        return f"sqlite:///{path}"

    def _move_in(self, world: Any) -> None:
        office = self.office
        office.world, office.clock = world, world.clock
        office.mailchimp, office.maximizer, office.list_id = world.mailchimp, world.maximizer, world.list_id
        for side, service in (("mailchimp", world.mailchimp), ("maximizer", world.maximizer)):
            office.doors[side] = Watched(service, world.clock, tell=self._tell)

    def _tell(self, side: str, request: Request, before: bool) -> None:
        """Before a call whoever is due acts; after it the truth is told who wrote what."""
        if not before:
            door = self.office.doors[side]
            if door.service.writes(request):
                self.judge.wrote()
            else:
                self.judge.read(side, request)
            return
        self.truth.calls += 1
        self.passed += 1
        while self.within and self.pending and self.pending[0][0] <= self.passed:
            _, act = self.pending.pop(0)
            self.disturbed = True
            if act is None:
                raise Killed
            self.office.clock.advance(1)
            self.crowd.do(act)

    # ------------------------------------------------------------- running cycles

    def run_cycle(self, kind: str) -> str:
        """The state the run ended in: done, partial, failed, planned, or killed."""
        truth, office = self.truth, self.office
        truth.cycle, truth.before_cycle = truth.cycle + 1, dict(truth.state)
        self.passed, self.within = 0, True
        planned = any(door.faults._planned for door in office.doors.values())
        cycle = office.cycle(kind=kind)
        try:
            cycle.tell()
            state = cycle.state
        except MaxchimpError:
            state = "failed"
        except Killed:
            state = "killed"
        finally:
            self.within = False
        for door in office.doors.values():
            door.faults.clear()
        truth.cycle, self.pending, calm = 0, [], not self.disturbed and not planned
        self.disturbed = False
        self.judge.after_cycle(cycle.run_id)
        if calm:
            assert state in ("done", "planned"), f"an undisturbed {kind} ended {state}: {cycle.reason}"
        if calm and state == "done" and not cycle.facts.get("resting"):
            truth.remember_agreement()
        self.judge.verdict()
        return state

    def writes(self, kind: str) -> list[Any]:
        before = {side: len(door.mutations()) for side, door in self.office.doors.items()}
        self.run_cycle(kind)
        made = [call for side, door in self.office.doors.items() for call in door.mutations()[before[side] :]]
        return [(call.operation, call.path, call.body[:600]) for call in made]

    def calm(self) -> None:
        """Faults and edits have stopped and the quarantine has passed: everything becomes quiet and stays so."""
        self.office.clock.advance(400)
        for kind in ("sync", "sync", "backfill", "sync"):
            self.run_cycle(kind)
        assert self.writes("sync") == []
        assert self.writes("backfill") == []
        self.judge.quiet()
        self.judge.verdict()
        self.truth.settle()

    # ------------------------------------------------------------- rules

    def _guarded(self, action: Callable[[], Any]) -> None:
        self.broken = True
        action()
        self.broken = False

    @rule(act=acts)
    def person(self, act: Act) -> None:
        self._guarded(lambda: self.crowd.do(act))

    @rule(many=st.lists(acts, min_size=2, max_size=4))
    def people(self, many: list[Act]) -> None:
        for act in many:
            self._guarded(lambda act=act: self.crowd.do(act))  # type: ignore[misc]

    @rule(kind=st.sampled_from(("sync", "sync", "sync", "backfill")))
    def cycle(self, kind: str) -> None:
        self._guarded(lambda: self.run_cycle(kind))

    @rule(kind=st.sampled_from(("sync", "backfill")), who=st.lists(moments, min_size=1, max_size=3))
    def cycle_with_people_in_between(self, kind: str, who: list[tuple[int, Act]]) -> None:
        self.pending = sorted(who)
        self._guarded(lambda: self.run_cycle(kind))

    @rule(kind=st.sampled_from(("sync", "backfill")), fault=faults, operation=st.sampled_from(("", "write", "write")))
    def cycle_with_misfortune(self, kind: str, fault: tuple[str, str, int, int], operation: str) -> None:
        side, what, at, times = fault
        if what in MAXIMIZER_ONLY:
            side = "maximizer"
        plan = self.office.doors[side].faults
        if operation:
            names = ("POST list", "PATCH member") if side == "mailchimp" else ("AbEntryCreate", "AbEntryUpdate")
            plan.next(side, what, names[at % 2], times)
        else:
            for n in range(at, at + times):
                plan.at(side, n, what)
        self._guarded(lambda: self.run_cycle(kind))

    @rule(kind=st.sampled_from(("sync", "backfill")), at=st.integers(1, 40))
    def cycle_that_is_killed(self, kind: str, at: int) -> None:
        self.pending = [(at, None)]
        self._guarded(lambda: self.run_cycle(kind))

    @rule()
    def plan(self) -> None:
        self.broken = True
        assert self.writes("plan") == []
        self.broken = False

    @rule(seconds=st.sampled_from((1, 60, 400, 90_000)))
    def wait(self, seconds: int) -> None:
        self.office.clock.advance(seconds)

    @rule(side=st.sampled_from(SIDES))
    def conflict(self, side: str) -> None:
        self.office.set(conflict=side)
        self.truth.settings.add(side)

    @rule(follow=st.booleans())
    def email_change(self, follow: bool) -> None:
        self.office.set(email_change="follow" if follow else "new-entry")
        self.truth.follows = follow

    @rule(tag=st.sampled_from(sorted(FIELDS.keys() - set(FIRST))))
    def map_or_unmap(self, tag: str) -> None:
        self.truth.forget_mapping(tag)
        if tag in self.truth.mapped:
            self.office.unmap(tag)
            self.truth.mapped.discard(tag)
        else:
            self.office.map(tag, FIELDS[tag].path)
            self.truth.mapped.add(tag)

    @precondition(lambda self: self.stores == 1)
    @rule()
    def lose_the_store(self) -> None:
        """The newest store is a fresh one; both sides stay as they are."""
        office, conflict = self.office, self.office.connection.settings
        self.broken = True
        office.engine.dispose()
        office.engine = open_store(self._store(template()[1]))
        office.set(conflict=conflict.conflict, email_change=conflict.email_change)
        for tag in FIELDS.keys() - self.truth.mapped:
            office.unmap(tag)
        self.truth.store_lost()
        self.broken = False

    @rule()
    def quiet(self) -> None:
        self._guarded(self.calm)

    def teardown(self) -> None:
        try:
            if not self.broken:
                self.calm()
        finally:
            self.office.engine.dispose()
            shutil.rmtree(self.folder, ignore_errors=True)


PHASES = [Phase.generate, *([Phase.shrink] if os.environ.get("MAXCHIMP_SHRINK") else [])]
COMMON: dict[str, Any] = {
    "deadline": None,
    "print_blob": True,
    "suppress_health_check": list(HealthCheck),
}


@pytest.fixture(autouse=True)
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counterparts, "PARALLEL", 1)


def test_histories() -> None:
    if number := int(os.environ.get("MAXCHIMP_HISTORIES", "0")):
        chosen = settings(max_examples=number, stateful_step_count=14, database=None, phases=PHASES, **COMMON)
        return run_state_machine_as_test(Histories, settings=chosen)
    fixed = settings(max_examples=10, stateful_step_count=10, derandomize=True, phases=[Phase.generate], **COMMON)
    return run_state_machine_as_test(Histories, settings=fixed)


def test_histories_judged() -> None:
    class Judged(Histories):
        judged = True

    few = settings(max_examples=2, stateful_step_count=6, derandomize=True, phases=[Phase.generate], **COMMON)
    run_state_machine_as_test(Judged, settings=few)
