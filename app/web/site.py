"""What every handler is given: one connection, its clients, its settings as they are now."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Engine

from app.web.frame import origin_of
from app.web.jobs import Jobs
from app.web.tokens import Pass, Purpose, Tokens
from domain.errors import Misconfigured
from flows.secret_keys import mask
from flows.services import Opener, Services, connect
from flows.settings import Settings, load_settings
from storage import connections, credentials
from storage.connections import Connection

log = logging.getLogger("maxchimp.web")

PATIENCE = 2  # tries of a call that somebody waits for


class Given(BaseModel):
    """What a request may hold: the fields of its model and no others, of these types, of limited length."""

    model_config = ConfigDict(extra="forbid", strict=True, str_max_length=2000, hide_input_in_errors=True)


Answer = str | dict[str, Any]
Handler = Callable[["Site", Pass, Any], Answer]


@dataclass(frozen=True)
class Door:
    """One POST route. ``purpose``: of the token that opens it, None for the ways in."""

    purpose: Purpose | None
    model: type[Given]
    handler: Handler


def read_settings(load: Callable[[str], Settings], name: str) -> Settings:
    """A connection's settings as they are now, its secrets masked in the log; Misconfigured for unreadable ones."""
    try:
        found = load(name)
    except (ValueError, OSError) as problem:
        raise Misconfigured(
            "the settings of this connection cannot be read",
            remedy="an administrator checks the MAXCHIMP_ variables and the file .env of maxchimp",
        ) from problem
    mask(found.secrets())
    return found


@dataclass
class Site:
    """One connection's page. ``port``: where it listens; ``settings`` as they are now (set-up may change them).

    ``load`` reads the settings of a connection anew. ``born``: when the connection was made, 0 before that.
    """

    engine: Engine
    settings: Settings
    tokens: Tokens
    port: int
    opener: Opener | None = None
    load: Callable[[str], Settings] = load_settings
    now: Callable[[], float] = time.time
    jobs: Jobs = field(default_factory=Jobs)
    cache: dict[str, tuple[float, Any]] = field(default_factory=dict)
    born: float = 0.0
    _services: Services | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _seen: object = None

    def __post_init__(self) -> None:
        self._seen, self.born = self._look(self.connection)

    @property
    def name(self) -> str:
        return self.settings.connection

    def origins(self) -> list[str]:
        """Where our pages come from: this machine, and the address that people's browsers use."""
        here = [f"http://127.0.0.1:{self.port}", f"http://localhost:{self.port}"]
        public = origin_of(self.settings.page_url)
        return [*here, public] if public else here

    @property
    def connection(self) -> Connection | None:
        return connections.find(self.engine, self.name)

    @property
    def known(self) -> Connection:
        """The connection; Misconfigured before the first set-up."""
        found = self.connection
        if found is None:
            raise Misconfigured(
                "this connection has not been set up yet", remedy="an administrator opens Setup, then Connection"
            )
        return found

    @property
    def services(self) -> Services:
        """Clients of both sides, kept signed in; made anew after a failure (``forget``)."""
        with self._lock:
            if self._services is None:
                found = self.connection
                dialect = found.dialect if found else ""
                self._services = connect(self.settings, dialect, opener=self.opener, sends=PATIENCE)
            return self._services

    def forget(self) -> None:
        """Signed-in clients and what they told; after a failure and after a change of settings."""
        with self._lock:
            self._services = None
            self.cache.clear()

    def changed(self) -> None:
        """Settings were stored: read them again."""
        self.settings = read_settings(self.load, self.name)
        self.forget()

    def notice(self, found: Connection | None) -> None:
        """Take up what others changed since the last request: the connection, what is stored for it, ``.env``.

        One that was removed and made anew begins without the jobs of the former one.
        """
        seen, born = self._look(found)
        if seen == self._seen:
            return
        if self.born not in (0.0, born):
            self.jobs.stop()
            self.jobs = Jobs()
        self.changed()
        self._seen, self.born = seen, born

    def _look(self, found: Connection | None) -> tuple[object, float]:
        """What clients and settings depend on, to compare; and when the connection was made."""
        stored = {name: row.changed_at for name, row in credentials.kept(self.engine, self.name).items()}
        file = Path(".env")
        written = file.stat().st_mtime_ns if file.is_file() else 0
        ids = found and (found.id, found.dialect, found.account_id, found.list_id, found.address_book)
        born = found.created_at if found else 0.0
        return (stored, written, ids, born), born

    def remembered(self, name: str, seconds: float, read: Callable[[], Any]) -> Any:
        """What ``read`` told at most so many seconds ago (option names, not people)."""
        found = self.cache.get(name)
        if found is not None and found[0] > self.now() - seconds:
            return found[1]
        value = read()
        self.cache[name] = (self.now(), value)
        return value

    def close(self) -> None:
        self.jobs.close()


def begun(site: Site, purpose: Purpose, user: str, entry: str = "", *, admin: bool = False) -> Pass:
    """A pass of this connection."""
    return site.tokens.begun(purpose, site.name, user, entry, admin=admin, born=site.born)


def audit(who: Pass, what: str, **facts: Mapping[str, Any] | str | int) -> None:
    """A line in the log for everything that changes something (hazard S8)."""
    shown = "".join(f" {name}={value}" for name, value in facts.items())
    log.info("page: %s %s%s connection=%s", who.user, what, shown, who.connection)
