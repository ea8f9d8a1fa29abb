"""Definitions over HTTP: Schema in both dialects, folders, and the oldest field list (fact sheet section 5)."""

from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.maximizer.database import Database
from sandbox.maximizer.envelope import ApiError, find, listing, mapping, value
from sandbox.maximizer.fields import (
    ADDRESS_PARTS,
    BASIC,
    DETAILS,
    TYPES,
    UDF_TYPES,
    Basic,
    Folder,
    Udf,
    attributes,
    decode,
    encode,
    schema_type,
)
from sandbox.maximizer.render import project
from sandbox.maximizer.schema import ROOT
from sandbox.maximizer.search import Column, Compiler, text

Object = Mapping[str, Any]
ROOT_KEYS = (None, "", encode("UdfSetup", ROOT), encode("RootFolder", ROOT))
EQUALS = [{"Value": op} for op in ("$EQ", "$NE", "$IN", "$NIN", "$LIKE", "$GT", "$GE", "$LT", "$LE")]


class Definitions:
    """`modern`: the request speaks Schema 1.0."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.schema = database.schema

    # --- Schema -----------------------------------------------------------------------------------------------------

    def read(self, asked: Object, modern: bool) -> dict[str, Any]:
        rows = [self._basic_row(field, modern) for field in BASIC.values()]
        rows += [self._udf_row(udf, modern) for udf in self.schema.udfs.values()]
        return {"Data": select(rows, asked)}

    def create(self, asked: Object, modern: bool) -> dict[str, Any]:
        allowed(self.database)
        data = _data(asked)
        name = value(data, "Name")
        if not isinstance(name, str) or not name:
            raise ApiError("Schema: Name is a mandatory field.")
        given = value(data, "Attributes") or {}
        udf = self.schema.add(
            name,
            self._folder(value(data, "Folder")),
            _kind(value(data, "Type"), given),
            max_length=value(given, "MaxLength") or 255,
            decimals=2 if value(given, "DecimalPlaces") is None else value(given, "DecimalPlaces"),
            applies_to=_applies_to(value(data, "AppliesTo"), modern),
            mandatory=bool(value(data, "AlwaysMandatory")),
            tag=value(data, "TAG") or "",
        )
        self.database.book.forget_indexes()
        return {"Data": {**data, "Key": self._key(udf, modern), "Attributes": attributes(udf)}}

    def update(self, asked: Object, modern: bool) -> dict[str, Any]:
        allowed(self.database)
        data = _data(asked)
        udf = self._udf(value(data, "Key"))
        if not modern and not (value(data, "Type") and value(data, "AppliesTo")):
            raise ApiError("Schema: Type and AppliesTo are mandatory fields.")
        name = value(data, "Name")
        if isinstance(name, str) and name:
            udf.name = name
        if find(data, "Inactive"):
            udf.inactive = bool(value(data, "Inactive"))
        if value(data, "TAG"):
            if udf.tag:
                raise ApiError("TAG cannot be changed.")
            udf.tag = str(value(data, "TAG"))
        self.schema.changed()
        return {"Data": dict(data)}

    def delete(self, asked: Object) -> dict[str, Any]:
        allowed(self.database)
        self.database.deletes += 1
        typeid = self._udf(value(_data(asked), "Key")).typeid
        self.schema.drop(typeid)
        self.database.forget_field(typeid)
        return {}

    def _udf_row(self, udf: Udf, modern: bool) -> dict[str, Any]:
        path = self.schema.path(udf)
        row: dict[str, Any] = {
            "Key": self._key(udf, modern),
            "Alias": [udf.ref, f"Udf/$NAME({path})", f"Udf/{encode('UdfDefinition', udf.typeid, 0)}"],
            "Type": _type_name(udf),
            "Name": path if modern else udf.name,
            "AppliesTo": list(udf.applies_to) if modern else ["AbEntry"],
            "Mandatory": udf.mandatory if modern else {"Rule": "1" if udf.mandatory else ""},
            "Formula": {"Rule": ""},
            "Assignable": True,
            "Inactive": udf.inactive,
            "Attributes": attributes(udf),
            "HasOption": udf.table,
            "TAG": udf.tag,
            **_flags(udf.kind),
        }
        folder = self._folder_row(udf.folder)
        row["Folder"] = folder["Key"] if modern else {name: folder[name] for name in ("Key", "Name", "Path")}
        if not modern:
            row["Code"] = udf.typeid
            row["Items"] = [{"Key": key, "Value": label} for key, label in udf.options.items()]
        return row

    def _basic_row(self, field: Basic, modern: bool) -> dict[str, Any]:
        mandatory = field.name in self.schema.required | {"LastName"}
        return {
            "Key": f"/AbEntry/{field.name}" if modern else field.name,
            "Alias": [field.name],
            "Type": schema_type(field),
            "Name": field.name,
            "AppliesTo": list(field.types) if modern else ["AbEntry"],
            "Folder": None,
            "Mandatory": mandatory if modern else {"Rule": "1" if mandatory else ""},
            "Formula": {"Rule": ""},
            "Assignable": field.writable,
            "Inactive": False,
            "Attributes": {"MaxLength": field.length} if field.kind in ("text", "email", "phone") else {},
            "HasOption": field.kind == "enum",
            "TAG": "",
            **_flags(field.kind, "date-not-searchable" not in self.database.quirks),
        }

    @staticmethod
    def _key(udf: Udf, modern: bool) -> str:
        return f"/AbEntry/{udf.ref}" if modern else udf.ref

    def _udf(self, key: object) -> Udf:
        found = self.schema.resolve(str(key))
        if not isinstance(found, Udf):
            raise ApiError("The user-defined field does not exist.")
        return found

    # --- folders ----------------------------------------------------------------------------------------------------

    def read_folders(self, asked: Object) -> dict[str, Any]:
        return {"Data": select([self._folder_row(number) for number in self.schema.folders], asked)}

    def create_folder(self, asked: Object) -> dict[str, Any]:
        allowed(self.database)
        data = _data(asked)
        name = value(data, "Name")
        if not isinstance(name, str) or not name or "\\" in name:
            raise ApiError("Folder: Name is a mandatory field.")
        parent = self._folder(value(data, "ParentKey") or value(data, "ParentFolderKey"))
        if self.schema.child(parent, name) is not None:
            raise ApiError(f"A folder named '{name}' already exists here.")
        return {"Data": {**data, "Key": encode("UdfSetup", self.schema.make_folder(name, parent))}}

    def _folder(self, key: object) -> int:
        """The number of a folder. Raises ApiError for a key that names none."""
        key = value(key, "Key") or key
        if key in ROOT_KEYS:
            return ROOT
        parts = decode(key)
        if len(parts) != 2 or not parts[1].isdigit() or int(parts[1]) not in self.schema.folders:
            raise ApiError("The folder does not exist.")
        return int(parts[1])

    def _folder_row(self, number: int) -> dict[str, Any]:
        folder = self.schema.folders.get(number) or Folder(ROOT, "", ROOT)
        return {
            "Key": folder.key,
            "Name": folder.name,
            "Path": self.schema.folder_path(folder.number),
            "ParentKey": encode("UdfSetup", folder.parent),
            "ParentFolderKey": encode("UdfSetup", folder.parent),
            "AppliesTo": ["AbEntry", *TYPES],
            "Inactive": False,
        }

    # --- the oldest field list --------------------------------------------------------------------------------------

    def field_info(self, asked: Object) -> dict[str, Any]:
        entry_type = value(asked, "Options", "Type") or "Individual"
        if entry_type not in TYPES:
            raise ApiError(f"AbEntry: there is no Type '{entry_type}'.")
        properties = {
            field.name: self._info(field.name, "string", field.name, schema_type(field), not field.writable)
            for field in BASIC.values()
            if entry_type in field.types
        }
        for name, parts in (("Address", ADDRESS_PARTS), ("Email1", DETAILS["email"]), ("Phone1", DETAILS["phone"])):
            properties[name]["properties"] = {part: {"name": part} for part in parts}
        for udf in self.schema.applying(str(entry_type)):
            kind = "array" if udf.table else "double" if udf.kind == "number" else "string"
            properties[udf.ref] = self._info(self.schema.path(udf), kind, udf.ref, _type_name(udf), False)
        return {"Data": {"properties": properties}}

    @staticmethod
    def _info(name: str, kind: str, alias: str, mxtype: str, readonly: bool) -> dict[str, Any]:
        return {"name": name, "type": ["null", kind], "alias": [alias], "mxtype": mxtype, "readonly": readonly}


def allowed(database: Database) -> None:
    """Raises ApiError when the user lacks "User-Defined Field Setup"."""
    if "no-udf-setup" in database.quirks:
        raise ApiError("You do not have the rights to set up user-defined fields.")


def select(rows: Iterable[dict[str, Any]], asked: Object) -> list[dict[str, Any]]:
    """Rows that match `Criteria.SearchQuery`, with the properties of `Scope.Fields` (1 = all), spelled as asked."""
    query = value(asked, "Criteria", "SearchQuery")
    node = Compiler(_row_column, sql=True).compile(query or {})
    scope = value(asked, "Scope", "Fields")
    found = [row for row in rows if node.match(row)]
    return [project(row, scope) if isinstance(scope, Mapping) else row for row in found]


def _row_column(path: tuple[str, ...]) -> Column:
    name = path[0]

    def terms(row: Mapping[str, Any]) -> list[Any]:
        held = value(row, *path)
        held = held if isinstance(held, list) else [] if held is None else [held]
        return [item.casefold() if isinstance(item, str) else item for item in held]

    def canon(operand: Any) -> Any:
        return operand if isinstance(operand, bool | int) else text(operand)

    return Column(name, "tree" if name.casefold() == "key" else "text", terms, canon)


def _kind(type_name: Any, given: Object) -> str:
    name = str(type_name).replace("TxDictionary", "EnumField").replace("UdfTableItem", "StringItem")
    if name == "EnumField<StringItem>":
        return "yesno" if value(given, "YesNo") else "multi" if value(given, "MultiSelect") else "single"
    if name == "DateTimeField":
        return "annual" if value(given, "IgnoreYear") else "date"
    kind = {"StringField": "text", "NumericField": "number", "IntegerField": "number", "CurrencyField": "number"}.get(
        name
    )
    if kind is None:
        raise ApiError(f"Schema: there is no Type '{type_name}'.")
    return kind


def _applies_to(given: Any, modern: bool) -> tuple[str, ...]:
    """Schema 0.x knows `AbEntry` only, which is all three types."""
    names = [given] if isinstance(given, str) else [str(name) for name in listing(given or [], "AppliesTo")]
    if names == ["AbEntry"]:
        return TYPES
    if not modern or not names or not set(names) <= set(TYPES):
        raise ApiError(f"Schema: AppliesTo {given!r} is not supported.")
    return tuple(known for known in TYPES if known in names)


def _type_name(udf: Udf) -> str:
    return UDF_TYPES[udf.kind]


def _flags(kind: str, dates_searchable: bool = True) -> dict[str, Any]:
    searchable = kind != "moment" or dates_searchable
    return {"Queryable": EQUALS if searchable else [], "Sortable": kind not in ("address", "key"), "Nullable": True}


def _data(asked: Object) -> Object:
    return mapping(value(asked, "Data"), "Data")
