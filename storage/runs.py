"""Runs of a connection: what was done when, with what outcome; and how long things are kept (hazard S29)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Table, and_, func, literal_column, select

from storage import bulk
from storage.distinct import distinct
from storage.engine import begin, reading
from storage.tables import change, entry_snapshot, member_snapshot, quarantine, run

DAY = 86400.0
_STAGED = (member_snapshot, entry_snapshot)
# Spelled as in the partial indexes: a condition with parameters would not use them.
_CLOSED: ColumnElement[bool] = literal_column("change.state NOT IN ('sent', 'ambiguous', 'held')")
_RUNNING: ColumnElement[bool] = literal_column("run.state = 'running'")
_WHOLE: ColumnElement[bool] = literal_column("run.\"full\" AND run.state IN ('done', 'partial')")
_RESOLVED: ColumnElement[bool] = literal_column("quarantine.state = 'resolved'")
INTERRUPTED = "interrupted"  # why a run failed whose process died: when that was, nobody knows


@dataclass(frozen=True)
class Run:
    """Times in UTC epoch seconds. ``facts``: durations, calls per side, cursors read, versions; ``complete``: both
    sides were read whole.
    """

    id: int
    connection_id: int
    kind: str
    state: str
    full: bool
    reason: str | None
    counts: dict[str, Any]
    facts: dict[str, Any]
    started_at: float
    finished_at: float | None

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs, and where nobody saw it end."""
        seen = self.finished_at is not None and self.reason != INTERRUPTED
        return round((self.finished_at or 0.0) - self.started_at, 1) if seen else None


_COLUMNS = tuple(run.c[f.name] for f in fields(Run))


def start(engine: Engine, connection_id: int, kind: str, full: bool, now: float) -> int:
    """The id of a new run (kind: sync, backfill, plan or report)."""
    values = {"kind": kind, "state": "running", "full": full, "counts": {}, "facts": {}, "started_at": now}
    with begin(engine) as db:
        made = db.execute(run.insert().values(values | {"connection_id": connection_id}).returning(run.c.id))
        return int(made.scalar_one())


def finish(
    engine: Engine,
    run_id: int,
    state: str,
    reason: str | None,
    counts: dict[str, Any],
    facts: dict[str, Any],
    now: float,
) -> None:
    """Close a run (state: planned, done, partial, blocked or failed); ``facts`` join those noted before."""
    with begin(engine) as db:
        merged = _facts(db, run_id) | facts
        values = {"state": state, "reason": reason, "counts": counts, "facts": merged, "finished_at": now}
        db.execute(run.update().where(run.c.id == run_id).values(values))


def note(engine: Engine, run_id: int, **facts: Any) -> None:
    """Merge facts into those of a run."""
    with begin(engine) as db:
        db.execute(run.update().where(run.c.id == run_id).values(facts=_facts(db, run_id) | facts))


def _facts(db: Connection, run_id: int) -> dict[str, Any]:
    found = db.execute(select(run.c.facts).where(run.c.id == run_id).with_for_update())
    return dict(found.scalar_one())


def get(engine: Engine, run_id: int) -> Run | None:
    with reading(engine) as db:
        return of_id(db, run_id)


def of_id(db: Connection, run_id: int) -> Run | None:
    row = db.execute(select(*_COLUMNS).where(run.c.id == run_id)).one_or_none()
    return None if row is None else _run(row)


def latest(engine: Engine, connection_id: int, limit: int = 20) -> list[Run]:
    """The newest runs, newest first."""
    ours = select(*_COLUMNS).where(run.c.connection_id == connection_id)
    with reading(engine) as db:
        return [_run(row) for row in db.execute(ours.order_by(run.c.id.desc()).limit(limit))]


def _run(row: Row[Any]) -> Run:
    return Run(**row._mapping)


