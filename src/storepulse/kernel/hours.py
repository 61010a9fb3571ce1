"""Weekly local hours and zones → sessions in UTC. The only file that knows local time.

Zone rules come from the ``tzdata`` package alone, never from the machine: the two disagree from time to
time, and the same input must give the same answer everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from importlib import metadata, resources
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from storepulse.errors import InputError
from storepulse.kernel.compiled import compiled
from storepulse.schema import (
    BEGINNING_OF_TIME,
    DAY_US,
    END_OF_TIME,
    MINUTE_US,
    SECOND_US,
    Codes,
    Instants,
    Offsets,
    Sessions,
    WeeklyHours,
)

Integers: TypeAlias = npt.NDArray[np.int64]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL: Final = _EPOCH.toordinal()
_EPOCH_WEEKDAY: Final = 3  # a Thursday
_WEEK_US: Final = 7 * DAY_US
#: No session of a store that closes at some time each week is longer, even if a clock change swallows a closing.
_LONGEST_SESSION_US: Final = 15 * DAY_US
#: Any two changes of a clock since 1970 are further apart; the closest ones are those around a Ramadan or a carnival.
_STEP_DAYS: Final = 6


def tzdata_version() -> str:
    """Return the version of the zone rules in use, such as ``2026.1``."""
    return metadata.version("tzdata")


@cache
def timezone_names() -> frozenset[str]:
    """Return all IANA names that a store's zone may have."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text(encoding="ascii").split())


@cache
def timezone(name: str) -> ZoneInfo:
    """Return the rules of one zone.

    Raises
    ------
    InputError
        The name is not an IANA zone. Names are looked up in a list, never on a disk.
    """
    if name not in timezone_names():
        raise InputError(f"unknown time zone {name!r}; valid are IANA names such as {'America/Chicago'!r}")
    # Not ZoneInfo(name): that would look at the machine's own files first, unless the search path of the
    # whole process were changed under the feet of the program that imports us.
    with resources.files("tzdata.zoneinfo").joinpath(name).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


def local_time_us(text: str) -> int | None:
    """Read a wall-clock time as microseconds since midnight: ``9:00``, ``23:59:59.999``, ``24:00``.

    Returns None for anything else.

    >>> local_time_us("09:30") == (9 * 60 + 30) * 60 * 1_000_000
    True
    """
    clock, _, fraction = text.partition(".")
    parts = clock.split(":")
    digits = all(part.isascii() and part.isdigit() and len(part) <= 2 for part in parts)
    if not digits or len(parts) not in (2, 3) or (fraction and len(parts) == 2) or clock + "." == text:
        return None
    if fraction and not (fraction.isascii() and fraction.isdigit() and len(fraction) <= 9):
        return None
    hour, minute, second = (*map(int, parts), 0)[:3]
    us = ((hour * 60 + minute) * 60 + second) * 1_000_000 + int(fraction[:6].ljust(6, "0"))
    return us if minute < 60 and second < 60 and us <= DAY_US else None


def local_time_text(us: int) -> str:
    """Write microseconds since midnight as ``09:30``, with seconds and fraction only where there are any."""
    seconds, fraction = divmod(us, 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}"
    if seconds % 60 or fraction:
        text += f":{seconds % 60:02}"
    return f"{text}.{fraction:06}".rstrip("0") if fraction else text


def closing_times(opens_local: Integers, closes_local: Integers) -> Integers:
    """Return closing times as they are meant: microseconds since the midnight that starts the row's date.

    An end in the last minute of the day means midnight; then, an end at or before the start closes on the
    next day.
    """
    closes = np.where(closes_local >= DAY_US - MINUTE_US, DAY_US, closes_local)
    return np.where(closes <= opens_local, closes + DAY_US, closes)


