"""What is exported gives the report of the store, on every engine, and is there whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import duckdb
import polars as pl
import pytest
from backports import zstd

from tests.fixtures import tables
from tests.fixtures.databases import url_in
from tests.fixtures.loads_by_hand import EVERY, by_hand
from tests.fixtures.streams import Names, content_of, streamed
from tests.fixtures.tables import NOW
from uphours.database import properties
from uphours.database.database import Database, connect
from uphours.database.prune import prune
from uphours.errors import InputError
from uphours.ingest.inputs import Kind
from uphours.ingest.load import load_files, read_files
from uphours.ingest.memory_fleet import memory_fleet
from uphours.ingest.readers.parquet_footer import PRUNED_BEFORE, footer
from uphours.kernel.windows import Window
from uphours.reports import export as exporting
from uphours.reports.measure import run_report
from uphours.reports.request import ReportRequest
from uphours.reports.writers import written
from uphours.schema import CLOSED, DAY_US, HOUR_US, Fleet, instant_text

STORES = 450


@pytest.fixture
def filled(tmp_path: Path) -> Database:
    """A store of more stores than are read at once, some of which have no polls, no hours or nothing but a zone."""
    database = connect(url_in(tmp_path))
    status = ("inactive", "active", "unknown", "active")
    polls = (f"s{n * 7 % STORES},{status[n % 4]},{instant_text(NOW - n * HOUR_US // 9)}" for n in range(3_000))
    ends = ("02:00", "24:00", "23:59:59")
    hours = (f"s{n},{day},{n % 24:02}:30:00.25,{ends[n % 3]}" for n in range(0, STORES, 4) for day in range(0, 7, 2))
    zones = (f"s{n},{'Asia/Kolkata' if n % 4 else 'America/Chicago'}" for n in range(0, STORES + 9, 2))
    tables.load(
        database, tmp_path, polls=tables.table("polls", *polls), hours=tables.table("hours", *hours),
        timezones=tables.table("timezones", *zones),
    )  # fmt: skip
    return database


def names_in(folder: Path) -> Names:
    return {
        "polls": [f"{folder}/polls/date=*/*.parquet"],
        "hours": [f"{folder}/business_hours.parquet"],
        "timezones": [f"{folder}/timezones.parquet"],
    }


@pytest.mark.parametrize("rows", [100, 1_000_000])
def test_an_export_gives_the_report_of_the_store(filled: Database, tmp_path: Path, rows: int) -> None:
    made = exporting.export(filled, str(tmp_path / "out"), now=NOW, rows_at_once=rows)
    assert made.stores == STORES + 5
    assert made.observations == 3_000
    assert made.files == len([*(tmp_path / "out").rglob("*.parquet")])
    options = ReportRequest(windows=("last_day", "last_week", "this_month"), all_stores=True)
    with filled.snapshot() as fleet:
        wanted = content_of(run_report(fleet, chosen=options.windows, all_stores=True))
    for room in (50, 10_000):
        assert streamed(names_in(tmp_path / "out"), options, folder=tmp_path, rows=room).content == wanted


def test_observations_lie_in_the_folder_of_their_date_with_types(filled: Database, tmp_path: Path) -> None:
    exporting.export(filled, str(tmp_path / "out"), now=NOW)
    schema = {"store_id": pl.String, "timestamp_utc": pl.Datetime("us", "UTC"), "status": pl.String}
    for path in (tmp_path / "out" / "polls").glob("date=*/*.parquet"):
        table = pl.read_parquet(path, hive_partitioning=False)
        assert dict(table.schema) == schema
        assert {f"date={date}" for date in table["timestamp_utc"].dt.date().cast(pl.String)} == {path.parent.name}
        assert set(table["status"]) <= {"active", "inactive", "unknown"}
    hours = pl.read_parquet(tmp_path / "out" / "business_hours.parquet")
    assert hours.columns == ["store_id", "day", "start_time_local", "end_time_local", "valid_from"]
    row = ("s12", 2, "12:30:00.25", "02:00", None)
    assert hours.filter(pl.col("store_id") == "s12", pl.col("day") == 2).rows() == [row]
    assert set(hours["end_time_local"]) == {"02:00", "24:00", "23:59:59"}


def test_an_export_goes_into_a_folder_that_is_new_or_empty(filled: Database, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    exporting.export(filled, str(tmp_path / "empty"), now=NOW)
    before = sorted((tmp_path / "empty").rglob("*"))
    for taken in (tmp_path / "empty", tmp_path / "polls.csv"):
        with pytest.raises(InputError, match=r"there is something at .* already; name a folder that is new or empty"):
            exporting.export(filled, str(taken), now=NOW)
    assert sorted((tmp_path / "empty").rglob("*")) == before
    with pytest.raises(InputError, match=r"cannot write .*nowhere"):
        exporting.export(filled, str(tmp_path / "nowhere" / "out"), now=NOW)


def test_an_export_that_fails_leaves_nothing(filled: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _content: bytes) -> None:
        raise OSError(28, "No space left on device")

    before = sorted(path for path in tmp_path.iterdir() if "uphours.db" not in path.name)
    monkeypatch.setattr(exporting, "_write_file", full)
    with pytest.raises(InputError, match=r"cannot write .*out: No space left on device"):
        exporting.export(filled, str(tmp_path / "out"), now=NOW)
    assert sorted(path for path in tmp_path.iterdir() if "uphours.db" not in path.name) == before


def test_an_empty_store_is_exported_too(tmp_path: Path) -> None:
    database = connect(url_in(tmp_path))
    database.migrate()
    assert exporting.export(database, str(tmp_path / "out"), now=NOW).observations == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["business_hours.parquet", "timezones.parquet"]


# --- what the store knows of its limits travels along ------------------------------------------------------

LIMIT = NOW - 3 * DAY_US + 123_457


@pytest.fixture
def exported(filled: Database, tmp_path: Path) -> Path:
    prune(filled, LIMIT, now=NOW, actor="me")
    exporting.export(filled, str(tmp_path / "out"), now=NOW)
    return tmp_path / "out"


def refusal(database: Database, windows: tuple[str, ...] = ("last_week",)) -> str:
    with database.snapshot() as fleet, pytest.raises(InputError, match="were pruned") as error:
        run_report(fleet, chosen=windows)
    return str(error.value)


@pytest.mark.parametrize("left_out", ["nothing", "hours and zones"])
@pytest.mark.parametrize("room", [50, 10_000])
def test_files_of_a_pruned_store_refuse_the_windows_that_it_refuses(
    filled: Database, exported: Path, tmp_path: Path, left_out: str, room: int
) -> None:
    names = names_in(exported)
    if left_out == "nothing":
        expected = refusal(filled)
    else:
        names = {"polls": names["polls"]}
        expected = f"observations before {instant_text(LIMIT)} were pruned"
    with pytest.raises(InputError) as error:
        streamed(names, ReportRequest(), folder=tmp_path, rows=room)
    assert str(error.value).startswith(expected)
    later = ReportRequest(windows=("last_day", "yesterday"), all_stores=True)
    with filled.snapshot() as fleet:
        wanted = content_of(run_report(fleet, chosen=later.windows, all_stores=True))
    if left_out == "nothing":
        assert streamed(names, later, folder=tmp_path, rows=room).content == wanted


def test_a_store_that_the_files_are_loaded_into_refuses_them_too(
    filled: Database, exported: Path, tmp_path: Path
) -> None:
    loaded = connect(url_in(tmp_path, "loaded.db"))
    names = {kind: sorted(map(str, exported.glob(Path(files[0]).relative_to(exported).as_posix())))
             for kind, files in names_in(exported).items()}  # fmt: skip
    load_files(loaded, names, now=NOW)
    assert refusal(loaded) == refusal(filled)
    exporting.export(loaded, str(tmp_path / "again"), now=NOW)
    with pytest.raises(InputError, match="were pruned"):
        streamed(names_in(tmp_path / "again"), ReportRequest(), folder=tmp_path, rows=10_000)
    # An older limit that comes in later does not widen what can be answered.
    with loaded.writing() as connection:
        properties.put(connection, "pruned_before", str(LIMIT + DAY_US))
    load_files(loaded, {"hours": names["hours"]}, now=NOW)
    assert loaded.content().pruned_before == str(LIMIT + DAY_US)


def test_one_file_that_is_loaded_alone_brings_the_limit(exported: Path, tmp_path: Path) -> None:
    for place, name in enumerate(("business_hours.parquet", "polls")):
        loaded = connect(url_in(tmp_path, f"alone{place}.db"))
        path = exported / name
        kind: Kind = "polls" if path.is_dir() else "hours"
        file = min(path.rglob("*.parquet")) if path.is_dir() else path
        content = zstd.compress(file.read_bytes())  # also where its end cannot be read first
        (tmp_path / "one.parquet.zst").write_bytes(content)
        load_files(loaded, {kind: [str(tmp_path / "one.parquet.zst")]}, now=NOW)
        assert loaded.content().pruned_before == str(LIMIT)


def test_files_of_a_store_that_was_never_pruned_have_no_limit(filled: Database, tmp_path: Path) -> None:
    exporting.export(filled, str(tmp_path / "whole"), now=NOW)
    for path in (tmp_path / "whole").rglob("*.parquet"):
        assert footer(path.read_bytes()).facts.keys().isdisjoint({PRUNED_BEFORE})


def test_a_limit_that_is_no_instant_is_a_mistake_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "odd.parquet"
    pl.DataFrame({"store_id": ["1"], "status": ["active"], "timestamp_utc": ["2023-01-25 10:00:00 UTC"]}).write_parquet(
        path, metadata={PRUNED_BEFORE: "soon"}
    )
    with pytest.raises(InputError, match=r"odd\.parquet.*cannot read the instant 'soon'"):
        read_files({"polls": [str(path)]}, now=NOW)
    with pytest.raises(InputError, match=r"odd\.parquet.*cannot read the instant 'soon'"):
        streamed({"polls": [str(path)]}, ReportRequest(), folder=tmp_path, rows=50)


def test_the_folder_is_a_table_in_the_lines_that_the_guide_shows(
    filled: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporting.export(filled, str(tmp_path / "fleet-export"), now=NOW)
    monkeypatch.chdir(tmp_path)
    guide = (Path(__file__).parents[2] / "docs/how-to/report-on-more-than-memory.md").read_text(encoding="utf-8")
    lines = re.findall(r"^(\w+) = (.*fleet-export.*)$", guide, flags=re.MULTILINE)
    assert [name for name, _ in lines] == ["in_duckdb", "in_polars", "in_spark"]
    for _, line in lines[:2]:
        table = pl.DataFrame(eval(line, {"duckdb": duckdb, "pl": pl}))
        assert table.height == 3_000
        assert set(table.columns) == {"store_id", "timestamp_utc", "status", "date"}
        assert (table["date"].cast(pl.Date) == table["timestamp_utc"].dt.convert_time_zone("UTC").dt.date()).all()
    assert lines[2][1] == 'spark.read.parquet("fleet-export/polls")'


def test_an_export_goes_where_a_link_leads(filled: Database, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    exporting.export(filled, str(tmp_path / "link"), now=NOW)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "polls").is_dir()


# --- the calendar, attributes and the ledger ----------------------------------------------------------------


def test_what_is_exported_of_calendar_and_ledger_gives_the_same_when_it_is_loaded(tmp_path: Path) -> None:
    polls = [
        (store, f"2023-01-{date} {hour:02}:10", hour % 3 > 0)
        for store in "1234"
        for date in (24, 25)
        for hour in range(24)
    ]
    closure = {"start": "2023-01-25 10:00", "end": "2023-01-25 11:30:00.25", "note": "a, \"b\"\n'c'", "entry": "a"}
    made = connect(url_in(tmp_path))
    made.write(
        by_hand(
            polls=[(store, at, int(status)) for store, at, status in polls],
            hours=[
                ("1", "", 1, 9 * HOUR_US, 17 * HOUR_US), ("1", "2023-01-25", 2, 7 * HOUR_US, 2 * HOUR_US),
                ("2", "2023-01-25", 2, 7 * HOUR_US, 26 * HOUR_US), ("2", "2023-01-25", 3, *CLOSED),
            ],
            zones={("1", ""): "UTC", ("1", "2023-01-25"): "Asia/Tokyo", ("3", "2023-01-25"): "Europe/Berlin"},
            special=[(EVERY, "2023-01-24", *CLOSED), ("3", "2023-01-24", 8 * HOUR_US, 20 * HOUR_US)],
            special_names={(EVERY, "2023-01-24"): "=day off", ("3", "2023-01-24"): "Käse"},
            attributes={
                ("1", "region", ""): "TX", ("1", "region", "2023-01-25"): "OK", ("2", "last_day", ""): "2023-01-25",
                ("3", "brand", "2023-01-25"): "B", ("3", "first_day", ""): "2023-01-24",
            },
            adjustments=[
                closure, closure | {"store": "2"}, {"counts_as": "up", "store": "3"},
                {"counts_as": "withdrawal", "withdraws": "a", "entry": "b"},
                {"counts_as": "withdrawal", "withdraws": "b"}, {"counts_as": "down", "reason": "store's own fault"},
            ],
            unusable=["4"],
        )
    )  # fmt: skip
    out = tmp_path / "out"
    files = exporting.export(made, str(out), now=NOW).files
    assert files == len([*out.rglob("*.parquet")])
    names: dict[Kind, Sequence[str]] = {
        **names_in(out),
        "special": [f"{out}/special_hours.parquet"],
        "stores": [f"{out}/stores.parquet"],
        "adjustments": [f"{out}/adjustments.parquet"],
    }
    again = connect(url_in(tmp_path, "again.db"))
    load_files(again, names, now=NOW)

    def kept(database: Database) -> dict[str, list[tuple[object, ...]]]:
        queries = {
            "hours": "SELECT store_id, valid_from, day, start_local_us, end_local_us FROM business_hours AS t",
            "special": "SELECT coalesce(store_id, '*'), t.date, start_local_us, t.name FROM special_hours AS t",
            "attributes": "SELECT store_id, t.name, valid_from, t.value FROM attributes AS t",
            "adjusted": "SELECT store_id, entry, start_at, end_at FROM adjusted AS t",
        }
        with database.reading() as connection:
            found = {
                name: sorted(
                    map(tuple, connection.exec_driver_sql(f"{query} LEFT JOIN stores AS s ON s.store = t.store"))
                )
                for name, query in queries.items()
            }
        # A row of a date names all attributes; that there is still none of one changes nothing.
        in_force: dict[object, object] = {}
        rows, found["attributes"] = found["attributes"], []
        for row in rows:
            if in_force.get(row[:2], "") != row[3]:
                found["attributes"].append(row)
            in_force[row[:2]] = row[3]
        with database.snapshot() as fleet:
            return {**found, "entries": [*fleet.entries()]}

    expected = kept(made)
    assert len(expected["entries"]) == 5
    # Of a store whose hours are unknown, a zone that is unknown says so.
    assert kept(again) == expected
    window = Window("days", "2023-01-24T00:00:00Z", "2023-01-26T00:00:00Z")

    def report(fleet: Fleet) -> bytes:
        return written(run_report(fleet, chosen=[window], all_stores=True), "csv", detail=True)

    with made.snapshot() as one, again.snapshot() as other:
        wanted = report(one)
        assert report(other) == wanted
    assert report(memory_fleet(read_files(names, now=NOW))) == wanted
    assert load_files(again, names, now=NOW).summary.restated == 0  # type: ignore[union-attr]
    assert again.content().entry == 5
