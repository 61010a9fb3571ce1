"""What goes in and out over HTTP, as the OpenAPI document describes it.

Instants are text in ISO 8601 where a name ends in ``_at`` or is ``as_of``, and microseconds since the epoch, UTC,
where it ends in ``_us``; durations are microseconds.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from storepulse.kernel.policy import Assume, Interpolation, Policy
from storepulse.kernel.windows import DEFAULT_WINDOWS, Window
from storepulse.reports import ReportOptions
from storepulse.schema import STORE_ID_MAX_LENGTH, duration_us, instant_us

JobState = Literal["receiving", "queued", "running", "complete", "failed", "cancelled"]
StoreId = Annotated[str, Field(min_length=1, max_length=STORE_ID_MAX_LENGTH)]
Instant = Annotated[str, Field(max_length=64, examples=["2023-01-25T18:13:22Z"])]
Duration = Annotated[str, Field(max_length=32, examples=["90m", "1.5h"])]


class Problem(BaseModel):
    """A failure (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None


class WindowBody(BaseModel):
    """A window of one's own, half-open."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=64)]
    start: Instant
    end: Instant


class PolicyBody(BaseModel):
    """How the time between two observations is read."""

    model_config = ConfigDict(extra="forbid")

    interpolation: Interpolation = "previous"
    prefer_in_session: bool = True
    max_age: Duration | None = None
    confirm_within: Duration = "2h"
    assume: Assume = "unknown"

    def policy(self) -> Policy:
        """Return the policy."""
        return Policy.of(
            {
                "interpolation": self.interpolation,
                "prefer_in_session": self.prefer_in_session,
                "max_age_us": None if self.max_age is None else duration_us(self.max_age),
                "confirm_within_us": duration_us(self.confirm_within),
                "assume": self.assume,
            }
        )


class ReportBody(PolicyBody):
    """What is asked of a report; everything may be left out."""

    as_of: Instant | None = None
    windows: Annotated[list[Annotated[str, Field(max_length=64)] | WindowBody], Field(min_length=1, max_length=100)] = (
        Field(default=list(DEFAULT_WINDOWS))
    )
    stores: Annotated[list[StoreId], Field(min_length=1, max_length=10_000)] | None = None
    all_stores: bool = False

    def options(self) -> ReportOptions:
        """Return the options that a job remembers."""
        return ReportOptions(
            as_of=None if self.as_of is None else instant_us(self.as_of),
            windows=tuple(
                one if isinstance(one, str) else Window(one.name, one.start, one.end) for one in self.windows
            ),
            policy=self.policy(),
            stores=None if self.stores is None else tuple(self.stores),
            all_stores=self.all_stores,
        )


class Progress(BaseModel):
    """Stores done of total; the total is null as long as it is not known."""

    done: int
    total: int | None


class ReportState(BaseModel):
    """A report that somebody asked for, and how far it is."""

    id: str
    state: JobState
    created_at: str
    started_at: str | None
    finished_at: str | None
    progress: Progress
    as_of: str | None = Field(description="The instant it speaks for; null until it is complete, unless given.")
    loads_seen: int | None = Field(description="Number of the last load that it took into account.")
    options: dict[str, Any]
    reason: str | None = Field(description="Why it failed.")
    result: str | None = Field(description="Where the result is, once it is complete.")


class ReportList(BaseModel):
    """Reports, the newest first."""

    reports: list[ReportState]
    next_cursor: str | None


class Reason(BaseModel):
    """Why a row was set aside; lines count from 1."""

    file: str | None = None
    line: int
    reason: str


class LoadOutcome(BaseModel):
    """What became of the rows that were sent: committed and synced to disk."""

    load: int
    rows_read: int
    accepted: int
    repeated: int
    conflicting: int
    quarantined: int
    reasons: list[Reason] = Field(description="Of the first quarantined rows.")
    reasons_left_out: int
    quarantine: str = Field(description="Where all quarantined rows of the load are.")


class JobModel(BaseModel):
    """A load that is being worked on."""

    id: str
    kind: Literal["report", "load", "source"]
    state: JobState
    created_at: str
    started_at: str | None
    finished_at: str | None
    progress: Progress
    reason: str | None
    load: int | None
    outcome: LoadOutcome | None


class LoadFileModel(BaseModel):
    """A file of a load."""

    file: int
    kind: str
    name: str
    sha256: str
    bytes: int
    rows_read: int
    accepted: int
    quarantined: int


class LoadModel(BaseModel):
    """The record of a load."""

    load: int
    started_at: str
    version: str
    rows_read: int
    accepted: int
    repeated: int
    conflicting: int
    quarantined: int
    first_observed_at: str | None
    last_observed_at: str | None
    files: list[LoadFileModel]


class LoadList(BaseModel):
    """Loads, the newest first."""

    loads: list[LoadModel]
    next_cursor: str | None


class QuarantinedRow(BaseModel):
    """A row that was set aside."""

    file: int
    kind: str
    name: str
    line: int
    reason: str
    row: str


class QuarantineList(BaseModel):
    """Rows that a load set aside, in order of file and line."""

    rows: list[QuarantinedRow]
    next_cursor: str | None


class Figures(BaseModel):
    """Durations in microseconds; ratios from 0 to 1, null where there is nothing to divide by."""

    uptime_us: int
    downtime_us: int
    unknown_us: int
    business_us: int
    uptime_min_us: int
    uptime_max_us: int
    availability: float | None
    coverage: float | None
    observations: int
    outages: int
    longest_outage_us: int


class StoreRow(Figures):
    """A store: its state at as_of, and its figures in the window."""

    store_id: str
    state: Literal["up", "down", "unknown", "closed"]
    since_us: int | None
    last_observed_at_us: int | None
    timezone: str
    timezone_is_default: bool
    hours_are_default: bool


class WindowModel(BaseModel):
    """A window; a calendar window has bounds of its own for each store."""

    name: str
    start_us: int | None
    end_us: int | None


class StoreList(BaseModel):
    """Some stores of the fleet, and sums over the whole of it."""

    as_of: str
    as_of_us: int
    loads_seen: int | None
    policy: dict[str, Any]
    window: WindowModel
    fleet: dict[str, Any]
    stores: list[StoreRow]
    total_matching: int
    next_cursor: str | None


class StoreModel(StoreRow):
    """One store, followed back through its whole history."""

    as_of: str
    as_of_us: int
    policy: dict[str, Any]
    window: WindowModel
    business_hours: list[str]


class SpanModel(BaseModel):
    """A piece of a session with one status, half-open."""

    start_us: int
    end_us: int
    status: Literal["up", "down", "unknown"]
    confirmed: bool


class IntervalModel(BaseModel):
    """Half-open."""

    start_us: int
    end_us: int


class ObservationModel(BaseModel):
    """A poll result."""

    observed_at_us: int
    status: Literal["active", "inactive"]


class TimelineModel(BaseModel):
    """The timeline of one store in a window."""

    store_id: str
    as_of: str
    as_of_us: int
    policy: dict[str, Any]
    window: WindowModel
    timezone: str
    sessions: list[IntervalModel]
    observations: list[ObservationModel]
    spans: list[SpanModel]


class OutageModel(IntervalModel):
    """From the first down instant to the last, closed time between included."""

    downtime_us: int


class OutageList(BaseModel):
    """The outages of one store in a window."""

    store_id: str
    as_of: str
    as_of_us: int
    policy: dict[str, Any]
    window: WindowModel
    outages: list[OutageModel]


class BucketModel(IntervalModel):
    """The whole fleet in a piece of time: sums in microseconds, ratios of the sums from 0 to 1, or null."""

    uptime_us: int
    downtime_us: int
    unknown_us: int
    business_us: int
    uptime_min_us: int
    uptime_max_us: int
    availability: float | None
    availability_min: float | None = Field(description="Confirmed uptime / business time.")
    availability_max: float | None = Field(description="Business time without confirmed downtime / business time.")
    coverage: float | None
    observations: int
    stores_observed: int


class FleetHistory(BaseModel):
    """The whole fleet in a window, in buckets that follow each other, and the collector gaps that reach into it."""

    as_of: str
    as_of_us: int
    loads_seen: int | None
    policy: dict[str, Any]
    window: WindowModel
    bucket: Literal["hour", "day", "week"] = Field(description="Of UTC; the first and the last one may be cut.")
    buckets: list[BucketModel]
    poll_interval_us: int | None = Field(description="Between two polls of a store, typically.")
    gaps: list[IntervalModel] = Field(description="Whole, also where they reach out of the window.")


class HeatCell(BaseModel):
    """The whole fleet in one hour of the week on each store's own clock."""

    weekday: int = Field(description="0 is Monday.")
    hour: int
    uptime_us: int
    downtime_us: int
    unknown_us: int
    business_us: int
    uptime_min_us: int
    uptime_max_us: int
    availability: float | None
    availability_min: float | None
    availability_max: float | None
    coverage: float | None


class HeatMapModel(BaseModel):
    """The whole fleet in a window, by the hours of the week."""

    as_of: str
    as_of_us: int
    loads_seen: int | None
    policy: dict[str, Any]
    window: WindowModel
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
    error: str | None


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
