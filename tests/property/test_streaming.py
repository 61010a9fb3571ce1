"""Whatever the files, their order and row groups, and however little memory there is: the same report, to the byte."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from storepulse.kernel.windows import Window
from storepulse.reports import ReportOptions
from tests import oracle
from tests.fixtures.streams import Names, held, streamed
from tests.oracle import DAY_US
from tests.property.strategies import DEFAULT_WINDOWS, INSTANT, Case, cases, hours_table, observation_table, zone_table

Order = Literal["as they come", "by time", "in slices"]


def files_of(case: Case, folder: Path, chance: random.Random, order: Order, count: int) -> Names:
    """Write a case as files: polls as Parquet of several row groups and as CSV, some of them more than once."""
    rows = [*case.observations, *(row for row in case.observations if chance.random() < 0.2)]
    rows += [(store, at, "inactive") for store, at, _ in case.observations if chance.random() < 0.1]
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
    hours, zones = folder / "hours.parquet", folder / "zones.parquet"
    hours_table(case.hours).write_parquet(hours)
    zone_table(list(case.zones.items())).write_parquet(zones)
    return {"polls": polls, "hours": [str(hours)], "timezones": [str(zones)]}


def _polls_file(path: Path, rows: Sequence[oracle.Observation], chance: random.Random, *, only_parquet: bool) -> str:
    table = observation_table(rows)
    if not only_parquet and chance.random() < 0.3:
        text = pl.col("timestamp_utc").dt.strftime("%Y-%m-%d %H:%M:%S%.6f UTC")
        table.with_columns(text).write_csv(path)
        return str(path)
    unit: Literal["us", "ns"] = chance.choice(["us", "ns"])
    table = table.with_columns(pl.col("timestamp_utc").cast(INSTANT).dt.cast_time_unit(unit))
    if chance.random() < 0.3:
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
    options = ReportOptions(
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
