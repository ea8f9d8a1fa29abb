"""Values that come in: JSON types are enforced as the API does it, people's texts and labels are understood too.

Fact sheet sections 2.2, 4.4 and 5.2. Results are in the form in which an entry keeps them.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from sandbox.maximizer import dates
from sandbox.maximizer.envelope import (
    MANDATORY_FIELD,
    MANDATORY_VALUE,
    NOT_AN_OPTION,
    UNKNOWN_PROPERTY,
    WRONG_TYPE,
    ApiError,
    find,
)
from sandbox.maximizer.fields import ADDRESS_PARTS, BASIC, CATEGORIES, DETAILS, Basic, Part, Udf, flat
from sandbox.maximizer.quirks import Quirks
from sandbox.maximizer.schema import Schema

Stored = dict[str | int, Any]
_SPECIAL = ("key", "type", "parentkey")
_LEAP_YEAR = 2000


def incoming(schema: Schema, quirks: Quirks, entry_type: str, data: Mapping[str, Any], creating: bool) -> Stored:
    """The `Data` of a Create or Update; Key, Type and ParentKey are the caller's business. Raises ApiError."""
    stored: Stored = {}
    for name, value in data.items():
        if name.casefold() in _SPECIAL:
            continue
        field = schema.field(name)
        if isinstance(field, Udf):
            stored |= _udf(schema, quirks, field, entry_type, value)
        elif isinstance(field, Part):
            # The path form is documented for what is read only.
            raise ApiError(f"AbEntry doesn't support property '{name}' here.", UNKNOWN_PROPERTY)
        else:
            stored |= _basic(field, entry_type, name, value, creating)
    return stored


def missing(schema: Schema, entry_type: str, values: Mapping[str | int, Any]) -> str | None:
    """The first mandatory field that has no value."""
    basics = {"CompanyName"} if entry_type == "Company" else {"LastName"}
    for name in (*basics, *sorted(schema.required - basics)):
        held = values.get(name)
        known = BASIC.get(name)
        if not held and (known is None or entry_type in known.types):
            return name
    for udf in schema.applying(entry_type):
        if udf.mandatory and values.get(udf.typeid) in (None, "", ()):
            return schema.path(udf)
    return None


def check_mandatory(schema: Schema, entry_type: str, values: Mapping[str | int, Any], creating: bool) -> None:
    """Raises ApiError -10010 on create, -10003 on update."""
    name = missing(schema, entry_type, values)
    if name is not None and creating:
        raise ApiError(f"AbEntry: {name} is a mandatory field.", MANDATORY_FIELD)
    if name is not None:
        raise ApiError(f"AbEntry: failed to validate update to AbEntry. {name} is mandatory", MANDATORY_VALUE)


# --- basic fields ---------------------------------------------------------------------------------------------------


def _basic(field: Basic, entry_type: str, name: str, value: Any, creating: bool) -> Stored:
    if not field.writable or (entry_type not in field.types and not (field.name == "CompanyName" and creating)):
        raise ApiError(f"AbEntry doesn't support property '{name}' here.", UNKNOWN_PROPERTY)
    if entry_type not in field.types:
        return {}
    if field.kind in ("email", "phone"):
        return _reachable(field, name, value)
    if field.kind == "address":
        return address(name, value)
    value = _simple(value)
    if field.kind == "flag":
        if value is not None and not isinstance(value, bool):
            raise ApiError(f"{name} is not a boolean.", WRONG_TYPE)
        return {field.name: value or None}
    if field.kind == "enum":
        return {field.name: _keys(value, name, CATEGORIES, multi=True)}
    if field.kind == "date":
        return {field.name: _date(value, name)}
    return {field.name: _text(value, name, field.length)}


def _reachable(field: Basic, name: str, value: Any) -> Stored:
    """An e-mail address or phone: a text, or an object of which only the given parts change."""
    main = DETAILS[field.kind][0]
    target = f"{field.name}1" if field.name in ("Email", "Phone") else field.name
    if not isinstance(value, Mapping):
        return {target: _text(value, name, field.length)}
    stored: Stored = {}
    for part, inner in value.items():
        known = next((known for known in DETAILS[field.kind] if known.casefold() == part.casefold()), None)
        if known is None:
            raise ApiError(f"{name} doesn't support property '{part}'.", UNKNOWN_PROPERTY)
        if known == "Default":
            if inner:
                stored[f"{target[:5]}.Default"] = target if target != f"{target[:5]}1" else None
        else:
            stored[target if known == main else f"{target}.{known}"] = _text(inner, f"{name}/{part}", field.length)
    return stored


