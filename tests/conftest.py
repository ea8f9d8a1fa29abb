"""The store on both databases, fresh for every test: migrated once per session, then copied; and whole offices."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Office, office
from hypothesis import settings
from room import ROOM
from shelves import Databases, postgresql
from sqlalchemy import Engine

from storage.engine import open_store
from storage.schema import migrate

# How long an example takes says more of the machine than of the code.
settings.register_profile("maxchimp", deadline=None)
settings.load_profile("maxchimp")


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
    with postgresql() as address:
        yield address


@pytest.fixture(scope="session")
def databases(postgresql_server: Callable[[str], str]) -> Iterator[tuple[Databases, str]]:
    """PostgreSQL's databases, and the name of a migrated one to copy."""
    shelf = Databases(postgresql_server)
    url = shelf.empty()
    engine = open_store(url)
    migrate(engine)
    engine.dispose()
    yield shelf, shelf.keep(url)
    shelf.close()


@pytest.fixture(scope="session")
def new_database(databases: tuple[Databases, str]) -> Callable[[bool], str]:
    """Make a PostgreSQL database, empty or migrated; its address. It stays until the session ends."""
    shelf, migrated = databases
    return lambda empty: shelf.empty() if empty else shelf.copy(migrated)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a store without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'store.db'}"
        return
    shelf, _ = request.getfixturevalue("databases")
    url = shelf.empty()
    yield url
    shelf.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a migrated store without rows."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "store.db")
        yield f"sqlite:///{tmp_path / 'store.db'}"
        return
    shelf, migrated = request.getfixturevalue("databases")
    url = shelf.copy(migrated)
    yield url
    shelf.drop(url)


@pytest.fixture
def store(store_url: str) -> Iterator[Engine]:
    """A migrated store without rows, on each database in turn."""
    engine = open_store(store_url)
    yield engine
    engine.dispose()


@pytest.fixture
def folder() -> Iterator[Path]:
    """For the store."""
    with tempfile.TemporaryDirectory(prefix="maxchimp-", dir=ROOM) as name:
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
