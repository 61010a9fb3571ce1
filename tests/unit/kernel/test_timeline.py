from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from uphours.errors import InputError
from uphours.kernel.policy import Policy
from uphours.kernel.timeline import timeline
from uphours.schema import (
    ACTIVE,
    BEGINNING_OF_TIME,
    END_OF_TIME,
    HOUR_US,
    INACTIVE,
    LAST_INSTANT,
    MINUTE_US,
    SPAN_STATUSES,
    Observations,
    Sessions,
)

Poll = tuple[int, str]
Interval = tuple[int, int]
Span = tuple[int, int, str, bool, int]  # start, end, status, confirmed, evidence


def made(
    polls: list[Poll],
    opened: list[Interval],
    start: int,
    end: int,
    *,
    merged: bool = True,
    **policy: Any,
) -> list[Span]:
    """Return the timeline of one store."""
    spans = timeline(
        Observations(
            np.array([0, len(polls)]),
            np.array([at for at, _ in polls], dtype=np.int64),
            np.array([SPAN_STATUSES.index(status) for _, status in polls], dtype=np.uint8),
        ),
        Sessions(
            np.array([0, len(opened)]),
            np.array([opens for opens, _ in opened], dtype=np.int64),
            np.array([closes for _, closes in opened], dtype=np.int64),
        ),
        start,
        end,
        Policy(**policy),
        merged=merged,
    )
    assert spans.offsets.tolist() == [0, len(spans.starts)]
    return list(
        zip(
            spans.starts.tolist(), spans.ends.tolist(), [SPAN_STATUSES[code] for code in spans.statuses],
            spans.confirmed.tolist(), spans.evidence.tolist(), strict=True,
        )
    )  # fmt: skip


def statuses(spans: list[Span]) -> list[tuple[int, int, str]]:
    return [span[:3] for span in spans]


def us(count: int) -> timedelta:
    return timedelta(microseconds=count)


def test_nothing_observed_is_unknown_time_of_nobody() -> None:
    assert made([], [(0, 10), (20, 30)], 5, 100) == [(5, 10, "unknown", False, -1), (20, 30, "unknown", False, -1)]


def test_a_closed_store_has_no_spans() -> None:
    assert made([(5, "up")], [], 0, 100) == []
    assert made([(5, "up")], [(0, 10)], 10, 100) == []
    assert made([(5, "up")], [(0, 10)], 5, 5) == []


def test_an_observation_speaks_from_its_own_instant_on() -> None:
    assert statuses(made([(0, "up"), (10, "down")], [(0, 20)], 0, 20)) == [(0, 10, "up"), (10, 20, "down")]


def test_what_was_seen_at_the_opening_was_seen_inside_and_at_the_closing_outside() -> None:
    # Between the polls the session decides who speaks.
    at_opening = made([(10, "up"), (40, "down")], [(10, 30)], 0, 40, interpolation="next")
    assert statuses(at_opening) == [(10, 30, "up")]
    at_closing = made([(0, "up"), (30, "down")], [(10, 30)], 0, 40, interpolation="next")
    assert statuses(at_closing) == [(10, 30, "down")]  # both outside: the interpolation decides
    just_inside = made([(0, "up"), (29, "down")], [(10, 30)], 0, 40)
    assert statuses(just_inside) == [(10, 30, "down")]


@pytest.mark.parametrize(
    ("interpolation", "expected"),
    [("previous", "up"), ("next", "down")],
)
def test_the_interpolation_decides_where_both_or_neither_was_made_inside(interpolation: str, expected: str) -> None:
    both = made([(12, "up"), (28, "down")], [(10, 30)], 13, 27, interpolation=interpolation)
    assert statuses(both) == [(13, 27, expected)]
    neither = made([(5, "up"), (35, "down")], [(10, 30)], 0, 40, interpolation=interpolation)
    assert statuses(neither) == [(10, 30, expected)]


def test_the_session_can_be_left_out_of_it() -> None:
    polls: list[Poll] = [(5, "down"), (20, "up"), (35, "down")]
    assert statuses(made(polls, [(10, 30)], 0, 40)) == [(10, 30, "up")]
    assert statuses(made(polls, [(10, 30)], 0, 40, prefer_in_session=False)) == [
        (10, 20, "down"),
        (20, 30, "up"),
    ]


@pytest.mark.parametrize(("second", "middle"), [(10, 5), (11, 5), (12, 6)])
def test_the_midpoint_is_rounded_down_and_belongs_to_the_later_one(second: int, middle: int) -> None:
    spans = made([(0, "up"), (second, "down")], [(0, 20)], 0, 20, interpolation="nearest")
    assert statuses(spans) == [(0, middle, "up"), (middle, 20, "down")]


