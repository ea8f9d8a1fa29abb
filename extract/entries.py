"""People of the Address Book into ``entry_snapshot`` (R4: Individuals and Contacts, never Companies)."""

from __future__ import annotations

from clients.maximizer import flagged_without_marker
from domain.records import get
from extract.reading import OVERLAP, Read, Reading, earlier, latest


def read_entries(reading: Reading, since: str = "") -> Read:
    """All people, or those modified since a cursor of Maximizer's own clock.

    An incremental read also looks for entries that are flagged and carry no marker: a UDF edit may not move the
    modification date (R34).
    """
    start = earlier(since, OVERLAP + reading.buffer_ms / 1000) if since else None
    cursor, count = since, 0
    for page in reading.maximizer.people(reading.scope, since=start):
        reading.stage("maximizer", page)
        cursor = latest(cursor, *(_modified(row) for row in page))
        count += len(page)
    if since:
        layout = reading.layout
        query = flagged_without_marker(layout.flag_ref, layout.flag_yes, layout.marker_ref)
        reading.stage("maximizer", reading.maximizer.find(reading.scope, query))
    # Maximizer announces no total; the end is an empty page, and the guards watch the count (hazard A2).
    return Read(count, True, cursor)


def _modified(row: object) -> str:
    value = get(row, "LastModifyDate") if isinstance(row, dict) else ""
    moment = str((get(value, "Value") if isinstance(value, dict) else value) or "")
    return moment if moment > "1970" else ""  # a date that was never set reads as the year 1
