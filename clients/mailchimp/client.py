"""The calls on Mailchimp that a sync needs; there is none that deletes or archives."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from clients.mailchimp.key import parse_key
from clients.mailchimp.listing import LIMIT, MemberListing, fits
from clients.mailchimp.problems import checked, code_of, failed
from clients.session import Retry, Session
from domain.errors import NotFound, Refused

Row = dict[str, Any]
Rows = list[Row]

BATCH = 500
_MEMBER = {"id": str, "contact_id": str, "email_address": str, "status": str}


@dataclass(frozen=True)
class BatchAnswer:
    """What became of each address of one batch, keyed by the address in lower case.

    ``created``: the member as answered (without web_id, perhaps without contact_id: read it back);
    ``errors``: (code, the service's words, field); ``missing``: not mentioned, or mentioned twice with different
    outcomes, so nobody knows (hazards D9).
    """

    created: dict[str, Row] = field(default_factory=dict)
    errors: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


class Mailchimp:
    """One account, by its API key; ``url`` replaces ``https://{dc}.api.mailchimp.com/3.0``.

    Every method may raise Unreachable, NotApplied, BrokenAnswer, CredentialsRefused; writes also Ambiguous and Refused.
    """

    def __init__(self, session: Session, api_key: str, url: str | None = None) -> None:
        key, dc = parse_key(api_key)
        self.dc = dc
        root = (url or f"https://{dc}.api.mailchimp.com/3.0").rstrip("/")
        self._url = root if urlsplit(root).path else f"{root}/3.0"
        basic = b64encode(f"maxchimp:{key}".encode()).decode("ascii")
        session.hide([key, basic])
        self.session = session
        self._headers = {"Authorization": f"Basic {basic}"}

    # The account and its lists

    def account(self) -> Row:
        """The account summary (fact sheet section 2); ``account_id`` tells accounts apart."""
        data = self._get("/", "read account")
        if not isinstance(data.get("account_id"), str) or not data["account_id"]:
            raise failed("read account", "no account_id", write=False)
        return data

    def lists(self) -> Rows:
        return self._all("/lists", "lists", "read lists")

    def list(self, list_id: str) -> Row:
        """One list; NotFound when it is not there."""
        data = self._get(f"/lists/{_part(list_id)}", "read list")
        if data.get("id") != list_id:
            raise failed("read list", "another list than asked for", write=False)
        return data

    # Merge fields and groups

    def merge_fields(self, list_id: str) -> Rows:
        return self._all(f"/lists/{_part(list_id)}/merge-fields", "merge_fields", "read merge fields")

    def create_merge_field(
        self, list_id: str, *, tag: str, name: str, type: str, public: bool = False, required: bool = False
    ) -> Row:
        body = {"tag": tag, "name": name, "type": type, "public": public, "required": required}
        return self._create(f"/lists/{_part(list_id)}/merge-fields", body, "create merge field", "tag")

    def groups(self, list_id: str) -> Rows:
        """Interest categories; an empty list where there are none."""
        return self._all(f"/lists/{_part(list_id)}/interest-categories", "categories", "read groups")

    def options(self, list_id: str, category_id: str) -> Rows:
        """The interests of one category."""
        path = f"/lists/{_part(list_id)}/interest-categories/{_part(category_id)}/interests"
        return self._all(path, "interests", "read group options")

    def create_group(self, list_id: str, title: str, options: Sequence[str], type: str = "checkboxes") -> Row:
        """The category with all its ``interests``; what is there by that name is kept, so it may be repeated."""
        path = f"/lists/{_part(list_id)}/interest-categories"
        found = [row for row in self.groups(list_id) if str(row.get("title")).casefold() == title.casefold()]
        group = found[0] if found else self._create(path, {"title": title, "type": type}, "create group", "id")
        have = self.options(list_id, str(group["id"])) if found else []
        names = {str(row.get("name")).casefold() for row in have}
        path = f"{path}/{_part(str(group['id']))}/interests"
        made = [
            self._create(path, {"name": name}, "create group option", "id")
            for name in dict.fromkeys(options)
            if name.casefold() not in names
        ]
        return {**group, "interests": have + made}

    # Members: reading

    def members(
        self,
        list_id: str,
        *,
        since: str | None = None,
        status: str | None = None,
        fields: tuple[str, ...] | None = None,
        page_size: int = LIMIT,
    ) -> MemberListing:
        """All members, or those changed strictly after ``since`` (ISO 8601); archived ones only by ``status``.

        ``fields`` limits each row to these properties (``merge_fields``, ``merge_fields.FNAME``, ...); contact_id and
        last_changed always come along.
        """
        path = f"/lists/{_part(list_id)}/members"
        params: dict[str, str | int] = {"sort_field": "last_changed", "sort_dir": "ASC"}
        if status is not None:
            params["status"] = status
        if fields is None:
            params["exclude_fields"] = "members._links,_links"
        else:
            names = dict.fromkeys(("contact_id", "last_changed", *(name.removeprefix("members.") for name in fields)))
            params["fields"] = ",".join([*(f"members.{name}" for name in names), "total_items"])

        def fetch(page: Mapping[str, str | int]) -> Row:
            return self._get(path, "list members", {**params, **page})

        return MemberListing(fetch, since=since, page_size=page_size)

    def member(self, list_id: str, who: str) -> Row | None:
        """One member by contact_id, address hash or address, archived ones included; None when unknown (404)."""
        path = f"/lists/{_part(list_id)}/members/{_part(who)}"
        try:
            data = self._get(path, "read member", {"exclude_fields": "_links"})
        except NotFound:
            return None
        return _member(data, "read member", write=False)

    def members_with(self, list_id: str, *, unique_email_id: str) -> Rows:
        """Members of this list whose address has that id."""
        path = f"/lists/{_part(list_id)}/members"
        rows = self._all(path, "members", "find members", {"unique_email_id": unique_email_id})
        members = [_member(row, "find members", write=False) for row in rows]
        return [row for row in members if row.get("unique_email_id") == unique_email_id]

    def activity(self, list_id: str, address_hash: str, *, count: int = LIMIT) -> Rows:
        """The newest events of a member (at most 1000), newest first: sent, open, click, bounce and unsub only.

        ``activity_type``, ``created_at_timestamp``, ``campaign_id``, ``campaign_title`` and what the type adds.
        """
        path = f"/lists/{_part(list_id)}/members/{_part(address_hash)}/activity-feed"
        params: dict[str, str | int] = {
            "count": count,
            "activity_filters": "sent,open,click,bounce,unsub",
            "exclude_fields": "_links",
        }
        rows = self._get(path, "read activity", params).get("activity")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise failed("read activity", "activity is not a list of objects", write=False)
        return rows

    # Members: writing

    def add_members(self, list_id: str, rows: Sequence[Mapping[str, Any]], *, lenient: bool = False) -> BatchAnswer:
        """Add up to 500 new members in one call; existing ones are left alone and reported as errors.

        Only for addresses known to be absent: an archived one would be revived (hazards E2). ``lenient``: Mailchimp
        checks no merge fields; only for what it refused although nobody entered it (fact sheet section 9).
        """
        sent = [_address(row) for row in rows]
        if len(rows) > BATCH or len(set(sent)) != len(sent) or not all(sent):
            raise ValueError(f"a batch holds at most {BATCH} different addresses")
        if not rows:
            return BatchAnswer()
        body = {"members": [dict(row) for row in rows], "update_existing": False}
        path = f"/lists/{_part(list_id)}"
        data = self._send("POST", path, "add members", "never", params=_unchecked(lenient), body=body)
        return _batch(data, sent)

    def update_member(
        self, list_id: str, contact_id: str, body: Mapping[str, Any], *, revive: bool = False, lenient: bool = False
    ) -> Row:
        """Change what ``body`` holds, at the member's contact_id; answers the member as stored.

        A ``status`` is an error of the caller unless ``revive`` says that it is meant (hazards E1). ``lenient`` as for
        new members.
        """
        if "status" in body and not revive:
            raise ValueError("an update of an existing member must hold no status")
        path = f"/lists/{_part(list_id)}/members/{_part(contact_id)}"
        try:
            data = self._send("PATCH", path, "update member", "idempotent", params=_unchecked(lenient), body=dict(body))
        except Refused as error:
            if error.code == "member-exists" and "email_address" in body:
                error.code = "address-taken"
            raise
        member = _member(data, "update member", write=True)
        if member["contact_id"] != contact_id:
            raise failed("update member", "another member than asked for", write=True)
        return member

    # Requests

    def _send(
        self,
        method: str,
        path: str,
        operation: str,
        retry: Retry,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Any = None,
    ) -> Row:
        answer = self.session.send(
            method, self._url + path, operation=operation, retry=retry, params=params, json=body, headers=self._headers
        )
        return checked(answer, operation, write=retry != "read")

    def _get(self, path: str, operation: str, params: Mapping[str, str | int] | None = None) -> Row:
        return self._send("GET", path, operation, "read", params=params)

    def _create(self, path: str, body: Row, operation: str, key: str) -> Row:
        data = self._send("POST", path, operation, "never", body=body)
        if not isinstance(data.get(key), str) or not data[key]:
            raise failed(operation, f"the answer does not name the new record ({key})", write=True)
        return data

    def _all(self, path: str, name: str, operation: str, params: Mapping[str, str | int] | None = None) -> Rows:
        """Every row of a collection: the default of 10 rows per call is too few for anyone (pitfall 13)."""
        found: Rows = []
        before: Any = None
        while True:
            page = {"count": LIMIT, "offset": len(found), "exclude_fields": f"{name}._links,_links", **(params or {})}
            data = self._get(path, operation, page)
            rows, total = data.get(name), data.get("total_items")
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise failed(operation, f"{name} is not a list of objects", write=False)
            if not isinstance(total, int) or isinstance(total, bool):
                raise failed(operation, "total_items is not a number", write=False)
            if rows and rows == before:
                raise failed(operation, "the same page came twice", write=False)
            before = rows
            found += rows
            if not rows or len(found) >= total:
                return found


def _unchecked(lenient: bool) -> dict[str, str | int] | None:
    return {"skip_merge_validation": "true"} if lenient else None


def _part(text: str) -> str:
    """One path segment: an address or an id can never reach into another path."""
    if not text or text in (".", ".."):
        raise ValueError("an id in a path is empty")
    return quote(text, safe="")


def _address(row: Mapping[str, Any]) -> str:
    address = row.get("email_address")
    return address.strip().lower() if isinstance(address, str) else ""


def _member(data: Row, operation: str, *, write: bool) -> Row:
    if not (all(isinstance(data.get(name), kind) and data[name] for name, kind in _MEMBER.items()) and fits(data)):
        raise failed(operation, "not a member: id, contact_id, email_address and status are expected", write=write)
    return data


def _batch(data: Row, sent: list[str]) -> BatchAnswer:
    parts = {name: data.get(name, []) for name in ("new_members", "updated_members", "errors")}
    if "new_members" not in data or "errors" not in data or not all(isinstance(part, list) for part in parts.values()):
        raise failed("add members", "new_members and errors are not lists", write=True)
    named = [row for row in parts["new_members"] + parts["updated_members"] if isinstance(row, dict)]
    created = {_address(row): row for row in named}
    errors = {_address(row): _row_error(row) for row in parts["errors"] if isinstance(row, dict)}
    once = {address for address in sent if (address in created) != (address in errors)}
    return BatchAnswer(
        created={address: created[address] for address in sent if address in once and address in created},
        errors={address: errors[address] for address in sent if address in once and address in errors},
        missing=[address for address in sent if address not in once],
    )


def _row_error(row: Row) -> tuple[str, str, str]:
    """(code, words, field): the service knows two codes only, so its words are read as in single calls."""
    words, name = str(row.get("error") or ""), str(row.get("field") or "")
    code = code_of(str(row.get("error_code") or ""), words)
    if code == "other" and name:
        code = "merge-fields"
    return code, str(row.get("field_message") or "") or words, name
