"""What waits for a person and blocks nothing else (R51), values that could not be delivered (R28), forgotten people."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd
from sqlalchemy import Connection, and_, func, select
from sqlalchemy.dialects import postgresql, sqlite

from storage import bulk
from storage.tables import finding, quarantine, secret, suppression

Row = dict[str, Any]
_IDENTITY = ("side", "key", "field", "reason")
_REFRESHED = ("rule", "remedy", "evidence", "member_hash", "entry_hash")
_GIVEN = (*_IDENTITY, *_REFRESHED, "since_run", "since_at")
_DEFAULTS: Row = {"field": "", "rule": "", "remedy": "", "evidence": {}, "member_hash": None, "entry_hash": None}
KINDS = ("withheld", "protected", "conflict", "email23", "no-email", "no-address", "unmapped", "check")
_FINDING_COLUMNS = ("connection_id", "kind", "key", "field", "value", "problem", "run_id")


# --- quarantine --------------------------------------------------------------------------------------------------


def park(db: Connection, connection_id: int, rows: pd.DataFrame | Sequence[Row]) -> int:
    """Put records aside, one open row per side, key, field and reason; how many rows are new.

    Rows have ``side``, ``key`` (contact_id or entry_id), ``reason``, ``since_run``, ``since_at``; if known ``field``,
    ``rule``, ``remedy``, ``evidence`` (JSON object), ``member_hash``, ``entry_hash``. What is parked or released
    already counts one more attempt, takes the new hashes and is open again.
    """
    wanted = {tuple(row[name] for name in _IDENTITY): row for row in _complete(rows)}
    known = _known(db, connection_id, {identity[1] for identity in wanted})
    again = [
        (*known[identity], "open", *(row[name] for name in _REFRESHED))
        for identity, row in wanted.items()
        if identity in known
    ]
    if again:
        bulk.update(db, quarantine, ["id", "attempts", "state", *_REFRESHED], again)
    new = [
        (connection_id, "open", 1, *(row[name] for name in _GIVEN))
        for identity, row in wanted.items()
        if identity not in known
    ]
    return bulk.insert(db, quarantine, ["connection_id", "state", "attempts", *_GIVEN], new) if new else 0


def _complete(rows: pd.DataFrame | Sequence[Row]) -> list[Row]:
    if isinstance(rows, pd.DataFrame):
        names = [str(name) for name in rows.columns]
        rows = [dict(zip(names, values, strict=True)) for values in bulk.rows_of(rows, quarantine, names)]
    return [{**_DEFAULTS, **row} for row in rows]


def _known(db: Connection, connection_id: int, keys: Iterable[str]) -> dict[tuple[Any, ...], tuple[int, int]]:
    """(id, number of the next attempt) of every row that is not closed, by identity."""
    columns = [quarantine.c[name] for name in _IDENTITY]
    found = db.execute(
        select(quarantine.c.id, quarantine.c.attempts + 1, *columns).where(
            quarantine.c.connection_id == connection_id,
            quarantine.c.state != "resolved",
            bulk.among(db, quarantine.c.key, keys),
        )
    )
    return {tuple(identity): (number, attempts) for number, attempts, *identity in found}


def open_rows(db: Connection, connection_id: int, state: str = "open") -> pd.DataFrame:
    """All columns of what waits, or of what a person released to be tried again (``state="released"``)."""
    ours = and_(quarantine.c.connection_id == connection_id, quarantine.c.state == state)
    return bulk.read(db, select(quarantine).where(ours).order_by(quarantine.c.id))


def since(db: Connection, connection_id: int, run_id: int) -> pd.DataFrame:
    """All columns of what began to wait in a run, whatever became of it since."""
    ours = and_(quarantine.c.connection_id == connection_id, quarantine.c.since_run == run_id)
    return bulk.read(db, select(quarantine).where(ours).order_by(quarantine.c.id))


def waiting_for(db: Connection, connection_id: int, keys: Iterable[str]) -> pd.DataFrame:
    """All columns of what waits about these records (contact_id, entry_id), the ones to be made of them included."""
    named = [name for key in keys if key for name in (key, f"new:{key}")]
    about = and_(quarantine.c.side.in_(("mailchimp", "maximizer")), quarantine.c.key.in_(named))
    ours = and_(quarantine.c.connection_id == connection_id, about, quarantine.c.state == "open")
    return bulk.read(db, select(quarantine).where(ours).order_by(quarantine.c.id))


def release(db: Connection, row_id: int) -> bool:
    """A person lets a record be tried again; False when it does not wait."""
    waiting = and_(quarantine.c.id == row_id, quarantine.c.state == "open")
    return bool(db.execute(quarantine.update().where(waiting).values(state="released")).rowcount)


def resolve(db: Connection, ids: Iterable[int]) -> int:
    """Close these rows: what waited is in order again; how many."""
    waiting = and_(bulk.among(db, quarantine.c.id, ids), quarantine.c.state != "resolved")
    return int(db.execute(quarantine.update().where(waiting).values(state="resolved")).rowcount)


def settle(db: Connection, connection_id: int, side: str, keys: Iterable[str]) -> int:
    """Close what waited because a write of these records had failed: one went well now; how many."""
    waiting = and_(
        quarantine.c.connection_id == connection_id,
        quarantine.c.side == side,
        quarantine.c.rule == "R51",
        quarantine.c.field == "",
        quarantine.c.state != "resolved",
    )
    these = and_(waiting, bulk.among(db, quarantine.c.key, keys))
    return int(db.execute(quarantine.update().where(these).values(state="resolved")).rowcount)


# --- findings ----------------------------------------------------------------------------------------------------


def put_findings(
    db: Connection, connection_id: int, run_id: int, frame: pd.DataFrame, replace_keys: Iterable[str]
) -> int:
    """Forget the findings of ``replace_keys`` and store the new ones; how many.

    Frame: ``kind``, ``key`` (``link:<id>``, ``member:<contact_id>``, ``entry:<entry_id>``), ``field``, ``value``,
    ``problem``. The later of two rows with the same kind, key and field stays.
    """
    ours = finding.c.connection_id == connection_id
    db.execute(finding.delete().where(ours, bulk.among(db, finding.c.key, replace_keys)))
    if frame.empty:
        return 0
    frame = frame.drop_duplicates(["kind", "key", "field"], keep="last")
    given = bulk.rows_of(frame, finding, _FINDING_COLUMNS[1:-1])
    rows = ((connection_id, *row, run_id) for row in given)
    return bulk.upsert(db, finding, _FINDING_COLUMNS, rows, ("connection_id", "kind", "key", "field"), fresh=True)


def findings(db: Connection, connection_id: int, kind: str | None = None) -> pd.DataFrame:
    """All columns of the findings, of one kind if named."""
    ours = finding.c.connection_id == connection_id
    if kind is not None:
        ours = and_(ours, finding.c.kind == kind)
    return bulk.read(db, select(finding).where(ours).order_by(finding.c.kind, finding.c.key, finding.c.field))


def tally(db: Connection, connection_id: int, run_id: int) -> list[Row]:
    """What a run found and that still holds: kind, field, problem and the number of ``records``, most first."""
    columns = [finding.c.kind, finding.c.field, finding.c.problem]
    ours = and_(finding.c.connection_id == connection_id, finding.c.run_id == run_id)
    counted = select(*columns, func.count().label("records")).where(ours).group_by(*columns)
    return [dict(row._mapping) for row in db.execute(counted.order_by(func.count().desc(), *columns))]


def findings_about(db: Connection, connection_id: int, keys: Iterable[str]) -> pd.DataFrame:
    """All columns of the findings of a few records, by their keys (``link:<id>``, ``member:...``, ``entry:...``)."""
    # Named one by one, so that the primary key serves.
    ours = and_(finding.c.connection_id == connection_id, finding.c.kind.in_(KINDS), finding.c.key.in_(list(keys)))
    return bulk.read(db, select(finding).where(ours).order_by(finding.c.kind, finding.c.key, finding.c.field))


# --- suppression -------------------------------------------------------------------------------------------------


def suppress(db: Connection, connection_id: int, email: str, reason: str, now: float) -> None:
    """Remember that this address is not to be synchronised (reason: forgotten or erased), without the address."""
    dialect = postgresql if db.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(suppression).values(
        connection_id=connection_id, email_hmac=email_hmac(db, email), reason=reason, since_at=now
    )
    same = [suppression.c.connection_id, suppression.c.email_hmac]
    db.execute(statement.on_conflict_do_update(index_elements=same, set_={"reason": reason, "since_at": now}))


def suppressed(db: Connection, connection_id: int, reason: str | None = None) -> set[str]:
    """Hashes, as ``email_hmac`` makes them, of the addresses not to be synchronised, for one reason if named."""
    ours = suppression.c.connection_id == connection_id
    if reason is not None:
        ours = and_(ours, suppression.c.reason == reason)
    return set(db.execute(select(suppression.c.email_hmac).where(ours)).scalars())


def suppressed_as(db: Connection, connection_id: int, email: str) -> str:
    """Why this address is not to be synchronised (forgotten, erased), "" when it may be."""
    mine = and_(suppression.c.connection_id == connection_id, suppression.c.email_hmac == email_hmac(db, email))
    return str(db.execute(select(suppression.c.reason).where(mine)).scalar_one_or_none() or "")


def email_hmac(db: Connection, email: str) -> str:
    """Keyed hash of one address, 64 hex digits; case and outer blanks do not matter."""
    return email_hasher(db)(email)


def email_hasher(db: Connection) -> Callable[[str], str]:
    """The same for many addresses: the key is read once. It is random, and made with the store (hazard S30)."""
    named = select(secret.c.value).where(secret.c.name == "email-hmac")
    key = bytes.fromhex(db.execute(named).scalar_one())
    return lambda email: hmac.digest(key, email.strip().lower().encode(), "sha256").hex()
