"""A Mailchimp with one list, asked in process."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from sandbox.clock import VirtualClock
from sandbox.mailchimp import Mailchimp
from sandbox.web import Door, InProcess

START = 1_767_225_600  # 2026-01-01T00:00:00+00:00


class Api:
    """Calls below one list: `api("GET", "/members")`, or from the root: `api("GET", "//ping")`."""

    def __init__(self, mailchimp: Mailchimp, list_id: str) -> None:
        self.mailchimp = mailchimp
        self.door = Door(mailchimp, mailchimp.clock)
        self.list_id = list_id
        self.session = requests.Session()
        self.session.auth = ("anyone", mailchimp.api_key)
        self.session.mount("http://mailchimp.test", InProcess(self.door))

    def __call__(self, method: str, path: str, json: Any = None, **more: Any) -> requests.Response:
        below = path[1:] if path.startswith("//") else f"/lists/{self.list_id}{path}"
        return self.session.request(method, f"http://mailchimp.test/3.0{below}", json=json, **more)

    def member(self, key: str) -> dict[str, Any]:
        answer = self("GET", f"/members/{key}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
def mailchimp(clock: VirtualClock) -> Mailchimp:
    return Mailchimp(clock)


@pytest.fixture
def list_id(mailchimp: Mailchimp) -> str:
    return mailchimp.add_list("Newsletter")


@pytest.fixture
def api(mailchimp: Mailchimp, list_id: str) -> Iterator[Api]:
    caller = Api(mailchimp, list_id)
    yield caller
    caller.session.close()


@pytest.fixture
def ada(mailchimp: Mailchimp, list_id: str) -> str:
    """The contact_id of a subscribed member, changed a minute ago."""
    contact_id = mailchimp.subscribe(list_id, "Ada@lovelace.test", {"FNAME": "Ada", "LNAME": "Lovelace"})
    mailchimp.clock.advance(60)
    return contact_id


@pytest.fixture
def refused(api: Api) -> Callable[..., dict[str, Any]]:
    """Makes a call that must be refused as an Invalid Resource (or with `title`), and gives the problem."""

    def call(
        method: str, path: str, json: Any = None, *, status: int = 400, title: str = "Invalid Resource", **more: Any
    ) -> dict[str, Any]:
        answer = api(method, path, json, **more)
        problem = answer.json()
        assert (answer.status_code, problem["title"]) == (status, title), answer.text
        return dict(problem)

    return call
