"""What a log line is about: the connection and run at work, told to whoever formats it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any

_own: ContextVar[Mapping[str, Any] | None] = ContextVar("facts", default=None)
_active: list[Mapping[str, Any]] = []
_lock = Lock()


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

    A helper thread has none of its own: it works for the only block there is. Of several only what they agree on is
    known; the rest is None, for it is not known for which it works.
    """
    mine = _own.get()
    if mine is not None:
        return mine
    with _lock:
        active = list(_active)
    names = dict.fromkeys(name for facts in active for name in facts)
    return {name: _agreed([facts.get(name) for facts in active]) for name in names}


def _agreed(values: list[Any]) -> Any:
    return values[0] if all(value == values[0] for value in values) else None
