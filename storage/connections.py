"""Connections (one Address Book paired with one list), their field mappings and option pairs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from json import JSONDecodeError
from typing import Any

from sqlalchemy import Connection as Database
from sqlalchemy import Engine, Row, literal_column, select
from sqlalchemy.exc import IntegrityError

from domain.commands import typed
from domain.errors import Misconfigured
from domain.quoting import quoted
from domain.settings import SyncSettings
from storage import bulk
from storage.engine import begin, joining, reading
from storage.tables import (
    baseline,
    change,
    connection,
    field_mapping,
    finding,
    link,
    metadata,
    option_pair,
    quarantine,
    run,
)

_AT_ONCE = 100_000  # baselines rewritten per step
FIRST_SYNC = "first sync"


@dataclass(frozen=True)
class Connection:
    """``full_reason``: why the next cycle reads everything, "" when it may be incremental (R34).

    ``traits``: what this Maximizer was seen to do. ``synced``: a first sync was let through. ``fingerprint``: of the
    mappings and options when last synchronised. Cursors are texts as the service sent them. ``failures``: scheduled
    cycles that failed in a row; ``told``: what people were told of it last ("", failed or still-failing).
    """

    id: int
    name: str
    account_id: str
    account_name: str
    list_id: str
    list_name: str
    address_book: str
    dialect: str
    traits: dict[str, Any]
    flag_ref: str
    marker_ref: str
    settings: SyncSettings
    mailchimp_cursor: str
    maximizer_cursor: str
    full_reason: str
    synced: bool
    fingerprint: str
    created_at: float = 0.0
    failures: int = 0
    told: str = ""


@dataclass(frozen=True)
class MappingRow:
    """A mapping as stored: the refs survive a rename, the kinds are those seen when it was made (R27)."""

    id: int
    tag: str
    mailchimp_ref: str
    maximizer_ref: str
    field: str
    mailchimp_kind: str
    maximizer_kind: str
    basic_update: bool


_COLUMNS = tuple(connection.c[f.name] for f in fields(Connection))
_MAPPING_COLUMNS = tuple(field_mapping.c[f.name] for f in fields(MappingRow))


def find(engine: Engine, name: str) -> Connection | None:
    with reading(engine) as db, _legible():
        row = db.execute(select(*_COLUMNS).where(connection.c.name == name)).one_or_none()
    return None if row is None else _read(row)


def every(engine: Engine) -> list[Connection]:
    """All connections, by name."""
    with reading(engine) as db, _legible():
        rows = db.execute(select(*_COLUMNS).order_by(connection.c.name)).all()
    return [_read(row) for row in rows]


def _read(row: Row[Any]) -> Connection:
    try:
        settings = SyncSettings.from_json(_mapping_of(row.settings))
    except Misconfigured as problem:
        where = f"the connection {row.name} (table connection, row {row.id})"
        raise Misconfigured(
            f"the store holds settings of {where} that cannot be used: {problem.message}", remedy=problem.remedy
        ) from None
    return Connection(**{**row._mapping, "settings": settings})


@contextmanager
def _legible() -> Iterator[None]:
    """Misconfigured for a row whose settings or traits are no JSON, as after an edit by hand."""
    try:
        yield
    except JSONDecodeError:
        raise Misconfigured(
            "the store holds settings or traits of a connection that are no JSON (table connection)",
            remedy="restore the store from a backup",
        ) from None


def _mapping_of(stored: Any) -> dict[str, Any]:
    return stored if isinstance(stored, dict) else {}


def change_settings(engine: Engine, connection_id: int, assignments: Mapping[str, str]) -> SyncSettings:
    """Settings changed by ``NAME=VALUE`` texts, as they are stored now; so a value that cannot be read can be mended.

    Raises Misconfigured for a text that is not accepted, and for another value that cannot be read.
    """
    with begin(engine) as db, _legible():
        stored = db.execute(select(connection.c.settings).where(connection.c.id == connection_id)).scalar_one()
        kept = {name: value for name, value in _mapping_of(stored).items() if name not in assignments}
        changed = SyncSettings.from_json(kept).with_text(assignments)
        update(db, connection_id, settings=changed)
    return changed


def id_of(engine: Engine, name: str) -> int | None:
    """The id of a connection, also of one whose settings cannot be read."""
    with reading(engine) as db:
        found = db.execute(select(connection.c.id).where(connection.c.name == name)).scalar_one_or_none()
    return None if found is None else int(found)


def create(engine: Engine, name: str, now: float) -> Connection:
    """A connection with default settings; Misconfigured when the name is taken."""
    values = {"name": name, "traits": {}, "settings": SyncSettings().to_json(), "created_at": now}
    try:
        with begin(engine) as db:
            db.execute(connection.insert().values(values))
    except IntegrityError:
        raise Misconfigured(
            f"there is a connection {quoted(name)} already",
            remedy=f"see: {typed('connections', 'show', name)}; or choose another name",
        ) from None
    found = find(engine, name)
    assert found is not None
    return found


def update(where: Database | Engine, connection_id: int, **columns: Any) -> None:
    """Set columns of a connection; ``settings`` may be SyncSettings."""
    if isinstance(settings := columns.get("settings"), SyncSettings):
        columns["settings"] = settings.to_json()
    with joining(where) as db:
        db.execute(connection.update().where(connection.c.id == connection_id).values(columns))


def ask_full(engine: Engine, connection_id: int, now: float) -> str:
    """Make the next cycle read everything ("Sync Entire List", R34); why it will, as it is kept.

    The moment is part of it: a full cycle that is going on now clears only the reason that it began with.
    """
    asked = f"Sync Entire List, asked for at {datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S} UTC"
    with begin(engine) as db:
        _make_full(db, connection_id, asked)
        kept = select(connection.c.full_reason).where(connection.c.id == connection_id)
        return str(db.execute(kept).scalar_one())


def remove(db: Database, connection_id: int) -> None:
    """Forget a connection and all that belongs to it, in the caller's transaction; nothing happens on either side."""
    links = select(link.c.id).where(link.c.connection_id == connection_id)
    mapped = select(field_mapping.c.id).where(field_mapping.c.connection_id == connection_id)
    ran = select(run.c.id).where(run.c.connection_id == connection_id)
    made = select(change.c.id).where(change.c.connection_id == connection_id)
    owned = {"link_id": links, "mapping_id": mapped, "run_id": ran, "change_id": made}
    for table in reversed(metadata.sorted_tables):  # those that refer come before those that are referred to
        if table is connection:
            db.execute(table.delete().where(table.c.id == connection_id))
        elif "connection_id" in table.c:
            db.execute(table.delete().where(table.c.connection_id == connection_id))
        else:
            for name, ids in owned.items():
                if name in table.c:
                    db.execute(table.delete().where(table.c[name].in_(ids)))


