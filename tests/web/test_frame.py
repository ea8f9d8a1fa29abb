"""What holds for every route, errors included: headers, hosts, origins, sizes, rates (hazards S1, S2, S7, S12-S14)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from floor import Floor
from visitor import KEYS, ORIGIN, PORT, Visitor

from app.web.application import DOORS, STATIC
from app.web.frame import AT_ONCE, BODY, MOST_FAILURES, Frame, Rates, origin_of
from storage import connections

PAGES = ["/", "/tab", "/setup", "/health", *(f"/static/{name}" for name in STATIC)]
NOWHERE = [
    "/nowhere",
    "/api/nowhere",
    "/static/../site.py",
    "/static/app.py",
    "/docs",
    "/openapi.json",
    "/.env",
    "/tab/",
    "/north/tab",
    "/north/api/tab",
]
POLICY = {
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
    "base-uri 'none'", "form-action 'none'", "frame-ancestors http://127.0.0.1:2",
}  # fmt: skip


def another(floor: Floor, **more: Any) -> Frame:
    """A frame of its own before the same page."""
    app = floor.page.app
    return Frame(app.app, origins=app.origins, framed_by=app.framed_by, find=app.find, **more)


def check_headers(headers: dict[str, str]) -> None:
    assert {part.strip() for part in headers["content-security-policy"].split(";")} == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert headers["content-type"]
    assert not {"x-frame-options", "server", "set-cookie", "access-control-allow-origin", "location"} & set(headers)


@pytest.mark.parametrize("path", [*PAGES, *NOWHERE, *DOORS])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_every_answer_has_the_headers(shared: Floor, path: str, method: str) -> None:
    visitor = shared.visitor()
    seen = visitor.post(path) if method == "POST" else visitor.ask(method, path)
    check_headers(seen.headers)
    expected = 200 if path in PAGES and method in ("GET", "HEAD") else None
    assert seen.status == (expected or seen.status)
    assert expected or seen.status in (400, 401, 403, 404, 405)
    if path in DOORS and method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"):
        assert seen.status == 405


def test_nobody_frames_it_when_no_crm_is_configured(shared: Floor) -> None:
    site = shared.page.site
    for address, framed in (
        ("", "'none'"),
        ("http://crm.example/MaximizerWebAccess", "'none'"),
        ("javascript:alert(1)", "'none'"),
        ("https://crm.example; script-src *", "'none'"),
        ("https://crm.example/MaximizerWebAccess/", "https://crm.example"),
        ("https://CRM.example:8443/x", "https://crm.example:8443"),
        ("https://user:pw@crm.example/", "https://crm.example"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
    ):
        app = shared.page.app
        frame = Frame(app.app, origins=site.origins, framed_by=lambda *where, address=address: address, find=app.find)
        seen = Visitor(frame, site).get("/tab")
        assert seen.headers["content-security-policy"].endswith(f"frame-ancestors {framed}")


def test_origin_of_nonsense_is_none() -> None:
    for text in (
        "",
        "x",
        "http://",
        "https://a b",
        "ftp://crm.example",
        "https://crm.example:99999",
        "https://\n",
        "//x",
    ):
        assert origin_of(text) == ""


def test_hosts_that_are_not_ours_are_refused(shared: Floor) -> None:
    for host in ("evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT}.evil.example", ""):
        seen = shared.visitor().ask("GET", "/", headers={"host": host})
        assert seen.status == 421
        check_headers(seen.headers)
    assert shared.visitor().ask("GET", "/", headers={"host": f"localhost:{PORT}"}).status == 200


def test_the_public_address_is_ours_too(shared: Floor) -> None:
    site = shared.page.site
    before = site.settings
    site.settings = before.model_copy(update={"page_url": "https://sync.example.org"})
    try:
        visitor = shared.visitor().administrate()
        assert visitor.ask("GET", "/", headers={"host": "sync.example.org"}).status == 200
        seen = visitor.post("/api/setup/runs", host="sync.example.org", origin="https://sync.example.org")
        assert seen.status == 200
        assert seen.headers["strict-transport-security"]
    finally:
        site.settings = before


# What a page of somebody else, a form, or a link could send.
FOREIGN: dict[str, dict[str, Any]] = {
    "other origin": {"origin": "https://evil.example", "sec_fetch_site": None},
    "cross-site": {"sec_fetch_site": "cross-site"},
    "same-site": {"sec_fetch_site": "same-site"},
    "by hand": {"sec_fetch_site": "none"},
    "null origin": {"origin": "null", "sec_fetch_site": None},
    "the CRM itself": {"origin": "http://127.0.0.1:2", "sec_fetch_site": None},
    "says nothing": {"origin": None, "sec_fetch_site": None},
}


@pytest.mark.parametrize("path", DOORS)
def test_only_pages_of_ours_may_post(shared: Floor, path: str) -> None:
    before = len(shared.office.doors["maximizer"].calls), len(shared.office.doors["mailchimp"].calls)
    for headers in FOREIGN.values():
        visitor = shared.visitor().administrate()
        seen = visitor.post(path, **headers)
        assert seen.status == 403
        check_headers(seen.headers)
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "", None):
        assert shared.visitor().administrate().post(path, content_type=kind).status == 415
    assert before == (len(shared.office.doors["maximizer"].calls), len(shared.office.doors["mailchimp"].calls))


@pytest.mark.parametrize("path", [path for path, door in DOORS.items() if door.purpose])
def test_nothing_without_a_token(shared: Floor, path: str) -> None:
    before = len(shared.office.doors["maximizer"].calls), len(shared.office.doors["mailchimp"].calls)
    for header in (None, "", "Bearer ", "Bearer x", "Basic eDp5", "bearer x.y", "Bearer " + "a" * 5000):
        assert shared.visitor().post(path, authorization=header).status == 401
    assert before == (len(shared.office.doors["maximizer"].calls), len(shared.office.doors["mailchimp"].calls))


@pytest.mark.parametrize("path", DOORS)
def test_bodies_hold_named_fields_only(shared: Floor, path: str) -> None:
    door = DOORS[path]
    visitor = shared.visitor()
    if door.purpose:
        given = shared.page.site.tokens.begun(door.purpose, "default", "ADA", "x#0", admin=True)
        visitor.token = shared.page.site.tokens.token(given)
    for body in (b"{", b"[]", b"1", b'"x"', b"null", b"\xff", b'{"unknown": 1}', b"[" * 5000, b'{"__proto__": {}}'):
        assert visitor.post(path, body).status == 400
    model = {name: {"wrong": "type"} for name in door.model.model_fields}
    assert not model or visitor.post(path, model).status == 400
    texts = {name: "x" * 3000 for name, info in door.model.model_fields.items() if info.annotation is str}
    assert not texts or visitor.post(path, texts).status == 400


def test_sizes_are_limited(shared: Floor) -> None:
    visitor = shared.visitor().administrate()
    assert visitor.post("/api/setup/runs", b" " * (BODY + 1)).status == 413
    assert visitor.post("/api/setup/runs", b" " * (BODY + 1), content_length="5").status == 413
    assert visitor.post("/api/setup/runs", content_length="-1").status == 413
    assert visitor.post("/api/setup/runs", x_long="y" * 20_000).status == 431
    check_headers(visitor.post("/api/setup/runs", b" " * (BODY + 1)).headers)


def test_rates_are_limited(shared: Floor) -> None:
    clock = [0.0]
    frame = another(shared, rates=Rates(lambda: clock[0]))
    visitor = Visitor(frame, shared.page.site)
    statuses = [visitor.get("/health").status for _ in range(1300)]
    assert statuses.count(200) == 1200
    assert set(statuses) == {200, 429}
    assert visitor.ask("GET", "/health", client="10.0.0.9").status == 200
    clock[0] += 61
    assert visitor.get("/health").status == 200


def test_too_many_at_once(shared: Floor) -> None:
    frame = another(shared)
    visitor = Visitor(frame, shared.page.site)
    frame.busy = AT_ONCE
    seen = visitor.get("/health")
    assert seen.status == 503
    check_headers(seen.headers)
    assert frame.busy == AT_ONCE
    frame.busy = 0
    assert visitor.get("/health").status == 200


def test_guessing_codes_is_slowed_down(shared: Floor) -> None:
    clock = [0.0]
    frame = another(shared, rates=Rates(lambda: clock[0]))
    visitor = Visitor(frame, shared.page.site)
    statuses = [visitor.post("/api/session", {"code": f"guess-{n}"}).status for n in range(MOST_FAILURES + 5)]
    assert statuses == [401] * MOST_FAILURES + [429] * 5
    assert visitor.get("/tab").status == 200
    clock[0] += 61
    assert visitor.post("/api/session", {"code": "x"}).status == 401


def test_guessing_at_one_connection_slows_down_guessing_at_all(floor: Floor) -> None:
    connections.create(floor.office.engine, "north", 1.0)
    visitor = floor.visitor()
    paths = ["/north/api/session", "/api/session", "/default/api/session", "/nobody/api/session"]
    statuses = [visitor.post(paths[n % 3], {"code": f"guess-{n}"}).status for n in range(MOST_FAILURES)]
    assert statuses == [401] * MOST_FAILURES
    assert [visitor.post(path, {"code": "x"}).status for path in paths] == [429] * 4


@pytest.mark.parametrize("path", ["/tab", *DOORS])
def test_an_unexpected_error_tells_nothing_but_a_number(
    shared: Floor, path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from dataclasses import replace

    from app.web import application

    def broken(*args: Any, **more: Any) -> Any:
        raise RuntimeError("both@birchmail.test and " + KEYS[0])

    monkeypatch.setattr(application, "_shell", broken)
    if path in DOORS:
        monkeypatch.setitem(application.DOORS, path, replace(DOORS[path], purpose=None, handler=broken))
        monkeypatch.setattr(DOORS[path].model, "model_validate_json", lambda body: None)
        seen = shared.visitor().post(path)
    else:
        seen = shared.visitor().get(path)
    assert seen.status == 500
    check_headers(seen.headers)
    for secret in ("Traceback", "RuntimeError", "birchmail", KEYS[0], ".py"):
        assert secret not in seen.text
    number = next(word for word in seen.text.replace("<", " ").split() if len(word) == 8 and word.isalnum())
    assert number in caplog.text


def test_pages_say_nothing_about_anybody(shared: Floor) -> None:
    for path in ("/", "/tab"):
        text = shared.visitor().get(path).text
        assert "birchmail" not in text
        assert "style=" not in text
        assert "onclick" not in text
        assert text.count("<script") == 1
        assert "https://" not in text
        assert "http://" not in text


def test_a_post_from_our_page_works(shared: Floor) -> None:
    """The rest of these tests would pass on a page that refuses everything."""
    visitor = shared.visitor().administrate()
    assert visitor.post("/api/setup/runs").status == 200
    assert visitor.post("/api/setup/runs", origin=None).status == 200
    assert visitor.post("/api/setup/runs", sec_fetch_site=None, origin=ORIGIN).status == 200
    assert json.loads(visitor.post("/api/renew").text)["token"]
