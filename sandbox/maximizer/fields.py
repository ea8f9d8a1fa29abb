r"""What an Address Book entry consists of: basic fields, and user-defined fields (UDFs) in folders.

An entry keeps its values in one flat dictionary: basic fields under their name (`LastName`, `Phone1.Extension`,
`Address.City`), UDFs under their type id (an int). Empty values are absent.
"""

import base64
from dataclasses import dataclass, field
from typing import Any, NamedTuple

TYPES = ("Company", "Individual", "Contact")
ADDRESS_PARTS = ("AddressLine1", "AddressLine2", "City", "StateProvince", "ZipCode", "Country")
TABLE_KINDS = ("single", "multi", "yesno")
UDF_TYPES = {
    "text": "StringField",
    "number": "NumericField",
    "date": "DateTimeField",
    "annual": "DateTimeField",
    "single": "EnumField<StringItem>",
    "multi": "EnumField<StringItem>",
    "yesno": "EnumField<StringItem>",
}
YES_NO = {"2": "Yes", "1": "No"}  # the keys that three public clients use independently (fact sheet section 5.2)


def encode(*parts: object) -> str:
    """A key as the API writes it: base64 of tab-joined parts."""
    return base64.b64encode("\t".join(map(str, parts)).encode()).decode()


def decode(key: object) -> list[str]:
    """The parts of a key; [] for anything that is none."""
    try:
        return base64.b64decode(str(key), validate=True).decode().split("\t")
    except ValueError:
        return []


@dataclass(frozen=True)
class Basic:
    """A built-in field. `kind`: text, email, phone, address, key, user, moment, date, flag, enum or its own name."""

    name: str
    kind: str = "text"
    length: int = 79
    writable: bool = True
    types: tuple[str, ...] = TYPES


@dataclass
class Folder:
    """`parent` 0 is the root."""

    number: int
    name: str
    parent: int

    @property
    def key(self) -> str:
        return encode("UdfSetup", self.number)


@dataclass
class Udf:
    """A user-defined field. `kind`: text, number, date, annual, single, multi or yesno."""

    typeid: int
    name: str
    folder: int
    kind: str
    options: dict[str, str] = field(default_factory=dict)
    max_length: int = 255
    decimals: int = 2
    applies_to: tuple[str, ...] = TYPES
    mandatory: bool = False
    inactive: bool = False
    tag: str = ""

    @property
    def table(self) -> bool:
        return self.kind in TABLE_KINDS

    @property
    def ref(self) -> str:
        return f"Udf/$TYPEID({self.typeid})"


class Part(NamedTuple):
    """A sub-property asked for in path form, `Address/City`."""

    of: Basic
    name: str


Field = Basic | Udf | Part

_PEOPLE = ("Individual", "Contact")
_BASIC = (
    Basic("Key", "key", writable=False),
    Basic("Type", "type", writable=False),
    Basic("DisplayValue", "display", writable=False),
    Basic("CompanyName", types=("Company", "Individual")),
    Basic("MrMs", types=_PEOPLE),
    Basic("FirstName", types=_PEOPLE),
    Basic("MiddleName", types=_PEOPLE),
    Basic("LastName", types=_PEOPLE),
    Basic("FullName", "display", writable=False),
    Basic("Position", types=_PEOPLE),
    Basic("Salutation", types=_PEOPLE),
    Basic("Department"),
    Basic("Division"),
    Basic("WebSite", length=255),
    *(Basic(name, "email", 255) for name in ("Email", "Email1", "Email2", "Email3")),
    *(Basic(name, "phone", 30) for name in ("Phone", "Phone1", "Phone2", "Phone3", "Phone4")),
    Basic("Address", "address"),
    Basic("ParentKey", "parent", writable=False),
    Basic("Parent", "parent-entry", writable=False),
    Basic("Lead", "flag"),
    Basic("Category", "enum"),
    Basic("AccountManager", "user"),
    Basic("Creator", "user", writable=False),
    Basic("ModifiedBy", "user", writable=False),
    Basic("CreationDate", "moment", writable=False),
    Basic("LastModifyDate", "moment", writable=False),
    Basic("LastContactDate", "date"),
    Basic("SecStatus", "rights", writable=False),
)
BASIC = {field.name: field for field in _BASIC}
_BY_FOLDED = {field.name.casefold(): field for field in _BASIC}
CATEGORIES = {"1": "Customer", "2": "Prospect", "3": "Supplier", "4": "Press"}

# Sub-properties of the detailed forms (fact sheet section 4.3).
DETAILS: dict[str, tuple[str, ...]] = {
    "email": ("Address", "Default", "Description"),
    "phone": ("Number", "Extension", "Default", "Description"),
    "address": (*ADDRESS_PARTS, "Key", "Description", "Default", "ParentKey"),
}


def basic(name: str) -> Basic | Part | None:
    """By name or `Name/Part`, whatever the case, with or without `/AbEntry/` in front."""
    name = name.removeprefix("/AbEntry/")
    head, slash, tail = name.partition("/")
    found = _BY_FOLDED.get(head.casefold())
    if found is None or not slash:
        return found
    detail = next((part for part in DETAILS.get(found.kind, ()) if part.casefold() == tail.casefold()), None)
    return Part(found, detail) if detail else None


def flat(path: str) -> str | None:
    """Where an entry keeps what people call `path` (`Email1`, `Address.City`); None when it is no basic field."""
    found = basic(path.replace(".", "/"))
    if isinstance(found, Part):
        return f"{found.of.name}.{found.name}"
    return found.name if found else None


def schema_type(basic_field: Basic) -> str:
    """The `Type` of a basic field in a schema row."""
    return {
        "flag": "BooleanField",
        "moment": "DateTimeField",
        "date": "DateTimeField",
        "enum": "EnumField<StringItem>",
    }.get(basic_field.kind, "StringField" if basic_field.kind == "text" else f"{basic_field.name}Field")


def attributes(udf: Udf) -> dict[str, Any]:
    """The `Attributes` of a UDF in a schema row (fact sheet section 5.2)."""
    if udf.kind == "text":
        return {"MaxLength": udf.max_length, "Encrypted": False}
    if udf.kind == "number":
        return {"MinValue": None, "MaxValue": None, "DecimalPlaces": udf.decimals}
    if udf.table:
        return {"MultiSelect": udf.kind == "multi", "YesNo": udf.kind == "yesno"}
    return {"Date": True, "Time": False, "IgnoreYear": udf.kind == "annual"}
