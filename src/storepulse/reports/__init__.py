"""Where everything meets: a fleet → its timeline → totals for every store and window → CSV, JSON, Parquet, XLSX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from storepulse.errors import InputError
from storepulse.kernel.availability import availability
from storepulse.kernel.hours import reach, sessions, tzdata_version
from storepulse.kernel.observations import sort_each
from storepulse.kernel.outages import outages_in
from storepulse.kernel.policy import Policy
from storepulse.kernel.timeline import timeline
from storepulse.kernel.windows import DEFAULT_WINDOWS, ELAPSED_US, Window, Windows, windows
from storepulse.reports.formats import FORMATS, MEDIA_TYPES, as_csv, spreadsheet_safe, written
from storepulse.reports.layouts import Column, Unit, layout
from storepulse.reports.options import ReportOptions
from storepulse.reports.packing import packed, unpacked
from storepulse.reports.report import Figures, Report, Totals
from storepulse.schema import DEFAULT_TIMEZONE, Fleet, Observations, Sessions, Spans, WeeklyHours

__all__ = [
    "FORMATS",
    "MEDIA_TYPES",
    "NO_OBSERVATIONS",
    "Column",
    "Figures",
    "Progress",
    "Reconstruction",
    "Report",
    "ReportOptions",
    "Totals",
    "Unit",
    "as_csv",
    "latest",
    "layout",
    "packed",
    "reconstruct",
    "run_report",
    "spreadsheet_safe",
    "totals",
    "unpacked",
    "warm_up",
    "written",
]

NO_OBSERVATIONS: Final = "there are no observations yet; load polls first, or name an instant (as_of, --as-of)"
_STORES_AT_ONCE: Final = 4096

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the stores done and the stores in total, from the computing threads but never from two at once; what it
raises stops the work and comes out of the call."""


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
    return _reconstruction(fleet.observations(start, end, as_of), fleet.hours, start, end, policy, merged=merged)


def _reconstruction(
    observations: Observations, hours: WeeklyHours, start: int, end: int, policy: Policy, *, merged: bool = True
) -> Reconstruction:
    first_seen, last_seen = _seen(observations, start, end)
    open_hours = sessions(hours, *reach(hours, first_seen, last_seen, start, end))
    spans = timeline(observations, open_hours, start, end, policy, merged=merged)
    return Reconstruction(open_hours, observations, spans)


def _seen(observations: Observations, start: int, end: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first and last instant observed, per store; start and end where there is none."""
    first, stop = observations.offsets[:-1], observations.offsets[1:]
    any_seen = first < stop
    times = np.append(observations.times, 0)
    return np.where(any_seen, times[first], start), np.where(any_seen, times[stop - 1], end)


def totals(
    observations: Observations,
    hours: WeeklyHours,
    laid: Windows,
    as_of: int,
    policy: Policy,
    *,
    progress: Progress | None = None,
) -> Totals:
    """Add up every store and window.

    Some thousand stores at a time, in threads: their arrays stay in the processor's cache, memory does not grow
    with the spans of the whole fleet, and the kernel does not hold Python's lock.
    """
    n = len(hours.zones)
    start, end = _extent(laid, as_of)
    counter = _Counter(n, progress)

    def part(first: int) -> Totals:
        stop = min(first + _STORES_AT_ONCE, n)
        mine = laid.of(slice(first, stop))
        made = _reconstruction(observations.of(first, stop), hours.of(first, stop), start, end, policy)
        added = availability(made.spans, made.sessions, made.observations, mine, as_of)
        counts, longest = outages_in(made.spans, mine, as_of)
        counter.add(stop - first)
        return Totals(**vars(added), outages=counts, longest_outage_us=longest)

    counter.add(0)
    with ThreadPoolExecutor() as threads:
        # At the first part that fails, map takes back all parts that no thread has begun.
        parts = list(threads.map(part, range(0, max(n, 1), _STORES_AT_ONCE)))
    return Totals(*(np.concatenate(columns) for columns in zip(*(vars(one).values() for one in parts), strict=True)))


class _Counter:
    """Counts the stores that are done, and tells whoever wants to know."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._progress = total, progress
        self._done = 0
        self._lock = Lock()

    def add(self, stores: int) -> None:
        with self._lock:
            self._done += stores
            if self._progress is not None:
                self._progress(self._done, self._total)


def _extent(laid: Windows, as_of: int) -> tuple[int, int]:
    """Return from where to where all windows reach, nothing of it after ``as_of``."""
    if not laid.starts.size:
        return as_of, as_of
    end = min(int(laid.ends.max()), as_of)
    return min(int(laid.starts.min()), end), end


def latest(fleet: Fleet) -> int:
    """Return the instant a report speaks for when nobody names one: the latest observation.

    Raises
    ------
    InputError
        There is no observation.
    """
    as_of = fleet.latest_observation()
    if as_of is None:
        raise InputError(NO_OBSERVATIONS)
    return as_of


def run_report(
    fleet: Fleet,
    *,
    as_of: int | None = None,
    chosen: Sequence[str | Window] = DEFAULT_WINDOWS,
    policy: Policy | None = None,
    all_stores: bool = False,
    version: str,
    loads_seen: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Make a report of a fleet.

    Parameters
    ----------
    as_of
        UTC microseconds; the latest observation unless given. Nothing after it is used.
    chosen
        Windows, by name or whole.
    all_stores
        Also report stores without any observation at or before ``as_of``.
    version
        The version of the program, for the record.
    loads_seen
        The number of the last load that the store held, for the record; None for a fleet that is from no store.
    progress
        Called with the stores done and the stores in total, first with none done before the observations are read.

    Raises
    ------
    InputError
        There is no observation to take ``as_of`` from, or a window is unknown.
    """
    if progress is not None:
        progress(0, len(fleet.store_ids))
    policy = policy or Policy()
    as_of = latest(fleet) if as_of is None else as_of
    laid = windows(chosen, as_of, fleet.hours)
    observations = fleet.observations(*_extent(laid, as_of), as_of)
    counted = totals(observations, fleet.hours, laid, as_of, policy, progress=progress)

    # Whoever was ever observed up to as_of has an observation here, however old.
    observed = np.flatnonzero(np.diff(observations.offsets))
    reported = np.arange(len(fleet.store_ids)) if all_stores else observed
    order = np.array(sorted(reported.tolist(), key=list(fleet.store_ids).__getitem__), dtype=np.int64)
    return Report(
        as_of=as_of,
        policy=policy,
        version=version,
        tzdata=tzdata_version(),
        store_ids=[fleet.store_ids[store] for store in order],
        windows=laid.of(order),
        totals=counted.of(order),
        loads_seen=loads_seen,
    )


def warm_up() -> None:
    """Run the whole kernel once, on one store without anything, so that its machine code is loaded.

    That takes a new process about 0.3 s, which can pass in a thread while the store is being read.
    """
    none = np.empty(0, dtype=np.int64)
    hours = WeeklyHours(none.astype(np.int32), none, none, none, np.zeros(1, dtype=np.int32), (DEFAULT_TIMEZONE,))
    observations = Observations(np.zeros(2, dtype=np.int64), none, none.astype(np.uint8))
    as_of = ELAPSED_US["last_week"]
    sort_each(observations.offsets, observations.times)
    totals(observations, hours, windows(DEFAULT_WINDOWS, as_of, hours), as_of, Policy())
