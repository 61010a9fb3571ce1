"""Bad rows never stop a load and never vanish: each reason, with file, line and the row exactly as it was."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.fixtures import tables
from tests.fixtures.tables import content_of, read, read_files, table, write
from uphours.ingest.inputs import Kind

LONG = "x" * 256
#: Kind, the row, and words of the reason.
BAD_ROWS: list[tuple[Kind, str, str]] = [
    ("polls", "1,activ,2023-01-24 10:00:00 UTC", "unknown status 'activ'"),
    ("polls", "1,open,2023-01-24 10:00:00 UTC", "unknown status 'open'; valid are active (up, online, 1, true)"),
    ("polls", "1,2,2023-01-24 10:00:00 UTC", "unknown status '2'"),
    ("polls", "1,active,2023-01-24", "'2023-01-24' is a date alone and names no instant"),
    ("polls", "1,active,1.67438E+09", "is in scientific notation"),
    ("polls", "1,active,167438937", "'167438937' has not the length of Unix time; valid are 10 digits"),
    ("polls", "1,,2023-01-24 10:00:00 UTC", "missing status"),
    ("polls", "1,   ,2023-01-24 10:00:00 UTC", "missing status"),
    ("polls", '1,"",2023-01-24 10:00:00 UTC', "missing status"),
    ("polls", "1,active,soon", "unreadable timestamp_utc 'soon'"),
    ("polls", "1,active,", "missing timestamp_utc"),
    ("polls", '1,active,"  "', "missing timestamp_utc"),
    ("polls", "1,active,1999-12-31 23:59:59 UTC", "before the year 2000"),
    ("polls", "1,active,2023-02-02 00:00:00.000001 UTC", "more than 24 h in the future"),
    ("polls", ",active,2023-01-24 10:00:00 UTC", "missing store_id"),
    ("polls", "  ,active,2023-01-24 10:00:00 UTC", "missing store_id"),
    ("polls", ",,", "missing store_id"),
    ("polls", f"{LONG},active,2023-01-24 10:00:00 UTC", "store_id has 256 characters"),
    ("polls", "8.41954E+18,active,2023-01-24 10:00:00 UTC", "scientific notation"),
    ("polls", "8,41954E+18;active", "wrong number of fields"),
    ("polls", "a\x00b,active,2023-01-24 10:00:00 UTC", "control or invisible character inside"),
    ("polls", "a\u200bb,active,2023-01-24 10:00:00 UTC", "invisible character inside"),
    ("polls", "a\ufffd,active,2023-01-24 10:00:00 UTC", "U+FFFD"),
    ("polls", "1001.0,active,2023-01-24 10:00:00 UTC", "store_id 1001.0 is a decimal number"),
    ("polls", '"=""00123""",active,2023-01-24 10:00:00 UTC', "is a formula of a spreadsheet"),
    ("polls", '="00123",active,2023-01-24 10:00:00 UTC', "is a formula of a spreadsheet"),
    ("polls", "#N/A,active,2023-01-24 10:00:00 UTC", "is an error of a spreadsheet"),
    ("polls", "1,active", "wrong number of fields: 2 instead of 3"),
    ("polls", "1", "wrong number of fields: 1 instead of 3"),
    ("polls", "1,active,2023-01-24 10:00:00 UTC,x", "wrong number of fields: 4 instead of 3"),
    ("polls", '"1,active,2023-01-24 10:00:00 UTC', "not a CSV row"),
    ("polls", '"1"x,active,2023-01-24 10:00:00 UTC', "not a CSV row"),
    ("hours", "1,7,09:00,17:00", "day is 7 where other rows have day 0"),
    ("hours", "1,8,09:00,17:00", "unreadable day '8'"),
    ("hours", "1,-1,09:00,17:00", "unreadable day '-1'"),
    ("hours", "1,1.5,09:00,17:00", "unreadable day '1.5'"),
    ("hours", "1,Montag,09:00,17:00", "unreadable day 'Montag'"),
    ("hours", "1,١,09:00,17:00", "unreadable day '١'"),
    ("hours", "good,0,closed,closed", "closed on a day for which other rows give times"),
    ("hours", "1,0,closed,17:00", "start_time_local 'closed' stands beside a time; valid is closed for both"),
    ("hours", "1,0,09:00,Closed", "end_time_local 'Closed' stands beside a time"),
    ("hours", "1,0,closed,", "start_time_local 'closed' stands beside a time"),
    ("hours", "1,,09:00,17:00", "missing day"),
    ("hours", "1,0,,17:00", "missing start_time_local"),
    ("hours", "1,0,09:00,", "missing end_time_local"),
    ("hours", "1,0,24:00,17:00", "start_time_local '24:00' is on the next day; valid are starts before 24:00"),
    ("hours", "1,0,24:00,00:00", "start_time_local '24:00' is on the next day"),
    ("hours", "1,0,26:00,28:00", "start_time_local '26:00' is on the next day"),
    ("hours", "1,0,09:00,48:00:01", "unreadable end_time_local '48:00:01'"),
    ("hours", "1,0,13 am,17:00", "unreadable start_time_local '13 am'"),
    ("hours", "1,0,9,17", "start_time_local '9' may be hours or minutes; write 09:00 or 0900"),
    ("hours", "1,0,09:00:00+00:00,17:00", "start_time_local '09:00:00+00:00' has an offset from UTC"),
    ("hours", "1,0,09:00,17:00Z", "end_time_local '17:00Z' has an offset from UTC"),
    ("hours", "1,0,0.375,0.75", "start_time_local '0.375' is a part of a day, as spreadsheets store a time"),
    ("hours", "1,0,1899-12-30 09:00:00,17:00", "has a date"),
    ("hours", "1,0,09:60,17:00", "unreadable start_time_local '09:60'"),
    ("hours", "1,0,0960,17:00", "unreadable start_time_local '0960'"),
    ("hours", "1,0,-9:00,17:00", "unreadable start_time_local '-9:00'"),
    ("hours", ",0,09:00,17:00", "missing store_id"),
    ("hours", "1,0,09:00", "wrong number of fields: 3 instead of 4"),
    ("timezones", "1,Mars/Olympus", "unknown zone 'Mars/Olympus'"),
    ("timezones", "1,../../etc/passwd", "unknown zone '../../etc/passwd'"),
    ("timezones", "1,/etc/localtime", "unknown zone"),
    ("timezones", "1,America/New York", "unknown zone 'America/New York'"),
    ("timezones", "1,CEST", "zone 'CEST' is an abbreviation, not a place; it may mean Europe/Paris"),
    ("timezones", "1,EST", "it may mean America/New_York, or all year without summer time America/Panama"),
    ("timezones", "1,mst", "zone 'mst' is an abbreviation, not a place; it may mean America/Denver"),
    ("timezones", "1,Factory", "unknown zone 'Factory'"),
    ("timezones", "1,+01:00", "unknown zone"),
    ("timezones", "1,posixrules", "unknown zone"),
    ("timezones", "1,tzdata.zi", "unknown zone"),
    ("timezones", "1,", "missing timezone_str"),
    ("timezones", ",America/Chicago", "missing store_id"),
    ("timezones", "1", "wrong number of fields: 1 instead of 2"),
]
GOOD: dict[Kind, str] = {
    "polls": "good,active,2023-01-24 10:00:00 UTC",
    "hours": "good,0,09:00,17:00",
    "timezones": "good,America/Chicago",
}
NAMES = [f"{kind}: {row[:40]!r}" for kind, row, _ in BAD_ROWS]


