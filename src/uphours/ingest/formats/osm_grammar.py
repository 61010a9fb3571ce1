"""The grammar of OpenStreetMap's ``opening_hours`` → rules.

Read is the part of the specification that says one thing everywhere, with the usual slips of spelling: small letters,
long names of days, a dash of another width. The rest is refused with the place where reading ended.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from datetime import date
from typing import Final

from uphours.ingest.formats.imported import UnreadableError
from uphours.ingest.formats.osm_rules import Between, MonthDay, Operator, Rule, Weeks, Yearly
from uphours.ingest.formats.wall_clock import DAY, WHOLE_DAY, Opening, opening, seconds

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS: Final = ("mo", "tu", "we", "th", "fr", "sa", "su")
_LEAP_YEAR: Final = 2024


def _word(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{pattern})\b", re.IGNORECASE)


_WEEKDAY: Final = _word(
    "mo(?:n(?:day)?)?|tu(?:e(?:s(?:day)?)?)?|we(?:d(?:nesday)?)?|th(?:u(?:r(?:s(?:day)?)?)?)?|fr(?:i(?:day)?)?"
    "|sa(?:t(?:urday)?)?|su(?:n(?:day)?)?"
)
_MONTH: Final = _word(
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|oct(?:ober)?"
    "|nov(?:ember)?|dec(?:ember)?"
)
_HOLIDAY: Final = _word("PH|SH")
_STATE: Final = _word("open|off|closed|unknown")
_EASTER: Final = _word("easter")
_WEEK: Final = re.compile(r"week(?![a-z])", re.IGNORECASE)
_SUN: Final = re.compile(r"\(?\s*(?:sunrise|sunset|dawn|dusk)\b", re.IGNORECASE)
_YEAR: Final = re.compile(r"(?:19|20)[0-9]{2}(?![0-9:])")
_MONTH_DAY: Final = re.compile(r"[0-9]{1,2}(?![0-9:.])")
_WEEKS: Final = re.compile(r"\s*([0-9]{1,2})(?:\s*-\s*([0-9]{1,2})(?:/([0-9]{1,2}))?)?(?![0-9:])\s*")
_CLOCK: Final = re.compile(r"[0-9]{1,2}:[0-9]{2}(?![0-9:])")
_NTH: Final = re.compile(r"\[([^\]]*)\]")
_BESIDE: Final = re.compile(r"\s*[+-]\s*[0-9]+\s*days?\b")
_COMMENT: Final = re.compile(r'"([^"]*)"')
_DASH: Final = re.compile(r"\s*-\s*")
_COMMA: Final = re.compile(r"\s*,\s*")


def rules(text: str) -> list[Rule]:
    """Read an ``opening_hours`` value.

    Raises
    ------
    UnreadableError
        It cannot be read, or a rule says no hours that a clock on the wall shows.
    """
    return _Parser(text).rules()


class _Parser:
    """Reads the rules of a text from left to right."""

    def __init__(self, text: str) -> None:
        self._whole = text
        self._text = " ".join(text.replace("–", "-").replace("—", "-").split())
        self._at = 0

    def rules(self) -> list[Rule]:
        """Read all rules."""
        if not self._text:
            raise UnreadableError("opening_hours are blank")
        rules = [self._rule(";")]
        while (operator := self._operator()) is not None:
            if self._is_at_end() and operator == ";":
                break  # a semicolon too many says nothing
            rules.append(self._rule(operator))
        if not self._is_at_end():
            raise self._unreadable("unreadable opening_hours from {} on")
        return rules

    def _operator(self) -> Operator | None:
        operators: tuple[Operator, ...] = (";", "||", ",")
        return next((operator for operator in operators if self._skip(operator)), None)

    def _rule(self, operator: Operator) -> Rule:
        start = self._at
        rule = Rule("", operator)
        if self._skip("24/7"):
            rule.times.append(WHOLE_DAY)
        else:
            self._read_dates(rule)
            self._skip(":")
            self._read_weekdays(rule)
            self._skip(":")
            self._read_times(rule)
        self._read_state(rule)
        rule.text = self._text[start : self._at].strip()
        self._check(rule)
        return rule

    def _check(self, rule: Rule) -> None:
        """Refuse a rule that is no schedule."""
        if not rule.text:
            raise self._unreadable("unreadable opening_hours from {} on")
        is_vague = rule.state == "unknown" or (bool(rule.comment) and not rule.state)
        if rule.operator == "||" and (is_vague or rule.state == "off"):
            return  # such as "by appointment": it adds no hours
        if rule.operator == "||":
            raise UnreadableError("fallback {} is not read", rule.text, self._whole)
        if rule.state == "unknown":
            raise UnreadableError("rule {} says that it is unknown", rule.text, self._whole)
        if is_vague:
            raise UnreadableError("rule {} depends on its comment", rule.text, self._whole)
        if not rule.times and not rule.state:
            raise UnreadableError("rule {} names no hours; valid are such as Mo-Fr 09:00-17:00", rule.text, self._whole)

    # --- dates

    def _read_dates(self, rule: Rule) -> None:
        while True:
            if self._take(_WEEK):
                self._read_weeks(rule)
            elif self._peek(_YEAR) or self._peek(_MONTH):
                self._read_date_range(rule)
            elif self._peek(_EASTER):
                raise self._unreadable("dates that move with Easter are not read: {}")
            else:
                return
            if self._peek_after(_COMMA, _YEAR) or self._peek_after(_COMMA, _MONTH):
                self._take(_COMMA)

    def _read_date_range(self, rule: Rule) -> None:
        year = self._year()
        if not self._peek(_MONTH):
            assert year is not None
            last = self._year() if self._take_before(_DASH, _YEAR) else year
            assert last is not None
            rule.dates.append(Between(date(year, 1, 1), date(last, 12, 31)))
        elif self._peek_after(_MONTH, _MONTH_DAY):
            self._read_days(rule, year, self._month())
        else:
            first = self._month()
            last = self._month() if self._take_before(_DASH, _MONTH) else first
            rule.dates.append(_months(year, first, last))
        if self._text.startswith(("+", "/", "-"), self._at):
            raise self._unreadable("unreadable dates {}")

    def _read_days(self, rule: Rule, year: int | None, month: int) -> None:
        """Read days of a month, each of which may begin a range."""
        while True:
            first = self._month_day(month)
            last_year, last = self._end_of_range(year, first)
            rule.dates.append(self._range(year, first, last_year, last))
            if not self._take_before(_COMMA, _MONTH_DAY):
                return

    def _range(self, year: int | None, first: MonthDay, last_year: int | None, last: MonthDay) -> Yearly | Between:
        if year is None and last_year is None:
            return Yearly(first, last)
        if year is None or last_year is None:
            raise self._unreadable("unreadable dates before {}")
        if last_year == year and last < first:
            last_year += 1
        try:
            return Between(date(year, *first), date(last_year, *last))
        except ValueError:
            raise self._unreadable("there is no such day of that month before {}") from None

    def _end_of_range(self, year: int | None, first: MonthDay) -> tuple[int | None, MonthDay]:
        """Read what follows the first day of a range: nothing, a day, a month and a day, or a year with both."""
        if self._peek_after(_DASH, _YEAR) or self._peek_after(_DASH, _MONTH):
            self._take(_DASH)
            last_year = self._year()
            return last_year or year, self._month_day(self._month())
        if self._take_before(_DASH, _MONTH_DAY):
            last = self._month_day(first[0])
            if last < first:
                raise self._unreadable("the days of a month are out of order before {}")
            return year, last
        return year, first

    def _year(self) -> int | None:
        match = self._take(_YEAR)
        return int(match[0]) if match else None

    def _month(self) -> int:
        match = self._take(_MONTH)
        if match is None:
            raise self._unreadable("unreadable dates {}")
        return _MONTHS.index(match[0].casefold()[:3]) + 1

    def _month_day(self, month: int) -> MonthDay:
        match = self._take(_MONTH_DAY)
        if match is None or not 1 <= int(match[0]) <= calendar.monthrange(_LEAP_YEAR, month)[1]:
            raise self._unreadable("there is no such day of a month before {}")
        return month, int(match[0])

    def _read_weeks(self, rule: Rule) -> None:
        while match := self._take(_WEEKS):
            weeks = Weeks(int(match[1]), int(match[2] or match[1]), int(match[3] or 1))
            if not 1 <= weeks.first <= weeks.last <= 53 or not weeks.step:
                raise self._unreadable("there are no such weeks before {}")
            rule.weeks.append(weeks)
            if not self._take_before(_COMMA, _WEEKS):
                return
        raise self._unreadable("unreadable weeks {}")

    # --- weekdays

    def _read_weekdays(self, rule: Rule) -> None:
        while True:
            if holiday := self._take(_HOLIDAY):
                rule.holidays.add(holiday[0].upper())
            elif self._peek(_WEEKDAY):
                self._read_weekday_range(rule)
            else:
                return
            if self._peek(_BESIDE):
                raise self._unreadable("days beside other days are not read: {}")
            if self._take_before(_COMMA, _WEEKDAY) or self._take_before(_COMMA, _HOLIDAY):
                continue
            if self._peek(_WEEKDAY) or self._peek(_HOLIDAY):
                raise self._unreadable("holidays that fall on a weekday are not read: {}")
            return

    def _read_weekday_range(self, rule: Rule) -> None:
        first = self._weekday()
        if nth := self._take(_NTH):
            rule.nth |= {(first, number) for number in self._nth_numbers(nth[1])}
            return
        last = self._weekday() if self._take_before(_DASH, _WEEKDAY) else first
        rule.weekdays |= {(first + number) % 7 for number in range((last - first) % 7 + 1)}

    def _weekday(self) -> int:
        match = self._take(_WEEKDAY)
        if match is None:
            raise self._unreadable("unreadable weekdays {}")
        return _WEEKDAYS.index(match[0].casefold()[:2])

    def _nth_numbers(self, text: str) -> Iterator[int]:
        for part in text.replace(" ", "").split(","):
            match = re.fullmatch(r"(-?[1-5])(?:-([1-5]))?", part)
            if match is None or (match[2] and not 1 <= int(match[1]) <= int(match[2])):
                raise self._unreadable("unreadable weekdays of a month before {}")
            yield from range(int(match[1]), int(match[2] or match[1]) + 1)

    # --- times and states

    def _read_times(self, rule: Rule) -> None:
        while True:
            if self._peek(_SUN):
                raise self._unreadable("times that follow the sun are not read: {}")
            if not self._peek(_CLOCK):
                return
            rule.times.append(self._time_range())
            if not self._take_before(_COMMA, _CLOCK) and not self._take_before(_COMMA, _SUN):
                return

    def _time_range(self) -> Opening:
        start = self._clock()
        if self._text.startswith("+", self._at):
            raise self._unreadable("hours without an end are not read: {}")
        if not self._take(_DASH):
            raise self._unreadable("a time without an end is not read: {}")
        if self._peek(_SUN):
            raise self._unreadable("times that follow the sun are not read: {}")
        end = self._clock()
        if self._text.startswith(("+", "/"), self._at):
            raise self._unreadable("hours without an end are not read: {}")
        times = opening(start, end)
        if times is None:
            raise self._unreadable("hours that end when they begin, or last more than a day, before {}")
        return times

    def _clock(self) -> int:
        match = self._take(_CLOCK)
        total = seconds(match[0], latest=2 * DAY) if match else None
        if total is None:
            raise self._unreadable("unreadable time {}")
        return total

    def _read_state(self, rule: Rule) -> None:
        if match := self._take(_STATE):
            state = match[0].casefold()
            rule.state = "off" if state == "closed" else state
        if comment := self._take(_COMMENT):
            rule.comment = comment[1].strip()
            if not rule.comment:
                raise self._unreadable("blank comment before {}")

    # --- the text: patterns are tried where reading is, behind blanks

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        at = self._at
        while self._text.startswith(" ", at):
            at += 1
        return pattern.match(self._text, at)

    def _peek(self, pattern: re.Pattern[str]) -> bool:
        return self._match(pattern) is not None

    def _peek_after(self, first: re.Pattern[str], pattern: re.Pattern[str]) -> bool:
        match = self._match(first)
        if match is None:
            return False
        at, self._at = self._at, match.end()
        is_next = self._peek(pattern)
        self._at = at
        return is_next

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = self._match(pattern)
        if match is not None:
            self._at = match.end()
        return match

    def _take_before(self, first: re.Pattern[str], pattern: re.Pattern[str]) -> bool:
        """Take a sign if the pattern comes next; return whether it does."""
        return self._peek_after(first, pattern) and self._take(first) is not None

    def _skip(self, text: str) -> bool:
        match = self._take(re.compile(re.escape(text)))
        return match is not None

    def _is_at_end(self) -> bool:
        return not self._text[self._at :].strip()

    def _unreadable(self, text: str) -> UnreadableError:
        return UnreadableError(text, self._text[self._at :].strip() or "the end", self._whole)


def _months(year: int | None, first: int, last: int) -> Yearly | Between:
    if year is None:
        return Yearly((first, 1), (last, calendar.monthrange(_LEAP_YEAR, last)[1]))
    last_year = year + (last < first)
    return Between(date(year, first, 1), date(last_year, last, calendar.monthrange(last_year, last)[1]))
