"""What goes in and out over HTTP, as the OpenAPI document describes it.

Instants are text in ISO 8601 where a name ends in ``_at`` or is ``as_of``, and microseconds since the epoch, UTC,
where it ends in ``_us``; durations are microseconds.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from uphours.errors import InputError, shown
from uphours.kernel.policy import CHOICES, Policy
from uphours.kernel.windows import DEFAULT_WINDOWS, Window
from uphours.reports.request import ReportRequest
from uphours.schema import STORE_ID_MAX_LENGTH, checked_instant, instant_iso, instant_us
from uphours.service.calendar_models import CalendarDayModel
from uphours.service.policy_parameters import body_with_choices
from uphours.wire import JobState, ObservationStatus, SpanStatus, StoreState

StoreId = Annotated[str, Field(min_length=1, max_length=STORE_ID_MAX_LENGTH)]
LocalDate = Annotated[str, Field(max_length=10, examples=["2026-12-24"])]
Instant = Annotated[str, Field(max_length=64, examples=["2023-01-25T18:13:22Z"])]


class Problem(BaseModel):
    """A failure (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None


class WindowBody(BaseModel):
    """A window of one's own, half-open; a date means its midnight on each store's own clock."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=64)]
    start: Instant
    end: Instant


class WindowFacts(BaseModel):
    """A window of one's own, as the options of a report have it: of each bound the instant or the local date."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=64)]
    start_us: int | None = None
    end_us: int | None = None
    start_date: LocalDate | None = None
    end_date: LocalDate | None = None

    def window(self) -> Window:
        """Return the window.

        Raises
        ------
        InputError
            A bound is missing or given twice, or makes no sense.
        """
        return Window(self.name, *(self._bound(side) for side in ("start", "end")))

    def _bound(self, side: str) -> str | date:
        us, day = getattr(self, f"{side}_us"), getattr(self, f"{side}_date")
        if (us is None) == (day is None):
            says = "is missing" if us is None else "is given twice"
            raise InputError(f"the {side} of window {shown(self.name)} {says}; valid is {side}_us or {side}_date")
        # As text: numbers of callers from before the year 2000 are taken for another unit.
        return date_of(f"{side}_date", day) if us is None else instant_iso(checked_instant(us, f"{side}_us"))


class _PolicyBody(BaseModel):
    """How the time between two observations is read; what is left out is as the service's policy has it."""

    model_config = ConfigDict(extra="forbid")

    def chosen(self) -> dict[str, Any]:
        """Return the choices that were made, by name."""
        return {name: getattr(self, name) for name in CHOICES if name in self.model_fields_set}


if TYPE_CHECKING:
    PolicyBody = _PolicyBody
else:
    PolicyBody = body_with_choices("PolicyBody", _PolicyBody)


class ReportBody(PolicyBody):
    """What is asked of a report; everything may be left out. It takes back the options of a report as they are."""

    as_of: Instant | None = None
    as_of_us: int | None = Field(default=None, description="`as_of` in microseconds.")
    windows: Annotated[
        list[Annotated[str, Field(max_length=64)] | WindowBody | WindowFacts],
        Field(min_length=1, max_length=100),
    ] = Field(default=list(DEFAULT_WINDOWS))
    policy: dict[str, Any] | None = Field(default=None, description="The whole policy, as an answer names it.")
    stores: Annotated[list[StoreId], Field(min_length=1, max_length=10_000)] | None = None
    all_stores: bool = False
    detail: bool = Field(default=False, description="More columns in CSV and XLSX.")
    raw: bool = Field(default=False, description="Without the ledger.")

    def request(self, default: Policy) -> ReportRequest:
        """Return what a job remembers.

        Raises
        ------
        InputError
            A value makes no sense, or something is said twice.
        """
        if self.as_of is not None and self.as_of_us is not None:
            raise InputError("as_of and as_of_us are both given; give one of them")
        chosen = self.chosen()
        if self.policy is not None and chosen:
            raise InputError(f"policy and {', '.join(chosen)} are both given; give the policy or its parts")
        return ReportRequest(
            as_of=self.as_of_us if self.as_of is None else instant_us(self.as_of),
            windows=tuple(map(_window, self.windows)),
            policy=default.changed(chosen) if self.policy is None else Policy.from_dict(self.policy),
            stores=None if self.stores is None else tuple(self.stores),
            all_stores=self.all_stores,
            detail=self.detail,
            raw=self.raw,
        )


def _window(one: str | WindowBody | WindowFacts) -> str | Window:
    match one:
        case WindowBody():
            return Window(one.name, one.start, one.end)
        case WindowFacts():
            return one.window()
    return one


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


class Progress(BaseModel):
    """Stores done of total; the total is null as long as it is not known."""

    done: int
    total: int | None


class ReportState(BaseModel):
    """A report that was asked for, and how far it is."""

    id: str
    state: JobState
    created_at: str
    started_at: str | None
    finished_at: str | None
    progress: Progress
    as_of: str | None = Field(description="The instant it speaks for; null until it is complete, unless given.")
    ahead_us: int | None = Field(description="By how much that was ahead of the clock when it was made; null: not.")
    loads_seen: int | None = Field(description="Number of the last load that it took into account.")
    entries_seen: int | None = Field(description="Number of the last entry of the ledger that it took into account.")
    options: dict[str, Any]
    reason: str | None = Field(description="Why it failed.")
    result: str | None = Field(description="Where the result is, once it is complete.")


class ReportList(BaseModel):
    """Reports, the newest first."""

    reports: list[ReportState]
    next_cursor: str | None


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


class StoreRow(Figures):
    """A store: its state at as_of, and its figures in the window."""

    store_id: str
    state: StoreState
    since_us: int | None
    last_observed_at_us: int | None
    timezone: str
    timezone_is_default: bool
    hours_are_default: bool
    hours_known: bool = Field(description="False: hours or zones were given and none could be used; no sessions.")


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


class FleetView(View):
    """A view of the fleet, and what of the database it took into account."""

    loads_seen: int | None
    entries_seen: int | None


class StoreList(FleetView):
    """Some stores of the fleet, and sums over the whole of it."""

    fleet: dict[str, Any]
    stores: list[StoreRow]
    total_matching: int
    next_cursor: str | None


class StoreModel(StoreRow, View):
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
    """A day of UTC, and whether any store was polled on it."""

    day: str
    polled: bool


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
