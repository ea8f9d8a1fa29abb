"""Somebody at a terminal, or a script: commands called in this process, against sandbox services over real HTTP."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from app.cli import app
from app.doors import run
from sandbox.web import Door
from sandbox.world import World
from storage import connections
from storage.connections import Connection
from storage.engine import open_store


@dataclass
class Told:
    """What one call of a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Desk:
    """``told = desk("sync", "--json")``; no command may ever show a traceback."""

    def __init__(self, folder: Path, world: World, doors: dict[str, Door], capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.world, self.doors, self._capsys = folder, world, doors, capsys

    def __call__(self, *words: str) -> Told:
        self._capsys.readouterr()
        code = run(app, words)
        out, err = self._capsys.readouterr()
        assert "Traceback" not in out + err
        return Told(code, out, err)

    def good(self, *words: str) -> Told:
        told = self(*words)
        assert told.code == 0, told
        return told

    def bad(self, *words: str, code: int) -> Told:
        """A refused command: one sentence and perhaps one remedy; with --json the same as one document."""
        told = self(*words)
        assert told.code == code, told
        sentence, *remedy = [line for line in told.err.splitlines() if line and not line[0].isdigit()]
        assert sentence.startswith("maxchimp: ")
        assert len(remedy) <= 1
        assert all(line.startswith("  ") for line in remedy)
        return told

    def store(self) -> Engine:
        return open_store(f"sqlite:///{self.folder / 'data/local/maxchimp.db'}")

    def connection(self) -> Connection:
        engine = self.store()
        found = connections.find(engine, "default")
        engine.dispose()
        assert found is not None
        return found

    def writes(self) -> int:
        return sum(len(door.mutations()) for door in self.doors.values())
