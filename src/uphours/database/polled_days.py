"""The days of UTC on which polls were made, and how many, so that no query must read all observations.

A count says how many polls came, whatever was pruned of the day since.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from uphours.database import properties
from uphours.database.dialects.dialect import dialect_of
from uphours.database.tables import loads, polled_days
from uphours.schema import DAY_US, Codes, Instants, Statuses


def insert_polls(
    connection: Connection, stores: Codes, times: Instants, statuses: Statuses
) -> tuple[dict[int, int], int]:
    """Insert observations as `uphours.database.dialects.dialect.Engine.insert_observations` does.

    Return how many were new on each day that they are of, and how many were replaced in all.
    """
    if not len(times):
        return {}, 0
    engine = dialect_of(connection)

    def insert_rows(rows: npt.NDArray[np.intp]) -> tuple[int, int]:
        return engine.insert_observations(connection, stores[rows], times[rows], statuses[rows])

    first = int(times.min()) // DAY_US
    places = times // DAY_US - first
    counts = np.bincount(places)
    added = {first + place: int(counts[place]) for place in np.flatnonzero(counts).tolist()}
    held = polled(connection, first, first + len(counts) - 1)
    pruned_before = int(properties.get(connection, "pruned_before") or 0)
    alone = [day for day in added if day in held or day < pruned_before // DAY_US]
    # The engine says only how many were new in all. On a day without observations that is each of them; another day
    # goes alone.
    if not alone:
        return added, engine.insert_observations(connection, stores, times, statuses)[1]

    def rows_of(days: Collection[int]) -> npt.NDArray[np.intp]:
        is_of = np.zeros(len(counts), dtype=np.bool_)
        is_of[np.array(list(days), dtype=np.int64) - first] = True
        return np.flatnonzero(is_of[places])

    replaced = insert_rows(rows_of(added.keys() - set(alone)))[1]
    # Days with as many polls as are there are nearly always the same ones once more. They go together, unless one of
    # these polls turns out to be new.
    if len(again := [day for day in alone if held.get(day) == added[day]]) > 1:
        with connection.begin_nested() as savepoint:
            new, changed = insert_rows(rows_of(again))
            if new:
                savepoint.rollback()
        if not new:
            replaced += changed
            added |= dict.fromkeys(again, 0)
            alone = sorted(set(alone) - set(again))
    if not alone:
        return added, replaced
    rows = rows_of(alone)
    rows = rows[np.argsort(places[rows], kind="stable")]
    for day, of_day in zip(alone, np.split(rows, np.cumsum([added[day] for day in alone])[:-1]), strict=True):
        added[day], changed = insert_rows(of_day)
        replaced += changed
    return added, replaced


def record(connection: Connection, added: Mapping[int, int]) -> None:
    """Keep the days of some observations and how many of them were new, in the transaction that writes them."""
    if not added:
        return
    held = polled(connection, min(added), max(added))
    more = [{"of": day, "more": polls} for day, polls in added.items() if day in held and polls]
    if more:
        counted = polled_days.c.polls + bindparam("more")
        connection.execute(update(polled_days).where(polled_days.c.day == bindparam("of")).values(polls=counted), more)
    if new := [{"day": day, "polls": polls} for day, polls in added.items() if day not in held]:
        connection.execute(insert(polled_days), new)


def forget(connection: Connection, before: int) -> None:
    """Forget the days that ended before an instant, or with it; UTC microseconds."""
    connection.execute(delete(polled_days).where(polled_days.c.day < before // DAY_US))


def polled(connection: Connection, first: int, last: int) -> dict[int, int]:
    """Return which days were polled from the first to the last one, both included, and how many polls came.

    Days are counted from the epoch, in order.
    """
    query = select(polled_days).where(polled_days.c.day.between(first, last)).order_by(polled_days.c.day)
    return {row.day: row.polls for row in connection.execute(query)}


def extent(connection: Connection) -> tuple[int, int] | None:
    """Return the instants of the first and of the last observation that loads brought; None if there is none."""
    first, last = connection.execute(
        select(func.min(loads.c.first_observed_at), func.max(loads.c.last_observed_at))
    ).one()
    return None if last is None else (first, last)


def latest(connection: Connection) -> int | None:
    """Return the day of the latest observation; None if there is none."""
    found = extent(connection)
    return None if found is None else found[1] // DAY_US
