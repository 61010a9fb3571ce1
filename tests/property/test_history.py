"""Buckets of a history and hours of the week agree with the slow oracle, and add up to the report."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import uphours
from tests import oracle
from tests.oracle import DAY_US, HOUR_US, MINUTE_US
from tests.property.strategies import FEWER, Assume, Case, cases, clock_changes
from uphours.kernel.collector_gaps import collector_gaps
from uphours.kernel.windows import WINDOW_NAMES
from uphours.reports.history import HeatMap, History, heat_map, history
from uphours.schema import Observations, instant_iso

WEEK_US = 7 * DAY_US
TIMES = ("uptime_us", "downtime_us", "unknown_us", "business_us", "watched_us")
SUMMED = (*TIMES, "uptime_min_us", "uptime_max_us", "observations")


def followed(case: Case, window: str | uphours.Window, assume: Assume = "unknown") -> History:
    fleet = uphours.validate(*case.tables()).fleet
    return history(fleet, as_of=case.as_of_us, window=window, policy=case.policy(assume))


def heated(case: Case, window: str | uphours.Window, assume: Assume = "unknown") -> HeatMap:
    fleet = uphours.validate(*case.tables()).fleet
    return heat_map(fleet, as_of=case.as_of_us, window=window, policy=case.policy(assume))


def totals(case: Case, window: str | uphours.Window, assume: Assume = "unknown") -> dict[str, int]:
    """Return the sums of a report over all stores."""
    options: dict[str, Any] = {"windows": [window], "policy": case.policy(assume), "all_stores": True}
    rows = uphours.report(*case.tables(), as_of=case.as_of_us, **options)
    return {name: sum(rows[name].to_list()) for name in SUMMED}


def added(rows: list[dict[str, Any]], names: tuple[str, ...]) -> dict[str, int]:
    return {name: sum(row[name] for row in rows) for name in names}


def chosen_windows(case: Case) -> list[str | uphours.Window]:
    """Return the case's own windows that begin before as_of: of one that does not, there is no time to be cut."""
    return [uphours.Window(*row) for row in case.extra_windows if row[1] < case.as_of_us]


# --- the parts are the whole -----------------------------------------------------------------------------


@given(case=cases(max_stores=3), name=st.sampled_from(WINDOW_NAMES), assume=st.sampled_from(["unknown", "inactive"]))
def test_buckets_and_hours_of_the_week_add_up_to_the_report(case: Case, name: str, assume: Assume) -> None:
    for window in (name, *chosen_windows(case)):  # the case's own ones may end long before as_of
        whole = totals(case, window, assume)
        rows = followed(case, window, assume).buckets
        if rows:
            assert added(rows, SUMMED) == whole
        else:  # the window begins at as_of
            assert {whole[name] for name in TIMES} == {0}
        assert added(heated(case, window, assume).cells, SUMMED[:-1]) == {name: whole[name] for name in SUMMED[:-1]}


@FEWER
@given(case=cases(max_stores=2), days=st.integers(1, 1200), odd_us=st.integers(0, DAY_US))
def test_buckets_follow_each_other_and_are_whole_hours_days_and_weeks(case: Case, days: int, odd_us: int) -> None:
    start = max(case.as_of_us - days * DAY_US - odd_us, 0)
    # As text: whole numbers of before the year 2000 are taken for another unit, and refused.
    window = uphours.Window("own", instant_iso(start), case.as_of_us)
    made = followed(case, window)
    edges = [row["start_us"] for row in made.buckets] + [made.buckets[-1]["end_us"]]
    assert (edges[0], edges[-1]) == (start, case.as_of_us)
    assert [row["end_us"] for row in made.buckets] == edges[1:]
    length = case.as_of_us - start
    assert made.bucket == ("hour" if length <= 10 * DAY_US else "day" if length <= 400 * DAY_US else "week")
    width = {"hour": HOUR_US, "day": DAY_US, "week": WEEK_US}[made.bucket]
    assert all(b - a == width for a, b in pairwise(edges[1:-1]))
    assert all(0 < b - a <= width for a, b in pairwise(edges))
    assert all(edge % min(width, DAY_US) == 0 for edge in edges[1:-1])
    if made.bucket == "week":
        assert {oracle._from_us(edge).weekday() for edge in edges[1:-1]} <= {0}
    assert added(made.buckets, SUMMED) == totals(case, window)


