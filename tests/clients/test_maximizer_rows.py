"""Rows and searches of the Maximizer client: names, identity, and what may leave (hazards A13, S18)."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from clients.maximizer import any_of, by_email, by_id, by_key, by_udf, id_of, key_of
from clients.maximizer.queries import check, flagged_without_marker, parts, weaker
from clients.maximizer.rows import respell, scope_of
from domain.errors import BrokenAnswer

Scripted = Callable[..., SimpleNamespace]

SIGNED_IN = (200, {"Code": 0, "Data": {"Token": "fresh-token-1"}})
NO_ROWS = (200, {"Code": 0, "AbEntry": {"Data": []}})


# Rows


def test_names_are_as_asked() -> None:
    scope = scope_of(["LastName", "Address/City", "Email1", "Udf/$TYPEID(12)", "WebSite"])
    answer = {
        "key": {"value": "k", "id": "C1", "number": 0},
        "lastName": "x",
        "address": {"city": "Basel"},
        "email1": {"address": "a"},
        "/AbEntry/Udf/$TYPEID(12)": ["2"],
        "Website": "w",
        "Other": 1,
    }
    assert respell(answer, scope) == {
        "Key": {"Value": "k", "ID": "C1", "Number": 0},
        "LastName": "x",
        "Address": {"City": "Basel"},
        "Email1": {"Address": "a"},
        "Udf/$TYPEID(12)": ["2"],
        "WebSite": "w",
        "Other": 1,
    }


def test_a13_an_address_is_asked_for_as_a_whole() -> None:
    parts_ = scope_of(["Address/City"])["Address"]
    assert {"AddressLine1", "AddressLine2", "City", "StateProvince", "ZipCode", "Country"} <= set(parts_)


@pytest.mark.parametrize(
    ("key", "identity"),
    [
        ({"Value": "v", "ID": "0010C", "Number": 8}, ("0010C", 8)),
        ({"Value": "v", "Id": "0010C", "Number": "8"}, ("0010C", 8)),
        ("Q29udGFjdAkwMDEwMDIwMDA2MTMwNjM2NzExNTZDCTg=", ("001002000613063671156C", 8)),
        ({"Value": "Q29udGFjdAkwMDEwMDIwMDA2MTMwNjM2NzExNTZDCTg="}, ("001002000613063671156C", 8)),
    ],
)
def test_identity(key: Any, identity: tuple[str, int]) -> None:
    assert id_of({"Key": key}) == identity
    assert key_of({"Key": key})


@pytest.mark.parametrize(
    "key", [None, "", "not base64!", "YQ==", {}, {"Value": 5}, {"ID": "x"}, {"ID": "", "Number": 1}]
)
def test_a_row_without_identity_is_broken(key: Any) -> None:
    with pytest.raises(BrokenAnswer):
        id_of({"Key": key})


# Searches (S18)


@pytest.mark.parametrize("value", [{"$LIKE": "%"}, ["x"], None, 5, True])
def test_s18_a_value_is_never_an_operator(value: Any) -> None:
    for build in (by_key, lambda v: by_email([v]), lambda v: by_udf("Udf/$TYPEID(1)", v), lambda v: by_id(v, 0)):
        with pytest.raises(TypeError):
            build(value)


@pytest.mark.parametrize(
    "query",
    [
        {},
        [],
        {"$NOT": {"Key": {"$EQ": "x"}}},
        {"Type": {"$NE": "x"}},
        {"LastName": {"$LIKE": "%"}},
        {"LastName": "x"},
        {"LastName": {"$EQ": {"$LIKE": "%"}}},
        {"LastName": {"$EQ": "x", "$IN": ["y"]}},
        {"Email": {"$IN": []}},
        {"Email": {"$IN": [{"$LIKE": "%"}]}},
        {"$OR": []},
        {"$OR": [{}]},
        {"$PHRASE": "x"},
    ],
)
def test_s18_only_documented_operators_leave(maximizer_script: Scripted, query: Any) -> None:
    made = maximizer_script(SIGNED_IN)
    with pytest.raises((TypeError, ValueError)):
        made.client.find(["LastName"], query)
    assert made.session.sends == 0


@pytest.mark.parametrize("text", ["%", "_", "'; DROP TABLE", '{"$LIKE": "%"}', "$NOW()", "Zoë \ud800"])
def test_s18_any_text_is_data(maximizer_script: Scripted, text: str) -> None:
    check(by_udf("Udf/$TYPEID(1)", text))
    made = maximizer_script(SIGNED_IN, NO_ROWS)
    made.client.find(["LastName"], by_udf("Udf/$TYPEID(1)", text))
    sent = made.script.bodies()[1]["AbEntry"]["Criteria"]["SearchQuery"]["$AND"][1]
    assert sent == {"Udf/$TYPEID(1)": {"$EQ": text}}


def test_long_searches_are_cut_into_parts() -> None:
    many = any_of([by_id(f"C{n}", 0) for n in range(250)])
    assert [len(part["$OR"]) for part in parts(many)] == [100, 100, 50]
    assert [len(part["Email"]["$IN"]) for part in parts(by_email(["x"] * 150))] == [100, 50]
    assert parts(by_key("k")) == [by_key("k")]


def test_weaker_searches_find_at_least_as_much() -> None:
    query = flagged_without_marker("Udf/$TYPEID(1)", "2", "Udf/$TYPEID(2)")
    check(query)
    assert weaker(query) == [{"Udf/$TYPEID(1)": {"$IN": ["2"]}}]
    assert weaker(any_of([by_key("a"), by_key("b")])) == [by_key("a"), by_key("b")]
    assert weaker(by_udf("Udf/$TYPEID(1)", '{"$EQ": None}')) == weaker(by_key("a")) == []
