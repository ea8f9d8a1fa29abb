"""``serve``: Prefect of this machine (server, schedules, one worker) for every connection, until it is stopped.

Nothing here schedules, queues or runs: the server makes the runs that its deployments ask for, the worker starts each
in a process of its own, and the lease of the connection decides. This module keeps the deployments as our store says
and ends everything in order.
"""

from __future__ import annotations

import logging
import os
import shlex
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType

from sqlalchemy import Engine

from domain.commands import here
from domain.errors import Incomplete, MaxchimpError
from domain.facts import about
from flows import marker
from flows.launch import at_home
from flows.secret_keys import own_encryption
from flows.server import Child, PrefectServer, is_free, worker
from flows.settings import Settings
from storage import connections
from storage.connections import Connection
from storage.engine import open_store
from storage.schema import require_current

log = logging.getLogger("maxchimp.serve")
LOOK = 3.0  # seconds between two looks at the store
LEAVING = 125.0  # seconds that running cycles have to finish what is in flight (hazard F8)
STARTING = 15.0  # seconds that a run may be about to begin without a process to be seen
PREFECT_PORT = 4200
Say = Callable[[str], None]


def serve(
    settings: Settings,
    *,
    prefect_port: int,
    at_once: int,
    say: Say,
    beside: AbstractContextManager[object],
    look: float = LOOK,
) -> None:
    """Run until Ctrl-C or SIGTERM. ``prefect_port`` 0: Prefect's usual one, or a free one when that is in use.

    ``beside``: what else runs in this process for as long (the web page).

    Raises Incomplete when another ``serve`` has this HOME_DIR or when a child process ended by itself; Misconfigured
    for a store that was not set up, a port in use, or secrets without a key of their own (hazard S21).
    """
    home = settings.home_dir.resolve()
    at_home(home)
    with ExitStack() as stack:
        stack.enter_context(marker.alone(home))
        engine = open_store(settings.database_url.get_secret_value())
        stack.callback(engine.dispose)
        require_current(engine)
        stack.enter_context(beside)
        environment = _environment(settings)
        os.environ.update(environment)  # before Prefect is imported, which reads it once
        stopped = stack.enter_context(_stopping(say))
        say("starting the Prefect server")
        port = prefect_port or (PREFECT_PORT if is_free(PREFECT_PORT) else 0)
        server = stack.enter_context(PrefectServer(home / "logs" / "prefect-server.log", port))
        server.wait()
        os.environ["PREFECT_API_URL"] = server.api
        _Serving(engine, settings, server, home, say, look).run(stopped, at_once)
    say("stopped")


