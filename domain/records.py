"""JSON records of both services as frames of canonical values, and those frames as staged rows and back.

**Wide** frames hold identity columns and one column per mapping tag (dtype ``str``, NA = unknown):

- members: ``MEMBER`` columns, then a column per tag and per part of a mapped address field;
- entries: ``ENTRY`` columns, then a column per tag (the Maximizer value of that mapping).

**Staged** frames hold the identity columns, ``row_hash`` (int64, over everything that the sync looks at) and
``fields`` (a JSON object tag -> canonical text), as the snapshot tables keep them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from domain import values
from domain.fields import FieldMapping, MailchimpField, kinds

MEMBER = ("contact_id", "found", "email", "unique_email_id", "web_id", "status", "pair", "last_changed")
ENTRY = ("entry_id", "found", "type", "email1", "email2", "email3", "flag", "marker", "last_changed")
KEY = {"mailchimp": "contact_id", "maximizer": "entry_id"}
CLIENT_TAG, NUMBER_TAG = "CLIENTID", "CONTACTNO"
EMAIL = "EMAIL"
LAST_NAME = "LastName"

# Notes on a cell of the baseline: that Mailchimp's value is ours (the prefix, then the value itself, so that a person's
# own later value is told from it even where last-seen values are lost), or whose value waits because the other side
# cannot hold it.
PLACEHOLDER = "placeholder:"
MAILCHIMP_WAITS, MAXIMIZER_WAITS = "mailchimp-waits", "maximizer-waits"
# What only a new member itself can tell its entry: planned without a value, filled in when the member is there (R52).
FROM_NEW = "from-new-member"
# Somebody emptied a mandatory field in Mailchimp: it gets no placeholder again (R22).
LEFT_EMPTY = "left-empty"

# The parts of a basic field that hold its value, in Maximizer's detailed form (Maximizer fact sheet 4.3).
_DETAIL = ("Value", "Address", "Number")


@dataclass(frozen=True)
class Layout:
    """What is read of each record: the mappings, and where flag and marker live in Maximizer."""

    mappings: tuple[FieldMapping, ...]
    flag_ref: str
    marker_ref: str
    flag_yes: str = "2"
    flag_no: str = "1"

    @property
    def fields(self) -> tuple[FieldMapping, ...]:
        """The mappings that are compared cell by cell: all but the address, which has rules of its own (R13, R17)."""
        return tuple(m for m in self.mappings if m.tag != EMAIL)

    @property
    def address_tags(self) -> tuple[str, ...]:
        """Merge tags of address fields with at least one mapped part."""
        return tuple(
            dict.fromkeys(m.tag.split(".")[0] for m in self.fields if m.mailchimp.kind in ("address", "country"))
        )

    @property
    def member_fields(self) -> tuple[MailchimpField, ...]:
        """Fields with a column in member frames: mapped ones, and the other parts of a mapped address."""
        mapped = {m.tag: m.mailchimp for m in self.fields}
        for tag in self.address_tags:
            for part in kinds()["address"]["parts"]:
                kind = "country" if part == "country" else "address"
                mapped.setdefault(f"{tag}.{part}", MailchimpField(f"{tag}.{part}", "", "", kind))
        return tuple(mapped.values())

    @property
    def member_tags(self) -> tuple[str, ...]:
        return tuple(field.tag for field in self.member_fields)

    @property
    def entry_tags(self) -> tuple[str, ...]:
        return tuple(m.tag for m in self.fields if not m.one_way or m.maximizer.ref)

    def mapping(self, tag: str) -> FieldMapping:
        return next(m for m in self.mappings if m.tag == tag)


# ------------------------------------------------------------------ JSON -> wide


def members(rows: Sequence[Mapping[str, Any]], layout: Layout) -> pd.DataFrame:
    """Wide frame of member objects as Mailchimp sends them (Mailchimp fact sheet section 5)."""
    data: dict[str, Any] = {
        "contact_id": values.texts(row["contact_id"] for row in rows),
        "found": [True] * len(rows),
        "email": values.texts((row.get("email_address") or "").strip() for row in rows),
        "unique_email_id": values.texts(row.get("unique_email_id") or "" for row in rows),
        "web_id": values.texts(str(row.get("web_id") or "") for row in rows),
        "status": values.texts(row.get("status") or "" for row in rows),
        "pair": values.texts(_carried_pair(row.get("merge_fields") or {}) for row in rows),
        "last_changed": values.texts(row.get("last_changed") or "" for row in rows),
    }
    for field in layout.member_fields:
        raw = values.texts(_member_text(field, row) for row in rows)
        data[field.tag] = values.canonical_mailchimp(field, raw)
    return pd.DataFrame(data)


def entries(rows: Sequence[Mapping[str, Any]], layout: Layout) -> pd.DataFrame:
    """Wide frame of AbEntry rows as Maximizer sends them; names follow the request's spelling."""
    flags = {layout.flag_yes: "Yes", layout.flag_no: "No"}
    data: dict[str, Any] = {
        "entry_id": values.texts(entry_id(row) for row in rows),
        "found": [True] * len(rows),
        "type": values.texts(str(get(row, "Type") or "") for row in rows),
        "email1": values.texts((_entry_text(row, "Email1") or "").strip() for row in rows),
        "email2": values.texts((_entry_text(row, "Email2") or "").strip() for row in rows),
        "email3": values.texts((_entry_text(row, "Email3") or "").strip() for row in rows),
        "flag": values.texts(flags.get(_first(get(row, layout.flag_ref)), "") for row in rows),
        "marker": values.texts((_entry_text(row, layout.marker_ref) or "").strip() for row in rows),
        "last_changed": values.texts(_entry_text(row, "LastModifyDate") or "" for row in rows),
    }
    for mapping in layout.fields:
        field = mapping.maximizer
        table = field.kind in ("single", "multi", "yesno")
        raw = values.texts(_keys(row, field.ref) if table else _entry_text(row, field.ref) for row in rows)
        country = mapping.mailchimp.kind == "country"
        data[mapping.tag] = values.canonical_maximizer(field, raw, country=country)
    return pd.DataFrame(data)


