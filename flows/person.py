"""One person on both sides and in our store: found by entry, address or id. Reads only.

The following tab and ``maxchimp explain`` look at the same (flows/explain.py).
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Engine

from clients.maximizer import any_of, by_email, by_id, by_udf
from clients.maximizer.rows import look
from domain import records
from domain.errors import MaxchimpError, Misconfigured
from domain.records import CLIENT_TAG, NUMBER_TAG
from flows.services import Services
from storage import changes, links, parking
from storage.connections import Connection
from storage.engine import reading

Row = dict[str, Any]
NAMES = ("FirstName", "LastName", "CompanyName", "Email1", "Email2", "Email3")
YES, NO = "2", "1"  # item keys of a Yes/No field where nothing else is known (Maximizer fact sheet 5.5)


@dataclass(frozen=True)
class Person:
    """What was found of one person on both sides and in our store.

    ``member_problem``: why the member is not known ("": it was looked for). ``entry_id``/``contact_id``: "" where
    there is none. ``suppressed``: erased | forgotten. ``resting``: records of writes without a clear answer.
    """

    entry: Row | None = None
    member: Row | None = None
    link: Row | None = None
    entry_id: str = ""
    contact_id: str = ""
    waiting: tuple[Row, ...] = ()
    findings: tuple[Row, ...] = ()
    suppressed: str = ""
    resting: tuple[str, ...] = ()
    member_problem: str = ""

    @property
    def email1(self) -> str:
        return text_of(self.entry, "Email1")

    @property
    def status(self) -> str:
        return str((self.member or {}).get("status") or "")


# ---------------------------------------------------------------- finding somebody


def by_entry(engine: Engine, connection: Connection, services: Services, entry_id: str) -> Person:
    """The person of an entry: two requests (entry and member) at the same time when linked, one after the other if not.

    A Mailchimp that does not answer is told in ``member_problem``; a Maximizer that does not raises.
    """
    link = _link(engine, connection, entry_id=entry_id)
    with ThreadPoolExecutor(2, thread_name_prefix="person") as pool:
        asked = pool.submit(_entry, services, connection, entry_id)
        member, problem = _member(services, connection, link["contact_id"]) if link else (None, "")
        entry = asked.result()
    if link is None and (email := text_of(entry, "Email1")):
        member, problem = _member(services, connection, email)
        if member is not None:
            link = _link(engine, connection, contact_id=str(member["contact_id"]))
            link = None if link and link["entry_id"] != entry_id else link
    return _known(engine, connection, Person(entry, member, link, entry_id, member_problem=problem))


# An entry by Client ID and Contact Number; an address; a contact_id, a MailChimp ID, the number of a link.
_FORMS = (
    r"(?=.*\w)[^@#%*?]{1,100}#[0-9]{1,9}",
    r"(?=[^@]*\w)[^\s@]{1,64}@\w[\w.-]{0,253}",
    r"(link\s+)?[0-9]{1,18}",
    r"(?=.*[0-9A-Za-z])[0-9A-Za-z_.:+/=-]{1,64}",
)
FORMS = "give an address, <Client ID>#<number>, a contact_id, a MailChimp ID, or the number of a link"


def meant(who: str) -> str:
    """``who`` without blanks around it; Misconfigured unless it can name one person, before anybody is looked for.

    A search for nothing finds everybody.
    """
    who = who.strip()
    if not any(re.fullmatch(form, who, re.IGNORECASE) for form in _FORMS):
        raise Misconfigured(f'"{who[:100]}" names nobody' if who else "nobody is named", remedy=FORMS)
    return who


def find(engine: Engine, connection: Connection, services: Services, who: str) -> list[Person]:
    """Everybody meant by an address, ``<Client ID>#<number>``, contact_id, MailChimp ID or ``link <id>``.

    Usually one; more when several entries or members share an address. An empty list when nobody is known by that.
    """
    who = meant(who)
    if re.fullmatch(r"(link\s+)?\d{1,18}", who, re.IGNORECASE):
        with reading(engine) as db:
            rows = links.by_ids(db, [int(who.split()[-1])])
        ours = rows[rows["connection_id"] == connection.id].to_dict("records")
        if ours:
            return [_of_link(engine, connection, services, {str(k): v for k, v in ours[0].items()})]
    if "#" in who and "@" not in who and who.rpartition("#")[2].isdigit():
        person = by_entry(engine, connection, services, who)
        return [person] if person.entry or person.link else []
    found = _found(engine, connection, services, who)
    return list({(p.entry_id, p.contact_id): p for p in found if p.entry or p.member or p.link}.values())


def _found(engine: Engine, connection: Connection, services: Services, who: str) -> list[Person]:
    """By address, contact_id or marker: the member first, then every entry that it could be."""
    member, problem = _member(services, connection, who) if "@" in who or len(who) == 32 else (None, "")
    if member is None and not problem and "@" not in who and len(who) != 32:
        hits = services.mailchimp.members_with(connection.list_id, unique_email_id=who)
        member = hits[0] if hits else None
    link = _link(engine, connection, contact_id=str(member["contact_id"])) if member else None
    if link:
        ours = _of_link(engine, connection, services, link, member)
        return [ours, *(_others(engine, connection, services, who, ours) if "@" in who else [])]
    queries = [by_email([who])] if "@" in who else []
    if connection.marker_ref:
        marks = [str(member["unique_email_id"])] if member and member.get("unique_email_id") else []
        queries += [by_udf(connection.marker_ref, mark) for mark in [*marks, *([] if "@" in who else [who])]]
    if carried := _carried(member):
        queries.append(by_id(*carried))
    rows = services.maximizer.find(_scope(connection), any_of(queries)) if queries else []
    people = []
    for row in rows:
        entry_id = records.entry_id(row)
        linked = _link(engine, connection, entry_id=entry_id)
        found = Person(row, member, linked, entry_id, member_problem=problem)
        people.append(_of_link(engine, connection, services, linked) if linked else _known(engine, connection, found))
    # An entry that it leads to may be another member's by now: then it is asked about itself.
    if member and not any(person.contact_id == member["contact_id"] for person in people):
        people.append(_known(engine, connection, Person(None, member, None, member_problem=problem)))
    return people


def _others(engine: Engine, connection: Connection, services: Services, email: str, known: Person) -> list[Person]:
    """Entries with the address of a linked member that are not its own."""
    found = []
    for row in services.maximizer.find(_scope(connection), by_email([email])):
        entry_id, same = records.entry_id(row), text_of(row, "Email1").casefold() == email.casefold()
        if same and entry_id != known.entry_id:
            link = _link(engine, connection, entry_id=entry_id)
            other = _of_link(engine, connection, services, link) if link else None
            found.append(other or _known(engine, connection, Person(row, None, None, entry_id)))
    return found


def remembered(engine: Engine, connection: Connection, who: str) -> list[Person]:
    """Linked people as our store knows them; neither service is asked."""
    number = re.fullmatch(r"(?:link\s+)?(\d{1,18})", who.strip(), re.IGNORECASE)
    with reading(engine) as db:
        ids = set(links.named(db, connection.id, [who.strip()]).values()) | ({int(number[1])} if number else set())
        rows = links.by_ids(db, ids)
        if "@" in who:
            rows = links.holding(db, connection.id, [who.strip().lower()], [])
    ours = [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]
    return [
        _known(engine, connection, Person(link=row, entry_id=str(row["entry_id"])))
        for row in ours
        if row["connection_id"] == connection.id and row["state"] != "ended"
    ]


def _of_link(
    engine: Engine, connection: Connection, services: Services, link: Row, member: Row | None = None
) -> Person:
    entry = _entry(services, connection, str(link["entry_id"]))
    problem = ""
    if member is None:
        member, problem = _member(services, connection, str(link["contact_id"]))
    return _known(engine, connection, Person(entry, member, link, str(link["entry_id"]), member_problem=problem))


def _scope(connection: Connection) -> list[str]:
    return [*NAMES, *(ref for ref in (connection.flag_ref, connection.marker_ref) if ref)]


def _entry(services: Services, connection: Connection, entry_id: str) -> Row | None:
    return services.maximizer.entry(_scope(connection), *records.split_entry_id(entry_id))


def _member(services: Services, connection: Connection, who: str) -> tuple[Row | None, str]:
    """The member, and why it is not known."""
    if not connection.list_id:
        return None, "no list is selected yet"
    try:
        return services.mailchimp.member(connection.list_id, who), ""
    except MaxchimpError as error:
        return None, error.message


def _link(engine: Engine, connection: Connection, *, entry_id: str = "", contact_id: str = "") -> Row | None:
    with reading(engine) as db:
        found = links.named(db, connection.id, [key for key in (entry_id, contact_id) if key])
        ids = [found[key] for key in (entry_id, contact_id) if key in found]
        rows = links.by_ids(db, ids[:1]).to_dict("records")
    return {str(name): value for name, value in rows[0].items()} if rows else None


def _known(engine: Engine, connection: Connection, person: Person) -> Person:
    """The person with what our store says: link, quarantine, findings, suppression, writes in the balance."""
    link, member = person.link, person.member or {}
    contact_id = str(member.get("contact_id") or (link or {}).get("contact_id") or "")
    entry_id = person.entry_id or (records.entry_id(person.entry) if person.entry else "")
    keys = [f"member:{contact_id}", f"entry:{entry_id}", *([f"link:{link['id']}"] if link else [])]
    mails = {person.email1, str(member.get("email_address") or "")} - {""}
    with reading(engine) as db:
        waiting = parking.waiting_for(db, connection.id, [contact_id, entry_id]).to_dict("records")
        found = parking.findings_about(db, connection.id, keys)
        resting = changes.open_changes(db, connection.id)
        resting = resting[resting["contact_id"].isin([contact_id or "-"]) | resting["entry_id"].isin([entry_id or "-"])]
        reasons = [reason for mail in mails if (reason := parking.suppressed_as(db, connection.id, mail))]
    return replace(
        person,
        entry_id=entry_id,
        contact_id=contact_id,
        waiting=tuple({str(k): v for k, v in row.items()} for row in waiting),
        findings=tuple({str(k): v for k, v in row.items()} for row in found.to_dict("records")),
        suppressed=next(iter(reasons), ""),
        resting=tuple({*resting["contact_id"], *resting["entry_id"]} - {""}),
    )


def text_of(entry: Row | None, ref: str) -> str:
    """A name, an e-mail address or an alphanumeric UDF of an entry as text."""
    value = look(entry, ref)
    if isinstance(value, dict):
        value = look(value, "Address") or look(value, "Value") or look(value, "Number")
    return "" if value is None or isinstance(value, dict | list | bool) else str(value).strip()


def flag_of(person: Person, connection: Connection, yes: str = YES, no: str = NO) -> str:
    """``Yes``, ``No`` or "" (unset). ``yes``, ``no``: keys of the items of the flag."""
    if person.entry is None or not connection.flag_ref:
        return str((person.link or {}).get("flag") or "")
    item = look(person.entry, connection.flag_ref)
    item = item[0] if isinstance(item, list) and item else item
    key = look(item, "Key") if isinstance(item, dict) else item
    return {yes: "Yes", no: "No"}.get(str(key), "")


def _carried(member: Row | None) -> tuple[str, int] | None:
    """Client ID and Contact Number that a member carries (R8)."""
    merge = (member or {}).get("merge_fields") or {}
    client_id, number = str(merge.get(CLIENT_TAG) or "").strip(), str(merge.get(NUMBER_TAG, "")).strip()
    return (client_id, int(number)) if client_id and number.isdecimal() and len(number) < 10 else None
