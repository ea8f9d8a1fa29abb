"""One HTTP session per side: one retry table, and limits on time, size, speed and number of requests.

| what happened                              | read         | idempotent write | create ("never") |
|--------------------------------------------|--------------|------------------|------------------|
| no connection (DNS, refused, certificate)  | again        | again            | again            |
| 429                                        | again        | again            | again            |
| 408, 5xx, bare 403, timeout, cut, no JSON  | again        | again            | Ambiguous        |
| any other answer                           | the caller's | the caller's     | the caller's     |

"Again" means at most four sends in all. What is left after the last one: Unreachable, NotApplied, BrokenAnswer (a
read), or Ambiguous (a write that may have arrived, also when only an earlier send of it may have).
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from json import dumps
from typing import Any, Literal
from urllib.parse import urlsplit

import requests
import tenacity
import urllib3

from clients.outcome import Kind, Outcome, failure, judge, retry_after
from clients.redact import Redact, guard_loggers
from clients.urls import check_url
from domain.errors import Ambiguous, BrokenAnswer, CallFailed, NotApplied, Side, Unreachable

__all__ = ["Answer", "Redact", "Retry", "Session", "check_url"]

Retry = Literal["read", "idempotent", "never"]

SENDS = 4
# The breaker opens: after so many failed operations in a row, or so many seconds without a usable answer.
BREAKER = 5
PATIENCE = 300.0
CONNECT, READ = 5.0, 130.0  # Mailchimp itself gives up after 120 s
DEADLINE = 300.0
BODY_LIMIT = 32 * 1024 * 1024

LOOK = "whether it was done is looked up by the next cycle"
LASTS = "if it lasts, look how that service is; the next cycle goes on"

log = logging.getLogger("maxchimp.clients")

_AGAIN: Mapping[Retry, tuple[Kind, ...]] = {
    "read": ("unreachable", "throttled", "outage", "garbled"),
    "idempotent": ("unreachable", "throttled", "outage", "garbled"),
    "never": ("unreachable", "throttled"),
}


@dataclass(frozen=True)
class _Request:
    method: str
    url: str
    operation: str
    params: Mapping[str, str | int] | None
    payload: bytes | None
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What a service answered: HTTP status, headers, and the decoded JSON (None: no body, or no JSON in a 4xx).

    ``seen``: how it looks and from where, for people who find somebody else at that address. ``bare``: without a body.
    """

    status_code: int
    headers: Mapping[str, str]
    data: Any
    sends: int = 1
    seen: str = ""
    bare: bool = False

    def json(self) -> Any:
        return self.data


