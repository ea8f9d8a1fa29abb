"""``check``: everything that can be known before a run."""

from __future__ import annotations

import sqlite3

import pytest
from desk import Desk


def _found(desk: Desk, code: int) -> dict[str, dict[str, str]]:
    told = desk("check", "--json")
    assert told.code == code, told
    rows = told.json
    assert all(row.keys() == {"name", "state", "message", "remedy"} for row in rows)
    order = {"ok": 0, "warn": 1, "error": 2}
    return {row["name"]: row for row in sorted(rows, key=lambda row: order[row["state"]])}


def test_everything_in_order(ready: Desk) -> None:
    found = _found(ready, 0)
    assert found.keys() >= {
        "store", "connection", "sync settings", "settings", "mailchimp", "maximizer", "user-defined fields", "identity",
        "list", "groups", "merge fields", "mappings", "options", "mandatory fields", "consent", "plan", "rights",
        "earlier connector", "tags", "clocks",
    }  # fmt: skip
    assert {row["state"] for row in found.values()} == {"ok", "warn"}
    assert "not proven before the first write" in found["rights"]["message"]
    assert "max_absent 5%" in found["sync settings"]["message"]
    assert "agrees" in found["clocks"]["message"]
    before = ready.writes()
    lines = ready.good("check").out.splitlines()
    assert ready.writes() == before
    assert all(line.startswith(("ok ", "warn ", "  ")) for line in lines)


def test_before_set_up(desk: Desk) -> None:
    found = _found(desk, 2)
    assert found["store"]["remedy"] == "run: maxchimp setup"
    assert found["mailchimp"]["state"] == "ok"


def test_r54_warnings(desk: Desk) -> None:
    other = desk.world.mailchimp.add_list(
        "Careful", double_optin=True, marketing_permissions=True, merge_field_limit=30
    )
    desk.world.mailchimp.add_group(other, "Interests", ["News"])
    desk.good("setup", "--list", other)
    desk.world.mailchimp.add_merge_field(other, "MUST", "Must", "text", required=True)
    desk.world.maximizer.add_udf(r"Marketing\Must", "text", mandatory=True)
    told = desk.good("check").out
    for words in ("double opt-in", "marketing permissions", "not mapped: MUST", r"not mapped: Marketing\Must"):
        assert words in told


def test_r43_wrong_address_book_and_account(ready: Desk) -> None:
    _edit("UPDATE connection SET address_book = 'Former'")
    found = _found(ready, 7)
    assert "set up for 'Former'" in found["identity"]["message"]
    assert "--new-address-book" in found["identity"]["remedy"]
    assert ready("sync", "--yes").code == 7
    _edit("UPDATE connection SET address_book = 'EsconaDemo', account_id = 'another'")
    assert "another Mailchimp account" in _found(ready, 7)["identity"]["message"]


def test_r41_no_groups(ready: Desk) -> None:
    bare = ready.world.mailchimp.add_list("Bare")
    ready.good("setup", "--list", bare, "--yes")
    assert _found(ready, 7)["groups"]["message"] == "This list does not have interest groups enabled."


def test_r40_missing_udfs(ready: Desk) -> None:
    ready.world.maximizer.remove_udf(r"MailChimp\MailChimp ID")
    found = _found(ready, 7)
    assert "MailChimp ID does not exist" in found["user-defined fields"]["message"]
    assert found["user-defined fields"]["remedy"] == "run: maxchimp setup"
    assert "MailChimp ID does not exist" in ready.bad("sync", code=7).err
    ready.good("setup")
    _found(ready, 0)


def test_r08_marker_too_short_and_r06_other_name(desk: Desk) -> None:
    desk.world.maximizer.add_udf(r"MailChimp\Sync to MailChimp", "yesno")
    desk.world.maximizer.add_udf(r"MailChimp\MailChimp ID", "text", max_length=10)
    desk.good("setup")
    told = desk.good("check").out
    assert "takes 10 characters" in told
    assert "other name" in told


def test_r40_udf_of_companies_only(desk: Desk) -> None:
    desk.world.maximizer.add_udf(r"MailChimp\Sync with MailChimp", "yesno", applies_to=("Company",))
    desk.good("setup")
    assert "Individuals and Contacts" in _found(desk, 2)["user-defined fields"]["message"]


def test_r08_merge_fields_missing(ready: Desk) -> None:
    ready.world.mailchimp.remove_merge_field(ready.world.list_id, "CLIENTID")
    assert "CLIENTID does not exist" in _found(ready, 7)["merge fields"]["message"]


def test_r27_field_that_changed_its_type(ready: Desk) -> None:
    ready.good("map", "add", "PLAN", r"Marketing\Plan")
    ready.world.maximizer.change_kind(r"Marketing\Plan", "text")
    assert _found(ready, 2)["mappings"]["message"] == "Plan should be mapped to single-value table field."
    ready.good("sync", "--yes")


def test_r26_options_without_a_counterpart(ready: Desk) -> None:
    ready.good("map", "add", "PLAN", r"Marketing\Plan")
    before = ready.connection()
    found = _found(ready, 0)
    assert "Platinum (Maximizer)" in found["options"]["message"]
    assert ready.connection() == before


def test_r53_markers_of_an_earlier_connector(ready: Desk) -> None:
    people = [key for key, row in ready.world.maximizer.entries().items() if row["Type"] == "Individual"]
    ready.world.flag(people[:2])
    ready.world.maximizer.edit(people[0], {r"MailChimp\MailChimp ID": "0123456789"})
    assert "stop the old Maximizer Connect service" in _found(ready, 0)["earlier connector"]["remedy"]
    ready.good("sync", "--yes")
    assert _found(ready, 0)["earlier connector"]["state"] == "ok"


@pytest.mark.parametrize(
    ("name", "value", "line", "code"),
    [
        ("MAXCHIMP_MAILCHIMP_API_KEY", "f" * 32 + "-us6", "mailchimp", 2),
        ("MAXCHIMP_MAILCHIMP_API_KEY", "nonsense", "settings", 2),
        ("MAXCHIMP_MAXIMIZER_PASSWORD", "wrong", "maximizer", 2),
        ("MAXCHIMP_MAXIMIZER_USER", "", "settings", 2),
        ("MAXCHIMP_MAILCHIMP_URL", "http://127.0.0.1:1/3.0", "mailchimp", 1),
        ("MAXCHIMP_MAXIMIZER_URL", "http://127.0.0.1:1/MaximizerWebData/Data.svc", "maximizer", 1),
    ],
)
def test_credentials_and_reach(
    ready: Desk, monkeypatch: pytest.MonkeyPatch, name: str, value: str, line: str, code: int
) -> None:
    monkeypatch.setenv(name, value)
    assert _found(ready, code)[line]["state"] == "error"


def test_r38_web_access_address_that_only_this_machine_reaches(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAXCHIMP_MAXIMIZER_URL", "https://crm.invalid/MaximizerWebData/Data.svc")
    assert "only this machine can reach" in ready("check").out


def test_r35_buffer_longer_than_the_interval(ready: Desk) -> None:
    _edit("""UPDATE connection SET settings = '{"interval": 60.0, "buffer_ms": 90000}'""")
    assert "longer than the sync interval" in _found(ready, 2)["sync settings"]["message"]


def _edit(statement: str) -> None:
    with sqlite3.connect("data/local/maxchimp.db") as db:
        db.execute(statement)
    db.close()
