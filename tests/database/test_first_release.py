"""A store that the first release wrote: it is brought up to date, and says what it said."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.fixtures.databases import check_whole, dump, only_sqlite, opened
from tests.fixtures.tables import HERE, NOW, write
from uphours.database.database import Database, connect
from uphours.database.loads import list_loads, list_stores
from uphours.database.migrate import SCHEMA_VERSION
from uphours.database.rejected_rows import list_quarantine
from uphours.ingest.inputs import Kind
from uphours.ingest.load import load_files
from uphours.reports.measure import run_report
from uphours.reports.writers import written

pytestmark = only_sqlite  # it had no other engine

#: What was loaded into it: these files in a first load, then one with odd rows.
FILES: dict[Kind, list[str]] = {
    kind: [str(HERE / "v1_2023" / f"{kind}.csv")] for kind in ("polls", "hours", "timezones")
}
ODD = """\
store_id,status,timestamp_utc
8419537941919820732,activ,2023-01-25 10:00:00 UTC
,active,2023-01-25 10:00:00 UTC
8419537941919820732,inactive,2023-01-22 12:09:39.388884 UTC
new,active,2023-01-25 10:00:00 UTC
"""


@pytest.fixture
def old(tmp_path: Path) -> Database:
    """The store as `uphours` 0.1.0 left it."""
    path = tmp_path / "old.db"
    path.write_bytes(gzip.decompress((HERE / "store_of_0.1.0.db.gz").read_bytes()))
    return connect(f"sqlite:///{path}")


@pytest.fixture
def new(tmp_path: Path) -> Database:
    """A store into which the same files were loaded now."""
    database = connect(f"sqlite:///{tmp_path / 'new.db'}")
    load_files(database, FILES, now=NOW)
    load_files(database, {"polls": [write(tmp_path / "odd.csv", ODD)]}, now=NOW)
    return database


def reports(database: Database) -> list[bytes]:
    windows = ("last_hour", "last_day", "last_week", "previous_week", "this_month")
    with database.snapshot() as fleet:
        made = run_report(fleet, chosen=windows, all_stores=True)
        usual = run_report(fleet)
    return [written(usual, "csv"), written(made, "csv", detail=True), written(made, "json"), written(made, "parquet")]


def test_its_reports_are_byte_for_byte_those_of_the_same_files_loaded_now(old: Database, new: Database) -> None:
    with opened(old) as database:
        assert database.execute("SELECT version_num FROM alembic_version") == [("0001",)]
    assert reports(old) == reports(new)
    with opened(old) as database:
        assert database.execute("SELECT version_num FROM alembic_version") == [(SCHEMA_VERSION,)]
    check_whole(old)


def test_its_stores_loads_and_quarantine_are_listed_as_those_of_the_same_files_loaded_now(
    old: Database, new: Database
) -> None:
    when = ("started_at", "version")  # of the loads, which were made at another time
    not_kept = ("header", "file", "name")  # then; and the names say where the files lay
    with old.reading() as first, new.reading() as now:
        assert list_stores(first) == list_stores(now)
        found, expected = ([load.facts() for load in list_loads(one)] for one in (first, now))
        assert [load["version"] for load in found] == ["0.1.0", "0.1.0"]
        assert {load["summary"] for load in found} == {None}  # it was not noted then
        for load in (*found, *expected):
            for name in (*when, "summary"):
                del load[name]
            load["files"] = [{key: file[key] for key in file if key not in not_kept} for file in load["files"]]
        assert found == expected
        set_aside, wanted = (
            [
                # What is valid instead was less then.
                {key: row[key] for key in row if key not in not_kept} | {"reason": row["reason"].split(";")[0]}
                for row in list_quarantine(one)
            ]
            for one in (first, now)
        )
    assert [row["line"] for row in set_aside] == [2, 3]
    assert set_aside == wanted


def test_after_it_is_brought_up_to_date_it_is_loaded_into_like_any_other(
    old: Database, new: Database, tmp_path: Path
) -> None:
    later = {"polls": [write(tmp_path / "later.csv", ODD.replace("2023-01-25 10", "2023-01-25 11"))]}
    for store in (old, new):
        assert load_files(store, later, now=NOW).load == 3  # type: ignore[arg-type]
    assert reports(old) == reports(new)
    for table in ("stores", "observations", "locks"):
        assert dump(old)[table] == dump(new)[table]
    for table in ("business_hours", "timezones"):  # which load brought a row was not noted then
        assert {row[-1] for row in dump(old)[table]} == {None}
        assert [row[:-1] for row in dump(old)[table]] == [row[:-1] for row in dump(new)[table]]
