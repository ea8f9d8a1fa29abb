"""The command line in a folder of its own, with both sandbox services over real HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desk import Desk

from clients.session import Session
from sandbox.clock import SystemClock
from sandbox.main import settings
from sandbox.web import Door, serve
from sandbox.world import build_world


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    """Both services are up and the environment names them; nothing is set up yet."""
    before = dict(os.environ)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Session, "_wait", lambda self, outcome, number: 0.0)  # nobody waits between two tries
    clock = SystemClock()
    world = build_world(seed=3, people=12, clock=clock)
    for name in ("ada", "bea"):
        world.mailchimp.subscribe(
            world.list_id, f"{name}@lanternpost.test", {"FNAME": name.title(), "LNAME": "Newcome"}
        )
    doors = {service.name: Door(service, clock) for service in (world.mailchimp, world.maximizer)}
    servers = [serve(door) for door in doors.values()]
    for name, value in settings(world, servers[0], servers[1]).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    yield Desk(tmp_path, world, doors, capsys)
    for server in servers:
        server.close()
    monkeypatch.undo()
    for name in set(os.environ) - set(before):
        del os.environ[name]


@pytest.fixture
def ready(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The connection is set up; cycles go without the checks' library, which takes seconds to start."""
    from flows import launch as flow

    class Unjudged(flow.Cycle):
        def __init__(self, *given: Any, **more: Any) -> None:
            super().__init__(*given, **more, judge=False)

    monkeypatch.setattr(flow, "Cycle", Unjudged)
    desk.good("setup")
    return desk
