"""What availability is expected of each store at an instant: the targets in force on its date that are about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from uphours.reports.memberships import Labels
from uphours.schema import DAY_US, Target
from uphours.where import NO_VALUE, where_of_texts


@dataclass(frozen=True)
class Expected:
    """The targets in force at an instant, the highest first, and the stores that each of them is about.

    ``are_about``: bool of shape (targets, stores).
    """

    targets: Sequence[Target]
    are_about: npt.NDArray[np.bool_]

    def of(self, rows: npt.NDArray[np.int64]) -> Expected:
        """Return what is expected of some of the stores, given by position."""
        return Expected(self.targets, self.are_about[:, rows])

    @cached_property
    def shares(self) -> npt.NDArray[np.int64]:
        """The highest share that is expected of each store, in 100,000ths; 0 of a store without a target."""
        shares = np.array([target.share or 0 for target in self.targets], dtype=np.int64)
        highest: npt.NDArray[np.int64] = (self.are_about * shares[:, np.newaxis]).max(axis=0, initial=0)
        return highest

    def by_store(self, row: int) -> list[Target]:
        """Return the targets of a store, given by position, the highest first."""
        return [self.targets[place] for place in np.flatnonzero(self.are_about[:, row]).tolist()]


def expected(defined: Sequence[Target], as_of: int, labels: Labels, stores: int) -> Expected:
    """Return what is expected of some stores at an instant, UTC microseconds, by their attributes at it."""
    targets = in_force_at(defined, as_of)
    are_about = np.ones((len(targets), stores), dtype=np.bool_)
    for place, target in enumerate(targets):
        for name, some in where_of_texts(target.where.splitlines()):
            values = labels.get(name, [NO_VALUE] * stores)
            are_about[place] &= np.fromiter((value in some for value in values), np.bool_, stores)
    return Expected(targets, are_about)


def expected_of_all(defined: Sequence[Target], as_of: int) -> int | None:
    """Return the share that is expected of every store at an instant, of several the highest; None where none is."""
    return next((target.share for target in in_force_at(defined, as_of) if not target.where), None)


def in_force_at(defined: Sequence[Target], as_of: int) -> list[Target]:
    """Return the targets that are in force on the date of an instant, the highest first, then in order of name."""
    day = as_of // DAY_US
    latest = {one.name: one for one in sorted(defined, key=lambda one: one.since) if one.since <= day}
    chosen = [one for one in latest.values() if one.share is not None]
    return sorted(chosen, key=lambda one: (-(one.share or 0), one.name))
