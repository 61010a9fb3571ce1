"""The timeline of one store as a picture: a row for each local day, lengths in minutes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from storepulse.kernel.hours import local_date, midnight
from storepulse.schema import MINUTE_US


@dataclass(frozen=True)
class Piece:
    """A part of a row: ``x`` and ``width`` in minutes since the local midnight; ``place`` in the list it is from."""

    x: float
    width: float
    place: int


@dataclass(frozen=True)
class Day:
    """One local day; ``minutes`` is its length, which is not 1440 when the clocks change."""

    date: date
    minutes: float
    sessions: list[Piece]
    spans: list[Piece]
    observations: list[Piece]


def days(explained: Mapping[str, Any], *, zone: str, most: int) -> tuple[list[Day], int]:
    """Lay an explanation out, as `/v1/stores/{id}/explanation` gives it; ``most`` days, the last ones.

    Returns
    -------
    list of Day, int
        The days, and how many earlier ones were left out.
    """
    start = explained["window"]["start_us"]
    end = max(start + 1, min(explained["window"]["end_us"], explained["as_of_us"]))
    dates = list(_dates(local_date(zone, start), local_date(zone, end - 1)))
    return [_day(explained, zone, one) for one in dates[-most:]], max(0, len(dates) - most)


def _dates(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += timedelta(days=1)


def _day(explained: Mapping[str, Any], zone: str, day: date) -> Day:
    start, end = midnight(zone, day), midnight(zone, day + timedelta(days=1))
    heard = ((one["observed_at_us"], one["observed_at_us"] + 1) for one in explained["observations"])
    return Day(
        day,
        (end - start) / MINUTE_US,
        _pieces(((one["start_us"], one["end_us"]) for one in explained["sessions"]), start, end),
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
