"""Point reads: the other half of what changed, unfinished records, and whether what is missing is really gone (R34).

A full run asks only for linked records that its snapshots lack; a scheduled one for the counterparts of all it read,
by link, address, ``unique_email_id``, Email 1 and Client ID.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pandas as pd

from clients.mailchimp.listing import LIMIT
from clients.maximizer import any_of, by_email, by_id, by_udf
from domain import records
from domain.frames import among
from domain.records import KEY
from domain.values import address_key
from extract.reading import Reading
from storage import links, parking, snapshots
from storage.engine import reading as reading_db

Out = TypeVar("Out")
AT_ONCE = 40  # conditions in one search
FEW = 1000  # more identities than these that nothing answers to are no lag but another Address Book's
PARALLEL = 4


def unread(reading: Reading, *, full: bool) -> dict[str, list[str]]:
    """Identities of linked records that matter in this run and are not staged, per side.

    A full run misses every one it did not see; a scheduled one only the other halves of what moved.
    """
    with reading_db(reading.engine) as db:
        ids = None if full else links.moved(db, reading.connection_id, reading.run_id, full=False)
        return {side: links.unread(db, reading.connection_id, reading.run_id, side, ids) for side in KEY}


def confirm_missing(reading: Reading, missing: dict[str, list[str]]) -> None:
    """Read each of these records by its identity: staged as it is, or as gone (absence is never guessed)."""
    members_by_id(reading, missing["mailchimp"])
    gone = entries_by_id(reading, missing["maximizer"])
    _follow_markers(reading, gone)


def read_named(reading: Reading) -> None:
    """Entries that a member names, but no link, and that no search has shown: by key, as a search may lag (R7)."""
    with reading_db(reading.engine) as db:
        keys = links.carried(db, reading.connection_id, reading.run_id)
    if len(keys) <= FEW:
        entries_by_id(reading, keys)


def members_by_id(reading: Reading, contact_ids: Sequence[str]) -> None:
    """Members by contact_id: one call each, a few at a time, or many of them by listing everybody."""
    contact_ids = _without_listed(reading, contact_ids)
    found = _each(lambda key: reading.mailchimp.member(reading.list_id, key), contact_ids)
    reading.stage("mailchimp", [row for row in found if row is not None])
    reading.stage_missing("mailchimp", [key for key, row in zip(contact_ids, found, strict=True) if row is None])


def _without_listed(reading: Reading, contact_ids: Sequence[str]) -> Sequence[str]:
    """Stage what a listing shows of them, where its pages are fewer than they are; who is left has to be asked for."""
    if len(contact_ids) <= 2:
        return contact_ids
    with reading_db(reading.engine) as db:
        pages = links.count(db, reading.connection_id) // LIMIT + 1
    if len(contact_ids) <= 2 * pages:
        return contact_ids
    wanted = set(contact_ids)
    listing = reading.mailchimp.members(reading.list_id)
    for page in listing:
        rows = [row for row in page.rows if row["contact_id"] in wanted]
        reading.stage("mailchimp", rows)
        wanted -= {row["contact_id"] for row in rows}
        if not wanted or (listing.total_first or 0) > LIMIT * len(contact_ids):
            break
    return sorted(wanted)


def entries_by_id(reading: Reading, entry_ids: Sequence[str]) -> list[str]:
    """Entries by Client ID and number; those that are gone."""
    gone: list[str] = []
    for chunk in _chunks(entry_ids):
        rows = reading.maximizer.find(reading.scope, any_of(by_id(*records.split_entry_id(e)) for e in chunk))
        there = {records.entry_id(row) for row in rows}
        reading.stage("maximizer", rows)
        for entry in chunk:
            if entry not in there:
                row = reading.maximizer.entry(reading.scope, *records.split_entry_id(entry))
                if row is None:
                    gone.append(entry)
                else:
                    reading.stage("maximizer", [row])
    reading.stage_missing("maximizer", gone)
    return gone


def _follow_markers(reading: Reading, gone: Sequence[str]) -> None:
    """An entry that is gone under its key may have moved: its marker tells (R11)."""
    if not gone:
        return
    with reading_db(reading.engine) as db:
        ours = links.by_ids(db, links.named(db, reading.connection_id, gone).values())
    markers = ours.loc[ours["unique_email_id"] != "", "unique_email_id"]
    entries_by_marker(reading, markers.tolist())


def entries_by_marker(reading: Reading, markers: Sequence[str]) -> None:
    for chunk in _chunks(markers):
        query = any_of(by_udf(reading.layout.marker_ref, marker) for marker in chunk)
        reading.stage("maximizer", reading.maximizer.find(reading.scope, query))


def read_counterparts(reading: Reading) -> None:
    """After an incremental read: whatever the decision needs beside what changed."""
    with reading_db(reading.engine) as db:
        parked = parking.open_rows(db, reading.connection_id)
        released = parking.open_rows(db, reading.connection_id, "released")
    waiting = _waiting(pd.concat([parked, released], ignore_index=True))
    _of_moved_entries(reading)
    confirm_missing(reading, unread(reading, full=False))
    with reading_db(reading.engine) as db:
        staged = {side: set(snapshots.hashes(db, reading.run_id, side)[KEY[side]]) for side in KEY}
    members_by_id(reading, sorted(waiting["mailchimp"] - staged["mailchimp"]))
    entries_by_id(reading, sorted(waiting["maximizer"] - staged["maximizer"]))
    _for_new_members(reading)
    read_named(reading)
    _for_new_entries(reading)


def _of_moved_entries(reading: Reading) -> None:
    """Linked entries whose marker stands on another one: gone means moved, there means copied (R11)."""
    with reading_db(reading.engine) as db:
        others = links.unlinked(db, reading.connection_id, reading.run_id, "maximizer")
        markers = set(snapshots.entries(db, reading.run_id, others)["marker"]) - {""}
        claimed = links.by_marker(db, reading.connection_id, markers)["entry_id"] if markers else ()
        staged = set(snapshots.entries(db, reading.run_id, claimed)["entry_id"]) if markers else set()
    entries_by_id(reading, sorted(set(claimed) - staged))


def _waiting(parked: pd.DataFrame) -> dict[str, set[str]]:
    """Records named by what is quarantined: looked at again in every cycle (R34)."""
    keys: dict[str, set[str]] = {"mailchimp": set(), "maximizer": set()}
    for row in parked.to_dict("records"):
        evidence = row["evidence"] if isinstance(row["evidence"], dict) else {}
        keys["mailchimp"].add(str(evidence.get("contact_id") or ""))
        keys["maximizer"].add(str(evidence.get("entry_id") or ""))
        if not str(row["key"]).startswith("new:"):
            keys[str(row["side"])].add(str(row["key"]))
    return {side: found - {""} for side, found in keys.items()}


def _staged(reading: Reading, side: str) -> pd.DataFrame:
    with reading_db(reading.engine) as db:
        return (snapshots.members if side == "mailchimp" else snapshots.entries)(db, reading.run_id)


def _linked(reading: Reading) -> pd.DataFrame:
    with reading_db(reading.engine) as db:
        return links.links(db, reading.connection_id, touching_run=reading.run_id)


def _for_new_members(reading: Reading) -> None:
    """Entries that could be the person of a member without a link, or that hold an address it took (R7, R13).

    A member whose entry is gone is about to be one without a link (R16).
    """
    members, entries, ours = _staged(reading, "mailchimp"), _staged(reading, "maximizer"), _linked(reading)
    members = members[members["found"].astype(bool)]
    ours = ours[~among(ours["entry_id"], entries.loc[~entries["found"].astype(bool), "entry_id"])]
    seen = ours.set_index("contact_id")["email"]
    moved = address_key(members["email"]) != address_key(members["contact_id"].map(seen))
    fresh = members[moved | ~among(members["contact_id"], ours["contact_id"])]
    queries = [by_udf(reading.layout.marker_ref, uid) for uid in fresh["unique_email_id"] if uid]
    queries += [by_udf(reading.layout.marker_ref, web) for web in fresh["web_id"] if web]
    queries += [by_id(*records.split_entry_id(pair)) for pair in fresh["pair"] if pair]
    for chunk in _chunks(queries):
        reading.stage("maximizer", reading.maximizer.find(reading.scope, any_of(chunk)))
    for addresses in _chunks([email for email in fresh["email"] if email]):
        reading.stage("maximizer", reading.maximizer.find(reading.scope, by_email(addresses)))


def _for_new_entries(reading: Reading) -> None:
    """Members that hold the address of a flagged entry without a link, or the new one of a linked entry (R7, R17)."""
    entries, ours = _staged(reading, "maximizer"), _linked(reading)
    entries = entries[entries["found"].astype(bool) & (entries["email1"] != "")]
    seen = ours.set_index("entry_id")["email1"]
    moved = address_key(entries["email1"]) != address_key(entries["entry_id"].map(seen))
    flagged = (entries["flag"] == "Yes") & ~among(entries["entry_id"], ours["entry_id"])
    asked = entries[flagged | (moved & among(entries["entry_id"], ours["entry_id"]))]
    known = set(address_key(_staged(reading, "mailchimp")["email"])) if len(asked) else set()
    addresses = [email for email in asked["email1"].unique() if address_key(pd.Series([email]))[0] not in known]
    found = _each(lambda email: reading.mailchimp.member(reading.list_id, email), addresses)
    reading.stage("mailchimp", [row for row in found if row is not None])


def _each(function: Callable[[str], Out], items: Sequence[str]) -> list[Out]:
    if len(items) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="read") as pool:
        return list(pool.map(function, items))


def _chunks(items: Sequence[Out]) -> Iterable[Sequence[Out]]:
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))
