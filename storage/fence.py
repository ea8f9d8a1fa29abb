"""Whether a process that may have slept may still send (hazard F2).

The services cannot tell an old holder of the lease from the new one, so it has to stop by itself: between the commit of
an intent and its first byte, and between a send and its repetition, lies time in which a process can be paused.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from storage import changes
from storage.leases import Lease

PATIENCE = 10.0  # seconds


class Fence:
    """Asked before every request: once ``PATIENCE`` has passed, the lease must be proven again before anything is sent.

    With the proof, what this holder has sent and not closed counts as sent now: its quarantine is measured from
    ``sent_at``, which is thus never much older than the last byte that left. Raises LeaseLost when somebody else took
    the lease; nothing is sent then, and the new holder settles what is open. Safe to share between threads.
    """

    def __init__(self, lease: Lease, monotonic: Callable[[], float]) -> None:
        self._lease, self._monotonic = lease, monotonic
        self._lock = threading.Lock()
        self._proven = self._moments()

    def __call__(self) -> None:
        with self._lock:
            moments = self._moments()
            # Our own clock too: the monotonic one stands still while the machine sleeps.
            if any(now - then > PATIENCE for now, then in zip(moments, self._proven, strict=True)):
                changes.still_sending(self._lease, self._lease.now())
                self._proven = moments

    def _moments(self) -> tuple[float, float]:
        return self._monotonic(), self._lease.now()
