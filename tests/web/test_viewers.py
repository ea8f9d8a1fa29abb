"""Who may see what: Maximizer confirms who looks and which entries they may read (S6); set-up is for administrators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from floor import Floor
from harness import Office
from visitor import page

from sandbox.web import Response


@pytest.mark.parametrize(
    ("user", "entry", "expected"),
    [("ADA", "both", 200), ("BOB", "both", 403), ("ADA", "gone", 403), ("BOB", "gone", 200)],
)
def test_two_viewers_and_two_entries(shared: Floor, user: str, entry: str, expected: int) -> None:
    visitor = shared.visitor()
    seen = visitor.launch(user, shared.keys[entry])
    assert seen.status == expected
    told = visitor.post("/api/tab")
    assert told.status == (200 if expected == 200 else 401)
    assert (f"{entry}@birchmail.test" in told.text) is (expected == 200)
    if expected == 403:
        assert "may not read it" in seen.text
        assert "birchmail" not in seen.text


def test_a_key_of_somebody_elses_session_opens_nothing_more(shared: Floor) -> None:
    """BOB hands in the key that ADA's session has for an entry that he may not read."""
    _, key = shared.page.handed("ADA", shared.keys["both"])
    token, _ = shared.page.handed("BOB", shared.keys["gone"])
    plain = shared.office.maximizer.api_key(shared.keys["both"])
    for tried in (key, plain, f'KEY("{plain}")'):
        assert shared.visitor().post("/api/launch", {"key": tried, "token": token}).status == 403
    token, _ = shared.page.handed("ADA", shared.keys["both"])
    for right in (plain, f'KEY("{plain}")'):
        visitor = shared.visitor()
        assert visitor.enter(visitor.post("/api/launch", {"key": right, "token": token})).status == 200


def test_the_entry_of_a_token_cannot_be_chosen(shared: Floor) -> None:
    visitor = shared.visitor()
    visitor.launch("ADA", shared.keys["both"])
    for body in ({"entry": "x#0"}, {"key": "x"}, {"entry_id": "#".join(map(str, shared.keys["gone"]))}):
        assert visitor.post("/api/tab", body).status == 400


@pytest.mark.parametrize("token", ["", "x", "x" * 2001, "a\r\nX-Evil: 1", "ü", "Bearer x"])
def test_tokens_that_maximizer_does_not_know(shared: Floor, token: str) -> None:
    _, key = shared.page.handed("ADA", shared.keys["both"])
    seen = shared.visitor().post("/api/launch", {"key": key, "token": token})
    assert seen.status in (400, 401, 422)
    assert "code" not in seen.text[:20]


@pytest.mark.parametrize(
    "key", ["", "x", "=" * 900, "KEY()", "Q29udGFjdAl4CTE=", "\u0000", "Q29udGFjdAl4CTk5OTk5OTk5OTk5OTk="]
)
def test_keys_of_nothing(shared: Floor, key: str) -> None:
    token, _ = shared.page.handed("ADA", shared.keys["both"])
    assert shared.visitor().post("/api/launch", {"key": key, "token": token}).status == 403


def test_an_expired_token_of_maximizer(floor: Floor) -> None:
    token, key = floor.page.handed("ADA", floor.keys["both"])
    floor.office.maximizer.expire_tokens()
    assert floor.visitor().post("/api/launch", {"key": key, "token": token}).status == 401


def test_signing_in_with_a_password(shared: Floor) -> None:
    """Where Maximizer hands over no token, a viewer signs in with their own user; their rights hold all the same."""
    plain = shared.office.maximizer.api_key(shared.keys["both"])
    visitor = shared.visitor()
    good = {"key": plain, "user": "ada", "password": "password-ADA"}
    assert visitor.enter(visitor.post("/api/launch", good)).status == 200
    assert "both@birchmail.test" in visitor.post("/api/tab").text
    assert shared.visitor().post("/api/launch", good | {"password": "wrong"}).status == 401
    assert shared.visitor().post("/api/launch", {"key": plain, "user": "ADA"}).status == 401
    bob = {"key": plain, "user": "BOB", "password": "password-BOB"}
    assert shared.visitor().post("/api/launch", bob).status == 403


