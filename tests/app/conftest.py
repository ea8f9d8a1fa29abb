"""The command line in a folder of its own, with both sandbox services over real HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from desk import Desk

from clients.session import Session
from sandbox.clock import SystemClock
from sandbox.main import settings
from sandbox.web import Door, serve
from sandbox.world import World, build_world


def _peopled(seed: int, clock: SystemClock) -> World:
    """Both services with people who meet, and two who are new."""
    world = build_world(seed=seed, people=12, clock=clock)
    for name in ("ada", "bea"):
        world.mailchimp.subscribe(
            world.list_id, f"{name}@lanternpost.test", {"FNAME": name.title(), "LNAME": "Newcome"}, ["Newsletter"]
        )
    return world


@pytest.fixture
def desk(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    """Both services are up and the environment names them; nothing is set up yet."""
    before = dict(os.environ)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(Session, "_wait", lambda self, outcome, number: 0.0)  # nobody waits between two tries
    clock = SystemClock()
    world = _peopled(seed=3, clock=clock)
    doors = {service.name: Door(service, clock) for service in (world.mailchimp, world.maximizer)}
    servers = [serve(door) for door in doors.values()]
    for name, value in settings(world, servers[0], servers[1]).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    yield Desk(folder, world, doors, capsys)
    for server in servers:
        server.close()
    monkeypatch.undo()
    for name in set(os.environ) - set(before):
        del os.environ[name]


@pytest.fixture
def north(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Services of the connection north, beside those of the plain settings."""
    clock = SystemClock()
    world = _peopled(seed=4, clock=clock)
    servers = [serve(Door(service, clock)) for service in (world.mailchimp, world.maximizer)]
    for name, value in settings(world, servers[0], servers[1]).items():
        monkeypatch.setenv(name.replace("MAXCHIMP_", "MAXCHIMP_NORTH__", 1), value)
    yield world
    for server in servers:
        server.close()


@pytest.fixture
def ready(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The connection is set up; cycles go without the checks' library, which takes seconds to start."""
    from flows import launch
    from flows.cycle import Cycle

    monkeypatch.setattr(launch, "Cycle", partial(Cycle, judge=False))
    desk.good("setup")
    return desk
