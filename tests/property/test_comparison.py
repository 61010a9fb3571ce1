"""Comparisons: the window before has the figures of the slow oracle, and changes are those of pooled sums."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from tests import operations_oracle as oracle
from tests.fixtures.databases import only_sqlite
from tests.fixtures.oracle_fleets import memory_fleet_of, policy_of
from tests.property.operations_strategies import Case, cases
from tests.property.strategies import FEWER
from tests.property.test_groups import named
from uphours.kernel.windows import Window
from uphours.reports.fleet import fleet_facts, overview
from uphours.reports.groups import groups
from uphours.reports.measure import run_report
from uphours.reports.request import ReportRequest
from uphours.schema import instant_iso

pytestmark = only_sqlite  # no test here uses a database

SAME_NAME = (
    "uptime_us", "downtime_us", "unknown_us", "excluded_us", "scheduled_us", "business_us", "raw_uptime_us",
    "raw_downtime_us", "raw_unknown_us", "watched_us",
)  # fmt: skip


def windows_of(case: Case) -> list[Window]:
    """Return the windows of a case, the last one moved so that as_of often lies inside."""
    half = (case.windows[-1][1] - case.windows[-1][0]) // 2
    bounds = [*case.windows, tuple(bound + half for bound in case.windows[-1])]
    return [Window(f"w{place}", *map(instant_iso, some)) for place, some in enumerate(bounds)]


def report_of(case: Case, windows: list[Window], *, raw: bool = False, compare: bool = True) -> pl.DataFrame:
    return run_report(
        memory_fleet_of(case.fleet), as_of=case.as_of_us, chosen=windows, policy=policy_of(case.fleet.rules),
        all_stores=True, raw=raw, compare=compare,
    ).table()  # fmt: skip


def length_before(window: Window, as_of_us: int) -> oracle.Interval:
    """Return the same elapsed part of the equal length of time before."""
    start, end = window.bounds_us()
    elapsed = max(0, min(end, as_of_us) - start)
    return start - (end - start), start - (end - start) + elapsed


def dates_before(case: Case, store: str, first: date, end: date, first_before: date) -> oracle.Interval:
    """Return the part of the dates before that had elapsed, on the clock of the store, at the case's as_of."""
    start_us, end_us = oracle.local_window(case.fleet, store, first, end)
    before_us = oracle.midnight_us(case.fleet, store, first_before)
    if case.as_of_us >= end_us:
        return before_us, start_us
    if case.as_of_us <= start_us:
        return before_us, before_us
    clock = (oracle.EPOCH + timedelta(microseconds=case.as_of_us)).astimezone(zone_at(case, store))
    time_us = ((clock.hour * 60 + clock.minute) * 60 + clock.second) * 1_000_000 + clock.microsecond
    day = first_before + (clock.date() - first)
    if day >= first:
        return before_us, start_us
    elapsed_us = oracle.to_utc_us(day, time_us, oracle.zone_on(case.fleet, store, day))
    return before_us, min(max(elapsed_us, before_us), start_us)


def zone_at(case: Case, store: str) -> ZoneInfo:
    """Return the zone in force at as_of: each from its own midnight on, the first one since ever."""
    rows = sorted((row for row in case.fleet.zones if row.store == store), key=lambda row: row.valid_from)
    zones = [
        ZoneInfo(row.zone)
        for place, row in enumerate(rows)
        if not place or oracle.to_utc_us(date.fromisoformat(row.valid_from), 0, ZoneInfo(row.zone)) <= case.as_of_us
    ]
    return zones[-1] if zones else ZoneInfo(oracle.DEFAULT_ZONE)


def has_zones(case: Case, store: str, day: date) -> bool:
    since = [row.valid_from for row in case.fleet.zones if row.store == store]
    return not since or min(since) <= day.isoformat()


def change(now: Any, before: Any) -> dict[str, float | None]:
    """Return the changes that follow from figures."""
    up, down, up_before, down_before = now.uptime_us, now.downtime_us, before.uptime_us, before.downtime_us
    if not up + down or not up_before + down_before:
        return {"availability_change": None, "downtime_change_us": None}
    points = Fraction(up, up + down) - Fraction(up_before, up_before + down_before)
    return {"availability_change": float(points), "downtime_change_us": down - down_before}


def assert_row(case: Case, row: dict[str, Any], window: oracle.Interval, before: oracle.Interval, raw: bool) -> None:
    fleet = replace(case.fleet, ledger=[]) if raw else case.fleet
    assert (row["before_start_us"], row["before_end_us"]) == before
    now = oracle.figures(fleet, row["store_id"], window, case.as_of_us)
    then = oracle.figures(fleet, row["store_id"], before, case.as_of_us)
    assert {name: row[name] for name in SAME_NAME} == {name: getattr(now, name) for name in SAME_NAME}
    assert {name: row[f"before_{name}"] for name in SAME_NAME} == {name: getattr(then, name) for name in SAME_NAME}
    expected = change(now, then)
    assert {name: row[name] for name in expected} == expected


@FEWER
@given(cases(), st.booleans())
def test_the_window_before_has_the_figures_of_the_oracle(case: Case, raw: bool) -> None:
    windows = {window.name: window for window in windows_of(case)}
    for row in report_of(case, list(windows.values()), raw=raw).iter_rows(named=True):
        window = windows[row["window"]]
        assert_row(case, row, window.bounds_us(), length_before(window, case.as_of_us), raw)


