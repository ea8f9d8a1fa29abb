"""What a line or a message is about: the connection and run at work, told to whoever words it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any

_own: ContextVar[Mapping[str, Any] | None] = ContextVar("facts", default=None)
_active: list[Mapping[str, Any]] = []
_lock = Lock()
_usual = {"connection": "default"}


@contextmanager
def about(**facts: Any) -> Iterator[None]:
    """Lines written in this block are about these facts (plain values), beside those of the block around it."""
    mine = {**(_own.get() or {}), **facts}
    mark = _own.set(mine)
    with _lock:
        _active.append(mine)
    try:
        yield
    finally:
        with _lock:
            _active.remove(mine)
        _own.reset(mark)


def known() -> Mapping[str, Any]:
    """The facts of the block that this line is written in.

    A helper thread has none of its own: it works for the only block there is. Of blocks that agree, as of one within
    another, the one that says most; of others what they agree on, and the rest is None.
    """
    mine = _own.get()
    if mine is not None:
        return mine
    with _lock:
        active = list(_active)
    most = max(active, key=len, default={})
    if all(one.items() <= most.items() for one in active):
        return most
    names = dict.fromkeys(name for facts in active for name in facts)
    return {name: _agreed([facts.get(name) for facts in active]) for name in names}


def _agreed(values: list[Any]) -> Any:
    return values[0] if all(value == values[0] for value in values) else None


def usual(connection: str) -> None:
    """The environment was read: this is the connection of a command that names none."""
    _usual["connection"] = connection


def connection_at_work() -> str:
    """The connection that a command must name to mean this one, "" where a command without a name means it too."""
    name = str(known().get("connection") or "")
    return "" if name == _usual["connection"] else name
