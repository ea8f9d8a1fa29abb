"""Who is calling: sign-in, tokens and their life, personal access tokens (fact sheet section 1)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.clock import Clock
from sandbox.door import Request
from sandbox.maximizer.envelope import NOT_SIGNED_IN, ApiError, value
from sandbox.maximizer.keys import Keys
from sandbox.maximizer.quirks import Quirks

IDLE_SECONDS = 600
LIFE_SECONDS = 86_400


@dataclass
class Session:
    """`keys`: the key strings that mean something in this session. A personal access token does not run out.

    `viewer`: somebody at the screens, with rights of their own; not the service user.
    """

    token: str
    user: str
    keys: Keys
    issued: float
    used: float
    personal: bool = False
    viewer: bool = False

    def alive(self, now: float) -> bool:
        return self.personal or (now - self.used <= IDLE_SECONDS and now - self.issued <= LIFE_SECONDS)


class Sessions:
    """`personal`: the personal access tokens that are valid. `viewers`: passwords of other users, by user id."""

    def __init__(self, clock: Clock, database: str, user: str, password: str, seed: int) -> None:
        self.clock = clock
        self.database = database
        self.user = user
        self.password = password
        self.personal: set[str] = set()
        self.viewers: dict[str, str] = {}
        self._seed = seed
        self._count = 0
        self._open: dict[str, Session] = {}

    def authenticate(self, body: Mapping[str, Any], quirks: Quirks) -> Session:
        """Raises ApiError for wrong credentials."""
        given = (value(body, "Database"), value(body, "UID"), value(body, "Password"))
        if "vendor-key" in quirks and not (value(body, "VendorId") and value(body, "AppKey")):
            raise ApiError("Authentication failed: VendorId and AppKey are required.")
        if given[0] != self.database:
            raise ApiError(f"Authentication failed: there is no Address Book '{given[0]}'.")
        if str(given[1]).casefold() == self.user.casefold() and given[2] == self.password:
            return self._begin(self._secret(), quirks, personal=False)
        viewer = next((name for name in self.viewers if name.casefold() == str(given[1]).casefold()), None)
        if viewer is None or given[2] != self.viewers[viewer]:
            raise ApiError("Authentication failed: invalid user ID or password.")
        return self.begin_viewer(viewer, quirks)

    def begin_viewer(self, user: str, quirks: Quirks) -> Session:
        """The session of somebody who logged in to Web Access."""
        return self._begin(self._secret(), quirks, personal=False, viewer=user)

    def _secret(self) -> str:
        self._count += 1
        return hashlib.sha256(f"{self._seed}:{self._count}:{self.password}".encode()).hexdigest()

    def of(self, request: Request, body: Mapping[str, Any], quirks: Quirks, cloud: bool) -> Session:
        """The caller's session, its ten minutes begun anew. Raises ApiError with "token" in its text."""
        session = self.find(given_token(request, body, quirks), quirks)
        if session is None:
            raise bad_token(cloud)
        session.used = self.clock.now()
        return session

    def find(self, token: str, quirks: Quirks) -> Session | None:
        """The live session of a token; does not prolong it."""
        session = self._open.get(token)
        if session is None and token in self.personal:
            session = self._begin(token, quirks, personal=True)
        if session is None or not session.alive(self.clock.now()):
            return None
        if session.personal and token not in self.personal:
            return None
        return session

    def expire(self) -> None:
        """Ends every session; personal access tokens stay."""
        self._open = {token: session for token, session in self._open.items() if session.personal}

    def _begin(self, token: str, quirks: Quirks, personal: bool, viewer: str = "") -> Session:
        salt = "" if "keys-stable" in quirks else hashlib.sha256(f"salt:{token}".encode()).hexdigest()[:6]
        now = self.clock.now()
        session = self._open[token] = Session(token, viewer or self.user, Keys(salt), now, now, personal, bool(viewer))
        return session


def given_token(request: Request, body: Mapping[str, Any], quirks: Quirks) -> str:
    """From the `Authorization: Bearer` header, or `Token` in the body."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.casefold() == "bearer" and token and "no-bearer" not in quirks:
        return token.strip()
    return str(value(body, "Token") or "")


def bad_token(cloud: bool) -> ApiError:
    if cloud:
        return ApiError("Authentication failed: the token is invalid or has expired.", NOT_SIGNED_IN, NOT_SIGNED_IN)
    return ApiError("Invalid token")
