"""An office with people on both sides, synchronised once, and its page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import Office
from visitor import Visitor, page

MAPPINGS = [("POINTS", r"Marketing\Loyalty Points"), ("PLAN", r"Marketing\Plan"), ("REF", r"Marketing\Reference"),
            ("JOB", "Position"), ("group:Email Profile", r"Marketing\Email Opt-In")]  # fmt: skip


@dataclass
class Floor:
    """The office, its page, and the people on it by name."""

    office: Office
    page: Visitor
    keys: dict[str, tuple[str, int]]
    members: dict[str, str]

    def visitor(self) -> Visitor:
        """Another browser on the same page."""
        made = Visitor(self.page.app, self.page.site)
        made.maximizer = self.office.maximizer
        return made


def furnish(folder: Path, **settings: Any) -> Floor:
    office = Office(f"sqlite:///{folder / 'maxchimp.db'}", mappings=MAPPINGS)
    merge = {"REF": "R-1", "PLAN": "Plus", "POINTS": 3}
    members = {
        name: office.subscribe(f"{name}@birchmail.test", name.title(), "Reed", merge_fields=merge,
                               interests=["Newsletter"] if name == "both" else [])
        for name in ("both", "gone", "lone")
    }  # fmt: skip
    keys = {
        "both": office.add("Both", "Reed", "both@birchmail.test", flag="Yes"),
        "gone": office.add("Gone", "Reed", "gone@birchmail.test", flag="Yes"),
        "plain": office.add("Plain", "Reed", "plain@birchmail.test"),
        "mute": office.add("Mute", "Reed", flag="Yes"),
        "firm": office.maximizer.add_company("Lantern Works"),
    }
    office.sync()
    for user in ("ADA", "BOB"):
        office.maximizer.add_viewer(user, f"password-{user}")
    office.maximizer.hide_from("BOB", [keys["both"]])
    office.maximizer.hide_from("ADA", [keys["gone"]])
    return Floor(office, page(office, **settings), keys, members)
