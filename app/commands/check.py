"""``check``: everything that can be known before a run, one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from app import show
from app.call import Call, command
from app.doors import COMPLETE, CONFIGURATION, INCOMPLETE, REFUSED, exit_code

if TYPE_CHECKING:
    from flows.check import Finding


def register(app: typer.Typer) -> None:
    command(app, "check")(check)


def check(call: Call) -> int:
    """Look at everything that a run needs.

    Credentials, rights, fields, mappings, limits: one line each, ok or what to do.
    """
    from flows.check import Check

    call.progress("signing in to both sides")
    found = Check(call.settings, call.engine).run(call.progress)
    call.answer([finding.to_json() for finding in found], lambda: _tell(found))
    # What a person must mend first decides.
    codes = {exit_code(finding.problem) for finding in found if finding.problem}
    return next((code for code in (CONFIGURATION, REFUSED, INCOMPLETE) if code in codes), COMPLETE)


def _tell(found: list[Finding]) -> None:
    rows: list[tuple[str, str, str]] = []
    for finding in found:
        rows.append((finding.state, finding.name, finding.message))
        if finding.remedy:
            rows.append(("", "", f"-> {finding.remedy}"))
    show.table(None, rows)
