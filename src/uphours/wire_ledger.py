"""What goes over HTTP of the ledger; as in `uphours.wire`."""

from __future__ import annotations

from typing import Literal, TypedDict

from uphours.wire import Interval

CountsAs = Literal["excluded", "up", "down", "unknown"]
EntryCountsAs = Literal["excluded", "up", "down", "unknown", "withdrawal"]
Reason = Literal["planned closure", "platform outage", "collector failure", "store's own fault", "wrong data", "other"]


class AdjustmentOptions(TypedDict, total=False):
    """What is to count differently: as what and why, at which stores, and when.

    Either ``stores``, or ``where``, values by name of attribute, or ``all``; either ``start`` and ``end``, instants as
    text, or ``start_local`` and ``end_local`` on each store's own clock. ``gaps``: not the whole interval, but the
    collector gaps in it.
    """

    counts_as: CountsAs
    reason: Reason
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

    reason: Reason
    note: str


class Entry(TypedDict):
    """An entry of the ledger; ``withdrawn_by`` names the one that takes it back."""

    entry: int
    counts_as: EntryCountsAs
    withdraws: int | None
    withdrawn_by: int | None
    reason: Reason
    note: str
    actor: str
    at: str
    load: int | None
    stores: int
    start_us: int | None
    end_us: int | None
    intervals: list[Interval] | None


class MovedFigures(TypedDict):
    """Sums over the stores of an adjustment, from its first to its last instant."""

    uptime_us: int
    downtime_us: int
    unknown_us: int
    excluded_us: int
    scheduled_us: int


class Moved(TypedDict):
    """What an adjustment would move."""

    counts_as: CountsAs
    stores: int
    intervals: int
    start_us: int
    end_us: int
    entered_us: int
    before: MovedFigures
    after: MovedFigures
