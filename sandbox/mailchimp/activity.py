"""A little invented campaign history: three campaigns, and what each member did with them, fixed by its contact_id."""

from collections.abc import Iterator
from typing import Any

from sandbox.mailchimp.members import CLEANED, UNSUBSCRIBED, Member, iso

DAY = 86_400
CAMPAIGNS = (
    ("c3a1f0b2d4", "Spring letter", 60),
    ("8e7d6c5b4a", "Invitation to the summer fair", 30),
    ("1f2e3d4c5b", "Autumn news", 7),
)


def _events(member: Member, started: int) -> Iterator[tuple[str, int, str, str]]:
    """(kind, time, campaign id, title), newest first."""
    dice = int(member.contact_id[:8], 16)
    for n, (campaign, title, days) in enumerate(reversed(CAMPAIGNS)):
        sent = started - days * DAY
        if n == 0 and member.status == CLEANED:
            yield "bounce", sent + 60, campaign, title
        elif n == 0 and member.status == UNSUBSCRIBED:
            yield "unsub", member.last_changed, campaign, title
        elif dice >> n & 1:
            if dice >> (n + 8) & 1:
                yield "click", sent + 7200, campaign, title
            yield "open", sent + 3600, campaign, title
        yield "sent", sent, campaign, title


def activity_rows(member: Member, started: int) -> list[dict[str, Any]]:
    """Rows of `/activity`."""
    return [
        {
            "action": kind,
            "timestamp": iso(when),
            "url": f"https://www.letters.test/{campaign}" if kind == "click" else "",
            "type": {"sent": "regular", "bounce": "hard"}.get(kind, ""),
            "campaign_id": campaign,
            "title": title,
            "parent_campaign": "",
        }
        for kind, when, campaign, title in _events(member, started)
    ]


def activity_feed(member: Member, started: int) -> list[dict[str, Any]]:
    """Rows of `/activity-feed`; `is_admin_unsubscribed` tells whether the person left by themselves."""
    return [
        {
            "activity_type": kind,
            "created_at_timestamp": iso(when),
            "campaign_id": campaign,
            "campaign_title": title,
            **_extra(kind, member, campaign),
        }
        for kind, when, campaign, title in _events(member, started)
    ]


def _extra(kind: str, member: Member, campaign: str) -> dict[str, Any]:
    if kind == "click":
        return {"link_clicked": f"https://www.letters.test/{campaign}"}
    if kind == "bounce":
        return {"bounce_type": "hard", "bounce_has_open_activity": False}
    if kind == "unsub":
        by_others = member.unsubscribed_by != "person"
        return {"unsubscribe_reason": member.unsubscribe_reason, "is_admin_unsubscribed": by_others}
    return {}
