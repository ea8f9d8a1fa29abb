"""The decision of a whole run, in order: linked pairs, then newcomers of both sides, then one ChangeSet."""

from __future__ import annotations

import pandas as pd

from domain.changeset import CELL, FINDING, PARKED, ChangeSet, Inputs, Policy, empty
from domain.frames import among
from domain.records import KEY
from transform.linked import linked
from transform.newcomers import Newcomers
from transform.plan import Draft, conflicts_in, placeholders_in


def decide(given: Inputs, policy: Policy) -> ChangeSet:
    """Everything one run will do, from what was read and what is remembered. Row order does not matter."""
    if not (len(given.links) or len(given.members) or len(given.entries)):
        return ChangeSet(tallies={"unchanged": 0})
    draft = Draft()
    known = linked(given, policy, draft)
    fresh = Newcomers(given, policy, draft, known)
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
    result.tallies = {
        "conflicts": int((result.findings["kind"] == "conflict").sum()),
        "protected": int((result.findings["kind"] == "protected").sum()),
        "placeholders": placeholders_in(changes),
        "unchanged": int(_unchanged(known.updates, changes)),
        "conflicts planned": conflicts_in(changes),
        "conflicts held back": conflicts_in(skipped),
        **{f"moved in {side}": number for side, number in known.moved.items()},
        **{f"gone in {side}": number for side, number in known.gone.items()},
    }
    return result


def _stack(frames: list[pd.DataFrame], columns: tuple[str, ...]) -> pd.DataFrame:
    filled = [frame[list(columns)] for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else empty(columns)


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