@pytest.mark.parametrize(("kind", "row", "reason"), BAD_ROWS, ids=NAMES)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_bad_row_is_set_aside_with_its_line_its_text_and_the_reason(
    tmp_path: Path, kind: Kind, row: str, reason: str, ending: str
) -> None:
    content = table(kind, GOOD[kind], row, GOOD[kind]).replace("\n", ending)
    loaded = read(tmp_path, kind, content)
    (bad,) = loaded.quarantine
    assert (bad.file, bad.line, bad.raw) == (0, 3, row.encode())
    assert reason in bad.reason
    assert (loaded.files[0].rows_read, loaded.files[0].accepted, loaded.files[0].quarantined) == (3, 2, 1)
    assert content_of(loaded) == content_of(read(tmp_path, kind, table(kind, GOOD[kind], GOOD[kind])))


@pytest.mark.parametrize("kind", GOOD)
def test_a_store_that_only_bad_rows_name_has_unknown_hours_or_is_no_store(tmp_path: Path, kind: Kind) -> None:
    rows = [GOOD[kind], *(row for of, row, _ in BAD_ROWS if of == kind)]
    loaded = read(tmp_path, kind, table(kind, *rows))
    unknown = [] if kind == "polls" else ["1"]
    assert loaded.store_ids == ["good", *unknown]
    assert [loaded.store_ids[store] for stores in loaded.unusable.values() for store in stores] == unknown


@pytest.mark.parametrize("kind", GOOD)
def test_bad_rows_among_many_good_ones_are_found(tmp_path: Path, kind: Kind) -> None:
    bad = [row for of, row, _ in BAD_ROWS if of == kind]
    rows = [GOOD[kind]] * 3_000 + bad + [GOOD[kind]] * 3_000
    loaded = read(tmp_path, kind, table(kind, *rows))
    assert [(row.line, row.raw) for row in loaded.quarantine] == [
        (line, row.encode()) for line, row in enumerate(bad, 3_002)
    ]
    assert loaded.files[0].accepted == 6_000


