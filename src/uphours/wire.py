"""What goes over HTTP: the service answers with these types, and the client and what is sent back are typed by them.

Plain types, so that a client imports neither the kernel nor a database. Instants are text in ISO 8601 where a name
ends in ``_at`` or is ``as_of``, and microseconds since the epoch, UTC, where it ends in ``_us``; durations are
microseconds.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, Required, TypedDict

from uphours.wire_calendar import CalendarDay

Format = Literal["csv", "json", "parquet", "xlsx"]
JobState = Literal["receiving", "queued", "running", "complete", "failed", "cancelled"]
ObservationStatus = Literal["active", "inactive", "unknown"]
Interpolation = Literal["previous", "next", "nearest"]
Assume = Literal["unknown", "active", "inactive"]
SpanStatus = Literal["up", "down", "unknown", "excluded"]
StoreState = Literal["up", "down", "unknown", "excluded", "closed", "hours unknown"]


# --- what is asked for ----------------------------------------------------------------------------------


class PolicyOptions(TypedDict, total=False):
    """How the time between two observations is read; durations as text, such as ``90m``."""

    interpolation: Interpolation
    prefer_in_session: bool
    max_age: str | None
    confirm_within: str
    only_watched: bool
    assume: Assume


class OwnWindow(TypedDict):
    """A window of one's own, half-open, its bounds as text; a date means its midnight on each store's own clock."""

    name: str
    start: str
    end: str


class WindowFacts(TypedDict, total=False):
    """A window of one's own, as the options of a report have it: of each bound the instant or the local date."""

    name: Required[str]
    start_us: int | None
    end_us: int | None
    start_date: str | None
    end_date: str | None


class ReportOptions(PolicyOptions, total=False):
    """What is asked of a report; all of it may be left out. ``options`` of a report can be given as they are."""

    as_of: str | None
    as_of_us: int | None
    windows: list[str | OwnWindow | WindowFacts]
    policy: dict[str, Any] | None
    stores: list[str] | None
    where: dict[str, list[str]]
    by: list[str]
    columns: list[str]
    all_stores: bool
    detail: bool
    raw: bool
    compare: bool
    outages: bool
    only: dict[str, list[str]]


class View(PolicyOptions, total=False):
    """What a view of stores is asked for: an instant, one window (a name or ``NAME=START/END``), and a policy.

    ``raw``: without the ledger.
    """

    as_of: str
    window: str
    raw: bool


class StoreSelection(View, total=False):
    """What a view of one store is asked for; ``compare``: also the window before."""

    compare: bool


class FleetSelection(View, total=False):
    """What a view of the fleet is asked for; ``where``: only stores with these attributes, as ``NAME=VALUE``."""

    where: list[str]


class Selection(FleetSelection, total=False):
    """Which stores are listed, and in which order."""

    search: str
    state: list[StoreState]
    timezone: list[str]
    availability_below: float
    without: list[Literal["hours", "timezone"]]
    observed: Literal["ever", "never"]
    last_observed_before: str
    tab: Literal["attention", "down_throughout", "unstable", "below_target", "not_polled", "incomplete", "all"]
    sort: Literal["store_id", "availability", "lost_time", "since", "last_observed"]
    descending: bool
    compare: bool


# --- what comes back ------------------------------------------------------------------------------------


class Progress(TypedDict):
    """Stores or rows done of total; the total is None as long as it is not known."""

    done: int
    total: int | None


class Ahead(TypedDict):
    """The latest observation lies after the clock: by how much, and at which stores; the others are counted."""

    by_us: int
    stores: list[str]
    more: int


class KeyOptions(TypedDict, total=False):
    """A key that is to be made; ``only``: the stores that it sees, by values of attributes."""

    name: Required[str]
    scopes: Required[list[Literal["read", "ingest", "adjust", "feed", "admin"]]]
    only: dict[str, list[str]]


class Key(TypedDict):
    """A key as it may be shown."""

    key_id: str
    name: str
    scopes: list[str]
    only: dict[str, list[str]]
    created_at: str
    revoked_at: str | None


class NewKey(Key):
    """A key that was just made, with its token, which cannot be had again."""

    token: str


class ReportState(TypedDict):
    """A requested report, and how far it is."""

    id: str
    state: JobState
    created_at: str
    started_at: str | None
    finished_at: str | None
    progress: Progress
    as_of: str | None
    ahead_us: int | None
    loads_seen: int | None
    entries_seen: int | None
    options: dict[str, Any]
    reason: str | None
    result: str | None


