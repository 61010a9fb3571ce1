"""One reading of a fleet for several answers: reading costs as much as all the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from uphours.kernel.adjustments import nothing_adjusted
from uphours.kernel.observations import needed
from uphours.kernel.windows import ELAPSED_US, Window, Windows, windows
from uphours.kernel.windows_before import with_before
from uphours.reports.measure import extent, schedule_around
from uphours.schema import FIRST_INSTANT, Adjustments, Fleet, Instants, Observations, Schedule

#: Stands for no instant in arrays of instants.
NEVER: Final = int(np.iinfo(np.int64).min)
#: So much is read at the least: who is observed how often shows in a week.
_AT_LEAST_US: Final = ELAPSED_US["last_week"]


@dataclass(frozen=True)
class Known:
    """A fleet whose observations from ``start`` up to ``as_of`` were read already, so that no look reads them again.

    ``schedule``: as far as a timeline of that time depends on it.
    """

    store_ids: Sequence[str]
    schedule: Schedule
    adjustments: Adjustments
    known: Observations
    start: int
    as_of: int

    def of(self, stores: npt.NDArray[np.int64]) -> Known:
        """Return some stores, given by position, ascending."""
        return Known(
            [self.store_ids[store] for store in stores.tolist()],
            self.schedule.pick(stores),
            self.adjustments.pick(stores),
            self.known.pick(stores),
            self.start,
            self.as_of,
        )

    def observations(self, start: int, end: int, _as_of: int) -> Observations:
        """Return of what was read what a timeline over ``[start, end)`` needs."""
        return needed(self.known, start, end)

    @property
    def clocks(self) -> Schedule:
        """Their zones."""
        return self.schedule

    def schedule_over(self, start: int, end: int, first_seen: Instants, last_seen: Instants) -> Schedule:
        """Return the schedule as it was read."""
        return self.schedule

    def adjustments_over(self, start: int, end: int) -> Adjustments:
        """Return all of the ledger that was read."""
        return self.adjustments

    def latest_observation(self) -> int | None:
        """Return the instant up to which it was read: that of the latest observation unless another was named."""
        return self.as_of

    def first_seen(self) -> Instants:
        """Return the first instant observed, per store; ``NEVER`` where there is none."""
        return self._seen_at(self.known.offsets[:-1])

    def last_seen(self) -> Instants:
        """Return the last instant observed, per store; ``NEVER`` where there is none."""
        return self._seen_at(self.known.offsets[1:] - 1)

    def _seen_at(self, places: npt.NDArray[np.int64]) -> Instants:
        any_seen = np.diff(self.known.offsets) > 0
        instants = np.full(len(places), NEVER, dtype=np.int64)
        instants[any_seen] = self.known.times[places[any_seen]]
        return instants


@dataclass(frozen=True)
class Unadjusted:
    """A fleet as if nothing had been entered into its ledger."""

    fleet: Fleet

    @property
    def store_ids(self) -> Sequence[str]:
        """The ids of the fleet."""
        return self.fleet.store_ids

    @property
    def schedule(self) -> Schedule:
        """The schedule of the fleet."""
        return self.fleet.schedule

    @property
    def clocks(self) -> Schedule:
        """The zones of the fleet."""
        return self.fleet.clocks

    def schedule_over(self, start: int, end: int, first_seen: Instants, last_seen: Instants) -> Schedule:
        """Return that of the fleet."""
        return self.fleet.schedule_over(start, end, first_seen, last_seen)

    @property
    def adjustments(self) -> Adjustments:
        """None."""
        return nothing_adjusted(len(self.fleet.store_ids))

    def adjustments_over(self, start: int, end: int) -> Adjustments:
        """None."""
        return self.adjustments

    def latest_observation(self) -> int | None:
        """Return that of the fleet."""
        return self.fleet.latest_observation()

    def observations(self, start: int, end: int, as_of: int) -> Observations:
        """Return those of the fleet."""
        return self.fleet.observations(start, end, as_of)


def read_fleet(
    fleet: Fleet, *, as_of: int, window: str | Window, whole_history: bool = False, compare: bool = False
) -> Known:
    """Read what a look at a fleet needs at ``as_of``: all from the start of the window on, and a week at the least.

    ``whole_history``: back to the first observation of each store. ``compare``: also what the window before needs.

    Raises
    ------
    InputError
        The window is unknown, or observations of that time were pruned.
    """
    laid = (with_before if compare else windows)([window], as_of, fleet.clocks)
    start = int(laid.starts.min(initial=as_of - _AT_LEAST_US))
    return _read(fleet, min(start, FIRST_INSTANT) if whole_history else start, as_of, as_of)


def read_window(fleet: Fleet, *, as_of: int, window: str | Window) -> Known:
    """Read what a window needs, wherever it lies, and a week up to its end at the least.

    Raises
    ------
    InputError
        The window is unknown, or observations of that time were pruned.
    """
    laid = windows([window], as_of, fleet.clocks)
    end = end_of(laid, as_of)
    return _read(fleet, int(laid.starts.min(initial=end - _AT_LEAST_US)), end, as_of)


def read_windows(fleet: Fleet, *, as_of: int, chosen: Sequence[str | Window], compare: bool = False) -> Known:
    """Read what some windows need, with ``compare`` also the windows before, and nothing else.

    Raises
    ------
    InputError
        A window is unknown, or observations of that time were pruned.
    """
    laid = (with_before if compare else windows)(chosen, as_of, fleet.clocks)
    return _read(fleet, *extent(laid, as_of), as_of)


def end_of(laid: Windows, as_of: int) -> int:
    """Return up to when the one window of any store reaches, not after ``as_of``."""
    common = laid.common[laid.names[0]][1]
    return min(int(laid.ends.max(initial=FIRST_INSTANT)) if common is None else common, as_of)


def _read(fleet: Fleet, start: int, end: int, as_of: int) -> Known:
    # A fleet may give more than is needed; what follows from the reading must not depend on that.
    found = needed(fleet.observations(start, end, as_of), start, end)
    # A look that follows stores through their whole history may ask for the schedule on any date.
    schedule = fleet.schedule if start <= FIRST_INSTANT else schedule_around(fleet, found, start, end)
    return Known(fleet.store_ids, schedule, fleet.adjustments, found, start, as_of)
