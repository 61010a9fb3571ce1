from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, TypeAlias

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import uphours
from tests.unit.tables import EVERY_DAY, hours, polls, row, up_down_unknown, zones
from uphours import InputError, NotFoundError, Window
from uphours.ingest.statuses import VALID_STATUSES
from uphours.schema import DAY_US, HOUR_US, SECOND_US, instant_us

Into: TypeAlias = Callable[[pl.DataFrame], Any]

OBSERVATIONS = polls(
    ("a", "active", "2023-01-25 09:00:00 UTC"),
    ("a", "inactive", "2023-01-25 16:30:00.5 UTC"),
    ("b", "inactive", "2023-01-25 18:00:00 UTC"),
)
HOURS = hours(("a", EVERY_DAY, "09:00", "17:00"))
ZONES = zones({"a": "UTC"})
AS_OF = "2023-01-25 18:00:00 UTC"


def pandas_frame(table: pl.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(table.to_dict(as_series=False))


def arrow_table(table: pl.DataFrame) -> Any:
    return pa.table(table)


def record_batches(table: pl.DataFrame) -> Any:
    return pa.RecordBatchReader.from_batches(pa.table(table).schema, pa.table(table).to_batches(max_chunksize=1))


def polars_frame(table: pl.DataFrame) -> pl.DataFrame:
    return table


class OnlyTheInterface:
    """A table of a library that nobody has heard of."""

    def __init__(self, table: pl.DataFrame) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


LIBRARIES = [pandas_frame, arrow_table, record_batches, polars_frame, OnlyTheInterface]


def observed_at(timestamps: Any) -> int:
    """Return the instant of the only observation in a table with these timestamps, in microseconds."""
    report = uphours.report(
        pa.table({"store_id": ["a"], "status": ["active"], "timestamp_utc": timestamps}), windows=["last_hour"]
    )
    return int(report["end_us"].item())


# --- tables in, tables out ---------------------------------------------------------------------------


@pytest.mark.parametrize("into", LIBRARIES)
def test_tables_of_every_library_give_the_same_numbers(into: Into) -> None:
    report = uphours.report(into(OBSERVATIONS), into(HOURS), into(ZONES), as_of=AS_OF)
    # Open 09:00 to 17:00; down from 16:30:00.5 on.
    down = HOUR_US // 2 - SECOND_US // 2
    assert up_down_unknown(report, "a", "last_day", 1) == (8 * HOUR_US - down, down, 0)
    assert up_down_unknown(report, "b", "last_day", 1) == (0, DAY_US, 0)


@pytest.mark.parametrize("into", LIBRARIES)
def test_every_function_takes_tables_of_every_library(into: Into) -> None:
    tables = into(OBSERVATIONS), into(HOURS), into(ZONES)
    assert uphours.validate(*tables).quarantine.height == 0
    tables = into(OBSERVATIONS), into(HOURS), into(ZONES)
    assert uphours.timeline(*tables, start="2023-01-25").height == 3
    tables = into(OBSERVATIONS), into(HOURS), into(ZONES)
    assert uphours.outages(*tables, start="2023-01-25").height == 2
    assert uphours.sessions(into(HOURS), into(ZONES), start="2023-01-25", end="2023-01-26").height == 1


@pytest.mark.parametrize("name", ["report", "timeline", "outages"])
def test_a_result_goes_straight_into_pandas_and_pyarrow(name: str) -> None:
    result = getattr(uphours, name)(OBSERVATIONS, HOURS, ZONES)
    frame = pd.DataFrame.from_arrow(result)  # type: ignore[attr-defined]  # new in pandas 3
    assert list(frame.columns) == result.columns
    assert len(frame) == len(result)
    assert pl.DataFrame(pa.table(result)).equals(result)


def test_a_result_keeps_its_ids_and_instants_in_pandas_and_pyarrow() -> None:
    sessions = uphours.sessions(HOURS, ZONES, start="2023-01-25", end="2023-01-26")
    frame = pd.DataFrame.from_arrow(sessions)  # type: ignore[attr-defined]
    assert frame["store_id"].tolist() == ["a"]
    assert frame["start"].tolist() == [pd.Timestamp("2023-01-25T09:00Z")]
    assert pa.table(sessions)["end"].to_pylist() == [datetime(2023, 1, 25, 17, tzinfo=UTC)]


def test_a_table_of_another_kind_is_refused_with_the_columns_that_are_needed() -> None:
    with pytest.raises(InputError, match=r"no column status; it has .*needs store_id, status, timestamp_utc"):
        uphours.report(uphours.sessions(HOURS, ZONES, start="2023-01-25", end="2023-01-26"))


def test_no_argument_is_changed() -> None:
    observations, business_hours, timezones = OBSERVATIONS.clone(), HOURS.clone(), ZONES.clone()
    frame = pandas_frame(OBSERVATIONS)
    uphours.report(observations, business_hours, timezones)
    uphours.report(frame)
    assert observations.equals(OBSERVATIONS)
    assert business_hours.equals(HOURS)
    assert timezones.equals(ZONES)
    assert frame.equals(pandas_frame(OBSERVATIONS))


# --- ids ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [pl.Int64, pl.UInt64])
def test_integer_ids_keep_every_digit(dtype: type[pl.DataType]) -> None:
    ids = pl.Series([8419537941919820731, 8419537941919820732, 12], dtype=dtype)
    observations = polls(*(("", "active", "2023-01-25 10:00 UTC") for _ in ids)).with_columns(store_id=ids)
    found = uphours.report(observations, windows=["last_hour"])["store_id"].to_list()
    assert found == ["12", "8419537941919820731", "8419537941919820732"]
    assert uphours.report(observations.to_pandas(), windows=["last_hour"])["store_id"].to_list() == found


def test_integer_ids_in_one_table_and_text_in_another_are_the_same_stores() -> None:
    observations = polls(("", "active", "2023-01-25 10:00 UTC")).with_columns(store_id=pl.lit(7))
    report = uphours.report(
        observations, hours(("7", EVERY_DAY, "09:00", "10:00")), zones({"7": "UTC"}), windows=["last_day"]
    )
    assert up_down_unknown(report, "7", "last_day", HOUR_US) == (1, 0, 0)


def test_leading_zeros_make_another_store() -> None:
    report = uphours.report(
        polls(("7", "active", "2023-01-25 10:00 UTC"), ("007", "inactive", "2023-01-25 10:00 UTC")),
        windows=["last_hour"],
    )
    assert report["store_id"].to_list() == ["007", "7"]
    assert report["uptime_us"].to_list() == [0, HOUR_US]


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Float32])
def test_ids_that_are_floats_and_have_lost_digits_are_bad_rows_in_every_table(dtype: type[pl.DataType]) -> None:
    def spoiled(table: pl.DataFrame) -> pl.DataFrame:
        return table.with_columns(store_id=pl.lit(8.41954e18, dtype=dtype))

    for tables in (
        (spoiled(OBSERVATIONS), None, None),
        (OBSERVATIONS, spoiled(HOURS), None),
        (OBSERVATIONS, None, spoiled(ZONES)),
    ):
        with pytest.raises(InputError, match=r"is a floating-point number from .* which has lost digits"):
            uphours.report(*tables)


