"""Tokens and codes: short-lived, for one purpose and one entry, used once; no forged one is accepted (S3-S5)."""

from __future__ import annotations

import base64
import json

import pytest
from floor import Floor
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from visitor import KEYS, Visitor

from app.web.tokens import CODE, LIFE, LONGEST, Denied, Elsewhere, Tokens, keys
from storage import connections, credentials
from storage.engine import begin


@pytest.fixture
def visitor(shared: Floor) -> Visitor:
    made = shared.visitor()
    assert made.launch("ADA", shared.keys["both"]).status == 200
    return made


def test_a_token_lives_ten_minutes(floor: Floor) -> None:
    visitor = floor.visitor()
    visitor.launch("ADA", floor.keys["both"])
    assert visitor.post("/api/tab").status == 200
    floor.office.clock.advance(LIFE - 2)
    assert visitor.post("/api/tab").status == 200
    floor.office.clock.advance(3)
    assert visitor.post("/api/tab").status == 401


def test_a_token_flipped_anywhere_is_refused(visitor: Visitor) -> None:
    token = visitor.token
    assert visitor.post("/api/renew", authorization=f"Bearer {token}").status == 401  # of another purpose
    tokens = visitor.site.tokens
    for place in range(len(token)):
        for other in {"A", "a", "0", ".", "-", chr(ord(token[place]) ^ 1)} - {token[place]}:
            changed = token[:place] + other + token[place + 1 :]
            with pytest.raises(Denied):
                tokens.read(f"Bearer {changed}", "tab", "default")
    for changed in (token + "=", token + "A", token[:-1], "." + token, token + ".", " " + token, token.upper()):
        with pytest.raises(Denied):
            tokens.read(f"Bearer {changed}", "tab", "default")


