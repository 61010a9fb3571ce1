"""Calendars and ledgers: every number is exactly that of the slow oracle, which shares no code."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given

from tests import operations_oracle as oracle
from tests.fixtures.databases import only_sqlite
from tests.fixtures.oracle_fleets import memory_fleet_of, policy_of
from tests.property.operations_strategies import Case, cases
from tests.property.strategies import FEWER
from uphours.kernel.windows import Window
from uphours.reports.history import heat_map, history
from uphours.reports.measure import run_report, timelines
from uphours.schema import SPAN_STATUSES, instant_iso

pytestmark = only_sqlite  # no test here uses a database

SAME_NAME = (
    "uptime_us", "downtime_us", "unknown_us", "excluded_us", "scheduled_us", "business_us", "raw_uptime_us",
    "raw_downtime_us", "raw_unknown_us", "watched_us",
)  # fmt: skip


def figures_of(case: Case, windows: list[Window], *, raw: bool = False) -> dict[tuple[str, str], dict[str, int]]:
    report = run_report(
        memory_fleet_of(case.fleet), as_of=case.as_of_us, chosen=windows, policy=policy_of(case.fleet.rules),
        all_stores=True, raw=raw,
    )  # fmt: skip
    return {(row["store_id"], row["window"]): row for row in report.table().iter_rows(named=True)}


def windows_of(case: Case) -> list[Window]:
    return [Window(f"w{place}", *map(instant_iso, bounds)) for place, bounds in enumerate(case.windows)]


def assert_same(said: dict[str, int], figures: oracle.Figures) -> None:
    assert {name: said[name] for name in SAME_NAME} == {name: getattr(figures, name) for name in SAME_NAME}
    assert said["uptime_min_us"] == figures.confirmed_uptime_us
    assert said["uptime_max_us"] == figures.business_us - figures.confirmed_downtime_us


@FEWER
@given(cases())
def test_a_report_has_the_figures_of_the_oracle(case: Case) -> None:
    windows = windows_of(case)
    said = figures_of(case, windows)
    for store in case.fleet.stores:
        for window, bounds in zip(windows, case.windows, strict=True):
            assert_same(said[store, window.name], oracle.figures(case.fleet, store, bounds, case.as_of_us))


@FEWER
@given(cases())
def test_a_raw_report_is_one_without_a_ledger(case: Case) -> None:
    windows = windows_of(case)
    said = figures_of(case, windows, raw=True)
    without = replace(case.fleet, ledger=[])
    for store in case.fleet.stores:
        for window, bounds in zip(windows, case.windows, strict=True):
            assert_same(said[store, window.name], oracle.figures(without, store, bounds, case.as_of_us))


@FEWER
@given(cases())
def test_a_window_of_dates_is_from_local_midnight_to_local_midnight(case: Case) -> None:
    first = case.near - timedelta(days=1)
    window = Window("dates", first, first + timedelta(days=3))
    said = figures_of(case, [window])
    for store in case.fleet.stores:
        bounds = oracle.local_window(case.fleet, store, first, first + timedelta(days=3))
        if _has_a_zone(case.fleet, store, first):
            assert_same(said[store, "dates"], oracle.figures(case.fleet, store, bounds, case.as_of_us))


def _has_a_zone(fleet: oracle.Fleet, store: str, day: date) -> bool:
    """Say whether a zone is in force on a date, or none was ever given; before its first zone no date is a store's."""
    since = [row.valid_from for row in fleet.zones if row.store == store]
    return not since or min(since) <= day.isoformat()


@FEWER
@given(cases())
def test_a_timeline_is_that_of_the_oracle_instant_by_instant(case: Case) -> None:
    start, end = case.around
    made = timelines(memory_fleet_of(case.fleet), start, end, case.as_of_us, policy_of(case.fleet.rules))
    for place, store in enumerate(case.fleet.stores):
        mine = slice(*made.spans.offsets[place : place + 2])
        found = list(zip(made.spans.starts[mine].tolist(), made.spans.ends[mine].tolist(), strict=True))
        assert all(a < b for a, b in found)
        assert all(before[1] <= after[0] for before, after in pairwise(found))
        statuses = [SPAN_STATUSES[code] for code in made.spans.statuses[mine]]
        covered = 0
        for piece in oracle.timeline(case.fleet, store, (start, min(end, case.as_of_us)), case.as_of_us):
            (number,) = [n for n, (a, b) in enumerate(found) if a <= piece.start and piece.end <= b]
            assert statuses[number] == piece.status
            assert bool(made.spans.confirmed[mine][number]) == (piece.confirmed and piece.status in ("up", "down"))
            covered += piece.end - piece.start
        assert covered == sum(b - a for a, b in found)


@FEWER
@given(cases())
def test_sums_of_hours_are_those_of_the_window(case: Case) -> None:
    start, end = case.windows[-1]
    window = windows_of(case)[-1]
    fleet, policy = memory_fleet_of(case.fleet), policy_of(case.fleet.rules)
    whole = oracle.Figures()
    for store in case.fleet.stores:
        whole += oracle.figures(case.fleet, store, (start, end), case.as_of_us)
    rows = history(fleet, as_of=case.as_of_us, window=window, policy=policy).buckets
    cells = heat_map(fleet, as_of=case.as_of_us, window=window, policy=policy).cells
    for sums in (rows, cells):
        for name in SAME_NAME:
            assert sum(row[name] for row in sums) == getattr(whole, name), name
