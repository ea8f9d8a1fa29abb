"""``plan``, ``sync``, ``backfill``, ``runs``, ``quarantine``."""

from __future__ import annotations

import io
import json

import pytest
from desk import Desk

from app.call import Call
from storage import leases

COUNTS = {"mailchimp", "maximizer", "conflicts", "quarantined", "protected", "placeholders", "unchanged", "held"}


def _is_run(document: dict[str, object], kind: str, state: str) -> bool:
    counts = document["counts"]
    assert isinstance(counts, dict)
    assert counts.keys() == COUNTS
    assert counts["maximizer"].keys() == {"create", "update", "failed"}
    return {"run", "kind", "state", "reason", "counts"} <= document.keys() and (
        (document["kind"], document["state"]) == (kind, state)
    )


def test_plan_shows_what_would_be_written_and_writes_nothing(ready: Desk) -> None:
    ready.good("map", "add", "group:Email Profile", "Email Opt-In")
    before = ready.writes()
    told = ready.good("plan")
    assert ready.writes() == before
    assert "nothing was written" in told.out
    for words in ("to create", "to update", "CLIENTID and CONTACTNO", "Sync with MailChimp", "R10", "Newsletter"):
        assert words in told.out
    assert "maxchimp sync --plan 1" in told.out
    document = ready.good("plan", "--json").json
    assert _is_run(document, "plan", "planned")
    every = ready.good("plan", "--json", "--all").json
    assert len(every["changes"]) == sum(
        every["counts"][side][op] for side in ready.doors for op in ("create", "update")
    )


def test_plan_is_applied_as_it_was_shown(ready: Desk) -> None:
    plan = ready.good("plan", "--json").json
    assert "there is no plan 99" in ready.bad("sync", "--plan", "99", code=2).err
    done = ready.good("sync", "--plan", str(plan["run"]), "--json").json
    assert done["counts"]["maximizer"] == plan["counts"]["maximizer"]
    assert "there is nothing to write" in ready.good("plan", "--full").out
    assert ready("sync", "--plan", str(done["run"])).code == 2


def test_plan_that_moved_is_refused(ready: Desk) -> None:
    ready.good("sync", "--yes")
    contact = ready.world.pairs[0][0]
    ready.world.mailchimp.edit(contact, merge_fields={"FNAME": "Zita"})
    ready.world.mailchimp.subscribe(
        ready.world.list_id, "new.person@lanternpost.test", {"FNAME": "Nell", "LNAME": "New"}
    )
    plan = ready.good("plan", "--json").json
    person = next(
        m for m in ready.world.mailchimp.members(ready.world.list_id) if m["email_address"].startswith("new.")
    )
    ready.world.mailchimp.edit(person["contact_id"], merge_fields={"LNAME": "Newer"})
    told = ready("sync", "--plan", str(plan["run"]), "--json")
    assert told.code == 7
    assert _is_run(told.json, "sync", "blocked")


def test_first_sync_asks(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    before = ready.writes()
    told = ready.bad("sync", "--json", code=7)
    assert _is_run(told.json, "sync", "blocked")
    assert "first sync" in told.err
    monkeypatch.setattr(Call, "interactive", property(lambda call: True))
    monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))
    assert ready("sync").code == 7
    assert ready.writes() == before
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert "done" in ready.good("sync").out
    assert ready.writes() > before


def test_sync_backfill_and_history(ready: Desk) -> None:
    assert _is_run(ready.good("sync", "--yes", "--json").json, "sync", "done")
    assert "unchanged" in ready.good("sync", "--full").out
    assert _is_run(ready.good("backfill", "--json").json, "backfill", "done")
    rows = ready.good("runs", "--json").json
    assert [row["kind"] for row in rows] == ["backfill", "sync", "sync"]
    shown = ready.good("runs", "show", "1", "--json").json
    assert shown["facts"]["stages"]["load"] >= 0
    assert shown["changes"].keys() == {"done"}
    assert "Seconds per stage" in ready.good("runs", "show", "1").out
    assert "backfill" in ready.good("runs").out
    assert "see: maxchimp runs" in ready.bad("runs", "show", "77", code=2).err


