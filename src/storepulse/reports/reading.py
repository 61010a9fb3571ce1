"""One reading of a fleet for several answers: reading costs as much as all the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from storepulse.kernel.observations import since
from storepulse.kernel.windows import ELAPSED_US, Window, windows
from storepulse.schema import FIRST_INSTANT, Fleet, Instants, Observations, WeeklyHours

#: Stands for no instant in arrays of instants.
NEVER = int(np.iinfo(np.int64).min)


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
    """Read what a look at a fleet needs: the window up to ``as_of``, and a week where that reaches further back.

    ``whole_history``: back to the first observation of each store.

    Raises
    ------
    InputError
        The window is unknown, or observations of that time were pruned.
    """
    start = int(windows([window], as_of, fleet.hours).starts.min(initial=as_of - ELAPSED_US["last_week"]))
    if whole_history:
        start = min(start, FIRST_INSTANT)
    # A fleet may give more than is needed; what follows from the reading shall not depend on that.
    return Known(fleet.store_ids, fleet.hours, since(fleet.observations(start, as_of, as_of), start), start)
