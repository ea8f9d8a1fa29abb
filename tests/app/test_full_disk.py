"""A full disk: said as what it is, nothing lost, the next cycle goes on (exit code 1)."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from desk import Desk

from flows import logs, reporting
from storage import engine

FULL = Path("/dev/full")  # every write to it finds the disk full
needs_it = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


@needs_it
def test_a_log_that_cannot_be_written_stops_nothing(ready: Desk) -> None:
    log = ready.folder / "data/local/logs/maxchimp.log"
    log.unlink()
    log.symlink_to(FULL)
    told = ready.good("sync", "--yes", "--json")
    assert told.json["state"] == "done"
    assert told.err.count("cannot be written: the disk is full") == 1
    log.unlink()
    assert ready.good("sync").err == ""


@needs_it
@pytest.mark.parametrize("name", ["NUMBERS", "PAGE"])
def test_a_report_that_cannot_be_written(ready: Desk, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with monkeypatch.context() as full:
        full.setattr(reporting, name, str(FULL))
        document = ready.bad("report", "--folder", "kept", "--json", code=1).json
    assert document["error"] == "the report cannot be written to kept: the disk is full"
    assert "free some space" in document["remedy"]
    assert not (ready.folder / "kept").exists()
    ready.good("report", "--folder", "kept")


def test_a_store_that_cannot_grow(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's own "database or disk is full": it may not take another page."""
    with monkeypatch.context() as full:
        full.setattr(engine, "_PRAGMAS", (*engine._PRAGMAS, "max_page_count=1"))
        document = ready.bad("sync", "--yes", "--json", code=1).json
        assert (
            document["error" if document.get("error") else "reason"] == "the store cannot be written: the disk is full"
        )
    assert ready.good("sync", "--yes", "--json").json["state"] == "done"
    assert "there is nothing to write" in ready.good("plan", "--full").out


@needs_it
@pytest.mark.parametrize("words", [["runs", "--json"], ["fields"], ["runs", "show", "77", "--json"]])
def test_an_output_that_cannot_be_written(ready: Desk, words: list[str]) -> None:
    command = [sys.executable, "-c", "from app.cli import main; main()", *words]
    with FULL.open("w") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, env=dict(os.environ), check=False)
    assert done.returncode == (2 if "77" in words else 1)
    assert done.stderr.startswith("maxchimp: ")
    assert "77" in words or "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@needs_it
def test_a_folder_of_logs_without_room(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also what stood in a buffer when the log is closed."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/maxchimp.log").symlink_to(FULL)
    logs.open_log(tmp_path, [], verbose=False, shared=True)
    for _ in range(3):
        logging.getLogger("maxchimp.test").warning("a line")
    logs.close()
    assert capsys.readouterr().err.count("the disk is full") == 1
