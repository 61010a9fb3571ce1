"""iCalendar (RFC 5545): a calendar of one store, whose events are its opening hours → our rows.

Events at times of day are openings. Those that repeat each week are weeks, dated by their first and last occurrence.
Single ones, exceptions and all other repetitions are special hours. Days without an event are closed, as they are in a
calendar. An event of whole days says *closed* or *open* in its summary.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from ical.calendar_stream import IcsCalendarStream
from ical.event import Event
from ical.exceptions import CalendarParseError

from uphours.errors import InputError
from uphours.ingest.formats.calendar_events import EventReader, Meaning
from uphours.ingest.formats.dated_weeks import Validity, dated_weeks, widened
from uphours.ingest.formats.imported import Position, StoreCalendar, UnreadableError, store_id_of
from uphours.ingest.formats.wall_clock import Opening

_HEADER: Final = "BEGIN:VCALENDAR\r\nPRODID:-//uphours//import//EN\r\nVERSION:2.0\r\n"
_OTHERS: Final = ("VTODO", "VJOURNAL", "VFREEBUSY", "VAVAILABILITY")
_UTC: Final = "Etc/UTC"


@dataclass
class _Component:
    """A component of the calendar: its name, its first line, and its lines."""

    name: str
    line: int
    lines: list[str]
    is_closed: bool = False


@dataclass
class _Calendar:
    """The components of a calendar, and what it says of itself."""

    components: list[_Component]
    properties: dict[str, str]

    @property
    def zones(self) -> str:
        """The components that define time zones, as text."""
        return "".join("\r\n".join(part.lines) + "\r\n" for part in self.components if part.name == "VTIMEZONE")


def calendars(text: str, file: str, store_id: str, period: tuple[date, date] | None) -> Iterator[StoreCalendar]:
    """Yield what the calendar says of its store.

    Raises
    ------
    InputError
        It is no calendar, or there are several.
    """
    source = _read(text, file)
    calendar = StoreCalendar(_store_id(store_id), Position(file, 1))
    parsed = [*_events(source, calendar)]
    zone = _zone(source, [event for _, event, _ in parsed])
    if zone:
        calendar.timezone = zone
    calendar.add_attribute("name", source.properties.get("X-WR-CALNAME"))
    reader = EventReader(zone, period)
    for line, event, raw in parsed:
        calendar.position = Position(file, line)
        _read_event(calendar, reader, event, raw)
    calendar.position = Position(file, 1)
    _add_hours(calendar, reader.meaning)
    yield calendar


def _store_id(store_id: str) -> str:
    try:
        return store_id_of(store_id)
    except UnreadableError as error:
        raise InputError(f"a calendar is about one store; name it with --store or store_id: its {error}") from None


def _read(text: str, file: str) -> _Calendar:
    lines = text.splitlines()
    if sum(line.strip().upper() == "BEGIN:VCALENDAR" for line in lines) != 1:
        raise InputError(f"{file} is not one calendar; valid is one BEGIN:VCALENDAR a file, of one store")
    source = _Calendar([], {})
    inside: _Component | None = None
    for number, line in enumerate(lines, 1):
        word, _, name = line.strip().upper().partition(":")
        if inside is not None:
            inside.lines.append(line)
            if (word, name) == ("END", inside.name):
                inside.is_closed, inside = True, None
        elif word == "BEGIN" and name != "VCALENDAR":
            inside = _Component(name, number, [line])
            source.components.append(inside)
        elif word.startswith("X-WR-"):
            source.properties[word] = line.strip().partition(":")[2]
    return source


def _events(source: _Calendar, calendar: StoreCalendar) -> Iterator[tuple[int, Event, str]]:
    """Yield the events that can be parsed, one by one, so that a bad one does not spoil the others."""
    zones = source.zones
    for part in source.components:
        raw = "\r\n".join(part.lines)
        calendar.position = calendar.position._replace(line=part.line)
        if part.name in _OTHERS:
            calendar.reject(UnreadableError(f"a {part.name} is no opening; valid is VEVENT"), raw, "")
        if part.name != "VEVENT":
            continue
        try:
            if not part.is_closed:
                raise UnreadableError("the event does not end")
            stream = IcsCalendarStream.calendar_from_ics(f"{_HEADER}{zones}{raw}\r\nEND:VCALENDAR\r\n")
            yield part.line, stream.events[0], raw
        except UnreadableError as error:
            calendar.reject(error, raw, "")
        except (CalendarParseError, IndexError, ValueError, OverflowError) as error:
            problem = str(error).partition("component: ")[2] or str(error)
            calendar.reject(UnreadableError("unreadable event: {}", problem), raw, "")


def _zone(source: _Calendar, events: list[Event]) -> str:
    """Return the zone that the calendar names, else that of its first event with one, else UTC, else none."""
    if name := source.properties.get("X-WR-TIMEZONE", "").strip():
        return name
    keys = [getattr(getattr(event.dtstart, "tzinfo", None), "key", None) for event in events]
    if named := next((key for key in keys if key), None):
        return str(named)
    ids = re.search(r"^DTSTART;(?:[^:]*;)?TZID=\"?([^:;\"]+)", _unfolded(source), re.MULTILINE | re.IGNORECASE)
    if ids:
        return ids[1]
    return _UTC if any(getattr(event.dtstart, "tzinfo", None) for event in events) else ""


def _unfolded(source: _Calendar) -> str:
    lines = [line for part in source.components if part.name == "VEVENT" for line in part.lines]
    return re.sub(r"\n[ \t]", "", "\n".join(lines))


def _read_event(calendar: StoreCalendar, reader: EventReader, event: Event, raw: str) -> None:
    """Read an event, or reject it: the dates that it is about, or the whole week where these cannot be said."""
    try:
        if notice := reader.read(event, raw):
            calendar.notice(notice)
    except UnreadableError as error:
        days = reader.days_of(event)
        calendar.reject(error, raw, "", kind="hours" if days is None else "special", days=days or [])


def _add_hours(calendar: StoreCalendar, meaning: Meaning) -> None:
    weekly = [widened(part) for _, part in meaning.weekly]
    if not weekly and meaning.openings:
        first = min(day for _, day, _, _ in meaning.openings)
        last = max(day for _, day, _, _ in meaning.openings)
        weekly = [Validity(first, None, frozenset(), ())]  # nothing but single days: closed in between
        calendar.notice(
            f"no event repeats each week: nothing is scheduled before {first} and after {last} but single days"
        )
    for valid_from, week in dated_weeks(weekly, latest_only=False):
        calendar.add_week(week, valid_from)
    ends = [part.last for _, part in meaning.weekly if part.last]
    if ends and len(ends) == len(meaning.weekly):
        calendar.notice(f"no event repeats after {max(ends)}: nothing is scheduled from then on")
    closed = {day: name for uid, day, name in meaning.closures if day not in meaning.removed.get(uid, ())}
    removed = {day for days in meaning.removed.values() for day in days}
    for day in sorted(removed | {*closed} | {day for _, day, _, _ in meaning.openings}):
        openings, name = _on(meaning, day)
        if day not in closed:
            calendar.add_date(day, openings, name)
            continue
        calendar.add_date(day, [], closed[day])
        single = [
            times for uid, at, times, _ in meaning.openings if at == day and day not in meaning.removed.get(uid, ())
        ]
        if single:
            calendar.add_date(day, single)  # open and closed: rejected where dates are put together


def _on(meaning: Meaning, day: date) -> tuple[list[Opening], str]:
    """Return all openings of a date, weekly and single ones, and the name of the single ones."""
    openings: list[Opening] = []
    names: list[str] = []
    for uid, part in meaning.weekly:
        if part.has(day) and day not in meaning.removed.get(uid, ()):
            openings += [times for weekday, times in part.openings if weekday == day.weekday()]
    for uid, at, times, name in meaning.openings:
        if at == day and day not in meaning.removed.get(uid, ()):
            openings.append(times)
            names.append(name)
    return openings, next(filter(None, names), "")
