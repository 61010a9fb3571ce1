"""What a report is asked for with, and how far it is."""

from typing import Annotated, Any, Required, TypeAlias

from typing_extensions import TypedDict

from uphours.wire.fields import Default, Doc, Length, body
from uphours.wire.values import AttributeText, Instant, LocalDate, StoreId, Values
from uphours.wire.view_messages import PolicyOptions
from uphours.wire.words import JobState

_WindowName: TypeAlias = Annotated[str, Length(0, 64)]


@body
class WindowBody(TypedDict):
    """A window of one's own, half-open; a date means its midnight on each store's own clock."""

    name: _WindowName
    start: Instant
    end: Instant


@body
class WindowFacts(TypedDict, total=False):
    """A window of one's own, as the options of a report have it: of each bound the instant or the local date."""

    name: Required[_WindowName]
    start_us: int | None
    end_us: int | None
    start_date: LocalDate | None
    end_date: LocalDate | None


@body
class ReportBody(PolicyOptions, total=False):
    """What is asked of a report; everything may be left out. It takes back the options of a report as they are."""

    as_of: Annotated[Instant | None, Default(None)]
    as_of_us: Annotated[int | None, Default(None), Doc("`as_of` in microseconds.")]
    windows: Annotated[
        list[_WindowName | WindowBody | WindowFacts],
        Length(1, 100),
        Default(["last_hour", "last_day", "last_week"]),
    ]
    policy: Annotated[dict[str, Any] | None, Default(None), Doc("The whole policy, as an answer names it.")]
    stores: Annotated[Annotated[list[StoreId], Length(1, 10_000)] | None, Default(None)]
    where: Annotated[
        Values,
        Length(0, 100),
        Default({}),
        Doc("Only stores with one of these values of each attribute, at as_of.", examples=({"region": ["TX", "OK"]},)),
    ]
    by: Annotated[
        list[AttributeText],
        Length(0, 20),
        Default([]),
        Doc("Names of attributes: groups of stores with the same values, instead of stores."),
    ]
    columns: Annotated[
        list[AttributeText], Length(0, 100), Default([]), Doc("Names of attributes that stand beside the ids.")
    ]
    all_stores: Annotated[bool, Default(False)]
    detail: Annotated[bool, Default(False), Doc("More columns in CSV and XLSX.")]
    raw: Annotated[bool, Default(False), Doc("Without the ledger.")]
    compare: Annotated[bool, Default(False), Doc("Also the windows before, and the changes from there.")]
    outages: Annotated[bool, Default(False), Doc("Also a list of the outages, a sheet of the workbook.")]
    only: Annotated[
        Values,
        Length(0, 100),
        Default({}),
        Doc("As though there were only the stores with these values now; as of a bound key."),
    ]


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
