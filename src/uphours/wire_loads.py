"""What goes over HTTP of loads, jobs and rejected rows; as in `uphours.wire`."""

from __future__ import annotations

from typing import Literal, TypedDict

from uphours.wire import JobState, Progress


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
    always_open: int
    in_default_timezone: int
    hours_unknown: int
    polled: int
    with_hours: int
    polled_with_hours: int
    with_timezone: int
    polled_with_timezone: int


class Brought(TypedDict):
    """How much a load brought beside polls, hours and zones."""

    special_stores: int
    special_dates: int
    for_every_store: bool
    attributes: int
    entries: int
    targets: int


class Summary(TypedDict):
    """What a load did; ``sentences`` says it in words."""

    rejected: list[Rejected]
    rows_kept: int
    notices: list[str]
    stores: StoreCounts | None
    unusable_left_out: int
    restated: int
    latest_observed_at: str | None
    observed_before_at: str | None
    now_at: str | None
    pruned_before: str | None
    brought: Brought | None
    sentences: list[str]


class LoadOutcome(TypedDict):
    """What became of the rows of one load."""

    load: int
    rows_read: int
    accepted: int
    repeated: int
    conflicting: int
    quarantined: int
    reasons: list[Reason]
    reasons_left_out: int
    quarantine: str
    summary: Summary | None


class Job(TypedDict):
    """A load that takes longer than a request."""

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
    summary: Summary | None


class QuarantinedRow(TypedDict):
    """A row that was set aside."""

    file: int
    kind: str
    name: str
    line: int
    reason: str
    row: str