def terms(db: Database, connection_id: int) -> str:
    """Everything people can change that decides what a run writes, in one text to compare (hazard F5)."""
    columns = [connection.c[n] for n in ("account_id", "list_id", "address_book", "flag_ref", "marker_ref", "settings")]
    *ids, settings = db.execute(select(*columns).where(connection.c.id == connection_id)).one()
    # A tag follows its merge field, which a run does by itself.
    kept = [name for name in MappingRow.__dataclass_fields__ if name not in ("tag", "field")]
    ours = select(*(field_mapping.c[name] for name in kept)).where(field_mapping.c.connection_id == connection_id)
    rows = [list(row) for row in db.execute(ours.order_by(field_mapping.c.id))]
    return json.dumps([ids, {**settings, "interval": None}, rows], sort_keys=True)


# --- mappings ----------------------------------------------------------------------------------------------------


def mappings(engine: Engine, connection_id: int) -> list[MappingRow]:
    """In the order in which they were made."""
    statement = select(*_MAPPING_COLUMNS).where(field_mapping.c.connection_id == connection_id)
    with reading(engine) as db:
        return [MappingRow(**row._mapping) for row in db.execute(statement.order_by(field_mapping.c.id))]


def put_mapping(engine: Engine, connection_id: int, mapping: MappingRow, now: float | None = None) -> MappingRow:
    """Insert, or replace the mapping of the same tag; the stored row, with its id (``mapping.id`` is not looked at).

    A replaced mapping loses its baselines, so that each pair meets for the first time (R30), and its option pairs;
    notes on whose value is ours stay (R23). An equal mapping is left as it is.
    """
    values = {f.name: getattr(mapping, f.name) for f in fields(MappingRow) if f.name != "id"}
    values |= {"changed": True, "held": {}}  # storage.held
    with begin(engine) as db:
        old = _mapping(db, connection_id, mapping.tag)
        if old is not None and replace(mapping, id=old.id) == old:
            return old
        if old is None:
            values |= {"connection_id": connection_id, "created_at": time.time() if now is None else now}
            made = field_mapping.insert().values(values)
            mapping_id = int(db.execute(made.returning(field_mapping.c.id)).scalar_one())
        else:
            mapping_id = old.id
            db.execute(option_pair.delete().where(option_pair.c.mapping_id == mapping_id))
            db.execute(field_mapping.update().where(field_mapping.c.id == mapping_id).values(values))
        # For a new mapping too: a cycle that began under a removed one may have written its values again.
        _forget(db, connection_id, [mapping.tag])
        _make_full(db, connection_id, "mapping changed")
    return replace(mapping, id=mapping_id)


