"""Special hours in the database: a load replaces all rows of the dates of a store that it brings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, delete

from uphours.database.dialects.dialect import dialect_of, parts_of
from uphours.database.schedules import rows_of
from uphours.database.tables import special_hours

Rows: TypeAlias = npt.NDArray[np.int64]
_Row: TypeAlias = tuple[int, int, str]
"""Start, end and name of a row."""


def replace(
    connection: Connection, rows: Rows, names: Mapping[tuple[int, int], str], *, load: int
) -> set[tuple[int, int]]:
    """Replace dates of stores; return those, by store and date, on which other hours hold than before.

    Parameters
    ----------
    rows
        Shape (rows, 4): the number of the store (`uphours.database.dated_values.EVERY` for every store), date, start
        and end.
    names
        What a date is called, by number of store and date.
    load
        The number of the load.
    """
    given: dict[tuple[int, int], set[_Row]] = {}
    for store, day, start, end in rows.tolist():
        given.setdefault((store, day), set()).add((start, end, names.get((store, day), "")))
    stored: dict[tuple[int, int], set[_Row]] = {}
    columns = "store, date, start_local_us, end_local_us, name"
    for store, day, *row in rows_of(connection, columns, special_hours, sorted({store for store, _ in given})):
        stored.setdefault((store, day), set()).add(tuple(row))
    changed = {date for date, said in given.items() if stored.get(date) != said}
    s = special_hours.c
    for day in sorted({day for _, day in changed & stored.keys()}):
        for part in parts_of(sorted(store for store, other in changed if other == day)):
            connection.execute(delete(special_hours).where(s.date == day, s.store.in_(part)))
    if new := [(*date, *row, load) for date in sorted(changed) for row in sorted(given[date])]:
        dialect_of(connection).insert_names(connection, special_hours.name, new)
    return {date for date in changed if _hours(stored.get(date, set())) != _hours(given[date])}


def _hours(rows: set[_Row]) -> set[tuple[int, int]]:
    return {(start, end) for start, end, _ in rows}
