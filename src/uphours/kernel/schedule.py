"""Weeks, special hours and zones → sessions in UTC: when each store is open."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from uphours.kernel.jit import compiled
from uphours.kernel.local_time import EPOCH_WEEKDAY, Integers, WeekClocks, to_utc, week_clocks
from uphours.schema import (
    BEGINNING_OF_TIME,
    DAY_US,
    END_OF_TIME,
    EVERY_STORE,
    FOR_EVER,
    MINUTE_US,
    SINCE_EVER,
    Codes,
    DatedZones,
    Instants,
    Schedule,
    Sessions,
    SpecialHours,
)

_WEEK_US: Final = 7 * DAY_US
#: No session of a store that closes at some time each week is longer, even if a clock change swallows a closing.
SESSION_REACH_US: Final = 15 * DAY_US
#: Bits of a date in the key of a store's date.
_DATE_BITS: Final = 33


def closing_times(opens_local: Integers, closes_local: Integers) -> Integers:
    """Return closing times as they are meant: microseconds since the midnight that starts the row's date.

    An end in the last minute of a day means midnight; then, an end at or before the start closes on the
    next day. The row of a closed day (`uphours.schema.CLOSED`) closes when it opens.
    """
    into_day = closes_local % DAY_US
    closes = np.where(into_day >= DAY_US - MINUTE_US, closes_local - into_day + DAY_US, closes_local)
    return np.where(closes <= opens_local, closes + DAY_US, closes)


def sessions(schedule: Schedule, starts: Instants, ends: Instants) -> Sessions:
    """Return the sessions of every store that overlap its own ``[starts[i], ends[i])``.

    On a local date a store is open: not at all outside of its first and last day, or before its first zone; else by the
    special rows of the date, its own before those of every store; else by the rows of the weekday in the week in force.
    A store without any row is open on each other date, from midnight to midnight without a seam; one that has no other
    rows than those of closed days, or whose hours are not known, never opens.

    Parameters
    ----------
    starts, ends
        int64 of length n, UTC microseconds.

    Returns
    -------
    Sessions
        Maximal half-open intervals. They are not clipped: inside ``[starts[i], ends[i])`` they are exact, and
        a session that reaches out of it says no more than that the store was open at that edge.
    """
    # A row may end two days after its date, and local dates are a day off those of UTC at most.
    first_days, last_days = starts // DAY_US - 2, ends // DAY_US + 1
    rows, dates = _dates(schedule, *_within_limits(schedule, first_days, last_days))
    closing_local = closing_times(schedule.opens_local, schedule.closes_local)
    stores, opens_local, closes_local = schedule.stores[rows], schedule.opens_local[rows], closing_local[rows]
    special = special_on(schedule, first_days, last_days)
    if special is not None:
        is_special = _among(_keys(stores, dates), _keys(special.stores, special.dates))
        stores, dates, opens_local, closes_local = (
            np.concatenate([weekly[~is_special], others])
            for weekly, others in (
                (stores, special.stores),
                (dates, special.dates),
                (opens_local, special.opens_local),
                (closes_local, closing_times(special.opens_local, special.closes_local)),
            )
        )
    zones = zones_on(schedule, stores, dates)
    if schedule.dated_zones is not None:
        zoned = zones >= 0
        stores, dates, zones = stores[zoned], dates[zoned], zones[zoned]
        opens_local, closes_local = opens_local[zoned], closes_local[zoned]
    midnights = dates * DAY_US
    opens = to_utc(schedule.zone_names, zones, midnights + opens_local)
    closes = to_utc(schedule.zone_names, zones, midnights + closes_local)
    always = _always_open(schedule, special, first_days, last_days)
    stores, opens, closes = (
        np.concatenate([of_rows, others]) for of_rows, others in zip((stores, opens, closes), always, strict=True)
    )
    keep = (opens < closes) & (closes > starts[stores]) & (opens < ends[stores])
    if schedule.hours_known is not None:
        keep &= schedule.hours_known[stores]
    stores, opens, closes = stores[keep], opens[keep], closes[keep]
    by_store = np.argsort(stores, kind="stable")
    return _merged(stores[by_store], opens[by_store], closes[by_store], len(schedule.zones))


def reach(
    schedule: Schedule, first_seen: Instants, last_seen: Instants, start: int, end: int
) -> tuple[Instants, Instants]:
    """Return how far sessions must be known, per store, for a timeline over ``[start, end)``.

    Whether an observation outside ``[start, end)`` was made in the session of an instant inside depends on
    the hours between the two; so as far as the store's ``first_seen`` and ``last_seen`` observation, but no
    further than its sessions can be long.
    """
    is_endless = may_be_endless(schedule)
    earliest = np.where(is_endless, BEGINNING_OF_TIME, start - SESSION_REACH_US)
    latest = np.where(is_endless, END_OF_TIME, end + SESSION_REACH_US)
    return np.clip(first_seen, earliest, start), np.clip(last_seen + 1, end, latest)


def may_be_endless(schedule: Schedule) -> npt.NDArray[np.bool_]:
    """Say of each store whether its sessions may be longer than `SESSION_REACH_US`.

    One that goes on for a week needs rows of as many hours, whatever weeks and special hours they are of.
    """
    n = len(schedule.zones)
    open_us = np.zeros(n, dtype=np.int64)
    np.add.at(
        open_us, schedule.stores, closing_times(schedule.opens_local, schedule.closes_local) - schedule.opens_local
    )
    is_endless = np.zeros(n, dtype=np.bool_)
    special, dated = schedule.special, schedule.dated_zones
    if special is not None:
        lengths = closing_times(special.opens_local, special.closes_local) - special.opens_local
        of_every = special.stores == EVERY_STORE
        open_us += int(lengths[of_every].sum())
        np.add.at(open_us, special.stores[~of_every], lengths[~of_every])
    if dated is not None:  # where a zone changes, a closing may be swallowed too
        is_endless[dated.stores] = True
    if any(dates is not None for dates in (special, dated, schedule.first_days, schedule.last_days)):
        # Without rows a store is open from the beginning to the end of time, which is known as it is; with dates on
        # which it is closed, there are sessions to be told apart.
        is_endless |= np.bincount(schedule.stores, minlength=n) == 0
    is_endless |= open_us >= _WEEK_US
    return is_endless


def zones_on(schedule: Schedule, stores: Codes, dates: Integers) -> Codes:
    """Return the zone that is in force at each store on a local date, -1 before the first one of a store.

    ``stores``: int32. ``dates``: int64, days since the epoch. Returns int32, indices into the names of zones.
    """
    zones, dated = schedule.zones[stores], schedule.dated_zones
    if dated is None:
        return zones
    place = np.searchsorted(_keys(dated.stores, dated.since), _keys(stores, dates), side="right") - 1
    found = (place >= 0) & (dated.stores[place] == stores)
    is_dated = np.zeros(len(schedule.zones), dtype=np.bool_)
    is_dated[dated.stores] = True
    return np.where(found, dated.zones[place], np.where(is_dated[stores], np.int32(-1), zones))


def local_to_utc_of(schedule: Schedule, stores: Codes, local_us: Integers) -> Instants:
    """Convert wall-clock times of stores to instants, each with the zone in force on its own date.

    ``local_us``: microseconds since 1970-01-01 00:00 local. Before the first zone of a store is in force, that one
    counts.
    """
    zones = zones_on(schedule, stores, local_us // DAY_US)
    if schedule.dated_zones is not None:
        zones = np.where(zones < 0, _first_zones(schedule, schedule.dated_zones)[stores], zones)
    return to_utc(schedule.zone_names, zones, local_us)


def zone_changes(schedule: Schedule) -> tuple[Codes, Instants, Codes]:
    """Return from which instant on which zone is in force, for stores with dated zones: stores, instants, zones.

    In order of store and date. The first zone of a store counts since ever; any other one begins with its own midnight.
    """
    dated = schedule.dated_zones
    if dated is None:
        nothing = np.empty(0, dtype=np.int64)
        return nothing.astype(np.int32), nothing, nothing.astype(np.int32)
    is_first = np.diff(dated.stores, prepend=-1) != 0
    instants = np.full(len(dated.stores), BEGINNING_OF_TIME)
    instants[~is_first] = to_utc(schedule.zone_names, dated.zones[~is_first], dated.since[~is_first] * DAY_US)
    return dated.stores, instants, dated.zones


def wall_clocks(schedule: Schedule, start: int, end: int) -> tuple[WeekClocks, Codes]:
    """Return the wall clocks of stores over ``[start, end)``, and which of them each store has (int32).

    Stores whose zone changes have clocks of their own, one for all with the same zones since the same dates.
    """
    clocks = week_clocks(schedule.zone_names, start, end)
    if schedule.dated_zones is None:
        return clocks, schedule.zones
    stores, instants, zones = zone_changes(schedule)
    clock_of = schedule.zones.copy()
    starts, shifts, counts = [clocks.starts], [clocks.shifts], np.diff(clocks.offsets).tolist()
    known: dict[tuple[tuple[int, int], ...], int] = {}
    firsts = np.flatnonzero(np.diff(stores, prepend=-1)).tolist()
    for first, stop in zip(firsts, [*firsts[1:], len(stores)], strict=True):
        history = tuple(zip(instants[first:stop].tolist(), zones[first:stop].tolist(), strict=True))
        if history not in known:
            known[history] = len(counts)
            counts.append(0)
            for (since, zone), until in zip(history, [*(at for at, _ in history[1:]), END_OF_TIME], strict=True):
                mine = slice(clocks.offsets[zone], clocks.offsets[zone + 1])
                changes, offsets = clocks.starts[mine], clocks.shifts[mine]
                place = max(int(np.searchsorted(changes, since, side="right")) - 1, 0)
                stop_at = max(int(np.searchsorted(changes, until)), place + 1)
                starts.append(np.concatenate([[since], changes[place + 1 : stop_at]]))
                shifts.append(offsets[place:stop_at])
                counts[-1] += stop_at - place
        clock_of[stores[first]] = known[history]
    offsets_of = np.concatenate([[0], np.cumsum(counts)])
    return WeekClocks(offsets_of, np.concatenate(starts), np.concatenate(shifts)), clock_of


def _first_zones(schedule: Schedule, dated: DatedZones) -> Codes:
    zones = schedule.zones.copy()
    zones[dated.stores[::-1]] = dated.zones[::-1]
    return zones


def special_on(schedule: Schedule, first_days: Integers, last_days: Integers) -> SpecialHours | None:
    """Return the special rows that hold on dates of each store, from ``first_days[i]`` to ``last_days[i]`` included.

    Rows of every store are repeated for each store that has none of its own on that date; outside of its first and last
    day a store has none. In order of store and date; None where no store has any.
    """
    special = schedule.special
    if special is None:
        return None
    n = len(schedule.zones)
    first_days, last_days = _within_limits(schedule, first_days, last_days)
    common = np.flatnonzero(special.stores == EVERY_STORE)
    if len(common):
        common = common[
            (special.dates[common] >= first_days.min(initial=FOR_EVER))
            & (special.dates[common] <= last_days.max(initial=SINCE_EVER))
        ]
    own = np.flatnonzero(special.stores != EVERY_STORE)
    stores = np.concatenate([np.tile(np.arange(n, dtype=np.int32), len(common)), special.stores[own]])
    rows = np.concatenate([np.repeat(common, n), own])
    dates = special.dates[rows]
    keep = (dates >= first_days[stores]) & (dates <= last_days[stores])
    if len(common):
        own_keys = _keys(special.stores[own], special.dates[own])
        repeated = np.arange(len(rows)) < n * len(common)
        keep &= ~(repeated & _among(_keys(stores, dates), own_keys))
    stores, rows = stores[keep], rows[keep]
    order = np.argsort(_keys(stores, special.dates[rows]), kind="stable")
    return special.take(rows[order], stores[order])


def _within_limits(schedule: Schedule, first_days: Integers, last_days: Integers) -> tuple[Integers, Integers]:
    if schedule.first_days is not None:
        first_days = np.maximum(first_days, schedule.first_days)
    if schedule.last_days is not None:
        last_days = np.minimum(last_days, schedule.last_days)
    return first_days, last_days


def _keys(stores: Codes, dates: Integers) -> Integers:
    """Return stores and dates as integers in the same order."""
    keys: Integers = (stores.astype(np.int64) << _DATE_BITS) + dates
    return keys


def _among(keys: Integers, ascending: Integers) -> npt.NDArray[np.bool_]:
    """Say of each key whether it is one of those in ascending order."""
    if not len(ascending):
        return np.zeros(len(keys), dtype=np.bool_)
    place = np.minimum(np.searchsorted(ascending, keys), len(ascending) - 1)
    found: npt.NDArray[np.bool_] = ascending[place] == keys
    return found


def _always_open(
    schedule: Schedule, special: SpecialHours | None, first_days: Integers, last_days: Integers
) -> tuple[Codes, Instants, Instants]:
    """Return when stores without rows are open: all runs of dates on which nothing else is said."""
    n = len(schedule.zones)
    without = np.flatnonzero(np.bincount(schedule.stores, minlength=n) == 0).astype(np.int32)
    # The dates before the first one and after the last one, and those that are special: runs lie between them.
    before, after = np.full(len(without), SINCE_EVER), np.full(len(without), FOR_EVER)
    if schedule.first_days is not None:
        before = np.maximum(before, schedule.first_days[without] - 1)
    if schedule.last_days is not None:
        after = np.minimum(after, schedule.last_days[without] + 1)
    if schedule.dated_zones is not None:
        since = np.full(n, SINCE_EVER)
        since[schedule.dated_zones.stores[::-1]] = schedule.dated_zones.since[::-1]
        before = np.maximum(before, since[without] - 1)
    after = np.maximum(after, before)  # of a store whose last day is before its first one nothing lies between
    # Far dates are not converted; that the store is open up to there, or not, is all that is asked.
    before = np.where(before < first_days[without], SINCE_EVER, before)
    after = np.where(after > last_days[without], FOR_EVER, after)
    stores, dates = np.concatenate([without, without]), np.concatenate([before, after])
    if special is not None:
        has_none = np.zeros(n, dtype=np.bool_)
        has_none[without] = True
        mine = has_none[special.stores]
        stores = np.concatenate([stores, special.stores[mine]])
        dates = np.concatenate([dates, special.dates[mine]])
    order = np.argsort(_keys(stores, dates), kind="stable")
    stores, dates = stores[order], dates[order]
    is_run = (stores[1:] == stores[:-1]) & (dates[1:] > dates[:-1] + 1)
    owners, first, last = stores[1:][is_run], dates[:-1][is_run] + 1, dates[1:][is_run] - 1
    opens, closes = np.full(len(owners), BEGINNING_OF_TIME), np.full(len(owners), END_OF_TIME)
    begins, ends = first > SINCE_EVER + 1, last < FOR_EVER - 1
    for instants, chosen, days, midnights in ((opens, begins, first, 0), (closes, ends, last, DAY_US)):
        zones = zones_on(schedule, owners[chosen], days[chosen])
        instants[chosen] = to_utc(schedule.zone_names, zones, days[chosen] * DAY_US + midnights)
    return owners, opens, closes


def _dates(schedule: Schedule, first_days: Integers, last_days: Integers) -> tuple[Integers, Integers]:
    """Return (row, date) for each date, in days since the epoch, on which a row of the week in force takes place."""
    earliest, latest = first_days[schedule.stores], last_days[schedule.stores]
    if schedule.since is not None:
        until = _until(schedule.stores, schedule.since)
        earliest, latest = np.maximum(earliest, schedule.since), np.minimum(latest, until - 1)
    first = earliest + (schedule.weekdays - earliest - EPOCH_WEEKDAY) % 7
    counts = np.maximum((latest - first) // 7 + 1, 0)
    rows = np.repeat(np.arange(len(counts)), counts)
    nth_week = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows, first[rows] + 7 * nth_week


def _until(stores: Codes, since: Integers) -> Integers:
    """Return the date on which the next week of the store comes into force, for each row of a week."""
    order = np.argsort(_keys(stores, since), kind="stable")
    owners, dates = stores[order], since[order]
    is_new = (np.diff(owners, prepend=-1) != 0) | (np.diff(dates, prepend=FOR_EVER) != 0)
    weeks = np.flatnonzero(is_new)
    has_next = np.append(np.diff(owners[weeks]) == 0, False)
    following = np.where(has_next, np.append(dates[weeks][1:], FOR_EVER), FOR_EVER)
    until = np.empty(len(stores), dtype=np.int64)
    until[order] = following[np.cumsum(is_new) - 1]
    return until


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
    """Order the intervals of each store by start: many short sorts are faster than a long one by two keys.

    Shell's method: Numba takes 4 s to compile its own sort.
    """
    for i in range(len(starts)):
        order[i] = i
    for store in range(len(offsets) - 1):
        first, stop = offsets[store], offsets[store + 1]
        gap = stop - first
        while gap > 1:
            gap = max(gap * 5 // 11, 1)
            for i in range(first + gap, stop):
                moved = order[i]
                start = starts[moved]
                place = i
                while place >= first + gap and starts[order[place - gap]] > start:
                    order[place] = order[place - gap]
                    place -= gap
                order[place] = moved


@compiled
def _merge_loop(stores, starts, ends, begins, reached):  # type: ignore[no-untyped-def]
    """Say of each interval whether a session begins with it, and up to when its session reaches so far."""
    for i in range(len(stores)):
        begins[i] = i == 0 or stores[i] != stores[i - 1] or starts[i] > reached[i - 1]
        reached[i] = ends[i] if begins[i] else max(ends[i], reached[i - 1])
