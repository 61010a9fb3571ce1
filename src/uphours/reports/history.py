"""A fleet over time: in buckets of a window, by hour of the week, and when no store was observed.

Cut and added up in `uphours.kernel.time_buckets`; here sums become plain values. They are those of the report.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from threading import Lock
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from uphours.kernel.collector_gaps import Gaps, collector_gaps
from uphours.kernel.policy import Policy
from uphours.kernel.time_buckets import (
    HOURS_OF_WEEK,
    STORES_OF_A_BLOCK,
    Grid,
    Sums,
    bucket_edges,
    bucket_for,
    history_grid,
    week_grid,
)
from uphours.kernel.windows import Window, Windows, windows
from uphours.reports.measure import Timelines, in_parts, latest_instant
from uphours.reports.reading import Known, end_of, read_window
from uphours.reports.report import booked
from uphours.reports.standouts import Hours
from uphours.schema import Fleet
from uphours.wire.words import BucketSize

#: The sums of a bucket, over all stores.
_SUMMED: Final = tuple(field.name for field in fields(Sums))
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
    bucket: BucketSize
    buckets: list[_Row]
    gaps: Gaps
    loads_seen: int | None
    entries_seen: int | None


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
    entries_seen: int | None


def history(
    fleet: Fleet,
    *,
    as_of: int | None = None,
    window: str | Window = "last_week",
    policy: Policy | None = None,
    loads_seen: int | None = None,
    entries_seen: int | None = None,
) -> History:
    """Follow a fleet over a window, in hours of UTC up to ten days, in days up to 400, else in weeks.

    Parameters
    ----------
    as_of
        UTC microseconds; the latest observation unless given. Nothing after it is used, no bucket reaches beyond it.
    loads_seen, entries_seen
        The numbers of the last load and of the last entry of the ledger that the database held, for the record.

    Raises
    ------
    InputError
        There is no observation to take ``as_of`` from, or the window is unknown.
    """
    policy = policy or Policy()
    as_of = latest_instant(fleet) if as_of is None else as_of
    known = read_window(fleet, as_of=as_of, window=window)
    laid = windows([window], as_of, known.schedule)
    start, end = _extent(laid, as_of)
    bucket = bucket_for(start, end)
    edges = bucket_edges(bucket, start, end)
    rows: list[_Row] = []
    if edges:
        grid = history_grid(bucket, start, end, len(known.store_ids))
        bounds = [{"start_us": a, "end_us": b} for a, b in pairwise(edges)]
        summed = _summed(known, laid, grid, as_of, policy)
        rows = [bound | _with_ratios(policy, row) for bound, row in zip(bounds, summed, strict=True)]
    gaps = collector_gaps(known.known, start, end, as_of)
    return History(as_of, policy, laid, bucket, rows, gaps, loads_seen, entries_seen)


def heat_map(
    fleet: Fleet,
    *,
    as_of: int | None = None,
    window: str | Window = "last_week",
    policy: Policy | None = None,
    loads_seen: int | None = None,
    entries_seen: int | None = None,
) -> HeatMap:
    """Add a window up by weekday and hour, as the wall clock of each store shows them; parameters as with `history`.

    Raises
    ------
    InputError
        There is no observation to take ``as_of`` from, or the window is unknown.
    """
    policy = policy or Policy()
    as_of = latest_instant(fleet) if as_of is None else as_of
    known = read_window(fleet, as_of=as_of, window=window)
    laid = windows([window], as_of, known.schedule)
    grid = week_grid(known.schedule, *_extent(laid, as_of))
    cells = []
    for place, row in enumerate(_summed(known, laid, grid, as_of, policy)):
        weekday, hour = divmod(place, HOURS_OF_WEEK // 7)
        with_ratios = _with_ratios(policy, row)
        del with_ratios["observations"], with_ratios["stores_observed"]
        cells.append({"weekday": weekday, "hour": hour} | with_ratios)
    return HeatMap(as_of, policy, laid, cells, loads_seen, entries_seen)


@dataclass(frozen=True)
class LostThen:
    """How long each store was up and down in some hours of the week: int64 microseconds, in order of the stores."""

    hours: Hours
    uptime_us: npt.NDArray[np.int64]
    downtime_us: npt.NDArray[np.int64]

    def of(self, rows: npt.NDArray[np.int64]) -> LostThen:
        """Return that of some of the stores, given by position."""
        return LostThen(self.hours, self.uptime_us[rows], self.downtime_us[rows])


def lost_then(fleet: Fleet, hours: Hours, *, as_of: int, window: str | Window, policy: Policy) -> LostThen:
    """Measure what each store loses in some hours of the week, as its own clock shows them; the sums of `heat_map`."""
    known = read_window(fleet, as_of=as_of, window=window)
    laid = windows([window], as_of, known.schedule)
    grid = week_grid(known.schedule, *_extent(laid, as_of))
    day = hours.weekday * (HOURS_OF_WEEK // 7)
    chosen = slice(day + hours.first, day + hours.end)

    def part(first: int, stop: int, made: Timelines) -> npt.NDArray[np.int64]:
        summed = made.bucket_sums(grid.of(first, stop), laid.of(slice(first, stop)), as_of, of_each_store=True)
        times = (summed.uptime_us, summed.downtime_us, summed.unknown_us)
        return np.stack([of_hours[:, chosen].sum(axis=1) for of_hours in times])

    parts = in_parts(known.known, known.schedule, known.adjustments, *_extent(laid, as_of), policy, part)
    up, down, _ = booked(policy, *np.concatenate(parts, axis=1))
    return LostThen(hours, up, down)


def _extent(laid: Windows, as_of: int) -> tuple[int, int]:
    """Return from where to where the window of any store reaches, nothing of it after ``as_of``."""
    end = end_of(laid, as_of)
    common = laid.common[laid.names[0]][0]
    return min(int(laid.starts.min(initial=end)) if common is None else common, end), end


def _summed(known: Known, laid: Windows, grid: Grid, as_of: int, policy: Policy) -> list[dict[str, int]]:
    """Return the sums of each bucket over all stores."""
    added = _Added()

    def part(first: int, stop: int, made: Timelines) -> None:
        added.add(made.bucket_sums(grid.of(first, stop), laid.of(slice(first, stop)), as_of), stop - first)

    in_parts(known.known, known.schedule, known.adjustments, *_extent(laid, as_of), policy, part)
    columns = added.columns()
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


class _Added:
    """Adds up the sums of parts of a fleet as they come, in the end as integers of Python, which never overflow."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sums: dict[str, list[int]] = {}
        # What 64 bits can hold: the sums of at most as many stores as a block has.
        self._pending: dict[str, npt.NDArray[np.int64]] = {}
        self._stores = 0

    def add(self, summed: Sums, stores: int) -> None:
        blocks = {name: getattr(summed, name) for name in _SUMMED}
        with self._lock:
            if self._stores + stores > STORES_OF_A_BLOCK:
                self._flush()
            if stores > STORES_OF_A_BLOCK:
                for block in range(len(blocks["uptime_us"])):
                    self._pending = {name: values[block] for name, values in blocks.items()}
                    self._flush()
                return
            for name, values in blocks.items():
                block = values.sum(axis=0)
                self._pending[name] = self._pending[name] + block if name in self._pending else block
            self._stores += stores

    def columns(self) -> dict[str, list[int]]:
        with self._lock:
            self._flush()
            return self._sums

    def _flush(self) -> None:
        for name, pending in self._pending.items():
            more = pending.tolist()
            before = self._sums.get(name, [0] * len(more))
            self._sums[name] = [a + b for a, b in zip(before, more, strict=True)]
        self._pending, self._stores = {}, 0


def _with_ratios(policy: Policy, row: dict[str, int]) -> _Row:
    business = row["business_us"]
    up, down, unknown = booked(policy, row["uptime_us"], row["downtime_us"], row["unknown_us"])
    raw = booked(policy, row["raw_uptime_us"], row["raw_downtime_us"], row["raw_unknown_us"])
    return row | {
        **dict(zip(("raw_uptime_us", "raw_downtime_us", "raw_unknown_us"), raw, strict=True)),
        "uptime_us": up,
        "downtime_us": down,
        "unknown_us": unknown,
        "availability": _ratio(up, up + down),
        "availability_min": _ratio(row["uptime_min_us"], business),
        "availability_max": _ratio(row["uptime_max_us"], business),
        "coverage": _ratio(row["watched_us"], business),
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
