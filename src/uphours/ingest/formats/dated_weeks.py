"""Weekly openings that hold from one date to another → weeks that are dated as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from uphours.ingest.formats.wall_clock import Opening

ONE_DAY: Final = timedelta(days=1)
#: From this year on, a last date is the writer's way to say that there is none.
END_OF_DATES: Final = 9000


@dataclass(frozen=True)
class Validity:
    """Openings on some weekdays from a date to a date, both included; None: since ever, or without an end."""

    first: date | None
    last: date | None
    weekdays: frozenset[int]
    openings: tuple[tuple[int, Opening], ...]

    def has(self, day: date | None) -> bool:
        """Return whether a date lies in it; None: the time before all dates."""
        if day is None:
            return self.first is None
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


def widened(part: Validity) -> Validity:
    """Return the same openings with the first possible start and the last possible end: fewer different weeks."""
    first, last = part.first, part.last
    while first is not None and first.weekday() > 0 and (first - ONE_DAY).weekday() not in part.weekdays:
        first -= ONE_DAY
    while last is not None and last.weekday() < 6 and (last + ONE_DAY).weekday() not in part.weekdays:
        last += ONE_DAY
    return Validity(first, last, part.weekdays, part.openings)


def dated_weeks(parts: Sequence[Validity], *, latest_only: bool) -> Iterator[tuple[str, list[tuple[int, Opening]]]]:
    """Yield each week with its ``valid_from``, in order; before the first part that has a start nothing is said.

    ``latest_only``: of the parts that are about a weekday the one with the latest start counts; else all of them.
    """
    starts = {part.first for part in parts if part.first} | {part.last + ONE_DAY for part in parts if part.last}
    before: list[tuple[int, Opening]] | None = None
    for start in [None, *sorted(starts)]:
        valid = [part for part in parts if part.has(start)]
        if start is None and not valid:
            continue
        week = sorted(set(_latest(valid) if latest_only else _all(valid)))
        if week != before:
            yield start.isoformat() if start else "", week
        before = week


def _all(parts: Iterable[Validity]) -> Iterator[tuple[int, Opening]]:
    for part in parts:
        yield from part.openings


def _latest(parts: Sequence[Validity]) -> Iterator[tuple[int, Opening]]:
    for weekday in range(7):
        about = [part for part in parts if weekday in part.weekdays]
        latest = max((part.first or date.min for part in about), default=None)
        for part in about:
            if (part.first or date.min) == latest:
                yield from ((day, times) for day, times in part.openings if day == weekday)
