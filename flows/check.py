"""Everything that can be known before a run, one finding each; nothing is written (R41-R43, R53, R54)."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import requests
from sqlalchemy import Engine

from domain.commands import here, prefix
from domain.errors import Blocked, MaxchimpError, Misconfigured, Side
from domain.facts import about
from domain.fields import MaximizerField
from domain.quoting import quoted
from flows import outside, pair
from flows.check_list import Findings, ListCheck
from flows.describe import FLAG_NAMES, address_book, find_flag, find_marker, for_people, last_part
from flows.prepare import check_identity, read_list, resolve
from flows.services import Opener, Services, connect
from flows.settings import Settings, unknown_names
from flows.setup import account_summary, check_web_url
from storage import connections, leases, schema
from storage.connections import Connection

MARKER_LENGTH = 29  # R8
UNPROVEN = (
    "insert and modify Address Book entries, modify other users' private entries, "
    "full access to all entries and mapped fields, insert for user-defined field setup"
)
State = Literal["ok", "warn", "error"]


@dataclass(frozen=True)
class Finding:
    """One line of the answer. ``problem`` of an error: what a run would end with, and so the exit code."""

    name: str
    state: State
    message: str
    remedy: str = ""
    problem: MaxchimpError | None = None

    def to_json(self) -> dict[str, str]:
        return {"name": self.name, "state": self.state, "message": self.message, "remedy": self.remedy}


class Check:
    """One check of a connection. ``opener`` may mount adapters; ``now`` is our own clock."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        *,
        opener: Opener | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.settings, self.engine, self.now = settings, engine, now
        self.found: list[Finding] = []
        self.skew: dict[str, float] = {}
        self._opener = opener
        self.connection: Connection | None = None

    def run(self, progress: Callable[[str], None] = lambda text: None) -> list[Finding]:
        """All findings in the order in which things are needed; what cannot be looked at is left out."""
        with about(connection=self.settings.connection):
            return self._run(progress)

    def _run(self, progress: Callable[[str], None]) -> list[Finding]:
        if self._add("store", self._store):
            self._add("connection", self._connection)
            if self.connection:
                self._add("sync settings", self._limits)
        self._add("variables", self._variables)
        self._add("web access", self._web)
        if not self._add("settings", self._settings):
            return self.found
        progress("asking Mailchimp")
        mailchimp = self._add("mailchimp", self._mailchimp)
        progress("asking Maximizer")
        maximizer = self._add("maximizer", self._maximizer)
        if maximizer:
            self._add("user-defined fields", self._udfs)
        if mailchimp and maximizer and self.connection and self._add("identity", self._identity):
            self._add("pair", self._pair)
            progress("reading the fields of the list")
            if self._add("list", self._list):
                self._fields_and_rights()
        if self.skew:
            self._add("clocks", self._clocks)
        return self.found

    def _fields_and_rights(self) -> None:
        for name, look in (
            ("groups", self.list.groups),
            ("merge fields", self.list.merge_fields),
            ("mappings", self.list.sound),
            ("changed mappings", self.list.waiting),
            ("options", self.list.options),
            ("mandatory fields", self.list.mandatory),
            ("consent", self.list.consent),
            ("plan", self._plan),
            ("rights", self._rights),
            ("earlier connector", self._earlier),
            ("tags", self._tags),
        ):
            self._add(name, look)

    def _add(self, name: str, look: Callable[[], Findings]) -> bool:
        """Note what ``look`` finds; False when it found an error."""
        sound = True
        found = look()
        while True:
            try:
                message, remedy = next(found)
            except StopIteration:
                return sound
            except MaxchimpError as error:
                self.found.append(Finding(name, "error", error.message, error.remedy, error))
                return False
            self.found.append(Finding(name, "warn" if remedy else "ok", here(message), here(remedy)))

    # ---------------------------------------------------------------- our own side

    def _store(self) -> Findings:
        schema.require_current(self.engine)
        yield f"the store has version {schema.current(self.engine)}", ""

    def _connection(self) -> Findings:
        name = self.settings.connection
        self.connection = connections.find(self.engine, name)
        if self.connection is None:
            raise Misconfigured(f"the connection {quoted(name)} has not been set up", remedy="run: maxchimp setup")
        held = leases.held_by(self.engine, self.connection.id, self.now)
        history = "has synchronised" if self.connection.synced else "was never synchronised: the first sync asks"
        yield f"{quoted(name)} {history}{f'; in use now by {held[0]}' if held else ''}", ""

    def _limits(self) -> Findings:
        shown = self.known.settings.check().shown()
        limits = ", ".join(f"{name} {value}" for name, value in shown.items() if name.startswith("max_"))
        yield f"interval {shown['interval']}, buffer {shown['buffer_ms']} ms; guards: {limits}", ""
        off = [name for name, value in shown.items() if name.startswith("max_") and value == "100%"]
        if off:
            yield f"guards that never refuse: {', '.join(off)}", f"maxchimp settings set {off[0]}=5%"

    def _variables(self) -> Findings:
        """Names of ours that nobody reads, and a file of secrets that others read."""
        if told := outside.open_to_others():
            yield told, f"run: chmod 600 {outside.FILE}"
        known = {prefix(found.name) for found in connections.every(self.engine)} if self.connection else set()
        found = unknown_names()
        odd = {one.name for one in found}
        strays = [name for name in outside.variables() if "__" in name and not name.startswith(tuple(known))]
        if strays := [name for name in strays if known and name not in odd]:
            yield f"for a connection that there is not: {', '.join(strays)}", "correct the name, or add the connection"
        for one in found:
            if not one.meant:
                yield f"{one.name} ({one.place}) is no setting of maxchimp", "correct the name, or take it out"
        if meant := [one for one in found if one.meant]:
            told = "; ".join(f"{o.name} ({o.place}) is no setting: did you mean {o.meant}?" for o in meant)
            raise Misconfigured(told, remedy="correct the name, or take it out")

    def _web(self) -> Findings:
        check_web_url(self.settings)
        yield from ()

    def _settings(self) -> Findings:
        self.services: Services = connect(self.settings, self._dialect, opener=self._listen)
        yield "both sides are named, with credentials", ""

    @property
    def _dialect(self) -> str:
        return self.connection.dialect if self.connection else ""

    @property
    def known(self) -> Connection:
        assert self.connection is not None
        return self.connection

    # ---------------------------------------------------------------- both services

    def _listen(self, side: Side, http: requests.Session) -> None:
        """Note how far each service's clock is from ours: from the dates of its answers."""
        if self._opener:
            self._opener(side, http)

        def note(response: requests.Response, *args: Any, **more: Any) -> None:
            with suppress(ValueError, TypeError):
                self.skew[side] = parsedate_to_datetime(response.headers.get("Date", "")).timestamp() - self.now()

        http.hooks["response"].append(note)

    def _mailchimp(self) -> Findings:
        self.account = account_summary(self.services)
        yield f"signed in to the account {self.account['account'] or self.account['account_id']}", ""

    def _maximizer(self) -> Findings:
        dialect = self.services.maximizer.discover()
        session = self.services.maximizer.session_info()
        yield f"signed in to the Address Book {session['display']} as {session['user']} ({dialect.name})", ""

    def _clocks(self) -> Findings:
        told = [f"{side.capitalize()} {_seconds(skew)}" for side, skew in sorted(self.skew.items())]
        yield f"{', '.join(told)}; each side's own clock is used, they are never compared (R35)", ""

    def _identity(self) -> Findings:
        self.session = check_identity(self.known, self.services)
        yield f"account and Address Book are those of the connection: {self.known.address_book}", ""

    def _pair(self) -> Findings:
        pair.look(
            self.engine, self.known.name, self.services, pair.both(self.known, self.services, self.session), self.now
        )
        yield "list and Address Book are no other connection's", ""

    def _list(self) -> Findings:
        rows = connections.mappings(self.engine, self.known.id)
        tables = [row.maximizer_ref for row in rows if row.maximizer_ref.startswith("Udf/")]
        audience = read_list(self.services, self.known, groups=[row.mailchimp_ref for row in rows])
        self.fields = address_book(self.services.maximizer, options_of=tables)
        mappings = [resolve(self.engine, row, audience, self.fields, keep=False) for row in rows]
        self.list = ListCheck(self.engine, self.known, audience, self.fields, mappings)
        yield f"{self.known.list_name or self.known.list_id} ({self.known.list_id})", ""

    # ---------------------------------------------------------------- what set-up makes

    def _udfs(self) -> Findings:
        fields = address_book(self.services.maximizer, options_of=())
        flag, marker = find_flag(fields), find_marker(fields)
        missing = [name for name, f in (("Sync with MailChimp", flag), ("MailChimp ID", marker)) if f is None]
        if missing or flag is None or marker is None:
            raise Blocked(
                "udfs-missing",
                f"the required user-defined field {' and '.join(missing)} does not exist",
                remedy="run: maxchimp setup",
            )
        yield f"{flag.name} and {marker.name} are there", ""
        yield from self._fit(flag, marker)
        if last_part(flag.name) != FLAG_NAMES[0]:
            yield f"the flag has its other name, {flag.name}", "nothing, if the vendor's connector made it (R6)"

    @staticmethod
    def _fit(flag: MaximizerField, marker: MaximizerField) -> Findings:
        for field in (flag, marker):
            if not for_people(field):
                raise Misconfigured(
                    f"{field.name} is not available for both Individuals and Contacts",
                    remedy="change in Maximizer which entries the field applies to",
                )
        if 0 < marker.max_length < MARKER_LENGTH:
            yield f"{marker.name} takes {marker.max_length} characters", f"make it {MARKER_LENGTH} long in Maximizer"

    # ---------------------------------------------------------------- Mailchimp's own rules

    def _plan(self) -> Findings:
        plan, people = self.account["plan"] or "unknown", self.account["total_subscribers"]
        if plan == "forever_free":
            yield (
                f"a free account with {people} subscribers: its small contact limit may refuse new members",
                "compare with the limit of the plan in Mailchimp",
            )
        else:
            yield f"{plan}, {people} subscribers; Mailchimp does not tell the contact limit of the plan", ""

    # ---------------------------------------------------------------- rights and history

    def _rights(self) -> Findings:
        """What a read can prove was proven on the way here (``discover``); the rest shows at the first write (R42)."""
        yield "the service user may read entries and field definitions", ""
        if self.known.synced:
            yield "an earlier run wrote to both sides", ""
        else:
            yield f"not proven before the first write: {UNPROVEN}", "give the service user these rights in Maximizer"

    def _earlier(self) -> Findings:
        if self.known.synced:
            yield "this connection has synchronised before", ""
            return
        flag, marker = find_flag(self.fields), find_marker(self.fields)
        if flag is None or marker is None:
            return
        items = self.services.maximizer.options([flag.ref]).get(flag.ref, [])
        yes = next((key for key, label in items if label.strip().casefold() == "yes"), "2")
        where = {flag.ref: {"$IN": [yes]}}
        page = next(iter(self.services.maximizer.people([marker.ref], where=where, page_size=100)), [])
        if any(row.get(marker.ref) for row in page):
            yield (
                "entries carry markers already: another connector has synchronised this Address Book",
                "stop the old Maximizer Connect service first; its markers are recognised, nobody is made twice (R53)",
            )
        else:
            yield "no traces of one", ""

    def _tags(self) -> Findings:
        yield "Mailchimp tags are not synchronised (out of scope for now)", ""


def _seconds(skew: float) -> str:
    return "agrees with ours" if abs(skew) < 2 else f"is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours"
