"""Figures of groups of stores: sums over the stores of each, every store in the window while it belongs to the group.

Stores are measured as for any report. Only those that change their group inside a window are measured a second time,
in the pieces of the window.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from uphours.errors import InputError
from uphours.kernel.policy import Policy
from uphours.kernel.windows import windows
from uphours.kernel.windows_before import with_before
from uphours.reports.ahead import ahead
from uphours.reports.comparison import change_facts
from uphours.reports.measure import Progress, latest_instant, run_request, totals
from uphours.reports.memberships import AttributedFleet, Values, memberships
from uphours.reports.pieces import CutWindows, Pieces
from uphours.reports.reading import Known, Unadjusted, read_windows
from uphours.reports.report import Report, Totals, booked, check_titles
from uphours.reports.request import ReportRequest

Figures: TypeAlias = dict[str, Any]
"""The figures of a group in a window: whole microseconds and counts, and ratios as float or None."""

#: What is added up over the stores of a group.
_LONGEST: Final = "longest_outage_us"
_COUNTS: Final = ("observations", "outages")
_DURATIONS: Final = tuple(one.name for one in fields(Totals) if one.name not in (*_COUNTS, _LONGEST))
_SUMMED: Final = (*_DURATIONS, *_COUNTS)
_RATIOS: Final = ("availability", "coverage", "availability_change", "before_availability", "before_coverage")
#: What a group has in each window, in order.
FIGURES: Final = ("stores", *_DURATIONS, "availability", "coverage", *_COUNTS, _LONGEST)
_HALF: Final = 32
#: What shares are parts of.
_WHOLE: Final = 100_000


@dataclass(frozen=True)
class Group:
    """The figures of some stores: in each window, in order, and how many belong to it at some time of a window.

    ``values``: of the attributes, or None for the whole fleet. The figures of a window are those of a store's report,
    after ``stores``, which counts those that belong to the group at some time of this window. With a comparison, the
    changes (`change_facts`) and, under ``before``, the figures of the window before follow.
    """

    values: Values | None
    stores: int
    windows: list[Figures]


@dataclass(frozen=True)
class Members:
    """The stores of groups: int64 arrays with an element for each group, window and store that belongs to it then.

    In order of group, window and store. ``groups``, ``windows``, ``stores``: positions, the last one in the report;
    with a comparison, the windows before come behind the others (`Report.together`).
    ``figures``: what is counted while the store belongs to the group, by the names of `Totals`. ``uptime_us``,
    ``downtime_us``: the same with unknown time booked as the policy says.
    """

    groups: npt.NDArray[np.int64]
    windows: npt.NDArray[np.int64]
    stores: npt.NDArray[np.int64]
    figures: dict[str, npt.NDArray[np.int64]]
    uptime_us: npt.NDArray[np.int64]
    downtime_us: npt.NDArray[np.int64]

    def rows_of(self, group: int) -> slice:
        """Return where the stores of a group are."""
        first, end = np.searchsorted(self.groups, [group, group + 1]).tolist()
        return slice(first, end)

    def worst(self, group: int, window: int) -> Members:
        """Return the stores of one group in one window, those with the most down time first."""
        mine = self.rows_of(group)
        rows = mine.start + np.flatnonzero(self.windows[mine] == window)
        rows = rows[np.lexsort((self.stores[rows], -self.downtime_us[rows]))]
        return Members(
            self.groups[rows], self.windows[rows], self.stores[rows],
            {name: values[rows] for name, values in self.figures.items()}, self.uptime_us[rows], self.downtime_us[rows],
        )  # fmt: skip

    def below(self, share: int) -> npt.NDArray[np.bool_]:
        """Say of each whether its availability is known and below a share in 100,000ths."""
        # As integers of Python: a hundred thousand times the time of a store over decades does not fit into 64 bits.
        return np.array(
            [
                up + down > 0 and up * _WHOLE < share * (up + down)
                for up, down in zip(self.uptime_us.tolist(), self.downtime_us.tolist(), strict=True)
            ],
            dtype=np.bool_,
        )


@dataclass(frozen=True)
class _Counted:
    """What is counted in each piece, by figure; ``rows``: of the store of each in the report."""

    report: Report
    pieces: Pieces
    rows: npt.NDArray[np.int64]
    figures: dict[str, npt.NDArray[np.int64]]

    def members(self) -> Members:
        """Add the pieces up by group, window and store."""
        n, w = max(len(self.report.store_ids), 1), len(self.report.windows.names)
        groups = np.unique(self.pieces.groups, return_inverse=True)[1]
        cells, place = np.unique((groups * w + self.pieces.windows) * n + self.rows, return_inverse=True)
        figures = {}
        for name, values in self.figures.items():
            figures[name] = np.zeros(len(cells), dtype=np.int64)
            add = np.maximum if name == _LONGEST else np.add
            add.at(figures[name], place, values)
        known = (figures[name] for name in ("uptime_us", "downtime_us", "unknown_us"))
        up, down, _ = booked(self.report.policy, *known)
        return Members(cells // (n * w), cells // n % w, cells % n, figures, up, down)


@dataclass(frozen=True)
class Groups:
    """Groups in order of their values as text, and the fleet; ``report``: that of the stores, with the same figures.

    Durations and observations of the groups add up to those of the fleet. An outage that is going on while its store
    changes groups counts in both, and once in the fleet.
    """

    report: Report
    by: tuple[str, ...]
    groups: list[Group]
    fleet: Group
    _counted: _Counted | None = field(default=None, repr=False, compare=False)

    @cached_property
    def members(self) -> Members | None:
        """The stores of the groups; None of groups that were kept, or added up from parts."""
        return None if self._counted is None else self._counted.members()

    def table(self) -> pl.DataFrame:
        """Return one row per group and window, exact; those of the fleet come last, with nulls for the attributes.

        Raises
        ------
        InputError
            As `groups_table`.
        """
        return groups_table([*self.groups, self.fleet], self.by, self.report.windows.names)


def groups_table(groups: Sequence[Group], by: Sequence[str], windows: Sequence[str]) -> pl.DataFrame:
    """Return one row per group and window, exact; of the whole fleet with nulls for the attributes.

    Raises
    ------
    InputError
        A sum does not fit into 64 bits, or an attribute is called as another column.
    """
    rows = [
        [*(group.values or (None,) * len(by)), window, *_flat(figures).values()]
        for group in groups
        for window, figures in zip(windows, group.windows, strict=True)
    ]
    figures = _flat(groups[0].windows[0]) if groups else FIGURES
    titles = [*by, "window", *figures]
    check_titles(titles)
    kinds: dict[str, type[pl.DataType]] = dict.fromkeys(titles, pl.Int64) | dict.fromkeys([*by, "window"], pl.String)
    kinds |= {title: pl.Float64 for title in titles if title in _RATIOS}
    try:
        return pl.DataFrame(rows, schema=kinds, orient="row")
    except OverflowError as error:
        raise InputError(
            "the time of all stores together does not fit into 64 bits of microseconds; valid are shorter windows, "
            "and as formats csv and json"
        ) from error


def groups(
    fleet: AttributedFleet,
    request: ReportRequest,
    by: Sequence[str],
    *,
    loads_seen: int | None = None,
    entries_seen: int | None = None,
    progress: Progress | None = None,
    now: int | None = None,
) -> Groups:
    """Make the report that is asked for, of groups of stores that share values of the attributes ``by``.

    The fleet is one that is narrowed down to the stores of the request. The rest as with `run_report`.

    Raises
    ------
    InputError
        No attribute is named; or as with `run_report`.
    """
    if not by:
        raise InputError("no attribute is named to group by; valid are names of attributes, such as region")
    is_latest = request.as_of is None
    as_of = latest_instant(fleet) if request.as_of is None else request.as_of
    known = read_windows(
        Unadjusted(fleet) if request.raw else fleet, as_of=as_of, chosen=request.windows, compare=request.compare
    )
    report = run_request(known, request, loads_seen=loads_seen, entries_seen=entries_seen, progress=progress)
    if is_latest and now is not None:
        report = replace(report, ahead=ahead(fleet, as_of, now))
    places = places_of(known.store_ids, report.store_ids)
    belongs = memberships(fleet.clocks, fleet.attributes(by), by)
    laid = (with_before if request.compare else windows)(request.windows, as_of, known.clocks)
    pieces = Pieces.of(laid, belongs).where(places >= 0)
    return pooled(report, by, pieces, places, _measured(known, report, pieces.cut()))


def _compared(group: Group) -> Group:
    """Return a group with half as many windows, with the changes from the windows before, which are the other half."""
    w = len(group.windows) // 2
    pairs = zip(group.windows[:w], group.windows[w:], strict=True)
    return replace(group, windows=[now | change_facts(now, before) | {"before": before} for now, before in pairs])


def pooled(
    report: Report,
    by: Sequence[str],
    pieces: Pieces,
    places: npt.NDArray[np.int64],
    measured: Mapping[str, npt.NDArray[np.int64]],
) -> Groups:
    """Add a report up by group.

    Parameters
    ----------
    pieces
        The windows of stores, and with a comparison behind them those before, cut where they change groups.
    places
        Of each of these stores the row in the report; -1 where it is not reported.
    measured
        What is counted in each of the pieces that are no whole windows, by figure.
    """
    is_reported = places >= 0
    is_kept = is_reported[pieces.stores[~pieces.is_whole]]
    pieces = pieces.where(is_reported)
    rows = places[pieces.stores]
    both = report.together()
    counted = {name: values[rows, pieces.windows] for name, values in vars(both.totals).items()}
    for name, values in measured.items():
        counted[name][~pieces.is_whole] = values[is_kept]
    added, whole = _added(both, pieces, rows, counted, len(report.windows.names)), whole_fleet(both)
    if report.before is not None:
        added, whole = list(map(_compared, added)), _compared(whole)
    return Groups(report, tuple(by), added, whole, _Counted(both, pieces, rows, counted))


def together(parts: Iterable[Sequence[Group]], policy: Policy) -> list[Group]:
    """Add up the groups of parts of a fleet, which have no store in common; in order of their values as text.

    The parts book unknown time as unknown, the sums as the policy says. The whole fleet, if it is among them, is last.
    """
    by_values: dict[Values | None, list[Group]] = {}
    for groups_of_part in parts:
        for group in groups_of_part:
            by_values.setdefault(group.values, []).append(group)
    return [
        _together(by_values[values], policy) for values in sorted(by_values, key=lambda one: (one is None, one or ()))
    ]


def _together(groups_of_parts: Sequence[Group], policy: Policy) -> Group:
    added = []
    for of_window in zip(*(group.windows for group in groups_of_parts), strict=True):
        sums = {name: sum(figures[name] for figures in of_window) for name in _SUMMED}
        sums[_LONGEST] = max(figures[_LONGEST] for figures in of_window)
        added.append(_figures(policy, sum(figures["stores"] for figures in of_window), sums))
    return Group(groups_of_parts[0].values, sum(group.stores for group in groups_of_parts), added)


def places_of(store_ids: Sequence[str], reported: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the row in a report of each store of a fleet; -1 where it is not reported."""
    place_of = {store_id: place for place, store_id in enumerate(reported)}
    return np.array([place_of.get(store_id, -1) for store_id in store_ids], dtype=np.int64)


