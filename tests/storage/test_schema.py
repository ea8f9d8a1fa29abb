from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, Engine, inspect, select

import storage.schema as module
from domain.errors import Misconfigured
from storage.engine import begin, open_store, reading
from storage.schema import VERSION_TABLE, current, migrate, require_current
from storage.tables import metadata, secret

ROOT = Path(module.__file__).parents[1]
HEAD = str(module._scripts().get_current_head())


@pytest.fixture
def empty(empty_url: str) -> Iterator[Engine]:
    engine = open_store(empty_url)
    yield engine
    engine.dispose()


# Of an index by an expression SQLite's reflection tells nothing; tests/flows/test_work.py holds that they serve.
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection", "ignore:autogenerate skipping")
def test_the_migrated_schema_is_the_one_in_the_tables(store: Engine) -> None:
    with reading(store) as db:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        assert compare_metadata(MigrationContext.configure(db, opts=options), metadata) == []


def test_constraints_are_there_too(store: Engine) -> None:
    """Alembic compares no checks; compared by name here."""
    found = inspect(store)
    for table in metadata.sorted_tables:
        checks = {
            str(c.name).removeprefix(f"ck_{table.name}_") for c in table.constraints if isinstance(c, CheckConstraint)
        }
        assert {c["name"] for c in found.get_check_constraints(table.name)} == {f"ck_{table.name}_{c}" for c in checks}


def test_migrating_twice_changes_nothing(store: Engine) -> None:
    before = current(store)
    migrate(store)
    assert current(store) == before is not None
    require_current(store)


def test_f10_a_store_that_was_not_set_up(empty: Engine) -> None:
    assert current(empty) is None
    with pytest.raises(Misconfigured, match="not been set up") as caught:
        require_current(empty)
    assert caught.value.remedy == "run: maxchimp setup"


@pytest.fixture
def next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the migrations with one more revision, which a test writes."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    for path in (ROOT / "migrations").rglob("*.py"):
        (folder / path.relative_to(ROOT / "migrations")).write_text(path.read_text())
    config = Config()
    config.set_main_option("script_location", str(folder))
    monkeypatch.setattr(module, "_config", lambda: config)
    return folder / "versions" / "9999_next.py"


REVISION = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "9999", "HEAD"
def upgrade():
    op.create_table("half", sa.Column("id", sa.Integer, primary_key=True))
    op.execute("INSERT INTO secret VALUES ('half', 'done')")
""".replace("HEAD", HEAD)


def test_f10_a_failed_upgrade_leaves_the_old_version_usable(
    store: Engine, next_version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    next_version.write_text(REVISION + "    raise ZeroDivisionError\n")
    with pytest.raises(ZeroDivisionError):
        migrate(store)
    assert current(store) == HEAD
    assert not inspect(store).has_table("half")
    with begin(store) as db:
        assert db.execute(select(secret.c.name).where(secret.c.name == "half")).all() == []
    with pytest.raises(Misconfigured, match="older version"):
        require_current(store)
    monkeypatch.undo()
    require_current(store)


def test_f10_a_store_of_a_newer_version_is_left_alone(
    store: Engine, next_version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    next_version.write_text(REVISION)
    migrate(store)
    require_current(store)
    monkeypatch.undo()
    for refuse in (require_current, migrate):
        with pytest.raises(Misconfigured, match="newer version"):
            refuse(store)
    assert current(store) == "9999"


def test_a_table_may_be_rebuilt_without_losing_what_refers_to_it(store: Engine, next_version: Path) -> None:
    with begin(store) as db:
        db.exec_driver_sql(
            "INSERT INTO connection (id, name, traits, settings, created_at) VALUES (1, 'a', '{}', '{}', 0)"
        )
        db.exec_driver_sql("INSERT INTO lease VALUES (1, 1, 'ann', 0)")
    next_version.write_text(
        REVISION
        + "    with op.batch_alter_table('connection') as batch:\n        batch.alter_column('name', nullable=True)\n"
    )
    migrate(store)
    with begin(store) as db:
        assert db.exec_driver_sql("SELECT count(*) FROM lease").scalar() == 1
        if db.dialect.name == "sqlite":
            assert db.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_half_migrated_store_is_refused(store: Engine) -> None:
    with begin(store) as db:
        db.exec_driver_sql(f"INSERT INTO {VERSION_TABLE} VALUES ('0000')")
    with pytest.raises(Misconfigured, match="half migrated"):
        current(store)


def test_the_migrations_travel_in_the_wheel_and_run_from_there(tmp_path: Path) -> None:
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    with zipfile.ZipFile(tmp_path / done.stdout.split()[-1]) as wheel:
        wheel.extractall(tmp_path / "installed")
    assert (tmp_path / "installed" / "migrations" / "script.py.mako").exists()
    use = (
        "import migrations, storage.schema as s; from storage.engine import open_store; e = open_store('sqlite:///s.db');"
        "s.migrate(e); s.require_current(e); print(migrations.__file__)"
    )
    found = subprocess.run(
        [sys.executable, "-c", use],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "installed")},
        check=True,
        capture_output=True,
        text=True,
    )
    assert found.stdout.startswith(str(tmp_path / "installed"))
    assert found.stderr == ""
