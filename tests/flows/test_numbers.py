"""Every number is of what its word says: what was written is what the services saw, what was planned is told apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import Office, office

from domain.errors import Blocked, Incomplete, MaxchimpError, Miscounted
from domain.sums import closes
from flows import reporting, tally
from flows.asked import Asked
from flows.reporting import Written
from flows.survey import Survey
from flows.sync import markdown
from quality import Examined
from storage import changes, runs
from storage.engine import begin, reading
from storage.runs import Run
from storage.tables import run as run_table

SIDES = ("mailchimp", "maximizer")
REF = r"Marketing\Reference"
NONE = {"create": 0, "update": 0, "failed": 0, "left": 0}


@pytest.fixture(autouse=True)
def without_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks take seconds however few people there are; tests/quality looks at them."""
    monkeypatch.setattr("flows.survey.examine", lambda side, frame, layout: Examined(side, frame, []))


@pytest.fixture
def town(tmp_path: Path) -> Office:
    return office(tmp_path, mappings=[("REF", REF)])


def report(town: Office, home: Path) -> Written:
    town.clock.advance(10)
    asked = Asked("report", full=True, yes=True)
    made = Survey(town.engine, town.connection, town.services(), asked, now=town.clock.now, parallel=1)
    made.tell()
    return reporting.write(made, home)


def newest(town: Office) -> Run:
    return runs.latest(town.engine, town.connection.id, 1)[0]


def fails(error: type[MaxchimpError], action: Callable[[], Any]) -> Callable[[], None]:
    def run() -> None:
        with pytest.raises(error):
            action()

    return run


def crowd(town: Office, number: int = 4) -> None:
    for n in range(number):
        town.subscribe(f"ann{n}@lake.test", "Ann", f"Lake{n}")
        town.add("Bob", f"Hill{n}", f"bob{n}@hill.test", flag="Yes")


def agrees_with_its_changes(town: Office, run: Run) -> None:
    """What a run says it planned and wrote is what its changes say, and it adds up."""
    numbers = tally.of_run(run)
    rows = town.changes(run.id)
    for side in SIDES:
        mine = [row for row in rows if row["side"] == side]
        done = [row for row in mine if row["state"] == "done"]
        planned, written = numbers["planned"][side], numbers["written"][side]
        assert sum(planned.values()) == sum(written.values()) == len(mine)
        assert (written["create"], written["update"]) == (
            sum(row["op"] == "create" for row in done),
            sum(row["op"] != "create" for row in done),
        )
        assert {name: run.counts[side][name] for name in ("create", "update", "failed")} == {
            name: written[name] for name in ("create", "update", "failed")
        }


# ------------------------------------------------------------------ nothing written


def test_a_blocked_run_wrote_nothing_whatever_it_had_planned(town: Office, tmp_path: Path) -> None:
    crowd(town)
    town.subscribe("both@lake.test", "Both", "Lake", merge_fields={"REF": "theirs"})
    town.maximizer.edit(town.add("Both", "Lake", "both@lake.test", flag="Yes"), {REF: "ours"})
    assert town.writes(fails(Blocked, lambda: town.sync(yes=False))) == []
    blocked = newest(town)
    numbers = tally.of_run(blocked)
    planned = {side: sum(numbers["planned"][side].values()) for side in SIDES}
    assert all(planned.values())
    assert numbers["written"] == {side: NONE | {"left": planned[side]} for side in SIDES}
    assert blocked.facts["conflicts"] == {"found": 1, "withheld": 0, "held_back": 0, "decided": 0, "left": 1}
    document = {"run": blocked.id, "kind": "sync", "state": "blocked", "counts": blocked.counts, **numbers}
    assert tally.in_words(document, "mailchimp") == f"nothing of {planned['mailchimp']} planned"
    said = markdown(document | {"reason": None}, blocked.facts)
    assert "| to create | to update |" in said
    assert "created" not in said
    assert "waiting for a person" not in said
    (told,) = report(town, tmp_path).told["runs"]
    assert told["writes"] == dict.fromkeys(SIDES, 0)
    assert (told["seconds"], told["quarantined"], told["conflicts"], told["failed"]) == (None, None, None, 0)


