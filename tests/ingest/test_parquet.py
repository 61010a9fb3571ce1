"""Parquet: 64-bit ids and datetimes come as they are; what has lost digits already is refused."""

from __future__ import annotations

import gzip
import io
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.fixtures.tables import NOW, hours_of, lines_of, only_reason, polls_of, read, write, zones_of
from uphours.errors import InputError
from uphours.ingest.load import read_files, read_tables

INSTANT = datetime(2023, 1, 24, 10, 0, 0, 250_000)  # noqa: DTZ001 # naive on purpose: such columns occur
TEXT = "2023-01-24 10:00:00.250000 UTC"


def parquet(**columns: Any) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(columns).write_parquet(file)
    return file.getvalue()


def polls(**changes: Any) -> bytes:
    return parquet(**({"store_id": ["1"], "status": ["active"], "timestamp_utc": [INSTANT]} | changes))


@pytest.mark.parametrize(
    "ids",
    [
        pl.Series([8419537941919820732]),
        pl.Series([8419537941919820732], dtype=pl.UInt64),
        pl.Series([8419537941919820732]).cast(pl.Decimal(20, 0)),
        pl.Series(["8419537941919820732"]),
        pl.Series(["8419537941919820732"], dtype=pl.Categorical),
        pl.Series([b"8419537941919820732"]),
    ],
)
def test_ids_keep_every_digit_whatever_their_type(tmp_path: Path, ids: pl.Series) -> None:
    assert polls_of(read(tmp_path, "polls", polls(store_id=ids))) == [("8419537941919820732", "active", TEXT)]


@pytest.mark.parametrize(
    ("dtype", "inexact"), [(pl.Float64, 2.0**53), (pl.Float64, 8.419537941919821e18), (pl.Float32, 2.0**24)]
)
def test_floating_point_ids_that_have_lost_digits_are_rejected(tmp_path: Path, dtype: Any, inexact: float) -> None:
    loaded = read(tmp_path, "polls", rows_of(store_id=pl.Series([inexact, 1001, -5, None, 7.5], dtype=dtype)))
    assert [row[0] for row in polls_of(loaded)] == ["-5", "1001"]
    lost, missing, half = (row.reason for row in sorted(loaded.quarantine, key=lambda row: row.line))
    assert "which has lost digits; keep ids as text or as integers" in lost
    assert missing == "missing store_id"
    assert half == "store_id is 7.5; valid are text and whole numbers"


def rows_of(**columns: pl.Series) -> bytes:
    """Return polls with as many rows as the columns given have."""
    height = max(map(len, columns.values()))
    return polls(
        **({"store_id": ["1"] * height, "status": ["active"] * height, "timestamp_utc": [INSTANT] * height} | columns)
    )


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Kolkata", "America/New_York"])
def test_datetimes_of_every_unit_and_zone_are_the_instant_they_are(tmp_path: Path, unit: Any, zone: str | None) -> None:
    times = pl.Series([INSTANT]).dt.cast_time_unit(unit).dt.replace_time_zone("UTC")
    times = times.dt.replace_time_zone(None) if zone is None else times.dt.convert_time_zone(zone)
    assert polls_of(read(tmp_path, "polls", polls(timestamp_utc=times))) == [("1", "active", TEXT)]


def test_a_date_is_no_instant_and_text_is_read_as_text(tmp_path: Path) -> None:
    dates = read(tmp_path, "polls", polls(timestamp_utc=[date(2023, 1, 24)]))
    assert "'2023-01-24' is a date alone and names no instant" in only_reason(dates)
    texts = read(tmp_path, "polls", polls(timestamp_utc=["2023-01-24T15:30:00.25+05:30"]))
    assert polls_of(texts) == [("1", "active", TEXT)]


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([time(10, 0)]),
        pl.Series([timedelta(hours=10)]),
        pl.Series([1_674_554]),
        pl.Series([True]),
        pl.Series([None]),
        pl.Series([2**62]).cast(pl.Datetime("ms")),
        pl.Series([-(2**62)]).cast(pl.Datetime("us")),
    ],
    ids=["time", "duration", "number", "bool", "null", "endless", "beginning"],
)
def test_a_column_of_times_that_are_no_instants_never_ends_in_a_crash(tmp_path: Path, values: pl.Series) -> None:
    content = polls(timestamp_utc=values)
    try:
        loaded = read(tmp_path, "polls", content)
    except InputError as error:
        assert "timestamp_utc" in str(error)  # noqa: PT017 # either answer is good, a crash is not
    else:
        assert len(loaded.quarantine) == 1


def test_time_columns_are_local_times(tmp_path: Path) -> None:
    loaded = read(
        tmp_path,
        "hours",
        parquet(
            store_id=[1, 1],
            day=[0, 6],
            start_time_local=[time(9, 30), time(18)],
            end_time_local=[time(23, 59, 59, 999_000), time(2)],
        ),
    )
    assert hours_of(loaded) == [("1", 0, 570, 1439), ("1", 6, 1080, 120)]