def test_integers_that_pandas_made_floats_beside_a_missing_one_are_themselves_or_rejected() -> None:
    frame = pandas_frame(OBSERVATIONS)
    frame["store_id"] = [8419537941919820732, None, 12]
    validated = uphours.validate(frame)
    assert validated.fleet.store_ids == ["12"]
    assert "has lost digits" in validated.quarantine["reason"][0]
    assert validated.quarantine["reason"][1] == "missing store_id"


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["a", "b", "active", "inactive"])])
def test_categories_are_text(dtype: pl.DataType) -> None:
    observations = OBSERVATIONS.with_columns(pl.col("store_id", "status").cast(dtype))
    expected = uphours.report(OBSERVATIONS)
    assert uphours.report(observations).equals(expected)
    frame = pandas_frame(OBSERVATIONS).astype({"store_id": "category", "status": "category"})
    assert uphours.report(frame).equals(expected)


# --- timestamps --------------------------------------------------------------------------------------

NOON = instant_us("2023-01-25 12:00:00 UTC")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York", "+01:00"])
def test_datetimes_of_every_unit_and_zone_are_instants(unit: str, zone: str | None) -> None:
    noon = NOON // {"s": 1_000_000, "ms": 1000, "us": 1}.get(unit, 1) * (1000 if unit == "ns" else 1)
    assert observed_at(pa.array([noon], pa.timestamp(unit, zone))) == NOON


