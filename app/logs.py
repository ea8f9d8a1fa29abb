"""The log that a person reads (R50): HOME_DIR/logs/maxchimp.log, mode 0600, without secrets and contact data."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

SIZE, KEPT = 5_000_000, 4  # bytes per file, older files
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_handlers: list[logging.Handler] = []


class _PrivateFile(RotatingFileHandler):
    """A log file that nobody else may read, from its first byte."""

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
        return open(descriptor, "a", encoding="utf-8", errors="backslashreplace")


class _OneLine(logging.Formatter):
    """Tracebacks stay in the file."""

    def format(self, record: logging.LogRecord) -> str:
        short = logging.makeLogRecord({**record.__dict__, "exc_info": None, "exc_text": None, "stack_info": None})
        return super().format(short)


def _matters(record: logging.LogRecord) -> bool:
    """Of libraries, warnings only."""
    return record.name.startswith("maxchimp") or record.levelno >= logging.WARNING


def open_log(home: Path, secrets: Iterable[str], *, verbose: bool) -> None:
    """Write to the log from now on, and with ``verbose`` to stderr. Misconfigured when the folder cannot be written."""
    from clients.redact import Redact
    from domain.errors import Misconfigured

    close()
    folder = home / "logs"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = _PrivateFile(folder / "maxchimp.log", maxBytes=SIZE, backupCount=KEPT)
    except OSError as problem:
        raise Misconfigured(
            f"the log {folder / 'maxchimp.log'} cannot be written: {problem.strerror}",
            remedy="set MAXCHIMP_HOME_DIR to a folder that you may write",
        ) from problem
    file.setLevel(logging.INFO)
    file.setFormatter(logging.Formatter(FORMAT))
    _handlers.append(file)
    if verbose:
        told = logging.StreamHandler(sys.stderr)
        told.setFormatter(_OneLine(FORMAT))
        _handlers.append(told)
    redact = Redact(secrets)
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
        handler.close()
    logging.getLogger("maxchimp").setLevel(logging.NOTSET)
