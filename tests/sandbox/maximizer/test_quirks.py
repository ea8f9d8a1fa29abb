"""Each way in which a server may behave differently."""

from typing import Any

import pytest

from sandbox.clock import VirtualClock
from sandbox.maximizer import QUIRKS, Maximizer

MARKER = r"MailChimp\MailChimp ID"
START = 1_767_603_600.0


def by_id(key: tuple[str, int]) -> dict[str, Any]:
    return {"Key": {"$EQ": {"ID": key[0], "Number": key[1]}}}


def test_bad_switches_are_refused() -> None:
    for quirks in ({"nonsense"}, {"msg-objects=3"}, {"page-cap=x"}):
        with pytest.raises(ValueError, match="known:"):
            Maximizer(VirtualClock(START), quirks=quirks)
    with pytest.raises(ValueError, match="on-premise, cloud"):
        Maximizer(VirtualClock(START), "desktop")
    assert Maximizer(VirtualClock(START), quirks={"page-cap"}).quirks == {"page-cap=500"}
    assert all(text for text, _ in QUIRKS.values())


def test_shapes_of_msg(make: Any) -> None:
    shapes = {
        ("on-premise", frozenset[str]()): str,
        ("on-premise", frozenset({"msg-objects"})): dict,
        ("cloud", frozenset[str]()): dict,
        ("cloud", frozenset({"msg-texts"})): str,
    }
    for (profile, quirks), shape in shapes.items():
        answer = make(profile, quirks=quirks).create({"Type": "Individual"})
        assert isinstance(answer["Msg"][0], shape)
    assert make(quirks={"beta-note"}).create({"Type": "Individual", "LastName": "A"})["Msg"]


def test_unknown_scope_field(make: Any) -> None:
    caller = make()
    caller.maximizer.add_person("Ayda", "Zephyrine")
    asked = {
        "Scope": {"Fields": {"Key": 1, "Nonsense": 1}},
        "Criteria": {"SearchQuery": {"Type": {"$EQ": "Individual"}}},
    }
    assert caller.entry("Read", asked)["Code"] == -1
    caller.maximizer.quirks = {"unknown-scope-empty"}
    assert caller.entry("Read", asked) == {"Code": 0, "AbEntry": {"Data": []}}


def test_writes_that_are_not_stored(make: Any) -> None:
    caller = make(quirks={"udf-silent-noop", "text-truncated=9"})
    m = caller.maximizer
    m.add_udf(MARKER, "text", max_length=29)
    m.add_udf(r"A\Revenue", "number", applies_to=("Company",))
    sent = {"Type": "Individual", "LastName": "A", rf"Udf/$NAME({MARKER})": "0123456789", r"Udf/$NAME(A\Revenue)": 5}
    answer = caller.create(sent)
    assert answer["AbEntry"]["Data"].items() >= sent.items()
    (entry,) = m.entries().values()
    assert entry["udfs"] == {MARKER: "012345678"}
    m.quirks = {"text-dropped"}
    assert caller.create({**sent, r"Udf/$NAME(A\Revenue)": None})["Code"] == -1
    del sent[r"Udf/$NAME(A\Revenue)"]
    assert caller.create(sent)["Code"] == 0
    assert list(m.entries().values())[1]["udfs"] == {MARKER: None}


def test_address_parts_flicker(make: Any) -> None:
    caller = make(quirks={"flaky-address"})
    person = caller.maximizer.add_person("Juno", "Blythecombe", Address={"City": "Halifax", "ZipCode": "B3J 1A1"})
    read = [caller.read(by_id(person), {"Address": {"City": 1, "ZipCode": 1}})[0]["Address"] for _ in range(3)]
    assert [address["City"] for address in read] == [None, "Halifax", None]
    assert {address["ZipCode"] for address in read} == {"B3J 1A1"}


def test_udf_edits_may_keep_the_date(make: Any) -> None:
    caller = make(quirks={"udf-edits-keep-date"})
    m = caller.maximizer
    m.add_udf(MARKER, "text")
    person = m.add_person("Kaito", "Yewbarrow")
    m.clock.advance(10)
    m.edit(person, {MARKER: "x"})
    caller.update(person, {rf"Udf/$NAME({MARKER})": "y"})
    assert m.entry(person)["LastModifyDate"] == START
    m.edit(person, {MARKER: "z", "FirstName": "K"})
    assert m.entry(person)["LastModifyDate"] == START + 10
    m.quirks = frozenset()
    m.clock.advance(10)
    m.edit(person, {MARKER: ""})
    assert m.entry(person)["LastModifyDate"] == START + 20


def test_older_servers(make: Any) -> None:
    caller = make("cloud", quirks={"per-object"})
    caller.maximizer.add_person("Olwen", "Nettlefold")
    assert caller.entry("Read", {"Scope": {"Fields": {"Key": 1}}})["Code"] == -1
    caller.generic = False
    assert len(caller.read({}, {"Key": 1})) == 1
    caller.maximizer.quirks = {"no-drivers"}
    assert caller.entry("Read", {"Scope": {"Fields": {"Key": 1}}})["Code"] == -1


def test_annual_dates_without_a_year(make: Any) -> None:
    caller = make(quirks={"annual-without-year"})
    caller.maximizer.add_udf("Birthday", "annual")
    caller.maximizer.add_person("Sanne", "Dovetailer", udfs={"Birthday": "02-29"})
    caller.maximizer.add_person("Sanne", "Dovetailer")
    assert caller.read({}, {"Birthday": 1}) == [{"Birthday": "--02-29"}, {"Birthday": None}]
