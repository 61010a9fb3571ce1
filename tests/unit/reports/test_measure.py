"""A fleet is cut into parts whose arrays stay small, and the cuts show in no number."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from uphours.kernel.adjustments import nothing_adjusted
from uphours.kernel.policy import Policy
from uphours.kernel.windows import Window, windows
from uphours.reports import measure
from uphours.reports.measure import totals
from uphours.schema import DAY_US, HOUR_US, LAST_INSTANT, Observations, Schedule

AS_OF = 20_000 * DAY_US


def weekly(rows_of: list[int]) -> Schedule:
    """Hours of stores with so many rows each, all in Chicago."""
    stores = np.repeat(np.arange(len(rows_of), dtype=np.int32), rows_of)
    places = np.concatenate([np.arange(rows) for rows in rows_of]) if rows_of else np.empty(0, dtype=np.int64)
    opens = 8 * HOUR_US + places // 7
    zones = np.zeros(len(rows_of), dtype=np.int32)
    return Schedule(stores, places % 7, opens, opens + HOUR_US, zones, ("America/Chicago",))


@pytest.mark.parametrize("days", [7, 366, 84_000])
@pytest.mark.parametrize("rows_of", [[], [0] * 10_000, [7] * 10_000, [168] * 500, [0, 400, 0, 7] * 100])
def test_every_store_is_in_one_part_and_no_part_has_too_many_openings(rows_of: list[int], days: int) -> None:
    parts = measure.parts(weekly(rows_of), 0, days * DAY_US)
    assert parts[0][0] == 0
    assert parts[-1][1] == len(rows_of)
    assert all(stop == first for (_, stop), (first, _) in pairwise(parts))
    for first, stop in parts:
        openings = sum(rows_of[first:stop]) * (days / 7)
        assert stop - first <= 1 or (openings <= 2**18 and (stop - first) * days <= 2**22), (first, stop)


@pytest.mark.parametrize(
    ("stores", "threads", "sizes"),
    [(10_000, 2, [2500] * 4), (10_000, 1, [3334, 3334, 3332]), (5, 2, [5]), (400, 2, [256, 144]), (0, 2, [0])],
)
def test_a_week_of_a_fleet_is_cut_for_the_cache_and_evenly_for_each_thread(
    monkeypatch: pytest.MonkeyPatch, stores: int, threads: int, sizes: list[int]
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: threads)
    parts = measure.parts(weekly([7] * stores), AS_OF - 7 * DAY_US, AS_OF)
    assert [stop - first for first, stop in parts] == sizes


def test_the_cuts_show_in_no_total(monkeypatch: pytest.MonkeyPatch) -> None:
    hours = weekly([0, 7, 14, 3, 28, 0, 7])
    n = len(hours.zones)
    times = np.sort(np.random.default_rng(5).integers(0, AS_OF, 40 * n)).reshape(40, n).T.ravel()
    observations = Observations(np.arange(n + 1) * 40, times, (times % 3 > 0).astype(np.uint8))
    laid = windows([Window("all", 0, LAST_INSTANT - 1), "last_week"], AS_OF, hours)
    whole = totals(observations, hours, nothing_adjusted(n), laid, AS_OF, Policy())
    monkeypatch.setattr(measure, "_OPENINGS_AT_ONCE", 1)
    assert len(measure.parts(hours, 0, AS_OF)) == n
    for name, values in vars(totals(observations, hours, nothing_adjusted(n), laid, AS_OF, Policy())).items():
        np.testing.assert_array_equal(values, getattr(whole, name), err_msg=name)