def rename_mapping(engine: Engine, mapping_id: int, tag: str) -> bool:
    """The field has another tag now: the mapping and all that is remembered under the old one follow.

    False when another mapping has that tag.
    """
    with begin(engine) as db:
        mine = field_mapping.c.id == mapping_id
        owner, old = db.execute(select(field_mapping.c.connection_id, field_mapping.c.tag).where(mine)).one()
        if _mapping(db, owner, tag) is not None:
            return False
        db.execute(field_mapping.update().where(mine).values(tag=tag))
        _rewrite(db, owner, ("mailchimp", "maximizer", "notes"), lambda text: _renamed(old, tag, text))
    return True


def remove_mapping(engine: Engine, connection_id: int, tag: str) -> bool:
    """Whether there was such a mapping; its baselines and option pairs go, its notes stay (R23)."""
    with begin(engine) as db:
        return _drop(db, connection_id, [tag]) > 0


def drop_mappings(where: Database | Engine, connection_id: int) -> int:
    """All mappings of a connection, as when its list changes (R39); how many there were."""
    with joining(where) as db:
        tags = select(field_mapping.c.tag).where(field_mapping.c.connection_id == connection_id)
        return _drop(db, connection_id, list(db.execute(tags).scalars()))


def _mapping(db: Database, connection_id: int, tag: str) -> MappingRow | None:
    ours = (field_mapping.c.connection_id == connection_id) & (field_mapping.c.tag == tag)
    row = db.execute(select(*_MAPPING_COLUMNS).where(ours)).one_or_none()
    return None if row is None else MappingRow(**row._mapping)


def _drop(db: Database, connection_id: int, tags: Sequence[str]) -> int:
    ours = (field_mapping.c.connection_id == connection_id) & field_mapping.c.tag.in_(tags)
    count = db.execute(field_mapping.delete().where(ours)).rowcount
    if count:
        _forget(db, connection_id, tags)
        _make_full(db, connection_id, "mapping changed")
    return int(count)


def _make_full(db: Database, connection_id: int, reason: str) -> None:
    """Make the next cycle full; one that is a first sync stays one."""
    ours = (connection.c.id == connection_id) & (connection.c.full_reason != FIRST_SYNC)
    db.execute(connection.update().where(ours).values(full_reason=reason))


def _forget(db: Database, connection_id: int, tags: Iterable[str]) -> None:
    """Take the tags out of every baseline of the connection."""
    gone = set(tags)
    _rewrite(db, connection_id, ("mailchimp", "maximizer"), lambda text: _without(gone, text))


