"""Applying exactly the changes of a stored plan: what has moved since is refused (hazard D18)."""

from __future__ import annotations

import json

import pandas as pd
from sqlalchemy import Engine

from domain.changeset import BOTH_EDITED, FIRST_MEETING, ChangeSet
from domain.errors import Blocked, Misconfigured
from domain.frames import among
from storage import changes, runs
from storage.engine import reading
from transform.plan import placeholders_in


def keep_planned(engine: Engine, connection_id: int, plan_id: int, decided: ChangeSet, fingerprint: str) -> ChangeSet:
    """The decision with the plan's changes only; Blocked when one of them is not what would be done now."""
    planned = runs.get(engine, plan_id)
    if planned is None or planned.kind != "plan" or planned.connection_id != connection_id:
        raise Misconfigured(f"there is no plan {plan_id} of this connection", remedy="see: maxchimp runs")
    if planned.state != "planned":
        raise Blocked("plan", f"run {plan_id} is {planned.state}, not a plan", remedy="make a new plan: maxchimp plan")
    if planned.facts.get("fingerprint") != fingerprint:
        problem = f"mappings or options changed since plan {plan_id}"
        raise Blocked("plan-moved", problem, remedy="make a new plan: maxchimp plan")
    with reading(engine) as db:
        wanted = changes.of_run(db, plan_id, "planned")
    same = ["side", "op", "target", "fields"]
    now = decided.changes
    kept = now.merge(wanted[same].drop_duplicates(), on=same, how="inner")[list(now.columns)]
    if moved := len(wanted) - len(kept):
        raise Blocked(
            "plan-moved",
            f"{moved} of the {len(wanted)} changes of plan {plan_id} are not what would be done now",
            remedy="make a new plan and look at it again: maxchimp plan",
        )
    later = now[~(now["side"] + now["target"]).isin(kept["side"] + kept["target"])]
    decided.changes = kept
    return _recounted(_without(decided, later), later)


def _recounted(decided: ChangeSet, later: pd.DataFrame) -> ChangeSet:
    """Without what changes that are left to a later run would have decided: nothing is told or counted of it now."""
    decisions = [
        (f"member:{contact}", item["field"])
        for contact, fields in zip(later["contact_id"], later["fields"], strict=True)
        for item in json.loads(fields)["set"]
        if item["rule"] in (FIRST_MEETING, BOTH_EDITED)
    ]
    found = decided.findings
    named = pd.MultiIndex.from_frame(found[["key", "field"]].astype(str))
    decided.findings = found[~((found["kind"] == "conflict") & named.isin(decisions))]
    gone = {"conflicts": len(decisions), "conflicts planned": len(decisions), "placeholders": placeholders_in(later)}
    decided.tallies |= {name: decided.tallies.get(name, 0) - number for name, number in gone.items()}
    return decided


def _without(decided: ChangeSet, later: pd.DataFrame) -> ChangeSet:
    """A decision without changes that are left to a later run: their pairs stay unfinished."""
    busy = set(later["contact_id"]) | set(later["entry_id"])
    busy.discard("")
    for frame in (decided.link_updates, decided.new_links):
        if len(frame):
            hit = among(frame["contact_id"], busy) | among(frame["entry_id"], busy)
            frame.loc[hit, ["member_hash", "entry_hash"]] = None
    return decided