def sessions(hours: WeeklyHours, starts: Instants, ends: Instants) -> Sessions:
    """Return the sessions of every store that overlap its own ``[starts[i], ends[i])``.

    Parameters
    ----------
    hours
        The opening rows of n stores. A store without any row is open from the beginning to the end of time.
    starts, ends
        int64 of length n, UTC microseconds.

    Returns
    -------
    Sessions
        Maximal half-open intervals. They are not clipped: inside ``[starts[i], ends[i])`` they are exact, and
        a session that reaches out of it says no more than that the store was open at that edge.
    """
    rows, dates = _dates(hours, starts // DAY_US - 2, ends // DAY_US + 1)
    zones = hours.zones[hours.stores[rows]]
    midnights = dates * DAY_US
    opens = to_utc(hours.zone_names, zones, midnights + hours.opens_local[rows])
    closing = closing_times(hours.opens_local, hours.closes_local)
    closes = to_utc(hours.zone_names, zones, midnights + closing[rows])

    stores = hours.stores[rows]
    keep = (opens < closes) & (closes > starts[stores]) & (opens < ends[stores])
    stores, opens, closes = stores[keep], opens[keep], closes[keep]

    always_open = np.flatnonzero(np.bincount(hours.stores, minlength=len(hours.zones)) == 0).astype(np.int32)
    stores = np.concatenate([stores, always_open])
    opens = np.concatenate([opens, np.full(len(always_open), BEGINNING_OF_TIME)])
    closes = np.concatenate([closes, np.full(len(always_open), END_OF_TIME)])
    by_store = np.argsort(stores, kind="stable")
    return _merged(stores[by_store], opens[by_store], closes[by_store], len(hours.zones))


def reach(
    hours: WeeklyHours, first_seen: Instants, last_seen: Instants, start: int, end: int
) -> tuple[Instants, Instants]:
    """Return how far sessions must be known, per store, for a timeline over ``[start, end)``.

    Whether an observation outside ``[start, end)`` was made in the session of an instant inside depends on
    the hours between the two; so as far as the store's ``first_seen`` and ``last_seen`` observation, but no
    further than its sessions can be long.
    """
    open_us = np.zeros(len(hours.zones), dtype=np.int64)
    np.add.at(open_us, hours.stores, closing_times(hours.opens_local, hours.closes_local) - hours.opens_local)
    may_be_endless = open_us >= _WEEK_US
    earliest = np.where(may_be_endless, BEGINNING_OF_TIME, start - _LONGEST_SESSION_US)
    latest = np.where(may_be_endless, END_OF_TIME, end + _LONGEST_SESSION_US)
    return np.clip(first_seen, earliest, start), np.clip(last_seen + 1, end, latest)


def to_utc(zone_names: tuple[str, ...], zones: Codes, local_us: Integers) -> Instants:
    """Convert wall-clock times, in microseconds since 1970-01-01 00:00 local, to instants.

    RFC 5545 section 3.3.5: a repeated local time means its first occurrence, a skipped one is read with the
    offset before the gap.
    """
    if not len(local_us):
        return local_us
    days = local_us // DAY_US
    first, last = int(days.min()), int(days.max())
    offsets = np.stack([_midnight_offsets(name, first, last + 1) for name in zone_names])
    column = days - first
    utc = local_us - offsets[zones, column]
    # On a date that begins and ends with the same offset no clock changed, so the offset holds all day.
    changing = np.flatnonzero(offsets[zones, column] != offsets[zones, column + 1])
    if len(changing):
        pairs, inverse = np.unique(np.stack([zones[changing], local_us[changing]]), axis=1, return_inverse=True)
        exact = [_local_to_utc(zone_names[zone], us) for zone, us in pairs.T.tolist()]
        utc[changing] = np.array(exact, dtype=np.int64)[inverse.ravel()]
    return utc


def wall_clock(zone_name: str, instant: int) -> datetime:
    """Return an instant as the clock on the wall shows it, aware of its offset."""
    return (_EPOCH + timedelta(microseconds=instant)).astimezone(timezone(zone_name))


def local_text(zone_name: str, instant: int) -> str:
    """Write an instant as the wall clock shows it, with the offset: ``Wed 2023-01-25 12:13:22.479220-06:00``."""
    moment = wall_clock(zone_name, instant)
    return f"{moment:%a} {moment.isoformat(sep=' ')}"


def local_date(zone_name: str, instant: int) -> date:
    """Return the date on the wall at an instant."""
    return wall_clock(zone_name, instant).date()


def midnight(zone_name: str, day: date) -> int:
    """Return the instant at which a local date begins."""
    return _local_to_utc(zone_name, (day.toordinal() - _EPOCH_ORDINAL) * DAY_US)


@dataclass(frozen=True)
class WeekClocks:
    """Where the wall clocks of some zones stand in the week.

    Zone z owns the elements ``offsets[z]:offsets[z + 1]``, at least one. From ``starts[i]`` until the next start of its
    zone, an instant u is ``(u + shifts[i]) mod a week`` after Monday 00:00 on the wall; so it is before the first start
    too. ``starts``, ``shifts``: int64, microseconds.
    """

    offsets: Offsets
    starts: Instants
    shifts: Integers


def week_clocks(zone_names: tuple[str, ...], start: int, end: int) -> WeekClocks:
    """Return the wall clocks of zones over ``[start, end)``, UTC microseconds, with every change of a clock in it."""
    changes = [_offset_changes(name, start // DAY_US, max(start, end - 1) // DAY_US + 1) for name in zone_names]
    counts = [len(starts) for starts, _ in changes]
    return WeekClocks(
        np.concatenate([[0], np.cumsum(counts)]),
        np.concatenate([starts for starts, _ in changes]),
        np.concatenate([offsets for _, offsets in changes]) + _EPOCH_WEEKDAY * DAY_US,
    )


@lru_cache(maxsize=1024)
def _offset_changes(zone_name: str, first_day: int, last_day: int) -> tuple[Instants, Integers]:
    """Return from when on which UTC offset holds, from one midnight of UTC to another.

    Offsets change on whole seconds, and none for less than `_STEP_DAYS`.
    """
    starts, offsets = [first_day * DAY_US], [_utc_offset(zone_name, first_day * DAY_US)]
    for day in range(first_day, last_day, _STEP_DAYS):
        low, high = day * DAY_US // SECOND_US, min(day + _STEP_DAYS, last_day) * DAY_US // SECOND_US
        after = _utc_offset(zone_name, high * SECOND_US)
        if after == offsets[-1]:
            continue
        while high - low > 1:  # the change is in (low, high]
            middle = (low + high) // 2
            low, high = (low, middle) if _utc_offset(zone_name, middle * SECOND_US) == after else (middle, high)
        starts.append(high * SECOND_US)
        offsets.append(after)
    return np.array(starts, dtype=np.int64), np.array(offsets, dtype=np.int64)


def _utc_offset(zone_name: str, instant: int) -> int:
    return _microseconds((_EPOCH + timedelta(microseconds=instant)).astimezone(timezone(zone_name)).utcoffset())


def _dates(hours: WeeklyHours, first_days: Integers, last_days: Integers) -> tuple[Integers, Integers]:
    """Return (row, date) for each date, in days since the epoch, on which a row of the week takes place."""
    earliest = first_days[hours.stores]
    first = earliest + (hours.weekdays - earliest - _EPOCH_WEEKDAY) % 7
    counts = np.maximum((last_days[hours.stores] - first) // 7 + 1, 0)
    rows = np.repeat(np.arange(len(counts)), counts)
    nth_week = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows, first[rows] + 7 * nth_week


@lru_cache(maxsize=1024)
def _midnight_offsets(zone_name: str, first_day: int, last_day: int) -> Integers:
    """Return the UTC offset at each local midnight from ``first_day`` to ``last_day``, both included."""
    zone = timezone(zone_name)
    ordinals = range(_EPOCH_ORDINAL + first_day, _EPOCH_ORDINAL + last_day + 1)
    local = (datetime.fromordinal(ordinal).replace(tzinfo=zone) for ordinal in ordinals)
    return np.array([_microseconds(moment.utcoffset()) for moment in local], dtype=np.int64)


def _local_to_utc(zone_name: str, local_us: int) -> int:
    days, us = divmod(local_us, DAY_US)
    local = datetime.fromordinal(_EPOCH_ORDINAL + days).replace(tzinfo=timezone(zone_name)) + timedelta(microseconds=us)
    return local_us - _microseconds(local.utcoffset())


def _microseconds(duration: timedelta | None) -> int:
    assert duration is not None  # every zone of the IANA list has an offset at every time
    return duration // timedelta(microseconds=1)


def _merged(stores: Codes, starts: Instants, ends: Instants, n: int) -> Sessions:
    """Merge overlapping and touching intervals, given in order of store."""
    offsets = np.concatenate([[0], np.cumsum(np.bincount(stores, minlength=n))])
    order = np.empty(len(stores), dtype=np.int64)
    _order_loop(offsets, starts, order)
    starts, ends = starts[order], ends[order]
    begins, reached = np.empty(len(stores), dtype=np.bool_), np.empty(len(stores), dtype=np.int64)
    _merge_loop(stores, starts, ends, begins, reached)
    first = np.flatnonzero(begins)
    last = np.append(first, len(stores))[1:] - 1
    offsets = np.concatenate([[0], np.cumsum(np.bincount(stores[first], minlength=n))])
    return Sessions(offsets, starts[first], reached[last])


@compiled
def _order_loop(offsets, starts, order):  # type: ignore[no-untyped-def]
    """Order the intervals of each store by start: many short sorts are faster than a long one by two keys."""
    for store in range(len(offsets) - 1):
        first, stop = offsets[store], offsets[store + 1]
        order[first:stop] = first + np.argsort(starts[first:stop])


@compiled
def _merge_loop(stores, starts, ends, begins, reached):  # type: ignore[no-untyped-def]
    """Say of each interval whether a session begins with it, and up to when its session reaches so far."""
    for i in range(len(stores)):
        begins[i] = i == 0 or stores[i] != stores[i - 1] or starts[i] > reached[i - 1]
        reached[i] = ends[i] if begins[i] else max(ends[i], reached[i - 1])
