"""What goes in and out over HTTP, as the OpenAPI document describes it.

Instants are text in ISO 8601 where a name ends in ``_at`` or is ``as_of``, and microseconds since the epoch, UTC,
where it ends in ``_us``; durations are microseconds.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from uphours.errors import InputError, shown
from uphours.schema import STORE_ID_MAX_LENGTH
from uphours.service.calendar_models import CalendarDayModel
from uphours.wire import ObservationStatus, SpanStatus, StoreState

StoreId = Annotated[str, Field(min_length=1, max_length=STORE_ID_MAX_LENGTH)]
LocalDate = Annotated[str, Field(max_length=10, examples=["2026-12-24"])]
AttributeText = Annotated[str, Field(max_length=STORE_ID_MAX_LENGTH)]
Values: TypeAlias = dict[AttributeText, Annotated[list[AttributeText], Field(min_length=1, max_length=1_000)]]
"""Values by name of attribute."""
Instant = Annotated[str, Field(max_length=64, examples=["2023-01-25T18:13:22Z"])]


class Problem(BaseModel):
    """A failure (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None


def date_of(name: str, text: str) -> date:
    """Read a date as people write it in ISO 8601.

    Raises
    ------
    InputError
        It is no date, or not of the years 1970 to 2199.
    """
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.isoformat() != text or not 1970 <= found.year < 2200:
        raise InputError(f"{name} is {shown(text)}; valid are dates such as 2023-01-25, of the years 1970 to 2199")
    return found


class Durations(BaseModel):
    """Parts of scheduled time in microseconds; ``raw``: without the ledger."""

    uptime_us: int
    downtime_us: int
    unknown_us: int
    excluded_us: int = Field(description="Scheduled time that does not count, by the ledger.")
    scheduled_us: int = Field(description="Open time, excluded or not.")
    business_us: int = Field(description="Scheduled time that counts: uptime, downtime and unknown.")
    raw_uptime_us: int
    raw_downtime_us: int
    raw_unknown_us: int
    watched_us: int
    uptime_min_us: int
    uptime_max_us: int


class Figures(Durations):
    """Durations in microseconds; ratios from 0 to 1, null where there is nothing to divide by."""

    availability: float | None
    coverage: float | None
    observations: int
    outages: int
    longest_outage_us: int


class Ratios(Durations):
    """Sums over the fleet; ratios of the sums from 0 to 1, null where there is nothing to divide by."""

    availability: float | None
    availability_min: float | None = Field(description="Confirmed uptime / business time.")
    availability_max: float | None = Field(description="Business time without confirmed downtime / business time.")
    coverage: float | None


class Change(BaseModel):
    """Changes from the window before, where it was asked for; null unless both windows have an availability."""

    availability_change: float | None = Field(default=None, description="The difference of the two ratios.")
    downtime_change_us: int | None = None


class StoreRow(Figures, Change):
    """A store: its state at as_of, and its figures in the window."""

    store_id: str
    name: str | None = Field(description="Its attribute of this name.")
    attributes: dict[str, str] = Field(description="At as_of.")
    state: StoreState
    since_us: int | None
    last_observed_at_us: int | None
    timezone: str
    timezone_is_default: bool
    hours_are_default: bool
    hours_known: bool = Field(description="False: hours or zones were given and none could be used; no sessions.")
    before: Figures | None = Field(default=None, description="Those of the window before, if it was asked for.")


class WindowModel(BaseModel):
    """A window; a calendar window has bounds of its own for each store."""

    name: str
    start_us: int | None
    end_us: int | None


class AheadModel(BaseModel):
    """The latest observation lies after the clock: by how much, and at which stores; the others are counted."""

    by_us: int
    stores: list[str]
    more: int


class View(BaseModel):
    """What a view speaks for: an instant, one window and a policy; ``raw``: without the ledger."""

    as_of: str
    as_of_us: int
    ahead: AheadModel | None = Field(
        default=None, description="Where the latest observation, as_of, is ahead of the clock."
    )
    policy: dict[str, Any]
    raw: bool = Field(description="Whether the ledger was ignored.")
    window: WindowModel


class Compared(View):
    """A view that may have been asked to compare its window with the one before."""

    window_before: WindowModel | None = Field(
        default=None, description="The part of it that counts; only if it was asked for."
    )


class FleetView(View):
    """A view of the fleet, and what of the database it took into account."""

    loads_seen: int | None
    entries_seen: int | None


class StoreList(FleetView, Compared):
    """Some stores of the fleet, and sums over the whole of it."""

    fleet: dict[str, Any]
    stores: list[StoreRow]
    total_matching: int
    tabs: dict[str, int] = Field(description="Stores of each tab that match all else that was asked for.")
    next_cursor: str | None


class StoreModel(StoreRow, Compared):
    """One store, followed back through its whole history."""

    business_hours: list[str] = Field(description="The week in force at as_of.")
    exceptions: list[CalendarDayModel] = Field(description="Dates of the window on which something else decides.")


class SpanModel(BaseModel):
    """A piece of a session with one status, half-open."""

    start_us: int
    end_us: int
    status: SpanStatus
    confirmed: bool
    entry: int | None = Field(description="The entry of the ledger that decides.")


class IntervalModel(BaseModel):
    """Half-open."""

    start_us: int
    end_us: int


class ObservationModel(BaseModel):
    """A poll result."""

    observed_at_us: int
    status: ObservationStatus


class TimelineModel(View):
    """The timeline of one store in a window."""

    store_id: str
    timezone: str
    sessions: list[IntervalModel]
    observations: list[ObservationModel]
    spans: list[SpanModel]


class OutageModel(IntervalModel):
    """From the first down instant to the last, closed time between included."""

    downtime_us: int


class OutageList(View):
    """The outages of one store in a window."""

    store_id: str
    outages: list[OutageModel]


class BucketModel(IntervalModel, Ratios):
    """The whole fleet in a piece of time: sums in microseconds, ratios of the sums from 0 to 1, or null."""

    observations: int
    stores_observed: int


class FleetHistory(FleetView):
    """The whole fleet in a window, in buckets that follow each other, and the collector gaps that reach into it."""

    bucket: Literal["hour", "day", "week"] = Field(description="Of UTC; the first and the last one may be cut.")
    buckets: list[BucketModel]
    poll_interval_us: int | None = Field(description="Between two polls of a store, typically.")
    gaps: list[IntervalModel] = Field(description="Whole, also where they reach out of the window.")


class HeatCell(Ratios):
    """The whole fleet in one hour of the week on each store's own clock."""

    weekday: int = Field(description="0 is Monday.")
    hour: int


class HeatMapModel(FleetView):
    """The whole fleet in a window, by the hours of the week."""

    cells: list[HeatCell]


class DayModel(BaseModel):
    """A day of UTC, whether any store was polled on it, how many polls came, and what share that is of a usual day."""

    day: str
    polled: bool
    polls: int
    share: float | None


class DayList(BaseModel):
    """Days in a row, both ends included. Of the days before ``pruned_before`` it is not known any more."""

    first: str
    last: str
    pruned_before: str | None
    days: list[DayModel]


class FailingFileModel(BaseModel):
    """A file of a source that could not be read."""

    name: str
    error: str
    failures: int = Field(description="In a row.")
    failed_at: str = Field(title="When it failed")
    retry_at: str = Field(description="When it is tried again; when it has changed, at the next visit.")


class SourceModel(BaseModel):
    """A place that is watched, and how it went."""

    name: str
    place: str
    every_us: int
    state: Literal["ok", "failing", "not read yet"]
    checked_at: str | None
    succeeded_at: str | None
    brought_at: str | None
    files_read: int
    failures: int
    retry_at: str | None
    error: str | None = Field(description="Why the place, or files in it, could not be read.")
    failing_files: list[FailingFileModel] = Field(description="The first hundred, those that failed last first.")
    failing_files_left_out: int


class SourceList(BaseModel):
    """The places that are watched."""

    sources: list[SourceModel]


class AuditEntry(BaseModel):
    """Who did what to what."""

    entry: int
    at: str
    actor: str
    action: str
    subject: str
    details: dict[str, Any]


class AuditList(BaseModel):
    """The audit trail, the newest line first."""

    entries: list[AuditEntry]
    next_cursor: str | None


class Health(BaseModel):
    """Whether the service can do its work."""

    status: Literal["ok"]


class Triggered(BaseModel):
    """The name to ask for the report under."""

    report_id: str
