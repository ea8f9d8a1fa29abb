"""JSON of both services as frames, and frames as staged rows and back (hazard C12, R29)."""

from __future__ import annotations

from typing import Any

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from domain import records
from domain.fields import FieldMapping, MailchimpField, MaximizerField, Option
from domain.records import ENTRY, MEMBER, Layout
from domain.values import as_set, texts

EMAIL = FieldMapping("EMAIL", MailchimpField("EMAIL", "", "", "email"), MaximizerField("Email1", "Email1", "email"))


def mapping(tag: str, kind: str, ref: str, target: str, **more: Any) -> FieldMapping:
    return FieldMapping(tag, MailchimpField(tag, tag, tag, kind, **more), MaximizerField(tag, ref, target))


LAYOUT = Layout(
    (
        EMAIL,
        mapping("LNAME", "text", "LastName", "alphanumeric"),
        mapping("PHONE", "phone", "Phone1", "alphanumeric"),
        mapping("ADDRESS.city", "address", "Address/City", "alphanumeric"),
        mapping("POINTS", "number", "Udf/$TYPEID(1)", "numeric"),
        mapping("PLAN", "radio", "Udf/$TYPEID(2)", "single"),
        mapping("group:G", "group", "Udf/$TYPEID(3)", "multi", options=(Option("a", "A"), Option("b", "B"))),
        mapping("@status", "source", "Udf/$TYPEID(4)", "alphanumeric"),
    ),
    "Udf/$TYPEID(8)",
    "Udf/$TYPEID(9)",
)
TAGS = ["LNAME", "PHONE", "ADDRESS.city", "POINTS", "PLAN", "group:G", "@status"]
NULLS = st.one_of(st.none(), st.text())


def wide(side: str, rows: list[list[str | None]]) -> pd.DataFrame:
    identity = MEMBER if side == "mailchimp" else ENTRY
    data: dict[str, Any] = {name: texts(f"{name}{n}" for n in range(len(rows))) for name in identity}
    data["found"] = [True] * len(rows)
    return pd.DataFrame(data | {tag: texts(row[n] for row in rows) for n, tag in enumerate(("A", "b.c", "group:Ü"))})


@given(st.lists(st.lists(NULLS, min_size=3, max_size=3), min_size=1, max_size=8), st.sampled_from(list(records.KEY)))
def test_c12_any_text_survives_the_store(rows: list[list[str | None]], side: str) -> None:
    before = wide(side, rows)
    tags = ["A", "b.c", "group:Ü"]
    after = records.unstage(records.stage(before, side), tags)
    for tag in tags:
        assert records.plain_rows(after[[tag]]) == records.plain_rows(before[[tag]])
    assert after[records.KEY[side]].tolist() == before[records.KEY[side]].tolist()
    assert after["A"].isna().tolist() == [row[0] is None for row in rows]  # unknown is not empty


@given(st.lists(NULLS, min_size=3, max_size=3), st.lists(NULLS, min_size=3, max_size=3))
def test_r32_the_row_hash_tells_values_apart_and_nothing_else(one: list[str | None], other: list[str | None]) -> None:
    frame = wide("mailchimp", [one, other])
    frame["contact_id"] = frame["email"] = frame["unique_email_id"] = frame["web_id"] = frame["status"] = "x"
    frame["pair"] = "x"
    first, second = records.stage(frame, "mailchimp")["row_hash"]
    assert (first == second) == (one == other)  # the time of last change differs in any case
    assert records.stage(frame.assign(last_changed="later"), "mailchimp")["row_hash"].tolist() == [first, second]


def member(**merge: Any) -> dict[str, Any]:
    return {
        "contact_id": "c", "email_address": " Ada@Lantern.test ", "unique_email_id": "u", "web_id": 7,
        "status": "subscribed", "merge_fields": merge, "interests": {"a": True, "b": False, "other": True},
    }  # fmt: skip


def only(frame: pd.DataFrame) -> dict[str, Any]:
    (row,) = records.plain_rows(frame)
    return row


