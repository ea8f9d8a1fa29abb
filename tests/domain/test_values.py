"""Canonical forms and encoders: fixpoints, and values that both sides can hold survive there and back."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import values, wire
from domain.countries import country_code, country_codes, country_name
from domain.fields import FieldMapping, MailchimpField, MaximizerField, Option, kinds

TODAY = date(2026, 1, 5)
OPTIONS = tuple("ABCDEF")
PAIRS = (("A", "1"), ("B", "2"), ("C", "3"), ("D", "4"))
ITEMS = ("1", "2", "3", "4", "5")
THERE = {
    "radio": "single",
    "dropdown": "single",
    "group": "multi",
    "number": "numeric",
    "date": "date",
    "birthday": "date",
}


def mapping(kind: str, target: str = "", **more: Any) -> FieldMapping:
    """A mapping of one kind; ``more``: attributes of either field."""
    target = target or THERE.get(kind, "alphanumeric")
    mine = {name: more.pop(name) for name in ("phone_format", "date_format", "group_type") if name in more}
    mailchimp = MailchimpField("T", "1", "T", kind, options=tuple(Option(o, f"label {o}") for o in OPTIONS), **mine)
    maximizer = MaximizerField("F", "Udf/1", target, options=tuple(Option(i, f"item {i}") for i in ITEMS), **more)
    return FieldMapping("T", mailchimp, maximizer, pairs=PAIRS if kind in ("radio", "dropdown", "group") else ())


def one(series: pd.Series) -> str | None:
    return None if series.isna().iloc[0] else str(series.iloc[0])


def to_mailchimp(m: FieldMapping, value: str) -> tuple[str | None, str]:
    encoded = values.to_mailchimp(m, values.texts([value]))
    return one(encoded.value), encoded.problem.iloc[0]


def to_maximizer(m: FieldMapping, value: str, current: str = "") -> tuple[str | None, str]:
    encoded = values.to_maximizer(m, values.texts([value]), values.texts([current]), TODAY)
    return one(encoded.value), encoded.problem.iloc[0]


def canonical(m: FieldMapping, side: str, raw: str) -> str | None:
    field: Any = m.mailchimp if side == "mailchimp" else m.maximizer
    form: Any = values.canonical_mailchimp if side == "mailchimp" else values.canonical_maximizer
    return one(form(field, values.texts([raw])))


KINDS = ("text", "number", "date", "birthday", "phone", "zip", "url", "imageurl", "address", "country", "email")
TARGETS = ("alphanumeric", "numeric", "date", "annual")


@given(st.text(), st.sampled_from(KINDS), st.sampled_from(["", "US"]))
def test_a_canonical_mailchimp_value_is_a_fixpoint(text: str, kind: str, phone_format: str) -> None:
    field = mapping(kind, phone_format=phone_format)
    once = canonical(field, "mailchimp", text)
    assert once is not None
    assert canonical(field, "mailchimp", once) == once


@given(st.text(), st.sampled_from(TARGETS), st.booleans())
def test_a_canonical_maximizer_value_is_a_fixpoint(text: str, kind: str, country: bool) -> None:
    field = MaximizerField("F", "Udf/1", kind)
    once = values.canonical_maximizer(field, values.texts([text]), country=country)
    again = values.canonical_maximizer(field, once, country=country)
    assert again.tolist() == once.tolist()


@given(st.lists(st.one_of(st.none(), st.text()), max_size=5), st.sampled_from(KINDS))
def test_unknown_stays_unknown_and_is_never_a_problem(raw: list[str | None], kind: str) -> None:
    encoded = values.to_mailchimp(mapping(kind), values.texts(raw))
    for text, gone, problem in zip(raw, encoded.value.isna(), encoded.problem, strict=True):
        assert gone == (text is None or problem != "")
        assert text is not None or problem == ""


@given(st.text(), st.sampled_from(KINDS), st.sampled_from(["", "US"]))
def test_what_mailchimp_would_store_is_a_fixpoint_or_a_problem(text: str, kind: str, phone_format: str) -> None:
    field = mapping(kind, phone_format=phone_format)
    own = one(values.canonical_maximizer(field.maximizer, values.texts([text]), country=kind == "country"))
    assert own is not None
    stored, problem = to_mailchimp(field, own)
    assert (stored is None) == (problem != "")
    if stored is not None:
        assert canonical(field, "mailchimp", stored) == stored
        assert to_mailchimp(field, stored) == (stored, "")


@given(st.text(), st.sampled_from(KINDS))
def test_a_value_that_both_sides_can_hold_survives_there_and_back(text: str, kind: str) -> None:
    field = mapping(kind, max_length=79, decimals=2)
    own = canonical(field, "mailchimp", text)
    assert own is not None
    stored, problem = to_maximizer(field, own)
    assert (stored is None) == (problem != "")
    if stored is not None:
        assert to_mailchimp(field, stored)[0] in (own, None)


@given(st.dates(date(1900, 1, 1), date(2100, 12, 31)), st.dates(date(1900, 1, 1), date(2100, 12, 31)))
def test_r24_a_birthday_keeps_its_day_and_maximizer_its_year(held: date, day: date) -> None:
    field = mapping("birthday")
    value, problem = to_maximizer(field, f"{day:%m-%d}", held.isoformat())
    assert problem == ""
    assert value is not None
    assert value[5:] == f"{day:%m-%d}"
    if f"{held:%m-%d}" == f"{day:%m-%d}":
        assert value == held.isoformat()
    else:
        assert value[:4] == ("2024" if f"{day:%m-%d}" == "02-29" else "2026")
    assert to_mailchimp(field, value) == (f"{day:%m-%d}", "")


def test_r24_every_day_of_the_year_in_every_form() -> None:
    days = [date(2000, 1, 1) + timedelta(n) for n in range(366)]
    for order, shown in (("MM/DD", "%m/%d"), ("DD/MM", "%d/%m")):
        field = mapping("birthday", "annual", date_format=order)
        raw = values.texts(day.strftime(shown) for day in days)
        read = values.canonical_mailchimp(field.mailchimp, raw)
        assert read.tolist() == [f"{day:%m-%d}" for day in days]
        assert [wire.mailchimp_wire(field.mailchimp, text) for text in read] == raw.tolist()
        encoded = values.to_maximizer(field, read, read, TODAY)
        assert (encoded.problem == "").all()
        wired = [wire.maximizer_wire(field, text, TODAY) for text in encoded.value]
        assert [date.fromisoformat(text).strftime("%m-%d") for text in wired] == read.tolist()
        back = values.canonical_maximizer(field.maximizer, values.texts(wired))
        assert back.tolist() == read.tolist()
    assert wire.maximizer_wire(mapping("birthday", "annual"), "02-29", TODAY) == "2024-02-29"


@pytest.mark.parametrize("kind", ["date", "annual"])
@pytest.mark.parametrize("impossible", ["02-30", "04-31", "13-01", "00-10", "soon"])
def test_a_day_that_does_not_exist_is_a_problem(kind: str, impossible: str) -> None:
    assert to_maximizer(mapping("birthday", kind), impossible)[1] != ""
    assert to_mailchimp(mapping("birthday", kind), impossible)[1] != ""
    assert to_maximizer(mapping("date", kind), f"2026-{impossible}")[1] != ""
    assert to_mailchimp(mapping("date"), f"2026-{impossible}")[1] != ""


@given(st.text(min_size=1), st.integers(1, 100))
def test_r28_a_text_is_never_cut(text: str, length: int) -> None:
    field = mapping("text", max_length=length)
    value, problem = to_maximizer(field, text)
    assert (value, problem == "") == ((text, True) if len(text) <= length else (None, False))
    long = text * 20
    value, problem = to_mailchimp(field, long)
    assert (value, problem == "") == ((long, True) if len(long.encode()) <= 255 else (None, False))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**12), max_value=10**12))
def test_a_number_arrives_unharmed(number: Any) -> None:
    field = mapping("number", decimals=2)
    own = canonical(field, "mailchimp", str(number))
    assert own is not None
    assert to_maximizer(field, own) == (own, "")
    assert to_mailchimp(field, own) == (own, "")
    for wired in (wire.mailchimp_wire(field.mailchimp, own), wire.maximizer_wire(field, own, TODAY)):
        assert canonical(field, "maximizer", str(wired)) == own


@pytest.mark.parametrize("text", ["12345678901234567", "0.1234567890123456789", "1e400", "NaN", "Infinity", "1_0", "x"])
def test_r28_a_number_that_would_be_rounded_is_withheld(text: str) -> None:
    field = mapping("number")
    own = canonical(field, "maximizer", text)
    assert own is not None
    assert to_mailchimp(field, own)[1] != ""
    assert to_maximizer(field, own)[1] != ""


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("4155550100", "415-555-0100"),
        ("415-555-0100", "415-555-0100"),
        ("(415) 555-0100", "415-555-0100"),
        ("415.555.0100", "415-555-0100"),
        ("415 555 0100", "415-555-0100"),
        ("415/555-0100", "415-555-0100"),
        ("415\u00a0555\u20130100", "415-555-0100"),
        ("+1 (415) 555-0100", "415-555-0100"),
        ("1-415-555-0100", "415-555-0100"),
        ("001 415 555 0100", None),
        ("+44 20 7946 0000", None),
        ("555-0100", None),
        ("415-555-0100 x12", None),
        ("1-800-FLOWERS", None),
        ("115-555-0100", None),
        ("４１５５５５０１００", None),
        ("", ""),
    ],
)
def test_r25_phones_in_many_dresses(text: str, stored: str | None) -> None:
    assert to_mailchimp(mapping("phone", phone_format="US"), text)[0] == stored
    assert to_mailchimp(mapping("phone", phone_format="none"), text) == (text, "")


@pytest.mark.parametrize("text", ["K1A 0B1", "9410", "941050", "94105-1234", "٩٤١٠٥"])
def test_r28_a_zip_field_holds_five_digits(text: str) -> None:
    assert to_mailchimp(mapping("zip"), text)[1] != ""
    assert to_mailchimp(mapping("address"), text) == (text, "")


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("https://lantern.test", True),
        ("HTTP://Lantern.test/a?b#c", True),
        ("http://lantern.test:8080/x", True),
        ("www.lantern.test", False),
        ("ftp://lantern.test", False),
        ("http://lantern", False),
        ("http://lan tern.test", False),
        ("javascript:alert(1)", False),
        ("https://lantern.test/" + "x" * 234, True),
        ("https://lantern.test/" + "x" * 235, False),
    ],
)
def test_r28_web_addresses(text: str, good: bool) -> None:
    assert (to_mailchimp(mapping("url"), text)[1] == "") is good


def test_r28_countries_are_compared_as_iso_codes() -> None:
    for code in country_codes():
        assert country_code(code) == code
        assert country_code(country_name(code)) == code
    for name in ("Canada", "CAN", "canada", " Canada "):
        assert canonical(mapping("country"), "mailchimp", name) == "CA"
    for name in ("USA", "U.S.A.", "us", "United States", "united states of america", "The United States"):
        assert country_code(name) == "US"
    for name in ("Atlantis", "ON", "XX"):
        assert country_code(name) == name
        assert to_mailchimp(mapping("country"), name)[1] != ""
    assert wire.maximizer_wire(mapping("country"), "CA", TODAY) == "Canada"


SETS = st.sets(st.sampled_from(OPTIONS)).map(values.as_set)
TABLES = st.sets(st.sampled_from(ITEMS)).map(values.as_set)


@given(SETS, TABLES)
def test_r26_groups_have_set_semantics_and_leave_the_rest_alone(chosen: str, held: str) -> None:
    field = mapping("group", group_type="checkboxes")
    table, problem = to_maximizer(field, chosen, held)
    assert problem == ""
    assert table is not None
    pairs = dict(PAIRS)
    expected = {pairs[option] for option in values.members_of(chosen) if option in pairs}
    assert set(values.members_of(table)) == expected | (set(values.members_of(held)) - set(pairs.values()))
    back, problem = to_mailchimp(field, table)
    assert problem == ""
    assert back == values.as_set(option for option in values.members_of(chosen) if option in pairs)
    assert to_maximizer(field, chosen, table) == (table, "")


@given(TABLES, st.sampled_from(["radio", "dropdown"]))
def test_r26_a_group_of_one_option_withholds_two(held: str, group_type: str) -> None:
    paired = [item for item in values.members_of(held) if item != "5"]
    value, problem = to_mailchimp(mapping("group", group_type=group_type), held)
    assert (value is None) == (len(paired) > 1)
    assert (problem != "") == (len(paired) > 1)


@pytest.mark.parametrize("kind", ["radio", "dropdown"])
def test_r28_an_option_that_does_not_exist_there_is_named(kind: str) -> None:
    assert to_mailchimp(mapping(kind), "2") == ("B", "")
    assert to_maximizer(mapping(kind), "B") == ("2", "")
    assert to_mailchimp(mapping(kind), "5") == (None, "no option 'item 5' there")
    assert to_maximizer(mapping(kind), "E") == (None, "no option 'label E' there")
    assert to_mailchimp(mapping(kind), "") == ("", "")


@given(st.text(max_size=5))
def test_half_a_character_breaks_nothing(text: str) -> None:
    assert values.texts([text + "\ud83d"]).iloc[0] == text + "\ufffd"


def test_r22_placeholders_are_values_that_their_field_takes() -> None:
    for kind, text in kinds()["placeholder"].items():
        if isinstance(text, str) and not text.startswith("@"):
            assert to_mailchimp(mapping(kind), text) == (text, "")
