"""The account behind the API: audiences, identities, the clock, switches, and the record of who did what."""

import random
from dataclasses import replace
from typing import Any, NamedTuple

from sandbox.clock import Clock, whole_second
from sandbox.mailchimp.audience import Audience
from sandbox.mailchimp.members import PENDING, SUBSCRIBED, UNSUBSCRIBED, Member, iso, subscriber_hash
from sandbox.mailchimp.merge_fields import MergeField

API_KEY = "0123456789abcdef0123456789abcdef-us6"


class Transition(NamedTuple):
    """One change of a status. `before` None: new; `after` "": erased. `by`: person, api, admin or service (bounced)."""

    list_id: str
    contact_id: str
    email: str
    before: str | None
    after: str
    by: str
    time: int


class Account:
    """State and rules shared by the API and by people.

    Switches, all public attributes:
    stats_cached: figures of a list may be five minutes old (the default, as in the product).
    too_many_lists, fake_addresses: addresses (lower case) that the API refuses with those reasons.
    ignored_tags: merge tags that writes accept and never store.
    disabled: every call answers 403 User Disabled.
    choices_patchable: whether PATCH may set `options.choices` of a merge field.
    """

    def __init__(self, clock: Clock, api_key: str = API_KEY, seed: int = 0) -> None:
        self.clock = clock
        self.api_key = api_key
        self.data_centre = api_key.rpartition("-")[2] or "us6"
        self.root = f"https://{self.data_centre}.api.mailchimp.com/3.0"
        self.audiences: dict[str, Audience] = {}
        self.history: list[Transition] = []
        self.deletes = 0
        self.stats_cached = True
        self.disabled = False
        self.choices_patchable = False
        self.too_many_lists: set[str] = set()
        self.fake_addresses: set[str] = set()
        self.ignored_tags: set[str] = set()
        self.started = whole_second(clock)
        self._dice = random.Random(f"mailchimp:{seed}")
        self._last_web_id = 400_751_000 + self._dice.randrange(900)
        self.account_id = self.hex_id(24)

    # -- identities ---------------------------------------------------------------------------------------------

    def hex_id(self, digits: int) -> str:
        return f"{self._dice.getrandbits(digits * 4):0{digits}x}"

    def next_web_id(self) -> int:
        self._last_web_id += 1
        return self._last_web_id

    def now(self) -> int:
        return whole_second(self.clock)

    # -- finding ------------------------------------------------------------------------------------------------

    def locate(self, contact_id: str) -> tuple[Audience, Member]:
        """Raises KeyError."""
        for audience in self.audiences.values():
            web_id = audience.by_contact.get(contact_id)
            if web_id is not None:
                return audience, audience.people[web_id]
        raise KeyError(contact_id)

    # -- changing -----------------------------------------------------------------------------------------------

    def new_member(self, audience: Audience, email: str, status: str, **values: Any) -> Member:
        """A member that is not stored yet."""
        now = self.now()
        return Member(
            contact_id=self.hex_id(32),
            web_id=self.next_web_id(),
            email=email,
            id=subscriber_hash(email),
            status=status,
            last_changed=now,
            **{"timestamp_opt": iso(now) if status != PENDING else "", **values},
        )

    def commit(self, audience: Audience, before: Member | None, after: Member, by: str, touch: bool = False) -> Member:
        """Stores `after`. What changes nothing does not move `last_changed`, unless the product `touch`es it anyway."""
        if before == after and not touch:
            return after
        now = self.now()
        was = before.status if before else None
        gained: dict[str, Any] = {}
        if was != after.status:
            gained = _gained(after, was, by, now)
            audience.noted(was, after.status, now)
            self.history.append(
                Transition(audience.id, after.contact_id, after.email, was, after.status, by, now),
            )
        after = replace(after, last_changed=now, **gained)
        audience.put(after)
        return after

    def erase(self, audience: Audience, member: Member, by: str) -> None:
        """Deletes for good; the address may only come back through the product's own form."""
        audience.drop(member)
        audience.forgotten.add(member.id)
        self.history.append(
            Transition(audience.id, member.contact_id, member.email, member.status, "", by, self.now()),
        )

    def define_field(self, audience: Audience, **values: Any) -> MergeField:
        """Adds a merge field under the next free merge_id."""
        merge_id = audience.next_merge_id
        audience.next_merge_id += 1
        definition = MergeField(merge_id=merge_id, **{"display_order": merge_id + 1, **values})
        audience.fields[merge_id] = definition
        return definition


def _gained(member: Member, was: str | None, by: str, now: int) -> dict[str, Any]:
    """What comes and goes with a new status."""
    if member.status == UNSUBSCRIBED:
        reason = member.unsubscribe_reason or ("None given" if by == "person" else "N/A (Unsubscribed by an admin)")
        left = member.compliance or by == "person"
        return {"unsubscribed_by": by, "unsubscribe_reason": reason, "compliance": left}
    if member.status == SUBSCRIBED:
        stamp = iso(now) if was else member.timestamp_opt
        return {"unsubscribed_by": "", "unsubscribe_reason": "", "timestamp_opt": stamp, "compliance": False}
    return {}
