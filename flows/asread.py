"""Both services as far as they were read: they answer a run's questions from rows at hand, and are asked nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clients.mailchimp import Page
from clients.maximizer.queries import Query, holds
from clients.maximizer.rows import look
from domain import records

Row = dict[str, Any]


@dataclass(frozen=True)
class Listing:
    """One page with everybody in it, as ``clients.mailchimp.MemberListing`` gives it."""

    rows: list[Row]

    def __iter__(self) -> Iterator[Page]:
        yield Page(self.rows, len(self.rows))

    @property
    def distinct(self) -> int:
        return len(self.rows)

    total_first = distinct


@dataclass(frozen=True)
class Members:
    """``clients.mailchimp.Mailchimp`` where members are read. None: gone."""

    rows: Mapping[str, Row | None]

    def members(self, list_id: str, *, since: str | None = None, status: str | None = None) -> Listing:
        there = [row for row in self.rows.values() if row is not None]
        wanted = [row for row in there if (row.get("status") == "archived") == (status == "archived")]
        return Listing([row for row in wanted if since is None or _time(row.get("last_changed")) > _time(since)])

    def member(self, list_id: str, who: str) -> Row | None:
        if "@" not in who:
            return self.rows.get(who)
        same = (row for row in self.rows.values() if row and _mail(row) == who.strip().lower())
        return next(same, None)


@dataclass(frozen=True)
class Entries:
    """``clients.maximizer.Maximizer`` where entries are read. None: gone."""

    rows: Mapping[str, Row | None]

    def _there(self) -> list[Row]:
        return [row for row in self.rows.values() if row is not None]

    def people(self, scope: Sequence[str], *, since: str | None = None) -> Iterator[list[Row]]:
        yield [row for row in self._there() if since is None or _time(_modified(row)) >= _time(since)]

    def find(self, scope: Sequence[str], query: Query) -> list[Row]:
        return [row for row in self._there() if holds(query, row)]

    def entry(self, scope: Sequence[str], client_id: str, number: int) -> Row | None:
        return self.rows.get(f"{client_id}#{number}")


def _mail(row: Row) -> str:
    return str(row.get("email_address") or "").strip().lower()


def _modified(row: Row) -> str:
    value = records.get(row, "LastModifyDate")
    return str((look(value, "Value") if isinstance(value, dict) else value) or "")


def _time(text: object) -> datetime:
    """A time of one service; whoever has none was changed before everybody else."""
    if not text:
        return datetime.min
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")).replace(tzinfo=None)
