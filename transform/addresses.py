"""A linked person whose address changed on one side or both (R13, R17, and the first meeting of R30)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from domain.frames import among
from domain.values import EMAIL, address_key

KEEP = "keep"
RENAME = "rename"  # Email 1 changed: the member takes it (R17)
NEW_ENTRY = "new entry"  # the member's address changed: the link ends (R13)
WAITS = "waits"  # the same, but the person is not subscribed: nothing changes until they are (R1, R13)
FOLLOW = "follow"  # the setting email_change=follow: the entry takes it (R13)
EMPTIED = "emptied"  # Email 1 was emptied: the member stays, reported (R17)
REFUSED = "refused"  # needs a person; ``why`` says so


def addresses(
    seen: pd.DataFrame, taken: pd.Series, held: pd.Series, *, email_change: str, conflict: str
) -> pd.DataFrame:
    """One row per row of ``seen`` (presence.view, records present on both sides): ``action``, ``why``, ``rule``.

    ``taken``: addresses (keys) of every member known in this run, archived ones included; ``held``: Email 1 of every
    entry known.
    ``seen.email``/``seen.email1`` are the addresses when last seen, NA at a first meeting.
    """
    member, entry = address_key(seen["m_email"]), address_key(seen["e_email1"])
    first = (seen["email"].isna() | seen["email1"].isna()).to_numpy()
    moved_member = (member != address_key(seen["email"])).to_numpy() & ~first
    moved_entry = (entry != address_key(seen["email1"])).to_numpy() & ~first
    same = (member == entry).to_numpy()
    emptied = (entry == "").to_numpy()
    sends = (seen["e_flag"] == "Yes").to_numpy()
    subscribed = (seen["m_status"] == "subscribed").to_numpy()
    follows = moved_member & (email_change == "follow")
    wants_rename = (moved_entry & ~moved_member) | (first & ~same & (conflict == "maximizer"))
    renames = wants_rename & sends & ~emptied
    rivals = entry.where(pd.Series(renames, index=seen.index)).dropna().duplicated(keep=False)
    why = pd.Series(
        np.select(
            [
                moved_member & moved_entry & ~same,
                renames & ~entry.str.fullmatch(EMAIL).to_numpy(bool),
                renames & ~subscribed,
                renames & among(entry, taken).to_numpy() & ~same,
                rivals.reindex(seen.index, fill_value=False).to_numpy(),
                follows & among(member, held).to_numpy() & ~same,
            ],
            [
                "the address was changed on both sides",
                "Email 1 is not an e-mail address",
                "Mailchimp renames subscribed members only",
                "the new address is already on the list",
                "several linked entries take this address",
                "the new address is already that of another entry",
            ],
            default="",
        ),
        index=seen.index,
        dtype="str",
    )
    action = np.select(
        [
            same,
            (why != "").to_numpy(),
            emptied & ~moved_member,
            wants_rename & sends,
            follows,
            moved_member & subscribed,
            moved_member,
        ],
        [KEEP, REFUSED, EMPTIED, RENAME, FOLLOW, NEW_ENTRY, WAITS],
        default=KEEP,
    )
    rule = np.where(moved_member, "R13", np.where(first, "R30", "R17"))
    return pd.DataFrame(
        {"action": action, "why": why.mask(pd.Series(same, index=seen.index), ""), "rule": rule}, seen.index
    )
