"""Prefect's own programs as child processes of this one (a server, a worker); they end with us, however we end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import requests

from domain.errors import Incomplete, Misconfigured

READY, GOODBYE = 60.0, 15.0  # seconds to come up, and to leave in peace
# Our end of its standard input closes when this process dies in whatever way; then it stops as after a Ctrl-C.
_CHILD = """
import os, runpy, signal, sys, threading
def watch():
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=watch, daemon=True).start()
runpy.run_module("prefect", run_name="__main__", alter_sys=True)
"""


class Child:
    """A Prefect command (``words``) that runs from now on; a context manager, or call ``close``.

    ``environment``: as ``flows.launch.at_home`` leaves it in ``os.environ`` (PREFECT_HOME is where its files are).
    """

    def __init__(self, words: Sequence[str], log_file: Path, environment: Mapping[str, str] | None = None) -> None:
        self.log_file = log_file
        log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = ["prefect", *words]
        with os.fdopen(os.open(log_file, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600), "ab") as log:
            self._child = subprocess.Popen(  # noqa: S603  # our own interpreter and words
                [sys.executable, "-c", f"import sys; sys.argv = {command!r}\n{_CHILD}"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=dict(os.environ if environment is None else environment),
                # Its own group: a Ctrl-C at the terminal is for us, who still have something to tell it.
                start_new_session=True,
            )
        self.pid = self._child.pid

    @property
    def ended(self) -> bool:
        return self._child.poll() is not None

    def close(self, patience: float = GOODBYE) -> None:
        """End it and wait until it is gone: its input closes, then, by its own process id, with less patience.

        One signal at a time: Prefect's worker takes a second one for "at once".
        """
        if self._child.stdin is not None and not self._child.stdin.closed:
            self._child.stdin.close()
        for end in (self._child.terminate, self._child.kill):
            try:
                self._child.wait(patience)
                return
            except subprocess.TimeoutExpired:
                end()
        self._child.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()


class PrefectServer(Child):
    """A server of this machine, started at once, in the background; ``wait`` until it answers.

    Port 0 takes a free one; Misconfigured when another one is in use.
    """

    def __init__(self, log_file: Path, port: int = 0, environment: Mapping[str, str] | None = None) -> None:
        if port and not is_free(port):
            raise Misconfigured(f"port {port} is in use", remedy="choose another one, or stop what uses it")
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.api = f"{self.url}/api"
        super().__init__(
            ["server", "start", "--host", "127.0.0.1", "--port", str(self.port)], log_file, environment=environment
        )

    def wait(self, seconds: float = READY) -> None:
        """Return once it answers; Incomplete when it ends before, or takes longer."""
        until = time.monotonic() + seconds
        with requests.Session() as http:
            http.trust_env = False
            while time.monotonic() < until:
                if self.ended:
                    raise Incomplete("the Prefect server did not start", remedy=f"its log is {self.log_file}")
                try:
                    if http.get(f"{self.api}/health", timeout=2).status_code == 200:
                        return
                except requests.RequestException:
                    time.sleep(0.1)
        raise Incomplete("the Prefect server takes too long to start", remedy=f"its log is {self.log_file}")


def worker(pool: str, log_file: Path, environment: Mapping[str, str], *, at_once: int, name: str) -> Child:
    """A worker of a process work pool: takes what is due and runs each in a process of its own, so many at once."""
    words = ["worker", "start", "--pool", pool, "--type", "process", "--name", name, "--limit", str(at_once)]
    return Child(words, log_file, environment)


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
