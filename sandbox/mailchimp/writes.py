"""What a write through the API does to a member (Mailchimp fact sheet sections 6 and 7). Refusals store nothing."""

from dataclasses import replace
from typing import Any

from sandbox.mailchimp import problems, schema
from sandbox.mailchimp.account import Account
from sandbox.mailchimp.audience import Audience
from sandbox.mailchimp.members import (
    ARCHIVED,
    CLEANED,
    PENDING,
    SUBSCRIBED,
    Member,
    fold,
    iso,
    subscriber_hash,
)
from sandbox.mailchimp.merge_fields import FieldError, as_any_string, clean, incomplete, missing
from sandbox.mailchimp.problems import Problem

ADDABLE = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional")
PATCHABLE = ("subscribed", "unsubscribed", "cleaned", "pending")
MAX_BATCH = 500


class Writer:
    """One request's writes to one audience. `skip`: skip_merge_validation."""

    def __init__(self, account: Account, audience: Audience, skip: bool = False) -> None:
        self.account = account
        self.audience = audience
        self.skip = skip

    # -- the three verbs ----------------------------------------------------------------------------------------

    def post(self, body: dict[str, Any]) -> Member:
        """Adds a member, or revives an archived one under its old ids with its tags."""
        _checked(body, ADDABLE)
        schema.require(body, "email_address", "status")
        known = self._by_address(body["email_address"])
        if known is None:
            return self._insert(body, body["status"])
        if known.status != ARCHIVED:
            raise problems.member_exists(body["email_address"])
        return self._update(known, body, names_tags=True)

    def put(self, key: str, body: dict[str, Any]) -> Member:
        """Updates who is found under `key`, else inserts the body's address, whatever the key says."""
        _checked(body, ADDABLE)
        known = self.audience.find(key)
        if known is not None:
            return self._update(known, body)
        schema.require(body, "email_address")
        if self._by_address(body["email_address"]) is not None:
            raise problems.member_exists(body["email_address"])
        status = body.get("status_if_new") or body.get("status")
        if status is None:
            schema.require(body, "status_if_new")
        return self._insert(body, str(status))

    def patch(self, key: str, body: dict[str, Any]) -> Member:
        _checked(body, PATCHABLE)
        known = self.audience.find(key)
        if known is None:
            raise problems.not_found()
        return self._update(known, body)

    def archive(self, key: str) -> None:
        known = self.audience.find(key)
        if known is None:
            raise problems.not_found()
        if known.status in (ARCHIVED, CLEANED, PENDING):
            raise problems.cannot_archive()
        self.account.commit(self.audience, known, replace(known, status=ARCHIVED), "api")

    def tag(self, known: Member, changes: list[dict[str, Any]]) -> None:
        """Adds and takes away tags. Any named tag moves `last_changed`, even one that was there; none does not."""
        held = dict(known.tags)
        for change in changes:
            tag_id = self._tag_id(change["name"])
            if change["status"] == "active":
                held.setdefault(tag_id, iso(self.account.now()))
            else:
                held.pop(tag_id, None)
        after = replace(known, tags=tuple(held.items()))
        self.account.commit(self.audience, known, after, "api", touch=bool(changes))

    # -- one row of POST /lists/{id} ----------------------------------------------------------------------------

    def row(self, body: dict[str, Any], update_existing: bool, sync_tags: bool) -> tuple[Member, bool]:
        """The member and whether it counts as created. Raises Problem, of which the caller makes a row error."""
        schema.require(body, "email_address")
        known = self._by_address(body["email_address"])
        if known is None:
            schema.require(body, "status")
            return self._insert(body, body["status"]), True
        if known.status == ARCHIVED:
            return self._update(known, {"status": SUBSCRIBED, **_without_address(body)}, names_tags=True), True
        if not update_existing:
            raise problems.member_exists(body["email_address"])
        return self._update(known, _without_address(body), names_tags=sync_tags), False

    # -- parts --------------------------------------------------------------------------------------------------

    def _by_address(self, email: str) -> Member | None:
        return self.audience.find(subscriber_hash(email))

    def _insert(self, body: dict[str, Any], status: str) -> Member:
        email = body["email_address"]
        self._admit(email)
        blank = self.account.new_member(self.audience, email, status)
        member = self._tagged(self._profile(blank, body, new=True), body)
        return self.account.commit(self.audience, None, member, "api")

    def _update(self, known: Member, body: dict[str, Any], names_tags: bool = False) -> Member:
        after = self._renamed(known, body.get("email_address", known.email))
        after = self._profile(after, body, new=False)
        after = self._tagged(after, body) if names_tags else after
        after = _with_status(after, body.get("status", known.status))
        return self.account.commit(self.audience, known, after, "api")

    def _admit(self, email: str) -> None:
        """Raises Problem when this address may not appear on the list."""
        schema.check_address(email, self.account.fake_addresses)
        if subscriber_hash(email) in self.audience.forgotten:
            raise problems.forgotten(email)
        if fold(email) in self.account.too_many_lists:
            raise problems.too_many_lists(email)

    def _renamed(self, known: Member, email: str) -> Member:
        if email == known.email:
            return known
        new_id = subscriber_hash(email)
        if new_id != known.id:
            if known.status != SUBSCRIBED:
                raise problems.cannot_rename(known.status)
            holder = self.audience.find(new_id)
            if holder is not None:
                raise problems.address_taken(email, holder.status)
            self._admit(email)
        return replace(known, email=email, id=new_id)

    def _profile(self, member: Member, body: dict[str, Any], new: bool) -> Member:
        """The member with everything of the body but address, status and tags."""
        changes: dict[str, Any] = {key: body[key] for key in ("language", "vip", "ip_signup", "ip_opt") if key in body}
        if body.get("email_type"):
            changes["email_type"] = body["email_type"]
        for key in ("timestamp_signup", "timestamp_opt"):
            if body.get(key):
                changes[key] = schema.stamp(body[key], key)
        for key in ("latitude", "longitude"):
            if key in body.get("location", {}):
                changes[key] = body["location"][key]
        if self.audience.marketing_permissions and body.get("marketing_permissions"):
            changes["permission"] = bool(body["marketing_permissions"][0].get("enabled"))
        if new or "merge_fields" in body:
            changes["merge"] = self._merged(member.merge, body.get("merge_fields", {}))
        if body.get("interests"):
            changes["interests"] = self._interested(member.interests, body["interests"])
        return replace(member, **changes) if changes else member

    def _merged(self, stored: dict[int, Any], sent: dict[str, Any]) -> dict[int, Any]:
        """Absent tags stay, unknown ones are ignored, required ones must be sent. Raises Problem naming every field."""
        merged, errors = dict(stored), []
        values = {tag.upper(): value for tag, value in sent.items() if tag not in self.account.ignored_tags}
        for merge_id, definition in self.audience.fields.items():
            value = values.get(definition.tag)
            if value is None or value == "":
                broken = value is None and incomplete(stored.get(merge_id))
                if (definition.required or broken) and not self.skip:
                    errors.append((definition.tag, missing(definition)))
                if value == "":
                    merged.pop(merge_id, None)
                continue
            try:
                merged[merge_id] = clean(definition, value)
            except FieldError as error:
                merged[merge_id] = as_any_string(value)
                if not self.skip:
                    errors.append((definition.tag, str(error)))
        if errors:
            raise problems.merge_fields(errors)
        return merged

    def _interested(self, held: frozenset[str], sent: dict[str, bool]) -> frozenset[str]:
        for interest_id in sent:
            if interest_id not in self.audience.interests:
                raise problems.unknown_interest(interest_id)
        on = {interest_id for interest_id, wanted in sent.items() if wanted}
        return (held | on) - (set(sent) - on)

    def _tagged(self, member: Member, body: dict[str, Any]) -> Member:
        names = body.get("tags")
        if names is None:
            return member
        since = dict(member.tags)
        ids = [self._tag_id(name if isinstance(name, str) else name["name"]) for name in names]
        return replace(member, tags=tuple((tag, since.get(tag, iso(self.account.now()))) for tag in dict.fromkeys(ids)))

    def _tag_id(self, name: str) -> int:
        for tag_id, known in self.audience.tags.items():
            if known.casefold() == name.casefold():
                return tag_id
        tag_id = self.account.next_web_id()
        self.audience.tags[tag_id] = name
        return tag_id


