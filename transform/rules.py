"""Rules that look at a whole record: complete addresses (R22, R28), and what a new record holds (R10, R18, R22)."""

from __future__ import annotations

from datetime import date

import pandas as pd

from domain import values
from domain.changeset import LAST_NAME as NAMELESS
from domain.changeset import Policy
from domain.fields import FieldMapping, kinds
from domain.records import MAXIMIZER_WAITS, OURS, PLACEHOLDER

LAST_NAME = "LastName"
# One row per record and field: what a create or update carries.
ITEM = ("row", "field", "old", "new", "seen", "note", "rule", "problem")


def complete_addresses(items: pd.DataFrame, members: pd.DataFrame, policy: Policy) -> pd.DataFrame:
    """Items towards Mailchimp with every touched address made whole or withheld.

    ``items``: columns ITEM, ``row`` = position in ``members`` (columns of address parts as they are now, "" where a
    new member has none). Mailchimp refuses an address without street, city, state and postal code: a mandatory one is
    filled (R22), any other partial one is withheld as a whole, and one whose parts are all empty is cleared.
    """
    table = kinds()["address"]
    for tag in policy.layout.address_tags:
        names = [f"{tag}.{part}" for part in table["parts"]]
        mine = items["field"].isin(names)
        if not mine.any():
            continue
        touched = items[mine]
        rows = touched["row"].unique()
        after = members.loc[rows, names].fillna("")
        changed = touched.pivot_table(index="row", columns="field", values="new", aggfunc="last")
        for name in changed.columns:
            after[name] = changed[name].reindex(rows).fillna(after[name])
        need = [f"{tag}.{part}" for part in table["required"]]
        lacking = after[need] == ""
        partial = lacking.any(axis=1) & (after != "").any(axis=1)
        mandatory = _mandatory(policy, tag)
        if mandatory:
            items = pd.concat([items, _filled(after, lacking, members, mandatory, policy.today)], ignore_index=True)
            items = items.drop_duplicates(["row", "field"], keep="last", ignore_index=True)
            continue
        withheld = items["field"].isin(names) & items["row"].isin(after.index[partial])
        items["problem"] = items["problem"].mask(withheld, "the address is incomplete")
        items["note"] = items["note"].mask(withheld, MAXIMIZER_WAITS)
    return items


def _mandatory(policy: Policy, tag: str) -> FieldMapping | None:
    return next((m for m in policy.layout.fields if m.tag.startswith(f"{tag}.") and m.mailchimp.required), None)


def _filled(
    after: pd.DataFrame, lacking: pd.DataFrame, members: pd.DataFrame, mapping: FieldMapping, today: date
) -> pd.DataFrame:
    """An item with the placeholder for every part that a mandatory address lacks."""
    parts = []
    for name in lacking.columns:
        rows = after.index[lacking[name]]
        now = members.loc[rows, name].fillna("")
        fill = mapping.mailchimp.placeholder(today) or "-"
        parts.append(
            pd.DataFrame(
                {"row": rows, "field": name, "old": now.to_numpy(), "new": fill, "seen": "", "note": PLACEHOLDER}
            ).assign(rule="R22", problem="")
        )
    return pd.concat(parts, ignore_index=True)


def new_members(entries: pd.DataFrame, policy: Policy) -> pd.DataFrame:
    """Items of members to be made from entries (rows of the wide frame, RangeIndex): R18, R22, R28."""
    parts = [_items(entries.index, "EMAIL", entries["email1"], entries["email1"], rule="R18")]
    blank = values.texts([""] * len(entries), entries.index)
    for mapping in policy.layout.fields:
        if mapping.one_way or mapping.broken:
            continue
        encoded = values.to_mailchimp(mapping, entries[mapping.tag].fillna(""))
        value = encoded.value.fillna("")
        note, rule = blank, "R18"
        if mapping.mailchimp.required and "." not in mapping.tag:
            fill = mapping.mailchimp.placeholder(policy.today)
            note = blank.mask(value == "", PLACEHOLDER if fill else "")
            value = value.mask(value == "", fill)
        note = note.mask((encoded.problem != "") & (note == ""), MAXIMIZER_WAITS)
        items = _items(entries.index, mapping.tag, value, entries[mapping.tag], note=note, rule=rule)
        parts.append(items.assign(problem=encoded.problem.to_numpy()))
    for field in policy.unmapped_required:
        fill = field.placeholder(policy.today)
        if fill:
            parts.append(_items(entries.index, field.tag, values.texts([fill] * len(entries)), blank, rule="R22"))
    items = pd.concat(parts, ignore_index=True)
    empty = pd.DataFrame(dict.fromkeys(policy.layout.member_tags, blank), index=entries.index)
    whole = complete_addresses(items, empty, policy)
    return whole[(whole["new"] != "") | (whole["problem"] != "") | (whole["note"] != "")]


def new_entries(members: pd.DataFrame, policy: Policy) -> pd.DataFrame:
    """Items of Individuals to be made from members (rows of the wide frame, RangeIndex): R10.

    Maximizer requires a last name: where there is none the address stands in, and is remembered as ours.
    """
    parts = [_items(members.index, "EMAIL", members["email"], members["email"], rule="R10")]
    blank = values.texts([""] * len(members), members.index)
    last_name = next((m for m in policy.layout.fields if m.maximizer.ref == LAST_NAME and not m.broken), None)
    for mapping in policy.layout.fields:
        if mapping.broken:
            continue
        encoded = values.to_maximizer(mapping, members[mapping.tag].fillna(""), blank, policy.today)
        value, note = encoded.value.fillna(""), blank
        if mapping is last_name:
            note = blank.mask(value == "", OURS)
            value = value.mask(value == "", members["email"])
        items = _items(members.index, mapping.tag, value, members[mapping.tag], note=note, rule="R10")
        parts.append(items.assign(problem=encoded.problem.where(note != OURS, "").to_numpy()))
    if last_name is None:
        parts.append(_items(members.index, NAMELESS, members["email"], blank, rule="R10"))
    items = pd.concat(parts, ignore_index=True)
    return items[(items["new"] != "") | (items["problem"] != "")]


def _items(
    rows: pd.Index, field: str, new: pd.Series, seen: pd.Series, *, rule: str, note: pd.Series | str = ""
) -> pd.DataFrame:
    data = {
        "row": rows.to_numpy(),
        "field": field,
        "old": "",
        "new": new.to_numpy(),
        "seen": seen.to_numpy(),
        "note": note.to_numpy() if isinstance(note, pd.Series) else note,
        "rule": rule,
        "problem": "",
    }
    return pd.DataFrame(data, columns=list(ITEM)).astype(dict.fromkeys(ITEM[1:], "str"))
