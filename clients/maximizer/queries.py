"""Searches (fact sheet section 3.3), version 2: the operator stands inside the field.

Values are data, never operators: everything that is not text is refused here (hazards S18).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from clients.maximizer.rows import Row, id_of, key_of, look

Query = dict[str, Any]

PEOPLE: Query = {"Type": {"$IN": ["Contact", "Individual"]}}

_OPERATORS = {"$AND", "$OR", "$EQ", "$IN", "$GE"}


def by_id(client_id: str, number: int) -> Query:
    """One entry by Client ID and Contact Number, which never change."""
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError("a contact number is an integer")
    return {"Key": {"$EQ": {"ID": _text(client_id), "Number": number}}}


def by_key(key: str) -> Query:
    """One entry by its key string of this session."""
    return {"Key": {"$EQ": _text(key)}}


def by_email(addresses: Sequence[str]) -> Query:
    """Entries with one of these addresses; which of its e-mail fields count is not documented: look at Email1."""
    return {"Email": {"$IN": [_text(address) for address in addresses]}}


def by_udf(ref: str, value: str) -> Query:
    """Entries with this text in an alphanumeric UDF."""
    return {_text(ref): {"$EQ": _text(value)}}


def flagged_without_marker(flag_ref: str, yes_key: str, marker_ref: str) -> Query:
    """Entries whose flag is Yes and whose marker is empty.

    Where a server refuses to search for an empty value, ``Maximizer.find`` leaves that condition out: look at the
    marker of what it finds.
    """
    empty = {"$OR": [{_text(marker_ref): {"$EQ": None}}, {_text(marker_ref): {"$EQ": ""}}]}
    return {"$AND": [{_text(flag_ref): {"$IN": [_text(yes_key)]}}, empty]}


def changed_since(moment: str) -> Query:
    """Entries modified at or after an ISO date and time in UTC."""
    return {"LastModifyDate": {"$GE": _text(moment)}}


def any_of(queries: Iterable[Query]) -> Query:
    found = list(queries)
    return found[0] if len(found) == 1 else {"$OR": found}


def all_of(*queries: Query) -> Query:
    return queries[0] if len(queries) == 1 else {"$AND": list(queries)}


def parts(query: Query, size: int = 100) -> list[Query]:
    """The same search in pieces: databases take a limited number of values in one question."""
    if len(query) == 1:
        (name, inner), *_ = query.items()
        if name == "$OR":
            return [any_of(inner[n : n + size]) for n in range(0, len(inner), size)]
        if isinstance(inner, dict) and set(inner) == {"$IN"}:
            return [{name: {"$IN": inner["$IN"][n : n + size]}} for n in range(0, len(inner["$IN"]), size)]
    return [query]


def weaker(query: Query) -> list[Query]:
    """What to ask instead where ``query`` is refused: each alternative alone, or without the test for empty values.

    An empty list when there is nothing weaker. The answers together hold at least what ``query`` would find.
    """
    if "$OR" in query:
        return list(query["$OR"])
    parts = query.get("$AND", [])
    kept = [part for part in parts if not _tests_empty(part)]
    return [all_of(*kept)] if kept and len(kept) < len(parts) else []


def fields(query: Query) -> set[str]:
    """The fields that a search looks at."""
    return {
        found
        for name, inner in query.items()
        for found in (set().union(*map(fields, inner)) if name.startswith("$") else {name})
    }


def holds(query: Query, row: Row) -> bool:
    """Whether a row that was read is one that the search would find; its operators are ours, but for ``$GE``."""
    return all(_holds(name, inner, row) for name, inner in query.items())


def _holds(name: str, inner: Any, row: Row) -> bool:
    if name in ("$AND", "$OR"):
        return (all if name == "$AND" else any)(holds(part, row) for part in inner)
    if name == "Key" and isinstance(inner.get("$EQ"), dict):
        return id_of(row) == (inner["$EQ"]["ID"], inner["$EQ"]["Number"])
    wanted = inner["$IN"] if "$IN" in inner else [inner["$EQ"]]
    if name == "Key":
        return key_of(row) in wanted
    texts = _texts(row, ("Email1", "Email2", "Email3") if name == "Email" else (name,))
    if "" in wanted or None in wanted:
        return not texts
    return bool({text.casefold() for text in texts} & {text.casefold() for text in wanted})


def _texts(row: Row, names: Sequence[str]) -> list[str]:
    """What stands in fields of a row: texts, and the keys of chosen items."""
    found: list[str] = []
    for name in names:
        value = look(row, name)
        for item in value if isinstance(value, list) else [value]:
            part = next((look(item, key) for key in ("Address", "Key", "Value") if look(item, key) is not None), item)
            found += [str(part)] if part not in (None, "") and not isinstance(part, dict) else []
    return found


def check(query: Any) -> None:
    """Raise TypeError or ValueError unless ``query`` holds our operators and texts only."""
    if not isinstance(query, dict) or not query:
        raise TypeError("a search is a dictionary that is not empty")
    for name, operand in query.items():
        if not name.startswith("$"):
            _check_condition(name, operand)
        elif name in ("$AND", "$OR") and isinstance(operand, list) and operand:
            for part in operand:
                check(part)
        else:
            raise ValueError("a search combines conditions with $AND and $OR only")


def _check_condition(name: str, condition: Any) -> None:
    if not isinstance(condition, dict) or len(condition) != 1 or not set(condition) <= _OPERATORS - {"$AND", "$OR"}:
        raise ValueError("a search condition has one operator: $EQ, $IN or $GE")
    (operator, value), *_ = condition.items()
    if operator == "$IN":
        if not isinstance(value, list) or not value:
            raise TypeError("$IN takes a list that is not empty")
        for item in value:
            _text(item)
    elif name == "Key" and isinstance(value, dict):
        by_id(value["ID"], value["Number"])
    elif not (value is None and operator == "$EQ"):
        _text(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("values in a search are texts")
    return value


def _tests_empty(query: Query) -> bool:
    return '{"$EQ": None}' in str(query).replace("'", '"')
