"""What a read hands out: a scope is compiled once into one getter per property, then applied to every entry.

`1` asks for the default form of a field, an object for named sub-properties (fact sheet sections 3.1 and 4.3).
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sandbox.maximizer import dates
from sandbox.maximizer.book import Book, Entry
from sandbox.maximizer.columns import company_name
from sandbox.maximizer.database import Database
from sandbox.maximizer.envelope import UNKNOWN_PROPERTY, ApiError, find
from sandbox.maximizer.fields import ADDRESS_PARTS, CATEGORIES, DETAILS, Basic, Part, Udf, encode
from sandbox.maximizer.keys import Keys

T = TypeVar("T")
Getter = Callable[[Entry], Any]
ENTITY_TYPE = 1  # AbEntry
MAIN_ADDRESS = "*Main Address"
FIRST_ADDRESS = 60_000
FLICKERING = ("AddressLine1", "City")


class Renderer:
    """Reads for one session."""

    def __init__(self, database: Database, keys: Keys, sql: bool) -> None:
        self.book = database.book
        self.schema = database.schema
        self.quirks = database.quirks
        self.reads = database.reads
        self.keys = keys
        self.sql = sql

    def compile(self, scope: Mapping[str, Any]) -> Callable[[Entry], dict[str, Any]]:
        """Raises ApiError for a property that does not exist."""
        getters = [(name, self.getter(name, form)) for name, form in scope.items() if form]
        flaky = "flaky-address" in self.quirks

        def render(entry: Entry) -> dict[str, Any]:
            if flaky:
                self.reads[entry.seq] += 1
            return {name: get(entry) for name, get in getters}

        return render

    def getter(self, name: str, form: Any) -> Getter:
        field = self.schema.field(name)
        if isinstance(form, list):
            form = form[0] if form else 1
        if isinstance(field, Udf):
            return self._udf(field, form)
        if isinstance(field, Part):
            return self._detail(field.of, field.name)
        return self._basic(field, form)

    def _basic(self, field: Basic, form: Any) -> Getter:
        name = field.name
        if field.kind in DETAILS:
            parts = form if isinstance(form, Mapping) else None
            if parts is None and field.kind != "address":
                return self._detail(field, DETAILS[field.kind][0], "")
            return self._object(field, parts or dict.fromkeys(ADDRESS_PARTS, 1))
        if field.kind in ("key", "parent"):
            return self._key(form, parent=field.kind == "parent")
        if field.kind == "parent-entry":
            if not self.sql:
                raise ApiError("Parent needs the SQL searcher.")
            inner = self.compile(form if isinstance(form, Mapping) else {"Key": 1})
            return lambda entry: inner(self.book.keys[entry.parent]) if entry.parent in self.book.keys else None
        if field.kind == "rights":
            return self._detailed(lambda entry: None, form, {"CanRead": lambda e: True, "CanUpdate": self._may_update})
        if field.kind == "user":
            return self._user(name, form)
        if name == "Category":
            return self._items(lambda entry: entry.values.get(name, ()), CATEGORIES, form)
        return self._detailed(self._simple(field), form)

    def _simple(self, field: Basic) -> Getter:
        name = field.name
        if name == "Type":
            return lambda entry: entry.type
        if name == "CompanyName":
            return lambda entry: company_name(self.book, entry)
        if field.kind == "display":
            return lambda entry: display_name(self.book, entry)
        if name == "CreationDate":
            return lambda entry: dates.iso(entry.created)
        if name == "LastModifyDate":
            return lambda entry: dates.iso(entry.modified)
        if field.kind == "flag":
            return lambda entry: bool(entry.values.get(name))
        if field.kind == "date":
            return lambda entry: entry.values.get(name)
        return lambda entry: entry.values.get(name, "")

    def _udf(self, udf: Udf, form: Any) -> Getter:
        typeid = udf.typeid
        if udf.table:
            return self._items(lambda entry: entry.values.get(typeid, ()), udf.options, form)
        if udf.kind == "annual" and "annual-without-year" in self.quirks:
            return self._detailed(
                lambda entry: f"-{entry.values[typeid][4:]}" if typeid in entry.values else None, form
            )
        return self._detailed(lambda entry: entry.values.get(typeid), form)

    def _items(self, held: Callable[[Entry], tuple[str, ...]], labels: Mapping[str, str], form: Any) -> Getter:
        """An unset table field is null."""
        if not isinstance(form, Mapping):
            return lambda entry: list(held(entry)) or None
        parts: dict[str, Callable[[str], Any]] = {
            "key": lambda key: key,
            "value": lambda key: labels.get(key, ""),
            "name": lambda key: labels.get(key, ""),
            "displayvalue": lambda key: labels.get(key, ""),
            "inactive": lambda key: False,
            "sortvalue": lambda key: "",
        }
        asked = {name: _known(parts, name) for name in form}
        return lambda entry: [{name: get(key) for name, get in asked.items()} for key in held(entry)] or None

    def _detailed(self, simple: Getter, form: Any, more: Mapping[str, Getter] | None = None) -> Getter:
        if not isinstance(form, Mapping):
            return simple
        parts: dict[str, Getter] = {"value": simple, "displayvalue": lambda entry: str(simple(entry) or "")}
        parts |= {name.casefold(): get for name, get in (more or {}).items()}
        asked = {name: _known(parts, name) for name in form}
        return lambda entry: {name: get(entry) for name, get in asked.items()}

    def _object(self, field: Basic, form: Mapping[str, Any]) -> Getter:
        folded = {part.casefold(): part for part in DETAILS[field.kind]}
        asked = {name: self._detail(field, _known(folded, name)) for name in form}
        return lambda entry: {name: get(entry) for name, get in asked.items()}

    def _detail(self, field: Basic, part: str, missing: Any = None) -> Getter:
        if field.kind == "address":
            return self._address_part(part)
        if part == "Default":
            return lambda entry: _stands_for(entry, field.name) == default(entry, field.kind)
        main = part in ("Address", "Number")

        def get(entry: Entry) -> Any:
            name = _stands_for(entry, field.name)
            return entry.values.get(name if main else f"{name}.{part}", missing)

        return get

    def _address_part(self, part: str) -> Getter:
        if part == "Key":
            return address_key
        if part == "ParentKey":
            return self.keys.write
        if part == "Default":
            return lambda entry: True
        if part == "Description":
            return lambda entry: MAIN_ADDRESS
        name = f"Address.{part}"
        if "flaky-address" in self.quirks and part in FLICKERING:
            return lambda entry: None if self.reads[entry.seq] % 2 else entry.values.get(name)
        return lambda entry: entry.values.get(name)

    def _key(self, form: Any, parent: bool) -> Getter:
        def whose(entry: Entry) -> Entry | None:
            return (self.book.keys.get(entry.parent) if entry.parent else None) if parent else entry

        if not isinstance(form, Mapping):
            return lambda entry: self.keys.write(found) if (found := whose(entry)) else None
        parts: dict[str, Getter] = {
            "value": self.keys.write,
            "entitytype": lambda entry: ENTITY_TYPE,
            "id": lambda entry: entry.client_id,
            "number": lambda entry: entry.number,
        }
        asked = {name: _known(parts, name) for name in form}

        def get(entry: Entry) -> Any:
            found = whose(entry)
            return {name: part(found) for name, part in asked.items()} if found else None

        return get

    def _user(self, name: str, form: Any) -> Getter:
        def uid(entry: Entry) -> str:
            return {"Creator": entry.creator, "ModifiedBy": entry.modified_by}.get(name, entry.creator)

        if not isinstance(form, Mapping):
            return lambda entry: encode("User", uid(entry))
        return lambda entry: user(uid(entry), form)

    def _may_update(self, entry: Entry) -> bool:
        return entry.seq not in self.book.protected


def user(uid: str, form: Mapping[str, Any]) -> dict[str, Any]:
    """`{"Key": {"Value", "Uid"}, "DisplayName"}` as far as `form` asks for it, spelled as asked."""
    found: dict[str, Any] = {}
    for name, inner in form.items():
        if name.casefold() != "key":
            found[name] = uid
        elif isinstance(inner, Mapping):
            found[name] = {part: uid if part.casefold() == "uid" else encode("User", uid) for part in inner}
        else:
            found[name] = encode("User", uid)
    return found


def project(row: Mapping[str, Any], scope: Mapping[str, Any]) -> dict[str, Any]:
    """Raises ApiError for a property that the rows do not have."""
    answer: dict[str, Any] = {}
    for name, form in scope.items():
        asked = find(row, name)
        if asked is None:
            raise ApiError(f"The object doesn't support property '{name}'.", UNKNOWN_PROPERTY)
        inner = asked.value
        answer[name] = project(inner, form) if isinstance(inner, Mapping) and isinstance(form, Mapping) else inner
    return answer


def address_key(entry: Entry) -> str:
    return encode("Address", entry.client_id, FIRST_ADDRESS + entry.number)


def display_name(book: Book, entry: Entry) -> str:
    if entry.type == "Company":
        return company_name(book, entry)
    return " ".join(filter(None, (entry.values.get("FirstName"), entry.values.get("LastName"))))


def default(entry: Entry, kind: str) -> str:
    """Which of the e-mail addresses or phones is the default one."""
    first, chosen = ("Email1", "Email.Default") if kind == "email" else ("Phone1", "Phone.Default")
    return str(entry.values.get(chosen, first))


def _stands_for(entry: Entry, name: str) -> str:
    """`Email` and `Phone` are the default ones."""
    return default(entry, name.casefold()) if name in ("Email", "Phone") else name


def _known(parts: Mapping[str, T], name: str) -> T:
    found = parts.get(name.casefold())
    if found is None:
        raise ApiError(f"AbEntry doesn't support property '{name}'.", UNKNOWN_PROPERTY)
    return found