def test_r03_r31_a_run_shows_what_it_left_and_what_it_replaced(ready: Desk) -> None:
    ready.good("sync", "--yes")
    contact, entry = ready.world.pairs[0]
    ready.world.mailchimp.edit(contact, merge_fields={"FNAME": "Loser"})
    ready.world.maximizer.edit(entry, {"FirstName": "Winner"})
    ready.world.flag([ready.world.maximizer.add_person("Nomail", "Blank")])
    told = ready.good("sync")
    assert "no Email 1" in told.out
    run = str(ready.good("runs", "--json").json[0]["run"])
    shown = ready.good("runs", "show", run).out
    for words in (
        "Loser",
        "Winner",
        "1 member updated",
        "Conflicts decided in this run",
        "Flagged entries without an Email 1",
    ):
        assert words in shown
    (written,) = ready.good("runs", "show", run, "--all", "--json").json["writes"]
    assert (written["state"], written["fields"][0]["old"]) == ("done", "Loser")


def test_r41_no_groups_blocks_with_the_exact_sentence(ready: Desk) -> None:
    bare = ready.world.mailchimp.add_list("Bare")
    ready.good("setup", "--list", bare, "--yes")
    for command in ("plan", "sync", "backfill"):
        told = ready.bad(command, "--json", code=7)
        assert told.json["reason"] == "This list does not have interest groups enabled."
        assert told.json["state"] == "blocked"


def test_r51_quarantine(ready: Desk) -> None:
    for first in ("Ada", "Adam"):
        ready.world.maximizer.add_person(first, "Twofold", "twofold@lanternpost.test")
    ready.world.mailchimp.subscribe(ready.world.list_id, "twofold@lanternpost.test", {"LNAME": "Twofold"})
    assert "Quarantined" in ready.good("plan").out
    assert "quarantine list" in ready.good("sync", "--yes").out
    rows = ready.good("quarantine", "list", "--json").json
    assert rows
    assert rows[0].keys() >= {"id", "side", "record", "reason", "rule", "remedy"}
    assert "R9" in ready.good("quarantine", "list").out
    released = ready.good("quarantine", "release", str(rows[0]["id"]), "--json").json
    assert released == {"released": rows[0]["id"]}
    assert "quarantine list" in ready.bad("quarantine", "release", str(rows[0]["id"]), code=2).err
    assert "--all" in ready.bad("quarantine", "release", code=2).err
    rest = [row["id"] for row in rows[1:]]
    assert ready.good("quarantine", "release", "--all", "--json").json == {"released": rest}
    assert ready.good("quarantine", "list", "--json").json == []


def test_r36_lease_held(ready: Desk) -> None:
    engine = ready.store()
    leases.acquire(engine, ready.connection().id, "somebody on another machine")
    engine.dispose()
    told = ready.bad("sync", "--json", code=1)
    assert told.json["exit"] == 1
    assert "somebody on another machine" in told.json["error"]
    assert (told.json["run"], told.json["state"]) == (None, "failed")
    assert told.json["counts"].keys() >= {"mailchimp", "maximizer", "quarantined"}


def test_guard_refuses_and_yes_lets_pass(ready: Desk) -> None:
    ready.good("sync", "--yes")
    ready.good("settings", "set", "max_new=1%")
    for number in range(60):
        ready.world.maximizer.add_person("Gus", f"Guest{number}", f"guest{number}@lanternpost.test")
    added = [key for key, row in ready.world.maximizer.entries().items() if str(row["LastName"]).startswith("Guest")]
    ready.world.flag(added)
    assert "60 members to create" in ready("plan").out
    told = ready.bad("sync", "--json", code=7)
    assert "60 people would be added" in told.json["reason"]
    assert ready.good("sync", "--yes", "--json").json["counts"]["mailchimp"]["create"] == 60


def test_services_that_fail(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAXCHIMP_MAILCHIMP_URL", "http://127.0.0.1:1/3.0")
    told = ready.bad("sync", "--json", code=1)
    assert _is_run(told.json, "sync", "failed")
    assert "no connection" in told.err
    monkeypatch.setenv("MAXCHIMP_MAILCHIMP_API_KEY", "e" * 32 + "-us6")
    monkeypatch.delenv("MAXCHIMP_MAILCHIMP_URL")


def test_refused_credentials_are_configuration(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAXCHIMP_MAXIMIZER_PASSWORD", "changed-meanwhile")
    told = ready.bad("sync", "--yes", "--json", code=2)
    assert _is_run(told.json, "sync", "failed")


def test_r43_list_that_is_gone(ready: Desk) -> None:
    del ready.world.mailchimp.audiences[ready.world.list_id]
    told = ready.bad("sync", "--json", code=7)
    assert "no longer in the Mailchimp account" in told.json["reason"]


def test_plan_of_the_json_document_is_one(ready: Desk) -> None:
    out = ready.good("plan", "--json").out
    decoder = json.JSONDecoder()
    _, end = decoder.raw_decode(out)
    assert out[end:].strip() == ""
