"""What stands out of a week: the hours in a row that cost most beyond the average."""

from __future__ import annotations

from typing import Any

import pytest

from uphours.reports.standouts import average, standout
from uphours.schema import HOUR_US


def week(worse: dict[tuple[int, int], float], usual: float = 0.9, *, known: int = 10 * HOUR_US) -> list[dict[str, Any]]:
    """Return a heat map in which some cells, by weekday and hour, have an availability of their own."""
    shares = [(day, hour, worse.get((day, hour), usual)) for day in range(7) for hour in range(24)]
    return [
        {"weekday": day, "hour": hour, "uptime_us": int(known * share), "downtime_us": known - int(known * share)}
        for day, hour, share in shares
    ]


def test_the_hours_in_a_row_that_lose_most_stand_out() -> None:
    found = standout(week({(4, 18): 0.5, (4, 19): 0.4, (4, 20): 0.6, (1, 3): 0.3}))
    assert found is not None
    assert (found.weekday, found.first_hour, found.end_hour) == (4, 18, 21)
    assert found.availability == 0.5
    overall = average(week({(4, 18): 0.5, (4, 19): 0.4, (4, 20): 0.6, (1, 3): 0.3}))
    assert overall is not None
    assert found.below_average == pytest.approx(overall - 0.5)


def test_a_single_hour_stands_out_where_it_costs_more_than_any_hours_in_a_row() -> None:
    found = standout(week({(1, 3): 0.0, (4, 18): 0.7, (4, 19): 0.7}))
    assert found is not None
    assert (found.weekday, found.first_hour, found.end_hour) == (1, 3, 4)


def test_hours_on_two_days_are_not_in_a_row() -> None:
    found = standout(week({(2, 23): 0.5, (3, 0): 0.4}))
    assert found is not None
    assert (found.weekday, found.first_hour, found.end_hour) == (3, 0, 1)


def test_nothing_stands_out_where_all_hours_are_alike_or_nothing_is_known() -> None:
    assert standout(week({})) is None
    assert standout(week({}, known=0)) is None
    assert average(week({}, known=0)) is None
