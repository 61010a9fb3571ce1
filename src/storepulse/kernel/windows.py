"""Names + as_of → reporting intervals ``[start, end)``, the same for all stores or each store's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from storepulse.errors import InputError
from storepulse.kernel.hours import local_date, midnight
from storepulse.schema import DAY_US, HOUR_US, Instants, WeeklyHours, instant_text, instant_us

#: Elapsed time back from as_of.
ELAPSED_US: Final = {"last_hour": HOUR_US, "last_day": DAY_US, "last_week": 7 * DAY_US}
DEFAULT_WINDOWS: Final = tuple(ELAPSED_US)


def _month(day: date) -> date:
    return day.replace(day=1)


def _week(day: date) -> date:
    return day - timedelta(days=day.weekday())


_A_DAY: Final = timedelta(days=1)
#: From the local date of as_of to the first date inside and the first date after; weeks begin on Monday.
_CALENDAR: Final[dict[str, Callable[[date], tuple[date, date]]]] = {
    "today": lambda day: (day, day + _A_DAY),
    "yesterday": lambda day: (day - _A_DAY, day),
    "this_week": lambda day: (_week(day), _week(day) + 7 * _A_DAY),
    "previous_week": lambda day: (_week(day) - 7 * _A_DAY, _week(day)),
    "this_month": lambda day: (_month(day), _month(_month(day) + 31 * _A_DAY)),
    "previous_month": lambda day: (_month(_month(day) - _A_DAY), _month(day)),
}
WINDOW_NAMES: Final = (*ELAPSED_US, *_CALENDAR)


@dataclass(frozen=True)
class Window:
    """A reporting interval ``[start, end)`` with a name of its own.

    ``start`` and ``end`` are instants: text, aware datetimes, or microseconds; kept as microseconds.

    >>> Window("opening_day", "2023-01-21T15:00:00Z", "2023-01-22T15:00:00Z").end_us
    1674399600000000
    """

    name: str
    start_us: int
    end_us: int

    def __init__(self, name: str, start: str | datetime | int, end: str | datetime | int) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "start_us", instant_us(start))
        object.__setattr__(self, "end_us", instant_us(end))
        # The columns uptime_min of window x and uptime of window min_x would have one name.
        taken = name in WINDOW_NAMES or name.startswith(("min_", "max_"))
        if taken or not (name.isascii() and name.isidentifier()):
            raise InputError(
                f"a window cannot be called {name!r}; give it letters, digits and underscores, no min_ or max_ "
                f"in front, and none of the names that are taken: {', '.join(WINDOW_NAMES)}"
            )
        if self.start_us >= self.end_us:
            raise InputError(
                f"window {name!r} ends at {instant_text(self.end_us)}, which is not after its start "
                f"at {instant_text(self.start_us)}"
            )


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
            f"cannot read the window {text!r}; valid are NAME=START/END, such as jan=2023-01-01/2023-02-01"
        )
    return Window(name, start, end)


@dataclass(frozen=True)
class Windows:
    """Windows of every store: w names, and int64 ``starts`` and ``ends`` of shape (n, w), UTC microseconds.

    ``common`` holds the bounds that all stores share, by name; ``(None, None)`` for a calendar window, which
    differs from store to store as their midnights do.
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
        raise InputError(f"windows is the text {chosen!r}; give a list, such as [{chosen!r}]")
    names = tuple(window if isinstance(window, str) else window.name for window in chosen)
    if repeated := {name for name in names if names.count(name) > 1}:
        raise InputError(f"window {', '.join(sorted(repeated))} is asked for more than once")
    if not names:
        raise InputError(f"no window is asked for; valid are {', '.join(WINDOW_NAMES)} and windows of your own")
    for window in chosen:
        if isinstance(window, str) and window not in WINDOW_NAMES:
            raise InputError(
                f"there is no window {window!r}; valid are {', '.join(WINDOW_NAMES)}, "
                "or NAME=START/END for one of your own"
            )
    return names


def windows(chosen: Sequence[str | Window], as_of: int, hours: WeeklyHours) -> Windows:
    """Lay the chosen windows, given by name or whole, for every store.

    Raises
    ------
    InputError
        A name is unknown, or chosen twice.
    """
    names = window_names(chosen)
    common = {name: _common_bounds(window, as_of) for name, window in zip(names, chosen, strict=True)}
    bounds = np.empty((len(hours.zones), len(names), 2), dtype=np.int64)
    for place, name in enumerate(names):
        if name in _CALENDAR:
            by_zone = [_calendar_bounds(name, zone_name, as_of) for zone_name in hours.zone_names]
            bounds[:, place] = np.array(by_zone, dtype=np.int64)[hours.zones]
        else:
            bounds[:, place] = np.array(common[name], dtype=np.int64)
    return Windows(names, bounds[:, :, 0], bounds[:, :, 1], common)


def _common_bounds(window: str | Window, as_of: int) -> tuple[int | None, int | None]:
    if isinstance(window, Window):
        return window.start_us, window.end_us
    if window in ELAPSED_US:
        return as_of - ELAPSED_US[window], as_of
    return None, None


def _calendar_bounds(name: str, zone_name: str, as_of: int) -> tuple[int, int]:
    first, after = _CALENDAR[name](local_date(zone_name, as_of))
    return midnight(zone_name, first), midnight(zone_name, after)
