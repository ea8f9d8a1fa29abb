"""``setup``, ``settings``, ``lists``: what an administrator does."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from desk import Desk

from app.call import Call
from storage import links
from storage.engine import reading

KEY = "MAXCHIMP_MAILCHIMP_API_KEY"


def test_r37_setup_shows_the_account_and_what_was_made(desk: Desk) -> None:
    told = desk.good("setup", "--json").json
    assert told["account"]["account"] == "Escona Invented Ltd."
    assert told["account"].keys() >= {"contact", "plan", "industry", "total_subscribers", "last_login"}
    assert told["list"]["id"] == desk.world.list_id
    assert told["address_book"] == "EsconaDemo"
    assert any("Sync with MailChimp" in line for line in told["done"])
    again = desk.good("setup")
    assert "nothing: everything was there" in again.out
    for words in ("Contact", "Plan", "Industry", "Total subscribers", "Last login"):
        assert words in again.out


def test_r37_malformed_key_leaves_nothing_behind(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "not-a-key-at-all-us6")
    told = desk.bad("setup", "--json", code=2)
    assert "not a Mailchimp API key" in told.json["error"]
    assert told.json["exit"] == 2
    assert "not-a-key-at-all" not in told.out + told.err
    assert not list(desk.folder.rglob("*.db"))


def test_r37_wrong_key(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "f" * 32 + "-us6")
    assert "does not know this API key" in desk.bad("setup", code=2).err
    assert "has not been set up" in desk.bad("runs", code=2).err


@pytest.mark.parametrize(
    ("name", "value"),
    [("MAXCHIMP_MAXIMIZER_PASSWORD", "wrong-password"), ("MAXCHIMP_MAXIMIZER_DATABASE", "Elsewhere")],
)
def test_r38_refused_sign_in(desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    told = desk.bad("setup", code=2)
    assert "Maximizer refuses this sign-in" in told.err
    assert "wrong-password" not in told.err


@pytest.mark.parametrize("ending", ["Data.svc", "Data.svc/", "Data.svc/json", ""])
def test_r38_forms_of_the_address(desk: Desk, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    import os

    root = os.environ["MAXCHIMP_MAXIMIZER_URL"].partition("Data.svc")[0]
    monkeypatch.setenv("MAXCHIMP_MAXIMIZER_URL", root + ending)
    desk.good("setup")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("MAXCHIMP_MAXIMIZER_URL", "https://crm.test/somewhere", "not the address of a Maximizer API"),
        ("MAXCHIMP_MAXIMIZER_URL", "http://crm.test/MaximizerWebData/Data.svc", "http:// is accepted for this machine"),
        ("MAXCHIMP_MAXIMIZER_WEB_URL", "no address", "not a web address"),
        ("MAXCHIMP_MAXIMIZER_URL", "", "not set: MAXCHIMP_MAXIMIZER_URL"),
        ("MAXCHIMP_CONNECTION", "../x", "cannot be the name"),
        ("MAXCHIMP_DATABASE_URL", "mysql://root@db/x", "cannot be kept in mysql"),
        ("MAXCHIMP_DATABASE_URL", "postgresql://[", "address of the store cannot be read"),
    ],
)
def test_bad_settings(desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str) -> None:
    monkeypatch.setenv(name, value)
    if name == "MAXCHIMP_MAXIMIZER_URL":
        monkeypatch.delenv("MAXCHIMP_MAXIMIZER_WEB_URL")
    assert words in desk.bad("setup", code=2).err


def test_unreachable_service(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAXCHIMP_MAILCHIMP_URL", "http://127.0.0.1:1/3.0")
    assert "no connection" in desk.bad("setup", "--json", code=1).json["error"]


def test_r39_list_must_exist_and_changing_it_is_asked(desk: Desk) -> None:
    desk.good("setup")
    told = desk.bad("setup", "--list", "0000000000", code=2)
    assert desk.world.list_id in told.err
    other = desk.world.mailchimp.add_list("Another Letter")
    assert "loses all field mappings" in desk.bad("setup", "--list", other, code=2).err
    assert desk.connection().list_id == desk.world.list_id
    told = desk.good("setup", "--list", other, "--yes")
    assert "interest groups" in told.out
    assert [row["selected"] for row in desk.good("lists", "--json").json if row["id"] == other] == [True]
    assert desk.connection().full_reason == "first sync"


def test_r39_typed_confirmation(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.good("setup")
    other = desk.world.mailchimp.add_list("Another Letter")
    monkeypatch.setattr(Call, "interactive", property(lambda call: True))
    for typed, code in (("y", 2), ("yes", 0)):
        monkeypatch.setattr("sys.stdin", _typed(typed))
        told = desk("setup", "--list", other)
        assert (told.code, "Type yes to go on" in told.err) == (code, True)
    assert desk.connection().list_id == other


def _typed(text: str) -> object:
    import io

    return io.StringIO(text + "\n")


def test_r39_another_address_book(ready: Desk) -> None:
    ready.good("sync", "--yes")
    _edit(ready, "UPDATE connection SET address_book = 'Former'")
    assert "--new-address-book" in ready.bad("setup", code=2).err
    assert "changed the Address Book" in ready.good("setup", "--new-address-book", "--yes").out
    engine = ready.store()
    with reading(engine) as db:
        assert links.count(db, ready.connection().id) == 0
    engine.dispose()


def test_r41_set_up_makes_a_group(desk: Desk) -> None:
    bare = desk.world.mailchimp.add_list("Bare")
    told = desk.good("setup", "--list", bare, "--json").json
    assert any("does not have interest groups enabled." in line for line in told["todo"])
    desk.bad("setup", "--group", "Interests", code=2)
    told = desk.good("setup", "--group", "Interests", "--option", "News", "--option", "Offers", "--json").json
    assert told["done"] == ["created the group Interests"]


def test_lists_before_set_up(desk: Desk) -> None:
    rows = desk.good("lists", "--json").json
    assert rows[0].keys() == {"id", "name", "members", "selected"}
    assert desk.world.list_id in desk.good("lists").out


def test_r44_settings(ready: Desk) -> None:
    assert ready.good("settings", "show", "--json").json["buffer_ms"] == "300"
    told = ready.good("settings", "set", "interval=30m", "Conflict=mailchimp", "max_new=20%", "--json").json
    assert (told["interval"], told["conflict"], told["max_new"]) == ("30m", "mailchimp", "20%")
    assert "30m" in ready.good("settings", "show").out


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("buffer_ms=9999999", "longer than the sync interval"),
        ("interval=5", "is a duration"),
        ("colour=blue", "settings are: interval"),
        ("conflict=nobody", "one of maximizer, mailchimp"),
        ("max_new=lots", "a share such as 5%"),
        ("interval", "no NAME=VALUE"),
    ],
)
def test_r35_bad_settings_are_refused(ready: Desk, assignment: str, words: str) -> None:
    assert words in ready.bad("settings", "set", assignment, code=2).err
    assert ready.good("settings", "show", "--json").json["interval"] == "1h"


# --- our own store


def test_nothing_works_before_set_up(desk: Desk) -> None:
    for words in (
        ["fields"],
        ["map", "list"],
        ["settings", "show"],
        ["plan"],
        ["sync"],
        ["runs"],
        ["quarantine", "list"],
    ):
        told = desk.bad(*words, "--json", code=2)
        assert told.json == {"error": "the store has not been set up", "remedy": "run: maxchimp setup", "exit": 2}


def test_unknown_connection(ready: Desk) -> None:
    told = ready.bad("sync", "--connection", "north", "--json", code=2)
    assert told.json["remedy"] == "run: maxchimp setup --connection north"


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("INSERT INTO maxchimp_version VALUES ('0000')", "half migrated"),
        ("UPDATE maxchimp_version SET version_num = '9999'", "newer version"),
    ],
)
def test_store_of_another_version(ready: Desk, statement: str, words: str) -> None:
    _edit(ready, statement)
    for command in (["runs"], ["sync"], ["lists"]):
        assert words in ready.bad(*command, code=2).err
    found = {row["name"]: row for row in ready("check", "--json").json}
    assert words in found["store"]["message"]


def test_store_that_cannot_be_made(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is a file: what cannot be written for root either."""
    (desk.folder / "file").write_text("")
    monkeypatch.setenv("MAXCHIMP_DATABASE_URL", f"sqlite:///{desk.folder}/file/store.db")
    assert "cannot be made" in desk.bad("setup", code=2).err
    monkeypatch.setenv("MAXCHIMP_HOME_DIR", str(desk.folder / "file"))
    assert "MAXCHIMP_HOME_DIR" in desk.bad("setup", code=2).err


def test_store_that_others_may_read(ready: Desk) -> None:
    path = ready.folder / "data/local/maxchimp.db"
    path.chmod(0o644)
    assert "chmod 600" in ready.bad("runs", code=2).err


def test_damaged_store(ready: Desk) -> None:
    (ready.folder / "data/local/maxchimp.db").write_bytes(b"no database" * 500)
    assert "damaged" in ready.bad("runs", code=2).err


def _edit(desk: Desk, statement: str) -> None:
    with sqlite3.connect(Path("data/local/maxchimp.db")) as db:
        db.execute(statement)
    db.close()
