"""Where every number is made: observations + schedule + ledger + policy → one timeline per store → views of it.

Views are totals per window, sums per time bucket, spans, outages, and what was watched. The rest of the program asks
for them here; only files larger than memory are measured slice by slice (`uphours.large_files.running`), with the same
parts. What makes up a timeline is in `reconstruct`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock
from typing import Final, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from uphours.errors import NothingObservedError
from uphours.kernel.adjustments import adjusted, adjusted_watched, nothing_adjusted
from uphours.kernel.availability import Availability, availability
from uphours.kernel.jit import compile_always
from uphours.kernel.local_time import tzdata_version
from uphours.kernel.observations import sort_each
from uphours.kernel.outages import Outages, add_outages, outages, outages_in, runs
from uphours.kernel.policy import Policy
from uphours.kernel.schedule import SESSION_REACH_US, reach, sessions
from uphours.kernel.time_buckets import STORES_OF_A_BLOCK, Grid, Sums, sums
from uphours.kernel.timeline import timeline
from uphours.kernel.watched import watched
from uphours.kernel.windows import DEFAULT_WINDOWS, ELAPSED_US, Window, Windows, windows
from uphours.kernel.windows_before import with_before
from uphours.reports.ahead import ahead
from uphours.reports.report import Report, Totals
from uphours.reports.request import ReportRequest
from uphours.schema import (
    DAY_US,
    DEFAULT_TIMEZONE,
    Adjustments,
    Fleet,
    Instants,
    Observations,
    Schedule,
    Sessions,
    Spans,
)
from uphours.version import VERSION

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the stores done and the stores in total, from the computing threads but never from two at once; what it
raises stops the work and comes out of the call."""

#: Stores that are measured in one go at most: their arrays stay in the processor's cache.
_STORES_AT_ONCE: Final = 4096
#: Fewer stores are not worth a thread of their own.
_STORES_OF_A_THREAD: Final = 256
#: Openings (a row of hours on one date) that are laid out in one go, some 150 bytes each: few years of many stores, or
#: many years of few.
_OPENINGS_AT_ONCE: Final = 1 << 18
#: Days of stores in one go: each zone has a row of midnights, and in the worst case each store has a zone of its own.
_STORE_DAYS_AT_ONCE: Final = 1 << 22
#: Threads at once: their parts are in memory together.
_MOST_THREADS: Final = 8
#: How far sessions are looked up outside of a timeline, on both sides together (`hours.reach`).
_AROUND_DAYS: Final = 32

