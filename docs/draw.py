"""Draw the pictures of the documentation into ``docs/pictures/``.

Only the small tables at the top of each picture are made up. Every session, span and sum is what uphours says about
them, and every measurement is one that was kept. The same program writes the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from itertools import pairwise
from math import ceil, floor, log10
from pathlib import Path
from typing import Final, Literal, get_args

import polars as pl

import uphours
from docs import tables
from uphours.kernel.local_time import timezone
from uphours.kernel.policy import Interpolation

PICTURES: Final = Path(__file__).parent / "pictures"

WIDTH: Final = 960
MARGIN: Final = 24

# Okabe and Ito's colours, which colour-blind people can tell apart. Patterns and words say the same again.
INK: Final = "#1b1b1b"
FAINT: Final = "#5f6368"
RULE: Final = "#d5d8dc"
OPEN: Final = "#f3f4f6"
UP: Final = "#0072b2"
DOWN: Final = "#c14f00"
UNKNOWN: Final = "#b9bec4"

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
MINUTE: Final = timedelta(minutes=1)

Anchor = Literal["start", "middle", "end"]
Poll = tuple[datetime, str]


@dataclass(frozen=True)
class Span:
    start: datetime
    end: datetime
    status: str
    confirmed: bool


@dataclass(frozen=True)
class Axis:
    """Instants → places from left to right."""

    start: datetime
    end: datetime
    left: float
    right: float

    def __call__(self, moment: datetime) -> float:
        share = (min(max(moment, self.start), self.end) - self.start) / (self.end - self.start)
        return self.left + share * (self.right - self.left)


@dataclass
class Picture:
    title: str
    text: str
    height: int
    parts: list[str] = field(default_factory=list)

    def box(self, x: float, y: float, width: float, height: float, fill: str, more: str = "") -> None:
        self.parts.append(
            f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}" fill="{fill}"{more}/>'
        )

    def line(self, x: float, y: float, to_x: float, to_y: float, colour: str = RULE, more: str = "") -> None:
        self.parts.append(f'<line x1="{_n(x)}" y1="{_n(y)}" x2="{_n(to_x)}" y2="{_n(to_y)}" stroke="{colour}"{more}/>')

    def words(
        self,
        x: float,
        y: float,
        text: str,
        *,
        anchor: Anchor = "start",
        size: int = 13,
        colour: str = INK,
        bold: bool = False,
    ) -> None:
        weight = ' font-weight="bold"' if bold else ""
        self.parts.append(
            f'<text x="{_n(x)}" y="{_n(y)}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"{weight}>'
            f"{escape(text)}</text>"
        )

    def label(self, x: float, y: float, text: str) -> None:
        """Write a word onto a bar, on a plate of its own so that it can be read on any pattern."""
        width = _wide(text) + 8
        self.box(x - width / 2, y - 12, width, 16, "#ffffff", ' rx="3"')
        self.words(x, y, text, anchor="middle", size=12)

    def open_time(self, axis: Axis, y: float, height: float, start: datetime, end: datetime) -> None:
        self.box(axis(start), y, axis(end) - axis(start), height, OPEN, f' stroke="{FAINT}"')

    def span(self, axis: Axis, y: float, height: float, span: Span) -> None:
        start, end = axis(span.start), axis(span.end)
        fill = _fill(span)
        self.box(start, y, end - start, height, fill, f' stroke="{INK}" stroke-width="0.6"')
        if end - start > _wide(span.status) + 12:
            self.label((start + end) / 2, y + height / 2 + 4, span.status)

    def poll(self, x: float, y: float, status: str) -> None:
        """Mark an observation with a tip on y: a full triangle that points up, or a hollow one that points down."""
        if status == "active":
            self.parts.append(f'<path d="M{_n(x)} {_n(y - 9)} l4.5 9 h-9 z" fill="{UP}"/>')
        else:
            self.parts.append(
                f'<path d="M{_n(x)} {_n(y)} l4.5 -9 h-9 z" fill="#ffffff" stroke="{DOWN}" stroke-width="1.6"/>'
            )

    def legend(self, y: float, *, unknown: bool = True) -> None:
        x: float = MARGIN
        boxes = [("up", True), ("up", False), ("down", True), ("down", False)]
        for status, confirmed in [*boxes, *([("unknown", False)] if unknown else [])]:
            self.box(x, y, 28, 14, _fill(Span(_ANY, _ANY, status, confirmed)), f' stroke="{INK}" stroke-width="0.6"')
            name = status if status == "unknown" else f"{status}, {'confirmed' if confirmed else 'not confirmed'}"
            self.words(x + 34, y + 11, name, size=12)
            x += 44 + 0.93 * _wide(name)
        for status, name in (("active", "poll: active"), ("inactive", "poll: inactive")):
            self.poll(x + 8, y + 12, status)
            self.words(x + 18, y + 11, name, size=12)
            x += 32 + 0.93 * _wide(name)

    def svg(self) -> str:
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" width="{WIDTH}" '
            f'height="{self.height}" role="img" aria-labelledby="title desc" '
            'font-family="Verdana, DejaVu Sans, Arial, sans-serif">'
        )
        title = f'<title id="title">{escape(self.title)}</title>\n<desc id="desc">{escape(self.text)}</desc>'
        # A background of its own: the picture looks the same on a light and on a dark page.
        page = f'<rect width="{WIDTH}" height="{self.height}" rx="8" fill="#ffffff" stroke="{RULE}"/>'
        return "\n".join([head, title, _PATTERNS, page, *self.parts, "</svg>"]) + "\n"


def _pattern(name: str, light: str, strokes: str) -> str:
    return (
        f'<pattern id="{name}" width="8" height="8" patternUnits="userSpaceOnUse">'
        f'<rect width="8" height="8" fill="{light}"/>{strokes}</pattern>'
    )


_RISING: Final = "M-2 2 L2 -2 M0 8 L8 0 M6 10 L10 6"
_FALLING: Final = "M-2 6 L2 10 M0 0 L8 8 M6 -2 L10 2"
_PATTERNS: Final = "\n".join(
    [
        "<defs>",
        _pattern("up", "#d3e8f5", f'<path d="{_RISING}" stroke="{UP}" stroke-width="1.6"/>'),
        _pattern("down", "#fbe0cc", f'<path d="{_FALLING}" stroke="{DOWN}" stroke-width="1.6"/>'),
        _pattern("unknown", "#e6e8ea", f'<circle cx="4" cy="4" r="1.4" fill="{FAINT}"/>'),
        "</defs>",
    ]
)
_ANY: Final = datetime.fromisoformat("2023-01-01T00:00Z")


def _wide(text: str) -> float:
    """Return about how wide a text is at size 12; SVG cannot tell before it is drawn."""
    return 7.4 * len(text)


def _n(value: float) -> str:
    """Write a coordinate: a tenth is finer than anyone sees, and the same on every machine."""
    return f"{value:.1f}".removesuffix(".0")


def _fill(span: Span) -> str:
    if span.confirmed:
        return {"up": UP, "down": DOWN}[span.status]
    return f"url(#{span.status})"


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text + "+00:00")


def _polls(polls: Iterable[Poll]) -> pl.DataFrame:
    rows = [("s", status, moment) for moment, status in polls]
    return pl.DataFrame(rows, schema=["store_id", "status", "timestamp_utc"], orient="row")


def _hours(rows: Iterable[tuple[int, str, str]], store_id: str = "s") -> pl.DataFrame:
    columns = ["store_id", "day", "start_time_local", "end_time_local"]
    return pl.DataFrame([(store_id, *row) for row in rows], schema=columns, orient="row")


def _zone(name: str) -> pl.DataFrame:
    return pl.DataFrame({"store_id": ["s"], "timezone_str": [name]})


def _spans(table: pl.DataFrame) -> list[Span]:
    return [Span(*row) for row in table.select("start", "end", "status", "confirmed").iter_rows()]


def _pairs(table: pl.DataFrame) -> list[tuple[datetime, datetime]]:
    return [(start, end) for start, end in table.select("start", "end").iter_rows()]


def _length(us: int) -> str:
    """Write a duration in hours, with as many decimals as it needs."""
    return f"{us / 3_600_000_000:.2f}".rstrip("0").rstrip(".") + " h"


def week() -> Picture:
    """A store's week, a row for each local day."""
    zone = timezone("America/New_York")
    monday = datetime(2023, 1, 9, tzinfo=zone)
    rows = [(day, "09:00", "21:00") for day in range(4)]
    rows += [row for day in (4, 5) for row in ((day, "10:30", "14:00"), (day, "17:00", "02:00"))]
    polls = []
    for hour in range(7 * 24):
        moment = monday + hour * HOUR + (hour * 17 % 40) * MINUTE
        day, clock = divmod(hour, 24)
        if (day == 3 and 10 <= clock < 16) or (day == 5 and clock >= 6) or (day == 6 and clock < 8):
            continue  # no poll came
        trading = (day < 4 and 9 <= clock < 21) or (day >= 4 and clock >= 10) or (day in (5, 6) and clock < 2)
        failed = (day == 1 and 13 <= clock < 17) or (day == 4 and 18 <= clock < 20)
        polls.append((moment, "active" if trading and not failed else "inactive"))
    tables = (_polls(polls), _hours(rows), _zone(zone.key or ""))
    policy = uphours.Policy(max_age=6 * HOUR)
    end = monday + 7 * DAY
    spans = _spans(uphours.timeline(*tables, start=monday, as_of=end, policy=policy))
    open_times = _pairs(uphours.sessions(*tables[1:], start=monday, end=end))
    windows = [uphours.Window(f"day_{n}", monday + n * DAY, monday + (n + 1) * DAY) for n in range(7)]
    sums = uphours.report(*tables, as_of=end, windows=windows, policy=policy)

    picture = Picture(
        "A store's week",
        "Sessions, observations and spans of one store on seven local days, with the sums of each day.",
        548,
    )
    picture.words(MARGIN, 36, "A store’s week: sessions, observations, spans", size=18, bold=True)
    picture.words(
        MARGIN, 58, "Local time in New York. Frames are sessions. Policy: previous, max_age 6 h.", size=13, colour=FAINT
    )
    left, right, top, row_height, bar = 76, 684, 104, 56, 24
    for clock in range(0, 25, 3):
        x = left + (right - left) * clock / 24
        picture.line(x, top - 12, x, top + 7 * row_height - 8)
        picture.words(x, top - 18, f"{clock:02}:00", anchor="middle", size=12, colour=FAINT)
    for name, x in (("up", 762), ("down", 842), ("unknown", 930)):
        picture.words(x, top - 18, name, anchor="end", size=12, colour=FAINT, bold=True)
    for n, row in enumerate(sums.iter_rows(named=True)):
        axis = Axis(monday + n * DAY, monday + (n + 1) * DAY, left, right)
        y = top + n * row_height
        picture.words(left - 12, y + 28, f"{axis.start:%a}", anchor="end", bold=True)
        for moment, status in polls:
            if axis.start <= moment < axis.end:
                picture.poll(axis(moment), y + 8, status)
        picture.line(left, y + 12 + bar, right, y + 12 + bar)
        for opens, closes in _overlapping(open_times, axis):
            picture.open_time(axis, y + 12, bar, opens, closes)
        for span in spans:
            if span.start < axis.end and span.end > axis.start:
                picture.span(axis, y + 12, bar, span)
        for name, x in (("uptime_us", 762), ("downtime_us", 842), ("unknown_us", 930)):
            picture.words(x, y + 28, _length(row[name]), anchor="end", colour=INK if row[name] else UNKNOWN)
    picture.legend(picture.height - 34)
    return picture


