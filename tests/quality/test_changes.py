"""Checks on a plan: every breach of a rule stops the run before the first write."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from domain.changeset import FINDING, LAST_NAME, ChangeSet, Policy
from domain.errors import Blocked
from domain.settings import SyncSettings
from quality import judge_changes
from quality.changes import flat

PlanOf = Callable[..., ChangeSet]

NEW = {"EMAIL": "ada@people.test", "FNAME": "Ada", "ZIP": "10000", "SPARE": "-", "#stamp": "A#0"}
LAWFUL: list[Any] = [
    ("mailchimp", "create", "new:A#0", NEW),
    ("mailchimp", "update", "c1", {"FNAME": "Ada", "#stamp": "A#1"}),
    ("mailchimp", "rename", "c2", {"EMAIL": "new@people.test"}),
    ("mailchimp", "revive", "c3", {"#status": "subscribed", "FNAME": "Ada"}),
    ("maximizer", "create", "new:c4", {"EMAIL": "ada@people.test", LAST_NAME: "Ada", "FNAME": "Ada", "#flag": "Yes"}),
    ("maximizer", "update", "c1", {"COUNT": "3", "#flag": "No", "#marker": "u" * 29, "@rating": "4"}),
]


def blocked(changes: ChangeSet, policy: Policy) -> str:
    with pytest.raises(Blocked) as refused:
        judge_changes(changes, policy)
    assert refused.value.reason == "checks"
    return refused.value.message


def test_a_lawful_plan_passes(plan: PlanOf, policy: Policy) -> None:
    verdict = judge_changes(plan(*LAWFUL), policy)
    assert verdict.failed_rows.empty
    assert all(result["success"] and result["mandatory"] for result in verdict.results)
    assert {result["suite"] for result in verdict.results} == {"changes", "change fields"}
    json.dumps(verdict.results)


def test_an_empty_plan_passes(policy: Policy) -> None:
    verdict = judge_changes(ChangeSet(), policy)
    assert verdict.results
    assert all(result["evaluated"] == 0 for result in verdict.results)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(("mailchimp", "create", "new:A#0", NEW | {"FNAME": ""}), "R22", id="r22-empty"),
        pytest.param(
            ("mailchimp", "create", "new:A#0", {k: v for k, v in NEW.items() if k != "ZIP"}), "field ZIP", id="r22"
        ),
        pytest.param(
            ("mailchimp", "create", "new:A#0", {k: v for k, v in NEW.items() if k != "SPARE"}), "SPARE", id="r22-spare"
        ),
        pytest.param(("mailchimp", "create", "new:A#0", NEW | {"EMAIL": "ada"}), "address", id="r3-shape"),
        pytest.param(("maximizer", "create", "new:c1", {"FNAME": "Ada"}), "address", id="r3-missing"),
        pytest.param(("maximizer", "update", "A#0", {"COUNT": "1", "FNAME": "Ada"}), "R12", id="r12"),
        pytest.param(("maximizer", "update", "A#0", {LAST_NAME: "Ada"}), "R12", id="r12-last-name"),
        pytest.param(("maximizer", "update", "A#0", {"EMAIL": "new@people.test"}), "R13", id="r13"),
        pytest.param(("mailchimp", "update", "c1", {"#status": "subscribed"}), "R18", id="r18-update"),
        pytest.param(("mailchimp", "rename", "c1", {"#status": "subscribed"}), "R18", id="r18-rename"),
        pytest.param(("mailchimp", "create", "new:A#0", NEW | {"#status": "subscribed"}), "R18", id="r18-create"),
        pytest.param(("mailchimp", "revive", "c1", {"#status": "pending"}), "R18", id="r18-other-status"),
        pytest.param(("mailchimp", "revive", "c1", {"#status": ""}), "R18", id="r18-no-status"),
        pytest.param(("maximizer", "update", "A#0", {"#marker": "m" * 30}), "R8", id="r8"),
        pytest.param(("mailchimp", "update", "c1", {"@rating": "4"}), "R52", id="r52"),
        pytest.param(("mailchimp", "update", "c1", {}), "no field", id="no-field"),
        pytest.param(("mailchimp", "update", "c1", {"": "x"}), "without a name", id="nameless-field"),
        pytest.param(("mailchimp", "update", "", {"FNAME": "Ada"}), "names no record", id="no-target"),
        pytest.param(("mailchimp", "delete", "c1", {"FNAME": "Ada"}), "something unknown", id="r18-delete"),
        pytest.param(("maximizer", "revive", "A#0", {"#flag": "Yes"}), "something unknown", id="unknown-op"),
        pytest.param(("mailchimp", "update", "c2", {"FNAME": "Ada"}), "twice on one side", id="two-changes"),
    ],
)
def test_a_plan_that_breaks_a_rule_is_refused(change: Any, said: str, plan: PlanOf, policy: Policy) -> None:
    rest = [c for c in LAWFUL if c[2] != change[2] or change[2] == "c2"]
    judge_changes(plan(*rest), policy)
    assert said in blocked(plan(*rest, change), policy)


def test_r8_the_marker_of_a_change_fits(plan: PlanOf, policy: Policy) -> None:
    assert "R8" in blocked(plan(LAWFUL[5], marker="m" * 30), policy)


def test_one_record_may_change_on_both_sides(plan: PlanOf, policy: Policy) -> None:
    judge_changes(plan(LAWFUL[1], LAWFUL[5]), policy)


def test_a_field_is_written_once_per_change(plan: PlanOf, policy: Policy) -> None:
    changes = plan(LAWFUL[1])
    body = json.loads(changes.changes.loc[0, "fields"])
    changes.changes.loc[0, "fields"] = json.dumps({"set": [*body["set"], body["set"][0]], "then": {}})
    assert "one field twice" in blocked(changes, policy)


def test_r12_a_mapping_that_opts_out_may_be_written(plan: PlanOf, policy: Policy) -> None:
    mappings = tuple(dataclasses.replace(m, protected=False) for m in policy.layout.mappings)
    free = dataclasses.replace(policy, layout=dataclasses.replace(policy.layout, mappings=mappings))
    judge_changes(plan(("maximizer", "update", "A#0", {"FNAME": "Ada"})), free)


def test_r13_the_setting_follow_permits_a_new_address(plan: PlanOf, policy: Policy) -> None:
    follow = dataclasses.replace(policy, settings=SyncSettings(email_change="follow"))
    judge_changes(plan(("maximizer", "update", "A#0", {"EMAIL": "new@people.test"})), follow)


def test_r28_a_withheld_mandatory_value_stops_nobody_else(plan: PlanOf, policy: Policy) -> None:
    change = ("mailchimp", "create", "new:A#0", {k: v for k, v in NEW.items() if k != "ZIP"})
    changes = plan(change)
    changes.findings = pd.DataFrame([("withheld", "entry:A#0", "ZIP", "x", "no zip")], columns=list(FINDING))
    judge_changes(changes, policy)
    changes.findings["key"] = "entry:B#0"
    assert "R22" in blocked(changes, policy)


def test_r27_a_broken_mapping_is_not_demanded(plan: PlanOf, policy: Policy) -> None:
    mappings = tuple(dataclasses.replace(m, broken="x" if m.tag == "ZIP" else "") for m in policy.layout.mappings)
    mended = dataclasses.replace(policy, layout=dataclasses.replace(policy.layout, mappings=mappings))
    change = ("mailchimp", "create", "new:A#0", {k: v for k, v in NEW.items() if k != "ZIP"})
    judge_changes(plan(change), mended)


@pytest.mark.parametrize("body", ["", "{", "[]", '{"set": "canary"}', '{"set": [{"field": ["canary"]}]}', "{}\n{}"])
def test_c14_changes_that_cannot_be_read_are_refused(body: str, plan: PlanOf, policy: Policy) -> None:
    changes = plan(LAWFUL[1])
    changes.changes.loc[0, "fields"] = body
    said = blocked(changes, policy)
    assert "could not be carried out" in said
    assert "canary" not in said


def test_s28_no_value_of_a_person_is_told(plan: PlanOf, policy: Policy) -> None:
    canary = "canary-7f3a"
    change = ("mailchimp", "update", canary, {"#status": canary, "FNAME": canary, "#marker": canary * 9})
    assert canary not in blocked(plan(change), policy)


def test_the_flat_frame_has_a_row_per_change_and_field(plan: PlanOf) -> None:
    long = "é" * 2_000_000
    changes = plan(("mailchimp", "update", "c1", {"A": "1", "B": long}), ("mailchimp", "update", "c2", {"C": 'x"\n'}))
    assert flat(changes.changes["fields"]).to_numpy().tolist() == [[0, "A", "1"], [0, "B", long], [1, "C", 'x"\n']]
