"""The quarantine as a file: what is fixed in it loads, and nothing of a row is lost on the way."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures import tables
from tests.fixtures.tables import NOW, polls_of, table, write
from uphours.database.database import Database, connect
from uphours.database.loads import list_loads
from uphours.database.rejected_rows import list_quarantine
from uphours.ingest.guarded import unguarded
from uphours.ingest.inputs import Kind, Source
from uphours.ingest.load import load_files, read_sources
from uphours.ingest.quarantine import as_csv
from uphours.load_record import Loaded

TIME = "2023-01-24 10:00:00 UTC"
POLL = ("1", "active", TIME)


def read(kind: Kind, content: bytes | str) -> Loaded:
    content = content.encode() if isinstance(content, str) else content
    return read_sources([Source(kind, "rows", lambda: io.BytesIO(content))], now=NOW, allow_unusable=True)


def to_fix(loaded: Loaded) -> bytes:
    (file,) = loaded.files
    rows = [asdict(row) for row in loaded.quarantine]
    return as_csv(rows, kind=file.kind, header=file.header)  # type: ignore[arg-type]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_csv_row_is_fixed_and_accepted(delimiter: str, end: str) -> None:
    content = f"note,status,Store_ID,timestamp_utc{end}".replace(",", delimiter)
    content += f'"a ""b"" {delimiter}",activ,1,{TIME}{end}'.replace(",", delimiter)
    loaded = read("polls", "\ufeff" + content)
    assert loaded.files[0].header == "note,status,Store_ID,timestamp_utc".replace(",", delimiter)
    fixed = to_fix(loaded).replace(b"activ" + delimiter.encode(), b"active" + delimiter.encode())
    again = read("polls", fixed)
    assert polls_of(again) == [POLL]
    assert again.files[0].quarantined == 0


@pytest.mark.parametrize("kind", ["polls", "hours", "timezones"])
def test_every_kind_goes_there_and_back(kind: Kind) -> None:
    bad = {"polls": f"1,open,{TIME}", "hours": "1,9,09:00,17:00", "timezones": "1,Nowhere"}[kind]
    wrong, right = {"polls": ("open,", "active,"), "hours": (",9,", ",6,"), "timezones": ("Nowhere", "UTC")}[kind]
    fixed = to_fix(read(kind, table(kind, bad))).decode().replace("1," + wrong.strip(","), "1," + right.strip(","))
    assert read(kind, fixed).files[0].accepted == 1


def test_a_line_of_csv_is_given_back_byte_for_byte() -> None:
    lines = [b"caf\xe9,active,x", b'"never closed', b"a\x00b\x1b[1m,active,x", b"1,active", b"1,2,3,4", b"=cmd(),up,x",
             b"1,active,x\ry", b",,"]  # fmt: skip
    given = to_fix(read("polls", tables.HEADERS["polls"].encode() + b"\n" + b"\n".join(lines)))
    header, *rows = given.removesuffix(b"\n").split(b"\n")
    assert header == b"reason,store_id,status,timestamp_utc"
    assert len(rows) == len(lines)
    assert rows[5].endswith(b",'=cmd(),up,x"), "no spreadsheet runs it"
    assert all(unguarded(row).endswith(b"," + line) for row, line in zip(rows, lines, strict=True))


def test_what_is_not_fixed_is_set_aside_again_for_the_same_reason() -> None:
    first = read("polls", table("polls", f"1,open,{TIME}", "1,active,soon", ",active,x", f"1,active,{TIME},more"))
    second = read("polls", to_fix(first))
    reasons = [[row.reason.split(":")[0] for row in loaded.quarantine] for loaded in (first, second)]
    assert reasons[0] == reasons[1]
    third = read("polls", to_fix(second))
    assert [row.reason.split(":")[0] for row in third.quarantine] == reasons[0]


OBJECT = {"store_id": 8419537941919820732, "status": "open", "timestamp_utc": TIME}


def parquet(**columns: Any) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(columns).write_parquet(file)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(OBJECT).encode(),
        json.dumps([OBJECT], indent=2).encode(),
        b'\xef\xbb\xbf{"store_id":"8419537941919820732","status":"open","timestamp_utc":"2023-01-24T10:00:00Z ","x":3}',
        parquet(Store_ID=[8419537941919820732], STATUS=["open"], timestamp_utc=[TIME]),
    ],
    ids=["json lines", "json array", "with more", "parquet"],
)
def test_a_row_without_a_header_is_fixed_and_accepted(content: bytes) -> None:
    given = to_fix(read("polls", content))
    (row,) = csv.DictReader(io.StringIO(given.decode()))
    assert list(row) == ["reason", "store_id", "status", "timestamp_utc", "raw"]
    assert row["raw"] == ""
    again = read("polls", given.replace(b",open,", b",active,"))
    assert polls_of(again) == [("8419537941919820732", "active", TIME)]


def test_hours_under_another_name_come_in_the_columns_of_their_kind() -> None:
    row = {"store_id": "1", "dayOfWeek": 9, "start_time_local": "09:00", "end_time_local": "17:00"}
    given = to_fix(read("hours", json.dumps(row))).decode()
    assert given.splitlines()[0] == "reason,store_id,day,start_time_local,end_time_local,raw"
    assert ",1,9,09:00,17:00," in given


@pytest.mark.parametrize(
    "raw",
    [
        b"17",
        b"[1, 2]",
        b"not json, at all",
        b'{"store_id": "caf\xe9"}',
        b"\x00\x01",
        b'{"store_id": true, "status": "active", "timestamp_utc": "2023-01-24 10:00:00 UTC"}',
        b'{"store_id": 1.5, "status": "active", "timestamp_utc": "2023-01-24 10:00:00 UTC"}',
        b'{"store_id": "a\\nb", "status": "active", "timestamp_utc": "2023-01-24 10:00:00 UTC"}',
        b'{"store_id": "a", "status": "\\ud800", "timestamp_utc": "2023-01-24 10:00:00 UTC"}',
    ],
)
def test_what_columns_cannot_say_stands_in_raw_and_is_not_accepted_unfixed(raw: bytes) -> None:
    loaded = read("polls", b"{}\n" + raw)
    given = to_fix(loaded)
    last = given.removesuffix(b"\n").split(b"\n")[-1].decode("utf-8", "surrogateescape")
    assert next(csv.reader([last]))[-1].encode("utf-8", "surrogateescape") == raw
    assert read("polls", given).files[0].accepted == 0


def test_a_row_over_several_lines_becomes_one_line() -> None:
    given = to_fix(read("polls", '[[1,\n 2,\r\n "x"]]')).decode()
    assert len(given.splitlines()) == 2
    assert given.endswith(',,,,"[1,  2,   ""x""]"\n')


ROWS = st.lists(st.fixed_dictionaries({"reason": st.text(max_size=20), "raw": st.binary(max_size=40)}), max_size=6)


@given(st.sampled_from(["polls", "hours", "timezones"]), ROWS)
def test_every_row_becomes_one_line_whatever_its_bytes(kind: Kind, rows: list[dict[str, Any]]) -> None:
    given = as_csv(rows, kind=kind, header=None)
    assert given.count(b"\n") == 1 + len(rows)
    assert b"\r" not in given
    again = read(kind, given)
    assert again.files[0].rows_read == len(rows)
    assert again.files[0].accepted == 0


# --- what the store keeps of it --------------------------------------------------------------------------


GOOD_LINE = json.dumps({"store_id": "1", "status": "active", "timestamp_utc": TIME}) + "\n"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """Return a store with a load of two files that have ten bad rows each and a good one, and a load of one."""
    database = connect(f"sqlite:///{tmp_path / 'store.db'}")
    bad = table("polls", *(f"{n},up;,{TIME}" for n in range(10)), f"1,active,{TIME}")
    names = [write(tmp_path / "a.csv", bad), write(tmp_path / "b.jsonl", "{}\n" * 10 + GOOD_LINE)]
    load_files(database, {"polls": names}, now=NOW)
    load_files(database, {"polls": names[:1]}, now=NOW)
    return database


def test_the_header_is_kept_with_the_file(database: Database) -> None:
    with database.reading() as connection:
        files = [file for load in list_loads(connection) for file in load.files]
    header = "store_id,status,timestamp_utc"
    assert [file.header for file in files] == [header, header, None]


def test_pages_put_together_are_the_whole_list(database: Database) -> None:
    with database.reading() as connection:
        everything = list_quarantine(connection, 1)
        for size in (1, 3, 10, 20, 50):
            pages, after = [], None
            while page := list_quarantine(connection, 1, after=after, limit=size):
                assert len(page) <= size
                pages += page
                after = (page[-1]["position"], page[-1]["line"])
            assert pages == everything
        assert [row["line"] for row in list_quarantine(connection, 1, file=1, after=(1, 8))] == [9, 10]
        assert len(list_quarantine(connection)) == 30
    assert [(row["position"], row["line"]) for row in everything] == [
        *((0, line) for line in range(2, 12)), *((1, line) for line in range(1, 11))
    ]  # fmt: skip


def test_the_quarantine_of_a_stored_file_is_fixed_and_loaded(database: Database) -> None:
    with database.reading() as connection:
        rows = list_quarantine(connection, 1, file=0)
    given = as_csv(rows, kind=rows[0]["kind"], header=rows[0]["header"])
    again = read("polls", given.replace(b",up;,", b",active,"))
    assert (again.files[0].accepted, again.files[0].quarantined) == (10, 0)
