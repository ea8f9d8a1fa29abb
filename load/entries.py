"""Writes to Maximizer: one entry per call, a few at a time, each window read back because an answer only echoes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from clients.maximizer import any_of, by_id, by_key, by_udf
from clients.maximizer.queries import Query
from clients.maximizer.rows import key_of
from domain import records
from domain.changeset import FLAG, MARKER
from domain.errors import Ambiguous, BrokenAnswer, MaxchimpError
from domain.records import EMAIL
from domain.values import ascii_lower
from load.bodies import entry_data
from load.confirm import Held, confirm
from load.context import Item, Loading, Write, windows
from load.outcome import attempted, close_failed, sent, skip
from storage import changes, links

AT_ONCE = 16


def create_entries(loading: Loading, planned: Sequence[Write]) -> None:
    """New Individuals, each born with its marker and flag (R10). The first goes alone and is read back (R42)."""
    if not planned:
        return
    if loading.traits.get("marker_lost"):
        return _blocked(loading, planned)
    first, *rest = planned
    if not _create(loading, [first]):
        loading.traits["marker_lost"] = True
        return _blocked(loading, rest)
    for window in windows(rest, AT_ONCE):
        if loading.halted:
            return None
        _create(loading, window)
    return None


def _create(loading: Loading, window: Sequence[Write]) -> bool:
    """False when an entry was made without its marker: creating more could not be made safe (hazard B10)."""
    changes.send(loading.engine, loading.lease, [write.id for write in window], loading.now())
    bodies = [entry_data(loading, write) for write in window]
    keys = loading.each(lambda body: sent(loading, lambda: loading.maximizer.create_entry(body)), bodies)
    made = {}
    for write, key in zip(window, keys, strict=True):
        if isinstance(key, MaxchimpError):
            close_failed(loading, write, key)
        else:
            made[key] = write
    rows = _made(loading, made)
    for key, write in made.items():
        if key not in rows:
            close_failed(loading, write, Ambiguous("maximizer", "create entry", "the new entry was not found"))
    done = [Held(write, rows[key]) for key, write in made.items() if key in rows]
    stored = records.entries([held.row for held in done], loading.layout)["marker"].tolist() if done else []
    marked = all(marker == held.write.marker for marker, held in zip(stored, done, strict=True))
    confirm(loading, "maximizer", done)
    loading.progress(len(window))
    return marked


def _blocked(loading: Loading, rest: Sequence[Write]) -> None:
    with loading.begin() as db:
        changes.mark(db, [write.id for write in rest], "discarded", outcome="marker not stored")
    loading.broken.append("Maximizer does not store the MailChimp ID of new entries; no more were created")


def _made(loading: Loading, made: Mapping[str, Write]) -> dict[str, Mapping[str, Any]]:
    """New entries as stored, by the key that their create answered.

    A key is good for one session: where that ended in between, the entry is found by its marker.
    """
    rows: dict[str, Mapping[str, Any]] = {key_of(row): row for row in _found(loading, [by_key(key) for key in made])}
    lost = {write.marker: key for key, write in made.items() if key not in rows}
    for row in _found(loading, [by_udf(loading.layout.marker_ref, marker) for marker in lost]):
        marker = records.entries([row], loading.layout)["marker"].iloc[0]
        if marker in lost:
            rows[lost[marker]] = row
    return rows


def _found(loading: Loading, queries: Sequence[Query]) -> list[dict[str, Any]]:
    """What the queries find; nothing when the service does not answer."""
    rows: Any = attempted(lambda: loading.maximizer.find(loading.scope, any_of(queries))) if queries else []
    return [] if isinstance(rows, MaxchimpError) else rows


def read_entries(loading: Loading, entry_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Entries as they are now, by entry id; raises what the client raises."""
    if not entry_ids:
        return {}
    queries = any_of(by_id(*records.split_entry_id(entry)) for entry in entry_ids)
    return {records.entry_id(row): row for row in loading.maximizer.find(loading.scope, queries)}


def update_entries(loading: Loading, planned: Sequence[Write]) -> None:
    """Re-read a few, write each that is as planned, read them back."""
    for window in windows(planned, AT_ONCE):
        if loading.halted:
            return
        _update(loading, window)
        loading.progress(len(window))


