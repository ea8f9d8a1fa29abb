import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from sandbox.clock import VirtualClock, iso
from sandbox.faults import Faults
from sandbox.web import Door, InProcess, Request, Response, Server, html_response, json_response, serve


class Counter:
    """A service that counts what reaches it; its crowd can be made to wait."""

    name = "mailchimp"
    PERSON_ACTIONS = frozenset({"add"})

    def __init__(self) -> None:
        self.seen = 0
        self.gate = threading.Event()
        self.gate.set()

    def operation(self, request: Request) -> str:
        return f"{request.method} {request.path}"

    def writes(self, request: Request) -> bool:
        return request.method != "GET"

    def handle(self, request: Request) -> Response:
        assert self.gate.wait(5)
        self.seen += 1
        return json_response({"seen": self.seen, "query": request.query, "body": request.body.decode()})

    def failure(self, kind: str, request: Request) -> Response | None:
        return json_response({"own": kind}, 429) if kind == "429" else None

    def state(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def add(self, n: int) -> int:
        self.seen += n
        return self.seen


@pytest.fixture
def service() -> Counter:
    return Counter()


@pytest.fixture
def door(service: Counter) -> Door:
    return Door(service, VirtualClock(1000.0), Faults())


@pytest.fixture
def server(door: Door) -> Iterator[Server]:
    with serve(door) as running:
        yield running


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture
def near(door: Door, http: requests.Session) -> requests.Session:
    http.mount("http://near.test", InProcess(door))
    return http


@pytest.fixture(params=["socket", "in process"])
def url(request: pytest.FixtureRequest, near: requests.Session) -> str:
    return request.getfixturevalue("server").url if request.param == "socket" else "http://near.test"


def test_virtual_clock_stands_still_until_advanced() -> None:
    clock = VirtualClock(0.5)
    clock.advance(1.75)
    assert (clock.now(), iso(clock)) == (2.25, "1970-01-01T00:00:02+00:00")


def test_request_reaches_the_service(url: str, http: requests.Session) -> None:
    answer = http.put(f"{url}/a%20b", params={"q": ["1", "ü"], "empty": ""}, data="body ü".encode())
    assert answer.json() == {"seen": 1, "query": {"q": ["1", "ü"], "empty": [""]}, "body": "body ü"}
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


def test_connection_is_kept(server: Server, http: requests.Session) -> None:
    for _ in range(3):
        http.get(server.url)
    assert len(server._http.open) == 1


def test_answer_without_body(url: str, http: requests.Session, service: Counter, monkeypatch: Any) -> None:
    monkeypatch.setattr(service, "handle", lambda request: Response(204))
    assert (http.delete(url).status_code, http.get(url).content) == (204, b"")


def test_calls_are_recorded(url: str, http: requests.Session, door: Door) -> None:
    http.get(f"{url}/x", params={"a": "1"})
    http.post(f"{url}/y", json={"b": 2})
    read, write = door.calls
    assert (read.n, read.operation, read.query, read.status, read.time) == (1, "GET /x", {"a": ["1"]}, 200, 1000.0)
    assert (write.json(), write.writes, write.effect, write.fault) == ({"b": 2}, True, True, None)
    assert door.mutations() == [write]


@pytest.mark.parametrize("kind", ["429-bare", "403-bare", "500-before", "502-html-before", "html"])
def test_fault_before_the_effect(url: str, http: requests.Session, door: Door, service: Counter, kind: str) -> None:
    door.faults.next("mailchimp", kind)
    answer = http.post(url)
    assert answer.status_code == (200 if kind == "html" else int(kind[:3]))
    with pytest.raises(ValueError):
        answer.json()
    assert (service.seen, door.calls[0].effect, door.calls[0].fault) == (0, False, kind)


@pytest.mark.parametrize("kind", ["500-after", "503-after"])
def test_fault_after_the_effect(url: str, http: requests.Session, door: Door, service: Counter, kind: str) -> None:
    door.faults.next("mailchimp", kind)
    assert http.post(url).status_code == int(kind[:3])
    assert service.seen == 1


def test_service_words_its_own_429(url: str, http: requests.Session, door: Door) -> None:
    door.faults.next("mailchimp", "429")
    assert http.get(url).json() == {"own": "429"}


@pytest.mark.parametrize(
    ("kind", "error", "effect"),
    [
        ("drop-before", requests.exceptions.ConnectionError, 0),
        ("drop-after", requests.exceptions.ConnectionError, 1),
        ("refused", requests.exceptions.ConnectionError, 0),
        ("timeout-before", requests.exceptions.ReadTimeout, 0),
        ("timeout-after", requests.exceptions.ReadTimeout, 1),
        ("truncated", requests.exceptions.ChunkedEncodingError, 1),
    ],
)
def test_no_answer(
    url: str, http: requests.Session, door: Door, service: Counter, kind: str, error: type[Exception], effect: int
) -> None:
    door.faults.next("mailchimp", kind)
    with pytest.raises(error):
        http.post(url, timeout=0.2)
    assert service.seen == effect
    assert http.get(url).status_code == 200


def test_in_process_refusal_is_a_connect_timeout(near: requests.Session, door: Door) -> None:
    door.faults.next("mailchimp", "refused")
    with pytest.raises(requests.exceptions.ConnectTimeout):
        near.get("http://near.test/")


def test_close_ends_a_hanging_call(service: Counter, http: requests.Session) -> None:
    door = Door(service, VirtualClock(0))
    door.faults.next("mailchimp", "timeout-after")
    running = serve(door)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(http.get, running.url, timeout=30)
        while not door.calls:
            pass
        running.close()
        assert isinstance(call.exception(10), requests.exceptions.ConnectionError)


def test_the_eleventh_connection_is_too_many(server: Server, service: Counter, door: Door) -> None:
    service.gate.clear()
    with ThreadPoolExecutor(10) as pool:
        waiting = [pool.submit(requests.get, server.url) for _ in range(10)]
        while door._in_flight < 10:
            pass
        with ThreadPoolExecutor(1) as late:
            eleventh = late.submit(requests.get, server.url)
            while door._in_flight < 11 and not door.calls:
                pass
            service.gate.set()
            assert eleventh.result(5).status_code == 429
        assert {call.result(5).status_code for call in waiting} == {200}


def test_control_shows_and_steers(url: str, http: requests.Session, door: Door) -> None:
    http.post(f"{url}/x", data="ü".encode())
    assert http.get(f"{url}/_sandbox/calls").json()[0]["body"] == "ü"
    assert http.get(f"{url}/_sandbox/calls?after=1").json() == []
    assert http.get(f"{url}/_sandbox/state").json() == {"time": 1000.0, "calls": 1, "seen": 1}
    assert http.post(f"{url}/_sandbox/clock", json={"advance": 5}).json() == {"time": 1005.0}
    http.post(f"{url}/_sandbox/faults", json={"spec": "mailchimp:html=1@GET"})
    assert http.get(url).content == html_response(200).body
    http.post(f"{url}/_sandbox/faults", json={"clear": True, "next": ["mailchimp", "429"]})
    assert http.post(f"{url}/_sandbox/people", json={"do": "add", "arguments": {"n": 10}}).json() == {"result": 11}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"spec": "nonsense"}),
        ("faults", {"next": ["mailchimp"]}),
        ("clock", {}),
        ("people", {"do": "handle", "arguments": {}}),
    ],
)
def test_control_refuses_nonsense(url: str, http: requests.Session, path: str, body: Any) -> None:
    assert http.post(f"{url}/_sandbox/{path}", json=body).status_code == 400


def test_control_knows_no_other_path(url: str, http: requests.Session) -> None:
    assert http.get(f"{url}/_sandbox/nothing").status_code == 404


def test_late_effect(door: Door, service: Counter) -> None:
    """Nobody answers, and what was asked happens one or two minutes later, before whatever comes then."""
    http = requests.Session()
    http.mount("http://", InProcess(door))
    door.faults.next("mailchimp", "late-effect")
    with pytest.raises(requests.exceptions.ReadTimeout):
        http.post("http://127.0.0.1:1/a", data=b"x")
    door.clock.advance(29)
    assert (door.settle(), service.seen) == (0, 0)
    door.clock.advance(92)
    assert http.get("http://127.0.0.1:1/b").json()["seen"] == 2
    assert door.settle() == 0


def test_untrusted_certificate(door: Door, service: Counter) -> None:
    http = requests.Session()
    http.mount("http://", InProcess(door))
    door.faults.next("mailchimp", "tls")
    with pytest.raises(requests.exceptions.SSLError):
        http.get("http://127.0.0.1:1/a")
    assert service.seen == 0