# --- against the oracle ----------------------------------------------------------------------------------


@FEWER
@given(case=cases(max_stores=2), hours=st.integers(1, 30), places=st.lists(st.integers(0, 300), min_size=1, max_size=6))
def test_every_bucket_is_what_the_oracle_says_of_it(case: Case, hours: int, places: list[int]) -> None:
    start = case.as_of_us - hours * 9 * HOUR_US
    rows = followed(case, uphours.Window("own", start, case.as_of_us)).buckets
    for place in places:
        row = rows[place % len(rows)]
        window = ("bucket", row["start_us"], row["end_us"])
        found = [case.answers([window])[store, "bucket"] for store in case.stores]
        assert [row[name] for name in SUMMED] == [
            sum(one.uptime_us for one in found),
            sum(one.downtime_us for one in found),
            sum(one.unknown_us for one in found),
            sum(one.business_us for one in found),
            sum(one.watched_us for one in found),
            sum(one.confirmed_uptime_us for one in found),
            sum(one.business_us - one.confirmed_downtime_us for one in found),
            sum(one.observations for one in found),
        ]
        assert row["stores_observed"] == sum(one.observations > 0 for one in found)
        known = row["uptime_us"] + row["downtime_us"]
        assert row["availability"] == (row["uptime_us"] / known if known else None)
        if row["business_us"]:
            assert row["coverage"] == row["watched_us"] / row["business_us"]
            assert row["availability_min"] == row["uptime_min_us"] / row["business_us"]
            assert row["availability_max"] == row["uptime_max_us"] / row["business_us"]
        else:
            assert row["coverage"] is row["availability_min"] is row["availability_max"] is None


@given(case=cases(max_stores=3), window=st.sampled_from(["last_day", "last_week"]))
def test_observations_and_the_stores_that_have_any_are_counted_in_every_bucket(case: Case, window: str) -> None:
    polls = {(store, at) for store, at, _ in case.observations}
    for row in followed(case, window).buckets:
        inside = [store for store, at in polls if row["start_us"] <= at < row["end_us"]]
        assert (row["observations"], row["stores_observed"]) == (len(inside), len(set(inside)))


