"""R30: a changed mapping, or a new option, that would write to too many people waits until a person lets it pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from harness import Office
from stage import Watched

from domain.changeset import CHANGE, NEW_LINK, ChangeSet, empty
from domain.errors import Blocked
from domain.settings import SyncSettings
from flows.asked import Asked
from flows.foresee import explain
from flows.held import judged, told
from flows.survey import Survey
from storage import held
from storage.engine import reading
from storage.held import Held
from transform.held import to_hold

NewOffice = Callable[..., Office]
REF, OPT_IN = r"Marketing\Reference", r"Marketing\Email Opt-In"
NUMBER, FLOOR = 8, 5  # a smaller office with a lower floor; the real one has a test of its own
EITHER = pytest.mark.parametrize("setting", ["maximizer", "mailchimp"])


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture
def made(new_office: NewOffice, monkeypatch: pytest.MonkeyPatch) -> Office:
    """Everybody is in step; REF is not mapped yet, and both sides hold different values of it."""
    monkeypatch.setattr("transform.held.CHANGED_FLOOR", FLOOR)
    return crowded(new_office(), NUMBER)


def crowded(made: Office, number: int) -> Office:
    for tag in ("POINTS", "PLAN", "REF"):
        made.mailchimp.edit_merge_field(made.list_id, tag, required=False)
    made.map("JOB", "Position")
    for n in range(number):
        made.met(f"p{n}@lantern.test", {"REF": f"M{n}"}, {REF: f"E{n}"})
    made.sync(yes=True)
    return made


def refs(made: Office, number: int = NUMBER) -> tuple[list[Any], list[Any]]:
    """REF of everybody on either side."""
    people = range(number)
    return (
        [made.merge(f"p{n}@lantern.test")["REF"] for n in people],
        [made.udfs(key_of(made, n))["Reference"] for n in people],
    )


def waiting(made: Office) -> dict[str, Held | None]:
    with reading(made.engine) as db:
        return held.changed(db, made.connection.id)


def written(made: Office, run: int) -> set[str]:
    """Fields of what a run planned or wrote."""
    return {item["field"] for row in made.changes(run) for item in json.loads(row["fields"])["set"]}


def key_of(made: Office, number: int) -> tuple[str, int]:
    return made.entries(f"p{number}@lantern.test")[0]


@EITHER
def test_r30_what_a_changed_mapping_does_to_too_many_waits(made: Office, setting: str) -> None:
    """In either direction, in full and scheduled cycles alike; everything else goes on, and nothing of it is lost."""
    made.set(conflict=setting)
    before = refs(made)
    made.map("REF", REF)
    made.maximizer.edit(key_of(made, 0), {"FirstName": "Augusta"})
    made.subscribe("new@lantern.test", "New", "Person", merge_fields={"REF": "N"})
    result = made.sync(yes=False)
    side, other = ("mailchimp", "maximizer") if setting == "maximizer" else ("maximizer", "mailchimp")
    assert (result["state"], made.last.full, result["counts"]["held"]) == ("done", True, NUMBER)
    figures = {side: NUMBER, other: 0, "links": NUMBER, "run": result["run"], "since": result["run"]}
    assert result["held"] == [{"field": "REF", **figures}]
    assert made.merge("p0@lantern.test")["FNAME"] == "Augusta"
    assert made.udfs(made.entries("new@lantern.test")[0])["Reference"] == "N"  # who is made is no mass edit
    assert refs(made) == before
    # Scheduled: nothing more is read for it, and nothing is written.
    assert made.writes(lambda: made.sync(yes=False)) == []
    assert (made.last.full, made.last.counts["held"], made.last.inputs.links.empty) == (False, NUMBER, True)
    # What people edit meanwhile is met like everything else.
    made.maximizer.edit(key_of(made, 1), {REF: "E edited", "Position": "Cook"})
    made.mailchimp.edit(str(made.by_email("p2@lantern.test")["contact_id"]), {"REF": "M edited"})  # type: ignore[index]
    made.sync(yes=False)
    assert "REF" not in written(made, made.last.run_id)
    assert made.merge("p1@lantern.test")["JOB"] == "Cook"
    assert made.backfill(yes=False)["counts"]["held"] == NUMBER
    assert made.last.facts["held"][0]["since"] == figures["since"]
    # Let pass once, it has met everybody.
    assert made.sync(yes=True)["counts"]["held"] == 0
    assert made.last.facts["let_through"] == ["changed mapping of REF"]
    mine, theirs = refs(made)
    assert mine == theirs
    assert mine[1:3] == (["E edited", "E2"] if setting == "maximizer" else ["M1", "M edited"])
    assert waiting(made) == {}
    assert made.writes(lambda: made.sync(yes=False)) == []
    assert not made.last.full
    made.quiet(1)


def test_r30_a_first_sync_is_held_as_a_whole_and_nothing_after_it(made: Office) -> None:
    assert waiting(made) == {}
    assert made.sync(yes=False)["counts"]["held"] == 0


@pytest.mark.parametrize(("differing", "waits"), [(25, False), (26, True)])
def test_r30_the_floor_of_the_guards(new_office: NewOffice, differing: int, waits: bool) -> None:
    made = crowded(new_office(), 27)
    for n in range(differing, 27):
        made.maximizer.edit(key_of(made, n), {REF: f"M{n}"})
    made.map("REF", REF)
    result = made.sync(yes=False)
    assert result["counts"]["held"] == (differing if waits else 0)
    assert result["counts"]["mailchimp"]["update"] == (0 if waits else differing)
    assert (waiting(made) == {}) is not waits


@pytest.mark.parametrize(
    ("number", "active", "waits"), [(30, 60, False), (31, 60, True), (31, 62, False), (25, 20, False)]
)
@pytest.mark.parametrize("side", ["mailchimp", "maximizer"])
def test_r30_share_and_floor_count_on_each_side_and_for_each_field(
    side: str, number: int, active: int, waits: bool
) -> None:
    other = {"mailchimp": "maximizer", "maximizer": "mailchimp"}[side]
    rows = [change(side, "update", n, "A", "B") for n in range(number)]
    rows += [change(other, "update", n, "A", "B") for n in range(10)]  # the sides are not added up
    rows += [change(side, "update", n + 500, "C") for n in range(50)]  # C was not changed
    rows += [change(side, "create", n + 900, "A") for n in range(50)]  # who is made is new
    rows += [change(side, "update", 700 + n, "A") for n in range(50)]  # who is linked now, too
    fresh = empty(NEW_LINK).reindex(range(50)).assign(contact_id=[f"c{700 + n}" for n in range(50)])
    decided = ChangeSet(changes=pd.DataFrame(rows, columns=list(CHANGE)), new_links=fresh)
    found = to_hold(decided, {"A", "B"}, active, SyncSettings(max_changed=0.5))
    assert found == ({tag: {side: number, other: 10} for tag in "AB"} if waits else {})
    assert to_hold(decided, {"A", "B"}, active, SyncSettings(max_changed=1.0)) == (
        found if number > active and waits else {}
    )


def change(side: str, op: str, number: int, *tags: str) -> tuple[str, ...]:
    items = [{"field": tag, "old": "a", "new": "b", "seen": "b", "note": "", "rule": "R30"} for tag in tags]
    return (side, op, f"t{number}", f"c{number}", f"e{number}", "", json.dumps({"set": items, "then": {}}), "R31")


def test_r30_what_was_not_read_to_the_end_is_not_counted() -> None:
    """Nobody knows how many more there are: what was found is a part."""
    before: dict[str, Held | None] = {"A": None, "B": Held(30, 0, 40, run=4, since=3)}
    none = ChangeSet()
    assert judged(before, none, 40, SyncSettings(), 7, complete=True) == {}
    assert judged(before, none, 40, SyncSettings(), 7, complete=False) == before
    assert [row["mailchimp"] for row in told(before)] == [None, 30]


def test_r30_two_changed_mappings_are_judged_each_on_its_own(made: Office) -> None:
    made.map_all([("REF", REF), ("PHONE", "Phone1")])
    made.maximizer.edit(key_of(made, 0), {"Phone1": "1"})
    result = made.sync(yes=False)
    assert [row["field"] for row in result["held"]] == ["REF"]
    assert made.merge("p0@lantern.test")["PHONE"] == "1"
    assert list(waiting(made)) == ["REF"]
    made.maximizer.edit(key_of(made, 0), {"Phone1": "2"})
    made.sync(yes=False)
    assert made.merge("p0@lantern.test")["PHONE"] == "2"


def test_r30_who_meets_while_a_field_waits_meets_without_it(made: Office) -> None:
    made.map("REF", REF)
    made.sync(yes=False)
    contact, key = made.met("late@lantern.test", {"REF": "M"}, {REF: "E", "Position": "Cook"})
    made.sync(yes=False)
    assert (made.member(contact)["merge_fields"]["REF"], made.udfs(key)["Reference"]) == ("M", "E")
    assert made.member(contact)["merge_fields"]["JOB"] == "Cook"
    made.sync(yes=True)
    assert made.member(contact)["merge_fields"]["REF"] == "E"
    made.quiet(1)


def test_r30_a_plan_shows_what_waits_and_lets_it_pass(made: Office) -> None:
    made.map("REF", REF)
    made.sync(yes=False)
    made.maximizer.edit(key_of(made, 0), {"FirstName": "Augusta"})
    plan = made.plan()
    assert (plan["counts"]["mailchimp"]["update"], plan["counts"]["held"]) == (1, NUMBER)
    assert made.last.full
    assert written(made, plan["run"]) == {"FNAME", "REF"}
    assert made.writes(lambda: made.sync(yes=False, plan=plan["run"])) != []
    assert set(refs(made)[0]) == set(refs(made)[1]) == {f"E{n}" for n in range(NUMBER)}
    assert waiting(made) == {}
    made.quiet(1)


def test_r30_a_plan_lets_pass_what_it_showed_and_no_more(made: Office) -> None:
    """Six more were in step when the plan was made: what they hold by now was shown to nobody."""
    more = range(NUMBER, NUMBER + 6)
    for n in more:
        made.met(f"p{n}@lantern.test", {"REF": f"M{n}"}, {REF: f"M{n}"})
    made.sync()
    made.set(max_changed="10%")
    made.map("REF", REF)
    made.sync(yes=False)
    plan = made.plan()
    assert plan["counts"]["held"] == NUMBER
    for n in more:
        made.maximizer.edit(key_of(made, n), {REF: f"E{n}"})
    result = made.sync(yes=False, plan=plan["run"])
    assert (result["counts"]["mailchimp"]["update"], result["counts"]["held"]) == (NUMBER, 6)
    assert refs(made)[0] == refs(made)[1]
    assert made.sync(yes=False)["counts"]["held"] == 6
    assert refs(made, NUMBER + 6)[0][NUMBER:] == [f"M{n}" for n in more]
    made.sync(yes=True)
    assert refs(made, NUMBER + 6)[0] == refs(made, NUMBER + 6)[1]
    made.quiet(1)


@EITHER
def test_r30_a_plan_that_has_moved_lets_nothing_pass(made: Office, setting: str) -> None:
    made.map("REF", REF)
    made.sync(yes=False)
    plan = made.plan()
    made.maximizer.edit(key_of(made, 0), {REF: "another"})
    with pytest.raises(Blocked, match="not what would be done now"):
        made.sync(yes=False, plan=plan["run"])
    assert list(waiting(made)) == ["REF"]
    assert made.sync(yes=False)["counts"]["held"] == NUMBER


def test_r30_killed_before_what_was_let_pass_is_accepted(made: Office) -> None:
    made.map("REF", REF)
    made.sync(yes=False)
    dies(made, made.cycle(yes=True), at="load")
    assert made.sync(yes=False)["counts"]["held"] == NUMBER
    made.sync(yes=True)
    assert refs(made)[0] == refs(made)[1]
    made.quiet(1)


def test_r30_killed_while_what_was_let_pass_is_written(made: Office) -> None:
    """Whoever let it pass is not asked again: the next cycle goes on."""
    made.map("REF", REF)
    made.sync(yes=False)
    seen = []

    def power(side: str, request: Any, when: str) -> None:
        if request is not None and request.method == "PATCH" and when == "before":
            seen.append(request.path)
            if len(seen) == 4:
                raise Killed

    made.doors["mailchimp"] = Watched(made.mailchimp, made.clock, tell=power)
    with pytest.raises(Killed):
        made.sync(yes=True)
    mine, theirs = refs(made)
    assert 0 < sum(a == b for a, b in zip(mine, theirs, strict=True)) < NUMBER
    assert waiting(made) == {}
    made.sync(yes=False)
    made.clock.advance(600)  # what was on the way rests first
    made.sync(yes=False)
    assert refs(made)[0] == refs(made)[1]
    made.quiet(1)


def dies(made: Office, cycle: Any, at: str) -> None:
    """The process is gone when this stage begins."""

    def progress(text: str) -> None:
        if text == at:
            raise Killed

    cycle.progress = progress
    with pytest.raises(Killed):
        cycle.tell()


def test_r30_killed_before_it_is_remembered_that_a_field_waits(made: Office) -> None:
    made.map("REF", REF)
    dies(made, made.cycle(yes=False), at="load")
    before = refs(made)
    assert made.sync(yes=False)["counts"]["held"] == NUMBER
    assert made.sync(yes=False)["counts"]["held"] == NUMBER
    assert refs(made) == before


def test_r30_a_higher_limit_or_another_mapping_ends_the_waiting(made: Office) -> None:
    made.map("REF", REF)
    made.sync(yes=False)
    made.unmap("REF")
    assert waiting(made) == {}
    assert made.writes(lambda: made.sync(yes=False)) == []
    made.map("REF", REF)
    made.sync(yes=False)
    made.set(max_changed="100%")
    assert made.sync(yes=False)["counts"]["held"] == NUMBER  # not everything is read
    assert made.backfill(yes=False)["counts"]["held"] == 0
    assert refs(made)[0] == refs(made)[1]
    made.quiet(1)


def test_r30_a_changed_mapping_that_cannot_work_is_judged_when_it_can(made: Office) -> None:
    """Nothing of it was taken in while it was broken (R27), and looking at plans costs nothing for it."""
    made.map("REF", REF)
    made.maximizer.change_kind(REF, "number")
    assert made.sync(yes=False)["counts"]["held"] == 0
    assert made.last.prepared.broken
    made.plan()
    assert not made.last.full
    made.maximizer.change_kind(REF, "text")
    assert made.sync(yes=False)["counts"]["held"] == NUMBER


def test_r30_a_mapping_that_nobody_reads_back_counts_too(made: Office) -> None:
    """A read-only source fills a field of everybody (R52)."""
    made.map("@status", REF)
    result = made.sync(yes=False)
    assert [(row["field"], row["maximizer"]) for row in result["held"]] == [("@status", NUMBER)]
    made.sync(yes=True)
    assert set(refs(made)[1]) == {"subscribed"}
    made.quiet(1)


def test_r30_a_new_option_waits_too_and_is_nobodys_edit(new_office: NewOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Surveys is known to Mailchimp alone, until somebody adds it to the table."""
    monkeypatch.setattr("transform.held.CHANGED_FLOOR", FLOOR)
    monkeypatch.setattr("transform.guard.CHANGED_FLOOR", FLOOR)
    made = new_office()
    made.map("group:Email Profile", OPT_IN)
    for n in range(NUMBER):
        made.met(f"p{n}@lantern.test", {}, {OPT_IN: ["Newsletter"]}, interests=["Newsletter", "Surveys"])
    made.sync(yes=True)
    made.maximizer.add_option(OPT_IN, "Surveys")
    made.maximizer.edit(key_of(made, 0), {"FirstName": "Augusta"})
    result = made.sync(yes=False)
    assert [(row["field"], row["mailchimp"], row["maximizer"]) for row in result["held"]] == [
        ("group:Email Profile", 0, NUMBER)
    ]
    assert made.merge("p0@lantern.test")["FNAME"] == "Augusta"
    # What was paired before goes on, and so does a person who is new; the option waits.
    made.maximizer.edit(key_of(made, 1), {OPT_IN: ["Newsletter", "Events"]})
    made.subscribe("p8@lantern.test", "New", "Person", interests=["Events", "Surveys"])
    made.sync(yes=False)
    assert (options(made, 1), interests(made, 1)) == ({"Newsletter", "Events"}, {"Newsletter", "Events", "Surveys"})
    assert options(made, 8) == {"Events"}
    assert made.writes(lambda: made.sync(yes=False)) == []
    plan = made.plan()
    made.sync(yes=False, plan=plan["run"])
    assert [options(made, n) for n in (0, 1, 8)] == [
        {"Newsletter", "Surveys"},
        {"Newsletter", "Events", "Surveys"},
        {"Events", "Surveys"},
    ]
    assert waiting(made) == {}
    made.quiet(1)


def options(made: Office, number: int) -> set[str]:
    return set(made.entry(key_of(made, number))["udfs"][OPT_IN])


def interests(made: Office, number: int) -> set[str]:
    found = made.by_email(f"p{number}@lantern.test")
    assert found is not None
    audience = made.mailchimp.audiences[made.list_id]
    return {audience.interests[key].name for key, on in found["interests"].items() if on}


def test_r30_a_report_and_an_explanation_say_that_it_waits(made: Office) -> None:
    made.map("REF", REF)
    made.sync(yes=False)
    person = explain(made.engine, made.connection, made.services(), "p0@lantern.test", now=made.clock.now)[0]
    row = next(row for row in person.fields if row["tag"] == "REF")
    assert "lets its changed mapping pass" in row["next"]
    asked = Asked("report", full=True, yes=True)
    report = Survey(made.engine, made.connection, made.services(), asked, now=made.clock.now, parallel=1)
    report.tell()
    assert report.agreed.counts.set_index("tag").loc["REF", ["waiting", "pending", "other"]].tolist() == [NUMBER, 0, 0]
    assert report.counts["held"] == NUMBER
    assert list(waiting(made)) == ["REF"]
