"""Runs of the kind "report": they read both sides and write to neither."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KINDS = "kind IN ('sync', 'backfill', 'plan', 'report')"
NAME = "ck_run_kind"


def upgrade() -> None:
    # SQLite makes the table anew.
    with op.batch_alter_table("run") as batch:
        batch.drop_constraint(op.f(NAME), type_="check")
        batch.create_check_constraint(op.f(NAME), KINDS)
