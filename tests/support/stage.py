"""Where histories play: the small world and its store, made once and copied, and doors that tell what passes."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from crowd import ADDRESSES, mappings
from harness import Office

from sandbox.web import Door, Request, Response

MEMORY = Path("/dev/shm")
ROOM = str(MEMORY) if MEMORY.is_dir() else None


class Killed(BaseException):
    """The process ends between two calls."""


class Watched(Door):
    """A door that tells what passes (side, request, and whether it is still to come): people may act in between."""

    def __init__(self, service: Any, clock: Any, *, tell: Callable[[str, Request, bool], None]) -> None:
        super().__init__(service, clock)
        self.tell = tell

    def handle(self, request: Request) -> Response:
        self.tell(self.service.name, request, True)
        try:
            return super().handle(request)
        finally:
            self.tell(self.service.name, request, False)


class Small(Office):
    """An office over a world and a store that were made before."""

    def services(self) -> Any:
        made = super().services()
        for client in (made.mailchimp, made.maximizer):
            client.session._rng = random.Random(0)
        return made


@cache
def template() -> tuple[Any, bytes, bytes]:
    """The world after set-up and first sync, the store as it is then, and an empty one."""
    with tempfile.TemporaryDirectory(prefix="maxchimp-", dir=ROOM) as folder:
        office = Small(f"sqlite:///{folder}/maxchimp.db", mappings=mappings())
        office.engine.dispose()
        empty = Path(folder, "maxchimp.db").read_bytes()
        office.maximizer.add_company("Lantern Works")
        for number, text in enumerate(ADDRESSES[:4]):
            if number != 3:
                office.subscribe(text, "Ann", f"Reed{number}", merge_fields={"REF": "R-1", "PLAN": "Plus"})
            if number != 2:
                plan = {r"Marketing\Plan": "Plus", r"Marketing\Loyalty Points": 7}
                office.add("Ann", f"Reed{number}", text, flag=(None, "Yes", None, "Yes")[number], udfs=plan)
        office.sync()
        office.sync()
        office.engine.dispose()
        return office.world, empty, Path(folder, "maxchimp.db").read_bytes()
