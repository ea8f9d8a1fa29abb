"""A cycle that a schedule, or a person on Prefect's page, made due: run by a worker in a process of its own.

What is special about it: a tick that was missed is skipped, a connection in use is left to its holder, people are told
when its state changes, and its lines go to the log that people read.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events import emit_event
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed
from sqlalchemy import Engine

from clients.redact import Redact
from domain.errors import LeaseHeld, MaxchimpError
from flows import health, logs, tally
from flows.asked import Asked
from flows.cycle import Cycle
from flows.launch import at_home, opened
from flows.settings import Settings, load_settings
from flows.tally import WRITING
from storage import connections, runs
from storage.engine import open_store

log = logging.getLogger("maxchimp.flows")
_GOOD = ("done", "running")


def due(connection: str, asked: Asked, run: Callable[[Cycle], Any]) -> Any:
    """Run a cycle made of the settings; its counts, or a Prefect state with one sentence."""
    try:
        return _due(connection, asked, run)
    finally:
        emit_event(health.ENDED, resource={"prefect.resource.id": f"prefect.flow-run.{flow_run.id}"})


def _due(connection: str, asked: Asked, run: Callable[[Cycle], Any]) -> Any:
    try:
        settings = load_settings(connection)
        at_home(settings.home_dir)
    except Exception as error:
        return Failed(message=sentence(error))
    with _log(settings):
        begun: list[Cycle] = []
        try:
            with opened(connection, asked, settings) as cycle:
                if asked.kind == "sync" and (late := _missed(cycle)):
                    return Cancelled(name="Skipped", message=late)
                begun.append(cycle)
                counts = run(cycle)
                _tell(cycle.engine, connection, None)
                news = health.waiting(connection, cycle.facts.get("held", []), cycle.run_id)
                if news is not None and asked.kind != "report":
                    _emit(connection, news)
                facts, told = cycle.result(), tally.line(cycle.result())
                log.info("run %s (%s) done: %s", cycle.run_id, asked.kind, told, extra={"facts": facts})
                return counts
        except LeaseHeld as held:
            return _left_to_the_holder(connection, asked, settings, held)
        except BaseException as error:
            _note(error)
            # A stop that somebody asked for is no failure of the connection.
            if isinstance(error, Exception) and not (begun and begun[0].stop.is_set()):
                _tell_failure(connection, settings, sentence(error))
            return Failed(message=sentence(error))


def _note(error: BaseException) -> None:
    if isinstance(error, MaxchimpError):
        facts = {"error": type(error).__name__, "remedy": error.remedy}
        log.error("%s (%s)", error.message, error.remedy or type(error).__name__, extra={"facts": facts})
    else:
        log.critical("unexpected %s", type(error).__name__, exc_info=error)


def sentence(error: BaseException) -> str:
    """What Prefect may know of an error: our own sentence, or only the kind of any other."""
    if isinstance(error, MaxchimpError):
        return Redact().clean(" ".join(filter(None, (error.message, error.remedy and f"({error.remedy})"))))
    return f"unexpected {type(error).__name__}; the log of maxchimp has the details"


def _left_to_the_holder(connection: str, asked: Asked, settings: Settings, held: LeaseHeld) -> Any:
    """Never two at once (R36): the tick is skipped; a backfill is kept for the next cycle (R34)."""
    if asked.kind != "backfill":
        return Cancelled(name="Skipped", message=held.message)
    engine = open_store(settings.database_url.get_secret_value())
    try:
        found = connections.find(engine, connection)
        if found is None:
            return Failed(message=held.message)
        connections.ask_full(engine, found.id, time.time())
    finally:
        engine.dispose()
    return Completed(message=f"{held.message}; the next cycle reads everything")


def _missed(cycle: Cycle) -> str:
    """Why this tick is skipped, "" when it is not (R33).

    One of a row that was missed, as after a pause: it comes a whole interval late, and a cycle that was completed, or
    still goes on, began after it was due.
    """
    if not flow_run.id:
        return ""
    with get_client(sync_client=True) as client:
        found = client.read_flow_run(UUID(flow_run.id))
    if not found.auto_scheduled or found.expected_start_time is None:
        return ""
    due_at = found.expected_start_time.timestamp()
    late = cycle.now() - due_at
    good = [r for r in runs.latest(cycle.engine, cycle.connection.id) if r.kind in WRITING and r.state in _GOOD]
    if late < cycle.connection.settings.interval or not good or good[0].started_at < due_at:
        return ""
    return f"{late:.0f} seconds late, and a cycle has begun since"


# --- telling people ----------------------------------------------------------------------------------------------


def _tell(engine: Engine, connection: str, problem: str | None) -> None:
    """Remember how it went and emit the event of a change; a run goes on without it."""
    try:
        news = health.note(engine, connection, problem)
    except MaxchimpError as error:
        log.warning("how %s went could not be remembered: %s", connection, error.message)
        news = health.unknown(connection, problem) if problem and _went_well_before() else None
    if news is not None:
        _emit(connection, news)


def _emit(connection: str, news: health.News) -> None:
    emit_event(
        news.event,
        resource={"prefect.resource.id": f"{health.PREFIX}.{connection}", "prefect.resource.name": connection},
        payload={"subject": news.subject, "body": news.body},
    )


def _tell_failure(connection: str, settings: Settings, problem: str) -> None:
    """Also of one before there was a cycle: settings that are missing, a store that is away."""
    try:
        engine = open_store(settings.database_url.get_secret_value())
    except MaxchimpError:
        if _went_well_before():
            _emit(connection, health.unknown(connection, problem))
        return
    try:
        _tell(engine, connection, problem)
    finally:
        engine.dispose()


def _went_well_before() -> bool:
    """Whether the run of this deployment before this one was completed, as Prefect remembers it."""
    try:
        with get_client(sync_client=True) as client:
            here = client.read_flow_run(UUID(flow_run.id))
            last = client.read_flow_runs(
                flow_run_filter=FlowRunFilter.model_validate(
                    {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}}
                ),
                deployment_filter=DeploymentFilter.model_validate({"id": {"any_": [here.deployment_id]}}),
                sort=FlowRunSort.START_TIME_DESC,
                limit=1,
            )
    except Exception as problem:
        log.warning("Prefect did not say how the last run went: %s", type(problem).__name__)
        return True
    return not last or (last[0].state is not None and last[0].state.is_completed())


# --- the log that people read ------------------------------------------------------------------------------------


@contextmanager
def _log(settings: Settings) -> Iterator[None]:
    """Our lines go to HOME_DIR/logs/maxchimp.log (R50), and wherever Prefect sends them without secrets."""
    secrets = settings.secrets()
    try:
        logs.open_log(
            settings.home_dir,
            secrets,
            verbose=False,
            form=settings.log_format,
            connection=settings.connection,
            shared=True,
        )
    except MaxchimpError as problem:
        log.warning("%s", problem.message)
    redact, prefects = Redact(secrets), logging.getLogger("maxchimp").handlers
    for handler in prefects:
        handler.addFilter(redact)
    try:
        yield
    finally:
        for handler in prefects:
            handler.removeFilter(redact)
        logs.close()
