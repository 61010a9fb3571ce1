"""iCalendar text: another program reads what was meant, whatever the texts hold."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from hypothesis import example, given
from hypothesis import strategies as st
from ical.calendar import Calendar
from ical.calendar_stream import IcsCalendarStream

from uphours.schema import instant_us
from uphours.service.icalendar_text import AllDay, Between, Event, calendar_text

AT = instant_us("2026-12-01T08:30:00.9Z")
DAY = AllDay(date(2026, 12, 24))
#: What ends a line, for us and for careless readers, and what steers the format.
NASTY = st.sampled_from(
    ["\r\n", "\n", "\r", "\x0b", "\x85", "\u2028", "\\", ";", ",", ":", "\\n", '"', " ", "\t", "é", "🏪"]
)
TEXTS = st.lists(NASTY | st.text(max_size=40), max_size=30).map("".join)


def read(content: bytes) -> Calendar:
    return IcsCalendarStream.calendar_from_ics(content.decode())


def event(text: str, when: AllDay | Between = DAY) -> Event:
    return Event(uid=f"{text}@x", stamp=AT, when=when, summary=text, description=text)


def meant(text: str) -> str:
    """Return a text as it arrives: every line break is one, other control characters are blanks."""
    text = re.sub("\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", "\n", text)
    return re.sub(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]", " ", text).encode(errors="replace").decode()


def test_dates_and_intervals_are_read_as_they_were_meant() -> None:
    between = Between(instant_us("2026-12-24T10:00:00.25Z"), instant_us("2026-12-24T10:00:00.5Z"))
    content = calendar_text("Ours", [event("a"), event("b", between)])
    assert calendar_text("Ours", [event("a"), event("b", between)]) == content
    day, interval = read(content).events
    assert (day.dtstart, day.dtend) == (date(2026, 12, 24), date(2026, 12, 25))
    assert interval.dtstart == datetime(2026, 12, 24, 10, tzinfo=UTC)
    assert interval.dtend == datetime(2026, 12, 24, 10, 0, 1, tzinfo=UTC), "never shorter than it is"
    assert day.dtstamp == datetime(2026, 12, 1, 8, 30, tzinfo=UTC)


def test_a_calendar_may_be_empty() -> None:
    assert list(read(calendar_text("Ours", [])).events) == []


@given(TEXTS)
@example("x\r\nEND:VEVENT\r\nBEGIN:VALARM\r\n")
@example("é" * 200)
@example("\\n\\,")
def test_no_text_adds_a_property_and_every_text_is_read_back(text: str) -> None:
    content = calendar_text(text, [event(text)])
    assert content.endswith(b"\r\n")
    lines = content.removesuffix(b"\r\n").split(b"\r\n")
    assert max(map(len, lines)) <= 75
    assert all(line.decode() for line in lines), "no character is cut"
    assert not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", b"".join(lines))
    whole = content.replace(b"\r\n ", b"").decode().removesuffix("\r\n").split("\r\n")
    plain = calendar_text("x", [event("x")]).decode().removesuffix("\r\n").split("\r\n")
    assert [re.split("[:;]", line)[0] for line in whole] == [re.split("[:;]", line)[0] for line in plain]
    (found,) = read(content).events
    assert (found.summary, found.description) == (meant(text), meant(text))
