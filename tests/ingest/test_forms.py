"""Every form that occurs in the field is read as it is meant, typed or as text, or rejected with what it is."""

from __future__ import annotations

import io
import sqlite3
import uuid
import zipfile
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import uphours
from tests.fixtures import tables
from tests.fixtures.tables import NOW, hours_of, only_reason, polls_of, read, table, write, zones_of
from uphours.errors import InputError
from uphours.ingest.inputs import Kind
from uphours.ingest.load import read_files, read_tables
from uphours.ingest.quarantine import Quarantine
from uphours.ingest.unfinished import is_unfinished
from uphours.load_record import Loaded
from uphours.schema import ACTIVE, CLOSED, INACTIVE, UNKNOWN

TIME = "2023-01-24 10:00:00 UTC"


def read_hours(folder: Path, *rows: str) -> Loaded:
    return read(folder, "hours", table("hours", *rows))


def days_of(loaded: Loaded) -> list[tuple[str, int]]:
    return [(store, day) for store, day, _, _ in hours_of(loaded)]


# --- hours ------------------------------------------------------------------------------------------------------


def test_all_forms_of_times_of_day_are_read(tmp_path: Path) -> None:
    pairs = [
        "9:00 AM,5:00 PM",
        "9am,5pm",
        "0900,1700",
        "900,1700",
        "09:00:00,17:00:00.000",
        "T09:00,17:00",
        "9 a.m.,5 P.M.",
    ]
    loaded = read_hours(tmp_path, *(f"{n},0,{pair}" for n, pair in enumerate(pairs)))
    assert hours_of(loaded) == [(str(n), 0, 540, 1020) for n in range(len(pairs))]
    assert hours_of(read_hours(tmp_path, "1,0,18:00,26:00", "2,0,12:00 pm,12:00 am")) == [
        ("1", 0, 1080, 1560),
        ("2", 0, 720, 0),
    ]


@pytest.mark.parametrize(
    "names",
    [
        "Monday,tuesday,WEDNESDAY,Thursday,Friday,Saturday,Sunday",
        "Mon,Tues,wed.,Thur,Fri,Sat,Sun",
        "mo,tu,we,th,fr,sa,su",
        "0,1,2,3,4,5,6",
        "0.0,1.0,2.0,3.0,4.0,5.0,6.0",
        "1,2,3,4,5,6,7",
    ],
)
def test_days_have_names_and_numbers(tmp_path: Path, names: str) -> None:
    loaded = read_hours(tmp_path, *(f"1,{day},09:00,17:00" for day in names.split(",")))
    assert days_of(loaded) == [("1", day) for day in range(7)]
    assert bool(loaded.notices) == (names[-1] == "7")


def test_a_file_without_a_day_0_but_with_a_7_is_iso_whatever_its_rows_and_blocks(tmp_path: Path) -> None:
    loaded = read_hours(tmp_path, "1,7,09:00,17:00", "1,1,09:00,17:00", "2,Sunday,09:00,17:00")
    assert days_of(loaded) == [("1", 0), ("1", 6), ("2", 6)]
    assert "days are read as 1 (Monday) to 7 (Sunday)" in loaded.notices[0]
    # A row that says 0 counts, though it is rejected.
    mixed = read_hours(tmp_path, "1,7,09:00,17:00", "1,1,09:00,17:00", "2,0,dawn,17:00")
    assert days_of(mixed) == [("1", 1)]
    assert [row.line for row in mixed.quarantine] == [2, 4]
    assert "day is 7 where other rows have day 0" in mixed.quarantine[0].reason


def test_a_file_without_a_day_0_deserves_a_word_and_one_of_names_none(tmp_path: Path) -> None:
    (notice,) = read_hours(tmp_path, *(f"1,{day},09:00,17:00" for day in range(1, 6))).notices
    assert "no row is of day 0 (Monday)" in notice
    assert not read_hours(tmp_path, "1,Tuesday,09:00,17:00").notices
    assert not read_hours(tmp_path, "1,0,09:00,17:00").notices


