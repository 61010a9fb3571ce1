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
    up, down, up_before, down_before = times_of(now, before)
    if not _are_known(up, down, up_before, down_before):
        return {"availability_change": None, "downtime_change_us": None}
    part, whole = _difference(up, down, up_before, down_before)
    return {"availability_change": part / whole, "downtime_change_us": down - down_before}


def times_of(now: Mapping[str, Any], before: Mapping[str, Any]) -> tuple[Any, Any, Any, Any]:
    """Return uptime and downtime of a window, and those of the window before, from figures by name."""
    return now["uptime_us"], now["downtime_us"], before["uptime_us"], before["downtime_us"]


def points_text(up: int, down: int, up_before: int, down_before: int) -> str | None:
    """Return the change of availability in points, with two decimals, rounded half to even from the exact integers.

    None where it is not known.

    >>> points_text(3, 1, 7, 1)
    '-12.50'
    """
    if not _are_known(up, down, up_before, down_before):
        return None
    part, whole = _difference(up, down, up_before, down_before)
    return _hundredths_text(part * _HUNDREDTHS, whole)


def downtime_text(up: int, down: int, up_before: int, down_before: int, unit_us: int) -> str | None:
    """Return the change of downtime in a unit, with two decimals, rounded half to even; None where it is not known.

    >>> downtime_text(9, 1, 4, 6, 2)
    '-2.50'
    """
    if not _are_known(up, down, up_before, down_before):
        return None
    return _hundredths_text((down - down_before) * 100, unit_us)


def _hundredths_text(part: int, whole: int) -> str:
    """Return part / whole hundredths as a number with two decimals; zero has no sign."""
    quotient, rest = divmod(abs(part), whole)
    rounded = quotient + (2 * rest > whole or (2 * rest == whole and quotient % 2 == 1))
    sign = "-" if part < 0 and rounded else ""
    return f"{sign}{rounded // 100}.{rounded % 100:02}"


def _are_known(up: int, down: int, up_before: int, down_before: int) -> bool:
    return bool(up + down and up_before + down_before)


def _difference(up: int, down: int, up_before: int, down_before: int) -> tuple[int, int]:
    """Return the difference of two availabilities as a ratio of integers, which are larger than 64 bits hold."""
    known, known_before = up + down, up_before + down_before
    return up * known_before - up_before * known, known * known_before
