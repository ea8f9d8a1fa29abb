"""What people do in the product itself: subscribers through forms and mails, the team through the web app.

No HTTP; used to prepare a world and to change it between two synchronisations. Unknown ids raise KeyError, what the
product's own screens would not take raises ValueError.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sandbox.mailchimp.account import Account
from sandbox.mailchimp.audience import Audience, Category, Interest
from sandbox.mailchimp.members import (
    ARCHIVED,
    CLEANED,
    STATUSES,
    SUBSCRIBED,
    UNSUBSCRIBED,
    Member,
    document,
    iso,
    subscriber_hash,
)
from sandbox.mailchimp.merge_fields import DEFAULT_OPTIONS, MAX_TAG, TYPES, FieldError, as_any_string, clean
from sandbox.mailchimp.schema import well_formed

Interests = Collection[str] | Mapping[str, bool]


class People(Account):
    """Interests are named or given by id: a collection means exactly these, a mapping switches single ones."""

    PERSON_ACTIONS = frozenset(
        {
            "add_merge_field",
            "add_group",
            "add_option",
            "rename_option",
            "remove_option",
            "rename_choice",
            "edit_merge_field",
            "remove_merge_field",
            "subscribe",
            "edit",
            "change_email",
            "unsubscribe",
            "resubscribe",
            "clean",
            "archive",
            "delete_permanently",
            "member",
            "members",
        }
    )

    # -- the list -----------------------------------------------------------------------------------------------

    def add_list(self, name: str, **options: Any) -> str:
        """A list with FNAME and LNAME. Options: double_optin, marketing_permissions, merge_field_limit."""
        list_id = self.hex_id(10)
        audience = Audience(list_id, self.next_web_id(), name, self.now(), self.root, **options)
        self.audiences[list_id] = audience
        self.add_merge_field(list_id, "FNAME", "First Name", "text")
        self.add_merge_field(list_id, "LNAME", "Last Name", "text")
        return list_id

    def add_merge_field(
        self,
        list_id: str,
        tag: str,
        name: str,
        type: str,
        required: bool = False,
        options: Mapping[str, Any] | Sequence[str] | None = None,
        public: bool = True,
    ) -> int:
        """The merge_id. `options` as in the API, or just the choices of a radio or dropdown field."""
        audience = self.audiences[list_id]
        if type not in TYPES or not 0 < len(tag) <= MAX_TAG or audience.field_by_tag(tag):
            raise ValueError(f"{tag}: the tag is taken or too long, or the type {type!r} is unknown")
        given = dict(options) if isinstance(options, Mapping) else {"choices": list(options)} if options else {}
        settings = DEFAULT_OPTIONS.get(type, {}) | given
        values: dict[str, Any] = {"tag": tag.upper(), "name": name, "type": type, "required": required}
        return self.define_field(audience, **values, options=settings, public=public).merge_id

    def edit_merge_field(self, list_id: str, tag: str, **changes: Any) -> None:
        """`changes` of name, tag, required, public, options ...; never of the type."""
        audience = self.audiences[list_id]
        known = audience.field_by_tag(tag)
        if known is None or "type" in changes:
            raise ValueError(f"{tag}: unknown, or its type cannot change")
        audience.fields[known.merge_id] = replace(known, **changes)

    def remove_merge_field(self, list_id: str, tag: str) -> None:
        """With all its values; `last_changed` of the members stays."""
        audience = self.audiences[list_id]
        known = audience.field_by_tag(tag)
        if known is None:
            raise KeyError(tag)
        del audience.fields[known.merge_id]
        self._rewrite(audience, known.merge_id, lambda value: "")

    def rename_choice(self, list_id: str, tag: str, old: str, new: str) -> None:
        """Members that had chosen it show the new label at once; their `last_changed` stays."""
        audience = self.audiences[list_id]
        known = audience.field_by_tag(tag)
        if known is None or old not in known.choices:
            raise KeyError(f"{tag} {old}")
        choices = [new if choice == old else choice for choice in known.choices]
        audience.fields[known.merge_id] = replace(known, options=known.options | {"choices": choices})
        self._rewrite(audience, known.merge_id, lambda value: new if value == old else value)

    def _rewrite(self, audience: Audience, merge_id: int, change: Any) -> None:
        for member in list(audience.people.values()):
            if merge_id in member.merge:
                value = change(member.merge[merge_id])
                rest = {key: kept for key, kept in member.merge.items() if key != merge_id}
                audience.put(replace(member, merge=rest | ({merge_id: value} if value != "" else {})))

    def add_group(
        self, list_id: str, title: str, options: Sequence[str], type: str = "checkboxes"
    ) -> tuple[str, dict[str, str]]:
        """(category_id, {option: interest_id})."""
        audience = self.audiences[list_id]
        category = Category(self.hex_id(10), title, type, len(audience.categories))
        audience.categories[category.id] = category
        return category.id, {name: self.add_option(list_id, category.id, name) for name in options}

    def add_option(self, list_id: str, category_id: str, name: str) -> str:
        audience = self.audiences[list_id]
        known = audience.options_of(audience.categories[category_id].id)
        if name.casefold() in {option.name.casefold() for option in known}:
            raise ValueError(f"{name}: there is such an option already")
        interest = Interest(self.hex_id(10), name, category_id, len(known) + 1)
        audience.interests[interest.id] = interest
        return interest.id

    def rename_option(self, list_id: str, interest_id: str, name: str) -> None:
        """The id stays."""
        self.audiences[list_id].interests[interest_id].name = name

    def remove_option(self, list_id: str, interest_id: str) -> None:
        """Taken from every member; `last_changed` of the members stays."""
        audience = self.audiences[list_id]
        del audience.interests[interest_id]
        for member in list(audience.people.values()):
            if interest_id in member.interests:
                audience.put(replace(member, interests=member.interests - {interest_id}))

    # -- members ------------------------------------------------------------------------------------------------

    def subscribe(
        self,
        list_id: str,
        email: str,
        merge_fields: Mapping[str, Any] | None = None,
        interests: Interests | None = None,
        status: str = SUBSCRIBED,
        language: str = "",
    ) -> str:
        """The contact_id. By the product's own form, which takes everybody back: left, bounced, archived, erased."""
        audience = self.audiences[list_id]
        if not well_formed(email) or status not in STATUSES:
            raise ValueError(f"{email!r} as {status!r}")
        known = audience.find(subscriber_hash(email))
        audience.forgotten.discard(subscriber_hash(email))
        base = known or self.new_member(
            audience, email, status, source="Hosted Signup Form", timestamp_signup=iso(self.now())
        )
        changes = self._profile(audience, base, merge_fields, interests)
        changes |= {"status": status, "compliance": status == CLEANED, "language": language or base.language}
        after = replace(base, **changes)
        return self.commit(audience, known, after, "person").contact_id

    def edit(
        self,
        contact_id: str,
        merge_fields: Mapping[str, Any] | None = None,
        interests: Interests | None = None,
        language: str | None = None,
    ) -> None:
        audience, member = self.locate(contact_id)
        changes = self._profile(audience, member, merge_fields, interests)
        changes |= {} if language is None else {"language": language}
        self.commit(audience, member, replace(member, **changes), "person")

    def change_email(self, contact_id: str, email: str) -> None:
        audience, member = self.locate(contact_id)
        holder = audience.find(subscriber_hash(email))
        if not well_formed(email) or (holder is not None and holder.contact_id != contact_id):
            raise ValueError(f"{email!r} is no address or is on the list already")
        self.commit(audience, member, replace(member, email=email, id=subscriber_hash(email)), "person")

    def unsubscribe(self, contact_id: str, reason: str = "", by: str = "person") -> None:
        """By the person: from now on the API may not subscribe them. `by="admin"`: in the web app, without that."""
        audience, member = self.locate(contact_id)
        left = member.compliance or by == "person"
        after = replace(member, status=UNSUBSCRIBED, unsubscribe_reason=reason, compliance=left)
        self.commit(audience, member, after, by)

    def resubscribe(self, contact_id: str) -> None:
        """By the person, through the product's own form."""
        audience, member = self.locate(contact_id)
        self.commit(audience, member, replace(member, status=SUBSCRIBED, compliance=False), "person")

    def clean(self, contact_id: str) -> None:
        """The address bounced for good."""
        audience, member = self.locate(contact_id)
        self.commit(audience, member, replace(member, status=CLEANED, compliance=True), "service")

    def archive(self, contact_id: str) -> None:
        """By the team in the web app."""
        audience, member = self.locate(contact_id)
        self.commit(audience, member, replace(member, status=ARCHIVED), "admin")

    def delete_permanently(self, contact_id: str) -> None:
        audience, member = self.locate(contact_id)
        self.erase(audience, member, "admin")

    def member(self, contact_id: str) -> dict[str, Any]:
        """The API's member object, without `_links`."""
        audience, member = self.locate(contact_id)
        return document(member, audience.view(), links=False)

    def members(self, list_id: str, archived: bool = True) -> list[dict[str, Any]]:
        """In order of their first appearance."""
        audience = self.audiences[list_id]
        view = audience.view()
        return [
            document(member, view, links=False)
            for member in audience.people.values()
            if archived or member.status != ARCHIVED
        ]

    # -- parts --------------------------------------------------------------------------------------------------

    def _profile(
        self,
        audience: Audience,
        member: Member,
        merge_fields: Mapping[str, Any] | None,
        interests: Interests | None,
    ) -> dict[str, Any]:
        """What a person's entries change."""
        merge = dict(member.merge)
        for tag, value in (merge_fields or {}).items():
            definition = audience.field_by_tag(tag)
            if definition is None:
                raise ValueError(f"{tag}: no such merge field")
            stored = self._typed_by_hand(definition, value)
            merge.pop(definition.merge_id, None)
            if stored != "":
                merge[definition.merge_id] = stored
        chosen = member.interests if interests is None else _chosen(audience, member.interests, interests)
        return {"merge": merge, "interests": chosen}

    @staticmethod
    def _typed_by_hand(definition: Any, value: Any) -> Any:
        """As the API takes it; but the product's forms also let half an address through."""
        try:
            return clean(definition, value)
        except FieldError:
            if definition.type == "address" and isinstance(value, Mapping):
                return as_any_string(dict(value))
            raise


def _chosen(audience: Audience, held: frozenset[str], wanted: Interests) -> frozenset[str]:
    if isinstance(wanted, Mapping):
        ids = {_interest_id(audience, name): on for name, on in wanted.items()}
        return (held | {key for key, on in ids.items() if on}) - {key for key, on in ids.items() if not on}
    return frozenset(_interest_id(audience, name) for name in wanted)


def _interest_id(audience: Audience, name: str) -> str:
    if name in audience.interests:
        return name
    found = [interest.id for interest in audience.interests.values() if interest.name == name]
    if len(found) != 1:
        raise ValueError(f"{name}: {len(found)} options have this name")
    return found[0]
