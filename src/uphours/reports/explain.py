"""How one store's numbers come about: its sessions, its observations, and who speaks for each span."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Final

import numpy as np

from uphours.kernel.local_time import hours_text, local_date
from uphours.kernel.policy import Policy
from uphours.kernel.schedule import zone_changes
from uphours.kernel.windows import Window
from uphours.reports.measure import run_report, timelines
from uphours.reports.report import Report
from uphours.reports.store_calendar import MOST_DAYS, CalendarDay, calendar, is_weekly, week_on
from uphours.schema import (
    OBSERVATION_STATUSES,
    SECOND_US,
    SPAN_STATUSES,
    Fleet,
    Observations,
    Schedule,
    Sessions,
    Spans,
)

WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class ExplainedSpan:
    """A span, the observation that speaks for it and why, and the running sums that end with it (all µs).

    ``entry``: the entry of the ledger that decides instead of an observation.
    """

    start_us: int
    end_us: int
    status: str
    confirmed: bool
    observed_at_us: int | None
    entry: int | None
    why: str
    uptime_us: int
    downtime_us: int
    unknown_us: int
    excluded_us: int


@dataclass(frozen=True)
class Explanation:
    """One store, one window; instants and durations in microseconds.

    ``business_hours``: the week in force at the end of the window. ``exceptions``: local dates of the window on which
    something else decides. ``sessions`` are clipped to the window, ``observations`` are those that have a say in it.
    ``entries``: the entries of the ledger that decide in it.
    """

    store_id: str
    window: str
    start_us: int
    end_us: int
    timezone: str
    business_hours: list[str]
    hours_known: bool
    exceptions: list[CalendarDay]
    sessions: list[tuple[int, int]]
    observations: list[tuple[int, str]]
    spans: list[ExplainedSpan]
    entries: list[int]
    report: Report

    def facts(self) -> dict[str, Any]:
        """Return the explanation as plain values."""
        figures = {name: values[0, 0].item() for name, values in self.report.figures().items()}
        return {
            "store_id": self.store_id,
            **self.report.facts(),
            "window": {"name": self.window, "start_us": self.start_us, "end_us": self.end_us},
            "timezone": self.timezone,
            "business_hours": self.business_hours,
            "hours_known": self.hours_known,
            "exceptions": [day.facts() for day in self.exceptions],
            "sessions": [{"start_us": start, "end_us": end} for start, end in self.sessions],
            "observations": [{"observed_at_us": at, "status": status} for at, status in self.observations],
            "spans": [asdict(span) for span in self.spans],
            "entries": self.entries,
            "figures": {name: None if value != value else value for name, value in figures.items()},
        }


def explain(
    fleet: Fleet, *, as_of: int | None, window: str | Window, policy: Policy, now: int | None = None
) -> Explanation:
    """Explain the numbers of the only store of a fleet; ``as_of`` and ``now`` as with `run_report`.

    Raises
    ------
    ArithmeticError
        The spans do not sum up to the figures of the report: a defect of this program.
    """
    report = run_report(fleet, as_of=as_of, chosen=[window], policy=policy, all_stores=True, now=now)
    as_of = report.as_of
    start, end = int(report.windows.starts[0, 0]), int(report.windows.ends[0, 0])
    made = timelines(fleet, start, end, as_of, policy, merged=False)
    spans = _spans(made.observations, made.spans, made.sessions, policy)
    figures = report.totals
    names = ("uptime_us", "downtime_us", "unknown_us", "excluded_us")
    sums = [getattr(spans[-1], name) if spans else 0 for name in names]
    if sums != [getattr(figures, name)[0, 0] for name in names]:
        raise ArithmeticError(f"the spans of store {fleet.store_ids[0]!r} do not sum up to its report")
    until = min(end, as_of)
    timezone = fleet.schedule.zone_names[zone_at(fleet.schedule, until)]
    first, last = (local_date(timezone, instant) for instant in (start, max(start, until - 1)))
    return Explanation(
        store_id=fleet.store_ids[0],
        window=report.windows.names[0],
        start_us=start,
        end_us=end,
        timezone=timezone,
        business_hours=business_hours_of(fleet.schedule, last),
        hours_known=bool(fleet.schedule.known()[0]),
        exceptions=exceptions(fleet.schedule, first, last),
        sessions=[
            (max(opens, start), min(closes, until))
            for opens, closes in zip(made.sessions.starts.tolist(), made.sessions.ends.tolist(), strict=True)
            if closes > start and opens < until
        ],
        observations=_heard(made.observations, start, until),
        spans=spans,
        entries=sorted({span.entry for span in spans if span.entry}),
        report=report,
    )


def zone_at(schedule: Schedule, instant: int) -> int:
    """Return the zone of the only store of a schedule at an instant."""
    _, since, zones = zone_changes(schedule)
    begun = zones[since <= instant]
    return int(begun[-1] if len(begun) else schedule.zones[0])


def exceptions(schedule: Schedule, first: date, last: date) -> list[CalendarDay]:
    """Return the days of the only store of a schedule, up to the last one, on which something else than a week decides.

    None where its hours are not known, which is said otherwise.
    """
    if not schedule.known()[0] or is_weekly(schedule):
        return []
    first = max(first, last - timedelta(days=MOST_DAYS - 1))
    return [day for day in calendar(schedule, 0, first, last + timedelta(days=1)) if day.is_exception]


def _heard(observations: Observations, start: int, end: int) -> list[tuple[int, str]]:
    """Return the observations inside, the last one at or before the start, and the first one at or after the end."""
    times = observations.times.tolist()
    first = max(bisect_right(times, start) - 1, 0)
    stop = bisect_left(times, end) + 1
    return [
        (at, OBSERVATION_STATUSES[status])
        for at, status in zip(times[first:stop], observations.statuses[first:stop], strict=False)
    ]


def _spans(observations: Observations, spans: Spans, sessions: Sessions, policy: Policy) -> list[ExplainedSpan]:
    times = observations.times.tolist()
    sums = dict.fromkeys(SPAN_STATUSES, 0)
    explained = []
    for k, (start, end) in enumerate(zip(spans.starts.tolist(), spans.ends.tolist(), strict=True)):
        status, speaker = SPAN_STATUSES[spans.statuses[k]], int(spans.evidence[k])
        sums[status] += end - start
        entry = 0 if spans.entries is None else int(spans.entries[k])
        place = int(np.searchsorted(sessions.starts, start, side="right")) - 1
        session = int(sessions.starts[place]), int(sessions.ends[place])
        explained.append(
            ExplainedSpan(
                start_us=start,
                end_us=end,
                status=status,
                confirmed=bool(spans.confirmed[k]),
                observed_at_us=times[speaker] if speaker >= 0 else None,
                entry=entry or None,
                why=f"entry {entry} of the ledger" if entry else _why(times, speaker, start, session, policy),
                uptime_us=sums["up"],
                downtime_us=sums["down"],
                unknown_us=sums["unknown"],
                excluded_us=sums["excluded"],
            )
        )
    return explained


def _why(times: list[int], speaker: int, start: int, session: tuple[int, int], policy: Policy) -> str:
    """Say by which rule the speaker speaks for a span that starts at ``start``; the kernel has chosen it."""
    q = bisect_right(times, start)
    p = q - 1
    if not times:
        return "nothing was ever observed"
    if speaker < 0:
        within = policy.confirm_within_us
        is_watched = p >= 0 and (times[q] - times[p] <= within if q < len(times) else start - times[p] < within)
        if policy.only_watched and not is_watched:
            return "not watched (only_watched)"
        return "no observation is near enough (max_age)"
    if p < 0 or q == len(times):
        return "nothing was observed before" if p < 0 else "nothing was observed since"
    inside = [session[0] <= times[neighbour] < session[1] for neighbour in (p, q)]
    if policy.prefer_in_session and inside[0] != inside[1]:
        return "made in this session, the other neighbour was not"
    return {
        "previous": "the previous observation",
        "next": "the next observation",
        "nearest": "the nearest observation",
    }[policy.interpolation]


def business_hours_of(schedule: Schedule, day: date) -> list[str]:
    """Return the rows of the week in force on a date, of a single store, as people write them."""
    in_force = week_on(schedule, day)
    columns = (schedule.weekdays, schedule.opens_local, schedule.closes_local)
    rows = sorted(zip(*(column[in_force].tolist() for column in columns), strict=True))
    texts = ((WEEKDAYS[day], hours_text(opens, closes)) for day, opens, closes in rows)
    return [f"{weekday} {start if start == end == 'closed' else f'{start}–{end}'}" for weekday, (start, end) in texts]


def duration_text(us: int) -> str:
    """Write a duration as hours, minutes and seconds, exactly: ``26:03:00.5``."""
    seconds, fraction = divmod(us, SECOND_US)
    text = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction:06}".rstrip("0") if fraction else text


def as_table(rows: Sequence[Sequence[object]]) -> list[str]:
    """Lay out rows of cells in columns, as lines of text."""
    widths = [max(len(str(cell)) for cell in column) for column in zip(*rows, strict=True)]
    lines = ("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return [f"  {line}".rstrip() for line in lines]
