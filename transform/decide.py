"""The decision of a whole run, in order: linked pairs, then newcomers of both sides, then one ChangeSet."""

from __future__ import annotations

import numpy as np
import pandas as pd

from domain.changeset import CELL, FINDING, NEW_LINK, PARKED, ChangeSet, Inputs, Policy, empty
from domain.frames import among
from domain.records import KEY, PLACEHOLDER
from domain.values import EMAIL, address_key
from transform import plan
from transform.addresses import EMPTIED, KEEP
from transform.linked import Linked, linked, not_subscribed
from transform.match import match
from transform.pairs import judged
from transform.plan import FLAG, MARKER, STAMP, Draft, own
from transform.rules import new_entries, new_members

PEOPLE = ("Individual", "Contact")  # R4


def decide(given: Inputs, policy: Policy) -> ChangeSet:
    """Everything one run will do, from what was read and what is remembered. Row order does not matter."""
    if not (len(given.links) or len(given.members) or len(given.entries)):
        return ChangeSet(tallies={"unchanged": 0})
    draft = Draft()
    known = linked(given, policy, draft)
    fresh = _Newcomers(given, policy, draft, known)
    fresh.pair()
    fresh.make_entries()
    fresh.make_members()
    changes = draft.changes()
    parked = _with_hashes(pd.concat([known.parked, *fresh.parked], ignore_index=True), given)
    changes, skipped, held_back = _without_refused(changes, given)
    result = ChangeSet(
        changes=changes,
        new_links=_unsettled(fresh.new_links, changes, skipped, parked),
        link_updates=_unsettled(known.updates, changes, skipped, parked),
        adopted=_stack([known.adopted, fresh.adopted], CELL),
        parked=parked,
        findings=_stack([known.findings, *fresh.findings], FINDING).drop_duplicates(["kind", "key", "field"]),
        evaluated=tuple(known.evaluated + fresh.evaluated),
        held_back=held_back,
    )
    placeholders = changes["fields"].str.count(f'"note":"{PLACEHOLDER}').sum() if len(changes) else 0
    result.tallies = {
        "conflicts": int((result.findings["kind"] == "conflict").sum()),
        "protected": int((result.findings["kind"] == "protected").sum()),
        "placeholders": int(placeholders),
        "unchanged": int(_unchanged(known.updates, changes)),
        **{f"moved in {side}": number for side, number in known.moved.items()},
        **{f"gone in {side}": number for side, number in known.gone.items()},
    }
    return result


