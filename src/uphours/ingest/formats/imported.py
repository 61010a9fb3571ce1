"""What an import says: rows of hours, special hours, zones and attributes, and what could not be used, with its place.

The rows are those of the input files, as text; what they mean for a schedule is decided where files are loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, Literal, NamedTuple, TypeAlias

from uphours.ingest.formats.wall_clock import Opening, start_and_end
from uphours.load_record import RAW_BYTES
from uphours.schema import EVERY_STORE_ID
from uphours.wire.values import STORE_ID_MAX_LENGTH

Kind: TypeAlias = Literal["hours", "special", "timezones", "stores"]
CLOSED: Final = "closed"
#: So much of a value stands in a reason.
_SHOWN: Final = 60
#: Dates of one range that are written as special hours; more is no exception but another week.
LONGEST_RANGE_DAYS: Final = 3660


class HoursRow(NamedTuple):
    """A row of ``hours.csv``."""

    store_id: str
    day: int
    start_time_local: str
    end_time_local: str
    valid_from: str


class SpecialHoursRow(NamedTuple):
    """A row of ``special.csv``; both times ``closed``: no session starts on the date."""

    store_id: str
    date: str
    start_time_local: str
    end_time_local: str
    name: str


class TimezoneRow(NamedTuple):
    """A row of ``timezones.csv``."""

    store_id: str
    timezone_str: str


class AttributeRow(NamedTuple):
    """A value of a store, such as its brand."""

    store_id: str
    name: str
    value: str


class Position(NamedTuple):
    """A place in a source: its name, the line or number of the record from 1 on, and the path inside of the record."""

    file: str
    line: int
    path: str = ""

    def at(self, path: str) -> Position:
        """Return a place inside of this one."""
        return self._replace(path=f"{self.path}.{path}" if self.path and path[:1] != "[" else self.path + path)


class RejectedRow(NamedTuple):
    """What could not be used: of which kind, where it stands, its first 4 kB as text, why; ``cause`` has no value.

    ``store_id`` is blank where it is not known, or where the store does not suffer from it.
    """

    kind: Kind
    position: Position
    store_id: str
    raw: str
    reason: str
    cause: str


class Notice(NamedTuple):
    """Something that a reader of the numbers should know, though nothing was rejected."""

    position: Position
    store_id: str
    text: str


class UnreadableError(ValueError):
    """A value that cannot be used; ``{}`` in the text stands for the value, and ``within`` is what it is a part of."""

    def __init__(self, text: str, value: object = "", within: str = "") -> None:
        self.cause = text.replace("{}", "…")
        self.reason = text.replace("{}", _quoted(value)) + (f", in {_quoted(within)}" if within else "")
        super().__init__(self.reason)

    def row(self, kind: Kind, position: Position, raw: object, store_id: str = "") -> RejectedRow:
        """Return what is rejected because of it."""
        text = (raw if isinstance(raw, str) else repr(raw))[:RAW_BYTES]
        # What cannot be written is escaped.
        text = text.encode("utf-8", "backslashreplace").decode()
        return RejectedRow(kind, position, store_id, text, self.reason, self.cause)


@dataclass
class Imported:
    """The rows that an import gives, and what it could not use.

    A week is used whole or not at all, and so are the special hours of a date: what cannot be read is never taken for
    closed. ``format``: of the source. ``stores`` are those that are described, with hours or without.
    """

    format: str = ""
    stores: list[str] = field(default_factory=list)
    hours: list[HoursRow] = field(default_factory=list)
    special_hours: list[SpecialHoursRow] = field(default_factory=list)
    timezones: list[TimezoneRow] = field(default_factory=list)
    attributes: list[AttributeRow] = field(default_factory=list)
    rejected: list[RejectedRow] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    @property
    def unknown_hours(self) -> list[str]:
        """The stores of which hours were given and none could be used; they are never always open."""
        return self._unusable("hours", self.hours)

    @property
    def unknown_timezones(self) -> list[str]:
        """The stores of which a zone was given and could not be used; their hours are unknown, too."""
        return self._unusable("timezones", self.timezones)

    def _unusable(self, kind: Kind, usable: Sequence[HoursRow | TimezoneRow]) -> list[str]:
        known = {row.store_id for row in usable}
        return sorted({row.store_id for row in self.rejected if row.kind == kind and row.store_id} - known)

    def add(self, other: Imported) -> None:
        """Add what another source says, of other stores."""
        self.stores += other.stores
        self.hours += other.hours
        self.special_hours += other.special_hours
        self.timezones += other.timezones
        self.attributes += other.attributes
        self.rejected += other.rejected
        self.notices += other.notices


class StoreCalendar:
    """What one record says of one store, while it is read."""

    def __init__(self, store_id: str, position: Position) -> None:
        self.store_id = store_id
        self.position = position
        self.timezone = ""
        self.rejected: list[RejectedRow] = []
        self.notices: list[Notice] = []
        self._attributes: dict[str, str] = {}
        self._weeks: dict[str, set[tuple[int, Opening]]] = {}
        self._dates: dict[date, dict[Opening | None, str]] = {}
        self._bad_dates: set[date] = set()

    @property
    def has_week(self) -> bool:
        """Whether weekly hours are known or were rejected."""
        return bool(self._weeks) or any(row.kind == "hours" for row in self.rejected)

    def add_week(self, openings: Iterable[tuple[int, Opening]], valid_from: str = "") -> None:
        """Add openings by weekday; a week without any is closed."""
        self._weeks.setdefault(valid_from, set()).update(openings)

    def add_date(self, day: date, openings: Iterable[Opening], name: str = "") -> None:
        """Add the openings of a date; none at all: it is closed."""
        times: list[Opening | None] = [*openings]
        self._dates.setdefault(day, {}).update(dict.fromkeys(times or [None], name))

    def add_attribute(self, name: str, value: object) -> None:
        """Add an attribute, if there is a value and it is a text or a number."""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return
        text = " ".join(str(value).split())
        if is_unicode(text) and text:
            self._attributes.setdefault(name, text)

    def add_point(self, latitude: object, longitude: object) -> None:
        """Add where the store is."""
        self.add_attribute("latitude", latitude)
        self.add_attribute("longitude", longitude)

    def reject(
        self, error: UnreadableError, raw: object, path: str, *, kind: Kind = "hours", days: Iterable[date] = ()
    ) -> None:
        """Reject a part of the record; of special hours the whole dates that it is about."""
        self._bad_dates.update(days)
        position = self.position.at(path) if path else self.position
        self.rejected.append(error.row(kind, position, raw, self.store_id))

    def notice(self, text: str, path: str = "") -> None:
        """Say something that a reader of the numbers should know."""
        self.notices.append(Notice(self.position.at(path) if path else self.position, self.store_id, text))

    def hours_rows(self) -> Iterator[HoursRow]:
        """Yield the rows of the weeks: none if a part of them was rejected."""
        if any(row.kind == "hours" for row in self.rejected):
            return
        for valid_from, week in sorted(self._weeks.items()):
            rows = [(day, *start_and_end(opening)) for day, opening in sorted(week)]
            for row in rows or [(day, CLOSED, CLOSED) for day in range(7)]:
                yield HoursRow(self.store_id, *row, valid_from)

    def special_rows(self) -> Iterator[SpecialHoursRow]:
        """Yield the rows of the dates; reject those that are open and closed."""
        for day, openings in sorted(self._dates.items()):
            if None in openings and len(openings) > 1:
                error = UnreadableError("the date {} is open and closed", day.isoformat())
                self.reject(error, day.isoformat(), "", kind="special", days=[day])
            if day in self._bad_dates:
                continue
            for opening, name in sorted(openings.items(), key=lambda item: item[0] or (0, 0)):
                times = (CLOSED, CLOSED) if opening is None else start_and_end(opening)
                yield SpecialHoursRow(self.store_id, day.isoformat(), *times, name)

    def attribute_rows(self) -> Iterator[AttributeRow]:
        """Yield the attributes."""
        for name, value in self._attributes.items():
            yield AttributeRow(self.store_id, name, value)


def collected(
    records: Iterable[StoreCalendar | RejectedRow], file: str, format: str, described: dict[str, Position]
) -> Imported:
    """Put together what the records of a source say; a store that is described twice is rejected the second time.

    ``described``: where stores are described already, in this source or in others; those of this one are added.
    """
    imported, without = Imported(format), list[str]()
    for record in records:
        if isinstance(record, RejectedRow):
            imported.rejected.append(record)
            continue
        if first := described.get(record.store_id):
            error = UnreadableError(
                f"store {{}} is described a second time; the first time is no. {first.line} of {first.file}",
                record.store_id,
            )
            error.cause = "a store is described twice"
            # Not under the id: the first description holds.
            imported.rejected.append(error.row("stores", record.position, record.store_id))
            continue
        described[record.store_id] = record.position
        imported.stores.append(record.store_id)
        imported.special_hours += record.special_rows()
        imported.hours += record.hours_rows()
        if record.timezone:
            imported.timezones.append(TimezoneRow(record.store_id, record.timezone))
        imported.attributes += record.attribute_rows()
        imported.rejected += record.rejected
        imported.notices += record.notices
        if not record.has_week:
            without.append(record.store_id)
    if without:
        few = ", ".join(without[:3]) + (", …" if len(without) > 3 else "")
        text = f"no weekly hours are given for {len(without)} of {len(imported.stores)} stores ({few})"
        imported.notices.append(Notice(Position(file, 0), "", f"{text}; a store without any counts as always open"))
    return imported


def store_id_of(value: object) -> str:
    """Return a store id, which is a text or a whole number."""
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise UnreadableError("store id is {}; valid are texts and whole numbers", value)
    text = str(value).strip()
    if not is_unicode(text) or not text.isprintable() or len(text) > STORE_ID_MAX_LENGTH:
        valid = f"valid are up to {STORE_ID_MAX_LENGTH} characters, and no control characters"
        raise UnreadableError(f"store id is {{}}; {valid}", text)
    if text == EVERY_STORE_ID:
        raise UnreadableError("store id is {}, which stands for every store", text)
    return text


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = "".join(sign if sign.isprintable() else "\ufffd" for sign in text[: _SHOWN + 1])
    return f"'{text[:_SHOWN]}{'…' if len(text) > _SHOWN else ''}'"


def is_unicode(text: str) -> bool:
    """Return whether a text can be written: halves of surrogate pairs cannot."""
    return text.encode("utf-8", "replace").decode() == text


def dates(first: date, last: date) -> list[date]:
    """Return all dates from the first to the last one.

    Raises
    ------
    UnreadableError
        The last one is before the first one, or they are more than ten years apart.
    """
    if not 0 <= (last - first).days <= LONGEST_RANGE_DAYS:
        raise UnreadableError("the dates {} are out of order, or over ten years apart", f"{first} to {last}")
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
