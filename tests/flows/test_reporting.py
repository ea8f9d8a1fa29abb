"""The data quality report over whole worlds: it adds up, tells the truth, writes nothing, and keeps people private."""

from __future__ import annotations

import csv
import json
import random
import re
import stat
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from crowd import ACTS, Crowd, mappings
from harness import FLAG, Office, office
from town import Town
from truth import Truth

from domain.errors import LeaseHeld, Misconfigured, Side
from domain.records import Layout
from flows import reporting, shelf
from flows.asked import Asked
from flows.launch import launch
from flows.report import markdown
from flows.reporting import Written
from flows.survey import Survey
from quality import Examined
from storage import leases, runs
from storage.engine import reading
from storage.tables import metadata

SIDES = ("mailchimp", "maximizer")


def survey(world: Office) -> Survey:
    world.clock.advance(10)
    asked = Asked("report", full=True, yes=True)
    made = Survey(world.engine, world.connection, world.services(), asked, now=world.clock.now, parallel=1)
    made.tell()
    return made


def written(world: Office, home: Path) -> Written:
    return reporting.write(survey(world), home)


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))[1:]


def codes(told: dict[str, Any], side: str) -> dict[str, int]:
    return {row["code"]: row[side] for row in told["classes"] if row[side]}


def adds_up(world: Office, made: Written) -> None:
    """Every number against what both products hold, and against the list behind it."""
    told, place = made.told, made.page.parent
    everybody = {"mailchimp": len(world.mailchimp.members(world.list_id)), "maximizer": len(world.maximizer.entries())}
    assert told["totals"] == everybody
    for side in SIDES:
        assert sum(row[side] for row in told["classes"]) == everybody[side]
        assert sum(group[side] for group in told["groups"].values()) == everybody[side]
    numbers = [(row[side], row["lists"][side]) for row in told["classes"] for side in SIDES]
    for row in told["fields"]:
        states = [row[state] for state in row["lists"]] + [row["agree"]]
        assert sum(states) == row["pairs"]
        numbers += [(row[state], file) for state, file in row["lists"].items()]
    for row in told["classes"]:
        numbers += [(why["people"], why["list"]) for why in row["reasons"]]
    numbers += [(row["people"], row["list"]) for row in told["attention"]]
    for name in ("placeholders", "withheld", "options"):
        numbers += [(row["people"], row["list"]) for row in told[name]]
    for name in ("duplicates", "second_addresses", "emptied"):
        numbers.append((told[name]["people"], told[name]["list"]))
    numbers += [(row["unexpected"], row["list"]) for row in told["checks"]]
    numbers += [(row[side], row["lists"][side]) for row in told["conflicts"]["fields"] for side in SIDES]
    for number, file in numbers:
        assert len(rows(place / file) if file else []) == number, file
    # Nobody is in the lists of two classes.
    for side in SIDES:
        files = [row["lists"][side] for row in told["classes"] if row["lists"][side]]
        listed = [tuple(row[1:2] if side == "mailchimp" else row[1:3]) for file in files for row in rows(place / file)]
        assert len(listed) == len(set(listed)) == everybody[side]


