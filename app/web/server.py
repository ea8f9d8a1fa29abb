"""Starting and stopping the page: in a thread of this process, on this machine only; a proxy brings it to others."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import requests
from sqlalchemy import Engine

from app.web.application import DOORS, application
from app.web.site import Site
from app.web.sites import Sites
from app.web.tokens import LINK, LOGIN, Tokens, keys
from domain.errors import Incomplete, Misconfigured
from flows.services import Opener
from flows.settings import Settings, load_settings
from storage import connections, schema
from storage.engine import open_store

HOST = "127.0.0.1"
NAME = "maxchimp"  # is in every page of ours
START, STOP = 20.0, 10.0  # seconds that starting and stopping may take
log = logging.getLogger("maxchimp.web")


class Page:
    """Pages that are being served. ``url`` is without a trailing slash; ``site``: of the connection they began with."""

    def __init__(self, sites: Sites) -> None:
        self.sites, self.site = sites, sites.start
        self.url = f"http://{HOST}:{self.site.port}"

    def login_link(self) -> str:
        """An address that opens set-up once, within ten minutes; what stands behind the # is sent nowhere."""
        return login_link(self.site.engine, self.site.settings, self.url)


def login_link(engine: Engine, settings: Settings, url: str) -> str:
    """One for a connection, whatever process serves the pages of this store at ``url``."""
    user = os.environ.get("USER") or os.environ.get("USERNAME") or "command line"
    tokens, name = tokens_of(engine, settings), settings.connection
    found = connections.find(engine, name)
    given = tokens.begun("setup", name, f"{user} {LINK}", admin=True, born=found.created_at if found else 0.0)
    return f"{url}/{name}/setup#code={tokens.code(given, LOGIN)}"


def require_running(port: int) -> None:
    """Misconfigured unless a page of ours answers on this port of this machine: its link would lead nowhere."""
    with requests.Session() as http:
        http.trust_env = False  # no proxy on the way to this machine
        try:
            answer = http.get(f"http://{HOST}:{port}/", timeout=START, allow_redirects=False) if port else None
            ours = answer is not None and answer.status_code == 200 and NAME in answer.text
        except requests.RequestException:
            ours = False
    if not ours:
        raise Misconfigured(
            f"no page of maxchimp is running on port {port}",
            remedy="start it with: maxchimp web, or maxchimp serve; if it has another port, add --port N",
        )


def tokens_of(engine: Engine, settings: Settings) -> Tokens:
    renew = partial(keys, engine, settings.secret_key.get_secret_value())
    return Tokens(renew(), engine, renew=renew)


@contextmanager
def serving(
    settings: Settings,
    port: int = 0,
    *,
    engine: Engine | None = None,
    opener: Opener | None = None,
    load: Callable[[str], Settings] = load_settings,
) -> Iterator[Page]:
    """Serve the pages of all connections until the block ends; port 0 takes a free one.

    ``settings``: of the connection that ``/`` and ``/tab`` are of; ``load`` reads those of the others, and these anew.
    The store is made when there is none (as ``maxchimp setup`` does). Raises Misconfigured for a port that is taken or
    a store of another version.
    """
    import uvicorn

    own = engine is None
    store = engine or open_store(settings.database_url.get_secret_value())
    try:
        if schema.current(store) is None:
            schema.migrate(store)
        schema.require_current(store)
        listening = _listen(port)
        taken = int(listening.getsockname()[1])
        site = Site(store, settings, tokens_of(store, settings), taken, opener=opener, load=load)
        sites = Sites(site, DOORS)
        config = uvicorn.Config(
            application(sites),
            access_log=False,  # addresses of pages would be all it knows
            log_config=None,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            lifespan="off",
            timeout_graceful_shutdown=int(STOP),
            h11_max_incomplete_event_size=16 * 1024,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="page", daemon=True)
        thread.start()
        try:
            _await_start(server, thread)
            log.info("page: serving %s on port %s", site.name, taken)
            yield Page(sites)
        finally:
            sites.close()
            server.should_exit = True
            thread.join(STOP + 5)
            listening.close()
    finally:
        if own:
            store.dispose()


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except OSError as problem:
        listening.close()
        raise Misconfigured(
            f"port {port} cannot be used: {problem.strerror}", remedy="choose another one with --port, or 0"
        ) from problem
    return listening


def _await_start(server: object, thread: threading.Thread) -> None:
    until = time.monotonic() + START
    while not getattr(server, "started", False):
        if not thread.is_alive() or time.monotonic() > until:
            raise Incomplete("the page could not be started", remedy="details are in the log")
        time.sleep(0.01)
