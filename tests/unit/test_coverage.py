"""Coverage says how much of the time was watched, however sure the figures beside it look."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import uphours
from tests.unit.tables import hours, polls, row, zones
from uphours import Policy, Window
from uphours.schema import HOUR_US

MARCH, APRIL, MAY = (datetime(2024, month, 1, tzinfo=UTC) for month in (3, 4, 5))
MONDAY = datetime(2024, 5, 6, tzinfo=UTC)
UTC_ZONE = zones({"s": "UTC"})


def every(minutes: float, start: datetime, end: datetime) -> list[datetime]:
    """Return instants in ``[start, end)``."""
    step = timedelta(minutes=minutes)
    return [start + number * step for number in range(-((start - end) // step))]


def figures(
    times: Iterable[datetime], start: datetime, end: datetime, *, status: str = "active", **options: Any
) -> dict[str, Any]:
    """Return what a report as of the end says of one store between two instants."""
    table = polls(*(("s", status, at.isoformat()) for at in times))
    given: dict[str, Any] = {"timezones": UTC_ZONE, "as_of": end} | options
    made = uphours.report(table, **given, windows=[Window("own", start, end)], all_stores=True)
    return row(made, "s", "own")


def test_a_month_without_a_single_poll_was_not_watched() -> None:
    one_poll_before = [MARCH - timedelta(days=3)]
    found = figures(one_poll_before, APRIL, MAY, status="inactive")
    assert (found["downtime_us"], found["unknown_us"], found["observations"]) == (720 * HOUR_US, 0, 0)
    assert (found["watched_us"], found["coverage"]) == (0, 0.0)
    assert (found["uptime_min_us"], found["uptime_max_us"]) == (0, 720 * HOUR_US)
    without = figures(one_poll_before, APRIL, MAY, status="inactive", policy=Policy(max_age=timedelta(hours=2)))
    assert (without["downtime_us"], without["unknown_us"], without["availability"]) == (0, 720 * HOUR_US, None)
    assert (without["watched_us"], without["coverage"]) == (0, 0.0)


def test_a_month_between_two_polls_that_agree_was_not_watched_either() -> None:
    found = figures([MARCH, MAY + timedelta(days=1)], APRIL, MAY, as_of=MAY + timedelta(days=2))
    assert (found["uptime_us"], found["watched_us"], found["coverage"]) == (720 * HOUR_US, 0, 0.0)


def test_a_store_that_nobody_ever_polled_was_not_watched() -> None:
    found = figures([], APRIL, MAY)
    assert (found["unknown_us"], found["coverage"], found["availability"]) == (720 * HOUR_US, 0.0, None)


def test_a_week_in_which_polling_failed_for_58_hours_lacks_them() -> None:
    friday = MONDAY + timedelta(days=4, hours=8)
    week_end = MONDAY + timedelta(days=7)
    times = every(60, MONDAY, friday + timedelta(hours=1)) + every(60, friday + timedelta(hours=58), week_end)
    found = figures(times, MONDAY, week_end)
    assert (found["uptime_us"], found["unknown_us"]) == (168 * HOUR_US, 0)
    assert found["watched_us"] == (168 - 58) * HOUR_US
    assert found["coverage"] == 110 / 168


def test_a_month_of_which_8_days_were_polled_was_watched_for_8_days() -> None:
    times = every(30, MARCH + timedelta(days=23), APRIL + timedelta(days=5))
    found = figures(times, MARCH, APRIL, as_of=APRIL + timedelta(days=5))
    assert (found["unknown_us"], found["watched_us"]) == (0, 8 * 24 * HOUR_US)
    assert found["coverage"] == 8 / 31


@pytest.mark.parametrize(
    ("minutes", "confirm_within", "watched_hours"),
    [(120, 2, 24), (121, 2, 2), (180, 2, 2), (180, 3, 24), (60, 0.5, 0.5)],
)
def test_polls_that_are_too_far_apart_do_not_watch_the_time_between_them(
    minutes: float, confirm_within: float, watched_hours: float
) -> None:
    end = MONDAY + timedelta(days=1)
    last = end - timedelta(hours=confirm_within)
    times = [last - timedelta(minutes=minutes) * number for number in range(60)]
    found = figures(times, MONDAY, end, policy=Policy(confirm_within=timedelta(hours=confirm_within)))
    assert found["watched_us"] == watched_hours * HOUR_US


def test_polls_that_fail_while_a_store_is_closed_take_only_the_open_time_at_both_ends() -> None:
    nine_to_five = hours(("s", range(7), "09:00", "17:00"))
    tuesday = MONDAY + timedelta(days=1)
    times = every(30, MONDAY, MONDAY + timedelta(hours=16, minutes=31)) + every(
        30, tuesday + timedelta(hours=9, minutes=30), tuesday + timedelta(days=1)
    )
    found = figures(times, MONDAY, tuesday + timedelta(days=1), business_hours=nine_to_five)
    assert (found["business_us"], found["watched_us"]) == (16 * HOUR_US, 15 * HOUR_US)


def test_polls_that_say_that_the_status_is_unknown_watch_as_any_others() -> None:
    found = figures(every(60, MONDAY, MONDAY + timedelta(days=1)), MONDAY, MONDAY + timedelta(days=1), status="unknown")
    assert (found["unknown_us"], found["availability"], found["coverage"]) == (24 * HOUR_US, None, 1.0)


def test_a_store_that_was_never_open_has_no_coverage() -> None:
    sundays = hours(("s", [6], "09:00", "17:00"))
    found = figures(
        every(60, MONDAY, MONDAY + timedelta(days=1)), MONDAY, MONDAY + timedelta(days=1), business_hours=sundays
    )
    assert (found["business_us"], found["watched_us"], found["coverage"]) == (0, 0, None)
