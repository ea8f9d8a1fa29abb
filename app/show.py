"""What people read: tables and sentences, with rich on a terminal and as plain lines otherwise; and JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from domain.commands import here
from domain.quoting import visible

_STYLES = {"ok": "green", "warn": "yellow", "error": "red", "done": "green", "partial": "yellow", "failed": "red"}


def clean(text: object) -> str:
    """Text of other people (names, options) as it may be shown: control characters are written out."""
    return visible(str(text))


def document(data: Any) -> None:
    """Exactly one JSON document on stdout."""
    print(json.dumps(data, indent=2, default=str))


def say(*lines: str) -> None:
    """Sentences, one per line; commands in them are for the connection at work."""
    for line in lines:
        print(clean(here(line)))


def heading(text: str) -> None:
    text = here(text)
    if not sys.stdout.isatty():
        print(clean(text))
        return
    _console().print(_text(text, "bold"))


def facts(pairs: Mapping[str, object]) -> None:
    """Names and values, one per line."""
    table(None, [(name, value) for name, value in pairs.items()])


def table(columns: Sequence[str] | None, rows: Iterable[Sequence[object]]) -> None:
    """Rows under their columns; a column of states is coloured on a terminal."""
    cells = [["" if cell is None else clean(cell).replace("\n", " ") for cell in row] for row in rows]
    if sys.stdout.isatty():
        _rich_table(columns, cells)
        return
    if columns:
        cells.insert(0, [name.upper() for name in columns])
    widths = [max(len(row[n]) for row in cells) for n in range(len(cells[0]))] if cells else []
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _rich_table(columns: Sequence[str] | None, cells: list[list[str]]) -> None:
    from rich.table import Table

    made = Table(box=None, show_header=columns is not None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns or (cells[0] if cells else ()):
        made.add_column(name, overflow="fold")
    for row in cells:
        made.add_row(*(_text(cell, _STYLES.get(cell, "")) for cell in row))
    _console().print(made)


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False)


def _text(text: str, style: str) -> Any:
    """Never read as markup: square brackets in somebody's name are no style."""
    from rich.text import Text

    return Text(clean(text), style=style)


def moment(at: float | None) -> str:
    """UTC epoch seconds as local time."""
    return "" if at is None else f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M:%S}"


def number(count: int, one: str, many: str = "") -> str:
    """``1 member``, ``2 members``, ``3 entries``."""
    return f"{count} {one if count == 1 else many or one + 's'}"