class Session:
    """Sends requests for one side; safe to share between threads.

    ``sends`` limits the tries of every operation, for callers that somebody is waiting for.
    ``pacing`` is (calls, seconds): no more than that many sends within any such span. ``opener`` may mount adapters;
    ``sleep``, ``rng`` and ``clock`` are for tests. ``calls`` counts operations by name, ``sends`` counts requests.
    """

    def __init__(
        self,
        side: Side,
        *,
        secrets: Iterable[str],
        parallel: int = 4,
        pacing: tuple[int, float] | None = None,
        opener: Callable[[requests.Session], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        ca_file: str | None = None,
        sends: int = SENDS,
    ) -> None:
        self.side: Side = side
        self.most_sends = sends
        self.pacing = pacing
        self.calls: Counter[str] = Counter()
        self.sends = 0
        self._sleep, self._clock, self._rng = sleep, clock, rng or random.Random()
        self._slots = threading.BoundedSemaphore(parallel)
        self._lock = threading.Lock()
        self._recent: deque[float] = deque()
        self._failures, self._fruitless = 0, 0.0
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.verify = ca_file or True
        self._http.headers.update({"User-Agent": "maxchimp", "Accept": "application/json"})
        adapter = requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=parallel, max_retries=0)
        self._http.mount("https://", adapter)
        self._http.mount("http://", adapter)
        if opener:
            opener(self._http)
        self.hide(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """Mask these texts in everything that is logged from now on (a token that was issued just now)."""
        guard_loggers(secrets, log.name)

    def close(self) -> None:
        self._http.close()

    def send(
        self,
        method: str,
        url: str,
        *,
        operation: str,
        retry: Retry,
        params: Mapping[str, str | int] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        tries: int = SENDS,
    ) -> Answer:
        """One operation: the answer, or one of the errors named in the table above.

        Returns any answer below 500 that is JSON, a 204, or a 4xx without JSON (``data`` None): judging those is the
        caller's. ``operation`` names the call in counts, logs and errors, so it must hold no contact data.
        Raises Misconfigured for an address that must not be used (hazards S16).
        """
        check_url(url)
        with self._lock:
            self.calls[operation] += 1
        # Plain ASCII: a lone surrogate in someone's name must not break the encoding. NaN raises ValueError here.
        payload = None if json is None else dumps(json, allow_nan=False).encode("ascii")
        typed = {"Content-Type": "application/json"} if payload is not None else {}
        request = _Request(method, url, operation, params, payload, {**(headers or {}), **typed})
        outcomes: list[Outcome] = []

        def attempt() -> Outcome:
            outcome = self._once(request)
            outcomes.append(outcome)
            return outcome

        if self._failures >= BREAKER or self._fruitless >= PATIENCE:
            problem = f"not sent: this side failed too often, or for too long ({_place(url)})"
            raise NotApplied(self.side, operation, problem, remedy=LASTS)
        last = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(max(1, min(tries, self.most_sends))),
            retry=tenacity.retry_if_result(lambda outcome: outcome.kind in _AGAIN[retry]),
            wait=lambda state: self._wait(outcomes[-1], state.attempt_number),
            sleep=self._sleep,
            retry_error_callback=lambda _: outcomes[-1],
        )(attempt)
        self._count_failure(last.kind)
        if last.kind == "answer":
            seen = f"{last.seen} from {_place(url)}"
            return Answer(last.status, last.headers, last.data, sends=len(outcomes), seen=seen, bare=last.bare)
        raise self._error(operation, retry, outcomes, _place(url))

    def _error(self, operation: str, retry: Retry, outcomes: list[Outcome], place: str) -> CallFailed | BrokenAnswer:
        last = outcomes[-1]
        unsure = [outcome for outcome in outcomes if outcome.kind in ("outage", "garbled", "unusable")]
        if unsure and retry != "read":
            problem, status = f"{unsure[-1].problem} ({place})", unsure[-1].status
            return Ambiguous(self.side, operation, problem, status=status, remedy=LOOK)
        if last.kind in ("garbled", "unusable"):
            return BrokenAnswer(self.side, operation, f"{last.problem} ({place})")
        if last.kind == "unreachable":
            problem = f"no connection to {place}: {last.problem}"
            return Unreachable(self.side, operation, problem, status=last.status, remedy=last.remedy)
        return NotApplied(self.side, operation, f"{last.problem} ({place})", status=last.status, remedy=LASTS)

    def _count_failure(self, kind: Kind) -> None:
        """The breaker: an operation that failed for good counts, any usable answer starts the count anew."""
        with self._lock:
            if kind == "answer":
                self._failures, self._fruitless = 0, 0.0
            elif kind in ("unreachable", "throttled", "outage"):
                self._failures += 1

    def _wait(self, outcome: Outcome, number: int) -> float:
        """Seconds before the next send: what the service asks for, else full jitter over 1, 2, 4 s."""
        asked = retry_after(outcome.headers.get("Retry-After", ""))
        seconds = asked if asked is not None else self._rng.uniform(0, 2.0 ** (number - 1))
        with self._lock:
            self._fruitless += seconds
        return seconds

    def _pace(self) -> None:
        if self.pacing is None:
            return
        calls, seconds = self.pacing
        with self._lock:
            now = self._clock()
            while self._recent and self._recent[0] <= now - seconds:
                self._recent.popleft()
            turn = max(now, self._recent[-calls] + seconds) if len(self._recent) >= calls else now
            self._recent.append(turn)
        if turn > now:
            self._sleep(turn - now)

    def _once(self, request: _Request) -> Outcome:
        self._pace()
        with self._slots:
            with self._lock:
                self.sends += 1
            started = self._clock()
            try:
                outcome = self._exchange(request)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                outcome = failure(error)
            seconds = self._clock() - started
            if outcome.kind != "answer":
                with self._lock:
                    self._fruitless += seconds
        result = outcome.status or outcome.problem
        facts = {"side": self.side, "operation": request.operation, "result": result, "ms": round(1000 * seconds)}
        message = "%s %s %s: %s in %d ms"
        log.debug(message, self.side, request.method, request.operation, result, facts["ms"], extra={"facts": facts})
        return outcome

    def _exchange(self, request: _Request) -> Outcome:
        response = self._http.request(
            request.method,
            request.url,
            params=dict(request.params or {}),
            data=request.payload,
            headers=dict(request.headers),
            timeout=(CONNECT, READ),
            allow_redirects=False,
            stream=True,
        )
        with response:
            raw = self._read(response)
        if raw is None:
            return Outcome("unusable", "the body is too large or too slow", response.status_code)
        return judge(response.status_code, response.headers, raw)

    def _read(self, response: requests.Response) -> bytes | None:
        """The whole body, or None when it is larger or slower than any answer of these services may be."""
        until = self._clock() + DEADLINE
        raw = response.raw
        # read1 returns after each packet, so that a body that drips byte by byte meets the deadline.
        chunks: Iterable[bytes]
        if isinstance(raw, urllib3.HTTPResponse):
            chunks = iter(lambda: raw.read1(65536, decode_content=True), b"")
        else:
            chunks = response.iter_content(65536)
        body = bytearray()
        for chunk in chunks:
            body += chunk
            if len(body) > BODY_LIMIT or self._clock() > until:
                return None
        return bytes(body)


def _place(url: str) -> str:
    """Host and port of an address, and nothing else of it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{f'[{host}]' if ':' in host else host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
