"""From staged snapshots and what we remember to the inputs of one decision: only what moved, and newcomers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sqlalchemy import Connection as Database

from domain import records
from domain.changeset import Inputs
from domain.frames import among, positions
from domain.records import KEY, Layout
from domain.values import address_key
from storage import links, parking, snapshots


@dataclass(frozen=True)
class Gathered:
    """``untouched``: active links whose rows are as they were. ``active``: all active links of the connection."""

    inputs: Inputs
    untouched: int
    active: int


def gather(
    db: Database, connection_id: int, run_id: int, layout: Layout, resting: frozenset[str], *, full: bool, every: bool
) -> Gathered:
    """Inputs of a run. ``every``: mappings changed, so no pair may be passed over (R30)."""
    known = links.hashes(db, connection_id) if full else links.links(db, connection_id, touching_run=run_id)
    staged = {side: snapshots.hashes(db, run_id, side) for side in KEY}
    touched = known if every else known[moved(known, staged)]
    ours = links.by_ids(db, touched["id"].tolist()) if full else known[known["id"].isin(touched["id"])]
    fresh = {side: staged[side].loc[~among(staged[side][KEY[side]], known[KEY[side]]), KEY[side]] for side in KEY}
    members = snapshots.members(db, run_id, [*ours["contact_id"], *fresh["mailchimp"]])
    entries = snapshots.entries(db, run_id, [*ours["entry_id"], *fresh["maximizer"]])
    entries = _that_matter(entries, members, set(ours["entry_id"]))
    holders = _holders(db, connection_id, members, entries, ours, known if not full else None)
    inputs = Inputs(
        members=records.unstage(members, layout.member_tags),
        entries=records.unstage(entries, layout.entry_tags),
        links=ours.reset_index(drop=True),
        baselines=links.baselines(db, ours["id"].tolist()),
        holders=holders,
        parked=_parked(parking.open_rows(db, connection_id)),
        resting=resting,
        suppressed=_suppressed(db, connection_id, [*members["email"], *entries["email1"]]),
    )
    active = links.count(db, connection_id)
    return Gathered(inputs, active - int((ours["state"] == "active").sum()), active)


def moved(known: pd.DataFrame, staged: dict[str, pd.DataFrame]) -> pd.Series:
    """Whether a link has something to look at: a row that is not the one last settled, or one that is missing."""
    result = pd.Series(False, index=known.index)
    for side, column in (("mailchimp", "member_hash"), ("maximizer", "entry_hash")):
        place = positions(known[KEY[side]], staged[side][KEY[side]])
        hashes = staged[side]["row_hash"].to_numpy()
        now = hashes[place] if len(hashes) else np.zeros(len(known), "int64")
        then = known[column].astype("Int64")
        same = (then == now).fillna(False).to_numpy(bool) & (place >= 0)
        result |= ~same
    return result


def _that_matter(entries: pd.DataFrame, members: pd.DataFrame, linked: set[str]) -> pd.DataFrame:
    """Linked entries, and of the others those that are flagged, carry a marker, or could be a member's person."""
    mail = set(address_key(members["email"])) - {""}
    claimed = entries["entry_id"].isin(members["pair"])
    for name in ("email1", "email2", "email3"):
        claimed |= address_key(entries[name]).isin(mail)
    flagged = (entries["flag"] == "Yes") | (entries["marker"] != "")
    return entries[claimed | flagged | entries["entry_id"].isin(linked)].reset_index(drop=True)


def _holders(
    db: Database,
    connection_id: int,
    members: pd.DataFrame,
    entries: pd.DataFrame,
    ours: pd.DataFrame,
    known: pd.DataFrame | None,
) -> pd.DataFrame:
    """Links that hold an address or identity which a newcomer claims (R9)."""
    lone_members = members[~members["contact_id"].isin(ours["contact_id"])]
    lone_entries = entries[~entries["entry_id"].isin(ours["entry_id"])]
    addresses = set(address_key(lone_members["email"])) | set(address_key(lone_entries["email1"]))
    markers = set(lone_entries["marker"])
    if not addresses and not markers:
        return ours.iloc[:0]
    if known is None:
        return links.holding(db, connection_id, addresses - {""}, markers - {""})
    held = address_key(known["email"]).isin(addresses) | address_key(known["email1"]).isin(addresses)
    return known[held | known["unique_email_id"].isin(markers)]


def _parked(rows: pd.DataFrame) -> pd.DataFrame:
    """Open quarantine rows with the records they are about."""
    about = [row if isinstance(row, dict) else {} for row in rows["evidence"]]
    return rows.assign(
        contact_id=pd.Series([str(row.get("contact_id") or "") for row in about], index=rows.index, dtype="object"),
        entry_id=pd.Series([str(row.get("entry_id") or "") for row in about], index=rows.index, dtype="object"),
    )


def _suppressed(db: Database, connection_id: int, addresses: Iterable[str]) -> frozenset[str]:
    """Those of these addresses that are never to be created (R18)."""
    hashed = parking.suppressed(db, connection_id)
    if not hashed:
        return frozenset()
    hasher = parking.email_hasher(db)
    keys = set(address_key(pd.Series(list(addresses), dtype="str"))) - {""}
    return frozenset(key for key in keys if hasher(key) in hashed)
