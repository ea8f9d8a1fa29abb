"""Field definitions and their choices, in both forms that servers have (fact sheet sections 5.4 and 5.5)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from clients.maximizer import udfs
from clients.maximizer.rows import Row, look, plain
from domain.errors import BrokenAnswer, Refused

if TYPE_CHECKING:
    from clients.maximizer.client import Maximizer

Version = Literal["1.0", "0.x"]
SCHEMA_1 = {"SchemaObject": "1.0"}

_FIELDS = ("Key", "Alias", "Type", "Name", "AppliesTo", "Folder", "Sortable", "Nullable", "Assignable", "Queryable")
_SCOPE_1 = dict.fromkeys((*_FIELDS, "Mandatory", "Attributes", "HasOption", "Inactive"), 1)
_SEARCH: dict[Version, dict[str, Any]] = {
    "1.0": {"Key": {"$TREE": "/AbEntry"}},
    "0.x": {"AppliesTo": {"$IN": ["AbEntry"]}},
}
_EVERYONE = ["Company", "Individual", "Contact"]
_NAME_ALIAS = re.compile(r"(?:/AbEntry/)?Udf/\$NAME\((.+)\)", re.IGNORECASE | re.DOTALL)


def read_fields(client: Maximizer) -> list[Row]:
    r"""Every field of entries, the same for both forms of definitions:

    ``ref`` (``LastName``, ``Address/City``, ``Udf/$TYPEID(12)``), ``name`` (UDFs: ``Folder\Name``), ``folder``,
    ``type`` (``StringField``, ``EnumField<StringItem>`` ...), ``attributes`` (dictionary), ``applies_to`` (of Company,
    Individual, Contact), ``mandatory``, ``assignable``, ``inactive``. The first successful form is remembered.
    """
    first: Version = client.dialect.schema if client.schema_known else "1.0"
    versions: tuple[Version, ...] = (first, "0.x" if first == "1.0" else "1.0")
    refusal: Refused | None = None
    for version in versions:
        try:
            rows = _definitions(client, version)
        except Refused as error:
            refusal = refusal or error
            continue
        if rows:
            client.knows_schema(version)
            return _with_folders(client, rows, [_field(row) for row in rows])
    raise refusal or BrokenAnswer("maximizer", "Read Schema", "no field definitions at all")


def _definitions(client: Maximizer, version: Version) -> list[Row]:
    scope: Any = _SCOPE_1 if version == "1.0" else 1
    body: dict[str, Any] = {"Schema": {"Scope": {"Fields": scope}, "Criteria": {"SearchQuery": _SEARCH[version]}}}
    if version == "1.0":
        body["Compatibility"] = SCHEMA_1
    rows = look(client.call("Read", body, retry="read"), "Schema", "Data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BrokenAnswer("maximizer", "Read Schema", "Data is not a list of definitions")
    return [row for row in rows if isinstance(look(row, "Key"), str) and look(row, "Key")]


def _field(row: Row) -> Row:
    ref = plain(look(row, "Key"))
    name = _name(row, ref)
    kind = str(look(row, "Type") or "").replace("TxDictionary<", "EnumField<").replace("<UdfTableItem>", "<StringItem>")
    applies_to = look(row, "AppliesTo")
    applies_to = [one for one in applies_to if isinstance(one, str)] if isinstance(applies_to, list) else []
    attributes = look(row, "Attributes")
    formula = bool(look(row, "Formula", "Rule"))
    return {
        "ref": ref,
        "name": name,
        "folder": name.rpartition("\\")[0],
        "type": kind,
        "attributes": attributes if isinstance(attributes, dict) else {},
        "applies_to": _EVERYONE if not applies_to or "AbEntry" in applies_to else applies_to,
        "mandatory": _truth(look(row, "Mandatory"), False),
        "assignable": _truth(look(row, "Assignable"), True) and not formula,
        "inactive": _truth(look(row, "Inactive"), False),
    }


def _with_folders(client: Maximizer, rows: list[Row], fields: list[Row]) -> list[Row]:
    """Folder names for UDFs whose definition names its folder by key only."""
    keys = [look(row, "Folder") for row in rows]
    keys = [look(key, "Key") if isinstance(key, dict) else key for key in keys]
    lost = [n for n, f in enumerate(fields) if f["ref"].startswith("Udf/") and not f["folder"] and keys[n]]
    paths = udfs.folder_paths(client) if lost else {}
    for n in lost:
        folder = paths.get(keys[n], "") if isinstance(keys[n], str) else ""
        if folder:
            fields[n] |= {"name": f"{folder}\\{fields[n]['name']}", "folder": folder}
    return fields


def _name(row: Row, ref: str) -> str:
    r"""``Folder\Name``: from the alias where there is one, else from the name, which may hold the folder or not."""
    if not ref.startswith("Udf/"):
        return str(look(row, "Name") or ref)
    aliases = look(row, "Alias")
    for alias in aliases if isinstance(aliases, list) else [aliases]:
        if isinstance(alias, str) and (found := _NAME_ALIAS.fullmatch(alias)):
            return found[1]
    name = str(look(row, "Name") or ref)
    folder = look(row, "Folder", "Path") or look(row, "Folder", "Name")
    folder = udfs.tidy(folder) if isinstance(folder, str) else ""
    # A backslash may also be part of the field's own name.
    whole = not folder or f"\\{folder}\\".casefold() in f"\\{name}".casefold()
    return name if whole else f"{folder}\\{name}"


def _truth(value: Any, otherwise: bool) -> bool:
    """A flag as a boolean, as {"Rule": text}, or as a list of what is allowed; ``otherwise`` where it is absent."""
    if value is None:
        return otherwise
    if isinstance(value, dict):
        return bool(look(value, "Rule") or look(value, "Value"))
    return bool(value) and value not in ("false", "False", "0")


def read_options(client: Maximizer, refs: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """(key, label) of the choices of each field: all fields in one request where the server takes it, else singly.

    Raises Refused when the server refuses both forms of the question for one of them.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    refusal: Refused | None = None
    forms = (True, False) if client.dialect.methods["options"] == "Read" else (False, True)
    for current in forms:
        rest = [ref for ref in dict.fromkeys(refs) if ref not in found]
        for group in ([rest] if len(rest) > 1 else []) + [[ref] for ref in rest]:
            asked = [ref for ref in group if ref not in found]
            if not asked:
                continue
            try:
                found |= _ask_options(client, asked, current)
            except Refused as error:
                refusal = refusal or error
    if refusal and any(ref not in found for ref in refs):
        raise refusal
    return {ref: found.get(ref, []) for ref in refs}