class _Serving:
    """What runs between start and stop."""

    def __init__(
        self, engine: Engine, settings: Settings, server: PrefectServer, home: Path, say: Say, look: float
    ) -> None:
        self.engine, self.settings, self.server, self.home = engine, settings, server, home
        self.say, self.look = say, look
        self.known: list[tuple[object, ...]] | None = None
        # Runs work where we do (``.env``, relative paths), with our interpreter.
        self.job = {
            "working_dir": str(Path.cwd()),
            "command": f"{shlex.quote(sys.executable)} -m prefect.engine",
        }

    def run(self, stopped: threading.Event, at_once: int) -> None:
        from flows import automations, deployments

        with deployments.talking(self.server.api) as client:
            deployments.ensure_pool(client)
            self._drop_old()
            self._reconcile()
            automations.ensure(client, self.settings)
        log = self.home / "logs" / "prefect-worker.log"
        name = f"serve-{socket.gethostname()}"
        with worker(deployments.POOL, log, os.environ, at_once=at_once, name=name) as runner:
            marker.write(self.home, api=self.server.api, url=self.server.url)
            self.say(f"running; Prefect's page is {self.server.url}, Ctrl-C stops everything")
            try:
                while not stopped.wait(self.look):
                    self._alive(runner)
                    self._look()
            finally:
                self._leave()

    def _alive(self, runner: Child) -> None:
        for child, what in ((self.server, "server"), (runner, "worker")):
            if child.ended:
                raise Incomplete(f"the Prefect {what} ended by itself", remedy=f"its log is {child.log_file}")

    def _look(self) -> None:
        """A busy store or server is no reason to end: it is asked again."""
        try:
            self._reconcile()
        except MaxchimpError as problem:
            self.say(f"{problem.message}; looking again")
        except Exception as problem:
            log.warning("the deployments were not looked after: %s", type(problem).__name__, exc_info=problem)

    def _reconcile(self) -> None:
        """Bring the deployments to what the store says, when that changed (R33)."""
        from flows import deployments

        found = connections.every(self.engine)
        now = [(c.name, c.list_id, c.settings.interval) for c in found]
        if now == self.known:
            return
        with deployments.talking(self.server.api) as client:
            for line in deployments.reconcile(client, deployments.wanted(found), job=self.job):
                self.say(line)
        self._hint(found)
        self.known = list(now)

    def _hint(self, found: list[Connection]) -> None:
        ready = [c for c in found if c.list_id]
        if not ready:
            self.say("no connection is set up yet; it is taken up as soon as it is: maxchimp setup")
        for connection in ready:
            if not connection.synced:
                with about(connection=connection.name):
                    first = here("maxchimp plan, then maxchimp sync --yes")
                self.say(f"{connection.name} waits for its first sync: {first}")

    def _drop_old(self) -> None:
        """What an earlier ``serve`` left: ticks that were missed, runs whose process is gone."""
        from flows import deployments

        with deployments.talking(self.server.api) as client:
            if count := deployments.drop_missed(client):
                self.say(f"skipped {count} ticks that were missed")
            for run in deployments.active(client):
                if not _lives(run.infrastructure_pid):
                    deployments.drop_lost(client, run)

    # ---------------------------------------------------------------- the end

    def _leave(self) -> None:
        """Nothing new begins; what runs finishes what is in flight; then everything ends."""
        from flows import deployments

        with suppress(Exception), deployments.talking(self.server.api) as client:
            deployments.pause(client, deployments.POOL, True)
            asked: set[str] = set()
            begun = time.monotonic()
            while left := [run for run in deployments.active(client) if _lives(run.infrastructure_pid, begun)]:
                for run in left:
                    if run.infrastructure_pid and run.infrastructure_pid not in asked:
                        asked.add(run.infrastructure_pid)
                        self.say(f"{run.name}: finishing what is in flight")
                        _ask_to_stop(run.infrastructure_pid)
                if time.monotonic() - begun > LEAVING:
                    self.say("a run takes too long to end; the next cycle settles what it leaves")
                    break
                time.sleep(0.3)


def _lives(pid: str | None, begun: float | None = None) -> bool:
    """Whether the process of a run is there; one that is about to begin has none yet, for a short while."""
    if not pid:
        return begun is not None and time.monotonic() - begun < STARTING
    return pid.isdigit() and _exists(int(pid))


def _exists(pid: int) -> bool:
    from flows.launch import alive

    return alive(pid)


def _ask_to_stop(pid: str) -> None:
    """Ask one of our worker's processes; Windows knows no such question, there it is waited for."""
    if os.name == "posix" and pid.isdigit():
        with suppress(OSError):
            os.kill(int(pid), signal.SIGTERM)


def _environment(settings: Settings) -> dict[str, str]:
    """What server, worker and runs are started with, beside what ``at_home`` set; what the user has set stays."""
    wanted = {
        "PREFECT_LOGGING_EXTRA_LOGGERS": "maxchimp",  # a run's own lines are shown with it on Prefect's page
        "PREFECT_WORKER_QUERY_SECONDS": "5",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        **own_encryption(settings),
    }
    return {name: value for name, value in wanted.items() if name not in os.environ}


@contextmanager
def _stopping(say: Say) -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; the second one interrupts whatever still goes on."""
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()
        say("stopping; again to hurry")

    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
