"""A Prefect server that is away, is none, or does not know us: exit codes and words, before anything is read."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from town import Town

from domain.errors import Incomplete, MaxchimpError, Misconfigured
from flows.asked import Asked
from flows.deploy import deploy
from flows.launch import launch

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]


@contextmanager
def answering(answer: Callable[[str], tuple[int, str, str]]) -> Iterator[str]:
    """A server of this machine: path to status, content type and body; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()
        thread.join()


def told(town: Town, kind: type[MaxchimpError]) -> MaxchimpError:
    """What a sync and a deployment end with, both with the same words; neither side was asked."""
    town.add(1)
    calls = [len(door.calls) for door in town.doors.values()]
    with pytest.raises(kind) as caught:
        launch("default", Asked(yes=True), settings=town.settings)
    with pytest.raises(kind, match=caught.value.message[:40]):
        deploy(town.settings, town.engine, pool="maxchimp")
    assert [len(door.calls) for door in town.doors.values()] == calls
    assert town.runs() == []
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    "api",
    ["foo", " ", "http://", "ftp://prefect.test/api", "http://127.0.0.1:99999/api", "http://[/api", "127.0.0.1:4200"],
)
def test_an_address_that_is_none(town: Town, monkeypatch: pytest.MonkeyPatch, api: str) -> None:
    monkeypatch.setenv("PREFECT_API_URL", api)
    assert told(town, Misconfigured).message == "PREFECT_API_URL is not a web address"


def test_a_server_that_is_away(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://ann:s3cret@127.0.0.1:1/api?key=s3cret")
    error = told(town, Incomplete)
    assert "named by PREFECT_API_URL does not answer: 127.0.0.1:1: " in error.message
    assert "s3cret" not in error.message + error.remedy


@pytest.mark.parametrize(
    ("status", "kind", "body", "expected", "words"),
    [
        (200, "text/html", "<html>a page</html>", Misconfigured, "no Prefect API"),
        (404, "application/json", "{}", Misconfigured, "no Prefect API"),
        (302, "text/html", "", Misconfigured, "no Prefect API"),
        (503, "text/html", "busy", Incomplete, "does not answer"),
    ],
)
def test_something_else_that_answers(
    town: Town, monkeypatch: pytest.MonkeyPatch, status: int, kind: str, body: str, expected: Any, words: str
) -> None:
    with answering(lambda path: (status, kind, body)) as api:
        monkeypatch.setenv("PREFECT_API_URL", api)
        assert words in told(town, expected).message


@pytest.mark.parametrize("password", ["", "maxchimp:s3cret"])
def test_a_password_that_is_missing_or_wrong(town: Town, monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    """As Prefect's server does with PREFECT_SERVER_API_AUTH_STRING: only its health is told to everybody."""

    def answer(path: str) -> tuple[int, str, str]:
        known = path.endswith("/health")
        said = True if known else {"exception_message": "Unauthorized"}
        return 200 if known else 401, "application/json", json.dumps(said)

    with answering(answer) as api:
        monkeypatch.setenv("PREFECT_API_URL", api)
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", password)
        error = told(town, Misconfigured)
    assert "refuses PREFECT_API_AUTH_STRING" in error.message
    assert "s3cret" not in error.message + error.remedy


def test_a_work_pool_needs_a_name(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    for pool in ("a/b", "%", " ", "x" * 101):
        with pytest.raises(Misconfigured, match="work pool"):
            deploy(town.settings, town.engine, pool=pool)
