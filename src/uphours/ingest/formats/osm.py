"""OpenStreetMap: GeoJSON such as that of All the Places, answers of Overpass, CSV with ``opening_hours`` → our rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final

from uphours.errors import InputError
from uphours.ingest.formats.imported import Position, RejectedRow, StoreCalendar, UnreadableError, store_id_of
from uphours.ingest.formats.json_records import records
from uphours.ingest.formats.osm_grammar import rules
from uphours.ingest.formats.osm_rules import Schedule, schedule

#: Where an id is, in order of preference: ``ref`` is the operator's own number of a store.
_IDS: Final = ("store_id", "ref", "@id", "id")
_ATTRIBUTES: Final = {
    "name": "name",
    "branch": "branch",
    "brand": "brand",
    "operator": "operator",
    "addr:full": "address",
    "addr:city": "city",
    "addr:state": "region",
    "addr:postcode": "postcode",
    "addr:country": "country",
}


def calendars(text: str, file: str, period: tuple[date, date] | None) -> Iterator[StoreCalendar | RejectedRow]:
    """Yield what each feature, element or line says."""
    is_json = text.lstrip()[:1] in ("{", "[")
    for record in records(text, file, ("features", "elements")) if is_json else _lines(text, file):
        yield record if isinstance(record, RejectedRow) else _calendar(*record, period)


def schedule_of(text: str, period: tuple[date, date] | None = None) -> Schedule:
    """Read an ``opening_hours`` value; ``period`` is for what comes again each year.

    Raises
    ------
    UnreadableError
        It cannot be read, or it says no schedule. Nothing of it is used then.
    """
    return schedule(text, rules(text), period)


def _lines(text: str, file: str) -> Iterator[tuple[Position, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="")
    try:
        for row in reader:
            tags = {(name or "").strip().casefold(): value for name, value in row.items() if isinstance(value, str)}
            yield Position(file, reader.line_num), tags
    except csv.Error as error:
        raise InputError(f"{file} is no CSV from line {reader.line_num + 1} on: {error}") from None


def _calendar(
    position: Position, record: Mapping[str, Any], period: tuple[date, date] | None
) -> StoreCalendar | RejectedRow:
    tags = next((record[name] for name in ("properties", "tags") if isinstance(record.get(name), dict)), record)
    try:
        calendar = StoreCalendar(store_id_of(_id(record, tags)), position)
    except UnreadableError as error:
        return error.row("stores", position, record)
    _add_attributes(calendar, record, tags)
    text = tags.get("opening_hours")
    if text is None or text == "":
        return calendar
    try:
        if not isinstance(text, str):
            raise UnreadableError("opening_hours are {}; valid is a text", text)
        said = schedule_of(text, period)
    except UnreadableError as error:
        calendar.reject(error, text, "opening_hours")
        return calendar
    calendar.add_week(said.week)
    for day, openings, name in said.special:
        calendar.add_date(day, openings, name)
    for notice in said.notices:
        calendar.notice(notice, "opening_hours")
    return calendar


def _id(record: Mapping[str, Any], tags: Mapping[str, Any]) -> object:
    for name in _IDS:
        if tags.get(name) not in (None, ""):
            return tags[name]
    if record.get("type") in ("node", "way", "relation"):
        return f"{record['type']}/{record.get('id')}"
    return record.get("id")


def _add_attributes(calendar: StoreCalendar, record: Mapping[str, Any], tags: Mapping[str, Any]) -> None:
    for tag, name in _ATTRIBUTES.items():
        calendar.add_attribute(name, tags.get(tag))
    street = tags.get("addr:street_address") or " ".join(
        str(tags[tag]) for tag in ("addr:housenumber", "addr:street") if tags.get(tag)
    )
    calendar.add_attribute("street", street)
    geometry = record.get("geometry")
    point = geometry.get("coordinates") if isinstance(geometry, dict) and geometry.get("type") == "Point" else None
    if isinstance(point, list) and len(point) >= 2:
        calendar.add_point(point[1], point[0])
    calendar.add_point(record.get("lat"), record.get("lon"))
