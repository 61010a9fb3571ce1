"""What is kept of observations that were read: those that windows may need, and one before and one after, per store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from uphours.kernel.jit import compiled
from uphours.kernel.observations import distinct_of
from uphours.large_files.checked_rows import Rows
from uphours.schema import END_OF_TIME, STATUS_BITS, Codes, Observations, Offsets, picked

Keys: TypeAlias = npt.NDArray[np.int64]
"""Rows, packed (`uphours.schema.pack`): of two rows of one instant, the one that wins comes first in their order."""

NONE_BEFORE: Final = -1
NONE_AFTER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Extent:
    """From where to where windows reach, both included; nothing after ``as_of`` is used."""

    start: int
    end: int
    as_of: int


class Held:
    """Rows inside the windows, as many as there is room for; and what is known of each store.

    ``before``, ``after``: per store the key of the last row before the windows and of the first one after them.
    ``polled``: whether it has a good row, ``observed``: one at or before as_of.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self.count = 0
        self.stores: Codes = np.empty(room, dtype=np.int32)
        self.keys: Keys = np.empty(room, dtype=np.int64)
        self.before: Keys = np.empty(0, dtype=np.int64)
        self.after: Keys = np.empty(0, dtype=np.int64)
        self.polled: npt.NDArray[np.bool_] = np.empty(0, dtype=np.bool_)
        self.observed: npt.NDArray[np.bool_] = np.empty(0, dtype=np.bool_)

    def grow(self, n: int) -> None:
        """Make room for what is known of ``n`` stores."""
        more = n - len(self.before)
        if more <= 0:
            return
        more = max(more, len(self.before) // 2)  # not again at each new store
        self.before = np.concatenate([self.before, np.full(more, NONE_BEFORE)])
        self.after = np.concatenate([self.after, np.full(more, NONE_AFTER)])
        self.polled = np.concatenate([self.polled, np.zeros(more, dtype=np.bool_)])
        self.observed = np.concatenate([self.observed, np.zeros(more, dtype=np.bool_)])

    def add(self, rows: Rows, extent: Extent) -> Iterator[None]:
        """Take rows; each time that there is no more room, yield, and go on when there is."""
        came = np.array([0, self.count])
        while True:
            came[1] = self.count
            _add_loop(
                rows.stores, rows.times, rows.statuses, extent.start, extent.end, extent.as_of,
                self.before, self.after, self.polled, self.observed, self.stores, self.keys, came,
            )  # fmt: skip
            done, self.count = came.tolist()
            if done == len(rows.stores):
                return
            yield

    def give_away(self) -> tuple[Codes, Keys]:
        """Give all rows away, their stores and keys; the arrays are used again when rows are added."""
        count, self.count = self.count, 0
        return self.stores[:count], self.keys[:count]

    def free(self) -> None:
        """Give the memory of rows back: none will come."""
        self.stores, self.keys = self.stores[:0].copy(), self.keys[:0].copy()

    def give_up(self, n: int, until: int) -> Grouped:
        """Give up the rows of ``n`` stores before an instant, and each store's one before them.

        The last one of each store stays, as the one before those that are left. At the end of time, each store's one
        after its rows is given up too.
        """
        after = self.after[:n] if until >= END_OF_TIME else np.full(n, NONE_AFTER)
        found, self.count = grouped(self.stores[: self.count], self.keys[: self.count], self.before[:n], after, until)
        return found


@dataclass(frozen=True)
class Grouped:
    """Rows put together by store, those of each in any order: they are put in order when they are asked for."""

    offsets: Offsets
    keys: Keys

    def of(self, first: int, stop: int) -> Observations:
        """Return the observations of the stores ``first … stop-1``, numbered from 0; sorts their rows in place."""
        offsets = self.offsets[first : stop + 1]
        return distinct_of(offsets - offsets[0], self.keys[offsets[0] : offsets[-1]]).observations

    def pick(self, chosen: npt.NDArray[np.int64]) -> Grouped:
        """Return those of some stores, given by position, numbered from 0."""
        offsets, rows = picked(self.offsets, chosen)
        return Grouped(offsets, self.keys[rows])


def grouped(stores: Codes, keys: Keys, before: Keys, after: Keys, until: int = END_OF_TIME) -> tuple[Grouped, int]:
    """Put the rows before an instant together by store, with the ones before and after them; those are per store.

    Returns them, and how many rows were not before that instant: they are the first ones in the arrays now. Each
    store's last row before it is in ``before`` then.
    """
    counts = (before != NONE_BEFORE).astype(np.int64) + (after != NONE_AFTER)
    _count_loop(stores, keys, until, counts)
    offsets: Offsets = np.concatenate([[0], np.cumsum(counts)])
    moved = np.empty(offsets[-1], dtype=np.int64)
    stay = np.zeros(1, dtype=np.int64)
    _move_loop(stores, keys, until, before, after, offsets[:-1].copy(), moved, stay)
    return Grouped(offsets, moved), int(stay[0])


@compiled
def _add_loop(  # type: ignore[no-untyped-def]
    stores, times, statuses, start, end, as_of, before, after, polled, observed, kept_stores, kept_keys, came
):
    """Put rows where they belong. ``came``: how far it came, from where it goes on, and how many rows are kept."""
    count = came[1]
    for i in range(came[0], len(stores)):
        store, time = stores[i], times[i]
        polled[store] = True
        if time > as_of:
            continue
        observed[store] = True
        key = time << STATUS_BITS | statuses[i]
        if time < start:
            # The latest instant; of that, the smallest status wins.
            if time > before[store] >> STATUS_BITS or (time == before[store] >> STATUS_BITS and key < before[store]):
                before[store] = key
        elif time > end:
            after[store] = min(after[store], key)
        else:
            if count == len(kept_keys):
                came[0], came[1] = i, count
                return
            kept_stores[count] = store
            kept_keys[count] = key
            count += 1
    came[0], came[1] = len(stores), count


@compiled
def _count_loop(stores, keys, until, counts):  # type: ignore[no-untyped-def]
    for i in range(len(stores)):
        if keys[i] >> STATUS_BITS < until:
            counts[stores[i]] += 1


@compiled
def _move_loop(stores, keys, until, before, after, places, moved, stay):  # type: ignore[no-untyped-def]
    """Move rows before an instant to their stores' places, behind the one before; ``stay`` becomes how many rows stay.

    The last one of each store becomes the one before.
    """
    for store in range(len(before)):
        if before[store] != NONE_BEFORE:
            moved[places[store]] = before[store]
            places[store] += 1
    kept = 0
    for i in range(len(stores)):
        store, key = stores[i], keys[i]
        if key >> STATUS_BITS < until:
            moved[places[store]] = key
            places[store] += 1
            if key >> STATUS_BITS > before[store] >> STATUS_BITS or (
                key >> STATUS_BITS == before[store] >> STATUS_BITS and key < before[store]
            ):
                before[store] = key
        else:
            stores[kept], keys[kept] = store, key
            kept += 1
    stay[0] = kept
    for store in range(len(after)):
        if after[store] != NONE_AFTER:
            moved[places[store]] = after[store]
