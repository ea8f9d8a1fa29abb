"""Histories as data: a seed makes a list of steps, and a list can be made shorter while it still fails.

Nothing is random but what is drawn here, so that a seed determines a whole history.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from crowd import ACTS, Act
from truth import FIELDS, FIRST

from sandbox.faults import kinds

SIDES = ("mailchimp", "maximizer")
# What the engine asks for, by how much hangs on it; "" is any request.
ASKED = {
    "mailchimp": ("POST list", "POST list", "PATCH member", "PATCH member", "GET members", "GET member", ""),
    "maximizer": (
        "AbEntryCreate",
        "AbEntryCreate",
        "AbEntryUpdate",
        "AbEntryUpdate",
        "AbEntryRead",
        "Authenticate",
        "",
    ),
}
BATCH_ONLY = ("partial-batch", "unmentioned")
JUMP = "clock jumps"  # stands among the acts of people, with the number of seconds
JUMPS = (-86_400, -3_600, -90, 90, 3_600, 86_400)


@dataclass(frozen=True)
class Misfortune:
    """The ``at``-th request that matches and the ``times`` - 1 after it suffer ``kind``."""

    side: str
    kind: str
    operation: str
    at: int
    times: int


@dataclass(frozen=True)
class CycleStep:
    """One cycle. ``between``: (call number, act) of people between two calls. ``dies``: where the process ends.

    ``dies``: ("before" | "after" a call | "at" a commit, number). ``full_at``: the commit that fails, 0 for none.
    """

    kind: str
    between: tuple[tuple[int, Act], ...] = ()
    faults: tuple[Misfortune, ...] = ()
    dies: tuple[str, int] | None = None
    full_at: int = 0


Step = CycleStep | tuple[Any, ...]


@dataclass(frozen=True)
class Script:
    """``quirks`` of the Maximizer, ``page``: rows per page of listings, ``calm``: how the end is made."""

    seed: int
    steps: tuple[Step, ...]
    quirks: frozenset[str] = frozenset()
    page: int = 1000
    calm: str = "full first"

    @property
    def restores(self) -> bool:
        return any(step[0] == "restore" for step in self.steps if isinstance(step, tuple))


def script(seed: int) -> Script:
    """The history of a seed."""
    dice = random.Random(f"history {seed}")
    quirks = {name for name, chance in (("search-lag=40", 0.2), ("page-cap=3", 0.3)) if dice.random() < chance}
    quirks |= {"udf-edits-keep-date"} if dice.random() < 0.15 else set()
    steps: list[Step] = []
    for _ in range(dice.randint(2, 4)):
        steps += _round(dice)
    calm = "full first" if dice.random() < 0.85 else "scheduled first"
    return Script(seed, tuple(steps), frozenset(quirks), dice.choice((1000, 1000, 2, 3)), calm)


def _round(dice: random.Random) -> list[Step]:
    """What happens from one cycle to the next."""
    steps: list[Step] = [("person", act(dice)) for _ in range(dice.choice((0, 1, 1, 2, 3)))]
    rare: dict[str, Callable[[], Step]] = {
        "wait": lambda: ("wait", dice.choice((1, 60, 400, 90_000))),
        "plan": lambda: ("plan",),
        "conflict": lambda: ("conflict", dice.choice(SIDES)),
        "email": lambda: ("email_change", dice.random() < 0.5),
        "map": lambda: ("map", dice.choice(sorted(FIELDS.keys() - set(FIRST)))),
        "jump": lambda: ("jump", dice.choice(JUMPS)),
        "restore": lambda: ("restore", dice.randint(1, 3)),
        "lose": lambda: ("lose",),
    }
    if dice.random() < 0.4:
        steps.append(rare[dice.choice([*rare, "wait", "restore"])]())
    steps += [("person", act(dice))] if dice.random() < 0.3 else []
    made = cycle(dice)
    steps.append(made)
    if made.dies or made.faults:
        # Often soon enough that what is uncertain still rests, sometimes past the quarantine.
        steps.append(("wait", dice.choice((1, 45, 130, 400))))
    return steps


def act(dice: random.Random) -> Act:
    return dice.choice(sorted(ACTS)), dice.randint(0, 7), dice.randint(0, 11), dice.randint(0, 5)


def cycle(dice: random.Random) -> CycleStep:
    made = CycleStep(dice.choice(("sync", "sync", "sync", "backfill")))
    fate = dice.random()
    if fate < 0.2:
        return made
    if fate < 0.5 or dice.random() < 0.3:
        moments = [(dice.randint(1, 45), _between(dice)) for _ in range(dice.randint(1, 3))]
        made = replace(made, between=tuple(sorted(moments)))
    if 0.4 < fate < 0.8:
        made = replace(made, faults=tuple(misfortune(dice) for _ in range(dice.choice((1, 1, 2)))))
    if fate > 0.85:
        where = dice.choice(("before", "after", "at"))
        made = replace(made, dies=(where, dice.randint(1, 45 if where != "at" else 25)))
    elif fate > 0.8:
        made = replace(made, full_at=dice.randint(1, 25))
    return made


def _between(dice: random.Random) -> Act:
    return (JUMP, dice.choice(JUMPS), 0, 0) if dice.random() < 0.04 else act(dice)


def misfortune(dice: random.Random) -> Misfortune:
    side = dice.choice(SIDES)
    kind, operation = dice.choice(kinds(side)), dice.choice(ASKED[side])
    if kind in BATCH_ONLY:
        operation = "POST list"
    at = dice.randint(1, 25) if not operation else dice.choice((1, 1, 1, 2, 3))
    return Misfortune(side, kind, operation, at, dice.choice((1, 1, 2, 4, 9)))


# ------------------------------------------------------------------ shorter


def shorter(made: Script, fails: Callable[[Script], bool]) -> Script:
    """The script without what its failure does not need: steps, then parts of cycles, one after the other."""
    for without in (_without_step, _without_part):
        n = 0
        while (less := without(made, n)) is not None:
            if fails(less):
                made = less
            else:
                n += 1
    return made


def _without_step(made: Script, n: int) -> Script | None:
    """The script without its n-th step from behind."""
    at = len(made.steps) - 1 - n
    return replace(made, steps=made.steps[:at] + made.steps[at + 1 :]) if at >= 0 else None


def _without_part(made: Script, n: int) -> Script | None:
    """The script without the n-th thing that makes a cycle, or the world, an unusual one."""
    parts: list[Script] = []
    for at, step in enumerate(made.steps):
        if isinstance(step, CycleStep):
            less = [replace(step, between=step.between[:i] + step.between[i + 1 :]) for i in range(len(step.between))]
            less += [replace(step, faults=step.faults[:i] + step.faults[i + 1 :]) for i in range(len(step.faults))]
            less += [replace(step, dies=None)] if step.dies else []
            less += [replace(step, full_at=0)] if step.full_at else []
            parts += [replace(made, steps=(*made.steps[:at], part, *made.steps[at + 1 :])) for part in less]
    parts += [replace(made, quirks=made.quirks - {name}) for name in sorted(made.quirks)]
    parts += [replace(made, page=1000)] if made.page != 1000 else []
    return parts[n] if n < len(parts) else None
