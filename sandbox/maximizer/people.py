r"""What people do at the screens of Maximizer: no HTTP, no rights, no types of JSON.

Keys are `(client_id, number)`. Fields are named `LastName`, `Email1`, `Address.City`, and `Folder\Name` for
user-defined ones; values of table fields are labels, or a list of labels.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sandbox.maximizer.book import Entry, Key
from sandbox.maximizer.columns import company_name
from sandbox.maximizer.database import Database
from sandbox.maximizer.fields import ADDRESS_PARTS, BASIC, UDF_TYPES, YES_NO, encode
from sandbox.maximizer.schema import add_option
from sandbox.maximizer.values import shown, typed

BY = "PERSON"  # the user who made an entry or an edit that did not come through the API


class People:
    """Methods raise KeyError for an entry or a field that does not exist, ValueError for a value it cannot hold."""

    database: Database

    # --- definitions ------------------------------------------------------------------------------------------------

    def add_udf(
        self,
        path: str,
        kind: str,
        options: Iterable[str] = (),
        *,
        max_length: int = 255,
        decimals: int = 2,
        applies_to: Iterable[str] = ("Individual", "Contact"),
        mandatory: bool = False,
    ) -> int:
        """The type id. Missing folders are made."""
        schema = self.database.schema
        folder, _, name = path.rpartition("\\")
        udf = schema.add(
            name,
            schema.add_folder(folder),
            kind,
            tuple(options),
            max_length=max_length,
            decimals=decimals,
            applies_to=tuple(applies_to),
            mandatory=mandatory,
        )
        self.database.book.forget_indexes()
        return udf.typeid

    def add_option(self, path: str, label: str) -> str:
        """The new item's key."""
        return add_option(self.database.schema.at(path), label)

    def rename_option(self, path: str, key: str, label: str) -> None:
        options = self.database.schema.at(path).options
        if key not in options:
            raise KeyError(f"{path} has no item with key {key!r}")
        options[key] = label

    def remove_option(self, path: str, key: str) -> None:
        """Entries lose the value too."""
        udf = self.database.schema.at(path)
        del udf.options[key]
        self.database.forget_items(udf.typeid, {key})

    def options(self, path: str) -> dict[str, str]:
        """Labels by item key."""
        return dict(self.database.schema.at(path).options)

    def change_kind(self, path: str, kind: str) -> None:
        """Values are lost, as they are when a field is made anew under its old name; the type id stays."""
        if kind not in UDF_TYPES:
            raise ValueError(f"unknown kind {kind!r}; known: {', '.join(UDF_TYPES)}")
        udf = self.database.schema.at(path)
        self.database.forget_field(udf.typeid)
        udf.kind = kind
        udf.options = dict(YES_NO) if kind == "yesno" else {}

    def rename_udf(self, path: str, name: str) -> None:
        self.database.schema.at(path).name = name
        self.database.schema.changed()

    def remove_udf(self, path: str) -> None:
        typeid = self.database.schema.at(path).typeid
        self.database.schema.drop(typeid)
        self.database.forget_field(typeid)

    def set_required(self, field: str, required: bool = True) -> None:
        """Makes a basic field mandatory."""
        if field not in BASIC:
            raise KeyError(f"no basic field {field!r}")
        (self.database.schema.required.add if required else self.database.schema.required.discard)(field)

    # --- entries ----------------------------------------------------------------------------------------------------

    def add_company(self, name: str, **fields: Any) -> Key:
        stored = typed(self.database.schema, {"CompanyName": name, **fields})
        book = self.database.book
        return book.add((book.new_client_id(), 0), "Company", None, stored, BY).key

    def add_person(
        self,
        first: str,
        last: str,
        email1: str = "",
        *,
        type: str = "Individual",
        parent: Key | None = None,
        udfs: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> Key:
        """An Individual, or a Contact of `parent`."""
        book = self.database.book
        above = self._entry(parent) if parent is not None else None
        if type not in ("Individual", "Contact") or (type == "Contact") != (above is not None):
            raise ValueError("an Individual has no parent, a Contact needs one")
        given = {"FirstName": first, "LastName": last, "Email1": email1, **fields, **(udfs or {})}
        stored = typed(self.database.schema, given)
        key = (above.client_id, book.new_number(above.client_id)) if above else (book.new_client_id(), 0)
        return book.add(key, type, above.key if above else None, stored, BY).key

    def edit(self, key: Key, fields: Mapping[str, Any]) -> None:
        stored = typed(self.database.schema, fields)
        self.database.book.write(self._entry(key), stored, BY, self.database.keeps_date(stored))

    def remove(self, key: Key) -> None:
        """A company goes with its contacts."""
        self.database.book.remove(self._entry(key))

    def convert_to_contact(self, key: Key, company_key: Key) -> Key:
        """The Individual's new key, as a Contact of that company."""
        entry, company = self._entry(key), self._entry(company_key)
        if entry.type != "Individual" or company.type != "Company":
            raise ValueError("an Individual can become a Contact of a Company")
        book = self.database.book
        book.remove(entry)
        to = (company.client_id, book.new_number(company.client_id))
        contact = book.add(to, "Contact", company.key, entry.values, BY)
        contact.created = entry.created
        return to

    def copy_entry(self, key: Key) -> Key:
        """A copy with all its values, user-defined fields included."""
        entry, book = self._entry(key), self.database.book
        to = (book.new_client_id(), 0) if entry.parent is None else (key[0], book.new_number(key[0]))
        return book.add(to, entry.type, entry.parent, entry.values, BY).key

    def hide(self, keys: Iterable[Key]) -> None:
        """The service user loses the right to read them."""
        self.database.book.hidden |= {self._entry(key).seq for key in keys}
        self.database.book.version += 1

    def unhide(self, keys: Iterable[Key]) -> None:
        self.database.book.hidden -= {self._entry(key).seq for key in keys}
        self.database.book.version += 1

    def hide_from(self, user: str, keys: Iterable[Key]) -> None:
        """Another user, one at the screens, may not read these entries."""
        self.database.book.hidden_from.setdefault(user, set()).update(self._entry(key).seq for key in keys)
        self.database.book.version += 1

    def protect(self, keys: Iterable[Key]) -> None:
        """The service user loses the right to modify them."""
        self.database.book.protected |= {self._entry(key).seq for key in keys}

    def entry(self, key: Key) -> dict[str, Any]:
        """`{"Type", "FirstName", ..., "Email1", "Address": {...}, "udfs": {path: value}}`; empty is "" or None."""
        return self._shown(self._entry(key))

    def entries(self) -> dict[Key, dict[str, Any]]:
        """All of them, hidden ones included, in order of creation."""
        return {entry.key: self._shown(entry) for entry in self.database.book.rows.values()}

    def api_key(self, key: Key) -> str:
        """The key as the following tab hands it over; it stands for nothing in a session whose keys are salted."""
        return encode(self._entry(key).type, *key)

    def _entry(self, key: Sequence[Any]) -> Entry:
        entry = self.database.book.get((str(key[0]), int(key[1])))
        if entry is None:
            raise KeyError(f"no entry {key!r}")
        return entry

    def _shown(self, entry: Entry) -> dict[str, Any]:
        schema = self.database.schema
        texts = [name for name, field in BASIC.items() if field.kind in ("text", "email", "phone")]
        plain: dict[str, Any] = {name: entry.values.get(name, "") for name in texts if name not in ("Email", "Phone")}
        return {
            "Key": entry.key,
            "ParentKey": entry.parent,
            "Type": entry.type,
            **plain,
            "CompanyName": company_name(self.database.book, entry),
            "Address": {part: entry.values.get(f"Address.{part}", "") for part in ADDRESS_PARTS},
            "CreationDate": entry.created,
            "LastModifyDate": entry.modified,
            "udfs": {schema.path(udf): shown(udf, entry.values.get(udf.typeid)) for udf in schema.applying(entry.type)},
        }
