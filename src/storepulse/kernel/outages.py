"""Spans → outages: maximal runs of down spans. Closed time does not interrupt one, up or unknown time does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from storepulse.kernel.compiled import compiled
from storepulse.kernel.windows import Windows
from storepulse.schema import INACTIVE, Codes, Instants, Spans


@dataclass(frozen=True)
class Outages:
    """One element an outage, ascending per store.

    ``stores``: int32. ``starts``, ``ends``: from the first down instant to the last, closed time between
    included. ``downtime_us``: the open time in it.
    """

    stores: Codes
    starts: Instants
    ends: Instants
    downtime_us: npt.NDArray[np.int64]


def outages(spans: Spans) -> Outages:
    """Return the outages of a timeline; one that was going on before it begins with the timeline."""
    stores = np.repeat(np.arange(len(spans.offsets) - 1, dtype=np.int32), np.diff(spans.offsets))
    down = spans.statuses == INACTIVE
    begins = down.copy()
    begins[1:] &= ~(down[:-1] & (stores[1:] == stores[:-1]))
    outage = np.cumsum(begins)[down] - 1
    first = np.flatnonzero(begins)
    last = np.flatnonzero(down)[np.append(np.flatnonzero(np.diff(outage)), len(outage) - 1)[: len(first)]]
    durations = np.zeros(len(first), dtype=np.int64)
    np.add.at(durations, outage, (spans.ends - spans.starts)[down])
    return Outages(stores[first], spans.starts[first], spans.ends[last], durations)


def outages_in(spans: Spans, windows: Windows, as_of: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return, per store and window, how many outages have down time in it and the most that one has, in µs."""
    counts = np.zeros(windows.starts.shape, dtype=np.int64)
    longest = np.zeros(windows.starts.shape, dtype=np.int64)
    ends = np.minimum(windows.ends, as_of)
    _outages_loop(
        spans.offsets,
        spans.starts,
        spans.ends,
        spans.statuses == INACTIVE,
        windows.starts,
        ends,
        counts,
        longest,
    )
    return counts, longest


@compiled
def _outages_loop(offsets, starts, ends, down, window_starts, window_ends, counts, longest):  # type: ignore[no-untyped-def]
    for store in range(len(offsets) - 1):
        for window in range(window_starts.shape[1]):
            running = 0  # down time of the outage that is going on
            for i in range(offsets[store], offsets[store + 1]):
                if not down[i]:
                    running = 0
                    continue
                start = max(starts[i], window_starts[store, window])
                end = min(ends[i], window_ends[store, window])
                if start < end:
                    counts[store, window] += running == 0
                    running += end - start
                    longest[store, window] = max(longest[store, window], running)
