"""Each person in exactly one class, whatever both sides look like; pairs in step add up on both."""

from __future__ import annotations

from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.changeset import CHANGE
from quality.people import BY_CODE, CLASSES, Classified, Picture, classify, differing_apart

WAITING = ["side", "key", "contact_id", "entry_id", "reason", "rule", "remedy", "since_at"]
few = st.integers(0, 7)
statuses = st.sampled_from(
    ["subscribed", "subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived", "strange"]
)


def text(rows: list[Any], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns, "str"))


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    """Any records, links between any of them, and anything planned, waiting or resting."""
    members = [(f"c{n}", str(n), draw(st.sampled_from(["", f"p{n}@a.test"])), draw(statuses)) for n in range(draw(few))]
    kinds = st.sampled_from(["Individual", "Contact", "Company"])
    flags = st.sampled_from(["Yes", "No", ""])
    entries = [
        (f"e{n}#0", draw(kinds), draw(st.sampled_from(["", f"p{n}@a.test"])), draw(flags)) for n in range(draw(few))
    ]
    # Links may hold records that were not found.
    order = draw(st.permutations(range(8)))
    links = [
        (n + 1, f"c{n}", f"e{order[n]}#0", draw(st.sampled_from(["active", "active", "left"])))
        for n in sorted(draw(st.sets(few)))
    ]
    contact, entry = few.map(lambda n: f"c{n}"), few.map(lambda n: f"e{n}#0")
    changes = []
    for _ in range(draw(few)):
        side, op = draw(st.sampled_from([("mailchimp", "create"), ("maximizer", "create"), ("mailchimp", "update")]))
        ids = ("", draw(entry)) if (side, op) == ("mailchimp", "create") else (draw(contact), "")
        ids = ids if op == "create" else (draw(contact), draw(entry))
        changes.append((side, op, "x", *ids, "", "{}", "R31"))
    waiting = []
    for _ in range(draw(few)):
        side = draw(st.sampled_from(["mailchimp", "maximizer"]))
        key = draw(contact if side == "mailchimp" else entry)
        key = draw(st.sampled_from([key, f"new:{draw(entry if side == 'mailchimp' else contact)}"]))
        rule = draw(st.sampled_from(["R9", "R51", "checks", "R18", "R13", "R17", "R28", "R77"]))
        waiting.append(
            (side, key, draw(st.sampled_from(["", "c1"])), draw(st.sampled_from(["", "e1#0"])), "why", rule, "do")
        )
    linked = {link[1] for link in links} | {link[2] for link in links}
    met = [
        (c, e)
        for c, e in draw(st.lists(st.tuples(contact, entry), max_size=3, unique_by=(lambda p: p[0], lambda p: p[1])))
        if c not in linked and e not in linked
    ]
    return Picture(
        members=text(members, ["contact_id", "web_id", "email", "status"]),
        entries=text(entries, ["entry_id", "type", "email1", "flag"]),
        links=pd.DataFrame(links, columns=["id", "contact_id", "entry_id", "state"]).astype(
            {"id": "int64", "contact_id": "str", "entry_id": "str", "state": "str"}
        ),
        changes=text(changes, list(CHANGE)),
        new_links=text(met, ["contact_id", "entry_id"]),
        waiting=text(waiting, WAITING[:-1]).assign(since_at=0.0),
        resting=frozenset(draw(st.sets(contact | entry, max_size=2))),
        erased=frozenset(draw(st.sets(few.map(lambda n: f"p{n}@a.test"), max_size=2))),
    )


@given(pictures(), st.sets(few.map(lambda n: f"c{n}"), max_size=4))
@settings(max_examples=150, deadline=None)
def test_everybody_is_in_exactly_one_class_and_pairs_in_step_add_up(picture: Picture, differing: set[str]) -> None:
    found = differing_apart(classify(picture), differing)
    assert not set(found.members.loc[found.members["class"] == "in-step", "contact_id"]) & differing
    for side, frame, given_rows in (
        ("mailchimp", found.members, picture.members),
        ("maximizer", found.entries, picture.entries),
    ):
        assert len(frame) == len(given_rows)
        assert set(frame["class"]) <= set(BY_CODE)
        assert sum(found.counts[one.code][side] for one in CLASSES) == len(given_rows)
    for code in ("in-step", "differs", "one-way"):
        assert found.counts[code]["mailchimp"] == found.counts[code]["maximizer"]
        members = found.members.loc[found.members["class"] == code, "link"]
        entries = found.entries.loc[found.entries["class"] == code, "link"]
        assert sorted(members) == sorted(entries)
        assert members.notna().all()


def one(members: list[Any] = [], entries: list[Any] = [], **more: Any) -> Classified:  # noqa: B006
    picture = Picture(
        members=text(members, ["contact_id", "web_id", "email", "status"]),
        entries=text(entries, ["entry_id", "type", "email1", "flag"]),
        links=pd.DataFrame(more.get("links", []), columns=["id", "contact_id", "entry_id", "state"]).astype(
            {"id": "int64", "contact_id": "str", "entry_id": "str", "state": "str"}
        ),
        changes=text(more.get("changes", []), list(CHANGE)),
        new_links=text([], ["contact_id", "entry_id"]),
        waiting=text(more.get("waiting", []), WAITING[:-1]).assign(since_at=0.0),
        erased=frozenset(more.get("erased", ())),
    )
    return classify(picture)


def test_r01_r18_an_unlinked_member_has_the_reason_of_its_status() -> None:
    wanted = {
        "unsubscribed": "unsubscribed",
        "cleaned": "cleaned",
        "pending": "unconfirmed",
        "transactional": "transactional",
        "archived": "archived",
    }
    found = one([(f"c{n}", "", "a@b.test", status) for n, status in enumerate(wanted)])
    assert list(found.members["class"]) == list(wanted.values())
    assert list(one([("c", "", "", "subscribed")]).members["class"]) == ["no-address"]
    assert list(one([("c", "", "A@b.test", "subscribed")], erased=["a@b.test"]).members["class"]) == ["erased"]


def test_r03_r04_an_unlinked_entry_has_its_reason() -> None:
    found = one(
        entries=[
            ("a#0", "Individual", "", "Yes"),
            ("b#0", "Contact", "x@b.test", "No"),
            ("c#0", "Contact", "x@b.test", ""),
            ("d#0", "Company", "x@b.test", "Yes"),
        ]
    )
    assert list(found.entries["class"]) == ["no-email", "flag-no", "flag-unset", "company"]


def test_r14_an_entry_whose_member_left() -> None:
    found = one([], [("e#0", "Individual", "x@b.test", "No")], links=[(1, "c", "e#0", "left")])
    assert list(found.entries["class"]) == ["left"]


def test_a_refused_create_waits_under_the_record_it_was_made_from() -> None:
    waiting = [("mailchimp", "new:e#0", "", "", "the address is invalid", "R51", "correct it")]
    found = one([], [("e#0", "Individual", "x@b.test", "Yes")], waiting=waiting)
    assert found.entries[["class", "reason", "remedy"]].to_numpy().tolist() == [
        ["refused", "the address is invalid", "correct it"]
    ]


def test_what_waits_on_one_side_holds_for_the_pair() -> None:
    found = one(
        [("c", "", "x@b.test", "subscribed")],
        [("e#0", "Individual", "x@b.test", "Yes")],
        links=[(1, "c", "e#0", "active")],
        waiting=[("mailchimp", "c", "c", "e#0", "both changed", "R17", "agree")],
    )
    assert list(found.members["class"]) == list(found.entries["class"]) == ["address"]
