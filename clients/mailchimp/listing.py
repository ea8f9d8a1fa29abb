"""Reading all members of a list while it changes (fact sheet section 4, hazards A2, A3).

Rows are asked for by ``last_changed`` ascending: an edited row only ever moves to the end, where it is met again. An
offset into such a list is safe only inside one second, so after each page the question becomes "changed after the
last second - 1 s" (the filter is strictly "after", the resolution one second), with the offset of the last row seen
within that second. That row is read once more, as an anchor: rows seen form the beginning of their second, so when
the first row of a page was not seen before, rows in front of it have left, and the reader steps back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.errors import BrokenAnswer

LIMIT = 1000  # rows per call that the service grants
STEPS_BACK = 200
STALE_PAGES = 3


@dataclass(frozen=True)
class Page:
    """Members not seen before in this listing, as the service sent them, and ``total_items`` of that answer.

    From the second page on the total counts only what changed since the page before.
    """

    rows: list[dict[str, Any]]
    total: int


class MemberListing(Iterator[Page]):
    """Pages of one listing. ``total_first`` is the first answer's total, ``distinct`` how many members were met.

    A listing is complete when it ended and ``distinct`` equals ``total_first``; a difference means that members came
    or went in the meantime. Raises BrokenAnswer when an answer has another shape than documented, repeats itself, or
    never settles.
    """

    def __init__(
        self,
        fetch: Callable[[Mapping[str, str | int]], dict[str, Any]],
        *,
        since: str | None,
        page_size: int,
    ) -> None:
        self.total_first: int | None = None
        self._fetch = fetch
        self._size = max(1, min(page_size, LIMIT))
        self._since = since
        self._offset = 0
        self._second: datetime | None = None  # the offset counts rows of this second; None: rows of the whole list
        self._seen: dict[str, str] = {}
        self._steps_back = 0
        self._stale = 0
        self._done = False

    @property
    def distinct(self) -> int:
        return len(self._seen)

    def __next__(self) -> Page:
        while not self._done:
            rows, total = self._read()
            if self.total_first is None:
                self.total_first = total
            if self._lost_place(rows, total):
                continue
            new = [row for row in rows if row["contact_id"] not in self._seen]
            self._remember(rows)
            self._move_on(rows, total)
            if new or total == 0:
                return Page(new, total)
        raise StopIteration

    def _remember(self, rows: list[dict[str, Any]]) -> None:
        """Note the rows; several pages in a row that bring nothing come from a service that does not page at all."""
        fresh = any(self._seen.get(row["contact_id"]) != row["last_changed"] for row in rows)
        self._stale = 0 if fresh else self._stale + 1
        if self._stale > STALE_PAGES:
            raise _broken("the same page came again and again")
        self._seen |= {row["contact_id"]: row["last_changed"] for row in rows}

    def _read(self) -> tuple[list[dict[str, Any]], int]:
        anchored = 1 if self._second is not None else 0
        params: dict[str, str | int] = {"count": min(LIMIT, self._size + anchored), "offset": self._offset}
        if self._since is not None:
            params["since_last_changed"] = self._since
        data = self._fetch(params)
        rows, total = data.get("members"), data.get("total_items")
        if not isinstance(total, int) or isinstance(total, bool) or total < 0:
            raise _broken("total_items is not a number")
        if not isinstance(rows, list) or not all(_is_row(row) for row in rows):
            raise _broken("members are not a list of members with contact_id and last_changed")
        return rows, total

    def _lost_place(self, rows: list[dict[str, Any]], total: int) -> bool:
        """True when rows in front of the offset have left: stepped back, to be read again."""
        if self._second is None or self._offset == 0 or total == 0:
            return False
        if rows and self._seen.get(rows[0]["contact_id"]) == rows[0]["last_changed"]:
            return False
        self._steps_back += 1
        if self._steps_back > STEPS_BACK:
            raise _broken("rows move faster than they can be read")
        self._offset = max(0, self._offset - self._size)
        return True

    def _move_on(self, rows: list[dict[str, Any]], total: int) -> None:
        end = self._offset + len(rows)
        if not rows or end >= total:
            self._done = True
            return
        last = _second(rows[-1]["last_changed"])
        if last is None:
            # No key to go on by: plain offsets, which the caller's comparison with the total still covers.
            self._second, self._offset = None, end
        elif last == self._second:
            self._offset = end - 1
        else:
            within = next(
                (n for n, row in enumerate(reversed(rows)) if _second(row["last_changed"]) != last), len(rows)
            )
            since = (last - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S+00:00")
            self._since, self._second, self._offset = since, last, within - 1


def _is_row(row: object) -> bool:
    return (
        isinstance(row, dict)
        and isinstance(row.get("contact_id"), str)
        and bool(row["contact_id"])
        and isinstance(row.get("last_changed"), str)
        and fits(row)
    )


def fits(row: dict[str, Any]) -> bool:
    """Whether the parts of a member that are read are of their kind, where they are there at all."""
    texts = (isinstance(row.get(name), str | None) for name in ("email_address", "unique_email_id", "status"))
    tables = (isinstance(row.get(name), dict | None) for name in ("merge_fields", "interests"))
    return all(texts) and all(tables)


def _second(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        moment = moment.astimezone(UTC).replace(microsecond=0)
        return moment if moment.year >= 1970 else None
    except (ValueError, OverflowError):
        return None


def _broken(problem: str) -> BrokenAnswer:
    return BrokenAnswer("mailchimp", "list members", problem)
