"""What stands out of a week: the hours in a row on one weekday that cost most open time beyond the average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_Cell = Mapping[str, Any]


@dataclass(frozen=True)
class Standout:
    """Some hours of a weekday (0 is Monday), ``first_hour`` up to ``end_hour``, and the availability in them.

    ``below_average``: how far it is below that of all hours, as a ratio; always positive.
    """

    weekday: int
    first_hour: int
    end_hour: int
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
        weekday=chosen[0]["weekday"],
        first_hour=chosen[0]["hour"],
        end_hour=chosen[-1]["hour"] + 1,
        availability=up_in / (up_in + down_in),
        below_average=up / known - up_in / (up_in + down_in),
    )
