"""The last 24 hours of some stores up to an instant: their timelines, and how good the evidence of each state is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from uphours.kernel.policy import Policy
from uphours.reports.measure import timelines
from uphours.schema import ACTIVE, DAY_US, INACTIVE, SPAN_STATUSES, Fleet, Observations, Spans

Evidence: TypeAlias = Literal["strong", "medium", "one poll", "ledger"]
#: Polls in a row that say the same, for strong evidence.
STRONG_POLLS: Final = 3


@dataclass(frozen=True)
class Stretch:
    """A piece of open time with one status, half-open, UTC microseconds; ``status`` as in ``SPAN_STATUSES``."""

    start_us: int
    end_us: int
    status: str
    confirmed: bool


@dataclass(frozen=True)
class LastDay:
    """The last day of a store.

    ``stretches``: its open time in order; the rest is closed. ``polls``: how many polls in a row say what the last one
    says, of those since the day began and the one before. ``confirmed_us``, ``known_us``: how much of the open time
    since the first of these polls is confirmed, and how much has this status. ``evidence``: None where the last
    stretch is not known.
    """

    stretches: list[Stretch]
    polls: int
    confirmed_us: int
    known_us: int
    evidence: Evidence | None


@dataclass(frozen=True)
class LastDays(Sequence[LastDay]):
    """The last day of several stores; ``places``: int64, where each of them stands in spans and polls."""

    spans: Spans
    polls: Observations
    places: npt.NDArray[np.int64]

    @overload
    def __getitem__(self, row: int) -> LastDay: ...

    @overload
    def __getitem__(self, row: slice) -> Sequence[LastDay]: ...

    def __getitem__(self, row: int | slice) -> LastDay | Sequence[LastDay]:
        if isinstance(row, slice):
            return LastDays(self.spans, self.polls, self.places[row])
        store, spans, polls = int(self.places[row]), self.spans, self.polls
        heard = slice(int(polls.offsets[store]), int(polls.offsets[store + 1]))
        own = slice(int(spans.offsets[store]), int(spans.offsets[store + 1]))
        return _last_day(spans, own, polls.times[heard].tolist(), polls.statuses[heard].tolist())

    def __len__(self) -> int:
        return len(self.places)

    def of(self, rows: npt.NDArray[np.int64]) -> LastDays:
        """Return those of some stores, given by position."""
        return LastDays(self.spans, self.polls, self.places[rows])

    @property
    def size(self) -> int:
        """The bytes of its arrays."""
        parts = (*vars(self.spans).values(), *vars(self.polls).values(), self.places)
        return sum(part.nbytes for part in parts if isinstance(part, np.ndarray))


def last_days(fleet: Fleet, as_of: int, policy: Policy) -> LastDays:
    """Return the day up to ``as_of``, UTC microseconds, of every store of a fleet, in its order.

    Evidence is ``strong`` where at least ``STRONG_POLLS`` polls in a row say the same and at least half of the time
    since is confirmed, ``one poll`` where the last one speaks alone, ``ledger`` where an entry decides the status,
    and ``medium`` otherwise.
    """
    made = timelines(fleet, as_of - DAY_US, as_of, as_of, policy)
    return LastDays(made.spans, made.observations, np.arange(len(fleet.store_ids)))


def _last_day(spans: Spans, own: slice, times: list[int], said: list[int]) -> LastDay:
    starts, ends = spans.starts[own].tolist(), spans.ends[own].tolist()
    statuses, confirmed = spans.statuses[own].tolist(), spans.confirmed[own].tolist()
    stretches = [
        Stretch(start, end, SPAN_STATUSES[status], bool(sure))
        for start, end, status, sure in zip(starts, ends, statuses, confirmed, strict=True)
    ]
    polls = 0
    while polls < len(said) and said[-1 - polls] == said[-1]:
        polls += 1
    if not stretches or statuses[-1] not in (ACTIVE, INACTIVE):
        return LastDay(stretches, polls, 0, 0, None)
    first = times[-polls] if polls else 0
    known_us = confirmed_us = 0
    for start, end, status, sure in zip(starts, ends, statuses, confirmed, strict=True):
        if status == statuses[-1] and end > first:
            known_us += end - max(start, first)
            confirmed_us += (end - max(start, first)) * sure
    by_ledger = spans.entries is not None and bool(spans.entries[own][-1])
    return LastDay(stretches, polls, confirmed_us, known_us, _evidence(polls, confirmed_us, known_us, by_ledger))


def _evidence(polls: int, confirmed_us: int, known_us: int, by_ledger: bool) -> Evidence:
    if by_ledger:
        return "ledger"
    if polls <= 1:
        return "one poll"
    return "strong" if polls >= STRONG_POLLS and 2 * confirmed_us >= known_us else "medium"