def _stack(frames: list[pd.DataFrame], columns: tuple[str, ...]) -> pd.DataFrame:
    filled = [frame[list(columns)] for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else empty(columns)


class _Newcomers:
    """Records without a link: matched, created on the other side, or held back with their evidence."""

    def __init__(self, given: Inputs, policy: Policy, draft: Draft, known: Linked) -> None:
        self.given, self.policy, self.draft = given, policy, draft
        self.parked: list[pd.DataFrame] = []
        self.findings: list[pd.DataFrame] = []
        self.new_links = empty(NEW_LINK)
        self.adopted = empty(CELL)
        members, entries = given.members, given.entries
        lone = members["found"].astype(bool) & ~among(members["contact_id"], known.members)
        # A released member's pair still leads to its former entry: stale by definition (R13).
        released = among(members["contact_id"], [*known.released_members, *given.readdressed])
        members = members.assign(pair=members["pair"].mask(released, ""))
        self.archived = members[lone & (members["status"] == "archived")]
        self.members = members[lone & (members["status"] != "archived")].reset_index(drop=True)
        person = entries["type"].isin(PEOPLE) & entries["found"].astype(bool)
        self.entries = entries[person & ~among(entries["entry_id"], known.entries)].reset_index(drop=True)
        holders = pd.concat(
            [given.holders[~given.holders["id"].isin(known.ended)], _converted(given, known)], ignore_index=True
        )
        self.matched = match(self.members, self.entries, holders)
        stopped = self.matched.ambiguous
        self.parked.append(
            plan.parked("", stopped["key"], reason=stopped["reason"], rule="R9", evidence=stopped["evidence"]).assign(
                side=stopped["side"].to_numpy(),
                remedy="decide which record is the right one, mend or merge the other, then release it",
            )
        )
        # Also who is gone, archived or out of scope by now: what waited for them is over.
        others = entries.loc[~among(entries["entry_id"], known.entries), "entry_id"]
        self.evaluated = [
            f"member:{key}" for key in members.loc[~among(members["contact_id"], known.members), "contact_id"]
        ]
        self.evaluated += [f"entry:{key}" for key in others]
        resting = list(given.resting)
        taken = list(stopped["key"]) + resting
        pairs = self.matched.pairs
        # Whatever still rests (an uncertain write) takes no part until it is settled.
        self.pairs = pairs[~among(pairs["contact_id"], resting) & ~among(pairs["entry_id"], resting)]
        self.lone_members = self.members[~among(self.members["contact_id"], [*pairs["contact_id"], *taken])]
        self.lone_entries = self.entries[
            ~among(self.entries["entry_id"], [*pairs["entry_id"], *taken, *known.no_create])
        ]

    def pair(self) -> None:
        """First meetings: link, flag = Yes, marker, stamp, and every field for the first time (R2, R8, R15, R30)."""
        if not len(self.pairs):
            return
        members = self.members.set_index("contact_id").loc[self.pairs["contact_id"]].reset_index()
        entries = self.entries.set_index("entry_id").loc[self.pairs["entry_id"]].reset_index()
        pairs = self.pairs.reset_index(drop=True).assign(marker=members["unique_email_id"])
        subscribed = members["status"] == "subscribed"
        flag = entries["flag"].mask(subscribed, "Yes")
        none = pd.Series(np.nan, index=pairs.index, dtype="str")
        seen = pairs.assign(
            email=none,
            email1=none,
            m_email=members["email"],
            m_status=members["status"],
            e_email1=entries["email1"],
            e_flag=flag,
        )
        judgement = judged(self.given, self.policy, self.draft, seen, members, entries, baselines=None)
        needs_flag = pairs.index[flag != entries["flag"]]
        needs_mark = pairs.index[entries["marker"] != members["unique_email_id"]]
        needs_stamp = pairs.index[members["pair"] != entries["entry_id"]]
        mark = own(
            needs_mark,
            MARKER,
            members.loc[needs_mark, "unique_email_id"],
            old=entries.loc[needs_mark, "marker"],
            rule="R8",
        )
        raised = own(needs_flag, FLAG, "Yes", old=entries.loc[needs_flag, "flag"], rule="R2")
        stamp = own(
            needs_stamp, STAMP, entries.loc[needs_stamp, "entry_id"], old=members.loc[needs_stamp, "pair"], rule="R8"
        )
        flagged = ['{"flag":"Yes","flag_ours":false}' if row in needs_flag else "{}" for row in pairs.index]
        both = pd.concat([raised, mark], ignore_index=True)
        self.draft.add("maximizer", "update", pairs, both, target="entry_id", rule="R8", then=flagged)
        self.draft.add("mailchimp", "update", pairs, stamp, target="contact_id", rule="R8")
        self.parked.append(judgement.parked)
        self.findings.append(judgement.findings)
        self.adopted = judgement.adopted
        self.new_links = pd.DataFrame(
            {
                "contact_id": pairs["contact_id"],
                "entry_id": pairs["entry_id"],
                "email": members["email"],
                # An address still to be agreed on counts as not seen yet.
                "email1": entries["email1"].where(judgement.actions["action"].isin([KEEP, EMPTIED]), ""),
                "unique_email_id": members["unique_email_id"],
                "web_id": members["web_id"],
                "status": members["status"],
                "flag": entries["flag"],
                "flag_ours": flag != entries["flag"],
                "member_hash": members["row_hash"],
                "entry_hash": entries["row_hash"],
                "reason": "matched by " + pairs["reason"],
            },
            columns=list(NEW_LINK),
        )

    def make_entries(self) -> None:
        """Subscribed members that nobody matches become Individuals and carry their identity (R1, R8, R10)."""
        lone = self.lone_members
        elsewhere = self.matched.elsewhere.drop_duplicates("contact_id")
        self.findings.append(
            plan.findings(
                "email23",
                "member:" + elsewhere["contact_id"],
                value=elsewhere["entry_id"],
                problem="address is Email 2 or 3 only",
            )
        )
        nameless = lone[(lone["email"] == "") & (lone["status"] == "subscribed")]
        self.findings.append(
            plan.findings("no-address", "member:" + nameless["contact_id"], problem="member without an address")
        )
        # Somebody deleted in Mailchimp who subscribed again did so by themselves; somebody erased stays away (R18).
        erased = among(address_key(lone["email"]), self.given.erased)
        wanted = lone[(lone["status"] == "subscribed") & (lone["email"] != "") & ~erased]
        if not self.policy.entries_complete or not len(wanted):
            return
        wanted = wanted.reset_index(drop=True)
        items = new_entries(wanted, self.policy)
        self._withheld(items, "member:" + wanted["contact_id"])
        records = wanted[["contact_id"]].assign(entry_id="", marker=wanted["unique_email_id"])
        rest = [
            own(wanted.index, FLAG, "Yes", rule="R2"),
            own(wanted.index, MARKER, wanted["unique_email_id"], rule="R8"),
        ]
        whole = pd.concat([items, *rest], ignore_index=True)
        self.draft.add("maximizer", "create", records, whole, target="new:contact_id", rule="R10")
        stamp = own(wanted.index, STAMP, "", old=wanted["pair"], rule="R8")
        self.draft.add("mailchimp", "update", records, stamp, target="contact_id", rule="R8")

    def make_members(self) -> None:
        """Flagged entries with an Email 1 that nobody matches become members, then carry their marker (R3, R8, R18)."""
        flagged = self.lone_entries[self.lone_entries["flag"] == "Yes"]
        blank = flagged["email1"] == ""
        self.findings.append(plan.findings("no-email", "entry:" + flagged.loc[blank, "entry_id"], problem="no Email 1"))
        key = address_key(flagged["email1"])
        bad = ~blank & ~flagged["email1"].str.fullmatch(EMAIL).astype(bool)
        archived = among(key, address_key(self.archived["email"])) & ~blank
        forgotten = among(key, self.given.suppressed)
        taken = (
            among(key, address_key(self.given.members.loc[self.given.members["found"].astype(bool), "email"]))
            & ~archived
        )
        for rows, reason, remedy in (
            (bad, "Email 1 is not an e-mail address", "mend Email 1"),
            (
                archived,
                "an archived member holds this address",
                "unarchive the contact in Mailchimp, or set the flag to No",
            ),
            (taken & ~bad & ~blank, "another member holds this address", "see that member's entry"),
            (
                forgotten & ~(bad | blank | archived | taken),
                "the person was deleted for good in Mailchimp, or erased",
                "only the person can subscribe again; set the flag to No",
            ),
        ):
            if rows.any():
                rule = "R18" if rows is archived or "erased" in reason else "R28"
                self.parked.append(
                    plan.parked("maximizer", flagged.loc[rows, "entry_id"], reason=reason, rule=rule, remedy=remedy)
                )
        left = self._left(flagged)
        wanted = flagged[~(blank | bad | archived | taken | left | forgotten)]
        wanted = wanted.reset_index(drop=True)
        if not self.policy.members_complete or not len(wanted):
            return
        items = new_members(wanted, self.policy)
        self._withheld(items, "entry:" + wanted["entry_id"])
        records = wanted[["entry_id"]].assign(contact_id="", marker="")
        whole = pd.concat([items, own(wanted.index, STAMP, wanted["entry_id"], rule="R8")], ignore_index=True)
        self.draft.add("mailchimp", "create", records, whole, target="new:entry_id", rule="R18")
        mark = own(wanted.index, MARKER, "", old=wanted["marker"], rule="R8")
        self.draft.add("maximizer", "update", records, mark, target="entry_id", rule="R8")

    def _left(self, flagged: pd.DataFrame) -> pd.Series:
        """Entries whose person left under their address and came back under another: a person decides (R13, R18)."""
        waiting = self.given.parked[(self.given.parked["rule"] == "R13") & (self.given.parked["side"] == "maximizer")]
        left = among(flagged["entry_id"], waiting["key"])
        self.parked.append(not_subscribed(flagged.loc[left, "entry_id"]))
        return left

    def _withheld(self, items: pd.DataFrame, keys: pd.Series) -> None:
        hit = items[items["problem"] != ""]
        data = {
            "kind": "withheld",
            "key": hit["row"].map(keys),
            "field": hit["field"],
            "value": hit["seen"],
            "problem": hit["problem"],
        }
        self.findings.append(pd.DataFrame(data, columns=list(FINDING)))


def _converted(given: Inputs, known: Linked) -> pd.DataFrame:
    """Holders whose entry goes by another key since it was converted: its link does not know that one yet (R11)."""
    entries = given.entries
    moved = entries[among(entries["entry_id"], known.entries) & ~among(entries["entry_id"], given.links["entry_id"])]
    return moved[["entry_id", "email1"]].assign(id=-1, contact_id="", email="", unique_email_id="")


def _with_hashes(parked: pd.DataFrame, given: Inputs) -> pd.DataFrame:
    """PARKED rows with the hashes of the records they speak of: retried when the data changes (R51)."""
    parked = parked.drop_duplicates(["side", "key", "field", "reason"], ignore_index=True)
    for side, frame, column in (
        ("mailchimp", given.members, "member_hash"),
        ("maximizer", given.entries, "entry_hash"),
    ):
        digest = frame.drop_duplicates(KEY[side]).set_index(KEY[side])["row_hash"].astype("Int64")
        known = parked["key"].map(digest) if len(digest) else pd.Series(pd.NA, index=parked.index, dtype="Int64")
        parked[column] = known.where(parked["side"] == side).astype("Int64")
    return parked[list(PARKED)]


def _without_refused(changes: pd.DataFrame, given: Inputs) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
    """Changes without those of records that were refused and have not changed since (R51), and those skipped.

    Last the ``held_back`` of the ChangeSet: a refused record waits while its change is still wanted (also one that is
    tried once more now), a field that was accepted and not stored while the record stays as it is.
    """
    waiting = given.parked[given.parked["rule"] == "R51"]
    if not len(waiting):
        return changes, changes.iloc[:0], ()
    members = given.members.drop_duplicates("contact_id").set_index("contact_id")["row_hash"].astype("Int64")
    entries = given.entries.drop_duplicates("entry_id").set_index("entry_id")["row_hash"].astype("Int64")
    same = _same_hash(waiting["contact_id"].map(members), waiting["member_hash"])
    same &= _same_hash(waiting["entry_id"].map(entries), waiting["entry_hash"])
    stuck = (waiting["side"] + " " + waiting["key"])[same]
    fields = stuck[waiting.loc[same, "field"] != ""]
    name = changes["side"] + " " + changes["target"]
    whole = stuck[~stuck.index.isin(fields.index)]
    wanted, refused = name.isin(whole), name.isin(whole[waiting["held"].reindex(whole.index)])
    # What follows a create waits with it.
    made = changes.loc[refused & (changes["op"] == "create"), ["contact_id", "entry_id"]]
    follows = among(changes["contact_id"], made.loc[made["contact_id"] != "", "contact_id"]) & (
        changes["contact_id"] != ""
    )
    follows |= among(changes["entry_id"], made.loc[made["entry_id"] != "", "entry_id"]) & (changes["entry_id"] != "")
    out = refused | follows
    return changes[~out].reset_index(drop=True), changes[out], (*name[wanted], *fields)


def _same_hash(now: pd.Series, then: pd.Series) -> pd.Series:
    return (now.astype("Int64") == then.astype("Int64")).fillna(now.isna() & then.isna()).astype(bool)


def _unsettled(
    updates: pd.DataFrame, changes: pd.DataFrame, skipped: pd.DataFrame, parked: pd.DataFrame
) -> pd.DataFrame:
    """Link updates without hashes where something is left to do: those records are read again next time (R34)."""
    if not len(updates):
        return updates
    busy_members = pd.concat(
        [changes["contact_id"], skipped["contact_id"], parked.loc[parked["side"] == "mailchimp", "key"]]
    )
    busy_entries = pd.concat(
        [changes["entry_id"], skipped["entry_id"], parked.loc[parked["side"] == "maximizer", "key"]]
    )
    busy = among(updates["contact_id"], busy_members[busy_members != ""]) | among(
        updates["entry_id"], busy_entries[busy_entries != ""]
    )
    # As Int64: a hash that shares a column with a missing one must not become a float.
    return updates.assign(**{name: updates[name].astype("Int64").mask(busy) for name in ("member_hash", "entry_hash")})


def _unchanged(updates: pd.DataFrame, changes: pd.DataFrame) -> int:
    if not len(updates):
        return 0
    active = updates[updates["state"] == "active"]
    return int(
        (~among(active["contact_id"], changes["contact_id"]) & ~among(active["entry_id"], changes["entry_id"])).sum()
    )
