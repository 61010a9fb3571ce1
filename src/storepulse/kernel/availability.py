"""Spans × windows → uptime, downtime, unknown and bounds, per store and window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from storepulse.kernel.compiled import compiled
from storepulse.kernel.windows import Windows
from storepulse.schema import ACTIVE, INACTIVE, Observations, Sessions, Spans

Totals = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Availability:
    """Durations in microseconds, int64 of shape (stores, windows).

    ``uptime_us + downtime_us + unknown_us = business_us`` holds exactly. ``observations`` counts the ones made
    in the window, open or closed.
    """

    uptime_us: Totals
    downtime_us: Totals
    unknown_us: Totals
    business_us: Totals
    uptime_min_us: Totals
    uptime_max_us: Totals
    observations: Totals


def availability(
    spans: Spans, sessions: Sessions, observations: Observations, windows: Windows, as_of: int
) -> Availability:
    """Add up the spans inside each window.

    ``uptime_min`` is confirmed uptime, ``uptime_max`` is business time without confirmed downtime. Business
    time is measured on the sessions, not on the spans, so that the two can be held against each other.

    Raises
    ------
    ArithmeticError
        The parts do not add up to the business time of some store and window: a defect of this program.
    """
    ends = np.minimum(windows.ends, as_of)
    # by (status, confirmed): the loop adds to by_status[store, window, status, confirmed]
    by_status = np.zeros((*ends.shape, 3, 2), dtype=np.int64)
    _overlap_loop(
        spans.offsets, spans.starts, spans.ends, spans.statuses, spans.confirmed.view(np.uint8),
        windows.starts, ends, by_status,
    )  # fmt: skip
    business = np.zeros((*ends.shape, 1, 1), dtype=np.int64)
    one_kind = np.zeros(len(sessions.starts), dtype=np.uint8)
    _overlap_loop(sessions.offsets, sessions.starts, sessions.ends, one_kind, one_kind, windows.starts, ends, business)
    down, up, unknown = (by_status[:, :, status].sum(axis=-1) for status in range(3))
    business_us = business[:, :, 0, 0]
    if wrong := np.argwhere(up + down + unknown != business_us).tolist():
        raise ArithmeticError(
            f"uptime + downtime + unknown is not the business time in window {windows.names[wrong[0][1]]}, "
            f"nor in {len(wrong) - 1} more cases"
        )
    return Availability(
        uptime_us=up,
        downtime_us=down,
        unknown_us=unknown,
        business_us=business_us,
        uptime_min_us=by_status[:, :, ACTIVE, 1],
        uptime_max_us=business_us - by_status[:, :, INACTIVE, 1],
        # One made at as_of itself is known by then.
        observations=_observations(observations, windows.starts, np.minimum(windows.ends, as_of + 1)),
    )


def _observations(observations: Observations, starts: Totals, ends: Totals) -> Totals:
    counts = np.zeros(starts.shape, dtype=np.int64)
    _count_loop(observations.offsets, observations.times, starts, ends, counts)
    return counts


@compiled
def _overlap_loop(offsets, starts, ends, kinds, subkinds, window_starts, window_ends, totals):  # type: ignore[no-untyped-def]
    """Add to ``totals[store, window, kind, subkind]`` what each interval shares with each window."""
    for store in range(len(offsets) - 1):
        for i in range(offsets[store], offsets[store + 1]):
            for window in range(window_starts.shape[1]):
                start = max(starts[i], window_starts[store, window])
                end = min(ends[i], window_ends[store, window])
                if start < end:
                    totals[store, window, kinds[i], subkinds[i]] += end - start


@compiled
def _count_loop(offsets, times, window_starts, window_ends, counts):  # type: ignore[no-untyped-def]
    for store in range(len(offsets) - 1):
        mine = times[offsets[store] : offsets[store + 1]]
        for window in range(window_starts.shape[1]):
            until = np.searchsorted(mine, window_ends[store, window])
            since = np.searchsorted(mine, window_starts[store, window])
            counts[store, window] = max(until - since, 0)
