"""What a run costs the store follows from what changed, not from how many people or how much history it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from harness import Office
from work import measured

from benchmarks import past
from domain.errors import Incomplete
from flows.cycle import Cycle
from flows.foresee import explain
from storage import changes, connections, leases, links, parking, runs
from storage.connections import MappingRow
from storage.engine import begin, open_store, reading
from storage.schema import migrate

FEW, MANY = 2_000, 20_000
REFERENCE, PLAN = r"Marketing\Reference", r"Marketing\Plan"
# Statements that may cost more the more there is, and why.
GROWING = {
    "SELECT count(*) AS count_1 \nFROM link \nWHERE link.connection_id": "the guards judge by shares of all pairs; "
    "counted in an index that holds nothing else",
}
SCAN = "SELECT id FROM link WHERE reason = 'none'"  # has no index: to be found out, or nothing is
DAY = 86_400


class Steady(Office):
    """No statement depends on how fast the machine is, and none is a test's own."""

    witnessing = False

    def cycle(self, **asked: Any) -> Cycle:
        made = super().cycle(**asked)
        made.monotonic = self.clock.now
        return made


class Crowd:
    """An office of twelve people among so many others, whose store has a past; each thing that can befall a person is
    about to befall one of them.
    """

    def __init__(self, url: str, others: int) -> None:
        self.office = office = Steady(url, mappings=[("REF", REFERENCE), ("PLAN", PLAN)])
        office.set(retention="400d")
        self.engine, self.connection = office.engine, office.connection
        self._remember(office.clock.now() - 31 * DAY)
        past.history(self.engine, self.connection.id, others, office.clock.now())
        self.emails = [f"p{n}@here.test" for n in range(12)]
        merge = {"REF": "A", "PLAN": "Plus"}
        self.ids = [
            office.subscribe(email, "Ann", f"Reed{n}", merge_fields=merge) for n, email in enumerate(self.emails)
        ]
        first = office.sync()["run"]
        self.keys = [office.entries(email)[0] for email in self.emails]
        office.mailchimp.edit(self.ids[0], {"REF": "B"})
        office.sync()  # which shows that the edit of a UDF moves the date: from now on entries are read by date
        office.sync()
        past.strangers(self.engine, self.connection.id, others, first, office.clock.now())
        self._misfortunes()
        if self.engine.dialect.name == "postgresql":
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
                db.exec_driver_sql("VACUUM ANALYZE")

    def _remember(self, at: float) -> None:
        """Five changes that have had their time, tried in vain first."""
        run = runs.start(self.engine, self.connection.id, "sync", False, at)
        frame = pd.DataFrame(
            {"target": [f"o{n}" for n in range(5)], "side": "maximizer", "op": "update", "fields": "{}"}
        )
        frame = frame.assign(link_id=None, contact_id="", entry_id="", marker="", rule="R31")
        with begin(self.engine) as db:
            ids = changes.store(db, run, self.connection.id, frame)
            changes.mark(db, ids, "done", finished_at=at)
            for number in ids:
                changes.record_failure(db, number, at, "refused", 400)
        runs.finish(self.engine, run, "done", None, {}, {}, at)

    def _misfortunes(self) -> None:
        """What an earlier cycle leaves: a create without an answer, a refusal, a process that died."""
        office = self.office
        office.add("Una", "Moor", "una@here.test", flag="Yes")
        office.mailchimp.fake_addresses.add("una@here.test")
        office.subscribe("new@here.test", "New", "Moor")
        office.doors["maximizer"].faults.next("maximizer", "drop-after", "Create")
        with pytest.raises(Incomplete):
            office.sync()
        office.set(retention="30d")
        runs.start(self.engine, self.connection.id, "sync", False, office.clock.now())
        office.clock.advance(400)

    def everything(self) -> None:
        """A scheduled cycle in which much happens, and the one after it."""
        office, ids, keys = self.office, self.ids, self.keys
        office.mailchimp.edit(ids[0], {"REF": "C"})
        office.maximizer.edit(keys[1], {REFERENCE: "D"})
        office.maximizer.edit(keys[2], {"Email1": "renamed@here.test"})
        office.mailchimp.change_email(ids[3], "moved@here.test")
        office.mailchimp.archive(ids[4])
        office.maximizer.remove(keys[5])
        office.mailchimp.edit(ids[5], {"REF": "E"})
        office.maximizer.protect([keys[6]])
        office.mailchimp.edit(ids[6], {"REF": "F"})
        office.mailchimp.edit(ids[7], {"REF": "G"})
        office.maximizer.edit(keys[7], {REFERENCE: "H"})
        office.maximizer.edit(keys[8], {PLAN: "Platinum"})
        office.mailchimp.unsubscribe(ids[9])
        office.subscribe("ben@here.test", "Ben", "Moor")
        office.add("Cleo", "Moor", "cleo@here.test", flag="Yes")
        with begin(self.engine) as db:
            waiting = parking.open_rows(db, self.connection.id)
            parking.release(db, int(waiting["id"].iloc[0]))
        result = office.sync()
        assert not office.last.full
        assert all(result["counts"][side][what] for side in ("mailchimp", "maximizer") for what in ("create", "failed"))
        office.sync()

    def look_ups(self) -> None:
        """What commands and page ask about one person, one run, and what waits."""
        for who in (self.emails[0], f"{self.keys[1][0]}#{self.keys[1][1]}", self.ids[2]):
            (told, *_) = explain(self.engine, self.connection, self.office.services(), who, now=self.office.clock.now)
            assert told.done
        run = runs.latest(self.engine, self.connection.id, 20)[0].id
        with reading(self.engine) as db:
            changes.states(db, run)
            changes.left_undone(db, run)
            changes.conflicts(db, self.connection.id, run_id=run)
            parking.since(db, self.connection.id, run)
            parking.tally(db, self.connection.id, run)
            parking.open_rows(db, self.connection.id)
        lease = leases.acquire(self.engine, self.connection.id, "test", now=self.office.clock.now)
        changes.still_sending(lease, self.office.clock.now())
        lease.release()


