"""What Prefect is to run when: three deployments per connection, kept as our store says.

``sync`` on the connection's interval, ``backfill`` by hand, ``quality-report`` daily. All three take plain names only.

Each has a concurrency limit of 1 that cancels what collides, so that a cycle which outlasts its interval costs its
missed ticks nothing. That limit is a convenience: it knows nothing of a backfill, of a command line or of another
server, and after a crash its slot stays taken until Prefect notices. Our lease decides (hazard F3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import Any

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    DeploymentFilterTags,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
)
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions, FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Crashed
from prefect.utilities.callables import parameter_schema

from domain.errors import Incomplete, Misconfigured
from flows.launch import place_of
from storage.connections import Connection

POOL = "maxchimp"
TAG, OURS = "maxchimp", "maxchimp-store"  # of all that is ours; of what is kept as our store says
DAY = 86400.0
FLOWS = {"sync": "flows.sync.sync", "backfill": "flows.sync.backfill", "quality-report": "flows.report.quality_report"}
_PAGE = 200
_LIMIT = ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)


@dataclass(frozen=True)
class Wanted:
    """One deployment: a flow for a connection; ``every`` in seconds, None by hand only; ``anchor``: one of its ticks.

    Ticks are counted from when the connection was made, so that many connections do not start in the same second.
    """

    flow: str
    connection: str
    every: float | None
    anchor: float


def wanted(connections: Iterable[Connection]) -> list[Wanted]:
    """The deployments of all connections that have a list."""
    found = []
    for connection in connections:
        if connection.list_id:
            spans = {"sync": connection.settings.interval, "backfill": None, "quality-report": DAY}
            found += [Wanted(flow, connection.name, every, connection.created_at) for flow, every in spans.items()]
    return [one for one in found if find_spec(FLOWS[one.flow].rpartition(".")[0])]


@contextmanager
def talking(api: str) -> Iterator[SyncPrefectClient]:
    """A client of the Prefect server ``api``: Misconfigured when it refuses us, Incomplete when it does not answer."""
    with _in_words(api), temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        yield client


@contextmanager
def _in_words(api: str) -> Iterator[None]:
    server = f"the Prefect server at {place_of(api)}"
    try:
        yield
    except (httpx.HTTPError, RuntimeError) as problem:
        # What stops a client before its first call is hidden behind a RuntimeError.
        cause = problem if isinstance(problem, httpx.HTTPError) else problem.__cause__
        if isinstance(cause, httpx.HTTPStatusError) and cause.response.status_code in (401, 403):
            raise Misconfigured(
                f"{server} refuses PREFECT_API_AUTH_STRING, which is wrong or missing",
                remedy="set it to the user:password that the server has in PREFECT_SERVER_API_AUTH_STRING "
                "(Prefect Cloud: set PREFECT_API_KEY)",
            ) from None
        if isinstance(cause, httpx.HTTPStatusError) and cause.response.status_code < 500:
            raise
        if not isinstance(cause, httpx.HTTPError):
            raise
        raise Incomplete(f"{server} does not answer", remedy="look at its log, then start again") from None


def check_welcome(api: str) -> None:
    """Raises what ``talking`` raises: a question that a server answers to those only whom it knows."""
    with talking(api) as client:
        client.api_version()


def ensure_pool(client: SyncPrefectClient, pool: str = POOL) -> None:
    """The process work pool is there and takes work."""
    try:
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
    except ObjectAlreadyExists:
        pause(client, pool, False)


def pause(client: SyncPrefectClient, pool: str, paused: bool) -> None:
    client.update_work_pool(pool, WorkPoolUpdate(is_paused=paused))


def reconcile(
    client: SyncPrefectClient, wishes: Iterable[Wanted], *, pool: str = POOL, job: Mapping[str, str] | None = None
) -> list[str]:
    """Make, change and remove deployments until they are as wished; what was done, in words.

    ``job``: job variables, such as ``working_dir`` (where runs find ``.env`` and relative paths). What is as wished is
    left alone, so that a deployment that a person paused in Prefect stays paused; only what we made is removed.
    """
    flows = {client.create_flow_from_name(name): name for name in FLOWS}
    known = {(flows.get(row.flow_id), row.name): row for row in _ours(client)}
    variables = dict(job or {})
    done = []
    for wish in wishes:
        row = known.pop((wish.flow, wish.connection), None)
        if row is None or not _as_wished(row, wish, pool, variables):
            _put(client, wish, pool, variables)
            done.append(f"{wish.flow}/{wish.connection}: {_told(wish)}")
    for (flow, name), row in known.items():
        client.delete_deployment(row.id)
        done.append(f"{flow}/{name}: removed")
    return done


def _ours(client: SyncPrefectClient) -> Iterator[DeploymentResponse]:
    return _deployments(client, deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[OURS])))


def _deployments(client: SyncPrefectClient, **chosen: Any) -> Iterator[DeploymentResponse]:
    offset = 0
    while rows := client.read_deployments(**chosen, limit=_PAGE, offset=offset):
        yield from rows
        offset += len(rows)


def _as_wished(row: DeploymentResponse, wish: Wanted, pool: str, job: dict[str, Any]) -> bool:
    spans = [s.schedule.interval for s in row.schedules if isinstance(s.schedule, IntervalSchedule)]
    return (
        spans == ([] if wish.every is None else [timedelta(seconds=wish.every)])
        and len(spans) == len(row.schedules)
        and row.work_pool_name == pool
        and row.entrypoint == FLOWS[wish.flow]
        and row.parameters == {"connection": wish.connection}
        and (row.job_variables or {}) == job
    )


def _put(client: SyncPrefectClient, wish: Wanted, pool: str, job: dict[str, Any]) -> None:
    flow: Flow[..., Any] = load_flow_from_entrypoint(FLOWS[wish.flow])
    client.create_deployment(
        flow_id=client.create_flow_from_name(wish.flow),
        name=wish.connection,
        entrypoint=FLOWS[wish.flow],
        schedules=[] if wish.every is None else [DeploymentScheduleCreate(schedule=_schedule(wish), active=True)],
        parameters={"connection": wish.connection},
        parameter_openapi_schema=parameter_schema(flow).model_dump_for_openapi(),
        enforce_parameter_schema=True,
        concurrency_limit=1,
        concurrency_options=_LIMIT,
        work_pool_name=pool,
        job_variables=job,
        tags=[TAG, OURS],
        description=flow.description,
    )


def _schedule(wish: Wanted) -> IntervalSchedule:
    assert wish.every is not None
    return IntervalSchedule(
        interval=timedelta(seconds=wish.every), anchor_date=datetime.fromtimestamp(int(wish.anchor), UTC)
    )


def _told(wish: Wanted) -> str:
    return "by hand" if wish.every is None else f"every {timedelta(seconds=wish.every)}"


def next_tick(client: SyncPrefectClient, connection: str) -> float | None:
    """When the server starts a connection's next sync; None when it does not: no deployment, or all are paused.

    Whoever made the deployment, by whatever name: its parameters say of which connection it is.
    """
    syncs = _deployments(client, flow_filter=FlowFilter(name=FlowFilterName(any_=["sync"])))
    mine = [row for row in syncs if row.parameters.get("connection", "default") == connection and not row.paused]
    pools = {row.work_pool_name for row in mine if row.work_pool_name}
    open_pools = {name for name in pools if not client.read_work_pool(name).is_paused}
    ids = [row.id for row in mine if row.work_pool_name is None or row.work_pool_name in open_pools]
    if not ids:
        return None
    coming = {"next_scheduled_start_time": {"after_": datetime.now(UTC).isoformat()}}
    runs = client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate({"state": {"type": {"any_": ["SCHEDULED"]}}, **coming}),
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=ids)),
        sort=FlowRunSort.NEXT_SCHEDULED_START_TIME_ASC,
        limit=1,
    )
    due = runs[0].next_scheduled_start_time if runs else None
    return due.timestamp() if due else None


# --- runs --------------------------------------------------------------------------------------------------------


def _runs(client: SyncPrefectClient, states: list[str], **more: Any) -> list[FlowRun]:
    """Runs of our deployments in these states."""
    chosen = FlowRunFilter.model_validate({"state": {"type": {"any_": states}}, **more})
    only = DeploymentFilter(tags=DeploymentFilterTags(all_=[OURS]))
    return client.read_flow_runs(flow_run_filter=chosen, deployment_filter=only, limit=_PAGE)


def active(client: SyncPrefectClient) -> list[FlowRun]:
    """Runs that have begun, or are about to; ``infrastructure_pid`` is their process."""
    return _runs(client, ["RUNNING", "PENDING"])


def drop_missed(client: SyncPrefectClient) -> int:
    """Cancel the ticks that were missed while nothing ran; what a person asked for stays; how many."""
    due = {"next_scheduled_start_time": {"before_": datetime.now(UTC).isoformat()}}
    count = 0
    while missed := [run for run in _runs(client, ["SCHEDULED"], **due) if run.auto_scheduled]:
        for run in missed:
            _end(client, run, Cancelled(name="Skipped", message="missed while nothing ran; the next tick does it all"))
            count += 1
    return count


def drop_lost(client: SyncPrefectClient, run: FlowRun) -> None:
    """A run whose process is gone: its slot is free at once."""
    _end(client, run, Crashed(message="its process is gone; the next cycle goes on"))


def _end(client: SyncPrefectClient, run: FlowRun, state: Any) -> None:
    with suppress(ObjectNotFound):
        client.set_flow_run_state(run.id, state, force=True)
