"""Totals that are added up one slice of time after the other, for observations that do not fit into memory at once."""

from __future__ import annotations

from dataclasses import fields
from typing import Final

import numpy as np
import numpy.typing as npt

from uphours.kernel.policy import Policy
from uphours.kernel.windows import Windows
from uphours.reports.measure import ObservationsOfStores, in_threads, reconstruct
from uphours.reports.report import Totals
from uphours.schema import Adjustments, Instants, Observations, Schedule

_OUTAGES: Final = ("outages", "longest_outage_us", "running")
_SUMS: Final = tuple(field.name for field in fields(Totals) if field.name not in _OUTAGES)
_NAMES: Final = (*_SUMS, *_OUTAGES)


class RunningTotals:
    """The totals of every store and window, up to an instant of each store's own.

    The time between two consecutive observations is divided between these two, so what lies before the last
    observation that is known of a store can be measured for good, and after that only this one is needed. All sums
    over disjoint intervals add up, and an outage that goes on over the end of one is remembered.
    """

    def __init__(self, windows: int, start: int) -> None:
        self._windows, self._start = windows, start
        self._arrays = {name: np.zeros((0, windows), dtype=np.int64) for name in _NAMES}
        #: Per store: from where on nothing was measured yet.
        self.since: Instants = np.empty(0, dtype=np.int64)

    def grow(self, n: int) -> None:
        """Make room for ``n`` stores."""
        more = n - len(self.since)
        if more <= 0:
            return
        room = max(more, len(self.since) // 2)  # not again at each new store
        self.since = np.concatenate([self.since, np.full(room, self._start)])
        for name, values in self._arrays.items():
            self._arrays[name] = np.concatenate([values, np.zeros((room, self._windows), dtype=np.int64)])

    def add(
        self, observations: ObservationsOfStores, schedule: Schedule, adjustments: Adjustments, laid: Windows,
        until: Instants, as_of: int, policy: Policy,
    ) -> None:  # fmt: skip
        """Measure ``[since[i], until[i])`` of each store, some stores at a time, in threads.

        Parameters
        ----------
        observations
            Per store the last one at or before ``since[i]``, those up to ``until[i]``, and the first one at or after
            it, where they exist.
        laid
            The windows, of all stores.
        until
            Not before ``since``; END_OF_TIME, or anything after ``as_of``, measures the rest.
        """
        n = len(until)
        self.grow(n)

        def part(first: int, stop: int) -> None:
            mine = observations.of(first, stop), schedule.of(first, stop), adjustments.of(first, stop)
            self._add(slice(first, stop), *mine, laid, until, as_of, policy)

        start, end = int(self.since[:n].min(initial=as_of)), min(int(until.max(initial=as_of)), as_of)
        in_threads(schedule, min(start, end), end, part)
        self.since[:n] = until

    def _add(
        self, mine: slice, observations: Observations, schedule: Schedule, adjustments: Adjustments, laid: Windows,
        ends: Instants, as_of: int, policy: Policy,
    ) -> None:  # fmt: skip
        since, until = self.since[mine], ends[mine]
        begun = since < until
        if not begun.any():
            return
        # A store of which nothing came for long must not make the others' slice longer.
        start, end = int(since[begun].min()), min(int(until.max()), as_of)
        mine_laid = laid.of(mine)
        # Of many windows most lie elsewhere, and what an outage had in them cannot change any more.
        reached = np.flatnonzero((mine_laid.starts <= end).any(axis=0) & (mine_laid.ends >= start).any(axis=0))
        windows = Windows(
            tuple(laid.names[place] for place in reached),
            mine_laid.starts[:, reached],
            mine_laid.ends[:, reached],
            laid.common,
        )
        clipped = Windows(
            windows.names,
            np.maximum(windows.starts, since[:, None]),
            np.minimum(windows.ends, until[:, None]),
            windows.common,
        )
        made = reconstruct(observations, schedule, adjustments, min(start, end), end, policy)
        added = made.availability(clipped, as_of)
        for name in _SUMS:
            self._arrays[name][mine, reached] += getattr(added, name)
        counts, longest, running = (self._arrays[name][mine, reached] for name in _OUTAGES)
        made.add_outages(since, until, windows, as_of, (counts, longest, running))
        for name, values in zip(_OUTAGES, (counts, longest, running), strict=True):
            self._arrays[name][mine, reached] = values

    def totals(self, n: int) -> Totals:
        """Return what was added up of the first ``n`` stores."""
        self.grow(n)
        arrays: dict[str, npt.NDArray[np.int64]] = {name: self._arrays[name][:n] for name in _NAMES}
        del arrays["running"]
        return Totals(**arrays)