def test_beyond_max_age_nobody_speaks() -> None:
    polls: list[Poll] = [(0, "up"), (100, "down")]
    opened = [(-1000, 1000)]
    assert statuses(made(polls, opened, -50, 150, max_age=us(10))) == [
        (-50, -10, "unknown"),
        (-10, 10, "up"),
        (10, 100, "unknown"),
        (100, 110, "down"),
        (110, 150, "unknown"),
    ]
    assert statuses(made(polls, opened, 0, 100, max_age=us(10), interpolation="next")) == [
        (0, 90, "unknown"),
        (90, 100, "down"),
    ]
    assert statuses(made(polls, opened, 0, 100, max_age=us(10), interpolation="nearest")) == [
        (0, 10, "up"),
        (10, 90, "unknown"),
        (90, 100, "down"),
    ]


def test_where_the_chosen_one_is_too_old_the_other_does_not_step_in() -> None:
    # Only the first was made in the session; the second is near, and was made after closing.
    polls: list[Poll] = [(0, "up"), (100, "down")]
    assert statuses(made(polls, [(0, 99)], 0, 99, max_age=us(10))) == [(0, 10, "up"), (10, 99, "unknown")]


@pytest.mark.parametrize(("apart", "confirmed"), [(2 * HOUR_US, True), (2 * HOUR_US + 1, False)])
def test_neighbours_confirm_each_other_up_to_two_hours(apart: int, confirmed: bool) -> None:
    spans = made([(0, "up"), (apart, "up")], [(0, apart)], 0, apart)
    assert spans == [(0, apart, "up", confirmed, 0)]


def test_time_is_confirmed_only_between_two_that_agree() -> None:
    spans = made([(10, "up"), (20, "up"), (30, "down"), (40, "down")], [(0, 50)], 0, 50, confirm_within=us(10))
    assert [span[:4] for span in spans] == [
        (0, 10, "up", False),
        (10, 20, "up", True),
        (20, 30, "up", False),
        (30, 40, "down", True),
        (40, 50, "down", False),
    ]


def test_unknown_time_is_never_confirmed() -> None:
    spans = made([(0, "up"), (100, "up")], [(0, 100)], 0, 100, max_age=us(10))
    assert [span[:4] for span in spans] == [(0, 10, "up", True), (10, 100, "unknown", False)]


def test_an_observation_of_status_unknown_ends_what_is_carried_over() -> None:
    polls: list[Poll] = [(10, "up"), (20, "unknown"), (30, "unknown"), (40, "down")]
    assert made(polls, [(0, 50)], 0, 50) == [
        (0, 20, "up", False, 0),
        (20, 40, "unknown", False, 1),  # two that agree confirm nothing where they say that it is unknown
        (40, 50, "down", False, 3),
    ]
    assert statuses(made(polls, [(0, 50)], 0, 50, interpolation="next")) == [
        (0, 10, "up"), (10, 30, "unknown"), (30, 50, "down"),
    ]  # fmt: skip
    assert statuses(made(polls, [(0, 50)], 0, 50, interpolation="nearest")) == [
        (0, 15, "up"), (15, 35, "unknown"), (35, 50, "down"),
    ]  # fmt: skip


def test_an_observation_of_status_unknown_in_the_session_speaks_before_one_outside() -> None:
    polls: list[Poll] = [(0, "up"), (20, "unknown"), (40, "up")]
    assert statuses(made(polls, [(10, 30)], 0, 50)) == [(10, 30, "unknown")]
    assert statuses(made(polls, [(10, 30)], 0, 50, prefer_in_session=False)) == [(10, 20, "up"), (20, 30, "unknown")]


def test_only_watched_time_is_known_if_that_is_asked_for() -> None:
    polls: list[Poll] = [(10, "up"), (20, "down"), (40, "up"), (50, "up")]
    for interpolation in ("previous", "next", "nearest"):
        spans = made(polls, [(0, 100)], 0, 100, confirm_within=us(10), only_watched=True, interpolation=interpolation)
        watched = [span for span in statuses(spans) if span[2] != "unknown"]
        assert (watched[0][0], watched[-1][1]) == (10, 60)
        assert [span for span in statuses(spans) if span[2] == "unknown"] == [
            (0, 10, "unknown"), (20, 40, "unknown"), (60, 100, "unknown"),
        ]  # fmt: skip
    # Nothing changes who speaks, nor what is confirmed.
    spans = made(polls, [(0, 15), (30, 45)], 0, 100, confirm_within=us(10), only_watched=True)
    assert spans == [
        (0, 10, "unknown", False, -1),
        (10, 15, "up", False, 0),
        (30, 40, "unknown", False, -1),
        (40, 45, "up", True, 2),
    ]


