"""Reading both sides at the same time, and what their size says before anybody is looked for one by one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import Connection as Database

from domain import records
from extract import counterparts
from extract.entries import read_entries
from extract.members import read_members
from extract.reading import Read, Reading
from storage import links, snapshots
from storage.connections import Connection
from transform.guard import Trip, absent, emptied


def read_both(
    reading: Reading, connection: Connection, *, full: bool, parallel: int, meanwhile: Callable[[], None] | None
) -> tuple[Read, Read]:
    """Members and entries into their snapshot tables: everything (``full``), or what changed since the cursors.

    Entries are read by date only where the server can search by it and a UDF edit was seen to move it (R34).
    ``meanwhile``: what else takes its time while the network is waited for.
    """
    traits = connection.traits
    dated = bool(traits.get("dates_searchable")) and bool(traits.get("udf_moves_date")) and not full
    jobs: list[Callable[[], Any]] = [
        lambda: read_members(reading, "" if full else connection.mailchimp_cursor),
        lambda: read_entries(reading, connection.maximizer_cursor if dated else ""),
        *([meanwhile] if meanwhile else []),
    ]
    if parallel < 2:
        answers = [job() for job in jobs]
    else:
        with ThreadPoolExecutor(len(jobs), thread_name_prefix="extract") as pool:
            answers = [future.result() for future in [pool.submit(job) for job in jobs]]
    return answers[0], answers[1]


def read_others(reading: Reading, *, full: bool, complete: bool = True) -> None:
    """The point reads that the decision needs beside that. ``complete``: who was not shown may be asked for as gone."""
    if not full:
        counterparts.read_counterparts(reading)
        return
    if complete:
        counterparts.confirm_missing(reading, counterparts.unread(reading, full=True))
    counterparts.read_named(reading)


def counted(progress: Callable[[str], None], go_on: Callable[[], None]) -> Callable[[str, int], None]:
    """Tells how much of both sides was read so far; ``go_on`` is asked before every page whether there is to be one."""
    seen = {"mailchimp": 0, "maximizer": 0}

    def tell(side: str, rows: int) -> None:
        go_on()
        seen[side] += rows
        progress(f"read {seen['mailchimp']} members and {seen['maximizer']} entries")

    return tell


def shrunk(db: Database, connection: Connection, run_id: int) -> list[Trip]:
    """Guards over a full reading, before thousands of point reads: a side is empty or lacks too many (A1, A5, A12)."""
    found = {side: snapshots.count(db, run_id, side) for side in records.KEY}
    active = links.count(db, connection.id)
    missing = {side: len(links.unread(db, connection.id, run_id, side, active=True)) for side in found}
    return [*emptied(found, active), *absent(missing, active, connection.settings)]
