"""AbEntry over HTTP: Read, Create, Update, Delete, Validate (fact sheet sections 3 and 4)."""

import base64
from collections.abc import Mapping
from typing import Any

from sandbox.clock import whole_second
from sandbox.maximizer import values
from sandbox.maximizer.book import Entry
from sandbox.maximizer.columns import Columns
from sandbox.maximizer.database import Database
from sandbox.maximizer.envelope import (
    MANDATORY_FIELD,
    UNKNOWN_PROPERTY,
    WRONG_TYPE,
    ApiError,
    find,
    listing,
    mapping,
    value,
)
from sandbox.maximizer.fields import ADDRESS_PARTS, TYPES, Udf, decode
from sandbox.maximizer.render import FIRST_ADDRESS, MAIN_ADDRESS, Renderer, address_key, project
from sandbox.maximizer.search import Compiler
from sandbox.maximizer.sessions import Session

SQL_SEARCHER = "Maximizer.Model.Access.Sql.AbEntrySearcher"
WRONG_KEY = "The given key is of a type not supported by the target object.(DONOTUPDATE)"
KEPT_SEARCHES = 20
Object = Mapping[str, Any]


class Entries:
    """Requests for AbEntry objects on behalf of a session."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._found: dict[str, list[int]] = {}
        self._found_at = -1

    # --- Read -------------------------------------------------------------------------------------------------------

    def read(self, session: Session, asked: Object, body: Object) -> dict[str, Any]:
        """The answer's object: `Data`, and `OrderBy.PageKey` when a page was asked for."""
        sql = value(body, "Configuration", "Drivers", "IAbEntrySearcher") == SQL_SEARCHER
        rows = self._search(session, asked, sql)
        top = value(asked, "Criteria", "Top")
        size = value(asked, "OrderBy", "PageSize")
        page: dict[str, Any] = {}
        if size is not None:
            rows, page = self._page(rows, size, value(asked, "OrderBy", "PageKey"))
        elif isinstance(top, int) and not isinstance(top, bool):
            rows = rows[:top]
        database = self.database
        renderer = Renderer(database, session.keys, sql)
        scope = value(asked, "Scope", "Fields")
        try:
            render = renderer.compile(scope if isinstance(scope, Mapping) else {"Key": 1})
        except ApiError as error:
            if "unknown-scope-empty" in database.quirks and error.number == UNKNOWN_PROPERTY:
                return {"Data": []}
            raise
        return {"Data": [render(database.book.rows[seq]) for seq in rows], **page}

    def _search(self, session: Session, asked: Object, sql: bool) -> list[int]:
        """Matching entries in the order asked for. Kept until the book changes, since pages repeat their search."""
        database = self.database
        query = value(asked, "Criteria", "SearchQuery")
        order = value(asked, "OrderBy", "Fields") or []
        now = whole_second(database.clock)
        version = database.book.version
        if version != self._found_at or len(self._found) > KEPT_SEARCHES:
            self._found.clear()
            self._found_at = version
        memo = repr((query, order, sql, session.keys.salt, session.user))
        if "()" in memo or "search-lag" in database.quirks:  # $NOW(), $TODAY(): the answer moves with the clock
            memo += str(now)
        if memo not in self._found:
            self._found[memo] = self._ordered(self._matching(session, query or {}, sql, now), order)
        return self._found[memo]

    def _matching(self, session: Session, query: Object, sql: bool, now: int) -> list[int]:
        database = self.database
        book = database.book
        columns = Columns(book, database.schema, session.keys, database.quirks)
        v1 = "search-v1" in database.quirks
        compiler = Compiler(columns.column, columns.phrase, sql, "no-or" not in database.quirks, v1)
        node = compiler.compile(query)
        candidates = node.rows()
        if candidates is None:
            found = [seq for seq, entry in book.rows.items() if node.match(entry)]
        elif node.exact:
            found = sorted(candidates)
        else:
            found = [seq for seq in sorted(candidates) if node.match(book.rows[seq])]
        lag = database.quirks.number("search-lag")
        if lag is not None and not _by_key(query):
            found = [seq for seq in found if book.rows[seq].created <= now - lag]
        hidden = self._hidden(session)
        return [seq for seq in found if seq not in hidden] if hidden else found

    def _hidden(self, session: Session) -> set[int]:
        """Entries that this user may not read."""
        book = self.database.book
        return book.hidden_from.get(session.user, set()) if session.viewer else book.hidden

    def _ordered(self, found: list[int], order: list[Any]) -> list[int]:
        rows = self.database.book.rows
        terms = [term for item in listing(order, "Fields") for term in mapping(item, "Fields").items()]
        for name, direction in reversed(terms):
            field = self.database.schema.field(str(name))
            backwards = str(direction).upper() == "DESC"
            if isinstance(field, Udf):
                typeid = field.typeid
                found = sorted(found, key=lambda seq: str(rows[seq].values.get(typeid, "")), reverse=backwards)
            elif getattr(field, "name", "") == "CreationDate":
                found = sorted(found, key=lambda seq: rows[seq].created, reverse=backwards)
            elif getattr(field, "name", "") == "LastModifyDate":
                found = sorted(found, key=lambda seq: rows[seq].modified, reverse=backwards)
            else:
                stored = str(getattr(field, "name", name))
                found = sorted(
                    found, key=lambda seq: str(rows[seq].values.get(stored, "")).casefold(), reverse=backwards
                )
        return found

    def _page(self, rows: list[int], size: Any, key: Any) -> tuple[list[int], dict[str, Any]]:
        """Page keys are the base64 of the row offset; `null` stands on the last page (fact sheet section 3.4)."""
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ApiError("PageSize is not a positive number.", WRONG_TYPE)
        size = min(size, self.database.quirks.number("page-cap") or size)
        try:
            start = int(base64.b64decode(key)) if key else 0
        except (ValueError, TypeError):
            raise ApiError("PageKey is not valid.") from None
        end = start + size
        following = base64.b64encode(str(end).encode()).decode() if end < len(rows) else None
        page = {} if "no-next-page-key" in self.database.quirks else {"OrderBy": {"PageKey": following}}
        return rows[start:end], page

    # --- the Address object -----------------------------------------------------------------------------------------

    def read_addresses(self, session: Session, asked: Object) -> dict[str, Any]:
        """By ParentKey or by Key; every entry has its main address only. Its parts never flicker."""
        query = value(asked, "Criteria", "SearchQuery") or {}
        key = session.keys.read(value(query, "ParentKey", "$EQ"))
        entry = self.database.book.get(key) if key else self._addressed(value(query, "Key", "$EQ"))
        if entry is None or entry.seq in self._hidden(session):
            return {"Data": []}
        row = {
            "Key": address_key(entry),
            "ParentKey": session.keys.write(entry),
            "Description": MAIN_ADDRESS,
            "Default": True,
            **{part: entry.values.get(f"Address.{part}") for part in ADDRESS_PARTS},
        }
        scope = value(asked, "Scope", "Fields")
        return {"Data": [project(row, scope) if isinstance(scope, Mapping) else row]}

    def update_address(self, session: Session, asked: Object) -> dict[str, Any]:
        data = _data(asked)
        entry = self._addressed(value(data, "Key"))
        if entry is None or entry.seq in self._hidden(session) | self.database.book.protected:
            raise ApiError(WRONG_KEY)
        stored = values.address("Address", data)
        self.database.book.write(entry, stored, session.user)
        return {"Data": dict(data)}

    def _addressed(self, key: object) -> Entry | None:
        parts = decode(key)
        if len(parts) != 3 or parts[0] != "Address" or not parts[2].isdigit():
            return None
        return self.database.book.get((parts[1], int(parts[2]) - FIRST_ADDRESS))

    # --- writing ----------------------------------------------------------------------------------------------------

    def create(self, session: Session, asked: Object) -> dict[str, Any]:
        """The answer's object: the data that was sent, with the new key in the form of the request."""
        data = _data(asked)
        entry_type, parent, stored = self._new(session, data)
        book = self.database.book
        key = (parent.client_id, book.new_number(parent.client_id)) if parent else (book.new_client_id(), 0)
        entry = book.add(key, entry_type, parent.key if parent else None, stored, session.user)
        return {"Data": self._echo(session, entry, data)}

    def update(self, session: Session, asked: Object) -> dict[str, Any]:
        data = _data(asked)
        entry, stored = self._existing(session, data)
        book = self.database.book
        book.write(entry, stored, session.user, keep_date=self.database.keeps_date(stored))
        return {"Data": self._echo(session, entry, data)}

    def delete(self, session: Session, asked: Object) -> dict[str, Any]:
        self.database.deletes += 1
        self.database.book.remove(self._entry(session, value(_data(asked), "Key")))
        return {}

    def validate(self, session: Session, asked: Object) -> dict[str, Any]:
        """As Create when the key is null, as Update otherwise; nothing is stored."""
        data = _data(asked)
        entry_type = self._existing(session, data)[0].type if value(data, "Key") else self._type(session, data)[0]
        schema = self.database.schema
        names = {"CompanyName"} if entry_type == "Company" else {"LastName"}
        names |= schema.required | {udf.ref for udf in schema.applying(entry_type) if udf.mandatory}
        return {"Data": dict(data), "Validation": {name: {"Mandatory": True} for name in sorted(names)}}

    def _new(self, session: Session, data: Object) -> tuple[str, Entry | None, values.Stored]:
        entry_type, parent = self._type(session, data)
        stored = values.incoming(self.database.schema, self.database.quirks, entry_type, data, creating=True)
        values.check_mandatory(self.database.schema, entry_type, stored, creating=True)
        return entry_type, parent, stored

    def _type(self, session: Session, data: Object) -> tuple[str, Entry | None]:
        """`Type` omitted: a Contact when there is a ParentKey, else a Company (fact sheet section 4.1)."""
        parent_key = value(data, "ParentKey")
        parent = self._entry(session, parent_key) if parent_key else None
        given = value(data, "Type") or ("Contact" if parent else "Company")
        entry_type = next((known for known in TYPES if known.casefold() == str(given).casefold()), None)
        if entry_type is None:
            raise ApiError(f"AbEntry: there is no Type '{given}'.")
        if entry_type == "Contact" and parent is None:
            raise ApiError("AbEntry: ParentKey is a mandatory field.", MANDATORY_FIELD)
        if entry_type != "Contact" and parent is not None:
            raise ApiError(f"{entry_type} doesn't support property 'ParentKey'.", UNKNOWN_PROPERTY)
        if parent is not None and parent.type == "Contact":
            raise ApiError(WRONG_KEY)
        return entry_type, parent

    def _existing(self, session: Session, data: Object) -> tuple[Entry, values.Stored]:
        entry = self._entry(session, value(data, "Key"))
        if entry.seq in self.database.book.protected:
            raise ApiError("You do not have the rights to modify this entry.")
        given = value(data, "Type")
        if given is not None and str(given).casefold() != entry.type.casefold():
            raise ApiError("Type cannot be changed.")
        parent = find(data, "ParentKey")
        if parent is not None and session.keys.read(value(parent.value, "Value") or parent.value) != entry.parent:
            raise ApiError("ParentKey cannot be changed.")
        schema = self.database.schema
        stored = values.incoming(schema, self.database.quirks, entry.type, data, creating=False)
        whole = {**entry.values, **stored}
        newly = values.missing(schema, entry.type, whole) != values.missing(schema, entry.type, entry.values)
        if newly or "update-checks-mandatory" in self.database.quirks:
            values.check_mandatory(schema, entry.type, whole, creating=False)
        return entry, stored

    def _entry(self, session: Session, given: Any) -> Entry:
        key = session.keys.read(value(given, "Value") or given)
        entry = self.database.book.get(key) if key else None
        if entry is None or entry.seq in self._hidden(session):
            raise ApiError(WRONG_KEY)
        return entry

    def _echo(self, session: Session, entry: Entry, data: Object) -> dict[str, Any]:
        key = find(data, "Key")
        form = dict.fromkeys(key.value, 1) if key and isinstance(key.value, Mapping) else 1
        found = Renderer(self.database, session.keys, sql=True).getter("Key", form)(entry)
        name = key.name if key else "Key"
        return {name: found, **{other: sent for other, sent in data.items() if other != name}}


def _data(asked: Object) -> Object:
    return mapping(value(asked, "Data"), "Data")


def _by_key(query: Object) -> bool:
    """Whether entries are named by their keys, whatever else is asked of them: those are found without delay."""
    return any(name.casefold() == "key" or _keys_in(name, condition) for name, condition in query.items())


def _keys_in(name: str, condition: Any) -> bool:
    if name not in ("$AND", "$OR") or not isinstance(condition, list):
        return False
    named = [isinstance(part, Mapping) and _by_key(part) for part in condition]
    return any(named) if name == "$AND" else bool(named) and all(named)
