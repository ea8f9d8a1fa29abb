"""Cycles as Prefect flow runs, against one real server: what it sees, and what it never gets to see."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from town import Town

from domain.errors import Blocked, Incomplete, LeaseHeld, Misconfigured
from flows import launch as launching
from flows.asked import Asked
from flows.cycle import Cycle
from flows.launch import at_home, launch
from flows.server import PrefectServer
from flows.upcoming import Upcoming, next_run
from storage import connections, leases
from storage.engine import begin

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]

ROOT = Path(__file__).resolve().parents[2]
STAGES = ["prepare", "recover", "extract", "check-snapshots", "decide", "check-changes", "load"]
SIDES = ["mailchimp", "maximizer"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A Prefect server of this session with a home of its own; everything it and its clients log is at DEBUG."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PREFECT_")]:
            patch.delenv(name)
        patch.setenv("PREFECT_LOGGING_LEVEL", "DEBUG")
        before = set(os.environ)
        at_home(home)
        with PrefectServer(home / "prefect" / "server.log") as started:
            started.wait()
            import prefect  # noqa: F401  # reads the environment as it is now

            yield started
        for name in set(os.environ) - before:
            del os.environ[name]


@pytest.fixture(autouse=True)
def through_it(server: PrefectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cycles go through the server, and without the checks' library, which takes seconds to start."""
    monkeypatch.setenv("PREFECT_API_URL", server.api)

    def without_checks(*given: Any, **more: Any) -> Cycle:
        return Cycle(*given, judge=False, **more)

    monkeypatch.setattr(launching, "Cycle", without_checks)


def run(town: Town, **asked: Any) -> dict[str, Any]:
    town.later()
    return launch("default", Asked(**asked), settings=town.settings)


def asked(server: PrefectServer, what: str, **filters: Any) -> list[dict[str, Any]]:
    """Rows of the server's own API."""
    with requests.Session() as http:
        http.trust_env = False
        answer = http.post(f"{server.api}/{what}/filter", json=filters, timeout=60)
    assert answer.status_code == 200
    return list(answer.json())


def latest(server: PrefectServer) -> dict[str, Any]:
    """The run that began last; what a schedule has made for later does not count."""
    begun = {"start_time": {"is_null_": False}}
    return asked(server, "flow_runs", sort="START_TIME_DESC", limit=1, flow_runs=begun)[0]


def tasks(server: PrefectServer, flow_run: dict[str, Any]) -> list[dict[str, Any]]:
    """Task runs of a flow run in order, once the server has recorded that all have ended."""
    only = {"id": {"any_": [flow_run["id"]]}}
    until = time.monotonic() + 120
    while True:
        found = asked(server, "task_runs", flow_runs=only)
        if found and all(task["state_type"] in ("COMPLETED", "FAILED") for task in found):
            return sorted(found, key=lambda task: str(task["start_time"]))
        assert time.monotonic() < until, found
        time.sleep(0.1)


def test_stages_are_tasks_and_rows_never_are(town: Town, server: PrefectServer) -> None:
    town.add(30)
    told = run(town, yes=True)
    assert told["counts"]["mailchimp"]["create"] == 30
    seen = latest(server)
    assert seen["state_type"] == "COMPLETED"
    assert seen["name"] == f"sync default, run {told['run']}"
    assert seen["parameters"] == {"connection": "default", "full": False}
    listed = tasks(server, seen)
    assert [task["name"] for task in listed] == STAGES
    assert {task["state_type"] for task in listed} == {"COMPLETED"}
    assert [sorted(task["tags"]) for task in listed] == [
        ["maxchimp"] if name.startswith("check") or name == "decide" else SIDES for name in STAGES
    ]
    assert all(task["task_inputs"] == {} for task in listed)
    assert town.runs()[0].facts["flow_run"] == seen["name"]
    assert list(town.runs()[0].facts["stages"]) == STAGES


def test_the_artifact_has_counts_and_nobody_in_it(town: Town, server: PrefectServer) -> None:
    town.add(4)
    told = run(town, kind="backfill", yes=True)
    seen = latest(server)
    assert seen["parameters"] == {"connection": "default"}
    (artifact,) = asked(server, "artifacts", artifacts={"flow_run_id": {"any_": [seen["id"]]}})
    assert artifact["key"] == "backfill-default"
    assert f"# Run {told['run']}: backfill, done" in artifact["data"]
    assert "| Mailchimp | 0 | 4 | 0 | 0 |" in artifact["data"]
    assert "@" not in artifact["data"]
    assert not [secret for secret in town.secrets() if secret in str(artifact)]


