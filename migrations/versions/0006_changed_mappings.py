"""Which mappings and options no cycle has taken in yet, and what of them waits for a person (R30)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What is mapped already has been taken in.
    op.add_column("field_mapping", sa.Column("changed", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("option_pair", sa.Column("met", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.add_column("field_mapping", sa.Column("held", sa.JSON(), server_default="{}", nullable=False))
