"""One page, many connections: each has paths, tokens, frame, secrets and jobs of its own (R5; hazards S1, S4, S5, S13).

Two connections on two sandboxes, over real HTTP.
"""

from __future__ import annotations

import html
import logging
import re
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import requests
from cryptography.fernet import Fernet
from quarter import NAMES, Client, Quarter, quarter

from app.web.application import DOORS
from app.web.frame import origin_of
from clients.redact import Redact
from flows import kept, launch
from flows.asked import Asked
from flows.cycle import Cycle
from flows.launch import opened
from flows.settings import load_settings
from storage import connections, credentials
from storage.engine import begin

WAY_IN = [path for path, door in DOORS.items() if door.purpose is None]
INSIDE = {path: door.purpose for path, door in DOORS.items() if door.purpose is not None}
BASES = ("", "/default", "/north")


def owner(base: str) -> str:
    return base.removeprefix("/") or "default"


def words(seen: requests.Response) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", seen.text)))


def framed(seen: requests.Response) -> str:
    return seen.headers["Content-Security-Policy"].rpartition("frame-ancestors ")[2]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quarter]:
    """For tests that only look. Both are synchronised."""
    patch = pytest.MonkeyPatch()
    patch.setattr(launch, "Cycle", partial(Cycle, judge=False))  # the checks' library takes seconds to start
    with quarter(tmp_path_factory.mktemp("quarter"), patch, MAXCHIMP_ADMINISTRATORS="ADA") as made:
        for name, town in made.towns.items():
            with opened(name, Asked(yes=True), load_settings(name)) as cycle:
                cycle.tell()
            town.later()
        yield made
    patch.undo()


@pytest.fixture
def moving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Quarter]:
    """For tests that change something. Nothing is synchronised."""
    monkeypatch.setattr(launch, "Cycle", partial(Cycle, judge=False))
    with quarter(tmp_path, monkeypatch, people=2, MAXCHIMP_ADMINISTRATORS="ADA") as made:
        yield made


# ---------------------------------------------------------------- who sees what


@pytest.mark.parametrize("base", BASES)
def test_each_connection_has_a_tab_and_a_set_up(shared: Quarter, base: str) -> None:
    name = owner(base)
    for path in ("/tab", "/setup"):
        seen = shared.visitor(base.removeprefix("/")).get(path)
        assert seen.status_code == 200
        assert f'data-base="{base}"' in seen.text
    viewer = shared.viewer(name)
    viewer.base = base
    contact_id = shared.towns[name].world.pairs[0][0]
    assert shared.towns[name].mailchimp.member(contact_id)["email_address"] in words(viewer.post("/api/tab"))
    told = words(shared.administrator(name).post("/api/setup/configuration"))
    assert shared.towns[name].maximizer.database.name in told


@pytest.mark.parametrize("base", BASES)
def test_s1_each_path_is_framed_by_its_own_crm_alone(shared: Quarter, base: str) -> None:
    """Errors too; asked for in the order in which nobody has been there before."""
    expected = origin_of(shared.towns[owner(base)].settings.maximizer_web_url)
    assert expected.startswith("http://127.0.0.1:")
    client = Client(shared.page.url, base)
    for path in ("/tab", "/setup"):
        for method in ("PUT", "GET", "HEAD", "POST"):
            assert framed(client.ask(method, path)) == expected
    for path in DOORS:
        assert framed(client.ask("POST", path)) == expected
        assert framed(client.ask("POST", path, Origin="https://evil.example")) == expected
        assert framed(client.ask("PUT", path)) == expected
        assert framed(client.ask("POST", path, **{"Content-Type": "text/plain"})) == expected
    assert len({origin_of(town.settings.maximizer_web_url) for town in shared.towns.values()}) == 2


@pytest.mark.parametrize("path", INSIDE)
@pytest.mark.parametrize("base", BASES)
def test_s4_a_token_of_another_connection_opens_nothing(shared: Quarter, base: str, path: str) -> None:
    stranger = next(name for name in NAMES if name != owner(base))
    before = shared.calls()
    for token in tokens(shared, stranger):
        seen = Client(shared.page.url, base, token).post(path)
        assert seen.status_code == 403
        assert framed(seen) == origin_of(shared.towns[owner(base)].settings.maximizer_web_url)
    assert shared.calls() == before