def test_days_may_be_floats_where_a_value_is_missing(tmp_path: Path) -> None:
    days = pl.Series([5.0, None, float("nan")], strict=False)
    content = parquet(store_id=[1, 2, 3], day=days, start_time_local=["9:00"] * 3, end_time_local=["17:00"] * 3)
    loaded = read(tmp_path, "hours", content)
    assert hours_of(loaded) == [("1", 5, 540, 1020)]
    assert [line for line, _ in lines_of(loaded)] == [2, 3]


def test_half_a_day_is_no_day(tmp_path: Path) -> None:
    content = parquet(store_id=[1], day=[1.5], start_time_local=["9:00"], end_time_local=["17:00"])
    loaded = read(tmp_path, "hours", content)
    assert "1.5" in only_reason(loaded)


def test_zones_are_read_and_other_columns_ignored(tmp_path: Path) -> None:
    content = parquet(x=[[1]], TIMEZONE_STR=["Asia/Kolkata"], store_id=[7])
    assert zones_of(read(tmp_path, "timezones", content)) == {"7": "Asia/Kolkata"}


def test_a_bad_row_is_kept_whole_with_its_number(tmp_path: Path) -> None:
    content = polls(store_id=["1", "2"], status=["active", "open"], timestamp_utc=[INSTANT, INSTANT], more=[1, 2])
    loaded = read(tmp_path, "polls", content)
    (row,) = loaded.quarantine
    assert row.line == 2
    for part in (b'"2"', b'"open"', b"2023-01-24", b'"more": 2'):
        assert part in row.raw


def test_a_table_without_rows_is_no_mistake(tmp_path: Path) -> None:
    times = pl.Series([], dtype=pl.Datetime("us"))
    assert not read(tmp_path, "polls", polls(store_id=[], status=[], timestamp_utc=times)).store_ids


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column status; it has 'store_id', 'timestamp_utc'"):
        read(tmp_path, "polls", parquet(store_id=[1], timestamp_utc=[INSTANT]))


def test_columns_of_no_use_as_text_are_refused_or_set_aside(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rows"):
        read(tmp_path, "polls", polls(store_id=[[1]]))
    assert only_reason(read(tmp_path, "polls", polls(store_id=[b"\xff"]))) == "store_id is not UTF-8 text"


@pytest.mark.parametrize("damage", ["cut", "magic alone", "footer"])
def test_a_damaged_file_is_a_mistake_and_no_crash(tmp_path: Path, damage: str) -> None:
    content = polls(store_id=[str(store) for store in range(1000)], status=["active"] * 1000,
                    timestamp_utc=[INSTANT] * 1000)  # fmt: skip
    broken = {
        "cut": content[: len(content) // 2],
        "magic alone": b"PAR1",
        "footer": content[:-30] + b"\xff" * 20 + content[-10:],
    }[damage]
    with pytest.raises(InputError, match="rows"):
        read(tmp_path, "polls", broken)


def test_a_compressed_table_is_read(tmp_path: Path) -> None:
    loaded = read(tmp_path, "polls", gzip.compress(polls()), name="polls.parquet.gz")
    assert polls_of(loaded) == [("1", "active", TEXT)]


@pytest.mark.parametrize("name", ["polls[1].parquet", "polls*.parquet", "polls?.parquet", "what is this.csv"])
def test_the_name_of_a_file_is_no_pattern_once_the_file_is_there(tmp_path: Path, name: str) -> None:
    write(tmp_path / "polls1.parquet", polls(store_id=["another"]))
    assert read(tmp_path, "polls", polls(), name=name).store_ids == ["1"]


def test_many_rows_are_read_in_parts_with_the_right_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uphours.ingest.readers.parquet._ROWS_AT_ONCE", 7)
    ids = [str(store) for store in range(50)]
    statuses = ["bad" if store % 10 == 3 else "active" for store in range(50)]
    loaded = read(tmp_path, "polls", polls(store_id=ids, status=statuses, timestamp_utc=[INSTANT] * 50))
    assert [row.line for row in loaded.quarantine] == [4, 14, 24, 34, 44]
    assert len(polls_of(loaded)) == 45


def test_a_table_in_memory_says_the_same_as_its_file(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {
            "store_id": [1, 2],
            "status": ["active", "inactive"],
            "timestamp_utc": [datetime(2023, 1, 24, tzinfo=UTC), datetime(2023, 1, 25, tzinfo=UTC)],
        }
    )
    table.write_parquet(tmp_path / "polls.parquet")
    from_file = read_files({"polls": [str(tmp_path / "polls.parquet")]}, now=NOW)
    assert polls_of(read_tables({"polls": table})) == polls_of(from_file)


def test_an_offset_is_kept_when_datetimes_come_with_one(tmp_path: Path) -> None:
    east = datetime(2023, 1, 24, 15, 30, 0, 250_000, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert polls_of(read(tmp_path, "polls", polls(timestamp_utc=[east]))) == [("1", "active", TEXT)]
