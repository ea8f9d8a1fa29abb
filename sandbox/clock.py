"""The one source of time of the sandbox: everything a service dates asks its clock, so that tests own the calendar.

Both products count in whole seconds (`last_changed`, `LastModifyDate`); a service reads its
clock through `whole_second`.
"""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """UTC, in seconds since 1970."""
        ...

    def advance(self, seconds: float) -> None:
        """Moves this clock (and nothing else) forward."""
        ...


class SystemClock:
    """The machine's time plus whatever it was advanced by."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += seconds


class VirtualClock:
    """Stands still until it is advanced.

    >>> clock = VirtualClock(0.0)
    >>> clock.advance(90)
    >>> iso(clock)
    '1970-01-01T00:01:30+00:00'
    """

    def __init__(self, start: float) -> None:
        self._now = float(start)

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds


def whole_second(clock: Clock) -> int:
    return int(clock.now())


def iso(clock: Clock) -> str:
    """The present second as `2026-01-31T12:00:00+00:00`."""
    return datetime.fromtimestamp(whole_second(clock), UTC).isoformat()