def _measured(known: Known, report: Report, cut: CutWindows) -> dict[str, npt.NDArray[np.int64]]:
    """Measure pieces as windows of their stores; return what is counted in each, by figure."""
    if not len(cut.stores):
        return {}
    narrow = known.of(cut.stores)
    return cut.counted(totals(narrow.known, narrow.schedule, narrow.adjustments, cut.laid, report.as_of, report.policy))


def _added(
    report: Report,
    pieces: Pieces,
    rows: npt.NDArray[np.int64],
    counted: dict[str, npt.NDArray[np.int64]],
    own_windows: int,
) -> list[Group]:
    """Add the pieces up by group and window.

    ``rows``: of the store of each in the report. ``own_windows``: how many stand before the windows that precede them.
    """
    w = len(report.windows.names)
    found, groups = np.unique(pieces.groups, return_inverse=True)
    cells = groups * w + pieces.windows
    sums = {name: _sums(counted[name], cells, len(found) * w) for name in _SUMMED}
    longest = np.zeros(len(found) * w, dtype=np.int64)
    np.maximum.at(longest, cells, counted[_LONGEST])
    sums[_LONGEST] = longest.tolist()
    n = len(report.store_ids)
    stores = np.bincount(np.unique(cells * n + rows) // max(n, 1), minlength=len(found) * w).tolist()
    is_now = pieces.windows < own_windows
    of_group = np.bincount(np.unique(groups[is_now] * n + rows[is_now]) // max(n, 1), minlength=len(found)).tolist()
    return [
        Group(
            pieces.keys[group],
            of_group[number],
            [
                _figures(report.policy, stores[cell], {name: values[cell] for name, values in sums.items()})
                for cell in range(number * w, (number + 1) * w)
            ],
        )
        for number, group in enumerate(found.tolist())
    ]


def whole_fleet(report: Report) -> Group:
    """Add up the stores of a report."""
    n, w = report.windows.starts.shape
    cells = np.tile(np.arange(w), n)
    figures = vars(report.totals)
    sums = {name: _sums(figures[name].ravel(), cells, w) for name in _SUMMED}
    sums[_LONGEST] = figures[_LONGEST].max(axis=0, initial=0).tolist()
    return Group(
        None,
        n,
        [_figures(report.policy, n, {name: values[place] for name, values in sums.items()}) for place in range(w)],
    )


def _flat(figures: Figures) -> Figures:
    """Return figures with those of the window before in one row with the others."""
    before = figures.get("before", {})
    flat = {name: value for name, value in figures.items() if name != "before"}
    return flat | {f"before_{name}": value for name, value in before.items()}


def _sums(values: npt.NDArray[np.int64], cells: npt.NDArray[np.int64], n: int) -> list[int]:
    """Add up values, which are not negative, by cell, as integers of Python.

    The time of ten thousand stores over thirty years does not fit into 64 bits.
    """
    upper, lower = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    np.add.at(upper, cells, values >> _HALF)
    np.add.at(lower, cells, values & ((1 << _HALF) - 1))
    return [(high << _HALF) + low for high, low in zip(upper.tolist(), lower.tolist(), strict=True)]


def _figures(policy: Policy, stores: int, sums: Mapping[str, int]) -> Figures:
    """Return the figures that follow from sums, in the order of a report's."""
    up_down_unknown = booked(policy, sums["uptime_us"], sums["downtime_us"], sums["unknown_us"])
    raw = booked(policy, sums["raw_uptime_us"], sums["raw_downtime_us"], sums["raw_unknown_us"])
    return {
        "stores": stores,
        **{name: sums[name] for name in _DURATIONS},
        **dict(zip(("uptime_us", "downtime_us", "unknown_us"), up_down_unknown, strict=True)),
        **dict(zip(("raw_uptime_us", "raw_downtime_us", "raw_unknown_us"), raw, strict=True)),
        "availability": _ratio(up_down_unknown[0], up_down_unknown[0] + up_down_unknown[1]),
        "coverage": _ratio(sums["watched_us"], sums["business_us"]),
        **{name: sums[name] for name in (*_COUNTS, _LONGEST)},
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
