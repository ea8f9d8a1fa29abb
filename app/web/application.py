"""The application: its pages and its POST routes, and how an answer or a refusal is made of what a handler says."""

from __future__ import annotations

import json
import logging
from importlib.resources import files

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.web import admin, listing, mapping, runs, tab, words
from app.web.frame import Frame, Rates, Refusal
from app.web.site import Answer, Door
from app.web.sites import PAGES, Place, Sites
from app.web.tokens import Denied, Elsewhere, Pass
from domain.commands import here, typed
from domain.errors import Blocked, CallFailed, CredentialsRefused, Incomplete, MaxchimpError, Misconfigured, Miscounted
from domain.facts import about

log = logging.getLogger("maxchimp.web")

STATIC = {"app.js": "text/javascript", "app.css": "text/css", "icon.svg": "image/svg+xml"}
FILES = {"/health": "", **{f"/static/{name}": name for name in STATIC}}  # of no connection
DOORS: dict[str, Door] = {**tab.DOORS, **admin.DOORS, **listing.DOORS, **mapping.DOORS, **runs.DOORS}


def application(sites: Sites, *, rates: Rates | None = None) -> Frame:
    """The pages of all connections as one ASGI application."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        path, reads = scope["path"], scope["method"] in ("GET", "HEAD")
        if path in FILES and reads:
            made = _static(FILES[path]) if FILES[path] else Response("ok\n", media_type="text/plain")
            return await made(scope, receive, send)
        place: Place | None = scope["place"]
        if place is None:
            raise Refusal(405 if path in FILES else 404)
        if place.path not in (PAGES if reads else DOORS):
            raise Refusal(405)
        if reads:
            return await _shell(place, sites.start.port)(scope, receive, send)
        request = Request(scope, receive)
        body, authorization = await request.body(), request.headers.get("authorization", "")
        told = await run_in_threadpool(_told, place, DOORS[place.path], body, authorization)
        return await told(scope, receive, send)

    return Frame(answer, origins=sites.start.origins, framed_by=sites.framed_by, find=sites.find, rates=rates)


def _shell(place: Place, port: int) -> Response:
    """A page without anything about anybody; its script asks for the rest."""
    if place.problem is not None:
        return _html(words.trouble(place.problem.message, place.problem.remedy), status_of(place.problem))
    settings, view = place.page.settings, PAGES[place.path]
    names = {"key": settings.tab_key_parameter, "token": settings.tab_token_parameter}
    cloud = settings.maximizer_url.rstrip("/").endswith("octopus")
    named = place.base.removeprefix("/")
    with about(connection=settings.connection):
        link = here(typed("web", "--link", "--port", port))
    return _html(words.render("shell", view=view, names=names, cloud=cloud, base=place.base, named=named, link=link))


def _static(name: str) -> Response:
    content = files("app.web").joinpath("static", name).read_bytes()
    return Response(content, media_type=f"{STATIC[name]}; charset=utf-8")


def _told(place: Place, door: Door, body: bytes, authorization: str) -> Response:
    with about(connection=place.name):
        return _answer(place, door, body, authorization)


def _answer(place: Place, door: Door, body: bytes, authorization: str) -> Response:
    """The handler's answer, or what went wrong in words: never more than our own sentence and what to do."""
    site = place.site
    try:
        site, who = place.page, _NOBODY
        if door.purpose is not None:
            who = site.tokens.read(authorization, door.purpose, site.name, site.born)
        with about(connection=site.name):
            return _html_or_json(door.handler(site, who, door.model.model_validate_json(body or b"{}")))
    except Elsewhere:
        raise Refusal(403) from None
    except Denied:
        raise Refusal(401) from None
    except ValidationError:
        raise Refusal(400) from None
    except MaxchimpError as error:
        level = logging.ERROR if isinstance(error, Miscounted) else logging.INFO
        log.log(level, "page: %s connection=%s", error.message, place.name)
        if site is not None and isinstance(error, CallFailed | Incomplete | CredentialsRefused):
            site.forget()
        status = status_of(error) if door.purpose is not None else _way_in(error)
        return _html(words.problem(error.message, error.remedy), status)


_NOBODY = Pass("tab", "", "", "", False, 0.0)


def status_of(error: MaxchimpError) -> int:
    if isinstance(error, Blocked):
        return 409
    if isinstance(error, Miscounted):
        return 500
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
