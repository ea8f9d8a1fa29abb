"""The ChangeSet: plan, write intents and audit log in one table (design section 6).

``planned -> sent -> done | refused | ambiguous``; "sent" is committed before the first byte leaves. ``held`` waits for
a person, ``skipped`` met another value than planned, ``discarded`` was never sent. Planned work of an old run is never
sent: the next compare plans again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, exists, func, literal_column, not_, select
from sqlalchemy.exc import IntegrityError

from domain.changeset import BOTH_EDITED, FIRST_MEETING
from domain.errors import Incomplete
from domain.records import FROM_NEW, PLACEHOLDER
from storage import bulk
from storage.distinct import distinct
from storage.engine import begin
from storage.leases import Lease
from storage.tables import attempt, change, run

# Spelled as in the partial indexes: a condition with parameters would not use them.
_OPEN: ColumnElement[bool] = literal_column("change.state IN ('sent', 'ambiguous', 'held')")
_PLANNED: ColumnElement[bool] = literal_column("change.state = 'planned'")

# The log keeps each field's rule inside its JSON: whatever does not name R30 decides no conflict, and is not even read.
_DECIDES: ColumnElement[bool] = change.c.fields.like('%R30"%')
_SIDES = ("mailchimp", "maximizer")
_FAILED = ("sent", "refused", "ambiguous", "held")

COLUMNS = tuple(c.name for c in change.c)
GIVEN = ("side", "op", "target", "link_id", "contact_id", "entry_id", "marker", "fields", "rule")


def store(db: Connection, run_id: int, connection_id: int, frame: pd.DataFrame) -> list[int]:
    """Store planned changes, their ids in the order of the frame.

    Frame: ``side``, ``op``, ``target``, ``link_id`` (may be missing), ``contact_id``, ``entry_id``, ``marker``,
    ``fields`` (JSON text: list of field, old, new, rule), ``rule``.
    """
    ids = bulk.new_ids(db, change, len(frame))
    columns = ["id", "run_id", "connection_id", "state", "outcome", "attempt", "lease_token", *GIVEN]
    same = (run_id, connection_id, "planned", "", 0, 0)
    rows = ((i, *same, *row) for i, row in zip(ids, bulk.rows_of(frame, change, GIVEN), strict=True))
    bulk.insert(db, change, columns, rows)
    return ids


def of_run(db: Connection, run_id: int, state: str | None = None) -> pd.DataFrame:
    """All columns of a run's changes in order of id."""
    ours = change.c.run_id == run_id
    if state is not None:
        ours = and_(ours, change.c.state == state)
    return bulk.read(db, select(change).where(ours).order_by(change.c.id))


def outcomes(db: Connection, run_id: int) -> dict[str, dict[str, dict[str, int]]]:
    """Per side what a run's changes were to be and what became of them; both add up to the same.

    ``planned``: ``create``, ``update``. ``written``: ``create``, ``update`` (confirmed), ``failed`` (refused,
    uncertain), ``left`` (not written: skipped, not sent or certainly without effect; the next run plans them anew).
    """
    planned = {side: {"create": 0, "update": 0} for side in _SIDES}
    written = {side: {"create": 0, "update": 0, "failed": 0, "left": 0} for side in _SIDES}
    statement = select(change.c.side, change.c.op, change.c.state, func.count()).where(change.c.run_id == run_id)
    for side, op, state, number in db.execute(statement.group_by(change.c.side, change.c.op, change.c.state)):
        kind = "create" if op == "create" else "update"
        planned[side][kind] += number
        written[side][kind if state == "done" else "failed" if state in _FAILED else "left"] += number
    return {"planned": planned, "written": written}


def states(db: Connection, run_id: int) -> dict[str, int]:
    """How many of a run's changes are in each state."""
    statement = select(change.c.state, func.count()).where(change.c.run_id == run_id).group_by(change.c.state)
    return {str(state): int(number) for state, number in db.execute(statement.order_by(change.c.state))}


def left_undone(db: Connection, run_id: int) -> pd.DataFrame:
    """A run's changes that are not confirmed, for whatever reason, in order of id."""
    return bulk.read(
        db, select(change).where(change.c.run_id == run_id, change.c.state != "done").order_by(change.c.id)
    )