class Durations(TypedDict):
    """Parts of scheduled time in microseconds; ``raw``: without the ledger."""

    uptime_us: int
    downtime_us: int
    unknown_us: int
    excluded_us: int
    scheduled_us: int
    business_us: int
    raw_uptime_us: int
    raw_downtime_us: int
    raw_unknown_us: int
    watched_us: int
    uptime_min_us: int
    uptime_max_us: int


class Figures(Durations):
    """Durations in microseconds; ratios from 0 to 1, None where there is nothing to divide by."""

    availability: float | None
    coverage: float | None
    observations: int
    outages: int
    longest_outage_us: int


class Change(TypedDict, total=False):
    """Changes from the window before, there if they were asked for; None unless both windows have an availability."""

    availability_change: float | None
    downtime_change_us: int | None


class Store(Figures, Change):
    """A store: its state at as_of, and its figures in the window."""

    store_id: str
    name: str | None
    attributes: dict[str, str]
    state: StoreState
    since_us: int | None
    last_observed_at_us: int | None
    timezone: str
    timezone_is_default: bool
    hours_are_default: bool
    hours_known: bool
    before: NotRequired[Figures | None]


class Window(TypedDict):
    """A window; its bounds are None where each store has its own."""

    name: str
    start_us: int | None
    end_us: int | None


class Answer(TypedDict):
    """What an answer about stores speaks for: an instant, a window, and a policy."""

    as_of: str
    as_of_us: int
    ahead: Ahead | None
    policy: dict[str, Any]
    raw: bool
    window: Window


class StoreDetail(Store, Answer):
    """One store, followed back through its whole history; the week in force at as_of, and the window's exceptions."""

    window_before: NotRequired[Window | None]
    business_hours: list[str]
    exceptions: list[CalendarDay]


class Interval(TypedDict):
    """Half-open, microseconds."""

    start_us: int
    end_us: int


class Span(Interval):
    """A piece of a session with one status; ``entry``: of the ledger, that decides."""

    status: SpanStatus
    confirmed: bool
    entry: int | None


class Outage(Interval):
    """From the first down instant to the last, closed time between included."""

    downtime_us: int


class Sums(Durations):
    """The whole fleet: sums in microseconds, ratios of the sums from 0 to 1."""

    availability: float | None
    availability_min: float | None
    availability_max: float | None
    coverage: float | None


class Bucket(Interval, Sums):
    """The whole fleet in a piece of time: sums in microseconds, ratios of the sums."""

    observations: int
    stores_observed: int


class FleetView(Answer):
    """A view of the fleet, and the last load and entry of the ledger that it took into account."""

    loads_seen: int | None
    entries_seen: int | None


class FleetHistory(FleetView):
    """The whole fleet in a window, in buckets, and the collector gaps that reach into it."""

    bucket: Literal["hour", "day", "week"]
    buckets: list[Bucket]
    poll_interval_us: int | None
    gaps: list[Interval]


class HeatCell(Sums):
    """The whole fleet in one hour of the week on each store's own clock; weekday 0 is Monday."""

    weekday: int
    hour: int


class HeatMap(FleetView):
    """The whole fleet in a window, by the hours of the week."""

    cells: list[HeatCell]


class Day(TypedDict):
    """A day of UTC, whether any store was polled on it, how many polls came, and what share that is of a usual day."""

    day: str
    polled: bool
    polls: int
    share: float | None


class Days(TypedDict):
    """Days in a row, both ends included. Of the days before ``pruned_before`` it is not known any more."""

    first: str
    last: str
    pruned_before: str | None
    days: list[Day]


class Observation(TypedDict):
    """A poll result."""

    observed_at_us: int
    status: ObservationStatus


class Timeline(Answer):
    """The timeline of one store in a window."""

    store_id: str
    timezone: str
    sessions: list[Interval]
    observations: list[Observation]
    spans: list[Span]


class Outages(Answer):
    """The outages of one store in a window."""

    store_id: str
    outages: list[Outage]


class FailingFile(TypedDict):
    """A file of a source that could not be read."""

    name: str
    error: str
    failures: int
    failed_at: str
    retry_at: str


class Source(TypedDict):
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
    failing_files: list[FailingFile]
    failing_files_left_out: int


class AuditEntry(TypedDict):
    """Who did what to what."""

    entry: int
    at: str
    actor: str
    action: str
    subject: str
    details: dict[str, Any]
