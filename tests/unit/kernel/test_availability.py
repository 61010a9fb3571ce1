from dataclasses import replace

import numpy as np
import pytest

from uphours.kernel.availability import Availability, availability
from uphours.kernel.windows import Windows
from uphours.schema import ACTIVE, INACTIVE, UNKNOWN, Observations, Sessions, Spans

# One store: open [0, 100) and [200, 300).
SESSIONS = Sessions(np.array([0, 2]), np.array([0, 200]), np.array([100, 300]))
WATCHED = Sessions(np.array([0, 2]), np.array([10, 200]), np.array([100, 220]))
SPANS = Spans(
    offsets=np.array([0, 5]),
    starts=np.array([0, 30, 60, 200, 250]),
    ends=np.array([30, 60, 100, 250, 300]),
    statuses=np.array([ACTIVE, ACTIVE, INACTIVE, INACTIVE, UNKNOWN], dtype=np.uint8),
    confirmed=np.array([True, False, True, False, False]),
    evidence=np.array([0, 0, 1, 1, -1]),
)
OBSERVATIONS = Observations(
    np.array([0, 4]), np.array([0, 60, 150, 300]), np.array([ACTIVE, INACTIVE, INACTIVE, ACTIVE], dtype=np.uint8)
)
NO_LIMIT = 1 << 60


def totals(*windows: tuple[int, int], as_of: int = NO_LIMIT) -> Availability:
    names = tuple(f"w{place}" for place in range(len(windows)))
    bounds = Windows(
        names,
        np.array([[start for start, _ in windows]]),
        np.array([[end for _, end in windows]]),
        dict(zip(names, windows, strict=True)),
    )
    return availability(SPANS, SPANS, SESSIONS, WATCHED, OBSERVATIONS, bounds, as_of)


def parts(found: Availability) -> tuple[int, int, int, int]:
    return (
        int(found.uptime_us[0, 0]),
        int(found.downtime_us[0, 0]),
        int(found.unknown_us[0, 0]),
        int(found.business_us[0, 0]),
    )


def test_the_whole_is_the_sum_of_its_parts() -> None:
    assert parts(totals((-1000, 1000))) == (60, 90, 50, 200)


def test_spans_are_clipped_to_the_window() -> None:
    assert parts(totals((20, 210))) == (40, 50, 0, 90)
    assert parts(totals((99, 100))) == (0, 1, 0, 1)


def test_watched_time_is_measured_beside_the_spans() -> None:
    assert [int(totals(window).watched_us[0, 0]) for window in ((-1000, 1000), (20, 210), (0, 10))] == [110, 90, 0]
    assert int(totals((20, 1000), as_of=80).watched_us[0, 0]) == 60


def test_a_window_in_closed_time_has_no_business_time() -> None:
    assert parts(totals((100, 200))) == (0, 0, 0, 0)


def test_time_after_as_of_is_no_business_time() -> None:
    assert parts(totals((20, 1000), as_of=80)) == (40, 20, 0, 60)
    assert parts(totals((500, 1000), as_of=80)) == (0, 0, 0, 0)


def test_the_bounds_come_from_confirmed_spans_alone() -> None:
    found = totals((0, 300))
    assert int(found.uptime_min_us[0, 0]) == 30
    assert int(found.uptime_max_us[0, 0]) == 200 - 40


@pytest.mark.parametrize(
    ("start", "end", "as_of", "count"),
    [
        (0, 300, NO_LIMIT, 3),  # its start is in a window, its end is not
        (1, 301, NO_LIMIT, 3),
        (100, 200, NO_LIMIT, 1),  # made while closed
        (60, 61, NO_LIMIT, 1),
        (59, 60, NO_LIMIT, 0),
        (0, 1000, 60, 2),  # also one made at as_of
        (0, 1000, 59, 1),  # nothing after it
        (400, 1000, 60, 0),
    ],
)
def test_observations_are_those_made_in_the_window_open_or_closed(start: int, end: int, as_of: int, count: int) -> None:
    assert totals((start, end), as_of=as_of).observations.tolist() == [[count]]


def test_every_window_of_every_store_is_its_own() -> None:
    found = totals((0, 100), (200, 300), (0, 300))
    assert found.uptime_us.tolist() == [[60, 0, 60]]
    assert found.downtime_us.tolist() == [[40, 50, 90]]


def test_no_store_has_no_totals() -> None:
    nothing = np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.int64)
    spans = Spans(*nothing, nothing[1], nothing[1].astype(np.uint8), nothing[1].astype(np.bool_), nothing[1])
    found = availability(
        spans,
        spans,
        Sessions(*nothing, nothing[1]),
        Sessions(*nothing, nothing[1]),
        Observations(*nothing, nothing[1].astype(np.uint8)),
        Windows(("w",), np.empty((0, 1), dtype=np.int64), np.empty((0, 1), dtype=np.int64), {"w": (0, 1)}),
        NO_LIMIT,
    )
    assert found.uptime_us.shape == (0, 1)


@pytest.mark.parametrize("wrong_end", [99, 101, 199])
def test_spans_that_do_not_add_up_to_the_sessions_are_a_loud_defect(wrong_end: int) -> None:
    ends = SPANS.ends.copy()
    ends[2] = wrong_end
    bounds = Windows(("w",), np.array([[0]]), np.array([[1000]]), {"w": (0, 1000)})
    wrong = replace(SPANS, ends=ends)
    with pytest.raises(ArithmeticError, match="scheduled time in window w"):
        availability(wrong, wrong, SESSIONS, WATCHED, OBSERVATIONS, bounds, NO_LIMIT)
