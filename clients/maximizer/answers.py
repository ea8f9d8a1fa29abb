"""What an answer of Maximizer says: success is ``Code`` 0 in the body, never the HTTP status (fact sheet section 2)."""

from __future__ import annotations

import re
from typing import Any

from clients.maximizer.rows import look
from clients.session import Answer
from domain.errors import Ambiguous, BrokenAnswer, CallFailed, Refused

# -10010 mandatory field missing on create, -10003 on validation
_CODES = {-10010: "mandatory", -10003: "mandatory", -60054: "option", -1023: "property", -1024: "type"}
_WORDS = (
    ("mandatory", "mandatory"),
    ("support property", "property"),
    ("not one of the", "option"),
    ("not a valid option", "option"),
    ("permission", "rights"),
    ("access denied", "rights"),
    ("access is denied", "rights"),
    ("rights", "rights"),
    ("privilege", "rights"),
)
_MANDATORY = re.compile(r"(?:^|[.:]\s+)([^.:]{1,120}?)\s+is\s+(?:a\s+)?mandatory", re.IGNORECASE)
_PROPERTY = re.compile(r"support property[\s:'\"]+([^'\"]{1,120}?)['\".]*$", re.IGNORECASE)


def messages(data: Any) -> list[tuple[str, int | None]]:
    """``Msg`` as (text, code): a list of texts, or of {Message, ErrorCode}, or one of them, or nothing."""
    found = look(data, "Msg")
    items = found if isinstance(found, list) else [] if found in (None, "") else [found]
    return [_message(item) for item in items]


def code_of(data: Any) -> int | None:
    """``Code`` when it is an integer."""
    code = look(data, "Code")
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def expired(answer: Answer) -> bool:
    """True when the token was refused: HTTP 401, code -2, or a failure that speaks of a token."""
    code = code_of(answer.data)
    if answer.status_code == 401 or code == -2:
        return True
    said = messages(answer.data)
    return bool(code) and not _known(said) and any("token" in text.casefold() for text, _ in said)


def foreign(answer: Answer) -> bool:
    """A 401 in somebody else's words: of a proxy, of another web server, of a page to sign in at."""
    return answer.status_code == 401 and code_of(answer.data) is None and not answer.bare


def failed(operation: str, problem: str, *, write: bool, status: int = 0) -> CallFailed | BrokenAnswer:
    """The error for an answer that is not what the contract says: a write may have arrived all the same."""
    if write:
        return Ambiguous("maximizer", operation, problem, status=status)
    return BrokenAnswer("maximizer", operation, problem)


def checked(answer: Answer, operation: str, *, write: bool) -> dict[str, Any]:
    """The answer's object, Code 0. Raises Refused for another Code, BrokenAnswer or Ambiguous without one."""
    code = code_of(answer.data)
    if code is None or not isinstance(answer.data, dict):
        raise failed(operation, f"no Code in the answer ({answer.seen})", write=write, status=answer.status_code)
    if code == 0:
        if answer.status_code >= 400:
            raise failed(operation, f"HTTP {answer.status_code} with Code 0", write=write, status=answer.status_code)
        return answer.data
    raise _refused(answer, operation, code)


def _refused(answer: Answer, operation: str, code: int) -> Refused:
    said = messages(answer.data)
    text = " ".join(words for words, _ in said)
    name = _known([*said, ("", code)]) or next((name for words, name in _WORDS if words in text.casefold()), "other")
    return Refused(
        "maximizer",
        operation,
        f"refused ({name})",
        status=answer.status_code,
        code=name,
        detail=text,
        fields=tuple((field, words) for words, _ in said if (field := _field(words))),
    )


def _known(said: list[tuple[str, int | None]]) -> str:
    return next((_CODES[code] for _, code in said if code in _CODES), "")


def _field(text: str) -> str:
    """The field that a message names, as far as its wording tells: "... Workflow/Result is mandatory"."""
    found = _MANDATORY.search(text) or _PROPERTY.search(text)
    return found[1].strip() if found else ""


def _message(item: Any) -> tuple[str, int | None]:
    if not isinstance(item, dict):
        return str(item), None
    code = look(item, "ErrorCode")
    return str(look(item, "Message") or ""), code if isinstance(code, int) and not isinstance(code, bool) else None