def entry_id(row: Mapping[str, Any]) -> str:
    """``"<Client ID>#<Contact Number>"`` of an AbEntry row read with its detailed Key."""
    key = get(row, "Key") or {}
    return f"{get(key, 'ID')}#{int(get(key, 'Number') or 0)}"


def split_entry_id(entry: str) -> tuple[str, int]:
    client_id, _, number = entry.rpartition("#")
    return client_id, int(number)


def get(row: Mapping[str, Any], name: str) -> Any:
    """A property by name, whatever its case; None when absent or null."""
    if name in row:
        return row[name]
    folded = name.casefold()
    return next((value for key, value in row.items() if key.casefold() == folded), None)


def _has(row: Mapping[str, Any], name: str) -> bool:
    return name in row or any(key.casefold() == name.casefold() for key in row)


def _carried_pair(merge_fields: Mapping[str, Any]) -> str:
    client_id = str(merge_fields.get(CLIENT_TAG) or "").strip()
    shown = str(merge_fields.get(NUMBER_TAG) if merge_fields.get(NUMBER_TAG) not in (None, "") else "").strip()
    return f"{client_id}#{int(float(shown))}" if client_id and shown.replace(".", "", 1).isdigit() else ""


_SOURCES = {
    "@status": "status",
    "@rating": "member_rating",
    "@opt_in": "timestamp_opt",
    "@last_changed": "last_changed",
    "@unsubscribe_reason": "unsubscribe_reason",
    "@language": "language",
}


def _member_text(field: MailchimpField, row: Mapping[str, Any]) -> str | None:
    if field.tag.startswith("@"):
        value = row.get(_SOURCES[field.tag], "" if field.tag == "@unsubscribe_reason" else None)
        return None if value is None else str(value)
    if field.kind == "group":
        interests = row.get("interests")
        if interests is None:
            return None
        return values.as_set(option.key for option in field.options if interests.get(option.key))
    tag, _, part = field.tag.partition(".")
    value = (row.get("merge_fields") or {}).get(tag)
    if part:
        value = value.get(part, "") if isinstance(value, Mapping) else value
    return None if value is None else str(value)


