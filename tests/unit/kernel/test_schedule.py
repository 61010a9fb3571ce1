from dataclasses import replace
from datetime import date
from importlib import resources
from itertools import pairwise
from pathlib import Path
from subprocess import run
from sys import executable

import numpy as np
import pytest

from uphours.errors import InputError
from uphours.kernel.local_time import (
    hours_text,
    local_date,
    local_text,
    local_time_text,
    local_time_us,
    midnight,
    timezone,
    timezone_names,
    to_utc,
    tzdata_version,
)
from uphours.kernel.schedule import closing_times, reach, sessions
from uphours.schema import (
    BEGINNING_OF_TIME,
    CLOSED,
    DAY_US,
    END_OF_TIME,
    HOUR_US,
    MINUTE_US,
    SECOND_US,
    Schedule,
    instant_text,
    instant_us,
)

Row = tuple[int, int, str, str]  # store, day, start, end


def weekly(*rows: Row, zones: tuple[str, ...] = ("UTC",)) -> Schedule:
    """Return the hours of as many stores as there are zones."""
    times = [(local_time_us(start), local_time_us(end)) for _, _, start, end in rows]
    names = tuple(sorted(set(zones)))
    return Schedule(
        stores=np.array([store for store, *_ in rows], dtype=np.int32),
        weekdays=np.array([day for _, day, *_ in rows], dtype=np.int64),
        opens_local=np.array([opens for opens, _ in times], dtype=np.int64),
        closes_local=np.array([closes for _, closes in times], dtype=np.int64),
        zones=np.array([names.index(zone) for zone in zones], dtype=np.int32),
        zone_names=names,
    )


def opened(schedule: Schedule, start: str, end: str) -> list[list[tuple[str, str]]]:
    """Return the sessions of each store that overlap an interval, as text."""
    n = len(schedule.zones)
    found = sessions(schedule, np.full(n, instant_us(start)), np.full(n, instant_us(end)))
    bounds = [
        (instant_text(opens).removesuffix(" UTC"), instant_text(closes).removesuffix(" UTC"))
        for opens, closes in zip(found.starts.tolist(), found.ends.tolist(), strict=True)
    ]
    return [bounds[first:stop] for first, stop in pairwise(found.offsets.tolist())]


def wall(text: str) -> int:
    """Return a wall-clock time in microseconds since 1970-01-01 00:00 on the same wall."""
    return instant_us(text)


def utc(zone: str, *texts: str) -> list[str]:
    """Convert wall-clock times of a zone."""
    local = np.array([wall(text) for text in texts], dtype=np.int64)
    found = to_utc((zone,), np.zeros(len(local), dtype=np.int32), local)
    return [instant_text(instant).removesuffix(":00 UTC") for instant in found.tolist()]


# --- times of day ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("00:00", 0),
        ("9:00", 9 * HOUR_US),
        ("09:30", 9 * HOUR_US + 30 * MINUTE_US),
        ("09:30:15", 9 * HOUR_US + 30 * MINUTE_US + 15 * SECOND_US),
        ("09:30:15.5", 9 * HOUR_US + 30 * MINUTE_US + 15 * SECOND_US + 500_000),
        ("23:59:59.999", DAY_US - 1000),
        ("23:59:59.999999", DAY_US - 1),
        ("23:59:59.999999999", DAY_US - 1),
        ("24:00", DAY_US),
        ("24:00:00", DAY_US),
        ("24:00:00.000", DAY_US),
        ("09:00:00.1234567890", 9 * HOUR_US + 123_456),
        ("09:00:00,5", 9 * HOUR_US + 500_000),
        ("T09:00", 9 * HOUR_US),
        (" 09:00\u00a0", 9 * HOUR_US),
        ("26:00", 26 * HOUR_US),
        ("48:00", 48 * HOUR_US),
        ("0900", 9 * HOUR_US),
        ("900", 9 * HOUR_US),
        ("0000", 0),
        ("2359", DAY_US - MINUTE_US),
        ("2600", 26 * HOUR_US),
        ("090015", 9 * HOUR_US + 15 * SECOND_US),
        ("090015.5", 9 * HOUR_US + 15 * SECOND_US + 500_000),
        ("9:00 AM", 9 * HOUR_US),
        ("9:00:00 PM", 21 * HOUR_US),
        ("9:00:00.5 pm", 21 * HOUR_US + 500_000),
        ("9pm", 21 * HOUR_US),
        ("9 a.m.", 9 * HOUR_US),
        ("9:00 p. m.", 21 * HOUR_US),
        ("9:00\u202fPM", 21 * HOUR_US),
        ("12:00 am", 0),
        ("12:30 AM", 30 * MINUTE_US),
        ("12 pm", 12 * HOUR_US),
        ("12:59 PM", 12 * HOUR_US + 59 * MINUTE_US),
    ],
)
def test_a_time_of_day_is_read(text: str, us: int) -> None:
    assert local_time_us(text) == us


