"""Budgets of downtime: what was until as_of, what is scheduled in a whole period, and when a budget runs out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from uphours.kernel.policy import Policy
from uphours.kernel.windows import Windows
from uphours.reports.measure import Timelines, extent, in_parts
from uphours.reports.reading import Known
from uphours.reports.report import booked
from uphours.schema import (
    EXCLUDED,
    INACTIVE,
    UNKNOWN,
    WHOLE_SHARE,
    Instants,
    Observations,
    Schedule,
    Spans,
    Target,
    instant_iso,
)
from uphours.wire.words import Exhausted

"""The budget has run out already, or would run out at the present rate."""
Integers: TypeAlias = npt.NDArray[np.int64]

#: Sums of lengths below this fit into 64 bits.
_FITS: Final = float(1 << 62)


@dataclass(frozen=True)
class Budget:
    """What a target allows and what is used of it, in microseconds; of one store, or of several added up.

    ``business_us``: business time of the whole period; ``elapsed_us``: the part of it before as_of, which is
    ``uptime_us + used_us + unknown_us``. ``budget_us``: the downtime that the target allows, rounded down; ``used_us``:
    downtime so far; ``left_us``: the difference, negative where more is used. ``is_met``: whether availability so far
    is at least the target; None where nothing is known. ``exhausted_at``: when the budget has run out (``exhausted``
    ``past``) or will run out in this period if business time goes on as so far (``projected``), UTC microseconds; None
    for neither.
    """

    business_us: int
    budget_us: int
    used_us: int
    left_us: int
    elapsed_us: int
    uptime_us: int
    unknown_us: int
    is_met: bool | None
    exhausted_at: int | None
    exhausted: Exhausted | None

    @property
    def availability(self) -> float | None:
        """Uptime over known time; None where nothing is known."""
        known = self.uptime_us + self.used_us
        return self.uptime_us / known if known else None

    def facts(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "availability": self.availability,
            "met": self.is_met,
            "budget_us": self.budget_us,
            "used_us": self.used_us,
            "left_us": self.left_us,
            "business_us": self.business_us,
            "elapsed_us": self.elapsed_us,
            "uptime_us": self.uptime_us,
            "unknown_us": self.unknown_us,
            "exhausted_at": None if self.exhausted_at is None else instant_iso(self.exhausted_at),
            "exhausted": self.exhausted,
        }


def nothing_observed(n: int) -> Observations:
    """Return no observations of ``n`` stores."""
    none = np.empty(0, dtype=np.int64)
    return Observations(np.zeros(n + 1, dtype=np.int64), none, none.astype(np.uint8))


@dataclass(frozen=True)
class _Intervals:
    """Intervals ``[starts, ends)`` of stores, disjoint at each, in order of store; ``stores``: int64."""

    stores: Integers
    starts: Instants
    ends: Instants

    def of(self, place: int | slice) -> tuple[Instants, Instants]:
        """Return those of one store, or of all."""
        if isinstance(place, slice):
            return self.starts[place], self.ends[place]
        rows = slice(*np.searchsorted(self.stores, [place, place + 1]).tolist())
        return self.starts[rows], self.ends[rows]


@dataclass(frozen=True)
class Measured:
    """What was measured of each store of a target: microseconds, of shape (stores,), and some intervals.

    ``business_us``: of the whole period. ``down``: downtime so far, as it is booked. ``ahead``: business time to come.
    """

    business_us: Integers
    elapsed_us: Integers
    uptime_us: Integers
    downtime_us: Integers
    unknown_us: Integers
    down: _Intervals
    ahead: _Intervals

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        sums = (self.business_us, self.elapsed_us, self.uptime_us, self.downtime_us, self.unknown_us)
        intervals = (array for one in (self.down, self.ahead) for array in vars(one).values())
        return sum(array.nbytes for array in (*sums, *intervals))

    def is_met(self, target: Target) -> list[bool | None]:
        """Return whether each store meets the target; None where nothing is known of it."""
        times = zip(self.uptime_us.tolist(), self.downtime_us.tolist(), strict=True)
        return [_meets(up, down, target.share or 0) for up, down in times]

    def budget(self, target: Target, place: int | slice) -> Budget:
        """Return the figures of one store, given by position, or of all."""
        business, elapsed, up, used, unknown = (
            _sum(values[place])
            for values in (self.business_us, self.elapsed_us, self.uptime_us, self.downtime_us, self.unknown_us)
        )
        share = target.share or 0
        allowed = business * (WHOLE_SHARE - share) // WHOLE_SHARE
        left = allowed - used
        exhausted_at: int | None = None
        exhausted: Exhausted | None = None
        if used and left <= 0:
            exhausted_at, exhausted = _reached(*self.down.of(place), allowed), "past"
        elif used:
            exhausted_at = _reached(*self.ahead.of(place), left * elapsed // used)
            exhausted = None if exhausted_at is None else "projected"
        return Budget(
            business_us=business,
            budget_us=allowed,
            used_us=used,
            left_us=left,
            elapsed_us=elapsed,
            uptime_us=up,
            unknown_us=unknown,
            is_met=_meets(up, used, share),
            exhausted_at=exhausted_at,
            exhausted=exhausted,
        )


def _meets(up: int, down: int, share: int) -> bool | None:
    return up * WHOLE_SHARE >= share * (up + down) if up + down else None


def _sum(values: Integers | np.int64) -> int:
    """Add up as integers of Python: the time of very many stores does not fit into 64 bits."""
    return sum(np.atleast_1d(values).tolist())


def _reached(starts: Instants, ends: Instants, wanted: int) -> int | None:
    """Return the instant up to which intervals, of several stores perhaps at once, add up to an amount of time.

    It is rounded down to the microsecond, and not before the first of them; None where all of them are less.
    """
    bounds = np.unique(np.concatenate([starts, ends]))
    if not len(bounds):
        return None
    changes = np.zeros(len(bounds), dtype=np.int64)
    np.add.at(changes, np.searchsorted(bounds, starts), 1)
    np.add.at(changes, np.searchsorted(bounds, ends), -1)
    at_once, lengths = np.cumsum(changes)[:-1], np.diff(bounds)
    fits = float((ends - starts).sum(dtype=np.float64)) < _FITS
    times = at_once * lengths if fits else at_once.astype(object) * lengths
    sums = np.cumsum(times)
    for place in np.flatnonzero((at_once > 0) & (sums >= wanted))[:1].tolist():
        before = int(sums[place]) - int(times[place])
        return int(bounds[place]) + (wanted - before) // int(at_once[place])
    return None


def measure_pieces(known: Known, whole: Schedule, laid: Windows, as_of: int, policy: Policy) -> Measured:
    """Measure stores in their pieces of a period: what was until as_of, and what is scheduled in all of it."""
    is_down = [INACTIVE, UNKNOWN] if policy.assume == "inactive" else [INACTIVE]
    n = len(known.store_ids)

    def so_far(first: int, stop: int, made: Timelines) -> tuple[Integers, _Intervals]:
        pieces = laid.of(slice(first, stop))
        found = made.availability(pieces, as_of)
        figures = np.stack([found.business_us, found.uptime_us, found.downtime_us, found.unknown_us]).sum(axis=2)
        return figures, _clipped(made.spans, np.isin(made.spans.statuses, is_down), pieces, first)

    def in_all(first: int, stop: int, made: Timelines) -> tuple[Integers, _Intervals]:
        pieces = laid.of(slice(first, stop))
        business = made.availability(pieces, end).business_us.sum(axis=1)[np.newaxis]
        later = Windows(pieces.names, np.maximum(pieces.starts, as_of), pieces.ends, {})
        return business, _clipped(made.spans, made.spans.statuses != EXCLUDED, later, first)

    start, end = extent(laid, int(laid.ends.max(initial=as_of)))
    (elapsed, up, down, unknown), is_used = _joined(
        in_parts(known.known, known.schedule, known.adjustments, *extent(laid, as_of), policy, so_far)
    )
    (business,), to_come = _joined(in_parts(nothing_observed(n), whole, known.adjustments, start, end, policy, in_all))
    up, down, unknown = booked(policy, up, down, unknown)
    return Measured(business, elapsed, up, down, unknown, is_used, to_come)


def _clipped(spans: Spans, chosen: npt.NDArray[np.bool_], pieces: Windows, first: int) -> _Intervals:
    """Return the parts of chosen spans that lie in the pieces of their stores, which are numbered from ``first``."""
    stores = np.repeat(np.arange(len(spans.offsets) - 1), np.diff(spans.offsets))[chosen]
    starts = np.maximum(spans.starts[chosen, np.newaxis], pieces.starts[stores])
    ends = np.minimum(spans.ends[chosen, np.newaxis], pieces.ends[stores])
    rows, columns = np.nonzero(starts < ends)
    return _Intervals(stores[rows] + first, starts[rows, columns], ends[rows, columns])


def _joined(parts: Sequence[tuple[Integers, _Intervals]]) -> tuple[Integers, _Intervals]:
    figures, intervals = zip(*parts, strict=True)
    columns = zip(*((one.stores, one.starts, one.ends) for one in intervals), strict=True)
    return np.concatenate(figures, axis=1), _Intervals(*map(np.concatenate, columns))