@pytest.fixture
def without_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks take seconds however few people there are; tests/quality looks at them."""

    def nothing(side: Side, frame: pd.DataFrame, layout: Layout) -> Examined:
        return Examined(side, frame, [])

    monkeypatch.setattr("flows.survey.examine", nothing)


@pytest.mark.parametrize("seed", range(3))
def test_every_number_adds_up_in_any_world(
    tmp_path: Path, seed: int, without_checks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "page", lambda told, history: "")
    dice = random.Random(seed)
    world = office(tmp_path, people=14, seed=seed, mappings=mappings())
    world.world.flag(world.world.to_flag)
    crowd = Crowd(world, Truth(world))
    adds_up(world, written(world, tmp_path))
    for _ in range(2):
        world.sync()
        for _ in range(12):
            crowd.do((dice.choice(list(ACTS)), dice.randrange(99), dice.randrange(99), dice.randrange(99)))
        world.clock.advance(400)
        adds_up(world, written(world, tmp_path))
    for _ in range(3):
        world.sync(full=True)
        world.clock.advance(400)
    made = written(world, tmp_path)
    adds_up(world, made)
    assert [row["code"] for row in made.told["classes"] if row["group"] == "pending"] == []
    # Once all is quiet, whatever differs has a lawful reason.
    assert [row["tag"] for row in made.told["fields"] if row["other"] or row["pending"]] == []


def test_pending_is_what_the_next_sync_does(tmp_path: Path, without_checks: None) -> None:
    world = office(tmp_path, people=16, seed=5, mappings=mappings())
    world.world.flag()
    seen = survey(world)
    planned = len(seen.decided.changes)
    assert planned > 0
    told = world.sync(full=True)
    assert sum(told["counts"][side][op] for side in SIDES for op in ("create", "update")) == planned
    after = survey(world).people.counts
    moved = ("to-create", "to-link")
    was = {side: sum(seen.people.counts[code][side] for code in moved) for side in SIDES}
    created = {side: seen.people.counts["to-create"][other] for side, other in zip(SIDES, SIDES[::-1], strict=True)}
    for side in SIDES:
        in_step = sum(after[code][side] for code in ("in-step", "differs", "one-way"))
        assert in_step == was[side] + created[side]


def test_a_report_writes_to_neither_side_and_decides_nothing(tmp_path: Path, without_checks: None) -> None:
    world = office(tmp_path, people=15, seed=2, mappings=mappings())
    world.sync()
    world.subscribe("late@lantern.test", "Late", "Comer", merge_fields={"REF": "r", "POINTS": 1, "PLAN": "Plus"})
    world.add("Ann", "Twin", "twin@lantern.test", flag="Yes")
    world.add("Bob", "Twin", "twin@lantern.test", flag="Yes")

    def kept() -> dict[str, Any]:
        with reading(world.engine) as db:
            return {
                name: list(map(repr, db.execute(table.select())))
                for name, table in metadata.tables.items()
                if name not in ("run", "lease")
            }

    before = kept()
    made: list[Written] = []
    assert world.writes(lambda: made.append(written(world, tmp_path))) == []
    assert kept() == before
    run = runs.get(world.engine, made[0].told["report"])
    assert run is not None
    assert (run.kind, run.state) == ("report", "done")
    assert codes(made[0].told, "maximizer")["ambiguous"] == 2
    assert codes(made[0].told, "mailchimp")["to-create"] == 1
    told = world.sync()
    assert told["counts"]["maximizer"]["create"] == 1


def test_the_reasons_of_both_sides(tmp_path: Path, without_checks: None) -> None:
    world = office(tmp_path)
    statuses = ("subscribed", "unsubscribed", "cleaned", "pending")
    ids = {status: world.subscribe(f"{status}@lantern.test", "A", "B", status=status) for status in statuses}
    world.mailchimp.archive(world.subscribe("gone@lantern.test", "A", "B"))
    world.add("No", "Mail", "", flag="Yes")
    world.add("No", "Flag", "x@lantern.test")
    world.add("Not", "Wanted", "y@lantern.test", flag="No")
    world.maximizer.add_company("Lantern Works")
    world.sync()
    world.mailchimp.archive(ids["subscribed"])
    world.sync(full=True)
    told = written(world, tmp_path).told
    assert codes(told, "mailchimp") == {"unsubscribed": 1, "cleaned": 1, "unconfirmed": 1, "archived": 2}
    assert codes(told, "maximizer") == {"no-email": 1, "flag-unset": 1, "flag-no": 1, "left": 1, "company": 2}


def test_values_are_told_with_their_numbers(tmp_path: Path, without_checks: None) -> None:
    wanted = [("POSTCODE", r"Marketing\Billing ZIP"), ("POINTS", r"Marketing\Loyalty Points")]
    world = office(tmp_path, mappings=wanted)
    for n in range(3):
        key = world.add("Ann", f"Reed{n}", f"ann{n}@lantern.test", flag="Yes")
        world.maximizer.edit(key, {r"Marketing\Billing ZIP": "V6B 1A1" if n else "10001"})
    contact, met = world.met("both@lantern.test", {"POINTS": 5}, {r"Marketing\Loyalty Points": 7})
    world.sync()
    world.sync()
    world.mailchimp.edit(contact, merge_fields={"FNAME": "Augusta"})
    world.sync()
    world.maximizer.edit(met, {FLAG: "No", "Email1": ""})
    world.sync()
    made = written(world, tmp_path)
    told = made.told
    assert [(row["tag"], row["value"], row["people"]) for row in told["placeholders"]] == [("POINTS", "0", 3)]
    assert [(row["tag"], row["problem"], row["people"]) for row in told["withheld"]] == [
        ("POSTCODE", "not a US zip code of 5 digits", 2)
    ]
    assert (told["conflicts"]["maximizer"], told["conflicts"]["mailchimp"]) == (1, 0)
    (line,) = told["conflicts"]["fields"]
    (lost,) = rows(made.page.parent / line["lists"]["maximizer"])
    assert lost[-4:] == ["maximizer", "7", "5", "R30"]
    assert told["emptied"]["people"] == 1
    (first_name,) = [row for row in told["fields"] if row["tag"] == "FNAME"]
    assert first_name["protected"] + first_name["one-way"] == 1


def test_a1_an_emptied_side_is_a_warning_and_proves_nothing(tmp_path: Path, without_checks: None) -> None:
    world = office(tmp_path, people=16, seed=1, mappings=mappings())
    world.sync()
    world.sync()
    for row in world.mailchimp.members(world.list_id):
        world.mailchimp.delete_permanently(row["contact_id"])
    calls = len(world.doors["mailchimp"].calls)
    made = written(world, tmp_path)
    adds_up(world, made)
    assert any("shows no members at all" in text for text in made.told["warnings"])
    assert any("not read completely" in text for text in made.told["warnings"])
    assert "to-update" not in codes(made.told, "maximizer")
    assert len(world.doors["mailchimp"].calls) - calls < 30, "nobody is asked for one by one"


def test_the_page_is_self_contained_private_and_names_nobody(tmp_path: Path) -> None:
    world = office(tmp_path, people=20, seed=3, mappings=mappings())
    world.sync()
    world.sync()
    made = written(world, tmp_path)
    place = made.page.parent
    assert place.parent == shelf.reports_of(tmp_path, "default")
    text = made.page.read_text("utf-8")
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in text
    for word in ("http:", "https:", "://", "<script", "@import", "<link", "<iframe", "<img", "<object", "javascript:"):
        assert word not in text, word
    assert set(re.findall(r"url\((.)", text)) <= {"#"}, "parts of the same drawing only"
    addresses = re.findall(r"(?:href|src|action|data)=\"([^\"]*)\"", text)
    assert addresses
    assert all(re.fullmatch(r"lists/[a-z0-9-]+\.csv|#\w+", address) for address in addresses)
    assert all((place / address).is_file() for address in addresses if address.startswith("lists/"))
    people = [m["email_address"] for m in world.mailchimp.members(world.list_id)]
    people += [e["Email1"] for e in world.maximizer.entries().values() if e["Email1"]]
    for told in (text, (place / "report.json").read_text("utf-8"), markdown(made.told, made.page)):
        assert [one for one in people if one in told] == []
        assert not re.search(r"[\w.+-]+@[\w-]+\.\w+", told)
    for path in (place, place / "lists", place.parent, place.parent.parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    files = [path for path in place.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert json.loads((place / "report.json").read_text("utf-8")) == made.told


def test_the_same_numbers_make_the_same_page(tmp_path: Path, without_checks: None) -> None:
    from quality.page import page

    world = office(tmp_path, people=10, seed=3, mappings=mappings())
    world.sync()
    told = written(world, tmp_path).told
    history = [{"at": 1.0, "groups": told["groups"]}, {"at": 2.0, "groups": told["groups"]}]
    assert page(told, history) == page(told, history)


def test_names_of_others_are_text(tmp_path: Path, without_checks: None) -> None:
    from quality.page import page

    world = office(tmp_path, people=4, seed=3, mappings=mappings())
    told = written(world, tmp_path).told
    hostile = "</style><script>alert(1)</script>"
    text = page({**told, "list_name": hostile, "warnings": [hostile], "address_book": '" onload="x'}, [])
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(1)") == 3
    assert '" onload="x' not in text


def test_s29_old_reports_go_and_nothing_else(tmp_path: Path, without_checks: None) -> None:
    world = office(tmp_path, people=2)
    made = written(world, tmp_path)
    place, now = made.page.parent.parent, world.clock.now()
    other = place / "notes"
    other.mkdir()
    assert shelf.purge(tmp_path, "default", 30 * runs.DAY, now=now + 29 * runs.DAY) == 0
    assert shelf.latest(tmp_path, "default") == made.page
    assert shelf.purge(tmp_path, "default", 30 * runs.DAY, now=now + 31 * runs.DAY) == 1
    assert list(place.iterdir()) == [other]
    assert shelf.latest(tmp_path, "default") is None
    assert shelf.purge(tmp_path, "nobody", 30 * runs.DAY, now=now) == 0


def test_two_reports_of_one_second_and_the_newest_of_them(tmp_path: Path, without_checks: None) -> None:
    world = office(tmp_path, people=2)
    seen = survey(world)
    first, second = reporting.write(seen, tmp_path), reporting.write(seen, tmp_path)
    assert first.page != second.page
    assert shelf.finished(tmp_path, "default") == [second.page, first.page]


def test_the_lists_go_when_somebody_is_erased(tmp_path: Path, without_checks: None) -> None:
    world = office(tmp_path, people=3)
    made = written(world, tmp_path)
    assert shelf.forget(tmp_path, "default") == 1
    assert sorted(path.name for path in made.page.parent.iterdir()) == ["report.html", "report.json"]
    assert shelf.forget(tmp_path, "default") == 0


def test_a_report_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_checks: None
) -> None:
    world = office(tmp_path, people=2)
    seen = survey(world)

    def broken(*given: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(reporting, "page", broken)
    with pytest.raises(ZeroDivisionError):
        reporting.write(seen, tmp_path)
    assert list(shelf.reports_of(tmp_path, "default").iterdir()) == []


def test_a_folder_of_ones_own(tmp_path: Path, without_checks: None) -> None:
    world = office(tmp_path, people=2)
    seen = survey(world)
    made = reporting.write(seen, tmp_path, tmp_path / "for" / "the board")
    assert made.page == tmp_path / "for" / "the board" / "report.html"
    with pytest.raises(Misconfigured, match="not empty"):
        reporting.write(seen, tmp_path, tmp_path / "for" / "the board")
    assert made.page.is_file()


def test_r36_a_report_waits_for_a_sync_as_long_as_it_may(town: Town) -> None:
    found = town.runs()
    connection = 1 if not found else found[0].connection_id
    with leases.heartbeat(leases.acquire(town.engine, connection, "another run")) as held:
        with pytest.raises(LeaseHeld):
            reporting.report("default", settings=town.settings, patience=0.3)
        held.release()
    assert list(shelf.reports_of(town.folder, "default").parent.glob("*")) == []


def test_the_whole_way_over_http(town: Town) -> None:
    town.add(5)
    before = town.writes()
    told: list[str] = []
    made = reporting.report("default", settings=town.settings, progress=told.append)
    assert town.writes() == before
    assert codes(made.told, "maximizer") == {"to-create": 5, "company": 1}
    assert made.told["people"]["pending"] == 5
    assert "comparing every field of every pair" in told
    assert town.runs()[0].kind == "report"
    # Any cycle deletes what is too old.
    old = made.page.parent.with_name("2020-01-01T000000Z")
    made.page.parent.rename(old)
    launch("default", Asked("plan"), settings=town.settings)
    assert not old.exists()
