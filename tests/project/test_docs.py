"""The documentation for administrators is whole: every rule is there once."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RULES = (ROOT / "docs" / "rules.md").read_text("utf-8")
NUMBERS = [*range(1, 45), *range(50, 55)]


def test_every_rule_is_explained_once_and_in_order() -> None:
    found = re.findall(r"^- \*\*(R\d+)\*\* \S", RULES, flags=re.MULTILINE)
    assert found == [f"R{number}" for number in NUMBERS]


def test_rules_refer_to_rules_that_are_there() -> None:
    named = {int(number) for number in re.findall(r"\bR(\d+)\b", RULES)}
    assert named == set(NUMBERS)


def test_commands_and_settings_of_the_rules_exist() -> None:
    from dataclasses import fields

    import typer.main

    from app.cli import app
    from domain.settings import SyncSettings

    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    text = RULES + (ROOT / "docs" / "move-to-postgresql.md").read_text("utf-8")
    named = re.findall(r"(?:`|^ *)maxchimp (\w+)", text, flags=re.MULTILINE)
    assert {"store", "plan"} <= set(named)
    assert set(named) <= commands
    known = {field.name for field in fields(SyncSettings)}
    assert set(re.findall(r"`(\w+_\w+|conflict)(?:=\w+)?`", text)) - {"unique_email_id"} <= known | {
        "MAXCHIMP_LOG_FORMAT"
    }
