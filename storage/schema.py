"""The schema's versions. Alembic runs from the installed package; each version is one transaction on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from domain.errors import Misconfigured
from storage.engine import begin, in_words, reading

VERSION_TABLE = "maxchimp_version"  # not Alembic's own name: Prefect may keep its tables in the same database
_LOCK = 0x6D6178  # one migration at a time on PostgreSQL; on SQLite BEGIN IMMEDIATE does that
_REMEDY = "run: maxchimp setup"


def migrate(engine: Engine, to: str = "head") -> None:
    """Bring the store to this version, or an earlier one; when one step fails, all before it and the old data stand.

    Raises Misconfigured for a store of a newer version.
    """
    versions = _versions(engine)
    if versions and not _known(versions):
        raise _newer()
    with in_words(), _alone(engine) as db:
        config = _config()
        config.attributes["connection"] = db
        command.upgrade(config, to)


def current(engine: Engine) -> str | None:
    """The version of the store; None before the first ``migrate``. Misconfigured when it is half migrated."""
    versions = _versions(engine)
    if len(versions) > 1:
        raise Misconfigured("the store is half migrated", remedy=_REMEDY)
    return versions[0] if versions else None


def require_current(engine: Engine) -> None:
    """Misconfigured unless the store has exactly this version (hazard F10)."""
    found = current(engine)
    if found == _scripts().get_current_head():
        return
    if found is None:
        raise Misconfigured("the store has not been set up", remedy=_REMEDY)
    if not _known((found,)):
        raise _newer()
    raise Misconfigured("the store was made by an older version of maxchimp", remedy=_REMEDY)


def _newer() -> Misconfigured:
    return Misconfigured("the store was made by a newer version of maxchimp", remedy="install that version")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _known(versions: tuple[str, ...]) -> bool:
    ours = {script.revision for script in _scripts().walk_revisions()}
    return ours.issuperset(versions)


def _versions(engine: Engine) -> tuple[str, ...]:
    with reading(engine) as db:
        context = MigrationContext.configure(db, opts={"version_table": VERSION_TABLE})
        return tuple(context.get_current_heads())


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A connection on which nobody else migrates, and on which SQLite may rebuild a table that others refer to."""
    if engine.dialect.name == "postgresql":
        # The lock lives in a transaction of its own; the steps commit on another connection.
        with begin(engine) as lock, engine.connect() as db:
            lock.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            yield db
        return
    with engine.connect() as db:
        driver = db.connection.driver_connection
        assert driver is not None
        # Rebuilding a table drops it, and a drop with foreign keys on deletes the rows that refer to it.
        driver.execute("PRAGMA foreign_keys=OFF")
        try:
            yield db
        finally:
            driver.execute("PRAGMA foreign_keys=ON")
