"""Spans → outages: maximal runs of down spans, which up and unknown time interrupt, closed and excluded time do not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uphours.kernel.jit import compiled
from uphours.kernel.windows import Windows
from uphours.schema import END_OF_TIME, EXCLUDED, INACTIVE, Codes, Instants, Spans


@dataclass(frozen=True)
class Outages:
    """One element an outage, ascending per store.

    ``stores``: int32. ``starts``, ``ends``: from the first down instant to the last, closed and excluded time between
    included. ``downtime_us``: the down time in it.
    """

    stores: Codes
    starts: Instants
    ends: Instants
    downtime_us: npt.NDArray[np.int64]


def outages(spans: Spans) -> Outages:
    """Return the outages of a timeline; one that was going on before it begins with the timeline."""
    return runs(spans, spans.statuses == INACTIVE)


def runs(spans: Spans, chosen: npt.NDArray[np.bool_]) -> Outages:
    """Return the maximal runs of chosen spans (bool, one element a span) as if they were outages."""
    stores = np.repeat(np.arange(len(spans.offsets) - 1, dtype=np.int32), np.diff(spans.offsets))
    starts, ends = spans.starts, spans.ends
    if spans.entries is not None:
        counts = (spans.statuses != EXCLUDED) | chosen
        stores, starts, ends, chosen = stores[counts], starts[counts], ends[counts], chosen[counts]
    begins = chosen.copy()
    begins[1:] &= ~(chosen[:-1] & (stores[1:] == stores[:-1]))
    run = np.cumsum(begins)[chosen] - 1
    first = np.flatnonzero(begins)
    last = np.flatnonzero(chosen)[np.append(np.flatnonzero(np.diff(run)), len(run) - 1)[: len(first)]]
    durations = np.zeros(len(first), dtype=np.int64)
    np.add.at(durations, run, (ends - starts)[chosen])
    return Outages(stores[first], starts[first], ends[last], durations)


def outages_in(spans: Spans, windows: Windows, as_of: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return, per store and window, how many outages have down time in it and the most that one has, in µs."""
    counts, longest, running = (np.zeros(windows.starts.shape, dtype=np.int64) for _ in range(3))
    everywhere = np.full(len(spans.offsets) - 1, END_OF_TIME)
    add_outages(spans, -everywhere, everywhere, windows, as_of, counts, longest, running)
    return counts, longest


def add_outages(
    spans: Spans,
    since: Instants,
    until: Instants,
    windows: Windows,
    as_of: int,
    counts: npt.NDArray[np.int64],
    longest: npt.NDArray[np.int64],
    running: npt.NDArray[np.int64],
) -> None:
    """Go on with what `outages_in` returns: let the spans count that lie in ``[since[i], until[i])`` of each store.

    ``counts``, ``longest``, and ``running``, the down time that the outage which is going on has in each window:
    int64 of shape (stores, windows), changed in place; all 0 before the first call.
    """
    _outages_loop(
        spans.offsets, spans.starts, spans.ends, spans.statuses, since, until,
        windows.starts, np.minimum(windows.ends, as_of), counts, longest, running,
    )  # fmt: skip


@compiled
def _outages_loop(  # type: ignore[no-untyped-def]
    offsets, starts, ends, statuses, since, until, window_starts, window_ends, counts, longest, running
):
    for store in range(len(offsets) - 1):
        for window in range(window_starts.shape[1]):
            for i in range(offsets[store], offsets[store + 1]):
                if ends[i] <= since[store] or starts[i] >= until[store] or statuses[i] == EXCLUDED:
                    continue
                if statuses[i] != INACTIVE:
                    running[store, window] = 0
                    continue
                start = max(starts[i], since[store], window_starts[store, window])
                end = min(ends[i], until[store], window_ends[store, window])
                if start < end:
                    counts[store, window] += running[store, window] == 0
                    running[store, window] += end - start
                    longest[store, window] = max(longest[store, window], running[store, window])
