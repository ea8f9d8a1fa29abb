"""What became of linked pairs: every combination of what was read, and every row order."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transform import presence

LINK: dict[str, Any] = {
    "id": 1, "contact_id": "m1", "entry_id": "e1", "state": "active", "status": "subscribed", "flag": "Yes",
    "unique_email_id": "u1", "member_hash": 1, "entry_hash": 1,
}  # fmt: skip
MEMBER: dict[str, Any] = {
    "contact_id": "m1", "found": True, "email": "a@x.test", "unique_email_id": "u1", "web_id": "w",
    "status": "subscribed", "pair": "e1", "last_changed": "2026-01-05T09:00:00+00:00", "row_hash": 1,
}  # fmt: skip
ENTRY: dict[str, Any] = {
    "entry_id": "e1", "found": True, "type": "Individual", "email1": "a@x.test", "flag": "Yes", "marker": "u1",
    "row_hash": 1,
}  # fmt: skip
GONE = {"found": False}


def table(like: dict[str, Any], *rows: dict[str, Any]) -> pd.DataFrame:
    whole = [{**like, **row} for row in rows]
    kinds = {str: "str", bool: "bool", int: "Int64"}
    return pd.DataFrame({name: pd.Series([row[name] for row in whole], dtype=kinds[type(like[name])]) for name in like})


def case(
    link: dict[str, Any], member: dict[str, Any] | None, entry: dict[str, Any] | None, *, full: bool = True
) -> str:
    links = table(LINK, link)
    members = table(MEMBER, *([] if member is None else [member]))
    entries = table(ENTRY, *([] if entry is None else [entry]))
    return str(presence.cases(presence.view(links, members, entries), full=full).iloc[0])


ARCHIVED, LEFT = {"status": "archived"}, {"state": "left", "flag": "No"}


@pytest.mark.parametrize(
    ("link", "member", "entry", "expected"),
    [
        ({}, {}, {}, presence.PRESENT),
        ({}, {"status": "unsubscribed"}, {}, presence.PRESENT),
        ({}, {"status": "cleaned"}, {"flag": "No"}, presence.PRESENT),
        ({}, ARCHIVED, {}, presence.MEMBER_GONE),
        ({}, GONE, {}, presence.MEMBER_GONE),
        ({}, {}, GONE, presence.ENTRY_GONE),
        ({}, GONE, GONE, presence.BOTH_GONE),
        ({}, ARCHIVED, GONE, presence.BOTH_GONE),
        ({}, None, {}, presence.UNREAD),
        ({}, {}, None, presence.UNREAD),
        (LEFT, {}, {"flag": "No"}, presence.RETURNED),
        (LEFT, ARCHIVED, {"flag": "No"}, presence.LEFT),
        (LEFT, ARCHIVED, {"flag": "Yes"}, presence.REVIVE),
        (LEFT | {"status": "unsubscribed"}, ARCHIVED, {"flag": "Yes"}, presence.LEFT),
        (LEFT | {"flag": "Yes"}, ARCHIVED, {"flag": "Yes"}, presence.LEFT),
        (LEFT, GONE, {"flag": "Yes"}, presence.RECLAIMED),
        (LEFT, GONE, {"flag": "No"}, presence.LEFT),
    ],
)
def test_r14_r16_r18_every_case_of_a_full_cycle(
    link: dict[str, Any], member: dict[str, Any] | None, entry: dict[str, Any] | None, expected: str
) -> None:
    assert case(link, member, entry) == expected


@pytest.mark.parametrize(
    ("link", "entry", "expected"),
    [
        ({}, {}, presence.WAITING),
        ({}, {"row_hash": 2}, presence.MEMBER_GONE),
        ({"entry_hash": None}, {}, presence.MEMBER_GONE),
    ],
)
@pytest.mark.parametrize("member", [ARCHIVED, GONE])
def test_r14_a_scheduled_cycle_waits_for_the_entry(
    link: dict[str, Any], entry: dict[str, Any], expected: str, member: dict[str, Any]
) -> None:
    assert case(link, member, entry, full=False) == expected


def test_f4_who_was_archived_once_more_is_not_revived_by_an_old_store() -> None:
    seen = presence.view(table(LINK, LEFT), table(MEMBER, ARCHIVED), table(ENTRY, {}))
    for since, expected in (
        ("2026-01-05T09:00:00+00:00", presence.REVIVE),
        ("2026-01-05T08:59:59+00:00", "member gone"),
    ):
        assert presence.cases(seen, full=True, since=since).tolist() == [expected]


@pytest.mark.parametrize("full", [True, False])
def test_f4_an_entry_that_went_over_to_another_member_has_lost_nobody(full: bool) -> None:
    other = {"contact_id": "m2", "pair": "e1"}
    for more, expected in (({}, presence.SUPERSEDED), ({"pair": "e2"}, None), (ARCHIVED, None)):
        members = table(MEMBER, GONE, other | more)
        found = presence.cases(presence.view(table(LINK, {}), members, table(ENTRY, {})), full=full).iloc[0]
        assert found == (expected or (presence.MEMBER_GONE if full else presence.WAITING))


def test_r11_an_entry_that_is_gone_is_followed_to_its_marker() -> None:
    links = table(LINK, {})
    moved = table(ENTRY, GONE, {"entry_id": "e2", "type": "Contact"})
    seen = presence.view(links, table(MEMBER, {}), moved)
    assert seen[["entry_id", "was_entry"]].to_numpy().tolist() == [["e2", "e1"]]
    assert presence.cases(seen, full=True).tolist() == [presence.PRESENT]


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([{"entry_id": "e2"}], id="the entry is still there"),
        pytest.param([GONE, {"entry_id": "e2"}, {"entry_id": "e3"}], id="two carry the marker"),
        pytest.param([GONE, {"entry_id": "e2", "marker": "u9"}], id="another marker"),
        pytest.param([GONE, {"entry_id": "e2", "found": False}], id="gone as well"),
    ],
)
def test_r11_it_is_not_followed_when_that_is_not_certain(others: list[dict[str, Any]]) -> None:
    links = table(LINK, {})
    whole = others if others[0] is GONE else [{}, *others]
    seen = presence.view(links, table(MEMBER, {}), table(ENTRY, *whole))
    assert seen["entry_id"].tolist() == ["e1"]


def test_r11_never_to_an_entry_that_is_linked_itself() -> None:
    links = table(LINK, {}, {"id": 2, "contact_id": "m2", "entry_id": "e2", "unique_email_id": "u2"})
    seen = presence.view(links, table(MEMBER, {}), table(ENTRY, GONE, {"entry_id": "e2"}))
    assert seen["entry_id"].tolist() == ["e1", "e2"]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_r14_the_order_of_rows_does_not_matter(data: st.DataObject) -> None:
    statuses = st.sampled_from(["subscribed", "unsubscribed", "archived"])
    number = data.draw(st.integers(1, 5))
    links, members, entries = [], [], []
    for n in range(number):
        keys = {"contact_id": f"m{n}", "entry_id": f"e{n}"}
        state = data.draw(st.sampled_from(["active", "left"]))
        flag = data.draw(st.sampled_from(["Yes", "No"]))
        links.append(
            {"id": n, **keys, "state": state, "status": data.draw(statuses), "flag": flag, "unique_email_id": f"u{n}"}
        )
        if data.draw(st.integers(0, 4)):
            found = data.draw(st.booleans())
            members.append({"contact_id": f"m{n}", "found": found, "status": data.draw(statuses)})
        if data.draw(st.integers(0, 4)):
            entries.append({"entry_id": f"e{n}", "found": data.draw(st.booleans()), "marker": "", "flag": flag})
        if not data.draw(st.integers(0, 2)):
            entries.append({"entry_id": f"x{n}", "marker": f"u{data.draw(st.integers(0, number))}"})
    full = data.draw(st.booleans())

    def outcome(order: list[int]) -> dict[int, tuple[str, str]]:
        dice = order[0]
        parts = [table(LINK, *links), table(MEMBER, *members), table(ENTRY, *entries)]
        parts = [part.sample(frac=1, random_state=dice).reset_index(drop=True) if dice else part for part in parts]
        seen = presence.view(*parts)
        case = presence.cases(seen, full=full)
        return dict(zip(seen["id"], zip(seen["entry_id"], case, strict=True), strict=True))

    assert outcome([0]) == outcome([data.draw(st.integers(1, 2**31))])
