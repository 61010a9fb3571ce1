"""What goes out over HTTP of the calendar of a store; as in `uphours.service.models`."""

from __future__ import annotations

from pydantic import BaseModel, Field

from uphours.wire_calendar import Origin


class OpeningModel(BaseModel):
    """From when to when a store is open on its own clock; an end that is not after the start is of the next day."""

    start: str
    end: str


class CalendarDayModel(BaseModel):
    """A local date of a store: where its hours come from, and the hours."""

    date: str
    origin: Origin
    hours: list[OpeningModel] = Field(description="None on a date on which no session begins.")
    valid_from: str | None = Field(description="From when on the week is in force; null for one without a date.")
    name: str = Field(description="What people call the date.")
    timezone: str | None = Field(description="The zone in force; null before the first one.")


class CalendarModel(BaseModel):
    """The schedule of one store day by day; ``end`` is not included."""

    store_id: str
    first: str
    end: str
    days: list[CalendarDayModel]
