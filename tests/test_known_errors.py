"""The ways in which programs of this kind were seen to go wrong, each with an answer worked out by hand."""

import json
import random
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path
from subprocess import run
from sys import executable
from typing import Any, NamedTuple

import polars as pl
import pytest
from typer.testing import CliRunner

import uphours
from tests.unit.tables import EVERY_DAY, hours, polls, row, up_down_unknown, zones
from uphours import Policy, Window
from uphours.cli.command_line import application
from uphours.schema import DAY_US, HOUR_US, MINUTE_US, SECOND_US

MONDAY, SUNDAY = 0, 6
WORKDAYS = range(5)
UTC = zones({"a": "UTC"})
#: A Wednesday evening.
AS_OF = "2023-01-25 18:00:00 UTC"


def of_one_store(
    observations: pl.DataFrame,
    business_hours: pl.DataFrame | None = None,
    window: str | Window = "last_day",
    timezones: pl.DataFrame = UTC,
    as_of: str = AS_OF,
    **policy: Any,
) -> dict[str, Any]:
    """Return the figures of the store called a."""
    report = uphours.report(
        observations, business_hours, timezones, as_of=as_of, windows=[window], policy=Policy(**policy)
    )
    return row(report, "a", window if isinstance(window, str) else window.name)


def opened(business_hours: pl.DataFrame, timezone: str, start: str, end: str) -> list[tuple[str, str]]:
    """Return the sessions of the store called a, in UTC."""
    sessions = uphours.sessions(business_hours, zones({"a": timezone}), start=start, end=end)
    bounds = sessions.select(pl.col("start", "end").dt.to_string("%m-%d %H:%M")).rows()
    return [(start, end) for start, end in bounds]


class Printed(NamedTuple):
    """What a command printed."""

    stdout: str
    stdout_bytes: bytes
    stderr: str


def command(*words: str | Path) -> Printed:
    """Run the command line; it must end well."""
    result = CliRunner().invoke(application(), [str(word) for word in words])
    assert result.exception is None, result.stderr
    stdout_bytes = result.stdout_bytes
    return Printed(stdout_bytes.decode(errors="replace"), stdout_bytes, result.stderr)


