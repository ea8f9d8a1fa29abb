"""What campaigns did with one person, and the person with them (R46): from Mailchimp's activity feed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from domain.sums import closes

KINDS = ("sent", "open", "click", "bounce", "unsub")


@dataclass(frozen=True)
class Event:
    """``at``: UTC epoch seconds."""

    kind: str
    at: float
    detail: str = ""


@dataclass(frozen=True)
class Campaign:
    """One campaign and its events, the oldest first. ``title`` may be empty: an automation, or a deleted campaign."""

    id: str
    title: str
    events: tuple[Event, ...]

    def of(self, kind: str) -> tuple[Event, ...]:
        return tuple(event for event in self.events if event.kind == kind)

    @property
    def at(self) -> float:
        """When it was sent; where that is not known, its first event."""
        return (self.of("sent") or self.events)[0].at


def campaigns(rows: Sequence[Mapping[str, Any]]) -> list[Campaign]:
    """Events of an activity feed by campaign, the newest campaign first. What has no readable time is left out."""
    found: dict[str, list[Event]] = {}
    titles: dict[str, str] = {}
    told = 0
    for row in rows:
        kind, at = str(row.get("activity_type") or ""), _seconds(row.get("created_at_timestamp"))
        if kind not in KINDS or at is None:
            continue
        told += 1
        key = str(row.get("campaign_id") or "")
        found.setdefault(key, []).append(Event(kind, at, _detail(kind, row)))
        titles[key] = titles.get(key) or str(row.get("campaign_title") or "")
    made = [
        Campaign(key, titles[key], tuple(sorted(events, key=lambda event: (event.at, KINDS.index(event.kind)))))
        for key, events in found.items()
    ]
    closes("the events of this person", told, [len(campaign.events) for campaign in made])
    return sorted(made, key=lambda campaign: campaign.at, reverse=True)


def totals(listed: Sequence[Campaign]) -> dict[str, int]:
    """In how many campaigns each kind of event happened at least once."""
    return {kind: sum(bool(campaign.of(kind)) for campaign in listed) for kind in KINDS}


def _detail(kind: str, row: Mapping[str, Any]) -> str:
    if kind == "click":
        return str(row.get("link_clicked") or "")
    if kind == "bounce":
        return {"hard": "the address does not work", "soft": "could not be delivered for now"}.get(
            str(row.get("bounce_type")), ""
        )
    if kind == "unsub":
        by = "by an administrator" if row.get("is_admin_unsubscribed") else ""
        return "; ".join(part for part in (str(row.get("unsubscribe_reason") or ""), by) if part)
    return ""


def _seconds(text: object) -> float | None:
    try:
        at = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return at.replace(tzinfo=at.tzinfo or UTC).timestamp()
