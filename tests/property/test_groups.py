"""Groups of stores: every sum is exactly that of the slow oracle, and groups are a partition of the fleet."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from tests import operations_oracle as oracle
from tests.fixtures.databases import only_sqlite
from tests.fixtures.oracle_fleets import is_accepted_whole, memory_fleet_of, policy_of, tables_of
from tests.property.operations_strategies import Case, cases
from tests.property.strategies import FEWER
from uphours.ingest.load import read_tables
from uphours.ingest.memory_fleet import memory_fleet
from uphours.kernel.windows import Window
from uphours.reports.group_files import FORMATS, write_groups
from uphours.reports.groups import Group, Groups, groups
from uphours.reports.request import ReportRequest
from uphours.schema import instant_iso
from uphours.where import NO_VALUE

pytestmark = only_sqlite  # no test here uses a database

SAME_NAME = (
    "uptime_us", "downtime_us", "unknown_us", "excluded_us", "scheduled_us", "business_us", "raw_uptime_us",
    "raw_downtime_us", "raw_unknown_us", "watched_us",
)  # fmt: skip
SUMMED = (*SAME_NAME, "uptime_min_us", "uptime_max_us", "observations")


def windows_of(case: Case) -> list[Window]:
    return [Window(f"w{place}", *map(instant_iso, bounds)) for place, bounds in enumerate(case.windows)]


def named(case: Case) -> Case:
    """Return a case in which some store has each attribute."""
    rows = list(case.fleet.attributes)
    there = {row.name for row in rows}
    more = [oracle.AttributeRow(case.store, name, "", "") for name in ("region", "brand") if name not in there]
    return replace(case, fleet=replace(case.fleet, attributes=[*rows, *more]))


def made(case: Case, by: Sequence[str], *, raw: bool = False) -> Groups:
    request = ReportRequest(
        as_of=case.as_of_us, windows=tuple(windows_of(case)), policy=policy_of(case.fleet.rules), all_stores=True,
        raw=raw,
    )  # fmt: skip
    return groups(memory_fleet_of(case.fleet), request, by)


def assert_same(said: Group, place: int, figures: oracle.Figures) -> None:
    window = said.windows[place]
    assert {name: window[name] for name in SAME_NAME} == {name: getattr(figures, name) for name in SAME_NAME}
    assert window["uptime_min_us"] == figures.confirmed_uptime_us
    assert window["uptime_max_us"] == figures.business_us - figures.confirmed_downtime_us
    known = figures.uptime_us + figures.downtime_us
    assert window["availability"] == (figures.uptime_us / known if known else None)


@FEWER
@given(cases(3), st.sampled_from([["region"], ["brand"], ["brand", "region"]]), st.booleans())
def test_groups_have_the_figures_of_the_oracle(case: Case, by: list[str], raw: bool) -> None:
    case = named(case)
    said = made(case, by, raw=raw)
    fleet = replace(case.fleet, ledger=[]) if raw else case.fleet
    by_values = {group.values: group for group in said.groups if group.values is not None}
    for place, window in enumerate(case.windows):
        expected = oracle.group_figures(fleet, by, window, case.as_of_us)
        for values, figures in expected.items():
            assert_same(by_values[values], place, figures)
        for values, group in by_values.items():
            members = [
                store
                for store in fleet.stores
                if any(key == values for key, *_ in oracle.memberships(fleet, store, by, window))
            ]
            assert group.windows[place]["stores"] == len(members)
            if values not in expected:
                assert_same(group, place, oracle.Figures())
        whole = sum((oracle.figures(fleet, store, window, case.as_of_us) for store in fleet.stores), oracle.Figures())
        assert_same(said.fleet, place, whole)


@FEWER
@given(cases(3))
def test_groups_sum_to_the_fleet_and_a_finer_grouping_to_a_coarser_one(case: Case) -> None:
    case = named(case)
    by_region, by_both = made(case, ["region"]), made(case, ["region", "brand"])
    by_turn = made(case, ["brand", "region"])
    report = by_region.report.table()
    for place, window in enumerate(by_region.report.windows.names):
        of_stores = report.filter(window=window)
        for name in SUMMED:
            total = by_region.fleet.windows[place][name]
            assert sum(of_stores[name].to_list()) == total, name
            for said in (by_region, by_both, by_turn):
                assert sum(group.windows[place][name] for group in said.groups) == total, name
            for region in by_region.groups:
                assert region.values is not None
                finer = [group for group in by_both.groups if group.values and group.values[:1] == region.values]
                assert sum(group.windows[place][name] for group in finer) == region.windows[place][name], name
        assert sum(group.windows[place]["outages"] for group in by_region.groups) >= sum(of_stores["outages"].to_list())
        assert by_region.fleet.windows[place]["outages"] == sum(of_stores["outages"].to_list())
    assert [group.windows for group in sorted(by_turn.groups, key=lambda group: group.values[::-1])] == [  # type: ignore[index]
        group.windows for group in by_both.groups
    ]


@FEWER
@given(cases(3), st.integers(0, 1000))
def test_the_order_of_rows_changes_no_byte(case: Case, seed: int) -> None:
    assume(is_accepted_whole(case.fleet))
    request = ReportRequest(as_of=case.as_of_us, windows=tuple(windows_of(case)), all_stores=True)
    tables = tables_of(named(case).fleet)
    shuffled = {kind: table.sample(fraction=1, shuffle=True, seed=seed) for kind, table in tables.items()}
    first, second = (groups(memory_fleet(read_tables(some)), request, ["region"]) for some in (tables, shuffled))
    for form in FORMATS:
        assert written(first, form) == written(second, form)


def written(said: Groups, form: str) -> bytes:
    file = io.BytesIO()
    write_groups(said, form, file, detail=True)
    return file.getvalue()


@FEWER
@given(cases(3))
def test_a_store_that_stays_counts_with_its_own_figures(case: Case) -> None:
    case = named(case)
    alone = [
        oracle.AttributeRow(store, "alone", "" if place else store) for place, store in enumerate(case.fleet.stores)
    ]
    said = made(replace(case, fleet=replace(case.fleet, attributes=[*case.fleet.attributes, *alone])), ["alone"])
    rows = {(row["store_id"], row["window"]): row for row in said.report.table().iter_rows(named=True)}
    (group,) = [group for group in said.groups if group.values == (case.store,)]
    for place, window in enumerate(said.report.windows.names):
        row = rows[case.store, window]
        assert {name: row[name] for name in group.windows[place] if name != "stores"} == {
            name: value for name, value in group.windows[place].items() if name != "stores"
        }
    assert {group.values for group in said.groups} <= {(case.store,), (NO_VALUE,)}
