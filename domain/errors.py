"""Every error of the project, named by what the caller must do.

    MaxchimpError
    |-- Misconfigured            mend the settings or the command, then start again      (exit 2)
    |   `-- CredentialsRefused   sign-in refused by one side
    |-- Blocked                  a guard or a check refused before any write             (exit 7)
    |-- Incomplete               nothing is lost, the next cycle goes on                 (exit 1)
    |   |-- DiskFull             no room is left for our own files
    |   |-- LeaseHeld            another process works on this connection
    |   |-- LeaseLost            another process took over while this one was paused
    |   |-- Stopped              this process was asked to end
    |   `-- BrokenAnswer         an answer was not what the service's contract says
    |-- Miscounted               our own numbers contradict each other: a defect      (exit 1)
    `-- CallFailed               one call to a service did not succeed
        |-- NotApplied           certainly without effect: may be sent again later       (exit 1)
        |   `-- Unreachable      the service did not answer at all
        |-- Ambiguous            the effect is unknown: look before sending again        (exit 1)
        `-- Refused              the service judged the request and said no
            `-- NotFound         the record is not there

Facts are attributes; sentences and exit codes are made at the door (``app``). No contact data and no secret
ever enters an error: a service's own text is kept apart in ``detail`` and never printed or logged whole.
"""

from __future__ import annotations

import errno
from typing import Any, Literal

from domain.commands import here

DISK_FULL = "the disk is full"
Side = Literal["mailchimp", "maximizer"]


class MaxchimpError(Exception):
    """Base of all; ``message`` says in one sentence what happened, ``remedy`` what to do.

    Commands in either are for the connection at work (``domain.commands``).
    ``result``: the run's document (contract), when a run was opened before this happened.
    """

    result: dict[str, Any] | None = None

    def __init__(self, message: str, *, remedy: str = "") -> None:
        self.message, self.remedy = here(message), here(remedy)
        super().__init__(self.message)


class Misconfigured(MaxchimpError):
    """Settings, mappings or a command's arguments cannot work; nothing was written."""


class CredentialsRefused(Misconfigured):
    """A side refused the key, user, password or token."""

    def __init__(self, side: Side, message: str, *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.side = side


class Blocked(MaxchimpError):
    """A guard or a check refused the run before its first write; ``reason`` is its short name."""

    def __init__(self, reason: str, message: str, *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.reason = reason


class Incomplete(MaxchimpError):
    """The run ended early; what was not done is done by the next cycle."""


class DiskFull(Incomplete):
    """There is no room for our own files; ``what`` could not be done."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: {DISK_FULL}", remedy="free some space; nothing is lost, the next cycle goes on")


def is_full(problem: BaseException | None) -> bool:
    """Whether the system said that there is no room left: the disk, a quota, the largest size of a file."""
    return isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class LeaseHeld(Incomplete):
    """Another process holds the connection's lease (R36)."""

    def __init__(self, holder: str, expires_in: float) -> None:
        super().__init__(f"another run holds this connection: {holder}", remedy="wait for it to end")
        self.holder = holder
        self.expires_in = expires_in


class LeaseLost(Incomplete):
    """The lease expired and another process took it: this one may write nothing more."""


class Stopped(Incomplete):
    """Somebody asked this process to end: what is in flight is finished, nothing more is sent (hazard F8)."""

    def __init__(self) -> None:
        super().__init__("stopped on request; what was in flight is finished", remedy="the next cycle goes on")


class BrokenAnswer(Incomplete):
    """A page or an answer does not have the documented shape; it is never read as "no rows"."""

    def __init__(self, side: Side, operation: str, problem: str) -> None:
        super().__init__(
            f"{side} answered {operation} with something else than its contract says: {problem}",
            remedy="if it stays so, look with a browser of this machine who answers there: a proxy, a sign-in page?",
        )
        self.side = side
        self.operation = operation
        self.problem = problem


class Miscounted(MaxchimpError):
    """Parts do not add up to their total: nobody is shown a number that is not so."""


class CallFailed(MaxchimpError):
    """One call failed. ``status`` is the HTTP status (0: none), ``code`` the service's own code or title.

    ``fields`` names the fields the service complained about with its messages; ``detail`` is the service's text,
    which may hold contact data: it is stored with the quarantined record, never logged.
    """

    def __init__(
        self,
        side: Side,
        operation: str,
        problem: str,
        *,
        status: int = 0,
        code: str = "",
        detail: str = "",
        fields: tuple[tuple[str, str], ...] = (),
        remedy: str = "",
    ) -> None:
        super().__init__(f"{side}: {operation}: {problem}", remedy=remedy)
        self.side = side
        self.operation = operation
        self.problem = problem
        self.status = status
        self.code = code
        self.detail = detail
        self.fields = fields


class NotApplied(CallFailed):
    """The service certainly did not act: refused connection, TLS, 429, expired token, breaker open."""


class Unreachable(NotApplied):
    """No connection could be made."""


class Ambiguous(CallFailed):
    """The service may have acted: read timeout, reset, 5xx, bare 403, a 2xx that does not name the record."""


class Refused(CallFailed):
    """The service understood and said no (validation, compliance, rights)."""


class NotFound(Refused):
    """The record asked for does not exist on that side."""
