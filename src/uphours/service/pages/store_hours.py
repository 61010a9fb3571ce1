"""The hours of a store as its page has them: the exceptions of a window, and from when on its week is in force."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Final
from urllib.parse import urlencode

from uphours.kernel.local_time import local_date
from uphours.reports.store_calendar import MOST_DAYS, calendar, week_on
from uphours.schema import SINCE_EVER, Schedule
from uphours.wire.calendar_messages import CalendarDay

_EPOCH: Final = date(1970, 1, 1)
_A_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Run:
    """Dates in a row, both ends included, with the same hours from the same place."""

    first: date
    last: date
    says: str
    hours: str


def notes_on(schedule: Schedule, dates: Sequence[date]) -> dict[date, str]:
    """Return what is to be said of the hours of some dates in a row: exceptions, and days on which a week begins."""
    if not dates or not schedule.known()[0]:
        return {}
    days = calendar(schedule, 0, dates[0], dates[-1] + _A_DAY)
    return {day.day: f"{day.says()}, {day.hours()}" for day in days if day.is_exception or day.valid_from == day.day}


def runs_of(days: Iterable[CalendarDay]) -> list[Run]:
    """Return days as runs, so that a year in which a store is closed is one line."""
    # In a run of dates, the ordinal of the date less the place is the same.
    placed = ((date.fromisoformat(day["date"]).toordinal() - place, day) for place, day in enumerate(days))
    runs = groupby(placed, lambda pair: (pair[0], origin_of(pair[1]), hours_of(pair[1])))
    return [_run([day for _, day in run]) for _, run in runs]


def _run(days: Sequence[CalendarDay]) -> Run:
    first, last = (date.fromisoformat(day["date"]) for day in (days[0], days[-1]))
    return Run(first, last, origin_of(days[0]), ", ".join(hours_of(days[0])) or "closed")


def origin_of(day: CalendarDay) -> str:
    """Return where the hours of a day come from, in words."""
    if day["valid_from"] is not None:
        return f"{day['origin']} from {day['valid_from']}"
    return f"{day['origin']}: {day['name']}" if day["name"] else day["origin"]


def hours_of(day: CalendarDay) -> list[str]:
    """Return the hours of a day as people write them; none of a day on which no session begins."""
    return ["all day"] if day["origin"] == "always open" else [f"{one['start']}–{one['end']}" for one in day["hours"]]


def week_since(schedule: Schedule, day: date) -> date | None:
    """Return from which date on the week in force on a date is valid; None for one without a date, or no week."""
    if schedule.since is None:
        return None
    in_force = schedule.since[week_on(schedule, day)]
    return None if not len(in_force) or in_force[0] == SINCE_EVER else _EPOCH + timedelta(days=int(in_force[0]))


def calendar_of(zone: str, start: int, end: int) -> str:
    """Return the query of the calendar of a window, of as many days as a calendar may have."""
    first, last = local_date(zone, start), local_date(zone, end - 1)
    return urlencode({"from": max(first, last - (MOST_DAYS - 1) * _A_DAY), "to": last + _A_DAY})
