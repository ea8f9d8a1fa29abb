"""Set-up: sign in to both sides, create what is missing, select the list; idempotent (R37-R43).

The command line and the set-up pages call the same functions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Engine

from clients.mailchimp import Mailchimp
from clients.maximizer import Maximizer
from domain.commands import here, typed
from domain.errors import Blocked, Misconfigured, Refused
from domain.facts import about
from domain.fields import MaximizerField
from domain.quoting import quoted
from domain.records import CLIENT_TAG, EMAIL, NUMBER_TAG
from flows import pair
from flows.describe import (
    FOLDER,
    Audience,
    address_book,
    audience,
    find_field,
    find_flag,
    find_marker,
    find_tag,
    may_map,
    spelling,
    to_choose,
)
from flows.services import Services, write_dialect
from flows.settings import Settings, is_local, web_address
from storage import connections, schema
from storage.claims import Wanted
from storage.connections import Connection, MappingRow

FLAG_PATH = rf"{FOLDER}\Sync with MailChimp"
MARKER_PATH = rf"{FOLDER}\MailChimp ID"
DEFAULTS = (("FNAME", "FirstName"), ("LNAME", "LastName"))  # R19; EMAIL goes without saying


@dataclass(frozen=True)
class Wish:
    """What set-up is asked for. ``confirm`` answers whether mappings and links may be dropped (R39)."""

    list_id: str = ""
    group: str = ""
    options: tuple[str, ...] = ()
    new_address_book: bool = False
    confirm: Callable[[str], bool] = lambda question: False


@dataclass
class Outcome:
    """``account``: the summary of R37. ``done``: what was made, in words. ``todo``: what is still missing, and how."""

    account: dict[str, Any] = field(default_factory=dict)
    connection: Connection | None = None
    done: list[str] = field(default_factory=list)
    todo: list[str] = field(default_factory=list)


def set_up(engine: Engine, services: Services, wish: Wish, *, now: Callable[[], float] = time.time) -> Outcome:
    """Bring one connection to the point where a plan can be made; Misconfigured or CredentialsRefused otherwise."""
    outcome = Outcome()
    if schema.current(engine) is None:
        outcome.done.append("made the store")
    schema.migrate(engine)
    check_web_url(services.settings)
    outcome.account = account_summary(services)
    dialect = services.maximizer.discover()
    session = services.maximizer.session_info()
    _check_configured(services, session["database"])
    name = services.settings.connection
    found = connections.find(engine, name)
    lists, wanted = _choice(services, found, wish)
    book, account_id = pair.a_book(services, session), str(outcome.account["account_id"])
    chosen = [pair.a_list(account_id, wanted, str(lists[wanted].get("name", "")))] if wanted in lists else []
    pair.look(engine, name, services, [*chosen, book], now)
    connection = found or connections.create(engine, name, now())
    connection = _address_book(engine, connection, book, wish, outcome, now)
    _udfs(services.maximizer, outcome)
    fields = address_book(services.maximizer, options_of=())
    flag, marker = find_flag(fields), find_marker(fields)
    connections.update(
        engine,
        connection.id,
        dialect=write_dialect(dialect),
        flag_ref=flag.ref if flag else "",
        marker_ref=marker.ref if marker else "",
        traits={**connection.traits, "dates_searchable": dates_searchable(services.maximizer)},
    )
    connection = _list(engine, connection, lists, wanted, wish, outcome, now)
    if connection.list_id:
        known = _list_parts(services, connection, wish, outcome)
        _default_mappings(engine, connection, known, outcome)
    outcome.connection = connections.find(engine, name)
    with about(connection=name):
        outcome.todo = [here(line) for line in outcome.todo]
    return outcome


def account_summary(services: Services) -> dict[str, Any]:
    """What R37 shows of a valid key: account, contact, plan, industry, subscribers, last login."""
    return summary_of(services.mailchimp)


def summary_of(mailchimp: Mailchimp) -> dict[str, Any]:
    """The same of one client alone."""
    account = mailchimp.account()
    person = " ".join(part for part in (account.get("first_name"), account.get("last_name")) if part)
    return {
        "account_id": account["account_id"],
        "account": account.get("account_name", ""),
        "contact": person or account.get("username", ""),
        "plan": account.get("pricing_plan_type", ""),
        "industry": account.get("account_industry", ""),
        "total_subscribers": account.get("total_subscribers", 0),
        "last_login": account.get("last_login", ""),
    }


def check_web_url(settings: Settings) -> None:
    """The Web Access address is the one people log in with: a host only this machine reaches is refused (R38)."""
    try:
        host = urlsplit(web_address(settings.maximizer_web_url)).hostname or ""
    except ValueError as problem:
        remedy = "give the address people log in with, such as https://server/MaximizerWebAccess"
        raise Misconfigured(f"the Web Access address {problem}", remedy=remedy) from None
    if host and is_local(host) and not is_local(urlsplit(settings.maximizer_url).hostname or ""):
        raise Misconfigured(
            f"the Web Access address names {host}, which only this machine can reach",
            remedy="set MAXCHIMP_MAXIMIZER_WEB_URL to the address people log in with",
        )


def dates_searchable(maximizer: Maximizer) -> bool:
    """Whether this server searches by the date of last change (Maximizer fact sheet 3.3 does not settle it).

    Nothing was changed in the far future: a server that shows entries all the same did not search.
    """
    try:
        return next(iter(maximizer.people(["LastName"], since="2999-01-01T00:00:00Z", page_size=1)), None) is None
    except Refused:
        return False


def _check_configured(services: Services, database: str) -> None:
    configured = services.settings.maximizer_database
    if configured and database and configured.casefold() != database.casefold():
        raise Blocked(
            "wrong-address-book",
            f"the wrong Address Book: signed in to {quoted(database)}, but {quoted(configured)} is configured",
            remedy="correct MAXCHIMP_MAXIMIZER_DATABASE or the user",
        )


def _address_book(
    engine: Engine, connection: Connection, book: Wanted, wish: Wish, outcome: Outcome, now: Callable[[], float]
) -> Connection:
    """Have it for this connection; changing it ends all links, after a confirmation (R39)."""
    another = bool(connection.address_book) and connection.address_book.casefold() != book.name.casefold()
    if another:
        question = (
            f"Change the Address Book from {connection.address_book} to {book.name}? All links end; no flag is touched."
        )
        if not (wish.new_address_book and wish.confirm(question)):
            raise Misconfigured(
                f"this connection is set up for the Address Book {quoted(connection.address_book)}, "
                f"not {quoted(book.name)}",
                remedy="to change it on purpose: maxchimp setup --new-address-book --yes",
            )
        outcome.done.append(f"changed the Address Book to {book.name}; the next cycle is a first sync")
    pair.choose_book(engine, connection, book, another=another, now=now)
    return connections.find(engine, connection.name) or connection


def _udfs(maximizer: Maximizer, outcome: Outcome) -> None:
    """The two UDFs of ours, for people only (R6, R40)."""
    fields = address_book(maximizer, options_of=())
    wanted = ((find_flag(fields), FLAG_PATH, "yesno", 0), (find_marker(fields), MARKER_PATH, "text", 29))
    for found, path, kind, length in wanted:
        if found is None:
            try:
                maximizer.create_udf(path, kind, max_length=length, applies_to=("Individual", "Contact"))
            except Refused as error:
                raise Misconfigured(
                    f"the user-defined field {path} does not exist and could not be created",
                    remedy="give the service user Insert for user-defined field setup, or create it by hand",
                ) from error
            outcome.done.append(f"created the user-defined field {path}")
        elif found.max_length and length and found.max_length < length:
            outcome.todo.append(f"{found.name} takes {found.max_length} characters: it needs {length}")
    if any(line.endswith("MailChimp ID") for line in outcome.done):
        outcome.todo.append(
            "restrict full access to the field MailChimp ID in Maximizer, so that nobody edits it by chance"
        )


def _choice(services: Services, connection: Connection | None, wish: Wish) -> tuple[Mapping[str, Any], str]:
    """The lists of the account by id, and the one that is asked for, selected already or the only one; "" for none."""
    lists = {str(row["id"]): row for row in services.mailchimp.lists()}
    before = connection.list_id if connection else ""
    return lists, wish.list_id or before or (next(iter(lists)) if len(lists) == 1 else "")


def _list(
    engine: Engine,
    connection: Connection,
    lists: Mapping[str, Any],
    wanted: str,
    wish: Wish,
    outcome: Outcome,
    now: Callable[[], float],
) -> Connection:
    """Select the list; changing it drops the mappings and ends all links, after a confirmation (R39)."""
    shown = ", ".join(f"{key} ({row.get('name', '')})" for key, row in lists.items()) or "none"
    if wanted and wanted not in lists:
        raise Misconfigured(f"the account has no list {quoted(wanted)}", remedy=f"its lists are: {shown}")
    if not wanted:
        outcome.todo.append(f"choose a list: maxchimp setup --list LIST_ID; the account has {shown}")
        return connection
    account_id, name = str(outcome.account["account_id"]), str(lists[wanted].get("name", ""))
    another = bool(connection.list_id) and (connection.list_id, connection.account_id) != (wanted, account_id)
    if another:
        question = f"Change the list to {name or wanted}? All field mappings are lost and all links end."
        if not wish.confirm(question):
            raise Misconfigured(
                "changing the list loses all field mappings and ends all links",
                remedy=f"to do it on purpose: {typed('setup', '--list', wanted, '--yes')}",
            )
        outcome.done.append("changed the list: mappings dropped, links ended; the next cycle is a first sync")
    if not connection.list_id:
        outcome.done.append(f"selected the list {name or wanted}")
    account = {"account_id": account_id, "account_name": str(outcome.account["account"])}
    columns = account | {"list_id": wanted, "list_name": name}
    pair.choose_list(engine, connection, pair.a_list(account_id, wanted, name), columns, another=another, now=now)
    return connections.find(engine, connection.name) or connection


def _list_parts(services: Services, connection: Connection, wish: Wish, outcome: Outcome) -> Audience:
    """The two merge fields that carry an entry's identity (R8), and a group if asked for (R41)."""
    known = audience(services.mailchimp, connection.list_id, groups=())
    for tag, name in ((CLIENT_TAG, "Maximizer Client ID"), (NUMBER_TAG, "Maximizer Contact Number")):
        if known.find(tag) is None:
            try:
                services.mailchimp.create_merge_field(connection.list_id, tag=tag, name=name, type="text", public=False)
            except Refused as error:
                raise Misconfigured(
                    f"the merge field {tag} could not be created",
                    remedy="the audience may have no room: it needs two fields",
                ) from error
            outcome.done.append(f"created the merge field {tag}")
    if wish.group and known.find(f"group:{wish.group}") is None:
        services.mailchimp.create_group(connection.list_id, wish.group, wish.options)
        outcome.done.append(f"created the group {wish.group}")
        known = audience(services.mailchimp, connection.list_id, groups=())
    if known.groups == 0:
        outcome.todo.append(
            "This list does not have interest groups enabled. Synchronisation needs at least one group: "
            "maxchimp setup --group TITLE --option NAME --option NAME"
        )
    return known


