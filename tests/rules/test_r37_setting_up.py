"""R37, R38, R40, R41 (set-up), R50 (the log), R52 (read-only sources) and R54 (what ``check`` warns of)."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import FLAG, MARKER, Office, office
from pydantic import SecretStr

from domain.errors import Blocked, CredentialsRefused, MaxchimpError, Misconfigured
from flows.check import Check
from flows.prepare import NO_GROUPS
from flows.setup import check_web_url
from storage import connections, schema

NewOffice = Callable[..., Office]
FILLED = {"POINTS": 1, "PLAN": "Plus", "REF": "x"}
REF = r"Marketing\Reference"


@pytest.fixture
def bare(folder: Path) -> Iterator[Office]:
    """An office before its set-up."""
    made = office(folder, ready=False)
    yield made
    made.engine.dispose()


def with_settings(made: Office, **changes: Any) -> None:
    made.settings = made.settings.model_copy(update=changes)


def checked(made: Office) -> dict[str, list[tuple[str, str]]]:
    """Name -> (state, message) of everything that ``check`` says."""
    found: dict[str, list[tuple[str, str]]] = {}
    for finding in Check(made.settings, made.engine, opener=made._open, now=made.clock.now).run():
        found.setdefault(finding.name, []).append((finding.state, finding.message))
    return found


def warnings(made: Office) -> str:
    return " | ".join(text for rows in checked(made).values() for state, text in rows if state != "ok")


# ----------------------------------------------------------------------------------------------------- R37, R38


def test_r37_a_valid_key_shows_the_account(bare: Office) -> None:
    account = bare.setup().account
    assert set(account) >= {"account", "contact", "plan", "industry", "total_subscribers", "last_login"}
    assert all(account[name] != "" for name in ("account", "contact", "plan"))


@pytest.mark.parametrize("key", ["nonsense", "0" * 32, "0" * 31 + "-us6", "", "0" * 32 + "-us6"])
def test_r37_a_wrong_key_stores_nothing(bare: Office, key: str) -> None:
    with_settings(bare, mailchimp_api_key=SecretStr(key))
    with pytest.raises(Misconfigured) as refusal:
        bare.setup()
    assert refusal.value.remedy
    assert not key or key not in str(refusal.value)
    assert schema.current(bare.engine) is None or connections.find(bare.engine, "default") is None


@pytest.mark.parametrize("change", [{"maximizer_password": SecretStr("wrong")}, {"maximizer_user": "NOBODY"}])
def test_r38_signing_in_is_tried_before_anything_is_stored(bare: Office, change: dict[str, Any]) -> None:
    with_settings(bare, **change)
    with pytest.raises((CredentialsRefused, Misconfigured)):
        bare.setup()
    assert schema.current(bare.engine) is None or connections.find(bare.engine, "default") is None


@pytest.mark.parametrize("ending", ["", "/json", "/", "/json/"])
def test_r38_both_endings_of_the_address_are_taken(bare: Office, ending: str) -> None:
    root = bare.settings.maximizer_url.removesuffix("/json")
    with_settings(bare, maximizer_url=root + ending)
    assert bare.setup().connection.address_book == bare.maximizer.database.name


@pytest.mark.parametrize("name", ["Harbour", "escona tutorial"])
def test_r38_the_address_book_has_to_be_there(bare: Office, name: str) -> None:
    with_settings(bare, maximizer_database=name)
    with pytest.raises(MaxchimpError):
        bare.setup()


@pytest.mark.parametrize(
    ("web", "data", "good"),
    [
        ("https://crm.lantern.test/MaximizerWebAccess", "https://crm.lantern.test/Data.svc", True),
        ("https://localhost/MaximizerWebAccess", "https://crm.lantern.test/Data.svc", False),
        ("https://127.0.0.1/x", "https://crm.lantern.test/Data.svc", False),
        ("https://[::1]/x", "https://crm.lantern.test/Data.svc", False),
        ("http://localhost/x", "http://127.0.0.1:2/Data.svc", True),
        ("", "https://crm.lantern.test/Data.svc", True),
        ("nonsense", "https://crm.lantern.test/Data.svc", False),
    ],
)
def test_r38_the_address_that_people_log_in_with(bare: Office, web: str, data: str, good: bool) -> None:
    with_settings(bare, maximizer_web_url=web, maximizer_url=data)
    if good:
        return check_web_url(bare.settings)
    with pytest.raises(Misconfigured, match=r"only this machine|not a web address"):
        check_web_url(bare.settings)
    return None


# ----------------------------------------------------------------------------------------------------- R40, R41


@pytest.mark.parametrize("profile", ["on-premise", "cloud"])
def test_r40_the_two_fields_are_created_for_people_only(new_office: NewOffice, profile: str) -> None:
    made = new_office(profile=profile)
    for path, kind in ((FLAG, "yesno"), (MARKER, "text")):
        udf = made.maximizer.database.schema.at(path)
        assert (udf.kind, set(udf.applies_to)) == (kind, {"Individual", "Contact"})
    assert made.maximizer.database.schema.at(MARKER).max_length == 29
    again = made.setup()
    assert not [line for line in again.done if "created" in line]


def test_r40_missing_fields_are_named_and_made_again(new_office: NewOffice) -> None:
    made = new_office()
    made.sync()
    made.maximizer.remove_udf(MARKER)
    with pytest.raises(Blocked, match="MailChimp ID"):
        made.sync()
    assert "MailChimp ID" in warnings(made)
    outcome = made.setup()
    assert any(line.endswith("MailChimp ID") for line in outcome.done)
    assert any("restrict full access" in line for line in outcome.todo)
    made.quiet(1)


def test_r41_a_list_without_groups_is_blocked_until_set_up_makes_one(bare: Office) -> None:
    categories = bare.mailchimp.audiences[bare.list_id].categories
    categories.clear()
    bare.mailchimp.audiences[bare.list_id].interests.clear()
    outcome = bare.setup()
    assert any(NO_GROUPS in line and "--group" in line for line in outcome.todo)
    bare.subscribe("ada@lantern.test", "Ada", "Byron", merge_fields=FILLED)
    with pytest.raises(Blocked) as refusal:
        bare.sync()
    assert refusal.value.message == "This list does not have interest groups enabled."
    assert NO_GROUPS in warnings(bare)
    bare.setup(group="Interests", options=("News",))
    assert [c.title for c in categories.values()] == ["Interests"]
    bare.sync()
    assert len(bare.entries("ada@lantern.test")) == 1
    bare.quiet(1)


# ----------------------------------------------------------------------------------------------------- R50


def test_r50_the_log_says_who_what_why_and_what_to_do(new_office: NewOffice, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    made = new_office()
    made.map_all([("REF", REF), ("MOBILE", "Phone2")])
    for n in range(7):
        made.add("Ada", "Byron", f"ada{n}@lantern.test", flag="Yes", Phone2="none")
    made.add("Bob", "Blank", "", flag="Yes")
    twins = [made.add("Eve", "Twin", "eve@lantern.test", flag="Yes") for _ in range(2)]
    made.sync()
    made.sync()
    lines = caplog.text.splitlines()
    (phones,) = [line for line in lines if "MOBILE: not a US phone number (R28)" in line and "7 records" in line]
    assert "link " in phones or "entry " in phones
    assert "and 2 more. To do: correct the value" in phones
    assert any("no Email 1 (R3)" in line and "fill in Email 1" in line for line in lines)
    assert any(twins[0][0] in line and "(R9)" in line and "To do:" in line for line in lines)
    waiting = {row["id"] for row in made.quarantined()}
    named = [re.search(r"quarantine (\d+)[,:]", line) for line in lines if " Waits. To do: " in line]
    assert {int(found[1]) for found in named if found} == waiting
    assert "***" not in caplog.text
    assert "lantern.test" not in caplog.text  # by link, never by address
    assert "Byron" not in caplog.text


# ----------------------------------------------------------------------------------------------------- R52


def test_r52_read_only_sources_go_one_way(new_office: NewOffice) -> None:
    made = new_office()
    sources = {
        "@status": "Status", "@rating": "Rating", "@opt_in": "Opted", "@last_changed": "Changed",
        "@unsubscribe_reason": "Why", "@language": "Language",
    }  # fmt: skip
    for tag, name in sources.items():
        kind = "date" if tag in ("@opt_in", "@last_changed") else "number" if tag == "@rating" else "text"
        made.maximizer.add_udf(rf"Marketing\{name}", kind)
    made.map_all((tag, rf"Marketing\{name}") for tag, name in sources.items())
    made.map("REF", REF)
    contact, key = made.met("ada@lantern.test", FILLED, {REF: "x"}, language="fr")
    made.sync()
    udfs = made.udfs(key)
    assert (udfs["Status"], udfs["Language"], udfs["Rating"]) == (
        "subscribed",
        "fr",
        made.member(contact)["member_rating"],
    )
    assert udfs["Opted"] == udfs["Changed"] == "2026-01-05"
    made.quiet(1)
    made.clock.advance(3 * 86_400)
    made.mailchimp.unsubscribe(contact, reason="Too many e-mails")
    made.sync()
    udfs = made.udfs(key)
    assert (udfs["Status"], udfs["Why"], udfs["Changed"]) == ("unsubscribed", "Too many e-mails", "2026-01-08")
    # Our own write moves Mailchimp's time of last change: an echo, no news.
    made.clock.advance(3 * 86_400)
    made.maximizer.edit(key, {REF: "y"})
    made.quiet(1)
    assert made.member(contact)["merge_fields"]["REF"] == "y"
    made.clock.advance(3 * 86_400)
    made.quiet(0)
    # What people write there goes nowhere and is put right with the member's next change.
    made.maximizer.edit(key, {r"Marketing\Status": "hidden", r"Marketing\Language": "de"})
    made.quiet(1)
    assert made.member(contact)["status"] == "unsubscribed"
    assert made.member(contact)["language"] == "fr"
    assert made.udfs(key)["Status"] == "unsubscribed"


def test_r52_nothing_is_read_only_by_default(new_office: NewOffice) -> None:
    made = new_office()
    assert not [row for row in connections.mappings(made.engine, made.connection.id) if row.tag.startswith("@")]


# ----------------------------------------------------------------------------------------------------- R54


def test_r54_check_warns_of_what_will_surprise(new_office: NewOffice) -> None:
    made = new_office()
    assert "mandatory in Mailchimp and not mapped: PLAN, POINTS, REF; new members get a placeholder" in warnings(made)
    for name in ("ada", "eve"):
        made.add(name, "Byron", f"{name}@lantern.test", flag="Yes")
    made.sync()
    assert "not mapped: PLAN (2 filled in 30d), POINTS (2 filled in 30d), REF (2 filled in 30d);" in warnings(made)
    made.map("REF", REF)
    made.maximizer.edit(made.add("Cleo", "Byron", "cleo@lantern.test", flag="Yes"), {REF: "true"})
    made.sync()
    made.unmap("REF")
    assert "POINTS (3 filled in 30d), REF (2 filled in 30d);" in warnings(made)  # a true value is no placeholder
    audience = made.mailchimp.audiences[made.list_id]
    audience.double_optin = audience.marketing_permissions = True
    said = warnings(made)
    assert "double opt-in" in said
    assert "marketing permissions" in said
    for tag, field in (("PLAN", r"Marketing\Plan"), ("POINTS", r"Marketing\Loyalty Points"), ("REF", REF)):
        made.map(tag, field)
    assert "mandatory in Mailchimp" not in warnings(made)
    assert any("contact limit" in text for rows in checked(made).values() for _, text in rows)
    assert any("merge fields in all" in text for rows in checked(made).values() for _, text in rows)


def test_r54_an_audience_without_room_for_two_fields(bare: Office) -> None:
    audience = bare.mailchimp.audiences[bare.list_id]
    audience.merge_field_limit = len(audience.fields) + 1
    with pytest.raises(Misconfigured, match="merge field") as refusal:
        bare.setup()
    assert "two" in refusal.value.remedy
