"""The data quality report: read both sides, judge, write the page, its lists and its numbers. No Prefect here."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from domain.errors import DiskFull, LeaseHeld, Misconfigured, is_full
from domain.records import EMAIL
from flows import tally
from flows.asked import Asked
from flows.cycle import Stage
from flows.launch import at_home, opened, stopping
from flows.settings import Settings, load_settings
from flows.shelf import NUMBERS, PAGE, unused
from flows.survey import Survey
from quality.lists import Lists
from quality.page import page
from quality.summary import Found, document, numbers
from storage import runs
from storage.runs import DAY

_SHOWN = 60  # runs in the trend


@dataclass(frozen=True)
class Written:
    """A finished report. ``told``: its document, counts only; ``page``: the file to open."""

    page: Path
    told: dict[str, Any]


def report(
    connection: str = "default",
    *,
    settings: Settings | None = None,
    folder: Path | None = None,
    patience: float = 0.0,
    progress: Callable[[str], None] = lambda text: None,
    staged: Callable[[Survey], Stage] | None = None,
) -> Written:
    """Make the report of a connection below HOME_DIR/reports, or in ``folder``.

    ``patience``: seconds to wait for a sync that is going on. ``staged``: how stages run (Prefect makes tasks of them).
    Raises what reading raises; nothing is left of a report that was not finished.
    """
    settings = settings or load_settings(connection)
    _check_chosen(folder)
    at_home(settings.home_dir)
    os.environ.setdefault("MPLCONFIGDIR", str((settings.home_dir / "matplotlib").resolve()))
    with opened(connection, Asked("report", full=True, yes=True), settings, progress, Survey) as cycle:
        assert isinstance(cycle, Survey)
        with stopping(cycle):
            _patiently(cycle, patience, staged)
        progress("writing the report")
        written = write(cycle, settings.home_dir, folder)
    return written


def _patiently(cycle: Survey, patience: float, staged: Callable[[Survey], Stage] | None) -> None:
    """Look at both sides as soon as no sync is going on."""
    until = time.monotonic() + patience
    while True:
        try:
            return cycle.tell(staged(cycle) if staged else None)
        except LeaseHeld:
            if time.monotonic() >= until or cycle.run_id or cycle.stop.wait(min(10.0, patience)):
                raise


# --- the files ---------------------------------------------------------------------------------------------------


def write(cycle: Survey, home: Path, folder: Path | None = None) -> Written:
    """Page, numbers and lists of what was found; the numbers are kept with the run, for the next report's trend."""
    at = cycle.began
    with _new_folder(home, cycle.connection.name, at, folder) as place:
        told = document(_found(cycle, at), Lists(place))
        (history := _history(cycle)).append({"at": at, **numbers(told)})
        _private(place / NUMBERS, json.dumps(told, indent=2, ensure_ascii=False))
        _private(place / PAGE, page(told, history[-_SHOWN:]))
    runs.note(cycle.engine, cycle.run_id, report=numbers(told))
    return Written(place / PAGE, told)


def _check_chosen(folder: Path | None) -> None:
    """Misconfigured for a folder that holds something, or is none: told before both sides are read."""
    try:
        if folder is None or (folder.is_dir() and not any(folder.iterdir())):
            return
        if folder.is_dir():
            raise Misconfigured(f"the folder {folder} is not empty", remedy="choose a new or an empty one")
        there = next(place for place in folder.absolute().parents if place.exists())
        if folder.exists() or not there.is_dir() or not os.access(there, os.W_OK):
            raise Misconfigured(f"no folder {folder} can be made", remedy="choose a folder that you may write")
    except OSError as problem:
        raise Misconfigured(
            f"the folder {folder} cannot be used: {problem.strerror}", remedy="choose a folder that you may write"
        ) from problem


@contextmanager
def _new_folder(home: Path, connection: str, at: float, chosen: Path | None) -> Iterator[Path]:
    """A folder for one report, mode 0700; it is gone again when the report cannot be finished."""
    place = chosen if chosen is not None else unused(home, connection, at)
    try:
        for parent in (home / "reports", place.parent) if chosen is None else ():
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_chosen(chosen)
        place.mkdir(mode=0o700, parents=chosen is not None, exist_ok=chosen is not None)
        place.chmod(0o700)
    except OSError as problem:
        if is_full(problem):
            raise DiskFull(f"the report cannot be written to {place}") from problem
        raise Misconfigured(
            f"the report cannot be written to {place}: {problem.strerror}",
            remedy="set MAXCHIMP_HOME_DIR to a folder that you may write",
        ) from problem
    try:
        yield place
    except BaseException as problem:
        shutil.rmtree(place, ignore_errors=True)
        if is_full(problem):
            raise DiskFull(f"the report cannot be written to {place}") from problem
        raise


