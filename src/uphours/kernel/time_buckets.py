"""Spans → sums over a whole fleet, for each bucket of time: pieces of a stretch, or the hours of a week."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, get_args

import numpy as np

from uphours.kernel.availability import Durations, Totals, by_status, durations
from uphours.kernel.jit import compiled
from uphours.kernel.local_time import WeekClocks
from uphours.kernel.schedule import wall_clocks
from uphours.schema import (
    DAY_US,
    HOUR_US,
    Codes,
    Instants,
    Observations,
    Schedule,
    Sessions,
    Spans,
)
from uphours.wire.words import BucketSize

BUCKETS: Final[tuple[BucketSize, ...]] = get_args(BucketSize)
_WIDTHS_US: Final = dict(zip(BUCKETS, (HOUR_US, DAY_US, 7 * DAY_US), strict=True))
#: The longest stretch that is cut into hours, and into days.
_LONGEST_US: Final[dict[BucketSize, int]] = {"hour": 10 * DAY_US, "day": 400 * DAY_US}
#: From the Monday before the epoch to the epoch: weeks begin on Monday.
_SINCE_MONDAY_US: Final = 3 * DAY_US

HOURS_OF_WEEK: Final = 168

#: 230 years of this many stores fit into 64 bits.
STORES_OF_A_BLOCK: Final = 1024


@dataclass(frozen=True)
class Grid:
    """Time cut into numbered buckets of one width, for n stores.

    The bucket of an instant u of store i is ``(u + shift) // width_us % buckets``, with the shift that the clock
    ``clock_of[i]`` has at u. ``clock_of``: int32 of length n.
    """

    width_us: int
    buckets: int
    clocks: WeekClocks
    clock_of: Codes

    def of(self, first: int, stop: int) -> Grid:
        """Return that of the stores ``first … stop-1``, numbered from 0."""
        return Grid(self.width_us, self.buckets, self.clocks, self.clock_of[first:stop])


@dataclass(frozen=True)
class Sums(Durations):
    """Durations and counts of shape (blocks, buckets): a row for some stores in a row.

    To be added up as Python's own integers: the sums of a large fleet over decades do not fit into 64 bits.
    ``observations`` counts the ones made in the bucket, open or closed, ``stores_observed`` the stores that have any.
    """

    observations: Totals
    stores_observed: Totals


def bucket_for(start: int, end: int) -> BucketSize:
    """Return into what a stretch is cut: hours up to ten days, days up to 400, else weeks.

    >>> bucket_for(0, 7 * DAY_US), bucket_for(0, 365 * DAY_US), bucket_for(0, 401 * DAY_US)
    ('hour', 'day', 'week')
    """
    return next((name for name, longest in _LONGEST_US.items() if end - start <= longest), "week")


def bucket_edges(bucket: BucketSize, start: int, end: int) -> list[int]:
    """Return where the buckets of ``[start, end)`` begin, and the end of the last one.

    Buckets begin with whole hours, days and weeks of UTC, weeks with Monday. The first and the last one are cut at
    the bounds of the stretch. An empty stretch has none.
    """
    if start >= end:
        return []
    width = _WIDTHS_US[bucket]
    first = _first_edge(width, start)
    return [start, *range(first + width, end, width), end]


def _first_edge(width: int, start: int) -> int:
    return start - (start + _SINCE_MONDAY_US) % width


def history_grid(bucket: BucketSize, start: int, end: int, n: int) -> Grid:
    """Return the grid of the buckets of ``[start, end)``, not empty, which is the same for all of n stores."""
    width = _WIDTHS_US[bucket]
    first = _first_edge(width, start)
    clocks = WeekClocks(np.array([0, 1]), np.array([start]), np.array([-first]))
    return Grid(width, -(-(end - first) // width), clocks, np.zeros(n, dtype=np.int32))


def week_grid(schedule: Schedule, start: int, end: int) -> Grid:
    """Return the grid of the hours of the week on the wall clock of each store, bucket 0 from Monday 00:00.

    An hour that occurs twice adds to one bucket both times.
    """
    return Grid(HOUR_US, HOURS_OF_WEEK, *wall_clocks(schedule, start, end))


def sums(
    spans: Spans,
    raw: Spans,
    sessions: Sessions,
    watched: Sessions,
    observations: Observations,
    grid: Grid,
    starts: Instants,
    ends: Instants,
    as_of: int,
    stores_of_a_block: int = STORES_OF_A_BLOCK,
) -> Sums:
    """Add up the spans of all stores in each bucket, each store inside its own ``[starts[i], ends[i])``.

    Nothing after ``as_of`` counts but an observation made at it, if ``ends`` is later: it belongs to the bucket that
    ends there. Bounds, and ``raw``, are those of `availability`. ``stores_of_a_block``: how many stores in a
    row are added up to one row of the sums; 1 for each store alone.

    Raises
    ------
    ArithmeticError
        The parts do not add up to the scheduled time of some bucket: a defect of this program.
    """
    n = len(starts)
    blocks = -(-n // stores_of_a_block)
    until = np.minimum(ends, as_of)
    clock = (
        grid.clock_of,
        grid.clocks.offsets,
        grid.clocks.starts,
        grid.clocks.shifts,
        grid.width_us,
        stores_of_a_block,
    )

    def measure(spans: Spans) -> Totals:
        measured = by_status((blocks, grid.buckets))
        _spread_loop(
            spans.offsets, spans.starts, spans.ends, spans.statuses, spans.confirmed.view(np.uint8),
            starts, until, *clock, measured,
        )  # fmt: skip
        return measured

    def spread(parts: Sessions) -> Totals:
        shared = np.zeros((blocks, grid.buckets, 1, 1), dtype=np.int64)
        one_kind = np.zeros(len(parts.starts), dtype=np.uint8)
        _spread_loop(parts.offsets, parts.starts, parts.ends, one_kind, one_kind, starts, until, *clock, shared)
        return shared[:, :, 0, 0]

    measured = measure(spans)
    raw_measured = measured if raw is spans else measure(raw)
    parts = durations(measured, raw_measured, spread(sessions), spread(watched), lambda bucket: f"bucket {bucket}")
    counts = np.zeros((blocks, grid.buckets), dtype=np.int64)
    stores = np.zeros((blocks, grid.buckets), dtype=np.int64)
    _count_loop(
        observations.offsets, observations.times, starts, np.minimum(ends, as_of + 1), as_of, *clock, counts, stores,
        np.full(grid.buckets, -1, dtype=np.int64),
    )  # fmt: skip
    return Sums(**vars(parts), observations=counts, stores_observed=stores)


@compiled
def _spread_loop(  # type: ignore[no-untyped-def]
    offsets, starts, ends, kinds, subkinds,
    window_starts, window_ends,
    clock_of, clock_offsets, clock_starts, shifts, width, stores_of_a_block,
    totals,
):  # fmt: skip
    """Add to ``totals[block, bucket, kind, subkind]`` what each interval has in each bucket."""
    buckets = totals.shape[1]
    around = buckets * width
    for store in range(len(offsets) - 1):
        block = store // stores_of_a_block
        clock, last_clock = clock_offsets[clock_of[store]], clock_offsets[clock_of[store] + 1] - 1
        for i in range(offsets[store], offsets[store + 1]):
            a, end = max(starts[i], window_starts[store]), min(ends[i], window_ends[store])
            while a < end:
                while clock < last_clock and clock_starts[clock + 1] <= a:
                    clock += 1
                b = end if clock == last_clock else min(end, clock_starts[clock + 1])
                if b - a >= around:  # once or more around: every bucket gets the same
                    rounds = (b - a) // around
                    for bucket in range(buckets):
                        totals[block, bucket, kinds[i], subkinds[i]] += rounds * width
                    a += rounds * around
                place = (a + shifts[clock]) // width
                edge = (place + 1) * width - shifts[clock]
                bucket = place % buckets
                while a < b:
                    until = min(edge, b)
                    totals[block, bucket, kinds[i], subkinds[i]] += until - a
                    a = until
                    edge += width
                    bucket = bucket + 1 if bucket + 1 < buckets else 0


@compiled
def _count_loop(  # type: ignore[no-untyped-def]
    offsets, times,
    window_starts, window_ends, as_of,
    clock_of, clock_offsets, clock_starts, shifts, width, stores_of_a_block,
    counts, stores, counted,
):  # fmt: skip
    """Add to ``counts[block, bucket]`` the observations made in it, and to ``stores`` the stores that have any.

    ``counted[bucket]`` becomes the last store that was counted in it; at first, none.
    """
    buckets = counts.shape[1]
    for store in range(len(offsets) - 1):
        block = store // stores_of_a_block
        clock, last_clock = clock_offsets[clock_of[store]], clock_offsets[clock_of[store] + 1] - 1
        bucket, edge = 0, window_starts[store]
        for i in range(offsets[store], offsets[store + 1]):
            if times[i] < window_starts[store] or times[i] >= window_ends[store]:
                continue
            at = min(times[i], as_of - 1)
            if at >= edge:
                while clock < last_clock and clock_starts[clock + 1] <= at:
                    clock += 1
                place = (at + shifts[clock]) // width
                bucket = place % buckets
                edge = (place + 1) * width - shifts[clock]
                if clock < last_clock:
                    edge = min(edge, clock_starts[clock + 1])
            counts[block, bucket] += 1
            if counted[bucket] != store:
                counted[bucket] = store
                stores[block, bucket] += 1
