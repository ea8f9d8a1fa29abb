"""``maxchimp serve`` as a process of its own: schedules, changes while it runs, backfills, notifications, stopping."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.fernet import Fernet
from quarter import Client
from town import Town

from storage import connections, leases

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("serve")]

MAXCHIMP = str(Path(sys.executable).with_name("maxchimp"))
PATIENCE = 240.0


def until(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError(f"in {PATIENCE:g} seconds not seen: {what}")


class Hook:
    """A web address of somebody who wants to be told."""

    def __init__(self) -> None:
        self.heard: list[dict[str, str]] = []
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/told"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def subjects(self) -> list[str]:
        return [one["subject"] for one in self.heard]


class Served:
    """A running ``serve`` of a town; ``said`` are its lines."""

    def __init__(self, town: Town, hook: Hook) -> None:
        self.town = town
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MAXCHIMP_"))}
        self.environment = clean | town.environment
        self.environment |= {
            "MAXCHIMP_NOTIFY_URL": hook.url,
            "MAXCHIMP_SECRET_KEY": Fernet.generate_key().decode(),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        }
        self.process = subprocess.Popen(
            [MAXCHIMP, "serve", "--port", "0"],
            cwd=town.folder,
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(line.rstrip() for line in self.process.stderr)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [MAXCHIMP, *words],
            check=False,
            cwd=self.town.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    @property
    def marker(self) -> Path:
        return self.town.folder / "serve.json"

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        api = json.loads(self.marker.read_text())["api"]
        with requests.Session() as http:
            http.trust_env = False
            method = "GET" if body is None else "POST"
            answer = http.request(method, f"{api}/{path}", json=body, timeout=90)
            for _ in range(20):  # its SQLite is busy: Prefect's own clients ask again too
                if answer.status_code != 503:
                    break
                time.sleep(0.5)
                answer = http.request(method, f"{api}/{path}", json=body, timeout=90)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def children(self) -> set[int]:
        """Every process that descends from it."""
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                words = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if words[0] != "Z":
                parents[int(stat.parent.name)] = int(words[1])
        family = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in family} - family:
            family |= more
        return family - {self.process.pid}


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.close()


@pytest.fixture
def served(town: Town, hook: Hook) -> Iterator[Served]:
    found = connections.find(town.engine, "default")
    assert found is not None
    connections.update(town.engine, found.id, synced=True)
    town.set(interval=10.0)
    town.add(4)
    made = Served(town, hook)
    yield made
    if made.process.poll() is None:
        made.process.kill()
    made.process.wait()
    made.reader.join(5)
    assert made.process.stderr is not None
    made.process.stderr.close()


def schedule(served: Served, name: str) -> list[float]:
    """Seconds between the ticks of a deployment, [] when there are none."""
    return [row["schedule"]["interval"] for row in served.ask(f"deployments/name/{name}")["schedules"]]


def exists(served: Served, name: str) -> bool:
    try:
        return bool(served.ask(f"deployments/name/{name}"))
    except AssertionError:
        return False


def test_serve_does_it_all_by_itself_until_it_is_stopped(served: Served, town: Town, hook: Hook) -> None:
    until(served.marker.exists, "the marker")
    _a_second_one_says_so(served)
    until(lambda: [run for run in town.runs() if run.state == "done"], "a scheduled run")
    assert town.members() == 4

    _people_are_told_once(town, hook)
    _changes_take_effect(served, town)
    _a_backfill_never_runs_beside_a_cycle(served, town)
    _it_ends_cleanly(served, town)


def _a_second_one_says_so(served: Served) -> None:
    second = served.command("serve", "--port", "0")
    assert second.returncode == 1
    assert f"runs already for {served.town.folder}, process {served.process.pid}" in second.stderr
    assert served.process.poll() is None
    assert served.marker.exists()


def _people_are_told_once(town: Town, hook: Hook) -> None:
    key, town.mailchimp.api_key = town.mailchimp.api_key, "0" * 32 + "-us6"
    until(lambda: [run.state for run in town.runs()[:2]] == ["failed"] * 2, "two failed cycles")
    town.mailchimp.api_key = key
    until(lambda: len(hook.heard) >= 2, "a second notification")
    assert hook.subjects() == ["maxchimp: default failed", "maxchimp: default recovered"]
    assert "Mailchimp does not know this API key" in hook.heard[0]["body"]
    assert not [secret for secret in town.secrets() if secret in str(hook.heard)]


def _changes_take_effect(served: Served, town: Town) -> None:
    """A changed interval and a new connection, without a restart (R33)."""
    assert schedule(served, "sync/default") == [10.0]
    assert served.command("settings", "set", "interval=45m").returncode == 0
    until(lambda: schedule(served, "sync/default") == [2700.0], "the new interval")
    north = Town(town.folder, url=town.environment["MAXCHIMP_DATABASE_URL"], name="north", seed=6)
    served.environment |= north.own()
    assert served.command("setup", "--connection", "north").returncode == 0
    north.close()
    until(lambda: exists(served, "backfill/north"), "the new connection's deployments")
    assert schedule(served, "sync/north") == [3600.0]
    assert schedule(served, "backfill/north") == []
    page = _the_page_serves_it(served)
    assert served.command("connections", "remove", "north", "--yes").returncode == 0
    assert page.get("/setup").status_code == 404
    until(lambda: not exists(served, "sync/north"), "the removed connection's deployments to go")


def _the_page_serves_it(served: Served) -> Client:
    """Below its name, with a login link of its own; the next run is told while something schedules it."""
    url = next(re.findall(r"http://127\.0\.0\.1:\d+", line)[0] for line in served.said if "set-up, once" in line)
    port = url.rpartition(":")[2]
    for name in ("default", "north"):
        page = Client(url, f"/{name}")
        link = served.command("web", "--link", "--connection", name, "--port", port).stdout.strip()
        code = link.partition(f"{url}/{name}/setup#code=")[2]
        page.token = page.post("/api/session", {"code": code}).json()["token"]
        until(lambda page=page: "about" in page.post("/api/setup/next").text, f"the next run of {name}")
        assert page.post("/api/setup/runs").status_code == 200
    row = served.ask("deployments/name/sync/north")
    served.ask(f"deployments/{row['id']}/pause_deployment", {})
    until(lambda: "nothing schedules runs here" in page.post("/api/setup/next").text, "the pause of north")
    return page


def _a_backfill_never_runs_beside_a_cycle(served: Served, town: Town) -> None:
    """One from Prefect's own page meets a connection in use: the next cycle reads everything (R34, R36)."""
    found = connections.find(town.engine, "default")
    assert found is not None
    until(lambda: leases.held_by(town.engine, found.id) is None, "the end of the last cycle")
    held = leases.acquire(town.engine, found.id, "maxchimp on a far machine")
    before = len(town.runs())
    deployment = served.ask("deployments/name/backfill/default")["id"]
    asked = served.ask(f"deployments/{deployment}/create_flow_run", {"state": {"type": "SCHEDULED"}})["id"]
    ended = until(lambda: _ended(served, asked), "the end of the backfill")
    assert ended["type"] == "COMPLETED"
    assert "maxchimp on a far machine; the next cycle reads everything" in ended["message"]
    assert len(town.runs()) == before
    held.release()
    assert served.command("sync").returncode == 0  # goes through serve, as a flow run of its own
    assert town.runs()[0].full
    assert town.runs()[0].facts["flow_run"].startswith("sync default, run ")


