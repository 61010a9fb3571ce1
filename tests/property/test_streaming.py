"""Whatever the files, their order and row groups, and however little memory there is: the same report, to the byte."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import operations_oracle, oracle
from tests.fixtures.oracle_fleets import is_accepted_whole, policy_of, tables_of
from tests.fixtures.streams import Names, Streamed, content_of, held, report_of, stored, streamed
from tests.fixtures.tables import table, write
from tests.oracle import DAY_US
from tests.property import operations_strategies
from tests.property.strategies import (
    DEFAULT_WINDOWS,
    FEWER,
    INSTANT,
    Case,
    cases,
    hours_table,
    observation_table,
    zone_table,
)
from tests.property.test_groups import named
from tests.property.test_operations import assert_same, windows_of
from uphours.errors import UphoursError
from uphours.ingest.inputs import Kind
from uphours.kernel.windows import Window
from uphours.reports.request import ReportRequest

Order = Literal["as they come", "by time", "in slices"]


def files_of(case: Case, folder: Path, chance: random.Random, order: Order, count: int) -> Names:
    """Write a case as files: polls as Parquet of several row groups and as CSV, some of them more than once."""
    rows = [*case.observations, *(row for row in case.observations if chance.random() < 0.2)]
    rows += [
        (store, at, chance.choice(["inactive", "unknown"]))
        for store, at, _ in case.observations
        if chance.random() < 0.1
    ]
    hours, zones = folder / "hours.parquet", folder / "zones.parquet"
    hours_table(case.hours).write_parquet(hours)
    zone_table(list(case.zones.items())).write_parquet(zones)
    polls = polls_files(rows, folder, chance, order, count)
    return {"polls": polls, "hours": [str(hours)], "timezones": [str(zones)]}


def polls_files(
    rows: Sequence[oracle.Observation], folder: Path, chance: random.Random, order: Order, count: int
) -> list[str]:
    """Write polls as several files, in whatever order."""
    rows = list(rows)
    chance.shuffle(rows)
    if order != "as they come":
        rows.sort(key=lambda row: row[1])
    polls = []
    for number in range(count):
        mine = rows[len(rows) * number // count : len(rows) * (number + 1) // count]
        if order == "by time":
            chance.shuffle(mine)
        polls.append(_polls_file(folder / f"polls-{number}", mine, chance, only_parquet=order == "in slices"))
    chance.shuffle(polls)
    return polls


def _polls_file(path: Path, rows: Sequence[oracle.Observation], chance: random.Random, *, only_parquet: bool) -> str:
    table = observation_table(rows)
    if not only_parquet and chance.random() < 0.3:
        text = pl.col("timestamp_utc").dt.strftime("%Y-%m-%d %H:%M:%S%.6f UTC")
        table.with_columns(text).write_csv(path)
        return str(path)
    unit: Literal["us", "ns"] = chance.choice(["us", "ns"])
    table = table.with_columns(pl.col("timestamp_utc").cast(INSTANT).dt.cast_time_unit(unit))
    if chance.random() < 0.3 and not (table["status"] == "unknown").any():
        table = table.with_columns(pl.col("status") == "active")
    group = chance.choice([1, 2] if only_parquet else [1, 2, 5, 1_000])
    table.write_parquet(path, row_group_size=group, statistics=chance.random() < 0.9 or only_parquet)
    return str(path)


@given(
    case=cases(max_stores=5),
    seed=st.integers(0, 1 << 30),
    order=st.sampled_from(["as they come", "by time", "in slices"]),
    count=st.integers(1, 6),
    rows=st.sampled_from([1, 2, 3, 7, 20, 1_000]),
    is_as_of_known=st.booleans(),
    all_stores=st.booleans(),
)
def test_a_report_of_parts_is_that_of_the_whole(
    case: Case, seed: int, order: Order, count: int, rows: int, is_as_of_known: bool, all_stores: bool
) -> None:
    windows: tuple[str | Window, ...] = (
        *DEFAULT_WINDOWS,
        "yesterday",
        "this_month",
        *(Window(*window) for window in case.extra_windows),
    )
    options = ReportRequest(
        as_of=case.as_of_us if is_as_of_known or not case.observations else None,
        windows=windows, policy=case.policy(), all_stores=all_stores,
    )  # fmt: skip
    now = case.as_of_us + 400 * DAY_US
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = files_of(case, folder, random.Random(seed), order, count)
        assert streamed(names, options, folder=folder, rows=rows, now=now).content == (
            held(names, options, now=now).content
        )


# --- calendars and ledgers --------------------------------------------------------------------------------------

#: Rows of stores of which nothing else says anything.
ALONE: dict[Kind, str] = {
    "special": "only-special,2020-01-01,10:00,14:00,",
    "stores": "only-described,,Main Street,2020-01-01,North",
    "adjustments": "only-adjusted,2020-01-01T00:00Z,2030-01-01T00:00Z,,,up,other,,,",
}


OPERATIONS = operations_strategies.cases(max_stores=3).filter(lambda case: is_accepted_whole(case.fleet))


def operations_files(
    case: operations_strategies.Case, folder: Path, chance: random.Random, order: Order, count: int
) -> Names:
    """Write a case as files; to some come rows of stores that are in no other file."""
    observations = [(poll.store, poll.at_us, poll.status) for poll in case.fleet.polls]
    names: dict[Kind, list[str]] = {"polls": polls_files(observations, folder, chance, order, count)}
    for kind, rows in tables_of(case.fleet).items():
        if kind != "polls" and (rows.height or chance.random() < 0.5):
            path = folder / f"{kind}.csv"
            rows.sample(fraction=1, shuffle=True, seed=chance.randrange(99)).write_csv(path)
            names[kind] = [str(path)]
    for kind, row in ALONE.items():
        if chance.random() < 0.5:
            names.setdefault(kind, []).append(write(folder / f"alone-{kind}.csv", table(kind, row)))
    return names


def options_of(case: operations_strategies.Case, *, raw: bool, all_stores: bool) -> ReportRequest:
    first = case.near - timedelta(days=1)
    windows: tuple[str | Window, ...] = (
        *DEFAULT_WINDOWS,
        "yesterday",
        "this_month",
        "previous_quarter",
        Window("dates", first, first + timedelta(days=3)),
        *windows_of(case),
    )
    return ReportRequest(
        as_of=case.as_of_us, windows=windows, policy=policy_of(case.fleet.rules), all_stores=all_stores, raw=raw
    )


@FEWER
@given(
    case=OPERATIONS,
    seed=st.integers(0, 1 << 30),
    order=st.sampled_from(["as they come", "by time", "in slices"]),
    count=st.integers(1, 5),
    rows=st.sampled_from([1, 2, 3, 7, 1_000]),
    raw=st.booleans(),
)
def test_a_report_of_parts_has_the_figures_of_the_oracle_with_calendar_and_ledger(
    case: operations_strategies.Case, seed: int, order: Order, count: int, rows: int, raw: bool
) -> None:
    options, now = options_of(case, raw=raw, all_stores=True), case.as_of_us + 500 * DAY_US
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = operations_files(case, folder, random.Random(seed), order, count)
        report = report_of(names, options, folder=folder, rows=rows, now=now)
        assert content_of(report) == held(names, options, now=now).content
    fleet = case.fleet if not raw else replace(case.fleet, ledger=[])
    said = {(row["store_id"], row["window"]): row for row in report.table().iter_rows(named=True)}
    for store in fleet.stores:
        for window, bounds in zip(windows_of(case), case.windows, strict=True):
            assert_same(said[store, window.name], operations_oracle.figures(fleet, store, bounds, case.as_of_us))


@settings(max_examples=5)
@given(
    case=OPERATIONS,
    seed=st.integers(0, 1 << 30),
    order=st.sampled_from(["as they come", "in slices"]),
    rows=st.sampled_from([2, 1_000]),
    all_stores=st.booleans(),
)
def test_a_report_of_parts_is_that_of_a_database_with_calendar_and_ledger(
    case: operations_strategies.Case, seed: int, order: Order, rows: int, all_stores: bool
) -> None:
    options, now = options_of(case, raw=False, all_stores=all_stores), case.as_of_us + 500 * DAY_US
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = operations_files(case, folder, random.Random(seed), order, 3)
        expected = stored(names, options, folder=folder, now=now)
        assert streamed(names, options, folder=folder, rows=rows, now=now).content == expected.content


# --- attributes -------------------------------------------------------------------------------------------------

NORTH = (("region", ("North",)),)
#: What may be asked of attributes, which change inside of the windows.
ASKED: list[dict[str, Any]] = [
    {"by": ("region",)},
    {"by": ("brand", "region")},
    {"by": ("region",), "where": (("brand", ("(none)", "B")),)},
    {"by": ("first_day",)},
    {"by": ("brand",), "where": NORTH},
    {"by": ("region",), "stores": ("1",)},
    {"columns": ("region", "brand")},
    {"columns": ("brand",), "where": NORTH},
    {"where": (("brand", ("A", "B")), ("region", ("(none)", "South")))},
    {"where": NORTH, "stores": ("1", "01")},
]


def said(content: Callable[[], Streamed]) -> bytes | str:
    """Return an answer, or what is wrong with the question."""
    try:
        return content().content
    except UphoursError as error:
        return str(error)


@FEWER
@given(
    case=OPERATIONS,
    asked=st.sampled_from(ASKED),
    seed=st.integers(0, 1 << 30),
    order=st.sampled_from(["as they come", "by time", "in slices"]),
    rows=st.sampled_from([1, 2, 3, 7, 1_000]),
    is_as_of_known=st.booleans(),
    raw=st.booleans(),
    all_stores=st.booleans(),
)
def test_attributes_mean_in_parts_what_they_mean_in_the_whole(
    case: operations_strategies.Case, asked: dict[str, Any], seed: int, order: Order, rows: int, is_as_of_known: bool,
    raw: bool, all_stores: bool,
) -> None:  # fmt: skip
    options = replace(options_of(case, raw=raw, all_stores=all_stores), **asked)
    if not is_as_of_known:
        options = replace(options, as_of=None)
    now = case.as_of_us + 500 * DAY_US
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = operations_files(named(case), folder, random.Random(seed), order, 3)
        assert said(lambda: streamed(names, options, folder=folder, rows=rows, now=now)) == said(
            lambda: held(names, options, now=now)
        )
