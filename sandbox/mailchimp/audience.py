"""An audience (a "list" in the API): members with their indexes, merge fields, groups, tags, and figures.

Listings of 300,000 members are cheap because every status has its own order of (last_changed, web_id), kept
on each write.
"""

import math
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sandbox.mailchimp.members import (
    ARCHIVED,
    CLEANED,
    PENDING,
    STATUSES,
    SUBSCRIBED,
    UNSUBSCRIBED,
    Member,
    View,
    iso,
    subscriber_hash,
    unique_email_id,
)
from sandbox.mailchimp.merge_fields import MergeField

VISIBLE = ""  # the order behind the default listing: everyone but the archived
STATS_LIFE = 300  # seconds for which figures may be stale


@dataclass
class Interest:
    id: str
    name: str
    category_id: str
    display_order: int


@dataclass
class Category:
    id: str
    title: str
    type: str
    display_order: int


class Order:
    """Members by (last_changed, web_id)."""

    def __init__(self) -> None:
        self.keys: list[tuple[int, int]] = []

    def add(self, key: tuple[int, int]) -> None:
        if not self.keys or key > self.keys[-1]:
            self.keys.append(key)
        else:
            insort(self.keys, key)

    def remove(self, key: tuple[int, int]) -> None:
        del self.keys[bisect_left(self.keys, key)]

    def only(self, key: tuple[int, int] | None) -> "Order":
        """The order of this one member, or of none when it is not in here."""
        one = Order()
        at = bisect_left(self.keys, key) if key else len(self.keys)
        one.keys = self.keys[at : at + 1] if self.keys[at : at + 1] == [key] else []
        return one

    def between(self, since: float | None, before: float | None) -> tuple[int, int]:
        """Positions of what changed strictly after `since` and strictly before `before`."""
        low = 0 if since is None else bisect_right(self.keys, (math.floor(since), math.inf))
        high = len(self.keys) if before is None else bisect_left(self.keys, (math.ceil(before), -1))
        return low, max(low, high)


@dataclass
class Audience:
    """Members are values: a change is a new Member handed to `put`."""

    id: str
    web_id: int
    name: str
    created: int
    root: str
    double_optin: bool = False
    marketing_permissions: bool = False
    merge_field_limit: int = 30
    campaign_defaults: dict[str, str] = field(default_factory=dict)
    fields: dict[int, MergeField] = field(default_factory=dict)
    categories: dict[str, Category] = field(default_factory=dict)
    interests: dict[str, Interest] = field(default_factory=dict)
    tags: dict[int, str] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
    people: dict[int, Member] = field(default_factory=dict)
    by_contact: dict[str, int] = field(default_factory=dict)
    by_hash: dict[str, int] = field(default_factory=dict)
    by_unique: dict[str, int] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=lambda: {name: Order() for name in (VISIBLE, *STATUSES)})
    interested: Counter[str] = field(default_factory=Counter)
    last_sub: int = 0
    last_unsub: int = 0
    next_merge_id: int = 1
    _stats: tuple[int, dict[str, Any]] | None = None

    # -- members ------------------------------------------------------------------------------------------------

    def find(self, key: str) -> Member | None:
        """By hash, address or contact_id; never by web_id (Mailchimp fact sheet section 4)."""
        key = subscriber_hash(key) if "@" in key else key.lower()
        web_id = self.by_hash.get(key, self.by_contact.get(key))
        return None if web_id is None else self.people[web_id]

    def key_of(self, unique: str) -> tuple[int, int] | None:
        """The place in the orders of who has this `unique_email_id`."""
        web_id = self.by_unique.get(unique)
        return None if web_id is None else (self.people[web_id].last_changed, web_id)

    def put(self, member: Member) -> None:
        """Stores a new member or the next state of a known one."""
        old = self.people.get(member.web_id)
        if old is not None:
            self._unindex(old)
        self.people[member.web_id] = member
        self.by_contact[member.contact_id] = member.web_id
        self.by_hash[member.id] = member.web_id
        self.by_unique[unique_email_id(member.id)] = member.web_id
        key = (member.last_changed, member.web_id)
        self.orders[member.status].add(key)
        if member.status != ARCHIVED:
            self.orders[VISIBLE].add(key)
        if member.status == SUBSCRIBED:
            self.interested.update(member.interests)

    def drop(self, member: Member) -> None:
        """Erases a member for good."""
        self._unindex(member)
        del self.people[member.web_id], self.by_contact[member.contact_id]

    def _unindex(self, member: Member) -> None:
        del self.by_hash[member.id], self.by_unique[unique_email_id(member.id)]
        key = (member.last_changed, member.web_id)
        self.orders[member.status].remove(key)
        if member.status != ARCHIVED:
            self.orders[VISIBLE].remove(key)
        if member.status == SUBSCRIBED:
            self.interested.subtract(member.interests)

    # -- definitions --------------------------------------------------------------------------------------------

    def field_by_tag(self, tag: str) -> MergeField | None:
        return next((known for known in self.fields.values() if known.tag == tag.upper()), None)

    def view(self) -> View:
        names = (self.field_by_tag("FNAME"), self.field_by_tag("LNAME"))
        return View(
            list_id=self.id,
            root=f"{self.root}/lists/{self.id}",
            tags_of_fields=tuple((known.merge_id, known.tag) for known in self.fields.values()),
            interest_ids=tuple(self.interests),
            tag_names=self.tags,
            permission_id=self.id if self.marketing_permissions else "",
            name_fields=tuple(known.merge_id for known in names if known),
        )

    def options_of(self, category_id: str) -> list[Interest]:
        return [interest for interest in self.interests.values() if interest.category_id == category_id]

    # -- figures ------------------------------------------------------------------------------------------------

    def stats(self, now: int, cached: bool) -> dict[str, Any]:
        """The list's figures; with `cached` they may be five minutes old."""
        if not cached or self._stats is None or now - self._stats[0] >= STATS_LIFE:
            self._stats = (now, self._count())
        return self._stats[1]

    def _count(self) -> dict[str, Any]:
        sizes = {status: len(self.orders[status].keys) for status in STATUSES}
        return {
            "member_count": sizes[SUBSCRIBED],
            "total_contacts": sum(sizes.values()),
            "unsubscribe_count": sizes[UNSUBSCRIBED],
            "cleaned_count": sizes[CLEANED],
            "member_count_since_send": sizes[SUBSCRIBED],
            "unsubscribe_count_since_send": sizes[UNSUBSCRIBED],
            "cleaned_count_since_send": sizes[CLEANED],
            "campaign_count": 0,
            "campaign_last_sent": "",
            "merge_field_count": len(self.fields),
            "avg_sub_rate": 0,
            "avg_unsub_rate": 0,
            "target_sub_rate": 0,
            "open_rate": 0,
            "click_rate": 0,
            "last_sub_date": iso(self.last_sub) if self.last_sub else "",
            "last_unsub_date": iso(self.last_unsub) if self.last_unsub else "",
        }

    def noted(self, before: str | None, after: str, now: int) -> None:
        """Remembers the days of the last joining and leaving."""
        if after == SUBSCRIBED:
            self.last_sub = now
        elif before in (SUBSCRIBED, PENDING) and after == UNSUBSCRIBED:
            self.last_unsub = now