def test_merging_changes_where_spans_are_cut_and_nothing_else() -> None:
    polls: list[Poll] = [(5, "up"), (20, "up"), (35, "up"), (50, "down")]
    opened = [(0, 30), (30, 60)]  # two sessions, which are never merged
    assert made(polls, opened, 0, 60, confirm_within=us(0)) == [
        (0, 30, "up", False, 0),
        (30, 50, "up", False, 2),
        (50, 60, "down", False, 3),
    ]
    assert made(polls, opened, 0, 60, confirm_within=us(0), merged=False) == [
        (0, 5, "up", False, 0),
        (5, 20, "up", False, 0),
        (20, 30, "up", False, 1),
        (30, 35, "up", False, 2),
        (35, 50, "up", False, 2),
        (50, 60, "down", False, 3),
    ]


def test_a_session_without_bounds_is_cut_to_the_interval() -> None:
    always = [(BEGINNING_OF_TIME, END_OF_TIME)]
    polls: list[Poll] = [(-(10**15), "down"), (10**15, "up")]
    assert statuses(made(polls, always, 0, 1000)) == [(0, 1000, "down")]
    assert statuses(made(polls, always, 0, 1000, max_age=timedelta(days=36_500))) == [(0, 1000, "down")]


@pytest.mark.parametrize("interpolation", ["previous", "next", "nearest"])
def test_the_longest_age_limit_is_no_limit(interpolation: str) -> None:
    polls: list[Poll] = [(0, "up"), (HOUR_US, "down"), (LAST_INSTANT, "up")]
    asked = (polls, [(-HOUR_US, LAST_INSTANT)], -HOUR_US, LAST_INSTANT)
    limited = made(*asked, interpolation=interpolation, max_age=us(LAST_INSTANT))
    assert limited == made(*asked, interpolation=interpolation)


def test_any_two_that_agree_confirm_each_other_within_all_time() -> None:
    polls: list[Poll] = [(0, "up"), (LAST_INSTANT, "up")]
    spans = made(polls, [(0, LAST_INSTANT)], 0, LAST_INSTANT, confirm_within=us(LAST_INSTANT))
    assert spans == [(0, LAST_INSTANT, "up", True, 0)]


@pytest.mark.parametrize("option", ["max_age", "confirm_within"])
@pytest.mark.parametrize("duration", [us(LAST_INSTANT + 1), timedelta(days=200_000_000), timedelta.max])
def test_a_duration_beyond_all_time_is_refused(option: str, duration: timedelta) -> None:
    options: dict[str, Any] = {option: duration}
    with pytest.raises(InputError, match=r"is too long; valid are up to 230 years$"):
        made([(0, "up")], [(0, 10)], 0, 10, **options)


@pytest.mark.parametrize("interpolation", ["previous", "next", "nearest"])
def test_there_is_room_for_the_most_spans_that_can_be(interpolation: str) -> None:
    n = 200
    polls: list[Poll] = [(k * MINUTE_US, "up" if k % 2 else "down") for k in range(n)]
    opened = [(k * MINUTE_US + 20_000_000, k * MINUTE_US + 50_000_000) for k in range(-1, n)]
    for max_age in (None, us(25_000_000), us(1)):
        spans = made(
            polls, opened, -MINUTE_US, n * MINUTE_US,
            merged=False, interpolation=interpolation, max_age=max_age, prefer_in_session=False,
        )  # fmt: skip
        assert sum(end - start for start, end, *_ in spans) == (n + 1) * 30_000_000


def test_each_store_has_its_own_observations() -> None:
    spans = timeline(
        Observations(np.array([0, 1, 1, 2]), np.array([50, 5]), np.array([ACTIVE, INACTIVE], dtype=np.uint8)),
        Sessions(np.array([0, 1, 2, 3]), np.array([0, 0, 0]), np.array([10, 20, 30])),
        0,
        100,
        Policy(),
    )
    assert spans.offsets.tolist() == [0, 1, 2, 3]
    assert spans.ends.tolist() == [10, 20, 30]
    assert [SPAN_STATUSES[code] for code in spans.statuses] == ["up", "unknown", "down"]
    assert spans.evidence.tolist() == [0, -1, 1]