def test_a_run_that_failed_early_knows_nothing_and_says_so(town: Office, tmp_path: Path) -> None:
    """Neither that nobody waits, nor that a run takes no time."""
    crowd(town, 1)
    town.add("Twin", "One", "twin@lake.test", flag="Yes")
    town.add("Twin", "Two", "twin@lake.test", flag="Yes")
    town.sync()
    assert len(town.quarantined()) == 2
    town.doors["maximizer"].faults.next("maximizer", "refused", times=99)
    assert town.writes(fails(MaxchimpError, town.sync)) == []
    town.doors["maximizer"].faults.clear()
    failed = newest(town)
    assert failed.state == "failed"
    assert tally.of_run(failed) == {"planned": None, "written": dict.fromkeys(SIDES, NONE)}
    town.sync()
    made = report(town, tmp_path)
    good, bad, again = made.told["runs"]
    assert (bad["seconds"], bad["quarantined"], bad["conflicts"]) == (None, None, None)
    assert (good["quarantined"], again["quarantined"]) == (2, 2)
    assert good["seconds"] is not None
    assert made.page.read_text("utf-8").count("not known") == 3
    assert json.loads((made.page.parent / "report.json").read_text("utf-8"))["runs"][1]["seconds"] is None


def test_a_plan_and_a_report_say_what_would_be_written(town: Office, tmp_path: Path) -> None:
    crowd(town)
    told: dict[str, Any] = {}
    assert town.writes(lambda: told.update(town.plan())) == []
    assert told["planned"] == {side: {op: told["counts"][side][op] for op in ("create", "update")} for side in SIDES}
    assert all(sum(told["written"][side][op] for op in ("create", "update", "failed")) == 0 for side in SIDES)
    planned = told["planned"]["maximizer"]
    words = f"would create {planned['create']}, update {planned['update']}"
    assert tally.in_words(told, "maximizer") == words
    assert len(town.changes(told["run"])) == sum(sum(count.values()) for count in told["planned"].values())
    report(town, tmp_path)
    looked = newest(town)
    numbers = tally.of_run(looked)
    assert numbers["planned"] == told["planned"]
    assert tally.in_words({"kind": looked.kind, "state": looked.state, **numbers}, "maximizer") == "read only"
    done = town.sync()
    assert {side: sum(done["written"][side].values()) for side in SIDES} == {
        side: done["written"][side]["create"] + done["written"][side]["update"] for side in SIDES
    }
    assert done["planned"] == told["planned"]
    agrees_with_its_changes(town, newest(town))


# ------------------------------------------------------------------ half written


def test_a_run_that_broke_off_tells_what_was_written_so_far(town: Office) -> None:
    crowd(town, 30)
    town.doors["maximizer"].faults.at("maximizer", 40, "500-before")
    town.doors["maximizer"].faults.next("maximizer", "500-before", "AbEntryCreate", times=20)
    with pytest.raises(Incomplete):
        town.sync()
    town.doors["maximizer"].faults.clear()
    broken = newest(town)
    assert broken.state == "partial"
    agrees_with_its_changes(town, broken)
    written = tally.of_run(broken)["written"]
    assert written["maximizer"]["failed"] > 0
    assert written["mailchimp"]["left"] > 0
    # What the services hold is what was counted.
    assert len(town.entries()) - 30 == written["maximizer"]["create"]
    assert len(town.mailchimp.members(town.list_id)) - 30 == written["mailchimp"]["create"]
    total = sum(written["mailchimp"].values())
    document = {"kind": "sync", "state": "partial", **tally.of_run(broken)}
    assert tally.in_words(document, "mailchimp").endswith(f"of {total} planned")


def test_what_was_uncertain_is_counted_where_it_came_about(town: Office) -> None:
    """The run that sent it is renumbered by the one that found out; none of both counts it twice."""
    crowd(town, 1)
    town.doors["maximizer"].faults.next("maximizer", "500-after", "AbEntryCreate")
    with pytest.raises(Incomplete):
        town.sync()
    first = newest(town)
    assert tally.of_run(first)["written"]["maximizer"]["failed"] == 1
    town.doors["maximizer"].faults.clear()
    town.sync()
    second = newest(town)
    first = runs.get(town.engine, first.id) or first
    for one in (first, second):
        agrees_with_its_changes(town, one)
    created = [tally.of_run(one)["written"]["maximizer"]["create"] for one in (first, second)]
    assert created == [1, 0]
    assert len(town.entries("ann0@lake.test")) == 1


