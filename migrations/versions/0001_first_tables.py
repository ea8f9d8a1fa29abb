"""The first tables."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# SQLite gives row ids to INTEGER primary keys only; PostgreSQL wants eight bytes.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _connections()
    _runs()
    _links()
    _changes()
    _people()
    # The key under which addresses of forgotten people are hashed: this store's own, never shown.
    secret = sa.table("secret", sa.column("name"), sa.column("value"))
    op.bulk_insert(secret, [{"name": "email-hmac", "value": secrets.token_hex(32)}])


def _connections() -> None:
    op.create_table(
        "connection",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("account_id", sa.String(length=100), server_default="", nullable=False),
        sa.Column("account_name", sa.Text(), server_default="", nullable=False),
        sa.Column("list_id", sa.String(length=40), server_default="", nullable=False),
        sa.Column("list_name", sa.Text(), server_default="", nullable=False),
        sa.Column("address_book", sa.Text(), server_default="", nullable=False),
        sa.Column("dialect", sa.String(length=20), server_default="", nullable=False),
        sa.Column("traits", sa.JSON(), nullable=False),
        sa.Column("flag_ref", sa.String(length=60), server_default="", nullable=False),
        sa.Column("marker_ref", sa.String(length=60), server_default="", nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("mailchimp_cursor", sa.String(length=40), server_default="", nullable=False),
        sa.Column("maximizer_cursor", sa.String(length=40), server_default="", nullable=False),
        sa.Column("full_reason", sa.Text(), server_default="first sync", nullable=False),
        sa.Column("synced", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), server_default="", nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connection")),
        sa.UniqueConstraint("name", name=op.f("uq_connection_name")),
    )
    op.create_table(
        "field_mapping",
        sa.Column("id", ID, nullable=False),
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("tag", sa.String(length=200), nullable=False),
        sa.Column("mailchimp_ref", sa.String(length=100), nullable=False),
        sa.Column("maximizer_ref", sa.String(length=200), nullable=False),
        sa.Column("field", sa.String(length=300), nullable=False),
        sa.Column("mailchimp_kind", sa.String(length=20), nullable=False),
        sa.Column("maximizer_kind", sa.String(length=20), nullable=False),
        sa.Column("basic_update", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_field_mapping_connection_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_field_mapping")),
        sa.UniqueConstraint("connection_id", "tag", name=op.f("uq_field_mapping_connection_id_tag")),
    )
    op.create_table(
        "option_pair",
        sa.Column("mapping_id", ID, nullable=False),
        sa.Column("mailchimp_key", sa.String(length=255), nullable=False),
        sa.Column("maximizer_key", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["mapping_id"], ["field_mapping.id"], name=op.f("fk_option_pair_mapping_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("mapping_id", "mailchimp_key", name=op.f("pk_option_pair")),
        sa.UniqueConstraint("mapping_id", "maximizer_key", name=op.f("uq_option_pair_mapping_id_maximizer_key")),
    )
    op.create_table(
        "lease",
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_lease_connection_id")),
        sa.PrimaryKeyConstraint("connection_id", name=op.f("pk_lease")),
    )
    op.create_table(
        "secret",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_secret")),
    )


def _runs() -> None:
    op.create_table(
        "run",
        sa.Column("id", ID, nullable=False),
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("full", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.CheckConstraint("kind IN ('sync', 'backfill', 'plan')", name=op.f("ck_run_kind")),
        sa.CheckConstraint(
            "state IN ('running', 'planned', 'done', 'partial', 'blocked', 'failed')", name=op.f("ck_run_state")
        ),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_run_connection_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    op.create_index("ix_run_connection_id_id", "run", ["connection_id", "id"], unique=False)
    op.create_table(
        "member_snapshot",
        sa.Column("run_id", ID, nullable=False),
        sa.Column("contact_id", sa.String(length=40), nullable=False),
        sa.Column("found", sa.Boolean(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("unique_email_id", sa.String(length=40), nullable=False),
        sa.Column("web_id", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("pair", sa.String(length=300), nullable=False),
        sa.Column("last_changed", sa.String(length=40), nullable=False),
        sa.Column("row_hash", sa.BigInteger(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_member_snapshot_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "contact_id", name=op.f("pk_member_snapshot")),
    )
    op.create_table(
        "entry_snapshot",
        sa.Column("run_id", ID, nullable=False),
        sa.Column("entry_id", sa.String(length=300), nullable=False),
        sa.Column("found", sa.Boolean(), nullable=False),
        sa.Column("type", sa.String(length=20), nullable=False),
        sa.Column("email1", sa.Text(), nullable=False),
        sa.Column("email2", sa.Text(), nullable=False),
        sa.Column("email3", sa.Text(), nullable=False),
        sa.Column("flag", sa.String(length=5), nullable=False),
        sa.Column("marker", sa.Text(), nullable=False),
        sa.Column("last_changed", sa.String(length=40), nullable=False),
        sa.Column("row_hash", sa.BigInteger(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_entry_snapshot_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "entry_id", name=op.f("pk_entry_snapshot")),
    )


def _links() -> None:
    op.create_table(
        "link",
        sa.Column("id", ID, nullable=False),
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("contact_id", sa.String(length=40), nullable=False),
        sa.Column("entry_id", sa.String(length=300), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email1", sa.Text(), nullable=False),
        sa.Column("unique_email_id", sa.String(length=40), nullable=False),
        sa.Column("web_id", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("archived", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("flag", sa.String(length=5), nullable=False),
        sa.Column("flag_ours", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("member_hash", sa.BigInteger(), nullable=True),
        sa.Column("entry_hash", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_run", ID, nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.CheckConstraint("state IN ('active', 'left', 'ended')", name=op.f("ck_link_state")),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_link_connection_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link")),
    )
    op.create_index("ix_member_snapshot_hash", "member_snapshot", ["run_id", "contact_id", "row_hash"], unique=False)
    op.create_index("ix_entry_snapshot_hash", "entry_snapshot", ["run_id", "entry_id", "row_hash"], unique=False)
    op.create_index("ix_link_unique_email_id", "link", ["connection_id", "unique_email_id"], unique=False)
    op.create_index(
        "ix_link_member_hash",
        "link",
        ["connection_id", "contact_id", "member_hash"],
        unique=False,
        sqlite_where=sa.text("state <> 'ended'"),
        postgresql_where=sa.text("state <> 'ended'"),
    )
    op.create_index(
        "ix_link_entry_hash",
        "link",
        ["connection_id", "entry_id", "entry_hash"],
        unique=False,
        sqlite_where=sa.text("state <> 'ended'"),
        postgresql_where=sa.text("state <> 'ended'"),
    )
    op.create_index(
        "ix_link_unfinished",
        "link",
        ["connection_id"],
        unique=False,
        sqlite_where=sa.text("state <> 'ended' AND (member_hash IS NULL OR entry_hash IS NULL)"),
        postgresql_where=sa.text("state <> 'ended' AND (member_hash IS NULL OR entry_hash IS NULL)"),
    )
    op.create_index(
        "uq_link_entry",
        "link",
        ["connection_id", "entry_id"],
        unique=True,
        sqlite_where=sa.text("state <> 'ended'"),
        postgresql_where=sa.text("state <> 'ended'"),
    )
    op.create_index(
        "uq_link_member",
        "link",
        ["connection_id", "contact_id"],
        unique=True,
        sqlite_where=sa.text("state <> 'ended'"),
        postgresql_where=sa.text("state <> 'ended'"),
    )
    op.create_table(
        "baseline",
        sa.Column("link_id", ID, nullable=False),
        sa.Column("mailchimp", sa.Text(), nullable=False),
        sa.Column("maximizer", sa.Text(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"], name=op.f("fk_baseline_link_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("link_id", name=op.f("pk_baseline")),
    )


def _changes() -> None:
    op.create_table(
        "change",
        sa.Column("id", ID, nullable=False),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("side", sa.String(length=10), nullable=False),
        sa.Column("op", sa.String(length=10), nullable=False),
        sa.Column("target", sa.String(length=400), nullable=False),
        sa.Column("link_id", ID, nullable=True),
        sa.Column("contact_id", sa.String(length=40), nullable=False),
        sa.Column("entry_id", sa.String(length=300), nullable=False),
        sa.Column("marker", sa.String(length=29), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("rule", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_token", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.Float(), nullable=True),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.CheckConstraint("op IN ('create', 'update', 'rename', 'revive')", name=op.f("ck_change_op")),
        sa.CheckConstraint("side IN ('mailchimp', 'maximizer')", name=op.f("ck_change_side")),
        sa.CheckConstraint(
            "state IN ('planned', 'sent', 'done', 'refused', 'ambiguous', 'skipped', 'discarded', 'held')",
            name=op.f("ck_change_state"),
        ),
        sa.CheckConstraint("length(marker) <= 29", name=op.f("ck_change_marker")),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_change_connection_id")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_change_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change")),
        sa.UniqueConstraint("run_id", "side", "target", name=op.f("uq_change_run_id_side_target")),
    )
    op.create_index(
        "ix_change_planned",
        "change",
        ["connection_id", "run_id"],
        unique=False,
        sqlite_where=sa.text("state = 'planned'"),
        postgresql_where=sa.text("state = 'planned'"),
    )
    op.create_index(
        "uq_change_open",
        "change",
        ["connection_id", "side", "target"],
        unique=True,
        sqlite_where=sa.text("state IN ('sent', 'ambiguous', 'held')"),
        postgresql_where=sa.text("state IN ('sent', 'ambiguous', 'held')"),
    )
    op.create_table(
        "attempt",
        sa.Column("id", ID, nullable=False),
        sa.Column("change_id", ID, nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["change_id"], ["change.id"], name=op.f("fk_attempt_change_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt")),
    )
    op.create_index(op.f("ix_attempt_change_id"), "attempt", ["change_id"], unique=False)


def _people() -> None:
    op.create_table(
        "quarantine",
        sa.Column("id", ID, nullable=False),
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("side", sa.String(length=10), nullable=False),
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("field", sa.String(length=200), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rule", sa.String(length=20), nullable=False),
        sa.Column("remedy", sa.Text(), server_default="", nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("member_hash", sa.BigInteger(), nullable=True),
        sa.Column("entry_hash", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="1", nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("since_run", ID, nullable=False),
        sa.Column("since_at", sa.Float(), nullable=False),
        sa.CheckConstraint("state IN ('open', 'released', 'resolved')", name=op.f("ck_quarantine_state")),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_quarantine_connection_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
    )
    op.create_index("ix_quarantine_key", "quarantine", ["connection_id", "side", "key"], unique=False)
    op.create_table(
        "finding",
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("key", sa.String(length=340), nullable=False),
        sa.Column("field", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("run_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_finding_connection_id")),
        sa.PrimaryKeyConstraint("connection_id", "kind", "key", "field", name=op.f("pk_finding")),
    )
    op.create_table(
        "suppression",
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("email_hmac", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("since_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_suppression_connection_id")),
        sa.PrimaryKeyConstraint("connection_id", "email_hmac", name=op.f("pk_suppression")),
    )
