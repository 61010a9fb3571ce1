"""Names + as_of → reporting intervals ``[start, end)``, the same for all stores or each store's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from uphours.errors import InputError, shown, wrong
from uphours.kernel.local_time import EPOCH, local_date, midnight
from uphours.kernel.schedule import local_to_utc_of, zone_changes
from uphours.schema import DAY_US, HOUR_US, Codes, Instant, Instants, Schedule, instant_text, instant_us

_ANY_DATE: Final = date(2000, 1, 1)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
#: Elapsed time back from as_of.
ELAPSED_US: Final = {"last_hour": HOUR_US, "last_day": DAY_US, "last_week": 7 * DAY_US}
DEFAULT_WINDOWS: Final = tuple(ELAPSED_US)


def _month(day: date) -> date:
    return day.replace(day=1)


def _quarter(day: date) -> date:
    return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)


def _week(day: date) -> date:
    return day - timedelta(days=day.weekday())


_A_DAY: Final = timedelta(days=1)
#: From the local date of as_of to the first date inside and the first date after; weeks begin on Monday.
CALENDAR: Final[dict[str, Callable[[date], tuple[date, date]]]] = {
    "today": lambda day: (day, day + _A_DAY),
    "yesterday": lambda day: (day - _A_DAY, day),
    "this_week": lambda day: (_week(day), _week(day) + 7 * _A_DAY),
    "previous_week": lambda day: (_week(day) - 7 * _A_DAY, _week(day)),
    "this_month": lambda day: (_month(day), _month(_month(day) + 31 * _A_DAY)),
    "previous_month": lambda day: (_month(_month(day) - _A_DAY), _month(day)),
    "this_quarter": lambda day: (_quarter(day), _quarter(_quarter(day) + 93 * _A_DAY)),
    "previous_quarter": lambda day: (_quarter(_quarter(day) - _A_DAY), _quarter(day)),
}
WINDOW_NAMES: Final = (*ELAPSED_US, *CALENDAR)


@dataclass(frozen=True)
class Window:
    """A reporting interval ``[start, end)`` with a name of its own.

    ``start`` and ``end`` are instants (text with a time of day, aware datetimes, microseconds), kept as ``start_us``
    and ``end_us``, or dates (text without a time of day, `datetime.date`), kept as ``start_date`` and ``end_date``,
    which mean the local midnights of each store with which they begin. Of each bound one of the two is None.

    >>> Window("opening_day", "2023-01-21T15:00:00Z", "2023-01-22T15:00:00Z").end_us
    1674399600000000
    >>> Window("christmas", "2026-12-24", "2026-12-27").end_date
    datetime.date(2026, 12, 27)

    Raises
    ------
    InputError
        The name is taken or no name at all, a bound cannot be read, or the end is not after the start.
    """

    name: str
    start_us: int | None
    end_us: int | None
    start_date: date | None
    end_date: date | None

    def __init__(self, name: str, start: Instant, end: Instant) -> None:
        if not isinstance(name, str):
            raise wrong("name of a window", name, "letters, digits and underscores")
        # The columns uptime_min of window x and uptime of window min_x would have one name.
        taken = name in WINDOW_NAMES or name.startswith(("min_", "max_"))
        if taken or not (name.isascii() and name.isidentifier()):
            raise InputError(
                f"a window cannot be called {shown(name)}; give it letters, digits and underscores, no min_ or max_ "
                f"in front, and none of the names that are taken: {', '.join(WINDOW_NAMES)}"
            )
        dates = [_date_of(bound) for bound in (start, end)]
        instants = [instant_us(bound) if day is None else None for bound, day in zip((start, end), dates, strict=True)]
        for field, value in zip(fields(self), (name, *instants, *dates), strict=True):
            object.__setattr__(self, field.name, value)
        starts, ends = self.bounds_us()
        if starts >= ends:
            first, last = (day or instant_text(us) for day, us in zip(dates, (starts, ends), strict=True))
            raise InputError(f"window {name!r} ends at {last}, which is not after its start at {first}")

    def bounds_us(self) -> tuple[int, int]:
        """Return its bounds in microseconds: instants, and the midnights of dates in UTC."""
        bounds = (self.start_us, self.start_date), (self.end_us, self.end_date)
        start, end = (_microseconds(bound) for pair in bounds for bound in pair if bound is not None)
        return start, end

    def to_dict(self) -> dict[str, str | int]:
        """Return the window as plain values: its name, instants in microseconds and dates as text."""
        values = {name: value for name, value in vars(self).items() if value is not None}
        return {name: value if isinstance(value, int) else str(value) for name, value in values.items()}


def _microseconds(bound: int | date) -> int:
    """Return a bound that was read before in microseconds; a date is its midnight in UTC."""
    return bound if isinstance(bound, int) else instant_us(bound)


def _date_of(value: Instant) -> date | None:
    """Return the date that a bound names, None for one that names an instant."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and _DATE.fullmatch(value.strip()):
        return (EPOCH + timedelta(microseconds=instant_us(value))).date()
    return None


def window_of(text: str) -> str | Window:
    """Read a window as people write it: a name, or ``NAME=START/END`` for one of their own.

    Raises
    ------
    InputError
        It has no end, or the bounds make no sense; a name is not looked at.
    """
    name, equals, bounds = text.partition("=")
    if not equals:
        return name
    start, slash, end = bounds.partition("/")
    if not slash:
        raise InputError(
            f"cannot read the window {text!r}; valid are NAME=START/END, such as jan=2023-01-01/2023-02-01 for local "
            "dates, or night=2023-01-01T20:00Z/2023-01-02T06:00Z for instants"
        )
    return Window(name, start, end)


