"""Calendars: weekly events are dated weeks, others special hours, by the clock on the wall; or they are rejected."""

import random
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.fixtures.openings import HERE, RANDOM_CASES, day_of, days_from, quarters
from uphours.errors import InputError
from uphours.ingest.formats import import_hours
from uphours.ingest.formats.imported import Imported

pytestmark = pytest.mark.anywhere  # it is about clocks on walls, wherever the machine is

YEAR = (date(2024, 1, 1), date(2024, 12, 31))
BERLIN = ";TZID=Europe/Berlin"


def event(*lines: str, uid: str = "1") -> str:
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20240101T000000Z", *lines, "END:VEVENT"])


def calendar(*events: str, header: str = "", period: tuple[date, date] | None = None) -> Imported:
    text = "\r\n".join(
        ["BEGIN:VCALENDAR", "PRODID:x", "VERSION:2.0", *filter(None, [header]), *events, "END:VCALENDAR"]
    )
    return import_hours(f"{text}\r\n".encode(), store_id="1", period=period)


def weekly(*lines: str, start: str = "20240101T090000", end: str = "20240101T170000", days: str = "MO,TU") -> str:
    rule = f"RRULE:FREQ=WEEKLY;BYDAY={days}"
    return event(
        f"DTSTART{BERLIN}:{start}", f"DTEND{BERLIN}:{end}", *([] if "RRULE" in "".join(lines) else [rule]), *lines
    )


def hours(imported: Imported) -> list[tuple[str, int, str, str]]:
    return [(row.valid_from, row.day, row.start_time_local, row.end_time_local) for row in imported.hours]


def special(imported: Imported) -> list[tuple[str, ...]]:
    return [tuple(row[1:]) for row in imported.special_hours]


def test_a_calendar_of_a_shop() -> None:
    said = import_hours(HERE / "shop.ics")
    assert {row.store_id for row in said.hours} == {"shop"}
    assert [tuple(row) for row in said.timezones] == [("shop", "America/New_York")]
    assert [(row.valid_from, row.end_time_local) for row in said.hours if row.day == 5] == [("2026-01-05", "02:00")]
    assert {row.valid_from for row in said.hours} == {"2026-01-05", "2026-03-02"}
    assert special(said) == [
        ("2026-05-25", "closed", "closed", ""),
        ("2026-07-03", "10:00", "14:00", "Before the holiday"),
        ("2026-12-17", "09:00", "17:00", "Late shopping"),
        ("2026-12-17", "19:00", "21:00", "Late shopping"),
        ("2026-12-24", "closed", "closed", "Closed for Christmas"),
        ("2026-12-25", "closed", "closed", "Closed for Christmas"),
        ("2026-12-26", "closed", "closed", "Closed for Christmas"),
    ]
    assert [(row.kind, row.position.line) for row in said.rejected] == [("special", 61)]
    assert [(notice.position.line, "note" in notice.text) for notice in said.notices] == [(54, True)]


def test_repetitions_are_weeks() -> None:
    nine = ("09:00", "17:00")
    everyday = [("2024-01-01", day, *nine) for day in range(7)]
    cases: list[tuple[str, list[tuple[str, int, str, str]]]] = [
        (weekly(), [("2024-01-01", 0, *nine), ("2024-01-01", 1, *nine)]),
        (weekly("RRULE:FREQ=WEEKLY"), [("2024-01-01", 0, *nine)]),
        (weekly("RRULE:FREQ=DAILY"), everyday),
        (weekly("RRULE:FREQ=DAILY;BYDAY=MO,TU"), [("2024-01-01", 0, *nine), ("2024-01-01", 1, *nine)]),
        (weekly("RRULE:FREQ=WEEKLY;UNTIL=99991231T000000Z"), [("2024-01-01", 0, *nine)]),
        (weekly(start="20240103T220000", end="20240104T030000", days="WE"), [("2024-01-01", 2, "22:00", "03:00")]),
    ]
    for given, expected in cases:
        assert hours(calendar(given)) == expected, given
    for ended in ("UNTIL=20240109T080000Z", "COUNT=4"):
        said = calendar(weekly(f"RRULE:FREQ=WEEKLY;BYDAY=MO,TU;{ended}"))
        assert {row[0]: row[2] for row in hours(said)} == {"2024-01-01": "09:00", "2024-01-15": "closed"}, ended
        assert "after 2024-01-09" in said.notices[0].text


def test_an_all_day_event_says_closed_or_open() -> None:
    def day(summary: str, *more: str) -> Imported:
        return calendar(
            weekly(), event("DTSTART;VALUE=DATE:20240108", f"SUMMARY:{summary}", *more, uid="2"), period=YEAR
        )

    assert special(day("We are closed")) == [("2024-01-08", "closed", "closed", "We are closed")]
    assert len(special(day("Closed", "DTEND;VALUE=DATE:20240111"))) == 3
    assert len(special(day("Closed", "RRULE:FREQ=MONTHLY"))) == 12
    assert special(day("Open")) == [("2024-01-08", "00:00", "24:00", "Open"), ("2024-01-08", "09:00", "17:00", "Open")]
    assert hours(day("Open 24 hours", "RRULE:FREQ=WEEKLY"))[-3][1:] == (0, "00:00", "24:00")
    assert day("Inventory").rejected
    assert "not used" in day("Inventory", "TRANSP:TRANSPARENT").notices[0].text
    assert day("Closed", "DTEND;VALUE=DATE:20240108").rejected