RunningOutages: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Counts, the most that one has, and what the one that goes on has: of shape (stores, windows), changed in place."""

_Result = TypeVar("_Result")


class ObservationsOfStores(Protocol):
    """Observations of a fleet, which may be put in order some stores at a time, when they are asked for."""

    def of(self, first: int, stop: int) -> Observations:
        """Return those of the stores ``first … stop-1``, numbered from 0."""


# --- the timeline, and its views ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Timelines:
    """The timeline of every store of a fleet, in its order, and what it is made of.

    ``watched``: the parts of the sessions that count as watched. ``spans``: the timelines. ``raw``: the same without
    the ledger; it is ``spans`` itself where no entry decides anything.
    """

    sessions: Sessions
    observations: Observations
    watched: Sessions
    spans: Spans
    raw: Spans

    def availability(self, windows: Windows, as_of: int) -> Availability:
        """Return the durations of every store and window, and how many observations were made in it."""
        return availability(self.spans, self.raw, self.sessions, self.watched, self.observations, windows, as_of)

    def totals(self, windows: Windows, as_of: int) -> Totals:
        """Return all that is counted per store and window."""
        counts, longest = outages_in(self.spans, windows, as_of)
        return Totals(**vars(self.availability(windows, as_of)), outages=counts, longest_outage_us=longest)

    def bucket_sums(self, grid: Grid, window: Windows, as_of: int, *, of_each_store: bool = False) -> Sums:
        """Return sums over some stores in a row, or of each of them, for each time bucket of the one window."""
        starts, ends = window.starts[:, 0], window.ends[:, 0]
        parts = (self.spans, self.raw, self.sessions, self.watched, self.observations)
        return sums(*parts, grid, starts, ends, as_of, 1 if of_each_store else STORES_OF_A_BLOCK)

    def outages(self) -> Outages:
        """Return the outages of every store; one that was going on before the timeline begins with it."""
        return outages(self.spans)

    def runs(self, chosen: npt.NDArray[np.bool_]) -> Outages:
        """Return the maximal runs of chosen spans, in the form of outages."""
        return runs(self.spans, chosen)

    def add_outages(
        self, since: Instants, until: Instants, windows: Windows, as_of: int, running: RunningOutages
    ) -> None:
        """Go on counting outages in windows, with the spans that lie in ``[since[i], until[i])`` of each store."""
        add_outages(self.spans, since, until, windows, as_of, *running)


def timelines(fleet: Fleet, start: int, end: int, as_of: int, policy: Policy, *, merged: bool = True) -> Timelines:
    """Return the timeline of every store of a fleet over ``[start, end)``, as it is known at ``as_of``."""
    end = min(end, as_of)
    start = min(start, end)
    observations = fleet.observations(start, end, as_of)
    schedule = schedule_over(fleet, observations, start, end)
    return reconstruct(observations, schedule, fleet.adjustments_over(start, end), start, end, policy, merged=merged)


def schedule_over(fleet: Fleet, observations: Observations, start: int, end: int) -> Schedule:
    """Return the schedule of a fleet as far as a timeline over ``[start, end)`` of these observations depends on it."""
    return fleet.schedule_over(start, end, *_seen(observations, start, end))


def schedule_around(fleet: Fleet, observations: Observations, start: int, end: int) -> Schedule:
    """Return the same, known as far around ``[start, end)`` as any session is long, for looks that go on beyond it."""
    first_seen, last_seen = _seen(observations, start, end)
    first_seen, last_seen = (
        np.minimum(first_seen, start - SESSION_REACH_US),
        np.maximum(last_seen, end + SESSION_REACH_US),
    )
    return fleet.schedule_over(start, end, first_seen, last_seen)


def reconstruct(
    observations: Observations,
    schedule: Schedule,
    adjustments: Adjustments,
    start: int,
    end: int,
    policy: Policy,
    *,
    merged: bool = True,
) -> Timelines:
    """Return the timeline of every store over ``[start, end)``, from the observations that it needs."""
    first_seen, last_seen = _seen(observations, start, end)
    open_hours = sessions(schedule, *reach(schedule, first_seen, last_seen, start, end))
    raw = timeline(observations, open_hours, start, end, policy, merged=merged)
    seen = watched(observations, open_hours, policy)
    if not len(adjustments.starts):
        return Timelines(open_hours, observations, seen, raw, raw)
    seen = adjusted_watched(seen, open_hours, adjustments)
    return Timelines(open_hours, observations, seen, adjusted(raw, adjustments), raw)


def _seen(observations: Observations, start: int, end: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first and last instant observed, per store; start and end where there is none."""
    first, stop = observations.offsets[:-1], observations.offsets[1:]
    any_seen = first < stop
    first_seen, last_seen = np.full(len(first), start), np.full(len(first), end)
    first_seen[any_seen], last_seen[any_seen] = (
        observations.times[first[any_seen]],
        observations.times[stop[any_seen] - 1],
    )
    return first_seen, last_seen


# --- whole fleets, some stores at a time --------------------------------------------------------------------


def totals(
    observations: ObservationsOfStores,
    schedule: Schedule,
    adjustments: Adjustments,
    laid: Windows,
    as_of: int,
    policy: Policy,
    *,
    progress: Progress | None = None,
) -> Totals:
    """Add up every store and window."""
    start, end = extent(laid, as_of)
    counter = _Counter(len(schedule.zones), progress)

    def part(first: int, stop: int, made: Timelines) -> Totals:
        counted = made.totals(laid.of(slice(first, stop)), as_of)
        counter.add(stop - first)
        return counted

    counter.add(0)
    parts = in_parts(observations, schedule, adjustments, start, end, policy, part)
    return Totals(*(np.concatenate(columns) for columns in zip(*(vars(one).values() for one in parts), strict=True)))


