"""What a failed write means: refused for good, certainly not applied, or uncertain (design section 6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from domain.errors import (
    Ambiguous,
    BrokenAnswer,
    CallFailed,
    CredentialsRefused,
    MaxchimpError,
    NotApplied,
    NotFound,
    Refused,
    Stopped,
)
from load.context import Loading, Write
from storage import changes, parking, snapshots

TRIES = 3  # failures of one record before it waits for a person

# Refusals in the words people read: reason, what to do. All but those below are final: not tried again until the record
# changes.
WORDS = {
    "member-exists": ("the address is on the list already", "the next full sync links it"),
    "compliance": ("the person unsubscribed, bounced or is under review", "only the person can subscribe again"),
    "forgotten": ("the address was deleted permanently in Mailchimp", "only the person can subscribe again"),
    "fake": ("Mailchimp takes the address for invalid", "correct the address"),
    "too-many-lists": ("the address signed up to many lists lately", "release it in a day"),
    "address-taken": ("the new address is on the list already", "merge the two, or correct Email 1"),
    "not-subscribed": ("Mailchimp renames subscribed members only", "rename the contact in Mailchimp"),
    "merge-fields": ("Mailchimp refuses a field's value", "correct the value"),
    "mandatory": ("Maximizer requires a field that has no value", "fill the field, or make it optional"),
    "option": ("Maximizer does not have the option", "add the option, or correct the value"),
    "rights": ("the service user may not write this entry", "give the service user full access to the entry"),
}  # fmt: skip
PASSING = {"rights"}  # and whatever nobody knows


def attempted(call: Callable[[], Any]) -> Any:
    """The call's answer, or the error it ended with as a value (errors of other threads must not get lost)."""
    try:
        return call()
    except (CallFailed, BrokenAnswer, CredentialsRefused) as error:
        return error


def sent(loading: Loading, call: Callable[[], Any]) -> Any:
    """A write's answer, or the error it ended with; Stopped, and nothing sent, once a stop was asked for (F8)."""
    return Stopped() if loading.stop.is_set() else attempted(call)


def close_failed(loading: Loading, write: Write, error: MaxchimpError) -> None:
    """Record a write that did not end well; the rest goes on, unless the side refuses our credentials."""
    match error:
        case NotFound():
            _mark(loading, write, "skipped", "gone")
        case Stopped():
            _mark(loading, write, "discarded", "not sent")
        case Refused():
            refuse(loading, write, error)
        case NotApplied():
            _mark(loading, write, "discarded", "not applied")
            loading.broken.append(error.message)
        case Ambiguous() | BrokenAnswer():
            _mark(loading, write, "ambiguous", "unknown effect")
            loading.unsure.append((write, getattr(error, "status", 0)))
            loading.broken.append(error.message)
        case CredentialsRefused():
            _mark(loading, write, "discarded", "not applied")
            raise error
        case _:
            raise error
    if not isinstance(error, NotFound | Stopped):
        loading.count(write.side, "failed")


def _mark(loading: Loading, write: Write, state: str, outcome: str) -> None:
    with loading.begin() as db:
        changes.mark(db, [write.id], state, outcome=outcome, finished_at=loading.now())


def skip(loading: Loading, left: Sequence[Write], outcome: str = "moved since it was read") -> None:
    """Records that are no longer as planned are left to the next cycle; their pairs stay unfinished."""
    if left:
        with loading.begin() as db:
            changes.mark(db, [write.id for write in left], "skipped", outcome=outcome, finished_at=loading.now())


def close_unsent(loading: Loading, left: Sequence[Write]) -> None:
    """Writes that were announced and then not sent: the next cycle plans them again."""
    with loading.begin() as db:
        ids = [write.id for write in left]
        changes.mark(db, ids, "discarded", outcome="not sent", finished_at=loading.now())
    if left:
        loading.broken.append("the run stopped before everything was sent")


def reworded(error: Refused) -> tuple[str, str]:
    """Reason and remedy of a refusal, in words of ours: a service's own text may hold contact data."""
    reason, remedy = WORDS.get(error.code, (error.problem, "correct the record"))
    named = sorted({name for name, _ in error.fields if name})
    return (f"{reason}: {', '.join(named)}" if named else reason), remedy


def refuse(loading: Loading, write: Write, error: Refused) -> None:
    """Park a refused record: it blocks nobody, and waits until it changes or is released (R51).

    A refusal that nobody knows may pass: such a record is tried again in the next cycles, ``TRIES`` times in all.
    """
    reason, remedy = reworded(error)
    loading.refused[WORDS.get(error.code, (error.problem,))[0]] += 1
    with loading.begin() as db:
        changes.mark(db, [write.id], "refused", outcome=error.code, finished_at=loading.now())
        changes.record_failure(db, write.id, loading.now(), "refused", error.status)
        passing = error.code in PASSING or error.code not in WORDS
        final = not passing or _tries(loading, db, write) >= TRIES
        evidence = {"code": error.code, "said": [list(pair) for pair in error.fields], "final": final}
        park(db, loading, write, reason, remedy, evidence)
        if error.code == "forgotten" and (item := write.item("EMAIL")):
            parking.suppress(db, loading.connection_id, item.new, "forgotten", loading.now())


def judge_unsure(loading: Loading) -> None:
    """Park records whose writes ended with an unknown effect ``TRIES`` times while their side was well (hazard D12).

    An outage is nobody's fault: a side that does not answer a plain question now is not held against its records.
    """
    asked = {"mailchimp": loading.mailchimp.account, "maximizer": loading.maximizer.session_info}
    for side, ask in asked.items():
        unsure = [(write, status) for write, status in loading.unsure if write.side == side]
        if not unsure or isinstance(attempted(ask), MaxchimpError):
            continue
        with loading.begin() as db:
            for write, status in unsure:
                changes.record_failure(db, write.id, loading.now(), "ambiguous", status)
                if _tries(loading, db, write) >= TRIES:
                    reason = f"it was sent {TRIES} times and {side.capitalize()} never said what became of it"
                    evidence = {"code": "ambiguous", "status": status, "final": True}
                    park(db, loading, write, reason, "look at the record on both sides, then release it", evidence)


def _tries(loading: Loading, db: Connection, write: Write) -> int:
    return changes.failures(db, loading.connection_id, write.side, [write.target]).get(write.target, 0)


def park(db: Connection, loading: Loading, write: Write, reason: str, remedy: str, evidence: dict[str, Any]) -> None:
    """Quarantine the record of a write, with the hashes of both records as the plan saw them."""
    members = snapshots.members(db, loading.run_id, [write.contact_id] if write.contact_id else [])
    entries = snapshots.entries(db, loading.run_id, [write.entry_id] if write.entry_id else [])
    row = {
        "side": write.side,
        "key": write.target,
        "reason": reason,
        "rule": "R51",
        "remedy": remedy,
        "evidence": {**evidence, "contact_id": write.contact_id, "entry_id": write.entry_id},
        "member_hash": int(members["row_hash"].iloc[0]) if len(members) else None,
        "entry_hash": int(entries["row_hash"].iloc[0]) if len(entries) else None,
        "since_run": loading.run_id,
        "since_at": loading.now(),
    }
    parking.park(db, loading.connection_id, [row])
    loading.parked.add((write.side, write.target))
