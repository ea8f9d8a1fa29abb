"""What waits for a person and blocks nothing else (R51), values that could not be delivered (R28), forgotten people."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd
from sqlalchemy import ColumnElement, Connection, and_, func, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite

from storage import bulk
from storage.tables import finding, quarantine, secret, suppression

Row = dict[str, Any]
# Spelled as in the partial indexes: a condition with parameters would not use them.
_WAITING: ColumnElement[bool] = literal_column("quarantine.state <> 'resolved'")
_SIDES = ("mailchimp", "maximizer")
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
            quarantine.c.side.in_(_SIDES),
            bulk.among(db, quarantine.c.key, keys),
        )
    )
    return {tuple(identity): (number, attempts) for number, attempts, *identity in found}


def open_rows(db: Connection, connection_id: int, state: str = "open") -> pd.DataFrame:
    """All columns of what waits, or of what a person released to be tried again (``state="released"``)."""
    ours = and_(quarantine.c.connection_id == connection_id, _WAITING, quarantine.c.state == state)
    return bulk.read(db, select(quarantine).where(ours).order_by(quarantine.c.id))


def count(db: Connection, connection_id: int) -> int:
    """How many rows wait for a person."""
    ours = and_(quarantine.c.connection_id == connection_id, _WAITING, quarantine.c.state == "open")
    return int(db.execute(select(func.count()).select_from(quarantine).where(ours)).scalar_one())


def since(db: Connection, connection_id: int, run_id: int) -> pd.DataFrame:
    """All columns of what began to wait in a run, whatever became of it since."""
    ours = and_(quarantine.c.connection_id == connection_id, quarantine.c.since_run == run_id)
    return bulk.read(db, select(quarantine).where(ours).order_by(quarantine.c.id))


def waiting_for(db: Connection, connection_id: int, keys: Iterable[str]) -> pd.DataFrame:
    """All columns of what waits about these records (contact_id, entry_id), the ones to be made of them included."""
    named = [name for key in keys if key for name in (key, f"new:{key}")]
    about = and_(quarantine.c.side.in_(_SIDES), quarantine.c.key.in_(named))
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


def findings(db: Connection, connection_id: int, kind: str | None = None, *, run_id: int | None = None) -> pd.DataFrame:
    """All columns of the findings, of one kind or of one run if named."""
    ours = finding.c.connection_id == connection_id
    if kind is not None:
        ours = and_(ours, finding.c.kind == kind)
    if run_id is not None:
        ours = and_(ours, finding.c.run_id == run_id)
    # Sorted here: for the order's sake SQLite would walk through all of them by their key.
    return bulk.read(db, select(finding).where(ours)).sort_values(["kind", "key", "field"], ignore_index=True)


def tally(db: Connection, connection_id: int, run_id: int) -> list[Row]:
    """What a run found and that still holds: kind, field, problem and the number of ``records``, most first."""
    columns = ["kind", "field", "problem"]
    ours = and_(finding.c.connection_id == connection_id, finding.c.run_id == run_id)
    # Counted here: for the groups' sake SQLite would walk through the findings of all runs by their key.
    rows = bulk.read(db, select(*(finding.c[name] for name in columns)).where(ours))
    counted = rows.groupby(columns).size().reset_index(name="records")
    counted = counted.sort_values(["records", *columns], ascending=[False, True, True, True])
    return [{str(name): value for name, value in row.items()} for row in counted.to_dict("records")]


def findings_about(db: Connection, connection_id: int, keys: Iterable[str]) -> pd.DataFrame:
    """All columns of the findings of a few records, by their keys (``link:<id>``, ``member:...``, ``entry:...``)."""
    ours = and_(finding.c.connection_id == connection_id, finding.c.key.in_(list(keys)))
    return bulk.read(db, select(finding).where(ours)).sort_values(["kind", "key", "field"], ignore_index=True)


# --- suppression -------------------------------------------------------------------------------------------------


def suppress(db: Connection, connection_id: int, email: str, reason: str, now: float) -> None:
    """Remember that this address is not to be synchronised (reason: forgotten or erased), without the address."""
    dialect = postgresql if db.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(suppression).values(
        connection_id=connection_id, email_hmac=email_hmac(db, email), reason=reason, since_at=now
    )
    same = [suppression.c.connection_id, suppression.c.email_hmac]
    db.execute(statement.on_conflict_do_update(index_elements=same, set_={"reason": reason, "since_at": now}))


def suppressed(db: Connection, connection_id: int, emails: Iterable[str]) -> dict[str, str]:
    """Those of these addresses that are not to be synchronised, and why (forgotten, erased)."""
    ours = suppression.c.connection_id == connection_id
    if db.execute(select(suppression.c.reason).where(ours).limit(1)).first() is None:
        return {}  # as a rule: nothing has to be hashed
    hasher = email_hasher(db)
    hashes = {email: hasher(email) for email in emails}
    named = select(suppression.c.email_hmac, suppression.c.reason)
    rows = db.execute(named.where(ours, bulk.among(db, suppression.c.email_hmac, hashes.values())))
    reasons = {str(digest): str(reason) for digest, reason in rows}
    return {email: reasons[digest] for email, digest in hashes.items() if digest in reasons}


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
