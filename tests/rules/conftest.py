"""The ways in which a rule is tried: on either kind of server, in a full or a scheduled cycle."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from harness import Office

BOTH = ("on-premise", "cloud")


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
