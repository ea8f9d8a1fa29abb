"""An office with people on both sides, synchronised once, and its page."""

from __future__ import annotations

import copy
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness import Office
from room import ROOM
from visitor import Visitor, page

from sandbox.web import Door

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


@cache
def _model() -> tuple[Office, bytes, dict[str, tuple[str, int]], dict[str, str]]:
    """The office after its first sync, and its store; copied for every test that changes something."""
    folder = tempfile.mkdtemp(prefix="maxchimp-", dir=ROOM)
    office = Office(f"sqlite:///{folder}/model.db", mappings=MAPPINGS)
    merge = {"REF": "R-1", "PLAN": "Plus", "POINTS": 3}
    members = {
        name: office.subscribe(
            f"{name}@birchmail.test",
            name.title(),
            "Reed",
            merge_fields=merge,
            interests=["Newsletter"] if name == "both" else [],
        )
        for name in ("both", "gone", "lone")
    }
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
    office.engine.dispose()
    store = Path(folder, "model.db").read_bytes()
    shutil.rmtree(folder)
    return office, store, keys, members


def furnish(folder: Path, **settings: Any) -> Floor:
    model, store, keys, members = _model()
    path = folder / "maxchimp.db"
    path.touch(mode=0o600)
    path.write_bytes(store)
    office = Office(f"sqlite:///{path}", ready=False)
    world = copy.deepcopy(model.world)
    office.world, office.clock = world, world.clock
    office.mailchimp, office.maximizer, office.list_id = world.mailchimp, world.maximizer, world.list_id
    office.doors = {service.name: Door(service, world.clock) for service in (world.mailchimp, world.maximizer)}
    office.settings = model.settings
    return Floor(office, page(office, **settings), dict(keys), dict(members))
