"""The fields of both sides in the project's own words, from what the services say of themselves."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from clients.mailchimp import Mailchimp
from clients.maximizer import Maximizer
from domain.errors import Misconfigured
from domain.fields import MailchimpField, MaximizerField, Option, compatible, kinds

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


@dataclass(frozen=True)
class Audience:
    """The list as it is now: fields by tag (merge fields, address parts, groups, sources) and the raw list object."""

    list: Mapping[str, Any]
    fields: tuple[MailchimpField, ...]
    groups: int

    def find(self, tag: str) -> MailchimpField | None:
        return next((field for field in self.fields if field.tag.casefold() == tag.casefold()), None)


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
    return name.replace("/", "\\").rpartition("\\")[2].strip().casefold()


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
    wanted = text.strip().replace("/", "\\").casefold()
    exact = [f for f in fields if f.name.casefold() == wanted or f.ref.replace("/", "\\").casefold() == wanted]
    hits = exact or [f for f in fields if last_part(f.name) == wanted]
    if len(hits) == 1:
        return hits[0]
    near = hits or [f for f in fields if wanted and (wanted in f.name.casefold() or last_part(f.name) in wanted)]
    listed = ", ".join(f.name for f in (near or fields)[:12])
    problem = "is ambiguous" if len(hits) > 1 else "is not a field of the Address Book"
    raise Misconfigured(f"{text!r} {problem}", remedy=f"choose one of: {listed} (maxchimp fields lists all)")


def find_tag(known: Audience, text: str) -> MailchimpField:
    """The Mailchimp field of a tag; Misconfigured lists candidates."""
    hit = known.find(text.strip())
    if hit is not None:
        return hit
    wanted = text.strip().casefold()
    parts = [f.tag for f in known.fields if f.tag.casefold().startswith(f"{wanted}.")]
    if parts:
        raise Misconfigured(
            f"{text!r} is an address: its parts are mapped one by one", remedy=f"choose one of: {', '.join(parts)}"
        )
    listed = ", ".join(f.tag for f in known.fields)
    raise Misconfigured(f"{text!r} is not a field of the list", remedy=f"choose one of: {listed}")


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
