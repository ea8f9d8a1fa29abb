"""The fields of both sides in the project's own words, from what the services say of themselves."""

from __future__ import annotations

import re
import shlex
import tomllib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from clients.mailchimp import Mailchimp
from clients.maximizer import Maximizer
from domain.errors import Misconfigured
from domain.fields import MailchimpField, MaximizerField, Option, compatible, kinds
from domain.quoting import quoted, visible

SOURCES = {
    "@status": ("Subscription status", "source"),
    "@rating": ("Member rating", "source_number"),
    "@opt_in": ("Opt-in date", "source_date"),
    "@last_changed": ("Last change", "source_date"),
    "@unsubscribe_reason": ("Unsubscribe reason", "source"),
    "@language": ("Language", "source"),
}
FLAG_NAMES = ("sync with mailchimp", "sync to mailchimp")  # R6
MARKER_NAME = "mailchimp id"
FOLDER = "MailChimp"
PEOPLE = ("Individual", "Contact")
CANDIDATES = 12
T = TypeVar("T")


@dataclass(frozen=True)
class Audience:
    """The list as it is now: fields by tag (merge fields, address parts, groups, sources) and the raw list object."""

    list: Mapping[str, Any]
    fields: tuple[MailchimpField, ...]
    groups: int

    def find(self, tag: str) -> MailchimpField | None:
        return next(iter(same_tag(self.fields, tag, lambda field: field.tag)), None)


def audience(mailchimp: Mailchimp, list_id: str, *, groups: Sequence[str] | None = None) -> Audience:
    """Read the list's fields. ``groups``: ids of the categories whose options are needed (None: all)."""
    found = [MailchimpField("EMAIL", "EMAIL", "Email Address", "email", required=True)]
    for row in mailchimp.merge_fields(list_id):
        found += _merge_field(row)
    categories = mailchimp.groups(list_id)
    for row in categories:
        ref = str(row["id"])
        wanted = groups is None or ref in groups
        options = mailchimp.options(list_id, ref) if wanted else []
        choices = tuple(Option(str(option["id"]), str(option["name"])) for option in options)
        title = str(row["title"])
        group_type = str(row.get("type") or "checkboxes")
        found.append(MailchimpField(f"group:{title}", ref, title, "group", options=choices, group_type=group_type))
    found += [MailchimpField(tag, tag, name, kind) for tag, (name, kind) in SOURCES.items()]
    return Audience(mailchimp.list(list_id), tuple(found), len(categories))


def _merge_field(row: Mapping[str, Any]) -> list[MailchimpField]:
    tag, name, kind = str(row["tag"]), str(row.get("name") or row["tag"]), str(row["type"])
    options = row.get("options") or {}
    choices = tuple(Option(str(choice), str(choice)) for choice in options.get("choices") or ())
    common: dict[str, Any] = {
        "required": bool(row.get("required")),
        "options": choices,
        "date_format": str(options.get("date_format") or ""),
        "phone_format": str(options.get("phone_format") or ""),
    }
    ref = str(row["merge_id"])
    if kind != "address":
        return [MailchimpField(tag, ref, name, kind, **common)]
    return [
        MailchimpField(
            f"{tag}.{part}", f"{ref}.{part}", f"{name}: {part}", "country" if part == "country" else "address", **common
        )
        for part in kinds()["address"]["parts"]
    ]


@cache
def basic_fields() -> tuple[MaximizerField, ...]:
    rows = tomllib.loads(files("data").joinpath("basic_fields.toml").read_text("utf-8"))["field"]
    return tuple(
        MaximizerField(
            r["name"], r["ref"], r.get("kind", "alphanumeric"), basic=True, max_length=r.get("max_length", 0)
        )
        for r in rows
    )


