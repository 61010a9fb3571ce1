"""Measure a store on each engine against what its driver does with the same rows alone, in one run.

    python bench/databases.py [--stores 14092] [--year-stores 1409] [--engines sqlite,postgresql,mysql] [--only load,…]

Each engine has a database of its own, made for the run and dropped after it. ``TEST_POSTGRESQL_URL`` and
``TEST_MYSQL_URL`` name other servers than those of this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pymysql
from run import NOW, PRAGMAS, Comparison, Files, compare, machine, make_files, remove, seconds
from sqlalchemy import make_url

import uphours
from uphours import demo
from uphours.database.database import Database, connect
from uphours.database.prune import prune
from uphours.ingest.load import load_files, read_files
from uphours.load_record import Loaded, LoadedFile
from uphours.reports.measure import run_report
from uphours.reports.writers import written
from uphours.schema import DAY_US, HOUR_US

BASELINE = Path(__file__).with_name("databases.json")
ENGINES = ("sqlite", "postgresql", "mysql")
SERVERS = {
    "postgresql": os.environ.get("TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/postgres"),
    "mysql": os.environ.get("TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/mysql"),
}
DATABASE = "uphours_bench"
Rows = list[tuple[int, int, int]]


def opened(url: str) -> Any:
    """Open a database with its driver alone."""
    parsed = make_url(url)
    if parsed.drivername == "sqlite":
        connection = sqlite3.connect(str(parsed.database), isolation_level=None)
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        return connection
    if parsed.drivername == "postgresql":
        return psycopg.connect(url, autocommit=True)
    return pymysql.connect(
        host=parsed.host or "127.0.0.1",
        port=parsed.port or 3306,
        user=parsed.username,
        password=parsed.password or "",
        database=parsed.database,
        autocommit=True,
    )


def execute(connection: Any, sql: str) -> Any:
    cursor = connection.cursor()
    cursor.execute(sql)
    return cursor


@contextmanager
def new_database(engine: str, folder: Path) -> Iterator[str]:
    """Make an empty database, and drop it in the end."""
    if engine == "sqlite":
        path = folder / "bench.db"
        remove(path)
        yield f"sqlite:///{path}"
        remove(path)
        return
    with closing(opened(SERVERS[engine])) as connection:
        execute(connection, f"DROP DATABASE IF EXISTS {DATABASE}")
        execute(connection, f"CREATE DATABASE {DATABASE}")
        try:
            yield make_url(SERVERS[engine]).set(database=DATABASE).render_as_string(hide_password=False)
        finally:
            execute(connection, f"DROP DATABASE {DATABASE}")


# --- load and report ------------------------------------------------------------------------------------------


def bench_load(engine: str, files: Files, rows: Rows, folder: Path) -> Comparison:
    """Load the three files into a new store, against the driver's bulk insert of the polls alone, parsed already."""
    with new_database(engine, folder) as url:
        database = connect(url)
        database.migrate()
        tables = ("observations", "business_hours", "timezones", "load_files", "loads", "stores")

        def ours() -> None:
            empty(url, tables)
            load_files(database, files.names(), now=NOW)

        def bare() -> None:
            with closing(opened(url)) as connection:
                execute(connection, "DROP TABLE IF EXISTS bare")
                execute(
                    connection,
                    "CREATE TABLE bare (store INT NOT NULL, observed_at BIGINT NOT NULL, status SMALLINT NOT NULL, "
                    f"PRIMARY KEY (store, observed_at)){' WITHOUT ROWID' if engine == 'sqlite' else ''}",
                )
                insert_bare(engine, connection, rows)

        name = {"sqlite": "executemany", "postgresql": "COPY", "mysql": "executemany"}[engine]
        return compare(f"{engine}: load, against {name} of the polls", ours, bare, target=1.5, pairs=3)


def empty(url: str, tables: Sequence[str]) -> None:
    """Take away all rows, and the parts that the observations are cut into."""
    with closing(opened(url)) as connection:
        if connection.__class__.__module__.startswith("psycopg"):
            execute(connection, f"TRUNCATE {', '.join(tables)}, quarantine, source_files")
            parts = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'observations'::regclass"
            for (part,) in execute(connection, parts).fetchall():
                execute(connection, f"DROP TABLE {part}")
            return
        for table in tables:
            execute(connection, f"DELETE FROM {table}" if table != "observations" else EMPTIES[type(connection)])


EMPTIES = {sqlite3.Connection: "DELETE FROM observations", pymysql.connections.Connection: "TRUNCATE observations"}


