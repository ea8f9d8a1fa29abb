"""Where the quality reports lie, and for how long: HOME_DIR/reports/<connection>/<time>/report.html.

Beside the page lie its numbers (report.json, counts only) and its lists (lists/*.csv, personal data).
"""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from quality.lists import FOLDER as LISTS

PAGE, NUMBERS = "report.html", "report.json"
_FOLDER = "%Y-%m-%dT%H%M%SZ"
_NAME = re.compile(r"^\d{4}-\d{2}-\d{2}T\d{6}Z(-\d+)?$")
_DAY = 86400.0


def reports_of(home: Path, connection: str) -> Path:
    """The folder of a connection's reports, one folder per report, named by the time of its data (UTC)."""
    return home / "reports" / connection


def unused(home: Path, connection: str, at: float) -> Path:
    """The folder of a report by its time; the second one of the same second gets a number. It is not made."""
    shelf, name = reports_of(home, connection), datetime.fromtimestamp(at, UTC).strftime(_FOLDER)
    number = 1
    while (place := shelf / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return place


def finished(home: Path, connection: str) -> list[Path]:
    """Pages of the finished reports, the newest first."""
    return [place / PAGE for place in _folders(home, connection)[::-1] if (place / PAGE).is_file()]


def latest(home: Path, connection: str) -> Path | None:
    """The page of the newest report, None when there is none."""
    return next(iter(finished(home, connection)), None)


def purge(home: Path, connection: str, retention: float, *, now: float) -> int:
    """Delete reports older than the retention (seconds; hazard S29), of folders that we named ourselves; how many."""
    oldest = (datetime.fromtimestamp(now, UTC) - timedelta(seconds=retention)).strftime(_FOLDER)
    old = [place for place in _folders(home, connection) if place.name < oldest]
    for place in old:
        shutil.rmtree(place)
    return len(old)


def forget(home: Path, connection: str) -> int:
    """Delete the lists of every report, as when somebody is erased; pages and numbers stay. How many reports."""
    listed = [place / LISTS for place in _folders(home, connection) if (place / LISTS).is_dir()]
    for place in listed:
        shutil.rmtree(place)
    return len(listed)


def _folders(home: Path, connection: str) -> list[Path]:
    shelf = reports_of(home, connection)
    found = [place for place in shelf.iterdir() if _NAME.match(place.name)] if shelf.is_dir() else []
    # By time, then by number: ...Z-10 comes after ...Z-9.
    return sorted(found, key=lambda place: (place.name[:18], int(place.name[19:] or 1)))
