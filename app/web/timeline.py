"""A year of campaigns as a small drawing (SVG): what the table beside it says in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from flows.activity import Campaign

DAYS = 365
WIDTH, HEIGHT, EDGE = 720, 74, 8
ROWS = {"sent": 14, "open": 28, "click": 42, "bounce": 42, "unsub": 28}


@dataclass(frozen=True)
class Mark:
    """One event: where it stands, and what it is."""

    x: float
    y: int
    kind: str


@dataclass(frozen=True)
class Drawing:
    width: int
    height: int
    marks: tuple[Mark, ...]
    months: tuple[tuple[float, str], ...]
    words: str


def timeline(listed: Sequence[Campaign], now: float) -> Drawing | None:
    """The events of the last twelve months; None when there are none."""
    begin = now - DAYS * 86400
    # Mailchimp's clock may be ahead of ours.
    events = [event for campaign in listed for event in campaign.events if begin <= event.at <= now + 86400]
    if not events:
        return None

    def place(at: float) -> float:
        return round(EDGE + (WIDTH - 2 * EDGE) * (min(at, now) - begin) / (now - begin), 1)

    marks = dict.fromkeys(Mark(place(event.at), ROWS[event.kind], event.kind) for event in events)
    words = f"{len(events)} events of the last twelve months, as the tables tell by campaign"
    return Drawing(WIDTH, HEIGHT, tuple(marks), tuple(_months(begin, now, place)), words)


def _months(begin: float, now: float, place: object) -> list[tuple[float, str]]:
    first = datetime.fromtimestamp(begin, UTC)
    found = []
    for step in range(1, 13):
        year, month = divmod(first.month - 1 + step, 12)
        start = datetime(first.year + year, month + 1, 1, tzinfo=UTC).timestamp()
        if start < now and callable(place):
            found.append((place(start), f"{datetime.fromtimestamp(start, UTC):%b}"))
    return found
