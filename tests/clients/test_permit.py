from __future__ import annotations

from typing import Any

import pytest
import requests

from clients.permit import Permit
from clients.session import Session
from domain.errors import LeaseLost, NotApplied
from sandbox.web import Response


class Busy(requests.adapters.BaseAdapter):
    """Answers that there are too many requests."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = 0

    def send(self, request: requests.PreparedRequest, *given: Any, **more: Any) -> requests.Response:
        self.requests += 1
        answer = requests.Response()
        answer.status_code, answer._content = Response(429).status, b""
        answer._content_consumed = True  # type: ignore[attr-defined]
        return answer

    def close(self) -> None:
        pass


def test_f2_the_question_comes_before_every_send_also_before_a_repetition() -> None:
    busy, permit, asked = Busy(), Permit(), []

    def ask() -> None:
        asked.append(busy.requests)
        if len(asked) == 3:
            raise LeaseLost("lost")

    def opener(http: requests.Session) -> None:
        http.mount("http://", busy)
        permit.guard(http)

    session = Session("maximizer", secrets=[], opener=opener, sleep=lambda seconds: None)
    permit.ask = ask
    with pytest.raises(LeaseLost):
        session.send("POST", "http://127.0.0.1:1/x", operation="AbEntryCreate", retry="never")
    assert asked == [0, 1, 2]
    assert busy.requests == 2
    session.close()


def test_f8_waiting_ends_when_a_stop_is_asked_for() -> None:
    busy, permit, waited = Busy(), Permit(), []
    permit.wait = waited.append

    def opener(http: requests.Session) -> None:
        http.mount("http://", busy)
        permit.guard(http)

    session = Session("mailchimp", secrets=[], opener=opener, sleep=permit.pause)
    with pytest.raises(NotApplied):
        session.send("GET", "http://127.0.0.1:1/", operation="try it", retry="read")
    assert (busy.requests, len(waited)) == (4, 3)
