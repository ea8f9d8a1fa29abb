"""What to ask of an entry, and what its rows are: names as asked, identity, key (fact sheet sections 3.1, 4.2, 4.3)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from domain.errors import BrokenAnswer

Row = dict[str, Any]
Scope = dict[str, Any]

KEY: Scope = {"Value": 1, "ID": 1, "Number": 1}
KEY_ONLY: Scope = {"Key": KEY}
# One part of an address alone comes back wrong at times (fact sheet 2.3): always all of it.
ADDRESS: Scope = dict.fromkeys(
    (
        "Key",
        "Description",
        "AddressLine1",
        "AddressLine2",
        "City",
        "StateProvince",
        "ZipCode",
        "Country",
        "Default",
    ),
    1,
)


def scope_of(refs: Iterable[str]) -> Scope:
    """``Scope.Fields`` for these fields (``LastName``, ``Address/City``, ``Email1``, ``Udf/$TYPEID(12)`` ...).

    Key, Type and LastModifyDate always come along; an address always as a whole.
    """
    scope: Scope = {"Key": KEY, "Type": 1, "LastModifyDate": 1}
    for ref in refs:
        head = ref if ref.startswith("Udf/") else ref.partition("/")[0]
        if head in scope:
            continue
        if head == "Address":
            scope[head] = ADDRESS
        elif head == "ParentKey":
            scope[head] = KEY
        elif head == "Email" or (head.startswith("Email") and head[5:].isdigit()):
            scope[head] = {"Address": 1}
        elif head == "Phone" or (head.startswith("Phone") and head[5:].isdigit()):
            scope[head] = {"Number": 1}
        else:
            scope[head] = 1
    return scope


def respell(row: Row, scope: Scope) -> Row:
    """The row with every name as it was asked for; values stay as they are."""
    asked = {name.casefold(): name for name in scope}
    result: Row = {}
    for name, value in row.items():
        own = asked.get(plain(name).casefold(), name)
        inner = scope.get(own)
        result[own] = respell(value, inner) if isinstance(inner, dict) and isinstance(value, dict) else value
    return result


def plain(name: str) -> str:
    """A field name without the prefix that Schema 1.0 puts before it (``/AbEntry/Udf/...``)."""
    return name[9:] if name[:9].casefold() == "/abentry/" else name


def look(data: Any, *path: str) -> Any:
    """The value at ``path``, names compared without regard to case; None where there is none."""
    for name in path:
        if not isinstance(data, dict):
            return None
        if name in data:
            data = data[name]
        else:
            data = next((value for key, value in data.items() if str(key).casefold() == name.casefold()), None)
    return data


def key_of(row: Row) -> str:
    """The key string of this session; raises BrokenAnswer where there is none."""
    key = look(row, "Key")
    value = look(key, "Value") if isinstance(key, dict) else key
    if not isinstance(value, str) or not value:
        raise _broken("an entry without its key")
    return value


def id_of(row: Row) -> tuple[str, int]:
    """(Client ID, Contact Number), the identity of an entry, from its detailed key or the key string itself."""
    key = look(row, "Key")
    client_id, number = look(key, "ID"), look(key, "Number")
    if isinstance(client_id, str) and client_id and _is_number(number):
        return client_id, int(number)
    try:
        parts = base64.b64decode(key_of(row), validate=True).decode("utf-8").split("\t")
    except (binascii.Error, ValueError):
        parts = []
    if len(parts) == 3 and parts[1] and _is_number(parts[2]):
        return parts[1], int(parts[2])
    raise _broken("an entry without Client ID and Contact Number")


def check_time(row: Row) -> None:
    """Raises BrokenAnswer where the time of the last change is there and is no ISO time."""
    moment = look(row, "LastModifyDate")
    moment = look(moment, "Value") if isinstance(moment, dict) else moment
    try:
        datetime.fromisoformat(moment or "1970-01-01")
    except (TypeError, ValueError):
        raise _broken("the time of an entry's last change is none") from None


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value.isascii() and value.isdigit() and len(value) < 10
    return isinstance(value, int) and not isinstance(value, bool)


def _broken(problem: str) -> BrokenAnswer:
    return BrokenAnswer("maximizer", "read entries", problem)