def address_book(maximizer: Maximizer, *, options_of: Sequence[str] | None = None) -> tuple[MaximizerField, ...]:
    """Basic fields and UDFs of people. ``options_of``: refs of the tables whose items are needed (None: all)."""
    rows = maximizer.fields()
    lengths = {str(row["ref"]): int((row.get("attributes") or {}).get("MaxLength") or 0) for row in rows}
    basics = (replace(f, max_length=lengths.get(f.ref) or f.max_length) for f in basic_fields())
    udfs = [row for row in rows if str(row["ref"]).startswith("Udf/") and not row.get("inactive")]
    tables = [
        str(row["ref"])
        for row in udfs
        if "enum" in str(row["type"]).casefold() or "dictionary" in str(row["type"]).casefold()
    ]
    wanted = tables if options_of is None else [ref for ref in tables if ref in options_of]
    items = maximizer.options(wanted) if wanted else {}
    return (*basics, *(_udf(row, items.get(str(row["ref"]), [])) for row in udfs))


def _udf(row: Mapping[str, Any], items: Sequence[tuple[str, str]]) -> MaximizerField:
    attributes = row.get("attributes") or {}
    return MaximizerField(
        name=str(row["name"]),
        ref=str(row["ref"]),
        kind=_kind(str(row["type"]), attributes),
        options=tuple(Option(key, label) for key, label in items),
        max_length=int(attributes.get("MaxLength") or 0),
        decimals=None if attributes.get("DecimalPlaces") is None else int(attributes["DecimalPlaces"]),
        applies_to=tuple(row.get("applies_to") or ()),
        mandatory=bool(row.get("mandatory")),
        writable=bool(row.get("assignable", True)),
    )


def _kind(type_name: str, attributes: Mapping[str, Any]) -> str:
    """Maximizer fact sheet 5.2; before API 2.4 ``EnumField`` was called ``TxDictionary``."""
    name = type_name.casefold()
    if name.startswith(("enumfield", "txdictionary")):
        return "yesno" if attributes.get("YesNo") else "multi" if attributes.get("MultiSelect") else "single"
    if name.startswith("datetimefield"):
        return "annual" if attributes.get("IgnoreYear") else "date"
    if name.startswith(("numericfield", "integerfield", "currencyfield")):
        return "numeric"
    return "alphanumeric" if name.startswith("stringfield") else "other"


def last_part(name: str) -> str:
    """A name without its folder. Only a backslash ends a folder: people write a slash in the names of their fields."""
    return folded(name).rpartition("\\")[2]


def find_flag(fields: Sequence[MaximizerField]) -> MaximizerField | None:
    """The UDF Sync with MailChimp, under either of its names, in the folder MailChimp first (R6)."""
    return _ours(fields, FLAG_NAMES, "yesno")


def find_marker(fields: Sequence[MaximizerField]) -> MaximizerField | None:
    return _ours(fields, (MARKER_NAME,), "alphanumeric")


def _ours(fields: Sequence[MaximizerField], names: Sequence[str], kind: str) -> MaximizerField | None:
    hits = [f for name in names for f in fields if last_part(f.name) == name and f.kind == kind and not f.basic]
    in_folder = [f for f in hits if f.name.casefold().startswith(FOLDER.casefold())]
    return next(iter(in_folder or hits), None)


def find_field(fields: Sequence[MaximizerField], text: str) -> MaximizerField:
    r"""The field meant by ``LastName``, ``Address.City`` or ``Folder\Name``; Misconfigured lists candidates."""
    hits = _meant(fields, text)
    if len(hits) == 1:
        return hits[0]
    wanted = folded(text)
    near = hits or [f for f in fields if wanted and (wanted in folded(f.name) or last_part(f.name) in wanted)]
    listed = to_choose(near or fields, fields)
    problem = "is ambiguous" if hits else "is not a field of the Address Book"
    raise Misconfigured(f"{quoted(text)} {problem}", remedy=f"choose one of: {listed} (all of them: maxchimp fields)")


