"""Secrets that are kept in Prefect Secret blocks, and the key under which Prefect keeps them (hazard S21).

A secret setting may read ``prefect-secret:NAME``: its value is that block's. Left alone, Prefect makes its own key and
keeps it in the same database as the blocks, which protects nothing: without a key from outside we refuse.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable

from cryptography.fernet import Fernet
from pydantic import SecretStr

from clients.redact import Redact
from domain.errors import Misconfigured
from domain.quoting import quoted
from flows import outside
from flows.settings import MAKE_KEY, Settings

SCHEME = "prefect-secret:"
KEY = "PREFECT_SERVER_ENCRYPTION_KEY"
WORD = "MAXCHIMP_PREFECT_ENCRYPTED"  # an administrator's word about a server elsewhere, which cannot be asked
_SECRETS = ("mailchimp_api_key", "maximizer_password", "maximizer_token")
_MAKE = f"make one with: {MAKE_KEY}"


def own_encryption(settings: Settings) -> dict[str, str]:
    """The environment that gives a Prefect server of ours a key from outside its database.

    That is PREFECT_SERVER_ENCRYPTION_KEY, else MAXCHIMP_SECRET_KEY. Misconfigured for a key that is none, or when
    there is none although Prefect is to keep secrets: blocks that settings name, addresses of notifications.
    """
    key = os.environ.get(KEY) or settings.secret_key.get_secret_value()
    if key:
        try:
            Fernet(key)
        except ValueError:
            name = KEY if os.environ.get(KEY) else "MAXCHIMP_SECRET_KEY"
            raise Misconfigured(f"{name} is no Fernet key", remedy=_MAKE) from None
        return {KEY: key}
    keeps = _kept_by_prefect(settings)
    if keeps:
        raise Misconfigured(
            f"Prefect would keep secrets ({', '.join(keeps)}) under a key that lies beside them in its database",
            remedy=f"set MAXCHIMP_SECRET_KEY or {KEY}; {_MAKE}",
        )
    return {}


def require_word(settings: Settings) -> None:
    """Misconfigured when Prefect is to keep secrets and nobody says that its server has a key of its own.

    A server elsewhere cannot be asked; where the key itself is known here, that is word enough.
    """
    known = os.environ.get(KEY) or settings.secret_key.get_secret_value() or os.environ.get(WORD) == "yes"
    if not known and (kept := _kept_by_prefect(settings)):
        raise Misconfigured(
            f"Prefect keeps secrets ({', '.join(kept)}), and nothing says that its server has a key of its own",
            remedy=f"set {KEY} where that server runs, then {WORD}=yes here",
        )


def _kept_by_prefect(settings: Settings) -> list[str]:
    """Names of the settings whose values Prefect keeps, or would keep."""
    named = {name for name, value in outside.variables().items() if value.startswith(SCHEME)}
    named |= {
        f"MAXCHIMP_{field.upper()}"
        for field in _SECRETS
        if getattr(settings, field).get_secret_value().startswith(SCHEME)
    }
    return sorted(named | ({"MAXCHIMP_NOTIFY_URL"} if settings.notify_url.get_secret_value() else set()))


def revealed(settings: Settings) -> Settings:
    """Settings with the secrets that Prefect keeps for them.

    Misconfigured when there is no such block, no server to ask, or nobody says that the server has a key of its own.
    """
    wanted: dict[str, str] = {}
    for field in _SECRETS:
        text: str = getattr(settings, field).get_secret_value()
        if text.startswith(SCHEME):
            wanted[field] = text.removeprefix(SCHEME)
    if not wanted:
        return settings
    from flows.launch import at_home, prefect_api

    require_word(settings)
    at_home(settings.home_dir)
    api = prefect_api(settings.home_dir)
    if not api:
        raise Misconfigured(
            f"the Prefect Secret block {quoted(next(iter(wanted.values())))} cannot be read: "
            "no Prefect server is known",
            remedy="start maxchimp serve, or set PREFECT_API_URL",
        )
    from flows.blocks import read_secrets

    found = read_secrets(api, wanted.values())
    mask(found.values())
    return settings.model_copy(update={field: SecretStr(found[name]) for field, name in wanted.items()})


def mask(secrets: Iterable[str]) -> None:
    """The logs that are open already may not show these either."""
    known = list(secrets)
    for handler in logging.getLogger().handlers + logging.getLogger("maxchimp").handlers:
        for one in handler.filters:
            if isinstance(one, Redact):
                one.add(known)