def file(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    """Write a file of some lines."""
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def reported_csv(*lines: str, tmp_path: Path, options: tuple[str, ...] = ()) -> list[str]:
    """Return the rows, without the header, of the report on a file of polls."""
    file(tmp_path / "polls.csv", "store_id,status,timestamp_utc", *lines)
    return command("report", "--polls", tmp_path / "polls.csv", *options).stdout.splitlines()[1:]


# --- Windows -----------------------------------------------------------------------------------------


def test_the_last_hour_has_sixty_minutes_in_an_opening_of_twelve_hours() -> None:
    found = of_one_store(
        polls(("a", "active", "2023-01-25 09:30:00 UTC")),
        hours(("a", EVERY_DAY, "09:00", "21:00")),
        "last_hour",
    )
    assert (found["uptime_us"], found["business_us"]) == (60 * MINUTE_US, 60 * MINUTE_US)


def test_the_day_is_not_the_hour_and_the_week_is_not_the_day() -> None:
    report = uphours.report(
        polls(("a", "active", "2023-01-25 09:30:00 UTC")),
        hours(("a", EVERY_DAY, "09:00", "21:00")),
        UTC,
        as_of=AS_OF,
    )
    assert report["uptime_us"].to_list() == [HOUR_US, 12 * HOUR_US, 7 * 12 * HOUR_US]


def test_the_last_day_is_the_last_24_hours_and_neither_today_nor_yesterday() -> None:
    found = of_one_store(
        polls(("a", "active", "2023-01-24 00:00:00 UTC"), ("a", "inactive", "2023-01-25 00:00:00 UTC"))
    )
    assert (found["uptime_us"], found["downtime_us"]) == (6 * HOUR_US, 18 * HOUR_US)


def test_the_time_from_as_of_to_tonights_closing_is_not_counted() -> None:
    found = of_one_store(
        polls(("a", "active", "2023-01-25 09:30:00 UTC")), hours(("a", EVERY_DAY, "09:00", "21:00")), "today"
    )
    assert (found["uptime_us"], found["business_us"]) == (9 * HOUR_US, 9 * HOUR_US)


def test_a_last_hour_over_local_midnight_is_whole() -> None:
    found = of_one_store(
        polls(("a", "active", "2023-01-25 05:00:00 UTC")),
        hours(("a", EVERY_DAY, "18:00", "02:00")),
        "last_hour",
        zones({"a": "America/Chicago"}),
        as_of="2023-01-25 06:30:00 UTC",
    )
    assert (found["uptime_us"], found["business_us"]) == (HOUR_US, HOUR_US)


def test_buckets_of_an_hour_lose_no_second_of_their_day() -> None:
    midnight = 1_674_518_400 * SECOND_US  # 2023-01-24
    buckets = [Window(f"hour_{n}", midnight + n * HOUR_US, midnight + (n + 1) * HOUR_US) for n in range(24)]
    day = Window("day", midnight, midnight + DAY_US)
    report = uphours.report(
        polls(
            ("a", "active", "2023-01-24 00:00:00.5 UTC"),
            ("a", "inactive", "2023-01-24 07:59:59.999999 UTC"),
            ("a", "active", "2023-01-24 15:30:00.000001 UTC"),
        ),
        as_of=AS_OF,
        windows=[day, *buckets],
    )
    # Down from 07:59:59.999999 to 15:30:00.000001; up before and after.
    down = 7 * HOUR_US + 30 * MINUTE_US + 2
    assert up_down_unknown(report, "a", "day", 1) == (DAY_US - down, down, 0)
    parts = report.filter(pl.col("window") != "day")
    assert (parts["uptime_us"].sum(), parts["downtime_us"].sum()) == (DAY_US - down, down)


def test_an_outage_since_five_months_fills_a_month_and_no_more() -> None:
    found = of_one_store(
        polls(("a", "inactive", "2022-08-25 00:00:00 UTC")),
        window=Window("january", "2023-01-01", "2023-02-01"),
        as_of="2023-02-03 00:00:00 UTC",
    )
    assert (found["downtime_us"], found["outages"], found["longest_outage_us"]) == (31 * DAY_US, 1, 31 * DAY_US)


# --- Hours -------------------------------------------------------------------------------------------


def test_a_day_with_three_rows_keeps_all_three() -> None:
    found = of_one_store(
        polls(("a", "active", "2023-01-24 10:00:00 UTC")),
        hours(("a", [1], "09:00", "11:00"), ("a", [1], "12:00", "14:00"), ("a", [1], "15:00", "18:00")),
        "yesterday",
    )
    assert found["business_us"] == 7 * HOUR_US


def test_a_weekday_without_rows_is_closed_and_not_open_all_day() -> None:
    found = of_one_store(
        polls(("a", "active", "2023-01-27 10:00:00 UTC")),
        hours(("a", WORKDAYS, "09:00", "17:00")),
        "yesterday",
        as_of="2023-01-29 12:00:00 UTC",
    )
    assert (found["business_us"], found["availability"], found["coverage"]) == (0, None, None)


def test_overlapping_rows_count_once() -> None:
    found = of_one_store(
        polls(("a", "active", "2023-01-24 10:00:00 UTC")),
        hours(("a", [1], "08:00", "16:00"), ("a", [1], "11:00", "19:00")),
        "yesterday",
    )
    assert found["business_us"] == 11 * HOUR_US


@pytest.mark.parametrize("end", ["23:59", "23:59:00", "23:59:59", "23:59:59.999", "24:00", "00:00"])
def test_no_minute_and_no_second_is_lost_at_midnight(end: str) -> None:
    found = of_one_store(
        polls(("a", "active", "2023-01-24 10:00:00 UTC")),
        hours(("a", EVERY_DAY, "00:00", end)),
        "last_week",
    )
    assert found["business_us"] == 168 * HOUR_US


def test_an_opening_over_a_midnight_written_as_235959_is_one_session() -> None:
    # The poll at 22:00 was made in the session that lasts until 02:00; the one at 03:00, while closed, was not.
    found = of_one_store(
        polls(("a", "active", "2023-01-24 22:00:00 UTC"), ("a", "inactive", "2023-01-25 03:00:00 UTC")),
        hours(("a", EVERY_DAY, "18:00:00", "23:59:59"), ("a", EVERY_DAY, "00:00:00", "02:00:00")),
        as_of="2023-01-25 04:00:00 UTC",
        interpolation="next",
    )
    assert (found["uptime_us"], found["downtime_us"]) == (8 * HOUR_US, 0)


def test_the_morning_part_of_an_overnight_row_counts_when_its_evening_lies_before_the_window() -> None:
    found = of_one_store(
        polls(("a", "active", "2023-01-24 01:00:00 UTC")),
        hours(("a", [MONDAY], "18:00", "02:00")),
        Window("tuesday_morning", "2023-01-24T00:00Z", "2023-01-24T12:00Z"),
    )
    assert (found["uptime_us"], found["business_us"]) == (2 * HOUR_US, 2 * HOUR_US)


def test_a_sunday_night_row_reaches_into_the_next_week() -> None:
    found = of_one_store(
        polls(("a", "active", "2023-01-23 01:00:00 UTC")),
        hours(("a", [SUNDAY], "22:00", "03:00")),
        "this_week",
    )
    assert (found["uptime_us"], found["business_us"]) == (3 * HOUR_US, 3 * HOUR_US)


@pytest.mark.parametrize(("as_of", "minutes"), [("17:00", 60), ("17:30", 30), ("18:30", 0)])
def test_hours_hold_for_the_last_hour_too(as_of: str, minutes: int) -> None:
    found = of_one_store(
        polls(("a", "active", "2023-01-25 09:30:00 UTC")),
        hours(("a", EVERY_DAY, "09:00", "17:00")),
        "last_hour",
        as_of=f"2023-01-25 {as_of} UTC",
    )
    assert found["business_us"] == minutes * MINUTE_US


# --- Clocks ------------------------------------------------------------------------------------------


def test_openings_stay_on_the_wall_clock_after_a_clock_change() -> None:
    nine_to_five = hours(("a", EVERY_DAY, "09:00", "17:00"))
    assert opened(nine_to_five, "America/New_York", "2023-03-11", "2023-03-14") == [
        ("03-11 14:00", "03-11 22:00"),
        ("03-12 13:00", "03-12 21:00"),
        ("03-13 13:00", "03-13 21:00"),
    ]
    assert opened(nine_to_five, "America/New_York", "2023-11-04", "2023-11-07") == [
        ("11-04 13:00", "11-04 21:00"),
        ("11-05 14:00", "11-05 22:00"),
        ("11-06 14:00", "11-06 22:00"),
    ]


def test_a_week_after_a_clock_change_is_not_an_hour_off() -> None:
    sunday_noon = hours(("a", [SUNDAY], "12:00", "13:00"))
    assert opened(sunday_noon, "Europe/Berlin", "2023-03-18", "2023-04-03") == [
        ("03-19 11:00", "03-19 12:00"),
        ("03-26 10:00", "03-26 11:00"),
        ("04-02 10:00", "04-02 11:00"),
    ]


@pytest.mark.parametrize(("sunday", "end"), [("2023-03-12", "05:00"), ("2023-11-05", "03:00"), ("2023-06-04", "04:00")])
def test_four_real_hours_are_four_hours_on_every_sunday(sunday: str, end: str) -> None:
    found = of_one_store(
        polls(("a", "active", f"{sunday} 05:00:00 UTC")),
        hours(("a", [SUNDAY], "00:00", end)),
        "today",
        zones({"a": "America/New_York"}),
        as_of=f"{sunday} 20:00:00 UTC",
    )
    assert found["uptime_us"] == 4 * HOUR_US


def test_hours_of_a_winter_day_are_read_with_its_own_offset_in_summer() -> None:
    report = uphours.report(
        polls(("a", "active", "2023-01-10 14:30:00 UTC")),
        hours(("a", EVERY_DAY, "09:00", "10:00")),
        zones({"a": "America/New_York"}),
        as_of="2023-07-10 00:00:00 UTC",
        windows=[
            Window("thirteen", "2023-01-10T13:00Z", "2023-01-10T14:00Z"),
            Window("fourteen", "2023-01-10T14:00Z", "2023-01-10T15:00Z"),
        ],
    )
    assert report["business_us"].to_list() == [0, HOUR_US]


def test_nine_in_new_york_is_fourteen_in_utc_and_not_1356() -> None:
    nine = hours(("a", EVERY_DAY, "09:00", "10:00"))
    assert opened(nine, "America/New_York", "2023-01-25", "2023-01-26") == [("01-25 14:00", "01-25 15:00")]


def test_the_weekday_is_the_local_one() -> None:
    # Monday from 16:00 in Los Angeles is Tuesday in UTC; Monday until 08:00 in Auckland is Sunday.
    evening = hours(("a", [MONDAY], "16:00", "24:00"))
    assert opened(evening, "America/Los_Angeles", "2023-01-20", "2023-01-27") == [("01-24 00:00", "01-24 08:00")]
    morning = hours(("a", [MONDAY], "00:00", "08:00"))
    assert opened(morning, "Pacific/Auckland", "2023-01-20", "2023-01-27") == [("01-22 11:00", "01-22 19:00")]


def test_weekdays_are_counted_from_monday_and_from_zero() -> None:
    for day, date in enumerate(["23", "24", "25", "26", "27", "28", "29"]):
        one_day = hours(("a", [day], "08:00", "09:00"))
        assert opened(one_day, "UTC", "2023-01-23", "2023-01-30") == [(f"01-{date} 08:00", f"01-{date} 09:00")]


@pytest.fixture
def machine_in_kolkata(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the whole process into another zone."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("machine_in_kolkata")
def test_the_zone_of_the_machine_changes_nothing() -> None:
    naive = pl.DataFrame(
        {"store_id": ["a"], "status": ["active"], "timestamp_utc": [datetime(2023, 1, 25, 10)]}  # noqa: DTZ001
    )
    written = polls(("a", "active", "2023-01-25 10:00:00"))
    for observations in (naive, written):
        report = uphours.report(observations, hours(("a", EVERY_DAY, "09:00", "10:00")), UTC)
        # 2023-01-25 10:00 UTC
        assert report["end_us"].unique().to_list() == [1_674_640_800 * SECOND_US]
        assert up_down_unknown(report, "a", "last_day", HOUR_US) == (1, 0, 0)


def test_zone_rules_of_the_machine_that_disagree_change_nothing(tmp_path: Path) -> None:
    (tmp_path / "America").mkdir()
    tokyo = resources.files("tzdata.zoneinfo").joinpath("Asia", "Tokyo").read_bytes()
    (tmp_path / "America" / "New_York").write_bytes(tokyo)
    program = """
import polars, uphours, zoneinfo, datetime
machine = datetime.datetime(2023, 1, 25, tzinfo=zoneinfo.ZoneInfo("America/New_York"))
hours = polars.DataFrame({"store_id": ["a"], "day": [2], "start_time_local": ["09:00"], "end_time_local": ["10:00"]})
zones = polars.DataFrame({"store_id": ["a"], "timezone_str": ["America/New_York"]})
sessions = uphours.sessions(hours, zones, start="2023-01-25", end="2023-01-26")
print(machine.utcoffset(), sessions["start"].item())
"""
    result = run(
        [executable, "-c", program],
        env={"PYTHONTZPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "9:00:00 2023-01-25 14:00:00+00:00\n"


# --- Polls -------------------------------------------------------------------------------------------


def test_three_polls_an_hour_are_not_three_hours() -> None:
    found = of_one_store(
        polls(*(("a", "active", f"2023-01-25 17:{minute}:00 UTC") for minute in ("00", "20", "40"))),
        window="last_hour",
    )
    assert (found["uptime_us"], found["observations"]) == (60 * MINUTE_US, 3)


def test_unsorted_polls_give_no_negative_time() -> None:
    found = of_one_store(
        polls(
            ("a", "active", "2023-01-25 16:00:00 UTC"),
            ("a", "inactive", "2023-01-25 09:00:00 UTC"),
            ("a", "active", "2023-01-24 12:00:00 UTC"),
            ("a", "inactive", "2023-01-25 12:00:00 UTC"),
        )
    )
    # Up 24 Jan 18:00 to 25 Jan 09:00 and 16:00 to 18:00, down between.
    assert (found["uptime_us"], found["downtime_us"]) == (17 * HOUR_US, 7 * HOUR_US)


@pytest.mark.parametrize(("status", "hours_up", "hours_down"), [("active", 3, 0), ("inactive", 0, 3)])
def test_a_single_poll_says_nothing_of_the_opposite_before_it(status: str, hours_up: int, hours_down: int) -> None:
    found = of_one_store(polls(("a", status, "2023-01-25 10:30:00 UTC")), hours(("a", [2], "09:00", "12:00")), "today")
    assert (found["uptime_us"], found["downtime_us"]) == (hours_up * HOUR_US, hours_down * HOUR_US)


def test_an_opening_does_not_start_as_inactive() -> None:
    found = of_one_store(
        polls(("a", "active", "2023-01-24 11:00:00 UTC"), ("a", "active", "2023-01-25 11:00:00 UTC")),
        hours(("a", EVERY_DAY, "09:00", "12:00")),
        "today",
    )
    assert (found["uptime_us"], found["downtime_us"]) == (3 * HOUR_US, 0)


def test_the_time_before_the_first_poll_is_not_dropped() -> None:
    found = of_one_store(
        polls(("a", "active", "2023-01-25 11:00:00 UTC"), ("a", "inactive", "2023-01-25 11:30:00 UTC")),
        hours(("a", [2], "09:00", "12:00")),
        "today",
    )
    assert (found["uptime_us"], found["downtime_us"]) == (150 * MINUTE_US, 30 * MINUTE_US)


def test_a_stale_store_shows_how_little_is_known() -> None:
    stale = polls(("a", "inactive", "2023-01-09 18:00:00 UTC"), ("a", "active", "2023-01-10 18:00:00 UTC"))
    # Without a limit the last word stands, and the bounds say that it may be wrong altogether.
    found = of_one_store(stale, window="last_week")
    assert found["uptime_us"] == 168 * HOUR_US
    assert (found["uptime_min_us"], found["uptime_max_us"], found["observations"]) == (0, 168 * HOUR_US, 0)
    # With one it is neither up nor down, and no ratio of nothing.
    found = of_one_store(stale, window="last_week", max_age=timedelta(days=1))
    assert (found["uptime_us"], found["downtime_us"], found["unknown_us"]) == (0, 0, 168 * HOUR_US)
    assert (found["availability"], found["coverage"]) == (None, 0.0)


def test_no_data_is_not_zero_percent_not_a_hundred_and_not_minus_one(tmp_path: Path) -> None:
    report = uphours.report(
        polls(("a", "active", "2023-01-25 10:00:00 UTC")),
        timezones=zones({"b": "UTC"}),
        as_of=AS_OF,
        windows=["last_day"],
        all_stores=True,
    )
    assert row(report, "b", "last_day")["availability"] is None
    zone_file = file(tmp_path / "zones.csv", "store_id,timezone_str", "b,UTC")
    lines = reported_csv(
        "a,active,2023-01-25 10:00:00 UTC",
        tmp_path=tmp_path,
        options=("--timezones", str(zone_file), "--all-stores", "--detail", "--window", "last_day"),
    )
    # uptime, downtime, unknown, excluded, business time, availability, coverage, bounds, the parts without the ledger,
    # observations, outages, longest
    assert lines[1] == "b,0.00,0.00,24.00,0.00,24.00,,0.00,0.00,24.00,0.00,0.00,24.00,0,0,0.00,true"


def test_an_outage_of_the_collector_widens_the_bounds() -> None:
    first = datetime(2023, 1, 18, 18)  # noqa: DTZ001
    seen = [*range(0, 61), *range(99, 169)]  # hours; 39 h without a poll
    found = of_one_store(
        polls(*(("a", "active", f"{first + timedelta(hours=hour)} UTC") for hour in seen)), window="last_week"
    )
    assert (found["uptime_us"], found["uptime_min_us"]) == (168 * HOUR_US, 129 * HOUR_US)


@pytest.mark.parametrize("statuses", [("active", "inactive"), ("inactive", "active")])
def test_of_two_statuses_at_one_instant_inactive_wins_whichever_came_first(statuses: tuple[str, str]) -> None:
    found = of_one_store(polls(*(("a", status, "2023-01-25 10:00:00 UTC") for status in statuses)), window="last_hour")
    assert (found["uptime_us"], found["downtime_us"]) == (0, HOUR_US)


def test_unknown_time_at_the_end_of_a_window_is_not_up() -> None:
    found = of_one_store(
        polls(("a", "active", "2023-01-25 10:00:00 UTC")),
        window=Window("since_ten", "2023-01-25T10:00Z", "2023-01-25T18:00Z"),
        max_age=timedelta(hours=1),
    )
    assert (found["uptime_us"], found["downtime_us"], found["unknown_us"]) == (HOUR_US, 0, 7 * HOUR_US)


# --- Stores ------------------------------------------------------------------------------------------


def test_a_store_without_a_zone_is_kept_and_lives_in_chicago() -> None:
    report = uphours.report(
        polls(("a", "active", "2023-01-25 15:30:00 UTC")),
        hours(("a", EVERY_DAY, "09:00", "10:00")),
        as_of=AS_OF,
        windows=[Window("nine_in_chicago", "2023-01-25T15:00Z", "2023-01-25T16:00Z")],
    )
    assert up_down_unknown(report, "a", "nine_in_chicago", HOUR_US) == (1, 0, 0)


def test_a_store_without_hours_is_kept_and_always_open() -> None:
    found = of_one_store(
        polls(("a", "active", "2023-01-25 10:00:00 UTC")),
        hours(("another", EVERY_DAY, "09:00", "10:00")),
        "last_week",
    )
    assert found["uptime_us"] == 168 * HOUR_US


def test_a_store_without_polls_is_shown_on_demand_and_is_not_down() -> None:
    tables = polls(("a", "active", "2023-01-25 10:00:00 UTC")), hours(("b", EVERY_DAY, "09:00", "10:00"))
    assert uphours.report(*tables)["store_id"].unique().to_list() == ["a"]
    report = uphours.report(*tables, all_stores=True)
    assert up_down_unknown(report, "b", "last_week", HOUR_US) == (0, 0, 7)
    assert row(report, "b", "last_week")["coverage"] == 0.0


def test_a_store_that_came_in_the_middle_of_a_window_is_not_diluted() -> None:
    new = polls(*(("a", "active", f"2023-01-25 {hour}:00:00 UTC") for hour in range(12, 18)))
    found = of_one_store(new, max_age=timedelta(hours=1))
    # Known from an hour before the first poll on, watched from the first poll on.
    assert (found["uptime_us"], found["unknown_us"]) == (7 * HOUR_US, 17 * HOUR_US)
    assert (found["availability"], found["coverage"]) == (1.0, 6 / 24)


# --- Files -------------------------------------------------------------------------------------------


def test_a_timestamp_without_fraction_is_read(tmp_path: Path) -> None:
    lines = reported_csv(
        "a,active,2023-01-25 17:30:00 UTC",
        "a,inactive,2023-01-25 17:45:00.5 UTC",
        "a,active,2023-01-25 18:00:00.388884 UTC",
        tmp_path=tmp_path,
        options=("--as-of", AS_OF, "--window", "last_hour"),
    )
    # Down for 899.5 s = 14.9916… min.
    assert lines == ["a,45.01,14.99"]


def test_ids_of_nineteen_digits_keep_every_digit(tmp_path: Path) -> None:
    ids = ["8419537941919820731", "8419537941919820732", "9223372036854775807", "0012"]
    as_csv = reported_csv(
        *(f"{store},active,2023-01-25 10:00:00 UTC" for store in ids),
        tmp_path=tmp_path,
        options=("--window", "last_hour"),
    )
    assert [line.split(",")[0] for line in as_csv] == sorted(ids)
    json_lines = file(
        tmp_path / "polls.jsonl",
        *(
            f'{{"store_id": {store}, "status": "active", "timestamp_utc": "2023-01-25 10:00:00 UTC"}}'
            for store in ids[:3]
        ),
    )
    as_json = command("report", "--polls", json_lines, "--window", "last_hour").stdout.splitlines()[1:]
    assert [line.split(",")[0] for line in as_json] == sorted(ids[:3])


def test_an_id_that_a_spreadsheet_has_rounded_is_no_store(tmp_path: Path) -> None:
    path = file(
        tmp_path / "polls.csv",
        "store_id,status,timestamp_utc",
        "8.41954E+18,inactive,2023-01-25 10:00:00 UTC",
        "a,active,2023-01-25 10:00:00 UTC",
    )
    result = command("report", "--polls", path, "--window", "last_hour")
    assert result.stdout.splitlines()[1:] == ["a,60.00,0.00"]
    assert "store_id is in scientific notation" in result.stderr
    assert "(line 2: 8.41954E+18,inactive," in result.stderr


def test_a_byte_order_mark_another_name_of_the_day_and_blanks_around_ids_do_no_harm(tmp_path: Path) -> None:
    poll_file = file(
        tmp_path / "polls.csv",
        "store_id,status,timestamp_utc",
        " 1001 ,active,2023-01-25 09:30:00 UTC",
        encoding="utf-8-sig",
    )
    zone_file = file(tmp_path / "zones.csv", "store_id,timezone_str", "1001,UTC", encoding="utf-8-sig")
    for title in ("day", "dayOfWeek"):
        hours_file = file(
            tmp_path / f"{title}.csv",
            f"store_id,{title},start_time_local,end_time_local",
            "1001 ,2,09:00:00,17:00:00",
            encoding="utf-8-sig",
        )
        words = ("report", "--polls", poll_file, "--hours", hours_file, "--timezones", zone_file)
        result = command(*words, "--as-of", AS_OF, "--window", "last_day")
        assert result.stdout.splitlines()[1:] == ["1001,8.00,0.00"]


def test_loading_twice_doubles_nothing(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'store.db'}"
    file(
        tmp_path / "polls.csv",
        "store_id,status,timestamp_utc",
        "a,active,2023-01-25 16:00:00 UTC",
        "a,inactive,2023-01-25 17:15:00 UTC",
    )
    file(tmp_path / "hours.csv", "store_id,day,start_time_local,end_time_local", "a,2,09:00,17:45", "a,2,09:00,17:45")
    reports = []
    for _ in range(2):
        command("load", "--db", database, "--polls", tmp_path / "polls.csv", "--hours", tmp_path / "hours.csv")
        command("load", "--db", database, "--timezones", file(tmp_path / "z.csv", "store_id,timezone_str", "a,UTC"))
        words = ("report", "--db", database, "--as-of", AS_OF, "--detail", "--window", "last_hour")
        reports.append(command(*words).stdout.splitlines()[1:])
    assert reports[0] == ["a,15.00,30.00,0.00,0.00,45.00,33.33,100.00,0.00,45.00,15.00,30.00,0.00,1,1,30.00,true"]
    assert reports[1] == reports[0]


# --- Reports -----------------------------------------------------------------------------------------


def test_minutes_are_not_floored(tmp_path: Path) -> None:
    lines = reported_csv(
        "a,active,2023-01-25 10:00:00 UTC",
        "a,inactive,2023-01-25 17:59:58.8 UTC",
        tmp_path=tmp_path,
        options=("--as-of", AS_OF, "--window", "last_hour"),
    )
    assert lines == ["a,59.98,0.02"]


@pytest.mark.parametrize(
    ("before", "after", "shown"), [("active", "inactive", "99.99"), ("inactive", "active", "0.01")]
)
def test_24999_of_25000_is_not_all_and_1_of_25000_is_not_nothing(
    before: str, after: str, shown: str, tmp_path: Path
) -> None:
    # The window has 25,000 s, and the second poll speaks for the last of them.
    lines = reported_csv(
        f"a,{before},2023-01-25 00:00:00 UTC",
        f"a,{after},2023-01-25 06:56:39 UTC",
        tmp_path=tmp_path,
        options=("--as-of", AS_OF, "--detail", "--window", "w=2023-01-25T00:00:00Z/2023-01-25T06:56:40Z"),
    )
    assert lines[0].split(",")[6] == shown


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_the_same_input_in_any_order_gives_the_same_bytes(form: str, tmp_path: Path, seed: int) -> None:
    poll_lines = [
        f"{store},{'active' if (store * hour) % 7 else 'inactive'},2023-01-25 {hour:02}:0{store}:00 UTC"
        for store in range(1, 6)
        for hour in range(0, 18, 3)
    ]
    hours_lines = [
        f"{store},{day},{start}" for store in (1, 3) for day in range(7) for start in ("09:00,13:00", "15:00,23:59")
    ]
    zone_lines = [f"{store},Europe/Berlin" for store in (2, 3, 4)]
    outputs = []
    for times in range(3):
        shuffled = random.Random(seed + times)
        words: list[str | Path] = ["report", "--as-of", AS_OF, "--format", form, "--all-stores"]
        for kind, title, lines in (
            ("polls", "store_id,status,timestamp_utc", poll_lines),
            ("hours", "store_id,day,start_time_local,end_time_local", hours_lines),
            ("timezones", "store_id,timezone_str", zone_lines),
        ):
            again = shuffled.sample(lines, len(lines)) + lines[:times]
            words += [f"--{kind}", file(tmp_path / f"{kind}.csv", title, *again)]
        outputs.append(command(*words).stdout_bytes)
    assert outputs[0]
    assert outputs == [outputs[0]] * 3


def test_rows_stand_in_order_of_the_id_as_text(tmp_path: Path) -> None:
    lines = reported_csv(
        *(f"{store},active,2023-01-25 10:00:00 UTC" for store in ("é", "b", "9", "10", "B", "010")),
        tmp_path=tmp_path,
        options=("--window", "last_hour"),
    )
    assert [line.split(",")[0] for line in lines] == ["010", "10", "9", "B", "b", "é"]


def test_a_spreadsheet_runs_no_cell(tmp_path: Path) -> None:
    lines = reported_csv(
        *(f"{store},active,2023-01-25 10:00:00 UTC" for store in ("=1+1", "+1", "-1", "@now", "a=1", "1-1")),
        tmp_path=tmp_path,
        options=("--window", "last_hour"),
    )
    assert sorted(line.split(",")[0] for line in lines) == ["'+1", "'-1", "'=1+1", "'@now", "1-1", "a=1"]


def test_a_day_holds_no_more_than_a_day() -> None:
    found = of_one_store(
        polls(
            *(("a", "active", f"2023-01-25 {hour:02}:00:00 UTC") for hour in range(18)),
            *(("a", "inactive", f"2023-01-25 {hour:02}:30:00 UTC") for hour in range(18)),
        ),
        hours(("a", EVERY_DAY, "00:00", "24:00"), ("a", EVERY_DAY, "12:00", "12:00")),
    )
    # Before the first poll of the day as it says; then half an hour each.
    assert (found["uptime_us"], found["downtime_us"]) == (15 * HOUR_US, 9 * HOUR_US)


def test_a_store_shown_alone_has_the_same_numbers_as_in_the_whole_report() -> None:
    observations = polls(("a", "active", "2023-01-25 10:00:00 UTC"), ("b", "active", "2023-01-25 18:00:00 UTC"))
    together = uphours.report(observations).filter(pl.col("store_id") == "a")
    assert uphours.report(observations, stores=["a"]).equals(together)


def test_files_the_store_and_an_explanation_have_the_same_numbers(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'store.db'}"
    path = file(
        tmp_path / "polls.csv",
        "store_id,status,timestamp_utc",
        "a,inactive,2023-01-25 10:00:00 UTC",
        "a,active,2023-01-25 12:30:00 UTC",
        "b,active,2023-01-25 18:00:00 UTC",
    )
    command("load", "--db", database, "--polls", path)
    words = ("--store", "a", "--window", "last_day", "--format", "json")
    from_files = json.loads(command("report", "--polls", path, *words).stdout)
    from_store = json.loads(command("report", "--db", database, *words).stdout)
    explained = json.loads(command("explain", "a", "--db", database, *words[2:]).stdout)
    assert from_store == from_files
    assert explained["figures"] == from_files["stores"][0]["windows"]["last_day"]
    # Down from 24 Jan 18:00 to 12:30, as nothing was observed before 10:00.
    assert explained["figures"]["downtime_us"] == 18 * HOUR_US + 30 * MINUTE_US
