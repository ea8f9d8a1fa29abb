"""``runs`` and ``quarantine``: what was done, and what waits for a person."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app import counted, show
from app.call import MOST, Call, alone, command
from app.planned import PlanView
from domain.commands import released, typed
from domain.errors import Misconfigured

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
    from flows.tally import in_words
    from storage import runs

    rows = [counted.document(run) for run in runs.latest(call.store, call.connection.id)]

    def tell() -> None:
        show.table(
            ["run", "kind", "started", "seconds", "state", *(f"written to {side}" for side in SIDES), "reason"],
            [
                [
                    *(r["run"], r["kind"], show.moment(r["started_at"]), r["seconds"], r["state"]),
                    *(in_words(r, side) for side in SIDES),
                    r["reason"] or ", ".join(f"{row['field']} waits" for row in r["held"]),
                ]
                for r in rows
            ],
        )

    call.answer(rows, tell)


def runs_show(
    call: Call,
    run_id: Annotated[int, typer.Argument(metavar="ID", min=1, max=MOST, help="As shown by: maxchimp runs.")],
    every: Annotated[
        bool, typer.Option("--all", help="Every record and change, not the first 20 of each kind.")
    ] = False,
) -> None:
    """One run: counts, durations, what it left undone, whose values lost, and what each write replaced."""
    from app.told import RunView
    from storage import runs

    run = runs.get(call.store, run_id)
    if run is None or run.connection_id != call.connection.id:
        raise Misconfigured(f"there is no run {run_id} of this connection", remedy="see: maxchimp runs")
    document = counted.document(run)
    view, written = RunView(call, run, every=every), PlanView(call, document, every)

    def tell() -> None:
        view.tell()
        written.tell_changes()

    call.answer(document | view.document() | ({"writes": written.changes} if every else {}), tell)


def quarantine_list(call: Call) -> None:
    """What waits for a person, and why."""
    rows = waiting(call)

    def tell() -> None:
        if not rows:
            return show.say("Nothing waits for a person.")
        show.table(
            ["id", "side", "record", "field", "why", "what to do", "rule", "times found", "since"],
            [
                [r["id"], r["side"], r["record"], r["field"], r["reason"], r["remedy"], r["rule"], r["attempts"],
                 show.moment(r["since"])]
                for r in rows
            ],
        )  # fmt: skip
        show.say(
            "",
            f"When it is mended, by its id: {typed('quarantine', 'release', rows[0]['id'])}; "
            "a record whose data change is tried by itself.",
        )

    call.answer(rows, tell)


def quarantine_release(
    call: Call,
    ids: Annotated[
        list[int] | None,
        typer.Argument(metavar="ID...", min=1, max=MOST, help="As shown by: maxchimp quarantine list."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Everything that waits.")] = False,
) -> None:
    """Let records be tried again in the next sync."""
    if bool(ids) == every:
        raise Misconfigured("name the numbers to release, or say --all", remedy="see: maxchimp quarantine list")
    known = [row["id"] for row in waiting(call)]
    chosen = known if every else list(dict.fromkeys(ids or ()))
    if unknown := [number for number in chosen if number not in known]:
        raise _nothing_waits(*unknown)
    for row_id in chosen:
        release(call, row_id)
    named = ", ".join(map(str, chosen)) or "nothing"
    call.answer(
        {"released": chosen[0] if ids and len(ids) == 1 else chosen},
        lambda: show.say(f"{named} {'is' if len(chosen) < 2 else 'are'} tried again in the next sync"),
    )


def release(call: Call, row_id: int) -> None:
    """Let a record be tried again; Misconfigured when nothing waits under that number."""
    from storage import parking
    from storage.engine import begin

    known = any(row["id"] == row_id for row in waiting(call))
    if known:
        with begin(call.store) as db:
            known = parking.release(db, row_id)
    if not known:
        raise _nothing_waits(row_id)


def _nothing_waits(*numbers: int) -> Misconfigured:
    told = f"the number {numbers[0]}" if len(numbers) == 1 else f"the numbers {', '.join(map(str, numbers))}"
    return Misconfigured(f"nothing waits under {told}", remedy="see: maxchimp quarantine list")


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
            "remedy": released(row["remedy"], int(row["id"])),
            "evidence": row["evidence"],
            "attempts": int(row["attempts"]),
            "since_run": int(row["since_run"]),
            "since": float(row["since_at"]),
        }
        for row in rows
    ]
