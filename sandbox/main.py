"""Both simulated services on their own, until they are stopped."""

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import TextIO

from sandbox.clock import SystemClock
from sandbox.faults import Faults
from sandbox.web import Door, Server, serve
from sandbox.world import World, build_world


def run(
    port: int = 0,
    people: int = 50,
    latency_ms: float = 0.0,
    faults: str | None = None,
    seed: int = 0,
    profile: str = "on-premise",
    out: TextIO | None = None,
    as_json: bool = False,
) -> None:
    """Serves Mailchimp on `port` and Maximizer on the next one (0: free ones) until Ctrl-C or SIGTERM.

    Prints the settings to use, one per line, so that they can be read by a shell or kept as `.env`; or as JSON.
    The cloud allows 30 calls in 10 seconds, as in its smallest plan.
    Raises ValueError for a bad `faults` text or an unknown profile, OSError for a port that is taken.
    """
    plan = Faults(faults, seed)
    clock = SystemClock()
    world = build_world(seed, people, profile, clock, quirks={"rate-limit"} if profile == "cloud" else ())
    with ExitStack() as stack, _stopping() as stopped:
        doors = [Door(service, clock, plan, latency_ms=latency_ms) for service in (world.mailchimp, world.maximizer)]
        servers = [stack.enter_context(serve(door, port and port + n)) for n, door in enumerate(doors)]
        _announce(settings(world, servers[0], servers[1]), world.list_id, out or sys.stdout, as_json)
        while not stopped.wait(0.5):
            pass


def _announce(values: dict[str, str], list_id: str, stream: TextIO, as_json: bool) -> None:
    if as_json:
        text = json.dumps({"settings": values, "list": list_id}, indent=2)
    else:
        lines = [f"{name}={value}" for name, value in values.items()]
        text = "\n".join([*lines, f"# list {list_id}; steered under /_sandbox/ of both ports; Ctrl-C stops it"])
    print(text, file=stream, flush=True)


def settings(world: World, mailchimp: Server, maximizer: Server) -> dict[str, str]:
    """The environment for a program that is to use these two servers."""
    crm = world.maximizer
    values = {
        "MAXCHIMP_MAILCHIMP_API_KEY": world.mailchimp.api_key,
        "MAXCHIMP_MAILCHIMP_URL": f"{mailchimp.url}/3.0",
        "MAXCHIMP_MAXIMIZER_URL": maximizer.url + crm.base_path,
        "MAXCHIMP_MAXIMIZER_WEB_URL": maximizer.url + crm.web_path,
        "MAXCHIMP_MAXIMIZER_DATABASE": crm.database.name,
        "MAXCHIMP_MAXIMIZER_USER": crm.user,
    }
    if crm.token:
        return values | {"MAXCHIMP_MAXIMIZER_TOKEN": crm.token}
    return values | {"MAXCHIMP_MAXIMIZER_PASSWORD": crm.password}


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; only the main thread of a program may listen to signals."""
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
