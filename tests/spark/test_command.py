"""`storepulse report --engine spark`: the bytes of the local engine, and mistakes that are told as ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from storepulse import ingest, reports
from storepulse.errors import InputError, NotFoundError
from storepulse.ingest import Kind
from storepulse.kernel.policy import Policy
from storepulse.kernel.windows import Window
from storepulse.reports import ReportOptions
from storepulse.spark import command
from tests.fixtures.tables import HOURS, NOW, POLLS, TIMEZONES, VERSION, table, write
from tests.spark.conftest import Files

pytest.importorskip("pyspark")

OPTIONS = [
    ReportOptions(),
    ReportOptions(
        windows=("last_day", "previous_week", Window("early", "2023-01-20", "2023-01-22T06:00")), all_stores=True
    ),
    ReportOptions(as_of=1_674_600_000_000_000, policy=Policy(interpolation="nearest", assume="active")),
]


def locally(options: ReportOptions, **names: str) -> bytes:
    loaded = ingest.read(kinds(**names), now=NOW, version=VERSION)
    made = reports.run_report(
        ingest.memory_fleet(loaded).of(options.stores),
        as_of=options.as_of,
        chosen=options.windows,
        policy=options.policy,
        all_stores=options.all_stores,
        version=VERSION,
    )
    return contents(made)


def kinds(**names: str) -> dict[Kind, list[str]]:
    given: dict[Kind, list[str]] = {}
    for kind in ("polls", "hours", "timezones"):
        if kind in names:
            given[kind] = [names[kind]]
    return given


def contents(made: reports.Report) -> bytes:
    return reports.written(made, "csv", detail=True) + reports.written(made, "json").replace(
        made.version.encode(), b"VERSION"
    )


def answered(spark: Any, options: ReportOptions, *polls: str, **settings: str) -> command.Answer:
    names = kinds(**settings)
    loaded = (
        ingest.read(names, now=NOW, version=VERSION) if names else ingest.read_sources([], now=NOW, version=VERSION)
    )
    return command.report(spark, polls, loaded, options, now=NOW)


@pytest.mark.parametrize("options", OPTIONS)
def test_the_report_of_14092_stores_has_the_bytes_of_the_local_engine(
    spark: Any, fleet_of_14092: Files, options: ReportOptions
) -> None:
    files = fleet_of_14092
    made = answered(spark, options, files.polls, hours=files.hours, timezones=files.timezones)
    expected = locally(options, polls=f"{files.polls}/*.parquet", hours=files.hours, timezones=files.timezones)
    assert contents(made.report) == expected
    assert (made.bad, made.shown) == (0, [])


@pytest.fixture
def small(tmp_path: Path) -> dict[str, str]:
    """Small files of each kind; a bad row, one from the future, and a store that was never observed are among them."""
    bad = "2,on,2023-01-25 15:04:05 UTC\n2,active,2031-01-01 00:00:00 UTC\n"
    polls = write(tmp_path / "polls.csv", POLLS + bad)
    pl.read_csv(polls, infer_schema=False).write_parquet(tmp_path / "polls.parquet")
    return {
        "polls": str(tmp_path / "polls.parquet"),
        "hours": write(tmp_path / "hours.csv", HOURS + "9,2,09:00,17:00\n"),
        "timezones": write(tmp_path / "timezones.csv", TIMEZONES),
    }


def test_bad_rows_are_counted_and_shown_and_the_others_make_the_report(spark: Any, small: dict[str, str]) -> None:
    polls, *_ = small.values()
    made = answered(spark, ReportOptions(), polls, hours=small["hours"], timezones=small["timezones"])
    assert contents(made.report) == locally(ReportOptions(), **small)
    assert made.bad == 2
    assert [(name, reason.partition(";")[0].partition(", now")[0]) for name, _raw, reason in made.shown] == [
        (polls, "timestamp_utc '2031-01-01 00:00:00 UTC' is more than 24 h in the future"),
        (polls, "unknown status 'on'"),
    ]


def test_some_stores_alone(spark: Any, small: dict[str, str]) -> None:
    options = ReportOptions(stores=("1", "9"), all_stores=True)
    settings = {"hours": small["hours"], "timezones": small["timezones"]}
    assert contents(answered(spark, options, small["polls"], **settings).report) == locally(options, **small)
    with pytest.raises(NotFoundError, match="there is no store '7'; it is in none of the tables"):
        answered(spark, ReportOptions(stores=("1", "7")), small["polls"], **settings)


def test_nothing_observed_is_told_as_the_local_engine_tells_it(spark: Any, tmp_path: Path) -> None:
    pl.DataFrame(schema=dict.fromkeys(("store_id", "status", "timestamp_utc"), pl.String)).write_parquet(
        tmp_path / "none.parquet"
    )
    hours = write(tmp_path / "hours.csv", HOURS)
    for settings in ({}, {"hours": hours}):
        with pytest.raises(InputError, match="there are no observations yet"):
            answered(spark, ReportOptions(), str(tmp_path / "none.parquet"), **settings)


def test_polls_may_be_in_a_database(spark: Any, tmp_path: Path, small: dict[str, str]) -> None:
    url = f"jdbc:derby:{tmp_path / 'derby'};create=true"
    instants = pl.col("timestamp_utc").str.to_datetime("%Y-%m-%d %H:%M:%S%.f UTC", time_unit="us")
    pl.read_parquet(small["polls"]).with_columns(instants).write_parquet(tmp_path / "typed.parquet")
    spark.read.parquet(str(tmp_path / "typed.parquet")).write.jdbc(url, "polls")
    made = answered(spark, ReportOptions(), f"{url}#polls", hours=small["hours"], timezones=small["timezones"])
    assert contents(made.report) == locally(ReportOptions(), **small)
    with pytest.raises(InputError, match=r"names no table; valid are jdbc:…#TABLE"):
        answered(spark, ReportOptions(), url)
    with pytest.raises(
        InputError, match=r"Spark cannot read jdbc:derby:.*#nothing \(polls\): .*'NOTHING' does not exist"
    ):
        answered(spark, ReportOptions(), f"{url}#nothing")


@pytest.mark.parametrize(
    ("marker", "form"),
    [("_delta_log/0.json", "Delta Lake"), (".hoodie/x", "Hudi"), ("metadata/v1.metadata.json", "Iceberg")],
)
@pytest.mark.parametrize("named", ["table", "table/day=*1*", "table/day=*/*.parquet"])
def test_a_table_with_a_log_is_refused(
    spark: Any, tmp_path: Path, small: dict[str, str], marker: str, form: str, named: str
) -> None:
    for path in (tmp_path / "table" / marker, tmp_path / "table" / "day=[1]" / "a.parquet"):
        path.parent.mkdir(parents=True)
        path.write_bytes(Path(small["polls"]).read_bytes())
    with pytest.raises(InputError, match=rf"is in a table of {form} \(.*\): its folder also holds files"):
        answered(spark, ReportOptions(), str(tmp_path / named))


def test_a_folder_in_parts_is_read_whole(spark: Any, tmp_path: Path, small: dict[str, str]) -> None:
    (tmp_path / "metadata").mkdir()  # of somebody's, not of Iceberg's
    rows = pl.read_parquet(small["polls"])
    for place in range(rows.height):
        (tmp_path / "parts" / f"date=2023-01-{place + 10}").mkdir(parents=True)
        rows[place : place + 1].write_parquet(tmp_path / "parts" / f"date=2023-01-{place + 10}" / "a.parquet")
    made = answered(spark, ReportOptions(), str(tmp_path / "parts"))
    assert contents(made.report) == locally(ReportOptions(), polls=small["polls"])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, r"there is no .*/polls \(polls\); valid are Parquet"),
        (
            table("polls", "1,active,2023-01-25 15:04:05 UTC"),
            r"Spark cannot read .*/polls \(polls\): .*; valid are Parquet",
        ),
    ],
)
def test_what_is_no_parquet_is_refused(spark: Any, tmp_path: Path, content: str | None, told: str) -> None:
    if content is not None:
        write(tmp_path / "polls", content)
    with pytest.raises(InputError, match=told):
        answered(spark, ReportOptions(), str(tmp_path / "polls"))