def insert_bare(engine: str, connection: Any, rows: Rows) -> None:
    cursor = connection.cursor()
    if engine == "postgresql":
        with cursor.copy("COPY bare FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    mark = "?" if engine == "sqlite" else "%s"
    execute(connection, "BEGIN")
    cursor.executemany(f"INSERT INTO bare VALUES ({mark}, {mark}, {mark})", rows)
    execute(connection, "COMMIT")


def bench_report(engine: str, loaded: Loaded, folder: Path) -> Comparison:
    """Report from the store, against the driver's bulk read of the same rows."""
    with new_database(engine, folder) as url:
        database = connect(url)
        database.write(loaded)

        def ours() -> None:
            with database.snapshot() as fleet:
                made = run_report(fleet)
            written(made, "csv")

        def bare() -> None:
            query = "SELECT store, observed_at, status FROM observations"
            with closing(opened(url)) as connection:
                if engine == "postgresql":
                    with connection.cursor().copy(f"COPY ({query}) TO STDOUT (FORMAT binary)") as copy:
                        b"".join(copy)
                else:
                    execute(connection, query).fetchall()

        name = {"sqlite": "fetchall", "postgresql": "binary COPY", "mysql": "fetchall"}[engine]
        return compare(f"{engine}: report, against {name} of its rows", ours, bare, target=1.5, pairs=5)


# --- a year of history ----------------------------------------------------------------------------------------


def hours_of(store_ids: Sequence[str], first: int, hours: int) -> Loaded:
    """Return a load of a poll of each store for each of some hours."""
    chance = np.random.default_rng(first % 2**32)
    count = len(store_ids) * hours
    stores = np.tile(np.arange(len(store_ids), dtype=np.int32), hours)
    times = np.repeat(first + np.arange(hours, dtype=np.int64) * HOUR_US, len(store_ids))
    times += chance.integers(0, HOUR_US // 4, count)
    statuses = (chance.random(count) < 0.95).astype(np.uint8)
    none = np.empty((0, 4), dtype=np.int64)
    file = LoadedFile("polls", "bench", "", 0, count, count, 0)
    return Loaded(NOW, "bench", store_ids, stores, times, statuses, none, {}, 0, 0, [file], [])


def bench_year(engine: str, stores: int, folder: Path) -> dict[str, Any]:
    """An hour appended to a year of hours, a report of its last week, and pruning; in seconds."""
    store_ids = [f"{place:019}" for place in range(stores)]
    first = demo.AS_OF - 365 * DAY_US
    with new_database(engine, folder) as url:
        database = connect(url)
        database.write(hours_of(store_ids, first, 7 * 24))
        week = seconds(lambda: report(database))
        for day in range(7, 365, 7):
            database.write(hours_of(store_ids, first + day * DAY_US, min(7, 365 - day) * 24))
        appends = [
            seconds(lambda at=at: database.write(hours_of(store_ids, demo.AS_OF + at * HOUR_US, 1))) for at in range(5)
        ]  # type: ignore[misc]
        reported = [seconds(lambda: report(database)) for _ in range(3)]
        pruned = [
            (days, seconds(lambda days=days: prune(database, first + days * DAY_US, now=NOW, actor="bench")))  # type: ignore[misc]
            for days in (90, 91, 180)
        ]
    made = {
        "engine": engine,
        "observations": stores * 365 * 24,
        "append_s": sorted(appends)[2],
        "report_after_a_week_s": week,
        "report_after_a_year_s": sorted(reported)[1],
        "prune_90_days_s": pruned[0][1],
        "prune_one_more_day_s": pruned[1][1],
        "prune_89_more_days_s": pruned[2][1],
    }
    print(", ".join(f"{name} {value:.3f}" if isinstance(value, float) else f"{value}" for name, value in made.items()))
    return made


def report(database: Database) -> bytes:
    with database.snapshot() as fleet:
        return written(run_report(fleet), "csv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=int, default=14_092)
    parser.add_argument("--year-stores", type=int, default=1_409)
    parser.add_argument("--engines", default=",".join(ENGINES), help=f"some of {','.join(ENGINES)}")
    parser.add_argument("--only", default="load,report,year", help="some of load,report,year")
    arguments = parser.parse_args()
    engines, chosen = arguments.engines.split(","), arguments.only.split(",")
    results: dict[str, list[Any]] = {}
    with tempfile.TemporaryDirectory(prefix="uphours-bench-") as name:
        folder = Path(name)
        files = make_files(folder, arguments.stores)
        loaded = read_files(files.names(), now=NOW)
        columns = (loaded.stores.tolist(), loaded.times.tolist(), loaded.statuses.tolist())
        rows: Rows = sorted(
            {(store, at): (store, at, status) for store, at, status in zip(*columns, strict=True)}.values()
        )
        print(f"{len(loaded.store_ids):,} stores, {len(rows):,} polls")
        sections: dict[str, Callable[[str], Any]] = {
            "load": lambda engine: vars(bench_load(engine, files, rows, folder)),
            "report": lambda engine: vars(bench_report(engine, loaded, folder)),
            "year": lambda engine: bench_year(engine, arguments.year_stores, folder),
        }
        for section in chosen:
            results[section] = [sections[section](engine) for engine in engines]
    if set(chosen) == set(sections) and set(engines) == set(ENGINES):
        facts = {
            "taken": datetime.now(UTC).date().isoformat(),
            "uphours": uphours.__version__,
            "machine": machine(),
            "stores": arguments.stores,
            "year_stores": arguments.year_stores,
            "results": results,
        }
        BASELINE.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        print(f"kept in {BASELINE}")


if __name__ == "__main__":
    main()
