"""Writes to Mailchimp: new members in batches of 500, updates one by one after a re-read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from clients.mailchimp.client import BATCH
from domain import records
from domain.changeset import STAMP, STATUS
from domain.errors import Ambiguous, MaxchimpError, NotFound, Refused
from domain.records import EMAIL, PLACEHOLDER
from domain.values import ascii_lower
from load.bodies import lacks_mandatory, member_body
from load.confirm import Held, confirm
from load.context import Item, Loading, Write, windows
from load.outcome import attempted, close_failed, close_unsent, park, reworded, sent, skip
from storage import changes
from storage.engine import reading

# Small, so that little time passes between reading a record again and writing it.
UPDATES_AT_ONCE = 16
AFTER_A_FAILURE = 25


def create_members(loading: Loading, planned: Sequence[Write]) -> None:
    """New members through the batch call, then their ids by a bulk read-back (Mailchimp fact sheet section 7)."""
    for batch in _batches(loading, planned):
        if loading.halted:
            return
        changes.send(loading.engine, loading.lease, [write.id for write in batch], loading.now())
        _create(loading, batch)
        loading.progress(len(batch))


def _batches(loading: Loading, planned: Sequence[Write]) -> list[Sequence[Write]]:
    """Full batches; what failed before goes in small ones, then alone, so that it drags nobody along (hazard D12)."""
    if not planned:
        return []
    with reading(loading.engine) as db:
        failed = changes.failures(db, loading.connection_id, "mailchimp", [write.target for write in planned])
    tries = {write.id: min(failed.get(write.target, 0), 2) for write in planned}
    sizes = enumerate((BATCH, AFTER_A_FAILURE, 1))
    return [batch for n, size in sizes for batch in windows([w for w in planned if tries[w.id] == n], size)]


def _create(loading: Loading, batch: Sequence[Write], *, lenient: bool = False) -> None:
    if loading.halted:
        return close_unsent(loading, batch)
    by_address = {ascii_lower(_address(write)): write for write in batch}
    bodies = [member_body(loading, write, {}) for write in batch]
    answer = sent(loading, lambda: loading.mailchimp.add_members(loading.list_id, bodies, lenient=lenient))
    if isinstance(answer, Refused) and not isinstance(answer, NotFound) and len(batch) > 1:
        # The whole call was refused, so nothing was done: whose fault it is shows in its halves.
        middle = len(batch) // 2
        _create(loading, batch[:middle], lenient=lenient)
        return _create(loading, batch[middle:], lenient=lenient)
    if isinstance(answer, MaxchimpError):
        for write in batch:
            close_failed(loading, write, answer)
        return None
    again = []
    for address, (code, said, field) in answer.errors.items():
        named = ((field, said),) if field else ()
        refused = Refused("mailchimp", "add members", "refused", code=code, detail=said, fields=named)
        write = by_address[ascii_lower(address)]
        if not lenient and _tags(refused) and not _entered(write, _tags(refused)):
            again.append(write)
        else:
            close_failed(loading, write, refused)
    for address in answer.missing:
        unknown = Ambiguous("mailchimp", "add members", "the answer does not mention a row")
        close_failed(loading, by_address[ascii_lower(address)], unknown)
    _read_back(loading, {ascii_lower(address): row for address, row in answer.created.items()}, by_address)
    if again:
        _create(loading, again, lenient=True)
    return None


def _address(write: Write) -> str:
    item = write.item(EMAIL)
    assert item is not None, "a new member has an address"
    return item.new


def _read_back(loading: Loading, created: Mapping[str, Mapping[str, Any]], planned: Mapping[str, Write]) -> None:
    """The new members as stored, with contact_id and web_id: a listing of what changed since the first of them."""
    wanted = set(created)
    found: dict[str, Mapping[str, Any]] = {}
    moments = [str(row.get("last_changed") or "") for row in created.values()]
    if wanted and all(moments):
        listing = loading.mailchimp.members(loading.list_id, since=second_before(min(moments)))
        answer = attempted(lambda: [row for page in listing for row in page.rows])
        if not isinstance(answer, MaxchimpError):
            found = {ascii_lower(str(row["email_address"])): row for row in answer}
    done = []
    for address in wanted:
        row = found.get(address) or attempted(partial(loading.mailchimp.member, loading.list_id, address))
        if row is None or isinstance(row, MaxchimpError):
            unknown = Ambiguous("mailchimp", "add members", "the new member was not found")
            close_failed(loading, planned[address], unknown)
        else:
            done.append(Held(planned[address], row))
    for window in windows(done, 250):
        confirm(loading, "mailchimp", window)


def second_before(moment: str) -> str:
    """One second before an ISO time: ``since_last_changed`` is strictly after, times are whole seconds (R35)."""
    return (datetime.fromisoformat(moment.replace("Z", "+00:00")) - timedelta(seconds=1)).isoformat()


def update_members(loading: Loading, planned: Sequence[Write]) -> None:
    """One PATCH each, right after a re-read; a value that is no longer the planned one is left to the next cycle."""
    for window in windows(planned, UPDATES_AT_ONCE):
        if loading.halted:
            return
        _update(loading, window)
        loading.progress(len(window))


def _update(loading: Loading, window: Sequence[Write]) -> None:
    # The stamp is ours alone: nothing of a person can be overwritten.
    blind = [w for w in window if all(item.field == STAMP for item in w.items)]
    seen = [w for w in window if w not in blind]
    rows = loading.each(lambda w: attempted(lambda: loading.mailchimp.member(loading.list_id, w.contact_id)), seen)
    held: dict[int, Mapping[str, Any]] = {write.id: {} for write in blind}
    held |= {w.id: row for w, row in zip(seen, rows, strict=True) if row and not isinstance(row, MaxchimpError)}
    now = records.plain_rows(records.members([held[w.id] for w in seen if w.id in held], loading.layout))
    moved = {w.id for w, row in zip([w for w in seen if w.id in held], now, strict=True) if not _as_planned(w, row)}
    _unread(loading, [(w, row) for w, row in zip(seen, rows, strict=True) if w.id not in held])
    skip(loading, [w for w in window if w.id in moved])
    going = [w for w in window if w.id in held and w.id not in moved]
    if not going:
        return
    changes.send(loading.engine, loading.lease, [write.id for write in going], loading.now())
    answers = loading.each(lambda w: sent(loading, lambda: _write(loading, w, held[w.id])), going)
    done = []
    for write, answer in zip(going, answers, strict=True):
        if isinstance(answer, MaxchimpError):
            close_failed(loading, write, answer)
        else:
            done.append(Held(*answer))
    confirm(loading, "mailchimp", done)


def _unread(loading: Loading, missing: Sequence[tuple[Write, object]]) -> None:
    """Members that could not be read again: gone, or the service does not answer; nothing was sent."""
    skip(loading, [write for write, row in missing if row is None])
    for write, row in missing:
        if isinstance(row, MaxchimpError):
            with loading.begin() as db:
                changes.mark(db, [write.id], "discarded", outcome="not read", finished_at=loading.now())
            loading.count("mailchimp", "failed")
            loading.broken.append(row.message)


def _write(loading: Loading, write: Write, held: Mapping[str, Any]) -> tuple[Write, Mapping[str, Any]]:
    try:
        return write, _patch(loading, write, member_body(loading, write, held))
    except Refused as refusal:
        return _without_refused_fields(loading, write, held, refusal)


def _patch(loading: Loading, write: Write, body: dict[str, Any], *, lenient: bool = False) -> Mapping[str, Any]:
    revive, lenient = write.op == "revive", lenient or lacks_mandatory(loading, body)
    return loading.mailchimp.update_member(loading.list_id, write.contact_id, body, revive=revive, lenient=lenient)


def _tags(refusal: Refused) -> set[str]:
    """Merge tags that Mailchimp names in a refusal of merge fields."""
    named = refusal.fields if refusal.code == "merge-fields" else ()
    return {name.removeprefix("merge_fields.").partition(".")[0] for name, _ in named}


def _entered(write: Write, tags: set[str]) -> list[Item]:
    """The items of these tags that hold somebody's value, not a placeholder."""
    return [i for i in write.items if i.field.partition(".")[0] in tags and not i.note.startswith(PLACEHOLDER)]


