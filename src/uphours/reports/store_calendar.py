"""The schedule of a store day by day, each day with where its hours come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from uphours.errors import InputError
from uphours.kernel.local_time import hours_text
from uphours.kernel.schedule import special_on, zones_on
from uphours.schema import CLOSED, DAY_US, EVERY_STORE, FOR_EVER, SINCE_EVER, Schedule
from uphours.wire.words import Origin

if TYPE_CHECKING:
    from uphours.wire import calendar_messages

#: Dates that are asked for at once: thirty years.
MOST_DAYS: Final = 11_000
_EPOCH: Final = date(1970, 1, 1)
_ALWAYS: Final = [(0, DAY_US)]


@dataclass(frozen=True)
class CalendarDay:
    """A local date of a store: where its hours come from, and the hours, in microseconds since its midnight as written.

    ``openings``: none on a date on which the store is closed. ``valid_from``: that of the week, None for one without;
    ``name``: what people call the date, blank where nothing is said; ``timezone``: the zone in force, None before the
    first one.
    """

    day: date
    origin: Origin
    openings: list[tuple[int, int]]
    valid_from: date | None
    name: str
    timezone: str | None

    @property
    def is_exception(self) -> bool:
        """Whether something else than the week decides."""
        return self.origin not in ("week", "always open")

    def hours(self) -> str:
        """Return the hours as people write them: ``09:00–12:00, 13:00–17:00``, or ``closed``."""
        if self.origin == "always open":
            return "all day"
        return ", ".join("–".join(hours_text(*opening)) for opening in self.openings) or "closed"

    def says(self) -> str:
        """Return where the hours come from, in words: ``week from 2026-11-02``, ``special hours: Christmas Day``."""
        if self.valid_from is not None:
            return f"{self.origin} from {self.valid_from}"
        return f"{self.origin}: {self.name}" if self.name else self.origin

    def facts(self) -> calendar_messages.CalendarDay:
        """Return the day as plain values."""
        return {
            "date": str(self.day),
            "origin": self.origin,
            "hours": [
                {"start": start, "end": end} for start, end in (hours_text(*opening) for opening in self.openings)
            ],
            "valid_from": None if self.valid_from is None else str(self.valid_from),
            "name": self.name,
            "timezone": self.timezone,
        }


def calendar(schedule: Schedule, store: int, first: date, end: date) -> list[CalendarDay]:
    """Return the local dates ``[first, end)`` of one store, given by position.

    Raises
    ------
    InputError
        There are none, or more than thirty years of them.
    """
    days = (end - first).days
    if not 0 < days <= MOST_DAYS:
        raise InputError(
            f"a calendar from {first} to {end} has {days:,} days; valid are 1 to {MOST_DAYS:,}, without the end"
        )
    return list(_days(schedule.of(store, store + 1), first, days))


def is_weekly(schedule: Schedule) -> bool:
    """Say whether nothing but weeks without dates, and zones, decides when stores are open."""
    parts = (schedule.since, schedule.dated_zones, schedule.special, schedule.first_days, schedule.last_days)
    return all(part is None for part in parts)


def week_on(schedule: Schedule, day: date) -> npt.NDArray[np.bool_]:
    """Say of each row of a single store whether its week is in force on a date."""
    if schedule.since is None:
        return np.ones(len(schedule.stores), dtype=np.bool_)
    begun = schedule.since[schedule.since <= (day - _EPOCH).days]
    in_force: npt.NDArray[np.bool_] = schedule.since == (begun.max() if len(begun) else FOR_EVER)
    return in_force


def usual_week(schedule: Schedule, day: date) -> list[list[tuple[int, int]]] | None:
    """Return the openings of each weekday, from Monday, in the week in force on a date at the only store of a schedule.

    In microseconds since local midnight. None where no week is in force.
    """
    weeks = _weeks(schedule)
    since = max((since for since in weeks if since <= (day - _EPOCH).days), default=None)
    return None if since is None else weeks[since]


def _days(schedule: Schedule, first: date, days: int) -> Iterator[CalendarDay]:
    start = (first - _EPOCH).days
    dates = np.arange(start, start + days, dtype=np.int64)
    zones = zones_on(schedule, np.zeros(days, dtype=np.int32), dates).tolist()
    specials = _specials(schedule, start, days)
    weeks = _weeks(schedule)
    low = SINCE_EVER if schedule.first_days is None else int(schedule.first_days[0])
    high = None if schedule.last_days is None else int(schedule.last_days[0])
    is_known = bool(schedule.known()[0])
    for place, number in enumerate(dates.tolist()):
        day = first + timedelta(days=place)
        zone = None if zones[place] < 0 else schedule.zone_names[zones[place]]
        since = max((since for since in weeks if since <= number), default=None)
        origin: Origin
        openings: list[tuple[int, int]] = []
        name, valid_from = "", None
        if not is_known:
            origin = "hours unknown"
        elif number < low or (high is not None and number > high):
            origin = "outside first and last day"
        elif zone is None:
            origin = "before the first zone"
        elif number in specials:
            origin, name, openings = specials[number]
        elif not weeks:
            origin, openings = "always open", _ALWAYS
        elif since is None:
            origin = "before the first week"
        else:
            origin, openings = "week", weeks[since][day.weekday()]
            valid_from = None if since == SINCE_EVER else _EPOCH + timedelta(days=since)
        yield CalendarDay(day, origin, openings, valid_from, name, zone)


def _specials(schedule: Schedule, start: int, days: int) -> dict[int, tuple[Origin, str, list[tuple[int, int]]]]:
    """Return the special hours of dates: where they come from, what the date is called, and the openings."""
    found = special_on(schedule, np.array([start]), np.array([start + days - 1]))
    if found is None or schedule.special is None:
        return {}
    own = set(schedule.special.dates[schedule.special.stores != EVERY_STORE].tolist())
    dates: dict[int, tuple[Origin, str, list[tuple[int, int]]]] = {}
    names = found.names or [""] * len(found)
    rows = zip(found.dates.tolist(), found.opens_local.tolist(), found.closes_local.tolist(), names, strict=True)
    for number, opens, closes, name in rows:
        origin: Origin = "special hours" if number in own else "special hours of every store"
        _, _, openings = dates.setdefault(number, (origin, name, []))
        if (opens, closes) != CLOSED:
            openings.append((opens, closes))
    return dates


def _weeks(schedule: Schedule) -> dict[int, list[list[tuple[int, int]]]]:
    """Return the openings of each weekday, by the date from which on the week is in force."""
    since = np.full(len(schedule.stores), SINCE_EVER) if schedule.since is None else schedule.since
    weeks: dict[int, list[list[tuple[int, int]]]] = {}
    rows = zip(
        since.tolist(), schedule.weekdays.tolist(), schedule.opens_local.tolist(), schedule.closes_local.tolist(),
        strict=True,
    )  # fmt: skip
    for valid_from, weekday, opens, closes in sorted(rows):
        week = weeks.setdefault(valid_from, [[] for _ in range(7)])
        if (opens, closes) != CLOSED:
            week[weekday].append((opens, closes))
    return weeks