def test_naive_datetimes_are_utc() -> None:
    naive = datetime(2023, 1, 25, 12)  # noqa: DTZ001
    assert observed_at([naive]) == NOON
    assert observed_at(["2023-01-25 12:00:00"]) == NOON


def test_aware_datetimes_are_the_instants_that_they_are() -> None:
    frame = pandas_frame(OBSERVATIONS)
    expected = uphours.report(OBSERVATIONS)
    instants = pd.to_datetime(frame["timestamp_utc"].str.removesuffix(" UTC"), format="ISO8601", utc=True)
    for zone in ("UTC", "America/New_York", "Australia/Lord_Howe"):
        frame["timestamp_utc"] = instants.dt.tz_convert(zone)
        assert uphours.report(frame).equals(expected)
    frame["timestamp_utc"] = instants.dt.tz_convert(None).astype("datetime64[ns]")
    assert uphours.report(frame).equals(expected)


def test_nanoseconds_are_cut_off() -> None:
    assert observed_at(pa.array([NOON * 1000 + 999], pa.timestamp("ns", "UTC"))) == NOON


def test_a_date_is_no_instant_as_its_text_is_none() -> None:
    for day in (date(2023, 1, 25), "2023-01-25"):
        with pytest.raises(InputError, match="'2023-01-25' is a date alone and names no instant"):
            observed_at([day])


def test_missing_datetimes_are_bad_rows() -> None:
    observations = OBSERVATIONS.with_columns(
        timestamp_utc=pl.Series([datetime(2023, 1, 25, 12, tzinfo=UTC), None, datetime(1999, 12, 31, tzinfo=UTC)])
    )
    quarantine = uphours.validate(observations).quarantine
    assert quarantine["line"].to_list() == [2, 3]
    assert quarantine["reason"][0].startswith("missing timestamp_utc; valid are")
    assert quarantine["reason"][1].endswith("is before the year 2000")


def test_an_observation_at_the_end_of_the_calendar_is_a_bad_row() -> None:
    sentinel = polls(("a", "active", "2023-01-25 18:00 UTC"), ("a", "active", "9999-12-31 23:59:59 UTC"))
    validated = uphours.validate(sentinel, HOURS, ZONES)
    assert validated.quarantine["line"].to_list() == [2]
    report = uphours.report(validated, windows=["last_day", "today"])
    assert report["uptime_us"].to_list() == [8 * HOUR_US, 8 * HOUR_US]


# --- bad rows ----------------------------------------------------------------------------------------

BAD_OBSERVATIONS = polls(
    ("a", "activ", "2023-01-25 10:00:00 UTC"),
    ("a", "active", "2023-01-25 10:00:00 UTC"),
    ("", "active", "2023-01-25 10:00:00 UTC"),
    ("a", "active", "soon"),
    ("a", "active", "1999-12-31 23:59:59 UTC"),
)


def test_validate_sets_bad_rows_aside_with_table_line_row_and_reason() -> None:
    validated = uphours.validate(
        BAD_OBSERVATIONS, hours(("a", [0, 7], "09:00", "17:00"), ("a", [1], "9", "17:00")), zones({"a": "Mars"})
    )
    quarantine = validated.quarantine
    assert quarantine.schema == {
        "table": pl.String,
        "line": pl.Int64,
        "raw": pl.String,
        "reason": pl.String,
        "cause": pl.String,
    }
    assert quarantine.select("table", "line").rows() == [
        ("observations", 1), ("observations", 3), ("observations", 4), ("observations", 5),
        ("business_hours", 2), ("business_hours", 3), ("timezones", 1),
    ]  # fmt: skip
    reasons = quarantine["reason"].to_list()
    assert reasons[0] == f"unknown status 'activ'; {VALID_STATUSES}"
    assert reasons[1] == "missing store_id"
    assert reasons[2].startswith("unreadable timestamp_utc 'soon'; valid are")
    assert reasons[4] == "day is 7 where other rows have day 0; valid are 0 (Monday) to 6 (Sunday) or 1 to 7"
    assert reasons[5].startswith("start_time_local '9' may be hours or minutes; write")
    assert reasons[6].startswith("unknown zone 'Mars'; valid are")
    assert '"activ"' in quarantine["raw"][0]


