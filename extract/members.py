"""Members of the list into ``member_snapshot``, archived ones included (R1: status is data, never a filter)."""

from __future__ import annotations

from extract.reading import OVERLAP, Read, Reading, earlier, latest


def read_members(reading: Reading, since: str = "") -> Read:
    """All members, or those that changed since a cursor of Mailchimp's own clock.

    Complete means: at least as many different members were read as Mailchimp announced (hazard A2). The archived ones
    are listed after the others, so that somebody archived in between is not missed.
    """
    start = earlier(since, OVERLAP + reading.buffer_ms / 1000) if since else None
    cursor, rows, complete = since, 0, True
    for status in (None, "archived"):
        listing = reading.mailchimp.members(reading.list_id, since=start, status=status)
        for page in listing:
            reading.stage("mailchimp", page.rows)
            cursor = latest(cursor, *(str(row.get("last_changed") or "") for row in page.rows))
        rows += listing.distinct
        complete = complete and listing.distinct >= (listing.total_first or 0)
    return Read(rows, complete, cursor)
