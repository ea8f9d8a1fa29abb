"""Maximizer's answers, one by one: addresses, envelope, tokens, paging (hazards A1, A8, A9)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from clients.maximizer import CLOUD, ON_PREMISE, any_of, by_id, by_key, id_of
from clients.maximizer.answers import messages
from clients.maximizer.dialect import base_of, server_of
from domain.errors import (
    Ambiguous,
    BrokenAnswer,
    CredentialsRefused,
    MaxchimpError,
    Misconfigured,
    NotApplied,
    Refused,
    Unreachable,
)

Scripted = Callable[..., SimpleNamespace]

SIGNED_IN = (200, {"Code": 0, "Data": {"Token": "fresh-token-1"}})


def entry(number: int, **more: Any) -> dict[str, Any]:
    return {"Key": {"Value": f"key{number}", "ID": f"C{number}", "Number": 0}, **more}


def rows(*numbers: int, **more: Any) -> tuple[int, dict[str, Any]]:
    return 200, {"Code": 0, "AbEntry": {"Data": [entry(n) for n in numbers], **more}}


@pytest.mark.parametrize(
    ("url", "base", "family"),
    [
        ("https://s/MaximizerWebData/Data.svc", "https://s/MaximizerWebData/Data.svc/json", ON_PREMISE),
        ("https://s/MaximizerWebData/data.SVC/json/", "https://s/MaximizerWebData/data.SVC/json", ON_PREMISE),
        (" https://s/MaximizerWebData ", "https://s/MaximizerWebData/Data.svc/json", ON_PREMISE),
        ("https://api.maximizer.com/octopus/", "https://api.maximizer.com/octopus", CLOUD),
        ("http://127.0.0.1:5002/octopus", "http://127.0.0.1:5002/octopus", CLOUD),
    ],
)
def test_r38_addresses(url: str, base: str, family: object) -> None:
    assert base_of(url) == (base, family)


@pytest.mark.parametrize("url", ["https://crm.escona.test", "https://crm.escona.test/Login.aspx", ""])
def test_r38_other_addresses(url: str) -> None:
    with pytest.raises(Misconfigured):
        base_of(url)


@pytest.mark.parametrize(
    ("server", "urls"),
    [
        (
            "crm.escona.test:443",
            [
                "https://crm.escona.test/MaximizerWebData/Data.svc",
                "https://CRM.Escona.test:443/MAXIMIZERWEBDATA/data.svc/json/",
                " https://crm.escona.test./MaximizerWebData",
                "https://crm.escona.test/octopus/",
            ],
        ),
        ("crm.escona.test:8443/west", ["https://crm.escona.test:8443/West/MaximizerWebData/Data.svc"]),
        (
            "localhost:5002",
            [
                "http://127.0.0.1:5002/octopus",
                "http://localhost:5002/MaximizerWebData/Data.svc/json",
                "http://[::1]:5002/octopus",
                "http://[::ffff:127.0.0.1]:5002/octopus",
                "http://crm.localhost:5002/octopus",
            ],
        ),
        ("fd00::5:443", ["https://[FD00:0:0::5]/octopus"]),
        ("localhost:80", ["http://127.0.0.1/octopus"]),
    ],
)
def test_r36_a_server_has_one_spelling(server: str, urls: list[str]) -> None:
    assert {server_of(url) for url in urls} == {server}


@pytest.mark.parametrize(
    ("told", "own"),
    [
        ({"WorkspaceId": "0F8FAD5B-D9CB-469F-A165-70867728950E"}, "0f8fad5b-d9cb-469f-a165-70867728950e"),
        ({"WorkspaceId": 1, "Udbid": "0f8fad5b-d9cb-469f-a165-70867728950e"}, "0f8fad5b-d9cb-469f-a165-70867728950e"),
        ({"WorkspaceId": "1", "Udbid": 7}, ""),
        ({"WorkspaceId": "00000000-0000-0000-0000-000000000000", "Udbid": None}, ""),
        ({"WorkspaceId": {"Value": "a long text that is no id"}}, ""),
    ],
)
def test_r36_an_address_book_has_an_id_only_where_no_other_can_have_it(
    maximizer_script: Scripted, told: dict[str, Any], own: str
) -> None:
    info = (200, {"Code": 0, "Data": {"AddressBook": {"Database": "Lantern", **told}}})
    found = maximizer_script(SIGNED_IN, info).client.session_info()
    assert (found["database"], found["id"]) == ("Lantern", own)


@pytest.mark.parametrize("token", ["two\r\nlines", "sn\u00f6w", " token", "tab\t"])
def test_a_token_with_odd_characters_never_reaches_a_header(maximizer_script: Scripted, token: str) -> None:
    with pytest.raises(Misconfigured):
        maximizer_script((200, {}), token=token)


def test_tokens_go_where_the_server_looks(maximizer_script: Scripted) -> None:
    fine = (200, {"Code": 0})
    made = maximizer_script(SIGNED_IN, fine)
    made.client.call("GetSessionInfo", {})
    assert made.script.bodies()[1]["Token"] == "fresh-token-1"
    assert "Authorization" not in made.script.sent[1].headers
    made = maximizer_script(fine, profile="cloud", token="own-token")
    made.client.call("GetSessionInfo", {})
    assert "Token" not in made.script.bodies()[0]
    assert made.script.sent[0].headers["Authorization"] == "Bearer own-token"
    made = maximizer_script(fine, token="own-token")
    made.client.call("GetSessionInfo", {})
    assert made.script.bodies()[0]["Token"] == "own-token"
    assert made.script.sent[0].headers["Authorization"] == "Bearer own-token"


@pytest.mark.parametrize(
    ("msg", "expected"),
    [
        (["one", "two"], [("one", None), ("two", None)]),
        ([{"Message": "one", "ErrorCode": -10003}], [("one", -10003)]),
        ([{"message": "one"}], [("one", None)]),
        ("one", [("one", None)]),
        ({"Message": "one", "ErrorCode": -1}, [("one", -1)]),
        (None, []),
        ("", []),
        ([], []),
        ([None, 3], [("None", None), ("3", None)]),
    ],
)
def test_both_shapes_of_msg(msg: Any, expected: list[tuple[str, int | None]]) -> None:
    assert messages({"Code": -1, "Msg": msg}) == expected
    assert messages({"code": -1, "msg": msg}) == expected


def test_a_note_in_msg_is_no_failure(maximizer_script: Scripted) -> None:
    made = maximizer_script(SIGNED_IN, (200, {"Code": 0, "Msg": ["AbEntryRead is beta"]}))
    assert made.client.call("AbEntryRead", {})["Code"] == 0


@pytest.mark.parametrize(
    ("code", "msg", "name"),
    [
        (-1, [{"Message": "Task: failed. Workflow/Result is mandatory", "ErrorCode": -10003}], "mandatory"),
        (-10010, ["?"], "mandatory"),
        (-1, [{"Message": "?", "ErrorCode": -60054}], "option"),
        (-1023, None, "property"),
        (-1, ["AbEntry doesn't support property 'Shoe'"], "property"),
        (-1, [{"Message": "?", "ErrorCode": -1024}], "type"),
        (-1, ["You do not have the rights to do this"], "rights"),
        (-1, ["The given key is of a type not supported by the target object.(DONOTUPDATE)"], "other"),
        (7, None, "other"),
    ],
)
def test_refusals_by_name(maximizer_script: Scripted, code: int, msg: Any, name: str) -> None:
    made = maximizer_script(SIGNED_IN, (200, {"Code": code, "Msg": msg}))
    with pytest.raises(Refused) as caught:
        made.client.create_entry({"LastName": "x"})
    assert caught.value.code == name
    assert made.session.sends == 2


def test_a_mandatory_field_is_named(maximizer_script: Scripted) -> None:
    text = "Task: failed to validate update to Task. Workflow/Result is mandatory"
    made = maximizer_script(SIGNED_IN, (200, {"Code": -1, "Msg": [{"Message": text, "ErrorCode": -10003}]}))
    with pytest.raises(Refused) as caught:
        made.client.create_entry({"LastName": "x"})
    assert caught.value.fields == (("Workflow/Result", text),)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        "ok",
        {"Code": None},
        {"Code": "0"},
        {"Code": True},
        {"Code": False},
        {"Code": 0.0},
        {"AbEntry": {"Data": []}},
    ],
)
def test_a8_without_an_integer_code_nothing_is_believed(maximizer_script: Scripted, answer: Any) -> None:
    with pytest.raises(BrokenAnswer):
        maximizer_script(SIGNED_IN, (200, answer)).client.find(["LastName"], by_key("k"))
    with pytest.raises(Ambiguous):
        maximizer_script(SIGNED_IN, (200, answer)).client.create_entry({"LastName": "x"})
    with pytest.raises(Ambiguous):
        maximizer_script(SIGNED_IN, (200, answer)).client.update_entry("k", {"LastName": "x"})


@pytest.mark.parametrize("data", [None, {}, "x", [None], ["x"]])
def test_a8_data_that_is_no_list_is_never_no_rows(maximizer_script: Scripted, data: Any) -> None:
    made = maximizer_script(SIGNED_IN, (200, {"Code": 0, "AbEntry": {"Data": data}}))
    with pytest.raises(BrokenAnswer):
        list(made.client.people(["LastName"]))


@pytest.mark.parametrize(
    ("moment", "good"),
    [
        (None, True),
        ("", True),
        ("2026-01-05T09:00:00Z", True),
        ({"Value": "0001-01-01T00:00:00"}, True),
        ("x", False),
        ([{}], False),
        (20260105, False),
        ({"Value": {}}, True),
        ({"Value": "05.01.2026"}, False),
    ],
)
def test_a8_a_time_of_change_that_is_none(maximizer_script: Scripted, moment: Any, good: bool) -> None:
    row = {"Key": {"Value": "k", "ID": "0010C", "Number": 0}, "LastModifyDate": moment}
    rows = [(200, {"Code": 0, "AbEntry": {"Data": data}}) for data in ([row], [], [])]
    made = maximizer_script(SIGNED_IN, *rows)
    if good:
        assert len([row for page in made.client.people(["LastName"]) for row in page]) == 1
        return
    with pytest.raises(BrokenAnswer, match="the time of an entry's last change is none"):
        list(made.client.people(["LastName"]))


@pytest.mark.parametrize("applies_to", [None, 5, 0.5, "AbEntry", {}, ["AbEntry", 7]])
def test_a8_a_definition_that_does_not_say_for_whom_is_for_everybody(
    maximizer_script: Scripted, applies_to: Any
) -> None:
    row = {"Key": "Udf/$TYPEID(9)", "Name": "Taste", "Type": "StringField", "AppliesTo": applies_to}
    made = maximizer_script(SIGNED_IN, *[(200, {"Code": 0, "Schema": {"Data": [row]}})] * 4)
    (field,) = made.client.fields()
    assert {"Individual", "Contact"} <= set(field["applies_to"])


@pytest.mark.parametrize("made_of", [None, {}, [], {"Key": None}, {"Key": ""}, {"Key": {"ID": "x"}}, {"Key": 5}])
def test_a_create_without_a_key_is_ambiguous(maximizer_script: Scripted, made_of: Any) -> None:
    made = maximizer_script(SIGNED_IN, (200, {"Code": 0, "AbEntry": {"Data": made_of}}))
    with pytest.raises(Ambiguous):
        made.client.create_entry({"LastName": "x"})
    assert made.session.sends == 2


@pytest.mark.parametrize("key", ["k1", {"Value": "k1"}, {"value": "k1"}])
def test_a_create_names_its_key_in_either_form(maximizer_script: Scripted, key: Any) -> None:
    made = maximizer_script(SIGNED_IN, (200, {"code": 0, "abEntry": {"data": {"key": key}}}))
    assert made.client.create_entry({"LastName": "x"}) == "k1"
    assert made.script.bodies()[1]["AbEntry"] == {"Data": {"Key": None, "LastName": "x"}}


# Tokens (A9)


@pytest.mark.parametrize(
    "refusal",
    [
        (401, b""),
        (401, {"Code": -1}),
        (200, {"Code": -2}),
        (200, {"Code": -1, "Msg": ["Invalid token"]}),
        (200, {"Code": -1, "Msg": [{"Message": "TOKEN expired"}]}),
    ],
)
def test_a9_renewed_once_and_the_same_call_repeated(maximizer_script: Scripted, refusal: Any) -> None:
    again = (200, {"Code": 0, "Data": {"Token": "fresh-token-2"}})
    done = (200, {"Code": 0, "AbEntry": {"Data": {"Key": "k1"}}})
    made = maximizer_script(SIGNED_IN, refusal, again, done)
    assert made.client.create_entry({"LastName": "x"}) == "k1"
    first, second = made.script.bodies()[1], made.script.bodies()[3]
    assert (first.pop("Token"), second.pop("Token")) == ("fresh-token-1", "fresh-token-2")
    assert first == second
    made = maximizer_script(SIGNED_IN, refusal, again, refusal, done)
    with pytest.raises(CredentialsRefused):
        made.client.create_entry({"LastName": "x"})
    assert made.session.sends == 4


def test_a_mandatory_field_called_token_is_no_expiry(maximizer_script: Scripted) -> None:
    text = {"Message": "AbEntry. Token is mandatory", "ErrorCode": -10003}
    made = maximizer_script(SIGNED_IN, (200, {"Code": -1, "Msg": [text]}))
    with pytest.raises(Refused):
        made.client.create_entry({"LastName": "x"})
    assert made.session.sends == 2


def test_d5_renewal_does_not_multiply_sends(maximizer_script: Scripted) -> None:
    plays = [SIGNED_IN, (503, b""), (503, b""), (503, b""), (401, b""), SIGNED_IN]
    made = maximizer_script(*plays)
    with pytest.raises(NotApplied):
        made.client.find(["LastName"], by_key("k"))
    assert made.session.sends == 5, "signing in, and four for the operation"


@pytest.mark.parametrize(
    ("play", "error"),
    [
        ((200, {"Code": -1, "Msg": ["?"]}), CredentialsRefused),
        ((401, b""), CredentialsRefused),
        ((404, b"<html>"), Misconfigured),
        ((200, b"<html>log in"), Misconfigured),
        ((302, b""), Misconfigured),
        ((200, {"Code": 0}), Misconfigured),
        ((200, {"Code": 0, "Data": {"Token": "bad\r\nToken"}}), Misconfigured),
        ((503, b""), NotApplied),
    ],
)
def test_r38_discovery_says_what_is_wrong(maximizer_script: Scripted, play: Any, error: type[MaxchimpError]) -> None:
    made = maximizer_script(play)
    with pytest.raises(error) as caught:
        made.client.discover()
    assert type(caught.value) is error
    assert "correct-horse" not in repr(caught.value)


def test_unreachable_stays_unreachable(maximizer_script: Scripted) -> None:
    import requests

    with pytest.raises(Unreachable):
        maximizer_script(requests.ConnectTimeout()).client.discover()


# Paging


def collect(made: SimpleNamespace, size: int = 2) -> list[str]:
    return [id_of(row)[0] for page in made.client.people(["LastName"], page_size=size) for row in page]


def keys(made: SimpleNamespace) -> list[str | None]:
    return [body["AbEntry"]["OrderBy"]["PageKey"] for body in made.script.bodies()[1:]]


@pytest.mark.parametrize(
    "told",
    [
        lambda key: {"OrderBy": {"PageKey": key}},
        lambda key: {"orderby": {"pagekey": key}},
        lambda key: {"NextPageKey": key},
        lambda key: {"Page": {"NextPageKey": key}},
    ],
)
def test_the_next_key_in_any_of_its_places(maximizer_script: Scripted, told: Any) -> None:
    made = maximizer_script(SIGNED_IN, rows(1, 2, **told("NEXT")), rows(3, **told(None)))
    assert collect(made) == ["C1", "C2", "C3"]
    assert keys(made) == [None, "NEXT"]


def test_without_a_next_key_the_number_of_rows_is_the_key(maximizer_script: Scripted) -> None:
    made = maximizer_script(SIGNED_IN, rows(1, 2), rows(3), rows())
    assert collect(made) == ["C1", "C2", "C3"]
    assert keys(made) == [None, base64.b64encode(b"2").decode(), base64.b64encode(b"3").decode()]


def test_a_server_that_only_repeats_our_key_is_read_to_the_end(maximizer_script: Scripted) -> None:
    def echo(key: str | None) -> dict[str, Any]:
        return {"OrderBy": {"PageKey": key}}

    two, four = (base64.b64encode(n).decode() for n in (b"2", b"4"))
    plays = [rows(1, 2, **echo(None)), rows(3, 4, **echo(two)), rows(5, **echo(four)), rows()]
    made = maximizer_script(SIGNED_IN, *plays)
    assert collect(made) == ["C1", "C2", "C3", "C4", "C5"]


def test_null_after_a_full_page_is_tried_once_and_then_believed(maximizer_script: Scripted) -> None:
    last = rows(1, 2, OrderBy={"PageKey": None})
    for answer in (rows(), last, (200, {"Code": -1, "Msg": ["no such page"]})):
        made = maximizer_script(SIGNED_IN, last, answer, answer)
        assert collect(made) == ["C1", "C2"]


def test_a_server_that_ignores_paging_is_noticed(maximizer_script: Scripted) -> None:
    with pytest.raises(BrokenAnswer, match="paging"):
        collect(maximizer_script(SIGNED_IN, rows(1, 2)))


def test_a1_no_rows_are_believed_only_when_the_key_alone_finds_none(maximizer_script: Scripted) -> None:
    assert collect(maximizer_script(SIGNED_IN, rows(), rows())) == []
    with pytest.raises(BrokenAnswer, match="unknown"):
        collect(maximizer_script(SIGNED_IN, rows(), rows(1)))
    with pytest.raises(BrokenAnswer, match="unknown"):
        maximizer_script(SIGNED_IN, rows(), rows(1)).client.find(["LastName"], by_key("k"))


def test_a_search_that_is_refused_is_asked_in_parts(maximizer_script: Scripted) -> None:
    no = (200, {"Code": -1, "Msg": ["operator"]})
    made = maximizer_script(SIGNED_IN, no, no, rows(1), rows(), rows(2), rows(), profile="on-premise")
    found = made.client.find(["LastName"], any_of([by_id("C1", 0), by_id("C2", 0)]))
    assert [id_of(row) for row in found] == [("C1", 0), ("C2", 0)]
