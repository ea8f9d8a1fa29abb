"""Set-up, runs: plan, Sync Entire List, history, quarantine, quality report."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app import counted
from app.commands import history
from app.planned import PlanView, described
from app.web import words
from app.web.mapping import call_of
from app.web.site import Answer, Door, Given, Site, audit
from app.web.tokens import Pass
from domain.errors import Misconfigured
from flows import shelf, tally
from flows.asked import Asked
from flows.held import sentence, told
from flows.launch import launch
from storage import changes, held, runs
from storage.engine import reading

SYNC = "SYNC"  # to be typed before everything is written (hazard S8)
SHOWN = 100  # changes of a plan on the page; the command line shows all
REPORT_LIMIT = 20 * 1024 * 1024


class Nothing(Given):
    pass


class Planning(Given):
    full: bool = False


class Applying(Given):
    plan: int
    full: bool = False
    confirm: str = ""


class Number(Given):
    id: int


# ---------------------------------------------------------------- plan and sync


def plan(site: Site, who: Pass, given: Planning) -> Answer:
    """Begin a plan; nothing is written to either side."""
    _start(site, who, "the plan", Asked(kind="plan", full=given.full))
    return _job(site)


def apply(site: Site, who: Pass, given: Applying) -> Answer:
    """Do exactly what a plan showed; of the whole list only with the typed word."""
    if given.confirm != SYNC:
        raise Misconfigured("this writes to both sides", remedy=f"type {SYNC} to do it on purpose")
    kind: Any = "backfill" if given.full else "sync"
    audit(who, "started", run=kind, plan=given.plan)
    name = "Sync Entire List" if given.full else "the sync"
    _start(site, who, name, Asked(kind=kind, full=given.full, plan=given.plan))
    return _job(site)


def _start(site: Site, who: Pass, name: str, asked: Asked) -> None:
    connection = site.known.name  # the connection exists, else this says what to do

    def work(progress: Callable[[str], None], stop: threading.Event) -> dict[str, Any]:
        return launch(connection, asked, progress=progress, settings=site.settings, stop=stop)

    site.jobs.start(name, who.user, work)


def job(site: Site, who: Pass, given: Nothing) -> Answer:
    """How the newest job is getting on; what it came to when it is over."""
    return _job(site)


def _job(site: Site) -> str:
    latest = site.jobs.latest
    if latest is None:
        return words.render("job_none")
    if latest.running:
        return words.render("job", job=latest, seconds=int(max(0, site.now() - latest.started)))
    result = latest.result
    planned = _planned(site, result) if result else None
    wrote = {side: tally.in_words(result, side) for side in tally.SIDES} if result else {}
    waiting = _waiting(site, result) if result else 0
    waits = [sentence(row) for row in result.get("held", [])] if result else []
    return words.render(
        "job_over",
        job=latest,
        result=result,
        wrote=wrote,
        waiting=waiting,
        planned=planned,
        held=waits,
        sync=SYNC,
        shown=SHOWN,
    )


def _waiting(site: Site, result: dict[str, Any]) -> int:
    """How many waited for a person when the run ended; 0 for one that did not get that far."""
    run = runs.get(site.engine, int(result["run"]))
    return int(run.facts.get("waiting", 0)) if run else 0


def _planned(site: Site, result: dict[str, Any]) -> dict[str, Any] | None:
    """The plan of a planned or refused run, as the command line shows it."""
    if result["kind"] != "plan":
        return None
    view = PlanView(call_of(site), result, every=True)
    number = view.notes.get("parked_total", 0)
    aside = [f"{number:,} set aside"] if number else []
    rows = [
        {
            "side": row["side"].capitalize(),
            "op": row["op"],
            "who": f"link {row['link']}" if row["link"] is not None else (row["entry"] or row["member"]),
            "lines": view.lines(row),
        }
        for row in view.changes[:SHOWN]
    ]
    return {
        "id": view.run_id,
        "state": view.run.state,
        "full": view.run.full,
        "planned": result["planned"],
        "rest": [*counted.rest(result, view.run.facts), *aside],
        "rows": rows,
        "total": len(view.changes),
        "parked": view.notes.get("parked", []),
        "parked_total": number,
        "findings": [row | {"problem": described(row)} for row in view.notes.get("findings", [])],
        "held": [sentence(row) for row in view.held],
        "remedy": view.run.facts.get("blocked", {}).get("remedy", ""),
    }


# ---------------------------------------------------------------- history


def show(site: Site, who: Pass, given: Nothing) -> Answer:
    connection = site.known
    return words.render(
        "runs",
        runs=[_shown(run) for run in runs.latest(site.engine, connection.id, 20)],
        waiting=history.waiting(call_of(site)),
        held=_held(site),
        report=_newest(site),
        full_reason=connection.full_reason,
        busy=site.jobs.latest is not None and site.jobs.latest.running,
    )


def _shown(run: runs.Run) -> dict[str, Any]:
    """A run's document, and what it wrote to each side in words."""
    document = counted.document(run)
    return document | {"words": {side: tally.in_words(document, side) for side in tally.SIDES}}


def _held(site: Site) -> list[str]:
    """What changed mappings make wait now (R30)."""
    with reading(site.engine) as db:
        return [sentence(row) for row in told(held.waiting(db, site.known.id))]


def one(site: Site, who: Pass, given: Number) -> Answer:
    """One run: counts, stages, changes by state."""
    run = runs.get(site.engine, given.id)
    if run is None or run.connection_id != site.known.id:
        raise Misconfigured(f"there is no run {given.id} of this connection", remedy="look at the list of runs")
    with reading(site.engine) as db:
        states = changes.states(db, run.id)
    held_back = [sentence(row) for row in run.facts.get("held", [])]
    rest = counted.rest(_shown(run), run.facts)
    return words.render("run", run=run, shown=_shown(run), states=states, rest=rest, held=held_back)


def release(site: Site, who: Pass, given: Number) -> Answer:
    """Let a record be tried again in the next sync."""
    history.release(call_of(site), given.id)
    audit(who, "released", quarantine=given.id)
    return show(site, who, Nothing())


def report(site: Site, who: Pass, given: Nothing) -> Answer:
    """The newest quality report: one file that needs nothing else."""
    newest = _newest(site)
    if newest is None or newest.stat().st_size > REPORT_LIMIT:
        raise Misconfigured("there is no quality report yet", remedy="make one: maxchimp report")
    return {"name": f"{site.name} {newest.parent.name}.html", "text": newest.read_text("utf-8"), "type": "text/html"}


def _newest(site: Site) -> Path | None:
    """The newest report of this connection, and of no other one."""
    found = shelf.finished(site.settings.home_dir, site.name)
    return next((page for page in found if not page.is_symlink()), None)


DOORS: dict[str, Door] = {
    "/api/setup/plan": Door("setup", Planning, plan),
    "/api/setup/apply": Door("setup", Applying, apply),
    "/api/setup/job": Door("setup", Nothing, job),
    "/api/setup/runs": Door("setup", Nothing, show),
    "/api/setup/runs/one": Door("setup", Number, one),
    "/api/setup/runs/release": Door("setup", Number, release),
    "/api/setup/runs/report": Door("setup", Nothing, report),
}