def test_the_good_rows_stand_for_the_tables() -> None:
    validated = uphours.validate(BAD_OBSERVATIONS)
    good = polls(("a", "active", "2023-01-25 10:00:00 UTC"))
    assert uphours.report(validated).equals(uphours.report(good))
    assert uphours.timeline(validated).equals(uphours.timeline(good))
    assert uphours.outages(validated).equals(uphours.outages(good))


def test_bad_rows_stop_a_report_that_nobody_validated() -> None:
    message = r"^4 bad rows; the first is row 1 of observations, .*'activ'.*uphours\.validate"
    with pytest.raises(InputError, match=message):
        uphours.report(BAD_OBSERVATIONS)


def test_good_tables_have_an_empty_quarantine() -> None:
    assert uphours.validate(OBSERVATIONS, HOURS, ZONES).quarantine.height == 0
    assert uphours.validate().quarantine.height == 0


@pytest.mark.parametrize("column", ["store_id", "status", "timestamp_utc"])
def test_a_missing_column_is_named(column: str) -> None:
    with pytest.raises(InputError, match=f"has no column {column}; it has .* and needs store_id, status"):
        uphours.report(OBSERVATIONS.drop(column))


@pytest.mark.parametrize("name", ["day", "dayOfWeek", "day_of_week", "DAY"])
@pytest.mark.parametrize("dtype", [pl.String, pl.Int8, pl.Int64, pl.Float64])
def test_the_weekday_goes_by_several_names_and_types(name: str, dtype: type[pl.DataType]) -> None:
    business_hours = HOURS.with_columns(pl.col("day").cast(pl.Int64).cast(dtype)).rename({"day": name})
    assert uphours.report(OBSERVATIONS, business_hours, ZONES).equals(uphours.report(OBSERVATIONS, HOURS, ZONES))


# --- options -----------------------------------------------------------------------------------------


def test_chosen_stores_are_reported_alone_each_once_and_in_order() -> None:
    report = uphours.report(OBSERVATIONS, stores=["b", "a", "b"], as_of=AS_OF, windows=["last_hour"])
    assert report["store_id"].to_list() == ["a", "b"]
    alone = uphours.report(OBSERVATIONS, HOURS, ZONES, stores=["b"], as_of=AS_OF)
    assert alone.equals(uphours.report(OBSERVATIONS, HOURS, ZONES, as_of=AS_OF).filter(store_id="b"))
    assert uphours.report(OBSERVATIONS, stores=[], as_of=AS_OF).height == 0


def test_a_store_that_no_table_knows_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="there is no store 'c'; it is in none of the tables") as caught:
        uphours.report(OBSERVATIONS, stores=["a", "c"])
    assert (caught.value.kind, caught.value.name) == ("store", "c")


@pytest.mark.parametrize("as_of", [AS_OF, instant_us(AS_OF), datetime(2023, 1, 25, 18, tzinfo=UTC)])
def test_as_of_is_text_or_microseconds_or_an_aware_datetime(as_of: Any) -> None:
    report = uphours.report(OBSERVATIONS, as_of=as_of)
    assert report["end_us"].unique().to_list() == [instant_us(AS_OF)]


def test_windows_of_every_kind_stand_in_the_order_of_the_question() -> None:
    own = Window("own", "2023-01-25T09:00Z", "2023-01-25T10:00Z")
    report = uphours.report(OBSERVATIONS, HOURS, ZONES, windows=[own, "yesterday", "last_hour"], stores=["a"])
    assert report["window"].to_list() == ["own", "yesterday", "last_hour"]
    assert row(report, "a", "own")["uptime_us"] == HOUR_US


def test_a_timeline_is_of_the_last_week_unless_a_start_is_given() -> None:
    spans = uphours.timeline(OBSERVATIONS, as_of=AS_OF)
    assert spans["start"].min() == datetime(2023, 1, 18, 18, tzinfo=UTC)
    assert spans.select("start", "end", "status", "confirmed").rows()[0] == (
        datetime(2023, 1, 18, 18, tzinfo=UTC),
        datetime(2023, 1, 25, 16, 30, 0, 500_000, tzinfo=UTC),
        "up",
        False,
    )
    later = uphours.timeline(OBSERVATIONS, as_of=AS_OF, start="2023-01-25T17:00Z")
    assert later.select("store_id", "start", "status").rows() == [
        ("a", datetime(2023, 1, 25, 17, tzinfo=UTC), "down"),
        ("b", datetime(2023, 1, 25, 17, tzinfo=UTC), "down"),
    ]


