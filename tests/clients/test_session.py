"""The retry table, waits, breaker, limits (hazards D5, D6, D14, D15, D16, S17, S19)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import urllib3

from clients.outcome import retry_after
from domain.errors import Ambiguous, BrokenAnswer, NotApplied, Unreachable

Scripted = Callable[..., SimpleNamespace]

REFUSED = requests.ConnectionError(
    urllib3.exceptions.MaxRetryError(None, "/", urllib3.exceptions.NewConnectionError(None, "refused"))  # type: ignore[arg-type]
)
BAD_CERTIFICATE = requests.exceptions.SSLError(
    "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", Exception("certificate verify failed")
)
RESET = requests.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError(104)))

# fault, then (sends, error) for a read, an idempotent write and a create
TABLE: list[tuple[str, Any, tuple[int, type], tuple[int, type], tuple[int, type]]] = [
    ("refused", REFUSED, (4, Unreachable), (4, Unreachable), (4, Unreachable)),
    ("connect timeout", requests.ConnectTimeout(), (4, Unreachable), (4, Unreachable), (4, Unreachable)),
    ("certificate", BAD_CERTIFICATE, (4, Unreachable), (4, Unreachable), (4, Unreachable)),
    ("429", (429, {"title": "TooManyRequests"}), (4, NotApplied), (4, NotApplied), (4, NotApplied)),
    ("bare 429", (429, b"slow down"), (4, NotApplied), (4, NotApplied), (4, NotApplied)),
    ("bare 403", (403, b"<html>"), (4, NotApplied), (4, Ambiguous), (1, Ambiguous)),
    ("500", (500, {"title": "oops"}), (4, NotApplied), (4, Ambiguous), (1, Ambiguous)),
    ("502", (502, b"<html>bad gateway"), (4, NotApplied), (4, Ambiguous), (1, Ambiguous)),
    ("503", (503, b""), (4, NotApplied), (4, Ambiguous), (1, Ambiguous)),
    ("408", (408, b""), (4, NotApplied), (4, Ambiguous), (1, Ambiguous)),
    ("read timeout", requests.ReadTimeout(), (4, NotApplied), (4, Ambiguous), (1, Ambiguous)),
    ("reset", RESET, (4, NotApplied), (4, Ambiguous), (1, Ambiguous)),
    ("tls cut", requests.exceptions.SSLError("EOF"), (4, NotApplied), (4, Ambiguous), (1, Ambiguous)),
    ("login page", (200, b"<html>please log in"), (4, BrokenAnswer), (4, Ambiguous), (1, Ambiguous)),
    ("truncated", (200, b'{"members": [{"id'), (4, BrokenAnswer), (4, Ambiguous), (1, Ambiguous)),
    ("empty", (200, b""), (4, BrokenAnswer), (4, Ambiguous), (1, Ambiguous)),
    ("redirect", (302, b"", {"Location": "https://canary.test/"}), (1, BrokenAnswer), (1, Ambiguous), (1, Ambiguous)),
]
CASES = [
    pytest.param(fault, retry, expected, id=f"{name}-{retry}")
    for name, fault, *row in TABLE
    for retry, expected in zip(("read", "idempotent", "never"), row, strict=True)
]


def go(made: SimpleNamespace, retry: str = "read", **options: Any) -> Any:
    return made.session.send("POST", "https://service.test/x", operation="try it", retry=retry, **options)


@pytest.mark.parametrize(("fault", "retry", "expected"), CASES)
def test_d6_sends_by_operation_and_fault(
    scripted: Scripted, fault: Any, retry: str, expected: tuple[int, type]
) -> None:
    made = scripted("maximizer", fault)
    with pytest.raises(expected[1]) as caught:
        go(made, retry, json={"a": 1})
    assert type(caught.value) is expected[1]
    assert (len(made.script.sent), made.session.sends) == (expected[0], expected[0])
    assert made.session.calls == {"try it": 1}
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None, "the library's exception would carry the address along"


@pytest.mark.parametrize("retry", ["read", "idempotent"])
def test_recovers_after_three_failures(scripted: Scripted, retry: str) -> None:
    made = scripted("mailchimp", (503, b""), REFUSED, requests.ReadTimeout(), (200, {"ok": True}))
    assert go(made, retry).json() == {"ok": True}
    assert made.session.sends == 4


def test_a_write_stays_ambiguous_when_only_its_first_send_may_have_arrived(scripted: Scripted) -> None:
    made = scripted("maximizer", requests.ReadTimeout(), REFUSED)
    with pytest.raises(Ambiguous):
        go(made, "idempotent", json={})


@pytest.mark.parametrize("status", [400, 401, 404, 405])
def test_a_refusal_is_the_callers_to_judge(scripted: Scripted, status: int) -> None:
    made = scripted("mailchimp", (status, {"title": "No"}))
    answer = go(made)
    assert (answer.status_code, answer.json(), made.session.sends) == (status, {"title": "No"}, 1)


def test_a_403_with_a_document_is_an_answer(scripted: Scripted) -> None:
    assert go(scripted("mailchimp", (403, {"title": "User Disabled"}))).status_code == 403


def test_waits_use_full_jitter(scripted: Scripted) -> None:
    made = scripted("mailchimp", (503, b""))
    with pytest.raises(NotApplied):
        go(made)
    assert len(made.naps.taken) == 3
    assert all(0 <= nap <= 2**n for n, nap in enumerate(made.naps.taken))
    assert len(set(made.naps.taken)) == 3


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("21600", 120),
        ("-5", 0),
        ("0", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        (format_datetime(datetime(2200, 1, 1, tzinfo=UTC)), 120),
        ("soon", None),
        ("1e9", None),
        ("nan", None),
        ("9" * 5000, None),
        ("", None),
        ("Wed, 99 Foo 99999 99:99:99", None),
    ],
)
def test_d14_retry_after(scripted: Scripted, text: str, seconds: float | None) -> None:
    assert retry_after(text) == seconds
    made = scripted("mailchimp", (429, b"", {"Retry-After": text}), (200, {}))
    go(made)
    assert made.naps.taken == [seconds] if seconds is not None else made.naps.taken[0] <= 1


def test_d16_five_failed_operations_in_a_row_open_the_breaker(scripted: Scripted) -> None:
    made = scripted("mailchimp", (429, b""))
    for _ in range(5):
        with pytest.raises(NotApplied):
            go(made)
    sends = made.session.sends
    with pytest.raises(NotApplied, match="not sent"):
        go(made, "never", json={})
    assert made.session.sends == sends == 20


@pytest.mark.parametrize("text", ["120", "99999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_d14_a_side_that_asks_for_patience_for_ever_does_not_get_it(scripted: Scripted, text: str) -> None:
    made = scripted("mailchimp", (429, b"", {"Retry-After": text}))
    with pytest.raises(NotApplied, match="too many requests"):
        go(made)
    with pytest.raises(NotApplied, match="not sent"):
        go(made)
    assert (made.session.sends, sum(made.naps.taken)) == (4, 360)


def test_d15_hanging_counts_as_waiting(scripted: Scripted) -> None:
    made = scripted("mailchimp", requests.exceptions.ReadTimeout())
    plain = made.script.send

    def hang(request: Any, **options: Any) -> Any:
        made.naps(130)
        return plain(request, **options)

    made.script.send = hang
    with pytest.raises(NotApplied):
        go(made)
    with pytest.raises(NotApplied, match="not sent"):
        go(made)
    assert made.session.sends == 4


def test_d14_patience_starts_anew_with_every_answer(scripted: Scripted) -> None:
    made = scripted("mailchimp", *[(429, b"", {"Retry-After": "120"}), (200, {})] * 5)
    for _ in range(5):
        assert go(made).status_code == 200


def test_d16_an_answer_closes_the_count(scripted: Scripted) -> None:
    failing, fine = [(503, b"")] * 4, [(404, {"title": "no"})]
    made = scripted("mailchimp", *(failing * 4 + fine) * 3)
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(NotApplied):
                go(made)
        assert go(made).status_code == 404


def test_d16_pacing_holds_every_window(scripted: Scripted) -> None:
    made = scripted("maximizer", (200, {}), pacing=(3, 10.0))
    at = []
    for _ in range(10):
        go(made)
        at.append(made.naps.now)
    assert all(at[n + 3] - at[n] >= 10 for n in range(7))
    assert at[-1] == 30


def test_d16_no_more_than_the_allowed_number_in_flight(scripted: Scripted) -> None:
    made = scripted("mailchimp", (200, {}), parallel=2)
    flying, most, lock, both = 0, 0, threading.Lock(), threading.Barrier(2)
    plain = made.script.send

    def send(request: Any, **options: Any) -> Any:
        nonlocal flying, most
        with lock:
            flying += 1
            most = max(most, flying)
        both.wait(timeout=60)  # so that two are certainly under way together
        with lock:
            flying -= 1
        return plain(request, **options)

    made.script.send = send
    threads = [threading.Thread(target=go, args=(made,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2
    assert (made.session.sends, made.session.calls["try it"]) == (8, 8)


def test_d15_body_over_32_mib(scripted: Scripted) -> None:
    made = scripted("mailchimp", (200, b'"' + b"x" * (32 * 1024 * 1024) + b'"'))
    with pytest.raises(BrokenAnswer):
        go(made)
    assert made.session.sends == 1


def test_a_lone_surrogate_and_any_script_can_be_sent(scripted: Scripted) -> None:
    made = scripted("mailchimp", (200, {}))
    go(made, json={"name": "Zoë \ud800 李"})
    assert made.script.bodies() == [{"name": "Zoë \ud800 李"}]


def test_deeply_nested_json_is_a_broken_answer(scripted: Scripted) -> None:
    with pytest.raises(BrokenAnswer):
        go(scripted("mailchimp", (200, b"[" * 200_000)))


def test_nan_never_leaves(scripted: Scripted) -> None:
    made = scripted("mailchimp", (200, {}))
    with pytest.raises(ValueError):
        go(made, json={"x": float("nan")})
    assert made.session.sends == 0
