"""``fields`` and ``map``."""

from __future__ import annotations

import pytest
from desk import Desk


def test_fields_of_both_sides(ready: Desk) -> None:
    told = ready.good("fields", "--json").json
    left = {row["tag"]: row for row in told["mailchimp"]}
    right = {row["name"]: row for row in told["maximizer"]}
    assert left["EMAIL"]["mapped_to"] == "Email1"
    assert left["FNAME"]["mapped_to"] == "FirstName"
    assert left["PLAN"]["compatible"] == [r"Marketing\Plan", r"Marketing\Region"]
    assert left["CLIENTID"]["compatible"] == []
    assert right["Email1"]["mapped_from"] == ["EMAIL"]
    assert r"MailChimp\MailChimp ID" not in left["REF"]["compatible"]
    shown = ready.good("fields").out
    assert "group:Email Profile" in shown
    assert r"Marketing\Email Opt-In" in shown


def test_r20_add_modify_remove(ready: Desk) -> None:
    ready.good("map", "add", "GROUP:email profile", r"marketing\EMAIL opt-in")
    ready.good("map", "add", "job", "Position", "--basic", "update")
    rows = {row["tag"]: row for row in ready.good("map", "list", "--json").json}
    assert rows["group:Email Profile"]["field"] == r"Marketing\Email Opt-In"
    assert (rows["JOB"]["basic"], rows["FNAME"]["basic"]) == ("update", "protect")
    assert rows["EMAIL"]["field"] == "Email1"
    told = ready.good("map", "modify", "JOB", "Department", "--json").json
    assert (told["field"], told["basic"]) == ("Department", "update")
    told = ready.good("map", "modify", "JOB", r"Marketing\Reference", "--json").json
    assert told["basic"] is None
    ready.good("map", "remove", "job")
    assert "JOB" not in ready.good("map", "list").out
    assert ready.connection().full_reason


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["add", "NOPE", "FirstName"], "choose one of: EMAIL, FNAME"),
        (["add", "ADDRESS", "Address.City"], "ADDRESS.addr1, ADDRESS.addr2"),
        (["add", "JOB", "Nowhere"], "all of them: maxchimp fields"),
        (["add", "JOB", "phon"], "Phone1"),
        (["add", "PLAN", "LastName"], r"compatible fields are: 'Marketing\Plan'"),
        (["add", "JOB", "FirstName"], "mapped already"),
        (["add", "REF", r"MailChimp\MailChimp ID"], "cannot be mapped"),
        (["add", "POINTS", r"Accounts\Revenue"], "cannot be mapped"),
        (["add", "CLIENTID", "Department"], "identity"),
        (["add", "EMAIL", "Email2"], "always mapped"),
        (["modify", "email", "Email2"], "always mapped"),
        (["add", "FNAME", "Department"], "maxchimp map modify FNAME"),
        (["add", "PLAN", r"Marketing\Plan", "--basic", "update"], "leave --basic out"),
        (["modify", "JOB", "Position"], "is not mapped"),
        (["remove", "JOB"], "mapped are: FNAME, LNAME"),
        (["remove", "email"], "cannot be removed"),
    ],
)
def test_r19_r20_r21_what_cannot_be_mapped(ready: Desk, words: list[str], told: str) -> None:
    before = ready.good("map", "list").out
    assert told in ready.bad("map", *words, code=2).err
    assert ready.good("map", "list").out == before


def test_ambiguous_name_lists_the_candidates(ready: Desk) -> None:
    ready.world.maximizer.add_udf(r"Sales\Plan", "single", ["Basic"])
    told = ready.bad("map", "add", "PLAN", "plan", "--json", code=2).json
    assert "ambiguous" in told["error"]
    assert r"'Marketing\Plan', 'Sales\Plan'" in told["remedy"]


def test_text_of_others_does_not_steer_the_terminal(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ready.world.mailchimp.add_merge_field(ready.world.list_id, "EVIL", "\x1b[2J[bold]\u202egpj", "text")
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    out = ready.good("fields").out
    assert "\x1b[2J" not in out
    assert "\u202e" not in out
    assert "[bold]" in out
