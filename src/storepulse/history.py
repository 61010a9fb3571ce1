"""A fleet over time: in buckets of a window, by hour of the week, and when nobody was observed.

Cut and added up in `storepulse.kernel.buckets`; here sums become plain values. They are those of the report.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from storepulse.kernel.buckets import (
    HOURS_OF_WEEK,
    Bucket,
    Grid,
    Sums,
    bucket_edges,
    bucket_for,
    history_grid,
    sums,
    week_grid,
)
from storepulse.kernel.gaps import Gaps, collector_gaps
from storepulse.kernel.policy import Policy
from storepulse.kernel.windows import Window, Windows, windows
from storepulse.reports import Known, Reconstruction, booked, end_of, in_parts, latest, read_window
from storepulse.schema import Fleet

#: The sums of a bucket, over all stores.
_SUMMED: Final = (
    "uptime_us",
    "downtime_us",
    "unknown_us",
    "business_us",
    "uptime_min_us",
    "uptime_max_us",
    "observations",
)
_Row = dict[str, Any]


@dataclass(frozen=True)
class History:
    """The fleet over one window, in buckets that follow each other without a gap.

    ``buckets``: one dictionary each, of ``start_us``, ``end_us``, sums over all stores, ``availability`` with its
    bounds ``availability_min`` and ``availability_max``, and ``coverage`` (ratios of the sums; None where there is
    nothing to divide by), and ``stores_observed``. A calendar window is another one for each zone: the buckets reach
    from the first start to the last end, and each store adds what lies in its own.
    """

    as_of: int
    policy: Policy
    windows: Windows
    bucket: Bucket
    buckets: list[_Row]
    gaps: Gaps
    loads_seen: int | None


@dataclass(frozen=True)
class HeatMap:
    """The fleet over one window by the hours of the week on each store's own clock.

    ``cells``: 168 dictionaries of ``weekday`` (0 is Monday), ``hour``, and what a bucket of a history has but its
    bounds and counts.
    """

    as_of: int
    policy: Policy
    windows: Windows
    cells: list[_Row]
    loads_seen: int | None


def history(
    fleet: Fleet,
    *,
    as_of: int | None = None,
    window: str | Window = "last_week",
    policy: Policy | None = None,
    loads_seen: int | None = None,
) -> History:
    """Follow a fleet over a window, in hours of UTC up to ten days, in days up to 400, else in weeks.

    Parameters
    ----------
    as_of
        UTC microseconds; the latest observation unless given. Nothing after it is used, no bucket reaches beyond it.
    loads_seen
        The number of the last load that the store held, for the record.

    Raises
    ------
    InputError
        There is no observation to take ``as_of`` from, or the window is unknown.
    """
    policy = policy or Policy()
    as_of = latest(fleet) if as_of is None else as_of
    known = read_window(fleet, as_of=as_of, window=window)
    laid = windows([window], as_of, known.hours)
    start, end = _extent(laid, as_of)
    bucket = bucket_for(start, end)
    edges = bucket_edges(bucket, start, end)
    rows: list[_Row] = []
    if edges:
        grid = history_grid(bucket, start, end, len(known.store_ids))
        bounds = [{"start_us": a, "end_us": b} for a, b in pairwise(edges)]
        summed = _summed(known, laid, grid, as_of, policy)
        rows = [bound | _with_ratios(policy, row) for bound, row in zip(bounds, summed, strict=True)]
    return History(as_of, policy, laid, bucket, rows, collector_gaps(known.known, start, end, as_of), loads_seen)


def heat_map(
    fleet: Fleet,
    *,
    as_of: int | None = None,
    window: str | Window = "last_week",
    policy: Policy | None = None,
    loads_seen: int | None = None,
) -> HeatMap:
    """Add a window up by weekday and hour, as the wall clock of each store shows them; parameters as with `history`.

    Raises
    ------
    InputError
        There is no observation to take ``as_of`` from, or the window is unknown.
    """
    policy = policy or Policy()
    as_of = latest(fleet) if as_of is None else as_of
    known = read_window(fleet, as_of=as_of, window=window)
    laid = windows([window], as_of, known.hours)
    grid = week_grid(known.hours, *_extent(laid, as_of))
    cells = []
    for place, row in enumerate(_summed(known, laid, grid, as_of, policy)):
        weekday, hour = divmod(place, HOURS_OF_WEEK // 7)
        with_ratios = _with_ratios(policy, row)
        del with_ratios["observations"], with_ratios["stores_observed"]
        cells.append({"weekday": weekday, "hour": hour} | with_ratios)
    return HeatMap(as_of, policy, laid, cells, loads_seen)


def _extent(laid: Windows, as_of: int) -> tuple[int, int]:
    """Return from where to where the window of any store reaches, nothing of it after ``as_of``."""
    end = end_of(laid, as_of)
    common = laid.common[laid.names[0]][0]
    return min(int(laid.starts.min(initial=end)) if common is None else common, end), end


def _summed(known: Known, laid: Windows, grid: Grid, as_of: int, policy: Policy) -> list[dict[str, int]]:
    """Return the sums of each bucket over all stores."""
    starts, ends = laid.starts[:, 0], laid.ends[:, 0]

    def part(first: int, stop: int, made: Reconstruction) -> Sums:
        return sums(
            made.spans,
            made.sessions,
            made.observations,
            grid.of(first, stop),
            starts[first:stop],
            ends[first:stop],
            as_of,
        )

    parts = in_parts(known.known, known.hours, *_extent(laid, as_of), policy, part)
    columns = {name: _added(getattr(one, name) for one in parts) for name in (*_SUMMED, "stores_observed")}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _added(parts: Iterable[np.ndarray[Any, np.dtype[np.int64]]]) -> list[int]:
    """Add blocks of stores up as integers of Python, which never overflow."""
    blocks = np.concatenate(list(parts))
    return [sum(column) for column in blocks.T.tolist()]


def _with_ratios(policy: Policy, row: dict[str, int]) -> _Row:
    business, known = row["business_us"], row["business_us"] - row["unknown_us"]
    up, down, unknown = booked(policy, row["uptime_us"], row["downtime_us"], row["unknown_us"])
    return row | {
        "uptime_us": up,
        "downtime_us": down,
        "unknown_us": unknown,
        "availability": _ratio(up, up + down),
        "availability_min": _ratio(row["uptime_min_us"], business),
        "availability_max": _ratio(row["uptime_max_us"], business),
        "coverage": _ratio(known, business),
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
