"""Set-up, Connection and settings: what ``setup`` and ``settings`` do on the command line (R37-R41, R44)."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SecretStr

from app.web import words
from app.web.site import Answer, Door, Given, Site, audit
from app.web.tokens import Pass
from domain.commands import prefix
from domain.errors import MaxchimpError, Misconfigured
from domain.settings import CHOICES
from flows import kept, mxi
from flows.connecting import try_mailchimp, try_maximizer
from flows.effect import of_settings
from flows.outside import named
from flows.settings import variable
from flows.setup import Wish, set_up
from storage import connections

CHANGE = "CHANGE"  # to be typed before mappings or links are lost (hazard S8)
ACCOUNT = (
    ("account", "Account"),
    ("contact", "Contact"),
    ("plan", "Plan"),
    ("industry", "Industry"),
    ("total_subscribers", "Total subscribers"),
    ("last_login", "Last login"),
)
MAXIMIZER = ("maximizer_url", "maximizer_web_url", "maximizer_database", "maximizer_user")


class Nothing(Given):
    pass


class Key(Given):
    """An empty key keeps the one that is there and only tries it."""

    mailchimp_api_key: str = Field("", max_length=100)


class Server(Given):
    """Empty password and token keep those that are there."""

    maximizer_url: str = ""
    maximizer_web_url: str = ""
    maximizer_database: str = ""
    maximizer_user: str = ""
    maximizer_password: str = ""
    maximizer_token: str = ""


class Making(Given):
    group: str = ""
    options: str = ""
    new_address_book: bool = False
    confirm: str = ""


class Choosing(Given):
    list_id: str
    confirm: str = ""


class Setting(Given):
    interval: str
    buffer_ms: str
    conflict: str
    email_change: str
    new_member_status: str


# ---------------------------------------------------------------- Connection


def connection(site: Site, who: Pass, given: Nothing) -> Answer:
    """Where each value comes from; of secrets the last four characters and nothing more (hazard S23)."""
    return _connection(site)


def _connection(site: Site, **told: Any) -> str:
    settings = site.settings
    sources = kept.hints(site.engine, settings)
    known = site.connection
    variables = {name: variable(site.name, name) for name in kept.NAMES}
    values = {name: kept.text_of(settings, name) for name in kept.NAMES if name not in kept.SECRET}
    return words.render(
        "connection",
        sources=sources,
        variables=variables,
        values=values,
        hints={name: _hint(name, kept.text_of(settings, name)) for name in kept.SECRET},
        may_store=bool(settings.secret_key.get_secret_value()),
        no_key=kept.NO_KEY,
        known=known,
        ready=all(kept.text_of(settings, name) for name in ("mailchimp_api_key", "maximizer_url")),
        change=CHANGE,
        labels=ACCOUNT,
        told={"account": None, "signed_in": None, "done": None, "todo": None, **told},
    )


def _hint(name: str, secret: str) -> str:
    """Of a key the last four characters before its data centre; of a password or token only that there is one."""
    if not secret or name != "mailchimp_api_key":
        return "\u2026" if secret else ""
    key, dash, centre = secret.partition("-")
    return f"\u2026{key[-kept.SHOWN :]}{dash}{centre}" if len(key) > 2 * kept.SHOWN else "\u2026"


def key(site: Site, who: Pass, given: Key) -> Answer:
    """The Mailchimp key is tried; when it is right and new it is stored (R37)."""
    new = given.mailchimp_api_key.strip()
    candidate = site.settings
    if new:
        _open_to_change(site, ["mailchimp_api_key"])
        candidate = candidate.model_copy(update={"mailchimp_api_key": SecretStr(new)})
    account = try_mailchimp(candidate, opener=site.opener)
    if new:
        kept.keep(site.engine, site.settings, {"mailchimp_api_key": new})
        audit(who, "stored a Mailchimp key")
        site.changed()
    return _connection(site, account=account)


def server(site: Site, who: Pass, given: Server) -> Answer:
    """Maximizer's addresses, Address Book and user are tried; when they are right and new they are stored (R38)."""
    new = {name: text.strip() for name, text in given.model_dump().items() if text.strip()}
    new = {name: text for name, text in new.items() if text != kept.text_of(site.settings, name)}
    update = {name: SecretStr(text) if name in kept.SECRET else text for name, text in new.items()}
    if new:
        _open_to_change(site, list(new))
    signed_in = try_maximizer(site.settings.model_copy(update=update), opener=site.opener)
    if new:
        kept.keep(site.engine, site.settings, new)
        audit(who, "stored the Maximizer connection", fields=" ".join(sorted(new)))
        site.changed()
    return _connection(site, signed_in=signed_in)


def _open_to_change(site: Site, names: list[str]) -> None:
    """Misconfigured when nothing can be stored, or when the environment decides."""
    if not site.settings.secret_key.get_secret_value():
        raise Misconfigured("nothing can be stored: there is no key to encrypt it with", remedy=kept.NO_KEY)
    sources = kept.hints(site.engine, site.settings)
    fixed = [name for name in names if sources[name] == "environment"]
    if fixed:
        listed = ", ".join(named(variable(site.name, name)) for name in fixed)
        own = prefix(site.name) + fixed[0].upper()
        raise Misconfigured(
            f"set from outside, which always wins: {listed}",
            remedy=f"change it there, or take it out; for this connection alone: {own}",
        )


