"""``report``, ``store copy`` and ``runs show`` as somebody at a terminal meets them."""

from __future__ import annotations

import json
import re
import sqlite3
import stat
from pathlib import Path

import pytest
from desk import Desk

FLAG = r"MailChimp\Sync with MailChimp"


@pytest.fixture(autouse=True)
def without_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    from quality import Examined

    monkeypatch.setattr("flows.survey.examine", lambda side, frame, layout: Examined(side, frame, []))


def test_report_prints_its_path_and_reads_only(ready: Desk) -> None:
    ready.good("sync", "--yes")
    before = ready.writes()
    told = ready.good("report")
    path = Path(told.out.splitlines()[-1])
    assert path.is_file()
    assert path.parts[-6:-2] == ("data", "local", "reports", "default")
    assert "in step on both sides" in told.out
    assert ready.writes() == before
    assert "report" in ready.good("runs").out


def test_report_as_json_is_one_document_of_counts(ready: Desk) -> None:
    told = ready.good("report", "--json")
    document = told.json
    page = Path(document.pop("path"))
    assert document == json.loads((page.parent / "report.json").read_text("utf-8"))
    for side in ("mailchimp", "maximizer"):
        assert sum(row[side] for row in document["classes"]) == document["totals"][side] > 0
    assert "not been synchronised yet" in document["warnings"][0]
    assert not re.search(r"[\w.+-]+@[\w-]+\.\w+", told.out)
    assert not re.search(r"[0-9a-f]{32}", told.out)


def test_report_into_a_folder_of_ones_own(ready: Desk) -> None:
    chosen = ready.folder / "for the board"
    told = ready.good("report", "--folder", str(chosen))
    assert told.out.splitlines()[-1] == str(chosen / "report.html")
    assert stat.S_IMODE(chosen.stat().st_mode) == 0o700
    assert "not empty" in ready.bad("report", "--folder", str(chosen), code=2).err


def test_report_before_set_up(desk: Desk) -> None:
    assert "setup" in desk.bad("report", code=2).err


def test_report_when_a_side_cannot_be_reached(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAXCHIMP_MAXIMIZER_PASSWORD", "another-password")
    ready.bad("report", code=2)
    assert not list((ready.folder / "data/local").glob("reports/*/*"))


def test_s29_retention_is_a_setting(ready: Desk) -> None:
    ready.good("settings", "set", "retention=7d")
    assert ready.good("report", "--json").json["retention_days"] == 7
    assert "at least 24h" in ready.bad("settings", "set", "retention=1h", code=2).err


def test_store_copy_moves_everything(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ready.good("sync", "--yes")
    target = f"sqlite:///{ready.folder / 'new' / 'store.db'}"
    told = ready.good("store", "copy", target, "--json")
    assert told.json["copied"]["link"] > 0
    assert told.json["target"] == target.replace("sqlite:", "sqlite+pysqlite:")
    assert stat.S_IMODE((ready.folder / "new" / "store.db").stat().st_mode) == 0o600
    assert "not empty" in ready.bad("store", "copy", target, code=2).err
    before = ready.good("runs", "--json").json
    monkeypatch.setenv("MAXCHIMP_DATABASE_URL", target)
    assert ready.good("runs", "--json").json == before
    writes = ready.writes()
    ready.good("sync", "--full")
    assert ready.writes() == writes


def test_store_copy_refuses_what_is_no_store(ready: Desk) -> None:
    assert "cannot be kept in mysql" in ready.bad("store", "copy", "mysql://root:hidden-word@x/y", code=2).err
    log = (ready.folder / "data/local/logs/maxchimp.log").read_text()
    assert "hidden-word" not in log


def test_r31_runs_show_tells_what_lost(ready: Desk) -> None:
    ready.good("map", "add", "POINTS", r"Marketing\Loyalty Points")
    ready.good("sync", "--yes")
    with sqlite3.connect(ready.folder / "data/local/maxchimp.db") as db:
        contact, entry = db.execute(
            "SELECT contact_id, entry_id FROM link WHERE state = 'active' AND status = 'subscribed' AND flag = 'Yes'"
        ).fetchone()
    client, _, number = entry.rpartition("#")
    ready.world.mailchimp.edit(contact, merge_fields={"POINTS": 41})
    ready.world.maximizer.edit((client, int(number)), {r"Marketing\Loyalty Points": 77})
    ready.good("sync")
    run = ready.good("runs", "--json").json[0]["run"]
    document = ready.good("runs", "show", str(run), "--json").json
    (conflict,) = document["conflicts"]
    assert (conflict["field"], conflict["winner"], conflict["kept"], conflict["lost"]) == (
        "POINTS",
        "maximizer",
        "77",
        "41",
    )
    told = ready.good("runs", "show", str(run)).out
    assert "what was overwritten" in told
    assert re.search(r"POINTS\s+maximizer\s+77\s+41", told)
    assert "41" not in "".join(
        line for line in (ready.folder / "data/local/logs/maxchimp.log").read_text().splitlines() if "POINTS" in line
    )


def test_r51_runs_show_tells_what_was_refused_and_what_to_do(ready: Desk) -> None:
    ready.good("sync", "--yes")
    ready.world.mailchimp.subscribe(ready.world.list_id, "forgotten@lanternpost.test", {"FNAME": "F", "LNAME": "G"})
    gone = ready.world.mailchimp.subscribe(ready.world.list_id, "gone@lanternpost.test", {"FNAME": "F", "LNAME": "G"})
    ready.world.mailchimp.delete_permanently(gone)
    ready.world.maximizer.add_person("Gone", "Girl", "gone@lanternpost.test", udfs={FLAG: "Yes"})
    ready.good("sync")
    run = ready.good("runs", "--json").json[0]["run"]
    told = ready.good("runs", "show", str(run))
    assert "refused by the service" in told.out
    assert "only the person can subscribe again" in told.out
    document = ready.good("runs", "show", str(run), "--json").json
    # The refused create, and what would have completed it: all that was planned and not written.
    assert [row["state"] for row in document["undone"]] == ["refused", "discarded"]
    assert len(document["undone"]) == sum(n[what] for n in document["written"].values() for what in ("failed", "left"))
    assert document["changes"]["refused"] == 1
    assert document["quarantined"][0]["rule"] == "R51"
    assert set(document["facts"]["stages"]) >= {"extract", "load"}
    assert document["facts"]["calls"]["mailchimp"] > 0


def test_r28_runs_show_counts_what_was_withheld(ready: Desk) -> None:
    ready.good("map", "add", "POSTCODE", r"Marketing\Billing ZIP")
    ready.world.maximizer.add_person(
        "Nora", "North", "nora@lanternpost.test", udfs={FLAG: "Yes", r"Marketing\Billing ZIP": "V6B 1A1"}
    )
    ready.good("sync", "--yes")
    document = ready.good("runs", "show", "1", "--json").json
    (row,) = [row for row in document["findings"] if row["kind"] == "withheld" and row["field"] == "POSTCODE"]
    assert row["records"] >= 1
    assert "not a US zip code" in ready.good("runs", "show", "1").out
