"""One event of a calendar → what it says of opening hours. Clocks on the wall are compared, never elapsed time.

Libraries evaluate repetitions in elapsed time or in their own reading of a clock change; so the parsed event is read
here, and its library only lists the dates of repetitions that are not weekly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from ical.event import Event, EventStatus
from ical.types.recur import Frequency, Recur

from uphours.errors import InputError
from uphours.ingest.formats.dated_weeks import END_OF_DATES, Validity
from uphours.ingest.formats.imported import UnreadableError, dates
from uphours.ingest.formats.wall_clock import DAY, WHOLE_DAY, Opening, openings
from uphours.kernel.local_time import timezone

ONE_DAY: Final = timedelta(days=1)
_CLOSED: Final = re.compile(
    r"\b(closed|closure|closing day|geschlossen|ferm[ée]e?|cerrado|chiuso|gesloten)\b", re.IGNORECASE
)
_OPEN: Final = re.compile(r"\b(open|24/7|24 hours|24h)\b", re.IGNORECASE)
_WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_ALL_DAYS: Final = frozenset(range(7))
#: How long ahead an exact duration is compared with the clock on the wall, where no period is named.
_AHEAD_DAYS: Final = 731


@dataclass
class Meaning:
    """What the events of a calendar say together.

    Each weekly part, opening and closure comes with the id of its event, and not on the dates ``removed`` of it.
    """

    weekly: list[tuple[str, Validity]] = field(default_factory=list)
    openings: list[tuple[str, date, Opening, str]] = field(default_factory=list)
    closures: list[tuple[str, date, str]] = field(default_factory=list)
    removed: dict[str, set[date]] = field(default_factory=dict)


class EventReader:
    """Reads events of one calendar, whose zone is known by name or not at all."""

    def __init__(self, zone: str, period: tuple[date, date] | None) -> None:
        self.meaning = Meaning()
        self._zone = zone
        self._period = period

    def read(self, event: Event, raw: str) -> str:
        """Add what an event says; return a notice where it says nothing.

        Raises
        ------
        UnreadableError
            It cannot be read as an opening or a closed day; nothing of it is used.
        """
        if event.recurrence_id is not None:
            # The very occurrence is replaced, or it is cancelled.
            self._remove(event.uid, [self._recurrence_day(event)])
        if event.status == EventStatus.CANCELLED:
            return "" if event.recurrence_id is not None else "a cancelled event is not used"
        if event.status == EventStatus.TENTATIVE:
            raise UnreadableError("the event {} is tentative", event.summary or "")
        if event.dtstart is None:
            raise UnreadableError("the event {} has no DTSTART", event.summary or "")
        if isinstance(event.dtstart, datetime):
            self._read_opening(event, event.dtstart, raw)
            return ""
        return self._read_days(event, event.dtstart)

    def days_of(self, event: Event) -> list[date] | None:
        """Return the dates that a rejected event is about; None: more than single ones, or unknown."""
        if event.dtstart is None or event.rdate or (event.rrule is not None and self._is_weekly(event.rrule)):
            return None
        is_timed = isinstance(event.dtstart, datetime)
        if event.rrule is not None:
            return None if is_timed else []
        try:
            first = self._wall(event.dtstart).date() if isinstance(event.dtstart, datetime) else event.dtstart
            last = self._wall(event.dtend).date() if isinstance(event.dtend, datetime) else event.dtend or first
            return dates(first, max(first, last if is_timed else last - ONE_DAY))
        except (UnreadableError, OverflowError):
            return None

    # --- events at times of day

    def _read_opening(self, event: Event, start_at: datetime, raw: str) -> None:
        summary = event.summary or ""
        if _CLOSED.search(summary):
            raise UnreadableError("the event {} closes for a part of a day; write special hours for it", summary)
        start = self._wall(start_at)
        uid = "" if event.recurrence_id is not None else event.uid
        if event.rrule is None:
            for at in [start, *map(self._wall_of_rdate, event.rdate)]:
                self._add_single(uid, at, self._end(event, at, start, raw), summary)
        elif self._is_foreign(start_at):
            raise UnreadableError(f"the event {{}} repeats in another zone than the calendar, {self._zone}", summary)
        elif (weekdays := self._weekdays(event.rrule, start.date())) is not None:
            if event.rdate:
                raise UnreadableError("the event {} repeats each week and has RDATE", summary)
            self._add_weekly(event, start, weekdays, raw)
        else:
            for at in self._repetitions(event.rrule, start):
                self._add_single(uid, at, self._end(event, at, start, raw), summary)
        self._remove(event.uid, [self._wall_day(value) for value in event.exdate])

    def _add_single(self, uid: str, start: datetime, end: datetime, name: str) -> None:
        for number, times in _pieces(start, end):
            self.meaning.openings.append((uid, start.date() + number * ONE_DAY, times, name))

    def _add_weekly(self, event: Event, start: datetime, weekdays: frozenset[int], raw: str) -> None:
        assert event.rrule is not None
        end = self._end(event, start, start, raw, is_nominal=True)
        pieces = _pieces(start, end)
        if len(pieces) != 1:
            raise UnreadableError("the event {} is longer than a day and repeats", event.summary or "")
        ((_, times),) = pieces
        last = self._last(event.rrule, start, weekdays)
        part = Validity(start.date(), last, weekdays, tuple((day, times) for day in sorted(weekdays)))
        self._check_durations(event, part, start, end, raw)
        self.meaning.weekly.append((event.uid, part))

    def _check_durations(self, event: Event, part: Validity, start: datetime, end: datetime, raw: str) -> None:
        """Where a duration is exact, add the occurrences whose end the clock on the wall shows otherwise."""
        if event.duration is None or not self._zone or part.first is None:
            return
        first, last = self._period or (part.first, part.first + _AHEAD_DAYS * ONE_DAY)
        for day in dates(first, last) if first <= last else []:
            if not part.has(day) or day.weekday() not in part.weekdays:
                continue
            at = datetime.combine(day, start.time())
            exact = self._end(event, at, start, raw)
            if exact - at == end - start:
                continue
            if self._period is None:
                reason = f"DURATION {{}} ends at another time of day on {day}; name the dates to write it for"
                raise UnreadableError(reason, str(event.duration))
            self._remove(event.uid, [day])
            self._add_single("", at, exact, event.summary or "")

    def _end(self, event: Event, at: datetime, start: datetime, raw: str, *, is_nominal: bool = False) -> datetime:
        """Return when an occurrence ends on the wall: DTEND is a time of day, and DURATION elapsed time."""
        if isinstance(event.dtend, datetime):
            return at + (self._wall(event.dtend) - start)
        if event.duration is None:
            raise UnreadableError("the event {} has no end", event.summary or "")
        is_in_days = re.search(r"^DURATION[^:]*:\+?P[0-9]+[DW]\s*$", raw, re.MULTILINE | re.IGNORECASE) is not None
        if is_nominal or is_in_days or not self._zone:
            return at + event.duration
        rules = self._rules()
        end = (at.replace(tzinfo=rules).astimezone(UTC) + event.duration).astimezone(rules)
        if end.fold:
            raise UnreadableError("{} is the second time that the clock shows the end", end.isoformat())
        return end.replace(tzinfo=None)

    # --- events of whole days

    def _read_days(self, event: Event, first: date) -> str:
        summary = event.summary or ""
        is_closed, is_open = _CLOSED.search(summary) is not None, _OPEN.search(summary) is not None
        if is_closed == is_open:
            if event.transparency == "TRANSPARENT" and not is_closed:
                return f"'{summary}' is a note of whole days and not used"
            raise UnreadableError("the event of whole days {} says neither closed nor open", summary)
        uid = "" if event.recurrence_id is not None else event.uid
        count = self._count_of_days(event, first)
        starts = [first]
        if event.rrule is not None:
            weekdays = self._weekdays(event.rrule, first)
            if is_open and weekdays is not None and count == 1:
                last = self._last(event.rrule, datetime.combine(first, time()), weekdays)
                part = Validity(first, last, weekdays, tuple((day, WHOLE_DAY) for day in sorted(weekdays)))
                self.meaning.weekly.append((event.uid, part))
                starts = []
            else:
                starts = [at.date() for at in self._repetitions(event.rrule, datetime.combine(first, time()))]
        starts += [self._wall_day(value) for value in event.rdate if isinstance(value, date)]
        for start in starts:
            for day in dates(start, start + (count - 1) * ONE_DAY):
                if is_closed:
                    self.meaning.closures.append((uid, day, summary))
                else:
                    self.meaning.openings.append((uid, day, WHOLE_DAY, summary))
        removed = [self._wall_day(value) for value in event.exdate]
        self._remove(event.uid, [day + number * ONE_DAY for day in removed for number in range(count)])
        return ""

    def _count_of_days(self, event: Event, first: date) -> int:
        if event.dtend is not None:
            count = (event.dtend - first).days
        else:
            count = 1 if event.duration is None else event.duration.days
        if count < 1:
            raise UnreadableError("the event {} ends before it starts", event.summary or "")
        return count

    # --- repetitions

    def _is_weekly(self, rule: Recur) -> bool:
        others = (rule.by_month_day, rule.by_month, rule.by_setpos, rule.by_year_day, rule.by_week_no)
        are_plain = all(day.occurrence is None for day in rule.by_weekday)
        return rule.freq in (Frequency.DAILY, Frequency.WEEKLY) and rule.interval == 1 and are_plain and not any(others)

    def _weekdays(self, rule: Recur, first: date) -> frozenset[int] | None:
        """Return the weekdays of a rule that holds each week; None: it is another rule."""
        if rule.by_hour or rule.by_minute or rule.by_second:
            raise UnreadableError("repetitions within a day are not read: {}", rule.as_rrule_str())
        if not self._is_weekly(rule):
            return None
        weekdays = frozenset(_WEEKDAYS.index(day.weekday.value) for day in rule.by_weekday)
        if not weekdays:
            weekdays = _ALL_DAYS if rule.freq == Frequency.DAILY else frozenset([first.weekday()])
        if first.weekday() not in weekdays:
            raise UnreadableError("DTSTART is on none of the days of its rule: {}", rule.as_rrule_str())
        return weekdays

    def _last(self, rule: Recur, start: datetime, weekdays: frozenset[int]) -> date | None:
        """Return the last date of a weekly rule; None: it does not end."""
        if rule.count is not None:
            days = sorted(weekdays)
            weeks, number = divmod(days.index(start.weekday()) + rule.count - 1, len(days))
            if weeks >= (END_OF_DATES - start.year) * 52:
                return None
            return start.date() + timedelta(days=days[number] - start.weekday(), weeks=weeks)
        if rule.until is None:
            return None
        until = self._wall(rule.until) if isinstance(rule.until, datetime) else datetime.combine(rule.until, time.max)
        if until.year >= END_OF_DATES:
            return None
        last = until.date() if until.time() >= start.time() else until.date() - ONE_DAY
        if last < start.date():
            raise UnreadableError("the rule ends before it starts: {}", rule.as_rrule_str())
        return last

    def _repetitions(self, rule: Recur, start: datetime) -> list[datetime]:
        """Return the occurrences of any other rule within the period."""
        if self._period is None:
            raise UnreadableError("{} is not weekly; name the dates to write it for", rule.as_rrule_str())
        is_bounded = rule.freq in (Frequency.MONTHLY, Frequency.YEARLY) or not rule.by_month + rule.by_month_day
        if rule.freq not in (Frequency.DAILY, Frequency.WEEKLY, Frequency.MONTHLY, Frequency.YEARLY) or not is_bounded:
            raise UnreadableError("the rule is not read: {}", rule.as_rrule_str())
        until = rule.until
        if isinstance(until, datetime):
            until = self._wall(until)
        elif until is not None:
            until = datetime.combine(until, time.max)
        try:
            wall = rule.model_copy(update={"until": until}).as_rrule(start)
            first, last = (
                datetime.combine(day, edge) for day, edge in zip(self._period, (time.min, time.max), strict=True)
            )
            return list(wall.between(first, last, inc=True))
        except (ValueError, TypeError, OverflowError):
            raise UnreadableError("the rule is not read: {}", rule.as_rrule_str()) from None

    def _remove(self, uid: str, days: list[date]) -> None:
        if days:
            self.meaning.removed.setdefault(uid, set()).update(days)

    def _recurrence_day(self, event: Event) -> date:
        assert event.recurrence_id is not None
        text = str(event.recurrence_id)
        try:
            at = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) if text.endswith("Z") else None
            day = date.fromisoformat(text[:8])
        except ValueError:
            raise UnreadableError("RECURRENCE-ID is {}; valid is the start of an occurrence", text) from None
        return day if at is None else self._wall(at).date()

    # --- clocks

    def _rules(self) -> ZoneInfo:
        try:
            return timezone(self._zone)
        except InputError:
            text = "the zone of the calendar is {}; valid are IANA names such as America/Chicago"
            raise UnreadableError(text, self._zone) from None

    def _is_foreign(self, at: datetime) -> bool:
        """Return whether a time is of another zone than the calendar's."""
        if at.tzinfo is None:
            return False
        key = getattr(at.tzinfo, "key", None)
        if key is None and at.tzinfo is not UTC:
            return False  # a zone that the calendar defines
        return (key or "Etc/UTC") != self._zone

    def _wall(self, at: datetime) -> datetime:
        """Return what the clock of the calendar's zone shows."""
        if not self._is_foreign(at):
            return at.replace(tzinfo=None)
        rules = self._rules()
        shown = at.astimezone(UTC).astimezone(rules)
        if shown.fold:
            raise UnreadableError("{} is the second time that the clock shows it", shown.isoformat())
        return shown.replace(tzinfo=None)

    def _wall_day(self, value: date) -> date:
        return self._wall(value).date() if isinstance(value, datetime) else value

    def _wall_of_rdate(self, value: object) -> datetime:
        if not isinstance(value, datetime):
            raise UnreadableError("RDATE is {}; valid are timestamps", str(value))
        return self._wall(value)


def _pieces(start: datetime, end: datetime) -> list[tuple[int, Opening]]:
    """Return an occurrence as openings of its dates."""
    midnight = datetime.combine(start.date(), time())
    first, last = (int((moment - midnight).total_seconds()) for moment in (start, end))
    pieces = openings(first, last) if 0 < last - first <= 366 * DAY else None
    if pieces is None:
        raise UnreadableError("the event ends before it starts, or after more than a year: {}", f"{start} to {end}")
    return pieces
