"""How one store's numbers come about: its sessions, its observations, and who speaks for each span."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from storepulse.kernel.hours import local_text, local_time_text
from storepulse.kernel.policy import Policy
from storepulse.kernel.windows import Window
from storepulse.reports import Report, reconstruct, run_report
from storepulse.schema import (
    SECOND_US,
    SPAN_STATUSES,
    Fleet,
    Observations,
    Sessions,
    Spans,
    WeeklyHours,
    instant_text,
)

OBSERVED: Final = ("inactive", "active")
WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class ExplainedSpan:
    """A span, the observation that speaks for it and why, and the running sums that end with it (all µs)."""

    start_us: int
    end_us: int
    status: str
    confirmed: bool
    observed_at_us: int | None
    why: str
    uptime_us: int
    downtime_us: int
    unknown_us: int


@dataclass(frozen=True)
class Explanation:
    """One store, one window; instants and durations in microseconds.

    ``sessions`` are clipped to the window, ``observations`` are those that have a say in it.
    """

    store_id: str
    window: str
    start_us: int
    end_us: int
    timezone: str
    business_hours: list[str]
    sessions: list[tuple[int, int]]
    observations: list[tuple[int, str]]
    spans: list[ExplainedSpan]
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
            "sessions": [{"start_us": start, "end_us": end} for start, end in self.sessions],
            "observations": [{"observed_at_us": at, "status": status} for at, status in self.observations],
            "spans": [asdict(span) for span in self.spans],
            "figures": {name: None if value != value else value for name, value in figures.items()},
        }


def explain(fleet: Fleet, *, as_of: int, window: str | Window, policy: Policy, version: str) -> Explanation:
    """Explain the numbers of the only store of a fleet.

    Raises
    ------
    ArithmeticError
        The spans do not sum up to the figures of the report: a defect of this program.
    """
    report = run_report(fleet, as_of=as_of, chosen=[window], policy=policy, all_stores=True, version=version)
    start, end = int(report.windows.starts[0, 0]), int(report.windows.ends[0, 0])
    made = reconstruct(fleet, start, end, as_of, policy, merged=False)
    spans = _spans(made.observations, made.spans, made.sessions, policy)
    figures = report.totals
    sums = (spans[-1].uptime_us, spans[-1].downtime_us, spans[-1].unknown_us) if spans else (0, 0, 0)
    if sums != (figures.uptime_us[0, 0], figures.downtime_us[0, 0], figures.unknown_us[0, 0]):
        raise ArithmeticError(f"the spans of store {fleet.store_ids[0]!r} do not sum up to its report")
    until = min(end, as_of)
    return Explanation(
        store_id=fleet.store_ids[0],
        window=report.windows.names[0],
        start_us=start,
        end_us=end,
        timezone=fleet.hours.zone_names[fleet.hours.zones[0]],
        business_hours=business_hours_of(fleet.hours),
        sessions=[
            (max(opens, start), min(closes, until))
            for opens, closes in zip(made.sessions.starts.tolist(), made.sessions.ends.tolist(), strict=True)
            if closes > start and opens < until
        ],
        observations=_heard(made.observations, start, until),
        spans=spans,
        report=report,
    )


def _heard(observations: Observations, start: int, end: int) -> list[tuple[int, str]]:
    """Return the observations inside, the last one at or before the start, and the first one at or after the end."""
    times = observations.times.tolist()
    first = max(bisect_right(times, start) - 1, 0)
    stop = bisect_left(times, end) + 1
    return [
        (at, OBSERVED[status]) for at, status in zip(times[first:stop], observations.statuses[first:stop], strict=False)
    ]


def _spans(observations: Observations, spans: Spans, sessions: Sessions, policy: Policy) -> list[ExplainedSpan]:
    times = observations.times.tolist()
    sums = dict.fromkeys(SPAN_STATUSES, 0)
    explained = []
    for k, (start, end) in enumerate(zip(spans.starts.tolist(), spans.ends.tolist(), strict=True)):
        status, speaker = SPAN_STATUSES[spans.statuses[k]], int(spans.evidence[k])
        sums[status] += end - start
        session = int(np.searchsorted(sessions.starts, start, side="right")) - 1
        explained.append(
            ExplainedSpan(
                start_us=start,
                end_us=end,
                status=status,
                confirmed=bool(spans.confirmed[k]),
                observed_at_us=times[speaker] if speaker >= 0 else None,
                why=_why(times, speaker, start, (sessions.starts[session], sessions.ends[session]), policy),
                uptime_us=sums["up"],
                downtime_us=sums["down"],
                unknown_us=sums["unknown"],
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


def business_hours_of(hours: WeeklyHours) -> list[str]:
    """Return the rows of hours of a single store, as people write them."""
    rows = sorted(zip(hours.weekdays.tolist(), hours.opens_local.tolist(), hours.closes_local.tolist(), strict=True))
    return [f"{WEEKDAYS[day]} {local_time_text(opens)}–{local_time_text(closes)}" for day, opens, closes in rows]


def as_text(explained: Explanation) -> str:
    """Return the explanation for people: local times of the store, and sums that end in the report's figures."""
    zone, policy = explained.timezone, explained.report.policy

    def local(us: int) -> str:
        return local_text(zone, us)

    sums = [
        (
            local(span.start_us), local(span.end_us), duration_text(span.end_us - span.start_us),
            span.status + (" (confirmed)" if span.confirmed else ""),
            "–" if span.observed_at_us is None else local(span.observed_at_us),
            span.why,
            *(duration_text(us) for us in (span.uptime_us, span.downtime_us, span.unknown_us)),
        )
        for span in explained.spans
    ]  # fmt: skip
    figures = {name: int(values[0, 0]) for name, values in explained.report.figures().items() if name.endswith("_us")}
    return "\n".join(
        [
            f"store     {explained.store_id}",
            f"window    {explained.window}: {local(explained.start_us)} to {local(explained.end_us)}",
            f"as of     {instant_text(explained.report.as_of)}",
            f"zone      {zone}",
            f"hours     {', '.join(explained.business_hours) or 'none given: always open'}",
            f"policy    {policy}",
            "",
            "Sessions (open time in the window)",
            *as_table(
                [
                    ("from", "to", "length"),
                    *((local(a), local(b), duration_text(b - a)) for a, b in explained.sessions),
                ]
            ),
            "",
            "Observations (in the window, and the neighbours that have a say in it)",
            *as_table([("observed at", "status"), *((local(at), status) for at, status in explained.observations)]),
            "",
            "Spans, with the observation that speaks for each, and the sums so far",
            *as_table(
                [
                    (
                        "from",
                        "to",
                        "length",
                        "status",
                        "observed at",
                        "because",
                        "uptime",
                        "downtime",
                        "unknown",
                    ),
                    *sums,
                ]
            ),
            "",
            "Report" if policy.assume == "unknown" else f"Report (unknown time is booked as {policy.assume})",
            *as_table(
                [
                    (name.removesuffix("_us"), duration_text(figures[name]), f"{figures[name]:,} µs")
                    for name in (
                        "uptime_us",
                        "downtime_us",
                        "unknown_us",
                        "business_us",
                        "uptime_min_us",
                        "uptime_max_us",
                    )
                ]
            ),
        ]
    )


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
