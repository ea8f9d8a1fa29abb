"""``docs/operate.md`` speaks of messages, commands and settings that there are."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import typer

from app.cli import app
from domain.settings import SyncSettings

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "operate.md").read_text("utf-8")
PACKAGES = ("domain", "clients", "storage", "extract", "transform", "quality", "load", "flows", "app")


@cache
def spoken() -> str:
    """Every text of the sources, the constant parts of those with values in them too."""
    parts = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    parts.append(node.value)
    return "\n".join(parts)


def messages() -> list[str]:
    """What stands in code marks in the column of messages, cut at the places of values."""
    found = []
    for line in TEXT[TEXT.index("## Troubleshooting") :].splitlines():
        cells = line.strip("|").split("|")
        for text in re.findall(r"`([^`]+)`", cells[0] + (cells[1] if len(cells) == 3 else "")):
            if not re.match(r"maxchimp (?!serve runs)|--|HOME_DIR", text):
                found += [piece for part in text.split("...") if len(piece := part.strip(" :,")) > 3]
    return found


@pytest.mark.parametrize("piece", messages())
def test_each_message_is_one_of_ours(piece: str) -> None:
    assert piece in spoken()


def test_there_are_many() -> None:
    assert len(messages()) > 40


def test_each_command_and_option_exists() -> None:
    tree = typer.main.get_command(app)
    for words in re.findall(r"(?:`|^)maxchimp ([^`\n#]+)", TEXT, flags=re.MULTILINE):
        found, options = tree, []
        for word in words.split():
            if word.startswith("--"):
                options.append(word.partition("=")[0])
            elif word in getattr(found, "commands", {}) and not options:
                found = found.commands[word]
        assert found is not tree, words
        known = {name for param in found.params for name in (*param.opts, *param.secondary_opts)}
        assert set(options) <= known, words


def test_each_setting_exists() -> None:
    for name in re.findall(r"settings set (\w+)=", TEXT):
        assert name in SyncSettings.__dataclass_fields__
