"""How Address Book entries answer to searches: one column for each field, with its index."""

from collections.abc import Callable, Iterable
from typing import Any

from sandbox.maximizer import dates
from sandbox.maximizer.book import Book, Entry, Index, Terms
from sandbox.maximizer.envelope import WRONG_TYPE, ApiError, value
from sandbox.maximizer.fields import Basic, Part, Udf
from sandbox.maximizer.keys import Keys
from sandbox.maximizer.quirks import Quirks
from sandbox.maximizer.schema import Schema
from sandbox.maximizer.search import Column, Node, item_key, text

EMAILS = ("Email1", "Email2", "Email3")
PHONES = ("Phone1", "Phone2", "Phone3", "Phone4")
_DEFAULT_DETAIL = {"email": "Address", "phone": "Number"}


class Columns:
    """The columns of one search: bound to its book, its session's keys and its moment."""

    def __init__(self, book: Book, schema: Schema, keys: Keys, quirks: Quirks | None = None) -> None:
        self.book = book
        self.schema = schema
        self.keys = keys
        self.quirks = quirks or Quirks()

    def column(self, path: tuple[str, ...]) -> Column:
        """Raises ApiError for a path that names no searchable field."""
        name = "/".join(path)
        field = self.schema.field(name)
        kind = "" if isinstance(field, Part) else field.kind
        barred = "udf" if isinstance(field, Udf) else kind
        if f"{barred}-not-searchable" in self.quirks:
            raise ApiError(f"Operator is not supported on field {name}.")
        if isinstance(field, Udf):
            return self._udf(field)
        if isinstance(field, Part):
            return self._part(field.of, field.name, name)
        if field.kind in _DEFAULT_DETAIL:
            return self._part(field, _DEFAULT_DETAIL[field.kind], name)
        if field.kind in ("text", "type"):
            return self._text(field.name, (field.name,))
        if field.kind in ("key", "parent"):
            special = self._key if field.kind == "key" else self._parent
            return Column(field.name, "key", lambda entry: (), lambda operand: operand, special=special)
        if field.kind == "moment":
            return self._moment(field.name)
        if field.kind == "flag":
            return Column(field.name, "flag", lambda entry: (bool(entry.values.get(field.name)),), bool)
        raise ApiError(f"Field {name} cannot be searched.")

    def _part(self, field: Basic, detail: str, name: str) -> Column:
        if field.kind == "email" and detail == "Address":
            return self._text(field.name, EMAILS if field.name == "Email" else (field.name,))
        if field.kind == "phone" and detail == "Number":
            return self._text(field.name, PHONES if field.name == "Phone" else (field.name,))
        if field.name in ("Email", "Phone"):
            raise ApiError(f"Field {name} cannot be searched.")
        return self._text(name, (f"{field.name}.{detail}",))

    def _text(self, name: str, stored: tuple[str | int, ...]) -> Column:
        if name == "CompanyName":
            # A company's new name is its contacts' too, and no index would hear of it.
            return Column(name, "text", self._company_name, text)
        terms = _type if name == "Type" else _folded(stored)
        return Column(name, "text", terms, text, self._index(name, terms))

    def _company_name(self, entry: Entry) -> Iterable[str]:
        held = company_name(self.book, entry)
        return (held.casefold(),) if held else ()

    def _moment(self, name: str) -> Column:
        if "date-not-searchable" in self.quirks:
            raise ApiError(f"Operator is not supported on field {name}.")
        now = int(self.book.clock.now())

        def canon(operand: Any) -> Any:
            return dates.moment(operand, now)

        if name == "LastModifyDate":
            return Column(name, "moment", lambda entry: (entry.modified,), canon, between=self.book.modified_between)
        return Column(name, "moment", lambda entry: (entry.created,), canon)

    def _udf(self, udf: Udf) -> Column:
        typeid = udf.typeid
        if udf.kind == "text":
            return self._text(udf.ref, (typeid,))
        if udf.table:
            return Column(udf.ref, "table", _items(typeid), item_key, self._index(udf.ref, _items(typeid)))
        terms = _single(typeid)
        if udf.kind == "number":
            return Column(udf.ref, "number", terms, _number, self._index(udf.ref, terms))
        return Column(udf.ref, "date", terms, self._date)

    def _date(self, operand: Any) -> str | None:
        if operand is None:
            return None
        return dates.plain_date(operand) or dates.iso(dates.moment(operand, int(self.book.clock.now()))[0])[:10]

    def _index(self, name: str, terms: Terms) -> Callable[[], Index]:
        return lambda: self.book.index(name, terms)

    # --- keys -------------------------------------------------------------------------------------------------------

    def _key(self, operand: Any) -> Node:
        """A key string, `{"ID", "Number"}`, `{"ID"}` (the parent and its contacts), or `{"Body", "OrRelated"}`."""
        found: set[int] = set()
        body = value(operand, "Body")
        if body is not None:
            key = self.keys.read(body)
            if key is not None:
                family = self.book.family(key[0]) if value(operand, "OrRelated") else [self.book.get(key)]
                found = {entry.seq for entry in family if entry}
        else:
            found = {entry.seq for entry in self._entries(operand)}
        return Node(lambda entry: entry.seq in found, lambda: found, exact=True)

    def _parent(self, operand: Any) -> Node:
        parents = {entry.key for entry in self._entries(operand)}
        found = {entry.seq for parent in parents for entry in self.book.family(parent[0]) if entry.parent == parent}
        return Node(lambda entry: entry.seq in found, lambda: found, exact=True)

    def _entries(self, operand: Any) -> list[Entry]:
        client_id = value(operand, "ID")
        if client_id is None:
            key = self.keys.read(value(operand, "Value") or operand)
            entry = self.book.get(key) if key else None
            return [entry] if entry else []
        if not isinstance(client_id, str):
            raise ApiError("Key/ID is not a text.", WRONG_TYPE)
        number = value(operand, "Number")
        return [entry for entry in self.book.family(client_id) if number is None or entry.number == number]

    # --- quick search -----------------------------------------------------------------------------------------------

    def phrase(self, words: str) -> Node:
        """Word prefixes in names; in e-mail addresses when there is an @, in phones when it is a number."""
        wanted = words.casefold().removeprefix("name:").strip()
        digits = "".join(filter(str.isdigit, wanted))
        if "@" in wanted:
            return Node(lambda entry: any(held.startswith(wanted) for held in _held(entry, EMAILS)))
        if digits and not any(map(str.isalpha, wanted)):
            return Node(
                lambda entry: any(digits in "".join(filter(str.isdigit, held)) for held in _held(entry, PHONES))
            )

        def match(entry: Entry) -> bool:
            held = [word for text in _held(entry, ("FirstName", "LastName", "CompanyName")) for word in text.split()]
            return all(any(word.startswith(part) for word in held) for part in wanted.split())

        return Node(match)