def _rewrite(db: Database, connection_id: int, columns: Sequence[str], change: Callable[[str], str]) -> None:
    """Change texts of every baseline of the connection; in steps, for there may be a million."""
    ids = sorted(db.execute(select(link.c.id).where(link.c.connection_id == connection_id)).scalars())
    statement = select(baseline.c.link_id, *(baseline.c[name] for name in columns))
    for start in range(0, len(ids), _AT_ONCE):
        these = bulk.among(db, baseline.c.link_id, ids[start : start + _AT_ONCE])
        rows = db.execute(statement.where(these)).all()
        written = ((link_id, *map(change, texts)) for link_id, *texts in rows)
        changed = [new for new, old in zip(written, rows, strict=True) if new != tuple(old)]
        bulk.update(db, baseline, ["link_id", *columns], changed, key="link_id")


def _without(tags: set[str], text: str) -> str:
    values: dict[str, Any] = json.loads(text)
    if tags.isdisjoint(values):
        return text
    return json.dumps({tag: value for tag, value in values.items() if tag not in tags})


def _renamed(old: str, new: str, text: str) -> str:
    values: dict[str, Any] = json.loads(text)
    return json.dumps({new if tag == old else tag: value for tag, value in values.items()}) if old in values else text


# --- options -----------------------------------------------------------------------------------------------------


def option_pairs(engine: Engine, mapping_id: int) -> list[tuple[str, str]]:
    """(mailchimp key, maximizer key) of the options that correspond (R26)."""
    with reading(engine) as db:
        return _pairs(db, mapping_id)


def set_option_pairs(engine: Engine, mapping_id: int, pairs: Iterable[tuple[str, str]]) -> None:
    """Replace the pairs; when they differ from before, the next cycle is full (R30)."""
    pairs = sorted(set(pairs))
    with begin(engine) as db:
        if _pairs(db, mapping_id) == pairs:
            return
        met = set(_pairs(db, mapping_id, met=True))
        db.execute(option_pair.delete().where(option_pair.c.mapping_id == mapping_id))
        rows = [(mapping_id, *pair, pair in met) for pair in pairs]
        bulk.insert(db, option_pair, ["mapping_id", "mailchimp_key", "maximizer_key", "met"], rows)
        owner = select(field_mapping.c.connection_id).where(field_mapping.c.id == mapping_id)
        _make_full(db, int(db.execute(owner).scalar_one()), "options changed")


def _pairs(db: Database, mapping_id: int, *, met: bool = False) -> list[tuple[str, str]]:
    columns = select(option_pair.c.mailchimp_key, option_pair.c.maximizer_key)
    ours = columns.where(option_pair.c.mapping_id == mapping_id)
    return sorted((a, b) for a, b in db.execute(ours.where(option_pair.c.met) if met else ours))


# --- another list or Address Book --------------------------------------------------------------------------------


def end_links(where: Database | Engine, connection_id: int, reason: str) -> int:
    """End every link on purpose (R39) without touching a flag; how many. The next cycle is a first sync.

    What waited for a person on the old list is closed, and findings about its records go.
    """
    alive = (link.c.connection_id == connection_id) & literal_column("state <> 'ended'")
    with joining(where) as db:
        ended = select(link.c.id).where(link.c.connection_id == connection_id)
        db.execute(baseline.delete().where(baseline.c.link_id.in_(ended)))
        count = db.execute(link.update().where(alive).values(state="ended", reason=reason)).rowcount
        waiting = (quarantine.c.connection_id == connection_id) & (quarantine.c.state != "resolved")
        db.execute(quarantine.update().where(waiting).values(state="resolved"))
        db.execute(finding.delete().where(finding.c.connection_id == connection_id))
        update(
            db,
            connection_id,
            mailchimp_cursor="",
            maximizer_cursor="",
            full_reason=FIRST_SYNC,
            synced=False,
            fingerprint="",
        )
    return int(count)