def test_exceptions_and_overrides_replace_single_occurrences() -> None:
    said = calendar(
        weekly(f"EXDATE{BERLIN}:20240108T090000"),
        event(
            f"RECURRENCE-ID{BERLIN}:20240109T090000",
            f"DTSTART{BERLIN}:20240109T120000",
            f"DTEND{BERLIN}:20240109T140000",
        ),
        event(f"RECURRENCE-ID{BERLIN}:20240115T090000", f"DTSTART{BERLIN}:20240115T090000", "STATUS:CANCELLED"),
        event(f"DTSTART{BERLIN}:20240116T180000", f"DTEND{BERLIN}:20240116T200000", uid="2"),
    )
    assert special(said) == [
        ("2024-01-08", "closed", "closed", ""),
        ("2024-01-09", "12:00", "14:00", ""),
        ("2024-01-15", "closed", "closed", ""),
        ("2024-01-16", "09:00", "17:00", ""),
        ("2024-01-16", "18:00", "20:00", ""),
    ]


def test_durations_are_elapsed_time_and_ends_are_times_of_day() -> None:
    # On the night when clocks go back, two hours from 01:00 on end at 02:00 on the wall.
    new_york = "DTSTART;TZID=America/New_York:20241103T010000"
    assert special(calendar(event(new_york, "DURATION:PT2H")))[0][:3] == ("2024-11-03", "01:00", "02:00")
    assert special(calendar(event(new_york, "DTEND;TZID=America/New_York:20241103T030000")))[0][2] == "03:00"
    # What ends when the clock shows 01:30 for the second time cannot be said.
    assert calendar(event(new_york, "DURATION:PT90M")).rejected[0].kind == "special"
    night = event("DTSTART;TZID=America/New_York:20240107T010000", "DURATION:PT2H", "RRULE:FREQ=WEEKLY;BYDAY=SU")
    assert calendar(night).unknown_hours == ["1"]
    said = calendar(night, period=YEAR)
    assert special(said) == [("2024-03-10", "01:00", "04:00", ""), ("2024-11-03", "01:00", "02:00", "")]
    assert hours(said) == [("2024-01-01", 6, "01:00", "03:00")]


def test_times_in_another_zone_are_those_of_the_wall_clock() -> None:
    zone = "X-WR-TIMEZONE:Europe/Berlin"
    single = event("DTSTART:20240701T070000Z", "DTEND:20240701T150000Z")
    assert special(calendar(single, header=zone))[0][:3] == ("2024-07-01", "09:00", "17:00")
    repeated = event("DTSTART:20240701T070000Z", "DTEND:20240701T150000Z", "RRULE:FREQ=WEEKLY")
    assert calendar(repeated, header=zone).unknown_hours == ["1"]  # in winter it would be another time of day
    assert [row.timezone_str for row in calendar(repeated).timezones] == ["Etc/UTC"]
    floating = event("DTSTART:20240701T070000", "DTEND:20240701T150000", "RRULE:FREQ=WEEKLY")
    assert calendar(floating).timezones == []
    assert len(calendar(floating).hours) == 1


def test_single_days_alone_leave_the_days_between_them_closed() -> None:
    said = calendar(weekly("RRULE:FREQ=MONTHLY;BYMONTHDAY=1"), period=YEAR)
    assert len(said.special_hours) == 12
    assert hours(said) == [("2024-01-01", day, "closed", "closed") for day in range(7)]
    assert "no event repeats each week" in said.notices[0].text


BAD = [
    event("DTSTART:soon", "DTEND:later"),
    event("SUMMARY:no start"),
    weekly("RRULE:FREQ=MONTHLY"),
    weekly("RRULE:FREQ=WEEKLY;INTERVAL=2"),
    weekly("RRULE:FREQ=HOURLY"),
    weekly("RRULE:FREQ=WEEKLY;BYHOUR=9,12"),
    weekly("RRULE:FREQ=WEEKLY;BYDAY=FR"),
    weekly("RRULE:FREQ=WEEKLY;UNTIL=20230101T000000Z"),
    weekly("RRULE:FREQ=SOMETIMES"),
    weekly(end="20240101T080000"),
    weekly(end="20240103T080000"),
    weekly("STATUS:TENTATIVE"),
    weekly("SUMMARY:Closed for lunch"),
    event(f"DTSTART{BERLIN}:20240101T090000", "RRULE:FREQ=WEEKLY"),
    event("DTSTART;TZID=Nowhere/Land:20240101T090000", "DURATION:PT1H"),
    event(f"DTSTART{BERLIN}:20240101T090000", "DURATION:PT1H", uid="unended").removesuffix("END:VEVENT"),
    "BEGIN:VAVAILABILITY\r\nUID:3\r\nEND:VAVAILABILITY",
]


