"""The days of UTC on which polls were made, in a table of their own, so that no query must read all observations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from sqlalchemy import Connection, delete, func, select

from uphours.database.dialects.dialect import dialect_of
from uphours.database.tables import loads, polled_days
from uphours.schema import DAY_US, Instants

_ROWS_PER_STATEMENT: Final = 1000


def record(connection: Connection, times: Instants) -> None:
    """Keep the days of some observations, in the transaction that writes them."""
    days = np.unique(times // DAY_US).tolist()
    for start in range(0, len(days), _ROWS_PER_STATEMENT):
        dialect_of(connection).insert_missing(connection, polled_days.name, days[start : start + _ROWS_PER_STATEMENT])


def forget(connection: Connection, before: int) -> None:
    """Forget the days that ended before an instant, or with it; UTC microseconds."""
    connection.execute(delete(polled_days).where(polled_days.c.day < before // DAY_US))


def polled(connection: Connection, first: int, last: int) -> Sequence[int]:
    """Return which days were polled from the first to the last one, both included, as days since the epoch."""
    query = select(polled_days.c.day).where(polled_days.c.day.between(first, last)).order_by(polled_days.c.day)
    return connection.execute(query).scalars().all()


def latest(connection: Connection) -> int | None:
    """Return the day of the latest observation; None if there is none."""
    instant: int | None = connection.execute(select(func.max(loads.c.last_observed_at))).scalar()
    return None if instant is None else instant // DAY_US
