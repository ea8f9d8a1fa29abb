"""The README's commands work as written, and every command is in it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from desk import Desk

from app.cli import app

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def shown() -> list[list[str]]:
    """The words of every command of the five-minute start, in order."""
    lines = re.findall(r"^\.venv/bin/maxchimp (.*)$", README, flags=re.MULTILINE)
    return [shlex.split(line.replace("\\", "\\\\"), comments=True) for line in lines]


def test_the_five_minute_start_runs_as_written(desk: Desk) -> None:
    assert len(shown()) >= 6
    for words in shown():
        desk.good(*words)


def test_every_command_is_in_the_readme() -> None:
    names = [group.name for group in app.registered_groups] + [command.name for command in app.registered_commands]
    table = README[README.index("## Commands") :]
    missing = [name for name in names if name and f"`{name}" not in table]
    assert names
    assert missing == []


def test_the_scripts_of_the_readme_exist() -> None:
    for name in re.findall(r"script/\w+", README):
        assert (ROOT / name).stat().st_mode & 0o100
    assert (ROOT / ".env.example").exists()
