"""Field by field over all linked pairs: where both sides agree, and where not, for which lawful reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from domain import values
from domain.changeset import Policy
from domain.fields import FieldMapping, Option
from domain.frames import positions
from domain.records import MAILCHIMP_WAITS, MAXIMIZER_WAITS, PLACEHOLDER, cells
from domain.sums import closes
from transform.compare import Aligned, compare

# What becomes of one field of one pair; each counts once.
STATES = ("agree", "placeholder", "pending", "withheld", "one-way", "protected", "waiting", "other")
DETAIL = ("state", "link", "contact_id", "entry_id", "tag", "mailchimp", "maximizer", "problem")


@dataclass(frozen=True)
class Pairs:
    """Linked pairs with both records read, one row each: link, contact_id, entry_id, ``sends`` (flag Yes), ``waits``
    (a person has to decide). ``coming``: link -> fields that a planned change carries.
    """

    frame: pd.DataFrame
    coming: pd.DataFrame


@dataclass(frozen=True)
class Agreement:
    """``counts``: one row per tag, a column per state. ``details``: DETAIL, one row per field that does not agree.

    ``remarks``: link, contact_id, entry_id, tag, problem: options without a counterpart (R26).
    """

    counts: pd.DataFrame
    details: pd.DataFrame
    remarks: pd.DataFrame


def agreement(
    pairs: Pairs, members: pd.DataFrame, entries: pd.DataFrame, notes: pd.DataFrame, policy: Policy
) -> Agreement:
    """``members``/``entries``: wide frames with every record of the pairs; ``notes``: link_id and notes."""
    frame, layout = pairs.frame.reset_index(drop=True), policy.layout
    tags = [m.tag for m in layout.fields]
    noted = values.texts(frame["link"].map(notes.set_index("link_id")["notes"])) if len(frame) else values.texts([])
    noted_cells = cells(noted, tags).fillna("")
    counts, details, remarks = [], [], []
    places = (
        positions(frame["contact_id"], members["contact_id"]),
        positions(frame["entry_id"], entries["entry_id"]),
    )
    for mapping in (m for m in layout.fields if not m.broken):
        tag = mapping.tag
        member, entry = (
            side[[tag]].take(place).reset_index(drop=True)
            for side, place in zip((members, entries), places, strict=True)
        )
        found = _judged(mapping, member, entry, noted_cells[[tag]], frame["sends"], policy)
        state = _states(
            mapping, frame, pairs.coming, found, noted_cells[tag], member[tag], entry[tag], held=tag in policy.held
        )
        numbers = pd.Series(state).value_counts()
        row = {name: int(numbers.get(name, 0)) for name in STATES}
        closes(f"the pairs of {tag}", len(frame), row.values())
        counts.append({"tag": tag, **row})
        off = np.flatnonzero(state != "agree")
        details.append(_details(mapping, frame, off, state, found, member[tag], entry[tag]))
        told = found["remark"].to_numpy(dtype=object)
        rows = np.flatnonzero(told != "")
        remarks.append(frame.take(rows)[["link", "contact_id", "entry_id"]].assign(tag=tag, problem=told[rows]))
    columns = ["tag", *STATES]
    return Agreement(pd.DataFrame(counts, columns=columns), _joined(details, DETAIL), _joined(remarks, _REMARK))


_REMARK = ("link", "contact_id", "entry_id", "tag", "problem")


def _joined(parts: list[pd.DataFrame], columns: tuple[str, ...]) -> pd.DataFrame:
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(columns))


def _judged(
    mapping: FieldMapping,
    member: pd.DataFrame,
    entry: pd.DataFrame,
    notes: pd.DataFrame,
    sends: pd.Series,
    policy: Policy,
) -> pd.DataFrame:
    """Per pair ``verdict``, ``problem``, ``remark`` as if the field met for the first time: what differs, shows.

    A value that waits, because the other side cannot hold it, has its own side's problem whoever wins conflicts.
    """
    found = pd.DataFrame({"verdict": "same", "problem": "", "remark": ""}, index=range(len(member)))
    found = _with(
        mapping, found, np.flatnonzero(~_plainly_same(mapping, member, entry)), member, entry, notes, sends, policy
    )
    for note, side in ((MAILCHIMP_WAITS, "mailchimp"), (MAXIMIZER_WAITS, "maximizer")):
        rows = np.flatnonzero((notes[mapping.tag] == note).to_numpy(bool) & (found["verdict"] != "same").to_numpy())
        if len(rows):
            own = replace(policy, settings=replace(policy.settings, conflict=side))
            again = _with(mapping, found, rows, member, entry, notes, sends, own)["problem"]
            waits = again.index.isin(rows) & (again == "").to_numpy()
            found = found.assign(problem=again.mask(waits, "waits to be carried over"))
    return found


def _plainly_same(mapping: FieldMapping, member: pd.DataFrame, entry: pd.DataFrame) -> np.ndarray:
    """Where both sides hold the same text and nothing has to be encoded to see it: most of a list in step."""
    if mapping.mailchimp.kind in ("radio", "dropdown", "group"):  # there keys of different tables meet
        return np.zeros(len(member), bool)
    ours, theirs = member[mapping.tag], entry[mapping.tag]
    same = (ours == theirs).fillna(False).to_numpy(bool)
    return same & (theirs != "").to_numpy(bool) if mapping.mailchimp.required else same


def _with(
    mapping: FieldMapping,
    found: pd.DataFrame,
    rows: np.ndarray,
    member: pd.DataFrame,
    entry: pd.DataFrame,
    notes: pd.DataFrame,
    sends: pd.Series,
    policy: Policy,
) -> pd.DataFrame:
    """``found`` with these rows judged."""
    if not len(rows):
        return found
    ours, theirs, noted = (frame.take(rows).reset_index(drop=True) for frame in (member, entry, notes))
    judged = _met(mapping, ours, theirs, noted, sends.take(rows).reset_index(drop=True), policy)
    columns = {name: found[name].to_numpy(dtype=object).copy() for name in found}
    for name, column in columns.items():
        column[rows] = judged[name].to_numpy(dtype=object)
    return pd.DataFrame(columns, index=found.index)


def _met(
    mapping: FieldMapping,
    member: pd.DataFrame,
    entry: pd.DataFrame,
    notes: pd.DataFrame,
    sends: pd.Series,
    policy: Policy,
) -> pd.DataFrame:
    unseen = pd.DataFrame({mapping.tag: values.texts([None] * len(member))}, index=range(len(member)))
    whole = Aligned(member, entry, unseen, unseen, notes, sends)
    found = compare(whole, (mapping,), policy.settings.conflict, policy.today)
    answer = pd.DataFrame({"verdict": "unknown", "problem": "", "remark": ""}, index=range(len(member)))
    rows = found["row"].to_numpy(dtype="int64") if len(found) else ()
    for name in answer if len(found) else ():
        column = answer[name].to_numpy(dtype=object).copy()
        column[rows] = found[name].to_numpy(dtype=object)
        answer[name] = column
    return answer


def _states(
    mapping: FieldMapping,
    frame: pd.DataFrame,
    coming: pd.DataFrame,
    found: pd.DataFrame,
    notes: pd.Series,
    member: pd.Series,
    entry: pd.Series,
    *,
    held: bool = False,
) -> np.ndarray:
    verdict = found["verdict"].to_numpy(dtype=object)
    # Unknown is what a payload did not hold (R29): nothing to disagree about.
    same = np.isin(verdict, ["same", "unknown", "unchanged"])
    ours = (notes == PLACEHOLDER + member.fillna("")).to_numpy(bool) & (member.fillna("") != "").to_numpy()
    on_the_way = frame["link"].isin(coming.loc[coming["field"] == mapping.tag, "link"]).to_numpy()
    one_way = ~frame["sends"].to_numpy(bool)
    return np.select(
        [
            on_the_way,
            ours & (entry.fillna("") == "").to_numpy(),
            same,
            np.full(len(frame), held),  # a person has to let it pass first (R30)
            (found["problem"] != "").to_numpy(),
            one_way,
            np.full(len(frame), mapping.protected),
            frame["waits"].to_numpy(bool),
        ],
        ["pending", "placeholder", "agree", "waiting", "withheld", "one-way", "protected", "waiting"],
        default="other",
    )


def _details(
    mapping: FieldMapping,
    frame: pd.DataFrame,
    rows: np.ndarray,
    state: np.ndarray,
    found: pd.DataFrame,
    member: pd.Series,
    entry: pd.Series,
) -> pd.DataFrame:
    people = frame.take(rows).reset_index(drop=True)
    return pd.DataFrame(
        {
            "state": state[rows],
            "link": people["link"],
            "contact_id": people["contact_id"],
            "entry_id": people["entry_id"],
            "tag": mapping.tag,
            "mailchimp": labelled(member.take(rows), mapping.mailchimp.options).to_numpy(),
            "maximizer": labelled(entry.take(rows), mapping.maximizer.options).to_numpy(),
            "problem": found["problem"].to_numpy(dtype=object)[rows],
        }
    )


def labelled(column: pd.Series, options: tuple[Option, ...]) -> pd.Series:
    """Values as people see them: labels for keys of options, lists as text."""
    labels = {option.key: option.label for option in options}
    if not labels:
        return column.fillna("")
    return values.per_distinct(column.fillna(""), lambda text: values.labelled(text, labels))


def fields_on_the_way(changes: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """``link`` and ``field`` of every field that a planned change (CHANGE columns) writes for one of these pairs."""
    by_member = dict(zip(frame["contact_id"], frame["link"], strict=True))
    by_entry = dict(zip(frame["entry_id"], frame["link"], strict=True))

    def listed() -> Iterator[tuple[int, str]]:
        for contact, entry, body in changes[["contact_id", "entry_id", "fields"]].itertuples(index=False):
            link = by_member.get(contact) or by_entry.get(entry)
            if link:
                for item in json.loads(body)["set"]:
                    yield link, item["field"]

    return pd.DataFrame(listed(), columns=["link", "field"])
