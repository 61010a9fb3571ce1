"""Values that are in force from a local date on, such as the weeks of a store; and what a change of them restates."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import Final, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, func, select, text

from uphours.database.dialects.dialect import among, parts_of
from uphours.database.store_counts import is_polled
from uphours.database.tables import observations, special_hours, stores, timezones, unknown_hours
from uphours.kernel.local_time import local_date
from uphours.schema import DAY_US, DEFAULT_TIMEZONE, SINCE_EVER

T = TypeVar("T")
Dated: TypeAlias = Mapping[int, T]
"""Values by the date from which on they are in force, in days since the epoch; `SINCE_EVER` for one without a date."""

#: Special hours of this store speak for every one that has none of its own on their date.
EVERY: Final = 0
_EPOCH: Final = date(1970, 1, 1)


def replaced(stored: Dated[T], new: Dated[T]) -> Dated[T]:
    """Return what holds after new values came: one without a date replaces all, others those of their dates."""
    return new if SINCE_EVER in new else {**stored, **new}


def first_difference(before: Dated[T], after: Dated[T] | None, without: T) -> int | None:
    """Return the first date on which another value is in force; None where there is no such date.

    ``after``: None where nothing has changed. ``without``: what is in force where there is no value at all.
    """
    if after is None or before == after:
        return None
    if not before and after.get(SINCE_EVER, without) != without:
        return SINCE_EVER  # as of all stores of a first load
    days = sorted({SINCE_EVER, *before, *after})
    return next((day for day in days if _in_force(before, day, without) != _in_force(after, day, without)), None)


def _in_force(values: Dated[T], day: int, without: T) -> T | None:
    """Return the value in force on a date; None before the first one is."""
    if not values:
        return without
    since = max((since for since in values if since <= day), default=None)
    return None if since is None else values[since]


def changed_dates(before: Mapping[int, Dated[T]], after: Mapping[int, Dated[T]]) -> set[tuple[int, int]]:
    """Return which values are not the same as before, each by store and date."""
    changed = {(store, since) for store, values in after.items() if store not in before for since in values}
    return changed | {
        (store, since)
        for store, stored in before.items()
        if (values := after.get(store, stored)) != stored
        for since in {*values, *stored}
        if values.get(since) != stored.get(since)
    }


def restated(
    connection: Connection,
    schedules: Mapping[int, int],
    limits: Mapping[int, int],
    special: npt.NDArray[np.int64],
) -> int:
    """Count the stores whose figures of the past change: something else is in force at or before their last poll.

    Parameters
    ----------
    schedules
        The first local date on which weeks or zones in force are others than before, by store.
    limits
        The same of first and last days.
    special
        Shape (dates, 2): stores and dates of which special hours are others; `EVERY` for all stores without rows of
        their own.
    """
    dated = dict(limits)
    special = special[np.lexsort(special.T[::-1])]
    firsts = np.flatnonzero(np.diff(special[:, 0], prepend=-1))
    for store, day in special[firsts].tolist():
        dated[store] = min(day, dated.get(store, day))
    dated.pop(EVERY, None)
    if dated:  # stores whose hours are unknown are never open, on whatever date
        for store in connection.execute(select(unknown_hours.c.store)).scalars():
            dated.pop(store, None)
    first = {**schedules, **{store: min(day, schedules.get(store, day)) for store, day in dated.items()}}
    ever = sorted(store for store, day in first.items() if day == SINCE_EVER)
    found = {store for part in parts_of(ever) for store in _polled(connection, part)}
    for part in parts_of(sorted(first.keys() - set(ever))):
        found |= {store for store, last_day in _last_days(connection, part) if first[store] <= last_day}
    if common := set(special[special[:, 0] == EVERY, 1].tolist()):
        found |= _restated_everywhere(connection, common)
    return len(found)


def _polled(connection: Connection, numbers: Sequence[int]) -> Sequence[int]:
    chosen = text(among(numbers))
    return connection.execute(select(stores.c.store).where(chosen, is_polled())).scalars().all()


def _last_days(connection: Connection, numbers: Sequence[int] | None) -> Iterator[tuple[int, int]]:
    """Yield the local date of the last observation of each of these stores, or of all; none of stores without any."""
    o, z = observations.c, timezones.c
    latest = select(func.max(o.observed_at)).where(o.store == stores.c.store).scalar_subquery()
    query, zones = select(stores.c.store, latest), select(z.store, z.valid_from, z.timezone)
    if numbers is not None:
        query, zones = query.where(stores.c.store.in_(numbers)), zones.where(z.store.in_(numbers))
    zones_of: dict[int, dict[int, str]] = {}
    for store, since, name in connection.execute(zones):
        zones_of.setdefault(store, {})[since] = name
    for store, at in connection.execute(query):
        if at is not None:
            zone = _in_force(zones_of.get(store, {}), at // DAY_US, DEFAULT_TIMEZONE)
            yield store, (local_date(zone or DEFAULT_TIMEZONE, at) - _EPOCH).days


def _restated_everywhere(connection: Connection, days: Collection[int]) -> set[int]:
    """Return the stores that were polled on or after a date on which the hours of every store are theirs."""
    s = special_hours.c
    own = {(store, day) for store, day in connection.execute(select(s.store, s.date).where(s.date.in_(sorted(days))))}
    unknown = set(connection.execute(select(unknown_hours.c.store)).scalars())
    return {
        store
        for store, last_day in _last_days(connection, None)
        if store not in unknown and any(day <= last_day and (store, day) not in own for day in days)
    }
