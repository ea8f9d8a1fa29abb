"""A browser without a browser: requests straight into the page's application, with the headers that browsers send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from harness import Office
from pydantic import SecretStr

from app.web.application import DOORS, application
from app.web.frame import Frame
from app.web.site import Site, begun
from app.web.sites import Sites
from app.web.tokens import LINK, Pass, Tokens

PORT = 8470
ORIGIN = f"http://127.0.0.1:{PORT}"
_serial = count(1)
KEYS = ["old-signing-key", "new-signing-key"]


@dataclass(frozen=True)
class Seen:
    """One answer."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Visitor:
    """``page(office)`` makes one; ``post`` sends what the page's own script would send."""

    def __init__(self, app: Frame, site: Site) -> None:
        self.app, self.site, self.token = app, site, ""
        self.client = f"10.0.0.{next(_serial)}"  # a machine of its own: rates are counted by caller

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str | None] | None = None,
        client: str = "",
    ) -> Seen:
        given = {"host": f"127.0.0.1:{PORT}", **(headers or {})}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "http_version": "1.1",
            "scheme": "http",
            "client": (client or self.client, 5),
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in given.items() if v is not None],
        }
        return asyncio.run(self._through(scope, body))

    async def _through(self, scope: dict[str, Any], body: bytes) -> Seen:
        told: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            told.append(message)

        await self.app(scope, receive, send)  # type: ignore[arg-type]
        starts = [m for m in told if m["type"] == "http.response.start"]
        assert len(starts) == 1
        headers = {k.decode(): v.decode("latin-1") for k, v in starts[0]["headers"]}
        content = b"".join(m.get("body", b"") for m in told if m["type"] == "http.response.body")
        return Seen(int(starts[0]["status"]), headers, content.decode())

    def get(self, path: str) -> Seen:
        return self.ask("GET", path)

    def post(self, path: str, content: Any = None, *, client: str = "", **headers: str | None) -> Seen:
        """``headers``: others instead (None: without), underscores for dashes."""
        body = content if isinstance(content, bytes) else json.dumps(content or {}).encode()
        usual: dict[str, str | None] = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "origin": ORIGIN,
            "sec-fetch-site": "same-origin",
            "authorization": f"Bearer {self.token}" if self.token else None,
        }
        changed = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", path, body, usual | changed, client)

    # ------------------------------------------------------------- ways in

    def launch(self, user: str, key: tuple[str, int]) -> Seen:
        """As the following tab of a viewer; the token is kept when it worked."""
        token, entry = self.handed(user, key)
        return self.enter(self.post("/api/launch", {"key": entry, "token": token}))

    def handed(self, user: str, key: tuple[str, int]) -> tuple[str, str]:
        """(token, key string) as Maximizer hands them to a tab."""
        maximizer: Any = self.maximizer
        token = maximizer.log_in(user)
        session = maximizer.sessions.find(token, maximizer.database.quirks)
        return token, session.keys.write(maximizer.database.book.get(key))

    def enter(self, launched: Seen) -> Seen:
        if launched.status != 200:
            return launched
        opened = self.post("/api/session", {"code": launched.json["code"]})
        self.token = opened.json["token"] if opened.status == 200 else ""
        return opened

    def administrate(self) -> Visitor:
        """With a login link of the command line."""
        self.token = self.site.tokens.token(self.administrator)
        return self

    @property
    def administrator(self) -> Pass:
        return begun(self.site, "setup", f"tests {LINK}", admin=True)

    maximizer: Any = None


def page(office: Office, **settings: Any) -> Visitor:
    """The page of an office; its services answer in this process, its clock is the office's."""
    office.settings = office.settings.model_copy(
        update={
            "maximizer_web_url": "http://127.0.0.1:2/MaximizerWebAccess/Default.aspx",
            "administrators": "ADA",
            **{name: SecretStr(text) if name == "secret_key" else text for name, text in settings.items()},
        }
    )
    now = office.clock.now
    site = Site(
        office.engine,
        office.settings,
        Tokens(KEYS, office.engine, now=now),
        PORT,
        opener=office._open,
        load=lambda name: office.settings,
        now=now,
    )
    made = Visitor(application(Sites(site, DOORS)), site)
    made.maximizer = office.maximizer
    return made
