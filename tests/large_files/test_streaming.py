"""Reports straight from files, however large: the same as from a store, in bounded memory, with nothing left behind."""

from __future__ import annotations

import gzip
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
import zstandard

from tests.fixtures import tables
from tests.fixtures.streams import EVERYTHING, Names, held, stored, streamed
from tests.fixtures.tables import NOW
from uphours.errors import InputError, NotFoundError
from uphours.ingest.readers.parquet_footer import Group
from uphours.kernel.windows import Window
from uphours.large_files import parts as pieces
from uphours.large_files import spill
from uphours.large_files.incremental import _Making
from uphours.reports.request import ReportRequest
from uphours.schema import HOUR_US, instant_text

INSTANT = pl.Datetime("us", "UTC")
SCHEMA = {"store_id": pl.String, "timestamp_utc": pl.Int64, "status": pl.String}
HOURS = 400
WEEKS = (
    Window("first", NOW - 16 * 24 * HOUR_US, NOW - 9 * 24 * HOUR_US),
    Window("second", NOW - 9 * 24 * HOUR_US, NOW - 2 * 24 * HOUR_US),
)
MANY = ReportRequest(windows=("last_hour", "last_week", "this_month", "yesterday", *WEEKS), all_stores=True)


def polls(stores: int, first: int = 0, hours: int = HOURS) -> pl.DataFrame:
    """Return hourly polls, one round of all stores after the other, up to NOW."""
    status = ("inactive", "active")
    rows = [
        (f"s{store}", NOW - (hours - hour) * HOUR_US + store * 1_000_003, status[hour * 7 % (store + 5) > 0])
        for hour in range(first, hours)
        for store in range(stores)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").with_columns(pl.col("timestamp_utc").cast(INSTANT))


def disordered(table: pl.DataFrame) -> pl.DataFrame:
    return table.sample(fraction=1, shuffle=True, seed=3)


def as_csv(table: pl.DataFrame) -> bytes:
    return table.with_columns(pl.col("timestamp_utc").dt.strftime("%Y-%m-%d %H:%M:%S%.6f UTC")).write_csv().encode()


def described(folder: Path, *names: Path) -> Names:
    """Return these files of polls, with hours and zones."""
    hours = tables.table("hours", *(f"s{n},{day},0{n % 9}:00,2{n % 4}:30" for n in range(3, 9) for day in range(6)))
    zones = tables.table("timezones", "s1,Asia/Kolkata", "s2,Europe/London", "never,UTC")
    return {
        "polls": [str(name) for name in names],
        "hours": [tables.write(folder / "of.hours", hours)],
        "timezones": [tables.write(folder / "of.zones", zones)],
    }


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how reports are made."""
    counts: Counter[str] = Counter()
    watched = ((_Making, "_in_slices"), (_Making, "_measure"), (spill.Spill, "add"))
    for owner, name in watched:
        call = getattr(owner, name)

        def counted(*words: Any, call: Any = call, name: str = name) -> Any:
            counts[name] += 1
            return call(*words)

        monkeypatch.setattr(owner, name, counted)
    return counts


def test_files_in_the_order_of_time_are_measured_in_slices_without_a_temporary_file(
    tmp_path: Path, used: Counter[str]
) -> None:
    whole = polls(12)
    files = []
    for number in (3, 0, 2, 1):  # in whatever order they are named
        files.append(tmp_path / f"{number}.parquet")
        whole[number * 1200 : (number + 1) * 1200].write_parquet(files[-1], row_group_size=300)
    names = described(tmp_path, *files)
    assert streamed(names, MANY, folder=tmp_path, rows=700).content == stored(names, MANY, folder=tmp_path).content
    assert used["_in_slices"] == 1
    assert used["_measure"] > 5
    assert not used["add"]


@pytest.mark.parametrize("rows", [1, 50, 700])
def test_files_in_no_order_go_to_temporary_files(tmp_path: Path, used: Counter[str], rows: int) -> None:
    disordered(polls(100, HOURS - 24)).write_parquet(tmp_path / "polls.parquet", row_group_size=300)
    names = described(tmp_path, tmp_path / "polls.parquet")
    before = set(tmp_path.iterdir())
    made = streamed(names, MANY, folder=tmp_path, rows=rows)
    assert set(tmp_path.iterdir()) == before
    assert made.content == held(names, MANY).content
    assert used["add"]
    assert not used["_in_slices"]


def test_what_fits_into_memory_is_neither_measured_in_slices_nor_written(tmp_path: Path, used: Counter[str]) -> None:
    polls(12).write_parquet(tmp_path / "polls.parquet", row_group_size=300)
    names = described(tmp_path, tmp_path / "polls.parquet")
    assert streamed(names, folder=tmp_path, rows=10_000).content == held(names).content
    assert not used


def test_what_no_window_needs_takes_no_memory(tmp_path: Path, used: Counter[str]) -> None:
    (tmp_path / "polls.csv").write_bytes(as_csv(disordered(polls(12))))
    names = described(tmp_path, tmp_path / "polls.csv")
    options = ReportRequest(as_of=NOW - 100 * HOUR_US, windows=("last_hour",))
    assert streamed(names, options, folder=tmp_path, rows=24).content == held(names, options).content
    assert not used["add"]


@pytest.mark.parametrize("rows", [20, 10_000])
@pytest.mark.parametrize("as_of", [None, NOW - 30 * HOUR_US])
def test_every_format_and_type_is_read_as_a_load_reads_it(tmp_path: Path, rows: int, as_of: int | None) -> None:
    whole = polls(12, HOURS - 48)
    parts = [whole[list(range(start, whole.height, 7))] for start in range(7)]
    (tmp_path / "a.csv").write_bytes(as_csv(parts[0]) + b"s1,2023-01-24 10:00:00 UTC,activ\ns1,active\n")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(as_csv(parts[1])))
    (tmp_path / "c.csv.zst").write_bytes(zstandard.compress(as_csv(parts[2])))
    text = pl.col("timestamp_utc").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    parts[3].with_columns(text).write_ndjson(tmp_path / "d.jsonl")
    parts[4].with_columns(text).write_parquet(tmp_path / "e.parquet")
    bad = pl.DataFrame({"store_id": ["s1", None, "s2"], "timestamp_utc": [None, NOW, 5], "status": ["active"] * 3})
    with_bad = pl.concat([parts[5], bad.with_columns(pl.col("timestamp_utc").cast(INSTANT))])
    with_bad.with_columns(more=pl.lit("x")).write_parquet(tmp_path / "f.parquet", row_group_size=10)
    other_types = parts[6].with_columns(
        pl.col("store_id").cast(pl.Categorical),
        pl.col("timestamp_utc").dt.cast_time_unit("ms"),
        pl.col("status") == "active",
    )
    other_types.rename({"store_id": " Store_ID "}).write_parquet(tmp_path / "g.parquet")
    names = described(tmp_path, *sorted(tmp_path.glob("[a-g].*")))
    options = ReportRequest(as_of=as_of, windows=MANY.windows, all_stores=True)
    made, wanted = streamed(names, options, folder=tmp_path, rows=rows), stored(names, options, folder=tmp_path)
    assert made.content == wanted.content
    assert sorted(made.aside) == sorted(wanted.aside)
    assert len(made.aside) == 5


def test_ids_that_are_integers_are_the_same_stores_as_their_texts(tmp_path: Path) -> None:
    ids = pl.col("store_id").str.strip_prefix("s").cast(pl.Int64)
    polls(3).with_columns(ids).write_parquet(tmp_path / "numbers.parquet")
    polls(3).with_columns(ids.cast(pl.String)).write_parquet(tmp_path / "texts.parquet")
    one, other = (described(tmp_path, tmp_path / f"{name}.parquet") for name in ("numbers", "texts"))
    assert streamed(one, folder=tmp_path).content == streamed(other, folder=tmp_path).content == held(one).content


@pytest.mark.parametrize("rows", [30, 10_000])
def test_of_two_rows_for_an_instant_the_inactive_one_counts_whatever_files_they_are_in(
    tmp_path: Path, rows: int
) -> None:
    whole = polls(4, HOURS - 24)
    whole.write_parquet(tmp_path / "a.parquet", row_group_size=2)
    whole[::3].with_columns(status=pl.lit("inactive")).write_parquet(tmp_path / "b.parquet", row_group_size=1)
    whole[::2].with_columns(status=pl.lit("active")).write_parquet(tmp_path / "c.parquet", row_group_size=1)
    names = described(tmp_path, *(tmp_path / f"{name}.parquet" for name in "cab"))
    assert streamed(names, MANY, folder=tmp_path, rows=rows).content == stored(names, MANY, folder=tmp_path).content


def test_the_latest_good_observation_is_the_default_instant(tmp_path: Path) -> None:
    whole = polls(4, HOURS - 20)
    later = whole.with_columns(pl.col("timestamp_utc").dt.offset_by("3h"), status=pl.lit("odd"))
    future = whole.with_columns(pl.col("timestamp_utc").dt.offset_by("300d"))
    # Each file has a row that can be used; otherwise it would be an error.
    for name, table in {"good": whole, "later": whole[:1].vstack(later), "future": whole[:1].vstack(future)}.items():
        table.write_parquet(tmp_path / f"{name}.parquet", row_group_size=7)
    names = described(tmp_path, *sorted(tmp_path.glob("*.parquet")))
    made, wanted = streamed(names, folder=tmp_path, rows=20), held(names)
    assert made.content == wanted.content
    assert sorted(made.aside) == sorted(wanted.aside)


@pytest.mark.parametrize("unit", ["us", "ns", "ms"])
def test_instants_out_of_all_range_are_bad_rows_and_nothing_else(
    tmp_path: Path, unit: Literal["us", "ns", "ms"]
) -> None:
    whole = polls(4, HOURS - 20).with_columns(pl.col("timestamp_utc").dt.cast_time_unit(unit))
    odd = pl.DataFrame({"store_id": "s1", "timestamp_utc": [-(1 << 62), -1, 0, 1 << 62], "status": "active"})
    odd = odd.with_columns(pl.col("timestamp_utc").cast(pl.Datetime(unit, "UTC")))
    pl.concat([whole[:30], odd, whole[30:]]).write_parquet(tmp_path / "polls.parquet", row_group_size=7)
    names = described(tmp_path, tmp_path / "polls.parquet")
    made, wanted = streamed(names, folder=tmp_path, rows=20), held(names)
    assert made.content == wanted.content
    assert sorted(made.aside) == sorted(wanted.aside)
    assert len(made.aside) == 4


def test_chosen_stores_alone_are_reported_as_of_the_latest_observation_of_all(tmp_path: Path) -> None:
    polls(6).write_parquet(tmp_path / "polls.parquet", row_group_size=100)
    names = described(tmp_path, tmp_path / "polls.parquet")
    options = ReportRequest(stores=("s2", "s4"))
    assert streamed(names, options, folder=tmp_path, rows=300).content == held(names, options).content
    with pytest.raises(NotFoundError, match="there is no store 'nobody'"):
        streamed(names, ReportRequest(stores=("s2", "nobody")), folder=tmp_path)


def test_one_poll_far_from_the_others_is_still_the_one_before_the_windows(tmp_path: Path) -> None:
    old = tables.table("polls", f"old,inactive,{instant_text(NOW - 9_000 * HOUR_US)}", f"s1,active,{instant_text(NOW)}")
    (tmp_path / "old.csv").write_text(old)
    polls(3, HOURS - 30).write_parquet(tmp_path / "polls.parquet", row_group_size=10)
    names = described(tmp_path, tmp_path / "old.csv", tmp_path / "polls.parquet")
    assert streamed(names, EVERYTHING, folder=tmp_path, rows=5).content == stored(names, folder=tmp_path).content


# --- what can go wrong --------------------------------------------------------------------------------------------


def test_files_without_any_row_are_no_fleet(tmp_path: Path) -> None:
    polls(0).write_parquet(tmp_path / "empty.parquet")
    (tmp_path / "empty.csv").write_text(tables.HEADERS["polls"] + "\n")
    for name in ("empty.parquet", "empty.csv"):
        with pytest.raises(InputError, match="there are no observations yet"):
            streamed({"polls": [str(tmp_path / name)]}, folder=tmp_path)
    names = described(tmp_path, tmp_path / "empty.parquet", tmp_path / "empty.csv")
    options = ReportRequest(as_of=NOW, all_stores=True)
    assert streamed(names, options, folder=tmp_path).content == held(names, options).content


@pytest.mark.parametrize("at", [4, 2_000, -30, -5])
def test_a_broken_file_is_an_error_that_names_it_and_leaves_nothing(tmp_path: Path, at: int) -> None:
    path = tmp_path / "polls.parquet"
    polls(9).write_parquet(path, row_group_size=300)
    content = bytearray(path.read_bytes())
    content[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    before = set(tmp_path.iterdir())
    # Parquet has no checksums: damage among the values may show no earlier than by the bounds that the footer states.
    with pytest.raises(
        InputError,
        match=r"(cannot read )?.*polls\.parquet \(polls\) (as Parquet|states between which instants its rows)",
    ):
        streamed({"polls": [str(path)]}, folder=tmp_path, rows=300)
    assert set(tmp_path.iterdir()) == before


def test_a_file_cut_short_and_one_without_a_column_are_errors(tmp_path: Path) -> None:
    polls(9).write_parquet(tmp_path / "polls.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "polls.parquet").read_bytes()[:-100])
    polls(9).drop("status").write_parquet(tmp_path / "less.parquet")
    for name, message in {"cut": "footer is damaged", "less": "has no column status; it has 'store_id'"}.items():
        with pytest.raises(InputError, match=message):
            streamed({"polls": [str(tmp_path / f"{name}.parquet")]}, folder=tmp_path)


def test_rows_outside_of_the_bounds_that_their_file_states_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    polls(9).write_parquet(tmp_path / "polls.parquet", row_group_size=300)
    bounds = pieces._bounds

    def wrong(group: Group, name: str, dtype: pl.DataType) -> tuple[int, int] | None:
        found = bounds(group, name, dtype)
        return found and (found[0] + HOUR_US, found[1])

    monkeypatch.setattr(pieces, "_bounds", wrong)
    with pytest.raises(InputError, match="but they do not; write it again"):
        streamed({"polls": [str(tmp_path / "polls.parquet")]}, folder=tmp_path, rows=500)


def test_a_disk_without_room_is_an_error_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, used: Counter[str]
) -> None:
    disordered(polls(9)).write_parquet(tmp_path / "polls.parquet", row_group_size=300)
    (tmp_path / "polls.csv").write_bytes(as_csv(polls(9)))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage._replace(free=64 << 20))
    with pytest.raises(InputError, match=r"0\.0 GB are free; name another folder with --temp"):
        streamed({"polls": [str(tmp_path / "polls.parquet")]}, MANY, folder=tmp_path, rows=300)
    assert not used["add"]
    with pytest.raises(InputError, match="or more memory with --memory"):
        streamed({"polls": [str(tmp_path / "polls.csv")]}, MANY, folder=tmp_path, rows=300)
