"""What a run says of itself: counts in the shape of the contract, and in one line."""

from __future__ import annotations

from typing import Any

from domain.changeset import ChangeSet


def no_counts() -> dict[str, Any]:
    return ChangeSet().counted()


def sentence(counts: dict[str, Any]) -> str:
    """All counts as a sentence, for the log."""
    words = {"create": "created", "update": "updated", "failed": "failed"}
    parts = [
        f"{side.capitalize()} " + ", ".join(f"{counts[side][name]} {word}" for name, word in words.items())
        for side in ("mailchimp", "maximizer")
    ]
    others = [f"{name} {number}" for name, number in counts.items() if isinstance(number, int) and number]
    return "; ".join([*parts, *([", ".join(others)] if others else [])])


def summary(counts: dict[str, Any]) -> str:
    """Counts in one line."""
    parts = [
        f"{counts[side]['create']} new and {counts[side]['update']} changed in {side.capitalize()}"
        for side in ("mailchimp", "maximizer")
    ]
    return ", ".join(parts)
