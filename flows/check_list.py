"""What can be known of a list, its fields and its mappings before a run (R22, R26, R27, R30, R41, R54)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Engine

from domain.commands import typed
from domain.errors import Blocked, Misconfigured
from domain.fields import FieldMapping, MailchimpField, MaximizerField
from domain.records import CLIENT_TAG, EMAIL, NUMBER_TAG
from domain.settings import duration_text
from flows.describe import Audience, for_people
from flows.held import advice, sentence, told, unmet
from flows.prepare import NO_GROUPS
from storage import changes
from storage.connections import Connection
from storage.engine import reading

USUAL_FIELD_LIMIT = 30  # merge fields of an audience on common plans, Mailchimp fact sheet section 9
GROUP_REMEDY = "create one in Mailchimp, or: maxchimp setup --group TITLE --option NAME"

Findings = Iterator[tuple[str, str]]  # (what is so, what to do about it: "" when it is as it should be)


@dataclass(frozen=True)
class ListCheck:
    """The selected list, the fields of both sides and the mappings between them, as they are now."""

    engine: Engine
    known: Connection
    audience: Audience
    fields: Sequence[MaximizerField]
    mappings: Sequence[FieldMapping]

    def groups(self) -> Findings:
        if self.audience.groups == 0:
            raise Blocked("no-groups", NO_GROUPS, remedy=GROUP_REMEDY)
        yield f"interest groups: {self.audience.groups}", ""

    def merge_fields(self) -> Findings:
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

    def sound(self) -> Findings:
        broken = [m.broken for m in self.mappings if m.broken]
        if broken:
            tag = next(m.tag for m in self.mappings if m.broken)
            raise Misconfigured(
                " ".join(broken),
                remedy=f"{typed('map', 'modify', tag, 'FIELD')}, or: {typed('map', 'remove', tag)}",
            )
        yield f"{len(self.mappings)} beside {EMAIL}, all sound", ""

    def waiting(self) -> Findings:
        """What waits for a person, and what the next sync takes in (R30)."""
        with reading(self.engine) as db:
            changed = unmet(db, self.known.id, self.mappings).changed if self.known.synced else {}
        for row in told({tag: figures for tag, figures in changed.items() if figures}):
            yield f"{sentence(row)} (run {row['run']})", advice()
        new = [tag for tag, figures in changed.items() if not figures]
        if new:
            yield f"changed since the last sync: {', '.join(new)}; the next one is full", "look first: maxchimp plan"

    def options(self) -> Findings:
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

    def mandatory(self) -> Findings:
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

    def consent(self) -> Findings:
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
