"""The calendar of a store."""

from typing import Annotated

from typing_extensions import TypedDict

from uphours.wire.fields import Doc
from uphours.wire.words import Origin


class Opening(TypedDict):
    """From when to when a store is open on its own clock; an end that is not after the start is of the next day."""

    start: str
    end: str


class CalendarDay(TypedDict):
    """A local date of a store: where its hours come from, and the hours."""

    date: str
    origin: Origin
    hours: Annotated[list[Opening], Doc("None on a date on which no session begins.")]
    valid_from: Annotated[str | None, Doc("From when on the week is in force; null for one without a date.")]
    name: Annotated[str, Doc("What people call the date.")]
    timezone: Annotated[str | None, Doc("The zone in force; null before the first one.")]


class Calendar(TypedDict):
    """The schedule of one store day by day; ``end`` is not included."""

    store_id: str
    first: str
    end: str
    days: list[CalendarDay]
