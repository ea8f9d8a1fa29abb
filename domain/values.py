"""Canonical forms of values and the encoders between both sides: one per field kind and direction.

A canonical value is a text; "" means explicitly empty, NA means unknown (R29). Every function takes and returns
pandas Series of dtype ``str`` and works on whole columns; a costly step runs once per distinct value.

Canonical forms:  text, zip, url, phone ... the cleaned text (NFC, outer blanks cut) · number ``-12.5`` ·
date ``YYYY-MM-DD`` · birthday and annual dates ``MM-DD`` · country ISO 3166 alpha-2 where recognised ·
radio and drop-down the label · single-value table the item key · group and multi-value table a sorted JSON list
of interest ids or item keys.
"""

from __future__ import annotations

import json
import re
from calendar import isleap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import pandas as pd

from domain.countries import country_code, country_codes
from domain.fields import FieldMapping, MailchimpField, MaximizerField
from domain.quoting import quoted

TEXT_BYTES = 255  # Mailchimp cuts longer texts silently (Mailchimp fact sheet section 9)
# Refuses what cannot be an address without judging what may: one @, a dot in the domain, no blanks.
EMAIL = r"^[^@\s,;<>()\[\]\"]+@[^@\s,;<>()\[\]\".]+(?:\.[^@\s,;<>()\[\]\".]+)+$"
_URL = r"^(?i:https?)://[^\s/?#.]+(?:\.[^\s/?#.]+)*\.[^\s/?#.]{2,}(?::[0-9]+)?(?:[/?#]\S*)?$"
_DATE = r"^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])$"


@dataclass(frozen=True)
class Encoded:
    """What a target would store. ``value`` canonical for the target, NA where ``problem`` says why it cannot.

    ``note`` names what is left out although the rest can be stored (options without a counterpart, R26).
    """

    value: pd.Series
    problem: pd.Series
    note: pd.Series


def texts(values: Iterable[Any], index: pd.Index | None = None) -> pd.Series:
    """A Series of dtype str from Python values (None and NaN become NA)."""
    listed = list(values)
    try:
        return pd.Series(listed, index=index, dtype="str")
    except UnicodeEncodeError:  # half a character: a service cut a text in the middle of one
        return pd.Series([_whole(v) if isinstance(v, str) else v for v in listed], index=index, dtype="str")


def _whole(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def per_distinct(series: pd.Series, function: Callable[[str], Any]) -> pd.Series:
    """The function's answer for each value, computed once per distinct value; NA stays NA, None becomes NA."""
    known = series.dropna()
    table = {value: function(value) for value in known.unique()}
    return texts(known.map(table.get).reindex(series.index), series.index)


def clean(series: pd.Series) -> pd.Series:
    """Text without outer blanks, in Unicode form NFC, with LF line ends (C2: no ping-pong over looks)."""
    cleaned = series.str.replace("\r\n", "\n", regex=False).str.strip()
    odd = ~cleaned.str.isascii() & cleaned.notna()
    if odd.any():
        cleaned = cleaned.mask(odd, cleaned[odd].str.normalize("NFC").str.strip().reindex(cleaned.index))
    return cleaned


def address_key(series: pd.Series) -> pd.Series:
    """What Mailchimp treats as one address: outer blanks cut, ASCII letters in lower case (hazard B2)."""
    stripped = series.fillna("").str.strip()
    ascii_only = stripped.str.isascii()
    lowered = stripped.str.lower()
    return lowered if ascii_only.all() else lowered.where(ascii_only, per_distinct(stripped, ascii_lower))


def ascii_lower(text: str) -> str:
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text.strip())


# ------------------------------------------------------------------ canonical forms