def _default_mappings(engine: Engine, connection: Connection, known: Audience, outcome: Outcome) -> None:
    if connections.mappings(engine, connection.id) or connection.synced:
        return
    for tag, name in DEFAULTS:
        if known.find(tag) is not None:
            put_mapping(engine, connection, known, find_field(address_book_basics(), name).name, tag)
            outcome.done.append(f"mapped {tag} to {name}")


def address_book_basics() -> Any:
    from flows.describe import basic_fields

    return basic_fields()


def put_mapping(
    engine: Engine,
    connection: Connection,
    known: Audience,
    field_name: str | MaximizerField,
    tag: str,
    *,
    fields: Sequence[Any] | None = None,
    basic_update: bool = False,
) -> MappingRow:
    """Map a Mailchimp field to a Maximizer field (R20, R21); Misconfigured says what would be compatible."""
    mailchimp = find_tag(known, tag)
    if mailchimp.tag == EMAIL:
        raise Misconfigured("EMAIL is always mapped to Email1", remedy="nothing to do")
    if mailchimp.tag in (CLIENT_TAG, NUMBER_TAG):
        raise Misconfigured(
            f"{mailchimp.tag} carries the entry's identity and cannot be mapped", remedy="choose another tag"
        )
    listed = list(fields if fields is not None else address_book_basics())
    maximizer = field_name if isinstance(field_name, MaximizerField) else find_field(listed, field_name)
    if not may_map(mailchimp, maximizer):
        suitable = [f for f in listed if may_map(mailchimp, f)]
        raise Misconfigured(
            f"{mailchimp.tag} ({mailchimp.kind}) cannot be mapped to {maximizer.name} ({maximizer.kind})",
            remedy=f"compatible fields are: {to_choose(suitable, listed) or 'none'}",
        )
    mapped = connections.mappings(engine, connection.id)
    others = [m for m in mapped if m.mailchimp_ref != mailchimp.ref]
    if any(m.maximizer_ref == maximizer.ref for m in others) and not mailchimp.kind.startswith("source"):
        raise Misconfigured(f"{maximizer.name} is mapped already", remedy="see: maxchimp map list")
    row = MappingRow(
        id=0,
        # Its tag of before, until a cycle has seen that it was renamed.
        tag=next((m.tag for m in mapped if m.mailchimp_ref == mailchimp.ref), mailchimp.tag),
        mailchimp_ref=mailchimp.ref,
        maximizer_ref=maximizer.ref,
        field=spelling(maximizer, listed),
        mailchimp_kind=mailchimp.kind,
        maximizer_kind=maximizer.kind,
        basic_update=basic_update,
    )
    return connections.put_mapping(engine, connection.id, row)
