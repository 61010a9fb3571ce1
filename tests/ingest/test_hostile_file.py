"""One file with everything in it that has broken such programs: what is good gets in, the rest does no harm."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.fixtures import tables
from tests.fixtures.tables import polls_of, read
from uphours.database.database import connect
from uphours.database.loads import list_stores
from uphours.database.rejected_rows import list_quarantine
from uphours.ingest.load import load_files
from uphours.ingest.memory_fleet import memory_fleet
from uphours.kernel.windows import DEFAULT_WINDOWS
from uphours.reports.measure import run_report
from uphours.reports.writers import written

pytestmark = pytest.mark.anywhere

TIME = b"2023-01-24 10:00:00 UTC"
GOOD = [
    b"=cmd(),active," + TIME,
    b'"=HYPERLINK(""http://x"",""y"")",active,' + TIME,
    b"+1,active," + TIME,
    b"-2+3,active," + TIME,
    b"@SUM(1),active," + TIME,
    b'"Main St, 5",active,' + TIME,
    b'"the ""Corner""",active,' + TIME,
    "café 🏪".encode() + b",active," + TIME,
    b"'; DROP TABLE stores; --,inactive," + TIME,
    b"<script>alert(1)</script>,inactive," + TIME,
    b"../../etc/passwd,inactive," + TIME,
    b"%n%s{0}${x},inactive," + TIME,
]
ENDLESS = b"z" * 10_000_000
BAD = [
    b"1,activ," + TIME,
    b"1,active,soon",
    b"1,active,",
    b"1,active,1999-01-01 00:00:00 UTC",
    b"1,active,2999-01-01 00:00:00 UTC",
    b",active," + TIME,
    b"x" * 256 + b",active," + TIME,
    b"8.41954E+18,active," + TIME,
    b"1,active",
    b"1,active," + TIME + b",more",
    b"nul\x00inside,active," + TIME,
    b"\x00\x00\x00\x00",
    b"\x00," * 2 + b"\x00",
    "latin é".encode("latin-1") + b",active," + TIME,
    b"\xff\xfe\xfa",
    b'"never closed,active,' + TIME,
    b'never closed either,active,"' + TIME,
    b'"a"b,active,' + TIME,
    b'"',
    b'""",active,' + TIME,
    ENDLESS + b",active," + TIME,
    b"1," + ENDLESS + b"," + TIME,
    b"1,active," + ENDLESS,
    b'"' + ENDLESS + b",active," + TIME,
    b"," * 100_000,
    b"esc\x1b[31m,active," + TIME,
    b"1,active,2023-01-24 10:00:00 UTC\r2,active,2023-01-24 10:00:00 UTC",
]


def mixed() -> list[bytes]:
    """Return good and bad rows by turns."""
    rows = []
    for place, bad in enumerate(BAD):
        rows += [bad, *GOOD[place : place + 1]]
    return rows


#: What is kept of the bad rows: their first 4 kB.
CUT = [row[:4096] for row in BAD]


@pytest.fixture(scope="module")
def hostile() -> bytes:
    return b"\n".join([tables.HEADERS["polls"].encode(), *mixed()])


def test_good_rows_get_in_and_bad_ones_are_kept_as_they_were(tmp_path: Path, hostile: bytes) -> None:
    loaded = read(tmp_path, "polls", hostile)
    rows = mixed()
    assert [row.raw for row in loaded.quarantine] == CUT
    assert [row.line for row in loaded.quarantine] == [2 + place for place, row in enumerate(rows) if row in BAD]
    assert loaded.files[0].rows_read == len(rows)
    assert [row[0] for row in polls_of(loaded)] == sorted(next(csv.reader([row.decode()]))[0] for row in GOOD)
    assert all(len(row.reason) < 400 for row in loaded.quarantine)


def test_the_hostile_file_is_stored_and_listed_and_can_be_loaded_again(tmp_path: Path, hostile: bytes) -> None:
    database = connect(f"sqlite:///{tmp_path / 'store.db'}")
    name = tables.write(tmp_path / "hostile.csv", hostile)
    for _ in range(2):
        load_files(database, {"polls": [name]}, now=tables.NOW)
    with database.reading() as connection:
        observed = [row for row in list_stores(connection) if row["first_observed_at"]]
        assert len(observed) == len(GOOD)
        assert [row["raw"] for row in list_quarantine(connection, 2)] == CUT


def test_no_cell_of_the_report_is_a_formula(tmp_path: Path, hostile: bytes) -> None:
    fleet = memory_fleet(read(tmp_path, "polls", hostile))
    report = run_report(fleet, chosen=DEFAULT_WINDOWS)
    rows = list(csv.reader(io.StringIO(written(report, "csv", detail=True).decode())))
    assert len(rows) == 1 + len(GOOD)
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t"))]
    assert "'=cmd()" in [row[0] for row in rows]


def test_hostile_zones_and_hours_reach_no_file_and_no_store(tmp_path: Path) -> None:
    zones = [
        b"1,../../etc/passwd",
        b"2,/etc/passwd",
        b"3,America/../../../etc/hosts",
        b"4,America/Chicago\x00.py",
        b"5," + ENDLESS,
        b"6,America",
        b"7,zone.tab",
        b"8,__init__.py",
        b"9," + b"\xff" * 10,
        b"10,America\\Chicago",
        b"11,.",
    ]
    loaded = read(tmp_path, "timezones", b"store_id,timezone_str\n" + b"\n".join(zones))
    assert [row.raw for row in loaded.quarantine] == [row[:4096] for row in zones]
    hours = [
        b"1,0," + b"9" * 1000 + b":00,17:00",
        b"1,99999999999999999999,09:00,17:00",
        b"1,0,\xd9\xa1\xd9\xa2:00,17:00",
        b"1,0,09:00:00:00,17:00",
        b"1,0,09:00,17:00:00.99.99",
        b"1,0,:,17:00",
        b"1,0,09\x00:00,17:00",
    ]
    header = tables.HEADERS["hours"].encode() + b"\n"
    assert [row.raw for row in read(tmp_path, "hours", header + b"\n".join(hours)).quarantine] == hours