def test_outages_are_listed_with_their_ends_and_their_open_time() -> None:
    # Open from 09:00 to 17:00.
    observations = polls(
        ("a", "active", "2023-01-24 09:00 UTC"),
        ("a", "inactive", "2023-01-24 16:30 UTC"),
        ("a", "active", "2023-01-25 10:00 UTC"),
    )
    # What was seen at 10:00 was seen in the opening of that day, and speaks for its first hour too.
    found = uphours.outages(observations, HOURS, ZONES, as_of=AS_OF)
    began, closed = datetime(2023, 1, 24, 16, 30, tzinfo=UTC), datetime(2023, 1, 24, 17, tzinfo=UTC)
    assert found.rows() == [("a", began, closed, HOUR_US // 2)]
    # Without that rule the outage goes on over the night, which is closed and not counted.
    policy = uphours.Policy(prefer_in_session=False)
    found = uphours.outages(observations, HOURS, ZONES, as_of=AS_OF, policy=policy)
    assert found.rows() == [("a", began, datetime(2023, 1, 25, 10, tzinfo=UTC), 3 * HOUR_US // 2)]
    cut = uphours.outages(observations, HOURS, ZONES, start="2023-01-24T16:45Z", as_of="2023-01-24T17:00Z")
    assert cut.select("start", "downtime_us").rows() == [(datetime(2023, 1, 24, 16, 45, tzinfo=UTC), HOUR_US // 4)]


@pytest.mark.parametrize("name", ["timeline", "outages"])
def test_an_interval_without_length_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"is not after start 2023-01-25 18:00:00 UTC$"):
        getattr(uphours, name)(OBSERVATIONS, start=AS_OF, as_of=AS_OF)


def test_sessions_are_clipped_to_what_was_asked_for() -> None:
    found = uphours.sessions(
        hours(("a", EVERY_DAY, "09:00", "17:00"), ("b", EVERY_DAY, "00:00", "00:00")),
        zones({"a": "UTC", "b": "UTC", "c": "UTC"}),
        start="2023-01-25T10:00Z",
        end="2023-01-25T12:00Z",
    )
    bounds = datetime(2023, 1, 25, 10, tzinfo=UTC), datetime(2023, 1, 25, 12, tzinfo=UTC)
    assert found.rows() == [(store, *bounds) for store in "abc"]
    with pytest.raises(InputError, match="is not after start"):
        uphours.sessions(HOURS, start="2023-01-25", end="2023-01-25")


def test_sessions_on_a_day_when_nobody_is_open_are_none() -> None:
    found = uphours.sessions(hours(("a", [0], "09:00", "17:00")), start="2023-01-25", end="2023-01-26")
    assert found.height == 0
    assert found.columns == ["store_id", "start", "end"]


def test_groups_are_sums_and_the_fleet_has_no_values() -> None:
    attributes = pl.DataFrame({"store_id": ["a"], "region": ["TX"]})
    tables = uphours.validate(OBSERVATIONS, HOURS, ZONES, attributes=attributes)
    window = Window("day", "2023-01-25T00:00Z", "2023-01-26T00:00Z")
    table = uphours.groups(tables, by=["region"], as_of=AS_OF, windows=[window])
    assert table.columns[:4] == ["region", "window", "stores", "uptime_us"]
    assert table.select("region", "stores").rows() == [("(none)", 1), ("TX", 1), (None, 2)]
    stores = uphours.report(tables, as_of=AS_OF, windows=[window])
    assert table["uptime_us"].to_list()[1:] == [stores["uptime_us"][0], stores["uptime_us"].sum()]
    assert table.columns[3:] == stores.columns[5:]
    with pytest.raises(InputError, match="there is no attribute 'brand'; valid are 'region'"):
        uphours.groups(tables, by=["brand"])
    wrong: list[Any] = ["region", [], [1]]
    for by in wrong:
        with pytest.raises(InputError, match="by "):
            uphours.groups(tables, by=by)
