from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uphours.kernel.observations import Distinct, distinct, needed
from uphours.schema import FIRST_INSTANT, LAST_INSTANT, pack, unpack

Row = tuple[int, int, int]  # store, time, status: 0 is inactive


def of(rows: list[Row], n: int = 4) -> Distinct:
    """Sort some rows of n stores."""
    stores, times, statuses = zip(*rows, strict=True) if rows else ((), (), ())
    return distinct(
        np.array(stores, dtype=np.int32), np.array(times, dtype=np.int64), np.array(statuses, dtype=np.uint8), n
    )


def rows_of(found: Distinct) -> list[Row]:
    """Return what was kept, in the order in which it was."""
    observations = found.observations
    stores = np.repeat(np.arange(len(observations.offsets) - 1), np.diff(observations.offsets))
    return list(zip(stores.tolist(), observations.times.tolist(), observations.statuses.tolist(), strict=True))


def test_rows_come_in_order_of_store_and_time() -> None:
    found = of([(1, 5, 1), (0, 9, 0), (1, 3, 0), (0, 2, 1)])
    assert rows_of(found) == [(0, 2, 1), (0, 9, 0), (1, 3, 0), (1, 5, 1)]
    assert (found.repeated, found.conflicting) == (0, 0)


@pytest.mark.parametrize("rows", [[(0, 5, 1), (0, 5, 0)], [(0, 5, 0), (0, 5, 1)]])
def test_inactive_wins_over_active_at_one_instant(rows: list[Row]) -> None:
    found = of(rows)
    assert rows_of(found) == [(0, 5, 0)]
    assert (found.repeated, found.conflicting) == (0, 1)


def test_the_smallest_status_wins_at_one_instant() -> None:
    for order in (*permutations(range(3)), *permutations(range(3), 2)):
        kept = of([(0, 7, status) for status in order], 1)
        assert kept.observations.statuses.tolist() == [min(order)]
        assert (kept.repeated, kept.conflicting) == (0, len(order) - 1)


@given(st.lists(st.tuples(st.integers(FIRST_INSTANT, LAST_INSTANT), st.integers(0, 2))))
def test_packed_observations_are_in_order_of_instant_and_status_and_unpack_to_the_same(
    rows: list[tuple[int, int]],
) -> None:
    times = np.array([at for at, _ in rows], dtype=np.int64)
    statuses = np.array([status for _, status in rows], dtype=np.uint8)
    packed = pack(times, statuses)
    assert [column.tolist() for column in unpack(packed)] == [times.tolist(), statuses.tolist()]
    assert [rows[place] for place in np.argsort(packed, kind="stable")] == sorted(rows)


def test_one_instant_of_two_stores_is_no_repetition() -> None:
    found = of([(0, 5, 1), (1, 5, 0), (3, 5, 0)])
    assert rows_of(found) == [(0, 5, 1), (1, 5, 0), (3, 5, 0)]
    assert (found.repeated, found.conflicting) == (0, 0)


def test_what_was_left_out_is_counted_by_kind() -> None:
    rows = [(0, 5, 1), (0, 5, 1), (0, 5, 1), (0, 6, 0), (0, 6, 1), (0, 6, 0), (0, 6, 1), (2, 6, 0), (2, 6, 0)]
    found = of(rows)
    assert rows_of(found) == [(0, 5, 1), (0, 6, 0), (2, 6, 0)]
    # Two more of 5 and one more of 6 and of store 2 say the same; two of 6 say the opposite.
    assert (found.repeated, found.conflicting) == (4, 2)


@pytest.mark.parametrize("n", [0, 3])
def test_no_row_is_no_observation(n: int) -> None:
    found = of([], n)
    assert (rows_of(found), found.repeated, found.conflicting) == ([], 0, 0)
    assert found.observations.offsets.tolist() == [0] * (n + 1)


def test_stores_without_observations_have_empty_slices() -> None:
    observations = of([(3, 7, 1), (1, 5, 0), (3, 6, 0)], 6).observations
    assert observations.offsets.tolist() == [0, 0, 1, 1, 3, 3, 3]
    assert observations.times.tolist() == [5, 6, 7]
    assert observations.statuses.tolist() == [0, 0, 1]
    assert [array.dtype for array in (observations.times, observations.statuses)] == [np.int64, np.uint8]


@pytest.mark.parametrize("since", [0, 1_674_000_000_000_000, -5_000_000_000, -62_135_596_800_000_000])
@pytest.mark.parametrize("extent", [300, 1 << 55])
def test_sorted_and_shuffled_rows_give_the_same(since: int, extent: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 3000
    times = since + rng.integers(0, 300, n) * (extent // 300)
    columns = zip(rng.integers(0, 40, n).tolist(), times.tolist(), rng.integers(0, 2, n).tolist(), strict=True)
    rows = list(columns)
    # An inactive row is the last to be put in, so it stays.
    kept = {(store, time): (store, time, status) for store, time, status in sorted(rows, key=lambda row: -row[2])}
    for order in (rows, sorted(rows), sorted(rows, reverse=True), sorted(rows, key=lambda row: row[1])):
        found = of(order, 40)
        assert rows_of(found) == sorted(kept.values())
        assert found.repeated + found.conflicting == n - len(kept)
        assert found.conflicting == sum(kept[row[:2]] != row for row in rows)


def test_the_arrays_that_were_given_stay_as_they_are() -> None:
    stores = np.array([1, 0, 0], dtype=np.int32)
    times, statuses = np.array([5, 9, 2]), np.array([1, 0, 1], dtype=np.uint8)
    distinct(stores, times, statuses, 2)
    assert (stores.tolist(), times.tolist(), statuses.tolist()) == ([1, 0, 0], [5, 9, 2], [1, 0, 1])


@pytest.mark.parametrize("start", range(12))
@pytest.mark.parametrize("length", range(12))
def test_what_is_needed_is_what_lies_inside_and_one_observation_on_either_side(start: int, length: int) -> None:
    rows = [(0, 1, 1), (0, 4, 0), (0, 5, 1), (0, 9, 0), (2, 5, 0), (2, 6, 1), (3, 10, 1)]
    end = start + length
    made = needed(of(rows).observations, start, end)
    expected = []
    for store in range(4):
        mine = [row for row in rows if row[0] == store]
        before, after = [row for row in mine if row[1] <= start], [row for row in mine if row[1] >= end]
        inside = [row for row in mine if start < row[1] < end]
        expected += sorted({*before[-1:], *inside, *after[:1]})
    assert rows_of(Distinct(made, 0, 0)) == expected
