"""Entries of the ledger."""

from typing import Annotated

from typing_extensions import TypedDict

from uphours.wire.doc import Doc
from uphours.wire.views import Interval
from uphours.wire.words import AdjustmentReason, CountsAs, EntryCountsAs


class AdjustmentOptions(TypedDict, total=False):
    """What is to count differently: as what and why, at which stores, and when.

    Either ``stores``, or ``where``, values by name of attribute, or ``all``; either ``start`` and ``end``, instants as
    text, or ``start_local`` and ``end_local`` on each store's own clock. ``gaps``: not the whole interval, but the
    collector gaps in it.
    """

    counts_as: CountsAs
    reason: AdjustmentReason
    note: str
    stores: list[str] | None
    where: dict[str, list[str]]
    all: bool
    start: str | None
    end: str | None
    start_local: str | None
    end_local: str | None
    gaps: bool


class WithdrawalOptions(TypedDict, total=False):
    """Why an entry is withdrawn."""

    reason: AdjustmentReason
    note: str


class Entry(TypedDict):
    """An entry of the ledger. Entries are never changed; one that is withdrawn counts for nothing."""

    entry: int
    counts_as: EntryCountsAs
    withdraws: Annotated[int | None, Doc("The entry that it takes back; null but for a withdrawal.")]
    withdrawn_by: Annotated[int | None, Doc("The entry that takes it back, if one does.")]
    reason: AdjustmentReason
    note: str
    actor: Annotated[str, Doc("Who entered it.")]
    at: Annotated[str, Doc("When it was entered.")]
    load: Annotated[int | None, Doc("The load that brought it, if one did.")]
    stores: Annotated[int, Doc("How many it is about.")]
    start_us: Annotated[int | None, Doc("Its first instant; null for a withdrawal.")]
    end_us: int | None
    intervals: Annotated[list[Interval] | None, Doc("Those of the store that was asked for.")]


class EntryList(TypedDict):
    """Entries of the ledger, the newest first."""

    adjustments: list[Entry]
    next_cursor: str | None


class MovedFigures(TypedDict):
    """Sums over the stores of an adjustment, from its first to its last instant, in microseconds."""

    uptime_us: int
    downtime_us: int
    unknown_us: int
    excluded_us: int
    scheduled_us: int


class Moved(TypedDict):
    """What an adjustment would move; nothing was entered."""

    counts_as: CountsAs
    stores: Annotated[int, Doc("How many it is about.")]
    intervals: Annotated[int, Doc("How many intervals these have together.")]
    start_us: int
    end_us: int
    entered_us: Annotated[int, Doc("How long all intervals are together, open or closed.")]
    before: MovedFigures
    after: MovedFigures
