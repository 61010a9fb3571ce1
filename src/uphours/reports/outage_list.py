"""The outages of the stores of a report, as a list that a person reads: where, from when to when, how much down time.

They are those of the timelines that the report was made of, from the start of its earliest window to the end of its
latest one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from threading import Lock
from typing import Final

import numpy as np
import numpy.typing as npt

from uphours.kernel.adjustments import nothing_adjusted
from uphours.kernel.local_time import wall_clock
from uphours.kernel.schedule import zone_changes
from uphours.kernel.windows import Windows
from uphours.reports.measure import Timelines, extent, in_parts, schedule_over
from uphours.reports.report import Report
from uphours.schema import EXCLUDED, Fleet, Instants, Offsets, Schedule, Spans

#: Outages that are listed; of more, those with the most down time. One takes some hundred bytes, more in a sheet.
MOST_OUTAGES: Final = 50_000


@dataclass(frozen=True)
class Found:
    """Outages: int64 arrays with an element for each, and whether it is going on (bool).

    ``stores``: the position of its store in the report. ``starts``, ``ends``: UTC microseconds, half-open, closed and
    excluded time between included. ``downtime_us``: the down time in it. ``ongoing``: no time that is up or unknown
    follows it before the end of the list.
    """

    stores: npt.NDArray[np.int64]
    starts: Instants
    ends: Instants
    downtime_us: npt.NDArray[np.int64]
    ongoing: npt.NDArray[np.bool_]

    def pick(self, chosen: npt.NDArray[np.int64]) -> Found:
        """Return some of them, in the order given."""
        return Found(*(values[chosen] for values in vars(self).values()))


@dataclass(frozen=True)
class OutageList:
    """Outages in order of store and start; ``left_out``: how many shorter ones are not listed.

    ``start``, ``end``: from where to where they were looked for, UTC microseconds. An outage that began before
    ``start``, or before the earliest window of its store, is cut there. ``zones``: the zone of the store that is in
    force when the outage starts. ``starts_local``, ``ends_local``: microseconds since 1970-01-01 00:00 on that clock.
    """

    found: Found
    left_out: int
    start: int
    end: int
    zones: list[str]
    starts_local: list[int]
    ends_local: list[int]

    def __len__(self) -> int:
        """Return how many are listed."""
        return len(self.zones)


def outage_list(fleet: Fleet, report: Report, *, most: int = MOST_OUTAGES) -> OutageList:
    """Return the outages that touch a window of their store, of the stores of a report that was made of the fleet.

    Memory is that of a report, and of at most some times ``most`` outages.

    Raises
    ------
    InputError
        Observations of that time were pruned.
    """
    start, end = extent(report.windows, report.as_of)
    observations = fleet.observations(start, end, report.as_of)
    schedule = schedule_over(fleet, observations, start, end)
    adjustments = nothing_adjusted(len(fleet.store_ids)) if report.raw else fleet.adjustments
    place_of = {store_id: place for place, store_id in enumerate(report.store_ids)}
    places = np.array([place_of.get(store_id, -1) for store_id in fleet.store_ids], dtype=np.int64)
    longest = _Longest(most)

    def part(first: int, stop: int, made: Timelines) -> None:
        longest.add(_found(made, report, places[first:stop]))

    in_parts(observations, schedule, adjustments, start, end, report.policy, part)
    found, left_out = longest.listed()
    store_of = np.zeros(len(report.store_ids), dtype=np.int64)
    store_of[places[places >= 0]] = np.flatnonzero(places >= 0)
    stores = store_of[found.stores].tolist()
    zones = list(_zones_at(fleet.clocks, stores, found.starts.tolist()))
    starts, ends = (
        [_local(zone, us) for zone, us in zip(zones, instants.tolist(), strict=True)]
        for instants in (found.starts, found.ends)
    )
    return OutageList(found, left_out, start, end, zones, starts, ends)


class _Longest:
    """Collects outages from several threads, and keeps the longest; which ones does not depend on their order."""

    def __init__(self, most: int) -> None:
        self._most = most
        nothing = np.empty(0, dtype=np.int64)
        self._kept = Found(nothing, nothing, nothing, nothing, nothing.astype(np.bool_))
        self._all = 0
        self._lock = Lock()

    def add(self, found: Found) -> None:
        with self._lock:
            self._all += len(found.stores)
            pairs = zip(vars(self._kept).values(), vars(found).values(), strict=True)
            both = Found(*(np.concatenate(pair) for pair in pairs))
            order = np.lexsort((both.starts, both.stores, -both.downtime_us))
            self._kept = both.pick(order[: self._most])

    def listed(self) -> tuple[Found, int]:
        """Return the longest in order of store and start, and how many were left out."""
        return self._kept.pick(np.lexsort((self._kept.starts, self._kept.stores))), self._all - len(self._kept.stores)


def _found(made: Timelines, report: Report, places: npt.NDArray[np.int64]) -> Found:
    """Return the outages of a part of the fleet, whose stores have these places in the report, -1 for no place."""
    shown = np.flatnonzero(places >= 0)
    windows = Windows(
        report.windows.names,
        report.windows.starts[places[shown]],
        np.minimum(report.windows.ends[places[shown]], report.as_of),
        {},
    )
    starts, ends = np.zeros((2, len(places)), dtype=np.int64)
    starts[shown], ends[shown] = windows.starts.min(axis=1), windows.ends.max(axis=1)
    spans = _within(made.spans, starts, ends)
    found = replace(made, spans=spans).outages()
    counted = np.flatnonzero(spans.statuses != EXCLUDED)
    last = np.full(len(places), np.iinfo(np.int64).min)
    np.maximum.at(last, _owners(spans.offsets)[counted], spans.ends[counted])
    row = np.zeros(len(places), dtype=np.int64)
    row[shown] = np.arange(len(shown))
    touches = (
        (found.starts[:, np.newaxis] < windows.ends[row[found.stores]])
        & (windows.starts[row[found.stores]] < found.ends[:, np.newaxis])
    ).any(axis=1)
    ongoing = found.ends == last[found.stores]
    listed = np.flatnonzero(touches)
    return Found(places[found.stores], found.starts, found.ends, found.downtime_us, ongoing).pick(listed)


def _within(spans: Spans, starts: Instants, ends: Instants) -> Spans:
    """Return the spans of each store that lie in its ``[starts[i], ends[i])``, cut where they reach out of it."""
    owners = _owners(spans.offsets)
    first, last = np.maximum(spans.starts, starts[owners]), np.minimum(spans.ends, ends[owners])
    kept = first < last
    counts = np.bincount(owners[kept], minlength=len(spans.offsets) - 1)
    return Spans(
        np.concatenate([[0], np.cumsum(counts)]), first[kept], last[kept], spans.statuses[kept],
        spans.confirmed[kept], spans.evidence[kept], None if spans.entries is None else spans.entries[kept],
    )  # fmt: skip


def _owners(offsets: Offsets) -> npt.NDArray[np.int64]:
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def _zones_at(clocks: Schedule, stores: list[int], instants: list[int]) -> Iterator[str]:
    """Yield the name of the zone in force at each instant of a store."""
    dated: dict[int, tuple[list[int], list[int]]] = {}
    for store, since, zone in zip(*(values.tolist() for values in zone_changes(clocks)), strict=True):
        instants_of, zones_of = dated.setdefault(store, ([], []))
        instants_of.append(since)
        zones_of.append(zone)
    zones = clocks.zones.tolist()
    for store, instant in zip(stores, instants, strict=True):
        zone = zones[store]
        if store in dated:
            since, zones_of = dated[store]
            zone = zones_of[max(bisect_right(since, instant) - 1, 0)]
        yield clocks.zone_names[zone]


def _local(zone: str, instant: int) -> int:
    """Return an instant as the wall clock shows it, microseconds since 1970-01-01 00:00 local."""
    offset = wall_clock(zone, instant).utcoffset()
    assert offset is not None  # every zone has one
    return instant + (offset.days * 86_400 + offset.seconds) * 1_000_000
