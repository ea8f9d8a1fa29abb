"""Records without a link: matched, made on the other side, or held back with their evidence."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from domain.changeset import CELL, FINDING, NEW_LINK, Inputs, Policy, empty
from domain.frames import among
from domain.records import FROM_NEW, cells
from domain.values import EMAIL, address_key
from transform import plan
from transform.addresses import EMPTIED, KEEP
from transform.linked import Linked, not_subscribed
from transform.match import match
from transform.pairs import judged
from transform.plan import FLAG, MARKER, STAMP, Draft, own
from transform.rules import new_entries, new_members, unsent, without_placeholders, without_value

PEOPLE = ("Individual", "Contact")  # R4


class Newcomers:
    """Records without a link: matched, created on the other side, or held back with their evidence."""

    def __init__(self, given: Inputs, policy: Policy, draft: Draft, known: Linked) -> None:
        self.given, self.policy, self.draft = given, policy, draft
        self.parked: list[pd.DataFrame] = []
        self.findings: list[pd.DataFrame] = []
        self.new_links = empty(NEW_LINK)
        self.notes = _last_notes(given, known)
        self.adopted = empty(CELL)
        members, entries = given.members, given.entries
        lone = members["found"].astype(bool) & ~among(members["contact_id"], known.members)
        # A released member's pair still leads to its former entry: stale by definition (R13). One that leads elsewhere
        # is what a store now lost knew better.
        former = members["contact_id"].map(pd.Series(known.released, dtype="str"))
        stale = (members["pair"] == former) | among(members["contact_id"], given.readdressed)
        members = members.assign(pair=members["pair"].mask(stale, ""))
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
        notes = self._noted(pairs["contact_id"])
        judgement = judged(self.given, self.policy, self.draft, seen, members, entries, baselines=None, notes=notes)
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

    def _noted(self, contact_ids: pd.Series) -> pd.DataFrame | None:
        """What earlier links knew of these members' values, a column per tag ("" nothing); None: nothing at all."""
        if not len(self.notes):
            return None
        tags = [mapping.tag for mapping in self.policy.layout.fields]
        return cells(contact_ids.map(self.notes).fillna("{}"), tags).fillna("")

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
        bare, placeholders = without_placeholders(wanted, self.policy, self._noted(wanted["contact_id"]))
        items = new_entries(bare, self.policy)
        self._withheld(items, "member:" + wanted["contact_id"])
        records = wanted[["contact_id"]].assign(entry_id="", marker=wanted["unique_email_id"])
        rest = [
            own(wanted.index, FLAG, "Yes", rule="R2"),
            own(wanted.index, MARKER, wanted["unique_email_id"], rule="R8"),
        ]
        whole = pd.concat([items, *rest], ignore_index=True)
        left = unsent(items, bare, self.policy, "mailchimp")
        ours = ({"placeholders": of_it} if of_it else {} for of_it in placeholders)
        then = [_json({**more, **rest}) for more, rest in zip(ours, left, strict=True)]
        self.draft.add("maximizer", "create", records, whole, target="new:contact_id", rule="R10", then=then)
        stamp = own(wanted.index, STAMP, "", old=wanted["pair"], rule="R8")
        stamped = pd.concat([stamp, without_value(wanted, self.policy)], ignore_index=True)
        self.draft.add("mailchimp", "update", records, stamped, target="contact_id", rule="R8")

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
        then = [_json(left) for left in unsent(items, wanted, self.policy, "maximizer")]
        self.draft.add("mailchimp", "create", records, whole, target="new:entry_id", rule="R18", then=then)
        mark = own(wanted.index, MARKER, "", old=wanted["marker"], rule="R8")
        sources = [m.tag for m in self.policy.layout.fields if m.one_way and not m.broken]
        told = [own(wanted.index, tag, "", old=wanted[tag].fillna(""), rule="R52") for tag in sources]
        marked = pd.concat([mark, *(items.assign(note=FROM_NEW) for items in told)], ignore_index=True)
        self.draft.add("maximizer", "update", records, marked, target="entry_id", rule="R8")

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


def _json(then: dict[str, Any]) -> str:
    return json.dumps(then, ensure_ascii=False) if then else "{}"


def _converted(given: Inputs, known: Linked) -> pd.DataFrame:
    """Holders whose entry goes by another key since it was converted: its link does not know that one yet (R11)."""
    entries = given.entries
    moved = entries[among(entries["entry_id"], known.entries) & ~among(entries["entry_id"], given.links["entry_id"])]
    return moved[["entry_id", "email1"]].assign(id=-1, contact_id="", email="", unique_email_id="")


def _last_notes(given: Inputs, known: Linked) -> pd.Series:
    """contact_id -> notes (JSON) of the link that a member had until now, or had last (R23)."""
    ending = given.links.loc[given.links["id"].isin(known.ended), ["id", "contact_id"]]
    ending = ending.merge(given.baselines[["link_id", "notes"]], left_on="id", right_on="link_id")
    both = pd.concat([given.notes, ending[["contact_id", "notes"]]], ignore_index=True)
    both = both[both["notes"] != "{}"].drop_duplicates("contact_id", keep="last")
    return both.set_index("contact_id")["notes"]
