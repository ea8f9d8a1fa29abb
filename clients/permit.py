"""A word before every request: whether this process may still send at all; and how long it may wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import BaseAdapter


class Permit:
    """``ask`` is called right before every single send, repetitions included; what it raises keeps the send back.

    ``wait`` passes the time between two sends, in seconds: less of it once a stop was asked for (hazard F8).
    """

    def __init__(self) -> None:
        self.withdraw()

    def withdraw(self) -> None:
        """Nobody is asked any more, and waiting is sleeping."""
        self.ask: Callable[[], None] = _granted
        self.wait: Callable[[float], object] = time.sleep

    def pause(self, seconds: float) -> None:
        self.wait(seconds)

    def guard(self, http: requests.Session) -> None:
        """Put the question before all adapters that the session has now."""
        for prefix, adapter in list(http.adapters.items()):
            http.mount(prefix, _Asking(adapter, self))


def _granted() -> None:
    pass


class _Asking(BaseAdapter):
    def __init__(self, inner: BaseAdapter, permit: Permit) -> None:
        super().__init__()
        self._inner, self._permit = inner, permit

    def send(self, request: requests.PreparedRequest, *given: Any, **more: Any) -> requests.Response:
        self._permit.ask()
        return self._inner.send(request, *given, **more)

    def close(self) -> None:
        self._inner.close()
