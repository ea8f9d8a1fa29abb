"""Links (accepted pairs) and their baselines: what each side held when last seen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    exists,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    text,
    union,
)

from storage import bulk
from storage.tables import baseline, entry_snapshot, link, member_snapshot

# Spelled as in the partial indexes: a condition with parameters would not use them.
_ALIVE: ColumnElement[bool] = literal_column("link.state <> 'ended'")
_ENDED: ColumnElement[bool] = literal_column("link.state = 'ended'")
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
    if touching_run is not None:
        return by_ids(db, db.execute(_touching(connection_id, touching_run)).scalars())
    ours = and_(link.c.connection_id == connection_id, _ALIVE)
    if unfinished:
        ours = and_(ours, _UNFINISHED)
    return bulk.read(db, select(link).where(ours).order_by(link.c.id))


def _touching(connection_id: int, run_id: int) -> Any:
    """Ids by three index look-ups; one condition with OR would read every link.

    The rows are then asked for by their ids: PostgreSQL takes the unfinished for many, and as a subquery of theirs it
    would read every link.
    """
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


def named(db: Connection, connection_id: int, keys: Iterable[str]) -> dict[str, int]:
    """Ids of the links that hold these records, by ``contact_id`` or ``entry_id``."""
    keys = list(keys)
    found: dict[str, int] = {}
    for side in (link.c.contact_id, link.c.entry_id):
        ours = and_(link.c.connection_id == connection_id, _ALIVE, bulk.among(db, side, keys))
        found |= {str(key): int(number) for key, number in db.execute(select(side, link.c.id).where(ours))}
    return found


def count(db: Connection, connection_id: int, state: str = "active", flag: str | None = None) -> int:
    # The state stands in the statement itself, as in the partial index.
    ours = and_(link.c.connection_id == connection_id, link.c.state == literal(state, literal_execute=True))
    if flag is not None:
        ours = and_(ours, link.c.flag == flag)
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
    """End links for good: their members and entries may be linked anew. How many ended.

    Their baselines go; notes stay for what becomes of the member next (R23).
    """
    ids = list(ids)
    ours = and_(bulk.among(db, link.c.id, ids), _ALIVE)
    ended = db.execute(link.update().where(ours).values(state="ended", reason=reason)).rowcount
    theirs = bulk.among(db, baseline.c.link_id, ids)
    db.execute(baseline.delete().where(theirs, baseline.c.notes == "{}"))
    db.execute(baseline.update().where(theirs).values(mailchimp="{}", maximizer="{}"))
    return int(ended)


def last_notes(db: Connection, connection_id: int, contact_ids: Iterable[str]) -> pd.DataFrame:
    """Frame of ``contact_id`` and ``notes`` (JSON text) of ended links of these members, the latest last."""
    ended = and_(link.c.connection_id == connection_id, _ENDED, baseline.c.notes != "{}")
    named = select(link.c.contact_id, baseline.c.notes).join(baseline, baseline.c.link_id == link.c.id)
    return bulk.read(db, named.where(ended, bulk.among(db, link.c.contact_id, contact_ids)).order_by(link.c.id))


def parted(db: Connection, connection_id: int, contact_ids: Iterable[str], reason: str) -> set[tuple[str, str]]:
    """(contact_id, entry_id) of links of these members that ended for this reason."""
    ended = and_(link.c.connection_id == connection_id, _ENDED, link.c.reason == reason)
    pairs = select(link.c.contact_id, link.c.entry_id).where(ended, bulk.among(db, link.c.contact_id, contact_ids))
    return {(str(contact), str(entry)) for contact, entry in db.execute(pairs)}


def baselines(db: Connection, link_ids: Iterable[int] | None = None) -> pd.DataFrame:
    """Frame of ``link_id`` and the JSON texts ``mailchimp``, ``maximizer``, ``notes``; None: of every link."""
    statement = select(*(baseline.c[name] for name in BASELINE_COLUMNS)).order_by(baseline.c.link_id)
    if link_ids is not None:
        statement = statement.where(bulk.among(db, baseline.c.link_id, link_ids))
    return bulk.read(db, statement)


def notes(db: Connection, connection_id: int) -> pd.DataFrame:
    """Frame of ``link_id`` and ``notes`` (JSON text) of the connection's links that have any."""
    named = select(baseline.c.link_id, baseline.c.notes).join(link, link.c.id == baseline.c.link_id)
    ours = and_(link.c.connection_id == connection_id, _ALIVE, baseline.c.notes != "{}")
    return bulk.read(db, named.where(ours).order_by(baseline.c.link_id))