@pytest.mark.parametrize("word", ["closed", "Closed", " CLOSED "])
def test_a_store_of_which_all_days_are_closed_never_opens(tmp_path: Path, word: str) -> None:
    rows = [f"s,{day},{word},{word}" for day in range(7)]
    loaded = read_hours(tmp_path, *rows)
    assert (loaded.files[0].accepted, len(loaded.hours)) == (7, 7)
    assert {tuple(row) for row in loaded.hours[:, 3:].tolist()} == {CLOSED}
    polls = pl.DataFrame(
        {"store_id": ["s"] * 2, "status": ["up"] * 2, "timestamp_utc": ["2023-01-24T10:00Z", "2023-01-24T20:00Z"]}
    )
    hours = pl.DataFrame([row.split(",") for row in rows], schema=tables.HEADERS["hours"].split(","), orient="row")
    report = uphours.report(polls, hours, windows=["last_week"])
    assert report["business_us"].to_list() == [0]


def test_closed_days_go_through_a_database_and_out_of_it(tmp_path: Path) -> None:
    from uphours.database.database import connect
    from uphours.reports.export import export

    database = connect(f"sqlite:///{tmp_path / 'a.db'}")
    rows = [
        "s,0,09:00,26:00",
        *(f"s,{day},closed,closed" for day in range(1, 7)),
        *(f"t,{day},closed,closed" for day in range(7)),
    ]
    tables.load(database, tmp_path, polls=table("polls", f"s,up,{TIME}", f"t,up,{TIME}"), hours=table("hours", *rows))
    export(database, str(tmp_path / "out"), now=NOW)
    names: dict[Kind, Sequence[str]] = {"hours": [str(tmp_path / "out" / "business_hours.parquet")]}
    loaded = read_files(names, now=NOW)
    assert sorted(hours_of(loaded)) == sorted(hours_of(read_hours(tmp_path, *rows)))
    with database.snapshot() as fleet:
        assert len(fleet.schedule.stores) == 14


def test_a_closed_day_that_another_file_contradicts_is_conflicting(tmp_path: Path) -> None:
    names = [
        write(tmp_path / "a.csv", table("hours", "1,0,closed,closed")),
        write(tmp_path / "b.csv", table("hours", "1,0,09:00,17:00")),
    ]
    loaded = read_files({"hours": names}, now=NOW)
    assert (hours_of(loaded), loaded.conflicting) == ([("1", 0, 540, 1020)], 1)


# --- statuses and zones -----------------------------------------------------------------------------------------


def test_statuses_are_read_in_any_case_and_their_usual_words(tmp_path: Path) -> None:
    words: dict[int, list[str]] = {
        ACTIVE: ["active", "Active", "UP", "online", "1", "true", "True", "\ufeffup\u200b"],
        INACTIVE: ["inactive", "Down", "OFFLINE", "0", "FALSE"],
        UNKNOWN: ["unknown", "Paused", "pending", "Maintenance"],
    }
    rows = {f"{code}{n}": (code, word) for code, some in words.items() for n, word in enumerate(some)}
    for filling in (0, 2_000):  # few rows and many take different ways
        more = [f"x,active,2023-01-24 {n // 60 % 24:02}:{n % 60:02}:00 UTC" for n in range(filling)]
        loaded = read(
            tmp_path, "polls", table("polls", *(f"{store},{word},{TIME}" for store, (_, word) in rows.items()), *more)
        )
        found = {
            loaded.store_ids[store]: status
            for store, status in zip(loaded.stores.tolist(), loaded.statuses.tolist(), strict=True)
        }
        assert {store: found[store] for store in rows} == {store: code for store, (code, _) in rows.items()}


def test_other_words_are_mapped_or_rejected(tmp_path: Path) -> None:
    name = write(tmp_path / "p.csv", table("polls", f"1,Open,{TIME}", f"2,closed,{TIME}", f"3,up,{TIME}"))
    loaded = read_files({"polls": [name]}, now=NOW, statuses={"open": "active", "closed": "down", "up": "unknown"})
    assert loaded.statuses.tolist() == [ACTIVE, INACTIVE, UNKNOWN]
    with pytest.raises(InputError, match="'open' cannot be mapped to 'wide'; valid are active, inactive and unknown"):
        read_files({"polls": [name]}, now=NOW, statuses={"open": "wide"})