def _as_planned(write: Write, now: Mapping[str, Any]) -> bool:
    """Whether every field still has the value the plan saw (or already the one it wants)."""
    for item in write.items:
        if item.field == STAMP:
            continue
        if item.field == EMAIL:
            current, wanted = ascii_lower(str(now["email"])), (ascii_lower(item.old), ascii_lower(item.new))
        elif item.field == STATUS:
            current, wanted = str(now["status"]), (item.old, item.new)
        elif item.field not in now:
            continue
        else:
            current, wanted = now[item.field], (item.old, item.new)
        if current not in wanted:
            return False
    # A person who left meanwhile is for the next cycle to judge.
    return write.op == "revive" or now["status"] != "archived"


def _without_refused_fields(
    loading: Loading, write: Write, held: Mapping[str, Any], refusal: Refused
) -> tuple[Write, Mapping[str, Any]]:
    """Once more without the fields that Mailchimp names: those are parked, the rest of the record goes on (R28).

    What it names although it is no change of ours (half an address that a form let through, a placeholder that a
    format forbids) stays as it is, and Mailchimp is asked to look away.
    """
    named = _tags(refusal)
    bad = _entered(write, named)
    rest = tuple(item for item in write.items if item not in bad)
    outside = named - {item.field.partition(".")[0] for item in bad}
    if not named or not rest:
        raise refusal
    less = replace(write, items=rest)
    answer = _patch(loading, less, member_body(loading, less, held), lenient=bool(outside))
    if bad:
        with loading.begin() as db:
            park(db, loading, write, *reworded(refusal), {"fields": sorted(named)})
    return less, answer