@pytest.mark.parametrize("bad", BAD)
def test_an_event_that_cannot_be_used_leaves_the_week_unknown(bad: str) -> None:
    said = calendar(weekly(), bad)
    assert (said.hours, said.unknown_hours) == ([], ["1"])
    assert said.rejected[0].position.line == 4 + weekly().count("\n") + 1
    assert said.rejected[0].raw.startswith("BEGIN:")


def test_a_single_event_that_cannot_be_used_spoils_its_date_alone() -> None:
    tentative = event(f"DTSTART{BERLIN}:20240109T180000", f"DTEND{BERLIN}:20240109T200000", "STATUS:TENTATIVE", uid="2")
    good = event(f"DTSTART{BERLIN}:20240109T190000", f"DTEND{BERLIN}:20240109T210000", uid="3")
    said = calendar(weekly(), tentative, good)
    assert (len(said.hours), said.special_hours, said.rejected[0].kind) == (2, [], "special")
    closed = event("DTSTART;VALUE=DATE:20240109", "SUMMARY:Closed", uid="4")
    contradicted = calendar(weekly(), good, closed)
    assert (contradicted.special_hours, contradicted.rejected[0].cause) == ([], "the date … is open and closed")


def test_what_is_no_calendar_of_one_store_says_so() -> None:
    one = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nEND:VCALENDAR\r\n"
    with pytest.raises(InputError, match=r"valid is one BEGIN:VCALENDAR a file"):
        import_hours((one + one).encode(), store_id="1")
    with pytest.raises(InputError, match=r"a calendar is about one store"):
        import_hours(one.encode())


# --- ten thousand made-up events ----------------------------------------------------------------------------

FIRST = date(2024, 3, 4)
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def random_event(chance: random.Random, uid: str) -> tuple[str, dict[date, set[int]]]:
    """Return a made-up event, and the quarters that it means by date, found by walking through all dates."""
    start_day = FIRST + timedelta(days=chance.randrange(14))
    start, length = chance.randrange(96), chance.choice([4, 32, 40, 90])
    begin = datetime.combine(start_day, datetime.min.time()) + timedelta(minutes=15 * start)
    end = begin + timedelta(minutes=15 * length)
    lines = [f"DTSTART{BERLIN}:{begin:%Y%m%dT%H%M%S}", f"DTEND{BERLIN}:{end:%Y%m%dT%H%M%S}"]
    open_then = set(range(start, start + length))
    if chance.random() < 0.5:
        return event(*lines, uid=uid), {start_day: open_then}
    interval = chance.choice([1, 1, 1, 2])
    weekdays = {start_day.weekday(), *chance.sample(range(7), chance.choice([0, 1, 3]))}
    rule = f"RRULE:FREQ=WEEKLY;INTERVAL={interval};BYDAY={','.join(DAYS[day] for day in sorted(weekdays))}"
    monday = start_day - timedelta(days=start_day.weekday())
    meant = [
        day
        for day in days_from(start_day, 60)
        if day.weekday() in weekdays and (day - monday).days // 7 % interval == 0
    ]
    match chance.randrange(3):
        case 0:
            count = chance.randrange(1, 8)
            rule, meant = f"{rule};COUNT={count}", meant[:count]
        case 1:
            until = datetime.combine(start_day, time(chance.randrange(24)), UTC) + timedelta(
                days=chance.randrange(1, 30)
            )
            rule = f"{rule};UNTIL={until:%Y%m%dT%H%M%SZ}"
            last = until.astimezone(ZoneInfo("Europe/Berlin")).replace(tzinfo=None)
            meant = [day for day in meant if datetime.combine(day, begin.time()) <= last]
        case _:
            pass
    lines.append(rule)
    if meant and chance.random() < 0.3:
        gone = chance.choice(meant)
        lines.append(f"EXDATE{BERLIN}:{gone:%Y%m%d}T{begin:%H%M%S}")
        meant = [day for day in meant if day != gone]
    return event(*lines, uid=uid), dict.fromkeys(meant, open_then)


def test_random_events_are_used_rightly(seed: int) -> None:
    chance = random.Random(seed)
    count = 0
    while count < RANDOM_CASES:
        made = [random_event(chance, f"event {number}") for number in range(chance.choice([1, 2, 4, 8]))]
        count += len(made)
        said = calendar(*(text for text, _ in made), period=(FIRST, FIRST + timedelta(days=60)))
        assert not said.rejected
        for day in chance.sample(days_from(FIRST, 60), 12):
            expected = {quarter for _, meant in made for quarter in meant.get(day, ())}
            assert (day_of(said, "1", day) or set()) == expected, (day, [text for text, _ in made])


def test_closing_late_on_the_last_day_of_the_week() -> None:
    said = calendar(weekly(start="20240107T200000", end="20240108T020000", days="SU"))
    assert day_of(said, "1", date(2024, 1, 14)) == quarters("20:00", "02:00")
