"""Indexes, so that a cycle's work follows from what changed and not from how much is remembered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    alive, waiting = "state <> 'ended'", "state <> 'resolved'"
    _index("ix_run_started_at", "run", ["connection_id", "started_at"])
    _index("ix_run_running", "run", ["connection_id"], "state = 'running'")
    _index("ix_run_whole", "run", ["connection_id", "id"], "\"full\" AND state IN ('done', 'partial')")
    _index("ix_link_email", "link", [sa.text("lower(email)"), "connection_id"], alive)
    _index("ix_link_email1", "link", [sa.text("lower(email1)"), "connection_id"], alive)
    _index("ix_link_ended", "link", ["connection_id", "contact_id"], "state = 'ended'")
    _index("ix_link_active", "link", ["connection_id"], "state = 'active'")
    _index("ix_change_target", "change", ["target", "side", "connection_id"])
    _index("ix_change_closed", "change", ["connection_id", "run_id"], "state NOT IN ('sent', 'ambiguous', 'held')")
    _index("ix_quarantine_since_run", "quarantine", ["connection_id", "since_run"])
    _index("ix_quarantine_waiting", "quarantine", ["connection_id", "state"], waiting)
    _index("ix_quarantine_resolved", "quarantine", ["connection_id", "since_at"], "state = 'resolved'")
    _index("ix_finding_key", "finding", ["connection_id", "key"])
    _index("ix_finding_run_id", "finding", ["connection_id", "run_id"])


def _index(name: str, table: str, columns: list[str | sa.TextClause], where: str | None = None) -> None:
    only = None if where is None else sa.text(where)
    op.create_index(name, table, columns, sqlite_where=only, postgresql_where=only)
