from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from uphours.errors import InputError
from uphours.kernel.policy import Policy
from uphours.kernel.windows import WINDOW_NAMES, Window, windows
from uphours.schema import HOUR_US, Schedule, instant_text, instant_us


def stores_in(*zones: str) -> Schedule:
    """Return the hours of stores that are always open."""
    names = tuple(sorted({"America/Chicago", *zones}))
    nothing = np.empty(0, dtype=np.int64)
    return Schedule(
        nothing.astype(np.int32),
        nothing,
        nothing,
        nothing,
        np.array([names.index(zone) for zone in zones], dtype=np.int32),
        names,
    )


def laid(name: str, as_of: str, zone: str = "UTC") -> tuple[str, str]:
    """Return the bounds of a window of one store, in UTC."""
    found = windows([name], instant_us(as_of), stores_in(zone))
    start, end = (instant_text(int(bound[0, 0])).removesuffix(":00 UTC") for bound in (found.starts, found.ends))
    return start, end


def length(name: str, as_of: str, zone: str) -> float:
    """Return the hours in a window of one store."""
    found = windows([name], instant_us(as_of), stores_in(zone))
    return int(found.ends[0, 0] - found.starts[0, 0]) / HOUR_US


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("last_hour", "2023-03-12 17:00"),
        ("last_day", "2023-03-11 18:00"),
        ("last_week", "2023-03-05 18:00"),
    ],
)
def test_elapsed_windows_are_as_long_over_a_clock_change_as_ever(name: str, start: str) -> None:
    assert laid(name, "2023-03-12 18:00:00 UTC", "America/New_York") == (start, "2023-03-12 18:00")


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("today", "2023-01-25 00:00", "2023-01-26 00:00"),
        ("yesterday", "2023-01-24 00:00", "2023-01-25 00:00"),
        ("this_week", "2023-01-23 00:00", "2023-01-30 00:00"),
        ("previous_week", "2023-01-16 00:00", "2023-01-23 00:00"),
        ("this_month", "2023-01-01 00:00", "2023-02-01 00:00"),
        ("previous_month", "2022-12-01 00:00", "2023-01-01 00:00"),
    ],
)
def test_calendar_windows_go_from_midnight_to_midnight(name: str, start: str, end: str) -> None:
    assert laid(name, "2023-01-25 18:13:22 UTC") == (start, end)


def test_a_week_begins_on_monday_at_midnight() -> None:
    assert laid("this_week", "2023-01-23 00:00:00 UTC")[0] == "2023-01-23 00:00"
    assert laid("this_week", "2023-01-22 23:59:59.999999 UTC")[0] == "2023-01-16 00:00"
    assert laid("previous_week", "2023-01-23 00:00:00 UTC") == ("2023-01-16 00:00", "2023-01-23 00:00")


def test_a_day_begins_at_its_own_midnight() -> None:
    assert laid("today", "2023-01-25 00:00:00 UTC")[0] == "2023-01-25 00:00"
    assert laid("today", "2023-01-24 23:59:59.999999 UTC")[0] == "2023-01-24 00:00"


@pytest.mark.parametrize(
    ("as_of", "days_of_this_month", "days_of_the_previous_one"),
    [
        ("2023-01-31 12:00 UTC", 31, 31),
        ("2023-02-01 12:00 UTC", 28, 31),
        ("2023-03-31 12:00 UTC", 31, 28),
        ("2024-02-29 12:00 UTC", 29, 31),
        ("2024-03-30 12:00 UTC", 31, 29),
        ("2023-04-30 12:00 UTC", 30, 31),
        ("2023-12-31 23:59 UTC", 31, 30),
    ],
)
def test_months_have_their_own_lengths(as_of: str, days_of_this_month: int, days_of_the_previous_one: int) -> None:
    assert length("this_month", as_of, "UTC") == 24 * days_of_this_month
    assert length("previous_month", as_of, "UTC") == 24 * days_of_the_previous_one


