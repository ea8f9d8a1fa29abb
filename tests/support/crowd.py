"""What people do on both sides while the engine works: small acts named by a word and three numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from harness import FLAG, Office
from truth import FIELDS, FIRST, PEOPLE, Key, Truth

ADDRESSES = tuple(f"{name}@lantern.test" for name in ("p0", "p1", "p2", "p3", "p4", "p5", "p6"))
Act = tuple[str, int, int, int]


class Crowd:
    """Acts take any numbers: they pick among what is there, and do nothing where there is nothing to do."""

    def __init__(self, office: Office, truth: Truth) -> None:
        self.office, self.truth = office, truth
        self.companies = [key for key, row in office.maximizer.entries().items() if row["Type"] == "Company"]

    def do(self, act: Act) -> None:
        name, *numbers = act
        with contextlib.suppress(ValueError):  # the product's own screen refused it
            ACTS[name](self, *numbers)
        self.truth.acted()

    # ------------------------------------------------------------- picking

    def contact(self, i: int, *, archived: bool = True) -> str | None:
        there = [row["contact_id"] for row in self.office.mailchimp.members(self.office.list_id, archived=archived)]
        return there[i % len(there)] if there else None

    def key(self, i: int) -> Key | None:
        there = [key for key, row in self.office.maximizer.entries().items() if row["Type"] in PEOPLE]
        return there[i % len(there)] if there else None

    def tag(self, i: int) -> str:
        tags = list(FIELDS)
        return tags[i % len(tags)]

    def value(self, tag: str, side: str, k: int) -> Any:
        pool = FIELDS[tag].pool(side)
        return pool[k % len(pool)]

    # ------------------------------------------------------------- Mailchimp

    def subscribe(self, i: int, j: int, k: int) -> None:
        fields = {tag: self.value(tag, "mailchimp", j + k) for tag in ("FNAME", "LNAME", self.tag(j)) if tag[0] != "g"}
        text = ADDRESSES[i % len(ADDRESSES)]
        self.office.subscribe(text.upper() if k % 3 == 2 else text, merge_fields=fields)

    def edit_member(self, i: int, j: int, k: int) -> None:
        contact_id, tag = self.contact(i, archived=False), self.tag(j)
        value = self.value(tag, "mailchimp", k)
        if contact_id is None:
            return
        if tag.startswith("group:"):
            group = {name: name in value for name in self._interests()}
            self.office.mailchimp.edit(contact_id, interests=group)
        else:
            self.office.mailchimp.edit(contact_id, merge_fields={tag: value})

    def _interests(self) -> list[str]:
        audience = self.office.mailchimp.audiences[self.office.list_id]
        category = next(one.id for one in audience.categories.values() if one.title == "Email Profile")
        return [one.name for one in audience.options_of(category)]

    def change_member_address(self, i: int, j: int, k: int) -> None:
        if contact_id := self.contact(i, archived=False):
            text = ADDRESSES[j % len(ADDRESSES)]
            self.office.mailchimp.change_email(contact_id, text.title() if k % 3 == 2 else text)

    def unsubscribe(self, i: int, j: int, k: int) -> None:
        contact_id = self.contact(i, archived=False)
        if contact_id and self.office.member(contact_id)["status"] == "subscribed":
            self.office.mailchimp.unsubscribe(contact_id, by=("person", "admin")[j % 2])

    def resubscribe(self, i: int, j: int, k: int) -> None:
        if contact_id := self.contact(i):
            self.office.mailchimp.resubscribe(contact_id)

    def archive(self, i: int, j: int, k: int) -> None:
        if contact_id := self.contact(i, archived=False):
            self.office.mailchimp.archive(contact_id)

    def delete_member(self, i: int, j: int, k: int) -> None:
        if contact_id := self.contact(i):
            self.office.mailchimp.delete_permanently(contact_id)

    # ------------------------------------------------------------- Maximizer

    def add_entry(self, i: int, j: int, k: int) -> None:
        tag = self.tag(j)
        udfs = {} if FIELDS[tag].basic else {FIELDS[tag].path: self.value(tag, "maximizer", k)}
        text = (*ADDRESSES, "", "not an address")[i % (len(ADDRESSES) + 2)]
        self.office.add("Ivo", "Stone", text.upper() if k % 3 == 2 else text, (None, "Yes", "No")[j % 3], udfs=udfs)

    def edit_entry(self, i: int, j: int, k: int) -> None:
        key, tag = self.key(i), self.tag(j)
        if key:
            self.office.maximizer.edit(key, {FIELDS[tag].path: self.value(tag, "maximizer", k)})

    def change_entry_address(self, i: int, j: int, k: int) -> None:
        if key := self.key(i):
            self.office.maximizer.edit(key, {"Email1": (*ADDRESSES, "")[j % (len(ADDRESSES) + 1)]})

    def flag(self, i: int, j: int, k: int) -> None:
        if key := self.key(i):
            self.office.maximizer.edit(key, {FLAG: ("Yes", "No", None)[j % 3]})

    def remove_entry(self, i: int, j: int, k: int) -> None:
        if key := self.key(i):
            self.office.maximizer.remove(key)

    def convert(self, i: int, j: int, k: int) -> None:
        """Not in the minute it was made: an entry that has another key and cannot be searched yet looks deleted."""
        key, book = self.key(i), self.office.maximizer.database.book
        if (
            key
            and self.office.entry(key)["Type"] == "Individual"
            and book.keys[key].created < self.office.clock.now() - 60
        ):
            self.truth.moved(key, self.office.maximizer.convert_to_contact(key, self.companies[0]))

    def copy_entry(self, i: int, j: int, k: int) -> None:
        if key := self.key(i):
            self.truth.copied(key, self.office.maximizer.copy_entry(key))

    # ------------------------------------------------------------- both at once, and the definitions

    def edit_both(self, i: int, j: int, k: int) -> None:
        pairs = list(self.truth.pairs())
        if pairs:
            (_, contact_id), (_, key) = pairs[i % len(pairs)]
            members = [row["contact_id"] for row in self.office.mailchimp.members(self.office.list_id, archived=False)]
            entries = [key for key, row in self.office.maximizer.entries().items() if row["Type"] in PEOPLE]
            self.edit_member(members.index(contact_id), j, k)
            self.edit_entry(entries.index(key), j, k + 1)

    def add_option(self, i: int, j: int, k: int) -> None:
        """The option that one side lacked: from now on it has a counterpart (R26, R30)."""
        path = FIELDS["group:Email Profile"].path
        if "Surveys" not in self.office.maximizer.options(path).values():
            self.office.maximizer.add_option(path, "Surveys")
        self.truth.forget_mapping("group:Email Profile")


ACTS: dict[str, Callable[[Crowd, int, int, int], None]] = {
    name: getattr(Crowd, name)
    for name in (
        "edit_member", "edit_entry", "edit_both", "flag", "subscribe", "add_entry", "change_member_address",
        "change_entry_address", "unsubscribe", "resubscribe", "archive", "delete_member", "remove_entry", "convert",
        "copy_entry", "add_option",
    )
}  # fmt: skip


def mappings() -> list[tuple[str, str]]:
    """(tag, field) beside those that set-up makes itself."""
    return [(tag, one.path) for tag, one in FIELDS.items() if tag not in FIRST]
