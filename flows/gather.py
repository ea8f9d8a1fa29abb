"""From staged snapshots and what we remember to the inputs of one decision: only what moved, and newcomers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pandas as pd
from sqlalchemy import Connection as Database

from domain import records
from domain.changeset import READDRESSED, Inputs, Policy
from domain.frames import aligned, among
from domain.records import KEY, Layout
from domain.values import address_key
from flows.held import Unmet
from flows.prepare import Prepared
from storage import links, parking, snapshots
from storage.connections import Connection


@dataclass(frozen=True)
class Gathered:
    """``untouched``: active links whose rows are as they were. ``active``: all active links of the connection."""

    inputs: Inputs
    untouched: int
    active: int


def run_day(now: float) -> date:
    """The date of a run that begins now (UTC epoch seconds), where this machine stands."""
    return datetime.fromtimestamp(now, UTC).astimezone().date()


def policy_of(
    connection: Connection,
    prepared: Prepared,
    unmet: Unmet,
    today: date,
    *,
    full: bool,
    members_complete: bool = True,
    entries_complete: bool = True,
) -> Policy:
    """By what a run decides while no changed mapping waits."""
    return Policy(
        layout=prepared.layout,
        settings=connection.settings,
        today=today,
        full=full,
        members_complete=members_complete,
        entries_complete=entries_complete,
        mailchimp_cursor=connection.mailchimp_cursor,
        unmapped_required=prepared.unmapped_required,
        changed=frozenset(unmet.changed),
    )


def gather_for(
    db: Database,
    connection: Connection,
    run_id: int,
    prepared: Prepared,
    unmet: Unmet,
    resting: frozenset[str],
    *,
    full: bool,
) -> Gathered:
    """Inputs of a run with these mappings: every pair when one changed; what was refused under others again."""
    every = prepared.changed or (full and bool(unmet.changed))
    again = prepared.changed and bool(connection.fingerprint)
    return gather(db, connection.id, run_id, prepared.layout, resting, full=full, every=every, again=again)


def gather(
    db: Database,
    connection_id: int,
    run_id: int,
    layout: Layout,
    resting: frozenset[str],
    *,
    full: bool,
    every: bool,
    again: bool,
) -> Gathered:
    """Inputs of a run. ``every``: mappings changed, so no pair may be passed over (R30). ``again``: they changed since
    records were refused, so each of these is tried again (R51).
    """
    ours = (
        links.links(db, connection_id) if every else links.by_ids(db, links.moved(db, connection_id, run_id, full=full))
    )
    fresh = {side: links.unlinked(db, connection_id, run_id, side) for side in KEY}
    members = snapshots.members(db, run_id, [*ours["contact_id"], *fresh["mailchimp"]])
    entries = snapshots.entries(db, run_id, [*ours["entry_id"], *fresh["maximizer"]])
    waiting = parked(parking.open_rows(db, connection_id), again=again)
    entries = _that_matter(entries, members, {*ours["entry_id"], *waiting["entry_id"]})
    holders = _holders(db, connection_id, run_id, members, entries, ours, full=full)
    suppressed = _suppressed(db, connection_id, members, entries)
    inputs = Inputs(
        members=records.unstage(members, layout.member_tags),
        entries=records.unstage(entries, layout.entry_tags),
        links=ours.reset_index(drop=True),
        baselines=links.baselines(db, ours["id"].tolist()),
        holders=holders,
        parked=waiting,
        resting=resting,
        suppressed=frozenset(suppressed),
        erased=frozenset(email for email, reason in suppressed.items() if reason == "erased"),
        readdressed=_readdressed(db, connection_id, members, fresh["mailchimp"]),
        notes=links.last_notes(db, connection_id, fresh["mailchimp"]),
    )
    active = links.count(db, connection_id)
    return Gathered(inputs, active - int((ours["state"] == "active").sum()), active)


def blanked(inputs: Inputs, layout: Layout) -> list[str]:
    """Linked entries with an empty value where one was seen before: to be read once more before that is believed.

    Maximizer has been seen to send parts of an address as null on one read and right on the next (hazard A13).
    """
    tags = [m.tag for m in layout.fields if not m.one_way]
    seen = inputs.baselines.merge(inputs.links[["id", "entry_id"]], left_on="link_id", right_on="id")
    before = records.cells(seen["maximizer"], tags)
    now = aligned(inputs.entries, "entry_id", seen["entry_id"], tags)
    doubtful = ((now == "") & (before != "") & before.notna()).any(axis=1)
    return [str(entry) for entry in seen.loc[doubtful.to_numpy(bool), "entry_id"]]


def _that_matter(entries: pd.DataFrame, members: pd.DataFrame, known: set[str]) -> pd.DataFrame:
    """Known (linked or waiting) entries, and of the others the flagged, the marked, and any member's person."""
    mail = set(address_key(members["email"])) - {""}
    claimed = among(entries["entry_id"], members["pair"])
    for name in ("email1", "email2", "email3"):
        claimed |= among(address_key(entries[name]), mail)
    flagged = (entries["flag"] == "Yes") | (entries["marker"] != "")
    return entries[claimed | flagged | among(entries["entry_id"], known)].reset_index(drop=True)


