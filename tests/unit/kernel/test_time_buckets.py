"""How time is cut, and that sums of a large fleet do not run over."""

import struct
from importlib import resources
from itertools import pairwise

import numpy as np
import pytest

from uphours.kernel import local_time
from uphours.kernel.local_time import timezone_names, week_clocks
from uphours.kernel.time_buckets import Sums, bucket_edges, bucket_for, history_grid, sums
from uphours.reports.history import _Added
from uphours.schema import DAY_US, HOUR_US, LAST_INSTANT, SECOND_US, Observations, Sessions, Spans, instant_us

TEN_DAYS = 10 * DAY_US
AT = instant_us("2023-01-25 18:13:22.47922 UTC")


@pytest.mark.parametrize(
    ("length", "bucket"),
    [
        (1, "hour"),
        (TEN_DAYS, "hour"),
        (TEN_DAYS + 1, "day"),
        (400 * DAY_US, "day"),
        (400 * DAY_US + 1, "week"),
        (LAST_INSTANT, "week"),
    ],
)
def test_the_bucket_follows_from_the_length(length: int, bucket: str) -> None:
    assert bucket_for(0, length) == bucket


def test_buckets_begin_with_whole_hours_days_and_weeks() -> None:
    def edges(bucket: str, start: str, end: str) -> list[int]:
        return bucket_edges(bucket, instant_us(start), instant_us(end))  # type: ignore[arg-type]

    assert edges("hour", "2023-01-25 17:30", "2023-01-25 19:10") == [
        instant_us(f"2023-01-25 {at}") for at in ("17:30", "18:00", "19:00", "19:10")
    ]
    assert edges("day", "2023-01-25", "2023-01-27") == [instant_us(f"2023-01-{day}") for day in (25, 26, 27)]
    # 2023-01-23 is a Monday.
    assert edges("week", "2023-01-20", "2023-01-30") == [instant_us(f"2023-01-{day}") for day in (20, 23, 30)]
    assert edges("hour", "2023-01-25", "2023-01-25") == []


def test_sums_of_more_than_64_bits_are_exact() -> None:
    n = 3000
    offsets = np.arange(n + 1)
    starts, ends = np.zeros(n, dtype=np.int64), np.full(n, LAST_INSTANT)
    spans = Spans(offsets, starts, ends, np.ones(n, dtype=np.uint8), np.ones(n, dtype=np.bool_), np.zeros(n, np.int64))
    nothing = np.zeros(n + 1, dtype=np.int64)
    always = Sessions(offsets, starts, ends)
    observations = Observations(nothing, starts[:0], np.zeros(0, dtype=np.uint8))
    grid = history_grid("week", 0, LAST_INSTANT, n)
    made = sums(spans, spans, always, always, observations, grid, starts, ends, LAST_INSTANT)
    assert sum(added((made, n))["uptime_us"]) == n * LAST_INSTANT > 2**63
    whole = history_grid("week", 0, LAST_INSTANT, n)
    one = type(whole)(LAST_INSTANT, 1, whole.clocks, whole.clock_of)
    made = sums(spans, spans, always, always, observations, one, starts, ends, LAST_INSTANT)
    # However the fleet was cut, the sums are the same: two parts of 1000 stores do not fit into 64 bits together.
    some = Sessions(offsets[:1001], starts[:1000], ends[:1000])
    few_spans = Spans(
        offsets[:1001], starts[:1000], ends[:1000], spans.statuses[:1000], spans.confirmed[:1000], starts[:1000]
    )
    few = sums(
        few_spans, few_spans, some, some, observations.of(0, 1000), one.of(0, 1000),
        starts[:1000], ends[:1000], LAST_INSTANT,
    )  # fmt: skip
    for parts in ([(made, n)], [(few, 1000)] * 3):
        columns = added(*parts)
        assert columns["uptime_us"] == columns["uptime_min_us"] == [n * LAST_INSTANT]


def added(*parts: tuple[Sums, int]) -> dict[str, list[int]]:
    adding = _Added()
    for summed, stores in parts:
        adding.add(summed, stores)
    return adding.columns()


def test_an_observation_made_at_as_of_belongs_to_the_bucket_that_ends_there() -> None:
    end = AT - AT % HOUR_US
    start = end - 2 * HOUR_US
    none = np.zeros(2, dtype=np.int64)
    empty = np.zeros(0, dtype=np.int64)
    spans = Spans(none, empty, empty, empty.astype(np.uint8), empty.astype(np.bool_), empty)
    observations = Observations(np.array([0, 3]), np.array([start, end, end + 1]), np.ones(3, dtype=np.uint8))
    bounds = (np.array([start]), np.array([end + DAY_US]))
    closed = Sessions(none, empty, empty)
    made = sums(spans, spans, closed, closed, observations, history_grid("hour", start, end, 1), *bounds, end)
    assert made.observations.tolist() == made.stores_observed.tolist() == [[1, 1]]


def changes_of(zone_name: str) -> list[int]:
    """Return when the offset of a zone changes from 1970 on, as its file has it (RFC 8536), in seconds."""
    content = resources.files("tzdata.zoneinfo").joinpath(zone_name).read_bytes()

    def counts(place: int) -> tuple[int, ...]:
        found: tuple[int, ...] = struct.unpack(">6l", content[place + 20 : place + 44])
        return found

    is_utc, is_std, leaps, times, types, letters = counts(0)
    place = 44 + times * 5 + types * 6 + letters + leaps * 8 + is_std + is_utc  # the second part has 64 bits
    _, _, _, times, types, _ = counts(place)
    place += 44
    instants = struct.unpack(f">{times}q", content[place : place + 8 * times])
    kinds = content[place + 8 * times : place + 9 * times]
    offsets = [
        struct.unpack(">l", content[place + 9 * times + 6 * kind : place + 9 * times + 6 * kind + 4])[0]
        for kind in range(types)
    ]
    return [
        at
        for at, before, after in zip(instants[1:], kinds, kinds[1:], strict=False)
        if offsets[before] != offsets[after] and at > 0
    ]


def test_clocks_do_not_change_twice_between_two_looks() -> None:
    """A change and its opposite between two looks would be lost."""
    distances = [b - a for name in timezone_names() for a, b in pairwise(changes_of(name))]
    assert min(distances) * SECOND_US > local_time._STEP_DAYS * DAY_US


@pytest.mark.parametrize("zone_name", ["Africa/Casablanca", "America/Noronha", "Asia/Gaza", "Pacific/Apia"])
def test_clocks_know_every_change_of_the_file(zone_name: str) -> None:
    end = instant_us("2037-01-01 UTC")
    clocks = week_clocks((zone_name,), 0, end)
    assert clocks.starts[1:].tolist() == [at * SECOND_US for at in changes_of(zone_name) if at * SECOND_US < end]


def test_clocks_know_every_change() -> None:
    clocks = week_clocks(("America/New_York", "Asia/Kolkata"), instant_us("2023-03-01"), instant_us("2023-12-01"))
    assert clocks.offsets.tolist() == [0, 3, 4]
    changes = [instant_us("2023-03-01"), instant_us("2023-03-12 07:00"), instant_us("2023-11-05 06:00")]
    assert clocks.starts.tolist() == [*changes, instant_us("2023-03-01")]
    assert ((clocks.shifts - 3 * DAY_US) / HOUR_US).tolist() == [-5, -4, -5, 5.5]
