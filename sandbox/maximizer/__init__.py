r"""A simulated Maximizer CRM: one Address Book behind the on-premise and the cloud profile of its API.

    maximizer = Maximizer(VirtualClock(0.0), profile="on-premise", quirks={"msg-objects", "page-cap=500"})
    key = maximizer.add_person("Ann", "Lee", "ann@lee.test")          # what a person does: sandbox.maximizer.people
    door = Door(maximizer)                                            # what a program does: requests through a door

What is known of the real service, and how well, stands in the fact sheet on its API.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from sandbox.clock import Clock
from sandbox.door import Request, Response
from sandbox.maximizer.book import Key
from sandbox.maximizer.database import Database
from sandbox.maximizer.envelope import GENERAL, ApiError, refusal
from sandbox.maximizer.people import People
from sandbox.maximizer.quirks import QUIRKS, Quirks
from sandbox.maximizer.service import PREFIXES, Api
from sandbox.maximizer.sessions import Sessions, bad_token

__all__ = ["QUIRKS", "Maximizer"]

WEB_PATH = "/MaximizerWebAccess/Default.aspx"


class Maximizer(People):
    """`profile`: "on-premise" or "cloud". `token`: a personal access token; the cloud has one in any case.

    Raises ValueError for an unknown profile or quirk.
    """

    PERSON_ACTIONS = (
        "add_udf",
        "add_option",
        "rename_option",
        "remove_option",
        "options",
        "change_kind",
        "rename_udf",
        "remove_udf",
        "set_required",
        "add_company",
        "add_person",
        "edit",
        "remove",
        "convert_to_contact",
        "copy_entry",
        "hide",
        "unhide",
        "hide_from",
        "protect",
        "entry",
        "listed",
        "expire_tokens",
        "add_viewer",
        "show_tab",
    )

    def __init__(
        self,
        clock: Clock,
        profile: str = "on-premise",
        *,
        database: str = "EsconaDemo",
        user: str = "MCSYNC",
        password: str = "sandbox-password",  # noqa: S107
        token: str | None = None,
        seed: int = 0,
        quirks: Iterable[str] = frozenset(),
    ) -> None:
        if profile not in PREFIXES:
            raise ValueError(f"unknown profile {profile!r}; known: {', '.join(PREFIXES)}")
        self.clock = clock
        self.profile = profile
        self.user = user
        self.password = password
        if token is None and profile == "cloud":
            token = f"pat-{hashlib.sha256(f'{seed}:{database}'.encode()).hexdigest()[:40]}"
        self.token = token
        self.database = Database(clock, database)
        self.quirks = frozenset(quirks)
        self.sessions = Sessions(clock, database, user, password, seed)
        self.sessions.personal |= {token} if token else set()
        self._api = Api(self.database, self.sessions, profile)

    # --- what tests and the demo look at ----------------------------------------------------------------------------

    @property
    def base_path(self) -> str:
        """Path of the Web.Data URL: `https://server` + this is what people type into the settings."""
        return PREFIXES[self.profile][0 if self.profile == "on-premise" else 1].rstrip("/")

    @property
    def web_path(self) -> str:
        """Path of the Web Access URL."""
        return WEB_PATH

    @property
    def quirks(self) -> frozenset[str]:
        """May be set anew at any time; the cloud always answers with objects in Msg unless told "msg-texts"."""
        return self.database.quirks.names()

    @quirks.setter
    def quirks(self, names: Iterable[str]) -> None:
        own = set(names)
        if self.profile == "cloud" and "msg-texts" not in own:
            own.add("msg-objects")
        self.database.quirks = Quirks(own)
        self.database.book.version += 1

    @property
    def deletes(self) -> int:
        """How many Delete calls arrived over HTTP; the sync never makes one (hazard C13)."""
        return self.database.deletes

    @property
    def notes(self) -> Counter[Key]:
        """How many fields of an entry were changed; each leaves an audit note that users see."""
        return self.database.book.notes

    def expire_tokens(self) -> None:
        """Every session is over; personal access tokens stay valid."""
        self.sessions.expire()

    def add_viewer(self, user: str, password: str) -> None:
        """Another user of this Address Book, who may read everything that is not hidden from them."""
        self.sessions.viewers[user] = password

    def log_in(self, user: str) -> str:
        """The token of a new session of a viewer. Raises KeyError for nobody."""
        if user not in self.sessions.viewers:
            raise KeyError(user)
        return self.sessions.begin_viewer(user, self.database.quirks).token

    def show_tab(self, user: str, key: Key, tab: str) -> str:
        """A viewer looks at an entry with the page `tab` as its following tab; path of Web Access's own page.

        The tab is given the key and the token as parameters. Their names are a guess (fact sheet section 6).
        """
        token = self.log_in(user)
        session = self.sessions.find(token, self.database.quirks)
        entry = self.database.book.get((str(key[0]), int(key[1])))
        assert session is not None
        if entry is None:
            raise KeyError(key)
        given = urlencode({"CurrentKey": session.keys.write(entry), "IdentityToken": token})
        return f"{WEB_PATH}?{urlencode({'tab': self._api.frame(f'{tab}?{given}')})}"

    def revoke_token(self) -> None:
        """The personal access token is withdrawn."""
        self.sessions.personal.clear()

    def listed(self, limit: int = 100) -> list[dict[str, Any]]:
        """The first entries, for a look from another process."""
        return [self._shown(entry) for entry in list(self.database.book.rows.values())[:limit]]

    # --- the service behind a door ----------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return "maximizer"

    def operation(self, request: Request) -> str:
        return self._api.operation(request)

    def writes(self, request: Request) -> bool:
        return self._api.writes(request)

    def handle(self, request: Request) -> Response:
        return self._api.handle(request)

    def failure(self, kind: str, request: Request) -> Response | None:
        """Failures that stand inside an HTTP 200, and the cloud's 429; None: a page of the web server."""
        if kind == "token-expired":
            self.expire_tokens()
            return refusal(bad_token(self.profile == "cloud"), self.database.quirks)
        if kind == "code-minus-1":
            return refusal(ApiError("An unexpected error has occurred.", GENERAL), self.database.quirks)
        return self._api.too_many() if kind == "429" else None

    def state(self) -> dict[str, Any]:
        book = self.database.book
        types = Counter(entry.type for entry in book.rows.values())
        return {
            "service": self.name,
            "database": self.database.name,
            "entries": dict(types),
            "udfs": [self.database.schema.path(udf) for udf in self.database.schema.udfs.values()],
            "deletes": self.deletes,
            "notes": sum(self.notes.values()),
        }
