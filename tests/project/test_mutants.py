"""Every mutant of ``script/mutants`` still has its place in the source and its tests; the script itself runs apart."""

from __future__ import annotations

import ast

import pytest
from mutants import MUTANTS, ROOT, Mutant, points


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_a_mutant_has_its_place_and_its_tests(mutant: Mutant) -> None:
    assert points(mutant) == 1
    assert mutant.old != mutant.new
    ast.parse((ROOT / mutant.file).read_text("utf-8").replace(mutant.old, mutant.new))
    for test in mutant.tests:
        file, _, name = test.partition("::")
        functions = {node.name for node in ast.parse((ROOT / file).read_text("utf-8")).body if hasattr(node, "name")}
        assert name in functions, test


def test_the_rules_that_hold_everything_up_have_mutants() -> None:
    named = {word for mutant in MUTANTS for word in mutant.rule.replace(",", "").split() if word[1:].isdigit()}
    wanted = {f"A{n}" for n in range(1, 7)} | {
        "A14",
        "B10",
        "C1",
        "C3",
        "C13",
        "C15",
        "D1",
        "D2",
        "D3",
        "D7",
        "D9",
        "D13",
    }
    assert named >= wanted | {"E1", "E2", "E4", "F1", "F4"}
