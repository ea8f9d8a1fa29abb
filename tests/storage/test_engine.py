from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, make_url, select
from sqlalchemy.exc import IntegrityError, OperationalError

from domain.errors import Incomplete, Misconfigured
from storage import engine as module
from storage.engine import begin, open_store, reading
from storage.tables import secret


def put(store: Engine, name: str) -> None:
    with begin(store) as db:
        db.execute(secret.insert().values(name=name, value="x"))


def names(store: Engine) -> set[str]:
    with reading(store) as db:
        return set(db.execute(select(secret.c.name)).scalars()) - {"email-hmac"}


def test_what_is_committed_is_seen_by_another_engine(store: Engine, store_url: str) -> None:
    put(store, "a")
    other = open_store(store_url)
    assert names(other) == {"a"}
    other.dispose()


def test_several_threads(store: Engine) -> None:
    threads = [threading.Thread(target=put, args=(store, f"t{i}")) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(store)) == 8


def test_reading_is_one_view_and_leaves_nothing(store: Engine) -> None:
    with reading(store) as db:
        count = select(secret.c.name)
        before = db.execute(count).all()
        put(store, "later")
        assert db.execute(count).all() == before
    with reading(store) as db:
        if store.dialect.name == "postgresql":
            db.execute(secret.insert().values(name="lost", value="x"))
    assert names(store) == {"later"}


def test_a_mistake_in_a_statement_stays_what_it_is(store: Engine) -> None:
    put(store, "a")
    with pytest.raises(IntegrityError):
        put(store, "a")


def test_f6_a_failing_commit_is_incomplete_and_leaves_nothing(store: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_connection: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    if store.dialect.name == "postgresql":
        from psycopg.errors import DiskFull

        def full(_connection: object) -> None:
            raise DiskFull("could not extend file")

    with monkeypatch.context() as patch:
        patch.setattr(store.dialect, "do_commit", full)
        with pytest.raises(Incomplete, match=r"full|room"):
            put(store, "a")
    assert names(store) == set()
    put(store, "b")
    assert names(store) == {"b"}


# --- SQLite ------------------------------------------------------------------------------------------------------


def test_f7_sqlite_is_durable_and_s31_private(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        store = open_store(f"sqlite:///{tmp_path / 'new' / 'folder' / 'store.db'}")
        with begin(store) as db:
            db.exec_driver_sql("CREATE TABLE t (a)")
            pragmas = [
                db.exec_driver_sql(f"PRAGMA {p}").scalar() for p in ("journal_mode", "synchronous", "foreign_keys")
            ]
        modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new" / "folder").iterdir()}
    finally:
        os.umask(old)
    assert pragmas == ["wal", 2, 1]
    assert modes == {0o600}
    store.dispose()


def test_s31_a_file_open_to_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.touch(0o644)
    path.chmod(0o644)
    with pytest.raises(Misconfigured, match="other users") as caught:
        open_store(f"sqlite:///{path}")
    assert "chmod 600" in caught.value.remedy


def test_f7_a_folder_without_write_ahead_log_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PRAGMAS", ("journal_mode=DELETE",))
    with pytest.raises(Misconfigured, match="write-ahead"):
        open_store(f"sqlite:///{tmp_path / 'store.db'}")


def test_two_writers_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_TIMEOUT", 0.01)
    one, two = (open_store(f"sqlite:///{tmp_path / 'store.db'}") for _ in range(2))
    with begin(one):
        with pytest.raises(Incomplete, match="busy"), begin(two):
            pytest.fail("two writers at once")
        with reading(two):
            pass
    one.dispose()
    two.dispose()


def test_a_store_that_may_not_be_written(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    with store.connect() as db:
        assert db.connection.driver_connection is not None
        db.connection.driver_connection.execute("PRAGMA query_only=ON")
    with pytest.raises(Misconfigured, match="may not be written"), begin(store) as db:
        db.exec_driver_sql("CREATE TABLE t (a)")
    store.dispose()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "cannot be read"),
        ("nonsense", "cannot be read"),
        ("postgresql://h:port/db", "cannot be read"),
        ("postgresql://h:99999/db", "cannot be read"),
        ("postgresql://[", "cannot be read"),
        ("mysql://h/db", "cannot be kept in mysql"),
        ("postgresql+asyncpg://h/db", "not reached through"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:////proc/nowhere/store.db", "cannot be made"),
    ],
)
def test_addresses_that_cannot_be_used(url: str, words: str) -> None:
    with pytest.raises(Misconfigured, match=words) as caught:
        open_store(url)
    assert caught.value.remedy


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_text("a letter to a friend " * 100)
    path.chmod(0o600)
    with pytest.raises(Misconfigured, match="damaged"):
        open_store(f"sqlite:///{path}")


# --- PostgreSQL --------------------------------------------------------------------------------------------------


def test_postgresql_that_does_not_answer_is_waited_for() -> None:
    with pytest.raises(Incomplete, match=r"127\.0\.0\.1:1 cannot be reached: the connection was refused") as caught:
        open_store("postgresql://ann:hunter2@127.0.0.1:1/store")
    assert "hunter2" not in str(caught.value) + caught.value.remedy


def test_postgresql_whose_name_is_not_found_is_waited_for() -> None:
    problem = OperationalError("", None, psycopg.OperationalError("failed to resolve host 'db': [Errno -2]"))
    told = module._unopened(problem, make_url("postgresql://ann@127.0.0.1:1/store"))
    assert isinstance(told, Incomplete)
    assert told.message.endswith("its name was not found")


def test_a_refusal_in_another_language_is_no_outage(postgresql_server: Callable[[str], str]) -> None:
    """What the server says is translated there: what is known of it is that it answers."""
    problem = OperationalError("", None, psycopg.OperationalError("FATAL: Passwort-Authentifizierung fehlgeschlagen"))
    told = module._unopened(problem, make_url(postgresql_server("postgres")))
    assert isinstance(told, Misconfigured)
    assert "MAXCHIMP_DATABASE_URL" in told.remedy


def test_a_server_without_a_connection_left_is_waited_for() -> None:
    problem = OperationalError("", None, psycopg.OperationalError("FATAL: sorry, too many clients already"))
    assert isinstance(module._unopened(problem, make_url("postgresql://ann@db/store")), Incomplete)


def test_sqlite_that_somebody_has_locked_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_TIMEOUT", 0.05)
    path = tmp_path / "store.db"
    open_store(f"sqlite:///{path}").dispose()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Incomplete, match="busy"):
            open_store(f"sqlite:///{path}")