@given(text=st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_nonsense_is_no_token(text: str) -> None:
    tokens = Tokens(KEYS, None, now=lambda: 0.0)  # type: ignore[arg-type]
    for made in (text, f"Bearer {text}", f"Bearer {text}.{text}"):
        with pytest.raises(Denied):
            tokens.read(made, "tab", "default")
    with pytest.raises(Denied):
        tokens.exchange(text, "default")


def test_another_algorithm_is_no_token(visitor: Visitor) -> None:
    claims = {
        "purpose": "setup",
        "connection": "default",
        "user": "EVE",
        "entry": "",
        "administrator": True,
        "since": 0.0,
    }
    body = base64.urlsafe_b64encode(json.dumps({**claims, "until": 9e9, "number": "1"}).encode()).decode().rstrip("=")
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    for token in (f"{head}.{body}.", f"{body}.", body, f"{head}.{body}.x"):
        assert visitor.post("/api/setup/runs", authorization=f"Bearer {token}").status == 401


def test_a_token_of_another_purpose_or_connection_is_refused(visitor: Visitor) -> None:
    site = visitor.site
    for path in ("/api/setup/runs", "/api/setup/connection", "/api/setup/apply", "/api/renew"):
        assert visitor.post(path).status == 401
    setup = Visitor(visitor.app, site).administrate()
    assert setup.post("/api/tab").status == 401
    other = site.tokens.token(site.tokens.begun("tab", "elsewhere", "ADA", "x#0"))
    assert visitor.post("/api/tab", authorization=f"Bearer {other}").status == 403
    code = site.tokens.code(site.tokens.begun("tab", "default", "ADA", "x#0"))
    assert visitor.post("/api/tab", authorization=f"Bearer {code}").status == 401  # a code is no token
    assert visitor.post("/api/session", {"code": visitor.token}).status == 401  # and a token is no code


def test_a_code_works_once_and_for_a_minute(floor: Floor) -> None:
    visitor = floor.visitor()
    token, key = floor.page.handed("ADA", floor.keys["both"])
    code = visitor.post("/api/launch", {"key": key, "token": token}).json["code"]
    assert visitor.post("/api/session", {"code": code}).status == 200
    assert visitor.post("/api/session", {"code": code}).status == 401
    late = visitor.post("/api/launch", {"key": key, "token": token}).json["code"]
    floor.office.clock.advance(CODE + 1)
    assert visitor.post("/api/session", {"code": late}).status == 401


def test_a_code_is_spent_for_every_process(floor: Floor) -> None:
    site = floor.page.site
    other = Tokens(KEYS, site.engine, now=site.now)
    code = site.tokens.code(site.tokens.begun("setup", "default", "ADA"))
    assert other.exchange(code, "default").user == "ADA"
    with pytest.raises(Denied):
        site.tokens.exchange(code, "default")


def test_a_token_is_of_the_connection_as_it_was_made(store: Engine) -> None:
    """One that was removed and made anew under the same name is another one; before the first set-up there is none."""
    tokens = Tokens(KEYS, store)
    first = tokens.token(tokens.begun("setup", "north", "ADA"))
    headers = []
    for moment in (1764412345.1234567, 1764412345.7654321):
        made = connections.create(store, "north", moment)
        given = tokens.begun("setup", "north", "ADA", born=made.created_at)
        headers.append(f"Bearer {tokens.token(given)}")
        found = connections.find(store, "north")
        assert found is not None
        assert tokens.read(headers[-1], "setup", "north", found.created_at) == given
        assert tokens.read(f"Bearer {first}", "setup", "north", found.created_at).user == "ADA"
        with begin(store) as db:
            connections.remove(db, made.id)
        with pytest.raises(Elsewhere):
            tokens.read(headers[-1], "setup", "north")
    with pytest.raises(Elsewhere):
        tokens.read(headers[0], "setup", "north", 1764412345.7654321)


def test_keys_rotate(floor: Floor) -> None:
    site = floor.page.site
    given = site.tokens.begun("tab", "default", "ADA", "x#0")
    before = Tokens(KEYS[:1], site.engine, now=site.now).token(given)
    assert site.tokens.read(f"Bearer {before}", "tab", "default") == given
    with pytest.raises(Denied):
        Tokens(KEYS[1:], site.engine, now=site.now).read(f"Bearer {before}", "tab", "default")


def test_the_stores_own_keys(store: Engine) -> None:
    day = 86400.0
    first = credentials.signing_keys(store, 0.0)
    assert credentials.signing_keys(store, 29 * day) == first
    second = credentials.signing_keys(store, 31 * day)
    assert second[0] == first[0]
    third = credentials.signing_keys(store, 62 * day)
    assert third[0] == second[1]
    assert len({*second, *third}) == 3
    assert keys(store, "")[-1] != first[-1]
    assert len(keys(store, "b,a")) == 2
    assert keys(store, "b,a")[-1] == keys(store, "b")[0]


def test_set_up_is_renewed_while_somebody_works(floor: Floor) -> None:
    visitor = floor.visitor().administrate()
    for _ in range(int(LONGEST / 500)):
        floor.office.clock.advance(500)
        visitor.token = visitor.post("/api/renew").json["token"]
    floor.office.clock.advance(500)
    assert visitor.post("/api/renew").status == 401


def test_no_token_in_any_address_or_cookie(visitor: Visitor, shared: Floor) -> None:
    """The services were asked by address, body and header; ours are in none of these."""
    seen = visitor.post("/api/tab")
    assert "set-cookie" not in seen.headers
    assert visitor.token not in seen.text
    for door in shared.office.doors.values():
        for call in door.calls:
            assert visitor.token not in f"{call.path} {call.query}"
            assert visitor.token.encode() not in call.body


def test_nothing_of_it_reaches_a_log(floor: Floor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    visitor = floor.visitor()
    token, key = floor.page.handed("ADA", floor.keys["both"])
    code = visitor.post("/api/launch", {"key": key, "token": token})
    visitor.enter(code)
    for path in ("/api/tab", "/api/tab/more", "/api/tab/fields", "/api/setup/open"):
        assert visitor.post(path).status == 200
    visitor.post("/api/launch", {"key": key, "user": "ADA", "password": "password-ADA-wrong"})
    assert "ADA opened the tab" in caplog.text
    for secret in (token, visitor.token, code.json["code"], "password-ADA-wrong", "both@birchmail.test", *KEYS):
        assert secret not in caplog.text
