"""The data quality report as a Prefect flow, for a daily deployment. Prefect sees counts, never a person."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.states import Failed

from domain.errors import MaxchimpError
from flows.due import sentence
from flows.reporting import Written, report
from flows.sync import as_tasks

log = logging.getLogger("maxchimp.flows")
PATIENCE = 900.0  # seconds to wait for a sync that is going on
_GROUPS = {"in step": "In step", "pending": "Pending", "waiting": "Waiting for somebody", "outside": "Not synchronised"}


@flow(name="quality-report", flow_run_name="quality report {connection}", persist_result=False, retries=0)
def quality_report(connection: str = "default") -> Any:
    """Read both sides of a connection and write the data quality report; its counts become an artifact."""
    try:
        written = report(connection, patience=PATIENCE, staged=as_tasks)
    except BaseException as error:
        if not isinstance(error, MaxchimpError):
            log.critical("unexpected %s", type(error).__name__, exc_info=error)
        return Failed(message=sentence(error))
    _artifact(connection, written)
    return {name: written.told[name] for name in ("report", "totals", "groups", "people")}


def _artifact(connection: str, written: Written) -> None:
    """The numbers beside the flow run; the report stands without it."""
    told = written.told
    try:
        create_markdown_artifact(
            key=f"quality-report-{connection.lower().replace('_', '-')}",
            markdown=markdown(told, written.page),
            description=f"Data quality of connection {connection}, report {told['report']}",
        )
    except Exception as problem:
        log.warning("Prefect did not take the artifact of report %s: %s", told["report"], type(problem).__name__)


def markdown(told: Mapping[str, Any], page: Path) -> str:
    """The report as Markdown: counts and our own sentences, and where the page lies on its machine."""
    parts = [
        f"# Data quality: report {told['report']}",
        told["headline"],
        "\n".join(f"- {text}" for text in told["warnings"]),
        _table(
            ("", "Mailchimp", "Maximizer"),
            [
                *((_GROUPS[name], count["mailchimp"], count["maximizer"]) for name, count in told["groups"].items()),
                ("**Total**", told["totals"]["mailchimp"], told["totals"]["maximizer"]),
            ],
        ),
        "## Everybody, once",
        _table(
            ("class", "Mailchimp", "Maximizer", "rule"),
            [(row["title"], row["mailchimp"], row["maximizer"], row["rule"]) for row in told["classes"]],
        ),
        "## What somebody should look at",
        _table(("people", "what", "what to do"), [(r["people"], r["what"], r["remedy"]) for r in told["attention"]]),
        f"Page and lists: `{page}`",
    ]
    return "\n\n".join(part for part in parts if part)


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    if not rows:
        return "None."
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
