"""Checks on what was read: what blocks the run, what puts a record aside, what is only reported."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from domain.changeset import FINDING
from domain.errors import Blocked
from domain.records import Layout, cells, entries, members, missing, stage, unstage
from quality import failed_of_few, judge_snapshot
from quality.checks import FAILED

FramesOf = Callable[..., pd.DataFrame]


@pytest.fixture
def of_side(members: FramesOf, entries: FramesOf) -> dict[Any, FramesOf]:
    return {"mailchimp": members, "maximizer": entries}


@pytest.mark.parametrize("side", ["mailchimp", "maximizer"])
def test_sound_records_pass_every_check(side: Any, of_side: dict[Any, FramesOf], layout: Layout) -> None:
    verdict = judge_snapshot(side, of_side[side](), layout)
    assert list(verdict.failed_rows.columns) == list(FAILED)
    assert list(verdict.findings.columns) == list(FINDING)
    assert verdict.failed_rows.empty
    assert verdict.findings.empty
    assert all(result["success"] and not result["unexpected"] for result in verdict.results)
    assert {result["suite"] for result in verdict.results} == {"members" if side == "mailchimp" else "entries"}
    assert all(result["evaluated"] == 3 for result in verdict.results)


@pytest.mark.parametrize("side", ["mailchimp", "maximizer"])
def test_nothing_read_is_nothing_wrong(side: Any, of_side: dict[Any, FramesOf], layout: Layout) -> None:
    verdict = judge_snapshot(side, of_side[side]().iloc[:0], layout)
    assert verdict.results
    assert all(result["success"] and result["evaluated"] == 0 for result in verdict.results)


@pytest.mark.parametrize(
    ("side", "column", "bad", "expectation"),
    [
        ("mailchimp", "email", "", "expect_column_values_to_not_be_null"),
        ("mailchimp", "email", "no at sign", "expect_column_values_to_match_regex"),
        ("mailchimp", "status", "asleep", "expect_column_values_to_be_in_set"),
        ("mailchimp", "status", "", "expect_column_values_to_be_in_set"),
        ("mailchimp", "unique_email_id", "", "expect_column_values_to_not_be_null"),
        ("maximizer", "type", "Company", "expect_column_values_to_be_in_set"),
        ("maximizer", "flag", "Maybe", "expect_column_values_to_be_in_set"),
        ("maximizer", "marker", "m" * 30, "expect_column_value_lengths_to_be_between"),
    ],
)
def test_r51_an_unsound_record_is_put_aside_alone(
    side: Any, column: str, bad: str, expectation: str, of_side: dict[Any, FramesOf], layout: Layout
) -> None:
    frame = of_side[side](**{column: bad})
    verdict = judge_snapshot(side, frame, layout)
    key = frame.loc[0, "contact_id" if side == "mailchimp" else "entry_id"]
    failed = verdict.failed_rows[["side", "key", "field", "expectation"]]
    assert failed.to_numpy().tolist() == [[side, key, column, expectation]]
    assert verdict.failed_rows.loc[0, "reason"]
    assert verdict.findings.empty
    broken = [result for result in verdict.results if not result["success"]]
    assert [(r["column"], r["unexpected"], r["mandatory"]) for r in broken] == [(column, 1, True)]
    by_hand = failed_of_few(side, frame, layout)
    assert by_hand.to_numpy().tolist() == verdict.failed_rows.to_numpy().tolist()


@pytest.mark.parametrize(
    ("side", "column", "good"),
    [
        *[("mailchimp", "status", s) for s in ("unsubscribed", "cleaned", "pending", "transactional", "archived")],
        ("maximizer", "type", "Contact"),
        ("maximizer", "flag", "No"),
        ("maximizer", "flag", ""),
        ("maximizer", "marker", "m" * 29),
        ("maximizer", "marker", ""),
        ("maximizer", "email1", ""),
    ],
)
def test_r1_r3_every_lawful_state_passes(
    side: Any, column: str, good: str, of_side: dict[Any, FramesOf], layout: Layout
) -> None:
    assert all(r["success"] for r in judge_snapshot(side, of_side[side](**{column: good}), layout).results)
    assert failed_of_few(side, of_side[side](**{column: good}), layout).empty


@pytest.mark.parametrize(
    ("side", "column", "bad"),
    [
        ("mailchimp", "COUNT", "many"),
        ("mailchimp", "SINCE", "2024-13-01"),
        ("mailchimp", "BDAY", "31-12"),
        ("mailchimp", "ZIP", "K1A 0B1"),
        ("mailchimp", "SITE", "ada.test"),
        ("mailchimp", "PHONE", "555"),
        ("mailchimp", "COLOUR", "Mauve"),
        ("mailchimp", "group:Topics", '["i1","i9"]'),
        ("mailchimp", "ADDRESS.country", "Atlantis"),
        ("mailchimp", "FNAME", "x" * 256),
        ("mailchimp", "@rating", "good"),
        ("maximizer", "COUNT", "many"),
        ("maximizer", "SINCE", "yesterday"),
        ("maximizer", "BDAY", "2024-01-01"),
        ("maximizer", "ZIP", "K1A 0B1"),
        ("maximizer", "SITE", "ask me"),
        ("maximizer", "COLOUR", "9"),
        ("maximizer", "group:Topics", '["9"]'),
        ("maximizer", "ADDRESS.country", "Atlantis"),
        ("maximizer", "FNAME", "x" * 21),
        ("maximizer", "email1", "no at sign"),
    ],
)
def test_r28_a_value_of_another_kind_is_reported_and_nothing_waits(
    side: Any, column: str, bad: str, of_side: dict[Any, FramesOf], layout: Layout
) -> None:
    verdict = judge_snapshot(side, of_side[side](**{column: bad}), layout)
    assert verdict.failed_rows.empty
    key = "member:c0" if side == "mailchimp" else "entry:A0#0"
    assert verdict.findings[["kind", "key", "field", "value"]].to_numpy().tolist() == [["check", key, column, ""]]
    assert verdict.findings.loc[0, "problem"]
    assert [(r["column"], r["mandatory"]) for r in verdict.results if not r["success"]] == [(column, False)]


@pytest.mark.parametrize("side", ["mailchimp", "maximizer"])
def test_r29_empty_and_unknown_values_are_not_judged(side: Any, of_side: dict[Any, FramesOf], layout: Layout) -> None:
    frame = of_side[side]()
    for mapping in layout.fields:
        frame.loc[0, mapping.tag] = ""
        frame.loc[1, mapping.tag] = None
    verdict = judge_snapshot(side, frame, layout)
    assert verdict.findings.empty
    tags = {mapping.tag for mapping in layout.fields}
    assert {r["evaluated"] for r in verdict.results if r["column"] in tags} == {1}


def test_r3_values_of_entries_that_take_no_part_are_not_judged(entries: FramesOf, layout: Layout) -> None:
    alone = entries(flag="No", marker="", ZIP="K1A 0B1", email1="none")
    assert judge_snapshot("maximizer", alone, layout).findings.empty
    linked = entries(flag="No", marker="u0", ZIP="K1A 0B1", email1="none")
    assert set(judge_snapshot("maximizer", linked, layout).findings["field"]) == {"ZIP", "email1"}


def test_r27_a_broken_mapping_is_not_judged(members: FramesOf, layout: Layout) -> None:
    count = layout.mapping("COUNT")
    others = tuple(m for m in layout.mappings if m.tag != "COUNT")
    broken = dataclasses.replace(layout, mappings=(*others, dataclasses.replace(count, broken="changed its type")))
    assert judge_snapshot("mailchimp", members(COUNT="many"), broken).findings.empty


@pytest.mark.parametrize("side", ["mailchimp", "maximizer"])
def test_records_that_were_not_found_are_not_judged(side: Any, of_side: dict[Any, FramesOf], layout: Layout) -> None:
    frame = of_side[side]()
    gone = unstage(missing(side, ["gone"]), [m.tag for m in layout.fields])
    verdict = judge_snapshot(side, pd.concat([gone, frame], ignore_index=True), layout)
    assert verdict.failed_rows.empty
    assert {r["evaluated"] for r in verdict.results} == {3}


@pytest.mark.parametrize(("side", "key"), [("mailchimp", "contact_id"), ("maximizer", "entry_id")])
@pytest.mark.parametrize("bad", ["", None, "twin"])
def test_a_set_without_sound_identities_blocks_the_run(
    side: Any, key: str, bad: Any, of_side: dict[Any, FramesOf], layout: Layout
) -> None:
    frame = of_side[side]()
    frame.loc[0, key] = frame.loc[1, key] if bad == "twin" else bad
    with pytest.raises(Blocked) as blocked:
        judge_snapshot(side, frame, layout)
    assert blocked.value.reason == "checks"
    assert "cannot be trusted" in blocked.value.message
    assert f"{2 if bad == 'twin' else 1} of 3" in blocked.value.message


@pytest.mark.parametrize(("side", "column", "bad"), [("mailchimp", "status", "asleep"), ("maximizer", "type", "Robot")])
def test_r1_r4_more_than_a_few_unknown_states_block_the_run(
    side: Any, column: str, bad: str, of_side: dict[Any, FramesOf], layout: Layout
) -> None:
    frame = of_side[side](40)
    frame.loc[:9, column] = bad
    assert len(judge_snapshot(side, frame, layout).failed_rows) == 10
    frame.loc[10, column] = bad
    with pytest.raises(Blocked) as blocked:
        judge_snapshot(side, frame, layout)
    assert "11 of 40" in blocked.value.message
    assert bad not in blocked.value.message


def test_r1_many_members_without_an_address_wait_but_block_nothing(members: FramesOf, layout: Layout) -> None:
    frame = members(40).assign(email="")
    assert len(judge_snapshot("mailchimp", frame, layout).failed_rows) == 40


@pytest.mark.parametrize("column", ["found", "status", "ZIP", "contact_id"])
def test_c14_a_missing_column_blocks_the_run(column: str, members: FramesOf, layout: Layout) -> None:
    with pytest.raises(Blocked, match=column) as blocked:
        judge_snapshot("mailchimp", members().drop(columns=column), layout)
    assert blocked.value.reason == "checks"


def test_s28_no_value_of_a_person_leaves_the_checks(of_side: dict[Any, FramesOf], layout: Layout) -> None:
    canary = "canary-7f3a"
    for side, make in of_side.items():
        frame = make(**dict.fromkeys(("FNAME", "COUNT", "ZIP", "SITE", "COLOUR", "group:Topics"), canary * 30))
        frame.loc[0, ["email", "status"] if side == "mailchimp" else ["email1", "type", "marker"]] = canary * 4
        verdict = judge_snapshot(side, frame, layout)
        shown = json.dumps(verdict.results) + verdict.failed_rows.to_json() + verdict.findings.to_json()
        assert len(verdict.failed_rows) == 2
        assert len(verdict.findings) >= 6
        assert canary not in shown


def test_frames_as_the_services_and_the_store_give_them_are_judged(layout: Layout) -> None:
    person = {
        "contact_id": "c1",
        "email_address": "ada@people.test",
        "unique_email_id": "u1",
        "status": "subscribed",
        "merge_fields": {"FNAME": "Ada", "COUNT": 3, "BDAY": "02/29", "ADDRESS": ""},
        "interests": {"i1": True},
    }
    entry = {"Key": {"ID": "A", "Number": 0}, "Type": "Individual", "Email1": "ada@people.test", "Udf/COUNT": 3}
    for side, wide in (("mailchimp", members([person], layout)), ("maximizer", entries([entry], layout))):
        stored = stage(wide, side)
        again = pd.concat([stored, cells(stored["fields"], list(layout.entry_tags))], axis=1)
        for frame in (wide, again):
            verdict = judge_snapshot(side, frame, layout)  # type: ignore[arg-type]
            assert verdict.failed_rows.empty
            assert verdict.findings.empty