def canonical_mailchimp(field: MailchimpField, raw: pd.Series) -> pd.Series:
    """Canonical values of a Mailchimp field; ``raw`` holds texts, groups a JSON list of the chosen ids."""
    match field.kind:
        case "number" | "source_number":
            return per_distinct(clean(raw), number)
        case "birthday":
            day_first = field.date_format.upper().startswith("DD")
            return per_distinct(clean(raw), lambda text: month_day(text, day_first=day_first))
        case "date" | "source_date":
            return per_distinct(clean(raw), calendar_day)
        case "country":
            return per_distinct(clean(raw), country_code)
        case "phone" if field.phone_format.upper() == "US":
            return us_phone(clean(raw)).fillna(clean(raw))
        case "group":
            return raw
        case _:
            return clean(raw)


def canonical_maximizer(field: MaximizerField, raw: pd.Series, *, country: bool = False) -> pd.Series:
    """Canonical values of a Maximizer field; tables come as a JSON list of item keys.

    ``country``: the field is mapped to a country, so both sides compare as ISO codes (R28).
    """
    match field.kind:
        case "numeric":
            return per_distinct(clean(raw), number)
        case "date":
            return per_distinct(clean(raw), calendar_day)
        case "annual":
            return per_distinct(clean(raw), month_day)
        case "single" | "yesno":
            return per_distinct(raw, lambda text: next(iter(json.loads(text)), "") if text else "")
        case "multi":
            return raw
        case _ if country:
            return per_distinct(clean(raw), country_code)
        case _:
            return clean(raw)


def number(text: str) -> str:
    """``1.50`` -> ``1.5``; a text that is no number stays as it is, for the checks to name."""
    if not text:
        return ""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return text
    if not value.is_finite() or "_" in text:
        return text
    shown = format(value.normalize(), "f") if value else "0"
    return shown


def calendar_day(text: str) -> str:
    """The date part of an ISO date or date-time; anything else stays as it is."""
    return text[:10] if re.match(_DATE, text[:10]) and (len(text) == 10 or text[10] in "T ") else text


def month_day(text: str, *, day_first: bool = False) -> str:
    """``MM-DD`` of ``MM/DD``, ``DD/MM``, ``MM-DD``, ``--MM-DD`` or an ISO date (Maximizer fact sheet 5.3)."""
    if found := re.match(r"^[0-9]{4}-([0-9]{2})-([0-9]{2})", text):
        return f"{found[1]}-{found[2]}"
    if found := re.match(r"^(?:--)?([0-9]{1,2})[-/]([0-9]{1,2})$", text):
        first, second = int(found[1]), int(found[2])
        month, day = (second, first) if day_first and "/" in text else (first, second)
        if 1 <= month <= 12 and 1 <= day <= 31:
            return f"{month:02d}-{day:02d}"
    return text


def us_phone(series: pd.Series) -> pd.Series:
    """``NNN-NNN-NNNN`` of ten digits in any dress, with or without country code 1; "" stays, else NA (R25)."""
    digits = series.str.replace(r"[\s().+/\u2010-\u2015-]", "", regex=True)
    digits = digits.str.replace(r"^1([0-9]{10})$", r"\1", regex=True)
    good = digits.str.fullmatch(r"[2-9][0-9]{9}").fillna(False).astype(bool)
    shown = digits.str.replace(r"^([0-9]{3})([0-9]{3})([0-9]{4})$", r"\1-\2-\3", regex=True)
    return shown.where(good | (series == ""))


# ------------------------------------------------------------------ towards Mailchimp


def to_mailchimp(mapping: FieldMapping, values: pd.Series) -> Encoded:
    """What Mailchimp would store for canonical Maximizer values (R21, R25, R28)."""
    field = mapping.mailchimp
    match field.kind:
        case "radio" | "dropdown":
            return _single(mapping, values, {b: a for a, b in mapping.pairs}, mapping.maximizer.options)
        case "group":
            return _group(mapping, values)
        case "birthday":
            day = per_distinct(values, month_day)
            return _checked(day, _real(day, "2000-"), "not a month and day", values)
        case "date":
            return _checked(values, _real(values), "not a date with a year")
        case "number":
            return _checked(values, _exact(values), "not a number of at most 15 digits")
        case "zip":
            return _checked(values, (values == "") | values.str.fullmatch("[0-9]{5}"), "not a US zip code of 5 digits")
        case "phone" if field.phone_format.upper() == "US":
            shown = us_phone(values)
            return _checked(shown, shown.notna(), "not a US phone number", values)
        case "url" | "imageurl":
            fits = values.str.fullmatch(_URL) & _fits_bytes(values)
            return _checked(values, (values == "") | fits, f"not a web address of at most {TEXT_BYTES} bytes")
        case "country":
            code = per_distinct(values, country_code)
            return _checked(code, (code == "") | code.isin(country_codes()), "not a country that has an ISO code")
        case "email":
            return _checked(values, (values == "") | values.str.fullmatch(EMAIL), "not an e-mail address")
        case _:
            return _checked(values, _fits_bytes(values), f"longer than {TEXT_BYTES} bytes")


