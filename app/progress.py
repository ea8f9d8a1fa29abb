"""What is going on, told on stderr once it has lasted two seconds."""

from __future__ import annotations

import sys
import threading
import time

from app.show import clean

AFTER = 2.0  # seconds of silence at first
TERMINAL, PLAIN = 0.2, 5.0  # seconds between two messages

STAGES = {
    "prepare": "reading the fields of both sides",
    "recover": "settling what an earlier run left open",
    "extract": "reading both sides",
    "check-snapshots": "checking what was read",
    "decide": "comparing",
    "check-changes": "checking the changes",
    "load": "writing",
}


class Progress:
    """Called with the newest message; a thread of its own shows it, so that a long wait is told too."""

    def __init__(self, after: float = AFTER) -> None:
        self.after = after
        self._text, self._shown = "", ""
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self, text: str) -> None:
        self._text = STAGES.get(text, text)
        if self._thread is None:
            self._thread = threading.Thread(target=self._tell, name="progress", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Say nothing more; a line on a terminal is wiped."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
        if self._shown and sys.stderr.isatty():
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
        self._thread, self._shown, self._closed = None, "", threading.Event()

    def _tell(self) -> None:
        pause = TERMINAL if sys.stderr.isatty() else PLAIN
        wait = self.after
        while not self._closed.wait(wait):
            wait = pause
            if self._text != self._shown:
                self._shown = self._text
                self._print(self._shown)

    def _print(self, text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[2K{clean(text)[:100]} ...", end="", file=sys.stderr, flush=True)
        else:
            print(f"{time.strftime('%H:%M:%S')} {clean(text)}", file=sys.stderr, flush=True)
