"""One ``serve`` per HOME_DIR: a lock that ends with its process, and the marker by which commands find it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from domain.errors import Incomplete

MARKER, LOCK = "serve.json", "serve.lock"


@contextmanager
def alone(home_dir: Path) -> Iterator[None]:
    """Hold the lock of this HOME_DIR; Incomplete names the process that holds it already."""
    home_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(home_dir / LOCK, "a+", encoding="utf-8") as file:
        if not _locked(file):
            who = str(_read(home_dir).get("pid") or "unknown")
            raise Incomplete(
                f"maxchimp serve runs already for {home_dir}, process {who}",
                remedy="stop that one first, or set MAXCHIMP_HOME_DIR to another folder",
            )
        try:
            yield
        finally:
            (home_dir / MARKER).unlink(missing_ok=True)


def write(home_dir: Path, **facts: Any) -> None:
    """Say where this process can be reached (``api``, ``pid``); whole or not at all."""
    part = home_dir / f"{MARKER}.part"
    with os.fdopen(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        json.dump({"pid": os.getpid(), **facts}, file)
    part.replace(home_dir / MARKER)


def _read(home_dir: Path) -> dict[str, Any]:
    try:
        found = json.loads((home_dir / MARKER).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _locked(file: IO[str]) -> bool:
    """Whether the lock is ours now; the system frees it however the process ends."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
