"""``serve`` and ``deploy``: cycles by themselves, on this machine or on many."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Annotated

import typer

from app import show
from app.call import Call, command
from domain.errors import Misconfigured


def register(app: typer.Typer) -> None:
    command(app, "serve")(serve)
    command(app, "deploy")(deploy)


def serve(
    call: Call,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Port of the web page; 0: its usual.")] = 0,
    prefect_port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="Port of Prefect's page; 0: 4200, or a free one.")
    ] = 0,
    at_once: Annotated[int, typer.Option(min=1, max=64, metavar="N", help="Connections that run at once.")] = 4,
) -> None:
    """Run every connection on its schedule, with the web page.

    One process per machine, until Ctrl-C; a cycle that runs then finishes what is in flight.
    """
    from flows.serve import serve as run

    def say(text: str) -> None:
        print(show.clean(text), file=sys.stderr, flush=True)

    with _page(call, port, say_port=port > 0):
        run(call.settings, prefect_port=prefect_port, at_once=at_once, say=say)


@contextmanager
def _page(call: Call, port: int, *, say_port: bool) -> Iterator[None]:
    """The web page in this process, while the scheduler runs; nothing where it is not part of the installation."""
    if find_spec("app.web") is None:
        if say_port:
            raise Misconfigured("this installation has no web page", remedy="leave --port out")
        yield
        return
    with importlib.import_module("app.web.server").started(call.settings, port):
        yield


def deploy(
    call: Call,
    pool: Annotated[str, typer.Option(metavar="NAME", help="Work pool of the Prefect server.")] = "maxchimp",
    folder: Annotated[
        str, typer.Option(metavar="PATH", help="Folder on the workers' machines where runs find .env.")
    ] = "",
) -> None:
    """Tell the Prefect server of PREFECT_API_URL what to run.

    Three deployments per connection: sync on its interval, backfill by hand, quality-report daily. Repeat it after a
    connection or an interval has changed.
    """
    from flows.deploy import deploy as run

    done = run(call.settings, call.store, pool=pool, folder=folder)
    call.answer({"done": done}, lambda: show.say(*(done or ["everything was as it should be"])))