def _meant(fields: Sequence[MaximizerField], text: str) -> list[MaximizerField]:
    """All fields that a text may mean, by the closest way of writing that any of them has.

    A basic field comes before a UDF that was given its name.
    """
    loose = folded(text)
    ways: tuple[Callable[[MaximizerField], bool], ...] = (
        lambda f: f.name == text,
        lambda f: f.ref == text,
        lambda f: loose in (folded(f.name), folded(f.ref)),
        lambda f: _upright(loose) in (_upright(folded(f.name)), _upright(folded(f.ref))),
        lambda f: last_part(f.name) == loose,
    )
    for way in ways:
        if hits := [f for f in fields if way(f)]:
            return [f for f in hits if f.basic] or hits
    return []


def folded(name: str) -> str:
    """A name however it is typed: case, blanks around its steps, and how an accent is composed do not matter."""
    return re.sub(r"\s*([\\:])\s*", r"\1", unicodedata.normalize("NFC", name)).strip().casefold()


def _upright(name: str) -> str:
    return name.replace("\\", "/")


def spelling(field: MaximizerField, fields: Sequence[MaximizerField]) -> str:
    """What FIELD is to mean this field, also copied from a list: its name, or its key where the name is not enough.

    It is not where another field has the same name, and where a list cannot show all of it (outer blanks that matter,
    control characters).
    """
    shown = field.name.strip()
    plain = visible(shown) == shown and "\n" not in shown
    return shown if plain and _meant(fields, shown) == [field] else field.ref


def to_choose(some: Sequence[MaximizerField], fields: Sequence[MaximizerField]) -> str:
    """Some of these fields as a command line takes them."""
    listed = ", ".join(shlex.quote(spelling(f, fields)) for f in some[:CANDIDATES])
    return listed + (f" and {len(some) - CANDIDATES} more" if len(some) > CANDIDATES else "")


def find_tag(known: Audience, text: str) -> MailchimpField:
    """The Mailchimp field of a tag; Misconfigured lists candidates."""
    hits = same_tag(known.fields, text, lambda f: f.tag)
    if len(hits) == 1:
        return hits[0]
    if hits:
        listed = ", ".join(shlex.quote(f.tag) for f in hits)
        raise Misconfigured(f"{quoted(text)} is ambiguous", remedy=f"choose one of: {listed}")
    wanted = folded(text)
    parts = [f.tag for f in known.fields if f.kind in ("address", "country") and folded(f.tag).startswith(f"{wanted}.")]
    if parts:
        raise Misconfigured(
            f"{quoted(text)} is an address: its parts are mapped one by one",
            remedy=f"choose one of: {', '.join(parts)}",
        )
    listed = ", ".join(shlex.quote(f.tag) for f in known.fields)
    raise Misconfigured(f"{quoted(text)} is not a field of the list", remedy=f"choose one of: {listed}")


def same_tag(rows: Sequence[T], text: str, tag: Callable[[T], str]) -> list[T]:
    """The rows whose tag a text means: the exact one, else those that differ in case, blanks and accents only."""
    return [row for row in rows if tag(row) == text] or [row for row in rows if folded(tag(row)) == folded(text)]


def may_map(mailchimp: MailchimpField, maximizer: MaximizerField) -> bool:
    """Whether the two go together: kinds (R21), a UDF that people have; a read-only source goes to UDFs only (R52).

    The two UDFs of ours hold the flag and the marker and nothing else.
    """
    if mailchimp.kind.startswith("source") and maximizer.basic:
        return False
    ours = not maximizer.basic and last_part(maximizer.name) in (*FLAG_NAMES, MARKER_NAME)
    return maximizer.writable and not ours and for_people(maximizer) and maximizer.kind in compatible(mailchimp.kind)


def for_people(field: MaximizerField) -> bool:
    """Whether Individuals and Contacts have the field."""
    listed = {name.casefold() for name in field.applies_to}
    return field.basic or not listed or "abentry" in listed or {name.casefold() for name in PEOPLE} <= listed
