"""``connections``: every pair of an Address Book and a list (R5), each with its own settings, schedule and lease."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app import show
from app.call import Call, command
from domain.errors import Misconfigured

if TYPE_CHECKING:
    from storage.connections import Connection

NAME = Annotated[str, typer.Argument(metavar="NAME", help="Name of the connection, such as north.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Pairs of an Address Book and a list.", no_args_is_help=True)
    command(group, "list")(list_connections)
    command(group, "add")(add)
    command(group, "show")(show_connection)
    command(group, "remove")(remove)
    app.add_typer(group, name="connections")


def list_connections(call: Call) -> None:
    """List all connections."""
    from storage import connections

    rows = [_document(call, found) for found in connections.every(call.store)]

    def tell() -> None:
        if not rows:
            return show.say("There is no connection yet: maxchimp setup")
        show.table(
            ["name", "list", "address book", "interval", "state", "last run"],
            [
                [
                    r["name"],
                    r["list"] or "-",
                    r["address_book"] or "-",
                    r["settings"]["interval"],
                    r["state"],
                    r["last"],
                ]
                for r in rows
            ],
        )

    call.answer(rows, tell)


def add(call: Call, which: NAME) -> None:
    """Add a connection; then set it up with setup --connection NAME."""
    from flows.outside import prefix
    from flows.settings import load_settings
    from storage import connections, schema

    load_settings(which)  # refuses what cannot be a name
    schema.migrate(call.engine)
    for other in connections.every(call.store):
        if other.name != which and prefix(other.name) == prefix(which):
            raise Misconfigured(
                f"{which} would share its settings {prefix(which)}... with the connection {other.name}",
                remedy="choose a name that differs in letters or digits",
            )
    connections.create(call.store, which, time.time())
    start = prefix(which)

    def tell() -> None:
        show.say(
            f"Added {which}. Its own settings, where they differ from the plain ones:",
            *(f"- {start}{key}" for key in ("MAILCHIMP_API_KEY", "MAXIMIZER_URL", "MAXIMIZER_DATABASE")),
            f"- {start}MAXIMIZER_USER and {start}MAXIMIZER_PASSWORD, or {start}MAXIMIZER_TOKEN",
            f"Then: maxchimp setup --connection {which}",
        )

    call.answer({"connection": which, "prefix": start}, tell)


def show_connection(call: Call, which: NAME) -> None:
    """Show one connection."""
    document = _document(call, _found(call, which))

    def tell() -> None:
        show.facts(
            {
                "Name": document["name"],
                "State": document["state"],
                "Account": document["account"] or "-",
                "List": document["list"] or "none yet",
                "Address Book": document["address_book"] or "-",
                "In use by": document["holder"] or "nobody",
                "Next cycle": document["next_cycle"],
                "Last run": document["last"] or "-",
                "Own settings": document["prefix"] + "...",
                **{f"  {key}": value for key, value in document["settings"].items()},
            }
        )

    call.answer(document, tell)


def remove(
    call: Call,
    which: NAME,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before it is removed.")] = False,
) -> None:
    """Forget a connection in our own store.

    Nothing changes in Mailchimp or Maximizer: no flag, no marker, nobody. Refused while a run goes on.
    """
    from storage import connections, leases
    from storage.engine import begin

    found = _found(call, which)
    question = f"Remove the connection {which}? Its links, mappings, settings and history are forgotten here."
    if not (yes or (call.interactive and call.confirmed(question))):
        raise Misconfigured(
            f"removing {which} forgets its links, mappings, settings and history",
            remedy="to do it on purpose, add --yes; nothing changes in Mailchimp or Maximizer",
        )
    lease = leases.acquire(call.store, found.id, leases.holder_name("maxchimp connections remove"))
    try:
        with begin(call.store) as db:
            lease.check(db)
            connections.remove(db, found.id)
    finally:
        lease.release()
    call.answer({"removed": which}, lambda: show.say(f"Removed {which}. Nothing changed in Mailchimp or Maximizer."))


def _found(call: Call, name: str) -> Connection:
    from storage import connections

    found = connections.find(call.store, name)
    if found is None:
        known = ", ".join(c.name for c in connections.every(call.store)) or "none"
        raise Misconfigured(f"there is no connection {name!r}", remedy=f"there are: {known}")
    return found


def _document(call: Call, found: Connection) -> dict[str, Any]:
    """A connection as people and programs see it: no secret is part of it."""
    from flows.outside import prefix
    from storage import leases, runs

    last = runs.latest(call.store, found.id, limit=1)
    held = leases.held_by(call.store, found.id)
    return {
        "name": found.name,
        "state": _state(found),
        "account": found.account_name or found.account_id,
        "list": f"{found.list_name} ({found.list_id})" if found.list_id else "",
        "address_book": found.address_book,
        "holder": held[0] if held else "",
        "next_cycle": f"full: {found.full_reason}" if found.full_reason else "what changed",
        "last": f"{show.moment(last[0].started_at)} {last[0].kind} {last[0].state}" if last else "",
        "failures": found.failures,
        "prefix": prefix(found.name),
        "settings": found.settings.shown(),
    }


def _state(found: Connection) -> str:
    if not found.list_id:
        return "to be set up"
    if found.failures:
        return f"failing ({found.failures} cycles)"
    return "ready" if found.synced else "waits for its first sync"
