"""The engine in a process of its own that dies, stops or is told to end at a chosen boundary, for real.

The services and virtual time live on in the parent, which answers the child's requests over a pipe. A boundary is a
moment at which a process may end with something done and something not: see ``Boundaries``. Which of them there are is
found by the loop itself: the n-th is asked for, n = 1, 2, ... until none fires.
"""

from __future__ import annotations

import copy
import mmap
import os
import signal
import struct
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import requests
from requests.adapters import BaseAdapter
from stage import Small

from domain.errors import MaxchimpError
from extract import counterparts
from flows.cycle import Cycle
from flows.launch import stopping
from sandbox.clock import VirtualClock
from sandbox.door import Dropped, Hang, Refused, Request, Response
from sandbox.web import Door, InProcess
from storage.engine import open_store

DIED_BADLY = 70
LEASE = 480.0


class SharedClock(VirtualClock):
    """Virtual time that stays one and the same when a process is forked."""

    def __init__(self, start: float) -> None:
        self._cell = mmap.mmap(-1, 8)
        super().__init__(start)

    @property
    def _now(self) -> float:
        return float(struct.unpack("d", self._cell[:8])[0])

    @_now.setter
    def _now(self, value: float) -> None:
        self._cell[:8] = struct.pack("d", value)

    def __deepcopy__(self, memo: dict[int, Any]) -> SharedClock:
        return SharedClock(self.now())


class Stand(Small):
    """An office that is put on a stage: a world and a store made before, and an engine that may be forked."""

    def __init__(self, world: Any, url: str) -> None:
        super().__init__(url, ready=False)
        self.url, self.parallel = url, 1
        self.world, self.clock = world, world.clock
        self.mailchimp, self.maximizer, self.list_id = world.mailchimp, world.maximizer, world.list_id
        self.doors = {side: Door(getattr(world, side), self.clock) for side in ("mailchimp", "maximizer")}
        self.line: Line | None = None

    def cycle(self, **asked: Any) -> Cycle:
        made = super().cycle(**asked)
        made.parallel = counterparts.PARALLEL = self.parallel
        # However slow the machine is: no sign of life and no proof of the lease falls into a run by itself.
        made.lease_seconds, made.monotonic = LEASE, self.clock.now
        return made

    def services(self) -> Any:
        made = super().services()
        if self.line is not None:
            for side in self.doors:
                self._before_each_send(side, getattr(made, side).session)
        return made

    def _before_each_send(self, side: str, session: Any) -> None:
        """Before anything of ours looks whether it may be sent: whatever happens there has to be seen by that."""
        exchange, service, boundaries = session._exchange, self.doors[side].service, self.line.boundaries

        def watched(request: Any) -> Any:
            if service.writes(Request.of(request.method, request.url, request.headers, request.payload or b"")):
                boundaries.reach("before the send")
            return exchange(request)

        session._exchange = watched

    def _open(self, side: str, http: requests.Session) -> None:
        http.mount("http://", InProcess(self.doors[side]) if self.line is None else Wire(self, side, self.line))

    def contact(self, name: str) -> str:
        """The contact_id of a person, by the name before the @."""
        found = self.by_email(f"{name}@lantern.test")
        assert found is not None, f"no member {name}"
        return str(found["contact_id"])

    def key(self, name: str) -> tuple[str, int]:
        (found,) = self.entries(f"{name}@lantern.test")
        return found

    def close(self) -> None:
        self.engine.dispose()


def moved_in(world: Any, url: str) -> Stand:
    """A stand over a copy of a world, in which time may be shared with a forked process."""
    return Stand(copy.deepcopy(world, {id(world.clock): SharedClock(world.clock.now())}), url)


# --- the child's side --------------------------------------------------------------------------------------------


class Line:
    """What a forked engine says to its parent, one question at a time."""

    def __init__(self, pipe: Connection, boundaries: Boundaries) -> None:
        self.pipe, self.boundaries, self.lock = pipe, boundaries, threading.Lock()

    def ask(self, *message: Any) -> Any:
        with self.lock:
            self.pipe.send(message)
            return self.pipe.recv()


class Wire(BaseAdapter):
    """A ``requests`` adapter of a forked engine; the answer comes from the parent's services."""

    def __init__(self, stand: Stand, side: str, line: Line) -> None:
        super().__init__()
        self.stand, self.side, self.line = stand, side, line

    def send(self, request: requests.PreparedRequest, *given: Any, **more: Any) -> requests.Response:
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else bytes(body)
        asked = Request.of(request.method or "GET", request.url or "/", dict(request.headers), body)
        writes = self.stand.doors[self.side].service.writes(asked)
        strike = writes and self.line.boundaries.due("after the effect")
        answer = self.line.ask("request", self.side, asked, strike)
        if isinstance(answer, Exception):
            raise _FAILURES[type(answer)](str(answer), request=request)
        if writes:
            self.line.boundaries.reach("after the answer")
            self.line.boundaries.answered = True
        given_back = InProcess(_Told(answer))  # type: ignore[arg-type]
        return given_back.send(request)

    def close(self) -> None:
        pass


_FAILURES = {
    Refused: requests.exceptions.ConnectTimeout,
    Dropped: requests.exceptions.ConnectionError,
    Hang: requests.exceptions.ReadTimeout,
}


class _Told:
    """A door that was asked already."""

    def __init__(self, response: Response) -> None:
        self.response = response
        self.lock = threading.RLock()

    def handle(self, request: Request) -> Response:
        return self.response


