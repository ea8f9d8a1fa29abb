"""The order of all writes of one run, and what is known afterwards."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from domain.changeset import STAMP
from domain.records import KEY
from load.context import Loading, Write, writes
from load.entries import create_entries, update_entries
from load.members import create_members, update_members
from load.outcome import judge_unsure
from storage import changes, links, snapshots
from storage.engine import reading

REFUSED_FLOOR = 25


@dataclass(frozen=True)
class Loaded:
    """``counts`` per side: create and update as confirmed, failed. ``broken``: why writing broke off, if it did."""

    counts: dict[str, dict[str, int]]
    broken: tuple[str, ...]


def load(loading: Loading) -> Loaded:
    """Send a run's planned changes.

    Creates come first, because what completes them (stamp on the member, marker on the entry) needs what they make;
    then members, whose renames give entries their new marker; then entries. A crash anywhere heals by the next cycle.
    """
    planned = _planned(loading)
    if not planned:
        return Loaded(_counts(loading), ())
    loading.refusals_allowed = max(REFUSED_FLOOR, int(loading.max_refused * len(planned)))
    create_entries(loading, [w for w in planned if w.side == "maximizer" and w.op == "create"])
    create_members(loading, [w for w in planned if w.side == "mailchimp" and w.op == "create"])
    # Read again: what completes a create now knows its record.
    update_members(loading, _ready(loading, "mailchimp"))
    update_entries(loading, _ready(loading, "maximizer"))
    judge_unsure(loading)
    if loading.refused.total() > loading.refusals_allowed:
        worst, number = loading.refused.most_common(1)[0]
        loading.broken.append(
            f"{loading.refused.total()} of {len(planned)} writes were refused, {number} of them because {worst}; "
            "the run stopped there (limit: max_refused)"
        )
    settle(loading)
    return Loaded(_counts(loading), tuple(dict.fromkeys(loading.broken)))


def _planned(loading: Loading) -> list[Write]:
    with reading(loading.engine) as db:
        return writes(changes.of_run(db, loading.run_id, "planned"))


def _ready(loading: Loading, side: str) -> list[Write]:
    """Planned updates of a side; those that complete a create which did not happen are dropped."""
    waiting = [w for w in _planned(loading) if w.side == side and w.op != "create"]
    ready = [w for w in waiting if w.link_id is not None]
    dropped = [w.id for w in waiting if w.link_id is None]
    if dropped:
        with loading.begin() as db:
            changes.mark(db, dropped, "discarded", outcome="its record was not made")
    if side == "mailchimp":
        return [_stamped(w) for w in ready]
    return ready


def _stamped(write: Write) -> Write:
    items = tuple(replace(i, new=write.entry_id) if i.field == STAMP else i for i in write.items)
    return replace(write, items=items)


def settle(loading: Loading) -> None:
    """Pairs with nothing left to do get the hashes of their records: they are not looked at again until they move."""
    with loading.begin() as db:
        done = changes.of_run(db, loading.run_id)
        unfinished = set(done.loc[(done["state"] != "done") & done["link_id"].notna(), "link_id"].astype(int))
        touched = {link for link, _ in loading.hashes} - unfinished
        if not touched:
            return
        frame = links.by_ids(db, touched)
        read = {"mailchimp": snapshots.members, "maximizer": snapshots.entries}
        for side, column in (("mailchimp", "member_hash"), ("maximizer", "entry_hash")):
            staged = (
                read[side](db, loading.run_id, frame[KEY[side]].tolist())
                .set_index(KEY[side])["row_hash"]
                .astype("Int64")
            )
            as_read = staged.reindex(frame[KEY[side]]).set_axis(frame.index)
            # Of our own write where there was one, else as it was read.
            ours = {link: digest for (link, where), digest in loading.hashes.items() if where == side}
            written = frame["id"].map(pd.Series(ours, dtype="Int64"))
            frame[column] = as_read.where(~frame["id"].isin(ours), written)
        links.update(db, frame[["id", "member_hash", "entry_hash"]])


def _counts(loading: Loading) -> dict[str, dict[str, int]]:
    counts = {}
    for side in ("mailchimp", "maximizer"):
        updated = sum(loading.tally.get((side, op), 0) for op in ("update", "rename", "revive"))
        counts[side] = {
            "create": loading.tally.get((side, "create"), 0),
            "update": updated,
            "failed": loading.tally.get((side, "failed"), 0),
        }
    return counts
