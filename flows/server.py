"""A Prefect server of this machine as a child process; it ends with us, however we end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

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


class PrefectServer:
    """Started at once, in the background; ``wait`` until it answers. A context manager, or call ``close``.

    ``environment``: of the child, as ``flows.launch.at_home`` leaves it in ``os.environ`` (PREFECT_HOME is where its
    database is). Port 0 takes a free one; Misconfigured when another one is in use.
    """

    def __init__(self, log_file: Path, port: int = 0, environment: Mapping[str, str] | None = None) -> None:
        if port and not _is_free(port):
            raise Misconfigured(f"port {port} is in use", remedy="choose another one, or stop what uses it")
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.api = f"{self.url}/api"
        self.log_file = log_file
        log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        with log_file.open("ab") as log:
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

    def wait(self, seconds: float = READY) -> None:
        """Return once it answers; Incomplete when it ends before, or takes longer."""
        until = time.monotonic() + seconds
        with requests.Session() as http:
            http.trust_env = False
            while time.monotonic() < until:
                if self._child.poll() is not None:
                    raise Incomplete("the Prefect server did not start", remedy=f"its log is {self.log_file}")
                try:
                    if http.get(f"{self.api}/health", timeout=2).status_code == 200:
                        return
                except requests.RequestException:
                    time.sleep(0.1)
        raise Incomplete("the Prefect server takes too long to start", remedy=f"its log is {self.log_file}")

    def close(self) -> None:
        """End it, by its own process id, and wait until it is gone."""
        if self._child.stdin is not None and not self._child.stdin.closed:
            self._child.stdin.close()
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(GOODBYE)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()

    def __enter__(self) -> PrefectServer:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