def put_baselines(db: Connection, frame: pd.DataFrame) -> int:
    """Insert or replace baselines; the frame has ``link_id``, ``mailchimp``, ``maximizer``, ``notes``."""
    if frame.empty:
        return 0
    frame = frame.drop_duplicates("link_id", keep="last")
    one = select(baseline.c.link_id).where(baseline.c.link_id == int(frame["link_id"].iloc[0]))
    fresh = db.execute(one).first() is None  # one new link is rarely alone
    rows = bulk.rows_of(frame, baseline, BASELINE_COLUMNS)
    return bulk.upsert(db, baseline, BASELINE_COLUMNS, rows, ("link_id",), fresh=fresh)


def moved(db: Connection, connection_id: int, run_id: int, *, full: bool) -> list[int]:
    """Ids of the links with something to look at in a run.

    ``full``: one of their rows is not staged as it was last settled, or not at all. Else: one is staged differently,
    or the link is unfinished.
    """
    if full:
        names = {"connection": connection_id, "run": run_id}
        found = {number for side in _SIDES for number in db.execute(text(_not_as_settled(db, side)), names).scalars()}
        return sorted(found)
    differs = []
    for table, key, last in (
        (member_snapshot, "contact_id", link.c.member_hash),
        (entry_snapshot, "entry_id", link.c.entry_hash),
    ):
        same = and_(table.c.run_id == run_id, table.c[key] == link.c[key])
        differs.append(exists().where(same, table.c.row_hash != last))
    touching = bulk.among(db, link.c.id, db.execute(_touching(connection_id, run_id)).scalars())
    return sorted(db.execute(select(link.c.id).where(touching, or_(_UNFINISHED, *differs))).scalars())


_SIDES = ("member", "entry")


def _not_as_settled(db: Connection, side: str) -> str:
    """A million look-ups that walk two indexes side by side; left alone, SQLite takes one that jumps through rows."""
    key = "contact_id" if side == "member" else "entry_id"
    hints = db.dialect.name == "sqlite"
    by_link, by_row = (f"INDEXED BY ix_{name}_hash" if hints else "" for name in (f"link_{side}", f"{side}_snapshot"))
    return f"""
        SELECT link.id FROM link {by_link}
        WHERE link.connection_id = :connection AND link.state <> 'ended' AND NOT EXISTS (
            SELECT 1 FROM {side}_snapshot AS now {by_row}
            WHERE now.run_id = :run AND now.{key} = link.{key} AND now.row_hash = link.{side}_hash)
        ORDER BY link.{key}"""  # noqa: S608 (names of ours only)


def unread(
    db: Connection,
    connection_id: int,
    run_id: int,
    side: str,
    ids: Iterable[int] | None = None,
    *,
    active: bool = False,
) -> list[str]:
    """Records of a side that links hold and that are not staged in a run; of these links, or of all (None).

    ``active``: only of pairs that are synchronised, not of those whose member has left.
    """
    table, key = (member_snapshot, "contact_id") if side == "mailchimp" else (entry_snapshot, "entry_id")
    staged = exists().where(table.c.run_id == run_id, table.c[key] == link.c[key])
    # By their ids alone: with the connection beside them SQLite would walk through all links of the connection.
    these = link.c.connection_id == connection_id if ids is None else bulk.among(db, link.c.id, ids)
    ours = and_(these, _ALIVE, not_(staged))
    if active:
        ours = and_(ours, link.c.state == "active")
    # Sorted here: for the order's sake SQLite would walk through every link.
    return sorted(db.execute(select(link.c[key]).where(ours)).scalars())


