"""An explanation for people: to the minute or exact, and one true sentence at the end."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Final

import uphours
from tests.unit.tables import EVERY_DAY, hours, polls, zones
from uphours.kernel.policy import Policy
from uphours.kernel.windows import Window
from uphours.reports.explain import Explanation, explain
from uphours.reports.explanation_text import WIDTH, as_text, minutes_text, summary
from uphours.schema import HOUR_US, MINUTE_US, instant_us

NINE_TO_FIVE = hours(("a", EVERY_DAY, "09:00", "17:00"))
UTC = zones({"a": "UTC"})
AS_OF = instant_us("2023-01-25 18:00 UTC")
WEDNESDAY = Window("wednesday", "2023-01-25", "2023-01-25T18:00Z")
TWO_HOURS = Policy(max_age=timedelta(hours=2))


def explained(
    *tables: Any, window: str | Window = WEDNESDAY, as_of: int = AS_OF, policy: Policy | None = None
) -> Explanation:
    """Explain the store called a."""
    fleet = uphours.validate(*tables).fleet
    return explain(fleet, as_of=as_of, window=window, policy=policy or Policy())


def on_wednesday(*words: str) -> Any:
    """Return polls: ``"09:05 active"`` or ``"24 09:05 active"``, by default on the 25th, a Wednesday."""
    rows = []
    for word in words:
        *day, at, status = word.split()
        rows.append(("a", status, f"2023-01-{day[0] if day else 25} {at}:00 UTC"))
    return polls(*rows)


OPEN: Final = NINE_TO_FIVE
SENTENCES: Final[list[tuple[str, Any, Any, Window | str, Policy | None]]] = [
    ("Up all 8 h open; 2 polls say so", on_wednesday("09:00 active", "12:00 active"), OPEN, WEDNESDAY, None),
    ("Up all 8 h open; 1 poll says so", on_wednesday("12:00 active"), OPEN, WEDNESDAY, None),
    ("Down all 8 h open; 1 poll says so", on_wednesday("12:00 inactive"), OPEN, WEDNESDAY, None),
    (
        "Down 2 h 10 min of 8 h open: Wed 11:05–13:15; 2 polls say so",
        on_wednesday("09:00 active", "11:05 inactive", "12:00 inactive", "13:15 active"), OPEN, WEDNESDAY, None,
    ),
    (
        "Down 3 h of 8 h open in 2 outages, the longest Wed 13:00–15:00; 2 polls say so",
        on_wednesday("09:00 active", "10:00 inactive", "11:00 active", "13:00 inactive", "15:00 active"),
        OPEN, WEDNESDAY, None,
    ),
    (  # closed time does not interrupt an outage
        "Down 4 h of 16 h open: Tue 15:00–Wed 11:00; 2 polls say so",
        on_wednesday("24 09:00 active", "24 15:00 inactive", "09:00 inactive", "11:00 active"),
        OPEN, Window("two_days", "2023-01-24", "2023-01-26"), None,
    ),
    (  # in a long window a weekday alone says too little
        "Down 2 h of 56 h open: Mon 2023-01-23 10:00–12:00; 1 poll says so",
        on_wednesday("20 09:00 active", "23 09:00 active", "23 10:00 inactive", "23 12:00 active"),
        OPEN, "last_week", None,
    ),
    (
        "Down < 1 min of 8 h open: Wed 12:00–12:00; 1 poll says so",
        polls(("a", "active", "2023-01-25 09:00:00 UTC"), ("a", "inactive", "2023-01-25 12:00:10 UTC"),
              ("a", "active", "2023-01-25 12:00:15 UTC")),
        OPEN, WEDNESDAY, None,
    ),
    (
        "Up 6 h of 8 h open; 2 h unknown; 3 polls say so",
        on_wednesday("09:00 active", "12:00 active", "14:00 active"), OPEN, WEDNESDAY, TWO_HOURS,
    ),
    (
        "Down 2 h of 8 h open: Wed 14:00–16:00; 4 h unknown; 1 poll says so",
        on_wednesday("09:00 active", "14:00 inactive"), OPEN, WEDNESDAY, TWO_HOURS,
    ),
    (
        "Up 4 h of 8 h open; 4 h not watched; 2 polls say so",
        on_wednesday("09:00 active", "11:00 active"), OPEN, WEDNESDAY, Policy(only_watched=True),
    ),
    ("Unknown all 8 h open; no poll ever came", None, OPEN, WEDNESDAY, None),
    ("Unknown all 8 h open; no poll is near enough", on_wednesday("24 12:00 active"), OPEN, WEDNESDAY, TWO_HOURS),
    (
        "Not watched all 8 h open; no poll is near enough",
        on_wednesday("24 12:00 active"), OPEN, WEDNESDAY, Policy(only_watched=True),
    ),
    ("Unknown all 8 h open; 1 poll says so", on_wednesday("12:00 unknown"), OPEN, WEDNESDAY, None),
    (
        "Closed during the whole window",
        on_wednesday("12:00 active"), OPEN, Window("night", "2023-01-25T01:00Z", "2023-01-25T02:00Z"), None,
    ),
    (
        "The business hours are unknown, so there is no open time to measure",
        on_wednesday("12:00 active"), hours(("a", [0], "soon", "17:00")), WEDNESDAY, None,
    ),
]  # fmt: skip


def test_the_sentence_sums_the_window_up() -> None:
    for sentence, observations, table, window, policy in SENTENCES:
        made = explained(observations, table, UTC, window=window, policy=policy)
        assert summary(made) == sentence
        for exact in (True, False):
            assert as_text(made, exact=exact).endswith(f"\n\n{sentence}")


def test_a_table_without_rows_says_none() -> None:
    window = Window("night", "2023-01-25T01:00Z", "2023-01-25T02:00Z")
    made = explained(on_wednesday("12:00 active"), OPEN, UTC, window=window)
    for exact in (True, False):
        assert as_text(made, exact=exact).count("\n  none\n") == 2  # no session, and no span


def test_equal_neighbours_are_one_line_and_times_are_minutes() -> None:
    observations = polls(
        ("a", "active", "2023-01-25 08:30:00 UTC"),
        *(("a", "active", f"2023-01-25 {hour:02}:05:07.5 UTC") for hour in range(9, 13)),
        ("a", "inactive", "2023-01-25 13:05:07.5 UTC"),
        ("a", "inactive", "2023-01-25 14:05:07.5 UTC"),
        ("a", "active", "2023-01-25 15:05:07.5 UTC"),
    )
    text = as_text(explained(observations, NINE_TO_FIVE, UTC))
    assert (
        text
        == """\
