from itertools import accumulate

import numpy as np
import pytest

from uphours.kernel.outages import outages, outages_in
from uphours.kernel.windows import Windows
from uphours.schema import SPAN_STATUSES, Spans

Span = tuple[int, int, str]  # start, end, status

NO_LIMIT = 1 << 60


def spans(*stores: list[Span]) -> Spans:
    """Return the timelines of some stores."""
    flat = [span for store in stores for span in store]
    return Spans(
        offsets=np.array([0, *accumulate(len(store) for store in stores)], dtype=np.int64),
        starts=np.array([start for start, _, _ in flat], dtype=np.int64),
        ends=np.array([end for _, end, _ in flat], dtype=np.int64),
        statuses=np.array([SPAN_STATUSES.index(status) for *_, status in flat], dtype=np.uint8),
        confirmed=np.zeros(len(flat), dtype=np.bool_),
        evidence=np.full(len(flat), -1, dtype=np.int64),
    )


def found_in(*stores: list[Span]) -> list[tuple[int, int, int, int]]:
    """Return ``(store, start, end, down time)`` of each outage."""
    found = outages(spans(*stores))
    return list(
        zip(
            found.stores.tolist(), found.starts.tolist(), found.ends.tolist(), found.downtime_us.tolist(),
            strict=True,
        )
    )  # fmt: skip


def in_window(store: list[Span], start: int, end: int, as_of: int = NO_LIMIT) -> tuple[int, int]:
    """Return how many outages have down time in a window, and the most that one has."""
    bounds = Windows(("w",), np.array([[start]]), np.array([[end]]), {"w": (start, end)})
    counts, longest = outages_in(spans(store), bounds, as_of)
    return int(counts[0, 0]), int(longest[0, 0])


def test_closed_time_does_not_interrupt_an_outage() -> None:
    store = [(0, 10, "up"), (10, 20, "down"), (50, 60, "down"), (60, 70, "up")]
    assert found_in(store) == [(0, 10, 60, 20)]
    assert in_window(store, 0, 100) == (1, 20)


@pytest.mark.parametrize("status", ["up", "unknown"])
def test_up_and_unknown_time_do_interrupt_one(status: str) -> None:
    store = [(0, 10, "down"), (10, 11, status), (11, 30, "down")]
    assert found_in(store) == [(0, 0, 10, 10), (0, 11, 30, 19)]
    assert in_window(store, 0, 100) == (2, 19)


def test_neighbouring_down_spans_are_one_outage() -> None:
    assert found_in([(0, 10, "down"), (10, 30, "down")]) == [(0, 0, 30, 30)]


def test_an_outage_ends_with_its_store() -> None:
    assert found_in([(0, 10, "down")], [], [(10, 20, "down"), (30, 40, "up"), (40, 45, "down")]) == [
        (0, 0, 10, 10),
        (2, 10, 20, 10),
        (2, 40, 45, 5),
    ]


def test_no_span_and_no_down_span_are_no_outage() -> None:
    assert found_in([], []) == []
    assert found_in([(0, 10, "up"), (10, 20, "unknown")]) == []
    assert in_window([(0, 10, "up"), (10, 20, "unknown")], 0, 20) == (0, 0)
    assert in_window([], 0, 20) == (0, 0)


def test_an_outage_over_the_start_of_a_window_counts_there_with_what_it_has_inside() -> None:
    store = [(0, 40, "down"), (40, 50, "up"), (50, 55, "down"), (55, 100, "up")]
    assert in_window(store, 30, 100) == (2, 10)
    assert in_window(store, 30, 52) == (2, 10)
    assert in_window(store, 38, 100) == (2, 5)
    assert in_window(store, 40, 50) == (0, 0)
    assert in_window(store, 30, 40) == (1, 10)


def test_an_outage_with_its_down_time_on_both_sides_of_a_closed_window_is_not_in_it() -> None:
    store = [(0, 10, "down"), (50, 60, "down")]
    assert in_window(store, 10, 50) == (0, 0)
    assert in_window(store, 9, 51) == (1, 2)


def test_an_outage_that_an_earlier_window_saw_begin_is_still_one() -> None:
    store = [(0, 10, "down"), (20, 30, "down"), (40, 50, "down")]
    assert in_window(store, 25, 45) == (1, 10)


def test_the_longest_outage_is_the_one_with_the_most_down_time() -> None:
    # The first spans 100 of closed time and has 20; the second has 30 in a piece.
    store = [(0, 10, "down"), (110, 120, "down"), (120, 130, "up"), (130, 160, "down")]
    assert in_window(store, 0, 200) == (2, 30)


def test_nothing_after_as_of_is_in_a_window() -> None:
    assert in_window([(0, 100, "down")], 0, 100, as_of=40) == (1, 40)
    assert in_window([(50, 100, "down")], 0, 100, as_of=40) == (0, 0)
