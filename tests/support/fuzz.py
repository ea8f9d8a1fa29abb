"""Mutated answers of both services: only errors of this project come out, and nothing is written of an invalid one.

Answers are those of the sandbox, changed in up to three places or cut. They go to every call of both clients, what the
clients accept goes on to extraction, and some go into whole cycles: into listings, point reads and the re-reads of the
loader (hazard A8). The program behind ``script/fuzz``.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import logging
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import requests
import urllib3
from history import History
from stage import Watched
from steps import CycleStep, Script

from clients.mailchimp import Mailchimp
from clients.maximizer import Maximizer, any_of, by_email, by_id
from clients.session import Session
from domain import records
from domain.errors import MaxchimpError
from domain.records import Layout
from flows.prepare import prepare
from sandbox.web import Request, Response

KEY = "0123456789abcdef0123456789abcdef-us6"
BOOK = "https://crm.escona.test/MaximizerWebData/Data.svc"
PEOPLE = "lantern.test"  # part of every address in the corpus: no error and no log may have it
CHUNK = 500  # payloads of one seed
STATUSES = (*[200] * 24, 201, 204, 400, 401, 403, 404, 405, 429, 500)
Call = Callable[[Any], Any]

CALLS: dict[str, list[tuple[str, Call]]] = {
    "mailchimp": [
        ("GET root", lambda c: c.account()),
        ("GET lists", lambda c: c.lists()),
        ("GET list", lambda c: c.list("ab12")),
        ("GET members", lambda c: [row for page in c.members("ab12", page_size=2) for row in page.rows]),
        ("GET members", lambda c: [row for page in c.members("ab12") for row in page.rows]),
        ("GET member", lambda c: c.member("ab12", "x")),
        ("GET members", lambda c: c.members_with("ab12", unique_email_id="0a")),
        ("GET merge-fields", lambda c: c.merge_fields("ab12")),
        ("GET interest-categories", lambda c: c.groups("ab12")),
        ("GET interests", lambda c: c.options("ab12", "cd34")),
        ("POST list", lambda c: c.add_members("ab12", [{"email_address": "p4@lantern.test", "status": "subscribed"}])),
        ("PATCH member", lambda c: c.update_member("ab12", "b" * 32, {"merge_fields": {"FNAME": "x"}})),
        ("POST interest-categories", lambda c: c.create_group("ab12", "T", ["A", "B"])),
    ],
    "maximizer": [
        ("Authenticate", lambda c: c.discover()),
        ("GetSessionInfo", lambda c: c.session_info()),
        ("Read Schema", lambda c: c.fields()),
        ("AbEntryGetFieldOptions", lambda c: c.options(["Udf/$TYPEID(4)", "Category"])),
        ("Create Schema", lambda c: c.create_udf("A\\C", "text")),
        ("AbEntryRead", lambda c: [row for page in c.people(["LastName", "Email1"], page_size=2) for row in page]),
        ("AbEntryRead", lambda c: c.find(["LastName"], any_of([by_id("C1", 0), by_email(["x"])]))),
        ("AbEntryRead", lambda c: c.entry(["LastName"], "C1", 0)),
        ("AbEntryCreate", lambda c: c.create_entry({"LastName": "x"})),
        ("AbEntryUpdate", lambda c: c.update_entry("k", {"LastName": "x"})),
    ],
}
ROWS = {"GET members", "GET member", "AbEntryRead"}  # what extraction reads
JUNK: tuple[Any, ...] = (
    None, True, False, 0, -3, 2**70, 1.5, float("1e300"), "", "x", " ", "\x00", "\ud800", "İ", "canary@lantern.test",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00+00:00", "MTA=", "-1", "1e9", "٣",
    [], {}, [None], [[]], [{}], {"Key": 3}, {"key": 3}, {"Data": 1}, {"id": 1}, {"Value": None}, [1, "x"],
)  # fmt: skip


# ------------------------------------------------------------------ answers


@cache
def corpus() -> tuple[dict[tuple[str, str], list[bytes]], Layout]:
    """Answers of the sandbox by (side, operation), from cycles that read, create and update; and their layout."""
    steps = tuple(("person", act) for act in (("subscribe", 4, 0, 0), ("add_entry", 5, 1, 1), ("edit_both", 0, 3, 1)))
    answers: dict[tuple[str, str], list[bytes]] = {}
    history = History(Script(0, steps), judge=False, told=lambda line: None)
    plain = Watched.handle

    def kept(door: Watched, request: Request) -> Response:
        response = plain(door, request)
        answers.setdefault((door.service.name, door.service.operation(request)), []).append(response.body)
        return response

    Watched.handle = kept  # type: ignore[method-assign]
    try:
        history.play()
        office = history.office
        layout = prepare(office.engine, office.connection, office.services()).layout
    finally:
        Watched.handle = plain  # type: ignore[method-assign]
        history.close()
    return {
        key: sorted(set(bodies), key=lambda body: (len(body), body))[-6:] for key, bodies in answers.items()
    }, layout


def mutated(dice: random.Random, body: bytes) -> bytes:
    """The answer with up to three places changed, removed or doubled; or cut; or another's page."""
    fate = dice.random()
    if fate < 0.04:
        return body[: dice.randint(0, len(body))]
    if fate < 0.06:
        return b"<!DOCTYPE html><html><body>One moment please.</body></html>"
    data = json.loads(body) if body.strip() else {}
    rows = _rows(data)
    for _ in range(dice.choice((0, 1, 1, 1, 2, 3))):
        if rows and dice.random() < 0.7:  # within one record, so that the rest is believed
            place = dice.randrange(len(rows))
            rows[place] = _changed(dice, rows[place], 0.01)
        else:
            data = _changed(dice, data, 0.03)
    return json.dumps(data).encode()


