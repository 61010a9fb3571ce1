"""The stores of each group of a report, with what each counts in it: a report for every group."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from uphours.kernel.adjustments import nothing_adjusted
from uphours.kernel.windows import Windows
from uphours.reports.groups import Groups
from uphours.reports.measure import extent, schedule_over, totals
from uphours.reports.memberships import AttributedFleet, memberships
from uphours.reports.report import Report, Totals

_LONGEST: Final = "longest_outage_us"


def member_reports(fleet: AttributedFleet, groups: Groups) -> list[Report]:
    """Return a report for each group, of the stores that belong to it at some time of a window, in order.

    Each store counts in each window as long as it belongs to the group, so the stores of a group add up to its
    figures. ``fleet``: the one of which the groups were made.
    """
    report = groups.report
    pieces = _Pieces(fleet, groups)
    measured = pieces.measured(fleet, report)
    numbers = {values: number for number, values in enumerate(pieces.keys)}
    return [
        _member_report(report, pieces, measured, numbers[group.values]) for group in groups.groups
        if group.values is not None
    ]  # fmt: skip


class _Pieces:
    """The windows of the stores of a report, cut where stores change groups: arrays with an element for each piece.

    ``places``: the store in the report. ``windows``: the position of the window. ``groups``: an index into ``keys``.
    ``starts``, ``ends``: UTC microseconds. ``is_whole``: the piece is the window.
    """

    def __init__(self, fleet: AttributedFleet, groups: Groups) -> None:
        report = groups.report
        belongs = memberships(fleet.clocks, fleet.attributes(), groups.by)
        place_of = {store_id: place for place, store_id in enumerate(report.store_ids)}
        places = np.array([place_of.get(store_id, -1) for store_id in fleet.store_ids], dtype=np.int64)[belongs.stores]
        rows = np.flatnonzero(places >= 0)
        window_starts, window_ends = report.windows.starts[places[rows]], report.windows.ends[places[rows]]
        starts = np.maximum(window_starts, belongs.starts[rows, np.newaxis])
        ends = np.minimum(window_ends, belongs.ends[rows, np.newaxis])
        row, window = np.nonzero(starts < ends)
        is_whole = (starts == window_starts) & (ends == window_ends)
        self.keys = belongs.keys
        self.places, self.windows = places[rows[row]], window
        self.groups = belongs.groups[rows[row]].astype(np.int64)
        self.starts, self.ends, self.is_whole = starts[row, window], ends[row, window], is_whole[row, window]

    def measured(self, fleet: AttributedFleet, report: Report) -> dict[str, npt.NDArray[np.int64]]:
        """Return what is counted in each piece, by figure; only stores that change groups are measured again."""
        figures = {name: values[self.places, self.windows] for name, values in vars(report.totals).items()}
        cut = np.flatnonzero(~self.is_whole)
        if not len(cut):
            return figures
        moving = np.unique(self.places[cut])
        narrow = fleet.of([report.store_ids[place] for place in moving.tolist()])
        number = {store_id: store for store, store_id in enumerate(narrow.store_ids)}
        stores = np.array([number[report.store_ids[place]] for place in self.places[cut].tolist()], dtype=np.int64)
        laid, column = _laid(len(narrow.store_ids), stores, self.starts[cut], self.ends[cut])
        start, end = extent(laid, report.as_of)
        observations = narrow.observations(start, end, report.as_of)
        schedule = schedule_over(narrow, observations, start, end)
        adjustments = nothing_adjusted(len(narrow.store_ids)) if report.raw else narrow.adjustments
        counted = totals(observations, schedule, adjustments, laid, report.as_of, report.policy)
        for name, values in vars(counted).items():
            figures[name][cut] = values[stores, column]
        return figures


def _laid(
    n: int, stores: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> tuple[Windows, npt.NDArray[np.int64]]:
    """Return the pieces of n stores as windows, and which window of its store each of them is."""
    order = np.argsort(stores, kind="stable")
    first = np.searchsorted(stores[order], stores[order])
    column = np.empty(len(stores), dtype=np.int64)
    column[order] = np.arange(len(stores)) - first
    width = int(column.max()) + 1
    # A store with fewer pieces than another one has windows without any time besides.
    laid_starts = np.full((n, width), int(starts.min()), dtype=np.int64)
    laid_ends = laid_starts.copy()
    laid_starts[stores, column], laid_ends[stores, column] = starts, ends
    return Windows(tuple(f"piece {number}" for number in range(width)), laid_starts, laid_ends, {}), column


def _member_report(report: Report, pieces: _Pieces, measured: dict[str, npt.NDArray[np.int64]], group: int) -> Report:
    mine = np.flatnonzero(pieces.groups == group)
    places, member = np.unique(pieces.places[mine], return_inverse=True)
    summed = {}
    for name, values in measured.items():
        figures = np.zeros((len(places), len(report.windows.names)), dtype=np.int64)
        add = np.maximum if name == _LONGEST else np.add
        add.at(figures, (member, pieces.windows[mine]), values[mine])
        summed[name] = figures
    chosen = places.tolist()
    return replace(
        report,
        store_ids=[report.store_ids[place] for place in chosen],
        windows=report.windows.of(places),
        totals=Totals(**summed),
        hours_known=report.hours_known[places],
        attributes={name: [values[place] for place in chosen] for name, values in report.attributes.items()},
    )