def company_name(book: Book, entry: Entry) -> str:
    """Of a Contact the parent's, of the others their own (fact sheet section 4.1)."""
    if entry.type == "Contact" and entry.parent is not None:
        entry = book.keys.get(entry.parent, entry)
    return str(entry.values.get("CompanyName", ""))


def _type(entry: Entry) -> tuple[str]:
    return (entry.type.casefold(),)


def _folded(stored: tuple[str | int, ...]) -> Terms:
    def terms(entry: Entry) -> Iterable[str]:
        return [held.casefold() for name in stored if (held := entry.values.get(name))]

    return terms


def _items(typeid: int) -> Terms:
    def terms(entry: Entry) -> Iterable[str]:
        held: tuple[str, ...] = entry.values.get(typeid, ())
        return held

    return terms


def _single(typeid: int) -> Terms:
    def terms(entry: Entry) -> Iterable[Any]:
        held = entry.values.get(typeid)
        return () if held is None else (held,)

    return terms


def _held(entry: Entry, names: tuple[str, ...]) -> list[str]:
    return [entry.values[name].casefold() for name in names if entry.values.get(name)]


def _number(operand: Any) -> float | None:
    if operand is None:
        return None
    if isinstance(operand, bool) or not isinstance(operand, int | float):
        raise ApiError(f"A number is expected, not {operand!r}.", WRONG_TYPE)
    return float(operand)
