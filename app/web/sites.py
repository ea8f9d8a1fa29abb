"""The pages of all connections: which one a path leads to. A page is made when somebody first asks for it.

``/tab``, ``/setup``, ``/`` and ``/api/...`` are of the connection that the page was started with; ``/NAME/tab``,
``/NAME/setup`` and ``/NAME/api/...`` are of any, as the store says at that moment. What leads nowhere looks the same.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Container
from dataclasses import dataclass

from app.web.site import Site, read_settings
from domain.errors import MaxchimpError
from flows.settings import NAME
from storage import connections

PAGES = {"/": "setup", "/setup": "setup", "/tab": "tab"}  # of the connection that the page was started with
NAMED = ("/setup", "/tab")  # of every connection, below its name
_NAMED = re.compile(rf"/({NAME.pattern})(/.*)", re.DOTALL)
_READS = ("GET", "HEAD")


@dataclass(frozen=True)
class Place:
    """A path within the page of a connection. ``base``: what stands before it. ``problem``: why there is no page."""

    site: Site | None
    path: str
    base: str = ""
    problem: MaxchimpError | None = None

    @property
    def name(self) -> str:
        """Of the connection."""
        return self.site.name if self.site else self.base.removeprefix("/")

    @property
    def page(self) -> Site:
        """Raises ``problem``."""
        if self.problem is not None:
            raise self.problem
        assert self.site is not None
        return self.site


class Sites:
    """``start``: the connection that the page was started with, which may not be set up yet. ``doors``: POST routes."""

    def __init__(self, start: Site, doors: Container[str]) -> None:
        self.start, self.doors = start, doors
        self._made: dict[str, Site] = {}
        self._broken: set[str] = set()  # names of connections whose settings could never be read
        self._lock = threading.Lock()

    def find(self, method: str, path: str) -> Place | None:
        """Where a request leads, None for nowhere; connections that came, went or changed are noticed here."""
        name, rest = self._below(method, path)
        if name and (place := self._place(name, f"/{name}", rest)):
            return place
        if path in PAGES or path in self.doors:
            return self._place(self.start.name, "", path, shell=method in _READS)
        return None

    def framed_by(self, method: str, path: str) -> str:
        """The Web Access address of the connection that a path belongs to, as ``find`` has last seen it."""
        name, _ = self._below(method, path)
        if name in self._broken:
            return ""
        return (self._made.get(name) or self.start).settings.maximizer_web_url

    def _below(self, method: str, path: str) -> tuple[str, str]:
        """(name, path within its page) of what may stand below the name of a connection, else two empty texts.

        Only below the name "api" the two kinds of paths meet, and there the method tells them apart.
        """
        name, rest = _split(path)
        first = path in (PAGES if method in _READS else self.doors)
        return (name, rest) if not first and (rest in NAMED or rest in self.doors) else ("", "")

    def _place(self, name: str, base: str, path: str, *, shell: bool = False) -> Place | None:
        """``shell``: an empty page of the first connection, which is shown also when the store does not answer."""
        try:
            site = self._site(name)
        except MaxchimpError as problem:
            return Place(self._known(name), path, base, None if shell else problem)
        return Place(site, path, base) if site else None

    def _known(self, name: str) -> Site | None:
        return self.start if name == self.start.name else self._made.get(name)

    def _site(self, name: str) -> Site | None:
        """A connection's page as things are now; None when there is no such connection."""
        start = self.start
        found = connections.find(start.engine, name)
        with self._lock:
            site = self._known(name)
            if found is None and site is not start:
                self._broken.discard(name)
                if site is not None:
                    self._made.pop(name).jobs.stop()
                return None
            if site is not None:
                site.notice(found)
                return site
            self._broken.add(name)
            settings = read_settings(start.load, name)
            made = Site(start.engine, settings, start.tokens, start.port, start.opener, start.load, start.now)
            self._made[name] = made
            self._broken.discard(name)
            return made

    def close(self) -> None:
        """Every page's job finishes what is in flight, all at the same time."""
        sites = [self.start, *self._made.values()]
        for site in sites:
            site.jobs.stop()
        for site in sites:
            site.close()


def _split(path: str) -> tuple[str, str]:
    """(name of a connection, path within its page); two empty texts when it is not of that form."""
    matched = _NAMED.fullmatch(path)
    return (matched[1], matched[2]) if matched else ("", "")
