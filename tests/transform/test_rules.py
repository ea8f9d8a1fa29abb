"""Whole records: complete addresses, and what a new member or entry is made of."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.changeset import Policy
from domain.fields import FieldMapping, MailchimpField, MaximizerField, Option, kinds
from domain.records import PLACEHOLDER, Layout
from domain.settings import SyncSettings
from domain.values import texts
from transform.rules import ITEM, complete_addresses, new_entries, new_members

TODAY = date(2026, 1, 5)
PARTS = tuple(kinds()["address"]["parts"])
NEEDED = ("addr1", "city", "state", "zip")
FULL = dict(zip(PARTS, ("1 Elm", "Flat 2", "Reno", "NV", "89501", "US"), strict=True))


def mapping(tag: str, kind: str = "text", ref: str = "", **more: Any) -> FieldMapping:
    basic = ref in ("FirstName", "LastName")
    target = MaximizerField(tag, ref or f"Udf/{tag}", more.pop("target", "alphanumeric"), basic=basic, max_length=79)
    return FieldMapping(tag, MailchimpField(tag, tag, tag, kind, **more), target, pairs=(("A", "1"),))


def policy(*mappings: FieldMapping, unmapped: tuple[MailchimpField, ...] = ()) -> Policy:
    email = FieldMapping("EMAIL", MailchimpField("EMAIL", "", "", "email"), MaximizerField("Email1", "Email1", "email"))
    layout = Layout((email, *mappings), "Udf/1", "Udf/2")
    return Policy(layout=layout, settings=SyncSettings(), today=TODAY, unmapped_required=unmapped)


def address(*, required: bool = False, parts: tuple[str, ...] = PARTS) -> Policy:
    kind = {"country": "country"}
    return policy(*(mapping(f"ADDRESS.{p}", kind.get(p, "address"), required=required) for p in parts))


def completed(rules: Policy, before: dict[str, str], entry: dict[str, str]) -> pd.DataFrame:
    """Items after the rule for one pair whose entry has these parts now, and whose member has those."""
    rows = [
        dict(zip(ITEM, (0, tag, before[part], entry[part], entry[part], "", "R31", ""), strict=True))
        for part in before
        if (tag := f"ADDRESS.{part}") in rules.layout.member_tags and before[part] != entry[part]
    ]
    wide = [pd.DataFrame({f"ADDRESS.{p}": texts([side[p]]) for p in PARTS}) for side in (before, entry)]
    return complete_addresses(pd.DataFrame(rows, columns=list(ITEM)), wide[0], wide[1], rules)


ADDRESSES = st.fixed_dictionaries({p: st.sampled_from(["", "x", "y"]) for p in PARTS if p != "country"}).flatmap(
    lambda made: st.sampled_from(["", "US", "CA"]).map(lambda country: made | {"country": country})
)
EMPTY = dict.fromkeys(PARTS, "")
STORED = st.one_of(st.just(EMPTY), ADDRESSES.filter(lambda a: all(a[p] for p in NEEDED) and a["country"] != ""))


@given(STORED, ADDRESSES, st.booleans())
def test_r28_mailchimp_gets_a_whole_address_or_none(before: dict[str, str], entry: dict[str, str], must: bool) -> None:
    rules = address(required=must)
    items = completed(rules, before, entry)
    assert not items.duplicated(["row", "field"]).any()
    going = items[items["problem"] == ""]
    after = before | {f.partition(".")[2]: new for f, new in zip(going["field"], going["new"], strict=True)}
    whole = all(after[part] for part in NEEDED)
    assert whole or after in (EMPTY, before)
    complete = all(entry[part] for part in NEEDED)
    if complete:
        assert {p: after[p] for p in NEEDED} == {p: entry[p] for p in NEEDED}
        assert after["country"] == (entry["country"] or before["country"])
    elif must and len(items):
        assert {p: after[p] for p in NEEDED} == {p: entry[p] or "-" for p in NEEDED}
        assert all(items.loc[items["new"] == "-", "note"] == f"{PLACEHOLDER}-")
    elif entry == EMPTY and not must:
        assert after == EMPTY
    elif not must:
        assert after == before  # nothing of a partial address goes, and nothing is lost


def test_r28_a_part_alone_is_completed_by_what_the_member_has() -> None:
    items = completed(address(parts=("city",)), FULL, FULL | {"city": "Elko"})
    assert items[["field", "new", "problem"]].to_numpy().tolist() == [["ADDRESS.city", "Elko", ""]]


def entries(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"entry_id": texts(["E#0"]), "email1": texts(["ada@lantern.test"])}).assign(
        **{name.replace("__", "."): texts([value]) for name, value in columns.items()}
    )


def members(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"contact_id": texts(["M"]), "email": texts(["ada@lantern.test"])}).assign(
        **{name: texts([value]) for name, value in columns.items()}
    )


def carried(items: pd.DataFrame) -> dict[str, str]:
    sound = items[items["problem"] == ""]
    assert not sound.duplicated(["row", "field"]).any()
    return dict(zip(sound["field"], sound["new"], strict=True))


def test_r18_r22_a_new_member_holds_values_and_placeholders() -> None:
    choices = (Option("A", "A"), Option("B", "B"))
    rules = policy(
        mapping("REF", required=True),
        mapping("URL", "url", required=True),
        mapping("PLAN", "radio", required=True, options=choices, target="single"),
        mapping("NOTE"),
        mapping("@status", "source"),
        unmapped=(MailchimpField("WHEN", "9", "When", "date", required=True),),
    )
    rules = replace(rules, layout=replace(rules.layout, mappings=tuple(
        replace(m, one_way=m.tag.startswith("@")) for m in rules.layout.mappings
    )))  # fmt: skip
    given_entries = entries(REF="", URL="nowhere", PLAN="", NOTE="n").assign(**{"@status": texts(["old"])})
    items = new_members(given_entries, rules)
    assert carried(items) == {
        "EMAIL": "ada@lantern.test",
        "REF": "-",
        "URL": "http://www.google.com",
        "PLAN": "A",
        "NOTE": "n",
        "WHEN": "2026-01-05",
    }
    withheld = items[items["problem"] != ""]
    assert withheld[["field", "seen"]].to_numpy().tolist() == [["URL", "nowhere"]]
    notes = dict(zip(items["field"], items["note"], strict=True))
    assert (notes["REF"], notes["PLAN"], notes["NOTE"]) == (f"{PLACEHOLDER}-", f"{PLACEHOLDER}A", "")


def test_r10_a_new_entry_has_a_last_name() -> None:
    rules = policy(mapping("LNAME", ref="LastName"), mapping("REF"))
    assert carried(new_entries(members(LNAME="Byron", REF="x"), rules))["LNAME"] == "Byron"
    nameless = new_entries(members(LNAME="", REF=""), rules)
    assert carried(nameless) == {"EMAIL": "ada@lantern.test", "LNAME": "ada@lantern.test"}
    too_long = new_entries(members(LNAME="x" * 80, REF=""), rules)
    assert carried(too_long)["LNAME"] == "ada@lantern.test"
    assert too_long.loc[too_long["problem"] != "", "field"].tolist() == ["LNAME"]
    assert carried(new_entries(members(REF=""), policy(mapping("REF"))))["#lastname"] == "ada@lantern.test"


@pytest.mark.parametrize("name", ["ada@lantern.test", "Ada@Lantern.test"])
def test_r10_an_address_in_place_of_a_name_does_not_go_back(name: str) -> None:
    items = carried(new_members(entries(LNAME=name), policy(mapping("LNAME", ref="LastName"))))
    assert items == {"EMAIL": "ada@lantern.test"}


def test_r27_a_broken_field_takes_no_part() -> None:
    rules = policy(replace(mapping("REF", required=True), broken="gone"), mapping("NOTE"))
    assert "REF" not in carried(new_members(entries(REF="x", NOTE="n"), rules))
    assert "REF" not in carried(new_entries(members(REF="x", NOTE="n"), rules))