def by_minutes(case: Case, start_us: int) -> dict[tuple[int, int], dict[str, int]]:
    """Return up, down, unknown and watched time by weekday and hour: every span, minute by minute of the clock."""
    found: dict[tuple[int, int], dict[str, int]] = {}
    for store in case.stores:
        zone = ZoneInfo(case.zones.get(store, oracle.DEFAULT_ZONE))
        tables = (store, case.observations, case.hours, case.zones)
        asked: Any = {"start_us": start_us, "as_of_us": case.as_of_us, "rules": case.rules}
        spans = [(start, end, status) for start, end, status, _confirmed in oracle.timeline(*tables, **asked)]
        spans += [(start, end, "watched") for start, end in oracle.watched(*tables, **asked)]
        for start, end, status in spans:
            for minute in range(start // MINUTE_US, -(-end // MINUTE_US)):
                local = oracle._from_us(minute * MINUTE_US).astimezone(zone)
                inside = min(end, (minute + 1) * MINUTE_US) - max(start, minute * MINUTE_US)
                cell = found.setdefault(
                    (local.weekday(), local.hour), dict.fromkeys(("up", "down", "unknown", "watched"), 0)
                )
                cell[status] += inside
    return found


@FEWER
@given(case=cases(max_stores=2), days=st.sampled_from([1, 3, 8]))
def test_hours_of_the_week_are_those_of_the_clock_on_the_wall(case: Case, days: int) -> None:
    start = case.as_of_us - days * DAY_US - 1
    expected = by_minutes(case, start)
    cells = heated(case, uphours.Window("own", start, case.as_of_us)).cells
    assert [(cell["weekday"], cell["hour"]) for cell in cells] == [
        (day, hour) for day in range(7) for hour in range(24)
    ]
    for cell in cells:
        found = expected.get((cell["weekday"], cell["hour"]), {})
        up, down, unknown, watched = (found.get(status, 0) for status in ("up", "down", "unknown", "watched"))
        assert [cell[name] for name in TIMES] == [up, down, unknown, up + down + unknown, watched]
        assert cell["availability"] == (up / (up + down) if up + down else None)
        assert cell["coverage"] == (watched / cell["business_us"] if cell["business_us"] else None)


@FEWER
@given(case=cases(max_stores=1), weeks=st.integers(2, 60), odd_us=st.integers(0, 3 * DAY_US))
def test_weeks_of_one_status_go_around_the_clock(case: Case, weeks: int, odd_us: int) -> None:
    """Without observations a store that is always open is unknown all the time, through every change of its clock."""
    bare = replace(case, observations=[], hours=[], zones={"1": case.zones.get("1", "UTC")})
    start = case.as_of_us - weeks * WEEK_US - odd_us
    cells = heated(bare, uphours.Window("own", start, case.as_of_us)).cells
    zone = ZoneInfo(bare.zones["1"])
    found = [0] * 168
    at = start
    changes = [change.at_us for change in clock_changes(bare.zones["1"])]  # some at 00:01
    while at < case.as_of_us:
        quarter = (at // (15 * MINUTE_US) + 1) * 15 * MINUTE_US
        until = min([quarter, case.as_of_us, *(change for change in changes if at < change < quarter)])
        local = oracle._from_us(at).astimezone(zone)
        found[local.weekday() * 24 + local.hour] += until - at
        at = until
    assert [cell["unknown_us"] for cell in cells] == found


# --- collector gaps --------------------------------------------------------------------------------------

BIN_US = 5 * MINUTE_US


def slow_gaps(polls: dict[int, list[int]], start: int, end: int, as_of: int) -> list[tuple[int, int]]:
    """Return the gaps by their definition, with sets and lists."""
    differences = sorted(b - a for times in polls.values() for a, b in pairwise(times))
    interval = differences[(len(differences) - 1) // 2] if differences else HOUR_US
    of_bin: dict[int, list[tuple[int, int]]] = {}
    for store, times in polls.items():
        for at in times:
            of_bin.setdefault(at // BIN_US, []).append((at, store))

    def expected(bin_: int) -> int:
        firsts_and_lasts = [(times[0] // BIN_US, times[-1] // BIN_US) for times in polls.values() if times]
        return sum(first <= bin_ <= last + WEEK_US // BIN_US for first, last in firsts_and_lasts)

    def is_busy(bin_: int) -> bool:
        seen = len({store for _, store in of_bin[bin_]})
        return seen * 100 * max(interval, BIN_US) > expected(bin_) * BIN_US

    busy = [bin_ for bin_ in sorted(of_bin) if is_busy(bin_)]
    bounds = [(max(of_bin[a])[0], min(of_bin[b])[0]) for a, b in pairwise(busy)]
    if busy:
        bounds.append((max(of_bin[busy[-1]])[0], as_of))
    long = [(a, b) for a, b in bounds if b - a > interval * 3 / 2 and b - a > BIN_US]
    return [(a, b) for a, b in long if a < end and b > start]


POLLS = st.lists(
    st.tuples(
        st.integers(1, 400),  # so many stores are polled
        st.integers(0, 20 * 24 * 60),  # from this minute on
        st.sampled_from([1, 5, 30, 60, 60, 60, 1440]),  # every so many minutes
        st.integers(1, 30),  # so many times
        st.sampled_from([0, 1, 59]),  # up to so many minutes late
    ),
    min_size=1,
    max_size=5,
)


@given(polls=POLLS, bounds=st.tuples(st.integers(0, 25), st.integers(0, 25)), later=st.integers(0, 3 * DAY_US))
def test_gaps_are_those_of_their_definition(
    polls: list[tuple[int, int, int, int, int]], bounds: tuple[int, int], later: int
) -> None:
    chance = np.random.default_rng(len(polls))
    seen: dict[int, set[int]] = {}
    for number, (stores, first, every, times, late) in enumerate(polls):
        for store in range(stores):
            # Two groups of stores may be the same ones: the collector has come back.
            delays = chance.integers(0, late * MINUTE_US + 1, times).tolist()
            mine = seen.setdefault(store + 1000 * (number % 2), set())
            mine |= {(first + every * place) * MINUTE_US + delay for place, delay in enumerate(delays)}
    base = 19_000 * DAY_US
    of = {store: sorted(base + at for at in times) for store, times in seen.items()}
    as_of = max(times[-1] for times in of.values()) + later
    start, end = sorted(min(base + place * DAY_US, as_of) for place in bounds)
    found = collector_gaps(observations_of(of), start, end, as_of)
    expected = [] if start == end else slow_gaps(of, start, end, as_of)
    assert list(zip(found.starts.tolist(), found.ends.tolist(), strict=True)) == expected


def observations_of(polls: dict[int, list[int]]) -> Observations:
    times = [at for store in sorted(polls) for at in polls[store]]
    offsets = np.cumsum([0, *(len(polls[store]) for store in sorted(polls))])
    return Observations(offsets, np.array(times, dtype=np.int64), np.ones(len(times), dtype=np.uint8))


@FEWER
@given(case=cases(max_stores=3), window=st.sampled_from(["last_hour", "last_day", "last_week"]))
def test_the_gaps_of_a_history_are_those_of_its_longest_stretch_that_reach_into_it(case: Case, window: str) -> None:
    made = followed(case, window).gaps
    week = followed(case, "last_week").gaps
    start = case.as_of_us - {"last_hour": HOUR_US, "last_day": DAY_US, "last_week": WEEK_US}[window]
    reaching = [(a, b) for a, b in zip(week.starts.tolist(), week.ends.tolist(), strict=True) if b > start]
    assert list(zip(made.starts.tolist(), made.ends.tolist(), strict=True)) == reaching
    assert made.interval_us == week.interval_us
    assert all(timedelta(microseconds=b - a) > timedelta(minutes=5) for a, b in reaching)


@FEWER
@given(case=cases(max_stores=3), window=st.sampled_from(["last_hour", "yesterday"]))
def test_what_nobody_needs_to_read_changes_nothing(case: Case, window: str) -> None:
    """A store in a database reads less than the tables in memory hold."""
    back_to = case.as_of_us - 10 * DAY_US  # a week before the end of yesterday at the latest
    needed = [
        row
        for row in case.observations
        if row[1] > back_to
        or row[1] == max(at for store, at, _ in case.observations if store == row[0] and at <= back_to)
    ]
    spared = replace(case, observations=needed)
    if spared.stores == case.stores:
        for made in (followed, heated):
            whole, part = made(case, window), made(spared, window)
            assert getattr(whole, "buckets", None) == getattr(part, "buckets", None)
            assert getattr(whole, "cells", None) == getattr(part, "cells", None)
        whole_gaps, part_gaps = followed(case, window).gaps, followed(spared, window).gaps
        assert whole_gaps.interval_us == part_gaps.interval_us
        assert whole_gaps.starts.tolist() == part_gaps.starts.tolist()
