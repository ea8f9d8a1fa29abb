"""What no log record may hold: secrets, addresses, and hashes of addresses."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterable

MASK = "***"

_ADDRESS = re.compile(r"[^\s\"<>()\[\]{}/=?&,;:|]{1,128}(?:@|%40)[^\s\"'<>()\[\]{}/=?&,;:|]+")
_HASH = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{32}(?![0-9a-fA-F])")
_NAMED = re.compile(
    r"""(?ix) (["']? (?:authorization | (?:access_|refresh_)?token | password | app_?key | api_?key | client_secret)
               ["']? \s* [:=] \s*)
              ( "[^"]*" | '[^']*' | (?:basic|bearer)\s+[^\s,;"'}]+ | [^\s,;&"'})]+ )"""
)
_SCHEME = re.compile(r"(?i)\b(basic|bearer)\s+[A-Za-z0-9+/=._~-]{8,}")
_USER_INFO = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^/\s@]+@")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")

_URLLIB3 = ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry", "requests")


class Redact(logging.Filter):
    """Masks secrets and contact data in a record's message, arguments, traceback and stack; never drops a record.

    Exact ``secrets`` first, then what their names give away (Authorization, Token, Password, API key), then addresses
    and 32-digit hashes: md5 of an address counts as personal data too. Control characters are written out, so that a
    hostile value cannot start a line of its own.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets: tuple[str, ...] = ()
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Also mask these exact texts; shorter than four characters would mask ordinary words."""
        known = {*self._secrets, *(text for text in secrets if len(text) >= 4)}
        self._secrets = tuple(sorted(known, key=len, reverse=True))

    def clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        text = _USER_INFO.sub(rf"\1{MASK}@", text)
        text = _NAMED.sub(rf"\1{MASK}", text)
        text = _SCHEME.sub(rf"\1 {MASK}", text)
        text = _ADDRESS.sub(MASK, text)
        return _HASH.sub(MASK, text)

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            message = str(record.msg)
        record.msg = _CONTROL.sub(lambda found: repr(found[0])[1:-1], self.clean(message))
        record.args = ()
        if record.exc_info and not record.exc_text and record.exc_info[0] is not None:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        # A handler that gets the exception itself would print it unmasked.
        record.exc_info = None
        if record.exc_text:
            record.exc_text = self.clean(record.exc_text)
        if record.stack_info:
            record.stack_info = self.clean(record.stack_info)
        return True


_shared = Redact()


def guard_loggers(secrets: Iterable[str], *names: str) -> None:
    """Mask these secrets in the named loggers and in those of the HTTP library, whose debug lines hold paths.

    A logger's filter sees only its own records, not those of its children: hence every logger by its name.
    """
    _shared.add(secrets)
    for name in (*names, *_URLLIB3):
        logger = logging.getLogger(name)
        if _shared not in logger.filters:
            logger.addFilter(_shared)
