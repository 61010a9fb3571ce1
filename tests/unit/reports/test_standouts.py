"""What stands out of a week: the hours in a row that cost most beyond the average."""

from __future__ import annotations

from typing import Any

import pytest

from uphours.errors import InputError
from uphours.reports.standouts import average, hours_of_text, standout
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
    assert found.hours == (4, 18, 21)
    assert found.availability == 0.5
    overall = average(week({(4, 18): 0.5, (4, 19): 0.4, (4, 20): 0.6, (1, 3): 0.3}))
    assert overall is not None
    assert found.below_average == pytest.approx(overall - 0.5)


def test_a_single_hour_stands_out_where_it_costs_more_than_any_hours_in_a_row() -> None:
    found = standout(week({(1, 3): 0.0, (4, 18): 0.7, (4, 19): 0.7}))
    assert found is not None
    assert found.hours == (1, 3, 4)


def test_hours_on_two_days_are_not_in_a_row() -> None:
    found = standout(week({(2, 23): 0.5, (3, 0): 0.4}))
    assert found is not None
    assert found.hours == (3, 0, 1)


def test_nothing_stands_out_where_all_hours_are_alike_or_nothing_is_known() -> None:
    assert standout(week({})) is None
    assert standout(week({}, known=0)) is None
    assert average(week({}, known=0)) is None


def test_hours_are_written_as_they_are_read() -> None:
    for text in ("Fri 18-21", "Mon 00-24"):
        assert str(hours_of_text(text)) == text
    assert hours_of_text(" fri 9-10") == (4, 9, 10)


@pytest.mark.parametrize("text", ["", "Fri", "Fri 21-18", "Fri 9-9", "Fri 23-25", "Friday 9-10", "Fri 9-10;"])
def test_hours_that_cannot_be_read_say_what_is_valid(text: str) -> None:
    with pytest.raises(InputError, match="such as Fri 18-21"):
        hours_of_text(text)
