"""The page in a real browser: readable by everybody, at any width, in the light and in the dark; nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quality import charts
from quality.page import page
from quality.summary import STATES

SIDES = ("mailchimp", "maximizer")
CHROMIUM = Path("/usr/bin/chromium")
RUNS = [
    {"run": n, "kind": "sync", "at": 1_700_000_000.0 + n * 3600, "state": "done", "seconds": 1.5 + n,
     "writes": {"mailchimp": n, "maximizer": 2 * n}, "failed": 0, "quarantined": n, "conflicts": 1}
    for n in range(5)
]  # fmt: skip


def told() -> dict[str, Any]:
    """A report with something in every part of it."""
    number = {"mailchimp": 2, "maximizer": 2}
    field = {"tag": "ADDRESS.country", "name": "Address: country", "pairs": 9, **dict.fromkeys(STATES, 1), "agree": 2}
    check = {"suite": "members", "expectation": "x", "column": "FNAME", "evaluated": 9, "mandatory": True, "rule": "R1"}
    check |= {"side": "mailchimp", "name": "First Name", "level": "record", "reason": "is odd", "list": "lists/c.csv"}
    value = {"tag": "REF", "name": "Reference", "people": 3, "list": "lists/v.csv"}
    group_lists = {side: f"lists/{side}.csv" for side in SIDES}
    return {
        "report": 7, "state": "done", "connection": "default", "list_name": "Lantern Street Letter" * 3,
        "address_book": "EsconaDemo", "read_at": 1_700_000_000.0, "seconds": 12.5, "conflict": "maximizer",
        "retention_days": 30, "companies_counted": False, "warnings": ["The next sync would be refused."],
        "totals": {"mailchimp": 8, "maximizer": 8}, "people": dict.fromkeys(charts.COLOURS, 2),
        "groups": {name: dict(number) for name in charts.COLOURS}, "headline": "25.0 % of the 8 people are in step.",
        "differing": {"pairs": 2, "agree": 1, "differ": 1, "reasons": {"protected": 1}},
        "classes": [
            {"code": name, "group": name, "title": f"Class {name}", "what": "What it means", "rule": "R1, R2",
             "reasons": [], **number, "lists": group_lists}
            for name in charts.COLOURS
        ],
        "fields": [field | {"lists": dict.fromkeys(STATES, "lists/f.csv")}],
        "placeholders": [value | {"value": "10000"}], "withheld": [value | {"problem": "too long"}],
        "options": [value | {"problem": "no option 'Gold' there"}],
        "checks": [check | {"success": False, "unexpected": 2}, check | {"success": True, "unexpected": 0}],
        "duplicates": {"people": 4, "addresses": 2, "list": "lists/d.csv"},
        "second_addresses": {"people": 0, "list": ""}, "emptied": {"people": 1, "list": "lists/e.csv"},
        "conflicts": {"total": 3, "maximizer": 3, "mailchimp": 0,
                      "fields": [value | {"maximizer": 3, "mailchimp": 0, "lists": group_lists}]},
        "broken_mappings": ["Lead Status should be mapped to single-value table field."], "runs": RUNS,
        "attention": [{"people": 3, "what": "Reference: too long", "remedy": "Correct it.", "list": "lists/v.csv"}],
    }  # fmt: skip


HISTORY = [{"at": 1_700_000_000.0 + n * 86400, "groups": told()["groups"]} for n in range(3)]


def test_charts_are_the_same_for_the_same_numbers_and_hold_no_address() -> None:
    for draw in (lambda: charts.trend(RUNS), lambda: charts.reports(HISTORY)):
        drawn = draw()
        assert drawn == draw()
        assert drawn.startswith('<svg class="chart" role="img"')
        assert not re.search(r"xmlns|https?:|<metadata|<!DOCTYPE|<\?xml|#0[0-9a-f]0[0-9a-f]0[0-9a-f]", drawn)
        assert "var(--" in drawn
    assert charts.trend(RUNS[:1]) == charts.reports(HISTORY[:1]) == ""


def test_a_run_without_a_value_is_a_gap_and_no_zero() -> None:
    """The lines of who waits and of seconds are drawn in two parts; what was written is 0 and stays so."""
    early = {"seconds": None, "quarantined": None, "conflicts": None, "writes": dict.fromkeys(SIDES, 0)}
    whole, broken = charts.trend(RUNS), charts.trend([*RUNS[:2], RUNS[2] | early, *RUNS[3:]])
    for drawn, parts in ((whole, 1), (broken, 2)):
        lines = re.findall(r'<path d="(M [^"]*)"[^>]*style="fill: none; stroke: var\(--(?:wait|one)\)', drawn)
        assert [line.count("M ") for line in lines] == [parts, parts]
    assert "nan" not in broken.lower()
    told_of = page(told() | {"runs": [RUNS[0] | early]}, HISTORY)
    assert told_of.count("not known") == 3


def test_a_chart_is_told_in_words_whatever_the_names() -> None:
    drawn = charts.people_now(told()["groups"], dict.fromkeys(charts.COLOURS, '"><script>'))
    assert "<script" not in drawn
    assert "Mailchimp: 2" in drawn


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        pytest.skip("needs a Chromium")
    from playwright.sync_api import sync_playwright

    flags = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
    with sync_playwright() as made:
        opened = made.chromium.launch(executable_path=str(CHROMIUM), args=flags, chromium_sandbox=False)
        yield opened
        opened.close()


@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (1600, "dark")])
def test_everybody_can_read_it_and_nothing_is_fetched(browser: Any, tmp_path: Path, width: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    (tmp_path / "report.html").write_text(page(told(), HISTORY), "utf-8")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    seen: list[str] = []
    noise: list[str] = []
    shown = context.new_page()
    shown.on("request", lambda request: seen.append(request.url))
    shown.on("console", lambda message: noise.append(message.text))
    shown.goto((tmp_path / "report.html").as_uri())
    for details in shown.locator("summary").all():
        details.click()
    found = Axe().run(shown)
    assert found.violations_count == 0, found.generate_report()
    assert shown.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "the page scrolls sideways"
    assert [url for url in seen if not url.startswith("file:")] == []
    assert len(seen) == 1
    assert noise == []
    context.close()
