"""What was typed into the set-up page: encrypted with MAXCHIMP_SECRET_KEY, read where the environment says nothing.

The environment always wins. Without the key nothing is stored and nothing is read (contract, "Settings").
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr
from sqlalchemy import Engine, make_url
from sqlalchemy.exc import ArgumentError

from domain.errors import MaxchimpError, Misconfigured
from flows.settings import MAKE_KEY, Settings
from storage import credentials
from storage.engine import open_store

NAMES = (
    "mailchimp_api_key",
    "maximizer_url",
    "maximizer_web_url",
    "maximizer_database",
    "maximizer_user",
    "maximizer_password",
    "maximizer_token",
)
SECRET = ("mailchimp_api_key", "maximizer_password", "maximizer_token")
SHOWN = 4  # characters of a secret that a person may see again
NO_KEY = (
    f"set MAXCHIMP_SECRET_KEY in the environment of maxchimp (make one with: {MAKE_KEY}), "
    "or put the values into the environment or .env yourself"
)


def cipher(settings: Settings) -> MultiFernet | None:
    """Encrypts with the first key of MAXCHIMP_SECRET_KEY, reads with each (commas between them); None without one.

    Raises Misconfigured for a text that is no such key.
    """
    keys = [part.strip() for part in settings.secret_key.get_secret_value().split(",") if part.strip()]
    if not keys:
        return None
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        raise Misconfigured("MAXCHIMP_SECRET_KEY is not a key that can encrypt", remedy=NO_KEY) from None


def filled(settings: Settings) -> Settings:
    """The settings, with what the environment leaves empty from our store; a store that is not there is not made."""
    if not settings.secret_key.get_secret_value() or all(text_of(settings, name) for name in NAMES):
        return settings
    url = settings.database_url.get_secret_value()
    if not _there(url):
        return settings
    engine = open_store(url)
    try:
        return settings.model_copy(update=_read(engine, settings))
    except MaxchimpError:
        return settings  # whoever uses the store says what is wrong with it
    finally:
        engine.dispose()


def keep(engine: Engine, settings: Settings, values: Mapping[str, str], now: float | None = None) -> None:
    """Store these values (names of ``NAMES``), encrypted; Misconfigured without a key. "" keeps what is there."""
    box = cipher(settings)
    if box is None:
        raise Misconfigured("nothing can be stored: there is no key to encrypt it with", remedy=NO_KEY)
    if unknown := set(values) - set(NAMES):
        raise ValueError(f"not kept: {', '.join(sorted(unknown))}")
    rows = {
        name: (box.encrypt(text.encode()).decode(), text[-SHOWN:] if name in SECRET else "")
        for name, text in values.items()
        if text
    }
    credentials.keep(engine, settings.connection, rows, time.time() if now is None else now)


def hints(engine: Engine, settings: Settings) -> dict[str, str]:
    """Where each value comes from: ``environment``, ``store`` or "" (nowhere)."""
    stored = credentials.kept(engine, settings.connection) if credentials.ready(engine) else {}
    plain = _unfilled(settings.connection)
    return {name: "environment" if text_of(plain, name) else "store" if name in stored else "" for name in NAMES}


def unreadable(settings: Settings) -> list[str]:
    """Variables whose values the set-up page has kept, and that this MAXCHIMP_SECRET_KEY cannot read."""
    url = settings.database_url.get_secret_value()
    if not _there(url):
        return []
    engine = open_store(url)
    try:
        stored = credentials.kept(engine, settings.connection) if credentials.ready(engine) else {}
    except MaxchimpError:
        return []  # whoever uses the store says what is wrong with it
    finally:
        engine.dispose()
    box = cipher(settings)
    return [f"MAXCHIMP_{name.upper()}" for name, row in stored.items() if name in NAMES and _opened(box, row) is None]


def text_of(settings: Settings, name: str) -> str:
    """A setting as text, also when it is a secret."""
    value = getattr(settings, name)
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _unfilled(connection: str) -> Settings:
    from flows.settings import from_environment

    return from_environment(connection)


def _there(url: str) -> bool:
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        return False
    if address.get_backend_name() != "sqlite":
        return True
    from pathlib import Path

    return bool(address.database) and Path(str(address.database)).is_file()


def _read(engine: Engine, settings: Settings) -> dict[str, Any]:
    box = cipher(settings)
    if box is None or not credentials.ready(engine):
        return {}
    found: dict[str, Any] = {}
    for name, row in credentials.kept(engine, settings.connection).items():
        if name not in NAMES or text_of(settings, name):
            continue
        text = _opened(box, row)
        if text is not None:
            found[name] = SecretStr(text) if name in SECRET else text
    return found


def _opened(box: MultiFernet | None, row: credentials.Kept) -> str | None:
    """The value of a row, None when this key does not open it: it counts as not set, and whoever needs it tells why."""
    try:
        return None if box is None else box.decrypt(row.value.encode()).decode()
    except InvalidToken:
        return None
