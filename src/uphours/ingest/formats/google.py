"""Google: locations of the Business Profile API, and places of the Places API, old and new → our rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any, Final, TypeAlias

from uphours.ingest.formats.imported import Position, RejectedRow, StoreCalendar, UnreadableError, store_id_of
from uphours.ingest.formats.json_records import records
from uphours.ingest.formats.wall_clock import DAY, WEEKDAYS, WHOLE_DAY, Opening, opening, openings, seconds

Object: TypeAlias = Mapping[str, Any]

_PARTS_OF_ADDRESSES: Final = {
    "locality": "city",
    "administrative_area_level_1": "region",
    "postal_code": "postcode",
    "country": "country",
}


def calendars(text: str, file: str) -> Iterator[StoreCalendar | RejectedRow]:
    """Yield what each location or place says."""
    for record in records(text, file, ("locations", "places", "results", "result")):
        yield record if isinstance(record, RejectedRow) else _calendar(*record)


def _calendar(position: Position, record: Object) -> StoreCalendar | RejectedRow:
    is_location = _is_location(record)
    try:
        calendar = StoreCalendar(store_id_of(_location_id(record) if is_location else _place_id(record)), position)
    except UnreadableError as error:
        return error.row("stores", position, record)
    if is_location:
        _read_location(calendar, record)
    else:
        _read_place(calendar, record)
    return calendar


def _is_location(record: Object) -> bool:
    names = ("regularHours", "specialHours", "storeCode", "storefrontAddress", "openInfo")
    return any(name in record for name in names) or str(record.get("name", "")).startswith(("locations/", "accounts/"))


# --- Business Profile ------------------------------------------------------------------------------------


def _location_id(record: Object) -> object:
    return record.get("storeCode") or str(record.get("name") or "").rpartition("/")[2]


def _read_location(calendar: StoreCalendar, record: Object) -> None:
    _read_periods(calendar, record.get("regularHours"), "regularHours", _business_period)
    special = record.get("specialHours")
    if special is not None:
        periods = special.get("specialHourPeriods", special.get("periods", [])) if isinstance(special, dict) else None
        for path, period in _each(calendar, periods, "specialHours.specialHourPeriods", "special"):
            _read_special(calendar, period, path)
    if record.get("moreHours"):
        calendar.notice("hours of departments and services are not used", "moreHours")
    _read_opening_date(calendar, record.get("openInfo"))
    calendar.add_attribute("name", record.get("title", record.get("locationName")))
    address = record.get("storefrontAddress", record.get("address"))
    if isinstance(address, dict):
        lines = address.get("addressLines")
        calendar.add_attribute("street", ", ".join(map(str, lines)) if isinstance(lines, list) else None)
        for name, attribute in (
            ("locality", "city"),
            ("administrativeArea", "region"),
            ("postalCode", "postcode"),
            ("regionCode", "country"),
        ):
            calendar.add_attribute(attribute, address.get(name))
    _add_point(calendar, record.get("latlng"))


def _business_period(period: Object) -> list[tuple[int, Opening]]:
    opens, closes = _weekday(period.get("openDay")), _weekday(period.get("closeDay"))
    return _in_week(opens, _time(period.get("openTime")), closes, _time(period.get("closeTime")))


def _weekday(value: object) -> int:
    if not isinstance(value, str) or value.casefold() not in WEEKDAYS:
        raise UnreadableError("day is {}; valid are MONDAY to SUNDAY", value)
    return WEEKDAYS.index(value.casefold())


def _time(value: object) -> int:
    """Read a time of day: an object, where zeros may be left out, or a text such as ``09:30``."""
    if isinstance(value, str) and (total := seconds(value)) is not None:
        return total
    if isinstance(value, dict):
        return _clock([value.get(part, 0) for part in ("hours", "minutes", "seconds")], value)
    raise UnreadableError("unreadable time {}", value)


def _clock(parts: list[object], shown_as: object) -> int:
    numbers = [f"{part:02}" for part in parts if isinstance(part, int) and not isinstance(part, bool)]
    total = seconds(":".join(numbers)) if len(numbers) == len(parts) else None
    if total is None:
        raise UnreadableError("unreadable time {}", shown_as)
    return total


def _read_special(calendar: StoreCalendar, period: Object, path: str) -> None:
    try:
        first = _date(period.get("startDate"))
    except UnreadableError as error:
        calendar.reject(error, period, path, kind="special")
        return
    try:
        last = _date(period["endDate"]) if period.get("endDate") else None
        calendar.add_date(first, _special_openings(period, first, last))
    except UnreadableError as error:
        calendar.reject(error, period, path, kind="special", days=[first])


def _special_openings(period: Object, first: date, last: date | None) -> list[Opening]:
    if period.get("closed") is True or period.get("isClosed") is True:
        if last not in (None, first):
            raise UnreadableError("closed dates {} are more than one", f"{first} to {last}")
        return []
    opens, closes = _time(period.get("openTime")), _time(period.get("closeTime"))
    if last is not None:
        closes += (last - first).days * DAY
    times = opening(opens, closes)
    if times is None or (last is not None and closes <= opens):
        raise UnreadableError("hours {} say nothing, or more than a day", period)
    return [times]


def _date(value: object) -> date:
    """Read a date: an object of numbers, or a text in ISO form."""
    try:
        if isinstance(value, dict):
            return date(value["year"], value["month"], value["day"])
        if isinstance(value, str):
            return date.fromisoformat(value)
    except (KeyError, TypeError, ValueError):
        pass
    raise UnreadableError("unreadable date {}", value)


def _read_opening_date(calendar: StoreCalendar, info: object) -> None:
    if not isinstance(info, dict):
        return
    if str(info.get("status", "")).startswith("CLOSED"):
        calendar.notice(
            f"it is {info['status'].lower().replace('_', ' ')}, without a date; its hours are used", "openInfo"
        )
    if info.get("openingDate"):
        try:
            calendar.add_attribute("first_day", _date(info["openingDate"]).isoformat())
        except UnreadableError as error:
            calendar.reject(error, info["openingDate"], "openInfo.openingDate", kind="stores")


# --- Places -----------------------------------------------------------------------------------------------


def _place_id(record: Object) -> object:
    return record.get("place_id") or record.get("id") or str(record.get("name") or "").rpartition("places/")[2]


def _read_place(calendar: StoreCalendar, record: Object) -> None:
    for name in ("regularOpeningHours", "opening_hours"):
        _read_periods(calendar, record.get(name), name, _place_period)
    for name, days in (("currentOpeningHours", "specialDays"), ("current_opening_hours", "special_days")):
        hours = record.get(name)
        if isinstance(hours, dict):
            _read_current(calendar, hours, name, days)
        elif hours is not None:
            calendar.reject(UnreadableError("hours are {}; valid is an object", hours), hours, name, kind="special")
    if record.get("regularSecondaryOpeningHours") or record.get("secondary_opening_hours"):
        calendar.notice("hours of departments and services are not used")
    status = str(record.get("businessStatus", record.get("business_status", "")))
    if status.startswith("CLOSED"):
        calendar.notice(f"it is {status.lower().replace('_', ' ')}, without a date; its hours are used")
    zone = record.get("timeZone")
    if isinstance(zone, dict) and isinstance(zone.get("id"), str):
        calendar.timezone = zone["id"]
    elif zone is not None:
        calendar.reject(UnreadableError("timeZone is {}; valid has an id", zone), zone, "timeZone", kind="timezones")
    title = record.get("displayName")
    calendar.add_attribute("name", title.get("text") if isinstance(title, dict) else record.get("name"))
    calendar.add_attribute("address", record.get("formattedAddress", record.get("formatted_address")))
    for component in _list(record.get("addressComponents", record.get("address_components"))):
        for kind in _list(component.get("types")) if isinstance(component, dict) else []:
            if attribute := _PARTS_OF_ADDRESSES.get(str(kind)):
                calendar.add_attribute(attribute, component.get("shortText", component.get("short_name")))
    _add_point(calendar, record.get("location"))


def _place_period(period: Object) -> list[tuple[int, Opening]]:
    opens, closes = period.get("open"), period.get("close")
    if not isinstance(opens, dict) or not isinstance(closes, dict):
        raise UnreadableError("period {} does not close", period)
    return _in_week(_place_day(opens), _place_time(opens), _place_day(closes), _place_time(closes))


def _place_day(point: Object) -> int:
    """Read a day, which is counted from Sunday."""
    day = point.get("day")
    if not isinstance(day, int) or isinstance(day, bool) or not 0 <= day <= 6:
        raise UnreadableError("day is {}; valid are 0 (Sunday) to 6 (Saturday)", day)
    return (day - 1) % 7


def _place_time(point: Object) -> int:
    text = point.get("time")
    if isinstance(text, str) and len(text) == 4 and (total := seconds(f"{text[:2]}:{text[2:]}")) is not None:
        return total
    if text is None and "hour" in point:
        return _clock([point["hour"], point.get("minute", 0)], point)
    raise UnreadableError("unreadable time {}", point)


def _is_always_open(periods: object) -> bool:
    """Return whether there is one period that opens on Sunday at midnight and never closes."""
    if not isinstance(periods, list) or len(periods) != 1 or not isinstance(periods[0], dict):
        return False
    opens = periods[0].get("open")
    try:
        is_start = isinstance(opens, dict) and (_place_day(opens), _place_time(opens)) == (6, 0)
    except UnreadableError:
        return False
    return is_start and periods[0].get("close") is None


def _read_current(calendar: StoreCalendar, hours: Object, name: str, days_name: str) -> None:
    """Read the hours of the coming days, as far as they are special."""
    for path, special in _each(calendar, hours.get(days_name, []), f"{name}.{days_name}", "special"):
        day = None
        try:
            day = _date(special.get("date"))
            calendar.add_date(day, _current_openings(hours.get("periods", []), day))
        except UnreadableError as error:
            calendar.reject(error, special, path, kind="special", days=[] if day is None else [day])


def _current_openings(periods: object, day: date) -> list[Opening]:
    if not isinstance(periods, list):
        raise UnreadableError("periods are {}; valid is a list", periods)
    if _is_always_open(periods):
        return [WHOLE_DAY]
    times = []
    for period in periods:
        opens, closes = (period.get(side) if isinstance(period, dict) else None for side in ("open", "close"))
        if not isinstance(opens, dict) or not isinstance(closes, dict):
            raise UnreadableError("period {} does not close", period)
        if _date(opens.get("date")) != day:
            continue
        if opens.get("truncated") or closes.get("truncated"):
            raise UnreadableError("period {} is truncated", period)
        closing_day = _date(closes.get("date"))
        opened = opening(_place_time(opens), _place_time(closes) + (closing_day - day) // timedelta(days=1) * DAY)
        if opened is None or closing_day < day:
            raise UnreadableError("period {} says nothing, or more than a day", period)
        times.append(opened)
    return times


# --- both -------------------------------------------------------------------------------------------------


def _read_periods(calendar: StoreCalendar, hours: object, name: str, read: Any) -> None:
    """Read the periods of a week; without any, nothing is said of it."""
    if hours is None:
        return
    periods = hours.get("periods", []) if isinstance(hours, dict) else None
    if read is _place_period and _is_always_open(periods):
        calendar.add_week((day, WHOLE_DAY) for day in range(7))
        return
    for path, period in _each(calendar, periods, f"{name}.periods", "hours"):
        try:
            calendar.add_week(read(period))
        except UnreadableError as error:
            calendar.reject(error, period, path)


def _each(calendar: StoreCalendar, periods: object, path: str, kind: Any) -> Iterator[tuple[str, Object]]:
    """Yield the objects of a list with their paths; reject what is not one."""
    if not isinstance(periods, list):
        calendar.reject(UnreadableError("periods are {}; valid is a list", periods), periods, path, kind=kind)
        return
    for number, period in enumerate(periods):
        if isinstance(period, dict):
            yield f"{path}[{number}]", period
        else:
            error = UnreadableError("period is {}; valid is an object", period)
            calendar.reject(error, period, f"{path}[{number}]", kind=kind)


def _in_week(opens: int, start: int, closes: int, end: int) -> list[tuple[int, Opening]]:
    """Return a period as openings by weekday; it may last several days."""
    length = (closes - opens) % 7 * DAY + end - start
    if start >= DAY or length <= 0:
        raise UnreadableError("the period closes before it opens, or opens at 24:00")
    pieces = openings(start, start + length)
    if pieces is None:
        raise UnreadableError("the period ends within its first minute")
    return [((opens + number) % 7, times) for number, times in pieces]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _add_point(calendar: StoreCalendar, point: object) -> None:
    if isinstance(point, dict):
        calendar.add_point(point.get("latitude"), point.get("longitude"))