def _overlapping(pairs: Sequence[tuple[datetime, datetime]], axis: Axis) -> list[tuple[datetime, datetime]]:
    return [pair for pair in pairs if pair[0] < axis.end and pair[1] > axis.start]


def interpolation() -> Picture:
    """The same three hours under previous, next and nearest."""
    polls = [(_utc("2023-01-23T10:14"), "active"), (_utc("2023-01-23T11:15"), "inactive")]
    tables = (_polls(polls), _hours([(0, "09:00", "12:00")]), _zone("UTC"))
    as_of = _utc("2023-01-23T13:00")
    start, end = _pairs(uphours.sessions(*tables[1:], start=as_of - DAY, end=as_of))[0]

    picture = Picture(
        "The same two polls under three interpolations",
        "Open 09:00 to 12:00, polls at 10:14 (active) and 11:15 (inactive), divided by previous, next and nearest.",
        368,
    )
    picture.words(MARGIN, 36, "The same two polls, three ways to read the time between them", size=18, bold=True)
    axis = Axis(start, end, 120, 690)
    top = 106
    for minutes in range(0, 181, 30):
        moment = start + minutes * MINUTE
        picture.line(axis(moment), top - 8, axis(moment), top + 190)
        picture.words(axis(moment), top + 208, f"{moment:%H:%M}", anchor="middle", size=12, colour=FAINT)
    for moment, status in polls:
        x = axis(moment)
        picture.line(x, top - 10, x, top + 190, INK, ' stroke-dasharray="3 3"')
        picture.poll(x, top - 14, status)
        picture.words(x, top - 30, f"{moment:%H:%M} {status}", anchor="middle", size=12)
    for n, name in enumerate(get_args(Interpolation)):
        policy = uphours.Policy(interpolation=name)
        y = top + 8 + 62 * n
        picture.words(axis.left - 14, y + 22, name, anchor="end", bold=True)
        spans = _spans(uphours.timeline(*tables, start=start, as_of=as_of, policy=policy))
        for span in spans:
            picture.span(axis, y, 34, span)
        change = spans[0].end
        picture.label(axis(change), y + 49, f"{change:%H:%M:%S}".removesuffix(":00"))
        row = uphours.report(*tables, as_of=as_of, windows=["last_day"], policy=policy).row(0, named=True)
        minutes_of = {key: f"{row[key] / 60_000_000:g} min" for key in ("uptime_us", "downtime_us")}
        picture.words(axis.right + 18, y + 14, f"up {minutes_of['uptime_us']}", size=13)
        picture.words(axis.right + 18, y + 32, f"down {minutes_of['downtime_us']}", size=13)
        picture.words(axis.right + 132, y + 23, f"= {_length(row['business_us'])}", size=13, colour=FAINT)
    picture.legend(picture.height - 32, unknown=False)
    return picture


