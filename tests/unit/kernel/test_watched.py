from datetime import timedelta

import numpy as np
import pytest

from uphours.kernel.policy import Policy
from uphours.kernel.watched import watched
from uphours.schema import BEGINNING_OF_TIME, END_OF_TIME, LAST_INSTANT, Observations, Sessions

Interval = tuple[int, int]


def parts(polls: list[int], opened: list[Interval], *, within: int = 10) -> list[Interval]:
    """Return the watched parts of one store's sessions."""
    found = watched(observations_of(polls), sessions_of(opened), Policy(confirm_within=timedelta(microseconds=within)))
    assert found.offsets.tolist() == [0, len(found.starts)]
    return list(zip(found.starts.tolist(), found.ends.tolist(), strict=True))


def observations_of(*polls: list[int]) -> Observations:
    times = np.array([at for store in polls for at in store], dtype=np.int64)
    offsets = np.cumsum([0, *map(len, polls)])
    return Observations(offsets, times, np.zeros(len(times), dtype=np.uint8))


def sessions_of(*opened: list[Interval]) -> Sessions:
    bounds = np.array([one for store in opened for one in store], dtype=np.int64).reshape(-1, 2)
    return Sessions(np.cumsum([0, *map(len, opened)]), bounds[:, 0].copy(), bounds[:, 1].copy())


def test_time_between_polls_that_are_near_enough_is_watched() -> None:
    assert parts([0, 10, 21, 31], [(0, 100)]) == [(0, 10), (21, 41)]
    assert parts([0, 10, 20], [(0, 100)]) == [(0, 30)]


def test_time_after_the_last_poll_is_watched_for_as_long_as_polls_may_be_apart() -> None:
    assert parts([50], [(0, 100)]) == [(50, 60)]
    assert parts([50], [(0, 55)]) == [(50, 55)]
    assert parts([50], [(58, 70)]) == [(58, 60)]


def test_time_before_the_first_poll_and_a_store_without_polls_are_not_watched() -> None:
    assert parts([], [(0, 100)]) == []
    assert parts([90], [(0, 50)]) == []


def test_only_open_time_is_watched_whether_polls_were_made_while_open_or_closed() -> None:
    polls = list(range(0, 100, 10))
    assert parts(polls, [(-20, -10), (5, 15), (15, 17), (40, 60), (95, 120), (200, 300)]) == [
        (5, 15), (15, 17), (40, 60), (95, 100),
    ]  # fmt: skip


def test_a_session_can_be_watched_in_several_parts_and_a_run_of_polls_can_reach_several_sessions() -> None:
    assert parts([0, 5, 40, 45, 80], [(2, 42), (43, 90)]) == [(2, 5), (40, 42), (43, 45), (80, 90)]


def test_what_the_polls_say_does_not_matter() -> None:
    polls = observations_of([0, 10, 20])
    opened = sessions_of([(0, 25)])
    policy = Policy(confirm_within=timedelta(microseconds=10))
    for statuses in ([0, 0, 0], [0, 1, 2], [2, 2, 2]):
        said = Observations(polls.offsets, polls.times, np.array(statuses, dtype=np.uint8))
        found = watched(said, opened, policy)
        assert (found.starts.tolist(), found.ends.tolist()) == ([0], [25])


@pytest.mark.parametrize("within", [0, LAST_INSTANT])
def test_nothing_is_near_enough_for_no_time_at_all_and_all_polls_are_for_all_time(within: int) -> None:
    always = [(BEGINNING_OF_TIME, END_OF_TIME)]
    expected = [(5, 2 * LAST_INSTANT)] if within else []
    assert parts([5, 6, LAST_INSTANT], always, within=within) == expected


def test_each_store_has_its_own() -> None:
    found = watched(
        observations_of([0], [], [0, 10], [5]),
        sessions_of([(0, 100)], [(0, 100)], [(2, 4), (8, 12)], []),
        Policy(confirm_within=timedelta(microseconds=10)),
    )
    assert found.offsets.tolist() == [0, 1, 1, 3, 3]
    assert list(zip(found.starts.tolist(), found.ends.tolist(), strict=True)) == [(0, 10), (2, 4), (8, 12)]