def unlinked(db: Connection, connection_id: int, run_id: int, side: str) -> list[str]:
    """Staged records of a side that no link holds."""
    table, key = (member_snapshot, "contact_id") if side == "mailchimp" else (entry_snapshot, "entry_id")
    held = exists().where(link.c.connection_id == connection_id, link.c[key] == table.c[key], _ALIVE)
    return list(db.execute(select(table.c[key]).where(table.c.run_id == run_id, not_(held))).scalars())


def carried(db: Connection, connection_id: int, run_id: int) -> list[str]:
    """Entries that staged members carry the identity of, but no link for it, and that are not staged themselves."""
    members, entries = member_snapshot, entry_snapshot
    same = and_(link.c.contact_id == members.c.contact_id, link.c.entry_id == members.c.pair)
    held = exists().where(link.c.connection_id == connection_id, same, _ALIVE)
    read = exists().where(entries.c.run_id == run_id, entries.c.entry_id == members.c.pair)
    these = and_(members.c.run_id == run_id, members.c.found, members.c.pair != "", not_(read), not_(held))
    return list(db.execute(select(members.c.pair).where(these).distinct().order_by(members.c.pair)).scalars())


def by_marker(db: Connection, connection_id: int, unique_email_ids: Iterable[str]) -> pd.DataFrame:
    """All columns of the links whose member had one of these ids when last seen."""
    ours = and_(link.c.connection_id == connection_id, _ALIVE)
    return bulk.read(db, select(link).where(ours, bulk.among(db, link.c.unique_email_id, unique_email_ids)))


def holding(
    db: Connection, connection_id: int, addresses: Iterable[str], unique_email_ids: Iterable[str]
) -> pd.DataFrame:
    """All columns of the links that hold one of these addresses (in lower case) on either side, or one of these ids."""
    ours: Select[Any] = select(link.c.id).where(link.c.connection_id == connection_id, _ALIVE)
    listed = list(addresses)
    # Three look-ups: one condition with OR would read every link.
    holds = [bulk.among(db, func.lower(column), listed) for column in (link.c.email, link.c.email1)]
    holds.append(bulk.among(db, link.c.unique_email_id, unique_email_ids))
    return by_ids(db, db.execute(union(*map(ours.where, holds))).scalars())


def holding_now(db: Connection, connection_id: int, run_id: int, addresses: Iterable[str]) -> pd.DataFrame:
    """Links one of whose records is staged under one of these addresses (in lower case), whatever was last seen.

    Columns ``id``, ``contact_id``, ``entry_id``, ``email``, ``email1`` (as staged, "" for the side not asked) and
    ``unique_email_id``; a link may have two rows.
    """
    listed, parts = list(addresses), []
    addressed = ("email", "email1")
    columns = ["id", "contact_id", "entry_id", *addressed, "unique_email_id"]
    for table, key, name in ((member_snapshot, "contact_id", "email"), (entry_snapshot, "entry_id", "email1")):
        held = and_(table.c.run_id == run_id, bulk.among(db, func.lower(table.c[name]), listed))
        staged = bulk.read(db, select(table.c[key], table.c[name]).where(held))
        # Two steps, for a join SQLite would begin with every link.
        ours = and_(link.c.connection_id == connection_id, _ALIVE, bulk.among(db, link.c[key], staged[key]))
        found = bulk.read(db, select(*(link.c[one] for one in columns if one not in addressed)).where(ours))
        parts.append(found.merge(staged, on=key))
    return pd.concat(parts, ignore_index=True)[columns].fillna({"email": "", "email1": ""})
