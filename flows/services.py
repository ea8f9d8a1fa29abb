"""Clients of both sides from settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import requests

from clients.mailchimp import Mailchimp
from clients.maximizer import CLOUD, ON_PREMISE, Dialect, Maximizer, base_of
from clients.permit import Permit
from clients.session import SENDS, Session, check_url
from domain.commands import prefix
from domain.errors import Misconfigured, Side
from flows import kept, outside
from flows.settings import Settings, unknown_names, variable

EXAMPLES = {
    "mailchimp_url": "take it out, or give an address such as https://us6.api.mailchimp.com/3.0",
    "maximizer_url": "give an address such as https://server/MaximizerWebData/Data.svc (on-premise), "
    "or https://api.maximizer.com/octopus (cloud)",
}
Opener = Callable[[Side, requests.Session], None]


@dataclass(frozen=True)
class Services:
    """Both clients of one connection and the settings they were made of; ``permit`` is asked before every request."""

    mailchimp: Mailchimp
    maximizer: Maximizer
    settings: Settings
    permit: Permit = field(default_factory=Permit)

    def calls(self) -> dict[str, int]:
        """Requests sent per side."""
        return {"mailchimp": self.mailchimp.session.sends, "maximizer": self.maximizer.session.sends}


def connect(
    settings: Settings, dialect: str = "", *, opener: Opener | None = None, parallel: int = 4, sends: int = SENDS
) -> Services:
    """Clients for a connection; Misconfigured names the settings that are missing.

    Nothing is sent to either side yet; secrets that a Prefect server keeps are read from it. ``sends`` limits how often
    one operation is tried: fewer where a person is waiting.
    """
    from flows.secret_keys import revealed

    settings = revealed(settings)
    needed = {
        "MAXCHIMP_MAILCHIMP_API_KEY": settings.mailchimp_api_key.get_secret_value(),
        "MAXCHIMP_MAXIMIZER_URL": settings.maximizer_url,
    }
    if not settings.maximizer_token.get_secret_value():
        needed |= {
            "MAXCHIMP_MAXIMIZER_DATABASE": settings.maximizer_database,
            "MAXCHIMP_MAXIMIZER_USER": settings.maximizer_user,
            "MAXCHIMP_MAXIMIZER_PASSWORD": settings.maximizer_password.get_secret_value(),
        }
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise Misconfigured(f"not set: {', '.join(missing)}", remedy=_how_to_set(missing, settings))
    _check_addresses(settings)
    permit = Permit()

    def guarded(side: Side, http: requests.Session) -> None:
        if opener is not None:
            opener(side, http)
        permit.guard(http)

    make = {"opener": guarded, "parallel": parallel, "sends": sends, "sleep": permit.pause}
    return Services(mailchimp_of(settings, **make), maximizer_of(settings, dialect, **make), settings, permit)


def _how_to_set(missing: Sequence[str], settings: Settings) -> str:
    """Why something may be missing: a name with a typing error, or a stored value that cannot be read."""
    wanted = {*missing, *(name.replace(outside.PREFIX, prefix(settings.connection), 1) for name in missing)}
    meant = [f"{one.name} ({one.place}) is no setting" for one in unknown_names() if one.meant in wanted]
    stored = [
        f"{name} is kept in the store (table credential), under another MAXCHIMP_SECRET_KEY"
        for name in kept.unreadable(settings)
    ]
    return "; ".join([*meant, *stored, "set them in the environment or in .env"])


def _check_addresses(settings: Settings) -> None:
    """Misconfigured names the variable of an address that cannot be one (hazards S16)."""
    for name, example in EXAMPLES.items():
        address = getattr(settings, name)
        try:
            if address:
                check_url(base_of(address)[0] if name == "maximizer_url" else address)
        except Misconfigured as problem:
            named = outside.named(variable(settings.connection, name))
            raise Misconfigured(f"{named} cannot be used: {problem.message}", remedy=example) from None


def mailchimp_of(settings: Settings, **make: Any) -> Mailchimp:
    """The client of Mailchimp alone; Misconfigured for a key that cannot be one. ``make``: as for ``connect``."""
    key = settings.mailchimp_api_key.get_secret_value()
    return Mailchimp(_session("mailchimp", settings, **make), key, settings.mailchimp_url or None)


def maximizer_of(settings: Settings, dialect: str = "", **make: Any) -> Maximizer:
    """The client of Maximizer alone; Misconfigured for an address that cannot be one. ``make``: as for ``connect``."""
    return Maximizer(
        _session("maximizer", settings, **make),
        settings.maximizer_url,
        database=settings.maximizer_database,
        user=settings.maximizer_user,
        password=settings.maximizer_password.get_secret_value(),
        token=settings.maximizer_token.get_secret_value(),
        dialect=read_dialect(dialect),
    )


def _session(
    side: Side,
    settings: Settings,
    *,
    opener: Opener | None = None,
    parallel: int = 4,
    sends: int = SENDS,
    sleep: Callable[[float], None] = time.sleep,
) -> Session:
    return Session(
        side,
        secrets=settings.secrets(),
        parallel=parallel,
        sends=sends,
        sleep=sleep,
        opener=None if opener is None else lambda http: opener(side, http),
    )


def read_dialect(text: str) -> Dialect | None:
    """The dialect that ``write_dialect`` wrote, None for ""."""
    name, _, schema = text.partition("/")
    known = {d.name: d for d in (ON_PREMISE, CLOUD)}
    return replace(known[name], schema=schema) if name in known else None  # type: ignore[arg-type]


def write_dialect(dialect: Dialect) -> str:
    return f"{dialect.name}/{dialect.schema}"
