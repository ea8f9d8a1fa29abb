"""The layer that looks at JSON types before anything else (Mailchimp fact sheet sections 6 and 9).

Each check returns (field, message) pairs; a caller collects them and raises one problem.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sandbox.mailchimp import problems
from sandbox.mailchimp.members import fold

NO_MATCH = "Data did not match any of the schemas described in anyOf."
FAKE_DOMAINS = ("example.com", "example.org", "example.net", "mailinator.com", "guerrillamail.com", "trashmail.com")

_TEXTS = ("email_address", "email_type", "language", "ip_signup", "ip_opt", "timestamp_signup", "timestamp_opt")


def describe(expected: str, value: Any) -> str:
    return f"Schema describes {expected}, {_kind(value)} found instead"


def _kind(value: Any) -> str:
    if value is None:
        return "NULL"
    kinds = {bool: "boolean", int: "integer", float: "double", str: "string", list: "array", dict: "object"}
    return kinds[type(value)]


def member_errors(body: dict[str, Any], statuses: Sequence[str], prefix: str = "") -> list[tuple[str, str]]:
    """Of the body of a member write; unknown keys are nobody's business."""
    errors: list[tuple[str, str]] = []
    for key in _TEXTS:
        if key in body and not isinstance(body[key], str):
            errors.append((prefix + key, describe("string", body[key])))
    for key in ("status", "status_if_new"):
        if key in body and body[key] not in statuses:
            message = f"Value must be one of: {', '.join(statuses)} (not {body[key]})"
            errors.append((prefix + key, message if isinstance(body[key], str) else describe("string", body[key])))
    if "vip" in body and not isinstance(body["vip"], bool):
        errors.append((prefix + "vip", describe("boolean", body["vip"])))
    if isinstance(body.get("email_type"), str) and body["email_type"] not in ("html", "text", ""):
        errors.append((prefix + "email_type", f"Value must be one of: html, text (not {body['email_type']})"))
    for key in ("merge_fields", "interests", "location"):
        if key in body and not isinstance(body[key], dict):
            errors.append((prefix + key, describe("object", body[key])))
    errors += _values(body.get("merge_fields"), prefix)
    errors += _switches(body.get("interests"), prefix)
    return errors


def _values(values: Any, prefix: str) -> list[tuple[str, str]]:
    """A merge value is a string, a number or an object, whatever the field."""
    if not isinstance(values, dict):
        return []
    wrong = [tag for tag, value in values.items() if value is None or isinstance(value, bool | list)]
    return [(f"{prefix}merge_fields.{tag}", NO_MATCH) for tag in wrong]


def _switches(values: Any, prefix: str) -> list[tuple[str, str]]:
    if not isinstance(values, dict):
        return []
    wrong = {key: value for key, value in values.items() if not isinstance(value, bool)}
    return [(f"{prefix}interests.{key}", describe("boolean", value)) for key, value in wrong.items()]


def require(body: dict[str, Any], *keys: str) -> None:
    """Raises Problem when one of the keys is missing."""
    absent = [key for key in keys if key not in body]
    if absent:
        raise problems.schema([("", f"Required fields were not provided: {', '.join(absent)}")])


def check_address(email: str, fake: set[str]) -> None:
    """Raises Problem for what is no address, or looks like none a person would have."""
    if not well_formed(email):
        raise problems.bad_address()
    folded = fold(email)
    if folded.rpartition("@")[2] in FAKE_DOMAINS or folded in fake:
        raise problems.fake_address(email)


def well_formed(email: str) -> bool:
    return len(email) <= 255 and re.fullmatch(r"[^\s@,;<>\"]+@[^\s@,;<>\".]+(\.[^\s@,;<>\".]+)+", email) is not None


def moment(text: str, field: str) -> float:
    """An ISO 8601 time as seconds since 1970; without a zone it is UTC. Raises Problem.

    A `+` that was not encoded arrives as a space and is refused.
    """
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise problems.schema([(field, "Please enter a valid date in ISO 8601 format")]) from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def stamp(text: str, field: str) -> str:
    """A time as it is read back; "" stays empty."""
    if not text:
        return ""
    return datetime.fromtimestamp(int(moment(text, field)), UTC).isoformat()