@pytest.mark.parametrize(
    "text",
    [
        "", "9", "0", "09", "09:60", "09:00:60", "48:01", "48:00:00.000001", "72:00", "-9:00", "+9:00", "09:00:00:00",
        "09:00.5", "09:00:00.", "09:00:00.5.5", "009:00", "09:000", ":00", "09:", "٠٩:٠٠", "09:00Z", "nan", "9.30",
        "09:00:00+00:00", "0960", "90000", "0.375", "0 AM", "0:30 AM", "13 pm", "13:00 PM", "24:00 AM", "0900 AM",
        "9:60 PM", "9:00 XM", "9 M", "PM", "2024-05-06 09:00", "closed",
    ],
)  # fmt: skip
def test_what_is_no_time_of_day_is_refused(text: str) -> None:
    assert local_time_us(text) is None


@pytest.mark.parametrize("text", ["00:00", "09:30", "09:30:15", "09:30:15.5", "23:59:59.999999", "24:00", "26:00"])
def test_a_time_of_day_is_written_as_short_as_it_can_be(text: str) -> None:
    us = local_time_us(text)
    assert us is not None
    assert local_time_text(us) == text


@pytest.mark.parametrize(
    ("opens", "closes", "meant"),
    [
        ("09:00", "17:00", 17 * HOUR_US),
        ("09:00", "23:58:59.999999", DAY_US - MINUTE_US - 1),
        ("09:00", "23:59", DAY_US),
        ("09:00", "23:59:00", DAY_US),
        ("09:00", "23:59:59.999", DAY_US),
        ("09:00", "24:00", DAY_US),
        ("09:00", "00:00", DAY_US),
        ("18:00", "02:00", 26 * HOUR_US),
        ("00:00", "00:00", DAY_US),
        ("12:00", "12:00", 36 * HOUR_US),
        ("23:59", "23:58", 47 * HOUR_US + 58 * MINUTE_US),
        # The last minute is midnight first; only then are start and end compared.
        ("23:59:30", "23:59", DAY_US),
        ("23:59", "23:59", DAY_US),
        ("23:59:30", "00:00", DAY_US),
        ("09:00", "26:00", 26 * HOUR_US),
        ("01:00", "26:00", 26 * HOUR_US),
        ("09:00", "47:59", 48 * HOUR_US),
        ("09:00", "48:00", 48 * HOUR_US),
    ],
)
def test_a_closing_time_is_what_it_means(opens: str, closes: str, meant: int) -> None:
    times = np.array([[local_time_us(opens)], [local_time_us(closes)]], dtype=np.int64)
    assert closing_times(*times).tolist() == [meant]


def test_a_closed_day_has_no_session_and_seven_of_them_are_a_store_that_never_opens() -> None:
    opens, closes = CLOSED
    hours = replace(
        weekly(*[(0, day, "00:00", "00:00") for day in range(7)], (1, 0, "09:00", "17:00"), (1, 1, "00:00", "00:00")),
        opens_local=np.array([*[opens] * 7, 9 * HOUR_US, opens]),
        closes_local=np.array([*[closes] * 7, 17 * HOUR_US, closes]),
        zones=np.zeros(2, dtype=np.int32),
    )
    found = opened(hours, "2023-01-23 00:00:00 UTC", "2023-01-30 00:00:00 UTC")
    assert found == [[], [("2023-01-23 09:00:00", "2023-01-23 17:00:00")]]
    assert hours_text(*CLOSED) == ("closed", "closed")


