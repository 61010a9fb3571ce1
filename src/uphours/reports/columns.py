"""Layouts: which figures a report for people shows, in which order, under which titles and in which units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from uphours.errors import InputError
from uphours.reports.comparison import downtime_text, points_text, times_of
from uphours.reports.report import Figures, Report
from uphours.schema import DAY_US, HOUR_US, MINUTE_US, SECOND_US

Unit: TypeAlias = Literal["seconds", "minutes", "hours", "days", "percent", "points", "count"]

#: The first column of every layout.
STORE_ID: Final = "store_id"

#: How long a unit is.
UNITS_US: Final = {"seconds": SECOND_US, "minutes": MINUTE_US, "hours": HOUR_US, "days": DAY_US}
_DURATION: Final = tuple(UNITS_US)
#: What can be shown, with the units that it can be shown in.
_SHOWN: Final[dict[str, tuple[str, ...]]] = {
    "uptime": _DURATION,
    "downtime": _DURATION,
    "unknown": _DURATION,
    "excluded": _DURATION,
    "business_time": _DURATION,
    "availability": ("percent",),
    "coverage": ("percent",),
    "uptime_min": _DURATION,
    "uptime_max": _DURATION,
    "raw_uptime": _DURATION,
    "raw_downtime": _DURATION,
    "raw_unknown": _DURATION,
    "observations": ("count",),
    "outages": ("count",),
    "longest_outage": _DURATION,
    "watched": _DURATION,
    "scheduled_time": _DURATION,
    "availability_change": ("points",),
    "downtime_change": _DURATION,
}
#: The figures of our own layouts, in order; the others are left to columns that are chosen one by one.
_WITHOUT_DETAIL: Final = ("uptime", "downtime")
_WITH_AVAILABILITY: Final = (*_WITHOUT_DETAIL, "availability")
#: Those of a comparison with the window before.
_CHANGES: Final = ("availability_change", "downtime_change")
_WITH_DETAIL: Final = tuple(figure for figure in _SHOWN if figure not in ("watched", "scheduled_time", *_CHANGES))


@dataclass(frozen=True)
class Column:
    """A column: a title, and the figure of one window that it shows in a unit.

    ``figure`` is ``uptime``, ``downtime``, ``unknown``, ``excluded``, ``business_time``, ``scheduled_time``,
    ``watched``, ``uptime_min``, ``uptime_max``, ``raw_uptime``, ``raw_downtime``, ``raw_unknown`` or ``longest_outage``
    in ``seconds``, ``minutes``, ``hours`` or ``days``; ``availability`` or ``coverage`` in ``percent``;
    ``observations`` or ``outages`` as ``count``. Of a report with a comparison also ``downtime_change``, a duration,
    and ``availability_change`` in ``points``.

    >>> Column("uptime_last_hour(in mins)", "uptime", "last_hour", "minutes").unit
    'minutes'

    Raises
    ------
    InputError
        There is no such figure, or it has no such unit.
    """

    title: str
    figure: str
    window: str
    unit: Unit

    def __post_init__(self) -> None:
        if self.figure not in _SHOWN:
            raise InputError(
                f"column {self.title!r} shows {self.figure!r}, which is no figure; valid are {', '.join(_SHOWN)}"
            )
        if self.unit not in (units := _SHOWN[self.figure]):
            raise InputError(
                f"column {self.title!r} shows {self.figure} in {self.unit!r}; valid units are {', '.join(units)}"
            )


def layout(windows: Sequence[str], *, detail: bool = False, compare: bool = False) -> tuple[Column, ...]:
    """Return the columns of our own reports: minutes for ``last_hour``, hours for every other window.

    ``compare``: with the changes from the windows before, at the end.
    """
    return _columns(_WITH_DETAIL if detail else _WITHOUT_DETAIL, windows, compare=compare)


def availability_layout(windows: Sequence[str], *, detail: bool = False, compare: bool = False) -> tuple[Column, ...]:
    """Return the columns of our own workbooks and reports of groups: those of `layout`, and always the availability."""
    return _columns(_WITH_DETAIL if detail else _WITH_AVAILABILITY, windows, compare=compare)


def _columns(figures: Sequence[str], windows: Sequence[str], *, compare: bool) -> tuple[Column, ...]:
    return tuple(
        Column(f"{figure}_{window}", figure, window, _own_unit(figure, window))
        for figure in (*figures, *(_CHANGES if compare else ()))
        for window in windows
    )


def _own_unit(figure: str, window: str) -> Unit:
    match _SHOWN[figure]:
        case ("percent",):
            return "percent"
        case ("points",):
            return "points"
        case ("count",):
            return "count"
    return "minutes" if window == "last_hour" else "hours"


def cells(report: Report, columns: Sequence[Column]) -> dict[str, pl.Series]:
    """Return the cells of each column as text, by its title; null where there is nothing to divide by.

    Two decimals, rounded half to even from the exact integers; counts are whole.

    Raises
    ------
    InputError
        A title occurs twice, or the report lacks a window or a comparison.
    """
    titles = [STORE_ID, *(column.title for column in columns)]
    if repeated := {title for title in titles if titles.count(title) > 1}:
        raise InputError(f"column {', '.join(sorted(repeated))} occurs more than once; valid are titles that differ")
    figures = report.figures()
    before = None if report.before is None else report.before.figures()
    return {column.title: _cells(report, figures, before, column) for column in columns}


def _cells(report: Report, figures: Figures, before: Figures | None, column: Column) -> pl.Series:
    if column.window not in report.windows.names:
        raise InputError(
            f"column {column.title!r} shows window {column.window!r}, which the report does not have; "
            f"valid are {', '.join(report.windows.names)}"
        )
    place = report.windows.names.index(column.window)
    of = {name: values[:, place] for name, values in figures.items()}
    if column.figure in _CHANGES:
        if before is None:
            raise InputError(f"column {column.title!r} shows a change, for which the report has no windows before")
        then = {name: values[:, place] for name, values in before.items()}
        times = zip(*(values.tolist() for values in times_of(of, then)), strict=True)
        return pl.Series([_change(column, *some) for some in times], dtype=pl.String)
    match column.figure:
        case "availability":
            return _percentages(of["uptime_us"], of["uptime_us"] + of["downtime_us"])
        case "coverage":
            return _percentages(of["watched_us"], of["business_us"])
        case "observations" | "outages":
            return pl.Series(of[column.figure]).cast(pl.String)
        case "business_time" | "scheduled_time":
            return _two_decimals(_hundredths(of[f"{column.figure.removesuffix('_time')}_us"], UNITS_US[column.unit]))
    return _two_decimals(_hundredths(of[f"{column.figure}_us"], UNITS_US[column.unit]))


def _change(column: Column, up: int, down: int, up_before: int, down_before: int) -> str | None:
    if column.figure == "availability_change":
        return points_text(up, down, up_before, down_before)
    return downtime_text(up, down, up_before, down_before, UNITS_US[column.unit])


def cell(figures: Mapping[str, Any], column: Column) -> str | None:
    """Return one cell as text, rounded as `cells`, from figures of any size: those of one store, group or fleet.

    ``figures``: of the window that the column shows, as named in `Report.figures`; integers of Python. With a
    comparison, ``before`` are those of the window before. None where there is nothing to divide by.
    """
    if column.figure in _CHANGES:
        return _change(column, *times_of(figures, figures["before"]))
    match column.figure:
        case "availability":
            return percentage(figures["uptime_us"], figures["uptime_us"] + figures["downtime_us"])
        case "coverage":
            return percentage(figures["watched_us"], figures["business_us"])
        case "observations" | "outages":
            return str(figures[column.figure])
    hundredths = _rounded(figures[f"{column.figure.removesuffix('_time')}_us"], UNITS_US[column.unit])
    return f"{hundredths // 100}.{hundredths % 100:02}"


def _rounded(part: int, whole: int) -> int:
    """Return 100 × part / whole, rounded half to even without leaving the integers."""
    quotient, rest = divmod(part * 100, whole)
    return quotient + (2 * rest > whole or (2 * rest == whole and quotient % 2 == 1))


def number_or_null(value: float) -> float | None:
    """Return a ratio, None where there was nothing to divide by."""
    return None if value != value else value  # NaN


def percentage(part: int, whole: int) -> str | None:
    """Return a percentage with two decimals; 100 and 0 only where they are exact, None where the whole is 0."""
    if not whole:
        return None
    hundredths = _rounded(part * 100, whole)
    if 0 < part < whole:
        hundredths = min(max(hundredths, 1), 99_99)
    return f"{hundredths // 100}.{hundredths % 100:02}"


def _hundredths(parts: npt.NDArray[np.int64], whole: npt.NDArray[np.int64] | int) -> npt.NDArray[np.int64]:
    """Return 100 × parts / whole, rounded half to even without leaving the integers."""
    quotient, rest = np.divmod(parts * 100, whole)
    rounded: npt.NDArray[np.int64] = quotient + ((2 * rest > whole) | ((2 * rest == whole) & (quotient % 2 == 1)))
    return rounded


_DECIMALS: Final = pl.Series([f".{hundredths:02}" for hundredths in range(100)])


def _two_decimals(hundredths: npt.NDArray[np.int64]) -> pl.Series:
    whole, rest = np.divmod(hundredths, 100)
    return pl.Series(whole).cast(pl.String) + _DECIMALS.gather(rest)


def _percentages(parts: npt.NDArray[np.int64], wholes: npt.NDArray[np.int64]) -> pl.Series:
    """Return percentages with two decimals; 100 and 0 only where they are exact, null where the whole is 0."""
    # Digit by digit, as parts × 10,000 would not fit for a window of thirty years.
    percent, rest = np.divmod(parts * 100, np.maximum(wholes, 1))
    hundredths = percent * 100 + _hundredths(rest, np.maximum(wholes, 1))
    hundredths = np.where(parts < wholes, np.minimum(hundredths, 99_99), hundredths)
    hundredths = np.where(parts > 0, np.maximum(hundredths, 1), hundredths)
    return _two_decimals(hundredths).set(pl.Series(wholes == 0), None)
