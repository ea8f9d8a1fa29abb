"""What the set-up page keeps in our store: encrypted values, keys that sign its tokens, one-time codes that were used.

Nothing here can read a value: encryption and its key belong to the caller (hazard S20).
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Engine, inspect, select
from sqlalchemy.exc import IntegrityError

from storage.engine import begin, reading
from storage.tables import credential, secret, spent_code

WEB_KEYS = "web-keys"
ROTATION = 30 * 86400.0  # seconds that a signing key is used before a new one takes over


@dataclass(frozen=True)
class Kept:
    """``value``: as it was encrypted. ``hint``: the last characters, "" for what is no secret."""

    name: str
    value: str
    hint: str
    changed_at: float


def ready(engine: Engine) -> bool:
    """Whether the store has a place for them."""
    with reading(engine) as db:
        return inspect(db).has_table(credential.name)


def kept(engine: Engine, connection_name: str) -> dict[str, Kept]:
    """Everything that is kept for a connection, by name."""
    columns = (credential.c.name, credential.c.value, credential.c.hint, credential.c.changed_at)
    with reading(engine) as db:
        rows = db.execute(select(*columns).where(credential.c.connection_name == connection_name))
        return {row.name: Kept(**row._mapping) for row in rows}


def keep(engine: Engine, connection_name: str, values: Mapping[str, tuple[str, str]], now: float) -> None:
    """Insert or replace (encrypted value, hint) by name."""
    mine = credential.c.connection_name == connection_name
    rows = [
        {"connection_name": connection_name, "name": name, "value": value, "hint": hint, "changed_at": now}
        for name, (value, hint) in values.items()
    ]
    with begin(engine) as db:
        db.execute(credential.delete().where(mine, credential.c.name.in_(list(values))))
        if rows:
            db.execute(credential.insert(), rows)


def signing_keys(engine: Engine, now: float | None = None) -> list[str]:
    """Keys that sign the page's tokens, the newest last; made with the first use and renewed every thirty days.

    The former key still reads what it has signed.
    """
    now = time.time() if now is None else now
    with begin(engine) as db:
        found = db.execute(select(secret.c.value).where(secret.c.name == WEB_KEYS)).scalar_one_or_none()
        stored: dict[str, object] = json.loads(found) if found else {"keys": [], "since": 0.0}
        keys = [str(key) for key in stored["keys"]] if isinstance(stored["keys"], list) else []
        if keys and now - float(str(stored["since"])) < ROTATION:
            return keys
        keys = [*keys[-1:], secrets.token_hex(32)]
        value = json.dumps({"keys": keys, "since": now})
        if found is None:
            db.execute(secret.insert().values(name=WEB_KEYS, value=value))
        else:
            db.execute(secret.update().where(secret.c.name == WEB_KEYS).values(value=value))
    return keys


def spend(engine: Engine, code_id: str, expires_at: float, now: float) -> bool:
    """Whether a one-time code is used for the first time, by whatever process."""
    try:
        with begin(engine) as db:
            db.execute(spent_code.delete().where(spent_code.c.expires_at < now))
            db.execute(spent_code.insert().values(code_id=code_id, expires_at=expires_at))
    except IntegrityError:
        return False
    return True
