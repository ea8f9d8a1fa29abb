"""Which list and which Address Book a connection has for itself (R36)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# SQLite gives row ids to INTEGER primary keys only; PostgreSQL wants eight bytes.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    claim = op.create_table(
        "claim",
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("since_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_claim_connection_id")),
        sa.PrimaryKeyConstraint("kind", "key", name=op.f("pk_claim")),
        sa.CheckConstraint("kind IN ('list', 'book')", name=op.f("ck_claim_kind")),
    )
    op.create_index(op.f("ix_claim_connection_id"), "claim", ["connection_id"])
    _give(claim)


def _give(claim: sa.Table) -> None:
    """Of connections that share a list or an Address Book the first one goes on: one at work, then the older one.

    On which server an Address Book stands was not kept: the first one's next run, or set-up, notes it.
    """
    old = sa.table(
        "connection",
        *map(sa.column, ("id", "account_id", "list_id", "address_book", "synced", "created_at")),
    )
    order = (old.c.synced.desc(), (old.c.list_id != "").desc(), old.c.id)
    given = {}
    for row in op.get_bind().execute(sa.select(old).order_by(*order)):
        keys = {"list": f"{row.account_id}/{row.list_id}" if row.list_id else ""}
        keys["book"] = f"* {row.address_book.strip().casefold()}" if row.address_book else ""
        for kind, key in keys.items():
            if key:
                given.setdefault((kind, key), {"connection_id": row.id, "since_at": row.created_at})
    if given:
        op.bulk_insert(claim, [{"kind": kind, "key": key, **whose} for (kind, key), whose in given.items()])