def test_postgresql_without_that_database_or_role(postgresql_server: Callable[[str], str]) -> None:
    with pytest.raises(Misconfigured, match="no database 'nowhere'"):
        open_store(postgresql_server("nowhere"))
    with pytest.raises(Misconfigured, match="refused the user nobody"):
        open_store(postgresql_server("postgres").replace("//postgres:@", "//nobody:@"))


def test_a_wrong_password_is_said() -> None:
    problem = OperationalError("", None, psycopg.OperationalError('password authentication failed for user "ann"'))
    told = module._unopened(problem, make_url("postgresql://ann:hunter2@db/store"))
    assert isinstance(told, Misconfigured)
    assert "refused the user ann" in str(told)
    assert "hunter2" not in str(told)


def test_f7_postgresql_that_forgets_commits_is_refused(new_database: Callable[[bool], str]) -> None:
    url = new_database(True)
    with pytest.raises(Misconfigured, match="synchronous_commit"):
        open_store(url + ("&" if "?" in url else "?") + "options=-csynchronous_commit%3Doff")


def test_postgresql_that_may_not_be_written(new_database: Callable[[bool], str]) -> None:
    url = new_database(False)
    store = open_store(url + ("&" if "?" in url else "?") + "options=-cdefault_transaction_read_only%3Don")
    with pytest.raises(Misconfigured, match="may not be written"):
        put(store, "a")
    store.dispose()


def test_s31_a_remote_postgresql_is_reached_through_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(module, "create_engine", lambda address, **_: made.append(address.query))
    monkeypatch.setattr(module.event, "listen", lambda *_: None)
    for host in ("db.maxchimp.test", "localhost"):
        module._postgresql(module._address(f"postgres://ann@{host}/store"))
    module._postgresql(module._address("postgresql://ann@db.maxchimp.test/store?sslmode=verify-full"))
    assert [query.get("sslmode") for query in made] == ["require", None, "verify-full"]
