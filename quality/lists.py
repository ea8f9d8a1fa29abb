"""The lists behind the numbers: CSV files that nobody else may read, and that no spreadsheet takes for formulas.

Escaping happens here and only here: ``-`` and ``+1 604 ...`` are ordinary values of what is synchronised (hazard S26).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pandas as pd

FOLDER = "lists"
# What a spreadsheet would take for a formula or a command, in either width of characters.
_DANGEROUS = "^[=+\\-@\\t\\r\\n\\x00＝＋－＠]"


class Lists:
    """Writes lists below ``folder``; nothing is written for an empty one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[str, int] = {}

    def add(self, name: str, frame: pd.DataFrame) -> str:
        """Write the frame; the relative address of the file, "" for an empty frame.

        ``name`` becomes the file's name, made safe; a second list of the same name gets a number.
        """
        if not len(frame):
            return ""
        base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80] or "list"
        path, number = f"{FOLDER}/{base}.csv", 1
        while path in self.rows:
            number += 1
            path = f"{FOLDER}/{base}-{number}.csv"
        (self.folder / FOLDER).mkdir(mode=0o700, exist_ok=True)
        write(self.folder / path, frame)
        self.rows[path] = len(frame)
        return path


def write(path: Path, frame: pd.DataFrame) -> None:
    """A CSV (RFC 4180, UTF-8 with mark, as spreadsheets expect) with mode 0600 from its first byte."""
    safe = frame.apply(harmless)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8-sig", errors="backslashreplace", newline="") as file:
        safe.to_csv(file, index=False, lineterminator="\r\n")


def harmless(column: pd.Series) -> pd.Series:
    """Texts that begin like a formula get a single quote in front; NUL, which no spreadsheet reads, is written out."""
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return column
    shown = column.astype("str").fillna("")
    risky = shown.str.contains(_DANGEROUS, regex=True)
    if risky.any():
        shown = shown.mask(risky, "'" + shown)
    zero = shown.str.contains("\x00", regex=False)
    return shown.mask(zero, shown.str.replace("\x00", "\\x00", regex=False)) if zero.any() else shown


def entry_columns(entry: pd.Series) -> dict[str, pd.Series]:
    """What a person looks for in Maximizer, of entry ids."""
    named = entry.astype("str")
    return {
        "client_id": named.str.replace("#[^#]*$", "", regex=True),
        "contact_number": named.str.replace("^.*#", "", regex=True),
    }


def largest_first(rows: pd.DataFrame, by: list[str]) -> list[tuple[Any, pd.DataFrame]]:
    """Groups of rows, the largest first."""
    return sorted(rows.groupby(by), key=lambda group: (-len(group[1]), group[0])) if len(rows) else []
