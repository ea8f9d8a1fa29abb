"""An office and its page; made once per module that only looks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from floor import Floor, furnish

from clients.session import Session


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two tries of a request."""
    monkeypatch.setattr(Session, "_wait", lambda self, outcome, number: 0.0)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Floor]:
    """For tests that only look."""
    floor = furnish(tmp_path_factory.mktemp("page"))
    yield floor
    floor.office.engine.dispose()


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    """For tests that change something."""
    made = furnish(tmp_path)
    yield made
    made.office.engine.dispose()