def abandoned(engine: Engine, connection_id: int, now: float | None = None) -> list[int]:
    """Runs that a process left "running" when it died; they are now failed. Only the holder of the lease may ask.

    ``finished_at`` of such a run is when that was noticed.
    """
    left = and_(run.c.connection_id == connection_id, _RUNNING)
    values = {"state": "failed", "reason": INTERRUPTED, "finished_at": now}
    with begin(engine) as db:
        return sorted(db.execute(run.update().where(left).values(values).returning(run.c.id)).scalars())


def recount(db: Connection, run_id: int, state: str, counts: dict[str, Any], facts: dict[str, Any]) -> None:
    """Renew the numbers of a run that could not do so itself, or whose uncertain writes were settled since."""
    values = {"state": state, "counts": counts, "facts": _facts(db, run_id) | facts}
    db.execute(run.update().where(run.c.id == run_id).values(values))


def complete(connection_id: int) -> ColumnElement[bool]:
    """The condition that a run read both sides whole and was let through: a blocked one proves nothing."""
    return and_(run.c.connection_id == connection_id, _WHOLE, run.c.facts["complete"].as_boolean())


def purge(
    engine: Engine, connection_id: int, keep_snapshots: int = 2, change_days: float = 30.0, *, now: float
) -> dict[str, int]:
    """Delete what is no longer needed; how many rows of each table went.

    Staged rows stay for the last ``keep_snapshots`` complete runs, for as many of the last runs that ended well, and
    for a run that is still going on; those of a report serve nothing once it is written. Changes older than
    ``change_days`` go unless their effect is still unknown, quarantined records that old unless they still wait.
    """
    with begin(engine) as db:
        kept = _kept_snapshots(db, connection_id, keep_snapshots)
        removed = {table.name: _purge_snapshots(db, connection_id, table, kept) for table in _STAGED}
        old = _old_changes(db, connection_id, now - change_days * DAY)
        removed[change.name] = 0 if old is None else db.execute(change.delete().where(old)).rowcount
        closed = and_(quarantine.c.connection_id == connection_id, _RESOLVED)
        waited = closed & (quarantine.c.since_at < now - change_days * DAY)
        removed[quarantine.name] = db.execute(quarantine.delete().where(waited)).rowcount
    return removed


def _kept_snapshots(db: Connection, connection_id: int, keep: int) -> set[int]:
    ours = run.c.connection_id == connection_id
    ended_well = and_(ours, run.c.state.in_(("done", "partial", "planned")), run.c.kind != "report")
    last = [select(run.c.id).where(these).order_by(run.c.id.desc()) for these in (complete(connection_id), ended_well)]
    going_on = select(run.c.id).where(ours, _RUNNING)
    return {int(i) for these in (*(one.limit(keep) for one in last), going_on) for i in db.execute(these).scalars()}


def _purge_snapshots(db: Connection, connection_id: int, table: Table, kept: set[int]) -> int:
    """Runs are many and hardly one has rows left: those that have are found in the rows' own index."""
    staged = set(distinct(db, table.c.run_id)) - kept
    ours = select(run.c.id).where(run.c.connection_id == connection_id, bulk.among(db, run.c.id, staged))
    old = list(db.execute(ours).scalars())
    # Named one by one: of a list as a parameter PostgreSQL does not know how few rows it means.
    return int(db.execute(table.delete().where(table.c.run_id.in_(old))).rowcount) if old else 0


def _old_changes(db: Connection, connection_id: int, before: float) -> ColumnElement[bool] | None:
    """The condition of changes that have had their time; None when no run is as old as that."""
    started = select(run.c.id).where(run.c.connection_id == connection_id, run.c.started_at < before)
    newest = db.execute(started.order_by(run.c.started_at.desc()).limit(1)).scalar()
    if newest is None:
        return None
    began = select(run.c.started_at).where(run.c.id == change.c.run_id).scalar_subquery()
    return and_(
        change.c.connection_id == connection_id,
        change.c.run_id <= newest,
        _CLOSED,
        began < before,
        func.coalesce(change.c.finished_at, change.c.sent_at, 0.0) < before,
    )
