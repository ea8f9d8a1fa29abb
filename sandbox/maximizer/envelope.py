"""Requests and answers of the API: `{"Code": 0, "<Object>": {"Data": ...}}`, names without regard to case.

Maximizer fact sheet section 2. Names in an answer are spelled as the request spelled them, so every look-up hands back
the spelling it found.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sandbox.door import Response, json_response
from sandbox.maximizer.quirks import Quirks

GENERAL = -1
NOT_SIGNED_IN = -2
UNKNOWN_PROPERTY = -1023
WRONG_TYPE = -1024
MANDATORY_VALUE = -10003
MANDATORY_FIELD = -10010
NOT_AN_OPTION = -60054


class ApiError(Exception):
    """A refusal that travels inside an HTTP 200. `number` is the ErrorCode, `code` the Code of the envelope."""

    def __init__(self, text: str, number: int = GENERAL, code: int = GENERAL) -> None:
        super().__init__(text)
        self.text = text
        self.number = number
        self.code = code


class Asked(NamedTuple):
    """One property of a request object: its spelling and its value."""

    name: str
    value: Any


def find(data: Any, name: str) -> Asked | None:
    """The property `name` of a JSON object, whatever its case."""
    if not isinstance(data, Mapping):
        return None
    if name in data:
        return Asked(name, data[name])
    wanted = name.casefold()
    return next((Asked(key, value) for key, value in data.items() if key.casefold() == wanted), None)


def value(data: Any, *path: str) -> Any:
    """`value(body, "Compatibility", "SchemaObject")`; None when a step is missing."""
    for name in path:
        asked = find(data, name)
        if asked is None:
            return None
        data = asked.value
    return data


def mapping(given: Any, name: str) -> Mapping[str, Any]:
    """Raises ApiError -1024 for what is no JSON object."""
    if not isinstance(given, Mapping):
        raise ApiError(f"{name} is not an object.", WRONG_TYPE)
    return given


def listing(given: Any, name: str) -> list[Any]:
    """Raises ApiError -1024 for what is no JSON array."""
    if not isinstance(given, list):
        raise ApiError(f"{name} is not a list.", WRONG_TYPE)
    return given


def objects(body: Mapping[str, Any], name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The objects of that name in a request, `AbEntry` as well as the batch form `AbEntry.1`, in their order."""
    for key, item in body.items():
        if key.split(".")[0].casefold() == name.casefold() and isinstance(item, Mapping):
            yield key, item


def success(answer: Mapping[str, Any], quirks: Quirks) -> Response:
    note = {"Msg": ["This method is in beta."]} if "beta-note" in quirks else {}
    return json_response({"Code": 0, **note, **answer})


def refusal(error: ApiError, quirks: Quirks) -> Response:
    """`Code` -1 in both official shapes of `Msg`; only the object shape names the ErrorCode."""
    text = {"Message": error.text, "ErrorCode": error.number} if "msg-objects" in quirks else error.text
    return json_response({"Code": error.code, "Msg": [text]})
