"""A connection's sync settings ("Edit Sync Settings", R44): names, defaults, how they are read from text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from domain.errors import Misconfigured
from domain.quoting import quoted

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
CHOICES = {
    "conflict": ("maximizer", "mailchimp"),
    "email_change": ("new-entry", "follow"),
    "new_member_status": ("subscribed", "pending"),
}


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
        """Itself, or Misconfigured: the buffer may never be longer than the interval (R35)."""
        if self.interval < 60:
            raise Misconfigured("interval must be at least 1m", remedy="maxchimp settings set interval=60m")
        if self.retention < _UNITS["d"]:
            raise Misconfigured("retention must be at least 1d", remedy="maxchimp settings set retention=30d")
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
        known = {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in data.items() if name in known})

    def with_text(self, assignments: Mapping[str, str]) -> SyncSettings:
        """Settings changed by ``NAME=VALUE`` texts; Misconfigured names what is accepted."""
        changed: dict[str, Any] = {name: _read(name, text.strip()) for name, text in assignments.items()}
        return replace(self, **changed).check()

    def shown(self) -> dict[str, str]:
        """Name to text, as ``settings set`` takes it."""
        return {f.name: _show(f.name, getattr(self, f.name)) for f in fields(self)}


def _read(name: str, text: str) -> object:
    if name in CHOICES:
        if text.lower() not in CHOICES[name]:
            raise Misconfigured(f"{name} is one of {', '.join(CHOICES[name])}, not {quoted(text)}")
        return text.lower()
    if name in ("interval", "ambiguous_wait", "retention"):
        return duration(name, text)
    if name == "buffer_ms":
        if not re.fullmatch(r"\d{1,9}(ms)?", text):
            raise Misconfigured(f"buffer_ms is a whole number of milliseconds, such as 300, not {quoted(text)}")
        return int(text.removesuffix("ms"))
    if name == "remind_after":
        if not re.fullmatch(r"[1-9]\d{0,5}", text):
            raise Misconfigured(f"remind_after is a number of cycles, such as 3, not {quoted(text)}")
        return int(text)
    if name.startswith("max_") and name in SyncSettings.__dataclass_fields__:
        matched = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)\s*%", text)
        share = float(matched[1]) / 100 if matched else -1.0
        if not 0 <= share <= 1:
            raise Misconfigured(f"{name} is a share such as 5%, not {quoted(text)}")
        return share
    known = ", ".join(f.name for f in fields(SyncSettings))
    raise Misconfigured(f"there is no setting {quoted(name)}", remedy=f"settings are: {known}")


def duration(name: str, text: str) -> float:
    """Seconds of a text such as ``300s``, ``60m``, ``1h``; Misconfigured otherwise."""
    matched = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)\s*(ms|s|m|h|d)", text)
    if not matched:
        raise Misconfigured(f"{name} is a duration such as 300s, 60m or 1h, not {quoted(text)}")
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
    if name in ("interval", "ambiguous_wait", "retention"):
        return duration_text(float(str(value)))
    if name.startswith("max_"):
        return f"{_plain(float(str(value)) * 100)}%"
    return str(value)