def conflicts(db: Connection, connection_id: int, *, run_id: int | None = None, since: float = 0.0) -> pd.DataFrame:
    """Confirmed writes that decided a conflict (R30, R31), one row per field, oldest first: whose values lost.

    Of one run, or of all since a time (UTC epoch seconds). Columns ``run_id``, ``link_id`` (may be missing),
    ``contact_id``, ``entry_id``, ``at``, ``field``, ``winner`` (the side whose value stands now), ``kept``, ``lost``,
    ``rule``.
    """
    wanted = change.c.run_id == run_id if run_id is not None else change.c.finished_at >= since
    ours = and_(change.c.connection_id == connection_id, change.c.state == "done", wanted)
    found = []
    for row, item in _conflicts(db, ours):
        winner = "maximizer" if row.side == "mailchimp" else "mailchimp"
        whose = (row.run_id, row.link_id, row.contact_id, row.entry_id, row.finished_at)
        found.append((*whose, item["field"], winner, item["new"], item["old"], item["rule"]))
    columns = ["run_id", "link_id", "contact_id", "entry_id", "at", "field", "winner", "kept", "lost", "rule"]
    return pd.DataFrame(found, columns=columns).astype({"link_id": "Int64"})


def placeholders(db: Connection, connection_id: int, tag: str, value: str) -> int:
    """How many members were made with a placeholder in this merge field, as far as the change log reaches.

    ``value``: the placeholder; a digit stands for any digit, as dates are the days of their runs.
    """
    made = [change.c.connection_id == connection_id, change.c.side == "mailchimp", change.c.op == "create"]
    # Spelled as the plan is stored (transform/plan.py): nothing is seen on the other side of such a field.
    item = f'"field":"{tag}","old":"","new":{_text(value)},"seen":"","note":{_text(PLACEHOLDER + value)},'
    pattern = re.sub(r"[\\%_]", r"\\\g<0>", item)
    if re.fullmatch(r"[0-9-]{5,10}", value) and "-" in value:
        pattern = pattern.replace(value, re.sub(r"[0-9]", "_", value))
    holds = change.c.fields.like(f"%{pattern}%", escape="\\")
    return int(db.execute(select(func.count()).where(*made, change.c.state == "done", holds)).scalar_one())


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def conflicts_by_state(db: Connection, run_id: int) -> dict[str, int]:
    """How many conflicts a run's changes decide, by the state of the change."""
    # Counted where they are: of a large first sync there are too many to bring here. Quotes in values are escaped.
    named = [f'"rule":{gap}"{rule}"' for rule in (FIRST_MEETING, BOTH_EDITED) for gap in ("", " ")]
    number = sum(
        (func.length(change.c.fields) - func.length(func.replace(change.c.fields, text, ""))) // len(text)
        for text in named
    )
    ours = and_(change.c.run_id == run_id, _DECIDES)
    statement = select(change.c.state, func.sum(number)).where(ours).group_by(change.c.state)
    return {str(state): int(count) for state, count in db.execute(statement) if count}


def _conflicts(db: Connection, wanted: ColumnElement[bool]) -> Iterator[tuple[Row[Any], dict[str, str]]]:
    """Fields of these changes whose value won over another one, with their change."""
    named = and_(wanted, _DECIDES)
    for row in db.execute(select(change).where(named).order_by(change.c.id)):
        for item in json.loads(row.fields)["set"]:
            if item["rule"] in (FIRST_MEETING, BOTH_EDITED):
                yield row, item


def open_changes(db: Connection, connection_id: int) -> pd.DataFrame:
    """Changes whose effect is not known, or that wait for a person: sent, ambiguous, held."""
    ours = and_(change.c.connection_id == connection_id, _OPEN)
    return bulk.read(db, select(change).where(ours).order_by(change.c.id))


def history(db: Connection, connection_id: int, contact_id: str = "", entry_id: str = "") -> pd.DataFrame:
    """Every change of a member, an entry, or both, but those of stored plans, oldest first.

    Found by what they were aimed at, a record or the one to be made of it: that has an index.
    """
    aims = [aim for key in (contact_id, entry_id) if key for aim in (key, f"new:{key}")]
    ours = and_(
        change.c.connection_id == connection_id,
        change.c.side.in_(_SIDES),
        change.c.target.in_(aims),
        select(run.c.kind).where(run.c.id == change.c.run_id).scalar_subquery() != "plan",
    )
    return bulk.read(db, select(change).where(ours).order_by(change.c.id))


