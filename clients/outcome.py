"""How one request ended, in the words of the retry table in ``clients.session``."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
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

    answer: the service's word, to be judged by the caller; unreachable, throttled: certainly not applied;
    outage, garbled, unusable: nobody knows. ``data`` is the decoded JSON.
    """

    kind: Kind
    problem: str = ""
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    data: Any = None


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
    if status == 429:
        return Outcome("throttled", "too many requests", status, headers)
    if status >= 500 or status == 408 or (status == 403 and not isinstance(data, dict)):
        return Outcome("outage", f"HTTP {status}", status, headers)
    if status >= 400 or (status == 204 and not raw):
        return Outcome("answer", "", status, headers, data)
    if 200 <= status < 300:
        if is_json:
            return Outcome("answer", "", status, headers, data)
        return Outcome("garbled", "no JSON in the body", status, headers)
    return Outcome("unusable", f"HTTP {status}, a redirect is not followed", status)


def failure(error: Exception) -> Outcome:
    """What an exception of the HTTP library says about the request; unknown ones may have reached the service."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Outcome("unreachable", "no connection in time")
    cause: Any = error
    for _ in range(8):
        reason = getattr(cause, "reason", None)
        found = (
            reason if isinstance(reason, Exception) else next((a for a in cause.args if isinstance(a, Exception)), None)
        )
        if found is None:
            break
        cause = found
        if isinstance(cause, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError):
            return Outcome("unreachable", "no connection")
        if "certificate verify failed" in str(cause).casefold():
            return Outcome("unreachable", "its certificate is not trusted")
    if isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return Outcome("outage", "no answer in time")
    if isinstance(error, requests.exceptions.ContentDecodingError | urllib3.exceptions.DecodeError):
        return Outcome("garbled", "the body cannot be decoded")
    return Outcome("outage", "the connection broke off")