def test_calendar_windows_cross_the_end_of_the_year() -> None:
    assert laid("yesterday", "2024-01-01 05:00 UTC") == ("2023-12-31 00:00", "2024-01-01 00:00")
    assert laid("this_week", "2025-01-01 05:00 UTC") == ("2024-12-30 00:00", "2025-01-06 00:00")
    assert laid("previous_month", "2024-01-01 05:00 UTC") == ("2023-12-01 00:00", "2024-01-01 00:00")
    assert laid("this_month", "2023-12-31 05:00 UTC") == ("2023-12-01 00:00", "2024-01-01 00:00")
    # In New York it is still last year.
    assert laid("this_month", "2024-01-01 04:59 UTC", "America/New_York")[0] == "2023-12-01 05:00"


@pytest.mark.parametrize(
    ("as_of", "zone", "today", "yesterday"),
    [
        ("2023-03-12 16:00 UTC", "America/New_York", 23, 24),
        ("2023-03-13 16:00 UTC", "America/New_York", 24, 23),
        ("2023-11-05 16:00 UTC", "America/New_York", 25, 24),
        ("2023-11-06 16:00 UTC", "America/New_York", 24, 25),
        ("2024-04-07 12:00 UTC", "Australia/Lord_Howe", 24.5, 24),
        ("2023-11-05 16:00 UTC", "America/Havana", 25, 24),
        ("2024-03-31 12:00 UTC", "Asia/Beirut", 23, 24),
        ("2011-12-31 05:00 UTC", "Pacific/Apia", 24, 0),  # there was no 30th
    ],
)
def test_a_day_has_as_many_hours_as_it_really_had(as_of: str, zone: str, today: float, yesterday: float) -> None:
    assert (length("today", as_of, zone), length("yesterday", as_of, zone)) == (today, yesterday)


@pytest.mark.parametrize(
    ("name", "as_of", "hours"),
    [
        ("this_week", "2023-03-10 16:00 UTC", 7 * 24 - 1),
        ("previous_week", "2023-03-14 16:00 UTC", 7 * 24 - 1),
        ("this_week", "2023-11-05 16:00 UTC", 7 * 24 + 1),
        ("this_month", "2023-03-31 16:00 UTC", 31 * 24 - 1),
        ("previous_month", "2023-12-31 16:00 UTC", 30 * 24 + 1),
    ],
)
def test_weeks_and_months_have_the_hour_of_a_clock_change_more_or_less(name: str, as_of: str, hours: int) -> None:
    assert length(name, as_of, "America/New_York") == hours


def test_each_store_has_its_own_calendar_and_the_common_elapsed_time() -> None:
    as_of = instant_us("2023-01-25 03:00 UTC")
    found = windows(["today", "last_day"], as_of, stores_in("America/New_York", "Asia/Tokyo", "UTC"))
    starts = [[instant_text(start) for start in row] for row in found.starts.tolist()]
    assert starts == [
        ["2023-01-24 05:00:00 UTC", "2023-01-24 03:00:00 UTC"],
        ["2023-01-24 15:00:00 UTC", "2023-01-24 03:00:00 UTC"],
        ["2023-01-25 00:00:00 UTC", "2023-01-24 03:00:00 UTC"],
    ]
    assert found.common == {"today": (None, None), "last_day": (as_of - 24 * HOUR_US, as_of)}
    some = found.of(np.array([2, 0]))
    assert some.starts[:, 0].tolist() == [found.starts[2, 0], found.starts[0, 0]]


def test_windows_stand_in_the_order_they_were_asked_for() -> None:
    own = Window("own", "2023-01-01", "2023-01-02")
    found = windows([own, "last_hour", "today"], instant_us("2023-01-25"), stores_in("UTC"))
    assert found.names == ("own", "last_hour", "today")
    assert found.common["own"] == (own.start_us, own.end_us)


