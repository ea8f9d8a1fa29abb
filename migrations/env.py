"""How Alembic runs: on the connection that ``storage.schema`` hands over, one transaction per revision."""

from __future__ import annotations

from alembic import context

from storage.schema import VERSION_TABLE
from storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transaction_per_migration=True,
    transactional_ddl=True,  # SQLite too: its transactions are begun explicitly (storage.engine)
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
