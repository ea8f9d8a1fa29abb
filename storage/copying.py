"""The whole store into another, empty database: from SQLite to PostgreSQL and back. The source is only read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, literal_column, select

from domain.errors import Incomplete, LeaseHeld, Misconfigured
from storage import bulk
from storage.engine import begin, reading, same_database
from storage.leases import Clock
from storage.schema import current, migrate, require_current
from storage.tables import lease, metadata, secret

Progress = Callable[[str], None]


def copy(
    source: Engine, target: Engine, *, progress: Progress = lambda text: None, now: Clock = time.time
) -> dict[str, int]:
    """Copy every row of every table; how many per table. The target's tables are made if need be.

    All rows go in one transaction: whatever goes wrong, the target stays empty. Raises Misconfigured when the source is
    not of this version or the target holds anything, LeaseHeld while a run is going on, Incomplete when one began
    meanwhile or a count differs.
    """
    if same_database(source.url, target.url):
        raise Misconfigured("the target is the store itself", remedy="choose another, empty database")
    require_current(source)
    _unheld(source, now)
    _empty(target)
    migrate(target)
    with reading(source) as old, begin(target) as new:
        _only_ours(new)
        before = _leases(old)
        counts = {table.name: _copied(old, new, table, progress) for table in metadata.sorted_tables}
        _continue_ids(new)
        progress("counting")
        wrong = [name for name, number in counts.items() if number != _count(new, metadata.tables[name])]
        if wrong:
            raise Incomplete(f"the copy of {', '.join(wrong)} is not complete", remedy="nothing was kept: start again")
        with reading(source) as again:
            if _leases(again) != before:
                raise Incomplete(
                    "a run began while the store was copied",
                    remedy="nothing was kept: stop the service and every schedule, then start again",
                )
    return counts


def _unheld(source: Engine, now: Clock) -> None:
    with reading(source) as db:
        held = db.execute(select(lease.c.holder, lease.c.expires_at).where(lease.c.expires_at > now())).first()
    if held is not None:
        raise LeaseHeld(held.holder, held.expires_at - now())


def _leases(db: Connection) -> list[Any]:
    """Who had the connections how often; a run that begins or ends changes it, and so does one that goes on."""
    return sorted(tuple(row) for row in db.execute(select(lease)))


def _empty(target: Engine) -> None:
    """Misconfigured when there is anything of ours in the target but a fresh store's own key."""
    if current(target) is None:
        return
    require_current(target)
    with reading(target) as db:
        _only_ours(db)


def _only_ours(db: Connection) -> None:
    filled = [table.name for table in metadata.sorted_tables if table is not secret and _any(db, table)]
    if filled:
        raise Misconfigured(
            f"the target is not empty: it holds rows of {', '.join(filled[:3])}",
            remedy="choose a new database; the copy never adds to one that is in use",
        )


def _any(db: Connection, table: Table) -> bool:
    return db.execute(select(literal_column("1")).select_from(table).limit(1)).first() is not None


def _count(db: Connection, table: Table) -> int:
    return int(db.execute(select(func.count()).select_from(table)).scalar_one())


def _copied(old: Connection, new: Connection, table: Table, progress: Progress) -> int:
    """All rows of one table, with every value as it is; the other store's key replaces the fresh one."""
    progress(f"copying {table.name}")
    if table is secret:
        new.execute(secret.delete())
    done = 0

    def told() -> Iterator[tuple[Any, ...]]:
        nonlocal done
        result = old.execute(select(table), execution_options={"yield_per": bulk.CHUNK})
        for part in result.partitions():
            yield from map(tuple, part)
            done += len(part)
            progress(f"copying {table.name}: {done:,} rows")

    return bulk.insert(new, table, [column.name for column in table.c], told())


def _continue_ids(new: Connection) -> None:
    """New rows get ids above the copied ones. SQLite does so by itself."""
    if new.dialect.name != "postgresql":
        return
    for table in metadata.sorted_tables:
        column = table.autoincrement_column
        if column is None:
            continue
        sequence = func.pg_get_serial_sequence(table.name, column.name)
        if new.execute(select(sequence)).scalar_one() is None:
            continue
        highest = new.execute(select(func.max(column))).scalar_one()
        if highest is not None:
            new.execute(select(func.setval(sequence, highest)))
