"""What every write of a run needs, and a planned change as the loader handles it."""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar

import pandas as pd
from sqlalchemy import Connection, Engine

from clients.mailchimp import Mailchimp
from clients.maximizer import Maximizer
from domain.fields import MailchimpField
from domain.records import Layout
from storage.leases import Lease

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class Item:
    """One field of a write: canonical values of the target (``old``, ``new``) and of the source (``seen``)."""

    field: str
    old: str
    new: str
    seen: str
    note: str
    rule: str


@dataclass(frozen=True)
class Write:
    """One planned change; ``then`` are link columns to set once it is confirmed."""

    id: int
    side: str
    op: str
    target: str
    contact_id: str
    entry_id: str
    marker: str
    link_id: int | None
    items: tuple[Item, ...]
    then: dict[str, Any]

    def item(self, name: str) -> Item | None:
        return next((item for item in self.items if item.field == name), None)


def writes(changes: pd.DataFrame) -> list[Write]:
    """Writes of rows of the change table."""
    listed = []
    for row in changes.to_dict("records"):
        body = json.loads(row["fields"])
        listed.append(
            Write(
                id=int(row["id"]),
                **{name: str(row[name]) for name in ("side", "op", "target", "contact_id", "entry_id", "marker")},
                link_id=None if pd.isna(row["link_id"]) else int(row["link_id"]),
                items=tuple(Item(**item) for item in body["set"]),
                then=body["then"],
            )
        )
    return listed


@dataclass
class Loading:
    """One run's loading. ``required``: every mandatory merge field, mapped or not (R22). ``now``: UTC epoch seconds.

    ``hashes`` collects, per (link id, side), the row hash of a record as the service holds it after our write, or
    None where it is not what we expected: such a pair stays unfinished and is compared again next time.
    ``max_refused``: share of the planned writes (0..1).
    """

    engine: Engine
    lease: Lease
    connection_id: int
    run_id: int
    list_id: str
    layout: Layout
    required: tuple[MailchimpField, ...]
    mailchimp: Mailchimp
    maximizer: Maximizer
    new_member_status: str
    max_refused: float
    today: date
    now: Callable[[], float]
    parallel: int = 4
    stop: threading.Event = field(default_factory=threading.Event)
    progress: Callable[[int], None] = lambda done: None
    hashes: dict[tuple[int, str], int | None] = field(default_factory=dict)
    tally: dict[tuple[str, str], int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    # How many writes may be refused before the run stops, and how many were, by reason (hazard D12).
    refusals_allowed: int = sys.maxsize
    refused: Counter[str] = field(default_factory=Counter)
    # (side, target) of records put aside in this run: a write that was confirmed without a field settles nothing.
    parked: set[tuple[str, str]] = field(default_factory=set)
    # Writes whose effect is unknown, with the HTTP status: judged at the end, when it is clear who was to blame.
    unsure: list[tuple[Write, int]] = field(default_factory=list)
    # Tags whose mapping is younger than the writes that are settled: their pairs were made without them (R30).
    unmet: frozenset[str] = frozenset()
    # Learnt of this Maximizer: whether a UDF edit moves LastModifyDate, so that a search by date finds it (R34).
    traits: dict[str, bool] = field(default_factory=dict)

    @property
    def halted(self) -> bool:
        """Whether nothing new may be sent: a stop was asked for, or too many writes were refused."""
        return self.stop.is_set() or self.refused.total() > self.refusals_allowed

    def count(self, side: str, what: str, number: int = 1) -> None:
        self.tally[side, what] = self.tally.get((side, what), 0) + number

    def begin(self) -> AbstractContextManager[Connection]:
        """A transaction that writes down what was done; LeaseLost once another run holds the connection."""
        return self.lease.begin()

    @property
    def scope(self) -> list[str]:
        """Fields to read of an entry."""
        refs = [m.maximizer.ref for m in self.layout.mappings]
        return [*dict.fromkeys([*refs, "Email1", "Email2", "Email3", self.layout.flag_ref, self.layout.marker_ref])]

    def each(self, function: Callable[[In], Out], items: Sequence[In]) -> list[Out]:
        """The function's answers in order, at most ``parallel`` at a time."""
        if self.parallel < 2 or len(items) < 2:
            return [function(item) for item in items]
        with ThreadPoolExecutor(self.parallel, thread_name_prefix="load") as pool:
            return list(pool.map(function, items))


def windows(items: Sequence[In], size: int) -> Iterable[Sequence[In]]:
    return (items[start : start + size] for start in range(0, len(items), size))
