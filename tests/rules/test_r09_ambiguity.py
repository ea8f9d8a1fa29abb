"""R9: what is not certain is never guessed, creates nothing, disturbs nobody and holds up nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any

import pytest
from harness import FLAG, MARKER, Office

NewOffice = Callable[..., Office]
Key = tuple[str, int]


def text(key: Key) -> str:
    return f"{key[0]}#{key[1]}"


def waiting(office: Office) -> dict[str, str]:
    """Record -> everything it collides with."""
    return {row["key"]: str(row["evidence"]["with"]) for row in office.quarantined()}


def held(office: Office, *, members: int, entries: int) -> None:
    """Cycles and then silence: as many records as people made, and Olga, whom nothing held up."""
    office.quiet()
    assert len(office.mailchimp.members(office.list_id)) == members + 1
    assert len(office.entries()) == entries + 1
    assert "olga@lantern.test" in {row["email"] for row in office.links()}


@pytest.fixture
def office(new_office: NewOffice) -> Office:
    """Its first sync is over. Olga is an ordinary newcomer in every scenario."""
    made = new_office()
    made.sync()
    made.subscribe("olga@lantern.test", "Olga", "Stone")
    return made


@pytest.mark.parametrize("flags", [("Yes", "Yes"), (None, None), ("Yes", None)], ids=str)
def test_r09_two_entries_with_the_address_of_a_member(office: Office, flags: Sequence[str | None]) -> None:
    twins = [office.add(name, "Reed", "ann@lantern.test", flag=flag) for name, flag in zip("AB", flags, strict=True)]
    contact_id = office.subscribe("Ann@lantern.test", "Ann", "Reed")
    held(office, members=1, entries=2)
    parked = waiting(office)
    assert parked[contact_id] == " ".join(sorted(map(text, twins)))
    assert {key for key in parked if "#" in key} == {
        text(key) for key, flag in zip(twins, flags, strict=True) if flag == "Yes"
    }
    assert [office.entry(key)["udfs"][FLAG] for key in twins] == list(flags)
    # A person decides: the other address goes, and the rest follows by itself.
    office.maximizer.edit(twins[1], {"Email1": "ben@lantern.test", FLAG: "No"})
    office.sync()
    assert waiting(office) == {}
    assert text(twins[0]) in {row["entry_id"] for row in office.links()}
    office.quiet()


def test_r09_two_flagged_entries_with_one_address_and_no_member(office: Office) -> None:
    twins = [office.add(name, "Reed", "ann@lantern.test", flag="Yes") for name in "AB"]
    held(office, members=0, entries=2)
    assert waiting(office) == {text(a): text(b) for a, b in (twins, reversed(twins))}
    assert {row["rule"] for row in office.quarantined()} == {"R9"}


def test_r09_marker_and_address_point_to_different_entries(office: Office) -> None:
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed")
    uid = office.member(contact_id)["unique_email_id"]
    marked = office.add("A", "Reed", "ann@harbour.test", flag="Yes", udfs={MARKER: uid})
    addressed = office.add("B", "Reed", "ann@lantern.test", flag="Yes")
    held(office, members=1, entries=2)
    assert set(waiting(office)) == {contact_id, text(marked), text(addressed)}
    assert waiting(office)[contact_id].split() == sorted([text(addressed)])


def test_r09_client_id_and_address_point_to_different_entries(office: Office) -> None:
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed")
    named = office.add("A", "Reed", "ann@harbour.test")
    addressed = office.add("B", "Reed", "ann@lantern.test")
    office.mailchimp.edit(contact_id, {"CLIENTID": named[0], "CONTACTNO": named[1]})
    held(office, members=1, entries=2)
    assert list(waiting(office)) == [contact_id]
    assert [office.entry(key)["udfs"][FLAG] for key in (named, addressed)] == [None, None]


def test_r09_two_entries_with_one_marker(office: Office) -> None:
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed")
    uid = office.member(contact_id)["unique_email_id"]
    first = office.add("A", "Reed", "ann@lantern.test", flag="Yes", udfs={MARKER: uid})
    copy = office.maximizer.copy_entry(first)
    held(office, members=1, entries=2)
    assert set(waiting(office)) == {contact_id, text(first), text(copy)}


def test_r09_two_members_that_carry_one_client_id(office: Office) -> None:
    key = office.add("A", "Reed", "", flag="Yes")
    ids = [office.subscribe(f"{n}@lantern.test", n, "Reed") for n in "ab"]
    for contact_id in ids:
        office.mailchimp.edit(contact_id, {"CLIENTID": key[0], "CONTACTNO": key[1]})
    held(office, members=2, entries=1)
    assert waiting(office) == {ids[0]: text(key), ids[1]: text(key), text(key): " ".join(sorted(ids))}


@pytest.mark.parametrize("marked", [True, False])
def test_r09_a_copy_of_a_linked_entry_waits_and_the_link_stays(office: Office, marked: bool) -> None:
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed")
    office.sync()
    (key,) = office.entries("ann@lantern.test")
    copy = office.maximizer.copy_entry(key)
    if not marked:
        office.maximizer.edit(copy, {MARKER: None})
    held(office, members=1, entries=2)
    (row,) = office.quarantined()
    assert (row["key"], "held by" in row["reason"] or "MailChimp ID" in row["reason"]) == (text(copy), True)
    assert (contact_id, text(key)) in {(row["contact_id"], row["entry_id"]) for row in office.links()}
    # An edit of the copy goes nowhere, an edit of the linked entry goes its way.
    office.maximizer.edit(copy, {"LastName": "Copy"})
    office.maximizer.edit(key, {"LastName": "Moor"})
    office.sync()
    assert office.member(contact_id)["merge_fields"]["LNAME"] == "Moor"
    office.quiet()


def test_r09_a_newcomer_under_the_address_of_a_linked_entry(office: Office) -> None:
    """Ann's Email 1 moved on to an address that cannot follow, because she left; then somebody subscribes with it."""
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed")
    office.sync()
    (key,) = office.entries("ann@lantern.test")
    office.mailchimp.unsubscribe(contact_id)
    office.maximizer.edit(key, {"Email1": "ann@harbour.test"})
    office.sync()
    newcomer = office.subscribe("ann@harbour.test", "Ann", "Reed")
    held(office, members=2, entries=1)
    assert set(waiting(office)) == {contact_id, newcomer}
    assert any("held by an entry" in row["reason"] for row in office.quarantined())
    assert (contact_id, text(key)) in {(row["contact_id"], row["entry_id"]) for row in office.links()}


