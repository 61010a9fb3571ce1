"""Loads, what became of their rows, and the rows that were rejected."""

from typing import Annotated, NotRequired

from typing_extensions import TypedDict

from uphours.wire.fields import Doc
from uphours.wire.report_messages import Progress
from uphours.wire.words import JobKind, JobState


class Reason(TypedDict):
    """Why a row was set aside; lines count from 1."""

    file: str | None
    line: int
    reason: str


class Rejected(TypedDict):
    """Rows of one file that were rejected for the same cause: how many, and the first of them."""

    file: int
    cause: str
    rows: int
    line: int
    reason: str
    raw: str


class StoreCounts(TypedDict):
    """Stores after a load: how they count, and how many have polls, hours and zones, usable or not."""

    stores: int
    always_open: Annotated[int, Doc("No hours were given, and nothing that cannot be used.")]
    in_default_timezone: Annotated[int, Doc("No time zone was given.")]
    hours_unknown: Annotated[int, Doc("Hours or zones were given and none could be used.")]
    polled: int
    with_hours: int
    polled_with_hours: int
    with_timezone: int
    polled_with_timezone: int


class Brought(TypedDict):
    """How much a load brought beside polls, hours and zones."""

    special_stores: Annotated[int, Doc("Stores with special hours of their own.")]
    special_dates: Annotated[int, Doc("Different dates with special hours.")]
    for_every_store: Annotated[bool, Doc("Some special hours are for all stores.")]
    attributes: Annotated[int, Doc("Values of stores.")]
    entries: Annotated[int, Doc("Entries of the ledger.")]
    targets: Annotated[int, Doc("Targets of availability.")]


class Summary(TypedDict):
    """What a load did."""

    rejected: Annotated[list[Rejected], Doc("By file and cause, the most frequent cause first.")]
    rows_kept: Annotated[int, Doc("How many rejected rows are kept; the others are only counted.")]
    notices: list[str]
    stores: Annotated[StoreCounts | None, Doc("Null where a load does not look at the fleet.")]
    unusable_left_out: Annotated[int, Doc("Stores that keep hours or zone: what came for them is unusable.")]
    restated: Annotated[int, Doc("Stores whose figures of the past change by new hours, zones or special hours.")]
    latest_observed_at: Annotated[str | None, Doc("If it is ahead of the clock or far from the one before.")]
    observed_before_at: str | None
    now_at: str | None
    pruned_before: Annotated[str | None, Doc("If the files say that they are complete only from then on.")]
    brought: Annotated[Brought | None, Doc("Null for loads of earlier versions.")]
    sentences: Annotated[list[str], Doc("All of this in words.")]


class LoadOutcome(TypedDict):
    """What became of the rows that were sent: committed and synced to disk."""

    load: int
    rows_read: int
    accepted: int
    repeated: int
    conflicting: int
    quarantined: int
    reasons: Annotated[list[Reason], Doc("Of the first quarantined rows.")]
    reasons_left_out: int
    quarantine: Annotated[str, Doc("Where the quarantined rows of the load are.")]
    summary: NotRequired[Annotated[Summary | None, Doc("What the load did, of whole files.")]]


class Job(TypedDict):
    """A load that is being worked on."""

    id: str
    kind: JobKind
    state: JobState
    created_at: str
    started_at: str | None
    finished_at: str | None
    progress: Progress
    reason: str | None
    load: int | None
    outcome: LoadOutcome | None


class LoadFile(TypedDict):
    """A file of a load."""

    file: int
    kind: str
    name: str
    sha256: str
    bytes: int
    rows_read: int
    accepted: int
    quarantined: int


class Load(TypedDict):
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
    files: list[LoadFile]
    summary: Annotated[Summary | None, Doc("What the load did; null for loads of earlier versions.")]


class LoadList(TypedDict):
    """Loads, the newest first."""

    loads: list[Load]
    next_cursor: str | None


class QuarantinedRow(TypedDict):
    """A row that was set aside."""

    file: int
    kind: str
    name: str
    line: int
    reason: str
    row: str


class QuarantineList(TypedDict):
    """Rows that a load rejected, in order of file and line, and how many there are by file and cause."""

    rejected: list[Rejected]
    rows_left_out: Annotated[int, Doc("Rows that are only counted, not kept.")]
    rows: list[QuarantinedRow]
    next_cursor: str | None
