"""The demo as a stranger starts it, with fewer people: everything comes out as promised and nothing is left running."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.mailchimp.account import API_KEY

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]

DEMO = "import sys; from app.demo import run; sys.exit(run(people=200, as_json={as_json}))"


def demo(folder: Path, *, as_json: bool = False, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MAXCHIMP_"))}
    return subprocess.run(
        [sys.executable, "-c", DEMO.format(as_json=as_json)],
        capture_output=True,
        text=True,
        timeout=300,
        env=given | {"MAXCHIMP_HOME_DIR": str(folder), **environment},
        check=False,
    )


def test_everything_comes_out_as_promised(tmp_path: Path) -> None:
    """Whatever the user has configured for real work is left alone."""
    done = demo(
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
    assert not (tmp_path / "real").exists()
    for secret in (API_KEY, "sandbox-password", "real-token"):
        assert secret not in done.stdout + done.stderr
    ports = {int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", done.stdout)} - {4200}
    assert len(ports) == 3
    assert [port for port in ports if _listens(port)] == []


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_json_is_one_document(tmp_path: Path) -> None:
    done = demo(tmp_path, as_json=True)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["ok"] is True
    assert told["promises"]["broken"] == []
    assert [run["state"] for run in told["runs"]] == ["planned", "done", "done", "done"]
    assert told["runs"][-1]["writes"] == {"mailchimp": 0, "maximizer": 0}
    assert Path(told["places"]["store"]).is_file()
