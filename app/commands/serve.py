"""``serve`` and ``deploy``: cycles by themselves, on this machine or on many."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from app import show
from app.call import Call, command
from app.commands.web import PORT, others
from domain.commands import here, typed


def register(app: typer.Typer) -> None:
    command(app, "serve")(serve)
    command(app, "deploy")(deploy)


def serve(
    call: Call,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="Port of the web page; 0 takes a free one.")
    ] = PORT,
    prefect_port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="Port of Prefect's page; 0: 4200, or a free one.")
    ] = 0,
    at_once: Annotated[int, typer.Option(min=1, max=64, metavar="N", help="Connections that run at once.")] = 4,
) -> None:
    """Run every connection on its schedule, with the web page.

    One process per machine, until Ctrl-C; a cycle that runs then finishes what is in flight.
    """
    from app.web.server import serving
    from flows.serve import serve as run

    def say(text: str) -> None:
        print(show.clean(here(text)), file=sys.stderr, flush=True)

    @contextmanager
    def page() -> Iterator[None]:
        with serving(call.settings, port) as made:
            say(f"the tab for Maximizer is {(call.settings.page_url or made.url).rstrip('/')}/tab")
            another = typed("web", "--link", "--port", made.site.port)
            say(f"set-up, once within ten minutes: {made.login_link()} (another one: {another})")
            for line in others(call):
                say(line)
            yield

    run(call.settings, prefect_port=prefect_port, at_once=at_once, say=say, beside=page())


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
