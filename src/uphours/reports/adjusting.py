"""What someone wants the ledger to say: which intervals of which stores that is, and what it would move."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, get_args

import numpy as np

from uphours.errors import InputError, shown
from uphours.kernel.adjustments import resolved
from uphours.kernel.collector_gaps import collector_gaps
from uphours.kernel.policy import Policy
from uphours.kernel.schedule import local_to_utc_of
from uphours.kernel.windows import Window, windows
from uphours.reports.measure import latest_instant, schedule_over, totals
from uphours.reports.memberships import AttributedFleet, stores_where
from uphours.reports.reading import read_window
from uphours.schema import (
    SPAN_STATUSES,
    Codes,
    Fleet,
    Instants,
    check_reason,
    checked_instant,
    instant_iso,
    instant_text,
)
from uphours.where import Where
from uphours.wire.words import CountsAs

COUNTS_AS: Final[tuple[CountsAs, ...]] = get_args(CountsAs)
#: What of a collector gap can be said: that it is not known, or that it does not count.
_OF_GAPS: Final = ("unknown", "excluded")
_LONGEST_NOTE: Final = 4000
_FIGURES: Final = ("uptime_us", "downtime_us", "unknown_us", "excluded_us", "scheduled_us")


@dataclass(frozen=True, kw_only=True)
class Adjustment:
    """An entry that someone wants to make; checked when it is made.

    ``start``, ``end``: microseconds, in UTC or, if ``is_local``, on the wall clock of each store, each in the zone in
    force on its own date. ``stores``: ids, None for all stores. ``gaps``: not the whole interval but the collector gaps
    in it, which must count as unknown or excluded.

    Raises
    ------
    InputError
        A value makes no sense.
    """

    counts_as: str
    reason: str
    start: int
    end: int
    is_local: bool = False
    stores: tuple[str, ...] | None = None
    gaps: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        if self.counts_as not in COUNTS_AS:
            raise InputError(f"cannot count as {shown(self.counts_as)}; valid are {', '.join(COUNTS_AS)}")
        check_reason(self.reason)
        if len(self.note) > _LONGEST_NOTE:
            raise InputError(f"the note has {len(self.note):,} characters; valid are up to {_LONGEST_NOTE:,}")
        for us in (self.start, self.end):
            checked_instant(us, "a bound of the adjustment")
        if self.start >= self.end:
            bounds = [instant_text(us).removesuffix(" UTC" if self.is_local else "") for us in (self.start, self.end)]
            raise InputError(
                f"the adjustment ends at {bounds[1]}, which is not after its start at {bounds[0]}", field="start"
            )
        if self.stores is not None and not self.stores:
            raise InputError("no store is named; valid are ids of stores, or all of them")
        if self.gaps and (self.counts_as not in _OF_GAPS or self.is_local):
            raise InputError(
                f"collector gaps can count as {' or '.join(_OF_GAPS)}, between two instants: what "
                "happened in them is not known"
            )


@dataclass(frozen=True)
class Plan:
    """The intervals ``[starts, ends)`` of an adjustment, UTC microseconds; ``stores``: the position of each one's."""

    stores: Codes
    starts: Instants
    ends: Instants


