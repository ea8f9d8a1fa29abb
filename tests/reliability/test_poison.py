"""Poisoned records: one row that a service cannot digest drags nobody along, and waits after three tries (D12, D13)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from harness import Office

from domain.errors import Incomplete
from sandbox.web import Door, Request, Response, html_response, json_response

NewOffice = Callable[..., Office]
POINTS = r"Marketing\Loyalty Points"
REFERENCE = r"Marketing\Reference"


class Choking(Door):
    """Writes with this text in their body are answered like that, without effect; how often they came."""

    def __init__(self, door: Door, poison: bytes, answer: Callable[[], Response]) -> None:
        super().__init__(door.service, door.clock)
        self.poison, self.answer, self.choked = poison, answer, 0

    def handle(self, request: Request) -> Response:
        if self.poison in request.body and self.service.writes(request):
            self.choked += 1
            return self.answer()
        return super().handle(request)


class Collapsing(Door):
    """Goes down with the first write, and stays down."""

    def __init__(self, door: Door) -> None:
        super().__init__(door.service, door.clock)
        self.down = False

    def handle(self, request: Request) -> Response:
        self.down = self.down or self.service.writes(request)
        return broken() if self.down else super().handle(request)


def choking(office: Office, side: str, poison: str, answer: Callable[[], Response]) -> Choking:
    office.doors[side] = door = Choking(office.doors[side], poison.encode(), answer)
    return door


def broken() -> Response:
    return html_response(500)


def strange() -> Response:
    problem = {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "the moon is full",
        "instance": "",
    }
    return json_response(problem, 400, "application/problem+json")


def failed() -> Response:
    return json_response({"Code": -1, "Msg": ["Transaction was deadlocked; rerun it."]})


def cycles(office: Office, number: int) -> list[str]:
    """States of so many cycles, an hour apart."""
    states = []
    for _ in range(number):
        office.clock.advance(3600)
        try:
            states.append(office.sync()["state"])
        except Incomplete:
            states.append("partial")
    return states


def waiting(office: Office) -> list[str]:
    return [row["key"] for row in office.quarantined()]


@pytest.mark.parametrize("answer", [broken, strange])
def test_d12_one_row_of_a_batch_fails_alone(new_office: NewOffice, answer: Callable[[], Response]) -> None:
    """Nobody but the poisoned row waits: the others are on the list after at most three cycles."""
    office = new_office()
    for n in range(60):
        office.add("Bea", f"Reed{n}", f"bea{n}@lantern.test", flag="Yes")
    key = office.add("Mal", "Reed", "mal@lantern.test", flag="Yes")
    door = choking(office, "mailchimp", "mal@lantern.test", answer)
    cycles(office, 4)
    assert [office.by_email(f"bea{n}@lantern.test") is not None for n in range(60)] == [True] * 60
    assert waiting(office) == [f"new:{key[0]}#{key[1]}"]
    sent = door.choked
    assert cycles(office, 2) == ["done", "done"]
    assert door.choked == sent
    office.quiet()


@pytest.mark.parametrize("answer", [broken, failed])
def test_d12_an_update_is_tried_in_three_cycles_and_then_waits(
    new_office: NewOffice, answer: Callable[[], Response]
) -> None:
    office = new_office(mappings=[("REF", REFERENCE)])
    ann = office.subscribe("ann@lantern.test", "Ann", "Reed")
    bob = office.subscribe("bob@lantern.test", "Bob", "Reed")
    office.sync()
    door = choking(office, "maximizer", "poison", answer)
    office.mailchimp.edit(ann, {"REF": "poison"})
    cycles(office, 1)
    office.mailchimp.edit(bob, {"REF": "sound"})
    cycles(office, 3)
    assert office.udfs(office.entries("bob@lantern.test")[0])["Reference"] == "sound"
    assert len(office.quarantined()) == 1
    sent = door.choked
    assert sent <= 3 * 4  # three cycles, each with the client's own tries
    assert cycles(office, 2) == ["done", "done"]
    assert door.choked == sent
    # It changes: tried again, and this time it is taken.
    office.mailchimp.edit(ann, {"REF": "cured"})
    cycles(office, 1)
    assert office.udfs(office.entries("ann@lantern.test")[0])["Reference"] == "cured"
    assert waiting(office) == []
    office.quiet()


def test_a_passing_refusal_needs_nobody(new_office: NewOffice) -> None:
    """A refusal that nobody knows is shown, tried again, and gone as soon as it went well."""
    office = new_office(mappings=[("REF", REFERENCE)])
    ann = office.subscribe("ann@lantern.test", "Ann", "Reed")
    office.sync()
    office.mailchimp.edit(ann, {"REF": "R-7"})
    office.doors["maximizer"].faults.next("maximizer", "code-minus-1", "AbEntryUpdate", 1)
    assert cycles(office, 1) == ["done"]
    assert len(office.quarantined()) == 1
    assert cycles(office, 1) == ["done"]
    assert office.quarantined() == []
    assert office.udfs(office.entries("ann@lantern.test")[0])["Reference"] == "R-7"
    office.quiet()


def test_an_outage_is_held_against_nobody(new_office: NewOffice) -> None:
    office = new_office(mappings=[("REF", REFERENCE)])
    people = [office.subscribe(f"ann{n}@lantern.test", "Ann", "Reed") for n in range(4)]
    office.sync()
    for contact in people:
        office.mailchimp.edit(contact, {"REF": "R-7"})
    office.doors["maximizer"] = door = Collapsing(office.doors["maximizer"])
    for _ in range(5):
        door.down = False
        assert cycles(office, 1) == ["partial"]
    assert office.quarantined() == []
    office.doors["maximizer"] = Door(door.service, door.clock)
    cycles(office, 2)
    assert [office.udfs(key)["Reference"] for key in office.entries()] == ["R-7"] * 4
    office.quiet()


def test_d12_too_many_refusals_stop_the_run(new_office: NewOffice) -> None:
    """A cause that is nobody's own: it stops before everybody waits, and goes on once the mappings are mended."""
    office = new_office(mappings=[("REF", REFERENCE)])
    people = [office.subscribe(f"ann{n}@lantern.test", "Ann", f"Reed{n}") for n in range(70)]
    office.sync()
    for n, contact in enumerate(people):
        office.mailchimp.edit(contact, {"REF": f"R-{n}"})
    office.maximizer.protect(office.entries())
    office.clock.advance(3600)
    with pytest.raises(Incomplete, match=r"\d+ of 70 writes were refused, .* because the service user may not write"):
        office.sync()
    assert 26 <= len(office.quarantined()) <= 26 + 16
    office.maximizer.database.book.protected.clear()
    # Whoever waits is tried again when the mappings change, all others at once.
    office.map("POINTS", POINTS)
    cycles(office, 2)
    assert office.quarantined() == []
    assert {office.udfs(key)["Reference"] for key in office.entries()} == {f"R-{n}" for n in range(70)}
    office.quiet()
