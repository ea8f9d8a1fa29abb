"""Look-ups between frames."""

from __future__ import annotations

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from domain.frames import aligned, among, positions

KEYS = st.lists(st.text("abcd", max_size=2), unique=True, max_size=8)


def texts(values: list[str]) -> pd.Series:
    return pd.Series(values, dtype="str")


@given(KEYS, st.lists(st.text("abcd", max_size=2), max_size=8))
def test_a_key_that_is_not_there_gives_na(there: list[str], wanted: list[str]) -> None:
    frame = pd.DataFrame({"key": texts(there), "shown": texts([f"of {key}" for key in there])})
    found = aligned(frame, "key", texts(wanted), ["shown"])
    assert [None if pd.isna(v) else v for v in found["shown"]] == [f"of {k}" if k in there else None for k in wanted]
    assert list(found.index) == list(range(len(wanted)))
    assert found["shown"].dtype == "str"


@given(KEYS, KEYS)
def test_positions_and_membership_tell_the_same(there: list[str], wanted: list[str]) -> None:
    place = positions(texts(wanted), texts(there))
    assert [there[at] if at >= 0 else None for at in place] == [key if key in there else None for key in wanted]
    assert list(among(texts(wanted), texts(there))) == [key in there for key in wanted]
