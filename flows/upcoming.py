"""When a connection's next scheduled run is due: whoever schedules is asked, and nothing is promised for them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from domain.errors import MaxchimpError
from flows.launch import at_home, prefect_api

log = logging.getLogger("maxchimp.flows")


@dataclass(frozen=True)
class Upcoming:
    """``at``: when, None when nothing schedules this connection or when that is not known (``asked`` is False then)."""

    at: float | None = None
    asked: bool = True


def next_run(home: Path, connection: str) -> Upcoming:
    """Ask the Prefect server that commands use: that of PREFECT_API_URL, else of the ``serve`` of this machine."""
    try:
        api = prefect_api(home)
    except MaxchimpError:
        return Upcoming(asked=False)
    if not api:
        return Upcoming()
    at_home(home)
    from flows import deployments

    try:
        with deployments.talking(api) as client:
            return Upcoming(deployments.next_tick(client, connection))
    except Exception as problem:
        # The library's errors are its own; a page without this time is whole all the same.
        log.warning("the Prefect server could not be asked for the next run: %s", type(problem).__name__)
        return Upcoming(asked=False)
