"""Charts as inline SVG: drawn by Matplotlib without its global state, coloured by the page's own variables.

The same numbers give the same text, byte for byte. No address of anything outside is left in it.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that stand for variables of the page, so that one drawing serves light and dark.
_INK, _MUTED, _LINE = "#010203", "#020304", "#030405"
COLOURS = {"in step": "#040506", "pending": "#050607", "waiting": "#060708", "outside": "#070809"}
_SIDES = {"mailchimp": "#08090a", "maximizer": "#090a0b"}
_VARIABLES = {
    _INK: "--ink", _MUTED: "--muted", _LINE: "--line", "#040506": "--good", "#050607": "--soon", "#060708": "--wait",
    "#070809": "--none", "#08090a": "--one", "#090a0b": "--two",
}  # fmt: skip
_SETTINGS = {
    "svg.fonttype": "none",  # letters stay letters: they can be read aloud, searched and copied
    "svg.hashsalt": "maxchimp",
    "font.size": 9,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _MUTED,
    "text.color": _INK,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "ytick.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "path.simplify": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
}


def people_now(groups: Mapping[str, Mapping[str, int]], words: Mapping[str, str]) -> str:
    """Both sides as bars of four groups."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        names = ("mailchimp", "maximizer")
        for place, side in enumerate(names):
            left, total = 0, sum(groups[g][side] for g in groups) or 1
            for group, colour in COLOURS.items():
                width = groups[group][side]
                axes.barh(place, width / total * 100, left=left / total * 100, color=colour, height=0.62)
                if width / total > 0.07:
                    middle = (left + width / 2) / total * 100
                    axes.text(middle, place, f"{width:,}", ha="center", va="center", color=_INK)
                left += width
        axes.set_yticks([0, 1], ["Mailchimp", "Maximizer"])
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.xaxis.set_visible(False)
        axes.grid(visible=False)
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="y", colors=_INK, length=0)

    said = "; ".join(
        f"{side.capitalize()}: " + ", ".join(f"{groups[g][side]:,} {words[g]}" for g in groups)
        for side in ("mailchimp", "maximizer")
    )
    return _svg(draw, (8.6, 1.15), f"People by group. {said}")


def trend(runs: Sequence[Mapping[str, Any]]) -> str:
    """Writes, open decisions and duration of the last runs, one panel each; "" for less than two runs.

    ``quarantined`` and ``seconds`` are None for a run that did not get to its end.
    """
    shown = [run for run in runs if run["kind"] in ("sync", "backfill")][-40:]
    if len(shown) < 2:
        return ""

    def draw(figure: Figure) -> None:
        writes, waiting, seconds = figure.subplots(1, 3)
        at = range(len(shown))
        bottom = [0] * len(shown)
        for side, colour in _SIDES.items():
            height = [run["writes"][side] for run in shown]
            writes.bar(at, height, bottom=bottom, color=colour, width=0.75, label=side.capitalize())
            bottom = [a + b for a, b in zip(bottom, height, strict=True)]
        writes.set_title("Records written per run")
        figure.legend(frameon=False, fontsize=8, loc="outside upper right", ncols=2, labelcolor=_MUTED)
        # What a run did not get to know is a gap in its line; a dot shows a value between two gaps.
        dots: dict[str, Any] = {"marker": "o", "markersize": 3}
        line = _known(shown, "quarantined")
        waiting.step(at, line, where="mid", color=COLOURS["waiting"], linewidth=2, **dots)
        waiting.set_title("Waiting for a person")
        seconds.plot(at, _known(shown, "seconds"), color=_SIDES["mailchimp"], linewidth=1.6, **dots)
        seconds.set_title("Seconds per run")
        for axes in (writes, waiting, seconds):
            _by_run(axes, shown)

    last = shown[-1]
    said = f"The last {len(shown)} runs; the newest wrote {sum(last['writes'].values()):,} records"
    return _svg(draw, (9.6, 2.5), said)


def _known(shown: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """A number per run, not a number where the run has none."""
    return [math.nan if run[name] is None else float(run[name]) for run in shown]


def reports(history: Sequence[Mapping[str, Any]]) -> str:
    """People by group over the reports so far, per side; "" for less than two reports."""
    if len(history) < 2:
        return ""

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, 2)
        for axes, side in zip(panels, ("mailchimp", "maximizer"), strict=True):
            at = range(len(history))
            for group in ("in step", "pending", "waiting"):
                line = [one["groups"][group][side] for one in history]
                axes.plot(at, line, color=COLOURS[group], linewidth=2, marker="o", markersize=3, label=group)
            axes.set_title(side.capitalize())
            _by_run(axes, history)
        lines, labels = panels[0].get_legend_handles_labels()
        figure.legend(lines, labels, frameon=False, fontsize=8, loc="outside upper right", ncols=3, labelcolor=_MUTED)

    return _svg(draw, (9.6, 2.5), f"People by group in the last {len(history)} reports")


def _by_run(axes: Axes, shown: Sequence[Mapping[str, Any]]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_ylim(bottom=0, top=max(1.0, axes.get_ylim()[1]))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    places = sorted({0, len(shown) - 1})
    days = [f"{datetime.fromtimestamp(shown[place]['at'], UTC):%d %b %H:%M}" for place in places]
    axes.set_xticks(places, days, fontsize=8)
    labels = axes.get_xticklabels()
    labels[0].set_horizontalalignment("left")
    labels[-1].set_horizontalalignment("right")


def _svg(draw: Any, size: tuple[float, float], said: str) -> str:
    """The drawing as an element for a page, with its meaning in words for those who cannot see it."""
    import matplotlib as library
    from matplotlib.figure import Figure

    with library.rc_context(_SETTINGS):  # type: ignore[arg-type]
        figure = Figure(figsize=size, layout="constrained")
        figure.patch.set_alpha(0)
        draw(figure)
        for axes in figure.axes:
            axes.patch.set_alpha(0)
        sink = io.StringIO()
        figure.savefig(sink, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return _bare(sink.getvalue(), said)


def _bare(text: str, said: str) -> str:
    from markupsafe import escape

    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", body)
    body = body.replace("xlink:href=", "href=")
    for colour, name in _VARIABLES.items():
        body = body.replace(colour, f"var({name})")
    body = re.sub(r'<svg[^>]*viewBox="([^"]*)"[^>]*>', r'<svg class="chart" role="img" viewBox="\1" @@>', body, count=1)
    return body.replace("@@", f'aria-label="{escape(said)}"', 1).strip()
