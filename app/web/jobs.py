"""Work that takes longer than an answer may: one at a time, in a thread of this process, watched by the page."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app.progress import STAGES
from domain.errors import Incomplete, MaxchimpError

log = logging.getLogger("maxchimp.web")
Work = Callable[[Callable[[str], None], threading.Event], dict[str, Any]]


@dataclass
class Job:
    """``result``: the run's document. ``problem``: sentence and remedy of what ended it."""

    name: str
    by: str
    started: float
    text: str = ""
    result: dict[str, Any] | None = None
    problem: tuple[str, str] | None = None
    running: bool = True
    stop: threading.Event = field(default_factory=threading.Event)

    def told(self, text: str) -> None:
        self.text = STAGES.get(text, text)


class Jobs:
    """The newest job, running or over."""

    def __init__(self) -> None:
        self.latest: Job | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self, name: str, by: str, work: Work) -> Job:
        """Begin a job; Incomplete while another one runs."""
        with self._lock:
            if self.latest is not None and self.latest.running:
                raise Incomplete(f"{self.latest.name} is running already", remedy="wait for it to end")
            job = self.latest = Job(name, by, time.time())
            self._thread = threading.Thread(target=_run, args=(job, work), name="page-job", daemon=True)
            self._thread.start()
        return job

    def wait(self, seconds: float) -> None:
        if self._thread is not None:
            self._thread.join(seconds)

    def stop(self) -> None:
        """Let what is in flight finish, and begin nothing more."""
        if self.latest is not None:
            self.latest.stop.set()

    def close(self, seconds: float = 30.0) -> None:
        self.stop()
        self.wait(seconds)


def _run(job: Job, work: Work) -> None:
    try:
        job.result = work(job.told, job.stop)
    except MaxchimpError as error:
        log.error("%s (%s)", error.message, error.remedy or type(error).__name__)
        job.result, job.problem = error.result, (error.message, error.remedy)
    except BaseException as error:
        log.critical("unexpected %s", type(error).__name__, exc_info=error)
        job.problem = (f"unexpected error ({type(error).__name__})", "details are in the log; please report them")
    finally:
        job.running = False
