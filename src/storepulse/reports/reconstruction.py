"""Observations and hours → sessions and spans: the timeline of every store, for whoever measures it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from storepulse.kernel.hours import reach, sessions
from storepulse.kernel.policy import Policy
from storepulse.kernel.timeline import timeline
from storepulse.schema import Fleet, Observations, Sessions, Spans, WeeklyHours

#: So many stores are measured in one go: their arrays stay in the processor's cache.
STORES_AT_ONCE: Final = 4096

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Reconstruction:
    """Sessions, observations and the spans made of them, for all stores of a fleet in its order."""

    sessions: Sessions
    observations: Observations
    spans: Spans


def reconstruct(
    fleet: Fleet, start: int, end: int, as_of: int, policy: Policy, *, merged: bool = True
) -> Reconstruction:
    """Return the timeline of every store over ``[start, end)``, as it is known at ``as_of``."""
    end = min(end, as_of)
    start = min(start, end)
    return reconstruction(fleet.observations(start, end, as_of), fleet.hours, start, end, policy, merged=merged)


def reconstruction(
    observations: Observations, hours: WeeklyHours, start: int, end: int, policy: Policy, *, merged: bool = True
) -> Reconstruction:
    """Return the timeline of every store over ``[start, end)``, from the observations that it needs."""
    first_seen, last_seen = _seen(observations, start, end)
    open_hours = sessions(hours, *reach(hours, first_seen, last_seen, start, end))
    spans = timeline(observations, open_hours, start, end, policy, merged=merged)
    return Reconstruction(open_hours, observations, spans)


def in_parts(
    observations: Observations,
    hours: WeeklyHours,
    start: int,
    end: int,
    policy: Policy,
    work: Callable[[int, int, Reconstruction], _Made],
) -> list[_Made]:
    """Reconstruct the timelines of some thousand stores at a time, and do a piece of work with each part.

    ``work`` is called with the first store of the part, the first one after it, and the timelines, in threads: arrays
    stay in the processor's cache, memory does not grow with the spans of the whole fleet, and the kernel does not hold
    Python's lock.
    """
    n = len(hours.zones)

    def part(first: int) -> _Made:
        stop = min(first + STORES_AT_ONCE, n)
        made = reconstruction(observations.of(first, stop), hours.of(first, stop), start, end, policy)
        return work(first, stop, made)

    with ThreadPoolExecutor() as threads:
        # At the first part that fails, map takes back all parts that no thread has begun.
        return list(threads.map(part, range(0, max(n, 1), STORES_AT_ONCE)))


def _seen(observations: Observations, start: int, end: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first and last instant observed, per store; start and end where there is none."""
    first, stop = observations.offsets[:-1], observations.offsets[1:]
    any_seen = first < stop
    times = np.append(observations.times, 0)
    return np.where(any_seen, times[first], start), np.where(any_seen, times[stop - 1], end)
