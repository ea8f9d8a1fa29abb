"""Request bodies: what a write sends, and nothing else (hazard C10)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domain.changeset import FLAG, LAST_NAME, MARKER, STAMP, STATUS
from domain.fields import MailchimpField, kinds
from domain.records import CLIENT_TAG, EMAIL, NUMBER_TAG, split_entry_id
from domain.values import members_of
from domain.wire import mailchimp_wire, maximizer_wire
from load.context import Item, Loading, Write


def member_body(loading: Loading, write: Write, held: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a create or an update; ``held`` is the member as re-read, {} for a new one.

    It changes what the plan says and nothing else. Beside that travel, at the member's own values, the mapped mandatory
    merge fields (Mailchimp looks for them in every request that holds merge fields) and the other parts of a touched
    address; absent keys stay as they are (Mailchimp fact sheet sections 6 and 9).
    """
    body: dict[str, Any] = {}
    merge: dict[str, Any] = {}
    interests: dict[str, bool] = {}
    parts: dict[str, dict[str, str]] = {}
    for item in write.items:
        if item.field == EMAIL:
            body["email_address"] = item.new
        elif item.field == STAMP:
            client_id, number = split_entry_id(item.new)
            merge |= {CLIENT_TAG: client_id, NUMBER_TAG: str(number)}
        elif item.field == STATUS:
            body["status"] = item.new
        elif item.field.startswith("group:"):
            interests |= _interests(loading, item)
        elif "." in item.field:
            tag, _, part = item.field.partition(".")
            parts.setdefault(tag, {})[part] = item.new
        else:
            merge[item.field] = mailchimp_wire(_merge_field(loading, item.field), item.new)
    current = held.get("merge_fields") or {}
    for tag, changed in parts.items():
        merge[tag] = _address(current.get(tag), changed)
    if merge:
        body["merge_fields"] = {**_companions(loading, current, merge), **merge}
    if interests:
        body["interests"] = interests
    if write.op == "create":
        body["status"] = loading.new_member_status
    return body


def _merge_field(loading: Loading, tag: str) -> MailchimpField:
    known = (*(m.mailchimp for m in loading.layout.mappings), *loading.required)
    return next((field for field in known if field.tag == tag), MailchimpField(tag, "", tag, "text"))


def _interests(loading: Loading, item: Item) -> dict[str, bool]:
    chosen = set(members_of(item.new))
    return {interest: interest in chosen for interest, _ in loading.layout.mapping(item.field).pairs}


def _address(current: Any, changed: Mapping[str, str]) -> Any:
    """A whole address, or "" when every part is empty."""
    whole = dict.fromkeys(kinds()["address"]["parts"], "")
    if isinstance(current, Mapping):
        whole |= {part: str(current.get(part) or "") for part in whole}
    whole |= changed
    if not any(whole.values()):
        return ""
    needed = set(kinds()["address"]["required"])
    return {part: text for part, text in whole.items() if text or part in needed or part == "addr2"}


def _companions(loading: Loading, current: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """Mapped mandatory merge fields that the member has a value for, as they are (R22)."""
    mapped = {mapping.tag.partition(".")[0] for mapping in loading.layout.fields if not mapping.broken}
    return {
        field.tag: current[field.tag]
        for field in loading.required
        if field.tag in mapped and field.tag not in sent and current.get(field.tag) not in (None, "")
    }


def lacks_mandatory(loading: Loading, body: Mapping[str, Any]) -> bool:
    """Whether a mandatory merge field does not travel with an update: Mailchimp must not insist on it then (R22)."""
    merge = body.get("merge_fields")
    return merge is not None and any(merge.get(field.tag) in (None, "") for field in loading.required)


def entry_data(loading: Loading, write: Write) -> dict[str, Any]:
    """``AbEntry.Data`` without its key: only the fields that change (Maximizer fact sheet 4.4)."""
    data: dict[str, Any] = {"Type": "Individual"} if write.op == "create" else {}
    for item in write.items:
        if item.field == EMAIL:
            data["Email1"] = {"Default": True, "Address": item.new} if write.op == "create" else {"Address": item.new}
        elif item.field == FLAG:
            data[loading.layout.flag_ref] = [loading.layout.flag_yes if item.new == "Yes" else loading.layout.flag_no]
        elif item.field == MARKER:
            data[loading.layout.marker_ref] = item.new
        elif item.field == LAST_NAME:
            data["LastName"] = item.new
        else:
            mapping = loading.layout.mapping(item.field)
            _put(data, mapping.maximizer.ref, maximizer_wire(mapping, item.new, loading.today))
    return data


def _put(data: dict[str, Any], ref: str, value: Any) -> None:
    outer, _, inner = (ref, "", "") if ref.startswith("Udf/") else ref.partition("/")
    if inner:
        data.setdefault(outer, {})[inner] = value
    elif outer.startswith("Phone"):
        data[outer] = {"Number": value}
    elif outer.startswith("Email"):
        data[outer] = {"Address": value}
    else:
        data[outer] = value
