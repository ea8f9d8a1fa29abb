"""The different values of an indexed column, however many rows hold each of them."""

from __future__ import annotations

from sqlalchemy import Column, ColumnElement, Connection, func, select


def distinct(db: Connection, column: Column[int], *conditions: ColumnElement[bool]) -> list[int]:
    """Rising; one look-up for each. An index has to begin with what the conditions ask for, then the column.

    Neither database walks from one value to the next by itself: DISTINCT reads every row.
    """
    found: list[int] = []
    while True:
        further = [column > found[-1]] if found else []
        value = db.execute(select(func.min(column)).where(*conditions, *further)).scalar()
        if value is None:
            return found
        found.append(int(value))