def clock_change() -> Picture:
    """Days of 23, 24 and 25 hours."""
    zone = timezone("America/New_York")
    days = [
        (datetime(2023, 3, 12, tzinfo=zone), "clocks go forward"),
        (datetime(2023, 3, 19, tzinfo=zone), "a usual Sunday"),
        (datetime(2023, 11, 5, tzinfo=zone), "clocks go back"),
    ]
    stores = [
        ("open 00:00–24:00", _hours([(6, "00:00", "24:00")])),
        ("open 01:30–05:00", _hours([(6, "01:30", "05:00")])),
    ]

    picture = Picture(
        "A day of 23 hours, of 24, and of 25",
        "Two weekly opening rows on the two days of a clock change and on a usual Sunday in New York.",
        510,
    )
    picture.words(MARGIN, 36, "A day has 23, 24 or 25 hours, and so has an opening", size=18, bold=True)
    picture.words(
        MARGIN,
        58,
        "New York, 2023. The ruler shows the clock on the wall; all hours are drawn equally long.",
        colour=FAINT,
    )
    left, right, top, row_height = 190, 910, 96, 138
    for n, (midnight, name) in enumerate(days):
        begin = midnight.astimezone(_ANY.tzinfo)
        axis = Axis(begin, begin + 25 * HOUR, left, right)
        over = (midnight + DAY).astimezone(_ANY.tzinfo)
        y = top + n * row_height
        picture.words(MARGIN, y + 10, f"{midnight:%a} {midnight.day} {midnight:%b}", bold=True)
        picture.words(MARGIN, y + 28, name, size=12, colour=FAINT)
        hours = [begin + k * HOUR for k in range(26) if begin + k * HOUR <= over]
        picture.line(left, y + 24, axis(over), y + 24, INK)
        for moment in hours:
            local = moment.astimezone(zone)
            after = (moment + HOUR).astimezone(zone)
            x, width = axis(moment), axis(moment + HOUR) - axis(moment)
            picture.line(x, y + 19, x, y + 24, INK)
            # At the end of the day the wall shows 00, which closes it as 24.
            picture.words(x, y + 14, f"{local:%H}" if moment < over else "24", anchor="middle", size=11)
            if moment < over and (local.hour + 1) % 24 != after.hour:
                skipped = after.hour != local.hour
                note = (
                    f"{local.hour + 1:02}:00 → {after.hour:02}:00"
                    if skipped
                    else f"{local.hour:02}:00–{local.hour + 1:02}:00 twice"
                )
                x, width = (x + width - 2, 4) if skipped else (x, 2 * width)
                picture.box(x, y + 24, width, 88, "#f0e442", ' fill-opacity="0.55"')
                picture.words(x + width / 2, y + 124, note, anchor="middle", size=11)
        for k, (label, rows) in enumerate(stores):
            bar = y + 36 + 38 * k
            picture.words(left - 12, bar + 19, label, anchor="end", size=12)
            for opens, closes in _pairs(uphours.sessions(rows, _zone(zone.key or ""), start=begin, end=over)):
                picture.box(
                    axis(opens),
                    bar,
                    axis(closes) - axis(opens),
                    28,
                    "#ffffff",
                    f' stroke="{INK}" fill-opacity="0.55" stroke-width="1.6"',
                )
                hours_open = (closes - opens) / HOUR
                picture.label((axis(opens) + axis(closes)) / 2, bar + 18, f"{hours_open:g} h")
    return picture


