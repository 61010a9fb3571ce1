"""What goes over HTTP of the calendar of a store; as in `uphours.wire`."""

from __future__ import annotations

from typing import Literal, TypedDict

Origin = Literal[
    "week", "special hours", "special hours of every store", "always open", "outside first and last day",
    "before the first week", "before the first zone", "hours unknown",
]  # fmt: skip


class Opening(TypedDict):
    """From when to when a store is open on its own clock."""

    start: str
    end: str


class CalendarDay(TypedDict):
    """A local date of a store: where its hours come from, and the hours."""

    date: str
    origin: Origin
    hours: list[Opening]
    valid_from: str | None
    name: str
    timezone: str | None


class Calendar(TypedDict):
    """The schedule of one store day by day; ``end`` is not included."""

    store_id: str
    first: str
    end: str
    days: list[CalendarDay]
