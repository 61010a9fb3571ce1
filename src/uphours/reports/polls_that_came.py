"""How many of the polls of a day came, against a usual day around it."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median_high
from typing import Final

from uphours.schema import DAY_US

#: Days before and after a day that say what is usual.
AROUND_DAYS: Final = 14


def shares(polls: Mapping[int, int], first: int, last: int, extent: tuple[int, int]) -> dict[int, float]:
    """Return the share of the usual polls that came on each day, from the first to the last one, both included.

    Usual are the polls of the median day, the higher of two, among the days with polls up to ``AROUND_DAYS`` before and
    after. Of the days on which polls began and ended only the part between counts as expected. Days before and after
    polls have no share.

    Parameters
    ----------
    polls
        The polls of each day of UTC that has some, by days since the epoch; also of the days around.
    extent
        The instants of the first and of the last poll, UTC microseconds.

    >>> shares({0: 10, 1: 5, 2: 10}, 0, 3, (0, 3 * DAY_US - 1))
    {0: 1.0, 1: 0.5, 2: 1.0}
    """
    begun, ended = extent
    found = {}
    for day in range(max(first, begun // DAY_US), min(last, ended // DAY_US) + 1):
        around = [count for one in range(day - AROUND_DAYS, day + AROUND_DAYS + 1) if (count := polls.get(one, 0))]
        # The instant of the last poll is part of what was expected.
        expected_us = min(ended + 1, (day + 1) * DAY_US) - max(begun, day * DAY_US)
        expected = (median_high(around) if around else 0) * expected_us
        found[day] = polls.get(day, 0) * DAY_US / expected if expected else 0.0
    return found