def tokens(shared: Quarter, name: str) -> list[str]:
    """One for the tab and one for set-up, as good as any."""
    site = shared.page.site
    found = connections.find(site.engine, name)
    assert found is not None
    made = [
        site.tokens.begun("tab", name, "ADA", "x#0", admin=True, born=found.created_at),
        site.tokens.begun("setup", name, "ADA", admin=True, born=found.created_at),
    ]
    return [site.tokens.token(given) for given in made]


def test_the_same_tokens_are_good_where_they_belong(shared: Quarter) -> None:
    """The test above would pass on a page that refuses everybody."""
    for name in NAMES:
        tab, setup = tokens(shared, name)
        assert shared.visitor(name, tab).post("/api/tab/next").status_code == 200
        assert shared.visitor(name, setup).post("/api/setup/runs").status_code == 200


def test_s6_each_maximizer_lets_in_its_own_viewers(shared: Quarter) -> None:
    """A token of one Maximizer, at the page of the other connection."""
    for name, other in zip(NAMES, reversed(NAMES), strict=True):
        assert shared.visitor(name).post("/api/launch", shared.handed(name, "ADA", 0)).status_code == 200
        seen = shared.visitor(other).post("/api/launch", shared.handed(name, "ADA", 0))
        assert seen.status_code in (401, 403)
        assert "code" not in seen.text[:20]


def test_s5_a_code_of_another_connection_is_refused_and_stays_good(shared: Quarter) -> None:
    code = shared.code("north")
    for base in ("", "default"):
        assert shared.visitor(base).post("/api/session", {"code": code}).status_code == 403
    told = shared.visitor("north").post("/api/session", {"code": code})
    assert (told.status_code, told.json()["purpose"], told.json()["connection"]) == (200, "setup", "north")
    assert shared.visitor("north").post("/api/session", {"code": code}).status_code == 401


# ---------------------------------------------------------------- which names there are


def test_an_unknown_name_looks_like_any_address_that_is_none(shared: Quarter) -> None:
    paths = ["/nobody/tab", "/nobody/setup", "/nobody/", "/NORTH/tab", "/north/", "/north",
             "/north/tab/", "/north/nowhere", "//north/tab", "/north//tab", "/north/static/app.js", "/north/health",
             "/-north/tab", "/n%00rth/tab", "/%2e%2e/tab", "/north%0a/tab", f"/{'n' * 101}/tab", "/n%C3%B6rth/tab",
             "/north%20/tab", "/north;x/tab", "/../north/tab", "/<script>/tab", "/'or'1'='1/tab"]  # fmt: skip
    nowhere = shared.visitor().get("/nowhere")
    assert nowhere.status_code == 404
    for path in paths:
        assert alike(shared.visitor().get(path), nowhere), path
    assert alike(shared.visitor().get("/nobody/api/tab"), shared.visitor().get("/api/nowhere"))
    nowhere = shared.visitor().post("/api/nowhere")
    for path in ("/nobody/api/tab", "/nobody/api/session", "/nobody/api/setup/runs", "/north/api/nowhere"):
        assert alike(shared.visitor().post(path), nowhere), path


def alike(one: requests.Response, other: requests.Response) -> bool:
    return (one.status_code, one.content, one.headers) == (other.status_code, other.content, other.headers)


def test_names_are_shown_to_administrators_alone(shared: Quarter) -> None:
    told = shared.administrator("default").post("/api/setup/connections")
    assert 'href="/north/setup" target="_blank" rel="noopener noreferrer"' in told.text
    assert f"{shared.page.url}/north/tab" in told.text
    assert "this one" in told.text
    assert shared.visitor().post("/api/setup/connections").status_code == 401
    viewer = shared.viewer("default", "BOB")
    assert viewer.post("/api/setup/connections").status_code == 401
    assert viewer.post("/api/setup/open").status_code == 409
    seen = [shared.visitor().get(path) for path in ("/", "/tab", "/setup", "/nowhere", "/north/nowhere")]
    seen += [
        viewer.post(path) for path in ("/api/tab", "/api/tab/more", "/api/tab/fields", "/api/tab/next", "/api/nowhere")
    ]
    assert not [one.url for one in seen if "north" in one.text]


