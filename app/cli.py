"""The console script ``maxchimp``: the commands by topic. Nothing slow is imported before a command needs it."""

from __future__ import annotations

import signal
import sys
from types import FrameType

import typer

from app.commands import check, connections, fields, history, report, sandbox, serve, setup, store, sync, web
from app.doors import run, written

app = typer.Typer(
    name="maxchimp",
    help="Keeps a Maximizer CRM Address Book and a Mailchimp list in step, both ways.",
    epilog="Exit codes: 0 complete, 1 incomplete (the next cycle goes on), 2 usage or configuration, "
    "7 refused before any write.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for topic in (setup, connections, check, fields, sync, report, history, serve, web, store, sandbox):
    topic.register(app)


def main() -> None:
    """Run the command of the command line and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal cannot show must not end a command.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    # A service manager stops a run as a person does.
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(written(run(app, sys.argv[1:])))


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
