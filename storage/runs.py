"""Runs of a connection: what was done when, with what outcome; and how long things are kept (hazard S29)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, and_, func, or_, select

from storage.engine import begin, reading
from storage.tables import change, entry_snapshot, member_snapshot, quarantine, run

DAY = 86400.0
_OPEN = ("sent", "ambiguous", "held")  # changes whose effect is not known yet


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
    """Runs that a process left "running" when it died; they are now failed. Only the holder of the lease may ask."""
    left = and_(run.c.connection_id == connection_id, run.c.state == "running")
    values = {"state": "failed", "reason": "interrupted", "finished_at": now}
    with begin(engine) as db:
        return sorted(db.execute(run.update().where(left).values(values).returning(run.c.id)).scalars())


def recount(db: Connection, run_id: int, counts: dict[str, Any]) -> None:
    """Set the counts of a run that could not do so itself."""
    db.execute(run.update().where(run.c.id == run_id).values(counts=counts))


def complete(connection_id: int) -> ColumnElement[bool]:
    """The condition that a run read both sides whole and was let through: a blocked one proves nothing."""
    return and_(
        run.c.connection_id == connection_id,
        run.c.full,
        run.c.state.in_(("done", "partial")),
        run.c.facts["complete"].as_boolean(),
    )


def purge(
    engine: Engine, connection_id: int, keep_snapshots: int = 2, change_days: float = 30.0, *, now: float
) -> dict[str, int]:
    """Delete what is no longer needed; how many rows of each table went.

    Staged rows stay for the last ``keep_snapshots`` complete runs, for as many of the last runs that ended well, and
    for a run that is still going on; those of a report serve nothing once it is written. Changes older than
    ``change_days`` go unless their effect is still unknown, quarantined records that old unless they still wait.
    """
    with begin(engine) as db:
        kept = _kept_snapshots(connection_id, keep_snapshots)
        old_runs = select(run.c.id).where(run.c.connection_id == connection_id, run.c.id.not_in(kept))
        removed = {}
        for table in (member_snapshot, entry_snapshot):
            removed[table.name] = db.execute(table.delete().where(table.c.run_id.in_(old_runs))).rowcount
        old = _old_changes(connection_id, now - change_days * DAY)
        removed[change.name] = db.execute(change.delete().where(old)).rowcount
        closed = _closed_quarantine(connection_id, now - change_days * DAY)
        removed[quarantine.name] = db.execute(quarantine.delete().where(closed)).rowcount
    return removed


def _kept_snapshots(connection_id: int, keep: int) -> Select[Any]:
    ended_well = and_(
        run.c.connection_id == connection_id,
        run.c.state.in_(("done", "partial", "planned")),
        run.c.kind != "report",
    )
    return select(run.c.id).where(
        or_(
            run.c.id.in_(_last(complete(connection_id), keep)),
            run.c.id.in_(_last(ended_well, keep)),
            and_(run.c.connection_id == connection_id, run.c.state == "running"),
        )
    )


def _last(condition: ColumnElement[bool], count: int) -> Select[Any]:
    inner = select(run.c.id).where(condition).order_by(run.c.id.desc()).limit(count).subquery()
    return select(inner.c.id)


def _old_changes(connection_id: int, before: float) -> ColumnElement[bool]:
    old_runs = select(run.c.id).where(run.c.connection_id == connection_id, run.c.started_at < before)
    return and_(
        change.c.run_id.in_(old_runs),
        change.c.state.not_in(_OPEN),
        func.coalesce(change.c.finished_at, change.c.sent_at, 0.0) < before,
    )


def _closed_quarantine(connection_id: int, before: float) -> ColumnElement[bool]:
    return and_(
        quarantine.c.connection_id == connection_id, quarantine.c.state == "resolved", quarantine.c.since_at < before
    )
