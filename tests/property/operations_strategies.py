"""Random calendars, ledgers and attributes where the errors of such programs hide.

A case is plain data for `tests.operations_oracle`; whatever answers faster is put beside it. Dates lie within weeks of
a clock change of an odd zone, so that a slow answer is quick enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests import operations_oracle as oracle
from tests.operations_oracle import DAY_US, HOUR_US, MINUTE_US
from tests.property.strategies import clock_changes, hours_rows

#: Clocks that jump by half an hour, by 45 minutes' offset, by a day, at midnight, at Ramadan, or never.
ZONES = [
    "Etc/UTC",
    "America/New_York",
    "America/Chicago",
    "America/Havana",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Asia/Kolkata",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
]
#: A day without name: 30 December 2011 does not exist in Apia.
APIA_SKIPS_A_DAY_US = (datetime(2011, 12, 30, 10, tzinfo=UTC) - oracle.EPOCH) // timedelta(microseconds=1)
STORES = ["1", "01", "a-9"]
CLOSED_WEEK = [(day, "closed", "closed") for day in range(7)]
SPECIAL_OPENINGS = [
    ("00:00", "24:00"),
    ("10:00", "14:00"),
    ("18:00", "04:00"),
    ("00:00", "00:00"),
    ("01:30", "02:30"),
    ("22:00", "26:00"),
    ("23:30", "23:59:59"),
    ("02:15", "02:45"),
]

OFTEN = st.sampled_from([True, True, True, True, False])
SOMETIMES = st.sampled_from([False, False, True])
OPENINGS = st.lists(st.sampled_from(SPECIAL_OPENINGS), max_size=2)
COUNTS_AS: st.SearchStrategy[oracle.CountsAs] = st.sampled_from(["excluded", "down", "up", "unknown"])
NUMBERS_OF_ENTRIES = st.sampled_from([3, 5, 1, 0])
STARTS = st.sampled_from([0, 0, 1, -1, -HOUR_US, 90 * MINUTE_US])
LENGTHS = st.sampled_from([DAY_US, 3 * DAY_US, HOUR_US, 30 * MINUTE_US, 1]) | st.integers(1, 4 * DAY_US)
#: A chunk of polls: at which anchor, how far from it, how far apart, and what they say.
CHUNK = st.tuples(
    st.integers(0, 50),
    st.sampled_from([0, 0, 1, -1, 7 * MINUTE_US + 1, -2 * HOUR_US]) | st.integers(-9 * DAY_US, 9 * DAY_US),
    st.sampled_from([HOUR_US, 20 * MINUTE_US, 0, 2 * HOUR_US, 2 * HOUR_US + 1, 1]),  # 0: at the same instant
    st.lists(
        st.sampled_from(["active", "active", "inactive", "active", "inactive", "unknown"]), min_size=1, max_size=4
    ),
)
CHUNKS = st.lists(CHUNK, min_size=2, max_size=5) | st.lists(CHUNK, max_size=2)


@dataclass(frozen=True)
class Case:
    """A fleet, the instant it speaks for, the windows, and a local date close by."""

    fleet: oracle.Fleet
    as_of_us: int
    windows: tuple[oracle.Interval, ...]
    near: date

    @property
    def store(self) -> str:
        """The first store, which every case has."""
        return self.fleet.stores[0]

    @property
    def around(self) -> oracle.Interval:
        """An interval that holds all windows."""
        return min(start for start, _ in self.windows), max(end for _, end in self.windows)


@cache
def dates_near(near: date, days: int = 9) -> st.SearchStrategy[date]:
    """Return dates at most some days away, often the very date and those beside it."""
    shifts = st.sampled_from([0, 0, 1, -1, 2]) | st.integers(-days, days)
    return shifts.map(lambda shift: near + timedelta(days=shift))


def _zone_rows(draw: st.DrawFn, store: str, home: str, near: date) -> list[oracle.ZoneRow]:
    """Draw no zone, one since ever, or another one from a date on."""
    kind = draw(st.sampled_from(["home", "home", "none", "moved"]))
    if kind == "none":
        return []
    rows = [oracle.ZoneRow(store, home)]
    if kind == "moved":
        rows.append(oracle.ZoneRow(store, draw(st.sampled_from(ZONES)), draw(dates_near(near)).isoformat()))
    return rows


@cache
def _week(wall_minutes: tuple[int, ...]) -> st.SearchStrategy[list[tuple[int, str, str]]]:
    return hours_rows(wall_minutes).filter(bool) | st.just(CLOSED_WEEK)


@cache
def _some_dates(near: date, most: int) -> st.SearchStrategy[list[date]]:
    return st.lists(dates_near(near), max_size=most, unique=True)


def weeks_of(
    draw: st.DrawFn, store: str, near: date, wall_minutes: tuple[int, ...], *, at_least: int = 0
) -> list[oracle.HoursRow]:
    """Draw no week, one since ever, or several dated ones; sometimes the first is dated too, and some are closed."""
    week = _week(wall_minutes)
    dates = draw(_some_dates(near, 2))
    starts = [day.isoformat() for day in dates]
    if not starts or draw(OFTEN):
        starts.append("")
    if not at_least and not draw(OFTEN):
        return []
    return [oracle.HoursRow(store, *row, start) for start in starts for row in draw(week)]


def special_rows(draw: st.DrawFn, store: str, near: date, most: int = 3) -> list[oracle.SpecialRow]:
    """Draw dates that are closed, or open once or twice."""
    rows = []
    for day in draw(_some_dates(near, most)):
        openings = draw(OPENINGS)
        rows += [oracle.SpecialRow(store, day.isoformat(), *opening) for opening in openings or [("", "")]]
    return rows


def _attribute_rows(draw: st.DrawFn, store: str, near: date) -> list[oracle.AttributeRow]:
    rows = []
    for name, values in (("region", ["North", "South"]), ("brand", ["A", "B", ""])):
        starts = draw(st.sampled_from([[], [""], ["", "dated"], ["dated"]]))
        for start in starts:
            valid_from = draw(dates_near(near)).isoformat() if start else ""
            rows.append(oracle.AttributeRow(store, name, draw(st.sampled_from(values)), valid_from))
    if not draw(OFTEN):
        rows.append(oracle.AttributeRow(store, "first_day", draw(dates_near(near)).isoformat()))
    if not draw(OFTEN):
        rows.append(oracle.AttributeRow(store, "last_day", draw(dates_near(near)).isoformat()))
    return rows


def _poll_rows(draw: st.DrawFn, store: str, anchors: Sequence[int]) -> list[oracle.Poll]:
    polls = []
    for anchor, shift, step, statuses in draw(CHUNKS):
        first = anchors[anchor % len(anchors)] + shift
        polls += [oracle.Poll(store, first + i * step, status) for i, status in enumerate(statuses)]
    return polls


def interval(draw: st.DrawFn, anchors: Sequence[int]) -> oracle.Interval:
    """Draw an interval that begins at or next to an anchor."""
    start = draw(st.sampled_from(anchors)) + draw(STARTS)
    return start, start + draw(LENGTHS)


def ledgers(draw: st.DrawFn, stores: Sequence[str], anchors: Sequence[int]) -> list[oracle.Entry]:
    """Draw a ledger: entries that overlap, some over several stores, some withdrawn."""
    entries: list[oracle.Entry] = []
    for number in range(1, draw(NUMBERS_OF_ENTRIES) + 1):
        is_withdrawal: bool = draw(SOMETIMES)
        if entries and is_withdrawal:
            withdrawn = draw(st.sampled_from(entries[-2:])).number  # often a withdrawal itself
            entries += [
                oracle.Entry(number, entry.store, 0, 0, "withdrawal", withdrawn)
                for entry in entries
                if entry.number == withdrawn
            ]
            continue
        # Entries overlap: the next one often begins in the one before it.
        starts = [entry.start_us for entry in entries[-1:] if entry.end_us and draw(OFTEN)] or anchors
        start, end = interval(draw, starts)
        counts_as = draw(COUNTS_AS)
        chosen = draw(st.sampled_from([stores, stores[:1], stores[-1:]]))
        entries += [oracle.Entry(number, store, start, end, counts_as) for store in chosen]
    return entries


RULES = st.builds(
    oracle.Rules,
    interpolation=st.sampled_from(["previous", "previous", "next", "nearest"]),
    prefer_in_session=st.sampled_from([True, True, False]),
    max_age_us=st.sampled_from([*[None] * 6, HOUR_US, 12 * HOUR_US, 3 * DAY_US, DAY_US + 1]),
    confirm_within_us=st.sampled_from([2 * HOUR_US, HOUR_US, 2 * HOUR_US + 1]),
)


def _middle(draw: st.DrawFn, home: str) -> tuple[int, tuple[int, ...]]:
    """Draw an instant close to a clock change of a zone, and what the wall clock shows around it."""
    if home == "Pacific/Apia" and draw(st.booleans()):
        return APIA_SKIPS_A_DAY_US, (0, 10 * 60)
    changes = clock_changes(home)
    if not changes:
        return draw(st.integers(9_000, 19_000)) * DAY_US, ()
    change = draw(st.sampled_from(changes))
    return change.at_us, change.wall_minutes


@st.composite
def cases(draw: st.DrawFn, max_stores: int = 2, *, has_weeks: bool = False, has_ledger: bool = True) -> Case:
    """Draw a whole case; with ``has_weeks`` every store has weekly rows, without ``has_ledger`` nothing is adjusted."""
    home = draw(st.sampled_from(ZONES))
    middle, wall_minutes = _middle(draw, home)
    near = (oracle.EPOCH + timedelta(microseconds=middle)).astimezone(ZoneInfo(home)).date()
    as_of_us = middle + draw(st.sampled_from([0, DAY_US, HOUR_US, 1]) | st.integers(-DAY_US, 9 * DAY_US))
    stores = STORES[: draw(st.integers(1, max_stores))]
    fleet = oracle.Fleet(
        hours=[row for s in stores for row in weeks_of(draw, s, near, wall_minutes, at_least=int(has_weeks))],
        zones=[row for store in stores for row in _zone_rows(draw, store, home, near)],
        special=[row for owner in (*stores, oracle.ALL_STORES) for row in special_rows(draw, owner, near)],
        attributes=[row for store in stores for row in _attribute_rows(draw, store, near)],
        polls=[oracle.Poll(store, as_of_us + 400 * DAY_US, "active") for store in stores],  # names it, says nothing
        rules=draw(RULES),
    )
    bounds = {
        store: oracle.clipped(
            oracle.sessions(fleet, store, (middle, as_of_us)), (middle - 9 * DAY_US, middle + 9 * DAY_US)
        )
        for store in stores
    }
    anchors = {store: [as_of_us, middle, *(b for opened in bounds[store] for b in opened)] for store in stores}
    all_anchors = [anchor for store in stores for anchor in anchors[store]]
    windows = [interval(draw, all_anchors) for _ in range(draw(st.integers(1, 2)))]
    windows.append((as_of_us - 7 * DAY_US, as_of_us))
    return Case(
        fleet=oracle.Fleet(
            hours=fleet.hours,
            zones=fleet.zones,
            special=fleet.special,
            attributes=fleet.attributes,
            polls=[*fleet.polls, *(row for store in stores for row in _poll_rows(draw, store, anchors[store]))],
            ledger=ledgers(draw, stores, all_anchors) if has_ledger else [],
            rules=fleet.rules,
        ),
        as_of_us=as_of_us,
        windows=tuple(windows),
        near=near,
    )
