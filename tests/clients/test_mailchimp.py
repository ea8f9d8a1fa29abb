"""Mailchimp's answers, one by one: keys, refusals, batches, shapes (hazards A8, D9, E1, S15)."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from clients.mailchimp import Mailchimp, parse_key
from domain.errors import (
    Ambiguous,
    BrokenAnswer,
    CredentialsRefused,
    MaxchimpError,
    Misconfigured,
    NotFound,
    Refused,
)

Scripted = Callable[..., SimpleNamespace]

HEX = "0123456789abcdef0123456789abcdef"
MEMBER = {"id": "a" * 32, "contact_id": "b" * 32, "email_address": "anna@escona.test", "status": "subscribed"}


def test_s15_a_key_names_its_data_centre() -> None:
    assert parse_key(f"{HEX}-us6") == (f"{HEX}-us6", "us6")
    assert parse_key(f"{HEX}-us210")[1] == "us210"


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEX,
        f"{HEX}-",
        f"{HEX}-us",
        f"{HEX}-us1234",
        f"{HEX}-us1.evil.example",
        f"{HEX}-us6@169.254.169.254",
        f"{HEX}-us6#",
        f"{HEX}-us6/..",
        f"{HEX}-us6\r\nHost: evil.example",
        f"{HEX}-us6\n",
        f" {HEX}-us6",
        f"{HEX}-us6\uff0eevil",
        f"{HEX}-us\u0661",
        f"{HEX.upper()}-us6",
        f"{HEX[:-1]}-us6",
        f"{HEX}0-us6",
        f"{HEX}-eu6",
    ],
)
def test_s15_anything_else_is_refused_and_nothing_leaves(text: str, scripted: Scripted) -> None:
    made = scripted("mailchimp", (200, {}))
    with pytest.raises(Misconfigured) as caught:
        Mailchimp(made.session, text)
    assert made.session.sends == 0
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "root"),
    [
        (None, "https://us6.api.mailchimp.com/3.0"),
        ("http://127.0.0.1:5001/3.0", "http://127.0.0.1:5001/3.0"),
        ("http://127.0.0.1:5001/3.0/", "http://127.0.0.1:5001/3.0"),
        ("http://127.0.0.1:5001", "http://127.0.0.1:5001/3.0"),
    ],
)
def test_root_address(scripted: Scripted, url: str | None, root: str) -> None:
    made = scripted("mailchimp", (200, {"account_id": "x"}))
    Mailchimp(made.session, f"{HEX}-us6", url).account()
    assert made.script.sent[0].url == f"{root}/"


PROBLEMS = [
    (
        400,
        "Member Exists",
        "x@y.test is already a list member. Use PUT to insert or update list members.",
        "member-exists",
    ),
    (400, "Member In Compliance State", "x@y.test is in a compliance state due to unsubscribe", "compliance"),
    (400, "Forgotten Email Not Subscribed", "x@y.test was permanently deleted and cannot be re-imported.", "forgotten"),
    (400, "Invalid Resource", "x@y.test looks fake or invalid, please enter a real email address.", "fake"),
    (400, "Invalid Resource", "Please provide a valid email address.", "fake"),
    (400, "Invalid Resource", "x@y.test has signed up to a lot of lists very recently", "too-many-lists"),
    (400, "Invalid Resource", "Your merge fields were invalid.", "merge-fields"),
    (400, "Invalid Resource", "The resource submitted could not be validated.", "schema"),
    (400, "Invalid Resource", "Invalid interest ID: 'c06bb4b529'.", "interest"),
    (
        400,
        "Invalid Resource",
        'You can only update email addresses for members with a status of "subscribed."',
        "not-subscribed",
    ),
    (400, "Invalid Resource", '"x@y.test" is already in this list with a status of "subscribed"', "address-taken"),
    (400, "JSON Parse Exception", "", "schema"),
    (400, "Something New", "whatever", "other"),
    (405, "Method Not Allowed", "", "not-allowed"),
]


@pytest.mark.parametrize(("status", "title", "detail", "code"), PROBLEMS)
@pytest.mark.parametrize("extra", [{}, {"type": "https://mailchimp.com/developer/marketing/docs/errors/"}])
def test_refusals_by_name(
    mailchimp_script: Scripted, status: int, title: str, detail: str, code: str, extra: dict[str, str]
) -> None:
    errors = [{"field": "BIRTHDAY", "message": "Please enter a month"}]
    document = {"title": title, "status": status, "detail": detail, "instance": "1-2-3", "errors": errors, **extra}
    made = mailchimp_script((status, document))
    with pytest.raises(Refused) as caught:
        made.client.update_member("ab12", "b" * 32, {"merge_fields": {}})
    error = caught.value
    assert (error.code, error.status, error.detail, error.side) == (code, status, detail, "mailchimp")
    assert error.fields == (("BIRTHDAY", "Please enter a month"),)
    assert "x@y.test" not in str(error)
    assert made.session.sends == 1


def test_a_rename_onto_a_taken_address(mailchimp_script: Scripted) -> None:
    made = mailchimp_script((400, {"title": "Member Exists", "detail": ""}))
    with pytest.raises(Refused) as caught:
        made.client.update_member("ab12", "b" * 32, {"email_address": "new@escona.test"})
    assert caught.value.code == "address-taken"


@pytest.mark.parametrize(
    ("play", "error"),
    [
        ((401, {"title": "API Key Invalid", "detail": "Your API key may be invalid"}), CredentialsRefused),
        ((401, b""), CredentialsRefused),
        ((403, {"title": "User Disabled", "detail": "This account has been deactivated."}), CredentialsRefused),
        ((403, {"title": "Forbidden"}), CredentialsRefused),
        ((426, {"title": "Upgrade Required"}), Misconfigured),
        ((404, {"title": "Resource Not Found", "detail": ""}), NotFound),
        ((404, b"<html>not found</html>"), BrokenAnswer),
        ((400, b"<html>bad</html>"), BrokenAnswer),
        ((400, {"error": "?"}), BrokenAnswer),
        ((200, []), BrokenAnswer),
        ((200, "text"), BrokenAnswer),
        ((200, {}), BrokenAnswer),
        ((200, {"account_id": None}), BrokenAnswer),
    ],
)
def test_a8_reading(mailchimp_script: Scripted, play: Any, error: type[MaxchimpError]) -> None:
    with pytest.raises(error) as caught:
        mailchimp_script(play).client.account()
    assert type(caught.value) is error


@pytest.mark.parametrize("missing", ["id", "contact_id", "email_address", "status"])
def test_a8_a_member_without_its_parts_is_none(mailchimp_script: Scripted, missing: str) -> None:
    row = {name: value for name, value in MEMBER.items() if name != missing}
    with pytest.raises(BrokenAnswer):
        mailchimp_script((200, row)).client.member("ab12", "b" * 32)
    with pytest.raises(Ambiguous):
        mailchimp_script((200, row)).client.update_member("ab12", "b" * 32, {})


def test_only_a_problem_document_says_that_a_member_is_absent(mailchimp_script: Scripted) -> None:
    assert mailchimp_script((404, {"title": "Resource Not Found"})).client.member("ab12", "x") is None
    with pytest.raises(BrokenAnswer):
        mailchimp_script((404, b"<h1>Not Found</h1>")).client.member("ab12", "x")


def test_an_update_that_answers_another_member_is_ambiguous(mailchimp_script: Scripted) -> None:
    with pytest.raises(Ambiguous):
        mailchimp_script((200, MEMBER)).client.update_member("ab12", "c" * 32, {})


def test_e1_an_update_holds_no_status(mailchimp_script: Scripted) -> None:
    made = mailchimp_script((200, MEMBER))
    with pytest.raises(ValueError):
        made.client.update_member("ab12", "b" * 32, {"status": "subscribed"})
    assert made.session.sends == 0
    made.client.update_member("ab12", "b" * 32, {"status": "subscribed"}, revive=True)
    assert made.script.bodies() == [{"status": "subscribed"}]


@pytest.mark.parametrize("who", ["../../ping", "a/b", "a?b", "a#b", "a%2fb", "anna+news@escona.test"])
def test_ids_stay_inside_their_path_segment(mailchimp_script: Scripted, who: str) -> None:
    made = mailchimp_script((200, MEMBER))
    made.client.member("ab12", who)
    path = made.script.sent[0].path_url.partition("?")[0]
    assert path.startswith("/3.0/lists/ab12/members/")
    assert path.count("/") == 5


@pytest.mark.parametrize("who", ["", ".", ".."])
def test_an_empty_id_asks_nothing(mailchimp_script: Scripted, who: str) -> None:
    made = mailchimp_script((200, MEMBER))
    with pytest.raises(ValueError):
        made.client.member("ab12", who)
    assert made.session.sends == 0


def test_members_with_looks_itself(mailchimp_script: Scripted) -> None:
    """A service that ignored the filter would answer with everybody."""
    rows = [{**MEMBER, "unique_email_id": "0a"}, {**MEMBER, "unique_email_id": "0b"}]
    made = mailchimp_script((200, {"members": rows, "total_items": 2}))
    assert [row["unique_email_id"] for row in made.client.members_with("ab12", unique_email_id="0b")] == ["0b"]


# Batches (D9)

SENT = [
    {"email_address": address, "status": "subscribed"}
    for address in ("Anna@escona.test", "b@escona.test", "c@escona.test")
]


def batch(made: SimpleNamespace) -> Any:
    return made.client.add_members("ab12", SENT)


def test_d9_every_address_has_one_outcome(mailchimp_script: Scripted) -> None:
    answer = {
        "new_members": [{"email_address": "anna@ESCONA.test", "id": "1"}],
        "updated_members": [],
        "errors": [
            {
                "email_address": "b@escona.test",
                "error": "b@escona.test is already a list member",
                "error_code": "ERROR_CONTACT_EXISTS",
            }
        ],
    }
    made = mailchimp_script((200, answer))
    result = batch(made)
    assert list(result.created) == ["anna@escona.test"]
    assert result.errors == {"b@escona.test": ("member-exists", "b@escona.test is already a list member", "")}
    assert result.missing == ["c@escona.test"]
    assert made.script.bodies() == [{"members": SENT, "update_existing": False}]


def test_d9_twice_with_different_outcomes_is_missing_and_strangers_are_ignored(mailchimp_script: Scripted) -> None:
    rows = [{"email_address": row["email_address"]} for row in SENT]
    answer = {"new_members": [rows[2], rows[0], rows[0]], "errors": [rows[0], {"email_address": "z@escona.test"}, None]}
    result = batch(mailchimp_script((200, answer)))
    assert (list(result.created), result.errors) == (["c@escona.test"], {})
    assert result.missing == ["anna@escona.test", "b@escona.test"]


def test_d9_the_words_of_a_row_error_name_it(mailchimp_script: Scripted) -> None:
    def error(address: str, text: str, **more: str) -> dict[str, str]:
        return {"email_address": address, "error": text, "error_code": "ERROR_GENERIC", **more}

    answer = {
        "new_members": [],
        "errors": [
            error("anna@escona.test", "... is in a compliance state due to unsubscribe ..."),
            error(
                "b@escona.test",
                "Your merge fields were invalid.",
                field="ZIP",
                field_message="Please enter a zip code (5 digits)",
            ),
            error("c@escona.test", "? ", field="ZIP", field_message="no"),
        ],
    }
    result = batch(mailchimp_script((200, answer)))
    assert result.errors == {
        "anna@escona.test": ("compliance", "... is in a compliance state due to unsubscribe ...", ""),
        "b@escona.test": ("merge-fields", "Please enter a zip code (5 digits)", "ZIP"),
        "c@escona.test": ("merge-fields", "no", "ZIP"),
    }


@pytest.mark.parametrize("answer", [{}, {"new_members": None, "errors": []}, {"new_members": []}, [], {"errors": {}}])
def test_d9_another_shape_leaves_the_batch_ambiguous(mailchimp_script: Scripted, answer: Any) -> None:
    with pytest.raises(Ambiguous):
        batch(mailchimp_script((200, answer)))


def test_d9_a_batch_is_sent_once_and_is_checked_before(mailchimp_script: Scripted) -> None:
    made = mailchimp_script((500, b""))
    with pytest.raises(Ambiguous):
        batch(made)
    assert made.session.sends == 1
    for rows in ([SENT[0], {"email_address": "anna@escona.test "}], [{"status": "subscribed"}], SENT * 167):
        with pytest.raises(ValueError):
            made.client.add_members("ab12", rows)
    assert made.client.add_members("ab12", []).missing == []
    assert made.session.sends == 1


def test_collections_are_read_to_their_end(mailchimp_script: Scripted) -> None:
    pages = [(200, {"lists": [{"id": str(n)} for n in range(k, k + 2)], "total_items": 4}) for k in (0, 2)]
    made = mailchimp_script(*pages)
    assert [row["id"] for row in made.client.lists()] == ["0", "1", "2", "3"]
    assert "offset=2" in str(made.script.sent[1].url)


def test_a_collection_that_repeats_itself_is_broken(mailchimp_script: Scripted) -> None:
    made = mailchimp_script((200, {"lists": [{"id": "0"}], "total_items": 10**9}))
    with pytest.raises(BrokenAnswer):
        made.client.lists()
