"""What a person or a schedule asks of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from domain.commands import typed

Kind = Literal["sync", "backfill", "plan", "report"]


@dataclass(frozen=True)
class Asked:
    """What a person or a schedule asks for. ``yes``: let a held first sync, a tripped guard or a changed mapping pass.

    ``plan``: id of a stored plan; exactly its changes are applied.
    """

    kind: Kind = "sync"
    full: bool = False
    yes: bool = False
    plan: int | None = None

    @property
    def again(self) -> str:
        """The command by which a person lets the same pass."""
        if self.kind == "backfill":
            return typed("backfill", "--yes")
        planned = () if self.plan is None else ("--plan", self.plan)
        return typed("sync", *(("--full",) if self.full else ()), *planned, "--yes")

    @property
    def looked_at(self) -> bool:
        """Whether a person sees what changed mappings do, or has seen it and let it pass."""
        return self.kind == "plan" or self.approved

    @property
    def approved(self) -> bool:
        return self.kind in ("sync", "backfill") and (self.yes or self.plan is not None)
