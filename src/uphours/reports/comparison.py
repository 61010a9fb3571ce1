"""Changes from the window before to a window: of availability in points, and of downtime.

A change is only known where both windows have an availability: of a store that opened last month there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

#: The hundredths of points that a ratio of 1 has.
_HUNDREDTHS: Final = 10_000
_NAMES: Final = ("uptime_us", "downtime_us")


@dataclass(frozen=True)
class Changes:
    """Changes per store and window: arrays of shape (stores, windows).

    ``availability``: float64, the difference of two ratios, NaN where it is not known. ``downtime_us``: int64, 0 where
    it is not known. ``known``: bool.
    """

    availability: npt.NDArray[np.float64]
    downtime_us: npt.NDArray[np.int64]
    known: npt.NDArray[np.bool_]


def changes(
    up: npt.NDArray[np.int64],
    down: npt.NDArray[np.int64],
    up_before: npt.NDArray[np.int64],
    down_before: npt.NDArray[np.int64],
) -> Changes:
    """Return the changes that follow from uptime and downtime in windows and in those before, of any one shape."""
    known = (up + down > 0) & (up_before + down_before > 0)
    availability = np.full(up.shape, np.nan)
    parts = (values[known].tolist() for values in (up, down, up_before, down_before))
    availability[known] = [ratio / whole for ratio, whole in map(_difference, *parts)]
    return Changes(availability, np.where(known, down - down_before, 0), known)


def change_facts(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes of figures of one store, group or fleet as plain values, by name; None where not known.

    ``availability_change``: the difference of two ratios. ``downtime_change_us``: microseconds.
    """
    times = _times(now, before)
    if times is None:
        return {"availability_change": None, "downtime_change_us": None}
    part, whole = _difference(*times)
    return {"availability_change": part / whole, "downtime_change_us": times[1] - times[3]}


def points(now: Mapping[str, Any], before: Mapping[str, Any]) -> str | None:
    """Return the change of availability in points, with two decimals, rounded half to even from the exact integers.

    >>> points({"uptime_us": 3, "downtime_us": 1}, {"uptime_us": 7, "downtime_us": 1})
    '-12.50'
    """
    times = _times(now, before)
    if times is None:
        return None
    part, whole = _difference(*times)
    return signed_hundredths(part * _HUNDREDTHS, whole)


def signed_hundredths(part: int, whole: int) -> str:
    """Return hundredths, part / whole of them, as a number with two decimals; less than half a one is 0.00.

    >>> signed_hundredths(-7, 2), signed_hundredths(-1, 2)
    ('-0.04', '0.00')
    """
    quotient, rest = divmod(abs(part), whole)
    rounded = quotient + (2 * rest > whole or (2 * rest == whole and quotient % 2 == 1))
    sign = "-" if part < 0 and rounded else ""
    return f"{sign}{rounded // 100}.{rounded % 100:02}"


def _times(now: Mapping[str, Any], before: Mapping[str, Any]) -> tuple[int, int, int, int] | None:
    """Return uptime and downtime now and before, None if either window has no availability."""
    up, down, up_before, down_before = (figures[name] for figures in (now, before) for name in _NAMES)
    return (up, down, up_before, down_before) if up + down and up_before + down_before else None


def _difference(up: int, down: int, up_before: int, down_before: int) -> tuple[int, int]:
    """Return the difference of two availabilities as a ratio of integers, which are larger than 64 bits hold."""
    known, known_before = up + down, up_before + down_before
    return up * known_before - up_before * known, known * known_before
