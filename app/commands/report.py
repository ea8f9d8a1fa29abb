"""``report``: the data quality of both sides as a page that a manager can read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app import show
from app.call import Call, command

if TYPE_CHECKING:
    from flows.reporting import Written


def register(app: typer.Typer) -> None:
    command(app, "report")(report)


def report(
    call: Call,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", help="Write it into this new or empty folder, to be kept by you."),
    ] = None,
) -> None:
    """Data quality report over both sides: reads everything, writes nothing to either.

    A page that opens in any browser, with the list behind every number beside it.
    """
    from flows import reporting

    made = reporting.report(call.connection.name, settings=call.settings, folder=folder, progress=call.progress)
    call.answer({**made.told, "path": str(made.page)}, lambda: _tell(made))


def _tell(made: Written) -> None:
    told = made.told
    show.say(told["headline"])
    show.table(
        ["", "Mailchimp", "Maximizer"],
        [
            *([name, *numbers.values()] for name, numbers in told["groups"].items()),
            ["total", *told["totals"].values()],
        ],
    )
    for warning in told["warnings"]:
        show.say(warning)
    show.say("", str(made.page))
