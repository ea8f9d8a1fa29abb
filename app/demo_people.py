"""A look at both products of the demo, person by person, to see what became of an edit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from app.demo_world import DemoWorld, Key
from storage import changes
from storage.engine import reading


class Onlooker:
    """``pairs``: linked people nobody has touched yet, one after the other."""

    def __init__(self, demo: DemoWorld) -> None:
        self.demo = demo
        self.mailchimp, self.maximizer = demo.world.mailchimp, demo.world.maximizer
        self.list_id = demo.world.list_id
        self.pairs: Iterator[tuple[str, Key]] = iter(demo.pairs())
        interests = self.mailchimp.audiences[self.list_id].interests.values()
        self._option = {interest.name: interest.id for interest in interests}

    # --- Mailchimp ---------------------------------------------------------------------------------------------------

    def member(self, contact_id: str) -> dict[str, Any]:
        return self.mailchimp.member(contact_id)

    def merge(self, contact_id: str, tag: str) -> Any:
        return self.member(contact_id)["merge_fields"][tag]

    def by_email(self, email: str) -> dict[str, Any]:
        """The one member with this address; anything else is told in place of the status."""
        found = [m for m in self.mailchimp.members(self.list_id) if m["email_address"].lower() == email.lower()]
        return found[0] if len(found) == 1 else {"status": f"{len(found)} members", "merge_fields": {"REGION": ""}}

    def ticked(self, contact_id: str, option: str) -> bool:
        return bool(self.member(contact_id)["interests"][self._option[option]])

    # --- Maximizer ---------------------------------------------------------------------------------------------------

    def udf(self, key: Key, path: str) -> Any:
        return self.maximizer.entry(key)["udfs"][path]

    def entries(self, email: str) -> list[dict[str, Any]]:
        return [row for row in self.maximizer.entries().values() if row["Email1"].lower() == email.lower()]

    def name(self, key: Key) -> str:
        entry = self.maximizer.entry(key)
        return f"{entry['FirstName']} {entry['LastName']}".strip()

    # --- our store ---------------------------------------------------------------------------------------------------

    def overwritten(self, contact_id: str, tag: str) -> list[str]:
        """Values of a member's field that were overwritten."""
        with reading(self.demo.engine) as db:
            past = changes.history(db, self.demo.connection_id, contact_id)
        items = [item for fields in past["fields"] for item in json.loads(fields)["set"]]
        return [str(item["old"]) for item in items if item["field"] == tag]

    def in_quarantine(self, key: Key) -> bool:
        """Whether something about this entry waits for a person."""
        name = f"{key[0]}#{key[1]}"
        return any(name in json.dumps(row, default=str) for row in self.demo.waiting())
