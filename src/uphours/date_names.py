"""What single dates of stores are called, such as "Christmas Eve": some hundred thousand names, held as columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from typing import Final

import numpy as np
import numpy.typing as npt

from uphours.schema import EVERY_STORE, Codes

Integers = npt.NDArray[np.int64]

#: Bits of a date in the key of a store's date.
_DATE_BITS: Final = 33


@dataclass(frozen=True, eq=False)
class DateNames(Mapping[tuple[int, int], str]):
    """Names by store and date, in days since the epoch.

    ``dates``: int64 of shape (names, 2), store and date, in order, each once. ``names``: their names.
    """

    dates: Integers
    names: Sequence[str]

    @staticmethod
    def of(names: Mapping[tuple[int, int], str]) -> DateNames:
        """Return names that are given in any form."""
        if isinstance(names, DateNames):
            return names
        return first_names(np.array(list(names), dtype=np.int64).reshape(-1, 2), list(names.values()))

    def __getitem__(self, date: tuple[int, int]) -> str:
        """Return the name of a store's date."""
        return self._by_date[date]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield the dates that have a name."""
        return iter(self._by_date)

    def __len__(self) -> int:
        """Return how many dates have a name."""
        return len(self.names)

    @cached_property
    def _by_date(self) -> Mapping[tuple[int, int], str]:
        return dict(zip(map(tuple, self.dates.tolist()), self.names, strict=True))

    def at(self, dates: Integers) -> list[str]:
        """Return the name of each of some dates, blank where there is none; shape (dates, 2), store and date."""
        if not len(self):
            return [""] * len(dates)
        keys, wanted = date_keys(self.dates), date_keys(dates)
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        places[keys[places] != wanted] = len(keys)
        names = [*self.names, ""]
        return [names[place] for place in places.tolist()]

    def renumbered(self, numbers: Codes, *, every: int = EVERY_STORE) -> DateNames:
        """Return the same with other numbers of the stores, by the number they have; ``every``: of every store."""
        return first_names(renumbered(self.dates, numbers, every=every), self.names)


def renumbered(rows: Integers, numbers: Codes, *, every: int = EVERY_STORE) -> Integers:
    """Return rows that begin with a store with another number of it; ``every``: that of every store."""
    rows = rows.copy()
    of_stores = rows[:, 0] != EVERY_STORE
    rows[of_stores, 0] = numbers[rows[of_stores, 0]]
    rows[~of_stores, 0] = every
    return rows


def first_names(dates: Integers, names: Sequence[str]) -> DateNames:
    """Return what dates are called, given in any order: of several names the first by the alphabet, no blank one."""
    chosen = np.fromiter(map(bool, names), dtype=np.bool_, count=len(names))
    if not chosen.all():
        dates, names = dates[chosen], list(compress(names, chosen))
    keys = date_keys(dates)
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    firsts = np.flatnonzero(np.diff(keys, prepend=-1) != 0) if len(keys) else order
    ordered = [names[place] for place in order.tolist()]
    counts = np.diff(np.append(firsts, len(keys)))
    found = [ordered[first] for first in firsts.tolist()]
    for place in np.flatnonzero(counts > 1).tolist():
        found[place] = min(ordered[int(firsts[place]) : int(firsts[place] + counts[place])])
    return DateNames(dates[order][firsts], found)


def date_keys(dates: Integers) -> Integers:
    """Return one integer for store and date of each row, in their order."""
    keys: Integers = (dates[:, 0] << _DATE_BITS) + dates[:, 1]
    return keys


def are_among(keys: Integers, others: Integers) -> npt.NDArray[np.bool_]:
    """Say of each key whether it is one of the others; faster than `numpy.isin` where they are in order."""
    if not len(others):
        return np.zeros(len(keys), dtype=np.bool_)
    others = np.sort(others)
    found: npt.NDArray[np.bool_] = others[np.minimum(np.searchsorted(others, keys), len(others) - 1)] == keys
    return found
