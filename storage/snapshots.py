"""Staged rows of one side in one run.

Frames have the columns of ``member_snapshot`` or ``entry_snapshot`` without ``run_id``; ``fields`` is JSON text
tag -> canonical text. ``side`` is ``mailchimp`` (keyed by ``contact_id``) or ``maximizer`` (keyed by ``entry_id``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from sqlalchemy import ColumnElement, Connection, Table, func, literal_column, select

from storage import bulk
from storage.runs import complete
from storage.tables import entry_snapshot, member_snapshot, run

KEYS = {"mailchimp": "contact_id", "maximizer": "entry_id"}
_TABLES = {"mailchimp": member_snapshot, "maximizer": entry_snapshot}
MEMBER_COLUMNS = tuple(c.name for c in member_snapshot.c if c.name != "run_id")
ENTRY_COLUMNS = tuple(c.name for c in entry_snapshot.c if c.name != "run_id")


def stage_members(db: Connection, run_id: int, frame: pd.DataFrame) -> int:
    """Stage members; a row staged twice keeps the later one. How many different rows were given."""
    return _stage(db, member_snapshot, run_id, frame, "contact_id")


def stage_entries(db: Connection, run_id: int, frame: pd.DataFrame) -> int:
    """Stage entries; a row staged twice keeps the later one. How many different rows were given."""
    return _stage(db, entry_snapshot, run_id, frame, "entry_id")


def _stage(db: Connection, table: Table, run_id: int, frame: pd.DataFrame, key: str) -> int:
    if frame[key].duplicated().any():
        frame = frame.drop_duplicates(key, keep="last")
    columns = [c.name for c in table.c if c.name != "run_id"]
    rows = ((run_id, *row) for row in bulk.rows_of(frame, table, columns))
    return bulk.upsert(db, table, ["run_id", *columns], rows, ("run_id", key), fresh=True)


def members(db: Connection, run_id: int, keys: Iterable[str] | None = None) -> pd.DataFrame:
    """Members staged in a run, all or those with these contact ids."""
    return _rows(db, member_snapshot, run_id, "contact_id", keys)


def entries(db: Connection, run_id: int, keys: Iterable[str] | None = None) -> pd.DataFrame:
    """Entries staged in a run, all or those with these entry ids."""
    return _rows(db, entry_snapshot, run_id, "entry_id", keys)


def _rows(db: Connection, table: Table, run_id: int, key: str, keys: Iterable[str] | None) -> pd.DataFrame:
    statement = select(*(c for c in table.c if c.name != "run_id"))
    if keys is None:
        return bulk.read(db, statement.where(_all_of(db, table, run_id)))
    return bulk.read(db, statement.where(table.c.run_id == run_id, bulk.among(db, table.c[key], keys)))


def _all_of(db: Connection, table: Table, run_id: int) -> ColumnElement[bool]:
    """Every row of a run. A full run is read in the order of the file: by its key SQLite needs twice the time."""
    full = db.execute(select(run.c.full).where(run.c.id == run_id)).scalar()
    if full and db.dialect.name == "sqlite":
        column: ColumnElement[Any] = literal_column(f"+{table.name}.run_id")  # the sign keeps the index out
        return column == run_id
    return table.c.run_id == run_id


def hashes(db: Connection, run_id: int, side: str) -> pd.DataFrame:
    """Frame of the side's key, ``found`` and ``row_hash``."""
    table = _TABLES[side]
    columns: tuple[Any, ...] = (table.c[KEYS[side]], table.c.found, table.c.row_hash)
    return bulk.read(db, select(*columns).where(_all_of(db, table, run_id)))


def count(db: Connection, run_id: int, side: str) -> int:
    """Records of a side that were found in a run."""
    table = _TABLES[side]
    found = select(func.count()).select_from(table).where(table.c.run_id == run_id, table.c.found)
    return int(db.execute(found).scalar_one())


def previous(db: Connection, connection_id: int, before_run: int) -> int | None:
    """The last run before this one that read both sides whole and was let through."""
    earlier = select(func.max(run.c.id)).where(complete(connection_id), run.c.id < before_run)
    found: int | None = db.execute(earlier).scalar_one()
    return found
