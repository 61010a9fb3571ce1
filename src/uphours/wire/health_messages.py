"""The service itself: whether it can work, the places it watches, and who did what."""

from typing import Annotated, Any, Literal

from typing_extensions import TypedDict

from uphours.wire.fields import Doc
from uphours.wire.words import SourceState


class Health(TypedDict):
    """Whether the service can do its work."""

    status: Literal["ok"]


class FailingFile(TypedDict):
    """A file of a source that could not be read."""

    name: str
    error: str
    failures: Annotated[int, Doc("In a row.")]
    failed_at: Annotated[str, Doc("The last time.", title="When it failed")]
    retry_at: Annotated[str, Doc("When it is tried again; when it has changed, at the next visit.")]


class Source(TypedDict):
    """A place that is watched, and how it went."""

    name: str
    place: str
    every_us: int
    state: SourceState
    checked_at: str | None
    succeeded_at: str | None
    brought_at: str | None
    files_read: int
    failures: int
    retry_at: str | None
    error: Annotated[str | None, Doc("Why the place, or files in it, could not be read.")]
    failing_files: Annotated[list[FailingFile], Doc("The first hundred, those that failed last first.")]
    failing_files_left_out: int


class SourceList(TypedDict):
    """The places that are watched."""

    sources: list[Source]


class AuditEntry(TypedDict):
    """Who did what to what."""

    entry: int
    at: str
    actor: str
    action: str
    subject: str
    details: dict[str, Any]


class AuditList(TypedDict):
    """The audit trail, the newest line first."""

    entries: list[AuditEntry]
    next_cursor: str | None
