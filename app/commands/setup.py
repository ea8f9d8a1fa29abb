"""``setup`` and ``settings``: what an administrator does before the first sync, and now and then after it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app import show
from app.call import Call, command
from domain.errors import Misconfigured
from domain.quoting import quoted

if TYPE_CHECKING:
    from flows.setup import Outcome

ACCOUNT = {
    "account": "Account",
    "contact": "Contact",
    "plan": "Plan",
    "industry": "Industry",
    "total_subscribers": "Total subscribers",
    "last_login": "Last login",
}


def register(app: typer.Typer) -> None:
    command(app, "setup")(setup)
    group = typer.Typer(help="Sync settings of a connection.", no_args_is_help=True)
    command(group, "show")(show_settings)
    command(group, "set")(set_settings)
    app.add_typer(group, name="settings")


def setup(
    call: Call,
    list_id: Annotated[str, typer.Option("--list", metavar="LIST_ID", help="Select this list of the account.")] = "",
    group: Annotated[str, typer.Option(metavar="TITLE", help="Create this interest group (with --option).")] = "",
    option: Annotated[list[str] | None, typer.Option(metavar="NAME", help="An option of the new group.")] = None,
    new_address_book: Annotated[
        bool, typer.Option("--new-address-book", help="Work on another Address Book from now on; all links end.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before mappings or links are dropped.")] = False,
    mxi: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Only write the definition of MailChimp ID, and tell how to make the fields."
        ),
    ] = None,
) -> None:
    """Sign in, create what is missing, select a list.

    May be repeated: what is there already is left alone.
    """
    from flows.services import connect
    from flows.setup import Wish, set_up

    if mxi is not None:
        return _by_hand(call, mxi)
    options = tuple(option or ())
    if bool(group) != bool(options):
        raise Misconfigured(
            "a group needs a title and at least one option", remedy="maxchimp setup --group TITLE --option NAME"
        )
    if len({text.strip().casefold() for text in options}) < len(options):
        raise Misconfigured("an option of the group is named twice", remedy="name each option once")
    call.progress("signing in to both sides")
    # Before the store is opened: a key that cannot be one leaves nothing behind (R37).
    services = connect(call.settings)
    wish = Wish(
        list_id=list_id,
        group=group,
        options=options,
        new_address_book=new_address_book,
        confirm=lambda question: yes or (call.interactive and call.confirmed(question)),
    )
    outcome = set_up(call.engine, services, wish)
    call.answer(_document(outcome), lambda: _tell(outcome))


def _by_hand(call: Call, file: Path) -> None:
    """For an administrator who makes the two fields in Maximizer (R40)."""
    from flows.mxi import definition, steps

    file.write_text(definition(), "utf-8")
    told = steps()
    call.answer(
        {"file": str(file), "steps": told},
        lambda: show.say(f"wrote {file}", *(f"{n}. {step}" for n, step in enumerate(told, 1))),
    )


def _document(outcome: Outcome) -> dict[str, Any]:
    made = outcome.connection
    return {
        "connection": made.name if made else None,
        "account": outcome.account,
        "list": {"id": made.list_id, "name": made.list_name} if made and made.list_id else None,
        "address_book": made.address_book if made else None,
        "done": outcome.done,
        "todo": outcome.todo,
    }


def _tell(outcome: Outcome) -> None:
    made = outcome.connection
    show.heading("Mailchimp account")
    show.facts({label: outcome.account[name] for name, label in ACCOUNT.items()})
    if made:
        show.heading(f"\nConnection {made.name}")
        chosen = f"{made.list_name} ({made.list_id})" if made.list_id else "none yet"
        show.facts({"List": chosen, "Address Book": made.address_book})
    show.heading("\nDone")
    show.say(*(f"- {line}" for line in outcome.done or ["nothing: everything was there"]))
    show.heading("\nStill to do")
    ready = ["nothing; look at the first sync with: maxchimp plan"] if made and not made.synced else ["nothing"]
    show.say(*(f"- {line}" for line in outcome.todo or ready))


def show_settings(call: Call) -> None:
    """Show the sync settings."""
    shown = call.connection.settings.shown()
    call.answer(shown, lambda: show.facts(shown))


def _readable(call: Call) -> dict[str, str]:
    """The settings as they are; none where what is stored cannot be read."""
    try:
        return call.connection.settings.shown()
    except Misconfigured:
        return {}


def set_settings(
    call: Call,
    assignments: Annotated[list[str], typer.Argument(metavar="NAME=VALUE...", help="Such as interval=30m.")],
) -> None:
    """Change sync settings, such as interval=30m.

    Names: interval, buffer_ms, conflict, email_change, new_member_status, ambiguous_wait, max_absent, max_changed,
    max_new, max_blanked, max_refused, remind_after, retention.
    """
    from flows.effect import of_settings
    from storage import connections

    pairs: dict[str, str] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        name, example = name.strip().lower(), "for example: maxchimp settings set interval=30m"
        if not equals or not name:
            raise Misconfigured(f"{quoted(text)} is no NAME=VALUE", remedy=example)
        if name in pairs:
            raise Misconfigured(f"{name} is given twice", remedy=example)
        pairs[name] = value
    known = connections.id_of(call.store, call.settings.connection)
    before = _readable(call)
    changed = connections.change_settings(call.store, known or call.connection.id, pairs)
    shown = changed.shown()
    moved = [name for name in pairs if name not in before or shown[name] != before[name]]
    effect = of_settings(call.store, call.connection, changed, moved)

    def tell() -> None:
        show.facts({name: shown[name] for name in pairs})
        if effect:
            show.say("", effect.says)
        if "interval" in pairs and os.environ.get("PREFECT_API_URL"):
            show.say("", "Tell the Prefect server with: maxchimp deploy")

    call.answer({**shown, **({"next_cycle": effect.to_json()} if effect else {})}, tell)
