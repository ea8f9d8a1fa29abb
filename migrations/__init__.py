"""Alembic revisions of the store; they travel inside the wheel and are run by ``storage.schema``."""
