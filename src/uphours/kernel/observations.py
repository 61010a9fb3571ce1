"""Poll results as they came → in order of store and time, one for each instant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uphours.kernel.jit import compiled
from uphours.schema import STATUS_BITS, Codes, Instants, Observations, Offsets, Statuses, unpack


@dataclass(frozen=True)
class Distinct:
    """Observations, and how many rows were left out to have each instant of a store once.

    ``repeated`` rows said the same again, ``conflicting`` ones something else.
    """

    observations: Observations
    repeated: int
    conflicting: int


def distinct(stores: Codes, times: Instants, statuses: Statuses, n: int) -> Distinct:
    """Sort the rows of stores ``0 … n-1`` and keep one for each store and instant.

    Where statuses differ, inactive wins over active, and active over unknown.

    Parameters
    ----------
    stores, times, statuses
        int32, int64 (UTC microseconds) and uint8, one element a row, in any order.
    """
    counts = np.bincount(stores, minlength=n)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    keys = np.empty(len(times), dtype=np.int64)
    _group_loop(stores, times, statuses, offsets[:-1].copy(), keys)
    return distinct_of(offsets, keys)


def distinct_of(offsets: Offsets, keys: npt.NDArray[np.int64]) -> Distinct:
    """Sort rows that are grouped by store, in place, and keep one for each store and instant.

    ``keys``: int64, each row packed (`uphours.schema.pack`).
    """
    sort_each(offsets, keys)
    times, statuses = unpack(keys)
    again = np.append(False, times[1:] == times[:-1])[: len(times)]
    again[offsets[:-1][np.diff(offsets) > 0]] = False  # the first of a store repeats nothing
    if not again.any():
        return Distinct(Observations(offsets, times, statuses), 0, 0)
    return _without(again, offsets, times, statuses)


def needed(observations: Observations, start: int, end: int) -> Observations:
    """Leave out what a timeline over ``[start, end)`` does not need.

    It needs of each store the last one at or before ``start``, those in between, and the first one at or after ``end``.
    """
    first, stop = observations.offsets[:-1], observations.offsets[1:]
    # Instants are whole microseconds: up to start is before start + 1.
    after_start, from_end = places(observations, np.tile([start + 1, end], (len(first), 1))).T
    firsts = np.maximum(after_start - 1, first)
    counts = np.maximum(np.minimum(from_end + 1, stop) - firsts, 0)
    if counts.sum() == len(observations.times):
        return observations
    offsets = np.concatenate([[0], np.cumsum(counts)])
    kept = np.repeat(firsts - offsets[:-1], counts) + np.arange(offsets[-1])
    return Observations(offsets, observations.times[kept], observations.statuses[kept])


def places(observations: Observations, bounds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the place of the first observation of a store at or after each of its bounds; else where its own end.

    ``bounds``: int64 of shape (stores, any number), UTC microseconds. The result has the same shape.
    """
    found = np.empty(bounds.shape, dtype=np.int64)
    _places_loop(observations.offsets, observations.times, bounds, found)
    return found


def sort_each(offsets: Offsets, keys: npt.NDArray[np.int64]) -> None:
    """Sort the keys of each store, in place; most of the time they are in order already."""
    disordered = np.zeros(len(offsets) - 1, dtype=np.bool_)
    _disorder_loop(offsets, keys, disordered)
    # NumPy sorts with wide vectors, which Numba does not.
    for store in np.flatnonzero(disordered).tolist():
        keys[offsets[store] : offsets[store + 1]].sort()


def _without(again: npt.NDArray[np.bool_], offsets: Offsets, times: Instants, statuses: Statuses) -> Distinct:
    """Leave the marked rows out: each follows one of the same store and instant, and of a smaller status."""
    first = np.flatnonzero(~again)
    winners = np.repeat(statuses[first], np.diff(np.append(first, len(times))))
    conflicting = int((statuses != winners).sum())
    before = np.concatenate([[0], np.cumsum(~again)])
    kept = Observations(before[offsets], times[first], statuses[first])
    return Distinct(kept, len(times) - len(first) - conflicting, conflicting)


@compiled
def _group_loop(stores, times, statuses, places, keys):  # type: ignore[no-untyped-def]
    """Put the rows of each store together, from its place in ``places`` on, as one integer a row.

    In the order of these integers, of two rows of one instant the one that wins comes first.
    """
    for i in range(len(stores)):
        keys[places[stores[i]]] = times[i] << STATUS_BITS | statuses[i]
        places[stores[i]] += 1


@compiled
def _places_loop(offsets, times, bounds, places):  # type: ignore[no-untyped-def]
    # Numba takes long to compile its own searchsorted.
    for store in range(len(offsets) - 1):
        for i in range(bounds.shape[1]):
            low, high = offsets[store], offsets[store + 1]
            while low < high:
                middle = (low + high) // 2
                if times[middle] < bounds[store, i]:
                    low = middle + 1
                else:
                    high = middle
            places[store, i] = low


@compiled
def _disorder_loop(offsets, keys, disordered):  # type: ignore[no-untyped-def]
    """Say of each store whether its keys are out of order."""
    for store in range(len(offsets) - 1):
        for i in range(offsets[store] + 1, offsets[store + 1]):
            if keys[i - 1] > keys[i]:
                disordered[store] = True
                break
