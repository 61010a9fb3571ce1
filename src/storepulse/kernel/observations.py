"""Poll results as they came → in order of store and time, one for each instant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from storepulse.schema import Codes, Instants, Observations, Statuses


@dataclass(frozen=True)
class Distinct:
    """Observations in order of store and time, no instant of a store twice.

    ``repeated`` counts the rows left out because they said the same again, ``conflicting`` those that said the
    opposite at the same instant.
    """

    stores: Codes
    times: Instants
    statuses: Statuses
    repeated: int
    conflicting: int

    def by_store(self, n: int) -> Observations:
        """Return them as the observations of stores ``0 … n-1``."""
        counts = np.bincount(self.stores, minlength=n)
        return Observations(np.concatenate([[0], np.cumsum(counts)]), self.times, self.statuses)


def distinct(stores: Codes, times: Instants, statuses: Statuses) -> Distinct:
    """Sort observations and keep one for each store and instant: inactive, where both were seen.

    The arrays have one element a row, in any order.
    """
    if not len(times):
        return Distinct(stores, times, statuses, 0, 0)
    stores, times, statuses = _sorted(stores, times, statuses)
    kept = np.append(True, (np.diff(stores) != 0) | (np.diff(times) != 0))
    first = np.flatnonzero(kept)
    if len(first) == len(times):
        return Distinct(stores, times, statuses, 0, 0)
    winners = np.repeat(
        statuses[first], np.diff(np.append(first, len(times)))
    )  # INACTIVE sorts before ACTIVE
    conflicting = int((statuses != winners).sum())
    repeated = len(times) - len(first) - conflicting
    return Distinct(stores[first], times[first], statuses[first], repeated, conflicting)


def _sorted(stores: Codes, times: Instants, statuses: Statuses) -> tuple[Codes, Instants, Statuses]:
    since = times.min()
    extent = int(times.max() - since) + 1
    if int(stores.max() + 1) * extent >= 1 << 62:
        order = np.lexsort((statuses, times, stores))
        return stores[order], times[order], statuses[order]
    # All three in one integer sort six times as fast as an indirect sort by three keys.
    keys = np.sort((stores.astype(np.int64) * extent + (times - since)) * 2 + statuses)
    stores_and_times = keys >> 1
    stores_sorted = stores_and_times // extent
    return (
        stores_sorted.astype(np.int32),
        stores_and_times - stores_sorted * extent + since,
        (keys & 1).astype(np.uint8),
    )
