"""What a run says of itself: counts in the shape of the contract, and in one line."""

from __future__ import annotations

from typing import Any

from domain.changeset import ChangeSet


def no_counts() -> dict[str, Any]:
    return ChangeSet().counted()


def summary(counts: dict[str, Any]) -> str:
    """Counts in one line."""
    parts = [
        f"{counts[side]['create']} new and {counts[side]['update']} changed in {side.capitalize()}"
        for side in ("mailchimp", "maximizer")
    ]
    return ", ".join(parts)
