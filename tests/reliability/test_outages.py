"""Throttling and outages: bounded sends, the cycle ends, nothing is lost, the next one goes on (D5, D14-D16, A9)."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crowd import mappings
from harness import Office, office

from domain.errors import MaxchimpError
from sandbox.faults import kinds
from sandbox.web import Door

SIDES = ("mailchimp", "maximizer")
SENDS = 4
# What a cycle may try while a side is down: five operations until the breaker opens, four of them under way at once.
BOUND = SENDS * (5 + 3)

Copies = Callable[[], Office]


@pytest.fixture(scope="module")
def copies() -> Iterator[Copies]:
    """Offices with an edit to carry over in every way, all alike: made once and copied."""
    with tempfile.TemporaryDirectory(prefix="maxchimp-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        folder = Path(name)
        first = office(folder, mappings=mappings())
        met = [first.met(f"ann{n}@lantern.test", {"REF": "R-1"}, {}) for n in range(3)]
        first.sync()
        first.sync()
        first.mailchimp.edit(met[0][0], {"REF": "R-2"})
        first.maximizer.edit(met[1][1], {"FirstName": "Anna"})
        first.mailchimp.change_email(met[2][0], "bob@lantern.test")
        first.subscribe("cyd@lantern.test", "Cyd", "Reed")
        first.add("Dee", "Reed", "dee@lantern.test", flag="Yes")
        first.clock.advance(3600)
        first.engine.dispose()
        store = (folder / "maxchimp.db").read_bytes()
        made: list[Office] = []

        def make() -> Office:
            there = folder / str(len(made))
            there.mkdir()
            (there / "maxchimp.db").touch(mode=0o600)
            (there / "maxchimp.db").write_bytes(store)
            one = office(there, ready=False)
            one.world = copy.deepcopy(first.world)
            one.clock, one.mailchimp, one.maximizer = one.world.clock, one.world.mailchimp, one.world.maximizer
            one.list_id = first.list_id
            one.settings = first.settings
            one.doors = {"mailchimp": Door(one.mailchimp, one.clock), "maximizer": Door(one.maximizer, one.clock)}
            made.append(one)
            return one

        yield make
        for one in made:
            one.engine.dispose()


def ended(one: Office) -> bool:
    """Whether a cycle came to its end; else it says so with an error of ours."""
    try:
        one.sync()
    except MaxchimpError:
        return False
    return True


def settled(one: Office) -> None:
    """Everything arrives, once, as soon as the services are well again and the quarantine has passed."""
    for door in one.doors.values():
        door.faults.clear()
    for _ in range(2):
        one.clock.advance(3600)
        one.sync()
    assert one.writes() == []
    one.sound()
    assert len(one.entries()) == 6
    assert sorted(m["email_address"] for m in one.mailchimp.members(one.list_id)) == [
        *(f"ann{n}@lantern.test" for n in range(3)),
        "bob@lantern.test",
        "cyd@lantern.test",
        "dee@lantern.test",
    ]
    assert one.merge("ann1@lantern.test")["FNAME"] == "Anna"
    assert one.quarantined() == []


# Those that are over with the next request, or meet batches only, stop nothing by themselves.
PASSING = ("token-expired", "partial-batch", "unmentioned")
AT_ONCE = [(side, kind) for side in SIDES for kind in kinds(side) if kind not in PASSING]


@pytest.mark.parametrize(("side", "kind"), AT_ONCE)
def test_a_side_that_stays_away(copies: Copies, side: str, kind: str) -> None:
    one = copies()
    door = one.doors[side]
    door.faults.load(f"{side}:{kind}=1")
    assert not ended(one)
    assert len(door.calls) <= BOUND
    assert one.cycle().connection.mailchimp_cursor  # what was known before is known still


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", ["429", "403-bare", "500-before", "500-after", "timeout-after", "truncated"])
def test_a_side_that_reads_but_does_not_write(copies: Copies, side: str, kind: str) -> None:
    one = copies()
    door = one.doors[side]
    names = ("POST list", "PATCH member") if side == "mailchimp" else ("AbEntryCreate", "AbEntryUpdate")
    for name in names:
        door.faults.next(side, kind, name, times=999)
    assert not ended(one)
    for name in names:
        sent = [call for call in door.mutations() if call.operation == name]
        # An update up to four times; a create again only where it certainly had no effect.
        assert 0 < len(sent) <= 3 * (SENDS if kind == "429" or name == names[1] else 1)
    settled(one)


def test_a9_a_token_that_expires_at_any_request(copies: Copies) -> None:
    n = 1  # the first request asks for the token
    while True:
        n += 1
        one = copies()
        door = one.doors["maximizer"]
        door.faults.at("maximizer", n, "token-expired")
        assert ended(one), n
        if door.faults._planned:
            break
        one.sync()  # keys of entries died with the session: what was to be written under one waits for this cycle
        assert one.writes() == [], n
    assert n > 8
    settled(one)