def _ended(served: Served, flow_run: str) -> Any:
    state = served.ask(f"flow_runs/{flow_run}")["state"]
    return state if state["type"] in ("COMPLETED", "FAILED", "CANCELLED", "CRASHED") else None


def _it_ends_cleanly(served: Served, town: Town) -> None:
    """SIGTERM in the middle of a cycle: it finishes what is in flight, nothing is left, the marker goes (F8)."""
    for door in town.doors.values():
        door.latency_ms = 700.0
    town.later()
    deployment = served.ask("deployments/name/backfill/default")["id"]
    served.ask(f"deployments/{deployment}/create_flow_run", {"state": {"type": "SCHEDULED"}})
    until(lambda: town.runs()[0].state == "running", "a running cycle")
    family = served.children()
    assert len(family) >= 3  # server, worker, run
    begun = time.monotonic()
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(130) == 0
    assert time.monotonic() - begun < 130
    assert served.said[-1] == "stopped"
    assert not served.marker.exists()
    assert not family & {pid for pid in family if Path(f"/proc/{pid}").exists()}
    last = town.runs()[0]
    assert last.state in ("done", "partial", "failed")
    assert "interrupted" not in (last.reason or "")
    found = connections.find(town.engine, "default")
    assert found is not None
    assert leases.held_by(town.engine, found.id) is None


def test_serve_refuses_prefects_own_key(town: Town, hook: Hook) -> None:
    """Before anything is started (hazard S21)."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MAXCHIMP_"))}
    environment |= town.environment | {"MAXCHIMP_NOTIFY_URL": hook.url}
    told = subprocess.run(
        [MAXCHIMP, "serve", "--port", "0"],
        check=False,
        cwd=town.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.returncode == 2
    assert "MAXCHIMP_NOTIFY_URL" in told.stderr
    assert not (town.folder / "logs" / "prefect-server.log").exists()
