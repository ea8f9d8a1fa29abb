"""Changed mappings: what they would write to too many people waits until a person has seen it (R30).

A mapping in the wrong direction is the commonest mass edit, and no guard counts it: nobody has edited anything. It is
judged where every pair is there to be counted, field by field and side by side, by the limit and floor of the guard
"changed". People who are made, or meet for the first time, are not counted: they are new, whatever the mapping is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import pandas as pd

from domain.changeset import ChangeSet, Policy
from domain.frames import among
from domain.records import Layout
from domain.settings import SyncSettings
from transform.guard import CHANGED_FLOOR, items, over

SIDES = ("mailchimp", "maximizer")
NewOptions = Mapping[str, Collection[tuple[str, str]]]  # pairs of keys that no cycle has taken in yet, by field


def to_hold(
    decided: ChangeSet, changed: Collection[str], active: int, settings: SyncSettings
) -> dict[str, dict[str, int]]:
    """Of the changed fields those whose writes have to wait: records per side that they would be written to.

    ``active``: links before this run.
    """
    found = written(decided.changes, decided.new_links["contact_id"], changed)
    return {
        tag: numbers
        for tag, numbers in found.items()
        if any(over(number, CHANGED_FLOOR, settings.max_changed, active) for number in numbers.values())
    }


def written(changes: pd.DataFrame, newcomers: pd.Series, fields: Collection[str]) -> dict[str, dict[str, int]]:
    """How many linked records of each side these fields would be written to, by field; ``newcomers``: contact ids."""
    known = changes[(changes["op"] != "create") & ~among(changes["contact_id"], newcomers)]
    if not fields or not len(known):
        return {}
    going = items(known)
    counted = going[going["field"].isin(list(fields))].groupby(["field", "side"]).size()
    return {
        str(tag): {side: int(counted.get((tag, side), 0)) for side in SIDES}
        for tag in counted.index.get_level_values("field").unique()
    }


def meanwhile(policy: Policy, waits: Collection[str], new_options: NewOptions) -> Policy:
    """The policy as long as these fields wait: pairs are not compared by them.

    Where nothing but options is new, the field goes on without those.
    """
    options = {tag: pairs for tag, pairs in new_options.items() if tag in waits}
    return replace(
        policy,
        layout=without_options(policy.layout, options),
        changed=policy.changed - options.keys(),
        held=frozenset(waits) - options.keys(),
    )


def without_options(layout: Layout, new_options: NewOptions) -> Layout:
    """The layout as if these options had no counterpart yet."""
    mappings = (
        replace(m, pairs=tuple(pair for pair in m.pairs if pair not in new_options[m.tag]))
        if m.tag in new_options
        else m
        for m in layout.mappings
    )
    return replace(layout, mappings=tuple(mappings)) if new_options else layout
