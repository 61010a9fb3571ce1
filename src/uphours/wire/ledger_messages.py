"""Entries of the ledger."""

from typing import Annotated, Required, TypeAlias

from typing_extensions import TypedDict

from uphours.wire.fields import Default, Doc, Length, body
from uphours.wire.values import Instant, LocalInstant, StoreId, Values
from uphours.wire.view_messages import Interval
from uphours.wire.words import AdjustmentReason, CountsAs, EntryCountsAs

_Note: TypeAlias = Annotated[str, Length(0, 4000), Default(""), Doc("Anything else there is to say.")]


@body
class AdjustmentBody(TypedDict, total=False):
    """What is to count differently: at which stores, when, as what, and why."""

    counts_as: Required[Annotated[CountsAs, Doc("`excluded` counts for nothing, the others as what they say.")]]
    reason: Required[AdjustmentReason]
    note: _Note
    stores: Annotated[Annotated[list[StoreId], Length(1, 10_000)] | None, Default(None)]
    where: Annotated[
        Values,
        Length(0, 100),
        Default({}),
        Doc(
            "Instead of `stores`: those with one of these values of each attribute when the time begins.",
            examples=({"region": ["TX", "OK"]},),
        ),
    ]
    all: Annotated[bool, Default(False), Doc("All stores there are now, instead of `stores`.")]
    start: Annotated[Instant | None, Default(None)]
    end: Annotated[Instant | None, Default(None), Doc("Not included.")]
    start_local: Annotated[LocalInstant | None, Default(None), Doc("On each store's own clock, without an offset.")]
    end_local: Annotated[LocalInstant | None, Default(None)]
    gaps: Annotated[bool, Default(False), Doc("Not the whole interval, but the collector gaps in it.")]


@body
class WithdrawalBody(TypedDict, total=False):
    """Why an entry is withdrawn."""

    reason: Required[AdjustmentReason]
    note: _Note


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
