"""One holder per connection (R36), by a lease whose fencing token only grows.

Every transaction of a run that changes what is remembered checks the token inside itself: a process that slept through
its lease while another one took over can mark, and so write, nothing more (hazards F1, F2).
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, Engine, Row, select
from sqlalchemy.dialects import postgresql, sqlite

from domain.errors import Incomplete, LeaseHeld, LeaseLost, MaxchimpError
from storage import connections
from storage.engine import begin, joining, reading
from storage.tables import lease as table

Clock = Callable[[], float]


def holder_name(what: str = "maxchimp") -> str:
    """Who holds a lease, for people: program, host and process id."""
    return f"{what} on {socket.gethostname()}, process {os.getpid()}"


def died_here(holder: str) -> bool:
    """Whether the holder was a process of this machine that no longer exists."""
    named = re.fullmatch(rf".* on {re.escape(socket.gethostname())}, process (\d+)", holder)
    if named is None or os.name != "posix":
        return False
    try:
        os.kill(int(named[1]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


@dataclass
class Lease:
    """A held lease; ``ttl`` in seconds, ``now`` the caller's clock (UTC epoch seconds).

    ``terms``: what the run was set up with (``connections.terms``), "" when that does not matter.
    """

    engine: Engine
    connection_id: int
    holder: str
    token: int
    ttl: float
    now: Clock = time.time
    lost: bool = field(default=False)
    terms: str = ""

    @classmethod
    def acquire(
        cls, engine: Engine, connection_id: int, holder: str, ttl: float = 120.0, now: Clock = time.time
    ) -> Lease:
        """Take the lease, or LeaseHeld.

        After a crash it is free once ``ttl`` is over, and at once where the process that held it ran on this machine
        and is seen to be gone.
        """
        with begin(engine) as db:
            row = _locked(db, connection_id)
            left = row.expires_at - now()
            if left > 0 and not died_here(row.holder):
                raise LeaseHeld(row.holder, left)
            values = {"token": row.token + 1, "holder": holder, "expires_at": now() + ttl}
            db.execute(table.update().where(table.c.connection_id == connection_id).values(values))
        return cls(engine, connection_id, holder, row.token + 1, ttl, now)

    def check(self, db: Connection) -> None:
        """Whether something new may be begun: stands until the end of this transaction.

        LeaseLost unless the lease is still ours and not expired; Incomplete when settings or mappings are no longer
        those that the run was set up with (hazard F5).
        """
        row = db.execute(select(table).where(self._ours()).with_for_update()).one_or_none()
        if row is None or row.expires_at <= self.now():
            raise self._gone()
        if self.terms and connections.terms(db, self.connection_id) != self.terms:
            raise Incomplete(
                "settings or mappings were changed while this run was going on",
                remedy="the next cycle goes on with the new ones",
            )

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction that writes down what was done; LeaseLost once somebody else took the lease."""
        with begin(self.engine) as db:
            self._renew(db)
            yield db

    def renew(self, db: Connection | None = None) -> None:
        """Hold it for another ``ttl``; LeaseLost once somebody else took it.

        An expired lease that nobody took is renewed: its token is still the newest, so nobody wrote in between.
        A transaction that may last as long as the lease renews it inside itself (``db``).
        """
        with joining(self.engine if db is None else db) as transaction:
            self._renew(transaction)

    def release(self) -> None:
        """Free it at once; nothing happens when it is lost already."""
        with begin(self.engine) as db:
            db.execute(table.update().where(self._ours()).values(expires_at=0.0))
        self.lost = True

    def _renew(self, db: Connection) -> None:
        # A released lease (expires_at 0) stays released.
        held = table.update().where(self._ours(), table.c.expires_at > 0)
        if not db.execute(held.values(expires_at=self.now() + self.ttl)).rowcount:
            raise self._gone()

    def _ours(self) -> ColumnElement[bool]:
        return (table.c.connection_id == self.connection_id) & (table.c.token == self.token)

    def _gone(self) -> LeaseLost:
        self.lost = True
        return LeaseLost("the lease of this connection was lost", remedy="another run went on; nothing to do")


acquire = Lease.acquire


def held_by(engine: Engine, connection_id: int, now: Clock = time.time) -> tuple[str, float] | None:
    """Who holds the connection and for how many seconds more; None when it is free."""
    with reading(engine) as db:
        row = db.execute(select(table).where(table.c.connection_id == connection_id)).one_or_none()
    left = row.expires_at - now() if row is not None else 0.0
    return (row.holder, left) if row is not None and left > 0 else None


@contextmanager
def heartbeat(lease: Lease, every: float | None = None) -> Iterator[Lease]:
    """Renew from a thread of its own, by default four times per ``ttl``, until the block ends or the lease is lost."""
    stop = threading.Event()
    pause = lease.ttl / 4 if every is None else every
    thread = threading.Thread(target=_beat, args=(lease, stop, pause), name="lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        stop.set()
        thread.join()


def _beat(lease: Lease, stop: threading.Event, pause: float) -> None:
    while not stop.wait(pause):
        try:
            lease.renew()
        except LeaseLost:
            return  # the next commit of the run finds out
        except MaxchimpError:
            continue  # the store was busy or away: there is time for more tries


def _locked(db: Connection, connection_id: int) -> Row[tuple[int, int, str, float]]:
    """The row of the lease, made if need be, locked until the end of the transaction."""
    dialect = postgresql if db.dialect.name == "postgresql" else sqlite
    blank = {"connection_id": connection_id, "token": 0, "holder": "", "expires_at": 0.0}
    db.execute(dialect.insert(table).values(blank).on_conflict_do_nothing())
    return db.execute(select(table).where(table.c.connection_id == connection_id).with_for_update()).one()
