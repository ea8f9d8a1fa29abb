"""Stores to copy on either database, and the grounds on which scenes are played."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from scenes import SCENES, Scene, Still, base
from shelves import Databases, Files, Shelf


@pytest.fixture(scope="session")
def sqlite_ground() -> Iterator[tuple[Shelf, Still]]:
    shelf = Files()
    yield shelf, base(shelf)
    shelf.close()


@pytest.fixture(scope="session")
def postgresql_ground(postgresql_server: Callable[[str], str]) -> Iterator[tuple[Shelf, Still]]:
    shelf = Databases(postgresql_server)
    yield shelf, base(shelf)
    shelf.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def ground(request: pytest.FixtureRequest) -> tuple[Shelf, Still]:
    """A shelf of each database in turn, and six linked people on it."""
    found: tuple[Shelf, Still] = request.getfixturevalue(f"{request.param}_ground")
    return found


@pytest.fixture
def scene() -> Callable[[str], Scene]:
    named = {one.name: one for one in SCENES}
    return named.__getitem__
