"""One pair at a time becomes all pairs at once: compare the fields, apply the rules, draft the writes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pandas as pd

from domain.changeset import Inputs, Policy
from domain.records import cells as columns_of
from domain.values import address_key
from transform import plan
from transform.addresses import EMPTIED, FOLLOW, KEEP, NEW_ENTRY, REFUSED, RENAME, WAITS, addresses
from transform.compare import Aligned, compare
from transform.plan import Draft, own
from transform.rules import complete_addresses


@dataclass(frozen=True)
class Judgement:
    """What came of pairs whose both records are present. ``actions``: transform.addresses, one row per pair.

    ``moved``: per side, how many of its records people have edited since they were last seen.
    """

    adopted: pd.DataFrame
    findings: pd.DataFrame
    parked: pd.DataFrame
    actions: pd.DataFrame
    moved: dict[str, int] = field(default_factory=dict)


def judged(
    given: Inputs,
    policy: Policy,
    draft: Draft,
    seen: pd.DataFrame,
    members: pd.DataFrame,
    entries: pd.DataFrame,
    baselines: pd.DataFrame | None,
    notes: pd.DataFrame | None = None,
) -> Judgement:
    """Draft the field writes of pairs; row i of every frame is the same pair (RangeIndex).

    ``seen``: contact_id, entry_id, marker, email, email1 (last seen, NA never), m_email, m_status, e_email1, e_flag.
    ``baselines``: mailchimp, maximizer, notes as JSON texts, or None at a first meeting. ``notes``: for that, what is
    known of the members' values from an earlier link (a column per tag, "" nothing), or None.
    """
    settings = policy.settings
    taken, held = (_known(frame, name, given.holders[name]) for frame, name in _places(given))
    actions = addresses(seen, taken, held, email_change=settings.email_change, conflict=settings.conflict)
    aligned = _aligned(policy, seen, members, entries, baselines, notes)
    mappings = tuple(m for m in policy.layout.fields if m.tag not in policy.held)
    cells = compare(aligned, mappings, settings.conflict, policy.today)
    moved = _moved(cells[~cells["tag"].isin(policy.changed)] if policy.changed else cells, actions)
    # Nothing more is written for a person who needs a decision, or whose link ends.
    going = actions["action"].isin([KEEP, RENAME, FOLLOW, EMPTIED, WAITS]).to_numpy()
    cells = cells[going[cells["row"].to_numpy(dtype="int64")]] if len(cells) else cells
    to_members = plan.cell_items(cells, "mailchimp") if len(cells) else plan.own(seen.index[:0], "", "", rule="")
    to_entries = plan.cell_items(cells, "maximizer") if len(cells) else to_members
    if len(to_members):
        to_members = complete_addresses(to_members, members, entries, policy)
        cells = plan.withhold(cells, to_members)
    _draft_addresses(draft, seen, actions)
    met = "R30" if baselines is None else "R31"
    draft.add("mailchimp", "update", seen, to_members, target="contact_id", rule=met)
    draft.add("maximizer", "update", seen, to_entries, target="entry_id", rule=met)
    refused = actions["action"] == REFUSED
    parked = plan.parked(
        "mailchimp",
        seen.loc[refused, "contact_id"],
        reason=actions.loc[refused, "why"],
        rule="R17",
        evidence=seen.loc[refused, "entry_id"],
        remedy="make the addresses agree on one side, or mend the entry's Email 1",
    )
    emptied = plan.findings(
        "no-email",
        "entry:" + seen.loc[actions["action"] == EMPTIED, "entry_id"],
        problem="Email 1 was emptied; the member stays",
    )
    if not len(cells):
        return Judgement(pd.DataFrame(), emptied, parked, actions, moved)
    found = pd.concat([plan.cell_findings(cells, seen), emptied], ignore_index=True)
    return Judgement(plan.adopted(cells, seen), found, parked, actions, moved)


def _moved(cells: pd.DataFrame, actions: pd.DataFrame) -> dict[str, int]:
    """Records per side with an edited field, or with another address (hazard A5)."""
    addresses_of = {
        "mailchimp": actions["action"].isin([NEW_ENTRY, FOLLOW]),
        "maximizer": (actions["action"] == RENAME) & (actions["rule"] == "R17"),
    }
    return {
        side: len({*cells.loc[cells["moved"].isin([side, "both"]), "row"], *actions.index[renamed]})
        for side, renamed in addresses_of.items()
    }


def _places(given: Inputs) -> tuple[tuple[pd.DataFrame, str], ...]:
    return (given.members, "email"), (given.entries, "email1")


def _known(frame: pd.DataFrame, name: str, held: pd.Series) -> pd.Series:
    """Addresses (keys) of a side that are taken: of records read in this run, and of links that hold one."""
    return address_key(pd.concat([frame.loc[frame["found"].astype(bool), name], held], ignore_index=True))


def _aligned(
    policy: Policy,
    seen: pd.DataFrame,
    members: pd.DataFrame,
    entries: pd.DataFrame,
    baselines: pd.DataFrame | None,
    notes: pd.DataFrame | None,
) -> Aligned:
    tags = [m.tag for m in policy.layout.fields]
    if baselines is None:
        unseen = columns_of(pd.Series(["{}"] * len(seen), dtype="str"), tags)
        return Aligned(members[tags], entries[tags], unseen, unseen, notes, seen["e_flag"] == "Yes")
    return Aligned(
        members[tags],
        entries[tags],
        columns_of(baselines["mailchimp"], tags),
        columns_of(baselines["maximizer"], tags),
        columns_of(baselines["notes"], tags).fillna(""),
        seen["e_flag"] == "Yes",
    )


def _draft_addresses(draft: Draft, seen: pd.DataFrame, actions: pd.DataFrame) -> None:
    """The renames of R17 and, by setting, of R13; the marker follows the member's new ``unique_email_id`` (R8)."""
    rename = seen[actions["action"] == RENAME]
    if len(rename):
        item = own(rename.index, "EMAIL", rename["e_email1"], old=rename["m_email"], rule="R17")
        then = [json.dumps({"email": text, "email1": text}, ensure_ascii=False) for text in rename["e_email1"]]
        draft.add("mailchimp", "rename", rename, item, target="contact_id", rule="R17", then=then)
        mark = own(rename.index, plan.MARKER, "", old=rename["marker"], rule="R8")
        draft.add("maximizer", "update", rename, mark, target="entry_id", rule="R8")
    follow = seen[actions["action"] == FOLLOW]
    if len(follow):
        item = own(follow.index, "EMAIL", follow["m_email"], old=follow["e_email1"], rule="R13")
        then = [json.dumps({"email": text, "email1": text}, ensure_ascii=False) for text in follow["m_email"]]
        draft.add("maximizer", "update", follow, item, target="entry_id", rule="R13", then=then)
