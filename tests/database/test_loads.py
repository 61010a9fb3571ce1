"""What a load leaves behind: once or twice the same, a later one over an earlier one, and a record of each."""

from __future__ import annotations

import itertools
import random
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.fixtures import tables
from tests.fixtures.databases import dump, url_in
from tests.fixtures.tables import HOURS, NOW, POLLS, TIMEZONES, table
from uphours import __version__
from uphours.database.database import Database, connect
from uphours.database.loads import list_loads, list_stores
from uphours.database.rejected_rows import list_quarantine
from uphours.errors import DatabaseError, NotFoundError, RejectedError
from uphours.ingest.load import read_files
from uphours.load_record import Load
from uphours.reports.measure import run_report
from uphours.reports.writers import written
from uphours.schema import DAY_US, instant_text


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return connect(url_in(tmp_path, "store.db"))


def everything(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Return all that a report could see, with ids as text."""
    queries = {
        "polls": "SELECT store_id, observed_at, status FROM observations JOIN stores USING (store)",
        "hours": "SELECT store_id, day, start_local_us, end_local_us FROM business_hours JOIN stores USING (store)",
        "zones": "SELECT store_id, timezone FROM timezones JOIN stores USING (store)",
    }
    with database.reading() as connection:
        return {
            name: sorted(tuple(row) for row in connection.exec_driver_sql(query)) for name, query in queries.items()
        }


def report(database: Database) -> bytes:
    with database.snapshot() as fleet:
        return written(run_report(fleet), "json")


def counts(record: Load) -> tuple[int, int, int, int, int]:
    return record.rows_read, record.accepted, record.repeated, record.conflicting, record.quarantined


def test_loading_twice_changes_nothing_and_says_so(database: Database, tmp_path: Path) -> None:
    contents = {"polls": POLLS, "hours": HOURS, "timezones": TIMEZONES}
    first = tables.load(database, tmp_path, **contents)
    before, report_before = everything(database), report(database)
    second = tables.load(database, tmp_path, **contents)
    assert everything(database) == before
    assert report(database) == report_before
    assert counts(first) == (8, 8, 0, 0, 0)
    assert (second.rows_read, second.accepted, second.conflicting) == (8, 8, 0)
    assert second.repeated >= 3  # the polls at least: they were there already


def test_repeated_rows_are_counted_within_a_load_and_against_the_store(database: Database, tmp_path: Path) -> None:
    one, two = "1,active,2023-01-24 10:00:00 UTC", "1,active,2023-01-24 11:00:00 UTC"
    assert counts(tables.load(database, tmp_path, polls=table("polls", one, one, one))) == (3, 3, 2, 0, 0)
    assert counts(tables.load(database, tmp_path, polls=table("polls", one, two, one))) == (3, 3, 2, 0, 0)
    assert len(everything(database)["polls"]) == 2


def test_inactive_wins_within_a_load_in_whatever_order(database: Database, tmp_path: Path) -> None:
    rows = [f"1,{status},2023-01-24 10:00:00 UTC" for status in ("active", "inactive", "active")]
    for place, order in enumerate(itertools.permutations(rows)):
        record = tables.load(connect(url_in(tmp_path, f"{place}.db")), tmp_path, polls=table("polls", *order))
        assert counts(record) == (3, 3, 0, 2, 0)
        fleet = connect(url_in(tmp_path, f"{place}.db"))
        assert [row[2] for row in everything(fleet)["polls"]] == [0]


@pytest.mark.parametrize(("earlier", "later"), [("active", "inactive"), ("inactive", "active")])
def test_a_later_load_replaces_a_status(database: Database, tmp_path: Path, earlier: str, later: str) -> None:
    for status in (earlier, later):
        record = tables.load(database, tmp_path, polls=table("polls", f"1,{status},2023-01-24 10:00:00 UTC"))
    assert counts(record) == (1, 1, 0, 1, 0)
    assert [row[2] for row in everything(database)["polls"]] == [int(later == "active")]


def test_a_later_load_replaces_adds_and_repeats_in_one(database: Database, tmp_path: Path) -> None:
    def rows(hours: range, status: str) -> list[str]:
        return [f"{database},{status},2023-01-24 {hour:02}:00:00 UTC" for database in range(40) for hour in hours]

    tables.load(database, tmp_path, polls=table("polls", *rows(range(15), "active")))
    mixed = [*rows(range(5), "active"), *rows(range(5, 15), "inactive"), *rows(range(15, 20), "active")]
    record = tables.load(database, tmp_path, polls=table("polls", *mixed))
    assert counts(record) == (800, 800, 200, 400, 0)
    found = everything(database)["polls"]
    assert len(found) == 800
    assert sum(row[2] == 0 for row in found) == 400


def test_loads_in_two_parts_are_one_load(database: Database, tmp_path: Path) -> None:
    rows = POLLS.splitlines()[1:]
    for row in reversed(rows):
        tables.load(database, tmp_path, polls=table("polls", row))
    tables.load(database, tmp_path, timezones=TIMEZONES)
    tables.load(database, tmp_path, hours=HOURS)
    whole = connect(url_in(tmp_path, "whole.db"))
    tables.load(whole, tmp_path, polls=POLLS, hours=HOURS, timezones=TIMEZONES)
    assert everything(database) == everything(whole)
    assert report(database) == report(whole)


def test_hours_replace_the_whole_week_of_the_stores_in_the_file_alone(database: Database, tmp_path: Path) -> None:
    tables.load(database, tmp_path, hours=HOURS)
    tables.load(database, tmp_path, hours=table("hours", "1,6,10:00,11:00", "3,0,08:00,09:00"))
    hour = 3_600_000_000
    assert everything(database)["hours"] == [
        ("1", 6, 10 * hour, 11 * hour),
        ("2", 2, 0, 24 * hour - 1_000_000),
        ("3", 0, 8 * hour, 9 * hour),
    ]


def test_bad_hours_alone_take_no_week_away(database: Database, tmp_path: Path) -> None:
    tables.load(database, tmp_path, hours=HOURS)
    before = everything(database)
    with pytest.raises(RejectedError):
        tables.load(database, tmp_path, hours=table("hours", "1,9,10:00,11:00"))
    assert everything(database) == before
    tables.load(database, tmp_path, hours=table("hours", "1,9,10:00,11:00", HOURS.splitlines()[-1]))
    assert everything(database) == before


def test_a_load_without_hours_leaves_them_alone(database: Database, tmp_path: Path) -> None:
    tables.load(database, tmp_path, hours=HOURS, timezones=TIMEZONES)
    before = everything(database)
    tables.load(database, tmp_path, polls=POLLS)
    assert everything(database) == before | {"polls": everything(database)["polls"]}


def test_hours_of_many_stores_are_replaced(database: Database, tmp_path: Path) -> None:
    def week(opens: str) -> str:
        return table("hours", *(f"{database},{day},{opens},20:00" for database in range(1_200) for day in (0, 3)))

    tables.load(database, tmp_path, hours=week("09:00"))
    tables.load(database, tmp_path, hours=week("10:00"))
    found = everything(database)["hours"]
    assert len(found) == 2_400
    assert {row[2] for row in found} == {36_000_000_000}


def test_a_later_zone_replaces_an_earlier_one(database: Database, tmp_path: Path) -> None:
    tables.load(database, tmp_path, timezones=TIMEZONES)
    tables.load(database, tmp_path, timezones=table("timezones", "2,Europe/Berlin", "3,Asia/Tokyo"))
    assert everything(database)["zones"] == [("1", "America/New_York"), ("2", "Europe/Berlin"), ("3", "Asia/Tokyo")]


def test_of_two_zones_in_one_load_the_first_by_name_counts_in_whatever_order(
    database: Database, tmp_path: Path
) -> None:
    rows = ["1,Asia/Tokyo", "1,America/Lima", "1,Europe/Berlin"]
    for order in itertools.permutations(rows):
        record = tables.load(database, tmp_path, timezones=table("timezones", *order))
        assert everything(database)["zones"] == [("1", "America/Lima")]
        assert record.conflicting == 2


def test_a_store_without_a_zone_or_hours_is_known_by_its_polls(database: Database, tmp_path: Path) -> None:
    tables.load(database, tmp_path, polls=POLLS, timezones=table("timezones", "1,Asia/Tokyo"))
    with database.snapshot() as fleet:
        zones = [fleet.schedule.zone_names[code] for code in fleet.schedule.zones]
        assert dict(zip(fleet.store_ids, zones, strict=True)) == {"1": "Asia/Tokyo", "2": "America/Chicago"}
        assert not len(fleet.schedule.stores)


# --- records ---------------------------------------------------------------------------------------------


def test_the_record_of_a_load_says_what_came_from_where(database: Database, tmp_path: Path) -> None:
    polls = POLLS + "9,activ,2023-01-24 10:00:00 UTC\n"
    record = tables.load(database, tmp_path, polls=polls, hours=HOURS)
    assert (record.load, record.started_at, record.version) == (1, NOW, __version__)
    assert counts(record) == (7, 6, 0, 0, 1)
    assert record.first_observed_at == 1_674_554_400_000_000
    assert record.last_observed_at == 1_674_659_045_123_456
    assert [(file.kind, file.rows_read, file.accepted, file.quarantined) for file in record.files] == [
        ("polls", 4, 3, 1),
        ("hours", 3, 3, 0),
    ]
    assert [file.bytes for file in record.files] == [len(polls), len(HOURS)]
    with database.reading() as connection:
        assert list_loads(connection) == [record]


def test_loads_are_listed_the_newest_first(database: Database, tmp_path: Path) -> None:
    for _ in range(3):
        tables.load(database, tmp_path, polls=POLLS)
    with database.reading() as connection:
        assert [record.load for record in list_loads(connection)] == [3, 2, 1]


def test_a_load_without_polls_observed_nothing(database: Database, tmp_path: Path) -> None:
    record = tables.load(database, tmp_path, hours=HOURS)
    assert (record.first_observed_at, record.last_observed_at) == (None, None)


def test_quarantined_rows_are_listed_by_load_in_order(database: Database, tmp_path: Path) -> None:
    bad = table("polls", "1,activ,x", "2,active,y", POLLS.splitlines()[-1])
    for _ in range(2):
        tables.load(database, tmp_path, polls=bad, timezones=table("timezones", "1,Nowhere", "2,UTC"))
    with database.reading() as connection:
        rows = list_quarantine(connection)
        second = list_quarantine(connection, 2)
        with pytest.raises(NotFoundError, match="there is no load '3'"):
            list_quarantine(connection, 3)
    assert [(row["load"], row["kind"], row["line"], row["raw"]) for row in rows] == [
        (load, kind, line, raw)
        for load in (1, 2)
        for kind, line, raw in (
            ("polls", 2, b"1,activ,x"),
            ("polls", 3, b"2,active,y"),
            ("timezones", 2, b"1,Nowhere"),
        )
    ]
    assert second == rows[3:]
    assert all(row["reason"] and row["file"].endswith(".csv") for row in rows)


def test_stores_are_listed_with_what_is_known_of_them(database: Database, tmp_path: Path) -> None:
    tables.load(database, tmp_path, polls=POLLS, hours=HOURS, timezones=table("timezones", "1,Asia/Tokyo", "0,UTC"))
    with database.reading() as connection:
        rows = list_stores(connection)
    assert [tuple(row.values())[:3] for row in rows] == [("0", "UTC", 0), ("1", "Asia/Tokyo", 2), ("2", None, 1)]
    assert [row["first_observed_at"] for row in rows] == [None, 1_674_554_400_000_000, 1_674_659_045_123_456]
    assert [row["last_observed_at"] for row in rows] == [None, 1_674_649_800_250_000, 1_674_659_045_123_456]


def test_a_load_that_fails_at_its_end_leaves_nothing(database: Database, tmp_path: Path) -> None:
    tables.load(database, tmp_path, polls=POLLS)
    before = dump(database)
    content = table("polls", "7,active,2023-01-24 10:00:00 UTC", "8,activ,x")
    loaded = tables.read(tmp_path, "polls", content)
    with pytest.raises(DatabaseError, match=re.escape(database.described)):  # the same line cannot be set aside twice
        database.write(replace(loaded, quarantine=[*loaded.quarantine, *loaded.quarantine]))
    assert dump(database) == before
    assert counts(database.write(loaded)) == (2, 1, 0, 0, 1)


def test_new_stores_get_numbers_in_order_of_id_whatever_the_order_of_rows(
    database: Database, tmp_path: Path, seed: int
) -> None:
    ids = [str(number) for number in np.random.default_rng(seed).permutation(700)]
    rows = [f"{store_id},active,2023-01-24 10:00:00 UTC" for store_id in ids]
    tables.load(database, tmp_path, polls=table("polls", *rows))
    with database.reading() as connection:
        numbered = connection.exec_driver_sql("SELECT store_id FROM stores ORDER BY store").scalars().all()
    assert numbered == sorted(ids)


def test_ids_that_differ_in_anything_are_different_stores(database: Database, tmp_path: Path) -> None:
    ids = ["7", "07", "a", "A", "é", "e\u0301", "7.5"]
    rows = [f"{store_id},active,2023-01-24 10:00:00 UTC" for store_id in ids]
    tables.load(database, tmp_path, polls=table("polls", *rows))
    with database.snapshot() as fleet:
        assert sorted(fleet.store_ids) == sorted(ids)


def test_nothing_but_the_clock_tells_two_loads_of_the_same_files_apart(database: Database, tmp_path: Path) -> None:
    names = {"polls": [tables.write(tmp_path / "p.csv", POLLS)]}
    earlier = read_files(names, now=NOW)  # type: ignore[arg-type]
    later = read_files(names, now=NOW + 1)  # type: ignore[arg-type]
    assert earlier.files == later.files
    assert database.write(later).started_at == NOW + 1


@pytest.mark.engines("postgresql")
@pytest.mark.parametrize("large", [1, 40, 100_000], ids=["all are large", "some are large", "none is large"])
def test_a_large_load_leaves_and_counts_what_a_small_one_does(
    tmp_path: Path, large: int, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("uphours.database.dialects.postgresql._LARGE", large)
    chance = random.Random(seed)
    store, other = connect(url_in(tmp_path, "store.db")), connect(f"sqlite:///{tmp_path / 'other.db'}")
    for size in (60, 30, 80, 5, 70):
        rows = (
            f"s{chance.randrange(9)},{chance.choice(['active', 'inactive'])},"
            f"{instant_text(NOW - chance.randrange(400) * DAY_US)}"
            for _ in range(size)
        )
        polls = table("polls", *rows)
        made, expected = (tables.load(one, tmp_path, polls=polls) for one in (store, other))
        assert counts(made) == counts(expected)
        assert everything(store) == everything(other)
