"""What stands between a simulated service and its callers.

A service turns requests into responses and knows nothing of faults. A `Door` stands before it and adds what happens on
the way: one request at a time, latency, a limit of requests in flight, misfortunes, and a list of every call.
"""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from sandbox.clock import Clock, SystemClock
from sandbox.faults import AFTER, ONLY, Faults

IN_FLIGHT_LIMIT = {"mailchimp": 10}  # simultaneous connections of one user (Mailchimp fact sheet section 11)
HTML_PAGE = b"<!DOCTYPE html><html><head><title>Please wait</title></head><body>One moment please.</body></html>"


class Dropped(Exception):
    """The connection is cut without an answer."""


class Refused(Dropped):
    """There never was a connection."""


class Untrusted(Refused):
    """The connection ended before it began: the certificate is not trusted."""


class Hang(Exception):
    """The answer never comes."""


@dataclass(frozen=True)
class Request:
    """`path` is without the query and still percent-encoded; header names are in lower case."""

    method: str
    path: str
    query: dict[str, list[str]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def of(cls, method: str, target: str, headers: Mapping[str, str], body: bytes) -> "Request":
        """From the target of a request line or a full URL."""
        parts = urlsplit(target)
        query = parse_qs(parts.query, keep_blank_values=True)
        return cls(method.upper(), parts.path or "/", query, {k.lower(): v for k, v in headers.items()}, body)

    def json(self) -> Any:
        """Raises ValueError when the body is not JSON."""
        return json.loads(self.body)


@dataclass
class Response:
    """`truncated`: the announced length is not reached."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    truncated: bool = False

    def json(self) -> Any:
        return json.loads(self.body)


def json_response(data: Any, status: int = 200, content_type: str = "application/json; charset=utf-8") -> Response:
    body = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(status, body, {"Content-Type": content_type})


def html_response(status: int, body: bytes = HTML_PAGE) -> Response:
    return Response(status, body, {"Content-Type": "text/html; charset=utf-8"})


class Service(Protocol):
    """A simulated product. Everything here is called with the door's lock held, `failure` for "429" excepted."""

    @property
    def name(self) -> str:
        """`mailchimp` or `maximizer`."""
        ...

    def operation(self, request: Request) -> str:
        """What the request does, for fault rules and the list of calls: "GET members", "AbEntryCreate"."""
        ...

    def writes(self, request: Request) -> bool:
        """Whether the request asks for a change."""
        ...

    def handle(self, request: Request) -> Response: ...

    def failure(self, kind: str, request: Request) -> Response | None:
        """The answer to a fault kind in the service's own words; None for a page of the web server before it."""
        ...

    def state(self) -> dict[str, Any]:
        """Counts for `GET /_sandbox/state`."""
        ...


@dataclass(frozen=True)
class Call:
    """One request as it was met. `status` None: no answer was given. `effect`: the service itself has seen it."""

    n: int
    operation: str
    method: str
    path: str
    query: dict[str, list[str]]
    body: bytes
    status: int | None
    time: float
    writes: bool
    effect: bool
    fault: str | None

    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


class Door:
    """All callers of one service pass here. `calls` grows in the order in which requests were finished."""

    def __init__(
        self,
        service: Service,
        clock: Clock | None = None,
        faults: Faults | None = None,
        *,
        latency_ms: float = 0.0,
        limit: int | None = None,
        keep_bodies: bool = True,
    ) -> None:
        self.service = service
        self.clock = clock or SystemClock()
        self.faults = faults or Faults()
        self.latency_ms = latency_ms
        self.limit = limit or IN_FLIGHT_LIMIT.get(service.name)
        self.keep_bodies = keep_bodies
        self.calls: list[Call] = []
        self.lock = threading.RLock()
        self._late: list[tuple[float, Request]] = []
        self._in_flight = 0
        self._counting = threading.Lock()

    def settle(self) -> int:
        """Performs the late requests whose time has come, and says how many those were."""
        with self.lock:
            due = [request for moment, request in self._late if moment <= self.clock.now()]
            self._late = [(moment, request) for moment, request in self._late if moment > self.clock.now()]
            for request in due:
                self.service.handle(request)
            return len(due)

    def next_late(self) -> float | None:
        """When the next late request is due, None when there is none."""
        return min((moment for moment, _ in self._late), default=None)

    def mutations(self) -> list[Call]:
        """The calls that asked for a change, refused ones included."""
        return [call for call in self.calls if call.writes]

    def handle(self, request: Request) -> Response:
        """Raises Dropped, Refused or Hang when the fault plan wants no answer."""
        with self._counting:
            self._in_flight += 1
            crowded = self.limit is not None and self._in_flight > self.limit
        try:
            if self.latency_ms:
                time.sleep(self.latency_ms / 1000)
            return self._crowded(request) if crowded else self._answer(request)
        finally:
            with self._counting:
                self._in_flight -= 1

    def _crowded(self, request: Request) -> Response:
        response = self.service.failure("429", request) or Response(429)
        with self.lock:
            self._note(request, "429", response.status, effect=False)
        return response

    def _answer(self, request: Request) -> Response:
        with self.lock:
            self.settle()
            fault = self.faults.draw(self.service.name, self.service.operation(request))
            status: int | None = None
            effect = fault is None or fault in AFTER
            try:
                response = self.service.handle(_half(request, fault)) if effect else Response()
                if fault is not None:
                    response = self._spoil(fault, request, response)
                status = response.status
                return response
            finally:
                self._note(request, fault, status, effect)

    def _spoil(self, fault: str, request: Request, response: Response) -> Response:
        """What the caller gets to see of `response`."""
        if fault in ("drop-before", "drop-after"):
            raise Dropped(fault)
        if fault == "refused":
            raise Refused(fault)
        if fault == "tls":
            raise Untrusted(fault)
        if fault == "late-effect":
            self._late.append((self.clock.now() + self.faults.delay(self.service.name), request))
        if fault in ("timeout-before", "timeout-after", "late-effect"):
            raise Hang(fault)
        if fault in ONLY["mailchimp"]:
            return _without_half(response) if fault == "unmentioned" else response
        if fault == "truncated":
            if len(response.body) < 2:
                raise Dropped(fault)
            return replace(response, truncated=True)
        if fault == "html":
            return html_response(200)
        if fault in ("429-bare", "403-bare"):
            return Response(int(fault[:3]))
        own = None if "html" in fault or fault == "503-after" else self.service.failure(fault, request)
        return own or html_response(int(fault[:3]) if fault[:3].isdigit() else 500)

    def _note(self, request: Request, fault: str | None, status: int | None, effect: bool) -> None:
        self.calls.append(
            Call(
                n=len(self.calls) + 1,
                operation=self.service.operation(request),
                method=request.method,
                path=request.path,
                query=request.query,
                body=request.body if self.keep_bodies else b"",
                status=status,
                time=self.clock.now(),
                writes=self.service.writes(request),
                effect=effect,
                fault=fault,
            )
        )


def _half(request: Request, fault: str | None) -> Request:
    """The request as a service takes it that stops in the middle of a batch; any other request as it is."""
    if fault != "partial-batch" or b'"members"' not in request.body:
        return request
    body = request.json()
    return replace(request, body=json.dumps(body | {"members": body["members"][: len(body["members"]) // 2]}).encode())


def _without_half(response: Response) -> Response:
    """The answer to a batch without the second half of its rows; any other answer as it is."""
    answer = response.json() if response.body else None
    if not isinstance(answer, dict) or "new_members" not in answer:
        return response
    rows = ("new_members", "updated_members", "errors")
    kept = {name: answer[name][: len(answer[name]) // 2] for name in rows}
    return replace(response, body=json.dumps(answer | kept).encode())


def control(door: Door, request: Request) -> Response | None:
    """The sandbox's own paths, part of neither API, so that a separate process can steer it. None for other paths.

    GET  /_sandbox/calls[?after=n]   every call so far
    GET  /_sandbox/state             counts of the service and the time
    POST /_sandbox/faults            {"spec": text}, {"next": [side, kind, operation?, times?]}, {"at": [side, n, kind]}
    POST /_sandbox/clock             {"advance": seconds}
    POST /_sandbox/people            {"do": name, "arguments": {...}}: what a person does in the product
    """
    if not request.path.startswith("/_sandbox/"):
        return None
    what = (request.method, request.path.removeprefix("/_sandbox/"))
    try:
        with door.lock:
            if what == ("GET", "calls"):
                return json_response(
                    [_public(call) for call in door.calls[int(request.query.get("after", ["0"])[0]) :]]
                )
            if what == ("GET", "state"):
                return json_response({"time": door.clock.now(), "calls": len(door.calls), **door.service.state()})
            if what == ("POST", "faults"):
                return _plan_faults(door.faults, request.json())
            if what == ("POST", "clock"):
                door.clock.advance(float(request.json()["advance"]))
                return json_response({"time": door.clock.now()})
            if what == ("POST", "people"):
                return _person(door.service, request.json())
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return json_response({"error": f"{type(error).__name__}: {error}"}, 400)
    return json_response({"error": "no such path"}, 404)


def _plan_faults(faults: Faults, wish: dict[str, Any]) -> Response:
    if "spec" in wish:
        faults.load(wish["spec"])
    if "next" in wish:
        faults.next(*wish["next"])
    if "at" in wish:
        faults.at(*wish["at"])
    if wish.get("clear"):
        faults.clear()
    return json_response({"rules": [vars(rule) for rule in faults.rules]})


def _person(service: Service, wish: dict[str, Any]) -> Response:
    name = str(wish["do"])
    if name not in getattr(service, "PERSON_ACTIONS", ()):
        raise ValueError(f"people cannot {name!r} here")
    return json_response({"result": getattr(service, name)(**wish.get("arguments", {}))})


def _public(call: Call) -> dict[str, Any]:
    return {**vars(call), "body": call.body.decode("utf-8", "replace")}