def test_r43_r48_the_wrong_address_book(floor: Floor) -> None:
    site = floor.page.site
    site.settings = site.settings.model_copy(update={"maximizer_database": "Elsewhere"})
    seen = floor.visitor().launch("ADA", floor.keys["both"])
    assert seen.status == 403
    assert "wrong Address Book" in seen.text
    assert "Elsewhere" in seen.text


def test_a_server_that_does_not_say_who_it_is_opens_nothing(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is assumed: neither the configured Address Book nor the configured user."""
    service: Any = floor.office.maximizer
    handle = service.handle

    def silent(request: Any) -> Response:
        if request.path.endswith("GetSessionInfo"):
            return Response(
                200, b'{"Code":0,"Data":{"AddressBook":{},"User":{}}}', {"Content-Type": "application/json"}
            )
        answer: Response = handle(request)
        return answer

    monkeypatch.setattr(service, "handle", silent)
    assert floor.visitor().launch("ADA", floor.keys["both"]).status == 502


def test_only_the_configured_server_is_asked(shared: Floor) -> None:
    """Addresses that stand in the launch are refused as fields, and called by nobody."""
    token, key = shared.page.handed("ADA", shared.keys["both"])
    for name in ("WebAPIURL", "GetTokenURL", "url", "server"):
        body = {"key": key, "token": token, name: "https://evil.example/octopus"}
        assert shared.visitor().post("/api/launch", body).status == 400


def test_set_up_is_for_administrators(floor: Floor) -> None:
    ada, bob = floor.visitor(), floor.visitor()
    ada.launch("ADA", floor.keys["both"])
    bob.launch("BOB", floor.keys["gone"])
    assert "Maximizer Connect Setup" in ada.post("/api/tab").text
    assert "Maximizer Connect Setup" not in bob.post("/api/tab").text
    refused = bob.post("/api/setup/open")
    assert refused.status == 409
    assert "administrators" in refused.text
    ada.token = ada.post("/api/setup/open").json["token"]
    assert ada.post("/api/setup/runs").status == 200


def test_an_administrator_no_longer_named_does_not_get_in(floor: Floor) -> None:
    ada = floor.visitor()
    ada.launch("ADA", floor.keys["both"])
    floor.page.site.settings = floor.page.site.settings.model_copy(update={"administrators": ""})
    assert ada.post("/api/setup/open").status == 409


def test_the_launch_makes_three_requests(shared: Floor) -> None:
    door = shared.office.doors["maximizer"]
    before = len(door.calls)
    shared.visitor().launch("ADA", shared.keys["both"])
    names = sorted(call.operation for call in door.calls[before:])
    assert names == ["AbEntryRead", "GetSessionInfo", "TokenValid"]


@pytest.mark.parametrize(
    ("profile", "quirks"),
    [("cloud", ()), ("on-premise", ("schema-0x", "per-object", "no-bearer", "no-drivers")),
     ("on-premise", ("keys-stable", "msg-objects"))],
)  # fmt: skip
def test_launches_on_servers_of_every_kind(tmp_path: Path, profile: str, quirks: tuple[str, ...]) -> None:
    office = Office(f"sqlite:///{tmp_path / 'maxchimp.db'}", profile=profile, quirks=quirks)
    seen, hidden = office.add("Both", "Reed", "both@birchmail.test"), office.add("Hid", "Den", "hid@birchmail.test")
    office.maximizer.add_viewer("ADA", "password-ADA")
    office.maximizer.hide_from("ADA", [hidden])
    visitor = page(office)
    assert visitor.launch("ADA", seen).status == 200
    assert "both@birchmail.test" in visitor.post("/api/tab").text
    assert visitor.launch("ADA", hidden).status == 403
    office.engine.dispose()
