"""The report as one page that needs nothing but itself: no script, font, image or outside address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from quality import charts
from quality.summary import STATES

GROUP_TITLES = {
    "in step": "In step",
    "pending": "Pending: the next sync takes care of it",
    "waiting": "Waiting for somebody",
    "outside": "Not synchronised, and why",
}
_WORDS = {"in step": "in step", "pending": "pending", "waiting": "waiting", "outside": "not synchronised"}
_LEVELS = {
    "set": "no sync runs until this is mended",
    "record": "the record waits",
    "value": "this value stays; the rest goes on",
}


def page(told: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> str:
    """HTML of a report's document; ``history``: earlier reports and this one (at, groups), oldest first."""
    groups, checks = told["groups"], told["checks"]
    drawn = {
        "people": charts.people_now(groups, _WORDS),
        "trend": charts.trend(told["runs"]),
        "reports": charts.reports(history),
    }
    used = [s for s in STATES if s == "agree" or any(row[s] for row in told["fields"])]
    return str(
        _template().render(
            r=told,
            style=_safe(files("quality").joinpath("templates/report.css").read_text("utf-8")),
            charts={name: _safe(svg) for name, svg in drawn.items()},
            group_titles=GROUP_TITLES,
            states=used,
            state_titles=STATES,
            levels=_LEVELS,
            failed=[row for row in checks if not row["success"]],
            passed=[row for row in checks if row["success"]],
        )
    )


def _safe(text: str) -> Any:
    """Text of our own making; everything else that reaches the page is escaped."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704


@cache
def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    shelf = Environment(
        loader=PackageLoader("quality"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shelf.filters["grouped"] = lambda number: f"{number:,}"
    shelf.filters["moment"] = moment
    return shelf.get_template("report.html")


def moment(at: float) -> str:
    """UTC epoch seconds in this machine's time, with its distance from UTC."""
    local = datetime.fromtimestamp(at).astimezone()
    offset = f"{local:%z}"
    return f"{local:%d %B %Y, %H:%M} (UTC{'' if offset == '+0000' else f'{offset[:3]}:{offset[3:]}'})"
