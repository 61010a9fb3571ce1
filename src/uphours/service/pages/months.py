"""The calendar of a store, month by month: the hours of each day, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Final

from fastapi import APIRouter, Request, Response

from uphours.service.api import calendars
from uphours.service.api.stores import StoreName
from uphours.service.auth import Calling, needs
from uphours.service.deps import Serving
from uphours.service.lane_routes import StoreRoute
from uphours.service.pages.query import Asking
from uphours.service.pages.rendering import page
from uphours.service.pages.store_hours import hours_of, origin_of
from uphours.wire.calendar_messages import CalendarDay

router = APIRouter(route_class=StoreRoute, include_in_schema=False)

#: Origins of a day that follows the usual week.
_USUAL: Final = ("week", "always open")


@dataclass(frozen=True)
class Day:
    """A day of the calendar; ``origin``: where its hours come from, in words; ``valid_from``: that of its week.

    ``begins_week``: whether its week is in force from this day on.
    """

    date: date
    hours: list[str]
    origin: str
    valid_from: str | None
    is_exception: bool
    begins_week: bool


@dataclass(frozen=True)
class Month:
    """The days of one month that are shown."""

    first: date
    days: list[Day]


@router.get("/stores/{store_id:path}/calendar")
@needs("read", sees="stores")
def show_calendar(request: Request, serving: Serving, caller: Calling, asking: Asking, store_id: StoreName) -> Response:
    """Show the calendar of one store."""
    chosen = [request.query_params.get(name, "").strip() or None for name in ("from", "to")]
    found = calendars.show_calendar(serving, caller, store_id, *chosen)
    first, end = date.fromisoformat(found["first"]), date.fromisoformat(found["end"])
    days = [_day(day) for day in found["days"]]
    return page(
        request,
        "calendar",
        asked=asking,
        store_id=store_id,
        first=first,
        end=end,
        before=_moved(first, end, -1),
        after=_moved(first, end, 1),
        zones=list(dict.fromkeys(day["timezone"] for day in found["days"] if day["timezone"])),
        months=[Month(month, list(of)) for month, of in groupby(days, lambda day: day.date.replace(day=1))],
    )


def _day(day: CalendarDay) -> Day:
    return Day(
        date=date.fromisoformat(day["date"]),
        hours=hours_of(day),
        origin=day["origin"] if day["valid_from"] else origin_of(day),
        valid_from=day["valid_from"],
        is_exception=day["origin"] not in _USUAL,
        begins_week=day["valid_from"] == day["date"],
    )


def _moved(first: date, end: date, step: int) -> tuple[date, date] | None:
    """Return as many days before or after, if there are such days."""
    length: timedelta = step * (end - first)
    try:
        return first + length, end + length
    except OverflowError:
        return None
