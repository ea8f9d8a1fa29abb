"""Items of table fields over HTTP: listing them in the old and the current shape, adding, renaming, removing.

Fact sheet section 5.5.
"""

from collections.abc import Mapping
from typing import Any

from sandbox.maximizer.database import Database
from sandbox.maximizer.definitions import allowed
from sandbox.maximizer.envelope import NOT_AN_OPTION, ApiError, listing, mapping, value
from sandbox.maximizer.fields import CATEGORIES, Udf
from sandbox.maximizer.render import project
from sandbox.maximizer.schema import add_option


class Items:
    """The items of the table fields of one database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def read(self, fields: Any) -> dict[str, Any]:
        """`{"Udf/$TYPEID(7)": [{"Key": 1, "Name": 1}], ...}` answered for every field asked for."""
        return {name: self._rows(name, form) for name, form in mapping(fields, "Options").items()}

    def _rows(self, name: str, form: Any) -> list[Any]:
        field = self.database.schema.field(name)
        labels = (
            field.options if isinstance(field, Udf) else CATEGORIES if getattr(field, "name", "") == "Category" else {}
        )
        wanted = form[0] if isinstance(form, list) and form else form
        if not isinstance(wanted, Mapping):
            return list(labels)
        rows = [
            {"Key": key, "Name": label, "Value": label, "DisplayValue": label, "Inactive": False, "SortValue": ""}
            for key, label in labels.items()
        ]
        return [project(row, wanted) for row in rows]

    def change(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Adds items (key null); `Modify` renames; `Remove`, `Replace` delete items and the values that used them."""
        allowed(self.database)
        mode = next((m for m in ("Modify", "Remove", "Replace") if value(asked, "Options", m)), "")
        answer: dict[str, Any] = {}
        for name, items in mapping(value(asked, "FieldOptions"), "FieldOptions").items():
            udf = self._table(name)
            if mode == "Replace":
                self._remove(udf, set(udf.options))
            answer[name] = [self._change_item(udf, mapping(item, name), mode) for item in listing(items, name)]
        return {"FieldOptions": answer}

    def _change_item(self, udf: Udf, item: Mapping[str, Any], mode: str) -> dict[str, Any]:
        key, label = value(item, "Key"), value(item, "Name") or value(item, "Value")
        if key is None and mode in ("", "Replace"):
            return {**item, "Key": add_option(udf, str(label))}
        if not isinstance(key, str) or key not in udf.options:
            raise ApiError(f"'{key}' is not an item of '{udf.name}'.", NOT_AN_OPTION)
        if mode == "Modify":
            udf.options[key] = str(label)
        elif mode == "Remove":
            self._remove(udf, {key})
        else:
            raise ApiError(f"'{udf.name}' has an item with key '{key}' already.")
        return dict(item)

    def _remove(self, udf: Udf, keys: set[str]) -> None:
        for key in keys:
            del udf.options[key]
        self.database.forget_items(udf.typeid, keys)

    def _table(self, name: str) -> Udf:
        field = self.database.schema.resolve(name)
        if not isinstance(field, Udf) or not field.table:
            raise ApiError(f"'{name}' has no items.")
        return field