@FEWER
@given(cases(), st.integers(-9, 2), st.integers(1, 9))
def test_dates_are_compared_with_the_dates_before_on_each_clock(case: Case, shift: int, days: int) -> None:
    first = (oracle.EPOCH + timedelta(microseconds=case.as_of_us)).date() + timedelta(days=shift)
    end, first_before = first + timedelta(days=days), first - timedelta(days=days)
    if first.day == end.day == 1:
        return
    for row in report_of(case, [Window("dates", first, end)]).iter_rows(named=True):
        if has_zones(case, row["store_id"], first_before):
            bounds = oracle.local_window(case.fleet, row["store_id"], first, end)
            assert_row(case, row, bounds, dates_before(case, row["store_id"], first, end, first_before), raw=False)


@FEWER
@given(cases())
def test_a_month_is_compared_with_the_month_before_on_each_clock(case: Case) -> None:
    first = case.near.replace(day=1)
    end, first_before = (first + timedelta(days=31)).replace(day=1), (first - timedelta(days=1)).replace(day=1)
    for row in report_of(case, [Window("month", first, end)]).iter_rows(named=True):
        if has_zones(case, row["store_id"], first_before):
            bounds = oracle.local_window(case.fleet, row["store_id"], first, end)
            assert_row(case, row, bounds, dates_before(case, row["store_id"], first, end, first_before), raw=False)


@FEWER
@given(cases(), st.booleans())
def test_the_window_before_is_what_a_report_of_its_own_says(case: Case, raw: bool) -> None:
    windows = windows_of(case)
    compared = report_of(case, windows, raw=raw)
    plain = report_of(case, windows, raw=raw, compare=False)
    assert compared.select(plain.columns).equals(plain)
    bounds = [length_before(window, case.as_of_us) for window in windows]
    own = [
        Window(window.name, *map(instant_iso, some))
        for window, some in zip(windows, bounds, strict=True)
        if some[0] < some[1]
    ]
    if own:
        asked = report_of(case, own, raw=raw, compare=False)
        of_own = compared.filter(pl.col("window").is_in([window.name for window in own]))
        names = [name for name in asked.columns if f"before_{name}" in compared.columns]
        before = of_own.select(pl.col(f"before_{name}").alias(name) for name in names)
        assert before.equals(asked.select(names))


@FEWER
@given(cases(3), st.sampled_from([["region"], ["brand", "region"]]), st.booleans())
def test_the_change_of_groups_and_fleet_is_that_of_pooled_sums(case: Case, by: list[str], raw: bool) -> None:
    case = named(case)
    windows = windows_of(case)
    request = ReportRequest(
        as_of=case.as_of_us, windows=tuple(windows), policy=policy_of(case.fleet.rules), all_stores=True, raw=raw,
        compare=True,
    )  # fmt: skip
    said = groups(memory_fleet_of(case.fleet), request, by)
    fleet = replace(case.fleet, ledger=[]) if raw else case.fleet
    for place, window in enumerate(windows):
        bounds, before = window.bounds_us(), length_before(window, case.as_of_us)
        now, then = (oracle.group_figures(fleet, by, some, case.as_of_us) for some in (bounds, before))
        for group in said.groups:
            assert group.values is not None
            pair = now.get(group.values, oracle.Figures()), then.get(group.values, oracle.Figures())
            assert_group(group.windows[place], *pair)
        assert {*now, *then} <= {group.values for group in said.groups}
        whole = [
            sum((oracle.figures(fleet, store, some, case.as_of_us) for store in fleet.stores), oracle.Figures())
            for some in (bounds, before)
        ]
        assert_group(said.fleet.windows[place], *whole)
        members = {group.values: group.windows[place]["before"]["stores"] for group in said.groups}
        for values, stores in members.items():
            assert stores == sum(
                any(key == values for key, *_ in oracle.memberships(fleet, store, by, before)) for store in fleet.stores
            )


def assert_group(figures: dict[str, Any], now: oracle.Figures, then: oracle.Figures) -> None:
    assert {name: figures[name] for name in SAME_NAME} == {name: getattr(now, name) for name in SAME_NAME}
    assert {name: figures["before"][name] for name in SAME_NAME} == {name: getattr(then, name) for name in SAME_NAME}
    expected = change(now, then)
    assert {name: figures[name] for name in expected} == expected


@FEWER
@given(cases(3))
def test_an_overview_compares_stores_and_fleet(case: Case) -> None:
    window = windows_of(case)[-1]
    fleet, policy = memory_fleet_of(case.fleet), policy_of(case.fleet.rules)
    made = overview(fleet, as_of=case.as_of_us, window=window, policy=policy, compare=True)
    plain = overview(fleet, as_of=case.as_of_us, window=window, policy=policy)
    assert made.before is not None
    assert plain.before is None
    assert made.report.table().select(plain.report.table().columns).equals(plain.report.table())
    before = length_before(window, case.as_of_us)
    sums = [oracle.Figures(), oracle.Figures()]
    for row, store in enumerate(made.store_ids):
        both = [oracle.figures(case.fleet, store, some, case.as_of_us) for some in (window.bounds_us(), before)]
        sums = [total + one for total, one in zip(sums, both, strict=True)]
        expected = change(*both)
        known = bool(made.changes.known[row])
        assert known == (expected["downtime_change_us"] is not None)
        if known:
            assert made.changes.availability[row] == expected["availability_change"]
            assert made.changes.downtime_us[row] == expected["downtime_change_us"]
    facts = fleet_facts(made)
    assert {name: facts[name] for name in change(*sums)} == change(*sums)
    assert facts["before"]["uptime_us"] == sums[1].uptime_us
