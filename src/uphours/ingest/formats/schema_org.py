"""schema.org in JSON-LD: ``openingHours``, ``openingHoursSpecification`` and special ones → our rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from functools import partial
from typing import Any, Final, TypeAlias

from uphours.ingest.formats.dated_weeks import END_OF_DATES, Validity, dated_weeks
from uphours.ingest.formats.imported import (
    Position,
    RejectedRow,
    StoreCalendar,
    UnreadableError,
    dates,
    store_id_of,
)
from uphours.ingest.formats.json_records import records
from uphours.ingest.formats.wall_clock import WEEKDAYS, WHOLE_DAY, Opening, opening, seconds

Object: TypeAlias = Mapping[str, Any]

HOURS: Final = ("openingHours", "openingHoursSpecification", "specialOpeningHoursSpecification")
_ALL_DAYS: Final = frozenset(range(7))
_ITEM: Final = re.compile(
    r"\s*(?P<days>[A-Za-z]{2,9}(?:\s*[-,]\s*[A-Za-z]{2,9})*)(?:\s+(?P<start>[0-9:]+)\s*-\s*(?P<end>[0-9:]+))?\s*(?:[,;]|$)"
)
#: As schema.org writes times; an offset would be another zone's time, and is refused.
_TIME: Final = re.compile(r"T?([0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?)")
_ADDRESS: Final = {
    "streetAddress": "street",
    "addressLocality": "city",
    "addressRegion": "region",
    "postalCode": "postcode",
    "addressCountry": "country",
}
#: Hours with an end that last this many days or more are another week; shorter ones are special hours.
_WEEK_DAYS: Final = 7


def calendars(text: str, file: str) -> Iterator[StoreCalendar | RejectedRow]:
    """Yield what each node with opening hours says, wherever it is nested."""
    for record in records(text, file, ("@graph",)):
        if isinstance(record, RejectedRow):
            yield record
        else:
            for position, node in _nodes(*record):
                yield _calendar(position, node)


def _nodes(position: Position, value: object) -> Iterator[tuple[Position, Object]]:
    """Yield the nodes with hours in order, however deep they are."""
    waiting = [(position, value)]
    while waiting:
        at, inner = waiting.pop()
        if isinstance(inner, dict):
            if any(name in inner for name in HOURS):
                yield at, inner
            waiting += [(at.at(name), inner[name]) for name in reversed(inner) if name not in HOURS]
        elif isinstance(inner, list):
            waiting += [(at.at(f"[{number}]"), inner[number]) for number in reversed(range(len(inner)))]


def _calendar(position: Position, node: Object) -> StoreCalendar | RejectedRow:
    try:
        calendar = StoreCalendar(store_id_of(_id(node)), position)
    except UnreadableError as error:
        return error.row("stores", position, node)
    weekly: list[Validity] = []
    for path, item in _each(node, "openingHours"):
        weekly += _read(calendar, path, item, _text_item)
    for path, item in [*_each(node, HOURS[1]), *_each(node, HOURS[2])]:
        weekly += _read(calendar, path, item, partial(_specification, calendar, path))
    _check_contradictions(calendar, weekly)
    for valid_from, week in dated_weeks(weekly, latest_only=True):
        calendar.add_week(week, valid_from)
    ends = [part.last for part in weekly if part.last]
    if ends and not any(part.last is None for part in weekly):
        calendar.notice(f"no hours are given after {max(ends)}: nothing is scheduled from then on")
    _add_attributes(calendar, node)
    return calendar


def _check_contradictions(calendar: StoreCalendar, weekly: list[Validity]) -> None:
    """Reject a weekday that is open and closed from the same date on."""
    is_open = {(part.first, day) for part in weekly if part.openings for day in part.weekdays}
    is_closed = {(part.first, day) for part in weekly if not part.openings for day in part.weekdays}
    for _, day in sorted(is_open & is_closed, key=str):
        calendar.reject(
            UnreadableError("{} is open and closed", WEEKDAYS[day].title()), WEEKDAYS[day].title(), HOURS[1]
        )


def _read(calendar: StoreCalendar, path: str, item: object, read: Any) -> list[Validity]:
    try:
        parts: list[Validity] = read(item)
    except UnreadableError as error:
        calendar.reject(error, item, path)
        return []
    return parts


def _each(node: Object, name: str) -> Iterator[tuple[str, object]]:
    value = node.get(name)
    if isinstance(value, list):
        yield from ((f"{name}[{number}]", item) for number, item in enumerate(value))
    elif value is not None:
        yield name, value


def _id(node: Object) -> object:
    for name in ("branchCode", "identifier", "@id", "url"):
        value = node.get(name)
        value = value[0] if isinstance(value, list) and value else value
        value = value.get("value") if isinstance(value, dict) else value
        if value not in (None, ""):
            return value
    return None


# --- openingHours: "Mo-Fr 09:00-17:00" --------------------------------------------------------------------


def _text_item(text: object) -> list[Validity]:
    if not isinstance(text, str) or not text.strip():
        raise UnreadableError("openingHours are {}; valid are texts such as 'Mo-Fr 09:00-17:00'", text)
    parts, at = [], 0
    while at < len(text.rstrip()):
        match = _ITEM.match(text, at)
        if match is None:
            raise UnreadableError("unreadable openingHours {}; valid are such as 'Mo-Fr 09:00-17:00'", text[at:], text)
        weekdays = _days_of(match["days"], text)
        times = _opening(match["start"], match["end"], text) if match["start"] else WHOLE_DAY
        parts.append(_weekly(weekdays, [times]))
        at = match.end()
    return parts


def _days_of(text: str, whole: str) -> frozenset[int]:
    weekdays: set[int] = set()
    for item in text.split(","):
        first, *last = (_short_day(day.strip(), whole) for day in item.split("-"))
        if len(last) > 1:
            raise UnreadableError("unreadable days {}", text, whole)
        weekdays |= {(first + number) % 7 for number in range(((last or [first])[0] - first) % 7 + 1)}
    return frozenset(weekdays)


def _short_day(name: str, whole: str) -> int:
    day = name.casefold()
    for number, long in enumerate(WEEKDAYS):
        if day in (long, long[:2], long[:3]):
            return number
    raise UnreadableError("unknown day {}; valid are Mo, Tu, We, Th, Fr, Sa, Su", name, whole)


def _opening(start_text: str, end_text: str, whole: str) -> Opening:
    start, end = seconds(start_text), seconds(end_text)
    times = None if start is None or end is None else opening(start, end)
    if times is None:
        raise UnreadableError("unreadable hours {}", f"{start_text}-{end_text}", whole)
    return times


def _weekly(weekdays: frozenset[int], times: list[Opening]) -> Validity:
    return Validity(None, None, weekdays, tuple((day, item) for day in sorted(weekdays) for item in times))


# --- openingHoursSpecification ----------------------------------------------------------------------------


def _specification(calendar: StoreCalendar, path: str, item: object) -> list[Validity]:
    """Return the weekly hours; add what is about a few dates, or reject it alone, without its week."""
    if not isinstance(item, dict):
        raise UnreadableError("specification is {}; valid is an object", item)
    first, last = _day(item, "validFrom"), _day(item, "validThrough")
    if first is not None and last is not None and last < first:
        raise UnreadableError("validThrough is before validFrom: {}", f"{first} to {last}")
    if first is not None and last is not None and (last - first).days < _WEEK_DAYS:
        _read_dates(calendar, path, item, dates(first, last))
        return []
    weekdays, times = _weekdays(calendar, path, item, is_dated=first is not None or last is not None), _times(item)
    if last is not None and last.year >= END_OF_DATES:
        last = None
    openings = tuple((day, times) for day in sorted(weekdays) if times is not None)
    return [Validity(first, last, weekdays, openings)] if weekdays else []


def _read_dates(calendar: StoreCalendar, path: str, item: Object, days: list[date]) -> None:
    try:
        weekdays, times = _weekdays(calendar, path, item, is_dated=True), _times(item)
    except UnreadableError as error:
        calendar.reject(error, item, path, kind="special", days=days)
        return
    for day in days:
        if day.weekday() in weekdays:
            calendar.add_date(day, [] if times is None else [times], _name(item))


def _weekdays(calendar: StoreCalendar, path: str, item: Object, *, is_dated: bool) -> frozenset[int]:
    value = item.get("dayOfWeek")
    if value is None and is_dated:
        return _ALL_DAYS
    names = value if isinstance(value, list) else [value]
    weekdays = set()
    for name in names:
        text = name.get("@id", name.get("name")) if isinstance(name, dict) else name
        if not isinstance(text, str):
            raise UnreadableError("dayOfWeek is {}; valid are Monday to Sunday", name)
        short = text.strip().rpartition("/")[2].rpartition(":")[2]
        if short.casefold() == "publicholidays":
            calendar.notice("hours of public holidays are not used; write special hours for them", path)
        else:
            weekdays.add(_short_day(short, text))
    return frozenset(weekdays)


def _times(item: Object) -> Opening | None:
    """Return the opening of a specification; None: closed, which is what no times and 00:00 to 00:00 mean."""
    opens, closes = item.get("opens"), item.get("closes")
    if opens is None and closes is None:
        return None
    start, end = _time(opens, "opens"), _time(closes, "closes")
    if start == end == 0:
        return None
    times = opening(start, end)
    if times is None:
        raise UnreadableError("hours {} say nothing", f"{opens}-{closes}")
    return times


def _time(value: object, name: str) -> int:
    match = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    total = seconds(match[1]) if match else None
    if total is None:
        raise UnreadableError(f"{name} is {{}}; valid are local times such as 09:00", value)
    return total


def _day(item: Object, name: str) -> date | None:
    """Read a date, which may be written as a timestamp; its date is meant as it is written."""
    value = item.get(name)
    if value is None:
        return None
    try:
        return date.fromisoformat(value.strip().partition("T")[0])
    except (AttributeError, ValueError):
        raise UnreadableError(f"{name} is {{}}; valid are dates such as 2026-12-24", value) from None


def _name(item: Object) -> str:
    name = item.get("name", item.get("description"))
    return " ".join(name.split()) if isinstance(name, str) else ""


# --- attributes -------------------------------------------------------------------------------------------


def _add_attributes(calendar: StoreCalendar, node: Object) -> None:
    calendar.add_attribute("name", node.get("name"))
    for name in ("brand", "parentOrganization"):
        value = node.get(name)
        calendar.add_attribute("brand", value.get("name") if isinstance(value, dict) else value)
    address = node.get("address")
    address = address[0] if isinstance(address, list) and address else address
    if isinstance(address, dict):
        for name, attribute in _ADDRESS.items():
            value = address.get(name)
            calendar.add_attribute(attribute, value.get("name") if isinstance(value, dict) else value)
    else:
        calendar.add_attribute("address", address)
    point = node.get("geo")
    if isinstance(point, dict):
        calendar.add_point(point.get("latitude"), point.get("longitude"))
