"""What stands out of a week: the hours in a row on one weekday that cost most open time beyond the average."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from uphours.errors import InputError, shown
from uphours.reports.explain import WEEKDAYS

_Cell = Mapping[str, Any]
_HOURS: Final = re.compile(rf"({'|'.join(WEEKDAYS)}) ([0-9]{{1,2}})-([0-9]{{1,2}})", re.ASCII | re.IGNORECASE)


class Hours(NamedTuple):
    """Some hours in a row on a weekday (0 is Monday): from the hour ``first`` up to the hour ``end``, not included."""

    weekday: int
    first: int
    end: int

    def __str__(self) -> str:
        """Return them as `hours_of_text` reads them."""
        return f"{WEEKDAYS[self.weekday]} {self.first:02d}-{self.end:02d}"


def hours_of_text(text: str) -> Hours:
    """Read some hours of a weekday.

    Raises
    ------
    InputError
        They cannot be read.

    >>> hours_of_text("Fri 18-21")
    Hours(weekday=4, first=18, end=21)
    """
    match = _HOURS.fullmatch(text.strip())
    if match is None or not int(match[2]) < int(match[3]) <= 24:
        raise InputError(f"cannot read the hours {shown(text[:40])}; valid are a weekday and hours, such as Fri 18-21")
    return Hours(WEEKDAYS.index(match[1].capitalize()), int(match[2]), int(match[3]))


@dataclass(frozen=True)
class Standout:
    """Some hours of a weekday, and the availability in them.

    ``below_average``: how far it is below that of all hours, as a ratio; always positive.
    """

    hours: Hours
    availability: float
    below_average: float


def average(cells: Sequence[_Cell]) -> float | None:
    """Return the pooled availability of all cells of a heat map; None where nothing is known."""
    up, down = (sum(cell[name] for cell in cells) for name in ("uptime_us", "downtime_us"))
    return up / (up + down) if up + down else None


def standout(cells: Sequence[_Cell]) -> Standout | None:
    """Return the hours that lose most more than the average hour would in their place.

    None where no hour is worse than the average. ``cells``: as a heat map has them, 24 for each weekday in order.
    """
    up, down = (sum(cell[name] for cell in cells) for name in ("uptime_us", "downtime_us"))
    known = up + down
    best: tuple[int, int, int] = (0, 0, 0)
    for first, cell in enumerate(cells):
        excess = 0
        for place in range(first, first + 24 - cell["hour"]):
            one = cells[place]
            # What it loses beyond the average share, times all known time: exact.
            excess += one["downtime_us"] * known - down * (one["uptime_us"] + one["downtime_us"])
            if excess > best[0]:
                best = (excess, first, place + 1)
    if not best[0]:
        return None
    chosen = cells[best[1] : best[2]]
    up_in, down_in = (sum(cell[name] for cell in chosen) for name in ("uptime_us", "downtime_us"))
    return Standout(
        hours=Hours(chosen[0]["weekday"], chosen[0]["hour"], chosen[-1]["hour"] + 1),
        availability=up_in / (up_in + down_in),
        below_average=up / known - up_in / (up_in + down_in),
    )
