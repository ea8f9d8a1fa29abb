"""The compare: an oracle of the verdict table for single cells, and what holds for any table of pairs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.fields import FieldMapping, MailchimpField, MaximizerField, Option
from domain.records import LEFT_EMPTY, MAILCHIMP_WAITS, MAXIMIZER_WAITS, PLACEHOLDER
from domain.values import as_set, members_of, texts
from transform.compare import CELLS, Aligned, compare

TODAY = date(2026, 1, 5)
LONG = "x" * 256  # no Mailchimp text
WIDE = "y" * 80  # no Maximizer text here
SILENT = ("same", "protected", "frozen", "withheld", "unchanged")


@dataclass(frozen=True)
class Cell:
    """One field of one pair; None: never seen (the two last), unknown (the two first)."""

    member: str | None
    entry: str | None
    member_seen: str | None = None
    entry_seen: str | None = None
    note: str = ""
    sends: bool = True


def text(*, required: bool = False, protected: bool = False) -> FieldMapping:
    mailchimp = MailchimpField("T", "1", "T", "text", required=required)
    return FieldMapping(
        "T", mailchimp, MaximizerField("F", "Udf/1", "alphanumeric", max_length=79), protected=protected
    )


def judge(cells: list[Cell], mapping: FieldMapping, setting: str) -> list[dict[str, Any]]:
    """What compare says of each cell: verdict, value, note ... ("unchanged" where it says nothing)."""
    frames = (pd.DataFrame({"T": texts(column)}) for column in zip(*[_values(c) for c in cells], strict=True))
    notes = pd.DataFrame({"T": texts(c.note for c in cells)})
    found = compare(Aligned(*frames, notes, pd.Series([c.sends for c in cells])), (mapping,), setting, TODAY)
    said = {int(row["row"]): row for row in found.to_dict("records")}
    assert len(said) == len(found)
    silent = dict.fromkeys(CELLS, "") | {"verdict": "unchanged", "conflict": False}
    return [said.get(n, silent) for n in range(len(cells))]


def _values(cell: Cell) -> tuple[str | None, ...]:
    return cell.member, cell.entry, cell.member_seen, cell.entry_seen


def oracle(cell: Cell, *, required: bool, protected: bool, setting: str) -> tuple[str, str | None]:
    """The verdict table for a text, one cell at a time: verdict, and the value that goes."""
    if cell.member is None or cell.entry is None:
        return "unchanged", None  # unknown is not empty (R29)
    member, entry = cell.member, cell.entry
    first = cell.member_seen is None or cell.entry_seen is None
    ours = cell.note == PLACEHOLDER + member or (first and required and member == "-")
    would: str | None = entry if len(entry) <= 255 else None
    if entry == "":
        would = member if ours else "-" if required else ""
    moved_member = member != cell.member_seen or cell.note == MAILCHIMP_WAITS
    moved_entry = entry != cell.entry_seen or cell.note == MAXIMIZER_WAITS or (ours and entry != "")
    blank = required and member == entry == ""
    left = cell.note == LEFT_EMPTY and (first or not moved_entry)
    lacking = blank and not left and (first or moved_entry or not moved_member)
    if would == member or (member == entry and not lacking):
        news = moved_member or moved_entry or blank or (cell.note.startswith(PLACEHOLDER) and entry != "")
        return "same" if news else "unchanged", None
    if lacking:
        verdict = "maximizer"
    elif first:
        verdict = "maximizer" if member == "" or ours else "mailchimp" if entry == "" else setting
    elif moved_member and moved_entry:
        verdict = setting
    elif moved_entry:
        verdict = "maximizer"
    elif moved_member:
        verdict = "mailchimp"
    else:
        return "unchanged", None
    if verdict == "maximizer":
        if not cell.sends:
            return "frozen", None
        return ("withheld", None) if would is None else ("maximizer", would)
    if protected:
        return "protected", None
    return ("withheld", None) if len(member) > 79 else ("mailchimp", member)


# Few values, so that they meet; the notes are those that the engine writes.
VALUES = st.sampled_from(["", "a", "b", "-", LONG, WIDE])
SEEN = st.one_of(st.none(), VALUES)
NOTES = st.sampled_from(["", MAILCHIMP_WAITS, MAXIMIZER_WAITS, LEFT_EMPTY, PLACEHOLDER + "-", PLACEHOLDER + "a"])
KNOWN = st.builds(Cell, VALUES, VALUES, SEEN, SEEN, NOTES, st.booleans())
ANY = st.builds(Cell, st.one_of(st.none(), VALUES), st.one_of(st.none(), VALUES), SEEN, SEEN, NOTES, st.booleans())
SETTINGS = st.sampled_from(["maximizer", "mailchimp"])


@settings(max_examples=200)
@given(st.lists(ANY, min_size=1, max_size=40), st.booleans(), st.booleans(), SETTINGS)
def test_every_cell_is_judged_by_the_table(cells: list[Cell], required: bool, protected: bool, setting: str) -> None:
    said = judge(cells, text(required=required, protected=protected), setting)
    for cell, row in zip(cells, said, strict=True):
        verdict, value = oracle(cell, required=required, protected=protected, setting=setting)
        assert row["verdict"] == verdict, cell
        if value is not None:
            assert row["value"] == value, cell


@given(st.lists(KNOWN, min_size=1, max_size=20), SETTINGS)
def test_r31_swapped_sides_under_the_swapped_setting_are_a_mirror(cells: list[Cell], setting: str) -> None:
    other = {"maximizer": "mailchimp", "mailchimp": "maximizer"}
    plain = [replace(c, note="", sends=True) for c in cells if LONG not in _values(c) and WIDE not in _values(c)]
    if not plain:
        return
    swapped = [Cell(c.entry, c.member, c.entry_seen, c.member_seen) for c in plain]
    here, there = judge(plain, text(), setting), judge(swapped, text(), other[setting])
    assert [other.get(row["verdict"], row["verdict"]) for row in here] == [row["verdict"] for row in there]
    assert [row["conflict"] for row in here] == [row["conflict"] for row in there]


@given(st.lists(KNOWN, min_size=1, max_size=20), st.randoms(use_true_random=False), SETTINGS)
def test_row_order_does_not_matter(cells: list[Cell], dice: Any, setting: str) -> None:
    order = list(range(len(cells)))
    dice.shuffle(order)
    said = judge(cells, text(required=True), setting)
    mixed = judge([cells[n] for n in order], text(required=True), setting)
    for n, row in zip(order, mixed, strict=True):
        assert {k: v for k, v in row.items() if k != "row"} == {k: v for k, v in said[n].items() if k != "row"}


@given(VALUES, SEEN, SEEN, st.booleans(), SETTINGS)
def test_equal_is_adopted_however_it_came_about(
    value: str, member_seen: str | None, entry_seen: str | None, sends: bool, setting: str
) -> None:
    (row,) = judge([Cell(value, value, member_seen, entry_seen, sends=sends)], text(), setting)
    assert row["verdict"] == ("unchanged" if value == member_seen == entry_seen else "same")
    assert row["conflict"] is False or not row["conflict"]


@given(VALUES, VALUES, st.booleans(), st.booleans(), SETTINGS)
def test_r32_what_did_not_move_stays_silent(
    member: str, entry: str, required: bool, protected: bool, setting: str
) -> None:
    cell = Cell(member, entry, member, entry, note=LEFT_EMPTY if required and member == "" else "")
    (row,) = judge([cell], text(required=required, protected=protected), setting)
    assert row["verdict"] == ("same" if required and member == entry == "" else "unchanged")
    assert row["note"] in ("", cell.note)


@given(st.booleans(), SETTINGS)
def test_r22_a_field_that_became_mandatory_gets_its_placeholder_once(protected: bool, setting: str) -> None:
    mapping = text(required=True, protected=protected)
    cell = Cell("", "", "", "")
    (row,) = judge([cell], mapping, setting)
    assert (row["verdict"], row["value"]) == ("maximizer", "-")
    assert judge([done(cell, row)], mapping, setting)[0]["verdict"] == "unchanged"


@settings(max_examples=400)
@given(st.lists(KNOWN, min_size=1, max_size=4), st.booleans(), st.booleans(), SETTINGS)
def test_r32_a_verdict_carried_out_is_silent_afterwards(
    cells: list[Cell], required: bool, protected: bool, setting: str
) -> None:
    mapping = text(required=required, protected=protected)
    after = [done(cell, row) for cell, row in zip(cells, judge(cells, mapping, setting), strict=True)]
    for cell, row in zip(after, judge(after, mapping, setting), strict=True):
        assert row["verdict"] in SILENT, (cell, row)
        again = done(cell, row)
        assert (again.member, again.entry) == (cell.member, cell.entry)


def done(cell: Cell, row: dict[str, Any]) -> Cell:
    """The cell after the verdict was carried out and confirmed."""
    match row["verdict"]:
        case "maximizer":
            value = row["value"]
            return replace(cell, member=value, member_seen=value, entry_seen=cell.entry, note=row["note"])
        case "mailchimp":
            value = row["value"]
            return replace(cell, entry=value, entry_seen=value, member_seen=cell.member, note=row["note"])
        case "frozen":
            return replace(cell, member_seen=cell.member, note=row["note"])
        case "unchanged":
            return cell
    return replace(cell, member_seen=cell.member, entry_seen=cell.entry, note=row["note"])


# ------------------------------------------------------------------------------------------------------ sets

GROUP = FieldMapping(
    "T",
    MailchimpField("T", "1", "T", "group", options=tuple(Option(o, o) for o in "ABCU"), group_type="checkboxes"),
    MaximizerField("F", "Udf/1", "multi", options=tuple(Option(i, i) for i in "123P")),
    pairs=(("A", "1"), ("B", "2"), ("C", "3")),
)
MINE = st.sets(st.sampled_from("ABCU")).map(as_set)
THEIRS = st.sets(st.sampled_from("123P")).map(as_set)


@given(MINE, THEIRS, st.one_of(st.none(), MINE), st.one_of(st.none(), THEIRS), SETTINGS)
def test_r26_sets_agree_afterwards_and_unpaired_options_stay(
    member: str, entry: str, member_seen: str | None, entry_seen: str | None, setting: str
) -> None:
    cell = Cell(member, entry, member_seen, entry_seen)
    (row,) = judge([cell], GROUP, setting)
    after = done(cell, row)
    assert after.member is not None
    assert after.entry is not None
    pairs = dict(GROUP.pairs)
    if row["verdict"] == "mailchimp":
        assert "P" in members_of(after.entry) or "P" not in members_of(entry)
    if row["verdict"] in ("mailchimp", "maximizer", "same") and (member_seen, entry_seen) == (None, None):
        mine = {pairs[o] for o in members_of(after.member) if o in pairs}
        assert mine == set(members_of(after.entry)) - {"P"}
    left = {"U"} & set(members_of(member)) | {"P"} & set(members_of(entry))
    if row["verdict"] != "unchanged" or left:
        assert all(f"'{option}'" in row["remark"] for option in left)