def in_parts(
    observations: ObservationsOfStores,
    schedule: Schedule,
    adjustments: Adjustments,
    start: int,
    end: int,
    policy: Policy,
    work: Callable[[int, int, Timelines], _Result],
) -> list[_Result]:
    """Reconstruct the timelines of some stores at a time, and do a piece of work with each part.

    ``work`` is called with the first store of the part, the first one after it, and the timelines.
    """

    def part(first: int, stop: int) -> _Result:
        mine = observations.of(first, stop), schedule.of(first, stop), adjustments.of(first, stop)
        made = reconstruct(*mine, start, end, policy)
        return work(first, stop, made)

    return in_threads(schedule, start, end, part)


def in_threads(schedule: Schedule, start: int, end: int, work: Callable[[int, int], _Result]) -> list[_Result]:
    """Do a piece of work with some stores at a time, whose timelines reach over ``[start, end)``; in order.

    ``work`` is called with the first store of a part and the first one after it, in threads: arrays stay in the
    processor's cache, memory grows neither with the stores of the fleet nor with the length of ``[start, end)``, and
    the kernel does not hold Python's lock.
    """
    with ThreadPoolExecutor(_threads()) as pool:
        # At the first part that fails, map takes back all parts that no thread has begun.
        return list(pool.map(work, *zip(*parts(schedule, start, end), strict=True)))


def _threads() -> int:
    return min(os.cpu_count() or 1, _MOST_THREADS)


