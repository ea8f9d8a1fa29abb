"""Imports run downwards only: the table of ARCHITECTURE.md, held by reading the sources."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAY_IMPORT = {
    "domain": set(),
    "clients": {"domain"},
    "storage": {"domain"},
    "transform": {"domain"},
    "quality": {"domain"},
    "extract": {"domain", "clients", "storage"},
    "load": {"domain", "clients", "storage"},
    "flows": {"domain", "clients", "storage", "transform", "quality", "extract", "load"},
    "app": {"flows", "storage", "clients", "domain", "sandbox"},
    "sandbox": set(),
    "migrations": {"storage"},
}
# Slow to import: only here, and in ``quality`` only inside a function.
PREFECT = {"sync", "report", "due", "deployments", "automations", "blocks"}
ONLY_IN = {
    "prefect": {f"flows/{name}.py" for name in PREFECT},
    "great_expectations": {"quality/engine.py"},
    "matplotlib": {"quality/charts.py"},
    "jinja2": {"quality/page.py", "app/web/words.py"},
}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_run_downwards(package: str) -> None:
    allowed = MAY_IMPORT[package] | {package}
    wrong = {str(path.relative_to(ROOT)): imported(path) & set(MAY_IMPORT) - allowed for path in sources(package)}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_only_demo_and_sandbox_commands_open_the_box() -> None:
    users = {path.name for path in sources("app") if "sandbox" in imported(path)}
    assert users <= {"cli.py", "demo.py", "demo_edits.py", "demo_story.py", "sandbox.py", "world.py", "demo_world.py"}


@pytest.mark.parametrize("library", ONLY_IN)
def test_slow_libraries_have_one_place(library: str) -> None:
    users = {str(p.relative_to(ROOT)) for package in MAY_IMPORT for p in sources(package) if library in imported(p)}
    assert users <= ONLY_IN[library]


def test_every_package_is_in_the_wheel() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert all(f'"{package}"' in text for package in (*MAY_IMPORT, "data"))


def test_no_call_deletes() -> None:
    """There is no delete call in either client (R18)."""
    for path in sources("clients"):
        tree = ast.parse(path.read_text("utf-8"))
        texts = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert not {text for text in texts if text.upper() == "DELETE" or text.endswith("Delete")}, path
