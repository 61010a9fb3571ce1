"""Observations → collector gaps: stretches in which almost no store was observed, because the poller was down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from uphours.kernel.jit import compiled
from uphours.schema import DAY_US, HOUR_US, MINUTE_US, Instants, Observations

#: Time is looked at in bins of this length, so nothing shorter is a gap.
BIN_US: Final = 5 * MINUTE_US
#: A bin is busy with more than a hundredth of the stores that it should hold.
_BUSY_SHARE: Final = 100
#: How long after its last observation a store is still expected to be polled.
_EXPECTED_US: Final = 7 * DAY_US
#: The typical interval where no store was observed twice.
_USUAL_INTERVAL_US: Final = HOUR_US


@dataclass(frozen=True)
class Gaps:
    """Collector gaps ``[starts, ends)``, ascending, int64; and the typical interval between two polls of a store.

    A gap begins with the last observation before it and ends with the first one after it, or at as_of.
    ``interval_us`` is None where no store was observed twice.
    """

    starts: Instants
    ends: Instants
    interval_us: int | None


def collector_gaps(observations: Observations, start: int, end: int, as_of: int) -> Gaps:
    """Find the collector gaps that have time in ``[start, end)``, in their true extent as far as it is known.

    The typical interval is the median of the differences between consecutive observations of a store. Time is cut
    into bins of five minutes of UTC. A store is expected from the bin of its first observation to a week after its
    last one, once each typical interval. A bin is busy if the stores observed in it are more than a hundredth of
    those it should hold at this rate. A gap is the time from the last observation of a busy bin to the first one of
    the next busy bin, or to ``as_of`` after the last one, if it is longer than one and a half typical intervals and
    than a bin. What stores do at night makes no gap: a closed store is polled too.

    Parameters
    ----------
    observations
        Nothing after ``as_of``. Per store at least the last one at or before ``start``, those in between, and the
        first one at or after ``end``, where they exist; better those of a week.
    start, end
        UTC microseconds, ``end`` not after ``as_of``.
    """
    interval = _typical_interval(observations)
    times = observations.times
    if not len(times) or start >= end:
        nothing = np.empty(0, dtype=np.int64)
        return Gaps(nothing, nothing, interval)
    every = _USUAL_INTERVAL_US if interval is None else interval
    first_bin = int(times.min()) // BIN_US
    bins = int(times.max()) // BIN_US - first_bin + 1
    seen = np.zeros(bins, dtype=np.int64)
    joined = np.zeros(bins + 1, dtype=np.int64)
    # How far before the end of each bin its first observation is, and how far after its start the last one.
    earliest, latest = np.zeros(bins, dtype=np.int32), np.zeros(bins, dtype=np.int32)
    _bins_loop(observations.offsets, times, first_bin, BIN_US, _EXPECTED_US // BIN_US, seen, joined, earliest, latest)
    expected = np.cumsum(joined[:-1])
    busy = np.flatnonzero(seen > expected * BIN_US // (_BUSY_SHARE * max(every, BIN_US)))
    bin_starts = (busy + first_bin) * BIN_US
    starts = bin_starts + latest[busy]
    ends = np.append(bin_starts[1:] + BIN_US - earliest[busy[1:]], as_of)[: len(starts)]
    lengths = ends - starts
    is_gap = (2 * lengths > 3 * every) & (lengths > BIN_US) & (starts < end) & (ends > start)
    return Gaps(starts[is_gap], ends[is_gap], interval)


def _typical_interval(observations: Observations) -> int | None:
    """Return the lower median of the differences between consecutive observations of each store."""
    between = np.ones(max(len(observations.times) - 1, 0), dtype=np.bool_)
    inner = observations.offsets[1:-1]
    between[inner[(inner > 0) & (inner < len(observations.times))] - 1] = False
    differences = np.diff(observations.times)[between]
    if not len(differences):
        return None
    middle = (len(differences) - 1) // 2
    return int(np.partition(differences, middle)[middle])


@compiled
def _bins_loop(offsets, times, first_bin, width, expected_bins, seen, joined, earliest, latest):  # type: ignore[no-untyped-def]
    """Say of each bin how many stores were seen in it, and how many more are expected from it on than before it."""
    for store in range(len(offsets) - 1):
        last = -1
        edge = 0
        for i in range(offsets[store], offsets[store + 1]):
            if last < 0 or times[i] >= edge:
                now = times[i] // width - first_bin
                edge = (now + first_bin + 1) * width
                seen[now] += 1
                if last < 0:
                    joined[now] += 1
                last = now
            before_edge = edge - times[i]
            earliest[last] = max(earliest[last], before_edge)
            latest[last] = max(latest[last], width - before_edge)
        if last >= 0 and last + expected_bins < len(seen):
            joined[last + expected_bins + 1] -= 1