def parts(schedule: Schedule, start: int, end: int) -> list[tuple[int, int]]:
    """Cut a fleet into parts, whose timelines over ``[start, end)`` are small: first store, and first one after it.

    There is at least one part, which may be empty. They are of one size where they can be, and as many for each thread.
    """
    n = len(schedule.zones)
    days = (end - start) // DAY_US + _AROUND_DAYS
    openings = np.cumsum(np.bincount(schedule.stores, minlength=n)) * (days // 7 + 1)
    most = max(1, min(_STORES_AT_ONCE, _STORE_DAYS_AT_ONCE // days))
    of_each_thread = -(-n // (most * _threads()))
    most = min(most, max(-(-n // max(of_each_thread * _threads(), 1)), _STORES_OF_A_THREAD))
    found, first = [], 0
    while first < n:
        before = int(openings[first - 1]) if first else 0
        fitting = int(np.searchsorted(openings, before + _OPENINGS_AT_ONCE, side="right"))
        stop = min(max(fitting, first + 1), first + most, n)
        found.append((first, stop))
        first = stop
    return found or [(0, 0)]


class _Counter:
    """Counts the stores that are done, and reports it."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._progress = total, progress
        self._done = 0
        self._lock = Lock()

    def add(self, stores: int) -> None:
        with self._lock:
            self._done += stores
            if self._progress is not None:
                self._progress(self._done, self._total)


# --- reports ------------------------------------------------------------------------------------------------


def extent(laid: Windows, as_of: int) -> tuple[int, int]:
    """Return from where to where all windows reach, nothing of it after ``as_of``."""
    if not laid.starts.size:
        return as_of, as_of
    end = min(int(laid.ends.max()), as_of)
    return min(int(laid.starts.min()), end), end


def latest_instant(fleet: Fleet) -> int:
    """Return the instant a report speaks for unless one is given: the latest observation.

    Raises
    ------
    InputError
        There is no observation.
    """
    as_of = fleet.latest_observation()
    if as_of is None:
        raise NothingObservedError
    return as_of


def run_report(
    fleet: Fleet,
    *,
    as_of: int | None = None,
    chosen: Sequence[str | Window] = DEFAULT_WINDOWS,
    policy: Policy | None = None,
    all_stores: bool = False,
    raw: bool = False,
    compare: bool = False,
    loads_seen: int | None = None,
    entries_seen: int | None = None,
    progress: Progress | None = None,
    now: int | None = None,
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
    raw
        Ignore the ledger in all figures.
    compare
        Also measure the windows before (`uphours.kernel.windows_before`), on the same timelines.
    loads_seen, entries_seen
        The numbers of the last load and of the last entry of the ledger that the database held, for the record; None
        for a fleet that is from no database.
    progress
        Called with the stores done and the stores in total, first with none done before the observations are read.
    now
        The clock, UTC microseconds: the report says if the latest observation is ahead of it. None: it does not look.

    Raises
    ------
    InputError
        There is no observation to take ``as_of`` from, or a window is unknown.
    """
    if progress is not None:
        progress(0, len(fleet.store_ids))
    policy = policy or Policy()
    is_latest = as_of is None
    as_of = latest_instant(fleet) if as_of is None else as_of
    laid = (with_before if compare else windows)(chosen, as_of, fleet.clocks)
    start, end = extent(laid, as_of)
    observations = fleet.observations(start, end, as_of)
    schedule = schedule_over(fleet, observations, start, end)
    adjustments = nothing_adjusted(len(fleet.store_ids)) if raw else fleet.adjustments_over(start, end)
    counted = totals(observations, schedule, adjustments, laid, as_of, policy, progress=progress)

    # A store that was ever observed up to as_of has an observation here, however old.
    observed = np.flatnonzero(np.diff(observations.offsets))
    far = ahead(fleet, as_of, now) if is_latest and now is not None else None
    report = in_order(
        Report(
            as_of,
            policy,
            VERSION,
            tzdata_version(),
            fleet.store_ids,
            laid,
            counted,
            schedule.known(),
            raw,
            loads_seen,
            entries_seen,
            far,
        ),
        np.arange(len(fleet.store_ids)) if all_stores else observed,
    )
    return report.apart() if compare else report


def run_request(
    fleet: Fleet,
    request: ReportRequest,
    *,
    loads_seen: int | None = None,
    entries_seen: int | None = None,
    progress: Progress | None = None,
    now: int | None = None,
) -> Report:
    """Make the report that is asked for, of a fleet that is narrowed down to its stores; otherwise as `run_report`."""
    return run_report(
        fleet,
        as_of=request.as_of,
        chosen=request.windows,
        policy=request.policy,
        all_stores=request.all_stores,
        raw=request.raw,
        compare=request.compare,
        loads_seen=loads_seen,
        entries_seen=entries_seen,
        progress=progress,
        now=now,
    )


def in_order(report: Report, stores: npt.NDArray[np.int64]) -> Report:
    """Return a report of some stores of another one, given by position, in order of id as text."""
    order = np.array(sorted(stores.tolist(), key=list(report.store_ids).__getitem__), dtype=np.int64)
    return replace(
        report,
        store_ids=[report.store_ids[store] for store in order],
        windows=report.windows.of(order),
        totals=report.totals.of(order),
        hours_known=report.hours_known[order],
    )


def warm_up() -> None:
    """Run the whole kernel once, on one store without anything, so that its machine code is made or loaded.

    To load it takes a new process about 0.1 s, to make it some seconds: a worker does it before its first job.
    """
    none = np.empty(0, dtype=np.int64)
    schedule = Schedule(none.astype(np.int32), none, none, none, np.zeros(1, dtype=np.int32), (DEFAULT_TIMEZONE,))
    observations = Observations(np.zeros(2, dtype=np.int64), none, none.astype(np.uint8))
    as_of = ELAPSED_US["last_week"]
    compile_always()
    sort_each(observations.offsets, observations.times)
    laid = windows(DEFAULT_WINDOWS, as_of, schedule)
    totals(observations, schedule, nothing_adjusted(1), laid, as_of, Policy())
