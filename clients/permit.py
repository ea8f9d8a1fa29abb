"""A word before every request: whether this process may still send at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import BaseAdapter


class Permit:
    """``ask`` is called right before every single send, repetitions included; what it raises keeps the send back."""

    def __init__(self) -> None:
        self.ask: Callable[[], None] = _granted

    def withdraw(self) -> None:
        """Nobody is asked any more."""
        self.ask = _granted

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
