"""What a failed write means: refused for good, certainly not applied, or uncertain (design section 6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

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

# Refusals in the words people read: reason, what to do.
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


def reworded(error: Refused) -> tuple[str, str]:
    """Reason and remedy of a refusal, in words of ours: a service's own text may hold contact data."""
    reason, remedy = WORDS.get(error.code, (error.problem, "correct the record"))
    named = sorted({name for name, _ in error.fields if name})
    return (f"{reason}: {', '.join(named)}" if named else reason), remedy


def refuse(loading: Loading, write: Write, error: Refused) -> None:
    """Park a refused record: it waits until it changes or is released, and blocks nobody (R51)."""
    reason, remedy = reworded(error)
    with loading.begin() as db:
        changes.mark(db, [write.id], "refused", outcome=error.code, finished_at=loading.now())
        park(db, loading, write, reason, remedy, {"code": error.code, "said": [list(pair) for pair in error.fields]})
        if error.code == "forgotten" and (item := write.item("EMAIL")):
            parking.suppress(db, loading.connection_id, item.new, "forgotten", loading.now())


def park(db: Any, loading: Loading, write: Write, reason: str, remedy: str, evidence: dict[str, Any]) -> None:
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