def batch(writer: Writer, body: dict[str, Any], skip_duplicates: bool) -> dict[str, Any]:
    """`POST /lists/{id}`: each row stands alone; the answer's members are Member values for the caller to show."""
    rows = body.get("members")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise problems.schema([("members", schema.describe("array", rows))])
    if len(rows) > MAX_BATCH:
        detail = f"Maximum allowed member items exceeded, please provide at most {MAX_BATCH} items."  # (assumed)
        raise problems.schema([("members", detail)])
    wrong = [error for n, row in enumerate(rows) for error in schema.member_errors(row, ADDABLE, f"members.item:{n}.")]
    if wrong:
        raise problems.schema(wrong)
    made: list[Member] = []
    changed: list[Member] = []
    errors: list[dict[str, str]] = []
    seen: set[str] = set()
    for row in rows:
        email = row.get("email_address", "")
        repeated = fold(email) in seen
        seen.add(fold(email))
        if repeated and skip_duplicates:
            continue
        try:
            if repeated:
                raise problems.invalid(f"{email} is a duplicate in this request")  # (assumed)
            member, created = writer.row(row, bool(body.get("update_existing")), bool(body.get("sync_tags")))
            (made if created else changed).append(member)
        except Problem as problem:
            errors.append(_row_error(email, problem))
    return {
        "new_members": made,
        "updated_members": changed,
        "errors": errors,
        "total_created": len(made),
        "total_updated": len(changed),
        "error_count": len(errors),
    }


def _row_error(email: str, problem: Problem) -> dict[str, str]:
    if problem.title == "Member Exists":
        text = (
            f"{email} is already a list member, do you want to update?"
            " please provide update_existing:true in the request body"
        )
        return {"email_address": email, "error": text, "error_code": "ERROR_CONTACT_EXISTS"}
    field, message = problem.errors[0] if problem.errors else ("", "")
    error = {"email_address": email, "error": problem.detail, "error_code": "ERROR_GENERIC"}
    return error | ({"field": field, "field_message": message} if message else {})


def _with_status(member: Member, status: str) -> Member:
    """Raises Problem when the person, not the API, has ended the subscription."""
    if status == SUBSCRIBED and member.compliance and member.status != SUBSCRIBED:
        raise problems.compliance_state(member.email)
    cleaned = status == CLEANED and member.status != CLEANED
    return replace(member, status=status, compliance=member.compliance or cleaned)


def _checked(body: dict[str, Any], statuses: tuple[str, ...]) -> None:
    errors = schema.member_errors(body, statuses)
    if errors:
        raise problems.schema(errors)


def _without_address(body: dict[str, Any]) -> dict[str, Any]:
    """A batch matches by address and never changes one, not even its spelling."""
    return {key: value for key, value in body.items() if key != "email_address"}
