"""Which list and which Address Book a connection has for itself: nobody else may have either (R5, R36).

A claim outlives every run: it is taken by set-up, looked at before each run and freed with its connection. The primary
key of the table decides between two who come at the same moment. A list has one key, an Address Book may have several
(its server and name, the id that the service gives it); claims of an older store know the name alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, Connection, select, true
from sqlalchemy.dialects import postgresql, sqlite

from storage.tables import claim, connection, link

Kind = Literal["list", "book"]


@dataclass(frozen=True)
class Wanted:
    """A list or an Address Book: ``name`` for people, ``keys`` by which it is known.

    ``book``: the folded name of an Address Book, which others may know under the name of another server.
    """

    kind: Kind
    name: str
    keys: frozenset[str]
    book: str = ""


@dataclass(frozen=True)
class Claim:
    """``connection``: the name of whoever has it."""

    kind: Kind
    key: str
    since_at: float
    connection_id: int
    connection: str


def list_key(account_id: str, list_id: str) -> str:
    return f"{account_id}/{list_id}"


def book_key(server: str, book: str) -> str:
    """``server``: an address in one spelling, or whatever else tells two Address Books of one name apart."""
    return f"{server} {book}"


def unplaced(book: str) -> str:
    """The key of an Address Book whose server is not known yet: an older version did not keep it."""
    return book_key("*", book)


def take(db: Connection, connection_id: int, wanted: Wanted, now: float) -> list[Claim]:
    """Claim it, instead of what the connection had of this kind; the claims of others that stand in the way.

    When there are any, the caller must roll back. A key that is kept stays as old as it was.
    """
    mine = (claim.c.connection_id == connection_id) & (claim.c.kind == wanted.kind)
    db.execute(claim.delete().where(mine, claim.c.key.not_in(sorted(wanted.keys))))
    dialect = postgresql if db.dialect.name == "postgresql" else sqlite
    for key in sorted(wanted.keys):
        # Whoever is about to take the same key is waited for.
        row = {"kind": wanted.kind, "key": key, "connection_id": connection_id, "since_at": now}
        db.execute(dialect.insert(claim).values(row).on_conflict_do_nothing())
    return rivals(db, connection_id, wanted)


def keys_of(db: Connection, connection_id: int, kind: Kind) -> frozenset[str]:
    """What a connection has of this kind, by key."""
    mine = (claim.c.connection_id == connection_id) & (claim.c.kind == kind)
    return frozenset(db.execute(select(claim.c.key).where(mine)).scalars())


def rivals(db: Connection, connection_id: int | None, wanted: Wanted) -> list[Claim]:
    """Claims of other connections to this list or Address Book; behind them those to one that may be it."""
    keys = {*wanted.keys, unplaced(wanted.book)} if wanted.kind == "book" else wanted.keys
    found = _claims(db, _others(connection_id), claim.c.kind == wanted.kind, claim.c.key.in_(sorted(keys)))
    return sorted(found, key=lambda one: one.key not in wanted.keys)


def namesakes(db: Connection, connection_id: int | None, wanted: Wanted) -> list[Claim]:
    """Claims that other connections have longer than this one to an Address Book of this name on another server."""
    mine = _claims(db, claim.c.connection_id == connection_id, claim.c.key.in_(sorted(wanted.keys)))
    age = min(map(_age, mine), default=(math.inf, 0))
    found = _claims(db, _others(connection_id), claim.c.kind == "book")
    return [one for one in found if one.key.partition(" ")[2] == wanted.book and _age(one) < age]


def marked(db: Connection, connection_id: int, limit: int) -> list[tuple[str, str]]:
    """(entry_id, marker) of the links made last."""
    ours = (link.c.connection_id == connection_id, link.c.state == "active", link.c.unique_email_id != "")
    rows = select(link.c.entry_id, link.c.unique_email_id).where(*ours).order_by(link.c.id.desc()).limit(limit)
    return [(str(entry), str(marker)) for entry, marker in db.execute(rows)]


def _age(one: Claim) -> tuple[float, int]:
    return one.since_at, one.connection_id


def _others(connection_id: int | None) -> ColumnElement[bool]:
    return true() if connection_id is None else claim.c.connection_id != connection_id


def _claims(db: Connection, *conditions: ColumnElement[bool]) -> list[Claim]:
    """The oldest first."""
    columns = (claim.c.kind, claim.c.key, claim.c.since_at, connection.c.id, connection.c.name)
    found = select(*columns).join(connection, connection.c.id == claim.c.connection_id).where(*conditions)
    return [Claim(*row) for row in db.execute(found.order_by(claim.c.since_at, claim.c.connection_id))]
