"""What holds for every command: help, errors, logs, progress, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import typer.main
from desk import Desk

from app import progress, show
from app.cli import app
from sandbox.web import Door, Request, Response
from storage import runs

COMMANDS = {
    "setup", "check", "lists", "fields", "map list", "map add", "map modify", "map remove", "settings show",
    "settings set", "plan", "sync", "backfill", "runs", "runs show", "quarantine list", "quarantine release", "sandbox",
    "demo", "report", "store copy", "web", "explain", "serve", "deploy", "connections add", "connections list",
    "connections show", "connections remove",
}  # fmt: skip


def _commands(group: Any = None, path: str = "") -> Iterator[tuple[str, Any]]:
    group = group or typer.main.get_command(app)
    for name, found in group.commands.items():
        words = f"{path} {name}".strip()
        inner = getattr(found, "commands", None)
        if inner is None or found.invoke_without_command:
            yield words, found
        if inner is not None:
            yield from _commands(found, words)


def test_every_command_explains_itself() -> None:
    found = dict(_commands())
    assert found.keys() == COMMANDS
    for name, made in found.items():
        assert made.help, name
        options = {option: parameter for parameter in made.params for option in parameter.opts}
        assert options.keys() >= {"--connection", "--json", "--verbose"}, name
        assert all(getattr(parameter, "help", "") for parameter in made.params if parameter.name != "ctx"), name


def test_help_of_a_command(desk: Desk) -> None:
    assert "--plan" in desk.good("sync", "--help").out
    assert "Exit codes" in desk.good("--help").out


def test_help_imports_nothing_slow() -> None:
    code = "import sys, app.cli; print([m for m in sys.argv[1:] if m in sys.modules])"
    slow = ["pandas", "sqlalchemy", "prefect", "great_expectations", "pydantic", "requests", "rich"]
    done = subprocess.run([sys.executable, "-c", code, *slow], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "words",
    [["nonsense"], ["sync", "--nonsense"], ["runs", "show"], ["runs", "show", "x"], ["sync", "--plan", "x"],
     ["sync", "--plan", "1", "--full"], ["runs", "--json", "show", "1"], ["sandbox", "--profile", "moon"]],
)  # fmt: skip
def test_wrong_usage(ready: Desk, words: list[str]) -> None:
    told = ready.bad(*words, "--json", code=2)
    assert told.json["exit"] == 2


def test_group_without_a_command_shows_its_commands(desk: Desk) -> None:
    told = desk("map")
    assert (told.code, told.out) == (2, "")
    assert "modify" in told.err


def test_unexpected_error_goes_to_the_log_only(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object, **more: object) -> None:
        raise RuntimeError("somebody@lanternpost.test sandbox-password")

    monkeypatch.setattr(runs, "latest", broken)
    told = ready.bad("runs", "--json", code=1)
    assert told.json["error"] == "unexpected error (RuntimeError)"
    log = (ready.folder / "data/local/logs/maxchimp.log").read_text()
    assert "Traceback" in log
    assert "test_doors.py" in log
    assert "RuntimeError" in log


def test_r50_log_is_private_and_without_secrets_or_addresses(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ready.good("sync", "--yes", "--verbose")
    verbose = ready("map", "add", "EMAIL", "someone@lanternpost.test", "--verbose").err
    monkeypatch.setenv("MAXCHIMP_MAXIMIZER_PASSWORD", "another-password")
    verbose += ready("sync", "--verbose").err
    path = ready.folder / "data/local/logs/maxchimp.log"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    text = path.read_text()
    assert "run 1 (sync) done" in text
    assert "Authenticate" in verbose
    key = os.environ["MAXCHIMP_MAILCHIMP_API_KEY"].partition("-")[0]
    for secret in (key, "sandbox-password", "another-password"):
        assert secret not in text + verbose
    assert "@" not in text


def test_demo_and_sandbox_need_no_settings(desk: Desk) -> None:
    told = desk.bad("sandbox", "--faults", "mailchimp:nonsense=1", code=2)
    assert "kinds" in told.err
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert "choose another --port" in desk.bad("sandbox", "--port", port, "--people", "1", code=2).err
    assert not (desk.folder / "data").exists()


@pytest.mark.parametrize("words", [["--json"], ["--profile", "cloud"]])
def test_sandbox_runs_until_stopped(desk: Desk, words: list[str]) -> None:
    with _maxchimp("sandbox", "--people", "2", *words) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not (lines and lines[-1].startswith(("# list", "}"))):
            lines.append(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert err == ""
    text = "".join(lines)
    values = json.loads(text)["settings"] if words == ["--json"] else dict(x.split("=", 1) for x in lines[:-1])
    assert values["MAXCHIMP_MAILCHIMP_API_KEY"]


class Notice:
    """Stops the first request of an operation until it may go on, so that a test can act in the middle."""

    def __init__(self, door: Door, operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.came, self.go_on = threading.Event(), threading.Event()
        handle = door.handle

        def watched(request: Request) -> Response:
            if operation in door.service.operation(request) and not self.came.is_set():
                self.came.set()
                self.go_on.wait(60)
            return handle(request)

        monkeypatch.setattr(door, "handle", watched)


def test_ctrl_c_in_the_middle_of_writing(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    notice = Notice(ready.doors["maximizer"], "AbEntryCreate", monkeypatch)
    ready.doors["maximizer"].latency_ms = 20
    with _maxchimp("sync", "--yes", "--json") as process:
        assert notice.came.wait(60)
        process.send_signal(signal.SIGINT)
        notice.go_on.set()
        out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in out + err
    assert [line for line in err.splitlines() if line.startswith("maxchimp: stopped")]
    document = json.loads(out)
    assert (document["state"], document["kind"]) == ("partial", "sync")
    again = ready.good("sync", "--yes", "--json").json
    assert again["state"] == "done"
    people = [row["Email1"] for row in ready.world.maximizer.entries().values() if row["Email1"]]
    assert len(people) == len({address.lower() for address in people})
    assert "there is nothing to write" in ready.good("plan", "--full").out


def test_sigterm_while_reading_and_again(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    notice = Notice(ready.doors["mailchimp"], "members", monkeypatch)
    with _maxchimp("sync", "--yes") as process:
        assert notice.came.wait(60)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        notice.go_on.set()
        _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in err
    assert ready.good("runs", "--json").json[0]["state"] == "failed"


def test_reader_of_the_output_goes_away(ready: Desk) -> None:
    with _maxchimp("fields") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
        process.wait(20)
    assert err == ""


@contextmanager
def _maxchimp(*words: str) -> Iterator[subprocess.Popen[str]]:
    """A process of its own, which does not outlive a test that failed."""
    command = [sys.executable, "-c", "from app.cli import main; main()", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_progress_tells_after_a_while(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = threading.Event()

    def told_at_once(self: progress.Progress, text: str) -> None:
        print(text, file=sys.stderr)
        shown.set()

    monkeypatch.setattr(progress.Progress, "_print", told_at_once)
    quiet = progress.Progress(after=60)
    quiet("extract")
    quiet.close()
    told = progress.Progress(after=0.01)
    told("extract")
    assert shown.wait(10)
    told.close()
    assert capsys.readouterr() == ("", "reading both sides\n")


def test_text_is_cleaned() -> None:
    assert show.clean("a\x1b[31m\u202eb\r\n") == "a\\x1b[31m\\u202eb\\r\n"
