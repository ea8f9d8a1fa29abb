"""Reading a list that moves: nothing missed, little read twice (hazards A2, A3; fact sheet section 4)."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.mailchimp import MemberListing
from domain.errors import BrokenAnswer


class Moving:
    """A list in memory: ``since`` strictly after, whole seconds, stable order within a second; edits between calls."""

    def __init__(self, seconds: list[int], between: Callable[[Moving], None] = lambda _: None) -> None:
        self.rows = {f"c{n:05d}": second for n, second in enumerate(seconds)}
        self.now, self.calls, self.between = max(seconds, default=0) + 1, 0, between

    def __call__(self, params: Mapping[str, str | int]) -> dict[str, Any]:
        if self.calls:
            self.between(self)
        self.calls += 1
        since = datetime.fromisoformat(str(params.get("since_last_changed", "1970-01-01T00:00:00+00:00"))).timestamp()
        rows = sorted((at, who) for who, at in self.rows.items() if at > since)
        page = rows[int(params["offset"]) :][: int(params["count"])]
        return {"members": [{"contact_id": who, "last_changed": iso(at)} for at, who in page], "total_items": len(rows)}

    def touch(self, who: str) -> None:
        self.rows[who] = self.now


def iso(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")


def read(
    service: Callable[[Mapping[str, str | int]], dict[str, Any]], size: int, since: str | None = None
) -> list[str]:
    listing = MemberListing(service, since=since, page_size=size)
    found = [row["contact_id"] for page in listing for row in page.rows]
    assert len(found) == len(set(found)) == listing.distinct
    return found


@given(st.lists(st.integers(1, 6), max_size=60), st.integers(1, 12))
def test_a2_a_quiet_list_is_read_once_in_few_calls(seconds: list[int], size: int) -> None:
    service = Moving(seconds)
    found = read(service, size)
    assert sorted(found) == sorted(service.rows)
    assert service.calls <= ceil(len(seconds) / size) + 1


@given(st.lists(st.integers(1, 6), min_size=1, max_size=60), st.integers(1, 12), st.randoms(use_true_random=False))
def test_a3_rows_that_move_or_leave_between_pages_hide_nobody(
    seconds: list[int], size: int, rng: random.Random
) -> None:
    gone: set[str] = set()

    def between(service: Moving) -> None:
        service.now += rng.randint(0, 1)
        for who in rng.sample(sorted(service.rows), min(len(service.rows), rng.choice([0, 0, 1, 3]))):
            if service.calls < 40:
                service.touch(who)
        if service.rows and service.calls < 40 and rng.random() < 0.3:
            who = rng.choice(sorted(service.rows))
            del service.rows[who]
            gone.add(who)

    service = Moving(seconds, between)
    there = set(service.rows)
    found = set(read(service, size))
    assert there - gone <= found <= there


def test_a3_the_plain_offset_would_miss_one() -> None:
    """The model can hurt: reading it by offset alone loses a row when a row of the first page moves."""
    service = Moving([1] * 10, lambda s: s.touch("c00000"))
    naive = [row["contact_id"] for n in (0, 5) for row in service({"offset": n, "count": 5})["members"]]
    assert len(set(naive)) == 9
    again = Moving([1] * 10, lambda s: s.touch("c00000"))
    assert set(read(again, 5)) == set(again.rows)


def test_a_bulk_import_of_more_than_a_page_in_one_second() -> None:
    service = Moving([5] * 2500)
    assert len(read(service, 1000)) == 2500
    assert service.calls == 3


def test_a_large_list_costs_no_more_than_the_bound() -> None:
    """Page 1000 is the service's own limit, so the anchor costs one row per page: the worst case of the bound."""
    calls, n, size = 0, 250_000, 1000
    ids = [f"c{i}" for i in range(n)]

    def service(params: Mapping[str, str | int]) -> dict[str, Any]:
        nonlocal calls
        calls += 1
        start = int(params["offset"])
        rows = [{"contact_id": who, "last_changed": iso(9)} for who in ids[start : start + int(params["count"])]]
        return {"members": rows, "total_items": n}

    listing = MemberListing(service, since=None, page_size=size)
    assert sum(len(page.rows) for page in listing) == n == listing.distinct == listing.total_first
    assert calls <= n // size + 1


def test_since_is_passed_on_and_the_total_is_the_first_answers() -> None:
    service = Moving([1, 2, 3, 4, 5])
    listing = MemberListing(service, since=iso(2), page_size=2)
    assert [[row["contact_id"] for row in page.rows] for page in listing] == [["c00002", "c00003"], ["c00004"]]
    assert (listing.total_first, listing.distinct) == (3, 3)


def test_an_empty_list_is_one_page_without_rows() -> None:
    service = Moving([])
    assert [(page.rows, page.total) for page in MemberListing(service, since=None, page_size=10)] == [([], 0)]
    assert service.calls == 1


def test_a2_a_total_that_was_never_reached_shows() -> None:
    listing = MemberListing(
        lambda params: {"members": [], "total_items": 7} if params["offset"] else page(1, 2, total=7),
        since=None,
        page_size=2,
    )
    with pytest.raises(BrokenAnswer):
        list(listing)


def test_unreadable_dates_fall_back_to_offsets() -> None:
    rows = [{"contact_id": f"c{n}", "last_changed": ""} for n in range(7)]

    def service(params: Mapping[str, str | int]) -> dict[str, Any]:
        start = int(params["offset"])
        return {"members": rows[start : start + int(params["count"])], "total_items": 7}

    assert read(service, 3) == [row["contact_id"] for row in rows]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"members": None, "total_items": 0},
        {"members": [], "total_items": None},
        {"members": [], "total_items": True},
        {"members": [], "total_items": -1},
        {"members": [None], "total_items": 1},
        {"members": [{"contact_id": "c"}], "total_items": 1},
        {"members": [{"contact_id": "", "last_changed": ""}], "total_items": 1},
        {"members": {"0": {}}, "total_items": 1},
    ],
)
def test_a8_another_shape_is_never_no_rows(answer: dict[str, Any]) -> None:
    with pytest.raises(BrokenAnswer):
        list(MemberListing(lambda _: answer, since=None, page_size=10))


def test_a_service_that_ignores_paging_is_noticed() -> None:
    with pytest.raises(BrokenAnswer, match="again and again"):
        list(MemberListing(lambda _: page(1, 2, total=10**9), since=None, page_size=2))


def page(*seconds: int, total: int) -> dict[str, Any]:
    rows = [{"contact_id": f"c{n}", "last_changed": iso(second)} for n, second in enumerate(seconds)]
    return {"members": rows, "total_items": total}