def _entry_text(row: Mapping[str, Any], ref: str) -> str | None:
    """Text of a basic field or UDF; None when the payload does not have it (R29)."""
    outer, _, inner = ref.partition("/") if not ref.startswith("Udf/") else (ref, "", "")
    if not _has(row, outer):
        return None
    value = get(row, outer)
    if inner:
        if isinstance(value, Mapping) and not _has(value, inner):
            return None
        value = get(value, inner) if isinstance(value, Mapping) else value
    if isinstance(value, Mapping):
        value = next((get(value, name) for name in _DETAIL if _has(value, name)), None)
    if isinstance(value, list):
        value = _first(value)
    return "" if value is None or value is False else str(value)


def _keys(row: Mapping[str, Any], ref: str) -> str | None:
    if not _has(row, ref):
        return None
    value = get(row, ref)
    items = value if isinstance(value, list) else [] if value in (None, "") else [value]
    return values.as_set(_item_key(item) for item in items)


def _item_key(item: Any) -> str:
    return str(get(item, "Key")) if isinstance(item, Mapping) else str(item)


def _first(value: Any) -> str:
    if isinstance(value, list):
        return _item_key(value[0]) if value else ""
    return "" if value is None else _item_key(value)


# ------------------------------------------------------------------ wide <-> staged


def plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries, None for what is unknown."""
    names = [str(name) for name in frame.columns]
    columns = [_plain(frame.iloc[:, place]) for place in range(len(names))]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain(column: Any) -> list[Any]:
    """The values of a Series, None for what is unknown."""
    return list(column.to_numpy(dtype=object, na_value=None).tolist())


def missing(side: str, keys: Iterable[str]) -> pd.DataFrame:
    """Staged rows that say: looked for by a point read, and not there."""
    columns = MEMBER if side == "mailchimp" else ENTRY
    listed = list(keys)
    data: dict[str, Any] = {name: values.texts([""] * len(listed)) for name in columns}
    data[KEY[side]] = values.texts(listed)
    data["found"] = [False] * len(listed)
    frame = pd.DataFrame(data)
    return frame.assign(
        row_hash=pd.Series(0, index=frame.index, dtype="int64"), fields=values.texts(["{}"] * len(listed))
    )


def stage(wide: pd.DataFrame, side: str) -> pd.DataFrame:
    """Staged form of a wide frame.

    The hash covers everything read, of an entry also its date of last change: an edit of any field counts for R14.
    A member's date moves with things that are no edits, so it does not count.
    """
    identity = MEMBER if side == "mailchimp" else ENTRY
    tags = [name for name in wide.columns if name not in identity]
    ours = ("found", "last_changed") if side == "mailchimp" else ("found",)
    hashed = [name for name in wide.columns if name not in ours]
    # Most texts of a page are different ones: looking for equal ones first takes longer than it saves.
    digest = pd.util.hash_pandas_object(wide[hashed], index=False, categorize=False).to_numpy().view("int64")
    columns = [_plain(wide[tag]) for tag in tags]
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    fields = [
        encode({tag: value for tag, value in zip(tags, row, strict=True) if value is not None})
        for row in (zip(*columns, strict=True) if tags else [()] * len(wide))
    ]
    staged = wide[list(identity)].copy()
    staged["row_hash"] = digest
    staged["fields"] = values.texts(fields, wide.index)
    return staged


def unstage(staged: pd.DataFrame, tags: Sequence[str]) -> pd.DataFrame:
    """Wide form of a staged frame (columns other than ``fields`` are kept as they are)."""
    wide = staged.drop(columns="fields").reset_index(drop=True)
    return pd.concat([wide, cells(staged["fields"], tags)], axis=1)


def cells(fields: pd.Series, tags: Sequence[str]) -> pd.DataFrame:
    """A ``str`` column per tag from JSON objects tag -> text; absent becomes NA. RangeIndex."""
    import pyarrow as pa
    import pyarrow.json

    if not len(fields) or not tags:
        return pd.DataFrame({tag: values.texts([None] * len(fields)) for tag in tags}, index=range(len(fields)))
    schema = pa.schema([(tag, pa.large_string()) for tag in tags])
    options = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    source = io.BytesIO("\n".join(fields.fillna("{}").tolist()).encode())
    how = pyarrow.json.ReadOptions(use_threads=len(fields) > 1000)
    table = pyarrow.json.read_json(source, read_options=how, parse_options=options)
    text: Any = values.texts([]).dtype
    # Arrays, not Series: with few rows an index for each column is all the time that this takes.
    return pd.DataFrame({tag: text.__from_arrow__(table.column(tag)) for tag in tags}, copy=False)
