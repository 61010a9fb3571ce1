"""A fleet read from the store gives what the same fleet gives from memory, and reads no more than it needs."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures import tables
from tests.fixtures.databases import only_sqlite, opened, path_of, url_in
from tests.fixtures.tables import observations_of
from uphours import demo
from uphours.database.database import Database, connect
from uphours.database.dialects import sqlite
from uphours.database.dialects.dialect import ALL_STORES, Numbers, query
from uphours.errors import NotFoundError
from uphours.ingest.inputs import Kind
from uphours.ingest.load import read_files
from uphours.ingest.memory_fleet import memory_fleet
from uphours.kernel.policy import Policy
from uphours.kernel.windows import WINDOW_NAMES, Window
from uphours.load_record import Loaded
from uphours.reports.measure import run_report
from uphours.reports.writers import written
from uphours.schema import DAY_US, HOUR_US, SECOND_US, Fleet, instant_us

AS_OF = demo.AS_OF
KINDS: tuple[Kind, ...] = ("polls", "hours", "timezones")
STALE = "stale"
LATE = "late"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """A made-up fleet, with one store not seen for months, one seen only at the end, and one never."""
    folder = tmp_path_factory.mktemp("fleet")
    demo.write_files(folder, pl.Series([str(1001 + store) for store in range(40)]), days=20)
    with (folder / "polls.csv").open("a", encoding="utf-8") as polls:
        polls.write(f"{STALE},inactive,2022-10-01 12:00:00 UTC\n{LATE},active,2023-01-25 18:13:22.47922 UTC\n")
    with (folder / "timezones.csv").open("a", encoding="utf-8") as zones:
        zones.write("never,Australia/Lord_Howe\n")
    return read_files({kind: [str(folder / f"{kind}.csv")] for kind in KINDS}, now=tables.NOW)


@pytest.fixture(scope="module")
def database(engine: str, loaded: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Database:
    made = connect(url_in(tmp_path_factory.mktemp("store"), "store.db"))
    made.write(loaded)
    return made


OLD = Window("old", "2023-01-08T00:00:00Z", "2023-01-09T12:00:00Z")
ANCIENT = Window("ancient", "2022-01-01T00:00:00Z", "2022-02-01T00:00:00Z")
COMING = Window("coming", "2023-01-25T00:00:00Z", "2023-01-27T00:00:00Z")
FUTURE = Window("future", "2023-06-01T00:00:00Z", "2023-06-02T00:00:00Z")
CHOICES: dict[str, Sequence[str | Window]] = {
    "usual": ("last_hour", "last_day", "last_week"),
    "all": WINDOW_NAMES,
    "old": (OLD,),
    "ancient": (ANCIENT,),
    "coming": (COMING,),
    "future": (FUTURE,),
    "mixed": (ANCIENT, "last_hour", OLD),
    "month": ("previous_month", "this_month"),
}
INSTANTS = {
    "default": None,
    "the end": AS_OF,
    "a microsecond before": AS_OF - 1,
    "in the collector's gap": AS_OF - 40 * HOUR_US,
    "mid-history": AS_OF - 9 * DAY_US,
    "before most": instant_us("2023-01-06 00:00:00 UTC"),
    "before all": instant_us("2022-01-15 00:00:00 UTC"),
    "long after": AS_OF + 400 * DAY_US,
}


def check_both_ways(
    database: Database, loaded: Loaded, store_ids: Sequence[str] | None, as_of: str, choice: str, *, all_stores: bool
) -> None:
    """Compare the same report in exact form, from memory and from the store."""
    policy = Policy(interpolation="nearest")

    def report(fleet: Fleet) -> bytes:
        made = run_report(fleet, as_of=INSTANTS[as_of], chosen=CHOICES[choice], policy=policy, all_stores=all_stores)
        return written(made, "json")

    with database.snapshot(store_ids) as snapshot:
        assert report(snapshot) == report(memory_fleet(loaded).of(store_ids)), (store_ids, as_of, choice, all_stores)


@pytest.mark.parametrize("choice", CHOICES)
def test_a_report_from_the_store_is_the_report_from_memory(database: Database, loaded: Loaded, choice: str) -> None:
    for as_of in INSTANTS:
        for all_stores in (False, True):
            check_both_ways(database, loaded, None, as_of, choice, all_stores=all_stores)


SELECTIONS = {
    "one": ["1007"],
    "some, in no order, one twice": ["1031", "1002", "1015", "1002", STALE],
    "the stale one": [STALE],
    "one never seen": ["never"],
    "a late one": [LATE],
}


@only_sqlite
def test_a_large_fleet_is_read_through_two_connections(
    database: Database, loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Numbers] = []
    monkeypatch.setattr(sqlite, "_STORES_AT_ONCE", 10)

    def noted(engine: str, name: str, stores: Numbers) -> str:
        asked.append(stores)
        return query(engine, name, stores)

    monkeypatch.setattr(sqlite, "query", noted)
    for choice in CHOICES:
        check_both_ways(database, loaded, None, "default", choice, all_stores=True)
    parts = {(some.start, some.stop) for some in asked if isinstance(some, range) and some != ALL_STORES}
    assert parts == {(0, 10), (10, 20), (20, 21), (21, 31), (31, 41), (41, 44)}


@only_sqlite
def test_what_is_committed_between_the_two_connections_is_not_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_STORES_AT_ONCE", 1)
    database = connect(url_in(tmp_path, "store.db"))
    database.write(read_polls(tmp_path, "1,active,2023-01-24 10:00:00 UTC", "2,active,2023-01-24 10:00:00 UTC"))
    with database.snapshot() as before:
        before.latest_load()  # the snapshot is taken at the first look
        database.write(read_polls(tmp_path, "2,inactive,2023-01-24 11:00:00 UTC", "3,active,2023-01-24 11:00:00 UTC"))
        assert [len(of) for of in observations_of(before, 0, AS_OF, AS_OF).values()] == [1, 1]
    with database.snapshot() as after:
        assert [len(of) for of in observations_of(after, 0, AS_OF, AS_OF).values()] == [1, 2, 1]


def read_polls(folder: Path, *rows: str) -> Loaded:
    return tables.read(folder, "polls", tables.table("polls", *rows))


@pytest.mark.parametrize("choice", ["usual", "all", "old"])
def test_a_report_of_some_stores_is_the_same_from_the_store_and_from_memory(
    database: Database, loaded: Loaded, choice: str
) -> None:
    for store_ids in SELECTIONS.values():
        for as_of in ("default", "the end", "mid-history"):
            check_both_ways(database, loaded, store_ids, as_of, choice, all_stores=True)


def test_some_stores_have_the_numbers_that_they_have_in_the_whole_fleet(database: Database) -> None:
    with database.snapshot() as fleet:
        whole = run_report(fleet, all_stores=True).table()
    with database.snapshot(SELECTIONS["some, in no order, one twice"]) as fleet:
        some = run_report(fleet, all_stores=True).table()
    assert some.equals(whole.filter(pl.col("store_id").is_in(some["store_id"].unique().implode())))
    assert some["store_id"].n_unique() == 4


def test_an_unknown_store_is_not_found(database: Database, loaded: Loaded) -> None:
    with pytest.raises(NotFoundError, match="there is no store 'nobody'"), database.snapshot(["1001", "nobody"]):
        pass
    with pytest.raises(NotFoundError, match="there is no store 'nobody'"):
        memory_fleet(loaded).of(["1001", "nobody"])


def test_a_stale_store_is_still_reported(database: Database) -> None:
    with database.snapshot() as fleet:
        table = run_report(fleet).table().filter(pl.col("store_id") == STALE)
    assert table["downtime_us"].to_list() == table["business_us"].to_list()
    assert table["business_us"].min() == HOUR_US


def needed(times: list[int], start: int, end: int, as_of: int) -> list[int]:
    """Return the instants that the contract of a fleet names: as few as it allows."""
    known = [time for time in times if time <= as_of]
    first = max(bisect_right(known, start) - 1, 0) if bisect_right(known, start) else bisect_left(known, start)
    return known[first : bisect_left(known, end) + 1]


GRID = [AS_OF - 20 * DAY_US + place * HOUR_US * 7 for place in range(0, 72)]


@given(st.sampled_from(GRID), st.integers(0, 20 * DAY_US), st.integers(-5 * DAY_US, 5 * DAY_US))
def test_observations_are_the_ones_needed_and_no_others(
    database: Database, loaded: Loaded, start: int, length: int, beyond: int
) -> None:
    end = start + length
    as_of = max(start, end + beyond)
    with database.snapshot() as fleet:
        found = observations_of(fleet, start, end, as_of)
    everything = observations_of(memory_fleet(loaded), start, end, 2**62)
    assert {store_id: [time for time, _ in rows] for store_id, rows in found.items()} == {
        store_id: needed([time for time, _ in everything[store_id]], start, end, as_of) for store_id in found
    }
    assert all(set(rows) <= set(everything[store_id]) for store_id, rows in found.items())


def test_observations_at_the_very_bounds_are_given(tmp_path: Path) -> None:
    database = connect(url_in(tmp_path, "store.db"))
    times = [f"2023-01-24 10:00:{second:02} UTC" for second in range(0, 60, 10)]
    tables.load(database, tmp_path, polls=tables.table("polls", *(f"1,active,{time}" for time in times)))
    zero = instant_us("2023-01-24 10:00:00 UTC")

    def seconds(start: int, end: int, as_of: int) -> list[int]:
        bounds = (zero + place * SECOND_US for place in (start, end, as_of))
        with database.snapshot() as fleet:
            return [(time - zero) // SECOND_US for time, _ in observations_of(fleet, *bounds)["1"]]

    assert seconds(20, 40, 60) == [20, 30, 40]
    assert seconds(21, 39, 60) == [20, 30, 40]
    assert seconds(21, 41, 60) == [20, 30, 40, 50]
    assert seconds(21, 41, 41) == [20, 30, 40]
    assert seconds(21, 39, 39) == [20, 30]
    assert seconds(-9, -5, 60) == [0]
    assert seconds(90, 95, 99) == [50]
    assert seconds(25, 25, 25) == [20]
    assert seconds(25, 25, 60) == [20, 30]


def test_an_instant_before_all_observations_gives_none(database: Database) -> None:
    with database.snapshot() as fleet:
        found = fleet.observations(0, HOUR_US, HOUR_US)
        assert len(found.times) == 0
        assert found.offsets.tolist() == [0] * (len(fleet.store_ids) + 1)


def test_the_latest_observation_is_the_one_of_the_whole_fleet(database: Database, loaded: Loaded) -> None:
    for store_ids in (None, [STALE]):
        with database.snapshot(store_ids) as fleet:
            assert fleet.latest_observation() == AS_OF
        assert memory_fleet(loaded).of(store_ids).latest_observation() == AS_OF


def test_a_snapshot_stays_as_it_was_while_a_load_is_written(tmp_path: Path) -> None:
    database = connect(url_in(tmp_path, "store.db"))
    tables.load(database, tmp_path, polls=tables.POLLS, hours=tables.HOURS)
    with database.snapshot() as fleet:
        before = observations_of(fleet, 0, tables.NOW, tables.NOW)
        tables.load(database, tmp_path, polls=tables.table("polls", "3,active,2023-01-26 00:00:00 UTC"))
        assert fleet.latest_observation() == instant_us("2023-01-25 15:04:05.123456 UTC")
        assert observations_of(fleet, 0, tables.NOW, tables.NOW) == before
    with database.snapshot() as fleet:
        assert fleet.latest_observation() == instant_us("2023-01-26 00:00:00 UTC")


def test_an_empty_store_has_an_empty_fleet(tmp_path: Path) -> None:
    database = connect(url_in(tmp_path, "store.db"))
    tables.load(database, tmp_path, polls=tables.table("polls"))
    with database.snapshot() as fleet:
        assert fleet.store_ids == []
        assert fleet.latest_observation() is None
        report = run_report(fleet, as_of=AS_OF, chosen=WINDOW_NAMES, all_stores=True)
    assert written(report, "csv").count(b"\n") == 1


# --- how it is read --------------------------------------------------------------------------------------


def plan(database: Database, stores: Numbers) -> list[str]:
    asked = {"start": AS_OF - DAY_US, "end": AS_OF, "as_of": AS_OF}
    with tables.sqlite_file(path_of(database)) as connection:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {query('sqlite', 'observations', stores)}", asked)
        return [row[3] for row in rows]


@only_sqlite
@pytest.mark.parametrize("stores", [[1], [1, 3, 4], range(2**31)], ids=["one store", "some stores", "the fleet"])
@pytest.mark.parametrize("analyzed", [False, True])
def test_the_history_of_a_store_is_looked_up_by_its_key_and_never_scanned(
    database: Database, tmp_path: Path, stores: Numbers, analyzed: bool
) -> None:
    copy = tables.copied(database, tmp_path / "copy.db")
    if analyzed:
        with tables.sqlite_file(path_of(copy)) as connection:
            connection.execute("ANALYZE")
    steps = plan(copy, stores)
    on_observations = [step for step in steps if step.split()[1] == "o"]
    assert len(on_observations) == 3
    for step in on_observations:
        assert step.startswith("SEARCH o USING PRIMARY KEY (store=? AND observed_at")
    assert not [step for step in steps if step.startswith("SCAN") and "observations" in step]
    assert not [step for step in steps if "TEMP B-TREE" in step or "AUTOMATIC" in step]


@only_sqlite
def test_the_latest_observation_is_one_step_in_an_index(database: Database) -> None:
    with opened(database) as connection:
        ((*_, step),) = connection.execute("EXPLAIN QUERY PLAN SELECT max(last_observed_at) FROM loads")
    assert step == "SEARCH loads USING COVERING INDEX ix_loads_last_observed_at"
