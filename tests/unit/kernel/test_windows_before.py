import pytest

from tests.unit.kernel.test_windows import stores_in
from uphours.kernel.windows import Window
from uphours.kernel.windows_before import apart, with_before
from uphours.schema import instant_text, instant_us

CHICAGO, NEW_YORK, UTC = "America/Chicago", "America/New_York", "UTC"


def before(window: str | Window, as_of: str, zone: str) -> tuple[str, str]:
    """Return the bounds of the window before that of one store, in UTC."""
    _, found = apart(with_before([window], instant_us(as_of), stores_in(zone)))
    start, end = (instant_text(int(bound[0, 0])).removesuffix(":00 UTC") for bound in (found.starts, found.ends))
    return start, end


@pytest.mark.parametrize(
    ("window", "as_of", "zone", "start", "end"),
    [
        # Elapsed time, over a clock change as well.
        ("last_hour", "2026-03-08T08:30Z", NEW_YORK, "2026-03-08 06:30", "2026-03-08 07:30"),
        ("last_week", "2026-03-12T12:00Z", NEW_YORK, "2026-02-26 12:00", "2026-03-05 12:00"),
        (Window("own", "2026-05-01T10:00", "2026-05-04T10:00"), "2026-05-09T00:00Z", UTC,
         "2026-04-28 10:00", "2026-05-01 10:00"),
        (Window("own", "2026-05-01T10:00", "2026-05-04T10:00"), "2026-05-02T16:00Z", UTC,
         "2026-04-28 10:00", "2026-04-29 16:00"),
        (Window("own", "2026-05-01T10:00", "2026-05-04T10:00"), "2026-04-30T16:00Z", UTC,
         "2026-04-28 10:00", "2026-04-28 10:00"),
        # Days and weeks: the same wall clock, so an hour more or less of time.
        ("today", "2026-03-08T16:00Z", NEW_YORK, "2026-03-07 05:00", "2026-03-07 17:00"),
        ("yesterday", "2026-03-10T16:00Z", NEW_YORK, "2026-03-08 05:00", "2026-03-09 04:00"),
        ("this_week", "2026-11-04T17:00Z", NEW_YORK, "2026-10-26 04:00", "2026-10-28 16:00"),
        ("previous_week", "2026-11-04T17:00Z", NEW_YORK, "2026-10-19 04:00", "2026-10-26 04:00"),
        # Months and quarters.
        ("this_month", "2026-11-12T16:00Z", CHICAGO, "2026-10-01 05:00", "2026-10-12 15:00"),
        ("this_month", "2026-03-31T16:00Z", UTC, "2026-02-01 00:00", "2026-03-01 00:00"),
        ("previous_month", "2026-03-31T16:00Z", UTC, "2026-01-01 00:00", "2026-02-01 00:00"),
        ("this_quarter", "2026-01-02T16:00Z", UTC, "2025-10-01 00:00", "2025-10-02 16:00"),
        ("previous_quarter", "2026-05-08T16:00Z", UTC, "2025-10-01 00:00", "2026-01-01 00:00"),
        # Dates of one's own: as many days, but whole months before whole months.
        (Window("own", "2026-05-04", "2026-05-07"), "2026-05-20T00:00Z", UTC, "2026-05-01 00:00", "2026-05-04 00:00"),
        (Window("own", "2026-05-04", "2026-05-07"), "2026-05-05T06:00Z", UTC, "2026-05-01 00:00", "2026-05-02 06:00"),
        (Window("own", "2026-05-04", "2026-05-07"), "2026-05-03T06:00Z", UTC, "2026-05-01 00:00", "2026-05-01 00:00"),
        (Window("own", "2026-03-01", "2026-04-01"), "2026-05-20T00:00Z", UTC, "2026-02-01 00:00", "2026-03-01 00:00"),
        (Window("own", "2026-01-01", "2027-01-01"), "2027-05-20T00:00Z", UTC, "2025-01-01 00:00", "2026-01-01 00:00"),
        (Window("own", "2026-03-01", "2026-03-15"), "2026-05-20T00:00Z", UTC, "2026-02-15 00:00", "2026-03-01 00:00"),
        # A date and an instant: the same length of time.
        (Window("own", "2026-05-04", "2026-05-04T12:00"), "2026-05-20T00:00Z", UTC,
         "2026-05-03 12:00", "2026-05-04 00:00"),
        # A time of day that the day before skipped, or had twice.
        ("today", "2026-03-09T06:30Z", NEW_YORK, "2026-03-08 05:00", "2026-03-08 07:30"),
        ("today", "2026-11-02T06:30Z", NEW_YORK, "2026-11-01 04:00", "2026-11-01 05:30"),
    ],
)  # fmt: skip
def test_the_window_before_is_as_much_of_it_as_has_elapsed(
    window: str | Window, as_of: str, zone: str, start: str, end: str
) -> None:
    assert before(window, as_of, zone) == (start, end), (window, as_of)


def test_each_store_has_the_window_before_of_its_own_clock() -> None:
    _, found = apart(with_before(["today", "last_day"], instant_us("2026-01-05T06:00Z"), stores_in(UTC, "Asia/Tokyo")))
    assert [instant_text(at) for at in found.ends[:, 0].tolist()] == [
        "2026-01-04 06:00:00 UTC",
        "2026-01-04 06:00:00 UTC",
    ]
    assert [instant_text(at) for at in found.starts[:, 0].tolist()] == [
        "2026-01-04 00:00:00 UTC",
        "2026-01-03 15:00:00 UTC",
    ]
    assert found.common == {
        "today": (None, None),
        "last_day": (instant_us("2026-01-03T06:00Z"), instant_us("2026-01-04T06:00Z")),
    }


def test_before_a_window_that_is_empty_at_a_store_is_nothing() -> None:
    window = Window("own", "2026-05-04", "2026-05-04T03:00Z")
    assert before(window, "2026-05-20T00:00Z", UTC) == ("2026-05-03 21:00", "2026-05-04 00:00")
    assert before(window, "2026-05-20T00:00Z", CHICAGO) == ("2026-05-04 05:00", "2026-05-04 05:00")
