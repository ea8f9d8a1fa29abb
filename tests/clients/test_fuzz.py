"""Mutated answers: whatever a service sends, only the errors of this project come out (hazard A8)."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clients.maximizer import any_of, by_email, by_id
from domain.errors import MaxchimpError

Scripted = Callable[..., SimpleNamespace]
FUZZ = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

MEMBER = {
    "id": "a" * 32,
    "contact_id": "b" * 32,
    "unique_email_id": "0a",
    "email_address": "canary@escona.test",
    "status": "subscribed",
    "last_changed": "2026-01-01T00:00:00+00:00",
    "merge_fields": {"FNAME": "Canary"},
}
PROBLEM = {"title": "Invalid Resource", "detail": "canary@escona.test", "errors": [{"field": "F", "message": "m"}]}
MAILCHIMP_ANSWERS: list[Any] = [
    MEMBER,
    PROBLEM,
    {"members": [MEMBER], "total_items": 1},
    {"new_members": [MEMBER], "updated_members": [], "errors": [{"email_address": "x", "error": "y"}]},
    {"lists": [{"id": "ab12"}], "total_items": 1, "account_id": "x", "id": "ab12"},
    {"categories": [{"id": "1", "title": "T"}], "interests": [{"id": "2", "name": "A"}], "total_items": 1, "id": "1"},
]
MAILCHIMP_CALLS: list[Callable[[Any], Any]] = [
    lambda c: c.account(),
    lambda c: c.lists(),
    lambda c: c.list("ab12"),
    lambda c: list(c.members("ab12", page_size=1)),
    lambda c: c.member("ab12", "x"),
    lambda c: c.members_with("ab12", unique_email_id="0a"),
    lambda c: c.add_members("ab12", [{"email_address": "x", "status": "subscribed"}]),
    lambda c: c.update_member("ab12", "b" * 32, {"email_address": "x"}),
    lambda c: c.create_group("ab12", "T", ["A", "B"]),
]
ENTRY = {
    "Key": {"Value": "k", "ID": "C1", "Number": 0},
    "LastName": "Canary",
    "Email1": {"Address": "canary@escona.test"},
}
UDF = {
    "Key": "/AbEntry/Udf/$TYPEID(4)",
    "Alias": ["Udf/$NAME(A\\B)"],
    "Type": "StringField",
    "Name": "B",
    "AppliesTo": ["Contact"],
    "Folder": {"Key": "f", "Name": "A", "Path": "A"},
    "Attributes": {"MaxLength": 29},
    "Mandatory": {"Rule": ""},
}
MAXIMIZER_ANSWERS: list[Any] = [
    {"Code": 0, "AbEntry": {"Data": [ENTRY], "OrderBy": {"PageKey": None}}, "Data": {"Token": "t"}},
    {"Code": 0, "AbEntry": {"Data": {"Key": "k"}}, "Data": {"Token": "t"}},
    {"Code": -1, "Msg": [{"Message": "canary@escona.test", "ErrorCode": -10003}]},
    {
        "Code": 0,
        "Schema": {"Data": [UDF, {**UDF, "Alias": None, "Folder": "f"}]},
        "Folder": {"Data": [{"Key": "f", "Name": "A"}]},
    },
    {"Code": 0, "AbEntry": {"FieldOptions": {"Udf/$TYPEID(4)": [{"Key": "1", "Name": "Yes"}]}, "Data": {}}},
]
MAXIMIZER_CALLS: list[Callable[[Any], Any]] = [
    lambda c: c.discover(),
    lambda c: c.session_info(),
    lambda c: c.fields(),
    lambda c: c.options(["Udf/$TYPEID(4)", "Category"]),
    lambda c: c.create_udf("A\\C", "text"),
    lambda c: list(c.people(["LastName", "Email1"], since="2026-01-01T00:00:00Z", page_size=1)),
    lambda c: c.find(["LastName"], any_of([by_id("C1", 0), by_email(["x"])])),
    lambda c: c.entry(["LastName"], "C1", 0),
    lambda c: c.create_entry({"LastName": "x"}),
    lambda c: c.update_entry("k", {"LastName": "x"}),
]
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 2**70),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "canary@escona.test", "\ud800", "MTA="]),
    st.just([]),
    st.just({}),
    st.lists(st.none(), max_size=2),
    st.dictionaries(st.sampled_from(["Key", "key", "Data", "id", "Value"]), st.integers(), max_size=2),
)


@st.composite
def mutated(draw: st.DrawFn, answers: list[Any]) -> tuple[int, bytes]:
    """An HTTP answer: one of ``answers`` with up to three places changed, removed or doubled, or cut in bytes."""
    data: Any = copy.deepcopy(draw(st.sampled_from(answers)))
    for _ in range(draw(st.integers(0, 3))):
        data = changed(draw, data)
    raw = json.dumps(data).encode()
    if draw(st.integers(0, 9)) == 0:
        raw = raw[: draw(st.integers(0, len(raw)))]
    return draw(st.sampled_from([200, 200, 200, 200, 201, 204, 400, 401, 403, 404, 405, 429, 500])), raw


def changed(draw: st.DrawFn, data: Any) -> Any:
    if not isinstance(data, dict | list) or not data or draw(st.integers(0, 3)) == 0:
        return draw(JUNK)
    place: Any = draw(st.sampled_from(sorted(data) if isinstance(data, dict) else list(range(len(data)))))
    kind = draw(st.sampled_from(["deeper", "deeper", "deeper", "remove", "double"]))
    if kind == "deeper":
        data[place] = changed(draw, data[place])
    elif kind == "remove":
        del data[place]
    elif isinstance(data, list):
        data.append(copy.deepcopy(data[place]))
    else:
        data[place.upper()] = copy.deepcopy(data[place])
    return data


def survives(made: SimpleNamespace, call: Callable[[Any], Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.clear()
    said = ""
    with caplog.at_level(logging.DEBUG):
        try:
            call(made.client)
        except MaxchimpError as error:
            said = str(error)
    assert "canary" not in said.casefold()
    assert "canary" not in caplog.text.casefold()
    assert made.session.sends <= 60


@pytest.mark.parametrize("call", MAILCHIMP_CALLS)
@FUZZ
@given(data=st.data())
def test_a8_mailchimp(
    mailchimp_script: Scripted, caplog: pytest.LogCaptureFixture, call: Callable[[Any], Any], data: st.DataObject
) -> None:
    plays = data.draw(st.lists(mutated(MAILCHIMP_ANSWERS), min_size=1, max_size=3))
    survives(mailchimp_script(*plays), call, caplog)


@pytest.mark.parametrize("call", MAXIMIZER_CALLS)
@FUZZ
@given(data=st.data())
def test_a8_maximizer(
    maximizer_script: Scripted, caplog: pytest.LogCaptureFixture, call: Callable[[Any], Any], data: st.DataObject
) -> None:
    plays = data.draw(st.lists(mutated(MAXIMIZER_ANSWERS), min_size=1, max_size=5))
    signed_in = (200, {"Code": 0, "Data": {"Token": "fresh-token-1"}})
    survives(maximizer_script(*([signed_in] if data.draw(st.booleans()) else []), *plays), call, caplog)
