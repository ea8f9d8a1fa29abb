"""Moving the store to another database: all of it, once, and only when nobody works on it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Engine, func, select

from domain.errors import Incomplete, LeaseHeld, Misconfigured
from storage import changes, connections, copying, leases, links, parking, runs
from storage.engine import begin, open_store, reading
from storage.schema import current
from storage.tables import metadata

NOW = 1_700_000_000.0
PEOPLE = 300


@pytest.fixture(scope="module")
def addresses(
    sqlite_template: Path, new_database: Callable[[bool], str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, bool], str]:
    """Address of a new store of a kind, migrated or without tables."""

    def make(kind: str, empty: bool) -> str:
        if kind == "postgresql":
            return new_database(empty)
        path = tmp_path_factory.mktemp("store") / "store.db"
        if not empty:
            shutil.copy(sqlite_template, path)
        return f"sqlite:///{path}"

    return make


@pytest.fixture(params=[("sqlite", "postgresql"), ("postgresql", "sqlite")], ids="-".join)
def both(request: pytest.FixtureRequest, addresses: Callable[[str, bool], str]) -> Iterator[tuple[Engine, Engine]]:
    """A source with rows in it and a target without tables."""
    source, target = open_store(addresses(request.param[0], False)), open_store(addresses(request.param[1], True))
    fill(source)
    yield source, target
    source.dispose()
    target.dispose()


def fill(engine: Engine) -> None:
    made = connections.create(engine, "default", NOW)
    connections.update(engine, made.id, traits={"udf_moves_date": True}, synced=True, account_name="Zoë & Söhne")
    run = runs.start(engine, made.id, "sync", True, NOW)
    runs.finish(engine, run, "done", None, {"mailchimp": {"create": 1}}, {"stages": {"load": 1.5}}, NOW)
    frame = pd.DataFrame(
        {"contact_id": [f"c{n}" for n in range(PEOPLE)], "entry_id": [f"e{n}#0" for n in range(PEOPLE)]}
    )
    frame = frame.assign(connection_id=made.id, created_run=run, created_at=NOW, member_hash=2**62 + 1, entry_hash=-5)
    with begin(engine) as db:
        ids = links.insert(db, frame)
        texts = pd.DataFrame(
            {"link_id": ids, "mailchimp": json.dumps({"A": 'x"\t\\N'}), "maximizer": "{}", "notes": "{}"}
        )
        links.put_baselines(db, texts)
        parking.park(
            db,
            made.id,
            [
                {
                    "side": "mailchimp",
                    "key": "c1",
                    "reason": "\\N",
                    "since_run": run,
                    "since_at": NOW,
                    "evidence": {"a": [1]},
                }
            ],
        )


def rows(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    with reading(engine) as db:
        return {t.name: sorted(map(repr, db.execute(select(t)))) for t in metadata.sorted_tables}


def test_every_row_arrives_unchanged_and_the_source_is_untouched(both: tuple[Engine, Engine]) -> None:
    source, target = both
    before = rows(source)
    counts = copying.copy(source, target)
    assert rows(target) == before == rows(source)
    assert counts == {name: len(found) for name, found in before.items()}
    assert counts["link"] == counts["baseline"] == PEOPLE
    assert current(target) == current(source)


def test_the_same_people_stay_forgotten(both: tuple[Engine, Engine]) -> None:
    source, target = both
    copying.copy(source, target)
    with begin(source) as old, begin(target) as new:
        assert parking.email_hmac(old, "ann@lantern.test") == parking.email_hmac(new, "ann@lantern.test")


def test_new_rows_get_new_ids_after_the_copy(both: tuple[Engine, Engine]) -> None:
    source, target = both
    copying.copy(source, target)
    made = connections.create(target, "second", NOW)
    run = runs.start(target, made.id, "sync", True, NOW)
    with begin(target) as db:
        ids = links.insert(
            db,
            pd.DataFrame({"contact_id": ["n"], "entry_id": ["n#0"], "created_at": NOW}).assign(
                connection_id=made.id, created_run=run
            ),
        )
        assert db.execute(select(func.max(metadata.tables["link"].c.id))).scalar_one() == ids[0]
    assert len(set(rows(target)["link"])) == PEOPLE + 1


def test_a_target_in_use_is_refused_and_left_alone(both: tuple[Engine, Engine]) -> None:
    source, target = both
    copying.copy(source, target)
    before = rows(target)
    with pytest.raises(Misconfigured, match="not empty"):
        copying.copy(source, target)
    with pytest.raises(Misconfigured, match="the target is the store itself"):
        copying.copy(source, source)
    assert rows(target) == before


def test_a_migrated_target_without_rows_is_taken(addresses: Callable[[str, bool], str]) -> None:
    source, target = open_store(addresses("sqlite", False)), open_store(addresses("sqlite", False))
    fill(source)
    copying.copy(source, target)
    assert rows(target) == rows(source)
    source.dispose()
    target.dispose()


def test_r36_nothing_is_copied_while_a_run_goes_on(both: tuple[Engine, Engine]) -> None:
    source, target = both
    held = leases.acquire(source, 1, "ann on desk, process 1", now=lambda: NOW)
    with pytest.raises(LeaseHeld) as caught:
        copying.copy(source, target, now=lambda: NOW)
    assert caught.value.holder == "ann on desk, process 1"
    assert current(target) is None
    held.release()
    copying.copy(source, target, now=lambda: NOW)


def test_f2_a_run_that_begins_meanwhile_spoils_the_copy(both: tuple[Engine, Engine]) -> None:
    source, target = both
    started: list[leases.Lease] = []

    def begin_a_run(text: str) -> None:
        if text == "counting":
            started.append(leases.acquire(source, 1, "ann", now=lambda: NOW))

    with pytest.raises(Incomplete, match="a run began"):
        copying.copy(source, target, progress=begin_a_run, now=lambda: NOW)
    assert {name for name, found in rows(target).items() if found} == {"secret"}
    started[0].release()
    copying.copy(source, target, now=lambda: NOW)


def test_a_failure_in_the_middle_leaves_the_target_empty(both: tuple[Engine, Engine]) -> None:
    source, target = both

    def fail(text: str) -> None:
        if text.startswith("copying run"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        copying.copy(source, target, progress=fail)
    assert {name for name, found in rows(target).items() if found} == {"secret"}
    assert copying.copy(source, target)["run"] == 1


def test_an_older_source_is_refused(addresses: Callable[[str, bool], str]) -> None:
    source, target = open_store(addresses("sqlite", True)), open_store(addresses("sqlite", True))
    with pytest.raises(Misconfigured, match="not been set up"):
        copying.copy(source, target)
    source.dispose()
    target.dispose()


def test_changes_keep_their_meaning(both: tuple[Engine, Engine]) -> None:
    """A conflict's losing value can still be told after the move (R31)."""
    source, target = both
    body = json.dumps({"set": [{"field": "JOB", "old": "Smith", "new": "Baker", "rule": "R30"}]}, separators=(",", ":"))
    frame = pd.DataFrame(
        [("mailchimp", "update", "c1", 1, "c1", "e1#0", "", body, "R31")],
        columns=["side", "op", "target", "link_id", "contact_id", "entry_id", "marker", "fields", "rule"],
    )
    with begin(source) as db:
        ids = changes.store(db, 1, 1, frame)
        changes.mark(db, ids, "done", finished_at=NOW)
    copying.copy(source, target)
    with reading(target) as db:
        found = changes.conflicts(db, 1, run_id=1).to_dict("records")
    assert [(row["field"], row["winner"], row["kept"], row["lost"]) for row in found] == [
        ("JOB", "maximizer", "Baker", "Smith")
    ]