def collector_gap() -> Picture:
    """Thirty-nine hours in which nothing was polled."""
    start = _utc("2023-01-22T00:00")
    end = start + 3 * DAY
    gap = (start + 14 * HOUR, start + 53 * HOUR)
    polls = [
        (moment, "inactive" if 60 <= n < 64 else "active")
        for n in range(72)
        if not gap[0] <= (moment := start + n * HOUR + (n * 7 % 20) * MINUTE) < gap[1]
    ]
    tables = (_polls(polls), None, _zone("UTC"))
    window = uphours.Window("three_days", start, end)
    policies = [
        ("no limit", "the default", uphours.Policy()),
        ("max_age 3 h", "and the rest is unknown", uphours.Policy(max_age=3 * HOUR)),
    ]

    picture = Picture(
        "A collector gap",
        "Three days of a store that is always open, 39 hours of them without any poll, without and with max_age.",
        442,
    )
    picture.words(
        MARGIN, 36, "A collector gap: what was seen, what was read into it, what is said about it", size=18, bold=True
    )
    caption = "A store that is always open. Box: uptime lies between these bounds. Blue mark: uptime as reported."
    picture.words(MARGIN, 58, caption, colour=FAINT)
    axis = Axis(start, end, 160, 896)
    top = 106
    for n in range(0, 73, 12):
        moment = start + n * HOUR
        picture.line(axis(moment), top, axis(moment), top + 268)
        picture.words(
            axis(moment),
            top - 8,
            f"{moment:%H:%M}" if n % 24 else f"{moment:%a %H:%M}",
            anchor="middle",
            size=12,
            colour=FAINT,
        )
    picture.words(axis.left - 14, top + 24, "polls", anchor="end", bold=True)
    for moment, status in polls:
        picture.poll(axis(moment), top + 24, status)
    last = max(moment for moment, _ in polls if moment < gap[0])
    first = min(moment for moment, _ in polls if moment >= gap[1])
    picture.line(axis(last) + 8, top + 20, axis(first) - 8, top + 20, FAINT, ' stroke-dasharray="4 4"')
    picture.label((axis(last) + axis(first)) / 2, top + 24, "the collector was down")
    for n, (name, more, policy) in enumerate(policies):
        y = top + 46 + 116 * n
        picture.words(axis.left - 14, y + 14, name, anchor="end", bold=True)
        picture.words(axis.left - 14, y + 30, more, anchor="end", size=11 if n == 0 else 10, colour=FAINT)
        for span in _spans(uphours.timeline(*tables, start=start, as_of=end, policy=policy)):
            picture.span(axis, y, 34, span)
        row = uphours.report(*tables, as_of=end, windows=[window], policy=policy).row(0, named=True)
        _numbers(picture, axis, y + 58, row)
        _bounds(picture, axis, y + 70, row)
    picture.legend(picture.height - 32)
    return picture


