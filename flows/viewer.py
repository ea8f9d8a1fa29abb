"""Who is looking: a person is let in by Maximizer, never by us, and sees what Maximizer lets them read (hazard S6).

What a following tab is given is not documented in public (Maximizer fact sheet section 6), so the names of its
parameters are settings, and nothing that they hold is ever called: only the configured server is asked.
"""

from __future__ import annotations

import base64
import binascii
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from clients.maximizer import Maximizer, id_of
from clients.maximizer.rows import Row
from clients.session import Session
from domain.errors import Blocked, CredentialsRefused, Misconfigured, Refused
from domain.quoting import quoted
from flows.services import Opener, read_dialect
from flows.settings import Settings

_KEY = re.compile(r'KEY\("(.*)"\)', re.DOTALL)
NO_RIGHT = "this entry does not exist, or you may not read it in Maximizer"


@dataclass(frozen=True)
class Launch:
    """What somebody brings along: the entry's key as their session knows it, and a token, or user and password."""

    key: str
    token: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class Viewer:
    """Somebody whom Maximizer knows, who may read this entry (``<Client ID>#<Contact Number>``)."""

    user: str
    entry_id: str
    administrator: bool


def confirm(
    settings: Settings, launch: Launch, *, address_book: str = "", dialect: str = "", opener: Opener | None = None
) -> Viewer:
    """The viewer, as the configured Maximizer itself confirms them.

    Raises CredentialsRefused, Blocked (``wrong-address-book``, ``no-right``), Misconfigured (no Maximizer configured),
    and what calls raise. Three requests at most, beside a sign-in with a password.
    """
    if not launch.token and not (launch.user and launch.password):
        raise CredentialsRefused("maximizer", "Maximizer has not said who you are", remedy="open the tab in Maximizer")
    client = _client(settings, launch, dialect, opener)
    try:
        with ThreadPoolExecutor(2, thread_name_prefix="viewer") as pool:
            told, read = pool.submit(client.confirmed_session), pool.submit(_entry, client, launch.key)
            session = told.result()
            check_book(settings, session["database"], address_book)
            row = read.result()
    finally:
        client.session.close()
    if row is None:
        raise Blocked("no-right", NO_RIGHT, remedy="ask your Maximizer administrator for read access to it")
    client_id, number = id_of(row)
    return Viewer(session["user"], f"{client_id}#{number}", administers(settings, session["user"]))


def check_book(settings: Settings, signed_in: str, address_book: str) -> None:
    """Blocked unless somebody is signed in to the Address Book of this connection (R43, R48)."""
    for wanted in (settings.maximizer_database, address_book):
        if wanted and wanted.casefold() != signed_in.casefold():
            raise Blocked(
                "wrong-address-book",
                f"the wrong Address Book: you are signed in to {quoted(signed_in)}, "
                f"this page works on {quoted(wanted)}",
                remedy="open that Address Book, or ask an administrator to change it on purpose in Setup",
            )


def administers(settings: Settings, user: str) -> bool:
    """Whether set-up is open to this Maximizer user (MAXCHIMP_ADMINISTRATORS, commas between user ids)."""
    return user.casefold() in {name.strip().casefold() for name in settings.administrators.split(",") if name.strip()}


def _client(settings: Settings, launch: Launch, dialect: str, opener: Opener | None) -> Maximizer:
    if not settings.maximizer_url:
        raise Misconfigured("no Maximizer is configured yet", remedy="an administrator enters it in Setup")
    session = Session(
        "maximizer",
        secrets=[text for text in (launch.token, launch.password) if len(text) > 3],
        sends=2,
        opener=None if opener is None else lambda http: opener("maximizer", http),
    )
    return Maximizer(
        session,
        settings.maximizer_url,
        database=settings.maximizer_database,
        user=launch.user,
        password=launch.password,
        token=launch.token,
        dialect=read_dialect(dialect),
    )


def _entry(client: Maximizer, key: str) -> Row | None:
    """The entry as this person may read it: by the key of their session, else by what the key says."""
    matched = _KEY.fullmatch(key.strip())
    key = matched[1] if matched else key.strip()
    if not key or len(key) > 1000:
        return None
    try:
        row = client.entry_by_key(["LastName"], key)
    except Refused:
        row = None
    if row is None and (said := _spoken(key)):
        row = client.entry(["LastName"], *said)
    return row


def _spoken(key: str) -> tuple[str, int] | None:
    """Client ID and number of a key string (fact sheet 4.2); it is only asked for, so it proves nothing."""
    try:
        parts = base64.b64decode(key, validate=True).decode("utf-8").split("\t")
    except (binascii.Error, ValueError):
        return None
    sound = len(parts) in (3, 4) and parts[1] and parts[2].isascii() and parts[2].isdigit() and len(parts[2]) < 10
    return (parts[1], int(parts[2])) if sound else None
