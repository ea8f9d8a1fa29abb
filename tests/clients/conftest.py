"""Scripted services, and both sandbox services, behind a client session that never sleeps."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import urllib3

from clients.mailchimp import Mailchimp
from clients.maximizer import Maximizer
from clients.session import Session

KEY = "0123456789abcdef0123456789abcdef-us6"
PASSWORD = "correct-horse-battery"
TOKEN = "personal-token-0123456789"
MAXIMIZER_URLS = {
    "on-premise": "https://crm.escona.test/MaximizerWebData/Data.svc",
    "cloud": "https://api.maximizer.test/octopus",
}


@dataclass
class Script(requests.adapters.BaseAdapter):
    """Plays answers in turn, the last one for ever: an exception, (status, body) or (status, body, headers)."""

    plays: list[Any]
    sent: list[requests.PreparedRequest] = field(default_factory=list)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        play = self.plays[min(len(self.sent), len(self.plays) - 1)]
        self.sent.append(request)
        if isinstance(play, Exception):
            raise play
        status, body, headers = (*play, {})[:3]
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = requests.Response()
        response.status_code, response.headers = status, requests.structures.CaseInsensitiveDict(headers)
        response.url, response.request = str(request.url), request
        response.raw = urllib3.HTTPResponse(io.BytesIO(raw), headers, status, preload_content=False)
        return response

    def close(self) -> None:
        pass

    def bodies(self) -> list[Any]:
        return [json.loads(request.body or b"null") for request in self.sent]


@dataclass
class Naps:
    """Takes the place of sleeping, and of the clock."""

    now: float = 0.0
    taken: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        self.now += seconds


def mount(adapter: requests.adapters.BaseAdapter) -> Callable[[requests.Session], None]:
    def opener(http: requests.Session) -> None:
        http.mount("https://", adapter)
        http.mount("http://", adapter)

    return opener


@pytest.fixture
def scripted() -> Callable[..., SimpleNamespace]:
    """Makes a session that plays answers: ``scripted(side, *plays)`` has .session, .script, .naps."""

    def make(side: Any, *plays: Any, **options: Any) -> SimpleNamespace:
        script, naps = Script(list(plays)), Naps()
        common = {"secrets": [], "sleep": naps, "clock": lambda: naps.now, "rng": random.Random(7)}
        options = {**common, **options}
        session = Session(side, opener=mount(script), **options)
        return SimpleNamespace(session=session, script=script, naps=naps)

    return make


@pytest.fixture
def mailchimp_script(scripted: Callable[..., SimpleNamespace]) -> Callable[..., SimpleNamespace]:
    """Makes a client whose service plays answers: .client, .script, .session."""

    def make(*plays: Any) -> SimpleNamespace:
        made = scripted("mailchimp", *plays)
        made.client = Mailchimp(made.session, KEY)
        return made

    return make


@pytest.fixture
def maximizer_script(scripted: Callable[..., SimpleNamespace]) -> Callable[..., SimpleNamespace]:
    """Makes a client whose service plays answers, the first one to Authenticate: .client, .script, .session."""

    def make(*plays: Any, profile: str = "on-premise", **options: Any) -> SimpleNamespace:
        made = scripted("maximizer", *plays)
        settings = {"database": "Escona", "user": "SYNC", "password": PASSWORD} | options
        made.client = Maximizer(made.session, MAXIMIZER_URLS[profile], **settings)
        return made

    return make


@pytest.fixture
def mailchimp() -> SimpleNamespace:
    """A sandbox Mailchimp with one list: .box, .door, .client, .session, .clock, .list"""
    from sandbox.clock import VirtualClock
    from sandbox.mailchimp import Mailchimp as Box
    from sandbox.web import Door, InProcess

    clock = VirtualClock(1_800_000_000)
    box = Box(clock, api_key=KEY)
    door = Door(box)
    session = Session("mailchimp", secrets=[], opener=mount(InProcess(door)), sleep=Naps())
    return SimpleNamespace(
        box=box, door=door, session=session, clock=clock, client=Mailchimp(session, KEY), list=box.add_list("Readers")
    )


@pytest.fixture(params=["on-premise", "cloud"])
def maximizer(request: pytest.FixtureRequest) -> SimpleNamespace:
    """A sandbox Maximizer of either profile, signed in: .box, .door, .client, .session, .clock, .make(quirks)"""
    from sandbox.clock import VirtualClock
    from sandbox.maximizer import Maximizer as Box
    from sandbox.web import Door, InProcess

    def make(quirks: frozenset[str] = frozenset(), **options: Any) -> SimpleNamespace:
        clock, naps = VirtualClock(1_800_000_000), Naps()
        token = TOKEN if request.param == "cloud" else ""
        box = Box(clock, profile=request.param, password=PASSWORD, token=token or None, quirks=quirks)
        door = Door(box)
        session = Session("maximizer", secrets=[], opener=mount(InProcess(door)), sleep=naps, clock=lambda: naps.now)
        settings = {"database": "EsconaDemo", "user": "MCSYNC", "password": PASSWORD, "token": token} | options
        client = Maximizer(session, MAXIMIZER_URLS[request.param], **settings)
        return SimpleNamespace(box=box, door=door, session=session, clock=clock, client=client, profile=request.param)

    made = make()
    made.make = make
    return made
