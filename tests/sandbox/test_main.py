import signal
import socket
import subprocess
import sys

import pytest
import requests

from sandbox.main import run

START = "from sandbox.main import run; run(people=4, seed=1, profile={profile!r})"


@pytest.mark.parametrize(("profile", "secret"), [("on-premise", "PASSWORD"), ("cloud", "TOKEN")])
def test_runs_until_stopped(profile: str, secret: str) -> None:
    command = [sys.executable, "-c", START.format(profile=profile)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().strip() for _ in range(8)]
            values = dict(line.split("=", 1) for line in lines[:7])
            assert lines[7].startswith("# list ")
            assert f"MAXCHIMP_MAXIMIZER_{secret}" in values
            auth = ("x", values["MAXCHIMP_MAILCHIMP_API_KEY"])
            lists = requests.get(f"{values['MAXCHIMP_MAILCHIMP_URL']}/lists", auth=auth, timeout=60).json()
            assert lists["lists"][0]["id"] in lines[7]
            crm = values["MAXCHIMP_MAXIMIZER_URL"].partition("/M")[0].partition("/octopus")[0]
            assert requests.get(f"{crm}/_sandbox/state", timeout=60).json()["entries"]
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_bad_faults_are_refused_before_anything_starts() -> None:
    with pytest.raises(ValueError, match="kinds"):
        run(faults="mailchimp:nonsense=1")


def test_taken_port_is_reported() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError):
            run(port=taken.getsockname()[1], people=1)
