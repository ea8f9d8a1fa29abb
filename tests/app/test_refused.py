"""Wrong words and wrong settings: refused with exit code 2 and what to do, before anything is asked or stored."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sqlite3
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from desk import Desk

from app.web.server import serving
from flows import kept
from flows.settings import load_settings

HUGE = "9" * 30


def stands(desk: Desk) -> tuple[int, str]:
    """How many requests the services got, and what our store holds."""
    with sqlite3.connect(desk.folder / "data/local/maxchimp.db") as db:
        told = "\n".join(db.iterdump())
    db.close()
    return sum(len(door.calls) for door in desk.doors.values()), hashlib.sha256(told.encode()).hexdigest()


WORDS = [
    # nobody, or everybody
    *((["explain", word], "is empty") for word in ("", "  ", "\t")),
    *((["explain", word], "names nobody") for word in (
        "%", "*", "*@*", "%@%", "@", "a@", "@b", "a@b@c", "ann @x.test", "a, b", "#", "#1", "a#x", "a#%", "?#1",
        "a#" + HUGE, "é", "link x", "x" * 300,
    )),
    # numbers
    *((["runs", "show", word], "ID") for word in ("abc", "0", "1.5", HUGE, "0x1")),
    *((["sync", "--plan", word], "--plan") for word in ("abc", "0", "-1", HUGE)),
    *((["quarantine", "release", word], "ID") for word in ("abc", "0", HUGE)),
    (["quarantine", "release", "77"], "nothing waits under the number 77"),
    (["quarantine", "release"], "name the numbers"),
    (["runs", "show", "77"], "no run 77"),
    (["sync", "--plan", "77"], "no plan 77"),
    *((["web", "--port", word], "--port") for word in ("-1", "70000", "x", "8470.5", HUGE)),
    *((["serve", "--prefect-port", word], "--prefect-port") for word in ("-1", "70000")),
    *((["serve", "--at-once", word], "--at-once") for word in ("0", "-1", "65", "x")),
    *((["sandbox", "--port", word], "--port") for word in ("-1", "65535", "x")),
    *((["sandbox", "--people", word], "--people") for word in ("-1", "x", HUGE)),
    *((["sandbox", "--latency", word], "--latency") for word in ("-1", "nan", "inf", "1e300", "x")),
    *((["sandbox", "--seed", word], "--seed") for word in ("x", "1.5")),
    *((["sandbox", "--faults", word], "--faults") for word in ("x", "mailchimp:429=2", "mailchimp:429=nan")),
    *((["demo", "--people", word], "--people") for word in ("0", "-1", HUGE)),
    # settings
    *((["settings", "set", word], "at most") for word in (
        "interval=9999999d", "interval=32d", "buffer_ms=999999999", "ambiguous_wait=9999999d", "ambiguous_wait=8d",
        "retention=9999999d", "remind_after=999999",
    )),
    *((["settings", "set", word], "at least") for word in ("interval=0m", "interval=59s", "retention=1h")),
    (["settings", "set", "buffer_ms=3600001"], "longer than the sync interval"),
    *((["settings", "set", word], word.partition("=")[0]) for word in (
        "interval=", "interval= ", "interval=-5m", "interval=\u0666\u0660m", "interval=1e9s", "interval=60",
        "buffer_ms=-1", "buffer_ms=\u0663\u0660\u0660", "buffer_ms=1.5", "max_new=101%", "max_new=nan", "max_new=5",
        "max_new=-1%", "remind_after=0", "remind_after=\u0663", "conflict=", "conflict=nobody", "nonsense=1", "é=1",
    )),
    *((["settings", "set", word], "no NAME=VALUE") for word in ("interval", "=5", "=")),
    (["settings", "set", "interval=60m", "interval=30m"], "given twice"),
    (["settings", "set", "interval=60m", "max_new=x"], "max_new"),
    # connections
    *((["connections", "add", word], "cannot be the name") for word in ("é", "a/b", "..", "a b", "%", "x" * 101)),
    *((["connections", "add", word], "default") for word in ("default", "DEFAULT")),
    *((["connections", verb, "nobody"], "no connection") for verb in ("show", "remove")),
    *((["runs", "--connection", word], "cannot be the name") for word in ("é", "a/b", "..", "%")),
    (["runs", "--connection", "nobody"], "has not been set up"),
    # a script's variable that was empty
    *((words, "is empty") for words in (
        ["connections", "add", ""], ["connections", "show", " "], ["runs", "--connection", ""],
        ["runs", "--connection="], ["setup", "--list", ""], ["setup", "--list="], ["setup", "--list", "  "],
        ["setup", "--group", "", "--option", "a"], ["setup", "--group", "a", "--option", ""],
        ["setup", "--group", " ", "--option", " "], ["setup", "--mxi", ""], ["map", "add", "", "Phone1"],
        ["map", "add", "FNAME", " "], ["map", "remove", ""], ["store", "copy", ""], ["report", "--folder", ""],
        ["deploy", "--pool", ""], ["deploy", "--folder="], ["sandbox", "--faults", " "], ["settings", "set", ""],
        ["", "runs"], [" "],
    )),
    (["explain", "\udcff@x.test"], "no text in UTF-8"),
    (["setup", "--list=\udcff"], "the value of --list is no text in UTF-8"),
    # files and addresses
    *((["store", "copy", word], "address of the store") for word in ("foo", "postgresql://[", "x:y:z")),
    (["store", "copy", "mysql://x/y"], "cannot be kept in mysql"),
    (["store", "copy", "sqlite://"], "in memory"),
    (["store", "copy", "sqlite:///data/local/maxchimp.db"], "the store itself"),
    (["store", "copy", "sqlite:///data/../data/local/maxchimp.db"], "the store itself"),
    (["report", "--folder", "."], "is not empty"),
    (["report", "--folder", "/"], "is not empty"),
    (["report", "--folder", "data/local/maxchimp.db"], "no folder"),
    (["report", "--folder", "data/local/maxchimp.db/x"], "no folder"),
    (["setup", "--group", "title"], "at least one option"),
    (["setup", "--option", "a"], "at least one option"),
    (["setup", "--group", "title", "--option", "a", "--option", "A "], "named twice"),
    (["quarantine", "release", "77", "78"], "nothing waits under the numbers 77, 78"),
    (["web", "--link", "--port", "0"], "no page of maxchimp is running"),
    (["plan", "x"], "extra argument"),
    (["backfill", "--nonsense"], "No such option"),
]  # fmt: skip


def test_wrong_words(ready: Desk) -> None:
    before = stands(ready)
    for words, told in WORDS:
        document = ready.bad(*words, "--json", code=2).json
        assert told in document["error"], (words, document)
        assert document["remedy"], words
        assert document["exit"] == 2
        assert stands(ready) == before, words


SETTINGS = [
    *(("MAXCHIMP_SECRET_KEY", value, "not a Fernet key") for value in ("short", ",", "a" * 44, "é")),
    *(("MAXCHIMP_PAGE_URL", value, "not a web address") for value in (
        "foo", "https://", "ftp://x.test", "javascript:alert(1)", "https://x:y", "https://a b",
    )),
    ("MAXCHIMP_PAGE_URL", "http://sync.example.org", "use https://"),
    ("MAXCHIMP_PAGE_URL", "https://ann:s3cret@sync.example.org", "no user name"),
    ("MAXCHIMP_PAGE_URL", "https://sync.example.org/?a=b", "query"),
    *(("MAXCHIMP_MAXIMIZER_WEB_URL", value, "MAXCHIMP_MAXIMIZER_WEB_URL") for value in (
        "foo", "http://crm.example.org", "https://ann:s3cret@crm.example.org", "javascript:alert(1)",
    )),
    *((f"MAXCHIMP_{name}", value, "is empty") for value in ("", "  ") for name in (
        "HOME_DIR", "DATABASE_URL", "CONNECTION", "LOG_FORMAT", "TAB_KEY_PARAMETER", "TAB_TOKEN_PARAMETER",
    )),
    ("MAXCHIMP_TAB_KEY_PARAMETER", "a b&c", "not the name of a parameter"),
    ("MAXCHIMP_LOG_FORMAT", "xml", "MAXCHIMP_LOG_FORMAT"),
    ("MAXCHIMP_NOTIFY_URL", "foo", "not an address"),
    ("MAXCHIMP_CONNECTION", "a/b", "cannot be the name"),
    ("MAXCHIMP_DATABASE_URL", "foo", "address of the store"),
    ("MAXCHIMP_DATABASE_URL", "postgresql://127.0.0.1:99999/x", "address of the store"),
]  # fmt: skip


def test_wrong_settings(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stands(ready)
    for name, value, told in SETTINGS:
        with monkeypatch.context() as outside:
            outside.setenv(name, value)
            for words in (["runs"], ["check"], ["sync", "--yes"], ["web", "--port", "0"]):
                document = ready.bad(*words, "--json", code=2).json
                assert told in document["error"], (name, value, document)
                assert document["remedy"], (name, value)
                assert "s3cret" not in json.dumps(document)
        assert stands(ready) == before, (name, value)


SERVICES = [
    ("MAILCHIMP_API_KEY", "0123"),
    ("MAILCHIMP_API_KEY", "é"),
    ("MAILCHIMP_URL", "foo"),
    ("MAILCHIMP_URL", "http://x.test/3.0"),
    ("MAILCHIMP_URL", "https://ann:s3cret@x.test/3.0"),
    ("MAXIMIZER_URL", "foo"),
    ("MAXIMIZER_URL", "//x.test/MaximizerWebData/Data.svc"),
    ("MAXIMIZER_URL", "http://x.test/MaximizerWebData/Data.svc"),
    ("MAXIMIZER_URL", "https://ann:s3cret@x.test/MaximizerWebData/Data.svc"),
    ("MAXIMIZER_TOKEN", "é"),
]


@pytest.mark.parametrize("start", ["MAXCHIMP_", "MAXCHIMP_DEFAULT__"])
def test_wrong_services(ready: Desk, monkeypatch: pytest.MonkeyPatch, start: str) -> None:
    monkeypatch.delenv("MAXCHIMP_MAXIMIZER_WEB_URL")
    before = stands(ready)
    for name, value in SERVICES:
        with monkeypatch.context() as outside:
            outside.setenv(start + name, value)
            for words in (["sync", "--yes"], ["lists"], ["setup"]):
                document = ready.bad(*words, "--json", code=2).json
                assert document["remedy"], (name, value)
                if name.endswith("_URL"):
                    assert document["error"].startswith(f"{start}{name} (the environment) "), (value, document)
                assert "s3cret" not in json.dumps(document)
            assert ready("check").code == 2
        assert stands(ready) == before, (name, value)


def test_blanks_around_what_was_copied_do_no_harm(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAILCHIMP_API_KEY", "MAILCHIMP_URL", "MAXIMIZER_URL", "MAXIMIZER_DATABASE", "MAXIMIZER_USER"):
        monkeypatch.setenv(f"MAXCHIMP_{name}", f" {os.environ[f'MAXCHIMP_{name}']}\n")
    ready.good("check")


def test_every_wrong_setting_is_named_with_its_place(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAXCHIMP_SECRET_KEY", "short-secret")
    Path(".env").write_text("# ours\n\nMAXCHIMP_LOG_FORMAT=text\n\nMAXCHIMP_PAGE_URL=https://ann:s3cret@x\n")
    Path(".env").chmod(0o600)
    error = ready.bad("runs", "--json", code=2).json["error"]
    assert "MAXCHIMP_SECRET_KEY (the environment)" in error
    assert "MAXCHIMP_PAGE_URL (.env, line 5)" in error
    assert "short-secret" not in error
    assert "s3cret" not in error


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"A=1\nMAXCHIMP_X='open\n", ".env cannot be read at line 2"),
        (b"\n\n= 5\n", ".env cannot be read at line 3"),
        (b"MAXCHIMP_MAXIMIZER_USER=\xff\xfe\n", "no text in UTF-8"),
        (b"MAXCHIMP_HOME_DIR=\n", "MAXCHIMP_HOME_DIR (.env, line 1) is empty"),
    ],
)
def test_a_file_of_settings_that_cannot_be_read(ready: Desk, content: bytes, told: str) -> None:
    Path(".env").write_bytes(content)
    Path(".env").chmod(0o600)
    assert told in ready.bad("runs", code=2).err


def test_a_file_of_settings_that_others_may_read(ready: Desk) -> None:
    Path(".env").write_text("MAXCHIMP_LOG_FORMAT=text\n")
    Path(".env").chmod(0o644)
    told = ready.good("runs", "--json")
    assert "maxchimp: the file .env may be read by other users; run: chmod 600 .env" in told.err
    assert isinstance(told.json, list)
    found = {row["name"]: row for row in ready.good("check", "--json").json}
    assert found["variables"]["remedy"] == "run: chmod 600 .env"
    Path(".env").chmod(0o600)
    assert ready.good("runs").err == ""


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MAXCHIMP_MAILCHIMP_APIKEY", "MAXCHIMP_MAILCHIMP_API_KEY"),
        ("MAXCHIMP_MAXIMISER_URL", "MAXCHIMP_MAXIMIZER_URL"),
        ("MAXCHIMP_HOMEDIR", "MAXCHIMP_HOME_DIR"),
        ("MAXCHIMP_DEFAULT__MAILCHIMP_KEY", "MAXCHIMP_DEFAULT__MAILCHIMP_API_KEY"),
        ("MAXCHIMP_default__MAXIMIZER_URL", "MAXCHIMP_DEFAULT__MAXIMIZER_URL"),
    ],
)
def test_a_name_with_a_typing_error(ready: Desk, monkeypatch: pytest.MonkeyPatch, name: str, meant: str) -> None:
    monkeypatch.setenv(name, "secret-value")
    told = ready("check", "--json")
    (found,) = [row for row in told.json if row["name"] == "variables" and row["state"] == "error"]
    assert (told.code, found["state"]) == (2, "error")
    assert found["message"] == f"{name} (the environment) is no setting: did you mean {meant}?"
    assert "secret-value" not in told.out


def test_a_missing_key_is_told_with_the_name_that_was_meant(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAXCHIMP_MAILCHIMP_API_KEY")
    monkeypatch.setenv("MAXCHIMP_MAILCHIMP_APIKEY", "secret-value")
    document = ready.bad("sync", "--json", code=2).json
    assert document["error"] == "not set: MAXCHIMP_MAILCHIMP_API_KEY"
    assert "MAXCHIMP_MAILCHIMP_APIKEY (the environment) is no setting" in document["remedy"]


def test_names_that_mean_nothing_are_told(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAXCHIMP_COLOUR", "blue")
    monkeypatch.setenv("MAXCHIMP_NORTH__MAILCHIMP_API_KEY", "secret-value")
    told = ready.good("check", "--json")
    shown = [row["message"] for row in told.json if row["name"] == "variables"]
    assert any("MAXCHIMP_COLOUR" in text for text in shown)
    assert any("MAXCHIMP_NORTH__MAILCHIMP_API_KEY" in text for text in shown)
    ready.good("connections", "add", "north")
    assert "NORTH" not in ready.good("check", "--json").out


# --- the store's own settings


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ({"interval": 9999999 * 86400.0}, "interval must be at most 31d"),
        ({"interval": 0.0}, "interval must be at least 1m"),
        ({"interval": "soon"}, "interval must be a number"),
        ({"buffer_ms": 1.5}, "buffer_ms must be a whole number"),
        ({"max_new": True}, "max_new must be a number"),
        ({"conflict": "nobody"}, "conflict must be one of"),
        ({"conflict": ["maximizer"]}, "conflict must be one of"),
    ],
)
def test_settings_of_the_store_that_cannot_be_used(ready: Desk, stored: dict[str, object], told: str) -> None:
    edit(json.dumps(stored))
    for words in (["runs"], ["sync", "--yes"], ["settings", "show"]):
        error = ready.bad(*words, code=2).err
        assert told in error
        assert "the connection default (table connection, row 1)" in error
    found = {row["name"]: row for row in ready("check", "--json").json}
    assert told in found["connection"]["message"]
    # what it says helps
    ready.good(*found["connection"]["remedy"].removeprefix("maxchimp ").split())
    ready.good("runs")


def test_settings_of_the_store_that_are_no_json(ready: Desk) -> None:
    edit("{no json")
    assert "no JSON (table connection)" in ready.bad("runs", code=2).err


def edit(settings: str) -> None:
    with sqlite3.connect(Path("data/local/maxchimp.db")) as db:
        db.execute("UPDATE connection SET settings = ?", [settings])
    db.close()


def test_a_stored_secret_under_another_key_is_named(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ready.store()
    monkeypatch.setenv("MAXCHIMP_SECRET_KEY", Fernet.generate_key().decode())
    key = os.environ["MAXCHIMP_MAILCHIMP_API_KEY"]
    kept.keep(engine, load_settings("default"), {"mailchimp_api_key": key})
    engine.dispose()
    monkeypatch.delenv("MAXCHIMP_MAILCHIMP_API_KEY")
    ready.good("lists")
    monkeypatch.setenv("MAXCHIMP_SECRET_KEY", Fernet.generate_key().decode())
    document = ready.bad("lists", "--json", code=2).json
    assert document["error"] == "not set: MAXCHIMP_MAILCHIMP_API_KEY"
    told = "MAXCHIMP_MAILCHIMP_API_KEY is kept in the store (table credential), under another MAXCHIMP_SECRET_KEY"
    assert told in document["remedy"]
    assert key not in json.dumps(document)


def test_a_store_with_broken_pages_is_damaged_and_no_surprise(ready: Desk) -> None:
    ready.good("sync", "--yes")
    path = ready.folder / "data/local/maxchimp.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xa5" * (len(whole) - 8192))
    for words in (
        ["runs"],
        ["sync"],
        ["quarantine", "list"],
        ["connections", "list"],
        ["explain", "ada@lanternpost.test"],
    ):
        assert "damaged" in ready.bad(*words, code=2).err, words


def test_of_several_numbers_none_is_released_when_one_is_wrong(ready: Desk) -> None:
    for _ in range(2):
        ready.world.maximizer.add_person("Ada", "Newcome", "ada@lanternpost.test")
    ready.good("sync", "--yes")
    (row,) = ready.good("quarantine", "list", "--json").json
    assert "nothing waits" in ready.bad("quarantine", "release", str(row["id"]), "77", code=2).err
    assert ready.good("quarantine", "list", "--json").json == [row]
    ready.good("quarantine", "release", str(row["id"]), str(row["id"]))


# --- a login link for a page that is not there


def test_a_login_link_needs_a_page(ready: Desk) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        assert (
            f"no page of maxchimp is running on port {port}" in ready.bad("web", "--link", "--port", port, code=2).err
        )
    other = os.environ["MAXCHIMP_MAILCHIMP_URL"].rpartition(":")[2].partition("/")[0]
    assert "no page of maxchimp" in ready.bad("web", "--link", "--port", other, code=2).err
    with serving(load_settings("default")) as page:
        told = ready.good("web", "--link", "--port", str(page.site.port), "--json").json
        assert told["link"].startswith(f"{page.url}/default/setup#code=")