def test_zones_have_names_of_windows_and_any_case(tmp_path: Path) -> None:
    names = {
        "Eastern Standard Time": "America/New_York", "W. Europe Standard Time": "Europe/Berlin",
        "china standard time": "Asia/Shanghai", "UTC-02": "Etc/GMT+2", "america/CHICAGO": "America/Chicago",
        "EST5EDT": "EST5EDT", "Etc/GMT+5": "Etc/GMT+5", "\ufeffAsia/Tokyo ": "Asia/Tokyo",
    }  # fmt: skip
    loaded = read(tmp_path, "timezones", table("timezones", *(f"{n},{name}" for n, name in enumerate(names))))
    assert zones_of(loaded) == {str(n): zone for n, zone in enumerate(names.values())}
    assert ["Etc/GMT+2, Etc/GMT+5 is without summer time" in notice for notice in loaded.notices] == [True]


# --- ids --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "unseen", ["\ufeff", "\u200b", "\u2060", "\u00ad", "\u3164", "\u200e", "\ufe0f", "\u00a0", "\x00"]
)
def test_what_is_not_seen_at_the_ends_of_an_id_splits_no_store(tmp_path: Path, unseen: str) -> None:
    rows = [f"{unseen}7{unseen},up,{TIME}", f"7,up,{TIME}", f" {unseen} 7,up,{TIME}"]
    for content in (table("polls", *rows), table("polls", *rows * 500)):
        assert read(tmp_path, "polls", content).store_ids == ["7"]
    if unseen != "\u00a0":
        assert "invisible character inside" in only_reason(
            read(tmp_path, "polls", table("polls", f"a{unseen}b,up,{TIME}"))
        )


# --- typed columns ----------------------------------------------------------------------------------------------

_UUID = uuid.UUID("d84a4552-3668-4075-ad1d-16840294f818")
_ENDS = {
    "uuid": (pa.array([_UUID.bytes], pa.uuid()), "d84a4552-3668-4075-ad1d-16840294f818"),
    "16 bytes": (pa.array([b"store-0000000001"], pa.binary(16)), str(uuid.UUID(bytes=b"store-0000000001"))),
    "bytes": (pa.array([b"caf\xc3\xa9"]), "café"),
    "decimal": (pa.array([Decimal("1001.0000000000")], pa.decimal128(38, 10)), "1001"),
    "float": (pa.array([1001.0]), "1001"),
    "uint64": (pa.array([2**64 - 1], pa.uint64()), str(2**64 - 1)),
    "dictionary": (pa.array(["007"]).dictionary_encode(), "007"),
    "string view": (pa.array(["007"], pa.string_view()), "007"),
}


def arrow(kind: Kind, **columns: pa.Array) -> pa.Table:
    height = max(map(len, columns.values()))
    of_kinds: dict[Kind, dict[str, list[Any]]] = {
        "polls": {"store_id": ["1"], "status": ["up"], "timestamp_utc": [TIME]},
        "hours": {"store_id": ["1"], "day": [0], "start_time_local": ["09:00"], "end_time_local": ["17:00"]},
        "timezones": {"store_id": ["1"], "timezone_str": ["UTC"]},
    }
    return pa.table({name: columns.get(name, pa.array(values * height)) for name, values in of_kinds[kind].items()})


