"""Rows to build on: one connection and one run."""

from __future__ import annotations

import pandas as pd
import pytest
from sqlalchemy import Engine

from storage import connections, runs

NOW = 1_800_000_000.0


@pytest.fixture
def ours(store: Engine) -> connections.Connection:
    return connections.create(store, "default", NOW)


@pytest.fixture
def run_id(store: Engine, ours: connections.Connection) -> int:
    return runs.start(store, ours.id, "sync", True, NOW)


def member_rows(*ids: str, **columns: object) -> pd.DataFrame:
    """Staged members with these contact ids."""
    rows = {
        "contact_id": list(ids),
        "found": True,
        "email": [f"{i}@people.test" for i in ids],
        "unique_email_id": "",
        "web_id": "",
        "status": "subscribed",
        "pair": "",
        "last_changed": "",
        "row_hash": range(len(ids)),
        "fields": "{}",
    }
    return pd.DataFrame(rows | columns)
