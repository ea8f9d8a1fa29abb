"""Matching newcomers: R7's order, R9's caution, whatever the order of the rows."""

from __future__ import annotations

from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from transform.match import EMAIL, MARKER, PAIR, Matched, match

MEMBER = ("contact_id", "email", "unique_email_id", "web_id", "status", "pair")
ENTRY = ("entry_id", "email1", "email2", "email3", "marker", "flag")
HOLDER = ("contact_id", "entry_id", "email", "email1", "unique_email_id")


def frame(columns: tuple[str, ...], *rows: dict[str, str]) -> pd.DataFrame:
    """A row per dictionary, "" where it says nothing."""
    return pd.DataFrame({name: pd.Series([row.get(name, "") for row in rows], dtype="str") for name in columns})


def member(contact_id: str, email: str = "", **more: str) -> dict[str, str]:
    ids = {"unique_email_id": f"u{contact_id}", "web_id": f"w{contact_id}"}
    return {"contact_id": contact_id, "email": email, "status": "subscribed", **ids, **more}


def entry(entry_id: str, email1: str = "", **more: str) -> dict[str, str]:
    return {"entry_id": entry_id, "email1": email1, **more}


def matched(members: list[dict[str, str]], entries: list[dict[str, str]], *holders: dict[str, str]) -> Matched:
    return match(frame(MEMBER, *members), frame(ENTRY, *entries), frame(HOLDER, *holders))


def pairs(result: Matched) -> dict[str, tuple[str, str]]:
    rows = result.pairs.to_dict("records")
    return {row["contact_id"]: (row["entry_id"], row["reason"]) for row in rows}


def held(result: Matched) -> dict[str, str]:
    return dict(zip(result.ambiguous["key"], result.ambiguous["evidence"], strict=True))


def test_r07_each_criterion_in_its_order() -> None:
    result = matched(
        [member("m1"), member("m2", pair="e2"), member("m3", "C@Lantern.test"), member("m4", "d@lantern.test")],
        [entry("e1", marker="um1"), entry("e2"), entry("e3", "c@lantern.TEST"), entry("e4", "x@lantern.test")],
    )
    assert pairs(result) == {"m1": ("e1", MARKER), "m2": ("e2", PAIR), "m3": ("e3", EMAIL)}
    assert held(result) == {}


def test_r08_a_web_id_counts_as_a_marker() -> None:
    assert pairs(matched([member("m1")], [entry("e1", marker="wm1")])) == {"m1": ("e1", MARKER)}


def test_r07_criteria_that_agree_are_one() -> None:
    result = matched([member("m1", "a@lantern.test", pair="e1")], [entry("e1", "a@lantern.test", marker="um1")])
    assert pairs(result) == {"m1": ("e1", MARKER)}


def test_r07_a_second_address_is_reported_only() -> None:
    result = matched([member("m1", "a@lantern.test")], [entry("e1", "b@lantern.test", email2="A@lantern.test")])
    assert pairs(result) == {}
    assert result.elsewhere.to_numpy().tolist() == [["m1", "e1"]]


def test_r01_somebody_not_subscribed_meets_flagged_entries_only() -> None:
    people = [member(f"m{n}", f"{n}@lantern.test", status="unsubscribed") for n in (1, 2)]
    book = [entry("e1", "1@lantern.test", flag="Yes"), entry("e2", "2@lantern.test", flag="No")]
    assert pairs(matched(people, book)) == {"m1": ("e1", EMAIL)}


def test_r09_two_steps_that_disagree() -> None:
    result = matched(
        [member("m1", "a@lantern.test")],
        [entry("e1", marker="um1", flag="Yes"), entry("e2", "a@lantern.test", flag="Yes")],
    )
    assert pairs(result) == {}
    assert set(held(result)) == {"m1", "e1", "e2"}


def test_r09_an_entry_that_nobody_flagged_is_not_held_up() -> None:
    result = matched([member("m1", "a@lantern.test")], [entry("e1", "a@lantern.test"), entry("e2", "a@lantern.test")])
    assert held(result) == {"m1": "e1 e2"}


def test_r09_a_marker_tells_twins_apart() -> None:
    result = matched(
        [member("m1", "a@lantern.test")],
        [entry("e1", "a@lantern.test", marker="um1", flag="Yes"), entry("e2", "a@lantern.test", flag="Yes")],
    )
    assert pairs(result) == {"m1": ("e1", MARKER)}
    assert held(result) == {"e2": "e1"}


def test_r09_what_a_torn_member_claims_is_given_to_nobody_else() -> None:
    """By the same criterion, or a weaker one; a stronger one stands."""
    torn = member("m1", "a@lantern.test", pair="e2")
    book = [entry("e1", "a@lantern.test"), entry("e2", "b@lantern.test")]
    assert set(held(matched([torn, member("m2", pair="e2")], book))) == {"m1", "m2"}
    assert set(held(matched([torn, member("m3", "b@lantern.test")], book))) == {"m1", "m3"}
    marked = [book[0], entry("e2", "b@lantern.test", marker="um4", flag="Yes")]
    result = matched([member("m1", "b@lantern.test", pair="e1"), member("m4")], marked)
    assert pairs(result) == {"m4": ("e2", MARKER)}
    assert set(held(result)) == {"m1"}


