"""Which stores a report is about, while polls are read and bring more: named ones, and those with some attributes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from uphours.errors import NotFoundError
from uphours.large_files.growing import Growing
from uphours.reports.memberships import DescribedStores, check_labels, labels, rows_having, stores_where
from uphours.reports.request import ReportRequest
from uphours.schema import BEGINNING_OF_TIME, SINCE_EVER
from uphours.where import NO_VALUE


class AskedStores:
    """The stores of a report, by number. ``texts``: the ids by number, which may become more.

    Raises
    ------
    InputError
        No store has an attribute that is asked for.
    """

    def __init__(self, growing: Growing, texts: Sequence[str], options: ReportRequest) -> None:
        self._growing, self._texts, self._options = growing, texts, options
        self._named = None if options.stores is None else frozenset(options.stores)
        self._names = [name for name, _ in options.where]
        self.are_all = options.stores is None and not options.where
        self.is_settled = False
        self._is_asked: npt.NDArray[np.bool_] = np.empty(0, dtype=np.bool_)
        check_labels(growing.attribute_names, [*options.by, *options.columns])
        if self._named is None:
            check_labels(growing.attribute_names, self._names)
        if all(since == SINCE_EVER for _, _, since, _ in growing.attributes(self._names)):
            self.settle(BEGINNING_OF_TIME)

    def settle(self, as_of: int) -> None:
        """Find out which stores have the attributes at an instant; those that polls bring later have none."""
        if self.is_settled:
            return
        self._is_asked = self._are_named(0, len(self._texts))
        if self._options.where:
            has_values = np.zeros(len(self._texts), dtype=np.bool_)
            if len(self._texts):
                labelled = labels(self._described(len(self._texts)), as_of, self._names)
                has_values[rows_having(labelled, self._options.where)] = True
            self._is_asked &= has_values
        self.is_settled = True

    def mask(self, n: int) -> npt.NDArray[np.bool_]:
        """Say of each of ``n`` stores whether the report is about it; it is settled."""
        assert self.is_settled
        if len(self._is_asked) < n:
            more = self._are_named(len(self._is_asked), n)
            more &= all(NO_VALUE in some for _, some in self._options.where)
            self._is_asked = np.concatenate([self._is_asked, more])
        return self._is_asked[:n]

    def numbers(self, n: int) -> npt.NDArray[np.int64]:
        """Return the numbers of those of ``n`` stores that the report is about, ascending."""
        return np.arange(n) if self.are_all else np.flatnonzero(self.mask(n))

    def described(self, n: int) -> DescribedStores:
        """Return those of ``n`` stores that the report is about, with what is asked of their attributes."""
        described = self._described(n)
        return described if self.are_all else described.of(self.numbers(n).tolist())

    def check(self, known: npt.NDArray[np.bool_], as_of: int) -> None:
        """Refuse what no store is, now that all are known; ``known``: which numbers are of stores.

        Raises
        ------
        NotFoundError
            There is no such store.
        InputError
            None of the stores that are named, or none at all, has the attributes.
        """
        n, stores = len(known), known
        if self._named is not None:
            there = {self._texts[store] for store in np.flatnonzero(known).tolist()}
            if missing := self._named - there:
                raise NotFoundError("store", min(missing), "it is in none of the tables")
            stores = known & self._are_named(0, n)
        if self._options.where and (self._named is not None or not (known & self.mask(n)).any()):
            stores_where(self._described(n).of(np.flatnonzero(stores).tolist()), self._options.where, as_of)

    def _described(self, n: int) -> DescribedStores:
        options = self._options
        # With named stores it matters which attributes any of them has.
        names = None if self._named is not None else [*self._names, *options.by, *options.columns]
        return DescribedStores(self._texts[:n], self._growing.schedule(n), self._growing.attributes(names))

    def _are_named(self, first: int, stop: int) -> npt.NDArray[np.bool_]:
        if self._named is None:
            return np.ones(stop - first, dtype=np.bool_)
        return np.array([text in self._named for text in self._texts[first:stop]], dtype=np.bool_)
