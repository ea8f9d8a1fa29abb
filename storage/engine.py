"""Opening the store and its transactions; failures of the database in words that say what to do.

SQLite: write-ahead log, ``synchronous=FULL`` (NORMAL may lose the last commits when power fails), foreign keys on,
``BEGIN IMMEDIATE`` for everything that may write, so that two writers wait for each other instead of failing half-way.
PostgreSQL: psycopg 3; every commit is on disk before it returns.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from domain.errors import DiskFull, Incomplete, MaxchimpError, Misconfigured, is_full
from domain.quoting import quoted

BUSY_TIMEOUT = 30.0  # seconds a writer waits for another one
FORSAKEN = 300.0  # seconds after which PostgreSQL gives up a transaction whose process does not go on
_EXAMPLES = "set MAXCHIMP_DATABASE_URL, for example sqlite:///data/local/maxchimp.db or postgresql://user@host/maxchimp"
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "cache_size=-65536",
    "journal_size_limit=67108864",
)


def open_store(url: str) -> Engine:
    """An engine that several threads may use, after one successful connection and a look at its durability.

    A missing SQLite file is made with mode 0600, its folder too. Raises Misconfigured for an address that cannot be
    used, a file others may read, a folder that cannot be written, a PostgreSQL that refuses us; Incomplete for one that
    does not answer, a full disk, a file that somebody else has locked.
    """
    address = _address(url)
    engine = _sqlite(address) if address.get_backend_name() == "sqlite" else _postgresql(address)
    try:
        with engine.connect() as db:
            _check_durable(db)
    except DBAPIError as problem:
        engine.dispose()
        raise _unopened(problem, address) from problem
    except Misconfigured:
        engine.dispose()
        raise
    return engine


@contextmanager
def begin(engine: Engine) -> Iterator[Connection]:
    """One write transaction: committed at the end, rolled back on any error.

    Raises Incomplete when the database fails (full, busy, gone), Misconfigured when it may not be written.
    """
    with in_words(), engine.begin() as db:
        yield db


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent view for several reads; waits for no writer, and leaves nothing behind."""
    with in_words(), engine.connect() as db:
        if db.dialect.name == "postgresql":
            db.execution_options(isolation_level="REPEATABLE READ")
        else:
            db.execution_options(reading=True)
        yield db


@contextmanager
def joining(where: Engine | Connection) -> Iterator[Connection]:
    """The caller's open transaction, or one of its own."""
    if isinstance(where, Connection):
        yield where
    else:
        with begin(where) as db:
            yield db


def same_database(one: URL, other: URL) -> bool:
    """Whether two addresses lead to the same database, as far as they tell."""
    if one.get_backend_name() != other.get_backend_name():
        return False
    if one.get_backend_name() == "sqlite":
        return os.path.samefile(str(one.database), str(other.database))
    here = (None, "localhost", "127.0.0.1", "::1")
    places = [
        ("" if url.host in here else url.host, url.port or 5432, url.database, url.query.get("host"))
        for url in (one, other)
    ]
    return places[0] == places[1]


# --- the two databases -------------------------------------------------------------------------------------------


def _address(url: str) -> URL:
    try:
        address = make_url(url.strip().replace("postgres://", "postgresql://", 1))
        backend = address.get_backend_name()
        if re.search(r"[\[\]\s]", address.host or "") or not 0 < (address.port or 5432) < 65536:
            raise ValueError
    except (ArgumentError, ValueError, NoSuchModuleError):  # ValueError: host or port can be none
        raise Misconfigured("the address of the store cannot be read", remedy=_EXAMPLES) from None
    if backend not in ("sqlite", "postgresql"):
        raise Misconfigured(f"the store cannot be kept in {backend}", remedy=_EXAMPLES)
    if backend == "sqlite":
        return address.set(drivername="sqlite+pysqlite")
    if address.drivername not in ("postgresql", "postgresql+psycopg"):
        raise Misconfigured(f"the store is not reached through {address.drivername}", remedy=_EXAMPLES)
    return address.set(drivername="postgresql+psycopg")


