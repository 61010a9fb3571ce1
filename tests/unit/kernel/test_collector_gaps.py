"""When nobody was observed: worked cases, and the public data."""

from pathlib import Path

import numpy as np
import pytest

from uphours import demo
from uphours.ingest.load import read_files
from uphours.ingest.memory_fleet import memory_fleet
from uphours.kernel.collector_gaps import Gaps, collector_gaps
from uphours.kernel.observations import distinct
from uphours.schema import DAY_US, HOUR_US, MINUTE_US, SECOND_US, Observations, instant_text

FIXTURES = Path(__file__).parents[2] / "fixtures"
MONDAY = 19_380 * DAY_US
LATER = MONDAY + 1000 * DAY_US


def polled(*stores: list[int]) -> Observations:
    """Return observations at these instants, a list for each store."""
    offsets = np.cumsum([0, *map(len, stores)])
    times = np.array([at for times in stores for at in sorted(times)], dtype=np.int64)
    return Observations(offsets, times, np.ones(len(times), dtype=np.uint8))


def hourly(count: int, hours: range, *, spread_us: int = 0) -> list[list[int]]:
    """Return polls of some stores, one each hour, the stores spread over so much of it."""
    return [[MONDAY + hour * HOUR_US + store * spread_us // max(count, 1) for hour in hours] for store in range(count)]


def without(stores: list[list[int]], start: int, end: int) -> list[list[int]]:
    return [[at for at in times if not start < at < end] for times in stores]


def found(stores: list[list[int]], *, as_of: int, start: int = MONDAY, end: int | None = None) -> list[tuple[int, int]]:
    made = collector_gaps(polled(*stores), start, as_of if end is None else end, as_of)
    return list(zip(made.starts.tolist(), made.ends.tolist(), strict=True))


AT_ONCE = hourly(300, range(48), spread_us=30 * SECOND_US)
SPREAD = hourly(300, range(48), spread_us=HOUR_US)
TWO_DAYS = MONDAY + 47 * HOUR_US


def test_a_collector_that_polls_everybody_at_the_full_hour_has_no_gaps() -> None:
    assert found(AT_ONCE, as_of=TWO_DAYS) == []
    assert found(AT_ONCE, as_of=TWO_DAYS + HOUR_US) == []


def test_one_round_that_was_left_out_is_a_gap_from_the_last_poll_before_it_to_the_first_after_it() -> None:
    stores = without(AT_ONCE, MONDAY + 10 * HOUR_US - 1, MONDAY + 10 * HOUR_US + MINUTE_US)
    last = max(at for times in stores for at in times if at < MONDAY + 10 * HOUR_US)
    assert found(stores, as_of=TWO_DAYS) == [(last, MONDAY + 11 * HOUR_US)]


@pytest.mark.parametrize("stores", [AT_ONCE, SPREAD])
def test_a_gap_is_one_event_and_bounded_to_the_microsecond(stores: list[list[int]]) -> None:
    broken = without(stores, MONDAY + 20 * HOUR_US + 1_234_567, MONDAY + 30 * HOUR_US - 7)
    broken[7] = sorted([*broken[7], MONDAY + 20 * HOUR_US + 1_234_567])
    broken[9] = sorted([*broken[9], MONDAY + 30 * HOUR_US - 7])
    (gap,) = found(broken, as_of=TWO_DAYS)
    before = max(at for times in broken for at in times if at <= MONDAY + 21 * HOUR_US)
    assert gap == (before, MONDAY + 30 * HOUR_US - 7)


def test_a_pause_of_one_and_a_half_intervals_is_none() -> None:
    as_of = MONDAY + 47 * HOUR_US
    for minutes, expected in ((88, 0), (92, 1)):
        stores = [times for times in SPREAD if times]
        stores = without(stores, MONDAY + 10 * HOUR_US, MONDAY + 10 * HOUR_US + minutes * MINUTE_US)
        assert len(found(stores, as_of=as_of)) == expected


def test_a_few_stores_that_are_observed_all_the_same_do_not_end_a_gap() -> None:
    broken = without(SPREAD, MONDAY + 20 * HOUR_US, MONDAY + 30 * HOUR_US)
    many = hourly(20_000, range(4), spread_us=HOUR_US)  # of so many stores ten are nothing
    whole = [times + [at + 10 * HOUR_US for at in times] for times in many]
    strays = [[*times, MONDAY + 6 * HOUR_US + place] for place, times in enumerate(whole[:10])] + whole[10:]
    as_of = MONDAY + 13 * HOUR_US
    assert len(found(strays, as_of=as_of)) == 1
    assert found(strays, as_of=as_of) == found(whole, as_of=as_of)
    # Of three hundred stores one is enough.
    one = [*broken[:5], sorted([*broken[5], MONDAY + 25 * HOUR_US]), *broken[6:]]
    assert len(found(one, as_of=TWO_DAYS)) == 2


def test_the_time_from_the_last_observation_to_as_of_counts() -> None:
    last = max(at for times in SPREAD for at in times)
    assert found(SPREAD, as_of=last + 89 * MINUTE_US) == []
    assert found(SPREAD, as_of=last + 91 * MINUTE_US) == [(last, last + 91 * MINUTE_US)]
    assert found(SPREAD, as_of=last + 30 * DAY_US) == [(last, last + 30 * DAY_US)]


def test_the_time_before_the_first_observation_does_not_count() -> None:
    assert found(SPREAD, as_of=TWO_DAYS, start=MONDAY - 30 * DAY_US) == []


def test_a_gap_that_reaches_over_the_bounds_of_what_is_asked_for_is_told_whole() -> None:
    broken = without(AT_ONCE, MONDAY + 20 * HOUR_US, MONDAY + 30 * HOUR_US)
    gap = found(broken, as_of=TWO_DAYS)
    assert len(gap) == 1
    for start, end in ((22, 24), (10, 22), (28, 40)):
        asked = {"start": MONDAY + start * HOUR_US, "end": MONDAY + end * HOUR_US}
        assert found(broken, as_of=TWO_DAYS, **asked) == gap
    assert found(broken, as_of=TWO_DAYS, start=MONDAY, end=MONDAY + 10 * HOUR_US) == []


def test_a_fleet_that_grows_or_shrinks_has_no_gap_while_it_is_small() -> None:
    few = hourly(100, range(100), spread_us=HOUR_US)
    more = [[at + 50 * HOUR_US for at in times] for times in hourly(20_000, range(50), spread_us=HOUR_US)]
    assert found(few + more, as_of=MONDAY + 100 * HOUR_US) == []
    weeks = hourly(100, range(24 * 20), spread_us=HOUR_US)
    short = hourly(20_000, range(4), spread_us=HOUR_US)
    gaps = found(weeks + short, as_of=MONDAY + 24 * 20 * HOUR_US)
    # Where nearly all stores are no longer polled, that is a gap, until they are forgotten after a week.
    assert [round((b - a) / DAY_US) for a, b in gaps] == [7]


def test_where_no_store_was_seen_twice_polls_are_taken_to_be_an_hour_apart() -> None:
    once = [[MONDAY], [MONDAY + MINUTE_US]]
    made = collector_gaps(polled(*once), MONDAY, MONDAY + DAY_US, MONDAY + DAY_US)
    assert made.interval_us is None
    assert (made.starts.tolist(), made.ends.tolist()) == ([MONDAY + MINUTE_US], [MONDAY + DAY_US])
    assert found(once, as_of=MONDAY + 91 * MINUTE_US) == []


def test_nothing_observed_is_no_gap() -> None:
    made = collector_gaps(polled([], []), MONDAY, MONDAY + DAY_US, MONDAY + DAY_US)
    assert (made.starts.size, made.ends.size, made.interval_us) == (0, 0, None)


def test_the_typical_interval_is_the_lower_median_over_all_stores() -> None:
    stores = [[MONDAY, MONDAY + 1, MONDAY + 4], [], [MONDAY + 50], [MONDAY, MONDAY + 10, MONDAY + 30]]
    made = collector_gaps(polled(*stores), MONDAY, MONDAY + DAY_US, MONDAY + DAY_US)
    assert made.interval_us == 3


# --- real data -------------------------------------------------------------------------------------------


def of_edition(name: str) -> Gaps:
    fleet = memory_fleet(read_files({"polls": [str(FIXTURES / name / "polls.csv")]}, now=LATER))
    as_of = fleet.latest_observation()
    assert as_of is not None
    return collector_gaps(fleet.observations(0, as_of, as_of), 0, as_of, as_of)


def test_the_published_data_has_the_gap_that_is_known() -> None:
    made = of_edition("v1_2023")
    assert [instant_text(at) for at in (*made.starts.tolist(), *made.ends.tolist())] == [
        "2023-01-22 13:04:56.292846 UTC",
        "2023-01-24 05:54:20.966793 UTC",
    ]


def test_the_later_edition_was_collected_in_a_few_weeks_with_pauses_between() -> None:
    made = of_edition("v2_2024")
    assert [instant_text(at)[:10] for at in made.starts.tolist()] == ["2024-08-16", "2024-08-31"]


def test_the_made_up_fleet_has_the_gaps_that_were_made() -> None:
    polls = demo.polls(2000)
    stores = polls.stores.astype(np.int32)
    observations = distinct(stores, polls.times, polls.active.astype(np.uint8), 2000).observations
    made = collector_gaps(observations, demo.AS_OF - 7 * DAY_US, demo.AS_OF, demo.AS_OF)
    hours_ago = [
        (round((demo.AS_OF - a) / HOUR_US), round((demo.AS_OF - b) / HOUR_US))
        for a, b in zip(made.starts.tolist(), made.ends.tolist(), strict=True)
    ]
    assert hours_ago == [(130, 121), (62, 23), (12, 9)]
    for start, end in zip(made.starts.tolist(), made.ends.tolist(), strict=True):
        assert not ((observations.times > start) & (observations.times < end)).any()
