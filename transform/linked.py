"""Linked pairs: who is still there (presence), whose address moved (addresses), which fields moved (pairs)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from domain.changeset import CELL, READDRESSED, Inputs, Policy, empty
from domain.frames import among
from domain.values import address_key
from transform import plan, presence
from transform.addresses import EMPTIED, KEEP, NEW_ENTRY, REFUSED, WAITS
from transform.pairs import Judgement, judged
from transform.plan import FLAG, MARKER, STAMP, STATUS, Draft, own

# Columns of the link table that a run may set.
UPDATE = (
    "id", "contact_id", "entry_id", "state", "email", "email1", "unique_email_id", "web_id", "status", "archived",
    "flag", "flag_ours", "member_hash", "entry_hash", "reason",
)  # fmt: skip

_GONE = {
    "mailchimp": (presence.MEMBER_GONE, presence.BOTH_GONE),
    "maximizer": (presence.ENTRY_GONE, presence.BOTH_GONE),
}


@dataclass
class Linked:
    """``updates``: UPDATE columns. ``members``/``entries``: identities that links keep (no newcomers).

    ``released``: members whose link ends now and who start anew -> their entry so far. ``ended``: ids of those links.
    ``no_create``: entries that must not make a member in this run. ``moved``: records per side that people edited;
    ``gone``: linked records per side that turned out to be deleted (or archived) and whose pair is settled by that.
    """

    updates: pd.DataFrame
    adopted: pd.DataFrame
    findings: pd.DataFrame
    parked: pd.DataFrame
    members: list[str] = field(default_factory=list)
    entries: list[str] = field(default_factory=list)
    released: dict[str, str] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    no_create: list[str] = field(default_factory=list)
    evaluated: list[str] = field(default_factory=list)
    moved: dict[str, int] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)


def linked(given: Inputs, policy: Policy, draft: Draft) -> Linked:
    """Draft everything that becomes of linked pairs."""
    seen = presence.view(given.links, given.members, given.entries)
    seen = seen.assign(
        case=presence.cases(seen, full=policy.full, since=policy.mailchimp_cursor), marker=seen["unique_email_id"]
    )
    resting = among(seen["contact_id"], given.resting) | among(seen["entry_id"], given.resting)
    seen.loc[resting, "case"] = presence.UNREAD
    here = seen[seen["case"].isin([presence.PRESENT, presence.RETURNED, presence.REVIVE])].reset_index(drop=True)
    judgement = _present(given, policy, draft, here)
    gone = seen[~seen["case"].isin([presence.PRESENT, presence.RETURNED, presence.REVIVE])]
    _draft_departures(draft, gone)
    updates = pd.concat([_updates_present(here, judgement), _updates_gone(gone)], ignore_index=True)
    ended = updates[updates["state"] == "ended"]
    kept = updates[updates["state"] != "ended"]
    unread = seen[seen["case"].isin([presence.UNREAD, presence.WAITING])]
    # What waits as last settled may be back before anybody looks again: what was told of it stays told.
    judged_now = seen[~seen["case"].isin([presence.UNREAD, presence.WAITING])]
    moved = here[judgement.actions["action"].to_numpy() == NEW_ENTRY] if len(here) else here
    left_alone = moved[(moved["e_flag"] != "Yes") | (moved["status"] != "subscribed")]
    doubtful = left_alone[left_alone["e_flag"] == "Yes"]
    unsure = not_subscribed(doubtful["entry_id"])
    return Linked(
        updates=updates,
        adopted=judgement.adopted if len(judgement.adopted) else empty(CELL),
        findings=judgement.findings,
        parked=pd.concat([judgement.parked, unsure, _not_revived(gone)], ignore_index=True),
        members=[*kept["contact_id"], *unread["contact_id"]],
        entries=[*kept["entry_id"], *unread["entry_id"]],
        released=dict(zip(ended["contact_id"], ended["entry_id"], strict=True)),
        ended=[int(i) for i in ended["id"]],
        no_create=list(left_alone["entry_id"]),
        evaluated=[f"member:{key}" for key in judged_now["contact_id"]]
        + [f"entry:{key}" for key in judged_now["was_entry"]],
        moved=judgement.moved,
        gone={side: int(seen["case"].isin(cases).sum()) for side, cases in _GONE.items()},
    )


def not_subscribed(entries: pd.Series) -> pd.DataFrame:
    """PARKED rows of flagged entries whose person left under their address and came back under another (R13)."""
    return plan.parked(
        "maximizer",
        entries,
        reason="its member took another address and was not subscribed under this one",
        rule="R13",
        remedy="set the flag to No, or release it to subscribe this address anew",
    )


def _not_revived(gone: pd.DataFrame) -> pd.DataFrame:
    """PARKED rows of entries flagged by hand whose archived member had left: nobody brings it back (R18)."""
    return plan.parked(
        "maximizer",
        gone.loc[(gone["case"] == presence.LEFT) & (gone["e_flag"] == "Yes"), "entry_id"],
        reason="its member is archived and had unsubscribed or bounced before",
        rule="R18",
        remedy="only the person can subscribe again; set the flag to No",
    )


def _present(given: Inputs, policy: Policy, draft: Draft, here: pd.DataFrame) -> Judgement:
    """Pairs with both records: fields and addresses, then marker, stamp, flag and status of our own."""
    if not len(here):
        none = pd.DataFrame({"action": pd.Series(dtype="str"), "why": pd.Series(dtype="str")})
        return Judgement(
            pd.DataFrame(),
            plan.findings("", here["contact_id"], problem=""),
            plan.parked("", here["contact_id"], reason="", rule=""),
            none,
        )
    members = given.members.iloc[here["m_row"]].reset_index(drop=True)
    entries = given.entries.iloc[here["e_row"]].reset_index(drop=True)
    remembered = given.baselines.set_index("link_id").reindex(here["id"]).reset_index()
    remembered = remembered.astype({"mailchimp": "str", "maximizer": "str", "notes": "str"})
    back = here["case"].isin([presence.PRESENT, presence.RETURNED]) & (here["m_status"] == "subscribed")
    owed = back & _owed(here)
    # As if it were there already, so the entry's edits count at once (R2, R14).
    seen = here.assign(marker=here["m_unique_email_id"], e_flag=here["e_flag"].mask(owed, "Yes"))
    judgement = judged(given, policy, draft, seen, members, entries, remembered)
    action = judgement.actions["action"]
    staying = ~action.isin([NEW_ENTRY]).to_numpy()
    # The marker follows the address, so it waits until that is agreed on.
    agreed = ~action.isin([NEW_ENTRY, REFUSED, WAITS]).to_numpy()
    # Revived is whoever the entry asks for: under an address of its own that is somebody else, or nobody (R3, R17).
    revive = here.index[(here["case"] == presence.REVIVE) & (action == KEEP).to_numpy()]
    raised = here.index[owed & staying]
    remark = here.index[(here["e_marker"] != here["m_unique_email_id"]) & (here["m_unique_email_id"] != "") & agreed]
    restamp = here.index[(here["m_pair"] != here["entry_id"]) & staying]
    status = own(revive, STATUS, "subscribed", old="archived", rule="R18")
    draft.add(
        "mailchimp",
        "revive",
        seen,
        status,
        target="contact_id",
        rule="R18",
        then=['{"archived":false,"state":"active"}'] * len(seen),
    )
    stamp = own(restamp, STAMP, here.loc[restamp, "entry_id"], old=here.loc[restamp, "m_pair"], rule="R8")
    draft.add("mailchimp", "update", seen, stamp, target="contact_id", rule="R8")
    flag = own(raised, FLAG, "Yes", old=here.loc[raised, "e_flag"], rule="R14")
    draft.add(
        "maximizer",
        "update",
        seen,
        flag,
        target="entry_id",
        rule="R14",
        then=['{"flag":"Yes","flag_ours":false}'] * len(seen),
    )
    mark = own(remark, MARKER, here.loc[remark, "m_unique_email_id"], old=here.loc[remark, "e_marker"], rule="R8")
    draft.add("maximizer", "update", seen, mark, target="entry_id", rule="R8")
    return judgement


def _owed(rows: pd.DataFrame) -> pd.Series:
    """Whose flag is ours to raise: a No that we set (R14), or the Yes of a first meeting that was never written (R2).

    A flag that somebody changed since is theirs.
    """
    return rows["flag_ours"].astype(bool) & (rows["e_flag"] != "Yes") & (rows["e_flag"] == rows["flag"])


def _draft_departures(draft: Draft, gone: pd.DataFrame) -> None:
    """A deleted or archived member: the entry stays, its flag goes to No (R14)."""
    leaving = gone[(gone["case"] == presence.MEMBER_GONE) & (gone["e_flag"] == "Yes")]
    item = own(leaving.index, FLAG, "No", old="Yes", rule="R14")
    archived = json.dumps({"flag": "No", "flag_ours": True, "state": "left"})
    deleted = json.dumps({"flag": "No", "flag_ours": True, "state": "ended", "reason": presence.MEMBER_GONE})
    then = [archived if found else deleted for found in leaving["m_found"]]
    draft.add("maximizer", "update", leaving, item, target="entry_id", rule="R14", then=then)


def _updates_present(here: pd.DataFrame, judgement: Judgement) -> pd.DataFrame:
    if not len(here):
        return empty(UPDATE)
    action = judgement.actions["action"]
    same = (address_key(here["m_email"]) == address_key(here["e_email1"])).to_numpy()
    quiet = action.isin([KEEP, EMPTIED]).to_numpy()
    revive = (here["case"] == presence.REVIVE).to_numpy()
    return pd.DataFrame(
        {
            "id": here["id"],
            "contact_id": here["contact_id"],
            "entry_id": here["entry_id"],
            "state": np.where(action == NEW_ENTRY, "ended", np.where(revive, "left", "active")),
            "email": here["email"].mask(pd.Series(quiet), here["m_email"]),
            "email1": here["email1"].mask(pd.Series(same | (action == EMPTIED).to_numpy()), here["e_email1"]),
            "unique_email_id": here["m_unique_email_id"],
            "web_id": here["m_web_id"],
            "status": here["status"].where(revive, here["m_status"]),
            "archived": revive,
            # The flag of a pair that waits for its revival stays No, so that an interrupted one is tried again.
            "flag": here["e_flag"].mask(pd.Series(revive), here["flag"]),
            "flag_ours": _owed(here),
            "member_hash": here["m_row_hash"].astype("Int64"),
            "entry_hash": here["e_row_hash"].astype("Int64"),
            "reason": here["reason"].mask(action == NEW_ENTRY, READDRESSED),
        },
        columns=list(UPDATE),
    )


def _updates_gone(gone: pd.DataFrame) -> pd.DataFrame:
    """Links that lost a record. One whose flag still has to go to No stays as it is until that is confirmed."""
    # One that waits for a change to its entry (R14) stays as last settled, so that a full cycle finds it again.
    gone = gone[~gone["case"].isin([presence.UNREAD, presence.WAITING])]
    if not len(gone):
        return empty(UPDATE)
    case = gone["case"]
    leaving = (case == presence.MEMBER_GONE) & (gone["e_flag"] != "Yes")
    # A member gone for good frees its entry; one that is archived may return, so its link waits (R14, R18).
    over = [presence.ENTRY_GONE, presence.BOTH_GONE, presence.RECLAIMED, presence.SUPERSEDED]
    ends = case.isin(over) | (leaving | (case == presence.LEFT) & (gone["e_flag"] != "Yes")) & ~gone["m_found"]
    state = gone["state"].mask(leaving, "left").mask(ends, "ended")
    keeps_hash = ~((case == presence.MEMBER_GONE) & (gone["e_flag"] == "Yes"))
    archived = gone["m_found"] & (gone["m_status"] == "archived")
    return pd.DataFrame(
        {
            **{
                name: gone[name]
                for name in ("id", "contact_id", "entry_id", "email", "email1", "unique_email_id", "web_id", "status")
            },
            "state": state,
            "archived": archived,
            "flag": gone["flag"].mask((case == presence.LEFT) | leaving, gone["e_flag"]),
            "flag_ours": _owed(gone),
            "member_hash": gone["m_row_hash"].astype("Int64").where(keeps_hash),
            "entry_hash": gone["e_row_hash"].astype("Int64").where(keeps_hash),
            "reason": gone["reason"].mask(ends, case),
        },
        columns=list(UPDATE),
    )
