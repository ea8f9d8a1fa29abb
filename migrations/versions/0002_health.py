"""How a connection's cycles went lately, and what of it people were told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("connection", sa.Column("failures", sa.Integer(), server_default="0", nullable=False))
    op.add_column("connection", sa.Column("told", sa.String(length=20), server_default="", nullable=False))
