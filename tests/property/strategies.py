"""Random cases: stores, hours, polls and policies where the errors of such programs hide.

A case is plain data. It can be put to the library (`Case.report`) and to the oracle (`Case.answers`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Literal
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import settings
from hypothesis import strategies as st

import uphours
from tests import oracle
from tests.oracle import DAY_US, HOUR_US, MINUTE_US, SECOND_US

# The most telling property gets more examples, those that need several reports each get fewer: the suite stays quick.
MORE = settings(max_examples=settings().max_examples * 2)
FEWER = settings(max_examples=settings().max_examples // 4)

Assume = Literal["unknown", "active", "inactive"]
INSTANT = pl.Datetime("us", "UTC")
DAYS = range(7)
DAY_MINUTES = 24 * 60
STORE_IDS = ["1", "01", "10", "2", "f3c1-9"]  # leading zeros matter, and text sorts in its own way
DEFAULT_WINDOWS = {"last_hour": HOUR_US, "last_day": DAY_US, "last_week": 7 * DAY_US}

# Clocks that jump by half an hour, two hours or a day, at midnight, at Ramadan, for good, or never.
ZONES = [
    "UTC",
    "America/New_York",
    "America/Chicago",
    "America/St_Johns",
    "America/Havana",
    "America/Sao_Paulo",
    "America/Caracas",
    "America/Scoresbysund",
    "America/Phoenix",
    "Europe/London",
    "Europe/Dublin",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Tehran",
    "Asia/Kathmandu",
    "Asia/Pyongyang",
    "Antarctica/Troll",
    "Antarctica/Casey",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
]
# Zone data of these years is settled; the last ones may differ between two releases of it.
FIRST_AS_OF = datetime(2001, 1, 1, tzinfo=UTC)
LAST_AS_OF = datetime(2024, 6, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """One run: the three tables, the instant it speaks for, the windows, and the policy."""

    observations: list[oracle.Observation]
    hours: list[oracle.HoursRow]
    zones: dict[str, str]
    as_of_us: int
    rules: oracle.Rules = field(default_factory=oracle.Rules)
    extra_windows: tuple[oracle.Window, ...] = ()

    @property
    def stores(self) -> list[str]:
        return sorted({row[0] for row in self.observations} | {row[0] for row in self.hours} | set(self.zones))

    @property
    def windows(self) -> list[oracle.Window]:
        """The three default windows, then the extra ones."""
        last = [(name, self.as_of_us - length, self.as_of_us) for name, length in DEFAULT_WINDOWS.items()]
        return [*last, *self.extra_windows]

    def only(self, store: str) -> "Case":
        """Return the case as if it had one store."""
        return replace(
            self,
            observations=[row for row in self.observations if row[0] == store],
            hours=[row for row in self.hours if row[0] == store],
            zones={store: self.zones[store]} if store in self.zones else {},
        )

    def tables(self) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """Return the three tables as the library takes them."""
        return (
            observation_table(self.observations),
            hours_table(self.hours),
            zone_table(list(self.zones.items())),
        )

    def policy(self, assume: Assume = "unknown") -> uphours.Policy:
        rules = self.rules
        return uphours.Policy(
            interpolation=rules.interpolation,
            prefer_in_session=rules.prefer_in_session,
            max_age=None if rules.max_age_us is None else timedelta(microseconds=rules.max_age_us),
            confirm_within=timedelta(microseconds=rules.confirm_within_us),
            only_watched=rules.only_watched,
            assume=assume,
        )

    def report(
        self, *, assume: Assume = "unknown", all_stores: bool = True, stores: list[str] | None = None
    ) -> pl.DataFrame:
        """Put the case to the library."""
        return uphours.report(
            *self.tables(),
            as_of=self.as_of_us,
            windows=[*DEFAULT_WINDOWS, *(uphours.Window(*window) for window in self.extra_windows)],
            policy=self.policy(assume),
            stores=stores,
            all_stores=all_stores,
        )

    def answers(self, windows: Sequence[oracle.Window] | None = None) -> dict[tuple[str, str], oracle.Answer]:
        """Put the case to the oracle, for its own windows or for others."""
        return oracle.answers(
            self.observations,
            self.hours,
            self.zones,
            as_of_us=self.as_of_us,
            windows=self.windows if windows is None else windows,
            rules=self.rules,
        )


def observation_table(rows: Sequence[oracle.Observation]) -> pl.DataFrame:
    schema = {"store_id": pl.String, "timestamp_utc": pl.Int64, "status": pl.String}
    return pl.DataFrame(list(rows), schema=schema, orient="row").with_columns(pl.col("timestamp_utc").cast(INSTANT))


def hours_table(rows: Sequence[oracle.HoursRow]) -> pl.DataFrame:
    schema = {
        "store_id": pl.String,
        "day": pl.Int64,
        "start_time_local": pl.String,
        "end_time_local": pl.String,
    }
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def zone_table(rows: Sequence[tuple[str, str]]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema={"store_id": pl.String, "timezone_str": pl.String}, orient="row")


# --- clock changes -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClockChange:
    """An instant at which a zone's offset jumps, and what the wall clock shows before and after it."""

    at_us: int
    wall_minutes: tuple[int, int]


