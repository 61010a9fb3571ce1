"""The timeline of one store as a picture: a row for each local day, lengths in minutes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby, pairwise
from typing import Any

from uphours.kernel.local_time import local_date, midnight, wall_clock
from uphours.schema import MINUTE_US, SPAN_STATUSES
from uphours.wire.view_messages import Interval


@dataclass(frozen=True)
class Piece:
    """A part of a row: ``x`` and ``width`` in minutes since the local midnight; ``place`` in the list it is from."""

    x: float
    width: float
    place: int


@dataclass(frozen=True)
class Day:
    """One local day; ``minutes`` is its length, which is not 1440 when the clocks change.

    ``note``: what is to be said of its hours, blank where they are those of the week. ``open_us``, ``up_us``,
    ``down_us``, ``excluded_us``: the open time of the day inside the window, and how much of it has each status;
    ``watched_us``: how much of it lies between polls that are near enough to each other, or is decided by the ledger.
    """

    date: date
    start_us: int
    note: str
    minutes: float
    sessions: list[Piece]
    gaps: list[Piece]
    spans: list[Piece]
    observations: list[Piece]
    open_us: int
    up_us: int
    down_us: int
    excluded_us: int
    watched_us: int

    @property
    def availability(self) -> float | None:
        """Uptime over known time; None on a day of which nothing is known."""
        known = self.up_us + self.down_us
        return self.up_us / known if known else None


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
    gaps: Sequence[Interval],
    dates: Iterable[date],
    notes: Mapping[date, str],
    *,
    zone: str,
) -> list[Day]:
    """Lay some dates of an explanation out; ``gaps``: collector gaps, which are drawn behind it."""
    behind = [(gap["start_us"], gap["end_us"]) for gap in gaps]
    heard = [one["observed_at_us"] for one in explained["observations"]]
    return [_day(explained, heard, behind, zone, one, notes.get(one, "")) for one in dates]


def polls_by_day(observations: Iterable[tuple[int, str]], *, zone: str) -> list[tuple[date, list[tuple[str, str]]]]:
    """Return observations by local date: the time of day of each, to the second, and its status."""
    local = ((wall_clock(zone, at), status) for at, status in observations)
    return [
        (day, [(f"{at:%H:%M:%S}", status) for at, status in heard])
        for day, heard in groupby(local, key=lambda one: one[0].date())
    ]


def _dates(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += timedelta(days=1)


def _day(
    explained: Mapping[str, Any],
    heard: Sequence[int],
    gaps: Sequence[tuple[int, int]],
    zone: str,
    day: date,
    note: str,
) -> Day:
    start, end = midnight(zone, day), midnight(zone, day + timedelta(days=1))
    sums = dict.fromkeys(SPAN_STATUSES, 0)
    within, watched = explained["policy"]["confirm_within_us"], 0
    for span in explained["spans"]:
        first, last = max(span["start_us"], start), min(span["end_us"], end)
        if first < last:
            sums[span["status"]] += last - first
            decided = span["entry"] is not None and span["status"] in ("up", "down")
            watched += last - first if decided else _watched(heard, within, first, last)
    return Day(
        day,
        start,
        note,
        (end - start) / MINUTE_US,
        _pieces(((one["start_us"], one["end_us"]) for one in explained["sessions"]), start, end),
        _pieces(gaps, start, end),
        _pieces(((one["start_us"], one["end_us"]) for one in explained["spans"]), start, end),
        _pieces(((at, at + 1) for at in heard), start, end),
        sum(sums.values()),
        sums["up"],
        sums["down"],
        sums["excluded"],
        watched,
    )


def _watched(times: Sequence[int], within: int, start: int, end: int) -> int:
    """Return how much of ``[start, end)`` lies between two polls that are near enough to each other."""
    first = max(bisect_right(times, start) - 1, 0)
    return sum(
        max(0, min(q, end) - max(p, start))
        for p, q in pairwise(times[first : bisect_right(times, end) + 1])
        if q - p <= within
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