def test_a_run_whose_process_died_is_counted_by_the_next_and_lasted_nobody_knows_how_long(town: Office) -> None:
    crowd(town)
    town.sync()
    died = newest(town)
    with begin(town.engine) as db:
        lost = {"state": "running", "counts": {}, "facts": {}, "reason": None, "finished_at": None}
        db.execute(run_table.update().where(run_table.c.id == died.id).values(lost))
    town.clock.advance(3600)
    town.sync()
    found = runs.get(town.engine, died.id)
    assert found is not None
    assert (found.state, found.reason, found.seconds) == ("partial", "interrupted", None)
    agrees_with_its_changes(town, found)
    assert tally.of_run(found)["written"] == tally.of_run(died)["written"]


# ------------------------------------------------------------------ conflicts


@pytest.mark.parametrize("setting", SIDES)
def test_r30_r31_a_conflict_goes_by_the_rule_of_its_meeting(
    town: Office, setting: str, caplog: pytest.LogCaptureFixture
) -> None:
    """At a first meeting R30, in the change, its log line and the list of what lost; after edits on both R31."""
    town.set(conflict=setting)
    contact, key = town.met("ada@lake.test", {"REF": "theirs"}, {REF: "ours"})
    town.sync()
    first = town.last
    town.mailchimp.edit(contact, {"REF": "their edit"})
    town.maximizer.edit(key, {REF: "our edit"})
    town.sync()
    kept = {}
    for run, rule, line in ((first.run_id, "R30", "held different"), (town.last.run_id, "R31, R30", "were edited to")):
        with reading(town.engine) as db:
            found = changes.conflicts(db, town.connection.id, run_id=run)
        assert [(row["field"], row["rule"]) for row in found.to_dict("records")] == [("REF", rule)]
        (text,) = [message for message in caplog.messages if line in message]
        assert f"({rule})" in text
        kept[run] = found["lost"].tolist()
    assert list(kept.values()) == ([["theirs"], ["their edit"]] if setting == "maximizer" else [["ours"], ["our edit"]])
    side = "mailchimp" if setting == "maximizer" else "maximizer"
    heads = [
        row["rule"] for run in kept for row in town.changes(run) if row["side"] == side and '"REF"' in row["fields"]
    ]
    assert heads == ["R30", "R31"]


def test_the_conflicts_of_a_run_are_those_of_its_lists(tmp_path: Path) -> None:
    """Found = decided + what cannot be held there + what was not written; an emptied value can lose too."""
    town = office(tmp_path, mappings=[("REF", REF), ("POSTCODE", r"Marketing\Billing ZIP")])
    people = {
        name: town.met(f"{name}@lake.test", {"REF": "theirs", "POSTCODE": "10001"}, {REF: "ours", **more})
        for name, more in (
            ("plain", {r"Marketing\Billing ZIP": "10001"}),
            ("odd", {r"Marketing\Billing ZIP": "V6B 1A1"}),
        )
    }
    town.sync()
    run = newest(town)
    assert run.counts["conflicts"] == 3
    assert run.facts["conflicts"] == {"found": 3, "withheld": 1, "held_back": 0, "decided": 2, "left": 0}
    contact, key = people["plain"]
    town.mailchimp.edit(contact, {"REF": ""})
    town.maximizer.edit(key, {REF: "ours again"})
    town.sync()
    run = newest(town)
    assert run.counts["conflicts"] == run.facts["conflicts"]["decided"] == 1
    with reading(town.engine) as db:
        (row,) = changes.conflicts(db, town.connection.id, run_id=run.id).to_dict("records")
    assert (row["kept"], row["lost"]) == ("ours again", "")


