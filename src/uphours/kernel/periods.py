"""Calendar periods by name: weeks (from Monday), months and quarters of local dates, as each store's clock has them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from uphours.errors import InputError, shown
from uphours.kernel.windows import Window

VALID_PERIODS: Final = "valid are months such as 2026-12, quarters such as 2026-Q4, and weeks such as 2026-W48"
_FORM: Final = re.compile(r"([0-9]{4})-(?:([0-9]{2})|[Qq]([1-4])|[Ww]([0-9]{2}))", re.ASCII)
_YEARS: Final = range(1971, 2199)
_MONTHS_OF_QUARTER: Final = 3


@dataclass(frozen=True)
class Period:
    """The local dates from ``first`` up to ``end``, which is not included.

    ``name``: ``2026-W48``, ``2026-12`` or ``2026-Q4``. ``kind``: week, month or quarter.
    """

    name: str
    kind: str
    first: date
    end: date

    def facts(self) -> dict[str, str]:
        """Return its name and its dates as text."""
        return {"name": self.name, "first": str(self.first), "end": str(self.end)}

    def window(self) -> Window:
        """Return the period as a window, from local midnight to local midnight of each store."""
        return Window("period", self.first, self.end)


def period_of(text: str) -> Period:
    """Read the name of a period; weeks are those of ISO 8601.

    >>> period = period_of("2026-W53")
    >>> period.kind, str(period.first), str(period.end)
    ('week', '2026-12-28', '2027-01-04')

    Raises
    ------
    InputError
        It is no name of a period.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None or int(match[1]) not in _YEARS:
        raise InputError(f"cannot read the period {shown(text)}; {VALID_PERIODS}")
    year, month, quarter, week = (None if part is None else int(part) for part in match.groups())
    assert year is not None  # the pattern has one
    try:
        if week is not None:
            return period_around("week", date.fromisocalendar(year, week, 1))
        if quarter is not None:
            return period_around("quarter", date(year, quarter * _MONTHS_OF_QUARTER, 1))
        return period_around("month", date(year, month or 0, 1))
    except ValueError:
        raise InputError(f"there is no period {shown(text)}; {VALID_PERIODS}") from None


def period_around(kind: str, day: date) -> Period:
    """Return the week, month or quarter in which a date lies.

    >>> [period_around(kind, date(2027, 1, 1)).name for kind in ("week", "month", "quarter")]
    ['2026-W53', '2027-01', '2027-Q1']
    """
    return _AROUND[kind](day)


def _week(day: date) -> Period:
    year, week, weekday = day.isocalendar()
    first = day - timedelta(days=weekday - 1)
    return Period(f"{year}-W{week:02}", "week", first, first + timedelta(days=7))


def _month(day: date) -> Period:
    return Period(f"{day.year}-{day.month:02}", "month", day.replace(day=1), _months_later(day.replace(day=1), 1))


def _quarter(day: date) -> Period:
    number = (day.month - 1) // _MONTHS_OF_QUARTER
    first = date(day.year, number * _MONTHS_OF_QUARTER + 1, 1)
    return Period(f"{day.year}-Q{number + 1}", "quarter", first, _months_later(first, _MONTHS_OF_QUARTER))


def _months_later(first: date, months: int) -> date:
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    return date(year, month + 1, 1)


_AROUND: Final[dict[str, Callable[[date], Period]]] = {"week": _week, "month": _month, "quarter": _quarter}
