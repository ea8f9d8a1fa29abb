"""Two towns in one store and the pages of both, served from one process over real HTTP."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from town import Town

from app.web.server import Page, serving
from app.web.site import Site
from app.web.sites import Sites
from flows.settings import Settings, load_settings

NAMES = ("default", "north")


@dataclass
class Client:
    """A browser's requests: below ``base``, with ``token``."""

    url: str
    base: str = ""
    token: str = ""

    def ask(self, method: str, path: str, body: Any = None, **headers: str | None) -> requests.Response:
        usual: dict[str, str | None] = {}
        if method not in ("GET", "HEAD"):
            usual = {"Content-Type": "application/json", "Origin": self.url, "Sec-Fetch-Site": "same-origin"}
        if self.token:
            usual["Authorization"] = f"Bearer {self.token}"
        given = {k: v for k, v in {**usual, **headers}.items() if v is not None}
        with requests.Session() as http:
            http.trust_env = False
            asked = requests.Request(method, self.url, headers=given, data=json.dumps(body or {}) if usual else None)
            prepared = http.prepare_request(asked)
            prepared.url = self.url + self.base + path  # as it stands: nothing is tidied up
            return http.send(prepared, timeout=60)

    def get(self, path: str) -> requests.Response:
        return self.ask("GET", path)

    def post(self, path: str, body: Any = None) -> requests.Response:
        return self.ask("POST", path, body)


@dataclass
class Quarter:
    """``towns`` by the name of their connection. ``broken``: names whose settings cannot be read at the moment."""

    folder: Path
    towns: dict[str, Town]
    broken: set[str] = field(default_factory=set)
    page: Page = field(init=False)
    sites: Sites = field(init=False)

    def load(self, name: str) -> Settings:
        if name in self.broken:
            raise ValueError(f"secret of {name}")
        return load_settings(name)

    def site(self, name: str) -> Site | None:
        """The page of a connection, None as long as nobody has asked for it."""
        return self.sites._known(name)

    def visitor(self, name: str = "", token: str = "") -> Client:
        """Below a connection's name; "" for the paths without one."""
        return Client(self.page.url, f"/{name}" if name else "", token)

    def handed(self, name: str, user: str, pair: int) -> dict[str, str]:
        """What the tab of a viewer sends of one of the synchronised people."""
        maximizer: Any = self.towns[name].maximizer
        token = maximizer.log_in(user)
        session = maximizer.sessions.find(token, maximizer.database.quirks)
        entry = maximizer.database.book.get(self.towns[name].world.pairs[pair][1])
        return {"key": session.keys.write(entry), "token": token}

    def viewer(self, name: str, user: str = "ADA", pair: int = 0) -> Client:
        """Somebody before the tab of a connection."""
        made = self.visitor(name)
        code = made.post("/api/launch", self.handed(name, user, pair)).json()["code"]
        made.token = made.post("/api/session", {"code": code}).json()["token"]
        return made

    def administrator(self, name: str) -> Client:
        """Somebody with a login link of a connection."""
        made = self.visitor(name)
        made.token = made.post("/api/session", {"code": self.code(name)}).json()["token"]
        return made

    def code(self, name: str) -> str:
        from app.web.server import login_link

        link = login_link(self.page.site.engine, load_settings(name), self.page.url)
        assert link.startswith(f"{self.page.url}/{name}/setup#code=")
        return link.partition("=")[2]

    def calls(self) -> int:
        """Requests that any of the four services has had."""
        return sum(len(door.calls) for town in self.towns.values() for door in town.doors.values())


@contextmanager
def quarter(
    folder: Path,
    patch: pytest.MonkeyPatch,
    *,
    people: int = 4,
    setup: bool = True,
    start: str = "default",
    **environment: str,
) -> Iterator[Quarter]:
    """``setup`` False: nothing but the addresses of the services is told, everything else is to be typed in."""
    url = f"sqlite:///{folder / 'maxchimp.db'}"
    towns = {name: Town(folder, people, url=url, name=name, seed=n) for n, name in enumerate(NAMES, 5)}
    for name in [name for name in os.environ if name.startswith(("MAXCHIMP_", "PREFECT_"))]:
        patch.delenv(name)
    patch.chdir(folder)
    told = {**towns["default"].environment, **towns["north"].own()} | environment
    for name, text in told.items():
        if setup or name.endswith(("DATABASE_URL", "HOME_DIR", "MAILCHIMP_URL", "SECRET_KEY")):
            patch.setenv(name, text)
    if setup:
        for town in towns.values():
            town.setup()
            for user in ("ADA", "BOB"):
                town.maximizer.add_viewer(user, f"password-{user}")
    made = Quarter(folder, towns)
    with serving(load_settings(start), load=made.load) as page:
        made.page, made.sites = page, page.sites
        yield made
    for town in towns.values():
        town.close()
