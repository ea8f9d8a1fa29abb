"""The lists behind the numbers: whole, private, and nothing a spreadsheet would run (S26, S31)."""

from __future__ import annotations

import csv
import io
import stat
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quality.lists import Lists, harmless, write

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(
    st.lists(st.tuples(st.sampled_from(["", "=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝"]), any_text), max_size=5)
)
@settings(max_examples=150, deadline=None)
def test_s26_every_cell_is_text_and_comes_back_whole(parts: list[tuple[str, str]]) -> None:
    values = pd.Series([first + rest for first, rest in parts], dtype="str")
    file = io.StringIO(newline="")
    pd.DataFrame({"value": harmless(values)}).to_csv(file, index=False, lineterminator="\r\n")
    found = [row[0] for row in csv.reader(io.StringIO(file.getvalue(), newline=""), strict=True) if row][1:]
    wanted = [value for value in values if value]
    found = [cell for cell in found if cell]
    assert len(found) == len(wanted)
    for cell, value in zip(found, wanted, strict=True):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠"))
        assert cell.removeprefix("'" if cell != value.replace("\0", "\\x00") else "") == value.replace("\0", "\\x00")


@pytest.mark.parametrize("value", ["=1+1", "+1 604 555 0199", "-3", "@SUM(A1)", "\t=1", "\r=1"])
def test_s26_what_looks_like_a_formula_gets_a_quote(value: str) -> None:
    assert harmless(pd.Series([value]))[0] == f"'{value}"


def test_ordinary_values_and_numbers_stay() -> None:
    assert list(harmless(pd.Series(["Zoë", "a=b", "1-2", ""]))) == ["Zoë", "a=b", "1-2", ""]
    assert list(harmless(pd.Series([-1, 2]))) == [-1, 2]


def test_s31_lists_are_private_from_the_first_byte(tmp_path: Path) -> None:
    lists = Lists(tmp_path)
    name = lists.add("group: Émail / ../Profile", pd.DataFrame({"a": ["x"]}))
    again = lists.add("group mail profile", pd.DataFrame({"a": ["y", "z"]}))
    assert lists.add("nobody", pd.DataFrame({"a": []})) == ""
    assert (name, again) == ("lists/group-mail-profile.csv", "lists/group-mail-profile-2.csv")
    assert lists.rows == {name: 1, again: 2}
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "lists").stat().st_mode) == 0o700


def test_spreadsheets_read_the_letters(tmp_path: Path) -> None:
    write(tmp_path / "x.csv", pd.DataFrame({"name": ['Zoë "the" O\'Neil, Dr.', "two\nlines"]}))
    with (tmp_path / "x.csv").open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file)) == [["name"], ['Zoë "the" O\'Neil, Dr.'], ["two\nlines"]]
    assert (tmp_path / "x.csv").read_bytes().startswith(b"\xef\xbb\xbfname\r\n")