def _update(loading: Loading, window: Sequence[Write]) -> None:
    window = _resolved(loading, window)
    now = attempted(lambda: read_entries(loading, [write.entry_id for write in window]))
    if isinstance(now, MaxchimpError):
        for write in window:
            with loading.begin() as db:
                changes.mark(db, [write.id], "discarded", outcome="not read")
            loading.count("maximizer", "failed")
        loading.broken.append(now.message)
        return
    rows = records.plain_rows(records.entries(list(now.values()), loading.layout))
    values = dict(zip(now, rows, strict=True))
    back = _back(loading, window)
    planned = [w for w in window if w.entry_id in now and w not in back and _as_planned(w, values[w.entry_id])]
    skip(loading, [w for w in window if w not in planned])
    # After a refused rename, or for a member anew under its old address: the same marker again would be news (R32).
    going = [w for w in planned if not all(_marked(item, values[w.entry_id]) for item in w.items)]
    skip(loading, [w for w in planned if w not in going], "nothing to write: the entry carries that marker")
    if not going:
        return
    changes.send(loading.engine, loading.lease, [write.id for write in going], loading.now())

    def put(write: Write) -> Any:
        key = key_of(now[write.entry_id])
        return sent(loading, lambda: loading.maximizer.update_entry(key, entry_data(loading, write)))

    written = []
    for write, error in zip(going, loading.each(put, going), strict=True):
        if isinstance(error, MaxchimpError):
            close_failed(loading, write, error)
        else:
            written.append(write)
    held = attempted(lambda: read_entries(loading, [write.entry_id for write in written]))
    after = {} if isinstance(held, MaxchimpError) else held
    done = [Held(write, after[write.entry_id]) for write in written if write.entry_id in after]
    _learn(loading, done, now)
    for write in written:
        if write.entry_id not in after:
            close_failed(loading, write, BrokenAnswer("maximizer", "read entry", "a written entry was not found"))
    confirm(loading, "maximizer", done)


def _back(loading: Loading, window: Sequence[Write]) -> list[Write]:
    """Departures (R14) whose member is there after all, or cannot be asked for now: its flag stays (hazard A3)."""
    leaving = [w for w in window if (i := w.item(FLAG)) and (i.new, i.rule) == ("No", "R14")]
    held = loading.each(lambda w: attempted(lambda: loading.mailchimp.member(loading.list_id, w.contact_id)), leaving)
    there = (isinstance(row, MaxchimpError) or (row is not None and row["status"] != "archived") for row in held)
    return [write for write, is_there in zip(leaving, there, strict=True) if is_there]


def _learn(loading: Loading, done: Sequence[Held], before: Mapping[str, Mapping[str, Any]]) -> None:
    """Whether an edit of UDFs alone moved the date of last change; one that did is proof enough.

    And whether a marker that was written stands there: new entries may be made again (hazard B10).
    """
    for held in done:
        marker = held.write.item(MARKER)
        if marker and marker.new and records.entries([held.row], loading.layout)["marker"].iloc[0] == marker.new:
            loading.traits["marker_lost"] = False
        data = entry_data(loading, held.write)
        if all(name.startswith("Udf/") for name in data):
            was = str(records.get(before[held.write.entry_id], "LastModifyDate") or "")
            if str(records.get(held.row, "LastModifyDate") or "") > was:
                loading.traits["udf_moves_date"] = True


def _resolved(loading: Loading, window: Sequence[Write]) -> list[Write]:
    """Writes with the marker filled in that only the member's own write could tell (a new or renamed member)."""
    open_ids = [w.link_id for w in window if w.link_id is not None and (i := w.item(MARKER)) and i.new == ""]
    if not open_ids:
        return list(window)
    with loading.begin() as db:
        known = links.by_ids(db, open_ids).set_index("id")["unique_email_id"].to_dict()
    filled = []
    for write in window:
        marker = str(known.get(write.link_id, "")) if write.link_id is not None else ""
        items = tuple(replace(i, new=marker) if i.field == MARKER and i.new == "" else i for i in write.items)
        filled.append(replace(write, items=items))
    return filled


def _marked(item: Item, now: Mapping[str, Any]) -> bool:
    return item.field == MARKER and item.new == now["marker"]


def _as_planned(write: Write, now: Mapping[str, Any]) -> bool:
    for item in write.items:
        if item.field == EMAIL:
            current, wanted = ascii_lower(str(now["email1"])), (ascii_lower(item.old), ascii_lower(item.new))
        elif item.field == FLAG:
            current, wanted = str(now["flag"]), (item.old, item.new)
        elif item.field == MARKER:
            continue
        else:
            current, wanted = now[item.field], (item.old, item.new)
        if current not in wanted:
            return False
    return True