class Boundaries:
    """Counts the moments that matter, and sends ``number`` to this process at the one that was asked for.

    They are: before each commit (of an intent, of an outcome, of anything else), before each send of a write, after its
    effect and before its answer, after the answer and before the commit, and after that commit. After any other commit
    means the same as before whatever follows: store and services are as they are then. Unless ``whole`` is asked for,
    the count begins with the commit that stores the ChangeSet: before that a run has left nothing but staged rows.
    """

    def __init__(self, at: int, number: int, whole: bool = False) -> None:
        self.at, self.number, self.open = at, number, whole
        self.count, self.answered, self.fired = 0, False, False
        self.line: Line | None = None
        self._lock = threading.Lock()

    def due(self, what: str) -> bool:
        """Count a boundary; whether it is the one."""
        if not self.open:
            return False
        with self._lock:
            self.count += 1
            hit = self.count == self.at
        if hit and self.line is not None:
            self.fired = True
            self.line.ask("reached", what)
        return hit

    def reach(self, what: str) -> None:
        if self.due(what):
            os.kill(os.getpid(), self.number)

    def stage(self, name: str) -> None:
        """What a cycle tells of its progress."""
        self.open = self.open or name == "load"

    def watch(self, engine: Any) -> None:
        """Commits of an engine become boundaries."""
        commit = engine.dialect.do_commit

        def watched(connection: Any) -> None:
            self.reach("before a commit")
            commit(connection)
            if self.answered:
                self.answered = False
                self.reach("after the commit")

        engine.dialect.do_commit = watched


def written(stand: Stand) -> int:
    """Writes that have reached the services."""
    return sum(len(door.mutations()) for door in stand.doors.values())


# --- the parent's side -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """How a forked engine ended. ``where``: the boundary it reached, "" when it ran to its end untouched.

    ``states``: of its runs, as far as they came; ``code``: exit code, negative for the signal that ended it;
    ``written``: writes that had reached the services when it came to the boundary.
    """

    where: str
    code: int
    states: tuple[str, ...]
    written: int


def forked(
    stand: Stand,
    kinds: Sequence[str] = ("sync",),
    *,
    at: int = 0,
    number: int = signal.SIGKILL,
    whole: bool = False,
    meanwhile: Callable[[str], None] = lambda where: None,
) -> Ended:
    """Run cycles in a forked process that gets the signal ``number`` at its ``at``-th boundary (0: never).

    ``meanwhile``: what happens while a SIGSTOP holds it at a boundary.
    """
    stand.engine.dispose()
    ours, theirs = Pipe()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _child(stand, kinds, theirs, Boundaries(at, number, whole))
    theirs.close()
    return _Parent(stand, pid, ours, number, meanwhile).answer()


class _Parent:
    def __init__(self, stand: Stand, pid: int, pipe: Connection, number: int, meanwhile: Callable[[str], None]) -> None:
        self.stand, self.pid, self.pipe, self.number, self.meanwhile = stand, pid, pipe, number, meanwhile
        self.where, self.written = "", 0
        self.told: list[str] = []

    def answer(self) -> Ended:
        """Serve the child until it is gone."""
        try:
            with suppress(EOFError, ConnectionResetError, BrokenPipeError):
                while True:
                    what, *rest = self.pipe.recv()
                    getattr(self, f"_{what}")(*rest)
        except BaseException:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            raise
        finally:
            self.pipe.close()
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == DIED_BADLY:
            raise AssertionError(self.told[-1])
        return Ended(self.where, code, tuple(self.told), self.written)

    def _request(self, side: str, asked: Request, strike: bool) -> None:
        try:
            answer: Any = self.stand.doors[side].handle(asked)
        except (Refused, Dropped, Hang) as failure:
            answer = failure
        if strike:
            os.kill(self.pid, self.number)
            if self.number == signal.SIGKILL:
                raise EOFError
            if self.number == signal.SIGSTOP:
                self._stopped()
        self.pipe.send(answer)

    def _reached(self, what: str) -> None:
        self.where, self.written = what, written(self.stand)
        self.pipe.send(None)
        if self.number == signal.SIGSTOP and what != "after the effect":
            self._stopped()

    def _stopped(self) -> None:
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        self.meanwhile(self.where)
        self.stand.engine.dispose()
        os.kill(self.pid, signal.SIGCONT)

    def _ended(self, state: str) -> None:
        self.told.append(state)
        self.pipe.send(None)


def _child(stand: Stand, kinds: Sequence[str], pipe: Connection, boundaries: Boundaries) -> None:
    """The forked engine; never returns."""
    line = boundaries.line = stand.line = Line(pipe, boundaries)
    try:
        stand.engine = open_store(stand.url)
        boundaries.watch(stand.engine)
        for kind in kinds:
            cycle = stand.cycle(kind=kind)
            cycle.progress = boundaries.stage
            try:
                with stopping(cycle):
                    cycle.tell()
            except MaxchimpError as error:
                line.ask("ended", f"{getattr(cycle, 'state', 'failed')}: {error.message}")
                os._exit(1)
            line.ask("ended", cycle.state)
        os._exit(0)
    except BaseException:
        with suppress(BaseException):  # the parent may be gone
            line.ask("ended", traceback.format_exc())
    finally:
        os._exit(DIED_BADLY)