store     a
window    wednesday: Wed 2023-01-25 00:00 to Wed 2023-01-25 18:00
as of     Wed 2023-01-25 18:00 (2023-01-25 18:00 UTC)
zone      UTC
hours     Mon–Sun 09:00–17:00
policy    previous, in-session observations preferred, no age limit, confirmed within 2:00:00

Open in the window
  from                  to     length
  Wed 2023-01-25 09:00  17:00  8 h

Polls in the window, and their neighbours
  from                  to     polls  status
  Wed 2023-01-25 08:30  12:05  5      active
  Wed 2023-01-25 13:05  14:05  2      inactive
  Wed 2023-01-25 15:05         1      active

What counts, and why
  from                  to     length      status  polls  because
  Wed 2023-01-25 09:00  09:05  5 min       up      1      only poll in session
  Wed 2023-01-25 09:05  13:05  4 h         up      4      previous poll
  Wed 2023-01-25 13:05  15:05  2 h         down    2      previous poll
  Wed 2023-01-25 15:05  17:00  1 h 55 min  up      1      no later poll

Report
  uptime  downtime  unknown  business  uptime_min  uptime_max
  6 h     2 h       0 min    8 h       3 h 05 min  7 h

Down 2 h of 8 h open: Wed 13:05–15:05; 2 polls say so"""
    )


def test_hours_of_consecutive_days_are_written_once() -> None:
    for rows, text in (
        ([([0, 1, 2, 3, 4], "09:00", "12:00"), ([0, 1, 2, 3, 4], "13:00", "17:00"), ([6], "10:00", "26:00")],
         "Mon–Fri 09:00–12:00, 13:00–17:00; Sun 10:00–26:00"),
        ([([1], "09:00", "17:00"), ([3, 4], "09:00", "17:00")], "Tue 09:00–17:00; Thu–Fri 09:00–17:00"),
        ([([0], "09:00", "17:00"), ([1], "09:00", "18:00")], "Mon 09:00–17:00; Tue 09:00–18:00"),
    ):  # fmt: skip
        table = hours(*(("a", days, start, end) for days, start, end in rows))
        assert f"\nhours     {text}\n" in as_text(explained(None, table, UTC))
    assert "\nhours     none given: always open\n" in as_text(explained(on_wednesday("12:00 active"), None, UTC))


def test_exact_has_every_span_to_the_microsecond() -> None:
    observations = polls(("a", "active", "2023-01-25 15:00:00.000001 UTC"), ("a", "active", "2023-01-25 16:00:00 UTC"))
    made = explained(observations, NINE_TO_FIVE, zones({"a": "America/Chicago"}), window="today")
    text = as_text(made, exact=True)
    for words in (
        "zone      America/Chicago",
        "hours     Mon 09:00–17:00, Tue 09:00–17:00",
        "policy    previous, in-session observations preferred, no age limit",
        "as of     2023-01-25 18:00:00 UTC",
        "Wed 2023-01-25 09:00:00-06:00",
        "Wed 2023-01-25 09:00:00.000001-06:00",
        "up (confirmed)",
    ):
        assert words in text
    spans = re.search(r"^Spans.*?\n\n", text, flags=re.MULTILINE | re.DOTALL)
    assert spans is not None
    assert spans[0].count("\n") - 3 == len(made.spans)
    for heading in ("Sessions", "Observations", "Spans", "Report"):
        assert f"\n{heading}" in text
    assert "hours     none given: always open" in as_text(explained(observations, None, UTC), exact=True)


def test_no_line_is_longer_than_a_terminal_is_wide() -> None:
    long_id = "a" * 250
    rows = [
        (
            long_id, ("active", "inactive", "unknown")[k % 3],
            f"2023-{1 + k // 80:02}-{1 + k // 3 % 28:02} {k % 24:02}:00:00 UTC",
        )
        for k in range(800)
    ]  # fmt: skip
    always = hours((long_id, EVERY_DAY, "00:00", "24:00"))
    split = hours((long_id, EVERY_DAY, "00:30", "09:30"), (long_id, EVERY_DAY, "10:30", "23:30"))
    for table in (None, always, split):
        for policy in (Policy(), Policy(only_watched=True, assume="active", max_age=timedelta(minutes=100))):
            for zone in ("America/Argentina/ComodRivadavia", "Australia/Lord_Howe"):
                made = explained(
                    polls(*rows), table, zones({long_id: zone}), policy=policy, as_of=instant_us("2023-11-01"),
                    window=Window("the_whole_long_year", "2023-01-01", "2023-12-31"),
                )  # fmt: skip
                for line in as_text(made).splitlines():
                    assert len(line) <= WIDTH, line
                    assert line == line.rstrip()


def test_a_clock_change_in_the_window_is_named() -> None:
    window = Window("change", "2023-11-04T00:00-05:00", "2023-11-06T00:00-06:00")
    observations = polls(("a", "active", "2023-11-05 15:00:00 UTC"))
    text = as_text(
        explained(
            observations, None, zones({"a": "America/Chicago"}), window=window, as_of=instant_us("2023-11-07 00:00 UTC")
        )
    )
    assert "zone      America/Chicago (UTC-05:00 at the start, UTC-06:00 at the end)\n" in text


def test_durations_are_written_to_the_nearest_minute() -> None:
    for us, text in (
        (0, "0 min"),
        (1, "< 1 min"),
        (MINUTE_US - 1, "< 1 min"),
        (MINUTE_US, "1 min"),
        (59 * MINUTE_US + MINUTE_US // 2, "1 h"),
        (5 * HOUR_US + MINUTE_US + 48_000_000, "5 h 02 min"),
        (12 * HOUR_US, "12 h"),
        (8_760 * HOUR_US, "8,760 h"),
    ):
        assert minutes_text(us) == text