@pytest.mark.parametrize(("kind", "row", "reason"), BAD_ROWS, ids=NAMES)
def test_one_bad_row_among_many_good_ones_is_found(tmp_path: Path, kind: Kind, row: str, reason: str) -> None:
    loaded = read(tmp_path, kind, table(kind, *[GOOD[kind]] * 3_000, row))
    assert [(bad.line, bad.raw) for bad in loaded.quarantine] == [(3_002, row.encode())]
    assert reason in loaded.quarantine[0].reason


def test_rows_that_are_not_utf_8_are_set_aside_alone(tmp_path: Path) -> None:
    latin_1 = "café,active,2023-01-24 10:00:00 UTC".encode("latin-1")
    content = tables.HEADERS["polls"].encode() + b"\n" + latin_1 + b"\n" + GOOD["polls"].encode() + b"\n"
    loaded = read(tmp_path, "polls", content)
    (bad,) = loaded.quarantine
    assert (bad.line, bad.raw) == (2, latin_1)
    assert "UTF-8" in bad.reason
    assert loaded.store_ids == ["good"]


@pytest.mark.parametrize(
    "store_id",
    [
        "x" * 255,
        "é" * 255,
        "=cmd()",
        "-1",
        "+1",
        "@x",
        "a b",
        "12e5",
        "e+5",
        "1.5",
        "00",
        "null",
        "NaN",
        "日本",
        "🏪",
        "a'b",
        "../x",
        "%s",
        "'; DROP TABLE stores; --",
    ],
)
def test_an_id_is_opaque_and_may_be_odd(tmp_path: Path, store_id: str) -> None:
    assert read(tmp_path, "polls", table("polls", f"{store_id},active,2023-01-24 10:00:00 UTC")).store_ids == [store_id]


def test_every_bad_row_of_several_files_is_kept_with_its_file(tmp_path: Path) -> None:
    kinds: list[Kind] = ["polls", "hours", "timezones"]
    names = {
        kind: [write(tmp_path / kind, table(kind, GOOD[kind], *(row for of, row, _ in BAD_ROWS if of == kind)))]
        for kind in kinds
    }
    loaded = read_files(names)
    assert sum(file.accepted for file in loaded.files) == 3
    expected = [
        (kinds.index(kind), row.encode()) for kind in kinds for row in (row for of, row, _ in BAD_ROWS if of == kind)
    ]
    assert [(row.file, row.raw) for row in loaded.quarantine] == expected
    for position, kind in enumerate(kinds):
        lines = [row.line for row in loaded.quarantine if row.file == position]
        assert lines == list(range(3, 3 + sum(of == kind for of, _, _ in BAD_ROWS)))


def test_a_reason_shows_the_value_and_never_all_of_an_endless_one(tmp_path: Path) -> None:
    loaded = read(tmp_path, "polls", table("polls", f"1,{'y' * 100_000},x", "1,a\tb\x07c,x"))
    assert all(len(row.reason) < 300 for row in loaded.quarantine)
    assert "\x07" not in loaded.quarantine[1].reason
    assert loaded.quarantine[0].raw == f"1,{'y' * 4_094}".encode()


def test_the_same_bad_rows_are_found_in_every_format(tmp_path: Path) -> None:
    rows = [("1", "activ", "2023-01-24 10:00:00 UTC"), ("", "active", "soon"), ("3", "active", "soon")]
    frame = pl.DataFrame(rows, schema=["store_id", "status", "timestamp_utc"], orient="row")
    frame.write_csv(tmp_path / "rows.csv")
    frame.write_ndjson(tmp_path / "rows.jsonl")
    frame.write_parquet(tmp_path / "rows.parquet")
    reasons = [
        [row.reason for row in read_files({"polls": [str(path)]}).quarantine]
        for path in (tmp_path / "rows.csv", tmp_path / "rows.jsonl", tmp_path / "rows.parquet")
    ]
    assert reasons[0] == reasons[1] == reasons[2]
    assert len(reasons[0]) == 3


def test_two_zones_and_repeated_hours_are_counted(tmp_path: Path) -> None:
    zones = read(tmp_path, "timezones", table("timezones", "1,Asia/Tokyo", "1,Asia/Kolkata", "1,Asia/Tokyo"))
    assert tables.zones_of(zones) == {"1": "Asia/Kolkata"}
    assert (zones.repeated, zones.conflicting) == (1, 1)
    hours = read(tmp_path, "hours", table("hours", "1,0,09:00,17:00", "1,0,09:00:00,17:00:00.000"))
    assert (hours.repeated, hours.conflicting) == (1, 0)
