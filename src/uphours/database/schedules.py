"""Hours and zones of stores in the database: replaced by what a load brings, unknown where that cannot be used."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Table, delete

from uphours.database.dated_values import Dated, changed_dates, first_difference, replaced
from uphours.database.dialects.dialect import dialect_of, parts_of
from uphours.database.tables import business_hours, timezones, unknown_hours
from uphours.schema import DEFAULT_TIMEZONE, SINCE_EVER, Setting

Rows: TypeAlias = npt.NDArray[np.int64]

_TABLES: Final[dict[Setting, Table]] = {"hours": business_hours, "timezones": timezones}
#: What is in force at a store without any week.
_ALWAYS_OPEN: Final = b""


@dataclass(frozen=True)
class Changes:
    """What new hours and zones mean for stores that were known.

    ``since``: the first local date, in days since the epoch, on which something else is in force than before, by number
    of store. ``unusable_left_out``: see `uphours.load_record.Summary`.
    """

    since: Mapping[int, int]
    unusable_left_out: int = 0


@dataclass(frozen=True)
class _Stored:
    """What the database has of some stores: weeks and zones by store and date, and what is unknown of which store."""

    weeks: Mapping[int, Dated[bytes]]
    zones: Mapping[int, Dated[str]]
    unknown: frozenset[tuple[int, Setting]]

    def has(self, kind: Setting, store: int) -> bool:
        return store in (self.weeks if kind == "hours" else self.zones)

    def is_unknown(self, store: int) -> bool:
        return any((store, kind) in self.unknown for kind in _TABLES)


def replace(
    connection: Connection,
    hours: Rows,
    zones: Mapping[tuple[int, int], str],
    unusable: Mapping[Setting, Collection[int]],
    *,
    load: int,
) -> Changes:
    """Replace weeks and zones of stores by those that a load brings.

    One with a date replaces the one of this date; one without replaces all of its store.

    Parameters
    ----------
    hours
        Shape (rows, 5): the number of the store, valid_from, day, start and end.
    zones
        Name by number of store and valid_from.
    unusable
        By kind, the stores for which rows came of which none could be used. What is stored of them stays; where there
        is nothing, their hours are unknown from now on.
    load
        The number of the load.
    """
    hours = hours[np.lexsort(hours.T[::-1])]
    given_weeks, given_zones = _weeks(hours), _by_store((store, since, name) for (store, since), name in zones.items())
    given: Mapping[Setting, Collection[int]] = {"hours": given_weeks.keys(), "timezones": given_zones.keys()}
    affected = sorted({*given_weeks, *given_zones, *unusable["hours"], *unusable["timezones"]})
    if not affected:
        return Changes({})
    stored = _stored(connection, affected)
    left_out = {store for kind in _TABLES for store in unusable[kind] if stored.has(kind, store)}
    known = {(store, kind) for kind in _TABLES for store in given[kind]}
    unknown = {(store, kind) for kind in _TABLES for store in unusable[kind] if not stored.has(kind, store)}
    after = (stored.unknown - known) | unknown
    weeks_after = {store: replaced(stored.weeks.get(store, {}), new) for store, new in given_weeks.items()}
    zones_after = {store: replaced(stored.zones.get(store, {}), new) for store, new in given_zones.items()}

    since = {store: SINCE_EVER for store, _ in stored.unknown ^ after}
    for store in affected:
        dates = (
            first_difference(stored.weeks.get(store, {}), weeks_after.get(store), _ALWAYS_OPEN),
            first_difference(stored.zones.get(store, {}), zones_after.get(store), DEFAULT_TIMEZONE),
        )
        if found := [date for date in dates if date is not None]:
            since[store] = min(since.get(store, found[0]), *found)
    still_unknown = {store for store, _ in after}
    since = {store: date for store, date in since.items() if not (stored.is_unknown(store) and store in still_unknown)}

    engine = dialect_of(connection)
    # What is stored the same already stays as it is.
    new_weeks = changed_dates(stored.weeks, weeks_after)
    new_zones = changed_dates(stored.zones, zones_after)
    _delete(connection, business_hours, [key for key in new_weeks if key[0] in stored.weeks])
    _delete(connection, timezones, [key for key in new_zones if key[0] in stored.zones])
    new_hours = hours
    if stored.weeks:
        new_hours = hours[np.isin(_keys(hours), _keys(np.array(list(new_weeks), dtype=np.int64).reshape(-1, 2)))]
    engine.insert_rows(connection, business_hours.name, np.column_stack([new_hours, np.full(len(new_hours), load)]))
    names = [(*key, zones[key], load) for key in sorted(new_zones) if key in zones]
    if names:
        engine.insert_names(connection, timezones.name, names)
    _note_unknown(connection, before=stored.unknown, after=after)
    return Changes(since, len(left_out))


def _weeks(hours: Rows) -> dict[int, Dated[bytes]]:
    """Return the weeks of each store, in a form that can be compared; rows come in order of store and date."""
    starts = np.flatnonzero(np.diff(_keys(hours), prepend=-1)).tolist()
    weeks = np.ascontiguousarray(hours[:, 2:])
    stops = [*starts, len(hours)][1:]
    return _by_store(
        (int(hours[start, 0]), int(hours[start, 1]), weeks[start:stop].tobytes())
        for start, stop in zip(starts, stops, strict=True)
    )


def _keys(rows: Rows) -> npt.NDArray[np.int64]:
    """Return one number for store and date of each row."""
    keys: npt.NDArray[np.int64] = (rows[:, 0] << 32) + (rows[:, 1] - SINCE_EVER)
    return keys


def _by_store(rows: Iterable[tuple[int, int, Any]]) -> dict[int, Any]:
    """Put values of stores and dates together by store."""
    found: dict[int, dict[int, Any]] = {}
    for store, since, value in rows:
        found.setdefault(store, {})[since] = value
    return found


def _stored(connection: Connection, numbers: Sequence[int]) -> _Stored:
    columns = "store, valid_from, day, start_local_us, end_local_us"
    rows = np.array(rows_of(connection, columns, business_hours, numbers), dtype=np.int64).reshape(-1, 5)
    unknown = frozenset((store, kind) for store, kind in rows_of(connection, "store, kind", unknown_hours, numbers))
    zones = _by_store(rows_of(connection, "store, valid_from, timezone", timezones, numbers))
    return _Stored(_weeks(rows[np.lexsort(rows.T[::-1])]), zones, unknown)


def rows_of(connection: Connection, columns: str, table: Table, numbers: Sequence[int]) -> list[Any]:
    """Return columns of the rows of some stores."""
    rows: list[tuple[Any, ...]] = []
    if connection.exec_driver_sql(f"SELECT 1 FROM {table.name} LIMIT 1").first() is None:
        return rows  # as in a first load
    for part in parts_of(numbers):
        sql = f"SELECT {columns} FROM {table.name} WHERE store IN ({', '.join(map(str, part))})"
        rows += map(tuple, connection.exec_driver_sql(sql))
    return rows


def _delete(connection: Connection, table: Table, chosen: Collection[tuple[int, int]]) -> None:
    """Take away what holds from some dates on."""
    for since in sorted({date for _, date in chosen}):
        for part in parts_of(sorted(store for store, date in chosen if date == since)):
            connection.execute(delete(table).where(table.c.valid_from == since, table.c.store.in_(part)))


def _note_unknown(
    connection: Connection, *, before: Collection[tuple[int, Setting]], after: Collection[tuple[int, Setting]]
) -> None:
    u = unknown_hours.c
    for kind in _TABLES:
        for part in parts_of(sorted(store for store, of in set(before) - set(after) if of == kind)):
            connection.execute(delete(unknown_hours).where(u.kind == kind, u.store.in_(part)))
    if new := sorted(set(after) - set(before)):
        dialect_of(connection).insert_names(connection, unknown_hours.name, new)