@dataclass(frozen=True)
class Moved:
    """What an adjustment would move: sums over its stores, from its first to its last instant, up to the latest poll.

    ``stores``: how many it is about; ``intervals``: how many intervals these have. ``before``, ``after``: microseconds
    by figure. ``entered``: how long all intervals are together, open or closed.
    """

    counts_as: str
    stores: int
    intervals: int
    start_us: int
    end_us: int
    entered_us: int
    before: dict[str, int]
    after: dict[str, int]

    def facts(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def plan(fleet: Fleet, adjustment: Adjustment) -> Plan:
    """Return which intervals an adjustment is about, of the stores of a fleet that is narrowed down to its stores.

    Raises
    ------
    InputError
        There is no store, no collector gap in the interval, or a clock that goes forward leaves nothing of it.
    """
    n = len(fleet.store_ids)
    if not n:
        raise InputError("there is no store to adjust; load polls, hours or zones first")
    every = np.arange(n, dtype=np.int32)
    if adjustment.gaps:
        starts, ends = _gaps(fleet, adjustment.start, adjustment.end)
        return Plan(np.repeat(every, len(starts)), np.tile(starts, n), np.tile(ends, n))
    bounds = [np.full(n, us) for us in (adjustment.start, adjustment.end)]
    if adjustment.is_local:
        bounds = [local_to_utc_of(fleet.clocks, every, local) for local in bounds]
    starts, ends = bounds
    some = starts < ends
    if not some.any():
        raise InputError("nothing is left of the adjustment: the clocks of its stores skip that time")
    return Plan(every[some], starts[some], ends[some])


def stores_meant(fleet: AttributedFleet, where: Where, adjustment: Adjustment) -> tuple[str, ...]:
    """Return the stores that have some values of attributes when an adjustment begins, each on its own clock if local.

    Raises
    ------
    InputError
        There is no such attribute, or no such store.
    """
    starts = np.full(len(fleet.store_ids), adjustment.start)
    if adjustment.is_local:
        starts = local_to_utc_of(fleet.clocks, np.arange(len(starts), dtype=np.int32), starts)
    return tuple(stores_where(fleet, where, starts))


def _gaps(fleet: Fleet, start: int, end: int) -> tuple[Instants, Instants]:
    """Return the collector gaps in ``[start, end)``, cut at its bounds."""
    as_of = latest_instant(fleet)
    known = read_window(fleet, as_of=as_of, window=Window("gaps", instant_iso(start), instant_iso(end)))
    found = collector_gaps(known.known, start, min(end, as_of), as_of)
    starts, ends = np.maximum(found.starts, start), np.minimum(found.ends, end)
    if not len(starts):
        raise InputError(f"there is no collector gap between {instant_text(start)} and {instant_text(end)}")
    return starts, ends


def moved(fleet: Fleet, adjustment: Adjustment, planned: Plan, *, policy: Policy) -> Moved:
    """Return what an adjustment would move, as if it were the next entry of the ledger."""
    start, end = int(planned.starts.min()), int(planned.ends.max())
    as_of = fleet.latest_observation()
    before = after = dict.fromkeys(_FIGURES, 0)
    if as_of is not None and start < as_of:
        window = Window("adjusted", instant_iso(start), instant_iso(end))
        laid = windows([window], as_of, fleet.clocks)
        observations = fleet.observations(start, min(end, as_of), as_of)
        schedule = schedule_over(fleet, observations, start, min(end, as_of))
        now = fleet.adjustments
        counts = np.diff(now.offsets)
        next_entry = int(now.entries.max(initial=0)) + 1
        new = SPAN_STATUSES.index(adjustment.counts_as)
        then = resolved(
            len(fleet.store_ids),
            np.concatenate([np.repeat(np.arange(len(counts), dtype=np.int32), counts), planned.stores]),
            np.concatenate([now.starts, planned.starts]),
            np.concatenate([now.ends, planned.ends]),
            np.concatenate([now.counts_as, np.full(len(planned.stores), new, dtype=np.uint8)]),
            np.concatenate([now.entries, np.full(len(planned.stores), next_entry)]),
        )
        before, after = (_sums(vars(totals(observations, schedule, one, laid, as_of, policy))) for one in (now, then))
    return Moved(
        counts_as=adjustment.counts_as,
        stores=len(np.unique(planned.stores)),
        intervals=len(planned.stores),
        start_us=start,
        end_us=end,
        entered_us=sum((planned.ends - planned.starts).tolist()),
        before=before,
        after=after,
    )


def _sums(figures: dict[str, Any]) -> dict[str, int]:
    # As integers of Python: thirty years of ten thousand stores do not fit into 64 bits.
    return {name: sum(figures[name].ravel().tolist()) for name in _FIGURES}
