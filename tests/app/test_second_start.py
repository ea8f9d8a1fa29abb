"""R36, F1, D1 at the command line, on both databases: a second start, and a start after a process was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from desk import Desk

from sandbox.web import Door, Request, Response
from storage import connections
from storage.engine import begin, open_store
from storage.tables import claim


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


def test_r36_two_connections_of_one_pair_at_the_same_moment_make_nobody_twice(at_work: Desk) -> None:
    """As an older version set them up, and neither has the pair yet: one gets it, the other says who has it."""
    names = ("default", "twin")
    engine = open_store(os.environ.get("MAXCHIMP_DATABASE_URL") or str(at_work.store().url))
    first, twin = connections.find(engine, "default"), connections.create(engine, "twin", 1.0)
    assert first is not None
    columns = ("account_id", "list_id", "list_name", "address_book", "flag_ref", "marker_ref", "dialect", "traits")
    connections.update(engine, twin.id, **{name: getattr(first, name) for name in columns})
    for mapping in connections.mappings(engine, first.id):
        connections.put_mapping(engine, twin.id, mapping)
    with begin(engine) as db:
        db.execute(claim.delete())
    for n in range(12):
        at_work.world.mailchimp.subscribe(at_work.world.list_id, f"p{n}@lanternpost.test", {"LNAME": f"Reed{n}"}, [])
    with ExitStack() as stack:
        processes = {n: stack.enter_context(maxchimp("sync", "--yes", "--connection", n)) for n in names}
        ended = {name: (process.communicate(timeout=300), process.returncode) for name, process in processes.items()}
    assert sorted(code for _, code in ended.values()) == [0, 7], ended
    ((refused, told),) = [(name, err) for name, ((_, err), code) in ended.items() if code]
    (winner,) = set(names) - {refused}
    assert f"with the connection '{winner}' already" in told
    assert "Traceback" not in told
    people = [row["Email1"].lower() for row in at_work.world.maximizer.entries().values() if row["Email1"]]
    assert [people.count(f"p{n}@lanternpost.test") for n in range(12)] == [1] * 12
    assert "already" in at_work.bad("sync", "--yes", "--connection", refused, code=7).err
    at_work.good("sync", "--connection", winner)
    assert "there is nothing to write" in at_work.good("plan", "--full", "--connection", winner).out
    engine.dispose()
