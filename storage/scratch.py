"""What the store remembers of a few people, in a store of its own in memory: to decide about them without writing.

Nothing of it ever reaches a disk; it is gone with its engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy import ColumnElement, Connection, Engine, Table, and_, create_engine, or_, select
from sqlalchemy.pool import StaticPool

from storage import bulk, links, parking
from storage.engine import reading
from storage.tables import baseline, connection, link, metadata, quarantine, secret, suppression


@contextmanager
def part_of(
    engine: Engine, connection_id: int, contact_ids: Iterable[str], entry_ids: Iterable[str], addresses: Iterable[str]
) -> Iterator[Engine]:
    """The connection with what concerns these records: links (ended ones of members too), and what waits for them.

    ``addresses``: those of them that are suppressed are so in the copy as well.
    """
    made = create_engine("sqlite+pysqlite://", poolclass=StaticPool, hide_parameters=True)
    try:
        with reading(engine) as db, made.begin() as copy:
            metadata.create_all(copy)
            _copy(db, copy, connection, connection.c.id == connection_id)
            _copy(db, copy, secret, secret.c.name == "email-hmac")
            _copy_people(db, copy, connection_id, list(contact_ids), list(entry_ids))
            hasher = parking.email_hasher(db)
            hashed = bulk.among(db, suppression.c.email_hmac, [hasher(address) for address in addresses])
            _copy(db, copy, suppression, and_(suppression.c.connection_id == connection_id, hashed))
        yield made
    finally:
        made.dispose()


def _copy_people(db: Connection, copy: Connection, connection_id: int, members: list[str], entries: list[str]) -> None:
    named = links.named(db, connection_id, [*members, *entries])
    apart = [key for key in members if key not in named]
    ended = and_(
        link.c.connection_id == connection_id, link.c.state == "ended", bulk.among(db, link.c.contact_id, apart)
    )
    ids = _copy(db, copy, link, bulk.among(db, link.c.id, named.values()))
    ids += _copy(db, copy, link, ended) if apart else []
    _copy(db, copy, baseline, bulk.among(db, baseline.c.link_id, ids), key="link_id")
    keys = [name for key in (*members, *entries) for name in (key, f"new:{key}")]
    about = and_(quarantine.c.connection_id == connection_id, quarantine.c.side.in_(("mailchimp", "maximizer")))
    waiting = or_(quarantine.c.state == "open", quarantine.c.state == "released")
    _copy(db, copy, quarantine, and_(about, waiting, bulk.among(db, quarantine.c.key, keys)))


def _copy(db: Connection, copy: Connection, table: Table, these: ColumnElement[bool], key: str = "id") -> list[int]:
    """Copy rows; the keys of those copied."""
    rows = [dict(row._mapping) for row in db.execute(select(table).where(these))]
    if rows:
        copy.execute(table.insert(), rows)
    return [row[key] for row in rows] if key in table.c else []
