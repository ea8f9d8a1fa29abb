"""Offices of one test, closed at its end; what may never happen is looked for even where a scenario does not ask."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Office, office

BOTH = ("on-premise", "cloud")


MEMORY = Path("/dev/shm")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """For the store: in memory where there is such a place, because a commit waits for the disk."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="maxchimp-", dir=MEMORY) as name:
        yield Path(name)


@pytest.fixture
def new_office(folder: Path) -> Iterator[Callable[..., Office]]:
    """Make an office; all offices of a test share one store unless they name another."""
    made: list[Office] = []

    def make(*, store: str = "maxchimp", **more: Any) -> Office:
        (folder / store).mkdir(exist_ok=True)
        made.append(office(folder / store, **more))
        return made[-1]

    yield make
    for one in made:
        one.sound()
        one.engine.dispose()


@pytest.fixture(params=BOTH)
def both(request: pytest.FixtureRequest, new_office: Callable[..., Office]) -> Office:
    """An office on either kind of Maximizer server."""
    return new_office(profile=request.param)


@pytest.fixture(params=[True, False], ids=["full", "scheduled"])
def full(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=[("on-premise", False), ("cloud", True)], ids=["on-premise, scheduled", "cloud, full"])
def way(request: pytest.FixtureRequest, new_office: Callable[..., Office]) -> tuple[Office, bool]:
    """An office on either kind of server, and whether its next cycle shall be a full one."""
    profile, full = request.param
    return new_office(profile=profile), full
