"""A member, its ids, and the object that the API shows (Mailchimp fact sheet section 5)."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import md5
from typing import Any

SUBSCRIBED, UNSUBSCRIBED, CLEANED = "subscribed", "unsubscribed", "cleaned"
PENDING, TRANSACTIONAL, ARCHIVED = "pending", "transactional", "archived"
STATUSES = (SUBSCRIBED, UNSUBSCRIBED, CLEANED, PENDING, TRANSACTIONAL, ARCHIVED)
PERMISSION_TEXT = "Email"

_LINKS = (
    ("self", "GET", "", "Response"),
    ("parent", "GET", "", "CollectionResponse"),
    ("update", "PATCH", "", "Response"),
    ("upsert", "PUT", "", "Response"),
    ("delete", "DELETE", "", ""),
    ("activity", "GET", "/activity", "Activity/Response"),
    ("goals", "GET", "/goals", "Goals/Response"),
    ("notes", "GET", "/notes", "Notes/CollectionResponse"),
    ("events", "POST", "/events", "Events/POST"),
    ("delete_permanent", "POST", "/actions/delete-permanent", ""),
)


@dataclass(frozen=True, slots=True)
class Member:
    """One contact of one audience. `contact_id` and `web_id` stay for life; `id` follows the address.

    merge: values by merge_id, empty ones left out; interests: ids that are on; tags: tag id and ISO date of adding.
    compliance: the person left, or the address bounced, so that the API may not subscribe it.
    unsubscribed_by: `person`, `api`, `admin` or "". Times are UTC; `last_changed` in whole seconds since 1970.
    """

    contact_id: str
    web_id: int
    email: str
    id: str
    status: str
    last_changed: int
    email_type: str = "html"
    merge: dict[int, Any] = field(default_factory=dict)
    interests: frozenset[str] = frozenset()
    language: str = ""
    vip: bool = False
    ip_signup: str = ""
    ip_opt: str = ""
    timestamp_signup: str = ""
    timestamp_opt: str = ""
    latitude: float = 0
    longitude: float = 0
    tags: tuple[tuple[int, str], ...] = ()
    permission: bool = False
    source: str = "API - Generic"
    compliance: bool = False
    unsubscribed_by: str = ""
    unsubscribe_reason: str = ""


def fold(email: str) -> str:
    """Lower case of ASCII letters only, as PHP's strtolower does: `É@a.test` and `é@a.test` are two addresses."""
    return email.encode().lower().decode()


def subscriber_hash(email: str) -> str:
    return md5(fold(email).encode()).hexdigest()


def unique_email_id(member_id: str) -> str:
    """The 10-digit name of an address across all audiences; like the hash it follows the address."""
    return md5(f"address {member_id}".encode()).hexdigest()[:10]


@lru_cache(maxsize=65536)
def iso(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(second))


@dataclass(frozen=True)
class View:
    """What a member object needs to know of its audience; made once per answer."""

    list_id: str
    root: str
    tags_of_fields: tuple[tuple[int, str], ...]
    interest_ids: tuple[str, ...]
    tag_names: dict[int, str]
    permission_id: str
    name_fields: tuple[int, ...]


def document(member: Member, view: View, links: bool = True) -> dict[str, Any]:
    """The member object. Every defined field is present, empty ones as ""; some keys depend on the audience."""
    merge = member.merge
    shown: dict[str, Any] = {
        "id": member.id,
        "email_address": member.email,
        "unique_email_id": unique_email_id(member.id),
        "contact_id": member.contact_id,
        "full_name": " ".join(str(merge[name]) for name in view.name_fields if name in merge),
        "web_id": member.web_id,
        "email_type": member.email_type,
        "status": member.status,
    }
    if member.status == UNSUBSCRIBED:
        shown["unsubscribe_reason"] = member.unsubscribe_reason
    shown["consents_to_one_to_one_messaging"] = True
    shown["merge_fields"] = {tag: merge.get(merge_id, "") for merge_id, tag in view.tags_of_fields}
    if view.interest_ids:
        shown["interests"] = {interest: interest in member.interests for interest in view.interest_ids}
    shown |= {
        "stats": {"avg_open_rate": 0, "avg_click_rate": 0},
        "ip_signup": member.ip_signup,
        "timestamp_signup": member.timestamp_signup,
        "ip_opt": member.ip_opt,
        "timestamp_opt": member.timestamp_opt,
        "member_rating": 2,
        "last_changed": iso(member.last_changed),
        "language": member.language,
        "vip": member.vip,
        "email_client": "",
        "location": _location(member),
        "source": member.source,
        "tags_count": len(member.tags),
        "tags": [{"id": tag, "name": view.tag_names[tag]} for tag, _ in member.tags[:50]],
        "list_id": view.list_id,
    }
    if view.permission_id:
        shown["marketing_permissions"] = [
            {
                "marketing_permission_id": view.permission_id,
                "text": PERMISSION_TEXT,
                "enabled": member.permission,
            }
        ]
    if links:
        shown["_links"] = _links(view.root, member.id)
    return shown


def batch_document(shown: dict[str, Any]) -> dict[str, Any]:
    """The smaller object in answers of `POST /lists/{id}`: neither `web_id` nor `contact_id`."""
    absent = {"web_id", "contact_id", "full_name", "source", "consents_to_one_to_one_messaging"}
    kept = {key: value for key, value in shown.items() if key not in absent}
    return kept | {"location": {key: value for key, value in shown["location"].items() if key != "region"}}


def link_objects(root: str, path: str, rels: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """`_links` of a resource: (rel, method) pairs that all lead to `path`."""
    return [{"rel": rel, "href": f"{root}{path}", "method": method} for rel, method in rels]


def _location(member: Member) -> dict[str, Any]:
    return {
        "latitude": member.latitude,
        "longitude": member.longitude,
        "gmtoff": 0,
        "dstoff": 0,
        "country_code": "",
        "timezone": "",
        "region": "",
    }


def _links(root: str, member_id: str) -> list[dict[str, str]]:
    home = f"{root}/members/{member_id}"
    schema = "https://us6.api.mailchimp.com/schema/3.0/Definitions/Lists/Members"
    links = []
    for rel, method, tail, target in _LINKS:
        link = {"rel": rel, "href": f"{root}/members" if rel == "parent" else home + tail, "method": method}
        if target:
            link["targetSchema"] = f"{schema}/{target}.json"
        links.append(link)
    return links