def _sqlite(address: URL) -> Engine:
    if not address.database or address.database == ":memory:" or "mode=memory" in str(address):
        raise Misconfigured("a store in memory forgets everything", remedy=_EXAMPLES)
    _make_private(Path(address.database))
    engine = create_engine(
        address,
        hide_parameters=True,  # contact data never enters an exception
        connect_args={"timeout": BUSY_TIMEOUT, "isolation_level": None, "check_same_thread": False},
    )
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_private(path: Path) -> None:
    """SQLite gives its side files the mode of the database file, so that one must be right from the start (S31)."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        others = os.name == "posix" and path.stat().st_mode & 0o077
    except OSError as problem:
        if is_full(problem):
            raise DiskFull(f"the store {path} cannot be made") from problem
        raise Misconfigured(
            f"the store {path} cannot be made: {problem.strerror}", remedy="choose a folder that you may write"
        ) from problem
    if others:
        raise Misconfigured(f"the store {path} may be read by other users", remedy=f"run: chmod 600 {path}")


def _set_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(db: Connection) -> None:
    db.exec_driver_sql("BEGIN" if db.get_execution_options().get("reading") else "BEGIN IMMEDIATE")


def _postgresql(address: URL) -> Engine:
    remote = address.host not in (None, "localhost", "127.0.0.1", "::1") and "host" not in address.query
    if remote and "sslmode" not in address.query:
        address = address.update_query_dict({"sslmode": "require"})  # contact data crosses no network in the clear
    engine = create_engine(address, hide_parameters=True, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    event.listen(engine, "connect", _set_patience)
    return engine


def _set_patience(connection: psycopg.Connection[Any], _record: Any) -> None:
    """As with SQLite a writer waits for another one for a while only: that one may be a paused process."""
    connection.execute(f"SET lock_timeout = '{BUSY_TIMEOUT:g}s'")
    connection.execute(f"SET idle_in_transaction_session_timeout = '{FORSAKEN:g}s'")
    connection.commit()


def _check_durable(db: Connection) -> None:
    """Misconfigured unless a commit survives a power cut (hazard F7)."""
    if db.dialect.name == "postgresql":
        if db.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "off":
            raise Misconfigured("PostgreSQL runs with synchronous_commit=off", remedy="set synchronous_commit=on")
        return
    found = [db.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("journal_mode", "synchronous")]
    if found != ["wal", 2]:
        raise Misconfigured(
            "the store's folder does not allow SQLite's write-ahead log",
            remedy="choose a local folder, not a network share",
        )


# --- failures in words -------------------------------------------------------------------------------------------


@contextmanager
def in_words() -> Iterator[None]:
    """Failures of the database itself as Incomplete or Misconfigured; anything else passes as it is."""
    try:
        yield
    except (DBAPIError, sqlite3.Error, psycopg.Error) as problem:
        told = _told(problem.orig if isinstance(problem, DBAPIError) else problem)
        if told is None:
            raise
        raise told from problem


def _told(problem: BaseException | None) -> MaxchimpError | None:
    """What to tell about a failure of the database itself; None for a mistake in a statement."""
    if isinstance(problem, sqlite3.Error):
        return _told_sqlite(getattr(problem, "sqlite_errorcode", 0) & 0xFF)
    if isinstance(problem, psycopg.Error):
        return _told_postgresql(problem)
    return None


def _told_sqlite(code: int) -> MaxchimpError | None:
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return Misconfigured("the store may not be written", remedy="give this user the right to write its folder")
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return Misconfigured("the store's file is damaged or is no SQLite database", remedy="restore it from a backup")
    if code == sqlite3.SQLITE_CANTOPEN:
        return Misconfigured("the store's file cannot be opened", remedy="give this user the right to write its folder")
    if code == sqlite3.SQLITE_FULL:
        return DiskFull("the store cannot be written")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return _busy()
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM):
        return Incomplete("the store could not be read or written", remedy="check the disk and the memory")
    return None


def _busy() -> Incomplete:
    return Incomplete(f"the store was busy for {BUSY_TIMEOUT:g} seconds", remedy="wait for the other run to end")


def _told_postgresql(problem: psycopg.Error) -> MaxchimpError | None:
    state = problem.sqlstate or ""
    if state in ("25006", "42501"):  # read-only transaction, insufficient privilege
        return Misconfigured("the store may not be written", remedy="grant this PostgreSQL role its rights")
    if state.startswith("53"):
        return Incomplete("PostgreSQL has no room left", remedy="free some space; nothing is lost")
    if state == "55P03":  # lock not available
        return _busy()
    if isinstance(problem, psycopg.OperationalError):
        return Incomplete("the connection to PostgreSQL failed", remedy="check that it runs, then start again")
    return None


def _unopened(problem: DBAPIError, address: URL) -> MaxchimpError:
    """Why the first connection failed; an address is shown without its password."""
    if isinstance(problem.orig, sqlite3.Error):
        return _told(problem.orig) or Misconfigured(f"the store {address.database} cannot be opened", remedy=_EXAMPLES)
    text = str(problem.orig)
    server = f"PostgreSQL at {address.host or 'this machine'}:{address.port or 5432}"
    if "too many" in text or "connection slots" in text:
        return Incomplete(f"{server} has no connection left", remedy="wait, or raise its max_connections")
    if "password" in text or "authentication" in text or 'role "' in text or "pg_hba" in text:
        return Misconfigured(
            f"{server} refused the user {address.username or ''}".rstrip(),
            remedy="check user and password in MAXCHIMP_DATABASE_URL",
        )
    if "does not exist" in text:
        return Misconfigured(
            f"{server} has no database {quoted(address.database)}", remedy="run: createdb " + str(address.database)
        )
    if "SSL" in text or "certificate" in text:
        return Misconfigured(
            f"{server} offers no TLS that can be used", remedy="check its TLS, and sslmode in MAXCHIMP_DATABASE_URL"
        )
    return _unanswered(server, text, address)


def _unanswered(server: str, text: str, address: URL) -> MaxchimpError:
    """Whether nobody is there (the next cycle goes on) or somebody says no, in whatever language."""
    host = address.query.get("host") or address.host
    named = {"host": str(host)} if isinstance(host, str) and host else {}
    here = make_conninfo(connect_timeout=10, port=address.port, **named)
    found = PGconn.ping(here.encode())
    if found == Ping.REJECT:
        return Incomplete(f"{server} is starting or stopping", remedy="wait for it, then start again")
    if found == Ping.OK:
        return Misconfigured(
            f"{server} refused the connection", remedy="check user, password and database in MAXCHIMP_DATABASE_URL"
        )
    causes = (
        ("refused", "the connection was refused"),
        ("resolve", "its name was not found"),
        ("translate host name", "its name was not found"),
        ("timeout", "no answer in time"),
        ("No such file", "nothing listens there"),
    )
    cause = next((f": {told}" for word, told in causes if word in text), "")
    return Incomplete(
        f"{server} cannot be reached{cause}", remedy="check that it runs, and its address in MAXCHIMP_DATABASE_URL"
    )
