"""The log that a person reads (R50): HOME_DIR/logs/maxchimp.log, mode 0600, without secrets and contact data.

With MAXCHIMP_LOG_FORMAT=json every line is one JSON object for programs instead, of the same lines.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler, WatchedFileHandler
from pathlib import Path
from typing import Any

from domain.errors import DISK_FULL, DiskFull, Misconfigured, is_full
from domain.facts import known

SIZE, KEPT = 5_000_000, 4  # bytes per file, older files
FORMAT = "%(asctime)s %(levelname)s [%(about)s] %(name)s: %(message)s"

_handlers: list[logging.Handler] = []


def _private(name: str) -> TextIOWrapper:
    """A file that nobody else may read, from its first byte."""
    descriptor = os.open(name, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
    return open(descriptor, "a", encoding="utf-8", errors="backslashreplace")


class _Told(logging.FileHandler):
    """A log that cannot be written stops nothing; people are told once, on stderr and without a traceback."""

    told = False

    def handleError(self, record: logging.LogRecord) -> None:
        problem = sys.exception()
        if not self.told and isinstance(problem, OSError):
            self.told = True
            why = DISK_FULL if is_full(problem) else problem.strerror
            print(
                f"maxchimp: the log {self.baseFilename} cannot be written: {why}; it goes on without", file=sys.stderr
            )


class _Rotated(_Told, RotatingFileHandler):
    """The log as a command keeps it: old files are numbered, the oldest go."""

    def _open(self) -> TextIOWrapper:
        return _private(self.baseFilename)


class _Shared(_Told, WatchedFileHandler):
    """The log as a scheduled run keeps it: several write at once, and another process may rotate it."""

    def _open(self) -> TextIOWrapper:
        return _private(self.baseFilename)


class _Text(logging.Formatter):
    """One line per message, with the connection and run that it is about; ``traces``: tracebacks below it."""

    def __init__(self, connection: str, *, traces: bool) -> None:
        super().__init__(FORMAT)
        self.connection, self.traces = connection, traces

    def format(self, record: logging.LogRecord) -> str:
        facts = known()
        name, run = facts.get("connection", self.connection), facts.get("run")
        about = {"about": f"{name}, run {run}" if run else name or "-"}
        silent = {} if self.traces else {"exc_info": None, "exc_text": None, "stack_info": None}
        return super().format(logging.makeLogRecord({**record.__dict__, **about, **silent}))


class _Json(logging.Formatter):
    """One JSON object per line: time, level, logger, message, and the facts that the sentence is made of.

    Facts are what ``extra={"facts": {...}}`` holds, and the connection and run at work. ``clean``: what masks texts;
    messages and tracebacks were masked before. Everything but plain ASCII is escaped, so that no value starts a line.
    """

    def __init__(self, clean: Callable[[str], str], connection: str, *, traces: bool) -> None:
        super().__init__()
        self.clean, self.connection, self.traces = clean, connection, traces

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "connection": self.connection,
            **self._masked(known()),
            **self._masked(getattr(record, "facts", None) or {}),
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_text and self.traces:
            line["exception"] = record.exc_text
        first = ("time", "level", "logger", "message")
        return json.dumps({name: line[name] for name in (*first, *(n for n in line if n not in first))}, default=str)

    def _masked(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        return {str(name): self._value(value) for name, value in facts.items()}

    def _value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return self._masked(value)
        if isinstance(value, list | tuple):
            return [self._value(one) for one in value]
        return value if value is None or isinstance(value, bool | int | float) else self.clean(str(value))


def _matters(record: logging.LogRecord) -> bool:
    """Of libraries, warnings only."""
    return record.name.startswith("maxchimp") or record.levelno >= logging.WARNING


def open_log(
    home: Path,
    secrets: Iterable[str],
    *,
    verbose: bool,
    form: str = "text",
    connection: str = "",
    shared: bool = False,
) -> None:
    """Write to the log from now on, and with ``verbose`` to stderr; ``form``: text or json.

    ``shared``: others write to it at the same time, so it is not rotated here. Misconfigured when the folder cannot be
    written.
    """
    from clients.redact import Redact

    close()
    folder = home / "logs"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = folder / "maxchimp.log"
        file = _Shared(name) if shared else _Rotated(name, maxBytes=SIZE, backupCount=KEPT)
    except OSError as problem:
        if is_full(problem):
            raise DiskFull(f"the log {folder / 'maxchimp.log'} cannot be written") from problem
        raise Misconfigured(
            f"the log {folder / 'maxchimp.log'} cannot be written: {problem.strerror}",
            remedy="set MAXCHIMP_HOME_DIR to a folder that you may write",
        ) from problem
    redact, as_json = Redact(secrets), form == "json"
    file.setLevel(logging.INFO)
    file.setFormatter(_Json(redact.clean, connection, traces=True) if as_json else _Text(connection, traces=True))
    _handlers.append(file)
    if verbose:
        told = logging.StreamHandler(sys.stderr)
        told.setFormatter(_Json(redact.clean, connection, traces=False) if as_json else _Text(connection, traces=False))
        _handlers.append(told)
    for handler in _handlers:
        handler.addFilter(_matters)
        handler.addFilter(redact)
        logging.getLogger().addHandler(handler)
    logging.getLogger("maxchimp").setLevel(logging.DEBUG if verbose else logging.INFO)


def silence() -> None:
    """Before there is a log nothing is written anywhere: Python would print warnings to stderr."""
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(logging.NullHandler())


def path() -> Path | None:
    """Where the log is, None before it was opened."""
    return next((Path(h.baseFilename) for h in _handlers if isinstance(h, logging.FileHandler)), None)


def close() -> None:
    while _handlers:
        handler = _handlers.pop()
        logging.getLogger().removeHandler(handler)
        with suppress(OSError):  # what is left in its buffer, on a full disk: people were told
            handler.close()
    logging.getLogger("maxchimp").setLevel(logging.NOTSET)