# ------------------------------------------------------------------ towards Maximizer


def to_maximizer(mapping: FieldMapping, values: pd.Series, current: pd.Series, today: date) -> Encoded:
    """What Maximizer would store for canonical Mailchimp values; ``current`` is what it holds now (R24, R26, R28)."""
    field = mapping.maximizer
    match mapping.mailchimp.kind:
        case "radio" | "dropdown":
            return _single(mapping, values, dict(mapping.pairs), mapping.mailchimp.options)
        case "group":
            return _table(mapping, values, current)
        case "birthday" if field.kind == "date":
            return _birthday(values, current, today)
    if field.kind == "annual":
        day = per_distinct(values, month_day)
        return _checked(day, _real(day, "2000-"), "not a month and day", values)
    if field.kind == "date":
        return _checked(values, _real(values), "not a date")
    if field.kind == "numeric":
        most = 15 if field.decimals is None else field.decimals
        fits = _exact(values) & ~values.str.fullmatch(rf".*\.[0-9]{{{most + 1},}}").fillna(False).astype(bool)
        return _checked(values, fits, f"not a number of at most 15 digits and {most} decimals")
    if field.max_length:
        long = values.str.len() > field.max_length
        return _checked(values, ~long.fillna(False).astype(bool), f"longer than {field.max_length} characters")
    return _checked(values, values.notna(), "")


def _checked(value: pd.Series, good: pd.Series, problem: str, given: pd.Series | None = None) -> Encoded:
    """``given``: the values before encoding, where an encoder answers NA for what it cannot encode."""
    unknown = (value if given is None else given).isna()
    good = good.fillna(False).astype(bool) | unknown
    problems = pd.Series("", index=value.index, dtype="str").mask(~good, problem)
    return Encoded(value.where(good), problems, pd.Series("", index=value.index, dtype="str"))


def _real(values: pd.Series, before: str = "") -> pd.Series:
    """Where a text is empty or a day of the calendar, once ``before`` stands in front of it."""

    def real(text: str) -> str:
        try:
            return str(date.fromisoformat(before + text)) if re.match(_DATE, before + text) else ""
        except ValueError:
            return ""

    return (values == "") | (per_distinct(values, real) != "")


def _exact(values: pd.Series) -> pd.Series:
    """Where a text is empty or a number that arrives unharmed: JSON numbers carry 15 digits for certain."""

    def exact(text: str) -> str:
        plain = re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text)
        return "x" if plain and len(text.lstrip("-0.").replace(".", "")) <= 15 else ""

    return (values == "") | (per_distinct(values, exact) == "x")


def _fits_bytes(values: pd.Series) -> pd.Series:
    long = values.str.len() > TEXT_BYTES // 4
    if not long.fillna(False).any():
        return values.notna()
    return values.map(lambda text: isinstance(text, str) and len(text.encode()) <= TEXT_BYTES).astype(bool)


def _single(mapping: FieldMapping, values: pd.Series, table: dict[str, str], options: tuple[Any, ...]) -> Encoded:
    value = per_distinct(values, lambda key: table.get(key) if key else "")
    missing = values.notna() & value.isna()
    labels = {option.key: option.label for option in options}
    problem = pd.Series("", index=values.index, dtype="str")
    if missing.any():
        told = per_distinct(values, lambda key: f"no option {quoted(labels.get(key, key))} there")
        problem = problem.mask(missing, told)
    return Encoded(value, problem, pd.Series("", index=values.index, dtype="str"))


