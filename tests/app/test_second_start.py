"""R36, F1, D1 at the command line, on both databases: a second start, and a start after a process was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from desk import Desk

from sandbox.web import Door, Request, Response


class Held:
    """Keeps the first request of an operation until it may go on."""

    def __init__(self, door: Door, operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.came, self.go_on = threading.Event(), threading.Event()
        handle = door.handle

        def watched(request: Request) -> Response:
            if operation in door.service.operation(request) and not self.came.is_set():
                self.came.set()
                self.go_on.wait(60)
            return handle(request)

        monkeypatch.setattr(door, "handle", watched)


@contextmanager
def maxchimp(*words: str) -> Iterator[subprocess.Popen[str]]:
    """A process of its own, without the checks' library, which takes seconds to start."""
    code = (
        "from functools import partial; from flows import launch; from flows.cycle import Cycle; "
        "launch.Cycle = partial(Cycle, judge=False); from app.cli import main; main()"
    )
    command = [sys.executable, "-c", code, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(params=["sqlite", "postgresql"])
def at_work(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Set up, with the store on each database in turn."""
    if request.param == "postgresql":
        monkeypatch.setenv("MAXCHIMP_DATABASE_URL", request.getfixturevalue("new_database")(True))
    made: Desk = request.getfixturevalue("ready")
    return made


def test_r36_the_second_start_names_the_holder_and_a_killed_one_holds_nothing(
    at_work: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(at_work.doors["maximizer"], "AbEntryCreate", monkeypatch)
    with maxchimp("sync", "--yes") as first:
        assert held.came.wait(60)
        writes = at_work.writes()
        told = at_work.bad("sync", "--yes", code=1)
        assert f"process {first.pid}" in told.err
        assert at_work.writes() == writes
        first.send_signal(signal.SIGKILL)
        first.wait(20)
    held.go_on.set()
    # At once, without waiting for the lease to run out; the one entry that may or may not be there rests.
    again = at_work.good("sync", "--yes", "--json").json
    assert again["state"] == "done"
    at_work.good("settings", "set", "ambiguous_wait=0s")
    at_work.good("sync", "--yes")
    at_work.good("sync", "--yes")
    people = [row["Email1"].lower() for row in at_work.world.maximizer.entries().values() if row["Email1"]]
    assert "ada@lanternpost.test" in people
    assert people.count("ada@lanternpost.test") == people.count("bea@lanternpost.test") == 1
    assert "there is nothing to write" in at_work.good("plan", "--full").out