def _ask_options(client: Maximizer, refs: list[str], current: bool) -> dict[str, list[tuple[str, str]]]:
    """The current form of the question (Schema 1.0), or the older one; a field alone that has no choices has none."""
    if current:
        wanted: dict[str, Any] = {ref: [_option_scope(ref, "Name")] for ref in refs}
        data = client.call("Read", {"AbEntry": {"FieldOptions": wanted}, "Compatibility": SCHEMA_1}, retry="read")
        places = (look(data, "AbEntry", "FieldOptions"), look(data, "AbEntry", "FieldOptions", "Options"))
    else:
        wanted = {ref: [_option_scope(ref, "Value")] for ref in refs}
        data = client.call("AbEntryGetFieldOptions", {"AbEntry": {"Options": wanted}}, retry="read")
        places = (look(data, "AbEntry", "Data"), look(data, "AbEntry", "Options"))
    named: dict[str, Any] = {}
    for place in places:
        named |= {plain(str(name)).casefold(): rows for name, rows in place.items()} if isinstance(place, dict) else {}
    if not named and not any(isinstance(place, dict) for place in places):
        raise BrokenAnswer("maximizer", "read options", "no options in the answer")
    single = len(refs) == 1
    return {ref: _choices(named.get(ref.casefold())) for ref in refs if single or ref.casefold() in named}


def _option_scope(ref: str, label: str) -> dict[str, int]:
    return {"Key": 1, label: 1} if ref.startswith("Udf/") else {"Key": 1, "DisplayValue": 1}


def _choices(rows: Any) -> list[tuple[str, str]]:
    if rows is None:
        return []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BrokenAnswer("maximizer", "read options", "options are not a list of objects")
    return [(_first(row, "Key", "Value"), _first(row, "Name", "DisplayValue", "Value")) for row in rows]


def _first(row: Row, *names: str) -> str:
    value = next((value for name in names if (value := look(row, name)) not in (None, "")), None)
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise BrokenAnswer("maximizer", "read options", "an option without key or label")
    return str(value)


def create_udf(client: Maximizer, path: str, kind: str, *, max_length: int, applies_to: Sequence[str]) -> str:
    return udfs.create(client, path, udfs.definition(kind, max_length), applies_to)
