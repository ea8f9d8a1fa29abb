"""All connections, for administrators: which there are, how they are, where each one's pages are (R5)."""

from __future__ import annotations

from typing import Any

from app.commands.connections import state_of
from app.web import words
from app.web.frame import origin_of
from app.web.site import Answer, Door, Given, Site, read_settings
from app.web.tokens import Pass
from domain.errors import MaxchimpError
from flows.settings import NAME
from flows.viewer import administers
from storage import connections
from storage.connections import Connection


class Nothing(Given):
    pass


def show(site: Site, who: Pass, given: Nothing) -> Answer:
    """Those that this person administers: each connection has its own sign-in, and a link lets nobody in."""
    url = origin_of(site.settings.page_url) or f"http://127.0.0.1:{site.port}"
    rows = [row for found in connections.every(site.engine) if (row := _row(site, who, found))]
    return words.render("connections", rows=rows, here=site.name, url=url, by_link=who.by_link)


def _row(site: Site, who: Pass, found: Connection) -> dict[str, Any] | None:
    """What is shown of a connection; None when this person has nothing to do with it."""
    path = f"/{found.name}" if NAME.fullmatch(found.name) else ""
    shown = {"known": found, "path": path, "state": state_of(found), "good": False}
    try:
        settings = site.settings if found.name == site.name else read_settings(site.load, found.name)
    except MaxchimpError as problem:
        return shown | {"state": problem.message} if who.by_link else None
    if not (who.by_link or administers(settings, who.user)):
        return None
    return shown | {"good": found.synced and not found.failures}


DOORS: dict[str, Door] = {"/api/setup/connections": Door("setup", Nothing, show)}
