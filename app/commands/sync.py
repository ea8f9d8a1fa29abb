"""``plan``, ``sync`` and ``backfill``: one cycle, as far as it is asked for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app import counted, show
from app.call import MOST, Call, command
from app.planned import PlanView, tell_held
from domain.errors import Blocked, MaxchimpError, Misconfigured

if TYPE_CHECKING:
    from flows.asked import Asked

log = logging.getLogger("maxchimp.app")

FULL = Annotated[bool, typer.Option("--full", help="Read and compare everything, not only what changed.")]
YES = Annotated[
    bool,
    typer.Option(
        "--yes", help="Let pass, for this run: a first sync, a guard that refused, a changed mapping that waits."
    ),
]


def register(app: typer.Typer) -> None:
    command(app, "plan")(plan)
    command(app, "sync")(sync)
    command(app, "backfill")(backfill)


def plan(
    call: Call,
    full: FULL = False,
    every: Annotated[bool, typer.Option("--all", help="Every change, not the first 20 of each kind.")] = False,
) -> None:
    """Show what a sync would do; writes nothing."""
    from flows.asked import Asked

    try:
        document = _launch(call, Asked(kind="plan", full=full))
    except Blocked as refusal:
        # What would have happened is shown before the refusal is told.
        refused = refusal.result
        if refused and not call.as_json:
            PlanView(call, refused, every).tell()
        raise
    view = PlanView(call, document, every)
    call.answer(document | (view.document() if every else {}), view.tell)


def sync(
    call: Call,
    full: FULL = False,
    yes: YES = False,
    plan: Annotated[
        int | None,
        typer.Option(metavar="ID", min=1, max=MOST, help="Apply exactly this plan; what has moved since is refused."),
    ] = None,
) -> None:
    """Run one cycle: bring both sides into step."""
    from flows.asked import Asked

    if plan is not None and full:
        raise Misconfigured("--plan and --full exclude each other", remedy="a plan is applied as it was made")
    if plan is not None:
        _check_plan(call, plan)
    _run(call, Asked(kind="sync", full=full, yes=yes, plan=plan))


def _check_plan(call: Call, number: int) -> None:
    """Told at once, before both sides are read."""
    from storage import runs

    found = runs.get(call.store, number)
    if found is None or found.kind != "plan" or found.connection_id != call.connection.id:
        raise Misconfigured(f"there is no plan {number} of this connection", remedy="see: maxchimp runs")


def backfill(
    call: Call,
    yes: YES = False,
    at_next_cycle: Annotated[
        bool, typer.Option("--at-next-cycle", help="Not now: let the next scheduled cycle do it.")
    ] = False,
) -> None:
    """Sync Entire List: compare everything."""
    from flows.asked import Asked

    if at_next_cycle:
        return _ask_full(call)
    _run(call, Asked(kind="backfill", full=True, yes=yes))


def _ask_full(call: Call) -> None:
    """Kept in the store: whichever cycle is next reads everything (R34), and never two at once (R36)."""
    import time

    from storage import connections

    connection = call.connection
    reason = connections.ask_full(call.store, connection.id, time.time())
    call.answer(
        {"connection": connection.name, "next_cycle": "full", "reason": reason},
        lambda: show.say(f"The next cycle of {connection.name} reads everything ({reason})."),
    )


def _run(call: Call, asked: Asked) -> None:
    """One run, asked about at a terminal when it is the first (design section 7)."""
    from dataclasses import replace

    try:
        document = _launch(call, asked)
    except Blocked as refusal:
        if refusal.reason != "first-sync" or not call.interactive:
            raise
        if not call.confirmed(refusal.message):
            raise
        document = _launch(call, replace(asked, yes=True))
    except MaxchimpError as error:
        done = error.result
        if done and not call.as_json:
            _tell(call, done)
        raise
    call.answer(document, lambda: _tell(call, document))


def _launch(call: Call, asked: Asked) -> dict[str, Any]:
    from flows.launch import launch

    name = call.connection.name  # the store is current and the connection exists, else this says what to do
    try:
        document = launch(name, asked, progress=call.progress)
    except MaxchimpError as error:
        if error.result:
            _note(error.result)
        elif call.as_json:
            error.result = _never_begun(asked, error)
        raise
    finally:
        call.progress.close()
    _note(document)
    return document


def _never_begun(asked: Asked, error: MaxchimpError) -> dict[str, Any]:
    """The document of a run that was not opened, such as one beside another run (R36)."""
    from app.doors import exit_code
    from flows import tally
    from flows.result import no_counts

    told = {"run": None, "kind": asked.kind, "state": "failed", "reason": error.message, "counts": no_counts()}
    told |= tally.told(asked.kind, "failed", {}, {})
    return told | {"held": []} | {"error": error.message, "remedy": error.remedy, "exit": exit_code(error)}


def _note(document: dict[str, Any]) -> None:
    """One line per run in the log."""
    from flows.tally import line

    message = "run %s (%s) %s: %s"
    log.info(message, document["run"], document["kind"], document["state"], line(document), extra={"facts": document})


def _tell(call: Call, document: dict[str, Any]) -> None:
    from flows.tally import only_planned

    view = PlanView(call, document, every=False)
    show.say(f"Run {document['run']} ({document['kind']}): {document['state']}")
    counted.tell_sides(document)
    if others := counted.rest(document, view.run.facts):
        show.say(", ".join(others))
    waiting = view.run.facts.get("waiting", 0)
    if waiting:
        show.say(f"{waiting:,} waiting for a person: maxchimp quarantine list")
    tell_held(document["held"])
    if not only_planned(document):
        view.tell_findings()
