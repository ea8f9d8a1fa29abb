"""Creating UDFs and their folders (fact sheet section 5.6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from clients.maximizer.rows import Row, look, plain
from domain.errors import Ambiguous, BrokenAnswer, Refused

if TYPE_CHECKING:
    from clients.maximizer.client import Maximizer

Definition = tuple[str, dict[str, Any]]

_ROOT = "VWRmU2V0dXAJMA=="  # the folder in which all UDF folders lie
_ROOTS = {_ROOT, "Um9vdEZvbGRlcgkw"}
_DRIVERS = {
    "Read": {"IFolderSearcher": "Maximizer.Model.Access.Sql.FolderSearcher"},
    "Create": {"IFolderAccess": "Maximizer.Model.Access.Sql.FolderAccess"},
}
_TABLE = "EnumField<StringItem>"
_KINDS: dict[str, Definition] = {
    "text": ("StringField", {}),
    "number": ("NumericField", {"DecimalPlaces": 0}),
    "date": ("DateTimeField", {"Date": True, "Time": False, "IgnoreYear": False}),
    "annual": ("DateTimeField", {"Date": True, "Time": False, "IgnoreYear": True}),
    "single": (_TABLE, {"MultiSelect": False, "YesNo": False}),
    "multi": (_TABLE, {"MultiSelect": True, "YesNo": False}),
    "yesno": (_TABLE, {"MultiSelect": False, "YesNo": True}),
}


def definition(kind: str, max_length: int) -> Definition:
    """(Type, Attributes) of a kind: text, number, date, annual, single, multi or yesno."""
    type_, attributes = _KINDS[kind]
    return type_, {"MaxLength": max_length} if kind == "text" else dict(attributes)


def tidy(path: str) -> str:
    r"""A folder path with single backslashes between its steps: ``Folder\Sub``."""
    return "\\".join(step.strip() for step in path.split("\\") if step.strip())


def create(client: Maximizer, path: str, what: Definition, applies_to: Sequence[str]) -> str:
    r"""The ref of the UDF at ``path``: of the one that is there, else of a new one, read back before it is believed.

    Current form first where the server has it; the older one cannot be limited to some types of entry.
    """
    existing = _at(client.fields(), path)
    if existing:
        return str(existing["ref"])
    forms = (True, False) if client.dialect.schema == "1.0" else (False, True)
    try:
        key = _make(client, path, what, applies_to, current=forms[0])
    except Refused as error:
        if error.code == "rights":
            raise
        try:
            key = _make(client, path, what, applies_to, current=forms[1])
        except Refused:
            raise error from None
    fields = client.fields()
    made = next((field for field in fields if field["ref"] == key), None) or _at(fields, path)
    if not made:
        raise Ambiguous("maximizer", "Create Schema", "the new field is not among the definitions")
    return str(made["ref"])


def folder_paths(client: Maximizer) -> dict[str, str]:
    """Path of each UDF folder by its key; empty where the server does not tell."""
    current = client.dialect.schema == "1.0"
    try:
        rows = _folders(client, ["Individual", "Contact"], current=current)
    except Refused:
        return {}
    found = {}
    for row in rows:
        key, name, path = (look(row, part) for part in ("Key", "Name", "Path"))
        if isinstance(key, str) and key not in _ROOTS and isinstance(name, str):
            path = tidy(path) if isinstance(path, str) else ""
            ends = path.casefold().split("\\")[-1] == name.casefold()
            found[key] = path if ends else f"{path}\\{name}".strip("\\")
    return found


def _at(fields: list[Row], path: str) -> Row | None:
    wanted = tidy(path).casefold()
    return next((f for f in fields if f["ref"].startswith("Udf/") and tidy(f["name"]).casefold() == wanted), None)


def _make(client: Maximizer, path: str, what: Definition, applies_to: Sequence[str], *, current: bool) -> str:
    type_, attributes = what
    *folders, name = tidy(path).split("\\")
    data: dict[str, Any] = {
        "Key": None,
        "Type": type_,
        "Name": name,
        "AppliesTo": list(applies_to) if current else ["AbEntry"],
        "Inactive": False,
        "Attributes": attributes,
    }
    if folders:
        data["Folder"] = _folder(client, folders, list(applies_to), current=current)
    body: dict[str, Any] = {"Schema": {"Data": data}}
    if current:
        body["Compatibility"] = {"SchemaObject": "1.0"}
    key = look(client.call("Create", body, retry="never"), "Schema", "Data", "Key")
    return plain(key) if isinstance(key, str) else ""


def _folder(client: Maximizer, names: list[str], applies_to: list[str], *, current: bool) -> str:
    """The key of the folder with this path. A server may know the current definitions and the older folders only."""
    try:
        return _folder_at(client, names, applies_to, current=current)
    except Refused as error:
        if error.code == "rights":
            raise
        try:
            return _folder_at(client, names, applies_to, current=not current)
        except Refused:
            raise error from None


def _folder_at(client: Maximizer, names: list[str], applies_to: list[str], *, current: bool) -> str:
    """The key of the folder in one form of asking, made level by level when it is missing."""
    there = _folders(client, applies_to, current=current)
    parent = _ROOT
    for depth in range(1, len(names) + 1):
        steps = names[:depth]
        found = next((row for row in there if _is_folder(row, steps)), None)
        key = look(found, "Key") if found else _make_folder(client, steps[-1], parent, applies_to, current=current)
        if not isinstance(key, str) or not key:
            raise BrokenAnswer("maximizer", "read folders", "a folder without its key")
        parent = key
    return parent


def _is_folder(row: Row, steps: list[str]) -> bool:
    name, path = str(look(row, "Name") or ""), look(row, "Path")
    path = tidy(path) if isinstance(path, str) else ""
    wanted = "\\".join(steps).casefold()
    if path.casefold() == wanted or f"{path}\\{name}".strip("\\").casefold() == wanted:
        return True
    return not path and len(steps) == 1 and name.casefold() == wanted


def _folders(client: Maximizer, applies_to: list[str], *, current: bool) -> list[Row]:
    if current:
        scope = dict.fromkeys(("Key", "Name", "Path", "ParentFolderKey", "Inactive"), 1)
        body = _folder_body("Read", {"Scope": {"Fields": scope}}, {"AppliesTo": {"$IN": applies_to}})
    else:
        scope = dict.fromkeys(("Key", "Name", "Path"), 1)
        criteria = {"SearchQuery": {"AppliesTo": {"$IN": ["AbEntry"]}}}
        body = {"SchemaFolder": {"Scope": {"Fields": scope}, "Criteria": criteria}}
    rows = look(client.call("Read", body, retry="read"), "Folder" if current else "SchemaFolder", "Data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BrokenAnswer("maximizer", "read folders", "Data is not a list of folders")
    return rows


def _make_folder(client: Maximizer, name: str, parent: str, applies_to: list[str], *, current: bool) -> object:
    data = {"Key": None, "AppliesTo": applies_to if current else ["AbEntry"], "Name": name, "ParentKey": parent}
    body = _folder_body("Create", {"Data": data}) if current else {"SchemaFolder": {"Data": data}}
    answer = client.call("Create", body, retry="never")
    key = look(answer, "Folder" if current else "SchemaFolder", "Data", "Key")
    if not isinstance(key, str) or not key:
        raise Ambiguous("maximizer", "Create Folder", "the answer does not name the new folder")
    return key


def _folder_body(method: str, content: dict[str, Any], query: dict[str, Any] | None = None) -> dict[str, Any]:
    if query:
        content = {**content, "Criteria": {"SearchQuery": query}}
    return {
        "Folder": content,
        "Compatibility": {"FolderObject": "1.0"},
        "Configuration": {"Drivers": _DRIVERS[method]},
    }
