"""``sandbox`` and ``demo``: both services as a box of sand, alone or with a whole story."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from app.call import Call, command
from domain.errors import Misconfigured

MOST = 1_000_000  # people; more would not fit into the memory of this process
SEED = Annotated[int, typer.Option(help="The same seed gives the same people and the same faults.")]


def register(app: typer.Typer) -> None:
    command(app, "sandbox")(sandbox)
    command(app, "demo")(demo)


def sandbox(
    call: Call,
    port: Annotated[
        int, typer.Option(min=0, max=65534, metavar="N", help="Mailchimp; Maximizer gets the next one. 0: free ones.")
    ] = 0,
    people: Annotated[int, typer.Option(min=0, max=MOST, metavar="N", help="Invented people.")] = 50,
    latency: Annotated[
        float, typer.Option(min=0, max=60_000, metavar="MS", help="Milliseconds before every answer.")
    ] = 0.0,
    faults: Annotated[
        str, typer.Option(metavar="SPEC", help="Such as mailchimp:429=0.05,maximizer:500-after=0.02.")
    ] = "",
    seed: SEED = 0,
    profile: Annotated[Literal["on-premise", "cloud"], typer.Option(help="Which kind of Maximizer.")] = "on-premise",
) -> None:
    """Start a simulated Mailchimp and Maximizer.

    They run until stopped; the settings to use are printed.
    """
    from sandbox.main import run

    try:
        run(port, people, latency, faults or None, seed, profile, out=sys.stdout, as_json=call.as_json)
    except ValueError as problem:
        raise Misconfigured(f"--faults cannot be used: {problem}", remedy="see: maxchimp sandbox --help") from problem
    except OSError as problem:
        raise Misconfigured(
            f"port {port} or {port + 1} cannot be used: {problem.strerror}", remedy="choose another --port, or 0"
        ) from problem


def demo(
    call: Call,
    people: Annotated[int, typer.Option(min=1, max=MOST, metavar="N", help="Invented people.")] = 2000,
    seed: SEED = 7,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the services up until Ctrl-C.")] = False,
) -> int:
    """Show a whole story with simulated services.

    Invented people are set up, planned, synchronised, edited on both sides; nothing is left running.
    """
    from app.demo import run

    return run(people, seed, keep=keep, as_json=call.as_json, progress=call.progress)
