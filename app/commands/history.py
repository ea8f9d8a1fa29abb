"""``runs`` and ``quarantine``: what was done, and what waits for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app import show
from app.call import Call, alone, command
from domain.errors import Misconfigured

if TYPE_CHECKING:
    from storage.runs import Run

SIDES = ("mailchimp", "maximizer")


def register(app: typer.Typer) -> None:
    group = typer.Typer()
    alone(group)(runs_list)
    command(group, "show")(runs_show)
    app.add_typer(group, name="runs")
    parked = typer.Typer(help="Records that wait for a person.", no_args_is_help=True)
    command(parked, "list")(quarantine_list)
    command(parked, "release")(quarantine_release)
    app.add_typer(parked, name="quarantine")


def runs_list(call: Call) -> None:
    """History of the runs, the newest first."""
    from storage import runs

    rows = runs.latest(call.store, call.connection.id)

    def tell() -> None:
        show.table(
            ["run", "kind", "started", "seconds", "state", "mailchimp", "maximizer", "reason"],
            [[r.id, r.kind, show.moment(r.started_at), _seconds(r), r.state, *_written(r), r.reason] for r in rows],
        )

    call.answer([_document(run) for run in rows], tell)


def runs_show(call: Call, run_id: Annotated[int, typer.Argument(metavar="ID", help="As shown by: runs.")]) -> None:
    """One run: counts, durations, outcome."""
    from storage import changes, runs
    from storage.engine import reading

    run = runs.get(call.store, run_id)
    if run is None or run.connection_id != call.connection.id:
        raise Misconfigured(f"there is no run {run_id} of this connection", remedy="maxchimp runs lists them")
    with reading(call.store) as db:
        made = changes.of_run(db, run_id)
    states = {str(state): int(count) for state, count in made["state"].value_counts().sort_index().items()}
    call.answer(_document(run) | {"facts": run.facts, "changes": states}, lambda: _tell(run, states))


def _tell(run: Run, states: dict[str, int]) -> None:
    show.facts(
        {
            "Run": f"{run.id} ({run.kind}{', everything read' if run.full else ''})",
            "State": run.state,
            "Reason": run.reason or "-",
            "Started": show.moment(run.started_at),
            "Finished": show.moment(run.finished_at) or "-",
            "Changes": ", ".join(f"{count} {state}" for state, count in states.items()) or "none",
        }
    )
    show.say("")
    show.table(
        ["", "created", "updated", "failed"],
        [[side, *(run.counts.get(side, {}).get(name, 0) for name in ("create", "update", "failed"))] for side in SIDES],
    )
    others = {name: value for name, value in run.counts.items() if name not in SIDES}
    if others:
        show.say("", ", ".join(f"{name} {value}" for name, value in others.items()))
    for title, name in (("Seconds per stage", "stages"), ("Requests", "calls"), ("Records read", "read")):
        if run.facts.get(name):
            show.heading(f"\n{title}")
            show.facts(run.facts[name])
    if run.facts.get("let_through"):
        show.say("", "Let through by a person: " + ", ".join(run.facts["let_through"]))
    for sentence in run.facts.get("broken_mappings", ()):
        show.say("", sentence)


def _document(run: Run) -> dict[str, Any]:
    return {
        "run": run.id,
        "kind": run.kind,
        "state": run.state,
        "reason": run.reason,
        "full": run.full,
        "counts": run.counts,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "seconds": _seconds(run),
    }


def _seconds(run: Run) -> float | None:
    return None if run.finished_at is None else round(run.finished_at - run.started_at, 1)


def _written(run: Run) -> list[str]:
    """Creates and updates per side; of a plan, what it would write."""
    counts = [run.counts.get(side) or {"create": 0, "update": 0} for side in SIDES]
    return [f"{count['create']} new, {count['update']} changed" for count in counts]


def quarantine_list(call: Call) -> None:
    """What waits for a person, and why."""
    rows = waiting(call)

    def tell() -> None:
        if not rows:
            return show.say("Nothing waits for a person.")
        show.table(
            ["id", "side", "record", "field", "why", "what to do", "rule", "tries", "since"],
            [
                [r["id"], r["side"], r["record"], r["field"], r["reason"], r["remedy"], r["rule"], r["attempts"],
                 show.moment(r["since"])]
                for r in rows
            ],
        )  # fmt: skip
        show.say(
            "", "When it is mended: maxchimp quarantine release ID; a record whose data change is tried by itself."
        )

    call.answer(rows, tell)


def quarantine_release(
    call: Call, row_id: Annotated[int, typer.Argument(metavar="ID", help="As shown by: quarantine list.")]
) -> None:
    """Let a record be tried again in the next sync."""
    release(call, row_id)
    call.answer({"released": row_id}, lambda: show.say(f"{row_id} is tried again in the next sync"))


def release(call: Call, row_id: int) -> None:
    """Let a record be tried again; Misconfigured when nothing waits under that number."""
    from storage import parking
    from storage.engine import begin

    known = any(row["id"] == row_id for row in waiting(call))
    if known:
        with begin(call.store) as db:
            known = parking.release(db, row_id)
    if not known:
        raise Misconfigured(
            f"nothing waits under the number {row_id}", remedy="maxchimp quarantine list shows what waits"
        )


def waiting(call: Call) -> list[dict[str, Any]]:
    from storage import parking
    from storage.engine import reading

    with reading(call.store) as db:
        rows = parking.open_rows(db, call.connection.id).to_dict("records")
    return [
        {
            "id": int(row["id"]),
            "side": row["side"],
            "record": row["key"],
            "field": row["field"],
            "reason": row["reason"],
            "rule": row["rule"],
            "remedy": row["remedy"],
            "evidence": row["evidence"],
            "attempts": int(row["attempts"]),
            "since_run": int(row["since_run"]),
            "since": float(row["since_at"]),
        }
        for row in rows
    ]
