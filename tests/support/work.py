"""How much work each statement makes for the database, in units of its own that no busy machine changes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

_EVERY = 20  # steps of SQLite's machine between two looks
_READS = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)


@contextmanager
def measured(engine: Engine) -> Iterator[Counter[str]]:
    """Statement -> work, filled while the block runs, for all its executions together.

    SQLite: steps of its virtual machine; one row that is looked at costs three at the least. PostgreSQL: pages that
    the executed plan has touched.
    """
    meter = _Pages(engine) if engine.dialect.name == "postgresql" else _Steps(engine)
    try:
        yield meter.work
    finally:
        meter.stop()


class _Steps:
    def __init__(self, engine: Engine) -> None:
        self.engine, self.work = engine, Counter[str]()
        self.now: dict[int, str] = {}  # a SELECT goes on after its execution, until the next statement
        event.listen(engine, "before_cursor_execute", self._begins)

    def _begins(self, db: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        driver = cursor.connection
        if id(driver) not in self.now:
            driver.set_progress_handler(lambda: self._step(id(driver)), _EVERY)
        self.now[id(driver)] = statement
        self.work[statement] += 0

    def _step(self, driver: int) -> int:
        self.work[self.now[driver]] += _EVERY
        return 0

    def stop(self) -> None:
        event.remove(self.engine, "before_cursor_execute", self._begins)
        self.engine.dispose()  # and with the connections their handlers


class _Pages:
    def __init__(self, engine: Engine) -> None:
        self.engine, self.work = engine, Counter[str]()
        event.listen(engine, "before_cursor_execute", self._begins)

    def _begins(self, db: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        """Run it once more with an account of its work, and take that back."""
        if not _READS.match(statement):
            return
        given = parameters[0] if many else parameters
        with db.connection.driver_connection.cursor() as other:
            other.execute("SAVEPOINT measured")
            other.execute(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement}", given)
            plan = other.fetchone()[0][0]["Plan"]
            other.execute("ROLLBACK TO SAVEPOINT measured")
            other.execute("RELEASE SAVEPOINT measured")
        self.work[statement] += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]

    def stop(self) -> None:
        event.remove(self.engine, "before_cursor_execute", self._begins)