def _numbers(picture: Picture, axis: Axis, y: float, row: dict[str, int]) -> None:
    sums = [f"{name} {_length(row[key])}" for name, key in _SUMS if row[key]]
    picture.words(axis.left, y - 4, ", ".join(sums) + f"; coverage {row['coverage']:.2%}", size=13)


_SUMS: Final = (("up", "uptime_us"), ("down", "downtime_us"), ("unknown", "unknown_us"))


def _bounds(picture: Picture, axis: Axis, y: float, row: dict[str, int]) -> None:
    """Draw uptime between its bounds, on a scale from nothing to the whole business time."""
    scale = (axis.right - axis.left) / row["business_us"]
    low, high, told = (axis.left + scale * row[key] for key in ("uptime_min_us", "uptime_max_us", "uptime_us"))
    picture.line(axis.left, y, axis.right, y, FAINT)
    picture.box(low, y - 4, high - low, 8, "#ffffff", f' stroke="{INK}" stroke-width="1.4"')
    picture.box(told - 2, y - 7, 4, 14, UP)
    picture.words(low, y + 20, f"uptime_min {_length(row['uptime_min_us'])}", anchor="middle", size=11)
    picture.words(high, y + 20, f"uptime_max {_length(row['uptime_max_us'])}", anchor="middle", size=11)


