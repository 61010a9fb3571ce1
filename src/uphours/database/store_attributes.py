"""Attributes of stores in the database: named values, each since a local date or since ever."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from sqlalchemy import Connection, delete

from uphours.database.dated_values import Dated
from uphours.database.dialects.dialect import dialect_of, parts_of
from uphours.database.schedules import rows_of
from uphours.database.tables import attributes
from uphours.kernel.schedule_rows import FIRST_DAY, LAST_DAY, limit_of
from uphours.schema import SINCE_EVER

_Key: TypeAlias = tuple[int, str, int]
"""Number of the store, name and valid_from."""


def replace(connection: Connection, given: Mapping[_Key, str], *, load: int) -> dict[int, int]:
    """Replace values of attributes.

    A value with a date replaces the one of this date; one without replaces all of its name at the store. From the date
    of a blank one on there is none; without a date there is none at all.

    Parameters
    ----------
    given
        Value by number of store, name and valid_from.
    load
        The number of the load.

    Returns
    -------
    dict
        The first local date that is scheduled now and was not, or the other way round, by store: first and last days
        alone change that.
    """
    if not given:
        return {}
    before = stored(connection, {store for store, _, _ in given})
    values: dict[tuple[int, str], dict[int, str]] = {}
    for (store, name, since), value in given.items():
        values.setdefault((store, name), {})[since] = value
    after: dict[tuple[int, str], Dated[str]] = {}
    gone: list[_Key] = []
    new_rows: list[tuple[int, str, int, str, int]] = []
    for key, new in values.items():
        old = before.get(key, {})
        after[key] = whole = _replaced(old, new)
        gone += [(*key, since) for since, value in old.items() if whole.get(since) != value]
        new_rows += [(*key, since, value, load) for since, value in whole.items() if old.get(since) != value]
    _delete(connection, gone)
    if new_rows:
        dialect_of(connection).insert_names(connection, attributes.name, sorted(new_rows))
    return _limits_changed(before, after)


def stored(connection: Connection, numbers: Iterable[int]) -> dict[tuple[int, str], Dated[str]]:
    """Return the attributes of some stores, by number of store and name."""
    found: dict[tuple[int, str], dict[int, str]] = {}
    columns = "store, attributes.name, valid_from, attributes.value"
    for store, name, since, value in rows_of(connection, columns, attributes, sorted(numbers)):
        found.setdefault((store, name), {})[since] = value
    return {**found}


def _replaced(before: Dated[str], new: Dated[str]) -> Dated[str]:
    whole = new if SINCE_EVER in new else {**before, **new}
    return {since: value for since, value in whole.items() if value or since != SINCE_EVER}


def _delete(connection: Connection, keys: Iterable[_Key]) -> None:
    a = attributes.c
    stores_of: dict[tuple[str, int], list[int]] = {}
    for store, name, since in sorted(keys):
        stores_of.setdefault((name, since), []).append(store)
    for (name, since), numbers in stores_of.items():
        for part in parts_of(numbers):
            of_date = delete(attributes).where(a.name == name, a.valid_from == since)
            connection.execute(of_date.where(a.store.in_(part)))


def _limits_changed(
    before: Mapping[tuple[int, str], Dated[str]], after: Mapping[tuple[int, str], Dated[str]]
) -> dict[int, int]:
    first: dict[int, int] = {}
    for (store, name), values in after.items():
        if name not in (FIRST_DAY, LAST_DAY):
            continue
        old, new = limit_of(name, before.get((store, name), {})), limit_of(name, values)
        if old != new:
            # Of two first days the earlier one is the first on which they differ; of two last days the day after it.
            day = min(old, new) + (name == LAST_DAY)
            first[store] = min(day, first.get(store, day))
    return first
