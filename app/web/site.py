"""What every handler is given: one connection, its clients, its settings as they are now."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Engine

from app.web.frame import origin_of
from app.web.jobs import Jobs
from app.web.tokens import Pass, Purpose, Tokens
from domain.errors import Misconfigured
from flows.services import Opener, Services, connect
from flows.settings import Settings
from storage import connections
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


@dataclass
class Site:
    """One connection's page. ``port``: where it listens; ``settings`` as they are now (set-up may change them)."""

    engine: Engine
    settings: Settings
    tokens: Tokens
    port: int
    opener: Opener | None = None
    reload: Callable[[], Settings] | None = None
    now: Callable[[], float] = time.time
    jobs: Jobs = field(default_factory=Jobs)
    cache: dict[str, tuple[float, Any]] = field(default_factory=dict)
    _services: Services | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def origins(self) -> list[str]:
        """Where our pages come from: this machine, and the address that people's browsers use."""
        here = [f"http://127.0.0.1:{self.port}", f"http://localhost:{self.port}"]
        public = origin_of(self.settings.page_url)
        return [*here, public] if public else here

    @property
    def connection(self) -> Connection | None:
        return connections.find(self.engine, self.settings.connection)

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
        if self.reload is not None:
            self.settings = self.reload()
        self.forget()

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


def audit(who: Pass, what: str, **facts: Mapping[str, Any] | str | int) -> None:
    """A line in the log for everything that changes something (hazard S8)."""
    shown = "".join(f" {name}={value}" for name, value in facts.items())
    log.info("page: %s %s%s", who.user, what, shown)