def test_every_window_name_can_be_asked_for() -> None:
    found = windows(WINDOW_NAMES, instant_us("2023-01-25"), stores_in("UTC", "Asia/Tokyo"))
    assert (found.starts < found.ends).all()
    assert found.starts.shape == (2, len(WINDOW_NAMES))


def test_no_store_needs_no_windows() -> None:
    found = windows(["last_hour", "today"], instant_us("2023-01-25"), stores_in())
    assert found.starts.shape == (0, 2)


# --- what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "last month", "1st", "a-b", "a=b", "é", "a\n", *WINDOW_NAMES])
def test_a_window_has_a_name_of_its_own_that_can_head_a_column(name: str) -> None:
    with pytest.raises(InputError, match=rf"letters, digits and underscores, .*{WINDOW_NAMES[-1]}$"):
        Window(name, "2023-01-01", "2023-01-02")


@pytest.mark.parametrize("end", ["2023-01-01", "2022-12-31"])
def test_a_window_ends_after_its_start(end: str) -> None:
    with pytest.raises(InputError, match=r"is not after its start at 2023-01-01$"):
        Window("w", "2023-01-01", end)


def test_a_window_takes_text_aware_datetimes_and_microseconds() -> None:
    start = instant_us("2023-01-01T06:00Z")
    chicago = datetime(2023, 1, 1, tzinfo=UTC).astimezone() + timedelta(hours=7)
    assert Window("w", start, chicago) == Window("w", "2023-01-01 06:00 UTC", "2023-01-01T07:00:00Z")
    with pytest.raises(InputError, match="has no time zone"):
        Window("w", datetime(2023, 1, 1), start)  # noqa: DTZ001


@pytest.mark.parametrize("name", ["yesteryear", "LAST_DAY", "", "jan=2023-01-01/2023-02-01"])
def test_an_unknown_window_is_refused_with_the_names_that_are_known(name: str) -> None:
    with pytest.raises(InputError, match=r"valid are last_hour, .*previous_quarter, or NAME=START/END"):
        windows([name], instant_us("2023-01-25"), stores_in("UTC"))


def test_no_window_and_a_window_asked_for_twice_are_refused() -> None:
    with pytest.raises(InputError, match=r"no window is asked for; valid are last_hour"):
        windows([], instant_us("2023-01-25"), stores_in("UTC"))
    again: list[str | Window] = [
        Window("w", "2023-01-01", "2023-01-02"),
        "today",
        Window("w", "2023-01-01", "2023-01-03"),
    ]
    with pytest.raises(InputError, match="window w is asked for more than once"):
        windows(again, instant_us("2023-01-25"), stores_in("UTC"))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"interpolation": "linear"}, r"interpolation is 'linear'; valid are previous, next, nearest$"),
        ({"assume": "up"}, r"assume is 'up'; valid are unknown, active, inactive$"),
        ({"max_age": timedelta(0)}, r"max_age is 0:00:00; it must be longer than nothing$"),
        ({"max_age": timedelta(seconds=-1)}, r"longer than nothing$"),
        ({"confirm_within": timedelta(seconds=-1)}, r"it cannot be negative$"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_with_what_would(option: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Policy(**option)


def test_a_policy_says_itself_in_a_line_and_as_plain_values() -> None:
    policy = Policy(interpolation="next", prefer_in_session=False, max_age=timedelta(hours=12), assume="active")
    assert str(policy) == (
        "next, no session preferred, max age 12:00:00, confirmed within 2:00:00, unknown time booked as active"
    )
    assert policy.to_dict() == {
        "interpolation": "next",
        "prefer_in_session": False,
        "only_watched": False,
        "assume": "active",
        "max_age_us": 12 * HOUR_US,
        "confirm_within_us": 2 * HOUR_US,
    }
    assert Policy().to_dict()["max_age_us"] is None
