"""One cycle: plain stage functions over one run, the same with and without Prefect.

A stage hands over through the store (snapshots, changes), never through results; what lives in memory between two
stages stays inside this object and this process.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import pandas as pd
from sqlalchemy import Engine

from domain.changeset import FINDING, PARKED, ChangeSet, Inputs, Policy, empty
from domain.errors import Blocked, Incomplete, MaxchimpError, Stopped
from domain.facts import about
from extract import counterparts
from extract.reading import Reading
from flows import journal, pair, tally
from flows.apply import apply, plan_notes, store_plan
from flows.asked import Asked
from flows.extracting import counted, read_both, read_others, shrunk
from flows.gather import Gathered, blanked, gather_for, policy_of, run_day
from flows.held import judged, told, unmet, writes
from flows.judging import first_sync, judge_both, judge_plan, refusal, warm_up_checks
from flows.prepare import Prepared, check_address_book, check_identity, prepare
from flows.result import no_counts
from flows.services import Services
from flows.stored_plan import keep_planned
from load.context import Loading
from load.load import Loaded, load
from load.recover import recover
from storage import changes, connections, held, leases, parking, runs
from storage.claims import Wanted
from storage.connections import Connection
from storage.engine import begin, reading
from storage.fence import Fence
from storage.held import Held
from transform.decide import decide
from transform.guard import Trip, guard
from transform.held import meanwhile, without_options

log = logging.getLogger("maxchimp.cycle")
Stage = Callable[[str, Callable[[], None]], None]


@dataclass
class Cycle:
    """One run of one connection. ``now`` is our own clock (UTC epoch seconds), never compared with the services'.

    ``lease_seconds``: how long the connection stays ours without a sign of life; ``monotonic`` tells a pause.
    """

    engine: Engine
    connection: Connection
    services: Services
    asked: Asked = field(default_factory=Asked)
    now: Callable[[], float] = time.time
    parallel: int = 4
    lease_seconds: float = 120.0
    monotonic: Callable[[], float] = time.monotonic
    judge: bool = True
    progress: Callable[[str], None] = lambda text: None
    stop: threading.Event = field(default_factory=threading.Event)

    run_id: int = 0
    full: bool = True
    inputs: Inputs = field(init=False, repr=False)
    counts: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=lambda: {"stages": {}})
    reason: str | None = None

    # ---------------------------------------------------------------- the story

    def tell(self, stage: Stage | None = None) -> None:
        """The whole cycle, stage by stage; ends the run in the store whatever happens. Raises MaxchimpError."""
        stage = stage or self.timed
        with self.leased():
            try:
                stage("prepare", self.prepare)
                stage("recover", self.recover)
                stage("extract", self.extract)
                stage("check-snapshots", self.check_snapshots)
                stage("decide", self.decide)
                stage("check-changes", self.check_changes)
                if self.asked.kind in ("plan", "report"):
                    return self.finish("planned" if self.asked.kind == "plan" else "done")
                stage("load", self.load)
                self.finish("partial" if self.loaded.broken else "done", *self.loaded.broken[:1])
            except Blocked as refusal:
                self.facts["blocked"] = {"by": refusal.reason, "remedy": refusal.remedy}
                self.finish("blocked", refusal.message)
                raise
            except MaxchimpError as error:
                self.finish("partial" if self.wrote else "failed", error.message)
                raise
            except BaseException as error:
                self.finish("partial" if self.wrote else "failed", f"interrupted ({type(error).__name__})")
                raise
        if self.loaded.broken:
            raise Incomplete(self.loaded.broken[0], remedy="the next cycle goes on")

    def timed(self, name: str, function: Callable[[], None]) -> None:
        """Run one stage and note how long it took; no new one begins once a stop was asked for (hazard F8)."""
        self.go_on()
        begun = time.monotonic()
        self.progress(name)
        try:
            function()
        finally:
            self.facts["stages"][name] = round(time.monotonic() - begun, 3)

    def go_on(self) -> None:
        if self.stop.is_set():
            raise Stopped

    @contextmanager
    def leased(self) -> Iterator[None]:
        """Hold the connection (R36) and open the run; a second start raises LeaseHeld naming the holder."""
        name = leases.holder_name()
        self.lease = leases.acquire(self.engine, self.connection.id, name, self.lease_seconds, self.now)
        self.services.permit.ask = Fence(self.lease, self.monotonic)
        self.services.permit.wait = self.stop.wait
        try:
            with leases.heartbeat(self.lease):
                with self.lease.begin() as db:
                    self.lease.terms = connections.terms(db, self.connection.id)
                tally.renumber(self.lease, runs.abandoned(self.engine, self.connection.id, self.now()))
                found = connections.find(self.engine, self.connection.name)
                assert found is not None
                self.connection = found
                self.full = self.asked.full or self.asked.kind == "backfill" or bool(found.full_reason)
                # Who looks at what waits, or lets it pass, has to see every pair (R30).
                self.full = self.full or (self.asked.looked_at and self._something_waits())
                self.run_id = runs.start(self.engine, self.connection.id, self.asked.kind, self.full, self.now())
                with about(connection=self.connection.name, run=self.run_id):
                    yield
        finally:
            self.services.permit.withdraw()
            self.lease.release()

    def _something_waits(self) -> bool:
        with reading(self.engine) as db:
            return bool(held.waiting(db, self.connection.id))

    # ---------------------------------------------------------------- the stages

    def prepare(self) -> None:
        """The identity of both sides, which are this connection's alone; both schemas and the mappings as they are."""
        self.today: date = run_day(self.now())
        session = check_identity(self.connection, self.services)
        self._keep_the_pair(pair.both(self.connection, self.services, session))
        self.prepared: Prepared = prepare(self.engine, self.connection, self.services)
        for sentence in self.prepared.broken:
            log.error("%s Nothing is written for this field until it is mapped anew.", sentence)
        self.facts["broken_mappings"] = list(self.prepared.broken)
        self.full = self.full or self.prepared.changed
        with reading(self.engine) as db:
            self.unmet = unmet(db, self.connection.id, self.prepared.layout.fields)

    def _keep_the_pair(self, wanted: list[Wanted]) -> None:
        """List and Address Book are no other connection's (R36), nor what the settings lead to now."""
        pair.look(self.engine, self.connection.name, self.services, wanted, self.now)
        with self.lease.begin() as db:
            pair.take(db, self.connection, wanted, self.now())

    def recover(self) -> None:
        """Settle what an earlier run left uncertain."""
        settings = self.connection.settings
        self.loading = Loading(
            engine=self.engine,
            lease=self.lease,
            connection_id=self.connection.id,
            run_id=self.run_id,
            list_id=self.connection.list_id,
            layout=without_options(self.prepared.layout, self.unmet.options),
            required=self.prepared.required,
            mailchimp=self.services.mailchimp,
            maximizer=self.services.maximizer,
            new_member_status=settings.new_member_status,
            max_refused=settings.max_refused,
            today=self.today,
            now=self.now,
            parallel=self.parallel,
            stop=self.stop,
            unmet=frozenset(self.unmet.changed),
        )
        with reading(self.engine) as db:
            unsettled = changes.open_changes(db, self.connection.id)["run_id"].unique().tolist()
        self.resting = recover(self.loading, settings.ambiguous_wait)
        tally.renumber(self.lease, unsettled)
        self.loading.hashes.clear()
        self.loading.tally.clear()
        self.loading.unmet = frozenset()
        refreshed = connections.find(self.engine, self.connection.name)
        assert refreshed is not None
        self.full_reason = refreshed.full_reason
        self.full = self.full or bool(self.full_reason)

    def extract(self) -> None:
        """Both sides into the snapshot tables at the same time, then the point reads that the decision needs."""
        self.reading = Reading(
            engine=self.engine,
            run_id=self.run_id,
            connection_id=self.connection.id,
            list_id=self.connection.list_id,
            layout=self.prepared.layout,
            mailchimp=self.services.mailchimp,
            maximizer=self.services.maximizer,
            buffer_ms=self.connection.settings.buffer_ms,
            progress=counted(self.progress, self.go_on),
        )
        self.members, self.entries = read_both(
            self.reading,
            self.connection,
            full=self.full,
            parallel=self.parallel,
            meanwhile=warm_up_checks if self.judge else None,
        )
        self.facts["read"] = {"mailchimp": self.members.rows, "maximizer": self.entries.rows}
        if self.full:
            self._check_absence()
        read_others(self.reading, full=self.full, complete=self.members.complete and self.entries.complete)

    def _check_absence(self) -> None:
        """Refuse before thousands of point reads when a side is empty or has shrunk."""
        with reading(self.engine) as db:
            trips = shrunk(db, self.connection, self.run_id)
        self._refuse(trips)

    def check_snapshots(self) -> None:
        """Great Expectations over what was read and matters; rows that fail are set aside with the reason."""
        self._look()
        if self.judge:
            self.inputs, self.set_aside, self.noted = judge_both(self.inputs, self.prepared.layout, self.facts)

    def _look(self) -> None:
        """What there is to decide about, and by which rules; nothing is set aside yet."""
        gathered = self._gathered()
        if doubtful := blanked(gathered.inputs, self.prepared.layout):
            counterparts.entries_by_id(self.reading, doubtful)
            gathered = self._gathered()
        self.inputs = gathered.inputs
        self.untouched, self.active = gathered.untouched, gathered.active
        self.policy = policy_of(
            self.connection,
            self.prepared,
            self.unmet,
            self.today,
            full=self.full,
            members_complete=self.members.complete,
            entries_complete=self.entries.complete,
        )
        self.set_aside, self.noted = empty(PARKED), empty(FINDING)

    def _gathered(self) -> Gathered:
        with reading(self.engine) as db:
            return gather_for(db, self.connection, self.run_id, self.prepared, self.unmet, self.resting, full=self.full)

    def decide(self) -> None:
        """Match, compare, rules, defaults: the ChangeSet, without what changed mappings make wait (R30)."""
        self.waits = self._to_judge
        if self.full:  # every pair is there to be counted
            self.shown = self.decided = self._decided(self.policy)
            self.waits = self._judged(self.decided, complete=self.members.complete and self.entries.complete)
            if self.asked.approved:
                self.facts.setdefault("let_through", []).extend(f"changed mapping of {tag}" for tag in self.waits)
                self.waits = {}
        if self.waits or not self.full:
            self.policy = meanwhile(self.policy, self.waits, self.unmet.options)
            self.decided = self._decided(self.policy)
        self.loading.layout = self.policy.layout
        # A plan shows also what waits, so that a person can let it pass.
        self.shown = self.shown if self.full and self.asked.kind == "plan" else self.decided
        self._count()

    @property
    def _to_judge(self) -> dict[str, Held | None]:
        """Changed mappings; of a first sync none, which asks as a whole."""
        return self.unmet.changed if self.connection.synced else {}

    def _judged(self, decided: ChangeSet, *, complete: bool) -> dict[str, Held | None]:
        settings = self.connection.settings
        return judged(self._to_judge, decided, self.active, settings, self.run_id, complete=complete)

    def _count(self) -> None:
        self.facts["held"] = told(self.waits)
        self.decided.tallies["held"] = writes(self.facts["held"])
        self.counts = self.decided.counted()
        self.facts |= tally.decided(self.decided)

    def _decided(self, policy: Policy) -> ChangeSet:
        decided = decide(self.inputs, policy)
        if len(self.set_aside):
            decided.parked = pd.concat([decided.parked, self.set_aside], ignore_index=True)
        if len(self.noted):
            decided.findings = pd.concat([decided.findings, self.noted], ignore_index=True)
        decided.tallies["unchanged"] += self.untouched
        return decided

    def check_changes(self) -> None:
        """The ChangeSet is judged and guarded, then stored: from here on it is the plan."""
        if self.judge:
            judge_plan(self.decided, self.policy, self.facts)
        self.facts["plan"] = plan_notes(self.shown) | {"conflict_setting": self.connection.settings.conflict}
        if self.asked.kind == "plan":
            with begin(self.engine) as db:
                store_plan(db, self.run_id, self.connection.id, self.shown)
                shown = tally.decided(self.shown)
                tally.check_plan(shown, tally.came_to(db, self.run_id, shown))
        # Until a first sync was completed, everything is new: a broken one goes on where it stopped.
        initial = not self.connection.fingerprint
        self._refuse(guard(self.decided, self.active, self.connection.settings, initial=initial))
        if self.asked.kind == "plan":
            return
        if self.asked.plan is not None:
            self._keep_to(self.asked.plan)
            self.facts["plan"] |= plan_notes(self.decided)
        elif not self.connection.synced and len(self.decided.changes) and not self.asked.yes:
            raise first_sync(self.counts, self.asked.again)

    def _keep_to(self, plan: int) -> None:
        """Only what a stored plan showed; many more writes of a changed mapping than those are not approved (R30)."""
        every = self.decided.changes
        self.decided = keep_planned(self.engine, self.connection.id, plan, self.decided, self.prepared.fingerprint)
        now = self.decided.changes
        later = every[~(every["side"] + every["target"]).isin(now["side"] + now["target"])]
        self.waits = self._judged(replace(self.decided, changes=later), complete=True)
        self._count()

    def _refuse(self, trips: list[Trip]) -> None:
        """Blocked when a guard tripped, unless this run was let through by name."""
        if not trips or self.asked.yes:
            self.facts.setdefault("let_through", []).extend(trip.guard for trip in trips)
            return
        raise refusal(trips, self.asked.again)

    def load(self) -> None:
        """Accept the decision in our store, then write to each side."""
        check_address_book(self.connection, self.services)
        with begin(self.engine) as db:
            self.lease.check(db)
            apply(db, self.run_id, self.connection.id, self.decided, self.now())
            connections.update(db, self.connection.id, synced=True)
            held.settle(db, self.connection.id, self.unmet.changed.keys() - self.waits.keys(), self.waits)
        self.applied = True
        total, done = len(self.decided.changes), 0

        def tell(number: int) -> None:
            nonlocal done
            done += number
            self.progress(f"wrote or skipped {done} of {total} changes")

        self.loading.progress = tell
        self.loading.traits = dict(self.connection.traits)
        self.loaded = load(self.loading)
        if self.loading.traits != self.connection.traits:
            connections.update(self.engine, self.connection.id, traits=self.loading.traits)
        planned = self.facts["planned"]
        self._count_written()
        with reading(self.engine) as db:
            journal.tell(db, self.connection.id, self.run_id, self.facts["held"])
        self.go_on()
        if not self.loaded.broken:
            self._settle()
        tally.check(self.facts, planned, self.loaded.counts)

    def _count_written(self) -> None:
        """What became of the plan, and who waits now."""
        with reading(self.engine) as db:
            self.facts |= tally.came_to(db, self.run_id, self.facts)
            waiting = parking.count(db, self.connection.id)
        self.counts |= tally.counted(self.facts) | {"quarantined": waiting}
        self.facts["waiting"] = waiting

    def _settle(self) -> None:
        """Move the cursors on: everything up to them is done, or remembered as unfinished (R34)."""
        with reading(self.engine) as db:
            uncertain = len(changes.open_changes(db, self.connection.id))
        found = connections.find(self.engine, self.connection.name)
        asked_since = found is not None and found.full_reason != self.full_reason
        whole = self.full and self.members.complete and self.entries.complete
        columns: dict[str, Any] = {
            "mailchimp_cursor": self.members.cursor,
            "maximizer_cursor": self.entries.cursor,
        }
        if whole:
            columns |= {"fingerprint": self.prepared.fingerprint}
            # What was asked for while this cycle read is left to the next one (R34).
            columns |= {} if asked_since else {"full_reason": ""}
        elif not (self.members.complete and self.entries.complete):
            columns |= {"full_reason": "the last read was incomplete"}
        if uncertain:
            self.facts["resting"] = uncertain
        with begin(self.engine) as db:
            # A list or a mapping that was changed meanwhile has to be read from the start.
            self.lease.check(db)
            connections.update(db, self.connection.id, **columns)
        self.facts["complete"] = whole

    # ---------------------------------------------------------------- the end

    applied: bool = False  # what was decided is stored, and writing may have begun
    loaded: Loaded = field(default_factory=lambda: Loaded({}, ()))

    @property
    def wrote(self) -> bool:
        return hasattr(self, "loading") and bool(self.loading.tally)

    def finish(self, state: str, reason: str | None = None) -> None:
        """Close the run: state, counts, calls; old snapshots and changes are purged after a good one."""
        self.reason = reason
        self.facts["calls"] = self.services.calls()
        if hasattr(self, "prepared"):
            self.facts["fingerprint"] = self.prepared.fingerprint
        if state in ("partial", "failed") and self.applied:
            self._count_written()
        runs.finish(self.engine, self.run_id, state, reason, self.counts or no_counts(), self.facts, self.now())
        self.state = state
        if state == "done":
            days = self.connection.settings.retention / runs.DAY
            runs.purge(self.engine, self.connection.id, change_days=days, now=self.now())

    def result(self) -> dict[str, Any]:
        """The JSON document of the contract."""
        return {
            "run": self.run_id,
            "kind": self.asked.kind,
            "state": self.state,
            "reason": self.reason,
            "counts": self.counts or no_counts(),
            **tally.told(self.asked.kind, self.state, self.counts, self.facts),
            "held": self.facts.get("held", []),
        }
