"""Sync and backfill as Prefect flows: each stage of the cycle is a task.

Prefect sees names, counts and sentences: stages hand over inside the cycle and through our store, and no exception
reaches Prefect, whose log would keep its traceback. Its limits and states decide nothing: the lease does (hazard F3).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Failed

from clients.redact import Redact
from domain.errors import Incomplete
from flows.asked import Asked
from flows.cycle import Cycle, Stage
from flows.deployments import check_welcome
from flows.due import due, sentence
from flows.held import sentence as sentence_of
from flows.launch import document, stopping
from flows.tally import only_planned

log = logging.getLogger("maxchimp.flows")
_SIDES = ("mailchimp", "maximizer")
_PLANNED, _WRITTEN = ("to create", "to update"), ("created", "updated", "failed", "not written")
_TAGS: dict[str, tuple[str, ...]] = dict.fromkeys(("prepare", "recover", "extract", "load"), _SIDES)


@flow(name="sync", flow_run_name="sync {connection}", persist_result=False, retries=0)
def sync(connection: str = "default", full: bool = False) -> Any:
    """Bring both sides of a connection in step: what changed since the last cycle, or everything (``full``)."""
    return _told(connection, Asked("sync", full=full))


@flow(name="backfill", flow_run_name="backfill {connection}", persist_result=False, retries=0)
def backfill(connection: str = "default") -> Any:
    """Sync Entire List: read and compare everything on both sides (R34)."""
    return _told(connection, Asked("backfill", full=True))


def tell(cycle: Cycle, api: str) -> None:
    """Run a cycle of this process as a flow run of the Prefect server ``api``; raises what the cycle raises.

    Incomplete when Prefect did not let it begin, Misconfigured when it does not know us. What Prefect fails to
    note afterwards is no failure of the cycle.
    """
    check_welcome(api)
    handed = _Handed(cycle)
    mark = _handed.set(handed)
    name = cycle.connection.name
    try:
        with temporary_settings({PREFECT_API_URL: api}):
            if cycle.asked.kind == "backfill":
                backfill(name, return_state=True)
            else:
                sync(name, full=cycle.asked.full, return_state=True)
            _flush()
    except Exception as problem:
        log.warning("Prefect could not be told how the run went: %s", type(problem).__name__)
    finally:
        _handed.reset(mark)
    if handed.error is not None:
        raise handed.error
    if not handed.begun:
        raise Incomplete("the Prefect server did not start the run", remedy="look at its log, then start again")


def _flush() -> None:
    """Deliver log lines and events now: at the end of the process the server may be gone already."""
    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=10.0)


# --- one flow run ------------------------------------------------------------------------------------------------


@dataclass
class _Handed:
    """A cycle made by the caller in this process, and what became of it."""

    cycle: Cycle
    begun: bool = False
    error: BaseException | None = None

    @contextmanager
    def going(self) -> Iterator[Cycle]:
        self.begun = True
        yield self.cycle


_handed: ContextVar[_Handed | None] = ContextVar("handed", default=None)


def _told(connection: str, asked: Asked) -> Any:
    """The body of both flows: the counts of the run, or Prefect's Failed with one sentence."""
    handed = _handed.get()
    if handed is None:
        return due(connection, asked, _run)
    try:
        with handed.going() as cycle:
            return _run(cycle)
    except BaseException as error:
        handed.error = error
        return Failed(message=sentence(error))


def _run(cycle: Cycle) -> Any:
    """The whole cycle as tasks of the current flow run; its counts."""
    try:
        with stopping(cycle):
            cycle.tell(as_tasks(cycle))
    finally:
        _report(cycle)
    return cycle.result()["counts"]


def as_tasks(cycle: Cycle) -> Stage:
    """A stage as one task without parameters and without a result; what it raises goes past Prefect to the cycle."""

    def stage(name: str, function: Callable[[], None]) -> None:
        if "flow_run" not in cycle.facts:
            cycle.facts["flow_run"] = _named(cycle)
        ended: list[BaseException | None] = []

        def run() -> Any:
            try:
                cycle.timed(name, function)
            except BaseException as error:
                ended.append(error)
                return Failed(message=sentence(error))
            ended.append(None)
            return None

        as_task = task(
            name=name,
            task_run_name=name,
            tags=_TAGS.get(name, ("maxchimp",)),
            cache_policy=NO_CACHE,
            persist_result=False,
            retries=0,
        )
        as_task(run)(return_state=True)
        if not ended:
            raise Incomplete(f"Prefect did not run the stage {name}", remedy="the next cycle goes on")
        if ended[0] is not None:
            raise ended[0]

    return stage


def _named(cycle: Cycle) -> str:
    """Name the flow run after the run in our store, so that one leads to the other; its name."""
    name = f"{cycle.asked.kind} {cycle.connection.name}, run {cycle.run_id}"
    try:
        with get_client(sync_client=True) as client:
            client.update_flow_run(UUID(flow_run.id), name=name)
    except Exception as problem:
        log.warning("Prefect did not take the name of run %s: %s", cycle.run_id, type(problem).__name__)
        return str(flow_run.name)
    return name


# --- the artifact ------------------------------------------------------------------------------------------------


def _report(cycle: Cycle) -> None:
    """A table of counts beside the flow run; a run goes on without it."""
    told = document(cycle)
    if told is None:
        return
    try:
        create_markdown_artifact(
            key=f"{told['kind']}-{cycle.connection.name.lower().replace('_', '-')}",
            markdown=markdown(told, cycle.facts),
            description=f"Run {told['run']} of connection {cycle.connection.name}: {told['state']}",
        )
    except Exception as problem:
        log.warning("Prefect did not take the artifact of run %s: %s", told["run"], type(problem).__name__)


def markdown(told: dict[str, Any], facts: dict[str, Any]) -> str:
    """A run's document as Markdown: counts, durations and our own sentence, no contact data."""
    counts, read, calls = told["counts"], facts.get("read", {}), facts.get("calls", {})
    part, names = ("planned", _PLANNED) if only_planned(told) else ("written", _WRITTEN)
    numbers = {side: list(told[part][side].values()) if told[part] else [""] * len(names) for side in _SIDES}
    rows = [(side.capitalize(), read.get(side, ""), *numbers[side], calls.get(side, "")) for side in _SIDES]
    rest = [(name, counts.get(name, 0)) for name in ("unchanged", "conflicts", "protected", "placeholders", "held")]
    rest += [("waiting for a person", facts["waiting"])] if "waiting" in facts else []
    parts = [
        f"# Run {told['run']}: {told['kind']}, {told['state']}",
        Redact().clean(told["reason"] or ""),
        "\n".join(f"- {sentence_of(row)}" for row in told.get("held", ())),
        _unwritten(told),
        _table(("", "read", *names, "requests"), rows),
        _table(("what else", "records or values"), rest),
        _table(("stage", "seconds"), list(facts.get("stages", {}).items())),
    ]
    return "\n\n".join(part for part in parts if part)


def _unwritten(told: dict[str, Any]) -> str:
    if not only_planned(told):
        return ""
    return "Nothing was written." + (" It would have been:" if told["planned"] else "")


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
