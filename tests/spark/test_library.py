"""`uphours.spark` in a session of this machine gives what the library gives, and nothing runs before it is asked."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import uphours
from tests.fixtures.tables import WITH_EXCLUDED
from tests.golden import test_operations as worked
from tests.golden.test_golden import CASES, case_of, flat, sums_of, table
from tests.property.strategies import DEFAULT_WINDOWS, Case, cases
from uphours import spark as on_spark
from uphours.errors import InputError
from uphours.ingest.load import TABLE_NAMES
from uphours.schema import DAY_US

pytest.importorskip("pyspark")

KINDS = ("polls", "hours", "timezones")
POLLS = pl.DataFrame(
    {
        "store_id": ["1", "1", "2"],
        "status": ["active", "inactive", "active"],
        "timestamp_utc": ["2023-01-24 10:00:00 UTC", "2023-01-25 12:30:00.25 UTC", "2023-01-25 15:04:05.123456 UTC"],
        "poller": ["x", "y", "z"],
    }
)
HOURS = pl.DataFrame(
    {
        "store_id": ["1", "1", "3"],
        "dayOfWeek": [1, 2, 2],
        "start_time_local": ["09:00:00", "18:00", "00:00:00"],
        "end_time_local": ["17:00:00", "02:00", "23:59:59"],
    }
)
ZONES = pl.DataFrame({"store_id": ["1", "2"], "timezone_str": ["America/New_York", "Asia/Kolkata"]})


def frame(spark: Any, made: pl.DataFrame) -> Any:
    import pyarrow as pa

    arrow = made.to_arrow(compat_level=pl.CompatLevel.oldest())
    plain = [field.with_type(pa.string()) if field.type == pa.large_string() else field for field in arrow.schema]
    return spark.createDataFrame(arrow.cast(pa.schema(plain)))


def frames(spark: Any, *made: pl.DataFrame) -> list[Any]:
    return [frame(spark, one) for one in made]


def collected(made: Any) -> pl.DataFrame:
    return pl.DataFrame(made.toArrow()).sort("store_id", maintain_order=True)


def reports_at_once(spark: Any, jobs: dict[str, Any]) -> dict[str, pl.DataFrame]:
    """Compute many reports as one job: it is the jobs that take the time."""
    from functools import reduce

    from pyspark.sql import functions as sql

    named = [made.withColumn("job", sql.lit(name)) for name, made in jobs.items()]
    table = collected(reduce(lambda one, more: one.unionAll(more), named))
    return {name: table.filter(pl.col("job") == name).drop("job") for name in jobs}


def test_the_golden_cases_have_their_worked_answers(spark: Any) -> None:
    jobs = {}
    for name in CASES:
        options = case_of(name)["options"]
        max_age = options.get("max_age_minutes")
        jobs[name] = on_spark.report(
            *frames(spark, *(table(name, f"{kind}.csv") for kind in KINDS)),
            as_of=options["as_of"],
            policy=uphours.Policy(
                interpolation=options.get("interpolation", "previous"),
                prefer_in_session=options.get("prefer_in_session", True),
                max_age=None if max_age is None else timedelta(minutes=max_age),
            ),
            all_stores=options.get("all_stores", False),
            buckets=1,
        )
    for name, made in reports_at_once(spark, jobs).items():
        assert sums_of(made) == flat(case_of(name)["expected"]), name


def test_the_golden_cases_of_calendar_and_ledger_have_their_worked_answers(spark: Any) -> None:
    jobs = {}
    for name in worked.CASES:
        frames_of_case = {called: frame(spark, made) for called, made in tables_of(name).items()}
        as_of, windows = worked.options_of(name)["as_of"], worked.windows_of(name)
        jobs[name] = on_spark.report(**frames_of_case, as_of=as_of, windows=windows, all_stores=True, buckets=2)
    for name, made in reports_at_once(spark, jobs).items():
        worked.assert_worked(name, made)


def tables_of(name: str) -> dict[str, Any]:
    """Return the tables of a worked case as the library takes them."""
    return {
        TABLE_NAMES[kind]: pl.read_csv(path, infer_schema=False)
        for kind, (path,) in worked.files_of(name).items()
        if kind != "targets"  # which a report does not take
    }


@pytest.mark.parametrize("name", worked.OF_GROUPS)
def test_groups_have_the_worked_answer_and_the_rows_of_the_library(spark: Any, name: str) -> None:
    tables = tables_of(name)
    options: dict[str, Any] = {"as_of": worked.options_of(name)["as_of"], "windows": worked.windows_of(name)}
    there = {called: frame(spark, made) for called, made in tables.items()}
    for attribute, expected in worked.groups_of(name).items():
        made = pl.DataFrame(on_spark.groups(**there, by=[attribute], **options, buckets=2).toArrow())
        worked.assert_worked_groups(attribute, expected, made)
        assert_frame_equal(made, uphours.groups(**tables, by=[attribute], **options), check_exact=True)


#: Values and a name that are no single words.
ODD_ATTRIBUTES = pl.DataFrame(
    {
        "store_id": ["1", "1", "2", "3"],
        "valid_from": ["", "2023-01-24", "", ""],
        "region": ["North West", 'South "1"', "North West", "Ost\u00a0é"],
        "the city": ["Ulm", "", "", "Köln"],
    }
)


def test_attributes_choose_stores_and_stand_beside_them_as_in_the_library(spark: Any) -> None:
    tables: dict[str, Any] = {
        "observations": POLLS, "business_hours": HOURS, "timezones": ZONES, "attributes": ODD_ATTRIBUTES,
    }  # fmt: skip
    there = {called: frame(spark, made) for called, made in tables.items()}
    there["attributes"] = there["attributes"].repartition(3)
    questions: list[dict[str, Any]] = [
        {"columns": ["the city", "region"], "all_stores": True},
        {"where": {"region": ["North West", 'South "1"']}, "columns": ["region"]},
        {"where": {"the city": ""}, "as_of": "2023-01-25T18:00:00Z"},
    ]
    for question in questions:
        expected = uphours.report(**tables, **question)
        assert expected.height
        assert_frame_equal(collected(on_spark.report(**there, **question)), expected, check_exact=True)
    assert on_spark.report(**there, where={"region": "West"}).count() == 0
    by = ["region", "the city"]
    made = pl.DataFrame(on_spark.groups(on_spark.validate(**there), by=by).toArrow())
    assert_frame_equal(made, uphours.groups(**tables, by=by), check_exact=True)
    with pytest.raises(InputError, match="there is no attribute 'brand'; valid are 'region', 'the city'"):
        on_spark.groups(**there, by=["brand"])
    with pytest.raises(InputError, match="an attribute is called window, as a column of the report"):
        on_spark.report(
            there["observations"], attributes=there["attributes"].withColumnRenamed("region", "window"),
            columns=["window"],
        )  # fmt: skip


def test_rows_for_every_store_and_local_times_reach_every_bucket(spark: Any) -> None:
    named: dict[str, Any] = {
        TABLE_NAMES[kind]: pl.read_csv(content.encode(), infer_schema=False) for kind, content in WITH_EXCLUDED.items()
    }
    tables = {called: frame(spark, made) for called, made in named.items()}
    windows = ["last_week", "this_month"]
    jobs = {
        "latest": on_spark.report(**tables, windows=windows, all_stores=True),
        "validated": on_spark.report(on_spark.validate(**tables), windows=windows, all_stores=True, buckets=3),
    }
    expected = uphours.report(**named, windows=windows, all_stores=True)
    for name, made in reports_at_once(spark, jobs).items():
        assert made.equals(expected), name
    spans = on_spark.timeline(**tables, start="2023-01-01", as_of="2023-01-26")
    local = uphours.timeline(**named, start="2023-01-01", as_of="2023-01-26")
    assert_frame_equal(collected(spans), local, check_exact=True)
    assert "excluded" in local["status"]


@settings(max_examples=3)
@given(some=st.lists(cases(), min_size=6, max_size=6), all_stores=st.lists(st.booleans(), min_size=6, max_size=6))
def test_random_cases_get_the_report_and_the_timeline_of_the_library(
    spark: Any, some: list[Case], all_stores: list[bool]
) -> None:
    reports = {
        str(place): on_spark.report(
            *frames(spark, *case.tables()),
            as_of=case.as_of_us,
            windows=[*DEFAULT_WINDOWS, *(uphours.Window(*window) for window in case.extra_windows)],
            policy=case.policy(),
            all_stores=all_stores[place],
            buckets=1,
        )
        for place, case in enumerate(some)
    }
    for place, made in reports_at_once(spark, reports).items():
        assert_frame_equal(made, some[int(place)].report(all_stores=all_stores[int(place)]), check_exact=True)
    case = some[0]
    spans = on_spark.timeline(*frames(spark, *case.tables()), as_of=case.as_of_us, policy=case.policy(), buckets=1)
    expected = uphours.timeline(*case.tables(), as_of=case.as_of_us, policy=case.policy())
    assert_frame_equal(collected(spans), expected, check_exact=True)


def test_nothing_runs_before_an_action(spark: Any) -> None:
    polls, hours, zones = frames(spark, POLLS, HOURS, ZONES)
    spark.sparkContext.setJobGroup("lazy", "what building a job starts")
    made = on_spark.report(polls, hours, zones)
    spans = on_spark.timeline(polls, hours, zones, as_of="2023-01-25")
    validated = on_spark.validate(polls, hours, zones)
    on_spark.report(validated, windows=["previous_month"], all_stores=True)
    tracker = spark.sparkContext.statusTracker()
    assert not tracker.getJobIdsForGroup("lazy")
    assert spans.count()
    assert tracker.getJobIdsForGroup("lazy")
    assert made.columns == uphours.report(POLLS, HOURS, ZONES).columns


def test_without_an_instant_the_observations_are_read_and_shuffled_once(spark: Any, tmp_path: Path) -> None:
    POLLS.write_parquet(tmp_path / "polls.parquet")
    polls, (hours, zones) = spark.read.parquet(str(tmp_path)), frames(spark, HOURS, ZONES)
    made = on_spark.report(polls, hours, zones)
    assert_frame_equal(collected(made), uphours.report(POLLS, HOURS, ZONES), check_exact=True)
    made._jdf.collect()
    plan = made._jdf.queryExecution().executedPlan().toString()
    assert "ReusedExchange" in plan  # in the final plan alone
    assert "FileScan" in plan
    assert "poller" not in plan  # only what is needed is read


def test_types_of_columns_do_not_matter(spark: Any, tmp_path: Path) -> None:
    expected = uphours.report(POLLS, HOURS, ZONES, all_stores=True)
    instants = pl.col("timestamp_utc").str.to_datetime("%Y-%m-%d %H:%M:%S%.f UTC", time_unit="us")
    spark.conf.set("spark.sql.session.timeZone", "+05:30")  # must not matter
    try:
        for column, kind in ((instants.dt.replace_time_zone("UTC"), pl.Int64), (instants, pl.Float64)):
            POLLS.with_columns(column, pl.col("store_id").cast(kind)).write_parquet(tmp_path / "polls.parquet")
            made = on_spark.report(spark.read.parquet(str(tmp_path)), *frames(spark, HOURS, ZONES), all_stores=True)
            assert_frame_equal(collected(made), expected, check_exact=True)
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")


def test_hours_and_zones_may_be_left_out(spark: Any) -> None:
    made = on_spark.report(frame(spark, POLLS), buckets=3)
    assert_frame_equal(collected(made), uphours.report(POLLS), check_exact=True)


def test_days_mean_the_same_in_each_part_of_a_table(spark: Any) -> None:
    """The parts of a table are read alone; what a number of a day means is known from all of them."""
    rows = [(str(store), day) for store in range(60) for day in (1, 2)]
    jobs, expected = {}, {}
    for name, last in {"iso": [("x", " 7.0\t")], "ours": [("x", "0.")], "both": [("x", "7"), ("y", "0")]}.items():
        table = pl.DataFrame(
            [*((store, str(day)) for store, day in rows), *last], schema=["store_id", "day"], orient="row"
        )
        hours = table.with_columns(start_time_local=pl.lit("09:00"), end_time_local=pl.lit("17:00"))
        polls = pl.DataFrame({"store_id": hours["store_id"].unique(maintain_order=True)}).with_columns(
            status=pl.lit("up"), timestamp_utc=pl.lit("2023-01-22 12:00:00 UTC")
        )
        validated = on_spark.validate(frame(spark, polls), frame(spark, hours).repartition(4))
        jobs[name] = on_spark.report(validated, as_of="2023-01-29", buckets=1)
        expected[name] = uphours.report(uphours.validate(polls, hours), as_of="2023-01-29")
        assert validated.quarantine.count() == (name == "both")
    for name, made in reports_at_once(spark, jobs).items():
        assert_frame_equal(made, expected[name], check_exact=True)


def test_bad_rows_end_the_job_unless_they_were_set_aside(spark: Any) -> None:
    polls = frame(spark, POLLS.vstack(POLLS[:1].with_columns(status=pl.lit("closed"))))
    hours = frame(spark, HOURS.vstack(HOURS[:1].with_columns(dayOfWeek=pl.lit(9, dtype=pl.Int64))))
    validated = on_spark.validate(polls, hours)
    assert sorted((row["table"], row["reason"].partition(";")[0]) for row in validated.quarantine.collect()) == [
        ("business_hours", "unreadable day '9'"),
        ("observations", "unknown status 'closed'"),
    ]
    assert_frame_equal(collected(on_spark.report(validated)), uphours.report(POLLS, HOURS), check_exact=True)
    with pytest.raises(Exception, match="unknown status 'closed'"):
        on_spark.report(polls, hours).collect()


def test_a_wrong_table_or_option_is_refused_before_anything_runs(spark: Any) -> None:
    polls = frame(spark, POLLS)
    with pytest.raises(InputError, match=r"observations .* has no column status"):
        on_spark.report(polls.drop("status"))
    with pytest.raises(InputError, match="store_id in observations is Boolean"):
        on_spark.report(polls.withColumn("store_id", polls["store_id"].cast("boolean")))
    with pytest.raises(InputError, match="there is no window 'last_year'"):
        on_spark.report(polls, windows=["last_year"])
    with pytest.raises(InputError, match="is not after start"):
        on_spark.timeline(polls, start="2023-01-25", as_of="2023-01-24")
    with pytest.raises(InputError, match="validated tables have their hours, zones and all else already"):
        on_spark.report(on_spark.validate(polls), polls)
    twice = polls.join(polls, polls["store_id"] == polls["store_id"])
    with pytest.raises(InputError, match="has 2 columns for store_id: 'store_id', 'store_id'; valid is one"):
        on_spark.report(twice)
    with pytest.raises(InputError, match=r"observations .* has 2 columns for store_id: 'store_id', 'STORE_ID'"):
        on_spark.report(polls.withColumnRenamed("poller", "STORE_ID"))
    stores = frame(spark, pl.DataFrame({"store_id": ["1"], "region": ["North"], "Region": ["South"]}))
    with pytest.raises(InputError, match="attributes has the column region more than once"):
        on_spark.report(polls, attributes=stores)
    for other in (POLLS, POLLS.lazy(), "polls.parquet", None, uphours.validate(POLLS)):
        with pytest.raises(InputError, match=r"^observations is .*; valid are DataFrames of Spark"):
            on_spark.report(other)
    with pytest.raises(InputError, match=r"^business_hours is .*; valid are DataFrames of Spark"):
        on_spark.timeline(polls, HOURS)
    with pytest.raises(InputError, match=r"^buckets is 0; valid are whole numbers from 1 on"):
        on_spark.report(polls, buckets=0)
    for function in (uphours.report, uphours.timeline, uphours.outages, uphours.validate):
        with pytest.raises(InputError, match=r"observations is a table of Spark; uphours\.spark takes it as it is"):
            function(polls)
    assert_frame_equal(uphours.report(polls.toArrow()), uphours.report(POLLS))


def test_a_store_is_there_whatever_is_known_of_it(spark: Any) -> None:
    as_of = "2023-01-24 10:00:00 UTC"  # store 2 is only observed later, store 3 has only hours, store 4 only a zone
    zones = ZONES.vstack(pl.DataFrame({"store_id": ["4"], "timezone_str": ["UTC"]}))
    given = frames(spark, POLLS, HOURS, zones)
    jobs = {
        str(all_stores): on_spark.report(*given, as_of=as_of, all_stores=all_stores, buckets=2)
        for all_stores in (False, True)
    }
    jobs["polls alone"] = on_spark.report(given[0], as_of=as_of, all_stores=True, buckets=1)
    made = reports_at_once(spark, jobs)
    for all_stores, stores in ((False, ["1"]), (True, ["1", "2", "3", "4"])):
        expected = uphours.report(POLLS, HOURS, zones, as_of=as_of, all_stores=all_stores)
        assert_frame_equal(made[str(all_stores)], expected, check_exact=True)
        assert expected["store_id"].unique().sort().to_list() == stores
    assert made["polls alone"]["store_id"].unique().sort().to_list() == ["1", "2"]


def test_a_store_with_two_million_observations_stands_among_small_ones(spark: Any, tmp_path: Path, seed: int) -> None:
    chance = np.random.default_rng(seed)
    as_of, big, small = 20_000 * DAY_US, 2_000_000, 200
    stores = np.concatenate([np.zeros(big, dtype=np.int64), np.repeat(np.arange(1, small + 1), 168)])
    polls = pl.DataFrame(
        {
            "store_id": stores,
            "status": pl.Series(np.where(chance.random(len(stores)) < 0.9, "active", "inactive")),
            "timestamp_utc": pl.Series(as_of - chance.integers(0, 7 * DAY_US, len(stores))).cast(
                pl.Datetime("us", "UTC")
            ),
        }
    ).sample(fraction=1, shuffle=True, seed=seed)
    polls.write_parquet(tmp_path / "polls.parquet")
    made = on_spark.report(spark.read.parquet(str(tmp_path)), as_of=as_of, buckets=8)
    assert_frame_equal(collected(made), uphours.report(polls, as_of=as_of), check_exact=True)