def test_a_refused_run_fails_with_its_sentence(town: Town, server: PrefectServer) -> None:
    town.add(3)
    with pytest.raises(Blocked) as refusal:
        run(town)
    assert refusal.value.result is not None
    assert refusal.value.result["state"] == "blocked"
    seen = latest(server)
    assert seen["state_type"] == "FAILED"
    assert seen["state"]["message"].startswith(refusal.value.message)
    assert [task["name"] for task in tasks(server, seen) if task["state_type"] == "FAILED"] == ["check-changes"]
    lines = asked(server, "logs", logs={"flow_run_id": {"any_": [seen["id"]]}})
    assert lines
    assert not [line["message"] for line in lines if "Traceback" in line["message"]]


def test_f3_the_lease_decides_not_prefect(town: Town, server: PrefectServer) -> None:
    held = leases.acquire(town.engine, 1, "maxchimp on a far machine")
    with pytest.raises(LeaseHeld) as problem:
        run(town)
    assert problem.value.result is None
    assert "maxchimp on a far machine" in latest(server)["state"]["message"]
    held.release()


def test_f8_a_signal_stops_a_flow_run_too(town: Town, server: PrefectServer) -> None:
    town.add(40)
    sent: list[int] = []

    def heard(text: str) -> None:
        if text.startswith("wrote") and not sent:
            sent.append(signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)

    town.later()
    with pytest.raises(Incomplete, match="stopped on request") as stopped:
        launch("default", Asked(yes=True), progress=heard, settings=town.settings)
    assert stopped.value.result is not None
    assert stopped.value.result["state"] == "partial"
    assert latest(server)["state_type"] == "FAILED"
    assert run(town, yes=True)["state"] == "done"


