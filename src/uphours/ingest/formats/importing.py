"""A file of any format → what it says of opening hours; which format it has is seen in the file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from uphours.errors import InputError
from uphours.ingest.formats import google, osm, schema_org
from uphours.ingest.formats.imported import Imported, Position, RejectedRow, StoreCalendar, collected
from uphours.ingest.formats.json_records import text_of

Format: TypeAlias = Literal["google", "schema.org", "osm", "icalendar"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
_GOOGLE: Final = {
    "locations", "regularHours", "specialHours", "storeCode", "places", "regularOpeningHours", "currentOpeningHours",
    "place_id", "business_status", "result", "results",
}  # fmt: skip
_SCHEMA_ORG: Final = {"@context", "@graph", "@type", *schema_org.HOURS}
_OSM: Final = {"features", "elements", "properties", "tags", "opening_hours"}


def import_hours(
    source: Path | str | bytes,
    format: Format | None = None,
    *,
    name: str = "",
    store_id: str = "",
    period: tuple[date, date] | None = None,
    described: dict[str, Position] | None = None,
) -> Imported:
    """Read a foreign description of opening hours.

    Parameters
    ----------
    source
        A path, or the content of a file.
    format
        One of `FORMATS`; None: it is seen in the content.
    name
        What the source is called in places and messages; a path has its own name.
    store_id
        The store that a calendar is about, and nothing else; the name of its file without the ending, if none is given.
    period
        The first and the last date for which rules that come again each year are written as special hours.
    described
        Where other sources describe stores, which are rejected here; those of this source are added.

    Returns
    -------
    Imported
        Rows, what was rejected, and notices. Weeks and dates are used whole or not at all.

    Raises
    ------
    InputError
        The source cannot be read at all, or it has none of the formats; or a store is named that it names itself.
    """
    stem = ""
    if isinstance(source, bytes):
        content, name = source, name or "input"
    else:
        path = Path(source)
        name, stem = name or path.name, path.stem
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from None
    text = text_of(content, name)
    if format is None:
        format = format_of(text, name)
    elif format not in FORMATS:
        raise InputError(f"there is no format {format!r}; valid are {', '.join(FORMATS)}")
    if store_id and format != "icalendar":
        raise InputError(f"{name} names its stores itself; a store id ({store_id}) is for a calendar")
    records = _records(text, name, format, store_id or stem, period)
    return collected(records, name, format, {} if described is None else described)


def _records(
    text: str, name: str, format: Format, store_id: str, period: tuple[date, date] | None
) -> Iterable[StoreCalendar | RejectedRow]:
    match format:
        case "google":
            return google.calendars(text, name)
        case "schema.org":
            return schema_org.calendars(text, name)
        case "osm":
            return osm.calendars(text, name, period)
        case "icalendar":
            try:
                from uphours.ingest.formats import icalendar
            except ImportError:
                raise InputError("calendars need the extra: pip install 'uphours[calendars]'") from None
            return icalendar.calendars(text, name, store_id, period)


def format_of(text: str, name: str) -> Format:
    """Return the format of a text.

    Raises
    ------
    InputError
        It is not one of the formats that are read.
    """
    start = text.lstrip()[:200].upper()
    problem = "has no format of opening hours that is known" if start else "is empty"
    if start.startswith("BEGIN:VCALENDAR"):
        return "icalendar"
    if start.startswith(("{", "[")):
        keys = _keys(text)
        # An opening_hours that is an object is Google's, one that is a text is OpenStreetMap's.
        candidates: list[tuple[Format, set[str]]] = [("schema.org", _SCHEMA_ORG), ("google", _GOOGLE), ("osm", _OSM)]
        for candidate, names in candidates:
            if not keys.isdisjoint(names):
                return candidate
    elif not start.startswith("<") and "opening_hours" in _header(text):
        return "osm"
    valid = "Google's JSON, schema.org as JSON-LD, GeoJSON, Overpass JSON, CSV with opening_hours, iCalendar"
    hint = "; of a web page save the JSON-LD alone" if start.startswith("<") else ""
    raise InputError(f"{name} {problem}; valid are {valid}{hint}")


def _keys(text: str) -> set[str]:
    """Return the names of the first object of a JSON text, or of its first line."""
    for part in (text, text.lstrip().partition("\n")[0]):
        try:
            value = json.loads(part)
        except (ValueError, RecursionError):
            continue
        first = value[0] if isinstance(value, list) and value else value
        return set(first) if isinstance(first, dict) else set()
    return set()


def _header(text: str) -> list[str]:
    try:
        first = next(csv.reader(io.StringIO(text, newline="")), [])
    except csv.Error:
        return []
    return [name.strip().casefold() for name in first]
