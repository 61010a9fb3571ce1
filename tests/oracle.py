"""A slow, obviously correct answer to every question that the library answers fast.

It shares no code and no method with the library and needs only the standard library: lists of tuples in,
plain integers out. A window is cut at every instant at which anything could change; the rule is then read
off its definition at the first instant of each piece, by linear search. Instants are integer microseconds
since the epoch, UTC; intervals are half-open.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

Observation = tuple[str, int, str]  # store_id, observed_at_us, "active" | "inactive" | "unknown"
HoursRow = tuple[str, int, str, str]  # store_id, day (0 = Monday), start_text, end_text
Window = tuple[str, int, int]  # name, start_us, end_us
Interval = tuple[int, int]
Poll = tuple[int, str]  # observed_at_us, "up" | "down" | "unknown"
Span = tuple[int, int, str, bool]  # start, end, "up" | "down" | "unknown", confirmed
Outage = tuple[int, int, int]  # start of its first down span, end of its last one, down time
Interpolation = Literal["previous", "next", "nearest"]

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

DEFAULT_ZONE = "America/Chicago"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ALWAYS: Interval = (-(10**18), 10**18)
# A row is at most two days and a clock change long (the largest change is a whole day); that is ample.
MARGIN = timedelta(days=6)


@dataclass(frozen=True)
class Rules:
    """How the time between two observations is divided."""

    interpolation: Interpolation = "previous"
    prefer_in_session: bool = True
    max_age_us: int | None = None
    confirm_within_us: int = 2 * HOUR_US
    only_watched: bool = False


@dataclass(frozen=True)
class Answer:
    """The exact numbers of one store in one window."""

    uptime_us: int
    downtime_us: int
    unknown_us: int
    confirmed_uptime_us: int
    confirmed_downtime_us: int
    business_us: int
    watched_us: int
    observations: int
    outages: int
    longest_outage_us: int


def answers(
    observations: Sequence[Observation],
    hours: Sequence[HoursRow],
    zones: dict[str, str],
    *,
    as_of_us: int,
    windows: Sequence[Window],
    rules: Rules | None = None,
) -> dict[tuple[str, str], Answer]:
    """Answer for every store that any input names, and every window: ``{(store_id, window): Answer}``."""
    rules = rules or Rules()
    found = {}
    for store in sorted({row[0] for row in observations} | {row[0] for row in hours} | set(zones)):
        polls = polls_of(store, observations, as_of_us)
        for name, start, end in windows:
            opened = true_sessions(store, hours, zones, [start, end, as_of_us, *(at for at, _ in polls)])
            spans = spans_of(polls, opened, start, min(end, as_of_us), rules)
            seen = sum(start <= at < end for at, _ in polls)
            watched = watched_pieces(polls, opened, start, min(end, as_of_us), rules)
            found[store, name] = _summary(spans, sum(end - start for start, end in watched), seen)
    return found


def timeline(
    store: str,
    observations: Sequence[Observation],
    hours: Sequence[HoursRow],
    zones: dict[str, str],
    *,
    start_us: int,
    as_of_us: int,
    rules: Rules | None = None,
) -> list[Span]:
    """Return the spans of one store in ``[start_us, as_of_us)``; touching spans that say the same are one."""
    polls = polls_of(store, observations, as_of_us)
    opened = true_sessions(store, hours, zones, [start_us, as_of_us, *(at for at, _ in polls)])
    return joined(spans_of(polls, opened, start_us, as_of_us, rules or Rules()))


def watched(
    store: str,
    observations: Sequence[Observation],
    hours: Sequence[HoursRow],
    zones: dict[str, str],
    *,
    start_us: int,
    as_of_us: int,
    rules: Rules | None = None,
) -> list[Interval]:
    """Return the pieces of ``[start_us, as_of_us)`` in which one store was open and watched."""
    polls = polls_of(store, observations, as_of_us)
    opened = true_sessions(store, hours, zones, [start_us, as_of_us, *(at for at, _ in polls)])
    return watched_pieces(polls, opened, start_us, as_of_us, rules or Rules())


def sessions(
    store: str, hours: Sequence[HoursRow], zones: dict[str, str], *, start_us: int, end_us: int
) -> list[Interval]:
    """Return the sessions of one store, clipped to ``[start_us, end_us)``."""
    opened = true_sessions(store, hours, zones, [start_us, end_us])
    clipped = [(max(opens, start_us), min(closes, end_us)) for opens, closes in opened]
    return [(opens, closes) for opens, closes in clipped if opens < closes]


# --- business hours ----------------------------------------------------------------------------------


def true_sessions(
    store: str, hours: Sequence[HoursRow], zones: dict[str, str], instants: Iterable[int]
) -> list[Interval]:
    """Return the sessions around all `instants`, each in its true extent as far as they can tell."""
    rows = [(day, start, end) for row_store, day, start, end in hours if row_store == store]
    if not rows:
        return [ALWAYS]
    instants = list(instants)
    zone = ZoneInfo(zones.get(store, DEFAULT_ZONE))
    first, last = (_from_us(min(instants)) - MARGIN).date(), (_from_us(max(instants)) + MARGIN).date()
    opened = []
    for number in range((last - first).days + 1):
        opened += _openings_of(first + timedelta(days=number), rows, zone)
    return _merged(opened)


def _openings_of(local_date: date, rows: list[tuple[int, str, str]], zone: ZoneInfo) -> list[Interval]:
    """Return the openings that start on one local date, in UTC; empty and negative ones are left out."""
    opened = []
    for day, start_text, end_text in rows:
        if day != local_date.weekday() or start_text == end_text == "closed":
            continue
        start, end = _time_of_day_us(start_text), _time_of_day_us(end_text)
        if end % DAY_US >= 23 * HOUR_US + 59 * MINUTE_US:
            end = (end // DAY_US + 1) * DAY_US
        if end <= start:
            end += DAY_US
        interval = (_to_utc_us(local_date, start, zone), _to_utc_us(local_date, end, zone))
        if interval[0] < interval[1]:
            opened.append(interval)
    return opened


def _to_utc_us(local_date: date, wall_us: int, zone: ZoneInfo) -> int:
    """Convert one wall-clock time: `wall_us` on `local_date`, or on the next date from 24 hours on."""
    days, time_us = divmod(wall_us, DAY_US)
    midnight = datetime.combine(local_date + timedelta(days=days), time(), tzinfo=zone)
    # Adding to an aware datetime moves its wall clock; the offset is looked up only when it is converted.
    return _to_us((midnight + timedelta(microseconds=time_us)).replace(fold=0))


def _time_of_day_us(text: str) -> int:
    """Read ``HH:MM``, ``HH:MM:SS`` or ``HH:MM:SS.ffffff``."""
    hour, minute, second, *_ = [*text.split(":"), "0"]
    whole, _, fraction = second.partition(".")
    return int(hour) * HOUR_US + int(minute) * MINUTE_US + int(whole) * SECOND_US + int(fraction.ljust(6, "0"))


def _merged(intervals: list[Interval]) -> list[Interval]:
    """Join overlapping and touching intervals, a pair at a time."""
    result: list[Interval] = []
    for start, end in sorted(intervals):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return result


def _to_us(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(microseconds=1)


def _from_us(instant_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=instant_us)


# --- calendar windows ---------------------------------------------------------------------------------------


def _months_later(first: date, months: int) -> date:
    """Return the first day of a month some months after (before, if negative) one that begins at ``first``."""
    count = first.year * 12 + first.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def calendar_windows(zone_name: str, as_of_us: int) -> list[Window]:
    """Return the calendar windows of one zone: from one local midnight to another, each on its own date."""
    zone = ZoneInfo(zone_name)
    today = _from_us(as_of_us).astimezone(zone).date()
    monday = today - timedelta(days=today.weekday())
    month = today.replace(day=1)
    previous_month = (month - timedelta(days=1)).replace(day=1)
    quarter = _months_later(month, -((month.month - 1) % 3))
    next_month = (month + timedelta(days=31)).replace(day=1)
    dates = {
        "today": (today, today + timedelta(days=1)),
        "yesterday": (today - timedelta(days=1), today),
        "this_week": (monday, monday + timedelta(days=7)),
        "previous_week": (monday - timedelta(days=7), monday),
        "this_month": (month, next_month),
        "previous_month": (previous_month, month),
        "this_quarter": (quarter, _months_later(quarter, 3)),
        "previous_quarter": (_months_later(quarter, -3), quarter),
    }
    return [(name, _to_utc_us(first, 0, zone), _to_utc_us(end, 0, zone)) for name, (first, end) in dates.items()]


# --- the rule ----------------------------------------------------------------------------------------


def polls_of(store: str, observations: Sequence[Observation], as_of_us: int) -> list[Poll]:
    """Return what one store showed up to as_of, in order of time; at one instant down wins, then up."""
    shown: dict[int, set[str]] = {}
    for row_store, at, status in observations:
        if row_store == store and at <= as_of_us:
            shown.setdefault(at, set()).add({"active": "up", "inactive": "down", "unknown": "unknown"}[status])
    return [
        (at, next(status for status in ("down", "up", "unknown") if status in statuses))
        for at, statuses in sorted(shown.items())
    ]


def status_at(u: int, polls: list[Poll], session: Interval, rules: Rules) -> tuple[str, bool]:
    """Return the status of the open instant `u`, and whether it is confirmed."""
    before, after = None, None
    for poll in polls:
        if poll[0] <= u:
            before = poll
        elif after is None:
            after = poll
    chosen = _chosen(u, before, after, session, rules)
    if chosen is None or chosen[1] == "unknown" or not _fresh(u, chosen, rules):
        return "unknown", False
    if rules.only_watched and not _is_watched(u, before, after, rules):
        return "unknown", False
    confirmed = (
        before is not None
        and after is not None
        and before[1] == after[1]
        and after[0] - before[0] <= rules.confirm_within_us
    )
    return chosen[1], confirmed


def _chosen(u: int, before: Poll | None, after: Poll | None, session: Interval, rules: Rules) -> Poll | None:
    if before is None or after is None:
        return before or after
    before_inside = session[0] <= before[0] < session[1]
    after_inside = session[0] <= after[0] < session[1]
    if rules.prefer_in_session and before_inside != after_inside:
        return before if before_inside else after
    if rules.interpolation == "nearest":
        return after if u >= (before[0] + after[0]) // 2 else before
    return {"previous": before, "next": after}[rules.interpolation]


def _is_watched(u: int, before: Poll | None, after: Poll | None, rules: Rules) -> bool:
    if before is None:
        return False
    if after is None:
        return u - before[0] < rules.confirm_within_us
    return after[0] - before[0] <= rules.confirm_within_us


def _fresh(u: int, chosen: Poll, rules: Rules) -> bool:
    if rules.max_age_us is None:
        return True
    return chosen[0] - rules.max_age_us <= u < chosen[0] + rules.max_age_us


def spans_of(polls: list[Poll], opened: list[Interval], start: int, end: int, rules: Rules) -> list[Span]:
    """Return the elementary open pieces of ``[start, end)``, each with its status."""
    cuts = {start, end}
    for session in opened:
        cuts.update(session)
    for at, _ in polls:
        cuts.update((at, at - (rules.max_age_us or 0), at + (rules.max_age_us or 0)))
    cuts.update((p[0] + q[0]) // 2 for p, q in pairwise(polls))
    cuts.update(at + rules.confirm_within_us for at, _ in polls[-1:])
    spans: list[Span] = []
    for piece_start, piece_end in pairwise(sorted(cut for cut in cuts if start <= cut <= end)):
        for session in opened:
            if session[0] <= piece_start < session[1]:
                spans.append((piece_start, piece_end, *status_at(piece_start, polls, session, rules)))
    return spans


def joined(spans: Iterable[Span]) -> list[Span]:
    """Join touching spans of one status; a view of the same timeline with the fewest spans."""
    result: list[Span] = []
    for start, end, status, confirmed in spans:
        if result and result[-1][1:] == (start, status, confirmed):
            start = result.pop()[0]
        result.append((start, end, status, confirmed))
    return result


# --- numbers -----------------------------------------------------------------------------------------


def outages(spans: Iterable[Span]) -> list[Outage]:
    """Return the runs of down spans: time between spans is closed and joins, an up or unknown span parts."""
    runs: list[list[Span]] = [[]]
    for span in spans:
        if span[2] == "down":
            runs[-1].append(span)
        else:
            runs.append([])
    return [(run[0][0], run[-1][1], sum(end - start for start, end, _, _ in run)) for run in runs if run]


def watched_pieces(polls: list[Poll], opened: list[Interval], start: int, end: int, rules: Rules) -> list[Interval]:
    """Return the elementary open pieces of ``[start, end)`` at which polls were near enough to each other."""
    cuts = {start, end, *(at for at, _ in polls), *(at + rules.confirm_within_us for at, _ in polls[-1:])}
    for session in opened:
        cuts.update(session)
    pieces = []
    for piece_start, piece_end in pairwise(sorted(cut for cut in cuts if start <= cut <= end)):
        is_open = any(session[0] <= piece_start < session[1] for session in opened)
        before = [poll for poll in polls if poll[0] <= piece_start]
        after = [poll for poll in polls if poll[0] > piece_start]
        if is_open and _is_watched(piece_start, before[-1] if before else None, after[0] if after else None, rules):
            pieces.append((piece_start, piece_end))
    return pieces


def _summary(spans: list[Span], watched: int, seen: int) -> Answer:
    def measure(*statuses: str, only_confirmed: bool = False) -> int:
        return sum(e - s for s, e, status, sure in spans if status in statuses and (sure or not only_confirmed))

    down_runs = outages(spans)
    return Answer(
        uptime_us=measure("up"),
        downtime_us=measure("down"),
        unknown_us=measure("unknown"),
        confirmed_uptime_us=measure("up", only_confirmed=True),
        confirmed_downtime_us=measure("down", only_confirmed=True),
        business_us=sum(end - start for start, end, _, _ in spans),
        watched_us=watched,
        observations=seen,
        outages=len(down_runs),
        longest_outage_us=max((down for _, _, down in down_runs), default=0),
    )
