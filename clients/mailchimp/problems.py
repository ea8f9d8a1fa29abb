"""What a refusal of Mailchimp means (fact sheet section 11): title first, then words of the detail."""

from __future__ import annotations

import logging
import re
from typing import Any, NoReturn

from clients.session import Answer
from domain.errors import Ambiguous, BrokenAnswer, CallFailed, CredentialsRefused, Misconfigured, NotFound, Refused

log = logging.getLogger("maxchimp.clients")

# In this order: the title decides where it can, "Invalid Resource" is told apart by its detail.
_CODES: tuple[tuple[str, str], ...] = (
    ("member exists", "member-exists"),
    ("error_contact_exists", "member-exists"),
    ("is already a list member", "member-exists"),
    ("is already in this list", "address-taken"),
    ("compliance state", "compliance"),
    ("permanently deleted", "forgotten"),
    ("forgotten email", "forgotten"),
    ("only update email addresses for members", "not-subscribed"),
    ("looks fake or invalid", "fake"),
    ("valid email address", "fake"),
    ("signed up to a lot of lists", "too-many-lists"),
    ("invalid interest id", "interest"),
    ("merge fields were invalid", "merge-fields"),
    ("could not be validated", "schema"),
    ("json parse", "schema"),
    ("method not allowed", "not-allowed"),
)


def code_of(*texts: str) -> str:
    """Our short name for a refusal: member-exists, compliance, forgotten, fake, merge-fields ... or "other"."""
    text = " ".join(texts).casefold()
    return next((code for words, code in _CODES if words in text), "other")


def failed(operation: str, problem: str, *, write: bool, status: int = 0) -> CallFailed | BrokenAnswer:
    """The error for an answer that is not what the contract says: a write may have arrived all the same."""
    if write:
        return Ambiguous("mailchimp", operation, problem, status=status)
    return BrokenAnswer("mailchimp", operation, problem)


def checked(answer: Answer, operation: str, *, write: bool = False) -> dict[str, Any]:
    """The JSON object of a 2xx answer; everything else raises.

    CredentialsRefused: 401, or 403 with a problem document. NotFound: 404 with one. Refused: any other problem
    document. BrokenAnswer (read) or Ambiguous (write): no problem document, or no JSON object.
    """
    data, status = answer.data, answer.status_code
    if status < 300:
        if not isinstance(data, dict):
            raise failed(operation, f"not a JSON object ({answer.seen})", write=write, status=status)
        return data
    theirs = isinstance(data, dict) and isinstance(data.get("title", data.get("detail")), str)
    if status == 401 and (theirs or answer.bare):
        raise _credentials("Mailchimp does not know this API key", "make a new API key and enter it again")
    if not isinstance(data, dict) or not theirs:
        raise failed(operation, f"{answer.seen}, without a problem document", write=write, status=status)
    _refuse(data, status, operation)


def _refuse(data: dict[str, Any], status: int, operation: str) -> NoReturn:
    title, detail, request = (str(data.get(name) or "") for name in ("title", "detail", "instance"))
    if re.fullmatch(r"[0-9a-fA-F-]{8,64}", request):
        log.debug("mailchimp %s: HTTP %d, request id %s", operation, status, request)
    if status == 403:
        raise _credentials(
            "Mailchimp refuses this account: it is deactivated, or the key's user may not do this",
            "look at the account in Mailchimp, and at the role of the user who made the key",
        )
    if status == 426:
        raise Misconfigured("Mailchimp wants https://", remedy="set MAXCHIMP_MAILCHIMP_URL to an https address")
    if status == 404:
        raise NotFound("mailchimp", operation, "not found", status=status, code="not-found", detail=detail)
    code = "not-allowed" if status == 405 else code_of(title, detail)
    raise Refused(
        "mailchimp", operation, f"refused ({code})", status=status, code=code, detail=detail, fields=_fields(data)
    )


def _credentials(message: str, remedy: str) -> CredentialsRefused:
    return CredentialsRefused("mailchimp", message, remedy=remedy)


def _fields(data: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    errors = data.get("errors")
    rows = [row for row in errors if isinstance(row, dict)] if isinstance(errors, list) else []
    return tuple((str(row.get("field") or ""), str(row.get("message") or "")) for row in rows)
