"""The timeline of one store as a picture: a row for each local day, lengths in minutes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from uphours.kernel.local_time import local_date, midnight
from uphours.schema import MINUTE_US
from uphours.service.models import IntervalModel


@dataclass(frozen=True)
class Piece:
    """A part of a row: ``x`` and ``width`` in minutes since the local midnight; ``place`` in the list it is from."""

    x: float
    width: float
    place: int


@dataclass(frozen=True)
class Day:
    """One local day; ``minutes`` is its length, which is not 1440 when the clocks change.

    ``note``: what is to be said of its hours, blank where they are those of the week.
    """

    date: date
    start_us: int
    note: str
    minutes: float
    sessions: list[Piece]
    gaps: list[Piece]
    spans: list[Piece]
    observations: list[Piece]


def dates_of(explained: Mapping[str, Any], *, zone: str, most: int) -> tuple[list[date], int]:
    """Return the local dates of an explanation, as `/v1/stores/{id}/explanation` gives it; ``most``, the last ones.

    Returns
    -------
    list of date, int
        The dates, and how many earlier ones were left out.
    """
    start = explained["window"]["start_us"]
    end = max(start + 1, min(explained["window"]["end_us"], explained["as_of_us"]))
    dates = list(_dates(local_date(zone, start), local_date(zone, end - 1)))
    return dates[-most:], max(0, len(dates) - most)


def days(
    explained: Mapping[str, Any],
    gaps: Sequence[IntervalModel],
    dates: Iterable[date],
    notes: Mapping[date, str],
    *,
    zone: str,
) -> list[Day]:
    """Lay some dates of an explanation out; ``gaps``: collector gaps, which are drawn behind it."""
    behind = [(gap.start_us, gap.end_us) for gap in gaps]
    return [_day(explained, behind, zone, one, notes.get(one, "")) for one in dates]


def _dates(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += timedelta(days=1)


def _day(explained: Mapping[str, Any], gaps: Sequence[tuple[int, int]], zone: str, day: date, note: str) -> Day:
    start, end = midnight(zone, day), midnight(zone, day + timedelta(days=1))
    heard = ((one["observed_at_us"], one["observed_at_us"] + 1) for one in explained["observations"])
    return Day(
        day,
        start,
        note,
        (end - start) / MINUTE_US,
        _pieces(((one["start_us"], one["end_us"]) for one in explained["sessions"]), start, end),
        _pieces(gaps, start, end),
        _pieces(((one["start_us"], one["end_us"]) for one in explained["spans"]), start, end),
        _pieces(heard, start, end),
    )


def _pieces(intervals: Iterable[tuple[int, int]], start: int, end: int) -> list[Piece]:
    return [
        Piece(
            round((max(first, start) - start) / MINUTE_US, 2),
            round((min(last, end) - max(first, start)) / MINUTE_US, 2),
            place,
        )
        for place, (first, last) in enumerate(intervals)
        if first < end and last > start
    ]