def _group(mapping: FieldMapping, values: pd.Series) -> Encoded:
    """Item keys -> interest ids. A radio or drop-down group holds one: two are withheld (R26)."""
    table = {b: a for a, b in mapping.pairs}
    one_only = mapping.mailchimp.group_type in ("radio", "dropdown")
    value = per_distinct(values, lambda text: as_set(table[k] for k in members_of(text) if k in table))
    several = per_distinct(value, lambda text: "x" if one_only and len(members_of(text)) > 1 else "")
    problem = several.fillna("").mask(several == "x", "more than one option for a group that takes one")
    return Encoded(value.where(problem == ""), problem, _unpaired(mapping.maximizer.options, values, table))


def _table(mapping: FieldMapping, values: pd.Series, current: pd.Series) -> Encoded:
    """Interest ids -> item keys, together with the keys that have no counterpart and stay (R26)."""
    table = dict(mapping.pairs)
    paired = set(table.values())
    mine = per_distinct(values, lambda text: as_set(table[k] for k in members_of(text) if k in table))
    kept = per_distinct(current.fillna(""), lambda text: as_set(k for k in members_of(text) if k not in paired))
    whole = mine + "\n" + kept
    both = per_distinct(whole, lambda text: as_set(k for part in text.split("\n") for k in members_of(part)))
    empty = pd.Series("", index=values.index, dtype="str")
    return Encoded(both, empty, _unpaired(mapping.mailchimp.options, values, table))


def _unpaired(options: tuple[Any, ...], values: pd.Series, table: dict[str, str]) -> pd.Series:
    labels = {option.key: option.label for option in options}

    def named(text: str) -> str:
        left = [labels.get(key, key) for key in members_of(text) if key not in table]
        return f"no option {', '.join(map(repr, left))} there" if left else ""

    return per_distinct(values.fillna(""), named)


def _birthday(values: pd.Series, current: pd.Series, today: date) -> Encoded:
    """Month and day to a full date (R24): the year Maximizer holds when the day is the same, else this year.

    29 February takes the last leap year, never another day.
    """
    leap = next(year for year in range(today.year, today.year - 9, -1) if isleap(year))
    dated = str(today.year) + "-" + values
    dated = dated.mask(values == "02-29", f"{leap}-02-29").mask(values == "", "")
    same_day = (current.str[-5:] == values) & current.str.fullmatch(_DATE).fillna(False).astype(bool)
    value = dated.mask(same_day, current)
    return _checked(value, _real(value), "not a month and day")


def members_of(text: str) -> list[str]:
    """The members of a canonical set (a JSON list)."""
    return list(json.loads(text)) if text else []


def labelled(text: str, labels: Mapping[str, str]) -> str:
    """A canonical value as people see it: the labels of its keys. A label may look like a list itself."""
    try:
        keys = members_of(text) if text.startswith("[") and text not in labels else [text]
    except ValueError:
        keys = [text]
    return ", ".join(labels.get(str(key), str(key)) for key in keys)


def as_set(members: Iterable[str]) -> str:
    """Canonical set of texts: sorted JSON list, "" when there are none."""
    chosen = sorted(set(members))
    return json.dumps(chosen, ensure_ascii=False, separators=(",", ":")) if chosen else ""


def paired_only(mapping: FieldMapping, values: pd.Series, side: str) -> pd.Series:
    """Sets reduced to options that have a counterpart: the only part that two sides can agree on (R26)."""
    if mapping.mailchimp.kind != "group":
        return values
    return per_distinct(values, lambda text: only_paired(mapping, text, side))


def only_paired(mapping: FieldMapping, text: str, side: str) -> str:
    """The same of one value."""
    if mapping.mailchimp.kind != "group":
        return text
    keep = {pair[0 if side == "mailchimp" else 1] for pair in mapping.pairs}
    return as_set(key for key in members_of(text) if key in keep)
