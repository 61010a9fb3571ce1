"""A process that writes and reads the store shares it with other processes as any two processes do.

SQLite keeps other processes away by locks on the file that belong to the whole process: whatever closes the file
anywhere in the process, be it a second SQLite library, drops them all.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.fixtures import tables
from tests.fixtures.commands import start
from tests.fixtures.databases import only_sqlite, path_of, url_in
from uphours.database.database import connect
from uphours.database.loads import list_loads

pytestmark = only_sqlite

WRITE = """\
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0.1, isolation_level=None)
try:
    connection.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    sys.exit(str(error))
"""


def test_a_report_in_a_process_that_loads_lets_no_other_writer_in(tmp_path: Path) -> None:
    database = connect(url_in(tmp_path, "store.db"))
    tables.load(database, tmp_path, polls=tables.POLLS)

    def other_writer() -> str:
        words = [sys.executable, "-c", WRITE, str(path_of(database))]
        return subprocess.run(words, capture_output=True, check=False).stderr.decode().strip()

    with database.engine.writing() as connection:
        connection.exec_driver_sql("UPDATE timezones SET timezone = 'UTC'")
        assert other_writer() == "database is locked"
        with database.snapshot() as fleet:
            fleet.observations(0, tables.NOW, tables.NOW)
        assert other_writer() == "database is locked"
    assert other_writer() == ""


def test_a_process_that_loads_and_reports_goes_on_after_the_load_of_another(tmp_path: Path) -> None:
    database = connect(url_in(tmp_path))
    rows = [
        f"{shop},active,2023-01-2{day} {hour:02}:00:00 UTC"
        for shop in range(3_000)
        for day in (3, 4)
        for hour in range(9)
    ]
    tables.write(tmp_path / "many.csv", tables.table("polls", *rows))
    for number in range(3):
        tables.load(database, tmp_path, polls=tables.POLLS)
        with database.snapshot() as fleet:
            fleet.observations(0, tables.NOW, tables.NOW)
        if number == 0:
            assert start(tmp_path, "load", "--polls", "many.csv").returncode == 0
        with database.snapshot() as fleet:
            assert len(fleet.observations(0, tables.NOW, tables.NOW).times) == len(rows) + 2 + 1
        with database.reading() as connection:
            assert len(list_loads(connection)) == number + 2
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
