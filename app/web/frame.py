"""What holds for every request and every answer, errors included (hazards S1, S2, S7, S12-S14).

GET and HEAD bring pages and files and never have an effect. Everything else is a POST of JSON from a page of ours.
"""

from __future__ import annotations

import logging
import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.words import page, text_of

log = logging.getLogger("maxchimp.web")

BODY = 64 * 1024
HEADERS = 16 * 1024
WINDOW = 60.0
MOST = 1200  # requests per caller and window
MOST_LAUNCHES = 240
MOST_FAILURES = 20  # of launches and codes
AT_ONCE = 100  # requests that are being answered
LAUNCHES = ("/api/launch", "/api/session")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors "
)
_HOST = re.compile(r"[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\]")


def origin_of(url: str) -> str:
    """``https://host[:port]`` of an address, "" unless it is https, or http on this machine."""
    from flows.settings import is_local

    try:
        parts = urlsplit(url.strip())
        host, port = (parts.hostname or "").casefold(), parts.port
    except ValueError:
        return ""
    shown = f"[{host}]" if ":" in host else host
    if not _HOST.fullmatch(shown) or not (parts.scheme == "https" or (parts.scheme == "http" and is_local(host))):
        return ""
    usual = {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{shown}" + (f":{port}" if port not in (None, usual) else "")


class Rates:
    """How often a caller came within a window; memory is bounded."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._lock = now, threading.Lock()
        self._seen: dict[tuple[str, str], deque[float]] = {}

    def over(self, caller: str, what: str, most: int) -> bool:
        """Whether this caller has used up what is allowed."""
        with self._lock:
            return len(self._of(caller, what)) >= most

    def note(self, caller: str, what: str) -> None:
        with self._lock:
            self._of(caller, what).append(self._now())

    def _of(self, caller: str, what: str) -> deque[float]:
        if len(self._seen) > 10_000:
            self._seen.clear()
        times = self._seen.setdefault((caller, what), deque(maxlen=MOST))
        while times and times[0] <= self._now() - WINDOW:
            times.popleft()
        return times


class Refusal(Exception):
    """An answer without content of ours: its status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Frame:
    """Stands before the application.

    ``origins``: where our own pages may be served from. ``find``: where a method and a path lead, told to the
    application as ``place`` of the scope. ``framed_by``: the address that may hold these in a frame, "" for none; it
    is asked for at every answer, after ``find``, because set-up may change it.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        origins: Callable[[], Iterable[str]],
        framed_by: Callable[[str, str], str],
        find: Callable[[str, str], Any],
        rates: Rates | None = None,
    ) -> None:
        self.app, self.origins, self.framed_by, self.find = app, origins, framed_by, find
        self.rates = rates or Rates()
        self.busy = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return None  # there are no web sockets here
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        state = {"status": 0}

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                state["status"] = int(message["status"])
                message = {**message, "headers": [*_kept(message["headers"]), *self._headers(scope)]}
            await send(message)

        self.busy += 1
        try:
            own = list(self.origins())
            self._admit(scope, headers, own)
            scope["place"] = await run_in_threadpool(self.find, scope["method"], scope["path"])
            _require_ours(scope, headers, own)
            body = await _body(receive) if scope["method"] == "POST" else b""
            await self.app(scope, _replay(body, receive), answer)
        except Refusal as refusal:
            await _plain(answer, refusal.status, scope)
        except Exception as error:
            number = secrets.token_hex(4)
            log.critical("page error %s: unexpected %s", number, type(error).__name__, exc_info=error)
            if not state["status"]:
                await _plain(answer, 500, scope, number)
        finally:
            self.busy -= 1
        self._note(scope, state["status"])

    def _admit(self, scope: Scope, headers: dict[str, str], own: Iterable[str]) -> None:
        """Refusal for a request that is not looked into: too many, too long, for another host."""
        if self.busy > AT_ONCE:
            raise Refusal(503)
        hosts = {origin.partition("://")[2] for origin in own}
        if headers.get("host", "").casefold() not in hosts:
            raise Refusal(421)
        if sum(len(name) + len(value) for name, value in headers.items()) > HEADERS:
            raise Refusal(431)
        caller = _caller(scope)
        launching = scope["path"].endswith(LAUNCHES)
        if self.rates.over(caller, "any", MOST) or (
            launching
            and (self.rates.over(caller, "launch", MOST_LAUNCHES) or self.rates.over(caller, "failed", MOST_FAILURES))
        ):
            raise Refusal(429)
        self.rates.note(caller, "any")
        if launching:
            self.rates.note(caller, "launch")

    def _note(self, scope: Scope, status: int) -> None:
        if scope["path"].endswith(LAUNCHES) and status in (401, 403):
            self.rates.note(_caller(scope), "failed")

    def _headers(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        framed = origin_of(self.framed_by(scope["method"], scope["path"])) or "'none'"
        found = {
            "content-security-policy": POLICY + framed,
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cache-control": "no-store",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=()",
        }
        if any(origin.startswith("https://") for origin in self.origins()):
            found["strict-transport-security"] = "max-age=31536000"
        return [(name.encode(), value.encode("latin-1")) for name, value in found.items()]


def _require_ours(scope: Scope, headers: dict[str, str], own: Iterable[str]) -> None:
    """Refusal for a request with an effect that no page of ours makes."""
    if scope["method"] in ("GET", "HEAD"):
        return
    if scope["method"] != "POST":
        raise Refusal(405)
    _from_us(headers, own)
    if headers.get("content-type", "").partition(";")[0].strip().casefold() != "application/json":
        raise Refusal(415)
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > BODY:
        raise Refusal(413)


def _from_us(headers: dict[str, str], own: Iterable[str]) -> None:
    """A browser says where a POST comes from; who does not say it is not let in (hazard S7)."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site != "same-origin":
        raise Refusal(403)
    if origin is not None and origin.casefold() not in set(own):
        raise Refusal(403)
    if origin is None and site is None:
        raise Refusal(403)


def _kept(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() in (b"content-type", b"content-length", b"allow")]


def _caller(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


async def _body(receive: Receive) -> bytes:
    """The whole body; Refusal 413 as soon as it is too long, whatever was announced."""
    found = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refusal(400)
        found += message.get("body", b"")
        if len(found) > BODY:
            raise Refusal(413)
        if not message.get("more_body", False):
            return bytes(found)


def _replay(body: bytes, receive: Receive) -> Receive:
    told = False

    async def once() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once


async def _plain(send: Send, status: int, scope: Scope, number: str = "") -> None:
    """A page, or a fragment for a page of ours, that says nothing but what kind of refusal this is."""
    part = "/api/" in scope["path"]
    content = (text_of(status, number) if part else page(status, number)).encode()
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(content)).encode())]
    if status == 405:
        headers.append((b"allow", b"POST" if part else b"GET, HEAD"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})
