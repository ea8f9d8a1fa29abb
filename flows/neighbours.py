"""Everybody who competes with one person: whoever could be matched with them, or holds their address or identity.

A run sees both sides as a whole; a look at one person asks for these only, by key, address and MailChimp ID, round by
round until nobody new turns up. So many questions are asked and no more (``CALLS``): beyond that the answer says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import islice

import pandas as pd
from sqlalchemy import Engine

from clients.maximizer import any_of, by_email, by_id, by_udf
from domain import records
from domain.records import Layout
from domain.values import address_key
from extract.reading import earlier, scope_of
from flows.person import Person, Row
from flows.services import Services
from storage import links
from storage.connections import Connection
from storage.engine import reading

CALLS = 24  # questions to both services for one person
OVERLAP = 60.0  # seconds before the last change that a run has seen
PEOPLE = ("Individual", "Contact")  # R4


@dataclass
class Neighbours:
    """Rows as the services sent them, None for a record that is gone. ``whole``: nobody can be missing."""

    members: dict[str, Row | None] = field(default_factory=dict)
    entries: dict[str, Row | None] = field(default_factory=dict)
    addresses: set[str] = field(default_factory=set)
    whole: bool = True


def neighbours(
    engine: Engine, connection: Connection, services: Services, layout: Layout, person: Person
) -> Neighbours:
    """The person themselves and whoever competes with them."""
    search = _Search(engine, connection, services, layout)
    if person.member is not None:
        search.take_members([person.member])
    search.want(person.contact_id, person.entry_id)
    search.go()
    while search.found.whole and search.look_at_changed():
        search.go()
    return search.found


class _Search:
    """``asked``: what was already looked for, (where, what)."""

    def __init__(self, engine: Engine, connection: Connection, services: Services, layout: Layout) -> None:
        self.engine, self.connection, self.services, self.layout = engine, connection, services, layout
        self.bare = replace(layout, mappings=())  # who somebody is, without a field
        self.found = Neighbours()
        self.calls = 0
        self.asked: set[tuple[str, str]] = set()
        self.members: set[str] = set()  # wanted by key
        self.entries: set[str] = set()
        self.marks: set[str] = set()  # values of the marker that belong to somebody here
        self.linked: dict[str, str] = {}  # entry -> member
        self.changed: list[Row] | None = None  # members, since the last run
        self.beside: dict[str, Row] = {}  # entries that a search has shown and that lead nowhere so far

    def want(self, contact_id: str, entry_id: str) -> None:
        self.members |= {contact_id} - {""}
        self.entries |= {entry_id} - {""}

    def go(self) -> None:
        """Round by round, until nobody new turns up."""
        while True:
            before = len(self.asked)
            self._take_entries(list(self.beside.values()))
            self._ask_store()
            self._ask_maximizer()
            self._ask_mailchimp()
            if len(self.asked) == before or not self.found.whole:
                return

    # ------------------------------------------------------------- what is known now

    def take_members(self, rows: Iterable[Row]) -> None:
        rows = list(rows)
        if not rows:
            return
        for row, seen in zip(rows, records.members(rows, self.bare).to_dict("records"), strict=True):
            self.found.members[str(seen["contact_id"])] = row
            self.members.add(str(seen["contact_id"]))
            self.found.addresses |= {str(address_key(pd.Series([seen["email"]]))[0])} - {""}
            self.marks |= {str(seen["unique_email_id"]), str(seen["web_id"])} - {""}
            self.entries |= {str(seen["pair"])} - {""}

    def _take_entries(self, rows: Iterable[Row]) -> None:
        """Those that belong to the question: an address that is only Email 2 or 3 leads to nobody else (R7)."""
        rows = [row for row in rows if str(records.get(row, "Type") or "") in PEOPLE]
        if not rows:
            return
        for row, seen in zip(rows, records.entries(rows, self.bare).to_dict("records"), strict=True):
            entry_id, mail = str(seen["entry_id"]), str(address_key(pd.Series([seen["email1"]]))[0])
            self.found.entries[entry_id] = row
            self.beside[entry_id] = row
            if entry_id in self.entries or mail in self.found.addresses or seen["marker"] in self.marks:
                del self.beside[entry_id]
                self.entries.add(entry_id)
                self.found.addresses |= {mail} - {""}
                self.marks |= {str(seen["marker"])} - {""}

    def _free(self) -> list[Row]:
        """Entries that a member may claim by their number: they have none, or one that is gone."""
        there = (
            self.found.entries.get(key)
            for key in self.entries
            if self.found.members.get(self.linked.get(key, "")) is None
        )
        return [row for row in there if row is not None]

    # ------------------------------------------------------------- asking

    def _new(self, where: str, what: Iterable[str]) -> list[str]:
        fresh = sorted({one for one in what if one} - {known for place, known in self.asked if place == where})
        self.asked |= {(where, one) for one in fresh}
        return fresh

    def _may_call(self) -> bool:
        self.calls += 1
        self.found.whole = self.found.whole and self.calls <= CALLS
        return self.found.whole

    def _ask_store(self) -> None:
        """Whoever is linked with somebody here, or holds an address or identity of theirs."""
        keys = self._new("links", [*self.members, *self.entries])
        addresses, marks = self._new("holders", self.found.addresses), self._new("holders", self.marks)
        if not (keys or addresses or marks):
            return
        with reading(self.engine) as db:
            ours = links.by_ids(db, links.named(db, self.connection.id, keys).values())
            if addresses or marks:
                ours = pd.concat([ours, links.holding(db, self.connection.id, addresses, marks)], ignore_index=True)
        for row in ours.to_dict("records"):
            self.want(str(row["contact_id"]), str(row["entry_id"]))
            self.linked[str(row["entry_id"])] = str(row["contact_id"])
            self.marks |= {str(row["unique_email_id"])} - {""}

    def _ask_maximizer(self) -> None:
        keys = self._new("entry", self.entries - set(self.found.entries))
        queries = [by_id(*records.split_entry_id(key)) for key in keys]
        queries += [by_udf(self.layout.marker_ref, mark) for mark in self._new("marker", self.marks)]
        if mails := self._new("e-mail", self.found.addresses):
            queries.append(by_email(mails))
        scope = scope_of(self.layout)
        if queries and self._may_call():
            self._take_entries(self.services.maximizer.find(scope, any_of(queries)))
        for key in keys:  # a search may lag, and companies are in none
            if key not in self.found.entries and self._may_call():
                row = self.services.maximizer.entry(scope, *records.split_entry_id(key))
                if row is None:
                    self.found.entries[key] = None
                else:
                    self._take_entries([row])

    def _ask_mailchimp(self) -> None:
        mailchimp, list_id = self.services.mailchimp, self.connection.list_id
        for key in self._new("member", self.members - set(self.found.members)):
            if self._may_call():
                row = mailchimp.member(list_id, key)
                self.found.members.setdefault(key, None)
                self.take_members([row] if row else [])
        known = self._known()
        for mail in self._new("address", self.found.addresses):
            if mail not in known and self._may_call() and (row := mailchimp.member(list_id, mail)):
                self.take_members([row])
        known |= self._known()
        for mark in self._new("unique_email_id", self.marks):
            if mark not in known and self._may_call():
                self.take_members(mailchimp.members_with(list_id, unique_email_id=mark))

    def _known(self) -> set[str]:
        """Addresses and identities of the members here."""
        there = [row for row in self.found.members.values() if row is not None]
        if not there:
            return set()
        seen = records.members(there, self.bare)
        return {*address_key(seen["email"]), *seen["unique_email_id"], *seen["web_id"]}

    def look_at_changed(self) -> bool:
        """Whether a member changed since the last run names an entry here by its number, which no search finds (R7)."""
        free, cursor = self._free(), self.connection.mailchimp_cursor
        if not free or not cursor:  # before the first sync that is anybody
            self.found.whole = self.found.whole and not free
            return False
        if self.changed is None:
            if not self._may_call():
                return False
            listing = self.services.mailchimp.members(self.connection.list_id, since=earlier(cursor, OVERLAP))
            self.changed = [row for page in islice(listing, 1) for row in page.rows]
            self.found.whole = self.found.whole and (listing.total_first or 0) <= len(self.changed)
        seen = records.members(self.changed, self.bare)
        wanted = records.entries(free, self.bare)
        close = seen["pair"].isin(wanted["entry_id"]) | seen["web_id"].isin(set(wanted["marker"]) - {""})
        new = close & ~seen["contact_id"].isin(self.members)
        self.take_members(row for row, fits in zip(self.changed, new, strict=True) if fits)
        return bool(new.any())