def test_r13_a_stale_client_id_yields_to_the_marker() -> None:
    """The member's own marker stands elsewhere, or the entry carries another member's."""
    book = [entry("e1", marker="um2"), entry("e2", marker="um1")]
    people = [member("m1", pair="e1"), member("m2")]
    assert pairs(matched(people, book)) == {"m1": ("e2", MARKER), "m2": ("e1", MARKER)}


def test_r09_what_a_link_holds_is_not_given_away() -> None:
    link = {"contact_id": "c", "entry_id": "k", "email": "a@x.test", "email1": "b@x.test", "unique_email_id": "uc"}
    result = matched(
        [member("m1", "B@x.test")],
        [
            entry("e1", "A@x.test", flag="Yes"),
            entry("e2", "n@x.test", marker="uc", flag="Yes"),
            entry("e3", "a@x.test"),
        ],
        link,
    )
    assert pairs(result) == {}
    assert held(result) == {"m1": "k", "e1": "c", "e2": "c"}


def test_r09_a_member_whose_entry_is_held_makes_no_second_one() -> None:
    """The link's member took another address and somebody new has the old one: the entry waits, and so do they."""
    link = {"contact_id": "c", "entry_id": "k", "email": "a@x.test", "email1": "b@x.test", "unique_email_id": "uc"}
    result = matched([member("m1", "a@x.test")], [entry("e1", "a@x.test", flag="Yes")], link)
    assert pairs(result) == {}
    assert held(result) == {"m1": "e1", "e1": "c"}


# --- properties -----------------------------------------------------------------------------------------------------

addresses = st.sampled_from(["", "a@x.test", "A@x.test", "b@x.test", "c@x.test"])
names = [f"m{n}" for n in range(4)]
keys = [f"e{n}" for n in range(4)]
marks = st.sampled_from(["", *(f"u{n}" for n in names), "wm0", "other", "uheld"])
flags = st.sampled_from(["Yes", "No", ""])


@st.composite
def worlds(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    statuses = st.sampled_from(["subscribed", "unsubscribed"])
    people = [
        member(name, draw(addresses), status=draw(statuses), pair=draw(st.sampled_from(["", *keys, "gone"])))
        for name in names[: draw(st.integers(0, 4))]
    ]
    book = [
        entry(key, draw(addresses), email2=draw(addresses), marker=draw(marks), flag=draw(flags))
        for key in keys[: draw(st.integers(0, 4))]
    ]
    link: dict[str, Any] = {"contact_id": "held", "entry_id": "kept", "unique_email_id": "uheld"}
    holders = [{**link, "email": draw(addresses), "email1": draw(addresses)}] if draw(st.booleans()) else []
    return frame(MEMBER, *people), frame(ENTRY, *book), frame(HOLDER, *holders)


def facts(result: Matched) -> tuple[Any, ...]:
    return tuple(
        tuple(sorted(map(tuple, part.astype(str).to_numpy().tolist())))
        for part in (result.pairs, result.ambiguous, result.elsewhere)
    )


@settings(max_examples=40, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_r09_the_order_of_rows_does_not_matter(
    world: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame], dice: Any
) -> None:
    shuffled = [part.sample(frac=1, random_state=dice.randrange(2**32)).reset_index(drop=True) for part in world]
    assert facts(match(*world)) == facts(match(*shuffled))


@settings(max_examples=40, deadline=None)
@given(worlds())
def test_r09_nobody_is_paired_twice_or_both_paired_and_held(
    world: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
) -> None:
    members, entries, holders = world
    result = match(members, entries, holders)
    chosen = result.pairs
    assert not chosen["contact_id"].duplicated().any()
    assert not chosen["entry_id"].duplicated().any()
    stopped = set(result.ambiguous["key"])
    assert not stopped & {*chosen["contact_id"], *chosen["entry_id"]}
    # Whoever is paired is in scope, and somebody held back is told what it collides with.
    status = members.set_index("contact_id")["status"]
    flag = entries.set_index("entry_id")["flag"]
    assert all(status[row.contact_id] == "subscribed" or flag[row.entry_id] == "Yes" for row in chosen.itertuples())
    assert all(result.ambiguous["evidence"].str.len() > 0)
    assert not result.ambiguous.duplicated(["side", "key"]).any()


@settings(max_examples=40, deadline=None)
@given(worlds())
def test_r09_a_flagged_entry_left_over_shares_no_address(
    world: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
) -> None:
    """What is neither paired nor held may be created on the other side: two creates never have one address."""
    members, entries, holders = world
    result = match(members, entries, holders)
    done = {*result.ambiguous["key"], *result.pairs["entry_id"], *result.pairs["contact_id"]}
    left = entries[(entries["flag"] == "Yes") & ~entries["entry_id"].isin(done) & (entries["email1"] != "")]
    created = left["email1"].str.lower()
    assert not created.duplicated().any()
    linked = {*holders["email"].str.lower(), *holders["email1"].str.lower()} - {""}
    assert not set(created) & linked
    lone = members[(members["status"] == "subscribed") & ~members["contact_id"].isin(done)]
    assert not set(lone["email"].str.lower()) & (set(entries["email1"].str.lower()) - {""})