def address(name: str, value: Any) -> Stored:
    """Only the given parts change; null clears them all."""
    if value is None:
        return {f"Address.{part}": None for part in ADDRESS_PARTS}
    if not isinstance(value, Mapping):
        raise ApiError(f"{name} is not an object.", WRONG_TYPE)
    stored: Stored = {}
    for part, inner in value.items():
        known = next((known for known in DETAILS["address"] if known.casefold() == part.casefold()), None)
        if known is None:
            raise ApiError(f"{name} doesn't support property '{part}'.", UNKNOWN_PROPERTY)
        if known in ADDRESS_PARTS:
            stored[f"Address.{known}"] = _text(inner, f"{name}/{part}")
    return stored


# --- user-defined fields --------------------------------------------------------------------------------------------


def _udf(schema: Schema, quirks: Quirks, udf: Udf, entry_type: str, value: Any) -> Stored:
    name = schema.path(udf)
    if entry_type not in udf.applies_to:
        if "udf-silent-noop" in quirks:
            return {}
        raise ApiError(f"{entry_type} doesn't support property '{name}'.", UNKNOWN_PROPERTY)
    value = _simple(value)
    if udf.table:
        return {udf.typeid: _keys(value, name, udf.options, udf.kind == "multi")}
    if udf.kind == "number":
        return {udf.typeid: _number(value, name, udf.decimals)}
    if udf.kind in ("date", "annual"):
        return {udf.typeid: _date(value, name)}
    if "text-dropped" in quirks:
        return {}
    cut = quirks.number("text-truncated")
    if cut is not None and isinstance(value, str):
        value = value[:cut]
    return {udf.typeid: _text(value, name, udf.max_length)}


def _simple(value: Any) -> Any:
    """Of a detailed form only the default sub-property counts."""
    named = find(value, "Value")
    return named.value if named else value


def _text(value: Any, name: str, length: int = 79) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ApiError(f"{name} is not a text.", WRONG_TYPE)
    if value and len(value) > length:
        raise ApiError(f"{name} is longer than {length} characters.")
    return value or None


def _number(value: Any, name: str, decimals: int) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ApiError(f"{name} is not a number.", WRONG_TYPE)
    return round(float(value), decimals)


def _date(value: Any, name: str) -> str | None:
    if value in (None, ""):
        return None
    found = dates.plain_date(value)
    if found is None:
        raise ApiError(f"{name} is not a date.", WRONG_TYPE)
    return found


def _keys(value: Any, name: str, options: Mapping[str, str], multi: bool) -> tuple[str, ...]:
    """Item keys in the order of the table; a single key may come as a plain text."""
    if value is None or value == "":
        return ()
    items = value if isinstance(value, list) else [value]
    keys = [item.value if (item := find(each, "Key")) else each for each in items]
    if any(not isinstance(key, str) for key in keys) or (len(set(keys)) > 1 and not multi):
        raise ApiError(f"{name} does not take {value!r}.", WRONG_TYPE)
    unknown = [key for key in keys if key not in options]
    if unknown:
        raise ApiError(f"{name}: '{unknown[0]}' is not one of the allowed values.", NOT_AN_OPTION)
    return tuple(key for key in options if key in keys)


# --- people ---------------------------------------------------------------------------------------------------------


def typed(schema: Schema, fields: Mapping[str, Any]) -> Stored:
    r"""What people fill in: `LastName`, `Address.City` or `Address`, `Folder\Name`; tables by label.

    Raises KeyError for an unknown field, ValueError for a value that it cannot hold.
    """
    stored: Stored = {}
    for path, value in fields.items():
        name = flat(path)
        if name == "Address":
            stored |= {f"Address.{part}": value.get(part) or None for part in ADDRESS_PARTS if part in value}
        elif name == "Category":
            stored[name] = _labelled(CATEGORIES, value, path)
        elif name is not None:
            stored[name] = value or None
        else:
            udf = schema.at(path)
            stored[udf.typeid] = _typed(udf, value, path)
    return stored


def _typed(udf: Udf, value: Any, path: str) -> Any:
    if udf.table:
        return _labelled(udf.options, value, path)
    if value in (None, ""):
        return None
    if udf.kind == "number":
        return round(float(value), udf.decimals)
    if udf.kind == "text":
        if len(value) > udf.max_length:
            raise ValueError(f"{path} takes {udf.max_length} characters")
        return str(value)
    text = str(value)
    return date.fromisoformat(text if len(text) > 5 else f"{_LEAP_YEAR}-{text}").isoformat()


def _labelled(options: Mapping[str, str], value: Any, path: str) -> tuple[str, ...]:
    labels = [] if value in (None, "") else [value] if isinstance(value, str) else list(value)
    unknown = set(labels) - set(options.values())
    if unknown:
        raise ValueError(f"{path} has no item {sorted(unknown)[0]!r}")
    return tuple(key for key, label in options.items() if label in labels)


def shown(udf: Udf, value: Any) -> Any:
    """A stored value as people see it: labels for keys, a list of them for a multi-value table, None when empty."""
    if not udf.table:
        return value
    labels = [udf.options[key] for key in value or () if key in udf.options]
    return labels if udf.kind == "multi" else (labels[0] if labels else None)