@cache
def clock_changes(zone_name: str) -> list[ClockChange]:
    """Find the clock changes of a zone; those that are not by one hour, being rare, are listed many times."""
    zone, step, found = ZoneInfo(zone_name), timedelta(days=1), []
    moment = FIRST_AS_OF
    while moment < LAST_AS_OF:
        if moment.astimezone(zone).utcoffset() != (moment + step).astimezone(zone).utcoffset():
            found += _described(_first_after_change(moment, moment + step, zone), zone)
        moment += step
    return found


def _first_after_change(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    old = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == old else (low, middle)
    return high


def _described(change: datetime, zone: ZoneInfo) -> list[ClockChange]:
    before = (change - timedelta(minutes=1)).astimezone(zone).replace(tzinfo=None) + timedelta(minutes=1)
    after = change.astimezone(zone).replace(tzinfo=None)
    minutes = (before.hour * 60 + before.minute, after.hour * 60 + after.minute)
    rare = abs(after - before) != timedelta(hours=1)
    return [ClockChange((change - oracle.EPOCH) // timedelta(microseconds=1), minutes)] * (20 if rare else 1)


# --- business hours ----------------------------------------------------------------------------------

MIDNIGHT_ENDS = [
    "24:00",
    "23:59",
    "24:00:00",
    "23:59:00",
    "23:59:30",
    "23:59:59",
    "23:59:59.999",
    "00:00",
    "00:00:00",
]
NEAR_MIDNIGHT = ["23:58", "23:58:59", "00:00:01", "00:01"]
# Every one of these covers the day, some only together with the same rows on its neighbours.
COVERS = [
    [("00:00", "24:00")],
    [("00:00:00", "23:59:59")],
    [("10:00", "10:00")],
    [("00:00", "12:00"), ("12:00", "00:00")],
    [("18:00", "06:00"), ("06:00", "18:00")],
    [("22:30", "04:00"), ("03:30", "23:00")],
    [("00:00", "14:00"), ("10:00", "23:59")],
]

WeekRows = st.SearchStrategy[list[tuple[int, str, str]]]


def _spelled(minute: int) -> str:
    text = f"{minute // 60:02d}:{minute % 60:02d}"
    return text if minute % 2 else text + ":00"


def _minutes(wall_minutes: tuple[int, ...]) -> st.SearchStrategy[int]:
    """Minutes of the day, often close to the wall-clock minutes at which the clock jumps."""
    plain = st.sampled_from([0, 9 * 60, 12 * 60, 17 * 60, 22 * 60]) | st.integers(0, DAY_MINUTES - 1)
    if not wall_minutes:
        return plain
    near = st.builds(
        lambda minute, shift: (minute + shift) % DAY_MINUTES,
        st.sampled_from(wall_minutes),
        st.sampled_from([0, 0, -1, 1, -30, 15, 30, 45, 60, -60, -90]),
    )
    return plain | near


def _openings(wall_minutes: tuple[int, ...]) -> st.SearchStrategy[tuple[str, str]]:
    times = _minutes(wall_minutes).map(_spelled)
    return st.one_of(
        st.tuples(times, times | st.sampled_from(MIDNIGHT_ENDS + NEAR_MIDNIGHT)),
        times.map(lambda time: (time, time)),
        st.sampled_from(
            [("18:00", "02:00"), ("09:00", "17:00"), ("23:59:30", "23:59:59"), ("23:58", "00:01"), ("20:00", "19:55")]
        ),
    )


def _random_rows(wall_minutes: tuple[int, ...]) -> WeekRows:
    row = st.builds(lambda day, opening: (day, *opening), st.sampled_from(DAYS), _openings(wall_minutes))
    return st.lists(row, min_size=1, max_size=6)


def _same_every_day(wall_minutes: tuple[int, ...]) -> WeekRows:
    return st.builds(
        lambda openings, days: [(day, *opening) for day in days for opening in openings],
        st.lists(_openings(wall_minutes), min_size=1, max_size=3),
        st.sampled_from([list(DAYS), [0, 1, 2, 3, 4], [5, 6], [6], [0, 2, 4], [6, 0]]),
    )


def _touching_shifts(wall_minutes: tuple[int, ...]) -> WeekRows:
    """Shifts that touch each other, the last of them up to the first one of the next day."""
    return st.builds(
        lambda bounds, days: [
            (day, _spelled(start), _spelled(end))
            for day in days
            for start, end in zip(sorted(bounds), [*sorted(bounds)[1:], min(bounds)], strict=True)
        ],
        st.lists(_minutes(wall_minutes), min_size=2, max_size=4, unique=True),
        st.sampled_from([list(DAYS), [0, 1, 2], [6, 0], [4]]),
    )


def whole_weeks() -> WeekRows:
    """Rows that cover the whole week, each day spelled in its own way; sometimes a day is missing after all."""
    spelled = st.sampled_from(MIDNIGHT_ENDS).map(lambda end: [("00:00", end)])
    cover = st.one_of(st.sampled_from(COVERS).map(lambda rows: [rows] * 7), st.lists(spelled, min_size=7, max_size=7))
    return st.builds(
        lambda rows_of_day, missing: [
            (day, *opening) for day in DAYS if day != missing for opening in rows_of_day[day]
        ],
        cover,
        st.sampled_from([None, None, None, 0, 3, 6]),
    )


@cache
def hours_rows(wall_minutes: tuple[int, ...] = ()) -> WeekRows:
    """Weekly opening rows of one store; none at all is 24x7."""
    return st.one_of(
        st.just([]),
        _same_every_day(wall_minutes),
        _random_rows(wall_minutes),
        _touching_shifts(wall_minutes),
        whole_weeks(),
    )


# --- observations, policies, whole cases -------------------------------------------------------------

JITTERS = [0, 0, 0, 0, 0, 1, -1, SECOND_US, -SECOND_US, 7 * MINUTE_US + 388_884, -2 * HOUR_US]
POLL_STEPS = [
    -1,
    1,
    90 * SECOND_US + 1,
    -20 * MINUTE_US,
    61 * MINUTE_US,
    -HOUR_US,
    HOUR_US,
    2 * HOUR_US,
    2 * HOUR_US + 1,
]
# A chunk of polls: where one is, how far before it or after it the others follow, how many, which ones are up, and
# which ones say that the status is unknown.
# Polls that agree are frequent, as they confirm each other.
PLACES = st.one_of(
    st.tuples(st.just("anchor"), st.integers(0, 50), st.sampled_from(JITTERS)),
    st.tuples(st.just("around"), st.integers(-8 * DAY_US, DAY_US), st.just(0)),
    st.tuples(st.just("long ago"), st.integers(8 * 24, 200 * 24), st.just(0)),
)
UP_BITS = st.sampled_from([0, 63, 63]) | st.integers(0, 63)
UNKNOWN_BITS = st.sampled_from([0, 0, 0, 63]) | st.integers(0, 63)
CHUNKS = st.tuples(PLACES, st.sampled_from(POLL_STEPS), st.sampled_from([1, 1, 2, 3, 6]), UP_BITS, UNKNOWN_BITS)
MANY_CHUNKS = st.lists(CHUNKS, min_size=2, max_size=6) | st.lists(CHUNKS, max_size=1)


def _polls(draw: st.DrawFn, anchors: Sequence[int], as_of_us: int) -> list[tuple[int, str]]:
    """Draw polls at and next to the `anchors`, around the last week, and long ago; alone and in clusters."""
    polls = []
    for (place, number, jitter), step, count, up_bits, unknown_bits in draw(MANY_CHUNKS):
        first = {
            "anchor": anchors[number % len(anchors)] + jitter,
            "around": as_of_us + number,
            "long ago": as_of_us - number * HOUR_US,
        }[place]
        polls += [(first - i * step, _status(up_bits >> i & 1, unknown_bits >> i & 1)) for i in range(count)]
    return polls


def _status(is_up: int, is_unknown: int) -> str:
    return "unknown" if is_unknown else "active" if is_up else "inactive"


RULES = st.builds(
    oracle.Rules,
    interpolation=st.sampled_from(["previous", "next", "nearest"]),
    prefer_in_session=st.sampled_from([True, True, False]),
    max_age_us=st.one_of(
        st.none(),
        st.sampled_from([None, HOUR_US, 12 * HOUR_US, MINUTE_US, 3 * DAY_US]),
        st.integers(1, 9 * DAY_US),
    ),
    confirm_within_us=st.sampled_from([2 * HOUR_US, HOUR_US, DAY_US, 2 * HOUR_US + 1]),
    only_watched=st.sampled_from([False, False, True]),
)

# From a clock change to as_of.
SHIFTS = st.one_of(
    st.sampled_from([0, DAY_US, HOUR_US, 7 * DAY_US, 1, -1]),
    st.integers(-12, 8 * 24).map(lambda hours: hours * HOUR_US),
    st.integers(-DAY_US, 9 * DAY_US),
)


def _as_of(draw: st.DrawFn, change: ClockChange | None) -> int:
    """Draw an instant to report for: within days of a clock change, in zones that have any."""
    if change is not None:
        return change.at_us + draw(SHIFTS)
    first, last = ((end - oracle.EPOCH) // timedelta(hours=1) for end in (FIRST_AS_OF, LAST_AS_OF))
    return draw(st.integers(first, last)) * HOUR_US


# A store without a zone has the default one.
HOME_OR_OTHER_ZONE = st.one_of(st.just("home"), st.none(), st.sampled_from(ZONES))


def _store(
    draw: st.DrawFn, store: str, home: str, as_of_us: int, wall_minutes: tuple[int, ...]
) -> tuple[list[oracle.Observation], list[oracle.HoursRow], dict[str, str]]:
    """Draw the three tables of one store."""
    zone = draw(HOME_OR_OTHER_ZONE)
    zones = {} if zone is None else {store: home if zone == "home" else zone}
    # Stores of which nothing but polls is known are frequent: they are what is easily lost.
    has_polls_only = zone is None and draw(st.booleans())
    hours = [] if has_polls_only else [(store, *row) for row in draw(hours_rows(wall_minutes))]
    bounds = oracle.sessions(store, hours, zones, start_us=as_of_us - 8 * DAY_US, end_us=as_of_us + DAY_US)
    anchors = [as_of_us, as_of_us + 1, *(as_of_us - length for length in DEFAULT_WINDOWS.values())]
    anchors += [instant for session in bounds for instant in session]
    polls = _polls(draw, anchors, as_of_us)
    seen = draw(st.sampled_from(["at as_of", "at as_of", "at any time", "at any time", "later"]))
    if seen == "later":  # then there is such a store, and nothing is known of it yet
        polls = [(as_of_us + 1 + abs(at - as_of_us), status) for at, status in polls]
    if seen == "at as_of":  # without an as_of of its own, a report speaks for its latest observation
        polls.append((as_of_us, draw(st.sampled_from(["active", "inactive", "unknown"]))))
    return [(store, *poll) for poll in polls], hours, zones


# Where a window starts, in hours from as_of; an odd addition to it; and where it ends, from as_of or from its start.
WINDOWS = st.tuples(
    st.integers(-30 * 24, 24),
    st.sampled_from([0, 1, 1_234_567]),
    st.tuples(st.just("as_of"), st.sampled_from([0, 1, DAY_US]))
    | st.tuples(st.just("start"), st.integers(1, 10 * DAY_US)),
)


def _window(name: str, as_of_us: int, start_hours: int, odd_us: int, end: tuple[str, int]) -> oracle.Window:
    start = as_of_us + start_hours * HOUR_US + odd_us
    origin, length_us = end
    return name, start, max(start + 1, (as_of_us if origin == "as_of" else start) + length_us)


@st.composite
def cases(draw: st.DrawFn, max_stores: int = 3) -> Case:
    """Draw a whole case: up to `max_stores` stores, most of them around one clock change."""
    home = draw(st.sampled_from(ZONES))
    changes = clock_changes(home)
    change = draw(st.sampled_from(changes)) if changes else None
    as_of_us = _as_of(draw, change)
    tables = [
        _store(draw, store, home, as_of_us, change.wall_minutes if change else ())
        for store in STORE_IDS[: draw(st.integers(1, max_stores))]
    ]
    windows = zip(["first", "second"], draw(st.lists(WINDOWS, max_size=2)), strict=False)
    return Case(
        observations=[row for observations, _, _ in tables for row in observations],
        hours=[row for _, hours, _ in tables for row in hours],
        zones={store: zone for _, _, zones in tables for store, zone in zones.items()},
        as_of_us=as_of_us,
        rules=draw(RULES),
        extra_windows=tuple(_window(name, as_of_us, *window) for name, window in windows),
    )