def _private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


# --- from what was found to what is told -------------------------------------------------------------------------


def _found(cycle: Survey, at: float) -> Found:
    findings = cycle.decided.findings
    links = cycle.people.members.loc[cycle.people.members["link"].notna(), "contact_id"]
    named = findings["key"].astype("str")
    of_member, key = named.str.startswith("member:"), named.str.replace("^[a-z]+:", "", regex=True)
    elsewhere = findings[findings["kind"] == "email23"]
    new = findings[(findings["kind"] == "withheld") & ~(of_member & key.isin(links))]
    return Found(
        head=_head(cycle, at),
        people=cycle.people,
        counts=cycle.agreed.counts,
        details=cycle.agreed.details,
        remarks=cycle.agreed.remarks,
        examined=cycle.examined,
        names=_names(cycle),
        conflicts=cycle.conflicts,
        elsewhere=pd.DataFrame({"contact_id": key[elsewhere.index], "entry_id": elsewhere["value"]}).astype("str"),
        withheld_new=pd.DataFrame(
            {
                "record": new["key"],
                "value": new["value"],
                "tag": new["field"],
                "problem": new["problem"],
            }
        ).astype("str"),
        broken=cycle.prepared.broken,
        runs=[told for run in cycle.earlier() if (told := _run(run))][-_SHOWN:],
    )


def _head(cycle: Survey, at: float) -> dict[str, Any]:
    connection, settings = cycle.connection, cycle.connection.settings
    read = datetime.fromtimestamp(at, UTC)
    return {
        "report": cycle.run_id,
        "state": cycle.state,
        "connection": connection.name,
        "list_name": connection.list_name or connection.list_id,
        "address_book": connection.address_book,
        "read_at": at,
        "read_at_text": read.isoformat(timespec="seconds"),
        "seconds": round(sum(cycle.facts["stages"].values()), 1),
        "conflict": settings.conflict,
        "retention_days": round(settings.retention / DAY),
        "companies_counted": cycle.companies is not None,
        "warnings": _warnings(cycle),
    }


def _warnings(cycle: Survey) -> list[str]:
    told = [
        f"The next sync would be refused before any write, to be on the safe side: {trip.message}."
        for trip in cycle.trips
    ]
    for side, examined in cycle.examined.items():
        told += [
            f"The next sync would be refused: {len(o.rows):,} records of {side.capitalize()}: {o.check.reason}."
            for o in examined.blocking
        ]
    if not (cycle.members.complete and cycle.entries.complete):
        told.append("A side was not read completely, so nothing was concluded from records that are missing.")
    if not cycle.connection.synced:
        told.append("This connection has not been synchronised yet: what is pending is what the first sync would do.")
    return told


def _names(cycle: Survey) -> dict[str, str]:
    """What people call each column that is checked or compared."""
    own = {
        "contact_id": "Contact id", "email": "E-mail address", "status": "Status", "unique_email_id": "Unique email id",
        "entry_id": "Client ID and Contact Number", "type": "Type", "flag": "Sync with MailChimp",
        "marker": "MailChimp ID", "email1": "Email 1",
    }  # fmt: skip
    return own | {m.tag: m.mailchimp.name or m.tag for m in cycle.prepared.layout.mappings} | {EMAIL: "E-mail address"}


def _run(run: runs.Run) -> dict[str, Any] | None:
    """One run of the trend, None for what wrote nothing by its nature.

    What a run did not get to know is null: who waits, how long a whole run takes, how many conflicts there are.
    """
    if run.kind not in tally.WRITING or run.finished_at is None:
        return None
    written = tally.of_run(run)["written"]
    ended = run.state in ("done", "partial")
    return {
        "run": run.id,
        "kind": run.kind,
        "at": run.started_at,
        "state": run.state,
        "seconds": run.seconds if ended else None,
        "writes": {side: count["create"] + count["update"] for side, count in written.items()},
        "failed": sum(count["failed"] for count in written.values()),
        "quarantined": run.facts.get("waiting", run.counts.get("quarantined") if run.state == "done" else None),
        "conflicts": run.counts.get("conflicts") if ended and run.reason != runs.INTERRUPTED else None,
    }


def _history(cycle: Survey) -> list[dict[str, Any]]:
    """Numbers of the reports before this one, oldest first."""
    return [
        {"at": run.started_at, **run.facts["report"]}
        for run in cycle.earlier()
        if run.kind == "report" and run.id != cycle.run_id and "groups" in run.facts.get("report", {})
    ]
