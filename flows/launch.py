"""Where a cycle runs: as a Prefect flow run when there is an API for it, else in this process; the same cycle."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import requests

from clients.outcome import failure
from domain.errors import Incomplete, MaxchimpError, Misconfigured
from domain.facts import about
from domain.quoting import quoted
from flows import shelf
from flows.asked import Asked
from flows.cycle import Cycle
from flows.services import connect
from flows.settings import Settings, is_local, load_settings
from storage import connections
from storage.engine import open_store
from storage.schema import require_current

log = logging.getLogger("maxchimp.flows")
PATIENCE = 3.0  # seconds that an API has to say that it is there
Progress = Callable[[str], None]


def launch(
    connection: str,
    asked: Asked,
    *,
    progress: Progress = lambda text: None,
    settings: Settings | None = None,
    stop: threading.Event | None = None,
) -> dict[str, Any]:
    """Run one cycle to its end and return its document (contract, "Commands").

    A plan never runs through Prefect. ``stop``: set by a caller that is not the main thread, to let a cycle end early.
    Raises MaxchimpError; ``result`` is the run's document when a run was opened.
    """
    settings = settings or load_settings(connection)
    at_home(settings.home_dir)
    api = "" if asked.kind == "plan" else prefect_api(settings.home_dir)
    with opened(connection, asked, settings, progress) as cycle:
        cycle.stop = stop or cycle.stop
        try:
            if api:
                from flows.sync import tell

                tell(cycle, api)
            else:
                with stopping(cycle):
                    cycle.tell()
        except MaxchimpError as error:
            error.result = document(cycle)
            raise
        except KeyboardInterrupt:
            interrupted = Incomplete("stopped on request", remedy="the next cycle goes on")
            interrupted.result = document(cycle)
            raise interrupted from None
        return cycle.result()


@contextmanager
def opened(
    connection: str,
    asked: Asked,
    settings: Settings,
    progress: Progress = lambda text: None,
    kind: type[Cycle] | None = None,
) -> Iterator[Cycle]:
    """A cycle over the store and both services, all closed at the end; Misconfigured names what set-up has to do.

    ``kind``: a class of cycles of its own.
    """
    with about(connection=connection), ExitStack() as stack:
        engine = open_store(settings.database_url.get_secret_value())
        stack.callback(engine.dispose)
        require_current(engine)
        found = connections.find(engine, connection)
        if found is None:
            problem = f"the connection {quoted(connection)} has not been set up"
            raise Misconfigured(problem, remedy="run: maxchimp setup")
        services = connect(settings, found.dialect)
        stack.callback(services.maximizer.session.close)
        stack.callback(services.mailchimp.session.close)
        yield (kind or Cycle)(engine, found, services, asked, progress=progress)
        _purge_reports(settings.home_dir, found)


def _purge_reports(home: Path, connection: connections.Connection) -> None:
    """Reports that are too old go with every cycle, whoever made them last (hazard S29)."""
    try:
        shelf.purge(home, connection.name, connection.settings.retention, now=time.time())
    except OSError as problem:
        log.warning("old reports could not be deleted: %s", problem.strerror)


def document(cycle: Cycle) -> dict[str, Any] | None:
    """The run's document, None when no run was opened and closed."""
    return cycle.result() if hasattr(cycle, "state") else None


@contextmanager
def stopping(cycle: Cycle) -> Iterator[None]:
    """The first SIGTERM or Ctrl-C lets the cycle finish what is in flight (hazard F8); the next does as always.

    Only a program's main thread may listen to signals; elsewhere nothing happens here.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(number: int, frame: FrameType | None) -> None:
        cycle.stop.set()
        restore()

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        restore()


# --- Prefect, without importing it -------------------------------------------------------------------------------


def at_home(home_dir: Path) -> None:
    """Prefect and the checks at home and quiet, set before they are imported; what the user has set stays."""
    quiet = {
        "PREFECT_HOME": str((home_dir / "prefect").resolve()),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        # Without an API a flow would start a server of its own and wait for it.
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        # The command itself tells how the run went; what Prefect says of it is kept by its server.
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "GX_ANALYTICS_ENABLED": "false",
    }
    for name, value in quiet.items():
        os.environ.setdefault(name, value)


def prefect_api(home_dir: Path) -> str:
    """Address of the API to run through, "" for none; see ``_check_api`` for the one that is asked for."""
    chosen = os.environ.get("PREFECT_API_URL", "")
    if not chosen:
        return serving_api(home_dir) or ""
    _check_api(chosen)
    return chosen


def _check_api(api: str) -> None:
    """Misconfigured when PREFECT_API_URL is no address or not Prefect's, Incomplete when nobody answers there."""
    where, remedy = place_of(api), "write it as Prefect prints it, such as http://127.0.0.1:4200/api, or unset it"
    if not where:
        raise Misconfigured("PREFECT_API_URL is not a web address", remedy=remedy)
    silent = "the Prefect server named by PREFECT_API_URL does not answer"
    try:
        answer = _health(api)
    except requests.RequestException as problem:
        raise Incomplete(
            f"{silent}: {where}: {failure(problem).problem}",
            remedy="start it, or unset PREFECT_API_URL to run without it",
        ) from None
    if answer.status_code >= 500:
        raise Incomplete(f"{silent}: {where}: HTTP {answer.status_code}", remedy="look at its log, then start again")
    # A server that wants a password says yes to this question all the same (flows/deployments.py asks another one).
    if answer.status_code != 200 or "json" not in answer.headers.get("Content-Type", ""):
        raise Misconfigured(f"what answers at PREFECT_API_URL is no Prefect API: {where}", remedy=remedy)


def place_of(api: str) -> str:
    """Host and port of an address, "" when it is none."""
    try:
        parts = urlsplit(api)
        host, port = parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return ""
    sound = parts.scheme in ("http", "https") and re.fullmatch(r"[\w.:-]+", host) and api == api.strip()
    return f"{f'[{host}]' if ':' in host else host}:{port}" if sound else ""


def serving_api(home_dir: Path) -> str | None:
    """The API of the ``serve`` that is up on this machine, as its marker ``serve.json`` says; None when it is not."""
    try:
        marker = json.loads((home_dir / "serve.json").read_text("utf-8"))
        api, pid = str(marker["api"]), int(marker["pid"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    local = is_local(urlsplit(api).hostname or "")
    return api if local and alive(pid) and _answers(api) else None


def alive(pid: int) -> bool:
    if os.name != "posix" or pid <= 0:  # elsewhere the same call is no question but a Ctrl-C
        return pid > 0
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _answers(api: str) -> bool:
    try:
        return _health(api).status_code < 500
    except requests.RequestException:
        return False


def _health(api: str) -> requests.Response:
    with requests.Session() as http:
        http.trust_env = not is_local(urlsplit(api).hostname or "")  # no proxy on the way to this machine
        return http.get(f"{api.rstrip('/')}/health", timeout=PATIENCE)
