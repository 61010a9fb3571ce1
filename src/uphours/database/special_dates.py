"""Special hours in the database: a load replaces all rows of the dates of a store that it brings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl
from sqlalchemy import Connection, delete

from uphours.database.dialects.dialect import dialect_of, parts_of
from uphours.database.schedules import rows_of
from uphours.database.tables import special_hours
from uphours.date_names import DateNames

Rows: TypeAlias = npt.NDArray[np.int64]

_DATE: Final = ["store", "date"]
_HOURS: Final = [*_DATE, "start_local_us", "end_local_us"]
_SCHEMA: Final = {**dict.fromkeys(_HOURS, pl.Int64), "name": pl.String}


def replace(connection: Connection, rows: Rows, names: Mapping[tuple[int, int], str], *, load: int) -> Rows:
    """Replace dates of stores; return those on which other hours hold than before: shape (dates, 2), store and date.

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
    given = pl.DataFrame(rows, schema=_HOURS).unique().sort(_HOURS)
    called = DateNames.of(names).at(given.select(_DATE).to_numpy())
    given = given.with_columns(pl.Series("name", called, dtype=pl.String))
    numbers = np.unique(rows[:, 0]).tolist()
    found = rows_of(connection, "store, date, start_local_us, end_local_us, name", special_hours, numbers)
    stored = pl.DataFrame(found, schema=_SCHEMA, orient="row").join(given, on=_DATE, how="semi")
    changed = _different(given, stored)
    s = special_hours.c
    gone = changed.join(stored, on=_DATE, how="semi").sort("date", "store").group_by("date", maintain_order=True)
    for (day,), part in gone:
        for some in parts_of(part["store"].to_list()):
            connection.execute(delete(special_hours).where(s.date == day, s.store.in_(some)))
    new = given.join(changed, on=_DATE, how="semi").sort(_HOURS).with_columns(load=pl.lit(load))
    if new.height:
        dialect_of(connection).insert_names(
            connection, special_hours.name, list(zip(*new.to_dict(as_series=False).values(), strict=True))
        )
    dates = _different(given.select(_HOURS), stored.select(_HOURS))
    return dates.to_numpy(order="c").reshape(-1, 2)


def _different(given: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Return the stores and dates of rows that only one of the two has."""
    only = [rows.join(others, on=rows.columns, how="anti") for rows, others in ((given, stored), (stored, given))]
    return pl.concat(only).select(_DATE).unique()