def test_r09_a_full_cycle_sets_the_same_records_aside(new_office: NewOffice) -> None:
    """All of it at once, at the very first meeting."""
    office = new_office()
    ids = {n: office.subscribe(f"{n}@lantern.test", n, "Reed") for n in ("ann", "bea", "cyd", "dee", "eva", "olga")}
    uid = {name: office.member(contact_id)["unique_email_id"] for name, contact_id in ids.items()}
    for name, marked in (("ann", ()), ("ann", ()), ("bea", ("bea", "bea")), ("cyd", ("dee", "other"))):
        more = {"udfs": {MARKER: uid[marked[0]]}} if marked else {}
        office.add(name, "Reed", f"{name}@lantern.test", flag="Yes", **more)
    office.maximizer.copy_entry(office.entries("bea@lantern.test")[0])
    shared = office.add("E", "Reed", "")
    for name in ("eva", "dee"):
        office.mailchimp.edit(ids[name], {"CLIENTID": shared[0], "CONTACTNO": shared[1]})
    entries = len(office.entries())
    office.sync()
    office.quiet()
    parked = {row["key"] for row in office.quarantined()}
    assert parked >= {ids[name] for name in ("ann", "bea", "cyd", "dee")}
    assert ids["olga"] not in parked
    assert {row["email"] for row in office.links()} <= {"olga@lantern.test", "eva@lantern.test"}
    assert len(office.entries()) == entries + 1
    assert len(office.mailchimp.members(office.list_id)) == len(ids)


def test_r09_the_order_of_the_records_does_not_matter(new_office: NewOffice) -> None:
    """Every order in which the same records appear sets the same ones aside."""
    people: list[tuple[str, Any]] = [("entry", "a"), ("entry", "b"), ("member", "c")]
    outcomes = set()
    for n, order in enumerate(permutations(people)):
        office = new_office(store=f"order{n}")
        names: dict[str, str] = {}
        for kind, name in order:
            if kind == "member":
                names[office.subscribe("ann@lantern.test", name, "Reed")] = name
            else:
                names[text(office.add(name, "Reed", "ann@lantern.test", flag="Yes"))] = name
        office.sync()
        assert office.links() == []
        outcomes.add(tuple(sorted((names[row["key"]], row["reason"]) for row in office.quarantined())))
    assert len(outcomes) == 1
    assert [name for name, _ in outcomes.pop()] == ["a", "b", "c"]
