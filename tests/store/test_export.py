"""What is exported gives the report of the store, on every engine, and is there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from storepulse import export as exporting
from storepulse.errors import InputError
from storepulse.reports import ReportOptions, run_report
from storepulse.schema import HOUR_US, instant_text
from storepulse.store import Store, connect
from tests.fixtures import tables
from tests.fixtures.databases import url_in
from tests.fixtures.streams import Names, content_of, streamed
from tests.fixtures.tables import NOW, VERSION

STORES = 450


@pytest.fixture
def filled(tmp_path: Path) -> Store:
    """A store of more stores than are read at once, some of which have no polls, no hours or nothing but a zone."""
    store = connect(url_in(tmp_path))
    status = ("inactive", "active", "active", "active")
    polls = (f"s{n * 7 % STORES},{status[n % 4]},{instant_text(NOW - n * HOUR_US // 9)}" for n in range(3_000))
    ends = ("02:00", "24:00", "23:59:59")
    hours = (f"s{n},{day},{n % 24:02}:30:00.25,{ends[n % 3]}" for n in range(0, STORES, 4) for day in range(0, 7, 2))
    zones = (f"s{n},{'Asia/Kolkata' if n % 4 else 'America/Chicago'}" for n in range(0, STORES + 9, 2))
    tables.load(
        store, tmp_path, polls=tables.table("polls", *polls), hours=tables.table("hours", *hours),
        timezones=tables.table("timezones", *zones),
    )  # fmt: skip
    return store


def names_in(folder: Path) -> Names:
    return {
        "polls": [f"{folder}/date=*/*.parquet"],
        "hours": [f"{folder}/business_hours.parquet"],
        "timezones": [f"{folder}/timezones.parquet"],
    }


@pytest.mark.parametrize("rows", [100, 1_000_000])
def test_an_export_gives_the_report_of_the_store(filled: Store, tmp_path: Path, rows: int) -> None:
    made = exporting.export(filled, str(tmp_path / "out"), now=NOW, rows_at_once=rows)
    assert made.stores == STORES + 5
    assert made.observations == 3_000
    assert made.files == len([*(tmp_path / "out").rglob("*.parquet")])
    options = ReportOptions(windows=("last_day", "last_week", "this_month"), all_stores=True)
    with filled.snapshot() as fleet:
        wanted = content_of(run_report(fleet, chosen=options.windows, all_stores=True, version=VERSION))
    for room in (50, 10_000):
        assert streamed(names_in(tmp_path / "out"), options, folder=tmp_path, rows=room).content == wanted


def test_observations_lie_in_the_folder_of_their_date_with_types(filled: Store, tmp_path: Path) -> None:
    exporting.export(filled, str(tmp_path / "out"), now=NOW)
    schema = {"store_id": pl.String, "timestamp_utc": pl.Datetime("us", "UTC"), "status": pl.String}
    for path in (tmp_path / "out").glob("date=*/*.parquet"):
        table = pl.read_parquet(path, hive_partitioning=False)
        assert dict(table.schema) == schema
        assert {f"date={date}" for date in table["timestamp_utc"].dt.date().cast(pl.String)} == {path.parent.name}
        assert set(table["status"]) <= {"active", "inactive"}
    hours = pl.read_parquet(tmp_path / "out" / "business_hours.parquet")
    assert hours.columns == ["store_id", "day", "start_time_local", "end_time_local"]
    assert hours.filter(pl.col("store_id") == "s12", pl.col("day") == 2).rows() == [("s12", 2, "12:30:00.25", "02:00")]
    assert set(hours["end_time_local"]) == {"02:00", "24:00", "23:59:59"}


def test_an_export_goes_into_a_folder_that_is_new_or_empty(filled: Store, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    exporting.export(filled, str(tmp_path / "empty"), now=NOW)
    before = sorted((tmp_path / "empty").rglob("*"))
    for taken in (tmp_path / "empty", tmp_path / "polls.csv"):
        with pytest.raises(InputError, match=r"there is something at .* already; name a folder that is new or empty"):
            exporting.export(filled, str(taken), now=NOW)
    assert sorted((tmp_path / "empty").rglob("*")) == before
    with pytest.raises(InputError, match=r"cannot write .*nowhere"):
        exporting.export(filled, str(tmp_path / "nowhere" / "out"), now=NOW)


def test_an_export_that_fails_leaves_nothing(filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _content: bytes) -> None:
        raise OSError(28, "No space left on device")

    before = sorted(path for path in tmp_path.iterdir() if "storepulse.db" not in path.name)
    monkeypatch.setattr(exporting, "_write_file", full)
    with pytest.raises(InputError, match=r"cannot write .*out: No space left on device"):
        exporting.export(filled, str(tmp_path / "out"), now=NOW)
    assert sorted(path for path in tmp_path.iterdir() if "storepulse.db" not in path.name) == before


def test_an_empty_store_is_exported_too(tmp_path: Path) -> None:
    store = connect(url_in(tmp_path))
    store.migrate()
    assert exporting.export(store, str(tmp_path / "out"), now=NOW).observations == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["business_hours.parquet", "timezones.parquet"]