def test_a_plan_that_is_applied_counts_its_own_conflicts_only(town: Office) -> None:
    one, two = (town.met(f"{name}@lake.test", {"REF": "R"}, {REF: "R"}) for name in ("one", "two"))
    town.sync()
    town.sync()

    def both_edit(pair: tuple[str, tuple[str, int]], text: str) -> None:
        town.mailchimp.edit(pair[0], {"REF": f"{text} in Mailchimp"})
        town.maximizer.edit(pair[1], {REF: f"{text} in Maximizer"})

    both_edit(one, "first")
    planned = town.plan()
    both_edit(two, "later")
    done = town.sync(plan=planned["run"])
    assert done["counts"]["conflicts"] == 1
    assert newest(town).facts["conflicts"] == {"found": 1, "withheld": 0, "held_back": 0, "decided": 1, "left": 0}
    assert [row["key"] for row in town.findings("conflict")] == [f"member:{one[0]}"]
    assert town.sync()["counts"]["conflicts"] == 1


# ------------------------------------------------------------------ the report


def test_the_headline_says_how_many_pairs_differ_and_why(town: Office, tmp_path: Path) -> None:
    pairs = {
        name: town.met(f"{name}@lake.test", {"REF": "R"}, {REF: "R"}) for name in ("same", "named", "mute", "waits")
    }
    town.sync()
    town.sync()
    town.mailchimp.edit(pairs["named"][0], merge_fields={"FNAME": "Augusta"})
    town.maximizer.edit(pairs["mute"][1], {r"MailChimp\Sync with MailChimp": "No", REF: "unsent"})
    town.sync()
    town.sync()
    made = report(town, tmp_path)
    differing = made.told["differing"]
    assert differing == {"pairs": 4, "agree": 2, "differ": 2, "reasons": {"one-way": 1, "protected": 1}}
    assert made.told["people"]["in step"] == 4
    said = "All the 4 people who take part are in step on both sides, 2 of them with fields that differ for a stated"
    assert made.told["headline"].startswith(said)
    assert "protected in Maximizer 1" in made.told["headline"]
    assert made.told["headline"] in made.page.read_text("utf-8")


def test_who_waits_stands_behind_the_number_that_is_told(town: Office, tmp_path: Path) -> None:
    """Also where the reason was found for the entry of a pair, and several reasons make one class."""
    crowd(town, 2)
    for name in ("left", "gone"):
        town.mailchimp.archive(town.subscribe(f"{name}@lake.test", "A", "B"))
        town.add("A", "B", f"{name}@lake.test", flag="Yes")
    town.add("Bad", "Mail", "nobody at all", flag="Yes")
    town.add("Twin", "One", "twin@lake.test", flag="Yes")
    town.add("Twin", "Two", "twin@lake.test", flag="Yes")
    town.sync()
    made = report(town, tmp_path)
    waiting = [row for row in made.told["classes"] if row["group"] == "waiting"]
    assert sum(why["people"] for row in waiting for why in row["reasons"]) == made.told["people"]["waiting"] == 5
    attention = [row for row in made.told["attention"] if row["list"].startswith("lists/waiting")]
    assert len(attention) == 3
    for row in attention:
        assert made.told["lists"][row["list"]] == row["people"]


# ------------------------------------------------------------------ sums


def test_a_sum_that_does_not_close_is_an_error_that_says_so() -> None:
    assert closes("the pairs", 3, [1, 2]) == 3
    with pytest.raises(Miscounted, match="the numbers of the pairs do not add up: 3 in all, 4 by their parts"):
        closes("the pairs", 3, [1, 3])


def test_a_cycle_whose_numbers_contradict_each_other_is_not_done(town: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it wrote stays written, and is not written again."""
    crowd(town)
    true = changes.outcomes

    def off_by_one(db: Any, run_id: int) -> dict[str, Any]:
        found = true(db, run_id)
        found["written"]["maximizer"]["update"] += 1
        return found

    with monkeypatch.context() as broken:
        broken.setattr(changes, "outcomes", off_by_one)
        with pytest.raises(Miscounted):
            town.sync()
    assert newest(town).state == "partial"
    assert "do not add up" in (newest(town).reason or "")
    town.quiet()
