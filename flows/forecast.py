"""What a run would do with one person, as a value and in words: writes, what waits and why, what stops all of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Engine

from domain.commands import here
from domain.errors import Blocked
from domain.records import Layout
from flows.explain import OWN, Verdict
from flows.person import Person
from storage import runs
from storage.connections import Connection

OPERATIONS = {"create": "Create the", "update": "Update the", "rename": "Rename the", "revive": "Bring back the"}
NOUNS = {"mailchimp": "member", "maximizer": "entry"}
# What stops a run for what it would do or has read: whether it still would, only a run knows.
GUARDS = ("empty", "absent", "changed", "new", "blanked", "checks")
QUIET = "Nothing: both sides are as they should be, or nothing may be written."


@dataclass(frozen=True)
class Halt:
    """Why no run writes anything at all at the moment, and what to do. ``by``: short name of what refuses."""

    by: str
    message: str
    remedy: str

    @classmethod
    def of(cls, refusal: Blocked) -> Halt:
        return cls(refusal.reason, refusal.message, refusal.remedy)


@dataclass(frozen=True)
class Step:
    """One write: to which record (``target``; ``new:<the other side's>`` for a create), with field, old, new, rule."""

    side: str
    op: str
    target: str
    contact_id: str
    entry_id: str
    rule: str
    fields: tuple[dict[str, str], ...]


@dataclass(frozen=True)
class Wait:
    """What waits for a person. ``number``: in quarantine, None when the run would put it there."""

    number: int | None
    side: str
    key: str
    field: str
    reason: str
    rule: str
    remedy: str
    retried: bool = False


@dataclass(frozen=True)
class Forecast:
    """Of one run and one person.

    ``full``: of a run that compares everything. ``pairs``: (contact_id, entry_id) that become linked. ``over``: numbers
    in quarantine that wait no longer. ``uncertain``: runs with a write about these people that got no clear answer; the
    run looks that up first. ``whole``: everybody who competes with the person was asked for.
    """

    full: bool
    steps: tuple[Step, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    waits: tuple[Wait, ...] = ()
    over: tuple[int, ...] = ()
    uncertain: tuple[int, ...] = ()
    whole: bool = True
    halted: Halt | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def halted(engine: Engine, connection: Connection) -> Halt | None:
    """What the store knows that keeps every run from writing: a held first sync, a guard that stopped the last run."""
    if not connection.synced:
        remedy = here("look at it with: maxchimp plan; then let it pass with: maxchimp sync --yes")
        return Halt("first-sync", "the first sync of the connection has not been let through", remedy)
    ended = [run for run in runs.latest(engine, connection.id, 5) if run.kind != "report" and run.state != "running"]
    told = ended[0].facts.get("blocked") or {} if ended and ended[0].state == "blocked" else {}
    if told.get("by") not in GUARDS:
        return None
    return Halt(told["by"], f"run {ended[0].id} was stopped: {ended[0].reason}", told["remedy"])


# ---------------------------------------------------------------- in words


def sentences(told: Forecast, person: Person, verdict: Verdict, layout: Layout | None) -> list[str]:
    """What the run would do, a sentence each, and why it is nothing if it is."""
    lines = []
    if told.halted:
        remedy = f" To do: {told.halted.remedy}." if told.halted.remedy else ""
        lines.append(f"Nothing before this is settled: {told.halted.message}.{remedy}")
    if told.uncertain:
        named = " and ".join(f"run {number}" for number in told.uncertain)
        lines.append(
            f"First a write of {named} is looked up that got no clear answer; the rest depends on what is found."
        )
    done = [*_paired(told, person), *(_sentence(step, person, layout) for step in told.steps)]
    done += [_waiting(one, alone=not done) for one in told.waits]
    done += [f"Number {number} in quarantine is settled." for number in told.over]
    if not done and not told.uncertain and layout is not None:
        done = [QUIET if verdict.state in ("synchronised", "waiting") else f"Nothing: {_lower(verdict.sentence)}"]
    if told.halted and told.steps:
        done.insert(0, "After that, as things are now:")
    if not told.whole:
        done.append("Not everybody who could be this person was asked for: `maxchimp plan` looks at all of them.")
    return [here(line) for line in lines + done]


def beyond(scheduled: Forecast, full: Forecast, person: Person, layout: Layout) -> list[str]:
    """What a full run would do that the scheduled one leaves: some things only a look at everybody may conclude."""
    more = replace(full, steps=tuple(step for step in full.steps if step not in scheduled.steps))
    return [
        here(f"Only in a full run (maxchimp backfill): {line}")
        for line in [*(_paired(more, person) if full.pairs != scheduled.pairs else []),
                     *(_sentence(step, person, layout) for step in more.steps)]
    ]  # fmt: skip


def sharpened(verdict: Verdict, told: Forecast, person: Person) -> Verdict:
    """The verdict over a newcomer, who looks well when looked at alone, with what is known of everybody around."""
    if verdict.state != "waiting" or verdict.rule not in ("R1", "R3", "R10") or told.uncertain:
        return verdict
    if told.halted:
        return replace(verdict, sentence=f"Not synchronised: {told.halted.message}.", remedy=f"{told.halted.remedy}.")
    if any(person.entry_id in ("", entry_id) for _, entry_id in told.pairs):
        return replace(verdict, sentence="Found on both sides: the next run links them.")
    made = [NOUNS[step.side] for step in told.steps if step.op == "create"]
    if made:
        return replace(verdict, sentence=f"Not synchronised yet: the next run makes the {made[0]}.")
    if told.waits:
        first = told.waits[0]
        return Verdict("not", f"Waits for a person: {first.reason}.", first.remedy, first.rule)
    ours = [step for step in told.steps if not person.entry_id or step.entry_id == person.entry_id]
    return verdict if ours or not told.whole else replace(verdict, state="not")


def _paired(told: Forecast, person: Person) -> list[str]:
    """Where both records are there already; a create says it of itself."""
    made = {step.target for step in told.steps if step.op == "create"}
    lines = []
    for contact_id, entry_id in told.pairs:
        if f"new:{contact_id}" not in made and f"new:{entry_id}" not in made:
            lines.append("Link " + _pair(person, contact_id, entry_id) + ".")
    return lines


def _pair(person: Person, contact_id: str, entry_id: str) -> str:
    member = "the member" if contact_id == person.contact_id else "another member"
    entry = "the entry" if entry_id == person.entry_id or not person.entry_id else f"another entry ({entry_id})"
    return f"{member} and {entry}"


def _sentence(step: Step, person: Person, layout: Layout | None) -> str:
    names = {mapping.tag: mapping.maximizer.name for mapping in layout.fields} if layout else {}
    items = [item["field"] for item in step.fields]
    shown = [OWN.get(item, item if step.side == "mailchimp" else names.get(item, item)) for item in items]
    fields = f": {', '.join(dict.fromkeys(shown))}" if shown else ""
    return f"{OPERATIONS[step.op]} {NOUNS[step.side]}{_whose(step, person)}{fields} ({step.rule})."


def _whose(step: Step, person: Person) -> str:
    """Which one, where it is not the one that was asked about."""
    if step.side == "maximizer" and step.entry_id not in ("", person.entry_id) and person.entry_id:
        return f" {step.entry_id}"
    if step.side == "mailchimp" and step.contact_id not in ("", person.contact_id) and person.contact_id:
        return f" {step.contact_id}"
    return ""


def _waiting(one: Wait, *, alone: bool) -> str:
    about = f"{one.field}: " if one.field else ""
    why = f"{about}{one.reason} ({one.rule})"
    if one.retried:
        return f"Number {one.number} in quarantine is tried once more: {why}."
    if one.number is None:
        return f"{'Nothing but set aside' if alone else 'Set aside'} for a person: {why}; {one.remedy}."
    start = "Nothing: it waits" if alone else "The rest waits"
    again = f"`maxchimp quarantine release {one.number}` has it tried again"
    return f"{start} in quarantine (number {one.number}) because {why}; {one.remedy}; {again}."


def _lower(sentence: str) -> str:
    first, *rest = sentence.split(" ")
    return sentence if first in ("Sync", "Email", "Mailchimp's") else " ".join([first.lower(), *rest])