def _holders(
    db: Database,
    connection_id: int,
    run_id: int,
    members: pd.DataFrame,
    entries: pd.DataFrame,
    ours: pd.DataFrame,
    *,
    full: bool,
) -> pd.DataFrame:
    """Links that hold an address or identity which a newcomer or a changed Email 1 claims (R9, R17).

    They hold it when it is the one last seen, or the one the record has now: that of a pair with the flag No, or one
    that Mailchimp refuses, is not agreed on and still taken.
    """
    # Also of a linked member whose address changed, or whose entry is gone: its link may end, and then it is a
    # newcomer there (R13, R16).
    lasting = ours[~among(ours["entry_id"], entries.loc[~entries["found"].astype(bool), "entry_id"])]
    known_as = members["contact_id"].map(lasting.set_index("contact_id")["email"])
    new_members = members[address_key(members["email"]) != address_key(known_as)]
    lone_entries = entries[~among(entries["entry_id"], ours["entry_id"])]
    seen = entries["entry_id"].map(ours.set_index("entry_id")["email1"])
    moved = entries[address_key(entries["email1"]) != address_key(seen)]
    addresses = {*address_key(new_members["email"]), *address_key(moved["email1"])} - {""}
    markers = set(lone_entries["marker"]) - {""}
    if not addresses and not markers:
        return ours.iloc[:0]
    if full:
        last = links.holding(db, connection_id, addresses, markers)
    else:
        # Whoever could hold one was read for that reason (extract.counterparts): no need to look at every link.
        known = links.links(db, connection_id, touching_run=run_id)
        held = among(address_key(known["email"]), addresses) | among(address_key(known["email1"]), addresses)
        last = known[held | among(known["unique_email_id"], markers)]
    now = links.holding_now(db, connection_id, run_id, addresses)
    return pd.concat([last[now.columns.tolist()], now], ignore_index=True).drop_duplicates(ignore_index=True)


def _readdressed(db: Database, connection_id: int, members: pd.DataFrame, unlinked: Collection[str]) -> frozenset[str]:
    """Unlinked members that still name the entry from which a change of their address parted them (R13)."""
    stamped = members[among(members["contact_id"], unlinked) & (members["pair"] != "")]
    if not len(stamped):
        return frozenset()
    parted = links.parted(db, connection_id, stamped["contact_id"], READDRESSED)
    names = zip(stamped["contact_id"], stamped["pair"], strict=True)
    return frozenset(contact_id for contact_id, entry_id in names if (contact_id, entry_id) in parted)


def parked(rows: pd.DataFrame, *, again: bool = False) -> pd.DataFrame:
    """Open quarantine rows with the records they are about, and whether what was refused is still ``held``.

    A refusal that may pass is tried again, and after a change of mappings (``again``) every one.
    """
    about = [row if isinstance(row, dict) else {} for row in rows["evidence"]]
    return rows.assign(
        contact_id=pd.Series([str(row.get("contact_id") or "") for row in about], index=rows.index, dtype="object"),
        entry_id=pd.Series([str(row.get("entry_id") or "") for row in about], index=rows.index, dtype="object"),
        held=pd.Series([not again and bool(row.get("final", True)) for row in about], index=rows.index, dtype="bool"),
    )


def _suppressed(db: Database, connection_id: int, members: pd.DataFrame, entries: pd.DataFrame) -> dict[str, str]:
    """Addresses of these records that are never to be created, and for what reason (R18)."""
    return parking.suppressed(
        db, connection_id, {*address_key(members["email"]), *address_key(entries["email1"])} - {""}
    )
