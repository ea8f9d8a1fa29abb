"""Many connections, two workers, one store in PostgreSQL, one Prefect server: all real processes, on this machine."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import select
from town import Town

from flows.launch import at_home
from flows.server import Child, PrefectServer, worker
from storage import connections, leases
from storage.engine import reading
from storage.tables import change, run

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.xdist_group("many"),
    pytest.mark.skipif(
        not os.environ.get("MAXCHIMP_TEST_MANY"),
        reason="four minutes of real schedules, upset by a busy machine: set MAXCHIMP_TEST_MANY=1 to run it",
    ),
]

QUICK = ("north", "south", "east", "west", "hill", "lake", "mill", "park", "quay")
NAMES = (*QUICK, "far")
PEOPLE = 12
SOON, PATIENCE = 30.0, 300.0


@pytest.fixture
def url(new_database: Callable[[bool], str]) -> str:
    return new_database(False)


@pytest.fixture
def towns(tmp_path: Path, url: str) -> Iterator[dict[str, Town]]:
    """Connections that are set up, each with a pair of services of its own; ``far`` has a slow line."""
    made = {}
    for seed, name in enumerate(NAMES):
        made[name] = Town(tmp_path, url=url, name=name, seed=seed).setup()
        made[name].add(PEOPLE)
        found = connections.find(made[name].engine, name)
        assert found is not None
        connections.update(made[name].engine, found.id, synced=True)  # its first sync was let through
        # What a killed run left uncertain is looked up by the next one already, not after five minutes.
        # A run that the killed worker had just taken is lost with it: the next tick must not be an hour away.
        made[name].set(interval=15.0 if name == "far" else 90.0, ambiguous_wait=1.0)
    for door in made["far"].doors.values():
        door.latency_ms = 400.0
    yield made
    for town in made.values():
        town.close()


@pytest.fixture
def environment(tmp_path: Path, towns: dict[str, Town], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "MAXCHIMP_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_WORKER_QUERY_SECONDS", "1")
    monkeypatch.setenv("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "30")
    at_home(tmp_path)
    for town in towns.values():
        for name, value in town.own().items():
            monkeypatch.setenv(name, value)
    return dict(os.environ)


def until(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError(f"in {PATIENCE:g} seconds not seen: {what}")


def test_connections_share_two_workers_and_one_may_die(
    towns: dict[str, Town], environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scheduled runs appear, a worker and its run are killed in mid-write, everything completes, nothing twice."""
    with ExitStack() as stack:
        server = stack.enter_context(PrefectServer(tmp_path / "server.log", environment=environment))
        server.wait()
        environment["PREFECT_API_URL"] = server.api
        monkeypatch.setenv("PREFECT_API_URL", server.api)
        from flows import automations
        from flows.deploy import deploy

        # A run that fell silent is given up after its heartbeat is missed once, not thrice.
        monkeypatch.setattr(automations, "SILENCE", timedelta(seconds=40))
        far = towns["far"]
        for town in towns.values():  # ticks are counted from when a connection was made: the first comes soon
            found = connections.find(town.engine, town.name)
            assert found is not None
            connections.update(town.engine, found.id, created_at=time.time() + SOON)
        done = deploy(far.settings, far.engine, pool="machines")
        assert len([line for line in done if line.startswith("sync/")]) == len(towns)
        assert _without_reports(server) == len(towns)
        workers = [
            stack.enter_context(worker("machines", tmp_path / f"{name}.log", environment, at_once=2, name=name))
            for name in ("one", "two")
        ]

        killed = until(lambda: _in_mid_write(far), "a run of far that has written something")
        lost = _kill(killed, workers)
        written = far.members()
        assert 0 < written <= PEOPLE

        for name in QUICK:
            until(partial(_complete, towns[name]), f"a complete cycle of {name}")
        for door in far.doors.values():
            door.latency_ms = 0.0
        until(lambda: _complete(far), "a complete cycle of far after the kill")
        until(lambda: _scheduled_by_prefect(server) >= len(towns), "runs that the scheduler made, completed")
        assert lost.ended
        assert not workers[1 - workers.index(lost)].ended
    for town in towns.values():
        _nothing_twice(town)
    broken = [run for run in far.runs() if run.state in ("failed", "partial")]
    assert [run.reason for run in broken] == ["interrupted"]
    assert "done" in {run.state for run in far.runs()}


def _complete(town: Town) -> bool:
    return any(run.state == "done" for run in town.runs()) and town.members() == PEOPLE


def _in_mid_write(town: Town) -> int:
    """Process id of the run that goes on and has written to Mailchimp, 0 when there is none."""
    found = connections.find(town.engine, town.name)
    assert found is not None
    held = leases.held_by(town.engine, found.id)
    writing = sum("lists" in call.path and call.method == "POST" for call in town.doors["mailchimp"].mutations())
    if held is None or not writing or not town.members():
        return 0
    matched = re.search(r"process (\d+)$", held[0])
    return int(matched[1]) if matched else 0


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _kill(pid: int, workers: list[Child]) -> Child:
    """Kill the worker that started this process, then everything between it and the process."""
    by_pid = {child.pid: child for child in workers}
    line = [pid]
    while line[-1] not in by_pid:
        line.append(_parent(line[-1]))
        assert line[-1] > 1, "no worker started this run"
    for one in reversed(line):
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    return by_pid[line[-1]]


def _without_reports(server: PrefectServer) -> int:
    """Pause the daily reports, as on Prefect's own page: they are due at once too, ten processes more. How many."""
    from flows.deployments import talking

    with talking(server.api) as client:
        reports = [made.id for made in client.read_deployments() if "quality" in str(made.entrypoint)]
        for one in reports:
            client.pause_deployment(one)
    return len(reports)


def _scheduled_by_prefect(server: PrefectServer) -> int:
    """Runs that the scheduler made and that were completed."""
    with requests.Session() as http:
        http.trust_env = False
        asked = {"limit": 200, "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
        rows = http.post(f"{server.api}/flow_runs/filter", json=asked, timeout=60).json()
    return sum(row["auto_scheduled"] for row in rows)


def _nothing_twice(town: Town) -> None:
    """Everybody is a member once, no address was created twice, no write of ours is left uncertain."""
    addresses = [member["email_address"] for member in town.mailchimp.members(town.world.list_id)]
    assert len(addresses) == len(set(addresses)) == PEOPLE
    created = [t.email.lower() for t in town.mailchimp.history if t.before is None]
    assert len(created) == len(set(created)) == PEOPLE
    people = [entry for entry in town.maximizer.entries().values() if entry["Type"] != "Company"]
    assert len(people) == PEOPLE
    found = connections.find(town.engine, town.name)
    assert found is not None
    with reading(town.engine) as db:
        ours = select(change.c.state).join(run, run.c.id == change.c.run_id)
        # A run that the end of the workers found at work leaves what it had announced to the next one.
        states = set(db.execute(ours.where(run.c.connection_id == found.id, run.c.state == "done")).scalars())
    assert states <= {"done", "discarded", "skipped"}, town.name
