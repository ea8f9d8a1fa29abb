"""R21, R25, R28, R29, hazard C12: values of every kind through the whole engine, in both directions."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from harness import Office

NewOffice = Callable[..., Office]
FILLED = {"POINTS": 1, "PLAN": "Plus", "REF": "x"}  # what the list requires
TEXTS = (
    "NA", "null", "NaN", "None", "00123", "1e5", "1.0", "TRUE", "=1+1", "-0", '"', "a,b;c", "back\\slash", "{}", "[]",
    "O'Brien", "Łódź", "Zoë", "Zoe\u0308", "العربية", "日本", "🎂🕯", "👩\u200d🍳", "a\u00a0b", "x" * 30,
)  # fmt: skip
COUNTRIES = {"CA": "CA", "Canada": "CA", "CAN": "CA", "U.S.A.": "US", "United States": "US", "uk": "GB", "Mexico": "MX"}
HOME = {"addr1": "1 Elm St", "addr2": "", "city": "Reno", "state": "NV", "zip": "89501", "country": "US"}
ADDRESS = ("ADDRESS.addr1", "ADDRESS.addr2", "ADDRESS.city", "ADDRESS.state", "ADDRESS.zip", "ADDRESS.country")


def chosen(made: Office, *tags: str) -> list[tuple[str, str]]:
    return [m for m in made.world.suggested_mappings() if m[0] in tags]


def test_r21_texts_of_every_dress_survive_both_ways(new_office: NewOffice) -> None:
    made = new_office()
    made.map_all(chosen(made, "REF", "JOB"))
    to_mail, to_book = {}, {}
    for n, text in enumerate(TEXTS):
        to_mail[n] = made.add("Ada", text, f"a{n}@lantern.test", flag="Yes", udfs={r"Marketing\Reference": text})
        to_book[n] = made.subscribe(f"b{n}@lantern.test", "Bob", text, merge_fields=FILLED | {"REF": text})
    made.sync()
    for n, text in enumerate(TEXTS):
        canonical = unicodedata.normalize("NFC", text)
        merge = made.merge(f"a{n}@lantern.test")
        assert (merge["LNAME"], merge["REF"]) == (canonical, canonical)
        (key,) = made.entries(f"b{n}@lantern.test")
        assert (made.entry(key)["LastName"], made.udfs(key)["Reference"]) == (canonical, canonical)
        assert made.udfs(to_mail[n])["Reference"] == text  # the source is untouched
        assert made.member(to_book[n])["merge_fields"]["REF"] == text
    made.quiet(1)


def test_r21_every_kind_there_and_back(new_office: NewOffice) -> None:
    made = new_office()
    made.map_all(m for m in made.world.suggested_mappings() if not m[0].startswith("@"))
    entry = {
        r"Marketing\Loyalty Points": 7.25,
        r"Marketing\Joined": "2020-02-29",
        r"Marketing\Birthday": "2000-12-31",
        r"Marketing\Plan": "Premium",
        r"Marketing\Region": "West",
        r"Marketing\Billing ZIP": "00501",
        r"Marketing\Web\Photo": "https://lantern.test/p.png",
        r"Marketing\Email Opt-In": ["Events", "Newsletter"],
        r"Marketing\Customer Type": "Partner",
        "Phone1": "+44 (0)20 7946-0000",
        "Phone2": "(415) 555.0100",
        "WebSite": "https://lantern.test",
        "Position": "Head of Nothing",
        "Address": {"AddressLine1": "1 Elm St", "City": "Reno", "StateProvince": "NV", "ZipCode": "89501"},
        "Address.Country": "U.S.A.",
    }
    key = made.add("Ada", "Byron", "ada@lantern.test", flag="Yes")
    made.maximizer.edit(key, entry)
    made.sync()
    merge = made.merge("ada@lantern.test")
    expected: dict[str, Any] = {
        "POINTS": 7.25, "JOINED": "2020-02-29", "BIRTHDAY": "12/31", "PLAN": "Premium", "REGION": "West",
        "POSTCODE": "00501", "PHOTO": "https://lantern.test/p.png", "PHONE": "+44 (0)20 7946-0000",
        "MOBILE": "415-555-0100", "WEBSITE": "https://lantern.test", "JOB": "Head of Nothing", "ADDRESS": HOME,
        "REF": "-",
    }  # fmt: skip
    assert {tag: merge[tag] for tag in expected} == expected
    assert made.entry(key)["Phone2"] == "(415) 555.0100"  # R25: the original is untouched
    made.quiet(1)

    # A new member with the same values becomes the same entry.
    twin = made.subscribe("eve@lantern.test", "Eve", "Byron", merge_fields={**expected, "MOBILE": "415-555-0100"})
    made.mailchimp.edit(twin, interests=["Events", "Newsletter", "Partner"])
    made.sync()
    (other,) = made.entries("eve@lantern.test")
    udfs, shown = made.udfs(other), made.entry(other)
    assert udfs["Birthday"][5:] == "12-31"
    assert sorted(udfs.pop("Email Opt-In")) == ["Events", "Newsletter"]
    assert {name: udfs[name] for name in ("Loyalty Points", "Joined", "Plan", "Region", "Billing ZIP", "Photo")} == {
        name.rpartition("\\")[2]: value
        for name, value in entry.items()
        if name.rpartition("\\")[2] in ("Loyalty Points", "Joined", "Plan", "Region", "Billing ZIP", "Photo")
    }
    assert udfs["Customer Type"] == ["Partner"]
    assert (shown["Phone1"], shown["Phone2"], shown["WebSite"]) == (
        "+44 (0)20 7946-0000",
        "415-555-0100",
        "https://lantern.test",
    )
    assert shown["Address"] == {
        "AddressLine1": "1 Elm St", "AddressLine2": "", "City": "Reno", "StateProvince": "NV", "ZipCode": "89501",
        "Country": "United States",
    }  # fmt: skip
    made.quiet(1)


def test_r28_country_forms_do_not_ping_pong(new_office: NewOffice) -> None:
    made = new_office()
    made.map_all(chosen(made, *ADDRESS))
    keys = {}
    for n, name in enumerate(COUNTRIES):
        keys[name] = made.add("Ada", "Byron", f"a{n}@lantern.test", flag="Yes")
        street = {"AddressLine1": "1 Elm", "City": "Hull", "StateProvince": "QC", "ZipCode": "K1A 0B1", "Country": name}
        made.maximizer.edit(keys[name], {"Address": street})
    made.sync()
    for n, (name, code) in enumerate(COUNTRIES.items()):
        assert made.merge(f"a{n}@lantern.test")["ADDRESS"]["country"] == code
        assert made.entry(keys[name])["Address"]["Country"] == name
    assert made.merge("a0@lantern.test")["ADDRESS"]["zip"] == "K1A 0B1"
    made.quiet(1)


def test_r29_a_country_that_nobody_entered_does_not_come_back(new_office: NewOffice) -> None:
    """Mailchimp adds its own country to an address without one."""
    made = new_office()
    made.maximizer.add_udf(r"Marketing\Country", "text")
    made.map_all([*chosen(made, *ADDRESS[:5]), ("ADDRESS.country", r"Marketing\Country")])
    key = made.add("Ada", "Byron", "ada@lantern.test", flag="Yes")
    street = {"AddressLine1": "1 Elm St", "City": "Reno", "StateProvince": "NV", "ZipCode": "89501"}
    made.maximizer.edit(key, {"Address": street})
    made.sync()
    made.quiet(1)
    assert made.merge("ada@lantern.test")["ADDRESS"] == HOME
    assert made.udfs(key)["Country"] is None
    made.maximizer.edit(key, {r"Marketing\Country": "Canada"})
    made.sync()
    assert made.merge("ada@lantern.test")["ADDRESS"]["country"] == "CA"
    made.maximizer.edit(key, {r"Marketing\Country": None})  # an address has a country: this one stays, and is reported
    made.quiet(1)
    assert made.merge("ada@lantern.test")["ADDRESS"]["country"] == "CA"
    assert [f["field"] for f in made.findings("withheld")] == ["ADDRESS.country"]
    made.maximizer.edit(key, {"Address": dict.fromkeys(street)})
    made.quiet(1)
    assert made.merge("ada@lantern.test")["ADDRESS"] == ""
    assert made.findings("withheld") == []


@pytest.mark.parametrize("required", [False, True])
def test_r29_parts_that_flicker_are_not_cleared(new_office: NewOffice, required: bool) -> None:
    """A server that sends null for parts of an address on every other read (hazard A13)."""
    made = new_office(quirks=["flaky-address"])
    made.mailchimp.edit_merge_field(made.list_id, "ADDRESS", required=required)
    made.map_all(chosen(made, *ADDRESS))
    key = made.add("Ada", "Byron", "ada@lantern.test", flag="Yes")
    street = {"AddressLine1": "1 Elm St", "City": "Reno", "StateProvince": "NV", "ZipCode": "89501", "Country": "US"}
    made.maximizer.edit(key, {"Address": street})
    for _ in range(3):
        made.sync()
    assert made.merge("ada@lantern.test")["ADDRESS"] == HOME
    for n in range(5):
        made.maximizer.edit(key, {"FirstName": f"Ada {n}"})
        made.sync()
        assert made.merge("ada@lantern.test")["ADDRESS"] == HOME
    made.maximizer.edit(key, {"Address": street | {"City": "Elko"}})
    made.sync()
    made.sync()
    made.quiet(1)
    assert made.merge("ada@lantern.test")["ADDRESS"] == HOME | {"city": "Elko"}
    assert made.entry(key)["Address"]["City"] == "Elko"