def mark(db: Connection, ids: Iterable[int], state: str, **columns: Any) -> int:
    """Set the state, and other columns (``outcome``, ``finished_at`` ...), of these changes alike; how many."""
    these = bulk.among(db, change.c.id, ids)
    return int(db.execute(change.update().where(these).values(state=state, **columns)).rowcount)


def follow(
    db: Connection,
    run_id: int,
    side: str,
    target: str,
    told: Sequence[Mapping[str, str]] | None = None,
    **columns: Any,
) -> int:
    """Fill in columns of a run's planned change of one record, named by its target; how many (0 or 1).

    ``told``: fields that were planned without a value (``FROM_NEW``), as the new member tells them; the others go.
    """
    same = and_(change.c.run_id == run_id, change.c.side == side, change.c.target == target, _PLANNED)
    planned = db.execute(select(change.c.fields).where(same)).scalar_one_or_none() if told is not None else None
    if planned is not None and told is not None:
        body = json.loads(planned)
        known = [item for item in body["set"] if item["note"] != FROM_NEW]
        columns["fields"] = json.dumps({**body, "set": [*known, *told]}, ensure_ascii=False)
    return int(db.execute(change.update().where(same).values(columns)).rowcount)


def send(engine: Engine, lease: Lease, ids: Collection[int], now: float) -> None:
    """Commit that these planned changes are about to be sent, under a lease that still holds.

    Raises LeaseLost, and Incomplete when one is not planned any more or its record has another open change; then none
    is marked and nothing may be sent.
    """
    values = {"state": "sent", "sent_at": now, "lease_token": lease.token, "attempt": change.c.attempt + 1}
    try:
        with begin(engine) as db:
            lease.check(db)
            these = and_(bulk.among(db, change.c.id, ids), _PLANNED)
            if db.execute(change.update().where(these).values(values)).rowcount != len(set(ids)):
                raise Incomplete("a planned change is not planned any more", remedy="the next cycle plans again")
    except IntegrityError:
        raise Incomplete(
            "another change of the same record is still open", remedy="the next cycle settles it first"
        ) from None


def still_sending(lease: Lease, now: float) -> None:
    """What this holder has sent and not closed may still be on its way: it counts as sent now. LeaseLost as ever."""
    sent = and_(_OPEN, change.c.state == "sent")
    mine = and_(change.c.connection_id == lease.connection_id, sent, change.c.lease_token == lease.token)
    with lease.begin() as db:
        db.execute(change.update().where(mine).values(sent_at=now))


def discard_planned(db: Connection, connection_id: int, except_run: int | None = None) -> int:
    """Planned changes of earlier runs were never sent and never will be; stored plans (kind "plan") stay."""
    ours = and_(change.c.connection_id == connection_id, _PLANNED)
    # A stored plan may hold everybody: it is passed over as a whole.
    planning = set(distinct(db, change.c.run_id, ours)) - {except_run}
    syncs = list(db.execute(select(run.c.id).where(bulk.among(db, run.c.id, planning), run.c.kind != "plan")).scalars())
    if not syncs:
        return 0
    old = change.update().where(ours, bulk.among(db, change.c.run_id, syncs))
    return int(db.execute(old.values(state="discarded")).rowcount)


def record_failure(db: Connection, change_id: int, at: float, outcome: str, status: int) -> None:
    """One failed try of one change: what it ended with and the HTTP status (0: none); never a body."""
    db.execute(attempt.insert().values(change_id=change_id, at=at, outcome=outcome, status=status))


def failures(db: Connection, connection_id: int, side: str, targets: Iterable[str]) -> dict[str, int]:
    """How often writes of these records of a side failed since the last one that was confirmed; those that never did
    are left out.
    """
    later = change.alias("later")
    confirmed_since = exists().where(
        later.c.connection_id == connection_id,
        later.c.side == side,
        later.c.target == change.c.target,
        later.c.state == "done",
        later.c.id > change.c.id,
    )
    statement = (
        select(change.c.target, func.count())
        .join(attempt, attempt.c.change_id == change.c.id)
        .where(change.c.connection_id == connection_id, change.c.side == side)
        .where(bulk.among(db, change.c.target, targets), not_(confirmed_since))
        .group_by(change.c.target)
    )
    return {str(target): int(number) for target, number in db.execute(statement)}


def attempts(db: Connection, change_id: int) -> pd.DataFrame:
    """The failed tries of one change, in order."""
    return bulk.read(db, select(attempt).where(attempt.c.change_id == change_id).order_by(attempt.c.id))
