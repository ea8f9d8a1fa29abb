"""Which member and which entry are the same person: R7 in its order, R9 for everything ambiguous.

An existing link is never touched here: linked records take no part but as holders of an address or identity.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from domain.frames import among
from domain.values import address_key

MARKER, PAIR, EMAIL = "marker", "client id", "e-mail"
STEPS = (MARKER, PAIR, EMAIL)
_NOBODY = pd.DataFrame({name: pd.Series(dtype="str") for name in ("contact_id", "entry_id", "reason")})


@dataclass(frozen=True)
class Matched:
    """``pairs``: contact_id, entry_id, reason. ``ambiguous``: side, key, reason, evidence, one row per newcomer.

    ``elsewhere``: contact_id, entry_id of addresses found only as Email 2 or 3 (no match, reported, R7).
    """

    pairs: pd.DataFrame
    ambiguous: pd.DataFrame
    elsewhere: pd.DataFrame


def match(members: pd.DataFrame, entries: pd.DataFrame, holders: pd.DataFrame) -> Matched:
    """Match newcomers of both sides.

    ``members``: contact_id, email, unique_email_id, web_id, status, pair (the Client ID and number it carries).
    ``entries``: entry_id, email1..3, marker, flag. Both without linked records, one row per record.
    A member that is not subscribed meets flagged entries only (R1); an entry that is not flagged is never held back,
    since nothing would come of it.
    ``holders``: contact_id, entry_id, email, email1, unique_email_id of links that a newcomer might claim.
    The answer does not depend on the order of rows.
    """
    if not len(members) and not len(entries):
        return Matched(_NOBODY, _rows("", members["contact_id"], "", members["contact_id"]), _NOBODY)
    edges = _edges(members, entries)
    chosen, torn = _choose(edges)
    held = _held(members[members["status"] == "subscribed"], entries[entries["flag"] == "Yes"], holders)
    crowded = _contested(chosen, edges, torn["key"])
    flagged = entries[entries["flag"] == "Yes"]
    twins = _twins(flagged, edges)
    stopped = pd.concat([torn, _crowded(crowded), held, twins], ignore_index=True)
    stopped_members = stopped.loc[stopped["side"] == "mailchimp", "key"]
    stopped_entries = stopped.loc[stopped["side"] == "maximizer", "key"]
    pairs = chosen[~among(chosen["contact_id"], stopped_members) & ~among(chosen["entry_id"], stopped_entries)]
    # Whoever could be the person of a stopped record is part of the same question: it creates nothing either (R9).
    widowed = chosen[among(chosen["entry_id"], stopped_entries) & ~among(chosen["contact_id"], stopped_members)]
    stopped_members = pd.concat([stopped_members, widowed["contact_id"]])
    settled = pd.concat([stopped_entries, pairs["entry_id"]])
    lost = edges[among(edges["contact_id"], stopped_members) & ~among(edges["entry_id"], settled)]
    why = "{} that could be this person is held back"
    drawn = [
        _grouped("mailchimp", widowed, "contact_id", "entry_id", why.format("an entry")),
        _grouped("maximizer", lost, "entry_id", "contact_id", why.format("a member")),
    ]
    stopped = pd.concat([stopped, *drawn], ignore_index=True)
    stopped = stopped[(stopped["side"] == "mailchimp") | among(stopped["key"], flagged["entry_id"])]
    stopped = stopped.sort_values(["side", "key", "reason"]).drop_duplicates(["side", "key"], ignore_index=True)
    return Matched(pairs.reset_index(drop=True), stopped, _elsewhere(members, entries, pairs))


def _edges(members: pd.DataFrame, entries: pd.DataFrame) -> pd.DataFrame:
    """Every (contact_id, entry_id, step) that one of the three criteria proposes."""
    marked = entries.loc[entries["marker"] != "", ["entry_id", "marker"]]
    by_uid = members[["contact_id", "unique_email_id"]].merge(marked, left_on="unique_email_id", right_on="marker")
    by_web = members[["contact_id", "web_id"]].merge(marked, left_on="web_id", right_on="marker")
    carrying = members.loc[members["pair"] != "", ["contact_id", "pair"]]
    by_pair = carrying.merge(entries[["entry_id", "marker"]], left_on="pair", right_on="entry_id")
    mail = pd.DataFrame({"contact_id": members["contact_id"], "email": address_key(members["email"])})
    book = pd.DataFrame({"entry_id": entries["entry_id"], "email": address_key(entries["email1"])})
    by_mail = mail[mail["email"] != ""].merge(book[book["email"] != ""], on="email")
    steps = ((MARKER, by_uid), (MARKER, by_web), (PAIR, by_pair), (EMAIL, by_mail))
    edges = pd.concat([frame[["contact_id", "entry_id"]].assign(step=step) for step, frame in steps], ignore_index=True)
    subscribed = members.loc[members["status"] == "subscribed", "contact_id"]
    flagged = entries.loc[entries["flag"] == "Yes", "entry_id"]
    in_scope = among(edges["contact_id"], subscribed) | among(edges["entry_id"], flagged)
    edges = edges[in_scope].drop_duplicates(ignore_index=True)
    # A pair that leads to an entry with another's marker is stale and yields to the marker, be it this member's
    # elsewhere or another member's there (R13).
    sure = edges[edges["step"] == MARKER]
    own = edges.merge(sure[["contact_id", "entry_id"]].assign(own=True), how="left")["own"].notna().to_numpy()
    doubtful = among(edges["contact_id"], sure["contact_id"]) | among(edges["entry_id"], sure["entry_id"])
    stale = (edges["step"] == PAIR) & doubtful & ~own & among(edges["entry_id"], marked["entry_id"])
    return edges[~stale].reset_index(drop=True)


def _choose(edges: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Per member the entry of its first step that finds any; torn when a step finds two, or a later one another."""
    edges = edges.assign(order=edges["step"].map({step: n for n, step in enumerate(STEPS)}).astype("int64"))
    first = edges["order"] == edges.groupby("contact_id")["order"].transform("min")
    best = edges[first]
    several = best[best.duplicated("contact_id", keep=False)]
    single = best[~among(best["contact_id"], several["contact_id"])].rename(columns={"entry_id": "best"})
    later = edges[~first].merge(single[["contact_id", "best"]], on="contact_id")
    agrees = (later["entry_id"] == later["best"]).groupby([later["contact_id"], later["order"]]).transform("any")
    against = later[~agrees.astype(bool)] if len(later) else later
    chosen = single[~among(single["contact_id"], against["contact_id"])]
    chosen = chosen.rename(columns={"best": "entry_id", "step": "reason"})[["contact_id", "entry_id", "reason"]]
    torn = pd.concat(
        [
            _grouped("mailchimp", several, "contact_id", "entry_id", "several entries match this member"),
            _grouped("mailchimp", against, "contact_id", "entry_id", "two criteria point to different entries"),
        ],
        ignore_index=True,
    )
    return chosen, torn


