"""``web``, ``explain`` and the definition for making the fields by hand, as commands."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from desk import Desk

from app.web.server import serving
from domain.errors import Misconfigured
from flows.settings import load_settings


def test_explain_tells_why_in_words_and_as_json(ready: Desk) -> None:
    ready.good("sync", "--yes")
    told = ready.good("explain", "ADA@lanternpost.test", "--json").json
    (ada,) = told
    assert (ada["state"], ada["status"], ada["matched"]) == ("synchronised", "subscribed", ada["matched"])
    assert ada["next"] == ["Nothing: both sides are as they should be, or nothing may be written."]
    assert {row["tag"] for row in ada["fields"]} >= {"EMAIL", "FNAME", "LNAME"}
    assert any(done["op"] == "create" for done in ada["history"])
    for who in (ada["entry"], ada["member"], str(ada["link"]), f"link {ada['link']}"):
        assert ready.good("explain", who, "--json").json[0]["link"] == ada["link"]
    text = ready.good("explain", "ada@lanternpost.test").out
    assert "Changes go both ways." in text
    assert "The next run" in text


def test_explain_before_a_sync_and_of_nobody(ready: Desk) -> None:
    (ada,) = ready.good("explain", "ada@lanternpost.test", "--json").json
    assert (ada["state"], ada["entry"]) == ("waiting", None)
    assert any(line.startswith("Create the entry") for line in ada["next"])
    ready.bad("explain", "nobody@lanternpost.test", code=2)
    ready.bad("explain", "99999", code=2)


def test_explain_writes_nothing(ready: Desk) -> None:
    ready.good("sync", "--yes")
    before, connection = ready.writes(), ready.connection()
    ready.good("explain", "ada@lanternpost.test")
    assert (ready.writes(), ready.connection()) == (before, connection)


def test_r40_the_definition_as_a_file(desk: Desk) -> None:
    told = desk.good("setup", "--mxi", "fields.mxi", "--json")
    assert "DetailDef" in Path("fields.mxi").read_text()
    assert len(told.json["steps"]) > 3
    assert not Path("data").exists() or not list(Path("data").rglob("*.db"))


def test_web_serves_until_it_is_stopped(ready: Desk) -> None:
    """In a process of its own: the address, a login link, another link from another process, Ctrl-C."""
    command = [sys.executable, "-c", "from app.cli import main; main()", "web", "--port", "0", "--json"]
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            text = ""
            while "}" not in text:
                line = process.stdout.readline()
                assert line, "it ended"
                text += line
            told = json.loads(text)
            with urllib.request.urlopen(f"{told['url']}/tab") as answer:
                assert "frame-ancestors http://127.0.0.1:" in answer.headers["Content-Security-Policy"]
                assert "server" not in {name.lower() for name in answer.headers}
            port = told["url"].rpartition(":")[2]
            link = ready.good("web", "--port", port, "--link", "--json").json["link"]
            assert re.fullmatch(rf"{re.escape(told['url'])}/default/setup#code=\S+", link)
            code = link.partition("=")[2]
            asked = urllib.request.Request(
                f"{told['url']}/api/session",
                json.dumps({"code": code}).encode(),
                {"Content-Type": "application/json", "Origin": told["url"]},
            )
            with urllib.request.urlopen(asked) as answer:
                assert json.load(answer)["purpose"] == "setup"
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()  # or a test that failed would wait for it


def test_a_login_link_names_its_connection(ready: Desk) -> None:
    ready.good("connections", "add", "north")
    with serving(load_settings("default"), 0) as page:
        for name in ("default", "north"):
            link = ready.good("web", "--port", str(page.site.port), "--link", "--connection", name).out.strip()
            assert re.fullmatch(rf"{re.escape(page.url)}/{name}/setup#code=\S+", link)
    told = ready.bad("web", "--link", "--connection", "nobody", code=2).err
    assert "there is no connection 'nobody'" in told
    assert "default, north" in told
    ready.bad("web", "--link", "--connection", "a/b", code=2)


def test_web_says_where_the_pages_of_the_others_are(ready: Desk) -> None:
    from app.call import Call
    from app.commands.web import others

    call = Call(None, False, False)
    assert others(call) == []
    ready.good("connections", "add", "north")
    (line,) = others(call)
    assert "/north/tab" in line
    assert "maxchimp web --link --connection north" in line
    call.close()


def test_a_port_that_is_taken(ready: Desk) -> None:
    settings = load_settings("default")
    with (
        serving(settings, 0) as page,
        pytest.raises(Misconfigured, match="cannot be used"),
        serving(settings, page.site.port),
    ):
        pass


def test_serving_makes_the_store_and_leaves_nothing_running(desk: Desk) -> None:
    import threading

    before = {thread.name for thread in threading.enumerate()}
    with serving(load_settings("default")) as page:
        assert urllib.request.urlopen(f"{page.url}/health").read() == b"ok\n"
    assert Path("data/local/maxchimp.db").stat().st_mode & 0o077 == 0
    assert {thread.name for thread in threading.enumerate()} <= before | {"AnyIO worker thread"}
    with pytest.raises(OSError):
        urllib.request.urlopen(f"{page.url}/health")


def test_what_the_page_stored_serves_every_command(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the key the values are not there; with it, and nothing in the environment, every command has them."""
    from cryptography.fernet import Fernet

    from flows import kept
    from flows.settings import from_environment

    monkeypatch.setenv("MAXCHIMP_SECRET_KEY", Fernet.generate_key().decode())
    desk.good("setup")
    values = {name: kept.text_of(from_environment(), name) for name in kept.NAMES}
    engine = desk.store()
    kept.keep(engine, from_environment(), values)
    engine.dispose()
    for name in kept.NAMES:
        monkeypatch.delenv(f"MAXCHIMP_{name.upper()}", raising=False)
    assert desk.good("lists", "--json").json
    new, old = Fernet.generate_key().decode(), os.environ["MAXCHIMP_SECRET_KEY"]
    monkeypatch.setenv("MAXCHIMP_SECRET_KEY", f"{new},{old}")
    assert desk.good("lists", "--json").json
    monkeypatch.setenv("MAXCHIMP_SECRET_KEY", new)
    assert "MAXCHIMP_MAILCHIMP_API_KEY" in desk.bad("lists", code=2).err
    monkeypatch.delenv("MAXCHIMP_SECRET_KEY")
    assert "MAXCHIMP_MAILCHIMP_API_KEY" in desk.bad("lists", code=2).err
    monkeypatch.setenv("MAXCHIMP_SECRET_KEY", "no key")
    desk.bad("lists", code=2)
