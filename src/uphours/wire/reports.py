"""What a report is asked for with, and how far it is."""

from typing import Annotated, Any, Required

from typing_extensions import TypedDict

from uphours.wire.doc import Doc
from uphours.wire.views import PolicyOptions
from uphours.wire.words import JobState


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


class SavedReport(TypedDict):
    """A request by name; to ask for the report, send its options."""

    name: str
    owner: Annotated[
        str | None,
        Doc("The key, bound to some stores, that has it to itself; null: all who see every store share it."),
    ]
    options: Annotated[dict[str, Any], Doc("What is asked for, of the latest observation: `as_of_us` is null.")]
    created_by: Annotated[str, Doc("The key that saved it last; blank where none was needed.")]
    created_at: str


class SavedReportList(TypedDict):
    """Saved reports, by name."""

    saved_reports: list[SavedReport]


class Progress(TypedDict):
    """Stores or rows done of total; the total is null as long as it is not known."""

    done: int
    total: int | None


class ReportState(TypedDict):
    """A report that was asked for, and how far it is."""

    id: str
    state: JobState
    created_at: str
    started_at: str | None
    finished_at: str | None
    progress: Progress
    as_of: Annotated[str | None, Doc("The instant it speaks for; null until it is complete, unless given.")]
    ahead_us: Annotated[int | None, Doc("By how much that was ahead of the clock when it was made; null: not.")]
    loads_seen: Annotated[int | None, Doc("Number of the last load that it took into account.")]
    entries_seen: Annotated[int | None, Doc("Number of the last entry of the ledger that it took into account.")]
    options: dict[str, Any]
    reason: Annotated[str | None, Doc("Why it failed.")]
    result: Annotated[str | None, Doc("Where the result is, once it is complete.")]


class ReportList(TypedDict):
    """Reports, the newest first."""

    reports: list[ReportState]
    next_cursor: str | None
