"""D1-D4, F1: the engine dies by SIGKILL at every boundary of a few scenes; ``script/kills`` plays all of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from loop import Loop
from scenes import SCENES, Scene, Still
from shelves import Shelf

BOUNDARIES = {"before a commit", "before the send", "after the effect", "after the answer", "after the commit"}

pytestmark = pytest.mark.xdist_group("kills")


def test_d1_there_are_enough_scenes() -> None:
    assert len({one.name for one in SCENES}) == len(SCENES) >= 12


@pytest.mark.parametrize(("name", "twice"), [("first meeting", False), ("new member", True)])
def test_d1_killed_anywhere(
    sqlite_ground: tuple[Shelf, Still], scene: Callable[[str], Scene], name: str, twice: bool
) -> None:
    """``twice``: whoever picks up the pieces is killed as well."""
    shelf, ground = sqlite_ground
    tally = Loop(shelf, scene(name), ground, twice=twice).run()
    assert tally.wrong == []
    assert set(tally.points) == BOUNDARIES
    assert sum(tally.points.values()) > 15
    assert (tally.again > 5) == twice


def test_d1_killed_anywhere_on_postgresql(
    postgresql_ground: tuple[Shelf, Still], scene: Callable[[str], Scene]
) -> None:
    shelf, ground = postgresql_ground
    tally = Loop(shelf, scene("address changed in Mailchimp"), ground).run(step=3)
    assert tally.wrong == []
    assert sum(tally.points.values()) > 8


def test_the_loop_sees_what_is_lost(sqlite_ground: tuple[Shelf, Still], scene: Callable[[str], Scene]) -> None:
    """A check of the check: an entry made twice, and a value that went missing, are both told."""
    shelf, ground = sqlite_ground
    loop = Loop(shelf, scene("new member"), ground)
    stand = loop.stand()
    stand.sync()
    assert loop.compared(stand) == []
    stand.maximizer.copy_entry(stand.key("gil"))
    stand.mailchimp.edit(stand.contact("ann"), {"REF": "lost"})
    told = loop.compared(stand)
    stand.close()
    assert len([text for text in told if text.startswith("entries: has")]) == 1
    assert len([text for text in told if text.startswith("members: lacks")]) == 1
