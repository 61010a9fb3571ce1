"""Rows beyond those that a week, or a date, can hold: each is laid out on every date that is asked for."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from uphours.date_names import date_keys
from uphours.ingest.cases import Case, always
from uphours.schema import MOST_HOURS, SINCE_EVER

Rows: TypeAlias = npt.NDArray[np.int64]
"""A row in each line: its store, the date of its week or its own, and whatever makes it different from others."""

TOO_MANY_HOURS = Case(
    pl.col("is_beyond"),
    *always(f"the store has more than {MOST_HOURS} different rows of hours; valid are up to {MOST_HOURS}, one an hour"),
)


class Crowded:
    """Counts the different rows of each store and date, and finds those that are too many."""

    def __init__(self) -> None:
        self._counts: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._parts: list[tuple[npt.NDArray[np.int64], Rows]] = []
        self._dated: dict[int, int] = {}
        # Of groups with many rows alone: for all others their number is enough.
        self._rows_of: dict[int, set[tuple[int, ...]]] = {}

    def beyond(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """Say of each row whether it is one too many for its store and date; those before it are remembered."""
        is_beyond = np.zeros(len(rows), dtype=np.bool_)
        if not len(rows):
            return is_beyond
        groups = self._groups(rows)
        counts = np.bincount(groups, minlength=len(self._counts))
        counts[: len(self._counts)] += self._counts
        self._counts = counts
        for group in np.flatnonzero(counts > MOST_HOURS).tolist():
            if group not in self._rows_of:
                of_group = (part[numbers == group, 2:] for numbers, part in self._parts)
                self._rows_of[group] = {tuple(row) for part in of_group for row in part.tolist()}
            known = self._rows_of[group]
            for place in np.flatnonzero(groups == group).tolist():
                row = tuple(rows[place, 2:].tolist())
                if row not in known and len(known) >= MOST_HOURS:
                    is_beyond[place] = True
                else:
                    known.add(row)
        self._parts.append((groups, rows))
        return is_beyond

    def _groups(self, rows: Rows) -> npt.NDArray[np.int64]:
        """Return a number for each store and date: even ones without a date, which is what most files have."""
        groups = rows[:, 0] * 2
        (dated,) = np.nonzero(rows[:, 1] != SINCE_EVER)
        if len(dated):
            keys, inverse = np.unique(date_keys(rows[dated]), return_inverse=True)
            numbers = [self._dated.setdefault(key, 2 * len(self._dated) + 1) for key in keys.tolist()]
            groups[dated] = np.array(numbers, dtype=np.int64)[inverse]
        return groups