# --- files larger than memory -------------------------------------------------------------------------------------

#: A report of files is compared with DuckDB's grouping of them; both were measured at these sizes, in millions.
_MILLIONS: Final = (10, 99, 991)
_SERIES: Final = (
    ("ten weeks", "report with ten weekly windows", DOWN, ""),
    ("week", "report of the last week", UP, ""),
    ("DuckDB", "GROUP BY store in DuckDB", INK, ' stroke-dasharray="6 4"'),
)

#: Where the label of a point stands beside it.
_PLACES: Final[dict[str, tuple[Anchor, int, int]]] = {
    "ten weeks": ("end", -8, -8),
    "week": ("start", 10, 2),
    "DuckDB": ("start", 10, 18),
}


def larger_than_memory() -> Picture:
    """Draw what `bench.large_files` measured: time against the number of polls, both on scales of powers of ten."""
    sections = tables.results()
    seconds: dict[str, list[float]] = {name: [] for name, *_ in _SERIES}
    labels: dict[str, list[str]] = {name: [] for name, *_ in _SERIES}
    for millions in _MILLIONS:
        rows = {row["work"]: row for row in sections[f"files, {millions} M"]["rows"]}
        week, ten_weeks = (rows[f"files, {millions} M, {name}"] for name in ("week", "ten weeks"))
        for name, took, peak_mb in (
            ("ten weeks", ten_weeks["ours"], ten_weeks["peak_mb"]),
            ("week", week["ours"], week["peak_mb"]),
            ("DuckDB", week["yardstick"], None),
        ):
            seconds[name].append(took)
            labels[name].append(f"{took:,.3g} s" + ("" if peak_mb is None else f" ({peak_mb / 1000:.1f} GB)"))
    picture = Picture(
        "Time of a report against the number of polls",
        "Three rising lines over 10 million to a billion polls, closer to each other at the right.",
        500,
    )
    picture.words(MARGIN, 36, "Reports of files that are larger than memory", size=18, bold=True)
    picture.words(
        MARGIN,
        58,
        "Seconds by number of polls, both on scales of powers of ten. In brackets: peak memory.",
        colour=FAINT,
    )
    left, right, top, bottom = 90.0, 700.0, 90.0, 440.0
    every = [took for series in seconds.values() for took in series]
    low, high = floor(log10(min(every))), ceil(log10(max(every)))
    first, last = log10(_MILLIONS[0]), log10(_MILLIONS[-1])

    def place(millions: float, took: float) -> tuple[float, float]:
        x = left + (log10(millions) - first) / (last - first) * (right - left - 60) + 30
        return x, bottom - (log10(took) - low) / (high - low) * (bottom - top)

    for power in range(low, high + 1):
        y = place(1, 10.0**power)[1]
        picture.line(left, y, right, y)
        picture.words(left - 10, y + 4, f"{10**power:g} s", anchor="end", colour=FAINT)
    for millions in _MILLIONS:
        x = place(millions, 1)[0]
        picture.line(x, top, x, bottom)
        picture.words(x, bottom + 22, f"{millions} million", anchor="middle", colour=FAINT)
    for n, (name, title, colour, more) in enumerate(_SERIES):
        points = [place(*point) for point in zip(_MILLIONS, seconds[name], strict=True)]
        for (x, y), (to_x, to_y) in pairwise(points):
            picture.line(x, y, to_x, to_y, colour, f' stroke-width="2"{more}')
        for (x, y), label in zip(points, labels[name], strict=True):
            picture.box(x - 3, y - 3, 6, 6, colour)
            anchor, to_x, to_y = _PLACES[name]
            picture.words(x + to_x, y + to_y, label, anchor=anchor, size=11, colour=colour)
        y = bottom - 40 + 20 * n
        picture.line(right + 20, y, right + 50, y, colour, f' stroke-width="2"{more}')
        picture.words(right + 56, y + 4, title, size=11)
    return picture


DRAWN: Final[dict[str, Callable[[], Picture]]] = {
    "week.svg": week,
    "interpolation.svg": interpolation,
    "clock-change.svg": clock_change,
    "collector-gap.svg": collector_gap,
    "larger-than-memory.svg": larger_than_memory,
}


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    for name, picture in DRAWN.items():
        (PICTURES / name).write_text(picture().svg(), encoding="utf-8", newline="\n")
        print(PICTURES / name)


if __name__ == "__main__":
    main()
