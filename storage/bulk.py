"""Many rows at once: tuples through the driver on SQLite, COPY on PostgreSQL, always inside the caller's transaction.

A second SQLite library in this process (ADBC, connectorx) is never used: it ignores the locks of the first one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
from psycopg import sql
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Float,
    FromClause,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    bindparam,
    func,
    select,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError

CHUNK = 20_000  # rows handed to a driver, or taken from it, at once
_FEW = 50  # rows for which PostgreSQL needs no temporary table
Rows = Iterable[tuple[Any, ...]]
# Numbers picked out of a frame are NumPy's; psycopg knows them, the sqlite3 module does not.
sqlite3.register_adapter(np.int64, int)
sqlite3.register_adapter(np.bool_, bool)


# --- writing -----------------------------------------------------------------------------------------------------


def insert(db: Connection, table: Table, columns: Sequence[str], rows: Rows) -> int:
    """Insert tuples in the order of ``columns``; how many. JSON columns take Python objects."""
    rows = _encoded(table, columns, rows)
    if db.dialect.name == "postgresql":
        return _copy(db, table, columns, rows)
    return _many(db, sqlite.insert(table).values({name: bindparam(name) for name in columns}), columns, rows)


def upsert(
    db: Connection, table: Table, columns: Sequence[str], rows: Rows, key: Sequence[str], *, fresh: bool = False
) -> int:
    """Insert, or replace what has the same ``key``; no key may come twice in ``rows``.

    ``fresh`` says that hardly any key is there yet, which PostgreSQL then stores in one step.
    """
    rows = _encoded(table, columns, rows)
    rest = [name for name in columns if name not in key]
    if db.dialect.name != "postgresql":
        statement = sqlite.insert(table).values({name: bindparam(name) for name in columns})
        replace = statement.on_conflict_do_update(index_elements=key, set_={n: statement.excluded[n] for n in rest})
        return _many(db, replace, columns, rows)
    count = 0
    for chunk in _chunks(rows):
        if not (fresh and _copied(db, table, columns, chunk)):
            with _staged(db, table, columns, chunk) as staged:
                new = postgresql.insert(table).from_select(list(columns), select(*staged.c))
                db.execute(new.on_conflict_do_update(index_elements=key, set_={n: new.excluded[n] for n in rest}))
        count += len(chunk)
    return count


def update(db: Connection, table: Table, columns: Sequence[str], rows: Rows, key: str = "id") -> int:
    """Set the other columns of the rows whose ``key`` (one of ``columns``) is given; how many rows were given."""
    rest = [name for name in columns if name != key]
    statement = table.update().where(table.c[key] == bindparam(f"_{key}"))
    one = statement.values({name: bindparam(name) for name in rest})
    names = [f"_{name}" if name == key else name for name in columns]
    if db.dialect.name != "postgresql":
        return _many(db, one, names, _encoded(table, columns, rows))
    count = 0
    for chunk in _chunks(rows):
        if len(chunk) <= _FEW:
            db.execute(one, [dict(zip(names, row, strict=True)) for row in chunk])
        else:
            with _staged(db, table, columns, _encoded(table, columns, chunk)) as staged:
                same = table.c[key] == staged.c[key]
                db.execute(table.update().values({n: staged.c[n] for n in rest}).where(same))
        count += len(chunk)
    return count


def new_ids(db: Connection, table: Table, count: int) -> list[int]:
    """Ids for ``count`` rows about to be inserted, rising. On SQLite the caller's write transaction keeps them ours."""
    if db.dialect.name == "postgresql":
        following = func.nextval(func.pg_get_serial_sequence(table.name, "id"))
        found = db.execute(select(following).select_from(func.generate_series(1, count).alias("n")))
        return sorted(int(value) for value in found.scalars())
    first = int(db.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()) + 1
    return list(range(first, first + count))


