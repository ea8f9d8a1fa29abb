"""Mutated answers: whatever a service sends, only the errors of this project come out (hazard A8; ``script/fuzz``)."""

from __future__ import annotations

import json
import random

import pytest
from fuzz import CALLS, CHUNK, ROWS, corpus, mutated, payloads, plausible

from clients.mailchimp import client, listing
from sandbox.web import Response

SEEDS = range(1, 7)  # of CHUNK payloads and one whole cycle each


@pytest.mark.parametrize("seed", SEEDS)
def test_a8_nothing_but_errors_of_the_project(seed: int) -> None:
    found = payloads(seed)
    assert found.defects == []
    assert found.payloads == CHUNK
    # Neither all refused nor all believed: else nothing would be tried.
    assert 0.2 < found.refused / found.payloads < 0.95
    assert found.extracted > 5


def test_a8_what_nobody_looked_at_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (client, listing):
        monkeypatch.setattr(module, "fits", lambda row: True)
    assert any("AttributeError" in defect for seed in range(1, 9) for defect in payloads(seed, extract=1.0).defects)


def test_the_answers_of_every_read_are_known() -> None:
    answers, layout = corpus()
    assert {(side, operation) for side, calls in CALLS.items() for operation, _ in calls if operation in ROWS} <= set(
        answers
    )
    assert len(layout.fields) > 5


def test_the_same_seed_makes_the_same_answers() -> None:
    (body, *_) = corpus()[0]["mailchimp", "GET members"]
    made = [[mutated(random.Random(7), body) for _ in range(20)] for _ in range(2)]
    assert made[0] == made[1]
    assert any(one != body for one in made[0])


@pytest.mark.parametrize(
    ("side", "operation", "answer", "expected"),
    [
        ("mailchimp", "GET members", {"members": [{"contact_id": "a"}], "total_items": 1}, True),
        ("mailchimp", "GET members", {"members": [{}], "total_items": 1}, False),
        ("mailchimp", "GET members", {"members": [], "total_items": "1"}, False),
        ("maximizer", "AbEntryRead", {"Code": 0, "AbEntry": {"Data": []}}, True),
        ("maximizer", "AbEntryRead", {"Code": 0, "AbEntry": {"Data": None}}, False),
        ("maximizer", "AbEntryRead", {"Code": -1, "AbEntry": {"Data": []}}, False),
        ("maximizer", "Authenticate", [], False),
    ],
)
def test_what_a_stranger_takes_for_valid(side: str, operation: str, answer: object, expected: bool) -> None:
    assert plausible(side, operation, Response(200, json.dumps(answer).encode())) is expected
