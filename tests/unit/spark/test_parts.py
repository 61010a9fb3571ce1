"""What runs in Spark's workers, without Spark: rows are checked, sorted by hash in batches of any size, and counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest import mock

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import storepulse
from storepulse.errors import EngineError, InputError
from storepulse.ingest import Kind
from storepulse.schema import DAY_US
from storepulse.spark import buckets, rows
from storepulse.spark.results import Made, Reports, Timelines
from storepulse.spark.rows import Bad, Checked, Needed, check_versions, versions
from tests.property.strategies import DEFAULT_WINDOWS, Case, cases

KINDS: tuple[Kind, ...] = ("polls", "hours", "timezones")


def batches(table: pl.DataFrame, size: int) -> Iterator[pa.RecordBatch]:
    yield from table.to_arrow().to_batches(max_chunksize=size)


def tables_of(made: Iterator[pa.RecordBatch], empty: dict[str, Any]) -> pl.DataFrame:
    frames = [pl.DataFrame(batch) for batch in made]
    return pl.concat(frames) if frames else pl.DataFrame(schema=empty)


def checked(kind: Kind, table: pl.DataFrame, size: int, needed: Needed | None = None, bad: Bad = "refuse") -> Any:
    worker = Checked(kind, kind, bad, None, needed, versions())
    return tables_of(worker(batches(table, size)), rows._POLARS)


def through(
    made: Made,
    tables: tuple[pl.DataFrame, ...],
    as_of: int | None,
    *,
    size: int = 7,
    at_once: int = 20,
    hashes: int = 3,
) -> pl.DataFrame:
    """Do what a job does, in batches of few rows, with hashes that many stores share."""
    needed = made.needs(as_of)
    with mock.patch.object(rows, "_ROWS_AT_ONCE", size), mock.patch.object(buckets, "ROWS_AT_ONCE", at_once):
        shuffled = pl.concat(
            checked(kind, table, size, needed if kind == "polls" else None)
            for kind, table in zip(KINDS, tables, strict=True)
        )
        hashed = shuffled.with_columns(bucket=pl.col("store_id").hash(1).cast(pl.UInt64) % hashes).cast(
            {"bucket": pl.Int64}
        )
        ordered = hashed.sample(fraction=1, shuffle=True, seed=1).sort("bucket", maintain_order=True)
        if as_of is None:
            ordered = ordered.with_columns(as_of=pl.lit(shuffled["moment"].max(), dtype=pl.Int64) // 2)
        return tables_of(made.of_buckets(as_of)(batches(ordered, size)), {"store_id": pl.String})


def reports_of(case: Case) -> Reports:
    own = [storepulse.Window(*window) for window in case.extra_windows]
    return Reports((*DEFAULT_WINDOWS, *own), case.policy(), all_stores=True)


@given(case=cases(), size=st.integers(1, 30), at_once=st.integers(1, 60), hashes=st.integers(1, 4))
def test_the_report_is_the_one_of_the_library(case: Case, size: int, at_once: int, hashes: int) -> None:
    made = through(reports_of(case), case.tables(), case.as_of_us, size=size, at_once=at_once, hashes=hashes)
    expected = case.report()
    if not expected.height:
        assert not made.height
        return
    assert_frame_equal(made.sort("store_id", maintain_order=True), expected, check_exact=True)


@given(case=cases(), names=st.lists(st.sampled_from(["today", "previous_week", "this_month"]), min_size=1, unique=True))
def test_calendar_windows_need_no_more_than_what_is_kept(case: Case, names: list[str]) -> None:
    made = through(Reports(names, case.policy(), all_stores=True), case.tables(), case.as_of_us)
    expected = storepulse.report(
        *case.tables(), as_of=case.as_of_us, windows=names, policy=case.policy(), all_stores=True
    )
    if expected.height:
        assert_frame_equal(made.sort("store_id", maintain_order=True), expected, check_exact=True)


@given(case=cases())
def test_the_instant_is_the_latest_observation_unless_one_is_named(case: Case) -> None:
    if not case.observations:
        return
    made = through(Reports(tuple(DEFAULT_WINDOWS), case.policy()), case.tables(), None)
    expected = storepulse.report(*case.tables(), policy=case.policy())
    assert_frame_equal(made.sort("store_id", maintain_order=True), expected, check_exact=True)


@given(case=cases(), days=st.integers(1, 9))
def test_the_timeline_is_the_one_of_the_library(case: Case, days: int) -> None:
    start = case.as_of_us - days * DAY_US
    made = through(Timelines(start, case.policy()), case.tables(), case.as_of_us)
    expected = storepulse.timeline(*case.tables(), start=start, as_of=case.as_of_us, policy=case.policy())
    if expected.height:
        assert_frame_equal(made.sort("store_id", maintain_order=True), expected, check_exact=True)


@given(case=cases())
def test_an_old_history_is_forgotten_before_the_shuffle(case: Case) -> None:
    needed = Reports(("last_hour",), case.policy()).needs(case.as_of_us)
    assert needed is not None
    table = case.tables()[0]
    kept = checked("polls", table, 1000, needed).with_columns(at=pl.col("moment") // 2)
    old = kept.filter(pl.col("at") < needed.start)
    assert old.unique(["store_id", "at"]).height == old["store_id"].n_unique()
    assert kept["at"].max() is None or kept["at"].max() <= case.as_of_us


POLLS = pl.DataFrame(
    {
        "store_id": ["a", "b", " a "],
        "status": ["active", "off", "inactive"],
        "timestamp_utc": ["2023-01-25 10:00:00 UTC"] * 3,
    }
)


def test_a_bad_row_ends_the_job_and_says_why() -> None:
    with pytest.raises(InputError, match=r"a row of polls is bad, .*\"off\".*: unknown status 'off'; .*validate"):
        checked("polls", POLLS, 10)


def test_bad_rows_that_are_left_out_leave_the_others() -> None:
    assert checked("polls", POLLS, 10, bad="leave out")["store_id"].to_list() == ["a", "a"]


def test_bad_rows_that_are_counted_come_under_no_store() -> None:
    made = checked("polls", pl.concat([POLLS] * 4), 100, bad="count")
    (note,) = made.filter(pl.col("store_id") == "")["setting"]
    assert '"bad": 4, "table": "polls"' in note
    assert note.count("unknown status") == 4


def test_nothing_observed_is_an_error_unless_an_instant_is_named() -> None:
    zones = pl.DataFrame({"store_id": ["a"], "timezone_str": ["UTC"]})
    hours = pl.DataFrame(schema=dict.fromkeys(("store_id", "day", "start_time_local", "end_time_local"), pl.String))
    tables = POLLS.clear(), hours, zones
    with pytest.raises(InputError, match="there are no observations yet"):
        through(Reports(("last_day",), storepulse.Policy()), tables, None)
    made = through(Reports(("last_day",), storepulse.Policy(), all_stores=True), tables, DAY_US * 20_000)
    assert made["unknown_us"].to_list() == [DAY_US]


def test_an_executor_with_another_version_makes_no_numbers() -> None:
    check_versions(versions())
    with pytest.raises(
        EngineError, match=r"this executor has storepulse .*, the driver has storepulse 0\.0\.1 .*2019a"
    ):
        check_versions(("0.0.1", "2019a"))
