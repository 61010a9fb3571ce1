"""What goes out over HTTP of loads, jobs and rejected rows; as in `uphours.service.models`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from uphours.service.report_models import Progress
from uphours.wire import JobState


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
    quarantine: str = Field(description="Where the quarantined rows of the load are.")
    summary: SummaryModel | None = Field(None, description="What the load did, of whole files.")


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


class RejectedModel(BaseModel):
    """Rows of one file that were rejected for the same cause: how many, and the first of them."""

    file: int
    cause: str
    rows: int
    line: int
    reason: str
    raw: str


class StoreCountsModel(BaseModel):
    """Stores after a load: how they count, and how many have polls, hours and zones, usable or not."""

    stores: int
    always_open: int = Field(description="No hours were given, and nothing that cannot be used.")
    in_default_timezone: int = Field(description="No time zone was given.")
    hours_unknown: int = Field(description="Hours or zones were given and none could be used.")
    polled: int
    with_hours: int
    polled_with_hours: int
    with_timezone: int
    polled_with_timezone: int


class BroughtModel(BaseModel):
    """How much a load brought beside polls, hours and zones."""

    special_stores: int = Field(description="Stores with special hours of their own.")
    special_dates: int = Field(description="Different dates with special hours.")
    for_every_store: bool = Field(description="Some special hours are for all stores.")
    attributes: int = Field(description="Values of stores.")
    entries: int = Field(description="Entries of the ledger.")
    targets: int = Field(0, description="Targets of availability.")


class SummaryModel(BaseModel):
    """What a load did."""

    rejected: list[RejectedModel] = Field(description="By file and cause, the most frequent cause first.")
    rows_kept: int = Field(description="How many rejected rows are kept; the others are only counted.")
    notices: list[str]
    stores: StoreCountsModel | None = Field(description="Null where a load does not look at the fleet.")
    unusable_left_out: int = Field(description="Stores that keep hours or zone: what came for them is unusable.")
    restated: int = Field(description="Stores whose figures of the past change by new hours, zones or special hours.")
    latest_observed_at: str | None = Field(description="If it is ahead of the clock or far from the one before.")
    observed_before_at: str | None
    now_at: str | None
    pruned_before: str | None = Field(description="If the files say that they are complete only from then on.")
    brought: BroughtModel | None = Field(description="Null for loads of earlier versions.")
    sentences: list[str] = Field(description="All of this in words.")


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
    summary: SummaryModel | None = Field(description="What the load did; null for loads of earlier versions.")


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
    """Rows that a load rejected, in order of file and line, and how many there are by file and cause."""

    rejected: list[RejectedModel]
    rows_left_out: int = Field(description="Rows that are only counted, not kept.")
    rows: list[QuarantinedRow]
    next_cursor: str | None
