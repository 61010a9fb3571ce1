"""Where everything meets: a fleet → its timeline → totals for every store and window → CSV, JSON, Parquet, XLSX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Lock
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from storepulse.errors import InputError
from storepulse.kernel.availability import availability
from storepulse.kernel.hours import tzdata_version
from storepulse.kernel.observations import sort_each
from storepulse.kernel.outages import outages_in
from storepulse.kernel.policy import Policy
from storepulse.kernel.windows import DEFAULT_WINDOWS, ELAPSED_US, Window, Windows, windows
from storepulse.reports.formats import FORMATS, MEDIA_TYPES, as_csv, spreadsheet_safe, written
from storepulse.reports.layouts import Column, Unit, layout
from storepulse.reports.options import ReportOptions
from storepulse.reports.packing import packed, unpacked
from storepulse.reports.reading import NEVER, Known, end_of, read, read_window
from storepulse.reports.reconstruction import Reconstruction, in_parts, reconstruct
from storepulse.reports.report import Figures, Report, Totals, booked
from storepulse.reports.running import RunningTotals
from storepulse.schema import DEFAULT_TIMEZONE, Fleet, Observations, WeeklyHours

__all__ = [
    "FORMATS",
    "MEDIA_TYPES",
    "NEVER",
    "Column",
    "Figures",
    "Known",
    "Progress",
    "Reconstruction",
    "Report",
    "ReportOptions",
    "RunningTotals",
    "Totals",
    "Unit",
    "as_csv",
    "booked",
    "end_of",
    "extent",
    "in_order",
    "in_parts",
    "latest",
    "layout",
    "nothing_observed",
    "packed",
    "read",
    "read_window",
    "reconstruct",
    "run_report",
    "spreadsheet_safe",
    "totals",
    "unpacked",
    "warm_up",
    "written",
]

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the stores done and the stores in total, from the computing threads but never from two at once; what it
raises stops the work and comes out of the call."""


def totals(
    observations: Observations,
    hours: WeeklyHours,
    laid: Windows,
    as_of: int,
    policy: Policy,
    *,
    progress: Progress | None = None,
) -> Totals:
    """Add up every store and window."""
    start, end = extent(laid, as_of)
    counter = _Counter(len(hours.zones), progress)

    def part(first: int, stop: int, made: Reconstruction) -> Totals:
        mine = laid.of(slice(first, stop))
        added = availability(made.spans, made.sessions, made.observations, mine, as_of)
        counts, longest = outages_in(made.spans, mine, as_of)
        counter.add(stop - first)
        return Totals(**vars(added), outages=counts, longest_outage_us=longest)

    counter.add(0)
    parts = in_parts(observations, hours, start, end, policy, part)
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


def extent(laid: Windows, as_of: int) -> tuple[int, int]:
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
        raise nothing_observed()
    return as_of


def nothing_observed() -> InputError:
    """Return the error of a report for the latest observation where there is none."""
    return InputError("there are no observations yet; load polls first, or name an instant (as_of, --as-of)")


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
    observations = fleet.observations(*extent(laid, as_of), as_of)
    counted = totals(observations, fleet.hours, laid, as_of, policy, progress=progress)

    # Whoever was ever observed up to as_of has an observation here, however old.
    observed = np.flatnonzero(np.diff(observations.offsets))
    return in_order(
        Report(as_of, policy, version, tzdata_version(), fleet.store_ids, laid, counted, loads_seen),
        np.arange(len(fleet.store_ids)) if all_stores else observed,
    )


def in_order(report: Report, stores: npt.NDArray[np.int64]) -> Report:
    """Return a report of some stores of another one, given by position, in order of id as text."""
    order = np.array(sorted(stores.tolist(), key=list(report.store_ids).__getitem__), dtype=np.int64)
    return replace(
        report,
        store_ids=[report.store_ids[store] for store in order],
        windows=report.windows.of(order),
        totals=report.totals.of(order),
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