def test_an_end_beyond_24_00_is_on_the_next_day() -> None:
    hours = weekly((0, 0, "18:00", "26:00"), (0, 2, "01:00", "48:00"))
    assert opened(hours, "2023-01-23 00:00:00 UTC", "2023-01-30 00:00:00 UTC") == [
        [("2023-01-23 18:00:00", "2023-01-24 02:00:00"), ("2023-01-25 01:00:00", "2023-01-27 00:00:00")]
    ]
    # Also where the row's date is the last one that reaches into the interval.
    assert opened(hours, "2023-01-26 23:00:00 UTC", "2023-01-26 23:30:00 UTC") == [
        [("2023-01-25 01:00:00", "2023-01-27 00:00:00")]
    ]


# --- zones -------------------------------------------------------------------------------------------


def test_an_ordinary_time_is_converted_on_its_own_date() -> None:
    assert utc("America/New_York", "2023-01-25 09:00", "2023-07-25 09:00") == [
        "2023-01-25 14:00",
        "2023-07-25 13:00",
    ]


@pytest.mark.parametrize(
    ("zone", "skipped", "instant"),
    [
        ("America/New_York", "2023-03-12 02:30", "2023-03-12 07:30"),
        ("America/New_York", "2023-03-12 02:00", "2023-03-12 07:00"),
        ("Australia/Lord_Howe", "2024-10-06 02:15", "2024-10-05 15:45"),  # the clock goes half an hour ahead
        ("Pacific/Apia", "2011-12-30 12:00", "2011-12-30 22:00"),  # a whole day
        ("Pacific/Apia", "2011-12-30 00:00", "2011-12-30 10:00"),
        ("America/Havana", "2023-03-12 00:00", "2023-03-12 05:00"),
        ("America/Havana", "2023-03-12 00:30", "2023-03-12 05:30"),
        ("Asia/Beirut", "2024-03-31 00:00", "2024-03-30 22:00"),  # midnight itself
        ("Asia/Beirut", "2024-03-31 00:30", "2024-03-30 22:30"),
    ],
)
def test_a_skipped_time_is_read_with_the_offset_before_the_gap(zone: str, skipped: str, instant: str) -> None:
    assert utc(zone, skipped) == [instant]


@pytest.mark.parametrize(
    ("zone", "repeated", "instant"),
    [
        ("America/New_York", "2023-11-05 01:30", "2023-11-05 05:30"),
        ("America/New_York", "2023-11-05 01:00", "2023-11-05 05:00"),
        ("Australia/Lord_Howe", "2024-04-07 01:45", "2024-04-06 14:45"),
        ("America/Havana", "2023-11-05 00:00", "2023-11-05 04:00"),  # midnight itself
        ("America/Havana", "2023-11-05 00:30", "2023-11-05 04:30"),
        ("Asia/Beirut", "2024-10-26 23:30", "2024-10-26 20:30"),  # the last hour of a day
    ],
)
def test_a_repeated_time_is_its_first_occurrence(zone: str, repeated: str, instant: str) -> None:
    assert utc(zone, repeated) == [instant]


