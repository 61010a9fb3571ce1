from datetime import UTC, datetime, timedelta, timezone

import pytest

from uphours.errors import InputError
from uphours.schema import (
    DAY_US,
    FIRST_INSTANT,
    HOUR_US,
    LAST_INSTANT,
    MINUTE_US,
    SECOND_US,
    duration_us,
    instant_text,
    instant_us,
)

#: 2023-01-25 18:13:22 UTC
SECOND = 1_674_670_402 * SECOND_US


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("2023-01-25 18:13:22 UTC", SECOND),
        ("2023-01-25 18:13:22.47922 UTC", SECOND + 479_220),
        ("2023-01-25 18:13:22.479220 UTC", SECOND + 479_220),
        ("2023-01-25 18:13:22.4", SECOND + 400_000),
        ("2023-01-25T18:13:22.479220999Z", SECOND + 479_220),
        ("2023-01-25T18:13:22Z", SECOND),
        ("2023-01-25T18:13:22", SECOND),
        ("  2023-01-25 18:13:22 \n", SECOND),
        ("2023-01-25 18:13", SECOND - 22 * SECOND_US),
        ("2023-01-25T19:13:22+01:00", SECOND),
        ("2023-01-25T19:13:22+0100", SECOND),
        ("2023-01-25 19:13:22 +01", SECOND),
        ("2023-01-25T12:13:22-06:00", SECOND),
        ("2023-01-25T23:58:22+05:45", SECOND),
        ("2023-01-25", 1_674_604_800 * SECOND_US),
        ("2023-01-25Z", 1_674_604_800 * SECOND_US),
        ("2023-01-25+01:00", 1_674_604_800 * SECOND_US - HOUR_US),
        ("2024-02-29", 1_709_164_800 * SECOND_US),
        ("1970-01-01", 0),
        ("2199-12-31T23:59:59.999999Z", LAST_INSTANT - 1),
    ],
)
def test_an_instant_is_read_from_text(text: str, us: int) -> None:
    assert instant_us(text) == us


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "yesterday", "1674670402", "2023-01-25 18", "2023-01-25T18:13:22 CET", "2023-13-01", "2023-02-29",
        "2023-01-25 24:00", "2023-01-25 18:60", "2023-01-25 18:13:60", "25.01.2023", "01/25/2023", "2023-1-25",
        "2023-01-25 18:13:22.", "2023-01-25 18:13:22.1234567890", "2023-01-25 18:13:22,5", "2023-01-25T18:13:22+25:00",
        "2023-01-25T18:13:22ZZ", "2023-01-25T18:13:22+1:00", "2023-W04-3", "٢٠٢٣-٠١-٢٥", "2023-01-25\x0018:13",
    ],
)  # fmt: skip
def test_what_is_no_instant_is_refused_with_the_forms_that_are_valid(text: str) -> None:
    with pytest.raises(InputError, match=r"valid are 2023-01-25T18:13:22Z, .* or a date alone$"):
        instant_us(text)


def test_an_offset_has_less_than_sixty_minutes() -> None:
    with pytest.raises(InputError, match=r"or a date alone$"):
        instant_us("2023-01-25T18:13:22+01:60")


@pytest.mark.parametrize("value", ["1969-12-31T23:59:59Z", "2200-01-01", "9999-12-31", -1, LAST_INSTANT])
def test_an_instant_out_of_range_is_refused_with_the_range(value: str | int) -> None:
    with pytest.raises(InputError, match=r"is out of range; valid are the years 1970 to 2199$"):
        instant_us(value)


def test_an_instant_is_read_from_microseconds_as_they_are() -> None:
    assert [instant_us(us) for us in (FIRST_INSTANT, SECOND, LAST_INSTANT - 1)] == [0, SECOND, LAST_INSTANT - 1]


def test_an_instant_is_read_from_an_aware_datetime_to_the_microsecond() -> None:
    moment = datetime(2023, 1, 25, 18, 13, 22, 479_220, tzinfo=UTC)
    assert instant_us(moment) == SECOND + 479_220
    assert instant_us(moment.astimezone(timezone(timedelta(hours=-6)))) == SECOND + 479_220


def test_a_naive_datetime_is_refused() -> None:
    with pytest.raises(InputError, match=r"has no time zone; give an aware datetime$"):
        instant_us(datetime(2023, 1, 25))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (SECOND, "2023-01-25 18:13:22 UTC"),
        (SECOND + 479_220, "2023-01-25 18:13:22.479220 UTC"),
        (SECOND + 1, "2023-01-25 18:13:22.000001 UTC"),
        (0, "1970-01-01 00:00:00 UTC"),
        (-1, "1969-12-31 23:59:59.999999 UTC"),
    ],
)
def test_an_instant_is_written_as_the_input_has_it(us: int, text: str) -> None:
    assert instant_text(us) == text


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("90m", 90 * MINUTE_US),
        ("90min", 90 * MINUTE_US),
        ("1.5h", 90 * MINUTE_US),
        ("2d", 2 * DAY_US),
        ("45s", 45 * SECOND_US),
        ("45 s", 45 * SECOND_US),
        (" 45s ", 45 * SECOND_US),
        ("250ms", 250_000),
        ("7us", 7),
        ("0h", 0),
        ("0.1s", 100_000),  # exactly, although 0.1 is no binary fraction
        ("1.1h", 66 * MINUTE_US),
    ],
)
def test_a_duration_is_read_exactly(text: str, us: int) -> None:
    assert duration_us(text) == us


@pytest.mark.parametrize(
    "text", ["", "5", "h", "-1h", "+1h", "1h30m", "1e3s", ".5h", "1.h", "1,5h", "1H", "1w", "PT1H", "1:30", "٥h"]
)
def test_what_is_no_duration_is_refused_with_the_forms_that_are_valid(text: str) -> None:
    with pytest.raises(InputError, match=r"cannot read the duration .*; valid are 90m, 1.5h, 2d, 45s$"):
        duration_us(text)


def test_a_duration_is_read_from_a_timedelta() -> None:
    assert duration_us(timedelta(hours=1, microseconds=1)) == HOUR_US + 1
    assert duration_us(timedelta(microseconds=LAST_INSTANT)) == LAST_INSTANT


@pytest.mark.parametrize("value", ["84007d", "9" * 30 + "d", timedelta.max])
def test_a_duration_longer_than_all_time_is_refused(value: str | timedelta) -> None:
    with pytest.raises(InputError, match=r"is too long; valid are up to 230 years$"):
        duration_us(value)
