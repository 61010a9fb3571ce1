"""Stores that change groups inside a window, which are measured a second time, in the pieces of their windows."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import numpy.typing as npt

from uphours.kernel.policy import Policy
from uphours.large_files.buffer import Grouped
from uphours.large_files.running import RunningTotals
from uphours.reports.measure import totals
from uphours.reports.pieces import CutWindows
from uphours.reports.report import Totals
from uphours.schema import Adjustments, Instants, Schedule


class MeasuredPieces:
    """What is counted in the pieces of windows: slice by slice, or of some stores at a time.

    ``start``: from when on the slices come, UTC microseconds.
    """

    def __init__(self, cut: CutWindows, start: int, as_of: int, policy: Policy) -> None:
        self._cut, self._as_of, self._policy = cut, as_of, policy
        shape = (len(cut.stores), len(cut.laid.names))
        self._totals = Totals(*(np.zeros(shape, dtype=np.int64) for _ in fields(Totals)))
        self._running = RunningTotals(len(cut.laid.names), start)

    def add_slice(self, observations: Grouped, schedule: Schedule, adjustments: Adjustments, until: Instants) -> None:
        """Measure each store up to an instant of its own; as `RunningTotals.add`, with all stores of the report."""
        stores = self._cut.stores
        if len(stores):
            of_stores = observations.pick(stores), schedule.pick(stores), adjustments.pick(stores)
            self._running.add(*of_stores, self._cut.laid, until[stores], self._as_of, self._policy)

    def end_slices(self) -> None:
        """Keep what the slices add up to."""
        self._totals = self._running.totals(len(self._cut.stores))

    def add_stores(
        self, stores: npt.NDArray[np.int64], observations: Grouped, schedule: Schedule, adjustments: Adjustments
    ) -> None:
        """Measure those among some stores that change groups; ``stores``: which of the report these are, ascending."""
        _, rows, places = np.intersect1d(self._cut.stores, stores, assume_unique=True, return_indices=True)
        if len(rows):
            of_places = observations.pick(places), schedule.pick(places), adjustments.pick(places)
            measured = totals(*of_places, self._cut.laid.of(rows), self._as_of, self._policy)
            for name, values in vars(measured).items():
                getattr(self._totals, name)[rows] = values

    def counted(self) -> dict[str, npt.NDArray[np.int64]]:
        """Return what is counted in each piece, by figure."""
        return self._cut.counted(self._totals)