@pytest.mark.parametrize(
    ("zone", "texts", "instants"),
    [
        (
            "America/New_York",
            ("2023-03-12 01:59", "2023-03-12 03:00"),
            ["2023-03-12 06:59", "2023-03-12 07:00"],
        ),
        (
            "America/New_York",
            ("2023-11-05 00:59", "2023-11-05 02:00"),
            ["2023-11-05 04:59", "2023-11-05 07:00"],
        ),
        (
            "Australia/Lord_Howe",
            ("2024-04-07 01:29", "2024-04-07 02:00"),
            ["2024-04-06 14:29", "2024-04-06 15:30"],
        ),
        ("Pacific/Apia", ("2011-12-29 23:59", "2011-12-31 00:00"), ["2011-12-30 09:59", "2011-12-30 10:00"]),
        ("America/Havana", ("2023-11-04 23:59", "2023-11-05 01:00"), ["2023-11-05 03:59", "2023-11-05 06:00"]),
        ("Asia/Beirut", ("2024-03-30 23:59", "2024-03-31 01:00"), ["2024-03-30 21:59", "2024-03-30 22:00"]),
        ("Asia/Beirut", ("2024-10-26 22:59", "2024-10-27 00:00"), ["2024-10-26 19:59", "2024-10-26 22:00"]),
    ],
)
def test_times_next_to_a_clock_change_are_plain(zone: str, texts: tuple[str, ...], instants: list[str]) -> None:
    assert utc(zone, *texts) == instants


def test_zones_in_one_array_are_each_converted_by_their_own_rules() -> None:
    names = ("America/New_York", "Asia/Kolkata", "UTC")
    codes = np.array([2, 0, 1, 0], dtype=np.int32)
    local = np.array([wall("2023-03-12 02:30")] * 3 + [wall("2023-03-13 02:30")], dtype=np.int64)
    found = [instant_text(instant) for instant in to_utc(names, codes, local).tolist()]
    assert found == [
        "2023-03-12 02:30:00 UTC",
        "2023-03-12 07:30:00 UTC",
        "2023-03-11 21:00:00 UTC",
        "2023-03-13 06:30:00 UTC",
    ]


def test_no_time_is_converted_to_no_instant() -> None:
    assert to_utc(("UTC",), np.array([], dtype=np.int32), np.array([], dtype=np.int64)).tolist() == []


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", date(2023, 3, 12), 23),
        ("America/New_York", date(2023, 7, 1), 24),
        ("America/New_York", date(2023, 11, 5), 25),
        ("Australia/Lord_Howe", date(2024, 4, 7), 24.5),
        ("America/Havana", date(2023, 3, 12), 23),
        ("America/Havana", date(2023, 11, 5), 25),
        ("Asia/Beirut", date(2024, 3, 31), 23),
        ("Asia/Beirut", date(2024, 10, 26), 25),
        ("Pacific/Apia", date(2011, 12, 30), 0),
    ],
)
def test_a_date_is_as_long_as_it_really_was(zone: str, day: date, hours: float) -> None:
    length = midnight(zone, date.fromordinal(day.toordinal() + 1)) - midnight(zone, day)
    assert length == hours * HOUR_US


def test_the_local_date_and_the_wall_clock_of_an_instant() -> None:
    assert local_date("America/Los_Angeles", instant_us("2023-01-25 07:59:59 UTC")) == date(2023, 1, 24)
    assert local_date("Pacific/Kiritimati", instant_us("2023-01-25 10:00 UTC")) == date(2023, 1, 26)
    assert (
        local_text("America/Chicago", instant_us("2023-01-25 18:13:22.47922 UTC"))
        == "Wed 2023-01-25 12:13:22.479220-06:00"
    )
    # The second occurrence of a repeated time is told from the first by its offset.
    assert local_text("America/New_York", instant_us("2023-11-05 06:30 UTC")) == "Sun 2023-11-05 01:30:00-05:00"


@pytest.mark.parametrize(
    "name",
    ["", "America/Nowhere", "america/chicago", "../../../etc/passwd", "/etc/localtime", "localtime", "tzdata.zi"],
)
def test_an_unknown_zone_is_refused_and_no_file_is_opened(name: str) -> None:
    with pytest.raises(InputError, match=r"valid are IANA names such as 'America/Chicago'$"):
        timezone(name)


def test_every_zone_of_the_list_can_be_used() -> None:
    names = timezone_names()
    assert {"America/Chicago", "US/Central", "UTC", "Asia/Kolkata", "Asia/Calcutta"} <= names
    assert all(timezone(name).key == name for name in names)


