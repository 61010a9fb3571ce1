"""An explanation as text for people: to the minute, or exact; it ends in one sentence that sums it up."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from uphours.kernel.local_time import local_text, wall_clock
from uphours.reports.explain import WEEKDAYS, ExplainedSpan, Explanation, as_table, duration_text
from uphours.schema import DAY_US, MINUTE_US, instant_text

#: Columns of a line of the text to the minute.
WIDTH: Final = 100
#: A space at which no line ends.
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
#: In windows of at most this length a weekday names a date.
_WEEKDAYS_DIFFER_US: Final = 6 * DAY_US
#: Reasons as they fit into a line.
SHORT_REASONS: Final = {
    "nothing was ever observed": "never polled",
    "not watched (only_watched)": "not watched",
    "no observation is near enough (max_age)": "no poll near enough",
    "nothing was observed before": "no earlier poll",
    "nothing was observed since": "no later poll",
    "made in this session, the other neighbour was not": "only poll in session",
    "the previous observation": "previous poll",
    "the next observation": "next poll",
    "the nearest observation": "nearest poll",
}
_FIGURES: Final = ("uptime_us", "downtime_us", "unknown_us", "business_us", "uptime_min_us", "uptime_max_us")
#: What stands beside them where the ledger decides anything.
_LEDGER_FIGURES: Final = ("excluded_us", "scheduled_us", "raw_uptime_us", "raw_downtime_us", "raw_unknown_us")


def as_text(explained: Explanation, *, exact: bool = False, ledger: Sequence[str] = ()) -> str:
    """Return the explanation in the store's local time, with ``summary`` as the last line.

    Equal neighbours are merged, instants and durations are written to the minute, and lines are at most `WIDTH`
    columns long. ``exact``: every span and observation, to the microsecond, with the running sums. ``ledger``: what the
    entries that decide say, a line each.
    """
    entries = ["", "Entries of the ledger that decide", *(f"  {line}" for line in ledger)] if ledger else []
    if exact:
        return "\n".join([*_exact_parts(explained), *entries, "", summary(explained)])
    wrapped = [
        part for line in entries for part in ([line] if len(line) <= WIDTH else _wrapped(line.strip(), title="  "))
    ]
    return "\n".join([*_parts(explained), *wrapped, "", *_wrapped(summary(explained))])


def _wrapped(text: str, *, title: str = "") -> list[str]:
    """Break a text into lines, all but the first indented below the text behind the title."""
    lines = textwrap.wrap(text, WIDTH, initial_indent=title, subsequent_indent=" " * len(title), break_on_hyphens=False)
    return [line.replace(_NO_BREAK, " ") for line in lines]


# --- the sentence ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Outage:
    start_us: int
    end_us: int
    downtime_us: int


def summary(explained: Explanation) -> str:
    """Return the explanation in one sentence.

    ``Down 5 h 02 min of 12 h open: Tue 11:13–16:15; 8 polls say so``. Unknown time is called unknown also where the
    policy books it elsewhere.
    """
    if not explained.hours_known:
        return "The business hours are unknown, so there is no open time to measure"
    spans = explained.spans
    if not spans:
        return "Closed during the whole window"
    last = spans[-1]
    up, down, unknown = last.uptime_us, last.downtime_us, last.unknown_us
    if not (up or down or unknown):
        return f"Excluded all {minutes_text(last.excluded_us)} open; {_entries_say_so(explained)}"
    without = f", {minutes_text(last.excluded_us)} excluded" if last.excluded_us else ""
    total = f"{minutes_text(up + down + unknown)} open{without}"
    reasons = {span.why for span in spans if span.status == "unknown"}
    gap = "not watched" if reasons == {"not watched (only_watched)"} else "unknown"
    rest = f"; {minutes_text(unknown)} {gap}" if unknown else ""
    if down:
        if not (up or unknown):
            return f"Down all {total}; {_polls_say_so(spans, 'down')}"
        when = _outages_text(explained, _outages(spans))
        return f"Down {minutes_text(down)} of {total}{when}{rest}; {_polls_say_so(spans, 'down')}"
    if up:
        amount = f"{minutes_text(up)} of {total}" if unknown else f"all {total}"
        return f"Up {amount}{rest}; {_polls_say_so(spans, 'up')}"
    if speakers(spans):
        return f"Unknown all {total}; {_polls_say_so(spans, 'unknown')}"
    if explained.entries:
        return f"Unknown all {total}; {_entries_say_so(explained)}"
    reason = "no poll ever came" if reasons == {"nothing was ever observed"} else "no poll is near enough"
    return f"{gap.capitalize()} all {total}; {reason}"


def _entries_say_so(explained: Explanation) -> str:
    numbers = [str(entry) for entry in explained.entries]
    return f"entry {numbers[0]} says so" if len(numbers) == 1 else f"entries {', '.join(numbers)} say so"


def _outages(spans: Sequence[ExplainedSpan]) -> list[_Outage]:
    """Return the runs of down spans; closed and excluded time do not interrupt one."""
    counted = [span for span in spans if span.status != "excluded"]
    runs = [list(run) for is_down, run in groupby(counted, key=lambda span: span.status == "down") if is_down]
    return [_Outage(run[0].start_us, run[-1].end_us, sum(span.end_us - span.start_us for span in run)) for run in runs]


def _outages_text(explained: Explanation, outages: Sequence[_Outage]) -> str:
    longest = max(outages, key=lambda outage: outage.downtime_us)
    when = _short_range(explained, longest.start_us, longest.end_us)
    return f": {when}" if len(outages) == 1 else f" in {len(outages):,} outages, the longest {when}"


def _short_range(explained: Explanation, start: int, end: int) -> str:
    """Write ``Tue 11:13–16:15``; with dates in long windows."""
    zone = explained.timezone
    day = "%a" if explained.end_us - explained.start_us <= _WEEKDAYS_DIFFER_US else "%a %Y-%m-%d"
    opens, closes = wall_clock(zone, start), wall_clock(zone, end)
    until = f"{closes:%H:%M}" if opens.date() == closes.date() else f"{closes:{day} %H:%M}"
    return f"{opens:{day} %H:%M}–{until}"


def _polls_say_so(spans: Iterable[ExplainedSpan], status: str) -> str:
    """Say how many polls, and which entries of the ledger, say that spans have a status."""
    mine = [span for span in spans if span.status == status]
    polls, entries = len(speakers(mine)), sorted({span.entry for span in mine if span.entry})
    said = [] if entries and not polls else ["1 poll" if polls == 1 else f"{polls:,} polls"]
    said += [f"entry {entry}" for entry in entries]
    return f"{' and '.join(said)} {'says' if len(said) == 1 and (polls == 1 or entries) else 'say'} so"


def speakers(spans: Iterable[ExplainedSpan]) -> set[int]:
    """Return the instants of the observations that speak for spans."""
    return {span.observed_at_us for span in spans if span.observed_at_us is not None}


# --- to the minute -----------------------------------------------------------------------------------


def minutes_text(us: int) -> str:
    """Write a duration to the nearest minute: ``5 h 02 min``, ``12 h``, ``45 min``, ``< 1 min``."""
    if 0 < us < MINUTE_US:
        return "< 1 min"
    hours, minutes = divmod((us + MINUTE_US // 2) // MINUTE_US, 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours:,} h {minutes:02} min" if minutes else f"{hours:,} h"


def _parts(explained: Explanation) -> list[str]:
    zone = explained.timezone

    def local(us: int) -> str:
        return f"{wall_clock(zone, us):%a %Y-%m-%d %H:%M}"

    def until(start: int, end: int) -> str:
        text = local(end)
        return text[-5:] if text[:-5] == local(start)[:-5] else text

    def row(start: int, end: int) -> tuple[str, str, str]:
        return local(start), until(start, end), minutes_text(end - start)

    offsets = [wall_clock(zone, us).isoformat(timespec="minutes")[16:] for us in (explained.start_us, explained.end_us)]
    clock = f" (UTC{offsets[0]} at the start, UTC{offsets[1]} at the end)" if offsets[0] != offsets[1] else ""
    as_of, figures = explained.report.as_of, _figures(explained)
    return [
        *_wrapped(explained.store_id, title="store     "),
        f"window    {explained.window}: {local(explained.start_us)} to {local(explained.end_us)}",
        f"as of     {local(as_of)} ({wall_clock('UTC', as_of):%Y-%m-%d %H:%M} UTC)",
        f"zone      {zone}{clock}",
        *_wrapped("; ".join(grouped_hours(explained)), title="hours     "),
        *_wrapped("; ".join(_exceptions(explained)), title="except    "),
        *_wrapped(str(explained.report.policy), title="policy    "),
        "",
        "Open in the window",
        *_table([("from", "to", "length"), *(row(start, end) for start, end in explained.sessions)]),
        "",
        "Polls in the window, and their neighbours",
        *_table(
            [
                ("from", "to", "polls", "status"),
                *(
                    (local(run[0]), until(run[0], run[-1]) if len(run) > 1 else "", f"{len(run):,}", status)
                    for status, run in _merged_polls(explained)
                ),
            ]
        ),
        "",
        "What counts, and why",
        *_table(
            [
                ("from", "to", "length", "status", "polls", "because"),
                *(
                    (
                        *row(run[0].start_us, run[-1].end_us),
                        run[0].status,
                        len(speakers(run)) or "–",
                        SHORT_REASONS.get(run[0].why, run[0].why),
                    )
                    for run in merged(explained.spans)
                ),
            ]
        ),
        "",
        _report_title(explained),
        *_figure_tables(figures),
    ]


def _figure_tables(figures: dict[str, int]) -> list[str]:
    """Lay out figures, as many beside each other as our own report has."""
    names = list(figures)
    parts = [part for part in (names[: len(_FIGURES)], names[len(_FIGURES) :]) if part]
    return [
        line
        for part in parts
        for line in _table(
            [[name.removesuffix("_us") for name in part], [minutes_text(figures[name]) for name in part]]
        )
    ]


def _table(rows: Sequence[Sequence[object]]) -> list[str]:
    """Lay out rows below their titles; ``none`` where there is no row."""
    return as_table(rows) if len(rows) > 1 else ["  none"]


def merged(spans: Sequence[ExplainedSpan]) -> list[list[ExplainedSpan]]:
    """Return the spans in runs of adjacent ones with the same status and reason."""
    runs: list[list[ExplainedSpan]] = []
    for span in spans:
        before = runs[-1][-1] if runs else None
        if before and (before.end_us, before.status, before.why) == (span.start_us, span.status, span.why):
            runs[-1].append(span)
        else:
            runs.append([span])
    return runs


def _merged_polls(explained: Explanation) -> list[tuple[str, list[int]]]:
    """Return the instants of the observations in runs of the same status."""
    by_status = groupby(explained.observations, key=lambda observation: observation[1])
    return [(status, [at for at, _ in run]) for status, run in by_status]


def _hours(explained: Explanation) -> list[str]:
    if not explained.hours_known:
        return ["hours unknown: rows of hours or zones were given and none could be used, so it has no sessions"]
    return explained.business_hours or ["none given: always open"]


def _exceptions(explained: Explanation) -> list[str]:
    """Return the dates on which something else than the week decides: ``Fri 2026-12-25 closed (Christmas)``."""
    return [
        f"{day.day:%a %Y-%m-%d} {day.hours()} ({day.name or day.origin})".replace(" ", _NO_BREAK)
        for day in explained.exceptions
    ]


def grouped_hours(explained: Explanation) -> list[str]:
    """Return the hours with one text for consecutive days that have the same: ``Mon–Fri 09:00–12:00, 13:00–17:00``."""
    if not (explained.hours_known and explained.business_hours):
        return _hours(explained)
    by_day: dict[str, list[str]] = {}
    for text in explained.business_hours:
        day, _, times = text.partition(" ")
        by_day.setdefault(day, []).append(times)
    runs = groupby(WEEKDAYS, key=by_day.get)
    days = [(times, list(run)) for times, run in runs if times]
    return [
        f"{run[0] if len(run) == 1 else f'{run[0]}–{run[-1]}'} {', '.join(times)}".replace(" ", _NO_BREAK)
        for times, run in days
    ]


def _figures(explained: Explanation) -> dict[str, int]:
    figures = explained.report.figures()
    names = (*_FIGURES, *_LEDGER_FIGURES) if explained.entries else _FIGURES
    return {name: int(figures[name][0, 0]) for name in names}


def _report_title(explained: Explanation) -> str:
    assume = explained.report.policy.assume
    return "Report" if assume == "unknown" else f"Report (unknown time is booked as {assume})"


# --- exact -------------------------------------------------------------------------------------------


def _exact_parts(explained: Explanation) -> list[str]:
    zone = explained.timezone

    def local(us: int) -> str:
        return local_text(zone, us)

    figures = _figures(explained)
    return [
        f"store     {explained.store_id}",
        f"window    {explained.window}: {local(explained.start_us)} to {local(explained.end_us)}",
        f"as of     {instant_text(explained.report.as_of)}",
        f"zone      {zone}",
        f"hours     {', '.join(_hours(explained))}",
        *(f"except    {text}" for text in _exceptions(explained)),
        f"policy    {explained.report.policy}",
        "",
        "Sessions (open time in the window)",
        *_table(
            [
                ("from", "to", "length"),
                *((local(start), local(end), duration_text(end - start)) for start, end in explained.sessions),
            ]
        ),
        "",
        "Observations (in the window, and the neighbours that have a say in it)",
        *_table([("observed at", "status"), *((local(at), status) for at, status in explained.observations)]),
        "",
        "Spans, with the observation that speaks for each, and the sums so far",
        *_table(
            [
                ("from", "to", "length", "status", "observed at", "because", "uptime", "downtime", "unknown",
                 *(["excluded"] if explained.entries else [])),
                *(
                    (
                        local(span.start_us), local(span.end_us), duration_text(span.end_us - span.start_us),
                        span.status + (" (confirmed)" if span.confirmed else ""),
                        "–" if span.observed_at_us is None else local(span.observed_at_us),
                        span.why,
                        *(duration_text(us) for us in (span.uptime_us, span.downtime_us, span.unknown_us)),
                        *([duration_text(span.excluded_us)] if explained.entries else []),
                    )
                    for span in explained.spans
                ),
            ]
        ),
        "",
        _report_title(explained),
        *_table(
            [
                (name.removesuffix("_us"), duration_text(figures[name]), f"{figures[name]:,} µs")
                for name in figures
            ]
        ),
    ]  # fmt: skip
