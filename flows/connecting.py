"""Trying a connection before it is stored (R37, R38): each side alone, nothing is written anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from domain.errors import Blocked, Misconfigured
from domain.quoting import quoted
from flows.services import Opener, mailchimp_of, maximizer_of
from flows.settings import Settings
from flows.setup import check_web_url, summary_of

PATIENCE = 2


@dataclass(frozen=True)
class SignedIn:
    """``display``: the Address Book as people call it. ``kind``: on-premise or cloud."""

    database: str
    display: str
    user: str
    kind: str


def try_mailchimp(settings: Settings, *, opener: Opener | None = None) -> dict[str, Any]:
    """The account summary of a key that Mailchimp accepts; Misconfigured or CredentialsRefused otherwise (R37)."""
    client = mailchimp_of(settings, opener=opener, sends=PATIENCE)
    try:
        return summary_of(client)
    finally:
        client.session.close()


def try_maximizer(settings: Settings, *, opener: Opener | None = None) -> SignedIn:
    """Who the service user is and where; raises what signing in raises, Blocked for another Address Book (R38, R43)."""
    needed = {"Web.Data address": settings.maximizer_url}
    if not settings.maximizer_token.get_secret_value():
        needed |= {
            "Address Book": settings.maximizer_database,
            "user": settings.maximizer_user,
            "password": settings.maximizer_password.get_secret_value(),
        }
    if missing := [name for name, value in needed.items() if not value]:
        raise Misconfigured(f"still missing: {', '.join(missing)}", remedy="fill it in and try again")
    check_web_url(settings)
    client = maximizer_of(settings, opener=opener, sends=PATIENCE)
    try:
        dialect = client.discover()
        session = client.session_info()
    finally:
        client.session.close()
    wanted = settings.maximizer_database
    if wanted and session["database"].casefold() != wanted.casefold():
        raise Blocked(
            "wrong-address-book",
            f"the wrong Address Book: signed in to {quoted(session['database'])}, but {quoted(wanted)} was entered",
            remedy="correct the name of the Address Book, or the user",
        )
    return SignedIn(session["database"], session["display"], session["user"], dialect.name)