def make(site: Site, who: Pass, given: Making) -> Answer:
    """Create what is missing: the store, the two UDFs, merge fields, a group if asked (R40, R41)."""
    options = tuple(line.strip() for line in given.options.splitlines() if line.strip())
    if bool(given.group.strip()) != bool(options):
        raise Misconfigured("a group needs a title and at least one option", remedy="fill in both")
    wish = Wish(
        group=given.group.strip(),
        options=options,
        new_address_book=given.new_address_book,
        confirm=lambda question: given.confirm == CHANGE,
    )
    if given.new_address_book and given.confirm != CHANGE:
        raise Misconfigured("changing the Address Book ends all links", remedy=f"type {CHANGE} to do it on purpose")
    outcome = set_up(site.engine, site.services, wish, now=site.now)
    audit(who, "ran set-up", done=len(outcome.done))
    site.forget()
    return _connection(site, account=outcome.account, done=outcome.done, todo=outcome.todo)


def definition(site: Site, who: Pass, given: Nothing) -> Answer:
    """The MXI file for somebody who makes the fields by hand (R40)."""
    return {"name": mxi.FILE, "text": mxi.definition(), "type": "application/xml"}


def by_hand(site: Site, who: Pass, given: Nothing) -> Answer:
    return words.render("steps", steps=mxi.steps(), file=mxi.FILE)


# ---------------------------------------------------------------- Configuration: list and settings


def configuration(site: Site, who: Pass, given: Nothing) -> Answer:
    """The selected list, the mappings, the settings; each part is edited where it stands."""
    known = site.connection
    if known is None:
        raise Misconfigured("nothing is set up yet", remedy="open Connection, and choose Create what is missing")
    rows = connections.mappings(site.engine, known.id)
    return words.render("configuration", known=known, mapped=len(rows), shown=known.settings.shown(), choices=CHOICES)


def lists(site: Site, who: Pass, given: Nothing) -> Answer:
    """The lists of the account, to choose one (R39)."""
    known = site.known
    rows = [
        {
            "id": str(row["id"]),
            "name": str(row.get("name") or ""),
            "members": (row.get("stats") or {}).get("member_count", 0),
        }
        for row in site.services.mailchimp.lists()
    ]
    return words.render("lists", rows=rows, known=known, change=CHANGE)


def choose(site: Site, who: Pass, given: Choosing) -> Answer:
    """Select a list; a typed word confirms that mappings and links are lost (R39)."""
    known = site.known
    moving = bool(known.list_id) and known.list_id != given.list_id
    if moving and given.confirm != CHANGE:
        raise Misconfigured(
            "changing the list loses all field mappings and ends all links", remedy=f"type {CHANGE} to do it on purpose"
        )
    wish = Wish(list_id=given.list_id, confirm=lambda question: given.confirm == CHANGE)
    outcome = set_up(site.engine, site.services, wish, now=site.now)
    audit(who, "changed the list" if moving else "selected the list", list=given.list_id)
    site.forget()
    return words.render(
        "done", title="List selected", done=outcome.done, todo=outcome.todo, note="", again="configuration"
    )


def settings(site: Site, who: Pass, given: Setting) -> Answer:
    """Edit Sync Settings (R44)."""
    known = site.known
    asked = {name: text for name, text in given.model_dump().items() if text != known.settings.shown()[name]}
    changed = connections.change_settings(site.engine, known.id, asked)
    audit(who, "changed settings", **asked)
    effect = of_settings(site.engine, known, changed, list(asked))
    return words.render(
        "done",
        title="Settings saved",
        done=[f"{name} is {changed.shown()[name]}" for name in asked] or ["nothing was different"],
        todo=[],
        note=effect.says if effect else "",
        again="configuration",
    )


def checks(site: Site, who: Pass, given: Nothing) -> Answer:
    """Everything that can be known before a run, as ``maxchimp check`` tells it."""
    from flows.check import Check

    try:
        found = Check(site.settings, site.engine, opener=site.opener, now=site.now).run()
    except MaxchimpError:
        site.forget()
        raise
    return words.render("checks", found=found)


DOORS: dict[str, Door] = {
    "/api/setup/connection": Door("setup", Nothing, connection),
    "/api/setup/connection/key": Door("setup", Key, key),
    "/api/setup/connection/server": Door("setup", Server, server),
    "/api/setup/connection/make": Door("setup", Making, make),
    "/api/setup/connection/mxi": Door("setup", Nothing, definition),
    "/api/setup/connection/steps": Door("setup", Nothing, by_hand),
    "/api/setup/configuration": Door("setup", Nothing, configuration),
    "/api/setup/lists": Door("setup", Nothing, lists),
    "/api/setup/lists/choose": Door("setup", Choosing, choose),
    "/api/setup/settings": Door("setup", Setting, settings),
    "/api/setup/checks": Door("setup", Nothing, checks),
}