def in_parquet(rows: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(rows, file)
    return file.getvalue()


def both_ways(folder: Path, kind: Kind, rows: pa.Table) -> list[Loaded]:
    """Return a table as it is read from Parquet, and from memory."""
    from uphours.ingest.readers.arrow import frame

    return [read(folder, kind, in_parquet(rows)), read_tables({kind: frame(rows)})]


@pytest.mark.parametrize("form", _ENDS)
def test_ids_of_every_type_are_their_text(tmp_path: Path, form: str) -> None:
    column, text = _ENDS[form]
    for loaded in both_ways(tmp_path, "polls", arrow("polls", store_id=column)):
        assert loaded.store_ids == [text]


def test_sixteen_bytes_are_uuids_all_of_them_where_some_are_no_text() -> None:
    """Spark and others hand over UUIDs as plain bytes; one in ten thousand of them happens to be text."""
    contents = [_UUID.bytes, b"store-0000000001"]
    rows = arrow("polls", store_id=pa.array(contents, pa.binary()))
    assert read_tables({"polls": pl.DataFrame(rows)}).store_ids == [
        str(uuid.UUID(bytes=content)) for content in contents
    ]


def test_times_of_every_type_are_their_text_up_to_24_00(tmp_path: Path) -> None:
    for kind, unit in ((pa.time64, "us"), (pa.time64, "ns"), (pa.time32, "s"), (pa.time32, "ms")):
        day = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit] * 86_400
        rows = arrow(
            "hours", start_time_local=pa.array([day // 24 * 9], kind(unit)), end_time_local=pa.array([day], kind(unit))
        )
        for loaded in both_ways(tmp_path, "hours", rows) if unit != "s" else both_ways(tmp_path, "hours", rows)[1:]:
            assert hours_of(loaded) == [("1", 0, 540, 1440)], unit
    rows = arrow(
        "hours", start_time_local=pa.array([timedelta(hours=9)]), end_time_local=pa.array([timedelta(hours=26)])
    )
    assert hours_of(both_ways(tmp_path, "hours", rows)[1]) == [("1", 0, 540, 1560)]


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (pa.array([date(2023, 1, 24)]), "'2023-01-24' is a date alone and names no instant"),
        (pa.array([datetime(1999, 1, 1)], pa.timestamp("us")), "'1999-01-01 00:00:00.000000' is before the year 2000"),  # noqa: DTZ001
        (pa.array([10**13], pa.timestamp("s")), "'after the year 9999' is after the year 2199"),
        (pa.array([2**63 - 1], pa.timestamp("ms", "UTC")), "is after the year 2199"),
        (pa.array([2**63 - 1], pa.timestamp("ns")), "'2262-04-11 23:47:16.854775' is after the year 2199"),
        (pa.array([-(2**62)], pa.timestamp("us")), "'before the year 1' is before the year 2000"),
        (pa.array([time(10)]), "unreadable timestamp_utc '10:00'"),
        (pa.array([1.7e18]), "is in scientific notation"),
        (pa.array([True]), "unreadable timestamp_utc 'true'"),
    ],
)  # fmt: skip
def test_typed_timestamps_that_are_none_are_shown_as_text(tmp_path: Path, column: pa.Array, reason: str) -> None:
    for loaded in both_ways(tmp_path, "polls", arrow("polls", timestamp_utc=column)):
        assert reason in only_reason(loaded)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1674554400]),
        pa.array([1674554400.0]),
        pa.array([1674554400000], pa.uint64()),
        pa.array([Decimal("1674554400.000000")]),
        pa.array([1674554400], pa.timestamp("s")),
        pa.array(["1674554400"]),
    ],
)
def test_numbers_in_typed_columns_are_unix_time(tmp_path: Path, column: pa.Array) -> None:
    for loaded in both_ways(tmp_path, "polls", arrow("polls", timestamp_utc=column)):
        assert polls_of(loaded) == [("1", "active", TIME)]


@pytest.mark.parametrize("column", [pa.array([True]), pa.array([1], pa.int8()), pa.array([1.0]), pa.array(["UP"])])
def test_statuses_of_every_type_are_their_text(tmp_path: Path, column: pa.Array) -> None:
    for loaded in both_ways(tmp_path, "polls", arrow("polls", status=column)):
        assert loaded.statuses.tolist() == [ACTIVE]


def _not_utf8(*values: bytes) -> pa.Array:
    return pa.Array.from_buffers(pa.string(), len(values), pa.array(values).buffers())


@pytest.mark.parametrize("column", ["store_id", "status", "timestamp_utc"])
def test_text_that_is_not_utf_8_rejects_its_row_alone(tmp_path: Path, column: str) -> None:
    good = {"store_id": b"1", "status": b"up", "timestamp_utc": TIME.encode()}[column]
    rows = arrow("polls", **{column: _not_utf8(good, b"\xff\xfe", good)})
    for loaded in both_ways(tmp_path, "polls", rows):
        assert loaded.files[0].accepted == 2
        assert (loaded.quarantine[0].line, only_reason(loaded)) == (2, f"{column} is not UTF-8 text")
        assert b"xff" in loaded.quarantine[0].raw
    validated = uphours.validate(rows)
    assert validated.quarantine["line"].to_list() == [2]
    write(tmp_path / "p.parquet", in_parquet(rows))
    from uphours.large_files.incremental import report_from_files
    from uphours.reports.request import ReportRequest

    quarantine = Quarantine()
    streamed = report_from_files({"polls": [str(tmp_path / "p.parquet")]}, ReportRequest(), now=NOW,
                                folder=tmp_path, quarantine=quarantine)  # fmt: skip
    assert (streamed.report.store_ids, [row.line for row in quarantine.rows]) == (["1"], [2])


