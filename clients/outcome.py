"""How one request ended, in the words of the retry table in ``clients.session``."""

from __future__ import annotations

import errno
import json
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import requests
import urllib3

RETRY_AFTER_LIMIT = 120.0

Kind = Literal["answer", "unreachable", "throttled", "outage", "garbled", "unusable"]


@dataclass(frozen=True)
class Outcome:
    """One send: ``kind`` decides whether it is sent again; ``problem`` is our own sentence and quotes nobody.

    ``seen``: how the answer looks, for people who find somebody else at that address. ``remedy``: what to try.

    answer: the service's word, to be judged by the caller; unreachable, throttled: certainly not applied;
    outage, garbled, unusable: nobody knows. ``data`` is the decoded JSON.
    """

    kind: Kind
    problem: str = ""
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    data: Any = None
    seen: str = ""
    bare: bool = False
    remedy: str = ""


def retry_after(text: str) -> float | None:
    """Seconds to wait by a Retry-After header, within 0 and 120; None for text that is neither number nor date."""
    text = text.strip()
    if re.fullmatch(r"[+-]?[0-9]{1,12}", text):
        seconds = float(text)
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return min(max(seconds, 0.0), RETRY_AFTER_LIMIT)


def judge(status: int, headers: Mapping[str, str], raw: bytes) -> Outcome:
    """What an answer's status and body say, before anyone looks at its content."""
    try:
        data = json.loads(raw) if raw.strip() else None
        is_json = data is not None
    except (ValueError, RecursionError):
        data, is_json = None, False
    seen = _look(status, raw, is_json=is_json)
    if status == 429:
        return Outcome("throttled", "too many requests", status, headers)
    if status >= 500 or status == 408 or (status == 403 and not isinstance(data, dict)):
        return Outcome("outage", seen, status, headers)
    if status >= 400 or (status == 204 and not raw):
        return Outcome("answer", "", status, headers, data, seen=seen, bare=not raw.strip())
    if 200 <= status < 300:
        if is_json:
            return Outcome("answer", "", status, headers, data, seen=seen)
        return Outcome("garbled", f"no JSON in the body: {seen}", status, headers)
    return Outcome("unusable", f"HTTP {status}, a redirect is not followed", status)


def _look(status: int, raw: bytes, *, is_json: bool) -> str:
    """How an answer looks, without a word of it."""
    text = f"HTTP {status}"
    if status in (407, 511):
        return f"{text}, a proxy or network asks for a sign-in"
    if is_json:
        return f"{text} with JSON"
    if raw.lstrip()[:1] == b"<":
        return f"{text} with a web page"
    return f"{text} with other text" if raw.strip() else text


def failure(error: Exception) -> Outcome:
    """What an exception of the HTTP library says about the request; unknown ones may have reached the service."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return _unreachable("late")
    causes = list(_causes(error))
    if why := next((why for cause in causes if (why := _unconnected(cause))), ""):
        return _unreachable(why)
    if any("certificate verify failed" in str(cause).casefold() for cause in causes[1:]):
        code = next((cause.verify_code for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), 0)
        return _unreachable(_CERTIFICATE.get(code, "untrusted"))
    if isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return Outcome("outage", "no answer in time")
    if isinstance(error, requests.exceptions.ContentDecodingError | urllib3.exceptions.DecodeError):
        return Outcome("garbled", "the body cannot be decoded")
    return Outcome("outage", "the connection broke off")


def _causes(error: Exception) -> Iterator[Exception]:
    """The exception and what the library has wrapped in it."""
    cause: Exception | None = error
    for _ in range(8):
        if cause is None:
            return
        yield cause
        reason = getattr(cause, "reason", None)
        cause = (
            reason if isinstance(reason, Exception) else next((a for a in cause.args if isinstance(a, Exception)), None)
        )


def _unconnected(cause: Exception) -> str:
    """Why no connection was made, "" when this does not say so."""
    if isinstance(cause, urllib3.exceptions.NameResolutionError):
        return "name"
    if isinstance(cause, urllib3.exceptions.NewConnectionError):  # which is a kind of the next one
        return _ERRORS.get(getattr(cause.__cause__, "errno", None) or 0, "unknown")
    if isinstance(cause, urllib3.exceptions.ConnectTimeoutError):
        return "late"
    # Said by the other end before anything is sent.
    return "plain" if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER" else ""


# Why there is no connection, and what to try.
_CAUSES = {
    "unknown": ("it could not be made", "check the address, and the network of this machine"),
    "name": ("its name is not found", "check the address, and the name service (DNS) of this machine"),
    "refused": ("it was refused", "check the address and its port, and whether the service runs"),
    "no way": ("there is no way to it in the network", "check the address, and the network of this machine"),
    "late": ("no answer in time", "check the address, and a firewall on the way"),
    "plain": ("it does not speak TLS", "check the address and its port: https:// needs a server with TLS"),
    "untrusted": ("its certificate is not trusted", "have its certificate signed by a known authority"),
    "expired": ("its certificate has expired", "renew the certificate there; check the clock of this machine"),
    "other name": ("its certificate is for another name", "use the name that its certificate is made for"),
}
_CERTIFICATE = {10: "expired", 62: "other name", 64: "other name"}  # verify codes of OpenSSL
_ERRORS = {
    errno.ECONNREFUSED: "refused",
    errno.ENETUNREACH: "no way",
    errno.EHOSTUNREACH: "no way",
    errno.ENETDOWN: "no way",
    errno.ETIMEDOUT: "late",
}


def _unreachable(why: str) -> Outcome:
    problem, remedy = _CAUSES[why]
    return Outcome("unreachable", problem, remedy=remedy)
