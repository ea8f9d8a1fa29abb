"""Sums are looked at where they are made: a number that is not so is an error, and never shown."""

from __future__ import annotations

from collections.abc import Iterable

from domain.errors import Miscounted


def closes(what: str, total: int, parts: Iterable[int]) -> int:
    """The total, once its parts were seen to add up to it; Miscounted when they do not."""
    added = sum(parts)
    if added != total:
        raise Miscounted(
            f"the numbers of {what} do not add up: {total} in all, {added} by their parts",
            remedy="this is a defect of maxchimp: report this sentence; nothing else depends on these numbers",
        )
    return total