@dataclass(frozen=True)
class Windows:
    """Windows of every store: w names, and int64 ``starts`` and ``ends`` of shape (n, w), UTC microseconds.

    ``common`` holds the bounds that all stores share, by name; None for a bound that is a local date, which differs
    from store to store as their midnights do.
    """

    names: tuple[str, ...]
    starts: Instants
    ends: Instants
    common: dict[str, tuple[int | None, int | None]]

    def of(self, stores: Instants | slice) -> Windows:
        """Return the windows of some stores, given by position."""
        return Windows(self.names, self.starts[stores], self.ends[stores], self.common)


def window_names(chosen: Sequence[str | Window]) -> tuple[str, ...]:
    """Return the names of windows that are chosen by name or whole.

    Raises
    ------
    InputError
        A name is unknown, or chosen twice, or there is none.
    """
    if isinstance(chosen, str):
        raise InputError(f"windows is the text {shown(chosen)}; give a list, such as [{shown(chosen)}]")
    for window in chosen:
        if not isinstance(window, str | Window):
            raise wrong("one of windows", window, f"{', '.join(WINDOW_NAMES)} and Window('NAME', START, END)")
    names = tuple(window if isinstance(window, str) else window.name for window in chosen)
    if repeated := {name for name in names if names.count(name) > 1}:
        raise InputError(f"window {', '.join(sorted(repeated))} is asked for more than once")
    if not names:
        raise InputError(f"no window is asked for; valid are {', '.join(WINDOW_NAMES)} and windows of your own")
    for window in chosen:
        if isinstance(window, str) and window not in WINDOW_NAMES:
            raise InputError(
                f"there is no window {shown(window)}; valid are {', '.join(WINDOW_NAMES)}, "
                "or NAME=START/END for one of your own"
            )
    return names


def windows(chosen: Sequence[str | Window], as_of: int, schedule: Schedule) -> Windows:
    """Lay the chosen windows, given by name or whole, for every store.

    Raises
    ------
    InputError
        A name is unknown, or chosen twice.
    """
    names = window_names(chosen)
    common = {name: _common_bounds(window, as_of) for name, window in zip(names, chosen, strict=True)}
    bounds = np.empty((len(schedule.zones), len(names), 2), dtype=np.int64)
    for place, (name, window) in enumerate(zip(names, chosen, strict=True)):
        if None in common[name]:
            bounds[:, place] = _local_bounds(window, as_of, schedule)
        for side, us in enumerate(common[name]):
            if us is not None:
                bounds[:, place, side] = us
    return Windows(names, bounds[:, :, 0], bounds[:, :, 1], common)


def _common_bounds(window: str | Window, as_of: int) -> tuple[int | None, int | None]:
    if isinstance(window, Window):
        return window.start_us, window.end_us
    if window in ELAPSED_US:
        return as_of - ELAPSED_US[window], as_of
    return None, None


def _local_bounds(window: str | Window, as_of: int, schedule: Schedule) -> Instants:
    """Return the midnights with which a window begins and ends at each store, of shape (stores, 2).

    A bound that is no date gets any midnight.
    """

    def dates(zone_name: str) -> tuple[date, date]:
        if isinstance(window, str):
            return CALENDAR[window](local_date(zone_name, as_of))
        return window.start_date or _ANY_DATE, window.end_date or _ANY_DATE

    by_zone = [[midnight(name, day) for day in dates(name)] for name in schedule.zone_names]
    bounds: Instants = np.array(by_zone, dtype=np.int64).reshape(-1, 2)[schedule.zones]
    if schedule.dated_zones is not None:
        # The zone in force at as_of says which date it is, that of a date where its midnight is.
        in_force = zones_at(schedule, as_of)
        dated = np.unique(schedule.dated_zones.stores)
        days = [dates(schedule.zone_names[zone]) for zone in in_force[dated].tolist()]
        local_us = np.array([[instant_us(day) for day in pair] for pair in days], dtype=np.int64)
        for side in (0, 1):
            bounds[dated, side] = local_to_utc_of(schedule, dated, local_us[:, side])
    return bounds


def zones_at(schedule: Schedule, instant: int) -> Codes:
    """Return the zone that is in force at each store at an instant; int32, indices into the names of zones."""
    stores, since, zones = zone_changes(schedule)
    in_force = schedule.zones.copy()
    begun = since <= instant
    in_force[stores[begun]] = zones[begun]  # of several of a store, the last one stays
    return in_force


def laid_in_pieces(
    stores: npt.NDArray[np.int64], starts: Instants, ends: Instants
) -> tuple[npt.NDArray[np.int64], Windows, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Lay pieces ``[starts[i], ends[i])`` of stores, in order of store, as windows.

    Returns the stores, each once; their windows, of each store as many as the one with the most has; and the row and
    the column of each piece in these.
    """
    found, first, row = np.unique(stores, return_index=True, return_inverse=True)
    column = np.arange(len(stores)) - first[row]
    most = int(column.max(initial=0)) + 1
    laid_starts = np.repeat(starts[first][:, np.newaxis], most, axis=1)
    laid_ends = laid_starts.copy()  # no time at all, where a store has fewer pieces than another one
    laid_starts[row, column], laid_ends[row, column] = starts, ends
    names = tuple(f"piece {number}" for number in range(most))
    return found, Windows(names, laid_starts, laid_ends, {}), (row, column)