def _contested(chosen: pd.DataFrame, edges: pd.DataFrame, torn: pd.Series) -> pd.DataFrame:
    """Rows of ``chosen`` whose entry several members choose, or a torn one claims on the same step or a better one."""
    rank = {step: n for n, step in enumerate(STEPS)}
    claims = edges.loc[among(edges["contact_id"], torn), ["entry_id", "step"]]
    best = claims["step"].map(rank).groupby(claims["entry_id"]).min()
    claimed = chosen["entry_id"].map(best) <= chosen["reason"].map(rank)
    return chosen[chosen.duplicated("entry_id", keep=False) | claimed]


def _crowded(crowded: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(
        [
            _rows("mailchimp", crowded["contact_id"], "several members match one entry", crowded["entry_id"]),
            _grouped("maximizer", crowded, "entry_id", "contact_id", "several members match this entry"),
        ],
        ignore_index=True,
    )


def _twins(entries: pd.DataFrame, edges: pd.DataFrame) -> pd.DataFrame:
    """Entries that share an address and that no member tells apart: none of them creates a member (hazard B1)."""
    told = edges.loc[edges["step"] != EMAIL, "entry_id"]
    book = pd.DataFrame({"entry_id": entries["entry_id"], "email": address_key(entries["email1"])})
    book = book[(book["email"] != "") & book["email"].duplicated(keep=False)]
    rivals = book.merge(book, on="email", suffixes=("", "_other"))
    rivals = rivals[(rivals["entry_id"] != rivals["entry_id_other"]) & ~among(rivals["entry_id"], told)]
    return _grouped("maximizer", rivals, "entry_id", "entry_id_other", "several entries have this e-mail address")


def _held(members: pd.DataFrame, entries: pd.DataFrame, holders: pd.DataFrame) -> pd.DataFrame:
    """Newcomers that claim what a link already holds: the link stays, the newcomer waits (R9)."""
    if not len(holders):
        return _rows("mailchimp", members["contact_id"].iloc[:0], "", members["contact_id"].iloc[:0])
    held_by_member = pd.DataFrame({"email": address_key(holders["email"]), "by": holders["contact_id"]})
    held_by_entry = pd.DataFrame({"email": address_key(holders["email1"]), "by": holders["entry_id"]})
    mail = pd.DataFrame({"key": members["contact_id"], "email": address_key(members["email"])})
    book = pd.DataFrame({"key": entries["entry_id"], "email": address_key(entries["email1"])})
    marked = entries.loc[entries["marker"] != "", ["entry_id", "marker"]].rename(columns={"entry_id": "key"})
    uids = holders[["unique_email_id", "contact_id"]].set_axis(["marker", "by"], axis=1)
    parts = [
        (
            "mailchimp",
            _claims(mail, held_by_entry, "email"),
            "its address is held by an entry linked to another member",
        ),
        (
            "maximizer",
            _claims(book, held_by_member, "email"),
            "its address is held by a member linked to another entry",
        ),
        ("maximizer", _claims(book, held_by_entry, "email"), "its address is held by an entry that is linked already"),
        ("maximizer", _claims(marked, uids, "marker"), "its MailChimp ID is that of a member linked to another entry"),
    ]
    return pd.concat([_grouped(side, frame, "key", "by", why) for side, frame, why in parts], ignore_index=True)


def _claims(newcomers: pd.DataFrame, held: pd.DataFrame, on: str) -> pd.DataFrame:
    return newcomers[newcomers[on] != ""].merge(held[held[on] != ""].drop_duplicates(), on=on)[["key", "by"]]


def _elsewhere(members: pd.DataFrame, entries: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    mail = pd.DataFrame({"contact_id": members["contact_id"], "email": address_key(members["email"])})
    mail = mail[~among(mail["contact_id"], pairs["contact_id"]) & (mail["email"] != "")]
    others = pd.concat(
        [entries[["entry_id", name]].set_axis(["entry_id", "email"], axis=1) for name in ("email2", "email3")]
    )
    others = pd.DataFrame({"entry_id": others["entry_id"], "email": address_key(others["email"])})
    return mail.merge(others[others["email"] != ""], on="email")[["contact_id", "entry_id"]].drop_duplicates()


def _grouped(side: str, frame: pd.DataFrame, key: str, other: str, reason: str) -> pd.DataFrame:
    """One row per key with all it collides with as evidence (sorted, so that row order does not matter)."""
    listed = frame[[key, other]].drop_duplicates().sort_values([key, other])
    joined = listed.groupby(key)[other].agg(" ".join) if len(listed) else pd.Series(dtype="str")
    return _rows(side, joined.index.to_series(), reason, joined)


def _rows(side: str, keys: pd.Series, reason: str, evidence: pd.Series) -> pd.DataFrame:
    columns = {"side": side, "key": keys.to_numpy(), "reason": reason, "evidence": evidence.to_numpy()}
    return pd.DataFrame(columns, columns=["side", "key", "reason", "evidence"], dtype="object")
