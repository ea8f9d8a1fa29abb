"""How a connection's scheduled cycles go: the changes that people are told of, each once.

sound  --fails-->  failed  --fails remind_after times-->  still-failing  --succeeds-->  recovered = sound

Beside that, once for each: a changed mapping that waits for a person, while its cycles are sound (R30).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from domain.facts import about
from flows.held import advice, sentence
from storage import connections
from storage.connections import Connection

PREFIX = "maxchimp.connection"
EVENTS = tuple(f"{PREFIX}.{word}" for word in ("failed", "still-failing", "recovered", "waiting"))

# Of the flow run, when it ends by itself. Prefect's own events of a scheduled run's end reach its automations late, by
# up to 15 minutes: they wait for the event of its first state, which Prefect does not emit.
ENDED = "maxchimp.run.ended"


@dataclass(frozen=True)
class News:
    """One change of state: the name of its event, and what people are told (our own sentences, nobody's data)."""

    event: str
    subject: str
    body: str


def note(engine: Engine, name: str, sentence: str | None) -> News | None:
    """Remember how a cycle ended (``sentence``: why it failed, None when it was done); what changed, None for nothing.

    Raises MaxchimpError when the store cannot be written.
    """
    found = connections.find(engine, name)
    if found is None:
        return None
    failures = 0 if sentence is None else found.failures + 1
    told, news = _news(found, failures, sentence)
    connections.update(engine, found.id, failures=failures, told=told)
    return news


def _news(found: Connection, failures: int, sentence: str | None) -> tuple[str, News | None]:
    """What people know afterwards, and what they are told now."""
    name = found.name
    if sentence is None:
        if not found.told:
            return "", None
        cycles = f"{found.failures} cycle{'' if found.failures == 1 else 's'}"
        return "", _made(name, "recovered", f"The cycle was completed, after {cycles} that failed.")
    if not found.told:
        return "failed", _made(name, "failed", f"{sentence}\nThe next cycle tries again.")
    if found.told == "failed" and failures >= found.settings.remind_after:
        return "still-failing", _made(name, "still-failing", f"{failures} cycles failed in a row.\n{sentence}")
    return found.told, None


def waiting(name: str, held: Sequence[Mapping[str, Any]], run_id: int) -> News | None:
    """What people are told of changed mappings that this run was the first to hold back (R30), None for nothing."""
    new = [sentence(row) for row in held if row["since"] == run_id]
    if not new:
        return None
    with about(connection=name):
        return _made(name, "waiting", "\n".join([*(f"{line}." for line in new), f"To do: {advice()}."]))


def unknown(name: str, sentence: str) -> News:
    """For a failure that could not be remembered, as when the store itself is away."""
    return _made(name, "failed", sentence)


def _made(name: str, word: str, body: str) -> News:
    return News(f"{PREFIX}.{word}", f"maxchimp: {name} {word.replace('-', ' ')}", body)