def rows_of(frame: pd.DataFrame, table: Table, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The frame's rows as plain Python values of the table's types; every kind of missing value is None."""
    for start in range(0, len(frame), CHUNK):  # a million rows as Python objects would need gigabytes
        part = frame.iloc[start : start + CHUNK]
        yield from zip(*(_plain(part[name], table.c[name].type) for name in columns), strict=True)


def _plain(column: pd.Series[Any], kind: Any) -> list[Any]:
    if isinstance(kind, Integer) and not pd.api.types.is_integer_dtype(column.dtype):
        column = _whole(column)
    elif isinstance(kind, Boolean) and column.dtype == object:
        column = column.astype("boolean")
    if column.hasnans:
        column = column.astype(object).where(column.notna(), None)
    return list(column.tolist())


def _whole(column: pd.Series[Any]) -> pd.Series[Any]:
    """Numbers that pandas made floats because some are missing; ValueError where that cost digits."""
    if pd.api.types.is_float_dtype(column.dtype) and column.abs().max() >= 2**53:
        raise ValueError(f"column {column.name} lost digits: keep whole numbers as Int64")
    return column.astype("Int64")


def _encoded(table: Table, columns: Sequence[str], rows: Rows) -> Rows:
    """The rows with objects of JSON columns as text; untouched where the table has no such column."""
    places = {i for i, name in enumerate(columns) if isinstance(table.c[name].type, JSON)}
    if not places:
        return rows
    return (tuple(json.dumps(v) if i in places else v for i, v in enumerate(row)) for row in rows)


def _many(db: Connection, statement: Any, columns: Sequence[str], rows: Rows) -> int:
    compiled = statement.compile(dialect=db.dialect)
    places = [list(columns).index(name) for name in compiled.positiontup]
    if places != list(range(len(columns))):
        rows = map(itemgetter(*places), rows)
    text, count = str(compiled), 0
    for chunk in _chunks(rows):
        db.exec_driver_sql(text, chunk)
        count += len(chunk)
    return count


def _chunks(rows: Rows) -> Iterator[list[tuple[Any, ...]]]:
    left = iter(rows)
    while chunk := list(islice(left, CHUNK)):
        yield chunk


def _copied(db: Connection, table: Table, columns: Sequence[str], rows: Rows) -> bool:
    """Whether all rows went in at once; False, and none did, when some key is there already."""
    try:
        with db.begin_nested():
            _copy(db, table, columns, rows)
    except IntegrityError:
        return False
    return True


def _copy(db: Connection, table: Table, columns: Sequence[str], rows: Rows) -> int:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), names)
    cursor: psycopg.Cursor[Any] = db.connection.cursor()  # type: ignore[assignment]  # psycopg's own underneath
    try:
        with cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
        return cursor.rowcount
    except psycopg.Error as problem:
        raise _without_rows(problem, db) from None
    finally:
        cursor.close()


def _without_rows(problem: psycopg.Error, db: Connection) -> BaseException:
    """The same error without PostgreSQL's details, which quote contact data."""
    bare = type(problem)(problem.diag.message_primary or type(problem).__name__)
    return DBAPIError.instance("COPY", None, bare, psycopg.Error, hide_parameters=True, dialect=db.dialect)


@contextmanager
def _staged(db: Connection, table: Table, columns: Sequence[str], rows: Rows) -> Iterator[Table]:
    """The rows in a temporary table of the same columns; gone with the transaction at the latest."""
    copied = [Column(name, table.c[name].type) for name in columns]
    staged = Table("staged_rows", MetaData(), *copied, prefixes=["TEMPORARY"], postgresql_on_commit="DROP")
    staged.create(db)
    _copy(db, staged, columns, rows)
    yield staged
    staged.drop(db)


# --- reading -----------------------------------------------------------------------------------------------------


def read(db: Connection, statement: Select[Any]) -> pd.DataFrame:
    """The rows of a select: text as ``str``, whole numbers as ``int64`` (``Int64`` when some are missing), ``bool``.

    Text is never interpreted: ``NA``, ``null`` and ``00123`` stay what they are. JSON columns hold Python objects.
    """
    types = {column.name: _arrow_type(column.type) for column in statement.selected_columns}
    chunks: dict[str, list[pa.Array]] = {name: [] for name in types}
    objects: dict[str, list[Any]] = {name: [] for name, kind in types.items() if kind is None}
    for part in _parts(db, statement):
        for (name, kind), values in zip(types.items(), zip(*part, strict=True), strict=True):
            if kind is None:
                objects[name].extend(json.loads(v) if isinstance(v, str) else v for v in values)
            elif kind == pa.bool_():
                chunks[name].append(pa.array([None if v is None else bool(v) for v in values], kind))
            else:
                chunks[name].append(pa.array(values, kind))
    arrays = {
        name: np.array([*objects[name], None], dtype=object)[:-1] if kind is None else _array(chunks[name], kind)
        for name, kind in types.items()
    }
    # Arrays, not Series: hundreds of small reads in a cycle would spend their time on indexes.
    return pd.DataFrame(arrays, copy=False)


def _parts(db: Connection, statement: Select[Any]) -> Iterator[Sequence[Any]]:
    """Rows by the chunk; on SQLite the driver's own tuples, without an object of SQLAlchemy's for each."""
    if db.dialect.name == "postgresql":
        yield from db.execute(statement, execution_options={"yield_per": CHUNK}).partitions()
        return
    with db.execute(statement) as result:
        while part := result.cursor.fetchmany(CHUNK):
            yield part


def with_keys(db: Connection, keys: Iterable[str] | Iterable[int], kind: Any = None) -> FromClause:
    """A table of one column, ``key``, usable in a join or a subquery: up to a million keys as one parameter.

    ``kind`` is the SQL type of the keys, which without keys cannot be seen (then it is text).
    """
    values: list[Any] = list(dict.fromkeys(keys.tolist() if isinstance(keys, pd.Series) else keys))
    if db.dialect.name == "postgresql":
        numbers = isinstance(kind, Integer) or bool(values and not isinstance(values[0], str))
        array: ARRAY[Any] = ARRAY(BigInteger()) if numbers else ARRAY(Text())
        parameter = bindparam(None, [int(v) for v in values] if numbers else values, type_=array, unique=True)
        return select(func.unnest(parameter).label("key")).subquery()
    each = func.json_each(json.dumps(values, default=int)).table_valued("value")
    return select(type_coerce(each.c.value, Text()).label("key")).subquery()


def among(db: Connection, column: ColumnElement[Any], keys: Iterable[str] | Iterable[int]) -> ColumnElement[bool]:
    """The condition that a column holds one of the keys."""
    return column.in_(select(with_keys(db, keys, column.type).c.key))


def _arrow_type(kind: Any) -> pa.DataType | None:
    if isinstance(kind, JSON):
        return None
    for ours, theirs in ((Boolean, pa.bool_()), (Float, pa.float64()), (Integer, pa.int64())):
        if isinstance(kind, ours):
            return theirs
    return pa.large_string()


def _array(chunks: list[pa.Array], kind: pa.DataType) -> Any:
    column = pa.chunked_array(chunks, kind)
    if pa.types.is_large_string(kind):
        text: Any = pd.StringDtype(na_value=np.nan)
        return text.__from_arrow__(column)
    if column.null_count and not pa.types.is_floating(kind):
        nullable: Any = pd.BooleanDtype() if pa.types.is_boolean(kind) else pd.Int64Dtype()
        return nullable.__from_arrow__(column)
    return column.to_numpy()
