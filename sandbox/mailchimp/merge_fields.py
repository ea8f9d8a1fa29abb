"""Merge fields: their definitions, and what each type takes, stores and refuses (Mailchimp fact sheet section 9).

Where the sheet knows no rule the stricter reading is taken: a client that pleases this module pleases the service.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

TYPES = (
    "text",
    "number",
    "address",
    "phone",
    "date",
    "url",
    "imageurl",
    "radio",
    "dropdown",
    "birthday",
    "zip",
)
DEFAULT_OPTIONS: dict[str, dict[str, Any]] = {
    "text": {"size": 25},
    "address": {"default_country": 164},
    "date": {"date_format": "MM/DD/YYYY"},
    "birthday": {"date_format": "MM/DD"},
    "phone": {"phone_format": "none"},
}
MAX_TAG = 10
MAX_BYTES = 255
ADDRESS_KEYS = ("addr1", "addr2", "city", "state", "zip", "country")
ADDRESS_NEEDS = ("addr1", "city", "state", "zip")

ENTER_VALUE = "Please enter a value"
ENTER_NUMBER = "Please enter a number"
ENTER_DATE = "Please enter the date"
ENTER_BIRTHDAY = "Please enter a month (01-12) and a day (01-31)"
ENTER_ADDRESS = "Please enter a complete address"
ENTER_ZIP = "Please enter a zip code (5 digits)"
ENTER_URL = "That is not a valid URL"
ENTER_PHONE = "Please enter a valid phone number"  # (assumed)


class FieldError(ValueError):
    """A value that the field does not take; the text is the API's message."""


@dataclass(frozen=True)
class MergeField:
    """`merge_id` never changes; `tag` is in upper case, at most 10 characters. EMAIL is no merge field."""

    merge_id: int
    tag: str
    name: str
    type: str
    required: bool = False
    public: bool = True
    default_value: str = ""
    help_text: str = ""
    display_order: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def choices(self) -> list[str]:
        return list(self.options.get("choices", ()))


def clean(definition: MergeField, value: Any) -> Any:
    """The value as it is stored and read back; "" clears a field of any type. Raises FieldError.

    `value` is a string, a number, or an object: other JSON types never come this far (`sandbox.mailchimp.schema`).
    """
    return "" if value == "" else _CLEANERS[definition.type](definition, value)


def missing(definition: MergeField) -> str:
    """The message for a required field without a value."""
    return {"date": ENTER_DATE, "address": ENTER_ADDRESS}.get(definition.type, ENTER_VALUE)


def incomplete(value: Any) -> bool:
    """Whether a stored address lacks a part: later writes then fail although they do not touch it."""
    return isinstance(value, dict) and not all(value.get(part) for part in ADDRESS_NEEDS)


def as_any_string(value: Any) -> Any:
    """What `skip_merge_validation` lets in: anything, texts cut to their 255 bytes."""
    if isinstance(value, dict):
        return {key: str(value.get(key, "")) for key in ADDRESS_KEYS}
    return cut(_string(value))


def cut(text: str) -> str:
    """Longer than 255 bytes is cut without a word, never inside a character.

    >>> len(cut("ü" * 200))
    127
    """
    return text if len(text) <= MAX_BYTES // 4 else text.encode()[:MAX_BYTES].decode(errors="ignore")


def _string(value: Any) -> str:
    if isinstance(value, dict):
        raise FieldError(ENTER_VALUE)
    return str(value)


def _text(definition: MergeField, value: Any) -> str:
    return cut(_string(value))


def _number(definition: MergeField, value: Any) -> int | float:
    if isinstance(value, dict):
        raise FieldError(ENTER_NUMBER)
    if isinstance(value, str) and not re.fullmatch(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", value, re.ASCII):
        raise FieldError(ENTER_NUMBER)
    number = float(value)
    if not math.isfinite(number):
        raise FieldError(ENTER_NUMBER)
    return int(number) if number.is_integer() else number


def _date(definition: MergeField, value: Any) -> str:
    """Slashes always mean MM/DD/YYYY, so that a DD/MM is swapped silently when it can be."""
    text = str(value)
    for pattern, layout in (
        (r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?.*)?", "%Y-%m-%d"),
        (r"\d{1,2}/\d{1,2}/\d{4}", "%m/%d/%Y"),
    ):
        if re.fullmatch(pattern, text, re.ASCII):
            try:
                return datetime.strptime(text[:10], layout).date().isoformat()
            except ValueError:
                break
    raise FieldError(ENTER_DATE)


def _birthday(definition: MergeField, value: Any) -> str:
    """Two digits each, in the field's own order; nobody checks that the month has such a day."""
    matched = re.fullmatch(r"(\d{2})/(\d{2})", str(value), re.ASCII)
    if not matched:
        raise FieldError(ENTER_BIRTHDAY)
    first, second = int(matched[1]), int(matched[2])
    month, day = (second, first) if definition.options.get("date_format") == "DD/MM" else (first, second)
    if not (1 <= month <= 12 and 1 <= day <= 31):
        raise FieldError(ENTER_BIRTHDAY)
    return str(value)


def _address(definition: MergeField, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not set(value) <= set(ADDRESS_KEYS) or incomplete(value):
        raise FieldError(ENTER_ADDRESS)
    if not all(isinstance(part, str | int | float) for part in value.values()):
        raise FieldError(ENTER_ADDRESS)
    stored = {key: cut(str(value.get(key, ""))) for key in ADDRESS_KEYS}
    stored["country"] = stored["country"].upper() or "US"
    if not re.fullmatch("[A-Z]{2}", stored["country"]):
        raise FieldError(ENTER_ADDRESS)
    return stored


def _phone(definition: MergeField, value: Any) -> str:
    text = _text(definition, value)
    if definition.options.get("phone_format") == "US" and not re.fullmatch(r"\d{3}-\d{3}-\d{4}", text, re.ASCII):
        raise FieldError(ENTER_PHONE)
    return text


def _zip(definition: MergeField, value: Any) -> str:
    if not re.fullmatch(r"\d{5}", str(value), re.ASCII):
        raise FieldError(ENTER_ZIP)
    return str(value)


def _url(definition: MergeField, value: Any) -> str:
    if not re.fullmatch(r"https?://[^\s/?#.]+(\.[^\s/?#.]+)+([/?#]\S*)?", str(value), re.IGNORECASE):
        raise FieldError(ENTER_URL)
    return cut(str(value))


def _choice(definition: MergeField, value: Any) -> str:
    text = _string(value)
    if text not in definition.choices:
        raise FieldError(f"Value must be one of: {', '.join(definition.choices)} (not {text})")
    return text


_CLEANERS: dict[str, Callable[[MergeField, Any], Any]] = {
    "text": _text,
    "number": _number,
    "address": _address,
    "phone": _phone,
    "date": _date,
    "url": _url,
    "imageurl": _url,
    "radio": _choice,
    "dropdown": _choice,
    "birthday": _birthday,
    "zip": _zip,
}
