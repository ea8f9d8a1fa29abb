"""One-time codes and short-lived tokens, signed (HMAC-SHA256, nothing else is accepted) with keys that rotate.

A code is the only way to a token: made by a launch or by the command line, used once, exchanged by POST. A token lives
in the page's memory and travels in the Authorization header only (hazards S3-S5).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from itsdangerous import BadData, URLSafeSerializer
from itsdangerous.encoding import base64_decode, base64_encode
from sqlalchemy import Engine

from storage import credentials

Purpose = Literal["tab", "setup"]
LIFE = 600.0  # seconds of a token
CODE = 60.0  # seconds of the code of a launch
LOGIN = 600.0  # seconds of a login link that the command line prints
LONGEST = 7200.0  # seconds for which one login can be renewed
RENEWAL = 60.0  # seconds between two looks for newer keys
LINK = "(login link)"  # how the user of one is marked; no Maximizer user is called so

_PREFIX = "Bearer "


class Denied(Exception):
    """No valid token or code: 401."""


class Elsewhere(Denied):
    """A valid one, but of another connection: 403."""


@dataclass(frozen=True)
class Pass:
    """What a token says. ``entry``: the one entry that it opens ("" for set-up). ``since``: of the login itself.

    ``born``: when its connection was made, 0 before that. One that was removed and made anew is another connection.
    """

    purpose: Purpose
    connection: str
    user: str
    entry: str
    administrator: bool
    since: float
    born: float = 0.0

    @property
    def by_link(self) -> bool:
        """Whether the command line let them in: whoever has it has every connection."""
        return self.administrator and self.user.endswith(LINK)


class Tokens:
    """Makes and reads them. ``keys``: the newest signs, all of them read.

    ``renew`` tells the keys as they are now: another process may sign with a newer one.
    """

    def __init__(
        self,
        keys: Sequence[str],
        engine: Engine,
        *,
        now: Callable[[], float] = time.time,
        renew: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        self._keys, self._engine, self._now, self._renew = list(keys), engine, now, renew
        self._renewed_at = 0.0

    def token(self, given: Pass) -> str:
        return self._sign("token", given, self._now() + LIFE)

    def code(self, given: Pass, life: float = CODE) -> str:
        return self._sign("code", given, self._now() + life)

    def read(self, header: str, purpose: Purpose, connection: str, born: float = 0.0) -> Pass:
        """The pass of an Authorization header; Denied for anything but a living token for this purpose, here."""
        if not header.startswith(_PREFIX):
            raise Denied
        found = self._open("token", header.removeprefix(_PREFIX))[0]
        _belongs(found, connection, born)
        if found.purpose != purpose:
            raise Denied
        return found

    def exchange(self, code: str, connection: str, born: float = 0.0) -> Pass:
        """The pass of a code that was never used; from now on it is. One of another connection stays as it is."""
        found, number, until = self._open("code", code)
        _belongs(found, connection, born)
        if not credentials.spend(self._engine, number, until, self._now()):
            raise Denied
        return found

    def renewed(self, given: Pass) -> str:
        """A new token of the same login; Denied when the login is too old."""
        if self._now() - given.since > LONGEST:
            raise Denied
        return self.token(given)

    def begun(
        self, purpose: Purpose, connection: str, user: str, entry: str = "", *, admin: bool = False, born: float = 0.0
    ) -> Pass:
        return Pass(purpose, connection, user, entry, admin, self._now(), born)

    def _sign(self, kind: str, given: Pass, until: float) -> str:
        claims = {**asdict(given), "until": until, "number": secrets.token_hex(16)}
        signed = self._serializer(kind).dumps(claims)
        return signed.decode() if isinstance(signed, bytes) else signed

    def _open(self, kind: str, text: str) -> tuple[Pass, str, float]:
        try:
            return self._read(kind, text)
        except Denied:
            if not self._newer_keys():
                raise
        return self._read(kind, text)

    def _newer_keys(self) -> bool:
        """Whether there are other keys than before; looked for once a minute at most, whoever sends what."""
        if self._renew is None or self._now() - self._renewed_at < RENEWAL:
            return False
        self._renewed_at = self._now()
        before, self._keys = self._keys, list(self._renew())
        return self._keys != before

    def _read(self, kind: str, text: str) -> tuple[Pass, str, float]:
        try:
            claims: dict[str, Any] = self._serializer(kind).loads(text)
            until, number = float(claims.pop("until")), str(claims.pop("number"))
            found = Pass(**claims)
        except (BadData, KeyError, TypeError, ValueError, AttributeError, UnicodeError):
            raise Denied from None
        if not _canonical(text) or until <= self._now():
            raise Denied
        return found, number, until

    def _serializer(self, kind: str) -> URLSafeSerializer:
        options = {"key_derivation": "hmac", "digest_method": staticmethod(hashlib.sha256)}
        return URLSafeSerializer(self._keys, salt=f"maxchimp-{kind}", signer_kwargs=options)


def _belongs(found: Pass, connection: str, born: float) -> None:
    """Elsewhere unless this pass is of this connection; one from before its first set-up stays good."""
    if found.connection != connection or found.born not in (0.0, born):
        raise Elsewhere


def as_setup(given: Pass) -> Pass:
    """The same login, for set-up."""
    return replace(given, purpose="setup", entry="")


def keys(engine: Engine, secret_key: str) -> list[str]:
    """Keys to sign with: of MAXCHIMP_SECRET_KEY where there is one (its first key signs), else of our store."""
    parts = [part.strip() for part in secret_key.split(",") if part.strip()]
    if not parts:
        return credentials.signing_keys(engine)
    return [hmac.digest(part.encode(), b"maxchimp web tokens", "sha256").hex() for part in reversed(parts)]


def _canonical(text: str) -> bool:
    """Whether no other spelling of the same signature was sent (the last base64 digit has bits to spare)."""
    signature = text.rpartition(".")[2]
    try:
        return base64_encode(base64_decode(signature)).decode() == signature
    except BadData:
        return False
