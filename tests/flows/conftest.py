"""A connection over real HTTP, and an environment that is put back afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from town import Town


@pytest.fixture(autouse=True)
def same_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = dict(os.environ)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    yield
    monkeypatch.undo()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """Set up, with nobody in it."""
    made = Town(tmp_path)
    yield made.setup()
    made.close()
