"""The demo as a stranger starts it, with fewer people: everything comes out as promised and nothing is left running."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app import demo
from domain.errors import Incomplete
from sandbox.mailchimp.account import API_KEY

DEMO = "import sys; from app.demo import run; sys.exit(run(people=200))"


def started(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MAXCHIMP_"))}
    return subprocess.run(
        [sys.executable, "-c", DEMO],
        capture_output=True,
        text=True,
        timeout=300,
        env=given | {"MAXCHIMP_HOME_DIR": str(folder), **environment},
        check=False,
    )


@pytest.mark.prefect
@pytest.mark.xdist_group("prefect")
def test_everything_comes_out_as_promised(tmp_path: Path) -> None:
    """Whatever the user has configured for real work is left alone."""
    done = started(
        tmp_path,
        MAXCHIMP_DATABASE_URL="postgresql://nobody@127.0.0.1:9/real",
        MAXCHIMP_MAXIMIZER_TOKEN="real-token",
        PREFECT_HOME=str(tmp_path / "real"),
        PREFECT_API_URL="http://127.0.0.1:9/api",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "Everything came out as promised."
    kept = re.fullmatch(r"(\d+) of (\d+) promises were kept in \d+ s\.", lines[-2])
    assert kept is not None
    assert kept[1] == kept[2]
    assert int(kept[1]) >= 30
    assert "NOT SO" not in done.stdout
    assert "flow run 'sync default, run 4'" in done.stdout
    assert (tmp_path / "demo" / "maxchimp.db").is_file()
    assert (tmp_path / "demo" / "prefect" / "prefect.db").is_file()
    assert len(list((tmp_path / "demo" / "reports" / "default").glob("*/report.html"))) == 1
    assert not (tmp_path / "real").exists()
    for secret in (API_KEY, "sandbox-password", "real-token"):
        assert secret not in done.stdout + done.stderr
    ports = {int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", done.stdout)} - {4200}
    assert len(ports) == 3
    assert [port for port in ports if _listens(port)] == []


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# --- how it ends, without the world ------------------------------------------------------------------------------


class Nowhere:
    """Stands in for the world."""

    def __init__(self, *given: object) -> None:
        pass

    def __enter__(self) -> Nowhere:
        return self

    def __exit__(self, *problem: object) -> None:
        pass


def told(monkeypatch: pytest.MonkeyPatch, tell: Callable[[demo.Story], None], **more: Any) -> int:
    monkeypatch.setattr(demo, "DemoWorld", Nowhere)
    monkeypatch.setattr(demo, "_tell", lambda story, world: tell(story))
    return demo.run(**more)


def test_json_is_one_document(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(monkeypatch, lambda story: story.promise(True, "it works"), as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == {
        "ok": True,
        "promises": {"kept": 1, "broken": []},
        "runs": [],
        "places": {},
    }


def test_a_broken_promise_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def tell(story: demo.Story) -> None:
        story.promise(True, "it works")
        story.promise(False, "it is quick")

    assert told(monkeypatch, tell) == 1
    said = capsys.readouterr()
    assert "NOT SO:  it is quick" in said.out
    assert said.err == "maxchimp demo: 1 of 2 promises were not kept: it is quick\n"


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        (Incomplete("no server", remedy="look at its log"), "no server; look at its log"),
        (KeyboardInterrupt(), "stopped; nothing is left running"),
    ],
)
def test_what_ends_it_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], problem: BaseException, sentence: str
) -> None:
    def tell(story: demo.Story) -> None:
        raise problem

    assert told(monkeypatch, tell) == 1
    assert capsys.readouterr().err == f"maxchimp demo: {sentence}\n"
