"""Whole histories of seeds: people on both sides, misfortunes, kills, lost and old stores (``script/histories``)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from history import play
from steps import CycleStep, script, shorter

from sandbox.faults import KINDS

ROOT = Path(__file__).resolve().parents[2]
# So many of them fit into a normal run; ``script/histories`` plays thousands.
NUMBER = int(os.environ.get("MAXCHIMP_HISTORIES", "200"))


@pytest.fixture
def python_texts() -> Iterator[None]:
    with pd.option_context("mode.string_storage", "python"):
        yield


@pytest.mark.parametrize("seed", range(1, NUMBER + 1))
def test_history(seed: int, python_texts: None) -> None:
    assert play(script(seed)).wrong == {}


@pytest.mark.parametrize("seed", [7])
def test_history_judged(seed: int) -> None:
    """With the data quality checks of a real cycle."""
    assert play(script(seed), judge=True).wrong == {}


@pytest.mark.parametrize("seed", [5, 12])
def test_the_same_seed_leaves_the_same_trace(seed: int) -> None:
    assert play(script(seed)).trace == play(script(seed)).trace != play(script(seed + 1)).trace


@pytest.mark.parametrize("seed", [3, 12, 17, 26, 29])
def test_the_texts_of_frames_are_the_same_in_both_forms(seed: int) -> None:
    """Whole histories keep them as Python's objects, since that is faster with a dozen rows."""
    traces = set()
    for form in ("python", "pyarrow"):
        with pd.option_context("mode.string_storage", form):
            traces.add(play(script(seed)).trace)
    assert len(traces - {""}) == 1


def test_another_process_leaves_the_same_trace() -> None:
    """Nothing hangs on the order of sets, on ids of objects or on the real time."""
    words = [sys.executable, str(ROOT / "tests/support/histories.py"), "1", "--seed", "5", "--workers", "1"]
    told = subprocess.run(words, env={**os.environ, "PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True)
    assert f"seed 5: trace {play(script(5)).trace}" in told.stdout


def test_a_script_is_made_of_its_seed_alone() -> None:
    assert script(3) == script(3) != script(4)


def test_every_misfortune_is_in_some_history() -> None:
    cycles = [step for seed in range(400) for step in script(seed).steps if isinstance(step, CycleStep)]
    assert {fault.kind for cycle in cycles for fault in cycle.faults} == set(KINDS)
    assert {cycle.dies[0] for cycle in cycles if cycle.dies} == {"before", "after", "at"}
    assert any(cycle.full_at for cycle in cycles)


def test_a_failing_script_becomes_shorter() -> None:
    made = script(8)

    def fails(less: object) -> bool:
        return any(isinstance(step, CycleStep) and step.between for step in less.steps)  # type: ignore[attr-defined]

    assert fails(made)
    short = shorter(made, fails)
    (only,) = short.steps
    assert isinstance(only, CycleStep)
    assert (len(only.between), only.faults, only.dies, short.quirks, short.page) == (1, (), None, frozenset(), 1000)
