"""``web`` and ``explain``: the page alone, and what it tells of one person, in words."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from app import show
from app.call import Call, command
from domain.errors import Misconfigured
from domain.quoting import quoted

if TYPE_CHECKING:
    from flows.explain import Explanation
    from flows.settings import Settings

PORT = 8470
STATES = {
    "synchronised": "synchronised",
    "partly": "partly synchronised",
    "waiting": "waiting for the next run",
    "not": "not synchronised",
}


def register(app: typer.Typer) -> None:
    command(app, "web")(web)
    command(app, "explain")(explain)


def web(
    call: Call,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="Where to listen; 0 takes a free one.")
    ] = PORT,
    link: Annotated[
        bool, typer.Option("--link", help="Only print a new login link for the page that is running on this port.")
    ] = False,
) -> None:
    """Serve the following tab and the set-up pages of every connection.

    Until stopped. A login link is printed; it works once, for ten minutes, and Enter prints another. /NAME/tab and
    /NAME/setup are of any connection, /tab and /setup of the one that this was started with.
    """
    from app.web.server import HOST, login_link, require_running, serving

    if link:
        named = _there(call)
        require_running(port)
        made = login_link(call.store, named, f"http://{HOST}:{port}")
        return call.answer({"link": made}, lambda: show.say(made))
    with serving(call.settings, port, engine=call.engine) as page:
        tab = f"{(call.settings.page_url or page.url).rstrip('/')}/tab"
        first = page.login_link()
        call.answer(
            {"url": page.url, "tab": tab, "link": first},
            lambda: show.say(
                f"The tab for Maximizer: {tab}",
                f"Set-up, once within ten minutes: {first}",
                *others(call),
                "Ctrl-C stops it",
            ),
        )
        sys.stdout.flush()
        stopped = threading.Event()
        with suppress(KeyboardInterrupt):
            if call.interactive:
                for _ in sys.stdin:
                    show.say(page.login_link())
            stopped.wait()
    return None


def _there(call: Call) -> Settings:
    """The settings of a connection that a page may know; Misconfigured for a name that none has."""
    from storage import connections

    settings, names = call.settings, [found.name for found in connections.every(call.store)]
    if names and settings.connection not in (*names, "default"):
        raise Misconfigured(
            f"there is no connection {quoted(settings.connection)}",
            remedy=f"there are: {', '.join(names)}; a new one: maxchimp connections add {settings.connection}",
        )
    return settings


def others(call: Call) -> list[str]:
    """Where the pages of further connections are, when there are any."""
    from storage import connections

    names = [found.name for found in connections.every(call.engine) if found.name != call.settings.connection]
    if not names:
        return []
    example = names[0]
    return [f"Of {', '.join(names)}: /{example}/tab and so on; to set up: maxchimp web --link --connection {example}"]


def explain(
    call: Call,
    who: Annotated[
        str,
        typer.Argument(
            metavar="EMAIL_OR_ID",
            help="An address, <Client ID>#<number>, a contact_id, a MailChimp ID, or the number of a link.",
        ),
    ],
) -> None:
    """Explain one person.

    Synchronised or not and why, how matched, each field, what was written, what the next run would do.
    """
    from flows.foresee import explain as explained
    from flows.person import FORMS, meant

    who = meant(who)
    call.progress("asking both sides")
    found = explained(call.store, call.connection, call.services, who)
    if not found:
        raise Misconfigured(f"nobody is known by {quoted(who)} on either side", remedy=FORMS)
    call.answer([one.to_json() for one in found], lambda: _tell_all(found))


def _tell_all(found: list[Explanation]) -> None:
    for one in found:
        _tell(one)


def _tell(told: Explanation) -> None:
    person, verdict = told.person, told.verdict
    member = person.member or {}
    show.heading(f"{person.email1 or member.get('email_address', '')}")
    show.facts(
        {
            "Entry": person.entry_id or "-",
            "Member": person.contact_id or "-",
            "Link": (person.link or {}).get("id", "-"),
            "Is": STATES[verdict.state],
            "Because": verdict.sentence + (f" ({verdict.rule})" if verdict.rule else ""),
            "To do": verdict.remedy or "-",
            "Matched by": told.matched or "-",
            "Subscription": person.status or person.member_problem or "-",
        }
    )
    if told.fields:
        show.say("")
        show.table(
            ["field", "tag", "mailchimp", "maximizer", "remarks"],
            [
                [row["field"], row["tag"], row["mailchimp"], row["maximizer"],
                 "; ".join(text for text in (row["problem"], row["origin"], row["next"]) if text)]
                for row in told.fields
            ],
        )  # fmt: skip
    for title, lines in (
        ("The next run", list(told.next)),
        (
            "Written",
            [
                f"{show.moment(done.at)} run {done.run}: {done.op} in {done.side} ({done.rule}), {done.state}: "
                + ", ".join(done.fields)
                for done in told.done[:20]
            ],
        ),
    ):
        if lines:
            show.heading(f"\n{title}")
            show.say(*(f"- {line}" for line in lines))
