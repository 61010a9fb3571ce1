"""Spans × windows → uptime, downtime, unknown, excluded and bounds, per store and window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uphours.kernel.jit import compiled
from uphours.kernel.observations import places
from uphours.kernel.windows import Windows
from uphours.schema import ACTIVE, EXCLUDED, INACTIVE, SPAN_STATUSES, UNKNOWN, Observations, Sessions, Spans

Totals = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Durations:
    """Scheduled time by what became of it, in microseconds: int64 arrays of one shape.

    ``uptime_us + downtime_us + unknown_us = business_us`` and ``business_us + excluded_us = scheduled_us`` hold
    exactly, and so does ``raw_uptime_us + raw_downtime_us + raw_unknown_us = scheduled_us``: raw figures ignore the
    ledger.
    ``watched_us`` is the part of the business time that was watched, whatever was seen. ``uptime_min_us`` is confirmed
    uptime, ``uptime_max_us`` is business time without confirmed downtime.
    """

    uptime_us: Totals
    downtime_us: Totals
    unknown_us: Totals
    excluded_us: Totals
    scheduled_us: Totals
    business_us: Totals
    raw_uptime_us: Totals
    raw_downtime_us: Totals
    raw_unknown_us: Totals
    watched_us: Totals
    uptime_min_us: Totals
    uptime_max_us: Totals


@dataclass(frozen=True)
class Availability(Durations):
    """Durations of shape (stores, windows); ``observations`` counts the ones made in the window, open or closed."""

    observations: Totals


def by_status(shape: tuple[int, ...]) -> Totals:
    """Return zeros to which time is added by ``[…, status, confirmed]``."""
    return np.zeros((*shape, len(SPAN_STATUSES), 2), dtype=np.int64)


def durations(
    measured: Totals, raw: Totals, scheduled_us: Totals, watched_us: Totals, place: Callable[[int], str]
) -> Durations:
    """Return the durations of time that was added up by status and confirmation, adjusted and raw.

    ``scheduled_us`` is measured on the sessions, not on the spans, so that the two can be compared. ``place`` names a
    place on the last axis, for the message.

    Raises
    ------
    ArithmeticError
        The parts do not add up to the scheduled time at some place: a defect of this program.
    """
    # Sums over a short axis are slow in NumPy.
    of_status = measured[..., 0] + measured[..., 1]
    raw_of_status = of_status if raw is measured else raw[..., 0] + raw[..., 1]
    checked = {"uptime + downtime + unknown + excluded": of_status}
    if raw is not measured:
        checked["raw time"] = raw_of_status
    for said, parts in checked.items():
        if wrong := np.argwhere(sum(np.moveaxis(parts, -1, 0)) != scheduled_us).tolist():
            raise ArithmeticError(
                f"{said} is not the scheduled time in {place(wrong[0][1])}, nor in {len(wrong) - 1} more cases"
            )
    business_us = scheduled_us - of_status[..., EXCLUDED]
    return Durations(
        uptime_us=of_status[..., ACTIVE],
        downtime_us=of_status[..., INACTIVE],
        unknown_us=of_status[..., UNKNOWN],
        excluded_us=of_status[..., EXCLUDED],
        scheduled_us=scheduled_us,
        business_us=business_us,
        raw_uptime_us=raw_of_status[..., ACTIVE],
        raw_downtime_us=raw_of_status[..., INACTIVE],
        raw_unknown_us=raw_of_status[..., UNKNOWN],
        watched_us=watched_us,
        uptime_min_us=measured[..., ACTIVE, 1],
        uptime_max_us=business_us - measured[..., INACTIVE, 1],
    )


def availability(
    spans: Spans, raw: Spans, sessions: Sessions, watched: Sessions, observations: Observations, windows: Windows,
    as_of: int,
) -> Availability:  # fmt: skip
    """Add up the spans inside each window; ``raw``: the same timeline without adjustments.

    Raises
    ------
    ArithmeticError
        The parts do not add up to the scheduled time of some store and window: a defect of this program.
    """
    ends = np.minimum(windows.ends, as_of)

    def measure(spans: Spans) -> Totals:
        measured = by_status(ends.shape)
        _overlap_loop(
            spans.offsets, spans.starts, spans.ends, spans.statuses, spans.confirmed.view(np.uint8),
            windows.starts, ends, measured,
        )  # fmt: skip
        return measured

    measured = measure(spans)
    raw_measured = measured if raw is spans else measure(raw)
    scheduled_us, watched_us = (_shared(parts, windows.starts, ends) for parts in (sessions, watched))
    parts = durations(
        measured, raw_measured, scheduled_us, watched_us, lambda window: f"window {windows.names[window]}"
    )
    # An observation made at as_of itself is known by then.
    since, until = (places(observations, of) for of in (windows.starts, np.minimum(windows.ends, as_of + 1)))
    return Availability(**vars(parts), observations=np.maximum(until - since, 0))


def _shared(parts: Sessions, starts: Totals, ends: Totals) -> Totals:
    """Return how much of the parts of sessions lies in each window."""
    shared = np.zeros((*ends.shape, 1, 1), dtype=np.int64)
    one_kind = np.zeros(len(parts.starts), dtype=np.uint8)
    _overlap_loop(parts.offsets, parts.starts, parts.ends, one_kind, one_kind, starts, ends, shared)
    return shared[:, :, 0, 0]


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