def test_a_column_of_no_use_of_a_type_that_no_reader_knows_does_not_matter(tmp_path: Path) -> None:
    import duckdb

    columns = {
        "store_id": "uuid()",
        "status": "'up'",
        "timestamp_utc": "TIMESTAMPTZ '2023-01-24 10:00:00+00'",
        "x": "INTERVAL 1 DAY",
        "d": "DATE 'infinity'",
        "t": "TIMESTAMP 'infinity'",
    }
    selected = ", ".join(f"{value} AS {name}" for name, value in columns.items())
    duckdb.sql(f"COPY (SELECT {selected}) TO '{tmp_path}/p.parquet'")
    loaded = read_files({"polls": [str(tmp_path / "p.parquet")]}, now=NOW)
    assert (len(loaded.times), len(uuid.UUID(loaded.store_ids[0]).hex)) == (1, 32)


@given(st.lists(st.sampled_from([0, 1, -1, 1.5, 2**53 - 1, 2**53, 1001, float("nan"), None]), min_size=1, max_size=5))
def test_floats_are_their_text_or_rejected(values: list[float | None]) -> None:
    rows = pl.DataFrame({"store_id": pl.Series(values, dtype=pl.Float64), "timezone_str": ["UTC"] * len(values)})
    loaded = read_tables({"timezones": rows})
    good = {
        str(int(value)) for value in values if value is not None and value == value and value % 1 == 0 and value < 2**53
    }
    assert set(loaded.store_ids) == good
    assert loaded.files[0].accepted + len(loaded.quarantine) == len(values)


# --- JSON of other layouts --------------------------------------------------------------------------------------

ROW = '{"store_id": "1", "status": "up", "timestamp_utc": "2023-01-24T10:00:00Z"}'
PRETTY = '{\n  "store_id": "1",\n  "status": "up",\n  "timestamp_utc": "2023-01-24T10:00:00Z"\n}'


@pytest.mark.parametrize(
    "content",
    [f'{{"data": [{ROW}]}}', f'{{"total": 1, "data": [\n{ROW}\n], "errors": []}}', f'{{"data": [\n{ROW},\n{ROW}\n]}}\n',
     PRETTY, f"{PRETTY}\n{PRETTY}\n", f"[\n{PRETTY},\n{PRETTY}]", f'{{\n"rows": [\n{PRETTY}\n]\n}}', f"\n\n{ROW}\n\n",
     ROW.replace("status", "Status"), f"{ROW}\n{ROW}", "\ufeff" + f'{{"data": [{ROW}]}}'],
)  # fmt: skip
def test_rows_of_json_are_read_in_whatever_layout_none_is_lost(tmp_path: Path, content: str) -> None:
    loaded = read(tmp_path, "polls", content)
    assert not loaded.quarantine
    assert polls_of(loaded) == [("1", "active", TIME)] * content.casefold().count('"status"')


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f'{{"a": [{ROW}], "b": [{ROW}]}}', "2 arrays, 'a', 'b'"),
        (f'{{"store_id": "1", "polls": [{ROW}]}}', "1 arrays, 'polls' beside 'store_id'"),
        ('{"store_id": ["1"], "status": ["up"], "timestamp_utc": ["x"]}', "is column-oriented JSON"),
        ('{"store_id": {"0": "1"},\n "status": {"0": "up"},\n "timestamp_utc": {"0": "x"}}', "is column-oriented JSON"),
        ('{"columns": ["store_id"], "index": [0], "data": [["1"]]}', "the names of the columns apart from the rows"),
        ('{"meta": {"x": 1}}', "no array of rows beside 'meta'"),
        (f'{{"answer": {{"rows": [{ROW}]}}}}', "no array of rows beside 'answer'"),
        (f'{{"data": [\n{ROW},\n{ROW}\n', "is no JSON"),
    ],
)
def test_json_of_which_only_a_part_could_be_read_is_refused(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, "polls", content)
    assert words in str(caught.value)
    assert "valid are one object a line" in str(caught.value)


