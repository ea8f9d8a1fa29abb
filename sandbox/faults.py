"""Which request meets which misfortune.

A fault plan is text, exact positions, or both:

    Faults("mailchimp:429=0.05,maximizer:500-after=0.02@AbEntryCreate", seed=7)
    faults.at("mailchimp", 3, "drop-after")          # exactly the third request from now on
    faults.next("maximizer", "timeout-after", "AbEntryCreate")

"before" means that the service never saw the request, "after" that the effect happened and only the answer suffered.
"""

import random
import threading
from dataclasses import dataclass

SIDES = ("mailchimp", "maximizer")

KINDS = {
    "429": "too many requests, in the service's own words",
    "429-bare": "429 without a usable body",
    "403-bare": "403 without a usable body",
    "500-before": "500, nothing happened",
    "500-after": "500, although the effect happened",
    "502-html-before": "502 with an HTML page, nothing happened",
    "503-after": "503 with an HTML page, although the effect happened",
    "timeout-before": "no answer ever, nothing happened",
    "timeout-after": "no answer ever, although the effect happened",
    "drop-before": "connection cut, nothing happened",
    "drop-after": "connection cut, although the effect happened",
    "late-effect": "no answer ever, and the effect happens 30 to 120 seconds later",
    "refused": "no connection at all, as when a name is not found",
    "tls": "no connection, because the certificate is not trusted",
    "truncated": "the answer breaks off in the middle, the effect happened",
    "html": "200 with an HTML page, nothing happened",
    "partial-batch": "mailchimp only: half of a batch is taken, the answer does not mention the rest",
    "unmentioned": "mailchimp only: a batch is taken, the answer does not mention half of it",
    "token-expired": "maximizer only: the session is no longer valid",
    "code-minus-1": "maximizer only: a general failure inside an HTTP 200",
}
ONLY = {
    "mailchimp": frozenset({"partial-batch", "unmentioned"}),
    "maximizer": frozenset({"token-expired", "code-minus-1"}),
}
AFTER = frozenset({"500-after", "503-after", "timeout-after", "drop-after", "truncated", *ONLY["mailchimp"]})


@dataclass(frozen=True)
class Rule:
    """Each request of `side` whose operation contains `operation` suffers `kind` with this probability."""

    side: str
    kind: str
    probability: float
    operation: str = ""


@dataclass
class _Planned:
    side: str
    kind: str
    operation: str
    wait: int
    times: int


class Faults:
    """A fault plan for both services; the same seed and the same requests give the same faults."""

    def __init__(self, spec: str | None = None, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._dice = {side: random.Random(f"{seed}:{side}") for side in SIDES}
        self._planned: list[_Planned] = []
        self.rules = parse(spec)

    def load(self, spec: str | None) -> None:
        """Replaces the random part of the plan. Raises ValueError for a bad text and then changes nothing."""
        self.rules = parse(spec)

    def at(self, side: str, n: int, kind: str, operation: str = "", times: int = 1) -> None:
        """Exactly the n-th request of that side (whose operation contains `operation`), counted from 1 and from this
        call on, and the `times` - 1 after it.
        """
        self._plan(side, kind, operation, n, times)

    def next(self, side: str, kind: str, operation: str = "", times: int = 1) -> None:
        """The next `times` requests of that side whose operation contains `operation`."""
        self._plan(side, kind, operation, 1, times)

    def clear(self) -> None:
        with self._lock:
            self.rules = ()
            self._planned.clear()

    def draw(self, side: str, operation: str) -> str | None:
        """The kind that this request suffers, or None. Called once for every request."""
        with self._lock:
            planned = self._due(side, operation)
            if planned is not None:
                return planned
            for rule in self.rules:
                if rule.side == side and rule.operation in operation and self._dice[side].random() < rule.probability:
                    return rule.kind
            return None

    def delay(self, side: str) -> float:
        """Seconds until the next late effect of a side."""
        with self._lock:
            return self._dice[side].uniform(30, 120)

    def _plan(self, side: str, kind: str, operation: str, wait: int, times: int) -> None:
        _check(side, kind)
        if wait < 1 or times < 1:
            raise ValueError("requests and times are counted from 1")
        with self._lock:
            self._planned.append(_Planned(side, kind, operation, wait, times))

    def _due(self, side: str, operation: str) -> str | None:
        hit: str | None = None
        for planned in self._planned:
            if planned.side != side or planned.operation not in operation:
                continue
            if planned.wait > 1:
                planned.wait -= 1
            elif hit is None:
                hit = planned.kind
                planned.times -= 1
        self._planned = [planned for planned in self._planned if planned.times > 0]
        return hit


def parse(spec: str | None) -> tuple[Rule, ...]:
    """`side:kind=probability[@operation]`, comma separated. Raises ValueError naming what is allowed."""
    return tuple(_rule(part.strip()) for part in (spec or "").split(",") if part.strip())


def _rule(text: str) -> Rule:
    head, _, operation = text.partition("@")
    name, equals, chance = head.partition("=")
    side, colon, kind = name.partition(":")
    if not equals or not colon:
        raise ValueError(f"{text!r}: write side:kind=probability[@operation]; {_allowed()}")
    _check(side, kind)
    try:
        probability = float(chance)
    except ValueError:
        raise ValueError(f"{text!r}: {chance!r} is not a number between 0 and 1") from None
    if not 0 <= probability <= 1:
        raise ValueError(f"{text!r}: a probability lies between 0 and 1")
    return Rule(side, kind, probability, operation)


def _check(side: str, kind: str) -> None:
    if side not in SIDES:
        raise ValueError(f"unknown side {side!r}; {_allowed()}")
    if kind not in kinds(side):
        raise ValueError(f"unknown kind {kind!r} for {side}; {_allowed()}")


def kinds(side: str) -> tuple[str, ...]:
    """The kinds that a side can suffer."""
    others = frozenset().union(*(only for name, only in ONLY.items() if name != side))
    return tuple(kind for kind in KINDS if kind not in others)


def _allowed() -> str:
    alone = {kind: f"{kind} ({side})" for side, only in ONLY.items() for kind in only}
    return f"sides: {', '.join(SIDES)}; kinds: {', '.join(alone.get(kind, kind) for kind in KINDS)}"
