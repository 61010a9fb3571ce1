"""Rows of stores → a schedule: weeks, zones, special hours, first and last days. Stores by position."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from uphours.schema import (
    DEFAULT_TIMEZONE,
    FOR_EVER,
    SINCE_EVER,
    UNKNOWN_TIMEZONE,
    Codes,
    DatedZones,
    Schedule,
    SpecialHours,
)

Integers: TypeAlias = npt.NDArray[np.int64]

#: How the queries of an engine pack columns into one integer, from its highest bits to its lowest: dates and stores,
#: starts and weekdays.
_STORE_BITS: Final = 31
_WEEKDAY_BITS: Final = 3
#: The attributes that say on which local dates a store is open at all, both included.
FIRST_DAY: Final = "first_day"
LAST_DAY: Final = "last_day"
_EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True)
class Weeks:
    """The rows of weeks, as in `Schedule`."""

    stores: Codes
    weekdays: Integers
    opens_local: Integers
    closes_local: Integers
    since: Integers | None


def dates_and_stores(packed: Integers) -> tuple[Integers, Integers]:
    """Return dates, and the numbers that a database gives its stores, of rows as its queries pack them."""
    return packed >> _STORE_BITS, packed & ((1 << _STORE_BITS) - 1)


def weekly_rows(stores: Codes, dates: Integers, packed: Integers, closes: Integers) -> Weeks:
    """Return the rows of weeks.

    ``dates``: valid_from, counted from `SINCE_EVER`. ``packed``: start and weekday, as the queries ``business_hours``
    pack them.
    """
    columns: tuple[npt.NDArray[Any], ...] = (
        stores, dates + SINCE_EVER, packed & ((1 << _WEEKDAY_BITS) - 1), packed >> _WEEKDAY_BITS, closes,
    )  # fmt: skip
    if not _in_order(columns):  # they are, but no engine promises it
        order = np.lexsort(columns[::-1])
        columns = tuple(column[order] for column in columns)
    stores, since, weekdays, opens, closes = columns
    return Weeks(stores, weekdays, opens, closes, since if dates.any() else None)


def _in_order(columns: Sequence[npt.NDArray[Any]], *, distinct: bool = False) -> bool:
    """Say whether rows are in order, those with the same first column by the second one, and so on.

    ``distinct``: and each stands there once.
    """
    follows = np.full(max(len(columns[0]) - 1, 0), not distinct)
    for column in columns[::-1]:
        before, after = column[:-1], column[1:]
        follows = (before < after) | ((before == after) & follows)
    return bool(follows.all())


@dataclass(frozen=True)
class Zones:
    """The zones of n stores, as in `Schedule`."""

    zones: Codes
    names: tuple[str, ...]
    is_default: npt.NDArray[np.bool_]
    dated: DatedZones | None


def zones_of(n: int, held: Iterable[tuple[str, int, Sequence[int] | Codes]], unknown: Sequence[int] = ()) -> Zones:
    """Return the zones of n stores.

    ``held``: the name of a zone, valid_from, and the stores that have it from then on; a store has one zone a date, and
    any pair of name and date may come more than once. ``unknown``: the stores of which no zone could be used.
    """
    held = list(held)
    names = sorted({DEFAULT_TIMEZONE, *(name for name, _, _ in held), *([UNKNOWN_TIMEZONE] if unknown else [])})
    codes = {name: code for code, name in enumerate(names)}
    counts = [len(stores) for _, _, stores in held]
    stores = np.concatenate([np.empty(0, dtype=np.int32), *(stores for _, _, stores in held)]).astype(np.int32)
    zones = np.repeat(np.array([codes[name] for name, _, _ in held], dtype=np.int32), counts)
    since = np.repeat(np.array([day for _, day, _ in held], dtype=np.int64), counts)
    order = np.lexsort((since, stores))  # so that the latest zone of a store comes last
    stores, zones, since = stores[order], zones[order], since[order]
    is_last = np.append(np.diff(stores) != 0, True)[: len(stores)]
    zone_of = np.full(n, codes[DEFAULT_TIMEZONE], dtype=np.int32)
    zone_of[stores[is_last]] = zones[is_last]
    zone_of[list(unknown)] = codes.get(UNKNOWN_TIMEZONE, 0)
    is_default = np.ones(n, dtype=np.bool_)
    is_default[stores] = False
    is_default[list(unknown)] = False
    is_of_dated = np.isin(stores, stores[since != SINCE_EVER])
    dated = DatedZones(stores[is_of_dated], since[is_of_dated], zones[is_of_dated]) if is_of_dated.any() else None
    return Zones(zone_of, tuple(names), is_default, dated)


def special_hours(rows: Sequence[tuple[int, int, int, int, str]]) -> SpecialHours | None:
    """Return special hours; None where there is none.

    ``rows``: store (`uphours.schema.EVERY_STORE` for all), date, start, end and name.
    """
    if not rows:
        return None
    stores, dates, opens, closes, names = zip(*sorted(rows), strict=True)
    return SpecialHours(
        np.array(stores, dtype=np.int32),
        np.array(dates, dtype=np.int64),
        np.array(opens, dtype=np.int64),
        np.array(closes, dtype=np.int64),
        names,
    )


def special_rows(stores: Codes, dates: Integers, opens: Integers, closes: Integers) -> SpecialHours | None:
    """Return special hours without the names of dates; None where there is none.

    A row that stands twice counts once.
    """
    if not len(stores):
        return None
    if not _in_order((stores, dates, opens, closes), distinct=True):
        table = np.unique(np.column_stack((stores, dates, opens, closes)), axis=0)
        stores, dates, opens, closes = table[:, 0].astype(np.int32), table[:, 1], table[:, 2], table[:, 3]
    return SpecialHours(stores, dates, opens, closes, None)


def joined(some: SpecialHours | None, more: SpecialHours | None) -> SpecialHours | None:
    """Return special hours together; a row that both have counts once."""
    if some is None or more is None:
        return some or more
    columns = ((one.stores, one.dates, one.opens_local, one.closes_local) for one in (some, more))
    stores, dates, opens, closes = (np.concatenate(column) for column in zip(*columns, strict=True))
    return special_rows(stores, dates, opens, closes)


def limits_of(n: int, name: str, rows: Sequence[tuple[int, str, int, str]]) -> Integers | None:
    """Return the first or last day of each of n stores; None where no store has one.

    ``name``: `FIRST_DAY` or `LAST_DAY`. ``rows``: store, name of an attribute, valid_from and value.
    """
    values: dict[int, dict[int, str]] = {}
    for store, of, since, value in rows:
        if of == name:
            values.setdefault(store, {})[since] = value
    limits = np.full(n, limit_of(name, {}), dtype=np.int64)
    limits[list(values)] = [limit_of(name, by_date) for by_date in values.values()]
    return limits if (limits != limit_of(name, {})).any() else None


def limit_of(name: str, values: Mapping[int, str]) -> int:
    """Return the first or last day of a store, in days since the epoch: it has one, the last that was given."""
    last = values[max(values)] if values else ""
    if not last:
        return SINCE_EVER if name == FIRST_DAY else FOR_EVER
    return (date.fromisoformat(last) - _EPOCH).days


def schedule(
    weeks: Weeks,
    zones: Zones,
    unknown: Sequence[int],
    special: SpecialHours | None = None,
    limits: Sequence[tuple[int, str, int, str]] = (),
) -> Schedule:
    """Put a schedule together.

    ``unknown``: the stores whose hours are unknown. ``limits``: rows of attributes, first and last days among them.
    """
    n = len(zones.zones)
    known = np.ones(n, dtype=np.bool_)
    known[list(unknown)] = False
    return Schedule(
        weeks.stores, weeks.weekdays, weeks.opens_local, weeks.closes_local, zones.zones, zones.names,
        zones.is_default, None if known.all() else known, weeks.since, zones.dated, special,
        limits_of(n, FIRST_DAY, limits), limits_of(n, LAST_DAY, limits),
    )  # fmt: skip