@pytest.fixture(params=["sqlite", "postgresql"])
def new_store(request: pytest.FixtureRequest, folder: Path) -> Callable[[], str]:
    """Makes the address of an empty store, as often as wanted."""
    if request.param == "postgresql":
        make: Callable[[bool], str] = request.getfixturevalue("new_database")
        return lambda: make(True)
    serial = count(1)
    return lambda: f"sqlite:///{folder / f'{next(serial)}.db'}"


def test_no_statement_costs_more_where_there_is_more(new_store: Callable[[], str]) -> None:
    cost = {}
    for others in (FEW, MANY):
        crowd = Crowd(new_store(), others)
        with measured(crowd.engine) as cost[others]:
            crowd.everything()
            crowd.look_ups()
            with reading(crowd.engine) as db:
                db.exec_driver_sql(SCAN).all()
        crowd.engine.dispose()
    dearer = grown(cost[FEW], cost[MANY])
    assert set(dearer) == {SCAN}, dearer


def grown(few: Counter[str], many: Counter[str]) -> dict[str, tuple[int, int]]:
    """Statements whose work is another at ten times the size, with both amounts."""
    known = {text: work for text, work in many.items() if not any(text.startswith(start) for start in GROWING)}
    return {text: (few[text], work) for text, work in known.items() if work > 2 * few[text] + 60}


def test_a_full_cycle_of_four_times_the_people_costs_four_times_as_much(folder: Path) -> None:
    """PostgreSQL reads tables of this size as a whole, and rightly so; SQLite looks up."""
    cost = {}
    for people in (50, 200):
        office = Steady(f"sqlite:///{folder / f'{people}.db'}", people=people, mappings=[("REF", REFERENCE)])
        with measured(office.engine) as cost[people]:
            assert office.sync()["counts"]["maximizer"]["create"]
            office.backfill()
        office.engine.dispose()
    few, many = cost[50], cost[200]
    assert {text: (few[text], work) for text, work in many.items() if work > 4 * 1.5 * few[text] + 1000} == {}


def test_forgetting_a_field_of_four_times_the_links_costs_four_times_as_much(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes by steps: none of them may look at what was done, or is still to be done, by another."""
    monkeypatch.setattr(connections, "_AT_ONCE", 50)
    cost = {}
    for people in (500, 2000):
        engine = open_store(f"sqlite:///{folder / f'{people}.db'}")
        migrate(engine)
        ours = connections.create(engine, "default", 0.0)
        past.strangers(engine, ours.id, people, runs.start(engine, ours.id, "sync", True, 0.0), 0.0)
        mapping = MappingRow(0, "FNAME", "FNAME", "FirstName", "First Name", "text", "alphanumeric", False)
        with measured(engine) as cost[people]:
            connections.put_mapping(engine, ours.id, mapping, 0.0)
        with reading(engine) as db:
            assert not links.baselines(db)["mailchimp"].str.contains("FNAME").any()
        engine.dispose()
    assert cost[2000].total() < 4 * 1.5 * cost[500].total()
