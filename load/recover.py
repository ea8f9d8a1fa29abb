"""Before anything else in a cycle: settle what an earlier run left uncertain (design section 6, hazards section 3).

Only *sent* work is remembered. Planned work of an old run is discarded, never sent: the next compare plans again from
what is really there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clients.maximizer import by_udf
from domain import records
from domain.changeset import FLAG, STAMP, STATUS
from domain.records import EMAIL
from load.confirm import Held, confirm
from load.context import Loading, Write, writes
from load.entries import read_entries
from load.outcome import park
from storage import changes, connections, links, parking
from storage.engine import reading


def recover(loading: Loading, wait: float) -> frozenset[str]:
    """Settle uncertain writes: those that are seen to have happened at once, the others after ``wait`` seconds.

    Until then a late commit may still arrive, and their records rest (the quarantine of design section 6).
    Returns contact and entry ids that take no part in this run. An uncertain create that proves not to have happened
    makes the next completed run a full one, so that its person is found again whatever the cursors say (R34).
    Raises what the clients raise when a side cannot be asked: nothing is guessed.
    """
    with loading.begin() as db:
        changes.discard_planned(db, loading.connection_id, except_run=loading.run_id)
        left = changes.open_changes(db, loading.connection_id)
        dead = left.loc[(left["state"] == "sent") & (left["lease_token"] != loading.lease.token), "id"]
        changes.mark(db, [int(i) for i in dead], "ambiguous", outcome="the process ended in between")
    with reading(loading.engine) as db:
        uncertain = changes.open_changes(db, loading.connection_id)
    resting: set[str] = set()
    for row, write in zip(uncertain.to_dict("records"), writes(uncertain), strict=True):
        young = loading.now() < float(row["sent_at"] or 0) + wait
        if not _settled(loading, write, young):
            resting |= {key for key in (write.contact_id, write.entry_id) if key}
        elif row["state"] == "held":  # it is looked at again as well: a person has mended it
            with loading.begin() as db:
                parking.settle(db, loading.connection_id, write.side, [write.target])
    return frozenset(resting)


def _settled(loading: Loading, write: Write, young: bool) -> bool:
    """Look whether the write took effect: adopt it, plan anew, or leave it to time or a person (False)."""
    if write.op == "create":
        made = _member_made if write.side == "mailchimp" else _entry_made
        return made(loading, write, young)
    held = _now(loading, write)
    if held is not None and write.link_id is not None and _carries(loading, write, held):
        confirm(loading, write.side, [Held(write, held, later=True)])
    elif young:
        return False
    else:
        _close(loading, write, "discarded", "not applied")
    return True


def _entry_made(loading: Loading, write: Write, young: bool) -> bool:
    """The marker was written in the same create: one entry carries it, none, or somebody has to look."""
    query = by_udf(loading.layout.marker_ref, write.marker)
    found = [
        row
        for row in loading.maximizer.find(loading.scope, query)
        if records.entries([row], loading.layout)["marker"].iloc[0] == write.marker
    ]
    with reading(loading.engine) as db:
        known = links.named(db, loading.connection_id, map(records.entry_id, found))
    free = [row for row in found if records.entry_id(row) not in known]
    if len(free) > 1:
        _hold(loading, write, f"{len(free)} entries carry the same MailChimp ID")
        return False
    if free:
        confirm(loading, "maximizer", [Held(write, free[0], later=True)])
    elif young:
        return False
    else:
        _close(loading, write, "discarded", "not applied")
    return True


def _member_made(loading: Loading, write: Write, young: bool) -> bool:
    item = write.item(EMAIL)
    held = loading.mailchimp.member(loading.list_id, item.new) if item else None
    if held is None and young:
        return False
    if held is None:
        _close(loading, write, "discarded", "not applied")
    elif _stamped(held, write):
        confirm(loading, "mailchimp", [Held(write, held, later=True)])
    else:
        # Somebody else made this member meanwhile: the match decides.
        _close(loading, write, "discarded", "the address is on the list already")
    return True


def _stamped(held: Mapping[str, Any], write: Write) -> bool:
    merge = held.get("merge_fields") or {}
    client_id, number = records.split_entry_id(write.entry_id)
    carried = (str(merge.get(records.CLIENT_TAG) or ""), str(merge.get(records.NUMBER_TAG)))
    return held.get("status") != "archived" and carried == (client_id, str(number))


def _now(loading: Loading, write: Write) -> Mapping[str, Any] | None:
    if write.side == "mailchimp":
        return loading.mailchimp.member(loading.list_id, write.contact_id)
    return read_entries(loading, [write.entry_id]).get(write.entry_id)


def _carries(loading: Loading, write: Write, held: Mapping[str, Any]) -> bool:
    """Whether the record holds every value that the write wanted."""
    read = records.members if write.side == "mailchimp" else records.entries
    now = read([held], loading.layout).iloc[0].to_dict()
    own = {STAMP: "pair", FLAG: "flag", STATUS: "status", EMAIL: "email" if write.side == "mailchimp" else "email1"}
    names = [(own.get(item.field, item.field), item.new) for item in write.items if item.new != "" or item.field in now]
    return all(str(now.get(name, wanted)) == wanted for name, wanted in names)


def _close(loading: Loading, write: Write, state: str, outcome: str) -> None:
    with loading.begin() as db:
        changes.mark(db, [write.id], state, outcome=outcome, finished_at=loading.now())
        if write.op == "create":
            connections.update(db, loading.connection_id, full_reason="an uncertain write is planned anew")


def _hold(loading: Loading, write: Write, reason: str) -> None:
    with loading.begin() as db:
        changes.mark(db, [write.id], "held", outcome=reason)
        park(db, loading, write, reason, "keep one of them, and delete the others in Maximizer", {})
