"""Text of other people stays text: more than two hundred hostile strings in every field of every view (hazard S9).

Every view is drawn once with real data; then every text in what it was given is replaced by each hostile string. What
comes out must have the very elements and attributes that a harmless word gives, and links that lead nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from typing import Any

import pytest
from floor import Floor, furnish
from hostile import HOSTILE

from app.web import words
from app.web.jobs import Job
from app.web.runs import Applying
from storage import connections

HARMLESS = "harmless"
# Words of our own that choose between drawings: nobody else can set them.
OURS = {"state", "kind", "side", "op", "view", "sources", "again", "conflict", "email_change", "new_member_status",
        "url", "home_dir", "status", "labels", "names", "x", "y", "word", "months", "path", "base"}  # fmt: skip


class Skeleton(HTMLParser):
    """Elements and their attributes, without texts; addresses in full."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Any] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, sorted(name for name, _ in attrs)))
        self.found += [value for name, value in attrs if name in ("href", "src", "data-post", "data-into", "data-load")]

    def handle_endtag(self, tag: str) -> None:
        self.found.append(f"/{tag}")

    def handle_comment(self, data: str) -> None:
        self.found.append("comment")

    def handle_decl(self, decl: str) -> None:
        self.found.append("declaration")

    def handle_pi(self, data: str) -> None:
        self.found.append("instruction")


def skeleton(html: str) -> list[Any]:
    parser = Skeleton()
    parser.feed(html)
    parser.close()
    return parser.found