def test_the_version_of_the_zone_rules_is_known() -> None:
    year, _, number = tzdata_version().partition(".")
    assert int(year) >= 2025
    assert int(number) >= 1


def test_zone_rules_come_from_the_package_and_not_from_the_machine(tmp_path: Path) -> None:
    (tmp_path / "America").mkdir()
    tokyo = resources.files("tzdata.zoneinfo").joinpath("Asia", "Tokyo").read_bytes()
    (tmp_path / "America" / "New_York").write_bytes(tokyo)
    program = f"""
import datetime, zoneinfo
zoneinfo.reset_tzpath(to=[{str(tmp_path)!r}])
from uphours.kernel.local_time import local_text
instant = datetime.datetime(2023, 1, 25, tzinfo=datetime.UTC)
print(instant.astimezone(zoneinfo.ZoneInfo("America/New_York")).isoformat())
print(local_text("America/New_York", round(instant.timestamp()) * 1_000_000))
"""
    result = run([executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["2023-01-25T09:00:00+09:00", "Tue 2023-01-24 19:00:00-05:00"]


def test_the_search_path_of_the_process_is_left_alone() -> None:
    program = """
import zoneinfo
before = zoneinfo.TZPATH
chicago = zoneinfo.ZoneInfo("America/Chicago")
import uphours.library
from uphours.kernel.local_time import timezone
timezone("America/Chicago")
assert zoneinfo.TZPATH == before, zoneinfo.TZPATH
assert zoneinfo.ZoneInfo("America/Chicago") is chicago
"""
    run([executable, "-c", program], check=True)


# --- sessions ----------------------------------------------------------------------------------------


def test_a_store_without_rows_is_open_from_the_beginning_to_the_end_of_time() -> None:
    found = sessions(weekly(), np.array([0]), np.array([DAY_US]))
    assert (found.offsets.tolist(), found.starts.tolist(), found.ends.tolist()) == (
        [0, 1],
        [BEGINNING_OF_TIME],
        [END_OF_TIME],
    )


def test_a_fleet_that_is_closed_has_no_sessions() -> None:
    monday = weekly((0, 0, "09:00", "17:00"), (1, 0, "09:00", "17:00"), zones=("UTC", "UTC"))
    assert opened(monday, "2023-01-25", "2023-01-26") == [[], []]


def test_no_store_at_all_has_no_sessions() -> None:
    assert opened(weekly(zones=()), "2023-01-25", "2023-01-26") == []


def test_stores_keep_their_sessions_apart() -> None:
    schedule = weekly(
        (3, 2, "09:00", "10:00"),
        (0, 2, "09:00", "10:00"),
        (1, 0, "09:00", "10:00"),
        (0, 0, "09:00", "10:00"),
        zones=("America/New_York", "UTC", "UTC", "Asia/Tokyo"),
    )
    found = sessions(schedule, np.full(4, instant_us("2023-01-25")), np.full(4, instant_us("2023-01-26")))
    assert found.offsets.tolist() == [0, 1, 1, 2, 3]
    assert [instant_text(int(found.starts[place])) for place in (0, 2)] == [
        "2023-01-25 14:00:00 UTC",
        "2023-01-25 00:00:00 UTC",
    ]
    assert (found.starts[1], found.ends[1]) == (BEGINNING_OF_TIME, END_OF_TIME)  # it has no row at all


def test_each_store_is_asked_for_its_own_time() -> None:
    schedule = weekly(*((store, day, "09:00", "10:00") for store in (0, 1) for day in range(7)), zones=("UTC", "UTC"))
    starts = np.array([instant_us("2023-01-25"), instant_us("2022-01-25")])
    ends = np.array([instant_us("2023-01-26"), instant_us("2022-01-28")])
    found = sessions(schedule, starts, ends)
    assert found.offsets.tolist() == [0, 1, 4]
    assert found.starts[0] == instant_us("2023-01-25 09:00")
    assert found.starts[3] == instant_us("2022-01-27 09:00")


def test_a_session_is_not_clipped_and_one_that_only_touches_the_interval_is_left_out() -> None:
    hours = weekly(*((0, day, "09:00", "17:00") for day in range(7)))
    assert opened(hours, "2023-01-25T12:00Z", "2023-01-25T13:00Z") == [[("2023-01-25 09:00:00", "2023-01-25 17:00:00")]]
    assert opened(hours, "2023-01-24T17:00Z", "2023-01-25T09:00Z") == [[]]


def test_overlapping_and_touching_rows_are_one_session() -> None:
    hours = weekly(
        (0, 2, "08:00", "10:00"), (0, 2, "10:00", "12:00"), (0, 2, "11:00", "11:30"), (0, 2, "12:00:01", "13:00")
    )
    assert opened(hours, "2023-01-25", "2023-01-26") == [
        [("2023-01-25 08:00:00", "2023-01-25 12:00:00"), ("2023-01-25 12:00:01", "2023-01-25 13:00:00")]
    ]


def test_an_opening_that_a_clock_change_swallows_is_dropped() -> None:
    hours = weekly(
        (0, 6, "02:00", "03:00"),  # 07:00 to 07:00 UTC
        (1, 6, "02:30", "03:00"),  # 07:30 to 07:00 UTC
        (2, 6, "02:30", "03:45"),  # 07:30 to 07:45 UTC
        zones=("America/New_York",) * 3,
    )
    assert opened(hours, "2023-03-12", "2023-03-13") == [
        [],
        [],
        [("2023-03-12 07:30:00", "2023-03-12 07:45:00")],
    ]


def test_a_row_belongs_to_the_date_on_which_it_starts() -> None:
    friday_night = weekly((0, 4, "22:00", "04:00"), zones=("America/Chicago",))
    assert opened(friday_night, "2023-01-20", "2023-01-30") == [
        [("2023-01-21 04:00:00", "2023-01-21 10:00:00"), ("2023-01-28 04:00:00", "2023-01-28 10:00:00")]
    ]


# --- reach -------------------------------------------------------------------------------------------

START, END = 1000 * DAY_US, 1001 * DAY_US


def reached(schedule: Schedule, first_seen: int, last_seen: int) -> tuple[int, int]:
    """Return how far before the start and after the end sessions must be known."""
    starts, ends = reach(schedule, np.array([first_seen]), np.array([last_seen]), START, END)
    return START - int(starts[0]), int(ends[0]) - END


def test_sessions_are_needed_as_far_as_the_observations_go() -> None:
    hours = weekly((0, 0, "09:00", "17:00"))
    assert reached(hours, START - HOUR_US, END + HOUR_US) == (HOUR_US, HOUR_US + 1)


def test_sessions_are_needed_over_the_whole_interval_whatever_was_observed() -> None:
    hours = weekly((0, 0, "09:00", "17:00"))
    assert reached(hours, START + HOUR_US, END - HOUR_US) == (0, 0)
    assert reached(hours, END + DAY_US, START - DAY_US) == (0, 0)


def test_an_old_observation_needs_no_sessions_further_back_than_one_can_be_long() -> None:
    hours = weekly((0, 0, "09:00", "17:00"))
    before, after = reached(hours, START - 500 * DAY_US, END + 500 * DAY_US)
    assert 14 * DAY_US < before < 16 * DAY_US
    assert 14 * DAY_US < after < 16 * DAY_US


@pytest.mark.parametrize(
    "rows", [(), [(0, day, "00:00", "24:00") for day in range(7)], [(0, day, "06:00", "06:00") for day in range(7)]]
)
def test_a_store_that_may_never_close_needs_all_of_them(rows: tuple[Row, ...]) -> None:
    hours = weekly(*rows)
    # Without a row its session has no bounds anyway.
    assert reached(hours, START - 500 * DAY_US, END + 500 * DAY_US) == (
        (500 * DAY_US, 500 * DAY_US + 1) if rows else (15 * DAY_US, 15 * DAY_US)
    )