def _rows(data: Any) -> list[Any]:
    """The records of a page, to be changed in place."""
    found = data.get("members") or data.get("AbEntry", {}) if isinstance(data, dict) else []
    rows = found.get("Data") if isinstance(found, dict) else found
    return rows if isinstance(rows, list) else []


def _changed(dice: random.Random, data: Any, chance: float) -> Any:
    """``chance``: that this part gives way as a whole; it grows with the depth, so that most changes are small."""
    if not isinstance(data, dict | list) or not data or dice.random() < chance:
        return copy.deepcopy(dice.choice(JUNK))
    place: Any = dice.choice(sorted(data)) if isinstance(data, dict) else dice.randrange(len(data))
    kind = dice.choice(("deeper", "deeper", "deeper", "deeper", "remove", "double"))
    if kind == "deeper":
        data[place] = _changed(dice, data[place], 2 * chance)
    elif kind == "remove":
        del data[place]
    elif isinstance(data, list):
        data.append(copy.deepcopy(data[place]))
    else:
        data[place.upper()] = copy.deepcopy(data[place])
    return data


# ------------------------------------------------------------------ clients and extraction


class Plays(requests.adapters.BaseAdapter):
    """Answers in turn, the last one for ever."""

    def __init__(self, plays: list[tuple[int, bytes]]) -> None:
        super().__init__()
        self.plays, self.sent = plays, 0

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        status, body = self.plays[min(self.sent, len(self.plays) - 1)]
        self.sent += 1
        response = requests.Response()
        response.status_code, response.url, response.request = status, str(request.url), request
        response.raw = urllib3.HTTPResponse(io.BytesIO(body), {}, status, preload_content=False)
        return response

    def close(self) -> None:
        pass


def client(side: Any, plays: list[tuple[int, bytes]]) -> Any:
    adapter = Plays(plays)

    def opener(http: requests.Session) -> None:
        http.mount("https://", adapter)

    session = Session(side, secrets=[], opener=opener, sleep=lambda seconds: None, rng=random.Random(7))
    if side == "mailchimp":
        return Mailchimp(session, KEY)
    return Maximizer(session, BOOK, database="Escona", user="SYNC", password="correct-horse-battery")


@dataclass
class Found:
    """``defects``: what else than an error of the project came out, with the payload's seed."""

    payloads: int = 0
    refused: int = 0
    extracted: int = 0
    cycles: int = 0
    defects: list[str] = field(default_factory=list)

    def __add__(self, other: Found) -> Found:
        return Found(**{name: getattr(self, name) + getattr(other, name) for name in vars(self)})