def test_a_deployment_makes_its_cycle_of_the_settings(
    town: Town, server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a worker does: it loads ``flows.sync.sync`` and calls it with plain names."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.sync import sync

    for name, value in town.environment.items():
        monkeypatch.setenv(name, value)
    town.add(1)
    run(town, yes=True)
    town.later()
    with temporary_settings({PREFECT_API_URL: server.api}):
        counts = sync("default")
        state = sync("north", return_state=True)
    assert counts["mailchimp"] == {"create": 0, "update": 0, "failed": 0}
    assert town.runs()[0].kind == "sync"
    assert state.is_failed()
    assert "'north' has not been set up" in str(state.message)


# --- what a schedule makes due -----------------------------------------------------------------------------------


@pytest.fixture
def on_a_worker(town: Town, server: PrefectServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    """The settings come from the environment, as they do where a worker runs; the first sync is done."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    for name, value in town.environment.items():
        monkeypatch.setenv(name, value)
    town.add(2)
    run(town, yes=True)
    town.later()
    with temporary_settings({PREFECT_API_URL: server.api}):
        yield town


def test_r36_what_is_due_leaves_a_connection_in_use_to_its_holder(on_a_worker: Town) -> None:
    from flows.sync import backfill, sync

    held = leases.acquire(on_a_worker.engine, 1, "maxchimp on a far machine")
    skipped, kept = sync("default", return_state=True), backfill("default", return_state=True)
    assert (skipped.type.value, skipped.name) == ("CANCELLED", "Skipped")
    assert "maxchimp on a far machine" in str(skipped.message)
    assert kept.is_completed()
    assert str(kept.message).endswith("the next cycle reads everything")
    held.release()
    assert len(on_a_worker.runs()) == 1
    sync("default")
    assert on_a_worker.runs()[0].full
    sync("default")
    assert not on_a_worker.runs()[0].full


@pytest.mark.parametrize(
    ("interval", "late", "skipped"),
    [(60.0, 3600.0, True), (7200.0, 3600.0, False), (0.5, 1.0, False)],
    ids=["missed", "late", "nothing began since"],
)
def test_r33_a_tick_that_was_missed_is_skipped(
    on_a_worker: Town, monkeypatch: pytest.MonkeyPatch, interval: float, late: float, skipped: bool
) -> None:
    from flows import due
    from flows.sync import sync

    class Client:
        def __enter__(self) -> Client:
            return self

        def __exit__(self, *problem: object) -> None:
            pass

        def read_flow_run(self, number: object) -> Any:
            at = datetime.fromtimestamp(time.time() - late, UTC)
            return SimpleNamespace(auto_scheduled=True, expected_start_time=at)

    if interval < 1:  # the last cycle began before this tick was due
        with begin(on_a_worker.engine) as db:
            db.exec_driver_sql("UPDATE run SET started_at = started_at - 3600")
    monkeypatch.setattr(due, "get_client", lambda **more: Client())
    on_a_worker.set(interval=interval)
    state = sync("default", return_state=True)
    assert (state.name == "Skipped") is skipped
    assert len(on_a_worker.runs()) == (1 if skipped else 2)


def test_a_stop_on_purpose_is_no_failure_of_the_connection(on_a_worker: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.sync import sync

    def stopped(cycle: Cycle) -> None:
        cycle.stop.set()

    monkeypatch.setattr(Cycle, "decide", stopped)
    assert sync("default", return_state=True).is_failed()
    found = connections.find(on_a_worker.engine, "default")
    assert found is not None
    assert (found.failures, found.told) == (0, "")


def test_what_a_worker_runs_is_in_the_log_that_people_read(on_a_worker: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.sync import sync

    sync("default")
    monkeypatch.setenv("MAXCHIMP_MAILCHIMP_API_KEY", "e" * 32 + "-us6")
    assert sync("default", return_state=True).is_failed()
    path = on_a_worker.folder / "logs" / "maxchimp.log"
    text = path.read_text()
    assert "run 2 (sync) done" in text
    assert "does not know this API key" in text
    assert "e" * 32 not in text
    assert path.stat().st_mode & 0o077 == 0


def test_a_secret_may_be_kept_by_prefect(on_a_worker: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.blocks.system import Secret
    from pydantic import SecretStr

    from flows.services import connect
    from flows.settings import load_settings

    Secret(value=SecretStr(on_a_worker.mailchimp.api_key)).save("town-key")
    monkeypatch.setenv("MAXCHIMP_PREFECT_ENCRYPTED", "yes")
    monkeypatch.setenv("MAXCHIMP_MAILCHIMP_API_KEY", "prefect-secret:town-key")
    services = connect(load_settings())
    assert services.mailchimp.account()["account_id"]
    assert services.settings.mailchimp_api_key.get_secret_value() == on_a_worker.mailchimp.api_key
    monkeypatch.setenv("MAXCHIMP_MAILCHIMP_API_KEY", "prefect-secret:no-such")
    with pytest.raises(Misconfigured, match="no Secret block 'no-such'"):
        connect(load_settings())


# --- deployments and automations ---------------------------------------------------------------------------------


def test_r33_deployments_are_kept_as_the_store_says(server: PrefectServer, town: Town) -> None:
    from flows import deployments

    south = connections.create(town.engine, "south", 1000.0)
    connections.update(town.engine, south.id, list_id="abc")
    connections.create(town.engine, "without-list", 1000.0)

    def reconciled() -> list[str]:
        return deployments.reconcile(client, deployments.wanted(connections.every(town.engine)))

    def found(name: str) -> Any:
        return client.read_deployment_by_name(name)

    with deployments.talking(server.api) as client:
        deployments.ensure_pool(client)
        first = [line for line in reconciled() if not line.startswith("quality-report")]
        assert sorted(first) == [
            "backfill/default: by hand",
            "backfill/south: by hand",
            "sync/default: every 1:00:00",
            "sync/south: every 1:00:00",
        ]
        assert reconciled() == []
        made = found("sync/south")
        assert made.parameters == {"connection": "south"}
        assert made.global_concurrency_limit.limit == 1
        assert made.concurrency_options.collision_strategy.value == "CANCEL_NEW"
        foreign = client.create_deployment(flow_id=client.create_flow_from_name("somebody-elses"), name="south")
        client.pause_deployment(made.id)
        town.set(interval=900.0)
        assert reconciled() == ["sync/default: every 0:15:00"]
        assert found("sync/south").paused  # by a person
        connections.update(town.engine, south.id, list_id="")
        gone = [line for line in reconciled() if not line.startswith("quality-report")]
        assert sorted(gone) == ["backfill/south: removed", "sync/south: removed"]
        assert client.read_deployment(foreign).name == "south"


def test_the_next_run_is_told_while_something_schedules_it(
    server: PrefectServer, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a deployment nor a work pool that is paused schedules; the name of a deployment does not matter."""
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import CronSchedule

    from flows import deployments

    def told(connection: str = "default") -> Upcoming:
        return next_run(town.folder, connection)

    def due(connection: str = "default") -> float:
        end = time.monotonic() + 240
        while (found := told(connection).at) is None:
            assert time.monotonic() < end, f"nothing schedules {connection}"
            time.sleep(0.2)
        return found

    with deployments.talking(server.api) as client:
        deployments.ensure_pool(client)
        deployments.reconcile(client, [])
        assert told() == Upcoming()
        deployments.reconcile(client, deployments.wanted(connections.every(town.engine)))
        assert 0 < due() - time.time() <= 3600
        assert told("elsewhere") == Upcoming()
        row = client.read_deployment_by_name("sync/default")
        client.pause_deployment(row.id)
        assert told() == Upcoming()
        client.resume_deployment(row.id)
        assert due()
        deployments.pause(client, deployments.POOL, True)
        assert told() == Upcoming()
        deployments.pause(client, deployments.POOL, False)
        assert due()
        client.create_deployment(
            flow_id=row.flow_id,
            name="by hand",
            entrypoint=row.entrypoint,
            schedules=[DeploymentScheduleCreate(schedule=CronSchedule(cron="0 4 * * *"), active=True)],
            parameters={"connection": "elsewhere"},
            work_pool_name=deployments.POOL,
        )
        assert 0 < due("elsewhere") - time.time() <= 86400
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert told() == Upcoming(asked=False)
    monkeypatch.delenv("PREFECT_API_URL")
    assert told() == Upcoming()


def test_automations_are_made_once_and_go_with_their_addresses(
    server: PrefectServer, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pydantic import SecretStr

    from flows import automations, deployments

    def names() -> dict[str, Any]:
        return {one.name: one for one in client.read_automations()}

    told = town.settings.model_copy(update={"notify_url": SecretStr("json://127.0.0.1:9/a http://127.0.0.1:9/b")})
    nonsense = town.settings.model_copy(update={"notify_url": SecretStr("nonsense")})
    changed: list[str] = []
    with deployments.talking(server.api) as client:
        automations.ensure(client, told)
        made = names()
        assert len(made[automations.TELL].actions) == 2
        monkeypatch.setattr(client, "update_automation", lambda number, automation: changed.append(automation.name))
        automations.ensure(client, told)
        assert changed == []  # a change would make a trigger forget what it has seen
        with pytest.raises(Misconfigured, match="MAXCHIMP_NOTIFY_URL"):
            automations.ensure(client, nonsense)
        automations.ensure(client, town.settings)
        assert set(names()) & set(made) == {automations.LOST}


def test_prefect_yaml_deploys_with_prefects_own_command(server: PrefectServer) -> None:
    import yaml

    told = yaml.safe_load((ROOT / "prefect.yaml").read_text("utf-8"))
    assert [row["name"] for row in told["deployments"]] == ["sync", "backfill", "quality-report"]
    for row in told["deployments"]:
        assert row["parameters"] == {"connection": "default"}
        assert row["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    prefect = [sys.executable, "-m", "prefect"]
    environment = os.environ | {"PREFECT_API_URL": server.api}
    for words in (["work-pool", "create", "maxchimp", "--type", "process", "--overwrite"], ["deploy", "-n", "sync"]):
        subprocess.run([*prefect, *words], cwd=ROOT, env=environment, check=True, capture_output=True, timeout=120)
    (row,) = [row for row in asked(server, "deployments") if row["name"] == "sync"]
    assert (row["entrypoint"], row["pull_steps"] or []) == ("flows.sync.sync", [])
    assert row["parameters"] == {"connection": "default"}
    assert [one["schedule"]["interval"] for one in row["schedules"]] == [3600.0]
    assert row["global_concurrency_limit"]["limit"] == 1
    assert row["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"


# --- canaries ----------------------------------------------------------------------------------------------------


class Ear(logging.Handler):
    """Everything that is logged anywhere."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def ear() -> Iterator[Ear]:
    made = Ear()
    names = [None, "prefect", *(name for name in logging.root.manager.loggerDict if name.startswith("prefect"))]
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(made)
        logger.setLevel(logging.DEBUG)
    yield made
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(made)
        logger.setLevel(level)


def _everything_kept(server: PrefectServer) -> bytes:
    """The server's database, its write-ahead log, and what it printed."""
    home = server.log_file.parent
    return b"".join(path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file())


def test_s22_no_secret_and_nobody_reaches_prefect_or_a_log(
    tmp_path: Path, server: PrefectServer, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole cycles with people, a refused record, an error that quotes a person, and a guard: nobody is named."""
    monkeypatch.setattr(launching, "Cycle", Cycle)  # with all checks
    town = Town(tmp_path, people=25).setup()
    town.add(3)
    town.maximizer.add_person("Mal", "Formed", "mal.formed@example.com", udfs={r"MailChimp\Sync with MailChimp": "Yes"})
    with pytest.raises(Blocked):
        run(town)
    assert run(town, yes=True)["counts"]["mailchimp"]["failed"] == 1
    canary = town.secrets()[-1]

    def clumsy(self: Cycle) -> None:
        raise ValueError(f"cannot decide on {canary}")

    with monkeypatch.context() as patch:
        patch.setattr(Cycle, "decide", clumsy)
        with pytest.raises(ValueError, match="cannot decide"):
            run(town)
    seen = latest(server)
    assert seen["state_type"] == "FAILED"
    assert seen["state"]["message"] == "unexpected ValueError; the log of maxchimp has the details"
    tasks(server, seen)
    kept, said = _everything_kept(server), "\n".join(ear.lines)
    assert f"run {town.runs()[0].id}".encode() in kept  # we are looking in the right place
    assert "Beginning flow run" in said
    assert len(town.secrets()) > 40
    town.close()
    assert not [secret for secret in town.secrets() if secret.lower().encode() in kept.lower()]
    assert not [secret for secret in town.secrets() if secret.lower() in said.lower()]


# --- the server itself -------------------------------------------------------------------------------------------


def test_the_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Also when that one is killed and can no longer say goodbye."""
    started = (
        "import pathlib, sys, time; from flows.server import PrefectServer\n"
        f"server = PrefectServer(pathlib.Path({str(tmp_path / 'server.log')!r}))\n"
        "print(server.pid, flush=True); time.sleep(60)"
    )
    home = os.environ | {"PREFECT_HOME": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", started], stdout=subprocess.PIPE, text=True, env=home) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.kill()
        parent.wait()
    until = time.monotonic() + 120
    while time.monotonic() < until and _lives(child):
        time.sleep(0.05)
    assert not _lives(child)


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_port_in_use_is_told(tmp_path: Path, server: PrefectServer) -> None:
    with pytest.raises(Misconfigured, match=f"port {server.port} is in use"):
        PrefectServer(tmp_path / "server.log", port=server.port)


def test_a_server_that_cannot_start_is_told(tmp_path: Path) -> None:
    broken = os.environ | {"PREFECT_HOME": str(tmp_path), "PREFECT_SERVER_DATABASE_CONNECTION_URL": "nowhere"}
    with (
        PrefectServer(tmp_path / "server.log", environment=broken) as failing,
        pytest.raises(Incomplete, match="did not start") as problem,
    ):
        failing.wait(60)
    assert problem.value.remedy == f"its log is {tmp_path / 'server.log'}"


def reported(town: Town, server: PrefectServer, connection: str) -> Any:
    """The state that the flow of the report ends in, as a worker would run it."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.report import quality_report

    with pytest.MonkeyPatch.context() as patch, temporary_settings({PREFECT_API_URL: server.api}):
        for name, value in town.environment.items():
            patch.setenv(name, value)
        return quality_report(connection, return_state=True)


def test_the_quality_report_is_a_flow_with_counts_as_its_artifact(town: Town, server: PrefectServer) -> None:
    town.add(4)
    before = town.writes()
    assert reported(town, server, "default").is_completed()
    assert town.writes() == before
    seen = latest(server)
    assert seen["parameters"] == {"connection": "default"}
    assert seen["name"] == f"report default, run {town.runs()[0].id}"
    assert [task["name"] for task in tasks(server, seen)] == STAGES[:-1]
    (artifact,) = asked(server, "artifacts", artifacts={"flow_run_id": {"any_": [seen["id"]]}})
    assert artifact["key"] == "quality-report-default"
    assert "| Pending | 0 | 4 |" in artifact["data"]
    assert "@" not in artifact["data"]
    (page,) = (town.folder / "reports" / "default").glob("*/report.html")
    assert str(page) in artifact["data"]


def test_a_report_that_cannot_be_made_says_why(town: Town, server: PrefectServer) -> None:
    state = reported(town, server, "nobody")
    assert state.is_failed()
    assert "'nobody' has not been set up" in state.message
