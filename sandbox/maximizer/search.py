"""Search queries as conditions on rows (fact sheet section 3.3), whatever the rows are.

A `Column` says how a row answers to one field; `Compiler` turns a query into a `Node`, which can test a row and, where
an index helps, names the rows worth testing.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

from sandbox.maximizer.book import Index
from sandbox.maximizer.dates import Range
from sandbox.maximizer.envelope import WRONG_TYPE, ApiError, find

Match = Callable[[Any], bool]
EQUALITY = {"$EQ", "$NE", "$IN", "$NIN"}
ORDER = {"$GT", "$GE", "$LT", "$LE", "$RANGE", "$NRANGE"}
OPERATORS = {
    "text": EQUALITY | ORDER | {"$LIKE", "$NLIKE"},
    "number": EQUALITY | ORDER,
    "date": EQUALITY | ORDER,
    "moment": EQUALITY | ORDER,
    "table": EQUALITY | {"$ALL"},
    "flag": {"$EQ", "$NE"},
    "key": {"$EQ", "$IN"},
    "tree": EQUALITY | {"$TREE"},
}


@dataclass(frozen=True)
class Column:
    """One searchable field. `terms`: what a row holds; `canon`: what an operand stands for, in the same terms;
    `index`: which rows hold a term; `between`: which hold a moment from low to high; `special`: replaces them all.
    """

    name: str
    kind: str
    terms: Callable[[Any], Iterable[Any]]
    canon: Callable[[Any], Any]
    index: Callable[[], Index] | None = None
    between: Callable[[float, float], Iterable[int]] | None = None
    special: "Callable[[Any], Node] | None" = None


def _anything() -> None:
    return None


class Node(NamedTuple):
    """`rows()` holds all matching rows, None standing for every row; `exact` when it holds no others."""

    match: Match
    rows: Callable[[], set[int] | None] = _anything
    exact: bool = False


@dataclass(frozen=True)
class Compiler:
    """`column` raises ApiError for an unknown path. `sql`: the SQL searcher was asked for."""

    column: Callable[[tuple[str, ...]], Column]
    phrase: Callable[[str], Node] | None = None
    sql: bool = True
    allow_or: bool = True
    v1: bool = False

    def compile(self, query: Any) -> Node:
        """Raises ApiError for what this server does not understand."""
        if not isinstance(query, Mapping):
            raise ApiError("SearchQuery is not an object.", WRONG_TYPE)
        if self.v1:
            query = _from_v1(query)
        if not query:
            if not self.sql:
                raise ApiError("At least one search criterion is required.")
            return Node(lambda row: True)
        return self._all([self._item(name, value) for name, value in query.items()])

    def _item(self, name: str, value: Any) -> Node:
        if name in ("$AND", "$OR"):
            if not isinstance(value, list) or not value:
                raise ApiError(f"{name} needs a list of conditions.", WRONG_TYPE)
            if name == "$OR" and not self.allow_or:
                raise ApiError("Operator $OR is not supported.")
            nodes = [self._group(item) for item in value]
            return self._all(nodes) if name == "$AND" else self._any(nodes)
        if name == "$PHRASE" and self.phrase is not None:
            return self.phrase(str(value))
        if name.startswith("$"):
            raise ApiError(f"Operator {name} is not supported.")
        return self._all([self._test(path, op, operand) for path, op, operand in _tests((name,), value)])

    def _group(self, query: Any) -> Node:
        if not isinstance(query, Mapping):
            raise ApiError("A condition is not an object.", WRONG_TYPE)
        return self._all([self._item(name, value) for name, value in query.items()])

    def _test(self, path: tuple[str, ...], op: str, operand: Any) -> Node:
        column = self.column(path)
        name = "/".join(path)
        if op not in OPERATORS[column.kind]:
            raise ApiError(f"Operator {op} is not supported on field {name}.")
        if op == "$NE" and column.name == "Type" and self.sql:
            raise ApiError("Operator $NE on field Type is not available in the SQL driver yet.")
        if operand is None and not self.sql:
            raise ApiError(f"Field {name} cannot be compared with null.")
        if column.special is not None:
            options = operand if op == "$IN" else [operand]
            return self._any([column.special(option) for option in _list(options, op)])
        return test(column, op, operand)

    @staticmethod
    def _all(nodes: list[Node]) -> Node:
        if len(nodes) == 1:
            return nodes[0]

        def rows() -> set[int] | None:
            known = [found for node in nodes if (found := node.rows()) is not None]
            return reduce(set.intersection, sorted(known, key=len)) if known else None

        tests = [node.match for node in nodes]
        return Node(lambda row: all(match(row) for match in tests), rows, all(node.exact for node in nodes))

    @staticmethod
    def _any(nodes: list[Node]) -> Node:
        if len(nodes) == 1:
            return nodes[0]

        def rows() -> set[int] | None:
            found = [node.rows() for node in nodes]
            return None if None in found else set().union(*(rows for rows in found if rows is not None))

        tests = [node.match for node in nodes]
        return Node(lambda row: any(match(row) for match in tests), rows, all(node.exact for node in nodes))


def test(column: Column, op: str, operand: Any) -> Node:
    """One comparison. `$NE` and `$NIN` hold for empty fields too."""
    if op in ("$EQ", "$IN", "$ALL"):
        return _holds(
            column, [column.canon(item) for item in _list(operand if op != "$EQ" else [operand], op)], op == "$ALL"
        )
    if op in ("$NE", "$NIN"):
        inner = test(column, "$EQ" if op == "$NE" else "$IN", operand).match
        return Node(lambda row: not inner(row))
    if op in ("$LIKE", "$NLIKE"):
        if not isinstance(operand, str):
            raise ApiError(f"{op} needs a text.", WRONG_TYPE)
        pattern = _pattern(operand)
        wanted = op == "$LIKE"
        return Node(lambda row: any(pattern.fullmatch(term) for term in column.terms(row)) == wanted)
    if op == "$TREE":
        prefix = str(operand).casefold()
        return Node(lambda row: any(term.startswith(prefix) for term in column.terms(row)))
    return _ordered(column, op, operand)


def _holds(column: Column, wanted: list[Hashable], every: bool) -> Node:
    if column.kind == "moment":
        return _moments(column, wanted)
    options = frozenset(wanted)

    def match(row: Any) -> bool:
        terms = frozenset(column.terms(row)) or frozenset({None})
        return options <= terms if every else not options.isdisjoint(terms)

    if column.index is None:
        return Node(match)
    index = column.index

    def rows() -> set[int]:
        found = [index().get(option) for option in options]
        if every:
            return reduce(set.intersection, found) if found else set()
        return set().union(*found)

    return Node(match, rows, exact=bool(options) or not every)


def _moments(column: Column, ranges: list[Any]) -> Node:
    return Node(lambda row: any(low <= term <= high for term in column.terms(row) for low, high in ranges))


def _ordered(column: Column, op: str, operand: Any) -> Node:
    bounds = _list(operand, op) if op in ("$RANGE", "$NRANGE") else [operand]
    ends: list[Range] = [_range(column, bound) for bound in bounds]
    if op in ("$RANGE", "$NRANGE"):
        if len(ends) != 2:
            raise ApiError(f"{op} needs two values.", WRONG_TYPE)
        low, high, inside = ends[0][0], ends[1][1], op == "$RANGE"
        return Node(lambda row: any((low <= term <= high) == inside for term in column.terms(row)))
    first, last = ends[0]
    compare: Callable[[Any], bool] = {
        "$GT": lambda term: term > last,
        "$GE": lambda term: term >= first,
        "$LT": lambda term: term < first,
        "$LE": lambda term: term <= last,
    }[op]

    def match(row: Any) -> bool:
        return any(compare(term) for term in column.terms(row))

    if column.between is None:
        return Node(match)
    between = column.between
    low_end, high_end = {
        "$GT": (last + 1, float("inf")),
        "$GE": (first, float("inf")),
        "$LT": (float("-inf"), first - 1),
        "$LE": (float("-inf"), last),
    }[op]
    return Node(match, lambda: set(between(low_end, high_end)), exact=True)


def _range(column: Column, operand: Any) -> Any:
    value = column.canon(operand)
    if value is None:
        raise ApiError(f"Field {column.name} cannot be ordered against null.", WRONG_TYPE)
    return value if column.kind == "moment" else (value, value)


def _tests(path: tuple[str, ...], value: Any) -> Iterable[tuple[tuple[str, ...], str, Any]]:
    """`{"Address": {"City": {"$EQ": "x"}}}` as (("Address", "City"), "$EQ", "x")."""
    if not isinstance(value, Mapping) or not value:
        raise ApiError(f"Field {'/'.join(path)} needs an operator.", WRONG_TYPE)
    for name, inner in value.items():
        if name == "$NOT":
            raise ApiError("Operator $NOT is not supported.")
        if name.startswith("$"):
            yield path, name, inner
        else:
            yield from _tests((*path, name), inner)


def _from_v1(query: Mapping[str, Any]) -> dict[str, Any]:
    """`{"$EQ": {"Email": "x"}}` as `{"Email": {"$EQ": "x"}}`; the newer form is refused."""
    found: dict[str, Any] = {}
    for op, value in query.items():
        if op in ("$AND", "$OR"):
            found[op] = [_from_v1(item) for item in value]
        elif op == "$PHRASE":
            found[op] = value
        elif op.startswith("$") and isinstance(value, Mapping):
            for name, operand in value.items():
                found.setdefault(name, {}).update(_inward(name, op, operand))
        else:
            raise ApiError(f"'{op}' is not an operator.")
    return found


def _inward(name: str, op: str, operand: Any) -> dict[str, Any]:
    """`{"Address": "x"}` as `{"Address": {"$EQ": "x"}}`; only keys are compared with whole objects."""
    if isinstance(operand, Mapping) and name.casefold() not in ("key", "parentkey"):
        return {part: _inward(part, op, inner) for part, inner in operand.items()}
    return {op: operand}


def _list(value: Any, op: str) -> list[Any]:
    if not isinstance(value, list):
        raise ApiError(f"{op} needs a list.", WRONG_TYPE)
    return value


def _pattern(text: str) -> re.Pattern[str]:
    parts = (".*" if c == "%" else "." if c == "_" else re.escape(c) for c in text.casefold())
    return re.compile("".join(parts), re.DOTALL)


def text(operand: Any) -> str | None:
    """Text is compared without regard to case; "" and null are the same."""
    if operand is not None and not isinstance(operand, str):
        raise ApiError(f"A text is expected, not {operand!r}.", WRONG_TYPE)
    return operand.casefold() if operand else None


def item_key(operand: Any) -> str | None:
    """An item of a table field: its key, or an object naming it."""
    named = find(operand, "Key")
    return text(named.value if named else operand)
