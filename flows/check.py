"""Everything that can be known before a run, one finding each; nothing is written (R41-R43, R53, R54)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import requests
from sqlalchemy import Engine

from domain.commands import here, prefix, typed
from domain.errors import Blocked, MaxchimpError, Misconfigured, Side
from domain.facts import about
from domain.fields import FieldMapping, MailchimpField, MaximizerField
from domain.quoting import quoted
from domain.records import CLIENT_TAG, EMAIL, NUMBER_TAG
from domain.settings import duration_text
from flows import outside, pair
from flows.describe import FLAG_NAMES, Audience, address_book, find_flag, find_marker, for_people, last_part
from flows.held import advice, sentence, told, unmet
from flows.prepare import NO_GROUPS, check_identity, read_list, resolve
from flows.services import Opener, Services, connect
from flows.settings import Settings, unknown_names
from flows.setup import account_summary, check_web_url
from storage import changes, connections, leases, schema
from storage.connections import Connection
from storage.engine import reading

MARKER_LENGTH = 29  # R8
USUAL_FIELD_LIMIT = 30  # merge fields of an audience on common plans, Mailchimp fact sheet section 9
UNPROVEN = (
    "insert and modify Address Book entries, modify other users' private entries, "
    "full access to all entries and mapped fields, insert for user-defined field setup"
)
State = Literal["ok", "warn", "error"]
GROUP_REMEDY = "create one in Mailchimp, or: maxchimp setup --group TITLE --option NAME"


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


Findings = Iterator[tuple[str, str]]  # (what is so, what to do about it: "" when it is as it should be)


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
            ("groups", self._groups),
            ("merge fields", self._merge_fields),
            ("mappings", self._mappings),
            ("changed mappings", self._changed),
            ("options", self._options),
            ("mandatory fields", self._mandatory),
            ("consent", self._consent),
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
        self.audience: Audience = read_list(self.services, self.known, groups=[row.mailchimp_ref for row in rows])
        self.fields = address_book(self.services.maximizer, options_of=tables)
        self.mappings = [resolve(self.engine, row, self.audience, self.fields, keep=False) for row in rows]
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

    def _groups(self) -> Findings:
        if self.audience.groups == 0:
            raise Blocked("no-groups", NO_GROUPS, remedy=GROUP_REMEDY)
        yield f"interest groups: {self.audience.groups}", ""

    def _merge_fields(self) -> Findings:
        missing = [tag for tag in (CLIENT_TAG, NUMBER_TAG) if self.audience.find(tag) is None]
        used = len({f.ref.partition(".")[0] for f in self.audience.fields if f.ref.partition(".")[0].isdigit()})
        room = f"; the audience has {used} merge fields, and many plans allow {USUAL_FIELD_LIMIT}"
        if missing:
            tight = room if used + len(missing) > USUAL_FIELD_LIMIT else ""
            raise Blocked(
                "merge-fields-missing",
                f"the merge field {' and '.join(missing)} does not exist{tight}",
                remedy="run: maxchimp setup",
            )
        yield f"{CLIENT_TAG} and {NUMBER_TAG} are there ({used} merge fields in all)", ""
        for field in self.audience.fields:
            if field.tag in (CLIENT_TAG, NUMBER_TAG) and (field.required or field.kind != "text"):
                yield f"{field.tag} is not an optional text field", "make it an optional text field in Mailchimp (R8)"

    # ---------------------------------------------------------------- mappings

    def _mappings(self) -> Findings:
        broken = [m.broken for m in self.mappings if m.broken]
        if broken:
            tag = next(m.tag for m in self.mappings if m.broken)
            raise Misconfigured(
                " ".join(broken),
                remedy=f"{typed('map', 'modify', tag, 'FIELD')}, or: {typed('map', 'remove', tag)}",
            )
        yield f"{len(self.mappings)} beside {EMAIL}, all sound", ""

    def _changed(self) -> Findings:
        """What waits for a person, and what the next sync takes in (R30)."""
        with reading(self.engine) as db:
            changed = unmet(db, self.known.id, self.mappings).changed if self.known.synced else {}
        for row in told({tag: figures for tag, figures in changed.items() if figures}):
            yield f"{sentence(row)} (run {row['run']})", advice()
        new = [tag for tag, figures in changed.items() if not figures]
        if new:
            yield f"changed since the last sync: {', '.join(new)}; the next one is full", "look first: maxchimp plan"

    def _options(self) -> Findings:
        tables = [m for m in self.mappings if m.mailchimp.kind in ("group", "radio", "dropdown") and not m.broken]
        for mapping in tables:
            lone = _lone_options(mapping)
            if lone:
                yield (
                    f"{mapping.tag} and {mapping.maximizer.name}: without a counterpart {lone}",
                    "add the option on the other side under the same name, or leave it: it is not touched (R26)",
                )
        if not any(map(_lone_options, tables)):
            yield "every option of the mapped fields has its counterpart", ""

    def _mandatory(self) -> Findings:
        mapped = {m.mailchimp.ref.partition(".")[0] for m in self.mappings if not m.broken}
        lacking: dict[str, MailchimpField] = {}  # of an address its first part
        for f in self.audience.fields:
            if f.required and f.tag != EMAIL and f.ref.partition(".")[0] not in mapped:
                lacking.setdefault(f.tag.partition(".")[0], f)
        if lacking:
            yield (
                f"mandatory in Mailchimp and not mapped: {self._filled(lacking)}; new members get a placeholder, "
                "members that exist are left alone",
                "map them, or make them optional in Mailchimp",
            )
        refs = {m.maximizer.ref for m in self.mappings if not m.broken}
        names = [f.name for f in self.fields if f.mandatory and f.ref not in refs and for_people(f)]
        if names:
            yield (
                f"mandatory in Maximizer and not mapped: {', '.join(names)}; new entries may be refused",
                "map them, or make them optional in Maximizer",
            )
        if not lacking and not names:
            yield "every mandatory field is mapped", ""

    def _filled(self, fields: Mapping[str, MailchimpField]) -> str:
        """The tags, each with the number of members that we made with a placeholder there."""
        today, reach = date.today(), duration_text(self.known.settings.retention)
        with reading(self.engine) as db:
            numbers = {
                tag: changes.placeholders(db, self.known.id, field.tag, field.placeholder(today))
                for tag, field in sorted(fields.items())
            }
        return ", ".join(f"{tag} ({number} filled in {reach})" if number else tag for tag, number in numbers.items())

    # ---------------------------------------------------------------- Mailchimp's own rules

    def _consent(self) -> Findings:
        shown = self.audience.list
        pending = self.known.settings.new_member_status == "pending"
        if shown.get("double_optin") and not pending:
            yield (
                "the list uses double opt-in, but members that we create are subscribed at once",
                "for a confirmation mail: maxchimp settings set new_member_status=pending",
            )
        if shown.get("marketing_permissions"):
            yield (
                "the list asks for marketing permissions, which are not synchronised: new members have none",
                "ask these people through Mailchimp's own form",
            )
        if not shown.get("double_optin") and not shown.get("marketing_permissions"):
            yield f"no double opt-in, no marketing permissions; new members become {self._status}", ""
        elif pending:
            yield "new members get a confirmation mail", ""

    @property
    def _status(self) -> str:
        return self.known.settings.new_member_status

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


def _lone_options(mapping: FieldMapping) -> str:
    sides = (("Mailchimp", mapping.mailchimp.options, 0), ("Maximizer", mapping.maximizer.options, 1))
    told = []
    for side, options, place in sides:
        paired = {pair[place] for pair in mapping.pairs}
        names = [option.label for option in options if option.key not in paired]
        if names:
            rest = f" and {len(names) - 5} more" if len(names) > 5 else ""
            told.append(f"{', '.join(names[:5])}{rest} ({side})")
    return "; ".join(told)


def _seconds(skew: float) -> str:
    return "agrees with ours" if abs(skew) < 2 else f"is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours"
