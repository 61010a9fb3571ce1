"""Poll results as they came → in order of store and time, one for each instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from storepulse.schema import Codes, Instants, Observations, Statuses

_KEY_BITS: Final = 62


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
    winners = np.repeat(statuses[first], np.diff(np.append(first, len(times))))  # INACTIVE sorts before ACTIVE
    conflicting = int((statuses != winners).sum())
    repeated = len(times) - len(first) - conflicting
    return Distinct(stores[first], times[first], statuses[first], repeated, conflicting)


def _sorted(stores: Codes, times: Instants, statuses: Statuses) -> tuple[Codes, Instants, Statuses]:
    since = times.min()
    bits = int(times.max() - since).bit_length()
    if bits + int(stores.max()).bit_length() + 1 > _KEY_BITS:
        order = np.lexsort((statuses, times, stores))
        return stores[order], times[order], statuses[order]
    # Store, time and status fit into one integer, which sorts several times as fast as three keys do.
    keys = (stores.astype(np.int64) << bits | (times - since)) << 1 | statuses
    keys.sort()
    instants = keys >> 1
    return (
        (instants >> bits).astype(np.int32),
        (instants & ((1 << bits) - 1)) + since,
        (keys & 1).astype(np.uint8),
    )