def test_members_as_mailchimp_sends_them() -> None:
    address = {"addr1": "1 Elm", "city": "Reno", "country": "us"}
    whole = member(LNAME="NA", PHONE="", ADDRESS=address, POINTS=1.50, PLAN="Plus", CLIENTID="E9", CONTACTNO="2")
    row = only(records.members([whole], LAYOUT))
    assert (row["email"], row["web_id"], row["pair"]) == ("Ada@Lantern.test", "7", "E9#2")
    assert {tag: row[tag] for tag in TAGS} == {
        "LNAME": "NA", "PHONE": "", "ADDRESS.city": "Reno", "POINTS": "1.5", "PLAN": "Plus", "group:G": as_set("a"),
        "@status": "subscribed",
    }  # fmt: skip
    assert (row["ADDRESS.addr2"], row["ADDRESS.country"]) == ("", "US")


def test_r29_what_a_member_lacks_is_unknown() -> None:
    bare = {name: value for name, value in member(PHONE=None).items() if name not in ("interests", "status")}
    row = only(records.members([bare], LAYOUT))
    assert {tag for tag in TAGS if row[tag] is None} == set(TAGS)
    assert only(records.members([member(ADDRESS="", POINTS="")], LAYOUT))["ADDRESS.city"] == ""


def test_a_carried_identity_is_whole_or_none() -> None:
    for client, number, pair in (
        ("E9", "0", "E9#0"), ("E9", 3, "E9#3"), ("E9", 3.0, "E9#3"), ("E9", "", ""), ("", "3", ""), ("E9", "x", ""),
        (None, None, ""), (" E9 ", " 3 ", "E9#3"),
    ):  # fmt: skip
        row = only(records.members([member(CLIENTID=client, CONTACTNO=number)], LAYOUT))
        assert row["pair"] == pair


def entry(**fields: Any) -> dict[str, Any]:
    return {"Key": {"Value": "k", "ID": "E9", "Number": 0}, "Type": "Individual", **fields}


def test_entries_in_every_form_that_servers_send() -> None:
    for row in (
        entry(LastName="NA", Phone1={"Number": "1"}, Address={"City": "Reno"}, Email1={"Address": " a@b.test "}),
        entry(lastname={"Value": "NA"}, phone1="1", address={"city": "Reno"}, email1="a@b.test"),
    ):
        row |= {
            "Udf/$TYPEID(1)": 7.0, "Udf/$TYPEID(2)": ["3"], "udf/$typeid(3)": [{"Key": "2"}, {"Key": "10"}],
            "Udf/$TYPEID(4)": None, "Udf/$TYPEID(8)": ["2"], "Udf/$TYPEID(9)": {"Value": "m"},
        }  # fmt: skip
        read = only(records.entries([row], LAYOUT))
        assert (read["entry_id"], read["email1"], read["flag"], read["marker"]) == ("E9#0", "a@b.test", "Yes", "m")
        assert {tag: read[tag] for tag in TAGS} == {
            "LNAME": "NA", "PHONE": "1", "ADDRESS.city": "Reno", "POINTS": "7", "PLAN": "3",
            "group:G": as_set(["2", "10"]), "@status": "",
        }  # fmt: skip


def test_r29_what_an_entry_lacks_is_unknown() -> None:
    read = only(records.entries([entry(Address={"AddressLine1": "x"})], LAYOUT))
    assert {tag for tag in TAGS if read[tag] is None} == set(TAGS)
    empty = only(records.entries([entry(LastName=None, Address=None, **{"Udf/$TYPEID(2)": []})], LAYOUT))
    assert (empty["LNAME"], empty["ADDRESS.city"], empty["PLAN"]) == ("", "", "")


def test_identities_there_and_back() -> None:
    assert records.split_entry_id("260105#X#12") == ("260105#X", 12)
    assert records.entry_id({"key": {"id": "E9", "number": "4"}}) == "E9#4"


def test_what_was_looked_for_in_vain() -> None:
    gone = records.unstage(records.missing("maximizer", ["E9#0"]), ["LNAME"])
    assert gone["found"].tolist() == [False]
    assert gone["LNAME"].isna().all()