def test_many_blanks_behind_the_first_line_take_no_time(tmp_path: Path) -> None:
    for blanks in (" " * 4_000_000 + "\n", "\n" * 4_000_000):
        loaded = read(tmp_path, "polls", f"{ROW}\n{blanks}{ROW}\n")
        assert loaded.files[0].accepted == 2


def test_a_first_line_that_was_cut_off_is_a_bad_row_among_good_ones(tmp_path: Path) -> None:
    for cut in ('{"store_id": "9", "sta', '{"store_id": "9",', '{"store_id": "9", "status": nul'):
        loaded = read(tmp_path, "polls", f"{cut}\n{ROW}\n{ROW}\n")
        assert [row.line for row in loaded.quarantine] == [1], cut
        assert loaded.files[0].accepted == 2


# --- what is no table -------------------------------------------------------------------------------------------


def _zip(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return file.getvalue()


def _sqlite(folder: Path) -> bytes:
    with sqlite3.connect(folder / "x.db") as connection:
        connection.execute("CREATE TABLE t (x)")
    return (folder / "x.db").read_bytes()


def _arrow(folder: Path) -> bytes:
    pl.DataFrame({"x": [1]}).write_ipc(folder / "x.arrow")
    return (folder / "x.arrow").read_bytes()


def test_what_is_no_table_is_named_with_what_to_do(tmp_path: Path) -> None:
    import bz2
    import gzip
    import lzma
    import tarfile

    import xlsxwriter  # type: ignore[import-untyped]

    book = io.BytesIO()
    workbook = xlsxwriter.Workbook(book)
    workbook.add_worksheet().write(0, 0, "store_id")
    workbook.close()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(write(tmp_path / "p.csv", tables.POLLS), "p.csv")
    contents = {
        "is an Excel workbook (.xlsx); save the sheet as CSV UTF-8": book.getvalue(),
        "is a zip archive; unpack it": _zip("polls.csv"),
        "is an SQLite database": _sqlite(tmp_path),
        "is compressed with bzip2": bz2.compress(tables.POLLS.encode()),
        "is compressed with xz": lzma.compress(tables.POLLS.encode()),
        "is compressed twice": gzip.compress(gzip.compress(tables.POLLS.encode())),
        "is an Arrow IPC file (Feather)": _arrow(tmp_path),
        "is an Avro file": b"Obj\x01\x04\x14avro.codec\x08null",
        "is a tar archive": packed.getvalue(),
        "is an ORC file": b"ORC\x00\x01\x02",
        "is a PDF document": b"%PDF-1.7\n",
        "is an HTML page": b"\n<!DOCTYPE html>\n<html>",
        "is XML": b"<?xml version='1.0'?><polls/>",
        "is an Excel workbook of the old kind (.xls)": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100),
        "is a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    }
    for words, content in contents.items():
        with pytest.raises(InputError) as caught:
            read(tmp_path, "polls", content)
        assert words in str(caught.value)
        assert "Valid are CSV, JSON and Parquet" in str(caught.value)
    for title in ("ORCA", "PARENT", "BZhang", "Rar!", "Obj"):  # no format of text begins like this
        rows = f"{title},store_id,status,timestamp_utc\nx,1,up,{TIME}\n"
        assert polls_of(read(tmp_path, "polls", rows)) == [("1", "active", TIME)]


def test_unfinished_files_are_left_out_of_globs_and_read_by_name(tmp_path: Path) -> None:
    names = [
        "a.csv",
        "a.csv.filepart",
        "b.csv.part",
        "~$c.csv",
        "d.csv.tmp",
        "e.csv.crdownload",
        "f.csv._COPYING_",
        "g.csv.partial",
    ]
    for name in names:
        write(tmp_path / name, table("polls", f"{name},up,{TIME}"))
    loaded = read_files({"polls": [str(tmp_path / "*")]}, now=NOW)
    assert loaded.store_ids == ["a.csv"]
    assert read_files({"polls": [str(tmp_path / "b.csv.part")]}, now=NOW).store_ids == ["b.csv.part"]
    with pytest.raises(InputError, match=r"no file matches .*, but .*b.csv.part, which is not finished"):
        read_files({"polls": [str(tmp_path / "b*")]}, now=NOW)
    assert not is_unfinished("template.csv")