class Ear(logging.Handler):
    """Hears everything that is logged."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def payloads(seed: int, number: int = CHUNK, *, extract: float = 0.4) -> Found:
    """Some payloads of one seed, and one whole cycle."""
    dice, found, ear = random.Random(f"fuzz {seed}"), Found(), Ear()
    logger = logging.getLogger("maxchimp.clients")
    before = logger.level
    logger.addHandler(ear)
    logger.setLevel(logging.DEBUG)
    try:
        for n in range(number):
            _one(dice, found, ear, f"seed {seed}, payload {n}", extract)
        _cycle(dice, found, f"seed {seed}, cycle")
    finally:
        logger.removeHandler(ear)
        logger.setLevel(before)
    return found


def _one(dice: random.Random, found: Found, ear: Ear, name: str, extract: float) -> None:
    answers, layout = corpus()
    side = dice.choice(("mailchimp", "maximizer"))
    operation, call = dice.choice(
        CALLS[side] if dice.random() < 0.6 else [one for one in CALLS[side] if one[0] in ROWS]
    )
    own = answers.get((side, operation)) if dice.random() < 0.95 else None
    bodies = own or [body for (where, _), listed in answers.items() if where == side for body in listed]
    plays = [(dice.choice(STATUSES), mutated(dice, dice.choice(bodies))) for _ in range(dice.choice((1, 1, 2, 4)))]
    if side == "maximizer" and dice.random() < 0.9:
        plays.insert(0, (200, b'{"Code": 0, "Data": {"Token": "fresh-token-1"}}'))
    ear.lines.clear()
    said = ""
    found.payloads += 1
    try:
        rows = call(client(side, plays))
        if operation in ROWS and rows and dice.random() < extract:
            found.extracted += 1
            _extract(side, rows if isinstance(rows, list) else [rows], layout)
    except MaxchimpError as error:
        found.refused += 1
        said = str(error)
    except Exception as error:
        found.defects.append(f"{name}: {operation}: {type(error).__name__}: {error}; {plays!r:.900}")
    if PEOPLE in said.casefold() or PEOPLE in "".join(ear.lines).casefold():
        found.defects.append(f"{name}: {operation}: an address was told or logged")


def _extract(side: str, rows: list[Any], layout: Layout) -> None:
    wide = (records.members if side == "mailchimp" else records.entries)(rows, layout)
    records.unstage(records.stage(wide, side), layout.member_tags if side == "mailchimp" else layout.entry_tags)


# ------------------------------------------------------------------ whole cycles


def _cycle(dice: random.Random, found: Found, name: str) -> None:
    """One cycle in which the answers to one request, however often it is sent, are changed in the same way."""
    acts = (("subscribe", 4, 0, 0), ("add_entry", 5, 1, 1), ("edit_both", 0, 3, 1), ("archive", 2, 0, 0))
    step = CycleStep(dice.choice(("sync", "backfill")))
    history = History(Script(0, (*(("person", act) for act in acts), step)), judge=False, told=lambda line: None)
    at, seed, seen = dice.randint(1, 40), dice.random(), Counter[str]()
    aim: list[tuple[str, str]] = []
    invalid: list[tuple[str, str]] = []
    plain = Watched.handle

    def handle(door: Watched, request: Request) -> Response:
        response = plain(door, request)
        seen["calls"] += 1
        about = door.service.name, door.service.operation(request)
        if seen["calls"] == at:
            aim.append(about)
        if aim and about == aim[0]:
            response = replace(response, body=mutated(random.Random(seed), response.body))
            if not plausible(*about, response) and not any(one.mutations() for one in history.office.doors.values()):
                invalid.append(about)
        return response

    Watched.handle = handle  # type: ignore[method-assign]
    found.cycles += 1
    try:
        for act in acts:
            history.do_person(act)
        history.office.sync(kind=step.kind)
    except MaxchimpError:
        pass
    except Exception as error:
        found.defects.append(f"{name}: {aim}: {type(error).__name__}: {error}")
    finally:
        Watched.handle = plain  # type: ignore[method-assign]
        wrote = [call for door in history.office.doors.values() for call in door.mutations()]
        history.close()
    if invalid and wrote:
        found.defects.append(f"{name}: written after an invalid answer to {invalid[0]}")


def plausible(side: str, operation: str, response: Response) -> bool:
    """Whether an answer has the shape without which nothing may be concluded from it, as a stranger would check it."""
    try:
        data = json.loads(response.body)
    except ValueError:
        return False
    if not isinstance(data, dict):
        return False
    if side == "maximizer":
        if data.get("Code") != 0:
            return False
        rows = data.get("AbEntry", {}).get("Data") if isinstance(data.get("AbEntry"), dict) else None
        return operation != "AbEntryRead" or (isinstance(rows, list) and all(isinstance(row, dict) for row in rows))
    if operation != "GET members":
        return True
    rows, total = data.get("members"), data.get("total_items")
    if not isinstance(rows, list) or not isinstance(total, int):
        return False
    return all(isinstance(row, dict) and isinstance(row.get("contact_id"), str) for row in rows)


def run(seeds: Iterable[int], workers: int) -> Found:
    listed = list(seeds)
    if workers < 2 or len(listed) < 2:
        return sum(map(payloads, listed), Found())
    with ProcessPoolExecutor(workers) as pool:
        return sum(pool.map(payloads, listed), Found())


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="script/fuzz", description=__doc__)
    parser.add_argument("number", type=int, nargs="?", default=200_000, help="how many payloads")
    parser.add_argument("--seed", type=int, default=1, help=f"the first seed; each makes {CHUNK} payloads and a cycle")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args(words)
    logging.getLogger().addHandler(logging.NullHandler())  # what cycles tell people is not for here
    begun = time.monotonic()
    found = run(range(asked.seed, asked.seed + max(1, asked.number // CHUNK)), asked.workers)
    print("\n".join(found.defects[:50]))
    print(
        f"{found.payloads} payloads and {found.cycles} cycles in {time.monotonic() - begun:.0f} s: "
        f"{found.refused} refused, {found.extracted} went on to extraction, {len(found.defects)} defects"
    )
    return 1 if found.defects else 0


if __name__ == "__main__":
    sys.exit(main())
