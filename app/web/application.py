"""The application: its pages and its POST routes, and how an answer or a refusal is made of what a handler says."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import partial
from importlib.resources import files

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.web import admin, mapping, runs, tab, words
from app.web.frame import Frame, Rates, Refusal
from app.web.site import Answer, Door, Site
from app.web.tokens import Denied, Pass
from domain.errors import Blocked, CallFailed, CredentialsRefused, Incomplete, MaxchimpError, Misconfigured

log = logging.getLogger("maxchimp.web")

STATIC = {"app.js": "text/javascript", "app.css": "text/css", "icon.svg": "image/svg+xml"}
DOORS: dict[str, Door] = {**tab.DOORS, **admin.DOORS, **mapping.DOORS, **runs.DOORS}


def application(site: Site, *, rates: Rates | None = None) -> Frame:
    """The whole page as an ASGI application."""
    pages: dict[str, Callable[[], Response]] = {
        "/": lambda: _shell(site, "setup"),
        "/tab": lambda: _shell(site, "tab"),
        "/health": lambda: Response("ok\n", media_type="text/plain"),
        **{f"/static/{name}": partial(_static, name) for name in STATIC},
    }

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        path, reads = scope["path"], scope["method"] in ("GET", "HEAD")
        if path not in pages and path not in DOORS:
            raise Refusal(404)
        if (path in pages) != reads:
            raise Refusal(405)
        if reads:
            return await pages[path]()(scope, receive, send)
        request = Request(scope, receive)
        body, authorization = await request.body(), request.headers.get("authorization", "")
        made = await run_in_threadpool(_answer, site, DOORS[path], body, authorization)
        return await made(scope, receive, send)

    return Frame(answer, origins=site.origins, framed_by=lambda: site.settings.maximizer_web_url, rates=rates)


def _shell(site: Site, view: str) -> Response:
    """A page without anything about anybody; its script asks for the rest."""
    settings = site.settings
    names = {"key": settings.tab_key_parameter, "token": settings.tab_token_parameter}
    cloud = settings.maximizer_url.rstrip("/").endswith("octopus")
    return _html(words.render("shell", view=view, names=names, cloud=cloud))


def _static(name: str) -> Response:
    content = files("app.web").joinpath("static", name).read_bytes()
    return Response(content, media_type=f"{STATIC[name]}; charset=utf-8")


def _answer(site: Site, door: Door, body: bytes, authorization: str) -> Response:
    """The handler's answer, or what went wrong in words: never more than our own sentence and what to do."""
    try:
        who = _NOBODY
        if door.purpose is not None:
            who = site.tokens.read(authorization, door.purpose, site.settings.connection)
        return _html_or_json(door.handler(site, who, door.model.model_validate_json(body or b"{}")))
    except Denied:
        raise Refusal(401) from None
    except ValidationError:
        raise Refusal(400) from None
    except MaxchimpError as error:
        log.info("page: %s", error.message)
        if isinstance(error, CallFailed | Incomplete | CredentialsRefused):
            site.forget()
        status = status_of(error) if door.purpose is not None else _way_in(error)
        return _html(words.problem(error.message, error.remedy), status)


_NOBODY = Pass("tab", "", "", "", False, 0.0)


def status_of(error: MaxchimpError) -> int:
    if isinstance(error, Blocked):
        return 409
    return 422 if isinstance(error, Misconfigured) else 502


def _way_in(error: MaxchimpError) -> int:
    """Of a launch: 401 who is nobody, 403 who may not; both count as failures."""
    if isinstance(error, CredentialsRefused):
        return 401
    return 403 if isinstance(error, Blocked) else status_of(error)


def _html_or_json(answer: Answer) -> Response:
    if isinstance(answer, str):
        return _html(answer)
    return Response(json.dumps(answer), media_type="application/json")


def _html(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type="text/html; charset=utf-8")
