"""Where a cycle runs, what a caller gets of it, and how it stops: without a Prefect server."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from town import Town

from domain.errors import Blocked, Incomplete, LeaseHeld, Misconfigured
from flows import launch as launching
from flows.asked import Asked
from flows.cycle import Cycle
from flows.launch import at_home, launch, serving_api
from storage import leases

DEAD = "http://127.0.0.1:9/api"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cycles go without the checks' library, which takes seconds to start, and never through Prefect."""
    monkeypatch.setitem(sys.modules, "flows.sync", None)
    plain = Cycle

    def without_checks(*given: Any, **more: Any) -> Cycle:
        return plain(*given, judge=False, **more)

    monkeypatch.setattr(launching, "Cycle", without_checks)


def run(town: Town, *, progress: Callable[[str], None] = lambda text: None, **asked: Any) -> dict[str, Any]:
    return launch("default", Asked(**asked), progress=progress, settings=town.settings)


# --- the document ------------------------------------------------------------------------------------------------


def test_without_an_api_the_cycle_runs_in_this_process(town: Town) -> None:
    town.add(3)
    told = run(town, yes=True)
    assert told["state"] == "done"
    assert told["kind"] == "sync"
    assert told["counts"]["mailchimp"] == {"create": 3, "update": 0, "failed": 0}
    assert town.members() == 3
    assert town.runs()[0].id == told["run"]


def test_a_plan_never_asks_for_an_api(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", DEAD)
    town.add(2)
    writes = town.writes()
    told = run(town, kind="plan")
    assert (told["state"], told["counts"]["mailchimp"]["create"]) == ("planned", 2)
    assert town.writes() == writes


def test_a_backfill_is_told_as_one(town: Town) -> None:
    town.add(1)
    assert run(town, kind="backfill", yes=True)["kind"] == "backfill"


def test_progress_names_the_stages_and_counts(town: Town) -> None:
    town.add(2)
    heard: list[str] = []
    run(town, yes=True, progress=heard.append)
    assert [text for text in heard if text in ("prepare", "load")] == ["prepare", "load"]
    assert heard[-1] == "wrote or skipped 4 of 4 changes"


# --- errors carry the document -----------------------------------------------------------------------------------


def test_a_held_first_sync_carries_its_document(town: Town) -> None:
    town.add(2)
    writes = town.writes()
    with pytest.raises(Blocked) as refusal:
        run(town)
    assert refusal.value.result is not None
    assert refusal.value.result["state"] == "blocked"
    assert refusal.value.result["reason"] == refusal.value.message
    assert refusal.value.result["counts"]["mailchimp"]["create"] == 2
    assert town.writes() == writes


def test_an_api_that_does_not_answer_is_told_before_a_run_is_opened(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", DEAD)
    with pytest.raises(Incomplete, match="PREFECT_API_URL") as problem:
        run(town)
    assert problem.value.result is None
    assert town.runs() == []


def test_r36_a_second_start_says_who_holds_the_connection(town: Town) -> None:
    found = leases.acquire(town.engine, 1, "maxchimp on a far machine")
    with pytest.raises(LeaseHeld, match="maxchimp on a far machine") as held:
        run(town)
    assert held.value.result is None
    found.release()


def test_a_store_without_set_up_names_the_command(tmp_path: Path) -> None:
    town = Town(tmp_path)
    with pytest.raises(Misconfigured) as problem:
        run(town)
    assert problem.value.remedy == "run: maxchimp setup"
    town.close()


def test_an_unknown_connection_names_the_command(town: Town) -> None:
    with pytest.raises(Misconfigured, match="'north'") as problem:
        launch("north", Asked(), settings=town.settings)
    assert problem.value.remedy == "run: maxchimp setup --connection north"


# --- stopping ----------------------------------------------------------------------------------------------------


def _at(word: str, number: int) -> Callable[[str], None]:
    """Send ourselves a signal at the first progress message with that word."""
    waiting = [number]

    def heard(text: str) -> None:
        if text.startswith(word) and waiting:
            os.kill(os.getpid(), waiting.pop())

    return heard


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_f8_a_signal_lets_finish_what_is_in_flight(town: Town, number: int) -> None:
    town.add(40)
    before = signal.getsignal(number)
    with pytest.raises(Incomplete, match="stopped on request") as stopped:
        run(town, yes=True, progress=_at("wrote", number))
    assert signal.getsignal(number) is before
    told = stopped.value.result
    assert told is not None
    assert told["state"] == "partial"
    assert told["counts"]["mailchimp"]["create"] == town.members() == 40
    assert told["counts"]["maximizer"]["update"] == 0
    town.later()
    again = run(town, yes=True)
    assert again["state"] == "done"
    assert again["counts"]["maximizer"]["update"] == 40
    assert town.members() == 40


def test_f8_a_signal_while_reading_writes_nothing(town: Town) -> None:
    town.add(2)
    writes = town.writes()
    with pytest.raises(Incomplete, match="stopped on request") as stopped:
        run(town, yes=True, progress=_at("extract", signal.SIGTERM))
    assert stopped.value.result is not None
    assert stopped.value.result["state"] == "failed"
    assert town.writes() == writes


def test_a_second_ctrl_c_ends_at_once_and_closes_the_run(town: Town) -> None:
    town.add(2)

    def impatient(text: str) -> None:
        if text == "load":
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Incomplete, match="stopped on request") as stopped:
        run(town, yes=True, progress=impatient)
    assert stopped.value.result is not None
    assert stopped.value.result["state"] == "failed"
    assert "interrupted" in stopped.value.result["reason"]


def test_a_cycle_in_another_thread_leaves_the_signals_alone(town: Town) -> None:
    town.add(1)
    told: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: told.append(run(town, yes=True)))
    thread.start()
    thread.join()
    assert told[0]["state"] == "done"


# --- Prefect's whereabouts ---------------------------------------------------------------------------------------


@pytest.fixture
def api() -> Iterator[str]:
    """Something that answers like a sound Prefect server."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/api/health" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()
        thread.join()


def test_serve_is_found_by_its_marker(tmp_path: Path, api: str) -> None:
    assert serving_api(tmp_path) is None
    (tmp_path / "serve.json").write_text(json.dumps({"api": api, "pid": os.getpid()}))
    assert serving_api(tmp_path) == api


@pytest.mark.parametrize(
    "marker",
    [
        "",
        "[]",
        '{"api": "http://127.0.0.1:9/api"}',
        '{"api": "http://127.0.0.1:9/api", "pid": 1}',
        '{"api": "https://elsewhere.test/api", "pid": 1}',
        '{"api": "http://127.0.0.1:9/api", "pid": "x"}',
        '{"api": "http://127.0.0.1:9/api", "pid": -1}',
    ],
)
def test_a_marker_that_leads_nowhere_is_no_api(tmp_path: Path, marker: str) -> None:
    (tmp_path / "serve.json").write_text(marker)
    assert serving_api(tmp_path) is None


def test_a_marker_of_a_dead_process_is_no_api(tmp_path: Path, api: str) -> None:
    (tmp_path / "serve.json").write_text(json.dumps({"api": api, "pid": 2**22 + 1}))
    assert serving_api(tmp_path) is None


def test_home_never_overrides_what_the_user_has_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", "/elsewhere")
    monkeypatch.delenv("PREFECT_SERVER_EPHEMERAL_ENABLED", raising=False)
    at_home(tmp_path)
    assert os.environ["PREFECT_HOME"] == "/elsewhere"
    assert os.environ["PREFECT_SERVER_EPHEMERAL_ENABLED"] == "false"
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
