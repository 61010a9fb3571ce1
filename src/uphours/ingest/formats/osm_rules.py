"""What rules of OpenStreetMap's ``opening_hours`` say of weekdays and dates.

What depends on the sun, on school holidays, on a phone call or on how long guests stay is not a schedule: the text is
rejected, with the rule that says so. Night hours belong to the date on which they start, whatever the next date says.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, NamedTuple, TypeAlias

from uphours.ingest.formats.imported import UnreadableError, dates
from uphours.ingest.formats.wall_clock import DAY, WHOLE_DAY, Opening, without

MonthDay: TypeAlias = tuple[int, int]
Operator: TypeAlias = Literal[";", ",", "||"]


class Yearly(NamedTuple):
    """A range of dates that comes again each year, both ends included; it may reach into the next year."""

    first: MonthDay
    last: MonthDay

    def has(self, day: date) -> bool:
        """Return whether a date lies in it."""
        at = (day.month, day.day)
        return self.first <= at <= self.last if self.first <= self.last else at >= self.first or at <= self.last


class Between(NamedTuple):
    """A range of dates that comes once, both ends included."""

    first: date
    last: date

    def has(self, day: date) -> bool:
        """Return whether a date lies in it."""
        return self.first <= day <= self.last


class Weeks(NamedTuple):
    """ISO weeks by number, each n-th one from the first to the last."""

    first: int
    last: int
    step: int

    def has(self, day: date) -> bool:
        """Return whether a date lies in one of them."""
        week = day.isocalendar().week
        return self.first <= week <= self.last and (week - self.first) % self.step == 0


@dataclass
class Rule:
    """One rule: on which dates and weekdays what holds; no dates are all dates, and no weekdays all of them."""

    text: str
    operator: Operator
    dates: list[Yearly | Between] = field(default_factory=list)
    weeks: list[Weeks] = field(default_factory=list)
    weekdays: set[int] = field(default_factory=set)
    nth: set[tuple[int, int]] = field(default_factory=set)
    holidays: set[str] = field(default_factory=set)
    times: list[Opening] = field(default_factory=list)
    state: str = ""
    comment: str = ""

    @property
    def is_for_holidays_only(self) -> bool:
        """Whether it is about public or school holidays and nothing else."""
        return bool(self.holidays) and not self.weekdays and not self.nth

    @property
    def is_weekly(self) -> bool:
        """Whether it holds in every week."""
        return not self.dates and not self.weeks and not self.nth

    @property
    def is_bounded(self) -> bool:
        """Whether it is about dates that come once."""
        return bool(self.dates) and all(isinstance(part, Between) for part in self.dates)

    def has_weekday(self, weekday: int) -> bool:
        """Return whether a weekly rule is about a weekday."""
        return not self.weekdays or weekday in self.weekdays

    def has(self, day: date) -> bool:
        """Return whether it is about a date."""
        if self.dates and not any(part.has(day) for part in self.dates):
            return False
        if self.weeks and not any(part.has(day) for part in self.weeks):
            return False
        is_any_day = not self.weekdays and not self.nth
        return is_any_day or day.weekday() in self.weekdays or not self.nth.isdisjoint(_nths(day))


class SpecialDate(NamedTuple):
    """A date that differs from its weekday."""

    day: date
    openings: list[Opening]
    name: str


@dataclass
class Schedule:
    """What a text says: the week, the dates that differ from it, and notices."""

    week: list[tuple[int, Opening]]
    special: list[SpecialDate]
    notices: list[str]


def schedule(text: str, rules: Sequence[Rule], period: tuple[date, date] | None = None) -> Schedule:
    """Return what the rules of a text say together.

    Parameters
    ----------
    period
        The first and last date for which rules that come again each year are written as special hours.

    Raises
    ------
    UnreadableError
        It cannot be read, or it says no schedule. Nothing of it is used then.
    """
    notices = _notices(rules)
    usable = [rule for rule in rules if not rule.is_for_holidays_only and rule.operator != "||"]
    weekly = [rule for rule in usable if rule.is_weekly]
    endless = [rule for rule in usable if not rule.is_weekly and not rule.is_bounded]
    if not any(_is_ordinary(rule) for rule in [*weekly, *endless]):
        raise UnreadableError("opening_hours {} say nothing of ordinary days", text)
    if endless and period is None:
        raise UnreadableError("rule {} comes again each year; name the dates to write it for", endless[0].text)
    _check_holes(usable)
    week = [_of_weekday(weekly, weekday) for weekday in range(7)]
    special = [
        SpecialDate(day, openings, name)
        for day in _special_days(usable, endless, period)
        for openings, name in [_of_date(usable, day)]
        if openings != week[day.weekday()]
    ]
    if endless and period is not None:
        notices.append(f"rules that come again each year are written from {period[0]} to {period[1]} only")
    return Schedule([(day, times) for day, all_times in enumerate(week) for times in all_times], special, notices)


def _is_ordinary(rule: Rule) -> bool:
    """Return whether a rule says when a store is open, or that it never is."""
    return rule.state != "off" or (rule.is_weekly and not rule.weekdays and not rule.times)


def _notices(rules: Sequence[Rule]) -> list[str]:
    """Return notices without values, the same for all stores, so that they can be counted."""
    holidays = {"PH": "public", "SH": "school"}
    notices = [
        f"hours of {kind} holidays are not used; write special hours for them"
        for name, kind in holidays.items()
        if any(name in rule.holidays for rule in rules)
    ]
    if any(rule.operator == "||" for rule in rules):
        notices.append("a fallback ('||') is not used")
    return notices


def _check_holes(rules: Sequence[Rule]) -> None:
    """Refuse closed hours beside night hours: whose night they cut is not said."""
    has_nights = any(end > DAY for rule in rules if rule.state != "off" for _, end in rule.times)
    for rule in rules:
        if rule.state == "off" and rule.times and (has_nights or any(end > DAY for _, end in rule.times)):
            raise UnreadableError("rule {} closes for some hours beside hours past midnight", rule.text)


def _special_days(rules: Sequence[Rule], endless: Sequence[Rule], period: tuple[date, date] | None) -> list[date]:
    ranges = [part for rule in rules for part in rule.dates if isinstance(part, Between)]
    days = {day for part in ranges for day in dates(*part)}
    if endless and period is not None:
        days.update(day for day in dates(*period) if any(rule.has(day) for rule in endless))
    return sorted(days)


def _of_weekday(rules: Iterable[Rule], weekday: int) -> list[Opening]:
    return _applied(rule for rule in rules if rule.has_weekday(weekday))[0]


def _of_date(rules: Iterable[Rule], day: date) -> tuple[list[Opening], str]:
    return _applied(rule for rule in rules if rule.has(day))


def _applied(rules: Iterable[Rule]) -> tuple[list[Opening], str]:
    """Apply the rules that are about a day, in order: each replaces what was said before, unless it only adds."""
    openings: list[Opening] = []
    name = ""
    for rule in rules:
        name = rule.comment
        if rule.state == "off":
            for hole in rule.times or [(0, 2 * DAY)]:
                openings = without(openings, hole)
        else:
            openings = [*(openings if rule.operator == "," else []), *(rule.times or [WHOLE_DAY])]
    return _joined(openings), name


def _joined(openings: Iterable[Opening]) -> list[Opening]:
    """Join overlapping and touching openings of one date, as far as our rows can say the whole."""
    joined: list[Opening] = []
    for start, end in sorted(set(openings)):
        whole = (joined[-1][0], max(joined[-1][1], end)) if joined and start <= joined[-1][1] else None
        if whole and whole[1] - whole[0] <= DAY:
            joined[-1] = whole
        else:
            joined.append((start, end))
    return joined


def _nths(day: date) -> set[tuple[int, int]]:
    """Return which weekday of its month a date is, counted from either end."""
    after = calendar.monthrange(day.year, day.month)[1] - day.day
    return {(day.weekday(), (day.day - 1) // 7 + 1), (day.weekday(), -(after // 7) - 1)}
