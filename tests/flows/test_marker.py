"""One ``serve`` per HOME_DIR, found by its marker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from domain.errors import Incomplete
from flows import marker

HOLD = """
import pathlib, sys
from flows import marker
with marker.alone(pathlib.Path(sys.argv[1])):
    print("mine", flush=True)
    sys.stdin.read()
"""


def test_a_second_one_is_told_who_serves(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == b"mine\n"
        marker.write(tmp_path, api="http://127.0.0.1:9/api")
        with (
            pytest.raises(Incomplete, match=f"runs already for {tmp_path}, process {os.getpid()}"),
            marker.alone(tmp_path),
        ):
            pass
        assert (tmp_path / "serve.json").exists()  # a refused one leaves the other's marker alone
        other.kill()
    with marker.alone(tmp_path):  # the lock of a killed process is free
        pass


def test_the_marker_is_private_and_goes_with_its_process(tmp_path: Path) -> None:
    with marker.alone(tmp_path):
        marker.write(tmp_path, api="http://127.0.0.1:9/api", url="http://127.0.0.1:9")
        found = json.loads((tmp_path / "serve.json").read_text())
        assert found == {"pid": os.getpid(), "api": "http://127.0.0.1:9/api", "url": "http://127.0.0.1:9"}
        assert (tmp_path / "serve.json").stat().st_mode & 0o077 == 0
    assert not (tmp_path / "serve.json").exists()