def poisoned(value: Any, text: str, name: str = "", *, depth: int = 0) -> Any:
    """The same structure with every text of other people replaced; of many alike, two stay."""
    if name in OURS or depth > 12:
        return value
    if isinstance(value, str):
        return text if value else value
    if is_dataclass(value) and not isinstance(value, type):
        changes = {
            f.name: poisoned(getattr(value, f.name), text, f.name, depth=depth + 1) for f in fields(value) if f.init
        }
        return replace(value, **{k: v for k, v in changes.items() if v is not getattr(value, k)})
    if isinstance(value, dict):
        return {key: poisoned(item, text, str(key), depth=depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [poisoned(item, text, depth=depth + 1) for item in value[: 2 if isinstance(value, list) else 5]]
        return type(value)(items) if type(value) in (list, tuple) else value
    return value


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """(template, what it was given) of every view, from real requests."""
    found: list[tuple[str, dict[str, Any]]] = []
    real = words.render

    def render(name: str, **values: Any) -> str:
        found.append((name, values))
        return real(name, **values)

    patch = pytest.MonkeyPatch()
    patch.setattr(words, "render", render)
    floor = furnish(tmp_path_factory.mktemp("escaping"), secret_key="")
    walk(floor)
    yield found
    patch.undo()
    floor.office.engine.dispose()


def walk(floor: Floor) -> None:
    """Through every view there is."""
    office, site = floor.office, floor.page.site
    office.mailchimp.unsubscribe(floor.members["gone"], reason="no more")
    twin = office.add("Twin", "Reed", "plain@birchmail.test", flag="Yes")
    office.maximizer.edit(floor.keys["plain"], {r"MailChimp\Sync with MailChimp": "Yes"})
    office.maximizer.edit(floor.keys["both"], {r"Marketing\Plan": "Premium", r"Marketing\Reference": "x" * 30})
    office.sync()
    connections.create(office.engine, "north", 1.0)
    office.maximizer.edit(floor.keys["both"], {r"Marketing\Plan": "Basic"})
    floor.keys["twin"] = twin
    for user, name in (
        ("ADA", "both"),
        ("BOB", "gone"),
        ("ADA", "plain"),
        ("ADA", "twin"),
        ("ADA", "firm"),
        ("BOB", "both"),
    ):
        visitor = floor.visitor()
        visitor.launch(user, floor.keys[name])
        for path in ("/api/tab", "/api/tab/more", "/api/tab/fields", "/api/tab/next"):
            visitor.post(path)
    setup = floor.visitor().administrate()
    paths: list[tuple[str, Any]] = [
        ("connection", {}), ("connection/key", {}), ("connection/server", {}), ("connection/make", {}),
        ("connection/steps", {}), ("checks", {}), ("configuration", {}), ("lists", {}), ("mapping", {}), ("job", {}),
        ("mapping/options", {"tag": "PLAN"}), ("mapping/options", {"tag": "group:Email Profile"}), ("runs", {}),
        ("mapping/modify", {"tag": "REF", "field": r"Marketing\Reference"}), ("runs/one", {"id": 1}),
        ("connections", {}), ("lists/choose", {"list_id": office.list_id}), ("lists/choose", {"list_id": "nowhere"}),
    ]  # fmt: skip
    for path, body in paths:
        assert setup.post(f"/api/setup/{path}", body).status in (200, 422), path
    shown = office.connection.settings.shown()
    edited = ("interval", "buffer_ms", "conflict", "email_change", "new_member_status")
    setup.post("/api/setup/settings", {name: shown[name] for name in edited})
    site.jobs.latest = Job("the plan", "ADA", 0.0, text="comparing")
    setup.post("/api/setup/job")
    site.jobs.latest = Job("the plan", "ADA", 0.0, result=office.plan(full=True), running=False)
    assert "Plan " in setup.post("/api/setup/job").text
    site.jobs.latest = Job("the sync", "ADA", 0.0, result=office.sync(), running=False, problem=("one", "two"))
    setup.post("/api/setup/job")
    assert Applying(plan=1).confirm == ""
    floor.visitor().get("/")
    floor.visitor().get("/nowhere")


def test_there_are_enough_of_them() -> None:
    assert len(set(HOSTILE)) >= 200


def test_every_template_was_drawn(drawn: list[tuple[str, dict[str, Any]]]) -> None:
    templates = set(words._environment().list_templates())
    assert {f"{name}.html" for name, _ in drawn} == templates


def test_hostile_texts_make_no_element(drawn: list[tuple[str, dict[str, Any]]]) -> None:
    """One by one in the fullest drawing of each template; ten at once in its other drawings."""
    views: dict[str, dict[str, dict[str, Any]]] = {}
    for name, values in list(drawn):
        views.setdefault(name, {})[words.render(name, **poisoned(values, HARMLESS))] = values
    assert sum(map(len, views.values())) > len(views) + 5
    together = ["".join(HOSTILE[n : n + 10]) for n in range(0, len(HOSTILE), 10)]
    for name, drawings in views.items():
        fullest = max(drawings, key=len)
        for drawing, values in drawings.items():
            expected = skeleton(drawing)
            for text in HOSTILE if drawing == fullest else together:
                html = words.render(name, **poisoned(values, text))
                assert skeleton(html) == expected, (name, text)


def test_hostile_texts_are_really_in_there(drawn: list[tuple[str, dict[str, Any]]]) -> None:
    """The test above would pass on views that show nothing."""
    for name in (
        "tab",
        "more",
        "fields",
        "mapping",
        "options",
        "lists",
        "runs",
        "connection",
        "configuration",
        "connections",
        "checks",
    ):
        values = next(values for one, values in reversed(drawn) if one == name)
        html = words.render(name, **poisoned(values, "<q>&"))
        assert "&lt;q&gt;&amp;" in html, name


def test_links_are_built_of_a_number(shared: Floor) -> None:
    from app.web.tab import _link

    site = shared.page.site
    for web_id in ("1", "javascript:alert(1)", None, True, -1, 0, 1.5, [1], "1&x=y"):
        assert _link(site, {"web_id": web_id}) == ""
    assert _link(site, {"web_id": 7}) == "https://us6.admin.mailchimp.com/lists/members/view?id=7"


def test_reading_direction_cannot_be_turned() -> None:
    assert "\u202e" not in words.problem("abc\u202edef", "x\u2066y")
