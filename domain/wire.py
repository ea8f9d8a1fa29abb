"""Canonical values (``domain.values``) as they stand in requests: the JSON that each service takes."""

from __future__ import annotations

from calendar import isleap
from datetime import date
from decimal import Decimal
from typing import Any

from domain.countries import country_name
from domain.fields import FieldMapping, MailchimpField
from domain.values import members_of


def mailchimp_wire(field: MailchimpField, value: str) -> Any:
    """The JSON value of one canonical value in ``merge_fields`` (Mailchimp fact sheet section 9)."""
    if value == "":
        return ""
    match field.kind:
        case "number":
            exact = Decimal(value)
            plain = int(exact) if exact == exact.to_integral_value() else float(exact)
            return plain if Decimal(repr(plain)) == exact else value
        case "birthday":
            month, day = value.split("-")
            return f"{day}/{month}" if field.date_format.upper().startswith("DD") else f"{month}/{day}"
        case _:
            return value


def maximizer_wire(mapping: FieldMapping, value: str, today: date) -> Any:
    """The JSON value of one canonical value in an entry's data (Maximizer fact sheet 4.4 and 5.2)."""
    field = mapping.maximizer
    if field.kind in ("single", "yesno"):
        return [value] if value else []
    if field.kind == "multi":
        return members_of(value)
    if value == "":
        return None if field.kind in ("numeric", "date", "annual") else ""
    if field.kind == "numeric":
        exact = Decimal(value)
        return int(exact) if exact == exact.to_integral_value() else float(exact)
    if field.kind == "annual":
        year = today.year if value != "02-29" or isleap(today.year) else today.year - today.year % 4
        year = year if value != "02-29" or isleap(year) else year - 4
        return f"{year}-{value}"
    if mapping.mailchimp.kind == "country":
        return country_name(value)
    return value
