"""Windows → the windows before them, of which the same part has elapsed: what figures are compared with.

The windows before end where the windows begin. A calendar window is preceded by the period before on each store's
local calendar, any other one by the same length of time. The rules are in decision 0033.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Final

import numpy as np

from uphours.kernel.local_time import EPOCH, wall_clock
from uphours.kernel.schedule import local_to_utc_of
from uphours.kernel.windows import CALENDAR, Window, Windows, windows, zones_at
from uphours.schema import Instants, Schedule

_LOCAL_EPOCH: Final = EPOCH.replace(tzinfo=None)
#: Windows that are preceded by months, and by how many.
_MONTHS: Final = {"this_month": 1, "previous_month": 1, "this_quarter": 3, "previous_quarter": 3}
#: What stands before the name of the window that precedes another one; no name of a window has a blank.
_BEFORE: Final = "before "


def with_before(chosen: Sequence[str | Window], as_of: int, schedule: Schedule) -> Windows:
    """Lay the chosen windows for every store, and behind them, in the same order, the windows before; see `apart`.

    Of a window that is not over at ``as_of``, only the part of the window before counts that had elapsed then.

    Raises
    ------
    InputError
        A name is unknown, or chosen twice.
    """
    laid = windows(chosen, as_of, schedule)
    starts, ends = np.empty_like(laid.starts), np.empty_like(laid.ends)
    common: dict[str, tuple[int | None, int | None]] = {}
    for place, (name, window) in enumerate(zip(laid.names, chosen, strict=True)):
        bounds = laid.starts[:, place], laid.ends[:, place]
        if _is_calendar(window):
            starts[:, place], ends[:, place] = _period_before(window, as_of, schedule, *bounds)
            common[name] = None, None
        else:
            starts[:, place], ends[:, place] = _length_before(as_of, *bounds)
            common[name] = _common_before(as_of, *laid.common[name])
    return together(laid, Windows(laid.names, starts, ends, common))


def together(laid: Windows, before: Windows) -> Windows:
    """Return windows, and behind them those before, which have the same names."""
    return Windows(
        (*laid.names, *(_BEFORE + name for name in before.names)),
        np.concatenate([laid.starts, before.starts], axis=1),
        np.concatenate([laid.ends, before.ends], axis=1),
        laid.common | {_BEFORE + name: bounds for name, bounds in before.common.items()},
    )


def apart(both: Windows) -> tuple[Windows, Windows]:
    """Return the windows and those before, out of what `together` returned."""
    w = len(both.names) // 2
    names = both.names[:w]
    return (
        Windows(names, both.starts[:, :w], both.ends[:, :w], {name: both.common[name] for name in names}),
        Windows(names, both.starts[:, w:], both.ends[:, w:], {name: both.common[_BEFORE + name] for name in names}),
    )


def _is_calendar(window: str | Window) -> bool:
    if isinstance(window, str):
        return window in CALENDAR
    return window.start_date is not None and window.end_date is not None


def _length_before(as_of: int, starts: Instants, ends: Instants) -> tuple[Instants, Instants]:
    """Return the same length of time before ``[starts, ends)``, up to the part that has elapsed at ``as_of``."""
    lengths = np.maximum(ends - starts, 0)  # a window of a date and an instant may be empty at a store
    return starts - lengths, starts - lengths + np.clip(as_of - starts, 0, lengths)


def _common_before(as_of: int, start: int | None, end: int | None) -> tuple[int | None, int | None]:
    if start is None or end is None:
        return None, None
    first, last = _length_before(as_of, np.array([start]), np.array([end]))
    return int(first[0]), int(last[0])


def _period_before(
    window: str | Window, as_of: int, schedule: Schedule, starts: Instants, ends: Instants
) -> tuple[Instants, Instants]:
    """Return the period before a calendar window of each store, up to the same local date and time of day in it."""
    stores = np.arange(len(schedule.zones), dtype=np.int32)
    in_force = zones_at(schedule, as_of)
    by_zone = np.array([_local_before(window, as_of, name) for name in schedule.zone_names], dtype=np.int64)
    first_local, elapsed_local = by_zone.reshape(-1, 2)[in_force].T
    firsts = local_to_utc_of(schedule, stores, first_local)
    elapsed = np.clip(local_to_utc_of(schedule, stores, elapsed_local), firsts, starts)
    return firsts, np.where(as_of >= ends, starts, np.where(as_of <= starts, firsts, elapsed))


def _local_before(window: str | Window, as_of: int, zone_name: str) -> tuple[int, int]:
    """Return where the period before begins, and up to where it has elapsed, in local microseconds since 1970."""
    now = wall_clock(zone_name, as_of).replace(tzinfo=None)
    if isinstance(window, str):
        start, end = CALENDAR[window](now.date())
    else:
        assert window.start_date is not None  # it is a calendar window
        assert window.end_date is not None
        start, end = window.start_date, window.end_date
    first = _first_before(window, start, end)
    first_local, start_local = _local_us(first), _local_us(start)
    now_local = (now - _LOCAL_EPOCH) // timedelta(microseconds=1)
    # A period before that is shorter has elapsed at its end: the 31st has no match in November.
    return first_local, min(max(first_local + now_local - start_local, first_local), start_local)


def _first_before(window: str | Window, start: date, end: date) -> date:
    """Return the first date of the period before: months before months, and as many days before anything else."""
    months = _MONTHS.get(window, 0) if isinstance(window, str) else _whole_months(start, end)
    if not months:
        return start - (end - start)
    year, month = divmod(start.year * 12 + start.month - 1 - months, 12)
    return date(year, month + 1, 1)


def _whole_months(start: date, end: date) -> int:
    """Return how many calendar months ``[start, end)`` is; 0 where it is something else."""
    if start.day != 1 or end.day != 1:
        return 0
    return (end.year - start.year) * 12 + end.month - start.month


def _local_us(day: date) -> int:
    return (datetime.combine(day, time()) - _LOCAL_EPOCH) // timedelta(microseconds=1)
