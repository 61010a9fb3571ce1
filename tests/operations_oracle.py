"""A slow, obviously correct answer to every question about calendars, ledgers, groups, targets and seals.

It shares no code and no method with the library and needs only the standard library. Each local date is scheduled
by itself, each piece of a window between two instants at which anything could change is decided by itself, by linear
search. Instants are integer microseconds since the epoch, UTC; intervals are half-open; dates are text in ISO form,
and the empty text is the date "since ever".
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

Interval = tuple[int, int]
CountsAs = Literal["excluded", "up", "down", "unknown", "withdrawal"]
Status = Literal["up", "down", "unknown"]

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

DEFAULT_ZONE = "America/Chicago"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEGINNING, END = -(10**18), 10**18
# A row lasts at most two days and a clock change (the largest change is a whole day); four days are ample.
MARGIN = timedelta(days=4)
ALL_STORES = "*"
NO_VALUE = "(none)"


class Poll(NamedTuple):
    store: str
    at_us: int
    status: str  # "active" | "inactive" | "unknown"


class HoursRow(NamedTuple):
    store: str
    day: int  # 0 = Monday
    start: str
    end: str
    valid_from: str = ""


class ZoneRow(NamedTuple):
    store: str
    zone: str
    valid_from: str = ""


class SpecialRow(NamedTuple):
    store: str  # or "*"
    date: str
    start: str = ""  # blank or "closed": closed
    end: str = ""


class AttributeRow(NamedTuple):
    store: str
    name: str
    value: str
    valid_from: str = ""


class Entry(NamedTuple):
    """One row of the ledger: several rows may have one number, one for each store."""

    number: int
    store: str
    start_us: int
    end_us: int
    counts_as: CountsAs
    withdraws: int | None = None


@dataclass(frozen=True)
class Rules:
    """How the time between two observations is divided."""

    interpolation: Literal["previous", "next", "nearest"] = "previous"
    prefer_in_session: bool = True
    max_age_us: int | None = None
    confirm_within_us: int = 2 * HOUR_US


@dataclass(frozen=True)
class Fleet:
    """Everything that was loaded and entered."""

    polls: Sequence[Poll] = ()
    hours: Sequence[HoursRow] = ()
    zones: Sequence[ZoneRow] = ()
    special: Sequence[SpecialRow] = ()
    attributes: Sequence[AttributeRow] = ()
    ledger: Sequence[Entry] = ()
    rules: Rules = field(default_factory=Rules)

    @property
    def stores(self) -> list[str]:
        named = [
            row.store for rows in (self.polls, self.hours, self.zones, self.special, self.attributes) for row in rows
        ]
        return sorted({*named} - {ALL_STORES})


class Span(NamedTuple):
    """A piece of a session: what the polls say of it, and what counts after the ledger."""

    start: int
    end: int
    raw: Status
    status: Literal["up", "down", "unknown", "excluded"]
    confirmed: bool
    watched: bool


@dataclass(frozen=True)
class Figures:
    """The exact numbers of a store or a group in a window; ``scheduled_whole_us`` does not stop at as_of."""

    uptime_us: int = 0
    downtime_us: int = 0
    unknown_us: int = 0
    excluded_us: int = 0
    scheduled_us: int = 0
    business_us: int = 0
    raw_uptime_us: int = 0
    raw_downtime_us: int = 0
    raw_unknown_us: int = 0
    watched_us: int = 0
    confirmed_uptime_us: int = 0
    confirmed_downtime_us: int = 0
    scheduled_whole_us: int = 0
    business_whole_us: int = 0

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(*(getattr(self, part.name) + getattr(other, part.name) for part in fields(self)))

    def __sub__(self, other: "Figures") -> "Figures":
        return Figures(*(getattr(self, part.name) - getattr(other, part.name) for part in fields(self)))


# --- questions ---------------------------------------------------------------------------------------


def figures(fleet: Fleet, store: str, window: Interval, as_of_us: int) -> Figures:
    """Return the numbers of one store in one window."""
    spans = timeline(fleet, store, (window[0], min(window[1], as_of_us)), as_of_us)
    whole = clipped(sessions(fleet, store, window), window)
    excluded_whole = measure(intersection(whole, closures(fleet, store)))

    def total(**wanted: object) -> int:
        return sum(span.end - span.start for span in spans if all(getattr(span, k) == v for k, v in wanted.items()))

    excluded, scheduled = total(status="excluded"), total()
    return Figures(
        uptime_us=total(status="up"),
        downtime_us=total(status="down"),
        unknown_us=total(status="unknown"),
        excluded_us=excluded,
        scheduled_us=scheduled,
        business_us=scheduled - excluded,
        raw_uptime_us=total(raw="up"),
        raw_downtime_us=total(raw="down"),
        raw_unknown_us=total(raw="unknown"),
        watched_us=total(watched=True) - total(watched=True, status="excluded"),
        confirmed_uptime_us=total(status="up", confirmed=True),
        confirmed_downtime_us=total(status="down", confirmed=True),
        scheduled_whole_us=measure(whole),
        business_whole_us=measure(whole) - excluded_whole,
    )


def group_figures(fleet: Fleet, by: Sequence[str], window: Interval, as_of_us: int) -> dict[tuple[str, ...], Figures]:
    """Return the numbers of each group: sums over its stores, each in the window while it belongs to the group."""
    groups: dict[tuple[str, ...], Figures] = {}
    for store in fleet.stores:
        for key, start, end in memberships(fleet, store, by, window):
            groups[key] = groups.get(key, Figures()) + figures(fleet, store, (start, end), as_of_us)
    return groups


def timeline(fleet: Fleet, store: str, window: Interval, as_of_us: int) -> list[Span]:
    """Return the elementary pieces of the sessions in a window that ends at as_of at the latest."""
    polls = polls_of(fleet, store, as_of_us)
    opened = sessions(fleet, store, (min([window[0], *polls]), max([window[1], *polls])))
    entries = live_entries(fleet, store)
    age = fleet.rules.max_age_us or 0
    cuts = {*window, *(bound for interval in opened for bound in interval)}
    cuts |= {bound for entry in entries for bound in (entry.start_us, entry.end_us)}
    cuts |= {at + shift for at in polls for shift in (0, -age, age, fleet.rules.confirm_within_us)}
    cuts |= {(p + q) // 2 for p, q in pairwise(polls)}
    spans = []
    for start, end in pairwise(sorted(cut for cut in cuts if window[0] <= cut <= window[1])):
        for session in opened:
            if session[0] <= start < session[1]:
                spans.append(_span(start, end, polls, session, entries, fleet.rules))
    return spans


# --- the schedule ------------------------------------------------------------------------------------


def sessions(fleet: Fleet, store: str, around: Interval) -> list[Interval]:
    """Return the sessions of a store around an interval, each as far as it matters inside of it.

    A store without weekly rows is open without a seam wherever its calendar says nothing else.
    """
    first, last = (_from_us(around[0]) - MARGIN).date(), (_from_us(around[1]) + MARGIN).date()
    dates = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    opened = []
    for day in dates:
        origin, rows = schedule(fleet, store, day)
        zone = zone_on(fleet, store, day)
        if origin == "always":
            before, after = day - timedelta(days=1), day + timedelta(days=1)
            is_open_before = schedule(fleet, store, before)[0] == "always"
            # It opens where the day before it ended, so a change of zone leaves no seam.
            zone_of_opening = zone_on(fleet, store, before) if is_open_before else zone
            opens = BEGINNING if day == first else to_utc_us(day, 0, zone_of_opening)
            closes = END if day == last else to_utc_us(after, 0, zone)
            opened.append((opens, closes))
        else:
            opened += [(to_utc_us(day, start, zone), to_utc_us(day, end, zone)) for start, end in rows]
    return merged(interval for interval in opened if interval[0] < interval[1])


def schedule(fleet: Fleet, store: str, day: date) -> tuple[str, list[Interval]]:
    """Return where a local date's hours come from, and the hours: wall-clock microseconds since its midnight.

    The origin is "outside" its first and last day, "special", "special for all", "always", "no week yet", "no zone
    yet" or "week".
    """
    first_day = _attribute(fleet, store, "first_day")
    last_day = _attribute(fleet, store, "last_day")
    if (first_day and day < date.fromisoformat(first_day)) or (last_day and day > date.fromisoformat(last_day)):
        return "outside", []
    zones = [row.valid_from for row in fleet.zones if row.store == store]
    if zones and _in_force(zones, day) is None:
        return "no zone yet", []
    for owner, origin in ((store, "special"), (ALL_STORES, "special for all")):
        rows = [row for row in fleet.special if row.store == owner and row.date == day.isoformat()]
        if rows:
            return origin, [_wall(row.start, row.end) for row in rows if row.start not in ("", "closed")]
    week = [row for row in fleet.hours if row.store == store]
    if not week:
        return "always", [(0, DAY_US)]
    valid_from = _in_force([row.valid_from for row in week], day)
    if valid_from is None:
        return "no week yet", []
    today = [row for row in week if row.valid_from == valid_from and row.day == day.weekday()]
    return "week", [_wall(row.start, row.end) for row in today if row.start != "closed"]


def zone_on(fleet: Fleet, store: str, day: date) -> ZoneInfo:
    """Return the zone in force on a local date."""
    rows = {row.valid_from: row.zone for row in fleet.zones if row.store == store}
    valid_from = _in_force(list(rows), day)
    return ZoneInfo(DEFAULT_ZONE if valid_from is None else rows[valid_from])


def _in_force(valid_from: Iterable[str], day: date) -> str | None:
    """Return the latest date at or before a day; the empty text is before all others."""
    return max((text for text in valid_from if text <= day.isoformat()), default=None)


def _attribute(fleet: Fleet, store: str, name: str) -> str:
    """Return the value of an attribute that is not dated."""
    return next((row.value for row in fleet.attributes if (row.store, row.name) == (store, name)), "")


def _wall(start_text: str, end_text: str) -> Interval:
    start, end = _time_of_day_us(start_text), _time_of_day_us(end_text)
    if DAY_US - MINUTE_US <= end < DAY_US:
        end = DAY_US
    return start, end + DAY_US if end <= start else end


def _time_of_day_us(text: str) -> int:
    """Read ``HH:MM``, ``HH:MM:SS`` or ``HH:MM:SS.ffffff``, where hours may be 24 and more."""
    hour, minute, second, *_ = [*text.split(":"), "0"]
    whole, _, fraction = second.partition(".")
    return int(hour) * HOUR_US + int(minute) * MINUTE_US + int(whole) * SECOND_US + int(fraction.ljust(6, "0"))


def to_utc_us(local_date: date, wall_us: int, zone: ZoneInfo) -> int:
    """Convert a wall-clock time: ``wall_us`` on ``local_date``, or on the next date from 24 hours on."""
    days, time_us = divmod(wall_us, DAY_US)
    midnight = datetime.combine(local_date + timedelta(days=days), time(), tzinfo=zone)
    # Adding to an aware datetime moves its wall clock; the offset is looked up only when it is converted.
    return _to_us((midnight + timedelta(microseconds=time_us)).replace(fold=0))


def midnight_us(fleet: Fleet, store: str, day: date) -> int:
    """Return the instant at which a local date of a store begins."""
    return to_utc_us(day, 0, zone_on(fleet, store, day))


def local_window(fleet: Fleet, store: str, first: date, end: date) -> Interval:
    """Return a window of local dates: from one local midnight of the store to another."""
    return midnight_us(fleet, store, first), midnight_us(fleet, store, end)


# --- observations and the ledger ---------------------------------------------------------------------


def polls_of(fleet: Fleet, store: str, as_of_us: int) -> dict[int, Status]:
    """Return what a store showed up to as_of, by time; at one instant down wins over up, and both over unknown."""
    rank: dict[str, tuple[int, Status]] = {"inactive": (0, "down"), "active": (1, "up"), "unknown": (2, "unknown")}
    shown: dict[int, tuple[int, Status]] = {}
    for poll in fleet.polls:
        if poll.store == store and poll.at_us <= as_of_us:
            shown[poll.at_us] = min(rank[poll.status], shown.get(poll.at_us, (3, "unknown")))
    return {at: status for at, (_, status) in sorted(shown.items())}


def live_entries(fleet: Fleet, store: str) -> list[Entry]:
    """Return the entries about a store that no live entry withdraws."""
    return [e for e in fleet.ledger if e.store == store and e.counts_as != "withdrawal" and _is_live(fleet, e.number)]


def _is_live(fleet: Fleet, number: int) -> bool:
    return not any(e.withdraws == number and e.number > number and _is_live(fleet, e.number) for e in fleet.ledger)


def closures(fleet: Fleet, store: str) -> list[Interval]:
    """Return the excluded time of a store, whether it is open then or not."""
    entries = live_entries(fleet, store)
    return merged((e.start_us, e.end_us) for e in entries if e.counts_as == "excluded" and e.start_us < e.end_us)


def _span(
    start: int, end: int, polls: Mapping[int, Status], session: Interval, entries: Sequence[Entry], rules: Rules
) -> Span:
    raw, confirmed, watched = _observed(start, polls, session, rules)
    covering = [entry for entry in entries if entry.start_us <= start < entry.end_us]
    if any(entry.counts_as == "excluded" for entry in covering):
        return Span(start, end, raw, "excluded", False, watched)
    if not covering:
        return Span(start, end, raw, raw, confirmed, watched)
    decisive = max(covering, key=lambda entry: entry.number).counts_as
    if decisive == "unknown":
        return Span(start, end, raw, "unknown", False, watched)
    assert decisive in ("up", "down")
    return Span(start, end, raw, "up" if decisive == "up" else "down", True, True)


def _observed(u: int, polls: Mapping[int, Status], session: Interval, rules: Rules) -> tuple[Status, bool, bool]:
    """Return what the polls say of the open instant ``u``: its status, whether it is confirmed, and watched."""
    before = max((at for at in polls if at <= u), default=None)
    after = min((at for at in polls if at > u), default=None)
    are_close = before is not None and after is not None and after - before <= rules.confirm_within_us
    watched = are_close or (before is not None and after is None and u < before + rules.confirm_within_us)
    at = _chosen(u, before, after, session, rules)
    if at is None or polls[at] == "unknown":
        return "unknown", False, watched
    if rules.max_age_us is not None and not at - rules.max_age_us <= u < at + rules.max_age_us:
        return "unknown", False, watched
    agree = before is not None and after is not None and polls[before] == polls[after]
    return polls[at], are_close and agree, watched


def _chosen(u: int, before: int | None, after: int | None, session: Interval, rules: Rules) -> int | None:
    if before is None or after is None:
        return before if after is None else after
    before_inside, after_inside = (session[0] <= at < session[1] for at in (before, after))
    if rules.prefer_in_session and before_inside != after_inside:
        return before if before_inside else after
    if rules.interpolation == "nearest":
        return after if u >= (before + after) // 2 else before
    return {"previous": before, "next": after}[rules.interpolation]


# --- groups, targets, seals --------------------------------------------------------------------------


def memberships(
    fleet: Fleet, store: str, by: Sequence[str], window: Interval
) -> list[tuple[tuple[str, ...], int, int]]:
    """Cut a window where the store changes its group: ``(values, start, end)``; changes are at local midnights."""
    days = {row.valid_from for row in fleet.attributes if row.store == store and row.name in by and row.valid_from}
    midnights = {day: midnight_us(fleet, store, date.fromisoformat(day)) for day in days}
    # A store that moves far to the east may reach the midnight of a later date first.
    cuts = [(min(midnights[later] for later in days if later >= day), day) for day in sorted(days)]
    pieces = []
    for (start, day), (end, _) in pairwise([(BEGINNING, ""), *cuts, (END, "")]):
        key = tuple(_value_on(fleet, store, name, day) for name in by)
        if max(start, window[0]) < min(end, window[1]):
            pieces.append((key, max(start, window[0]), min(end, window[1])))
    return pieces


def _value_on(fleet: Fleet, store: str, name: str, day: str) -> str:
    rows = {row.valid_from: row.value for row in fleet.attributes if (row.store, row.name) == (store, name)}
    valid_from = max((text for text in rows if text <= day), default=None)
    return (rows[valid_from] if valid_from is not None else "") or NO_VALUE


@dataclass(frozen=True)
class Target:
    """What is left of a target in a period; ``share`` is per 100,000."""

    budget_us: int
    used_us: int
    left_us: int
    elapsed_us: int
    exhausted_at_us: int | None
    met: bool | None


def target(fleet: Fleet, stores: Sequence[str], period: Interval, as_of_us: int, share: int) -> Target:
    """Return what a target allows some stores in a whole period, future schedule and known exclusions included."""
    total = Figures()
    for store in stores:
        total += figures(fleet, store, period, as_of_us)
    budget = total.business_whole_us * (100_000 - share) // 100_000
    used, known = total.downtime_us, total.uptime_us + total.downtime_us
    return Target(
        budget_us=budget,
        used_us=used,
        left_us=budget - used,
        elapsed_us=total.business_us,
        exhausted_at_us=_exhausted_at(fleet, stores, period, as_of_us, (budget - used, total.business_us, used)),
        met=None if not known else total.uptime_us * 100_000 >= share * known,
    )


def _exhausted_at(
    fleet: Fleet, stores: Sequence[str], period: Interval, as_of_us: int, rate: tuple[int, int, int]
) -> int | None:
    """Return when the budget is gone if business time goes on as it went so far; None if not in this period."""
    left, elapsed, used = rate
    if used == 0 or left <= 0:
        return None
    needed = left * elapsed // used
    future: list[Interval] = []
    for store in stores:
        opened = clipped(sessions(fleet, store, period), (max(as_of_us, period[0]), period[1]))
        future += difference(opened, closures(fleet, store))
    bounds = sorted({bound for interval in future for bound in interval})
    for start, end in pairwise(bounds):
        at_once = sum(opens <= start < closes for opens, closes in future)
        if at_once and needed <= (end - start) * at_once:
            return start + needed // at_once
        needed -= (end - start) * at_once
    return None


def may_be_sealed(fleet: Fleet, period_end: date, as_of_us: int) -> bool:
    """Return whether a period of local dates has ended in the zone of every store, and as_of has passed that."""
    return all(midnight_us(fleet, store, period_end) <= as_of_us for store in fleet.stores)


def restated(sealed: Mapping[str, Figures], now: Mapping[str, Figures]) -> dict[str, Figures]:
    """Return the difference of each store: restated = sealed + difference."""
    return {store: now.get(store, Figures()) - sealed.get(store, Figures()) for store in {*sealed, *now}}


# --- intervals ---------------------------------------------------------------------------------------


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Join overlapping and touching intervals, a pair at a time."""
    result: list[Interval] = []
    for start, end in sorted(intervals):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return result


def clipped(intervals: Iterable[Interval], window: Interval) -> list[Interval]:
    """Return what lies in a window."""
    return intersection(intervals, [window])


def intersection(intervals: Iterable[Interval], others: Sequence[Interval]) -> list[Interval]:
    """Return what lies in both of two lists of disjoint intervals."""
    common = [(max(a, c), min(b, d)) for a, b in intervals for c, d in others]
    return sorted(interval for interval in common if interval[0] < interval[1])


def difference(intervals: Sequence[Interval], others: Sequence[Interval]) -> list[Interval]:
    """Return what of disjoint intervals lies in none of the others."""
    outside = pairwise([BEGINNING, *(bound for interval in merged(others) for bound in interval), END])
    return intersection(intervals, list(outside)[::2])


def measure(intervals: Iterable[Interval]) -> int:
    """Return the length of disjoint intervals."""
    return sum(end - start for start, end in intervals)


def _to_us(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(microseconds=1)


def _from_us(instant_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=instant_us)
