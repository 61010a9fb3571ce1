"""Numbers of values that were seen before, for millions of rows at a time: found by hash, and compared."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from uphours.kernel.jit import compiled
from uphours.schema import Codes

_Hashes = npt.NDArray[np.uint64]


class Known:
    """Values of one type, each with a number.

    Some 30 ns a value. Each is compared with the one that its hash says it is, so that two are never taken for one.
    """

    def __init__(self, dtype: pl.DataType) -> None:
        self._values = pl.Series([], dtype=dtype)
        self._numbers: Codes = np.empty(0, dtype=np.int32)
        self._hashes: _Hashes = np.empty(0, dtype=np.uint64)
        self._table: Codes = np.full(2, -1, dtype=np.int32)

    def numbers(self, values: pl.Series) -> Codes:
        """Return the number of each value, -1 for those that were not seen. No value may be null."""
        places = np.empty(len(values), dtype=np.int32)
        _find_loop(values.hash().to_numpy(), self._hashes, self._table, places)
        if not len(self._values):
            return places
        other = (self._values.gather(np.maximum(places, 0)) != values).to_numpy()
        numbers = self._numbers[places]
        numbers[other | (places < 0)] = -1
        return numbers

    def learn(self, values: pl.Series, numbers: Codes) -> None:
        """Remember values that were not seen, with their numbers; of two with the same hash only the first one."""
        first = values.is_first_distinct().to_numpy()
        values, numbers = values.filter(first), numbers[first]
        hashes = values.hash().to_numpy()
        count = len(self._hashes) + len(hashes)
        if 2 * count > len(self._table):
            self._table = np.full(1 << (4 * count).bit_length(), -1, dtype=np.int32)
            _put_loop(self._hashes, 0, self._hashes, self._table)
        start = len(self._hashes)
        self._hashes = np.concatenate([self._hashes, hashes])
        _put_loop(hashes, start, self._hashes, self._table)
        self._values = pl.concat([self._values, values], rechunk=True)
        self._numbers = np.concatenate([self._numbers, numbers])


@compiled
def _find_loop(hashes, known, table, places):  # type: ignore[no-untyped-def]
    """Find the place of each hash among the known ones, -1 where it is not one of them."""
    mask = np.uint64(len(table) - 1)
    for i in range(len(hashes)):
        slot = hashes[i] & mask
        while table[slot] >= 0 and known[table[slot]] != hashes[i]:
            slot = (slot + np.uint64(1)) & mask
        places[i] = table[slot]


@compiled
def _put_loop(hashes, start, known, table):  # type: ignore[no-untyped-def]
    """Enter hashes that are known from place ``start`` on; one that is there already stays where it was."""
    mask = np.uint64(len(table) - 1)
    for i in range(len(hashes)):
        slot = hashes[i] & mask
        while table[slot] >= 0 and known[table[slot]] != hashes[i]:
            slot = (slot + np.uint64(1)) & mask
        if table[slot] < 0:
            table[slot] = start + i