def test_an_administrator_sees_what_they_administer(shared: Quarter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each Address Book has users of its own: MAXCHIMP_NORTH__ADMINISTRATORS names those of north."""
    ada = shared.viewer("default", "ADA")
    ada.token = ada.post("/api/setup/open").json()["token"]
    assert "/north/setup" in ada.post("/api/setup/connections").text
    monkeypatch.setenv("MAXCHIMP_NORTH__ADMINISTRATORS", "BOB")
    told = ada.post("/api/setup/connections").text
    assert "default" in told
    assert "north" not in told
    assert "/north/setup" in shared.administrator("default").post("/api/setup/connections").text


# ---------------------------------------------------------------- cost


def test_nobody_is_asked_before_somebody_asks(moving: Quarter) -> None:
    before = moving.calls()
    setup = moving.administrator("default")
    assert "north" in setup.post("/api/setup/connections").text
    assert moving.site("north") is None
    assert moving.visitor("north").get("/tab").status_code == 200
    assert moving.visitor("north").post("/api/tab").status_code == 401
    site = moving.site("north")
    assert site is not None
    assert site._services is None
    assert moving.calls() == before


# ---------------------------------------------------------------- coming, going, changing


def test_connections_come_and_go_without_a_restart(moving: Quarter) -> None:
    engine = moving.page.site.engine
    assert moving.visitor("south").get("/tab").status_code == 404
    made = connections.create(engine, "south", 1.0)
    assert moving.visitor("south").get("/tab").status_code == 200
    south = moving.administrator("south")
    assert south.post("/api/setup/runs").status_code == 200
    assert "south" in moving.administrator("default").post("/api/setup/connections").text
    with begin(engine) as db:
        connections.remove(db, made.id)
    nowhere = moving.visitor().get("/nowhere")
    assert alike(moving.visitor("south").get("/tab"), nowhere)
    assert alike(south.post("/api/setup/runs"), moving.visitor().post("/api/nowhere"))
    assert moving.site("south") is None
    connections.create(engine, "south", 2.0)
    assert south.post("/api/setup/runs").status_code == 403  # of the one that was removed
    assert moving.administrator("south").post("/api/setup/runs").status_code == 200


def test_what_others_change_is_taken_up(moving: Quarter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another Web Access address in ``.env``, another list by the command line; for the first connection too."""
    for name in NAMES:
        setup = moving.administrator(name)
        assert setup.post("/api/setup/lists").status_code == 200
        site = moving.site(name)
        assert site is not None
        clients = site.services
        start = "MAXCHIMP_" if name == "default" else "MAXCHIMP_NORTH__"
        monkeypatch.delenv(f"{start}MAXIMIZER_WEB_URL")
        with open(moving.folder / ".env", "a") as file:
            file.write(f"{start}MAXIMIZER_WEB_URL=https://{name}.example/MaximizerWebAccess\n")
        assert framed(setup.get("/tab")) == f"https://{name}.example"
        assert site.services is not clients
        clients = site.services
        other = moving.towns[name].mailchimp.add_list("Another Letter")
        found = connections.find(site.engine, name)
        assert found is not None
        connections.update(site.engine, found.id, list_id=other, list_name="Another Letter")
        assert "Another Letter" in words(setup.post("/api/setup/configuration"))
        assert site.services is not clients


def test_a_login_link_is_good_also_after_the_keys_have_changed(moving: Quarter) -> None:
    """Another process signs with a new key as soon as the old one is a month old; the page goes on running."""
    engine = moving.page.site.engine
    before = credentials.signing_keys(engine)
    assert credentials.signing_keys(engine, time.time() + credentials.ROTATION + 1) != before
    for name in NAMES:
        assert moving.administrator(name).post("/api/setup/runs").status_code == 200


def test_one_that_cannot_be_read_breaks_nobody_else(moving: Quarter) -> None:
    moving.broken.add("north")
    setup = moving.administrator("default")
    for seen in (moving.visitor("north").get("/tab"), moving.visitor("north").post("/api/launch", {"key": "x"})):
        assert seen.status_code == 422
        assert "settings of this connection cannot be read" in words(seen)
        assert "secret of" not in seen.text
        assert framed(seen) == "'none'"
    assert "settings of this connection cannot be read" in words(setup.post("/api/setup/connections"))
    assert moving.viewer("default").post("/api/tab").status_code == 200
    moving.broken.clear()
    assert moving.visitor("north").get("/tab").status_code == 200
    assert moving.viewer("north").post("/api/tab").status_code == 200


def test_one_that_can_no_longer_be_read_says_so(moving: Quarter) -> None:
    """Also the first one: the page goes on for the others, and comes back by itself."""
    before = {name: framed(moving.visitor(name).get("/tab")) for name in NAMES}
    for name, other in zip(NAMES, reversed(NAMES), strict=True):
        setup, beside = moving.administrator(name), moving.administrator(other)
        moving.broken.add(name)
        found = connections.find(moving.page.site.engine, name)
        assert found is not None
        connections.update(moving.page.site.engine, found.id, account_id="another")
        seen = setup.post("/api/setup/runs")
        assert (seen.status_code, framed(seen)) == (422, before[name])
        assert "cannot be read" in words(seen)
        assert beside.post("/api/setup/runs").status_code == 200
        moving.broken.clear()
        assert setup.post("/api/setup/runs").status_code == 200


def test_one_that_is_not_set_up_yet_says_so(moving: Quarter) -> None:
    connections.create(moving.page.site.engine, "south", 1.0)
    south, viewer = moving.administrator("south"), moving.visitor("south")
    # Without settings of its own it goes by the plain ones.
    code = viewer.post("/api/launch", moving.handed("default", "ADA", 0)).json()["code"]
    viewer.token = viewer.post("/api/session", {"code": code}).json()["token"]
    assert "No Mailchimp list is selected yet" in words(viewer.post("/api/tab"))
    assert "Create what is missing" in words(south.post("/api/setup/connection"))
    assert moving.viewer("north").post("/api/tab").status_code == 200


# ---------------------------------------------------------------- work


def test_a_plan_is_made_for_the_connection_whose_page_asked(moving: Quarter) -> None:
    """Both at the same time; each page tells of its own one alone."""
    setups = {name: moving.administrator(name) for name in NAMES}
    moving.towns["north"].add(3)
    before = [town.writes() for town in moving.towns.values()]
    for setup in setups.values():
        assert setup.post("/api/setup/plan", {"full": True}).status_code == 200
    for name, setup in setups.items():
        site = moving.site(name)
        assert site is not None
        site.jobs.wait(120)
        (run,) = moving.towns[name].runs()
        assert (run.kind, run.state) == ("plan", "planned")
        assert f"Plan {run.id}" in words(setup.post("/api/setup/job"))
    mine, theirs = (moving.towns[name].runs()[0].id for name in NAMES)
    assert "no run" in words(setups["default"].post("/api/setup/runs/one", {"id": theirs}))
    assert f"Run {mine}" in words(setups["default"].post("/api/setup/runs/one", {"id": mine}))
    site = moving.site("default")
    assert site is not None
    setups["default"].post("/api/setup/apply", {"plan": theirs, "confirm": "SYNC"})
    site.jobs.wait(120)
    assert f"no plan {theirs} of this connection" in words(setups["default"].post("/api/setup/job"))
    assert [town.writes() for town in moving.towns.values()] == before


def test_a_page_that_ends_lets_every_job_finish(moving: Quarter) -> None:
    moving.administrator("north")
    site = moving.site("north")
    assert site is not None
    begun, ended = threading.Event(), threading.Event()

    def work(progress: object, stop: threading.Event) -> dict[str, object]:
        begun.set()
        assert stop.wait(60)
        ended.set()
        return {"kind": "sync", "state": "done"}

    site.jobs.start("the sync", "tests", work)
    assert begun.wait(60)
    moving.sites.close()
    assert ended.is_set()


# ---------------------------------------------------------------- secrets


def test_what_is_typed_is_kept_for_the_connection_whose_page_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Fernet.generate_key().decode()
    with quarter(tmp_path, monkeypatch, people=0, setup=False, MAXCHIMP_SECRET_KEY=key) as made:
        connections.create(made.page.site.engine, "north", 1.0)
        made.towns["north"].mailchimp.api_key = "fedcba9876543210fedcba9876543210-us6"
        for name, town in made.towns.items():
            setup = made.administrator(name)
            told = setup.post("/api/setup/connection/key", {"mailchimp_api_key": town.mailchimp.api_key})
            assert told.status_code == 200, words(told)
            fields = (
                "maximizer_url",
                "maximizer_web_url",
                "maximizer_database",
                "maximizer_user",
                "maximizer_password",
            )
            told = setup.post(
                "/api/setup/connection/server", {field: kept.text_of(town.settings, field) for field in fields}
            )
            assert "Signed in." in words(told)
            assert "Set up." in words(setup.post("/api/setup/connection/make"))
        for name, town in made.towns.items():
            stored = load_settings(name)
            assert stored.mailchimp_api_key.get_secret_value() == town.mailchimp.api_key
            assert stored.maximizer_url == town.settings.maximizer_url
            assert framed(made.visitor(name).get("/tab")) == origin_of(town.settings.maximizer_web_url)
            found = connections.find(made.page.site.engine, name)
            assert found is not None
            assert found.list_id == town.world.list_id


def test_secrets_of_every_connection_are_masked_in_the_log(moving: Quarter, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log was opened with those of the first connection."""
    monkeypatch.setenv("MAXCHIMP_NORTH__MAXIMIZER_PASSWORD", "spoken-aloud")
    mask = Redact(load_settings("default").secrets())
    handler = logging.NullHandler()
    handler.addFilter(mask)
    logging.getLogger().addHandler(handler)
    try:
        assert "spoken-aloud" in mask.clean("it was spoken-aloud")
        assert moving.visitor("north").get("/tab").status_code == 200
        assert "spoken-aloud" not in mask.clean("it was spoken-aloud")
    finally:
        logging.getLogger().removeHandler(handler)


def test_the_variable_that_decides_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain one is of all connections; one with the name of a connection is of it alone."""
    key = Fernet.generate_key().decode()
    with quarter(tmp_path, monkeypatch, people=0, MAXCHIMP_SECRET_KEY=key) as made:
        told = words(made.administrator("north").post("/api/setup/connection"))
        assert "MAXCHIMP_NORTH__MAXIMIZER_URL" in told
        assert "MAXCHIMP_MAXIMIZER_URL" not in told
        assert "MAXCHIMP_MAXIMIZER_URL" in words(made.administrator("default").post("/api/setup/connection"))
        connections.create(made.page.site.engine, "south", 1.0)
        south = made.administrator("south")
        told = words(south.post("/api/setup/connection/key", {"mailchimp_api_key": "0" * 32 + "-us6"}))
        assert "MAXCHIMP_MAILCHIMP_API_KEY" in told
        assert "MAXCHIMP_SOUTH__MAILCHIMP_API_KEY" in told


def test_paths_without_a_name_are_of_the_connection_it_was_started_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with quarter(tmp_path, monkeypatch, people=0, start="north") as made:
        setup = made.administrator("north")
        setup.base = ""
        assert setup.post("/api/setup/runs").status_code == 200
        assert framed(setup.get("/tab")) == origin_of(made.towns["north"].settings.maximizer_web_url)
        assert made.administrator("default").post("/api/setup/runs").status_code == 200
        setup.token = made.administrator("default").token
        assert setup.post("/api/setup/runs").status_code == 403


def test_a_connection_may_be_called_as_a_path_is(moving: Quarter, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("api", "tab", "static", "setup", "health"):
        connections.create(moving.page.site.engine, name, 1.0)
        monkeypatch.setenv(f"MAXCHIMP_{name.upper()}__MAXIMIZER_WEB_URL", f"https://{name}.example/MaximizerWebAccess")
        for path in ("/tab", "/setup"):
            seen = moving.visitor(name).get(path)
            assert f'data-base="/{name}"' in seen.text
            assert framed(seen) == f"https://{name}.example"
        assert moving.administrator(name).post("/api/setup/runs").status_code == 200
        assert moving.visitor().post(f"/{name}/tab").status_code == (401 if name == "api" else 405)
    assert moving.viewer("default").post("/api/tab").status_code == 200
