"""What became of each linked pair: present, gone on one side, returned, to be revived (R11, R14, R16, R18)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from domain.frames import among

_MEMBER = ("found", "email", "unique_email_id", "web_id", "status", "pair", "last_changed", "row_hash")
_ENTRY = ("found", "type", "email1", "flag", "marker", "row_hash")

# Cases, in the words of the rules.
PRESENT = "present"
RETURNED = "returned"  # the person subscribed again by themselves (R14)
REVIVE = "revive"  # archived, and the flag was set from No to Yes by hand afterwards (R18)
MEMBER_GONE = "member gone"  # deleted or archived in Mailchimp (R14)
WAITING = "member gone, entry unchanged"  # R14 waits for a change to the entry
ENTRY_GONE = "entry gone"  # R16
RECLAIMED = "reclaimed"  # the member is gone for good and the entry was flagged anew: a newcomer again
BOTH_GONE = "both gone"
SUPERSEDED = "superseded"  # a store put back: its member is gone, and another one carries the entry's identity
LEFT = "left"
UNREAD = "unread"


def view(links: pd.DataFrame, members: pd.DataFrame, entries: pd.DataFrame) -> pd.DataFrame:
    """Links beside what was read of both records: columns ``m_*`` and ``e_*``, ``m_row``/``e_row`` the positions.

    ``m_read``/``e_read`` are false where the record was not looked at in this run. An entry that moved (an Individual
    converted to a Contact, R11) is found by its marker; its new identity is in ``entry_id``, the old in ``was_entry``.
    ``e_claimed``: a member on the list that no link knows carries the identity of this entry.
    """
    links = _followed(links.reset_index(drop=True), entries)
    seen = links
    for prefix, frame, key, columns in (
        ("m", members, "contact_id", _MEMBER),
        ("e", entries, "entry_id", _ENTRY),
    ):
        # A left join turns plain integers into floats, which cannot hold a hash.
        whole = frame[[key, *columns]].astype({"row_hash": "Int64"})
        side = whole.rename(columns={name: f"{prefix}_{name}" for name in columns})
        side = side.assign(**{f"{prefix}_row": np.arange(len(frame))})
        seen = seen.merge(side, on=key, how="left", validate="many_to_one")
        seen[f"{prefix}_read"] = seen[f"{prefix}_row"].notna()
        seen[f"{prefix}_row"] = seen[f"{prefix}_row"].fillna(-1).astype("int64")
        seen[f"{prefix}_found"] = seen[f"{prefix}_found"].eq(True)
    there = members["found"].astype(bool) & (members["status"] != "archived") & (members["pair"] != "")
    unknown = members[there & ~among(members["contact_id"], links["contact_id"])]
    return seen.assign(e_claimed=among(seen["entry_id"], unknown["pair"]))


def _followed(links: pd.DataFrame, entries: pd.DataFrame) -> pd.DataFrame:
    """Links whose entry is gone, re-keyed to the one unlinked entry that carries their marker (R11)."""
    gone = among(links["entry_id"], entries.loc[~entries["found"].astype(bool), "entry_id"])
    free = entries[
        entries["found"].astype(bool) & (entries["marker"] != "") & ~among(entries["entry_id"], links["entry_id"])
    ]
    free = free[~free["marker"].duplicated(keep=False)]
    by_marker = pd.Series(free["entry_id"].to_numpy(), index=free["marker"].to_numpy(), dtype="str")
    moved_to = links["unique_email_id"].map(by_marker)
    moved = gone & moved_to.notna()
    return links.assign(was_entry=links["entry_id"], entry_id=links["entry_id"].mask(moved, moved_to))


def cases(seen: pd.DataFrame, *, full: bool, since: str = "") -> pd.Series:
    """The case of every row of ``view``.

    ``since``: the latest change in Mailchimp that a finished cycle has seen. Who was archived after that, although the
    link has known it for long, was archived once more: the store was put back, and the flag is older than that (R18).
    """
    archived = seen["m_found"] & (seen["m_status"] == "archived")
    member = seen["m_found"] & ~archived
    entry = seen["e_found"]
    active = seen["state"] == "active"
    # Under another key nobody may have touched the flag: it is that of a copy made before the person left (R11, R18).
    by_hand = (seen["e_flag"] == "Yes") & (seen["flag"] != "Yes") & (seen["entry_id"] == seen["was_entry"])
    wanted = archived & by_hand & (seen["status"] == "subscribed")
    again = (seen["m_last_changed"] > since).fillna(False).astype(bool) & (since != "")
    # A full cycle settles a deletion at once; a scheduled one waits until the entry changes too (R14).
    settled_now = full | (seen["e_row_hash"] != seen["entry_hash"].astype("Int64")).fillna(True).astype(bool)
    return pd.Series(
        np.select(
            [
                ~(seen["m_read"] & seen["e_read"]),
                ~member & ~entry,
                ~entry,
                active & member,
                ~member & seen["e_claimed"] & (active | ~archived),
                active & settled_now,
                active,
                member,
                wanted & again,
                wanted,
                ~archived & by_hand,
            ],
            [
                UNREAD,
                BOTH_GONE,
                ENTRY_GONE,
                PRESENT,
                SUPERSEDED,
                MEMBER_GONE,
                WAITING,
                RETURNED,
                MEMBER_GONE,
                REVIVE,
                RECLAIMED,
            ],
            default=LEFT,
        ),
        index=seen.index,
        dtype="str",
    )
