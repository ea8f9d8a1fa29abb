"""Templates: everything that enters them is escaped, and text of other people cannot turn the reading direction."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from app.show import clean
from domain.commands import here

TITLES = {
    400: ("This request cannot be understood", "Go back and try again."),
    401: ("Please sign in again", "Open the tab again in Maximizer, or use a new login link."),
    403: ("This is not allowed", "Open the page from Maximizer, or with a login link."),
    404: ("There is no such page", "Open the page from Maximizer, or with a login link."),
    405: ("This is not how this page is used", "Open the page from Maximizer, or with a login link."),
    413: ("That was too much text", "Shorten it and try again."),
    415: ("This request cannot be understood", "Go back and try again."),
    421: ("This page is not known under this address", "Use the address that is told at the start of: maxchimp web."),
    429: ("Too many requests", "Wait a minute and try again."),
    503: ("This page is busy", "Try again in a moment."),
    431: ("This request cannot be understood", "Go back and try again."),
    500: ("Something went wrong on our side", "Try again; if it stays, tell an administrator the number below."),
}


def render(name: str, **values: Any) -> str:
    """The template ``name`` (without ``.html``), filled in."""
    return _environment().get_template(f"{name}.html").render(**values)


def page(status: int, number: str = "") -> str:
    """A whole page for an error, with a number to ask about and nothing else of what happened."""
    title, advice = TITLES.get(status, TITLES[500])
    return render("error", title=title, advice=advice, number=number)


def trouble(message: str, remedy: str) -> str:
    """A whole page for one of our own sentences."""
    title, advice = (text[:1].upper() + text[1:] + ("" if text[-1:] in ".!?" else ".") for text in (message, remedy))
    return render("error", title=title, advice=advice, number="")


def text_of(status: int, number: str = "") -> str:
    """The same as a part of a page."""
    title, advice = TITLES.get(status, TITLES[500])
    return render("problem", message=title, remedy=advice, number=number)


def problem(message: str, remedy: str = "") -> str:
    """What went wrong and what to do, for people who have this page before them and no command line."""
    return render("problem", message=on_page(message), remedy=on_page(remedy), number="")


_COMMAND = re.compile(
    r"(?:run: |see: )?maxchimp (setup|map|settings|quarantine|runs|plan|sync|fields|lists)\b([^;,.()]*)"
)
_TWICE = re.compile(r"(see Setup, \w+)[ ;(]*\1\)?")
_PLACES = {"map": "Configuration", "settings": "Configuration", "fields": "Configuration", "lists": "Configuration"}


def on_page(text: str) -> str:
    """A sentence that names a command, with the place in Setup where the same is done."""

    def place(found: re.Match[str]) -> str:
        if found[1] == "setup":
            return "see Setup, " + ("Configuration" if "--list" in found[2] else "Connection")
        return "see Setup, " + _PLACES.get(found[1], "Runs")

    return _TWICE.sub(r"\1", _COMMAND.sub(place, text))


@cache
def _environment() -> Environment:
    folder = files("app.web").joinpath("templates")
    sources = {item.name: item.read_text("utf-8") for item in folder.iterdir() if item.name.endswith(".html")}
    made = Environment(
        loader=DictLoader(sources),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    made.filters |= {"moment": moment, "date": date_of, "stars": stars, "many": many, "here": here, "on_page": on_page}
    return made


def _shown(value: Any) -> Any:
    if value is None:
        return ""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def moment(value: float | str | None) -> Markup:
    """Epoch seconds or a service's ISO text as a time that the page shows in the reader's own zone."""
    at = _read(value)
    if at is None:
        return Markup("<span>{}</span>").format(clean(value or "-"))
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), f"{at:%Y-%m-%d %H:%M} UTC")


def date_of(value: float | str | None) -> Markup:
    at = _read(value)
    if at is None:
        return Markup("<span>{}</span>").format(clean(value or "-"))
    return Markup('<time datetime="{}" data-date>{}</time>').format(at.isoformat(), f"{at:%Y-%m-%d}")


def _read(value: float | str | None) -> datetime | None:
    try:
        if isinstance(value, str):
            at = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        return None if value is None else datetime.fromtimestamp(float(value), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def stars(rating: object) -> Markup:
    """A rating of 1 to 5 as stars, told to a screen reader as a number."""
    number = rating if isinstance(rating, int) and not isinstance(rating, bool) else 0
    number = min(max(number, 0), 5)
    if not number:
        return Markup('<span class="quiet">no rating</span>')
    drawn = "\u2605" * number + "\u2606" * (5 - number)
    return Markup('<span class="stars" role="img" aria-label="{} of 5 stars">{}</span>').format(number, drawn)


def many(count: int, one: str, more: str = "") -> str:
    """``1 member``, ``2 entries``."""
    return f"{count} {one if count == 1 else more or one + 's'}"
