"""The log in both of its forms: what a line says, and what it may never say (R50)."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from desk import Desk

from domain.facts import about, known
from flows import logs
from sandbox.faults import Faults

FORMS = ("text", "json")


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MAXCHIMP_LOG_FORMAT", request.param)
    return str(request.param)


def kept(desk: Desk) -> str:
    return (desk.folder / "data/local/logs/maxchimp.log").read_text()


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def secrets(desk: Desk) -> list[str]:
    """What no line may hold: credentials, and everybody's address and its hash."""
    key = os.environ["MAXCHIMP_MAILCHIMP_API_KEY"].partition("-")[0]
    people = [m["email_address"] for m in desk.world.mailchimp.members(desk.world.list_id)]
    people += [e["Email1"] for e in desk.world.maximizer.entries().values() if e["Email1"]]
    lowered = [text.lower() for text in people]
    hashes = [hashlib.md5(text.encode()).hexdigest() for text in lowered]
    return [key, "sandbox-password", "another-password", *people, *lowered, *hashes]


def test_r50_s27_neither_form_holds_a_secret_or_an_address_at_debug(
    ready: Desk, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for door in ready.doors.values():
        door.faults = Faults("mailchimp:429=0.1,mailchimp:500-after=0.1,maximizer:code-minus-1=0.1", seed=4)
    told = ""
    for _ in range(3):
        told += ready("sync", "--yes", "--verbose").err
    told += ready("map", "add", "EMAIL", "someone@lanternpost.test", "--verbose").err
    monkeypatch.setenv("MAXCHIMP_MAXIMIZER_PASSWORD", "another-password")
    told += ready("sync", "--verbose").err
    assert "maxchimp" in told
    assert len(told.splitlines()) > 50
    text = kept(ready) + told
    found = [secret for secret in secrets(ready) if secret in text]
    assert found == []


def test_json_lines_are_one_object_each_with_their_facts(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAXCHIMP_LOG_FORMAT", "json")
    ready.world.maximizer.add_person("Nora", "Blank", "nora@lanternpost.test")
    ready.good("sync", "--yes")
    (ended,) = [line for line in objects(kept(ready)) if line["message"].startswith("run ")]
    assert list(ended)[:4] == ["time", "level", "logger", "message"]
    assert (ended["level"], ended["connection"], ended["run"], ended["state"]) == ("info", "default", 1, "done")
    assert ended["counts"]["mailchimp"]["failed"] == 0
    assert ended["time"].endswith("Z")


def test_r50_json_names_link_field_rule_and_remedy(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAXCHIMP_LOG_FORMAT", "json")
    ready.good("map", "add", "POSTCODE", r"Marketing\Billing ZIP")
    ready.good("sync", "--yes")
    keys = [key for key, row in ready.world.maximizer.entries().items() if row["Email1"] and row["Type"] != "Company"]
    linked = next(key for key in keys if ready.world.maximizer.entry(key)["udfs"].get(r"MailChimp\MailChimp ID"))
    ready.world.maximizer.edit(linked, {r"Marketing\Billing ZIP": "no zip"})
    ready.good("sync")
    lines = [line for line in objects(kept(ready)) if line.get("field") == "POSTCODE"]
    assert lines
    assert {"connection", "run", "field", "problem", "rule", "remedy", "records"} <= lines[-1].keys()
    assert (lines[-1]["rule"], lines[-1]["run"]) == ("R28", 2)
    assert all(isinstance(link, int) for link in lines[-1]["links"])


def test_an_error_is_told_with_its_remedy_and_its_trace(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAXCHIMP_LOG_FORMAT", "json")

    def broken(*given: object, **more: object) -> None:
        raise RuntimeError("somebody@lanternpost.test\nat night")

    monkeypatch.setattr("storage.runs.latest", broken)
    ready("runs")
    ready("runs", "show", "77")
    unexpected, refused = objects(kept(ready))[-2:]
    assert "Traceback" in unexpected["exception"]
    assert "lanternpost" not in json.dumps(unexpected)
    assert (refused["error"], refused["remedy"]) == ("Misconfigured", "see: maxchimp runs")


def test_an_unknown_form_is_told(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAXCHIMP_LOG_FORMAT", "xml")
    assert "MAXCHIMP_LOG_FORMAT" in ready.bad("runs", code=2).err


def test_s27_hostile_facts_stay_on_one_line(tmp_path: Path) -> None:
    logs.open_log(tmp_path, ["hunter22"], verbose=False, form="json")
    facts = {
        "field": "a\r\nb\u2028c\x1b[31m",
        "who": "ann@lantern.test",
        "key": "hunter22",
        "deep": [{"x": "hunter22"}],
    }
    logging.getLogger("maxchimp.test").warning("line\ntwo %s", "ann@lantern.test", extra={"facts": facts})
    logs.close()
    (line,) = (tmp_path / "logs/maxchimp.log").read_text().splitlines()
    read = json.loads(line)
    assert (read["who"], read["key"], read["deep"]) == ("***", "***", [{"x": "***"}])
    assert line.isascii()
    assert "\x1b" not in line


def test_facts_are_those_of_the_block() -> None:
    assert known() == {}
    with about(connection="a", run=1):
        with about(run=2):
            assert known() == {"connection": "a", "run": 2}
        assert known()["run"] == 1
    assert known() == {}


def test_a_helper_of_nobody_in_particular_knows_what_all_agree_on() -> None:
    """Two connections are at work in one process: a line of a third thread is about neither of them."""
    begun, ended = threading.Event(), threading.Event()

    def beside() -> None:
        with about(connection="b", run=1):
            begun.set()
            assert ended.wait(60)

    with ThreadPoolExecutor(2) as pool, about(connection="a", run=1):
        assert pool.submit(known).result() == {"connection": "a", "run": 1}
        other = pool.submit(beside)
        assert begun.wait(60)
        assert pool.submit(known).result() == {"connection": None, "run": 1}
        assert known() == {"connection": "a", "run": 1}
        ended.set()
        other.result()


def test_every_line_names_its_connection_and_counts_are_a_sentence(ready: Desk, form: str) -> None:
    ready.good("connections", "add", "north")
    ready.good("sync", "--yes")
    ready("sync", "--connection", "north")
    ready("runs", "show", "77")
    lines = kept(ready).splitlines()
    if form == "json":
        read = [json.loads(line) for line in lines]
        assert all(line["connection"] in ("default", "north") for line in read)
        (ended,) = [line["message"] for line in read if line["message"].startswith("run 1 ")]
        refused = [line["connection"] for line in read if line["level"] == "error"]
    else:
        assert all(" [default" in line or " [north" in line for line in lines if line[:2] == "20")
        (ended,) = [line.partition(": ")[2] for line in lines if ": run 1 " in line]
        refused = [line.partition("[")[2].partition("]")[0] for line in lines if " ERROR " in line]
    assert refused == ["north", "default"]
    assert ended.startswith("run 1 (sync) done: Mailchimp ")
    assert "; Maximizer 2 new, " in ended
    assert "{" not in ended


def test_r50_a_waiting_record_is_named_by_its_quarantine_number(ready: Desk, form: str) -> None:
    for _ in range(2):
        ready.world.maximizer.add_person("Ada", "Newcome", "ada@lanternpost.test")
    ready.good("sync", "--yes")
    (row,) = ready.good("quarantine", "list", "--json").json
    lines = [line for line in kept(ready).splitlines() if "Waits. To do" in line]
    assert lines
    assert all(f"quarantine {row['id']}" in line for line in lines)
    if form == "json":
        assert {json.loads(line)["quarantine"] for line in lines} == {row["id"]}
    assert "***" not in "".join(lines)
