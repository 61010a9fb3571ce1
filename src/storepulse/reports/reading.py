"""One reading of a fleet for several answers: reading costs as much as all the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from storepulse.kernel.observations import needed
from storepulse.kernel.windows import ELAPSED_US, Window, Windows, windows
from storepulse.schema import FIRST_INSTANT, Fleet, Instants, Observations, WeeklyHours

#: Stands for no instant in arrays of instants.
NEVER: Final = int(np.iinfo(np.int64).min)
#: So much is read at the least: who is observed how often shows in a week.
_AT_LEAST_US: Final = ELAPSED_US["last_week"]


@dataclass(frozen=True)
class Known:
    """A fleet whose observations from ``start`` on were read already, none after the as_of that it is asked for."""

    store_ids: Sequence[str]
    hours: WeeklyHours
    known: Observations
    start: int

    def observations(self, _start: int, _end: int, _as_of: int) -> Observations:
        """Return all that was read: it holds what a timeline over any part of it needs."""
        return self.known

    def latest_observation(self) -> int | None:
        """Return when anything was last observed."""
        return int(self.known.times.max()) if self.known.times.size else None

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


def read(fleet: Fleet, *, as_of: int, window: str | Window, whole_history: bool = False) -> Known:
    """Read what a look at a fleet needs at ``as_of``: all from the start of the window on, and a week at the least.

    ``whole_history``: back to the first observation of each store.

    Raises
    ------
    InputError
        The window is unknown, or observations of that time were pruned.
    """
    start = int(windows([window], as_of, fleet.hours).starts.min(initial=as_of - _AT_LEAST_US))
    return _read(fleet, min(start, FIRST_INSTANT) if whole_history else start, as_of, as_of)


def read_window(fleet: Fleet, *, as_of: int, window: str | Window) -> Known:
    """Read what a window needs, wherever it lies, and a week up to its end at the least.

    Raises
    ------
    InputError
        The window is unknown, or observations of that time were pruned.
    """
    laid = windows([window], as_of, fleet.hours)
    end = end_of(laid, as_of)
    return _read(fleet, int(laid.starts.min(initial=end - _AT_LEAST_US)), end, as_of)


def end_of(laid: Windows, as_of: int) -> int:
    """Return up to when the one window of any store reaches, not after ``as_of``."""
    common = laid.common[laid.names[0]][1]
    return min(int(laid.ends.max(initial=FIRST_INSTANT)) if common is None else common, as_of)


def _read(fleet: Fleet, start: int, end: int, as_of: int) -> Known:
    # A fleet may give more than is needed; what follows from the reading shall not depend on that.
    found = needed(fleet.observations(start, end, as_of), start, end)
    return Known(fleet.store_ids, fleet.hours, found, start)
