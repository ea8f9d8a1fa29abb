"""Links (accepted pairs) and their baselines: what each side held when last seen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal_column, or_, select, union

from storage import bulk
from storage.tables import baseline, entry_snapshot, link, member_snapshot

# Spelled as in the partial indexes: a condition with parameters would not use them.
_ALIVE: ColumnElement[bool] = literal_column("link.state <> 'ended'")
_UNFINISHED: ColumnElement[bool] = literal_column("(link.member_hash IS NULL OR link.entry_hash IS NULL)")

COLUMNS = tuple(c.name for c in link.c)
BASELINE_COLUMNS = ("link_id", "mailchimp", "maximizer", "notes")
_DEFAULTS: dict[str, Any] = {
    "state": "active",
    "email": "",
    "email1": "",
    "unique_email_id": "",
    "web_id": "",
    "status": "",
    "archived": False,
    "flag": "",
    "flag_ours": False,
    "member_hash": None,
    "entry_hash": None,
    "reason": "",
}


def links(
    db: Connection, connection_id: int, *, touching_run: int | None = None, unfinished: bool = False
) -> pd.DataFrame:
    """All columns of the links that have not ended, in order of id.

    ``touching_run``: only those whose member or entry is staged in that run, and the unfinished ones.
    ``unfinished``: only those with something left to do (a hash is missing).
    """
    ours = and_(link.c.connection_id == connection_id, _ALIVE)
    if unfinished:
        ours = and_(ours, _UNFINISHED)
    elif touching_run is not None:
        ours = link.c.id.in_(_touching(connection_id, touching_run))
    return bulk.read(db, select(link).where(ours).order_by(link.c.id))


def _touching(connection_id: int, run_id: int) -> Any:
    """Ids by three index look-ups; one condition with OR would read every link."""
    ours: Select[Any] = select(link.c.id).where(link.c.connection_id == connection_id, _ALIVE)
    staged_members = select(member_snapshot.c.contact_id).where(member_snapshot.c.run_id == run_id)
    staged_entries = select(entry_snapshot.c.entry_id).where(entry_snapshot.c.run_id == run_id)
    return union(
        ours.where(link.c.contact_id.in_(staged_members)),
        ours.where(link.c.entry_id.in_(staged_entries)),
        ours.where(_UNFINISHED),
    )


def by_ids(db: Connection, ids: Iterable[int]) -> pd.DataFrame:
    """All columns of these links, ended ones too, in order of id."""
    return bulk.read(db, select(link).where(bulk.among(db, link.c.id, ids)).order_by(link.c.id))


def count(db: Connection, connection_id: int, state: str = "active") -> int:
    ours = and_(link.c.connection_id == connection_id, link.c.state == state)
    return int(db.execute(select(func.count()).select_from(link).where(ours)).scalar_one())


def insert(db: Connection, frame: pd.DataFrame) -> list[int]:
    """Store new links, their ids in the order of the frame.

    The frame has ``connection_id``, ``contact_id``, ``entry_id``, ``created_run``, ``created_at`` and any other column
    but ``id``; missing ones are empty, ``state`` is then ``active``. IntegrityError when a side is linked already.
    """
    missing = {name: value for name, value in _DEFAULTS.items() if name not in frame}
    columns = [name for name in COLUMNS if name != "id"]
    rows = bulk.rows_of(frame.assign(**missing), link, columns)
    ids = bulk.new_ids(db, link, len(frame))
    bulk.insert(db, link, ["id", *columns], ((i, *row) for i, row in zip(ids, rows, strict=True)))
    return ids


def update(db: Connection, frame: pd.DataFrame) -> int:
    """Set the frame's columns of the links named by its ``id``."""
    columns = [str(name) for name in frame.columns]
    return bulk.update(db, link, columns, bulk.rows_of(frame, link, columns)) if len(frame) else 0


def end(db: Connection, ids: Iterable[int], reason: str) -> int:
    """End links for good: their members and entries may be linked anew; their baselines go. How many ended."""
    ids = list(ids)
    ours = and_(bulk.among(db, link.c.id, ids), _ALIVE)
    ended = db.execute(link.update().where(ours).values(state="ended", reason=reason)).rowcount
    db.execute(baseline.delete().where(bulk.among(db, baseline.c.link_id, ids)))
    return int(ended)


def baselines(db: Connection, link_ids: Iterable[int] | None = None) -> pd.DataFrame:
    """Frame of ``link_id`` and the JSON texts ``mailchimp``, ``maximizer``, ``notes``; None: of every link."""
    statement = select(*(baseline.c[name] for name in BASELINE_COLUMNS)).order_by(baseline.c.link_id)
    if link_ids is not None:
        statement = statement.where(bulk.among(db, baseline.c.link_id, link_ids))
    return bulk.read(db, statement)


def put_baselines(db: Connection, frame: pd.DataFrame) -> int:
    """Insert or replace baselines; the frame has ``link_id``, ``mailchimp``, ``maximizer``, ``notes``."""
    if frame.empty:
        return 0
    frame = frame.drop_duplicates("link_id", keep="last")
    one = select(baseline.c.link_id).where(baseline.c.link_id == int(frame["link_id"].iloc[0]))
    fresh = db.execute(one).first() is None  # one new link is rarely alone
    rows = bulk.rows_of(frame, baseline, BASELINE_COLUMNS)
    return bulk.upsert(db, baseline, BASELINE_COLUMNS, rows, ("link_id",), fresh=fresh)


def hashes(db: Connection, connection_id: int) -> pd.DataFrame:
    """Of every link that has not ended: ``id``, ``contact_id``, ``entry_id``, ``state`` and the hashes last seen."""
    columns = [link.c[name] for name in ("id", "contact_id", "entry_id", "state", "member_hash", "entry_hash")]
    return bulk.read(db, select(*columns).where(link.c.connection_id == connection_id, _ALIVE))


def by_marker(db: Connection, connection_id: int, unique_email_ids: Iterable[str]) -> pd.DataFrame:
    """All columns of the links whose member had one of these ids when last seen."""
    ours = and_(link.c.connection_id == connection_id, _ALIVE)
    return bulk.read(db, select(link).where(ours, bulk.among(db, link.c.unique_email_id, unique_email_ids)))


def holding(
    db: Connection, connection_id: int, addresses: Iterable[str], unique_email_ids: Iterable[str]
) -> pd.DataFrame:
    """All columns of the links that hold one of these addresses (in lower case) on either side, or one of these ids."""
    ours = and_(link.c.connection_id == connection_id, _ALIVE)
    listed = list(addresses)
    held = [bulk.among(db, func.lower(link.c[name]), listed) for name in ("email", "email1")]
    marked = bulk.among(db, link.c.unique_email_id, unique_email_ids)
    return bulk.read(db, select(link).where(ours, or_(*held, marked)))
