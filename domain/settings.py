"""A connection's sync settings ("Edit Sync Settings", R44): names, defaults, how they are read from text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from math import isfinite
from typing import Any

from domain.errors import Misconfigured
from domain.quoting import quoted

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
CHOICES = {
    "conflict": ("maximizer", "mailchimp"),
    "email_change": ("new-entry", "follow"),
    "new_member_status": ("subscribed", "pending"),
}
# The least and the most of each number: what lies outside is a typing error, or would stop the sync in silence.
_DAY = _UNITS["d"]
_DURATIONS = {"interval": (60.0, 31 * _DAY), "ambiguous_wait": (0.0, 7 * _DAY), "retention": (_DAY, 3650 * _DAY)}
_WHOLE = {"buffer_ms": (0, 86_400_000), "remind_after": (1, 1000)}
_SHARES = ("max_absent", "max_changed", "max_new", "max_blanked", "max_refused")


@dataclass(frozen=True)
class SyncSettings:
    """Durations in seconds unless the name says otherwise; limits are shares of the active links (0..1)."""

    interval: float = 3600.0  # R33
    buffer_ms: int = 300  # R35, the guide's ExtraSyncBufferTime
    conflict: str = "maximizer"  # R30
    email_change: str = "new-entry"  # R13
    new_member_status: str = "subscribed"  # R18
    ambiguous_wait: float = 300.0  # the quarantine of an uncertain create, design section 6
    retention: float = 30 * 86400.0  # how long the change log and the reports are kept
    max_absent: float = 0.05
    max_changed: float = 0.50
    max_new: float = 0.10
    max_blanked: float = 0.05
    max_refused: float = 0.05  # of the planned writes of a run; more of them stop it (hazard D12)
    remind_after: int = 3  # failed cycles in a row until people are told again

    def check(self) -> SyncSettings:
        """Itself, or Misconfigured: every number in its bounds, the buffer never longer than the interval (R35)."""
        for name, value in self.to_json().items():
            if wrong := _out_of_bounds(name, value):
                raise Misconfigured(f"{name} {wrong}", remedy=_remedy(name))
        if self.buffer_ms / 1000 > self.interval:
            raise Misconfigured(
                f"buffer_ms={self.buffer_ms} is longer than the sync interval of {duration_text(self.interval)}",
                remedy="choose a buffer_ms below the interval, or a longer interval",
            )
        return self

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SyncSettings:
        """What a store holds; Misconfigured names every value that cannot be one."""
        known = {f.name for f in fields(cls)}
        kept = {name: value for name, value in data.items() if name in known}
        wrong = {name: problem for name, value in kept.items() if (problem := _unreadable(name, value))}
        if wrong:
            told = ", ".join(f"{name} {problem}" for name, problem in wrong.items())
            raise Misconfigured(told, remedy=_remedy(*wrong))
        return cls(**kept)

    def with_text(self, assignments: Mapping[str, str]) -> SyncSettings:
        """Settings changed by ``NAME=VALUE`` texts; Misconfigured names what is accepted."""
        changed: dict[str, Any] = {name: _read(name, text.strip()) for name, text in assignments.items()}
        return replace(self, **changed).check()

    def shown(self) -> dict[str, str]:
        """Name to text, as ``settings set`` takes it."""
        return {f.name: _show(f.name, getattr(self, f.name)) for f in fields(self)}


def _out_of_bounds(name: str, value: float) -> str:
    """What is wrong with the size of a number, "" when nothing is."""
    bounds: tuple[float, float] | None = _DURATIONS.get(name) or _WHOLE.get(name)
    least, most = bounds or (0.0, 1.0)
    if name in CHOICES or least <= value <= most:
        return ""
    return f"must be at least {_show(name, least)}" if value < least else f"must be at most {_show(name, most)}"


def _unreadable(name: str, value: object) -> str:
    """What is wrong with a value of a store, "" when nothing is."""
    if name in CHOICES:
        return "" if value in CHOICES[name] else f"must be one of {', '.join(CHOICES[name])}"
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return "must be a number"
    if name in _WHOLE and value != int(value):
        return "must be a whole number"
    if name == "interval" and value > 0:  # a shorter one can be stored, though nobody can type it in
        return _out_of_bounds(name, max(value, _DURATIONS[name][0]))
    return _out_of_bounds(name, value)


def _remedy(*names: str) -> str:
    shown = SyncSettings().shown()
    return f"maxchimp settings set {' '.join(f'{name}={shown[name]}' for name in names)}"


def _read(name: str, text: str) -> object:
    if name in CHOICES:
        if text.lower() not in CHOICES[name]:
            raise _not_one(name, f"one of {', '.join(CHOICES[name])}", text)
        return text.lower()
    if name in _DURATIONS:
        return duration(name, text)
    if name == "buffer_ms":
        if not re.fullmatch(r"[0-9]{1,9}(ms)?", text):
            raise _not_one(name, "a whole number of milliseconds, such as 300", text)
        return int(text.removesuffix("ms"))
    if name == "remind_after":
        if not re.fullmatch(r"[1-9][0-9]{0,5}", text):
            raise _not_one(name, "a number of cycles, such as 3", text)
        return int(text)
    if name in _SHARES:
        matched = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]+)?)\s*%", text)
        share = float(matched[1]) / 100 if matched else -1.0
        if not 0 <= share <= 1:
            raise _not_one(name, "a share such as 5%, from 0% to 100%", text)
        return share
    known = ", ".join(f.name for f in fields(SyncSettings))
    raise Misconfigured(f"there is no setting {quoted(name)}", remedy=f"settings are: {known}")


def _not_one(name: str, accepted: str, text: str) -> Misconfigured:
    given = f"not {quoted(text)}" if text else "and it is empty here"
    return Misconfigured(f"{name} is {accepted}, {given}", remedy=f"for example: {_remedy(name)}")


def duration(name: str, text: str) -> float:
    """Seconds of a text such as ``300s``, ``60m``, ``1h``; Misconfigured otherwise."""
    matched = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]+)?)\s*(ms|s|m|h|d)", text)
    if not matched:
        raise _not_one(name, "a duration such as 300s, 60m or 1h", text)
    return float(matched[1]) * _UNITS[matched[2]]


def duration_text(seconds: float) -> str:
    """The shortest text that ``duration`` reads back."""
    for unit in ("d", "h", "m"):
        # A day is said only of days: 24h stays 24h.
        if seconds and seconds % _UNITS[unit] == 0 and (unit != "d" or seconds > _UNITS["d"]):
            return f"{_plain(seconds / _UNITS[unit])}{unit}"
    return f"{_plain(seconds)}s"


def _plain(number: float) -> str:
    """Without exponent, to a thousandth."""
    return f"{number:.3f}".rstrip("0").rstrip(".")


def _show(name: str, value: object) -> str:
    if name in _DURATIONS:
        return duration_text(float(str(value)))
    return f"{_plain(float(str(value)) * 100)}%" if name in _SHARES else str(value)
