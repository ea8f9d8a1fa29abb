"""Whole cycles: on both databases, judged by the real checks, silent in the logs, and closed whatever happens."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pytest
from harness import MARKER, Office, office

from domain.errors import Blocked, Incomplete, LeaseHeld
from flows.cycle import Cycle
from storage import leases, runs

MAPPINGS = [("PHONE", "Phone1"), ("REF", r"Marketing\Reference"), ("group:Email Profile", r"Marketing\Email Opt-In")]


def test_a_cycle_on_either_database(store_url: str) -> None:
    """New on both sides, edited on both sides, then quiet: the same on SQLite and PostgreSQL."""
    town = Office(store_url, mappings=MAPPINGS)
    ann = town.subscribe("ann@lake.test", "Ann", "Lake", merge_fields={"REF": "red"})
    bob = town.add("Bob", "Hill", "bob@hill.test", flag="Yes")
    counts = town.sync()["counts"]
    assert (counts["mailchimp"]["create"], counts["maximizer"]["create"]) == (1, 1)
    (entry,) = town.entries("ann@lake.test")
    assert town.entry(entry)["udfs"][MARKER] == town.member(ann)["unique_email_id"]
    town.mailchimp.edit(ann, merge_fields={"REF": "blue"})
    town.maximizer.edit(bob, {"LastName": "Mount"})
    town.sync()
    assert town.entry(entry)["udfs"][r"Marketing\Reference"] == "blue"
    member = town.by_email("bob@hill.test")
    assert member is not None
    assert member["merge_fields"]["LNAME"] == "Mount"
    town.quiet()
    town.engine.dispose()


def test_the_real_checks_judge_a_cycle(tmp_path: Path) -> None:
    town = office(tmp_path, mappings=MAPPINGS, judge=True)
    town.subscribe("ann@lake.test", "Ann", "Lake")
    town.sync()
    checks = town.last.facts["checks"]
    assert {check["suite"] for check in checks} >= {"members", "entries"}
    assert all(check["success"] for check in checks if check["mandatory"])


def test_s22_s27_no_secret_and_no_address_in_any_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    town = office(tmp_path, mappings=MAPPINGS)
    town.subscribe("canary.ann@lake.test", "Canaryann", "Lake")
    town.add("Bob", "Canaryhill", "canary.bob@hill.test", flag="Yes")
    town.sync()
    town.doors["maximizer"].faults.next("maximizer", "500-after")
    town.mailchimp.fake_addresses.add("canary.fake@hill.test")
    town.add("Fay", "Canaryfake", "canary.fake@hill.test", flag="Yes")
    town.sync()
    told = caplog.text.lower()
    assert told
    digest = hashlib.md5(b"canary.ann@lake.test", usedforsecurity=False).hexdigest()
    secrets = (town.mailchimp.api_key, town.maximizer.password, town.maximizer.user.lower() + ":")
    for canary in ("canary", digest, *secrets):
        assert canary.lower() not in told


def test_r36_a_second_start_names_the_holder_and_ends(tmp_path: Path) -> None:
    town = office(tmp_path)
    leases.acquire(town.engine, town.connection.id, "the other one", now=town.clock.now)
    with pytest.raises(LeaseHeld) as refusal:
        town.sync()
    assert refusal.value.holder == "the other one"


def test_a_held_first_sync_writes_nothing_and_says_how_to_go_on(tmp_path: Path) -> None:
    town = office(tmp_path)
    town.subscribe("ann@lake.test", "Ann", "Lake")

    def refused() -> None:
        with pytest.raises(Blocked) as refusal:
            town.sync(yes=False)
        assert "--yes" in refusal.value.remedy

    assert town.writes(refused) == []
    assert runs.latest(town.engine, town.connection.id)[0].state == "blocked"


def test_a_plan_writes_nothing_and_can_be_applied_exactly(tmp_path: Path) -> None:
    """D17, D18: what was planned is done, and nothing else."""
    town = office(tmp_path)
    town.subscribe("ann@lake.test", "Ann", "Lake")
    planned = {}
    assert town.writes(lambda: planned.update(town.plan())) == []
    town.sync(plan=planned["run"])
    assert len(town.entries("ann@lake.test")) == 1
    town.quiet()


def test_d18_a_plan_is_refused_when_the_world_moved(tmp_path: Path) -> None:
    town = office(tmp_path)
    ann = town.subscribe("ann@lake.test", "Ann", "Lake")
    planned = town.plan()
    town.mailchimp.edit(ann, merge_fields={"FNAME": "Anna"})

    def refused() -> None:
        with pytest.raises(Blocked):
            town.sync(plan=planned["run"])

    assert town.writes(refused) == []


def test_a_run_that_breaks_is_closed_and_the_next_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    town = office(tmp_path)
    town.subscribe("ann@lake.test", "Ann", "Lake")

    def bursts(self: Cycle) -> None:
        raise RuntimeError("burst")

    with monkeypatch.context() as broken:
        broken.setattr(Cycle, "decide", bursts)
        with pytest.raises(RuntimeError):
            town.sync()
    assert runs.latest(town.engine, town.connection.id)[0].state == "failed"
    town.sync()
    town.quiet()
    assert len(town.entries("ann@lake.test")) == 1


def test_a_broken_first_sync_goes_on_without_being_asked_again(tmp_path: Path) -> None:
    """It was let through once; what it did is counted, what it did not is done by the next scheduled cycle."""
    town = office(tmp_path)
    for n in range(60):
        town.add("Ann", f"Lake{n}", f"ann{n}@lake.test", flag="Yes")
        town.subscribe(f"bob{n}@hill.test", "Bob", f"Hill{n}")
    town.doors["mailchimp"].faults.next("mailchimp", "503-after", "POST list", times=9)
    town.doors["maximizer"].faults.next("maximizer", "500-before", "AbEntryCreate", times=40)
    with pytest.raises(Incomplete):
        town.sync(yes=True)
    (broken,) = runs.latest(town.engine, town.connection.id)
    assert broken.state == "partial"
    assert broken.counts["mailchimp"]["failed"] + broken.counts["maximizer"]["failed"] > 0
    for door in town.doors.values():
        door.faults.clear()
    town.clock.advance(400)
    town.sync(yes=False)
    assert len(town.entries()) == 120
    assert len(town.mailchimp.members(town.list_id)) == 120
    town.quiet()


def test_an_uncertain_create_that_is_seen_to_have_happened_does_not_wait(tmp_path: Path) -> None:
    """Only what is not there yet may still arrive late, and rests; what is there is adopted by the next cycle."""
    town = office(tmp_path)
    town.subscribe("ann@lake.test", "Ann", "Lake")
    town.add("Bob", "Hill", "bob@hill.test", flag="Yes")
    town.doors["mailchimp"].faults.next("mailchimp", "503-after", "POST list", times=9)
    town.doors["maximizer"].faults.next("maximizer", "500-after", "AbEntryCreate")
    with pytest.raises(Incomplete):
        town.sync()
    for door in town.doors.values():
        door.faults.clear()
    town.sync()
    assert (len(town.entries()), len(town.mailchimp.members(town.list_id))) == (2, 2)
    assert all(town.entry(key)["udfs"].get(MARKER) for key in town.entries())
    town.quiet()


def test_an_uncertain_create_that_is_not_there_rests(tmp_path: Path) -> None:
    town = office(tmp_path)
    town.subscribe("ann@lake.test", "Ann", "Lake")
    town.doors["maximizer"].faults.next("maximizer", "500-before", "AbEntryCreate")
    with pytest.raises(Incomplete):
        town.sync()
    town.sync()
    assert town.entries() == []
    town.clock.advance(400)
    town.sync()
    assert len(town.entries("ann@lake.test")) == 1
