"""Rules that look at a whole record: complete addresses (R22, R28), and what a new record holds (R10, R18, R22)."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from domain import values
from domain.changeset import LAST_NAME as NAMELESS
from domain.changeset import Policy
from domain.fields import FieldMapping, kinds
from domain.records import LAST_NAME, MAXIMIZER_WAITS, PLACEHOLDER
from domain.values import address_key
from transform.compare import placeholders

# One row per record and field: what a create or update carries.
ITEM = ("row", "field", "old", "new", "seen", "note", "rule", "problem")


def complete_addresses(
    items: pd.DataFrame, members: pd.DataFrame, entries: pd.DataFrame, policy: Policy
) -> pd.DataFrame:
    """Items towards Mailchimp with every touched address made whole, cleared, or withheld.

    ``items``: columns ITEM, ``row`` = position in ``members`` (columns of address parts as they are now, "" where a
    new member has none) and in ``entries`` (the same parts as Maximizer has them). Mailchimp refuses an address without
    street, city, state and postal code: a mandatory one is filled (R22), any other partial one is withheld as a whole,
    and one that Maximizer has emptied is cleared. A country goes only with its address: Mailchimp fills in its own.
    """
    table = kinds()["address"]
    for tag in policy.layout.address_tags:
        names = [f"{tag}.{part}" for part in table["parts"]]
        touched = items[items["field"].isin(names) & (items["problem"] == "")]
        if not len(touched):
            continue
        rows = touched["row"].unique()
        now = members.loc[rows, names].fillna("")
        changed = touched.pivot_table(index="row", columns="field", values="new", aggfunc="last")
        after = changed.reindex(index=rows, columns=names).astype("str").fillna(now)
        country = f"{tag}.country"
        need = [f"{tag}.{part}" for part in table["required"]]
        lacking = after[need] == ""
        if mandatory := _mandatory(policy, tag):
            filled = _filled(after, lacking, now, mandatory, policy.today)
            again = items.merge(filled[["row", "field"]], how="left", indicator=True)["_merge"] == "both"
            # What is withheld stays, to be reported; only a value to be sent gives way to its placeholder.
            items = pd.concat([items[~(again & (items["problem"] == ""))], filled], ignore_index=True)
        else:
            mapped = [m.tag for m in policy.layout.fields if m.tag in names]
            emptied = (entries.loc[rows, mapped] == "").all(axis=1)
            cleared = emptied & (after.drop(columns=country) == "").all(axis=1)
            items = _without_country(items, country, now[cleared & (now[country] != "")])
            after[country] = after[country].mask(cleared, "")
            partial = lacking.any(axis=1) & (after != "").any(axis=1)
            held = items["field"].isin(names) & items["row"].isin(after.index[partial])
            held &= (items["new"] != "") | (items["old"] != "")
            items = _held(items, held, "the address is incomplete")
        standing = after.index[(after[need] != "").any(axis=1) | bool(mandatory)]
        bare = (items["field"] == country) & (items["new"] == "") & (items["old"] != "") & (items["problem"] == "")
        items = _held(items, bare & items["row"].isin(standing), "Mailchimp keeps a country with every address")
    return items


def _held(items: pd.DataFrame, held: pd.Series, problem: str) -> pd.DataFrame:
    return items.assign(problem=items["problem"].mask(held, problem), note=items["note"].mask(held, MAXIMIZER_WAITS))


def _without_country(items: pd.DataFrame, country: str, now: pd.DataFrame) -> pd.DataFrame:
    """Items that clear the country too, of members (rows of ``now``) whose address goes."""
    now = now[~now.index.isin(items.loc[items["field"] == country, "row"])]
    going = _items(now.index, country, values.texts([""] * len(now)), values.texts([""] * len(now)), rule="R31")
    return pd.concat([items, going.assign(old=now[country].to_numpy())], ignore_index=True)


def _mandatory(policy: Policy, tag: str) -> FieldMapping | None:
    return next((m for m in policy.layout.fields if m.tag.startswith(f"{tag}.") and m.mailchimp.required), None)


def _filled(
    after: pd.DataFrame, lacking: pd.DataFrame, now: pd.DataFrame, mapping: FieldMapping, today: date
) -> pd.DataFrame:
    """An item with the placeholder for every part that a mandatory address lacks."""
    parts = []
    fill = mapping.mailchimp.placeholder(today) or "-"
    for name in lacking.columns:
        rows = after.index[lacking[name]]
        new, seen = values.texts([fill] * len(rows)), values.texts([""] * len(rows))
        items = _items(rows, name, new, seen, note=PLACEHOLDER + new, rule="R22")
        parts.append(items.assign(old=now.loc[rows, name].to_numpy()))
    return pd.concat(parts, ignore_index=True)


def new_members(entries: pd.DataFrame, policy: Policy) -> pd.DataFrame:
    """Items of members to be made from entries (rows of the wide frame, RangeIndex): R18, R22, R28."""
    parts = [_items(entries.index, "EMAIL", entries["email1"], entries["email1"], rule="R18")]
    blank = values.texts([""] * len(entries), entries.index)
    for mapping in policy.layout.fields:
        if mapping.one_way or mapping.broken:
            continue
        own = entries[mapping.tag].fillna("")
        if mapping.maximizer.ref == LAST_NAME:  # an address that stands in for a last name is no name (R10)
            own = own.mask(address_key(own) == address_key(entries["email1"]), "")
        encoded = values.to_mailchimp(mapping, own)
        value = encoded.value.fillna("")
        seen = values.paired_only(mapping, entries[mapping.tag], "maximizer")
        items = _items(entries.index, mapping.tag, value, seen, rule="R18")
        parts.append(items.assign(problem=encoded.problem.to_numpy()))
        # A placeholder goes also where the true value cannot (R28); that one is reported by its own item.
        fill = mapping.mailchimp.placeholder(policy.today) if mapping.mailchimp.required else ""
        if fill and "." not in mapping.tag:
            filled = items[value.to_numpy() == ""]
            parts.append(filled.assign(new=fill, note=PLACEHOLDER + fill, rule="R22"))
    for field in policy.unmapped_required:
        stand_in = values.texts([field.placeholder(policy.today)] * len(entries), entries.index)
        for name in field.filled_tags:
            parts.append(_items(entries.index, name, stand_in, blank, note=PLACEHOLDER + stand_in, rule="R22"))
    items = pd.concat(parts, ignore_index=True)
    empty = pd.DataFrame(dict.fromkeys(policy.layout.member_tags, blank), index=entries.index)
    whole = complete_addresses(items, empty, entries, policy)
    return whole[(whole["new"] != "") | (whole["problem"] != "")]


def without_placeholders(
    members: pd.DataFrame, policy: Policy, notes: pd.DataFrame | None
) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    """The members without what we wrote into them for want of a value (R23), and per row that: tag -> value.

    ``notes``: as in ``pairs.judged``. Without one a placeholder that everybody knows by sight counts as ours.
    """
    ours: list[dict[str, str]] = [{} for _ in range(len(members))]
    blank = values.texts([""] * len(members), members.index)
    bare = {}
    for mapping in policy.layout.fields:
        held = members[mapping.tag].fillna("")
        note = blank if notes is None else notes[mapping.tag].set_axis(members.index)
        found = placeholders(mapping, held, note, np.ones(len(members), bool)) & (held != "").to_numpy(bool)
        if found.any():
            bare[mapping.tag] = members[mapping.tag].mask(pd.Series(found, index=members.index), "")
            rows = np.flatnonzero(found)
            for row, value in zip(rows.tolist(), held.take(rows).tolist(), strict=True):
                ours[row][mapping.tag] = value
    return members.assign(**bare), ours


def without_value(members: pd.DataFrame, policy: Policy) -> pd.DataFrame:
    """Items for mandatory fields that a member has no value for, and its new entry none to give: placeholders (R22)."""
    parts = [_items(members.index[:0], "", values.texts([]), values.texts([]), rule="R22")]
    for mapping in policy.layout.fields:
        fill = mapping.mailchimp.placeholder(policy.today)
        if mapping.mailchimp.required and fill and not (mapping.one_way or mapping.broken):
            rows = members.index[(members[mapping.tag] == "").to_numpy(bool)]
            new, seen = values.texts([fill] * len(rows)), values.texts([""] * len(rows))
            parts.append(_items(rows, mapping.tag, new, seen, note=PLACEHOLDER + new, rule="R22"))
    blank = values.texts([""] * len(members), members.index)
    entries = pd.DataFrame(dict.fromkeys(policy.layout.member_tags, blank), index=members.index)
    return complete_addresses(pd.concat(parts, ignore_index=True), members, entries, policy)


def unsent(items: pd.DataFrame, records: pd.DataFrame, policy: Policy, side: str) -> list[dict[str, Any]]:
    """Per row what a new record is made without although ``records`` (of ``side``) hold it; {} where that is nothing.

    ``unsent``: tag -> value, seen by the new pair from the start (R31). ``waits``: those of them that the other side
    cannot take (R28). ``items``: columns ITEM of the creates, ``row`` = position in ``records``.
    """
    rows: list[dict[str, Any]] = [{} for _ in range(len(records))]
    sent, held = items[items["problem"] == ""], items[items["problem"] != ""]
    for mapping in policy.layout.fields:
        if mapping.one_way or mapping.broken:
            continue
        tag = mapping.tag
        own = values.paired_only(mapping, records[tag].fillna(""), side)
        left = (own != "").to_numpy(bool, copy=True)
        left[sent.loc[sent["field"] == tag, "row"].to_numpy(dtype="int64")] = False
        stuck = set(held.loc[held["field"] == tag, "row"])
        for row in np.flatnonzero(left).tolist():
            _note(rows[row], tag, str(own.iloc[row]), row in stuck)
    return rows


def _note(then: dict[str, Any], tag: str, value: str, waits: bool) -> None:
    then.setdefault("unsent", {})[tag] = value
    if waits:
        then.setdefault("waits", []).append(tag)


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
        value = encoded.value.fillna("")
        seen = values.paired_only(mapping, members[mapping.tag], "mailchimp")
        items = _items(members.index, mapping.tag, value, seen, rule="R10")
        parts.append(items.assign(problem=encoded.problem.to_numpy()))
        if mapping is last_name:
            nameless = items[value.to_numpy() == ""]
            parts.append(nameless.assign(new=members.loc[value == "", "email"].to_numpy()))
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
