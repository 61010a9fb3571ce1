"""Databases of each engine, against what the driver does with the same rows alone; and a year of hourly polls in each.

Each engine has a database of its own, made for the run and dropped after it. ``TEST_POSTGRESQL_URL`` and
``TEST_MYSQL_URL`` name other servers than those of this machine.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import psycopg
import pymysql
from sqlalchemy import make_url

from bench.fleet import NOW, Fleet, remove, report
from bench.load import PRAGMAS
from bench.results import Row, Section, compare, main, measured, side
from uphours import demo
from uphours.database.database import connect
from uphours.database.prune import prune
from uphours.database.tables import metadata
from uphours.ingest.load import load_files
from uphours.load_record import Loaded, LoadedFile
from uphours.schema import DAY_US, HOUR_US, Setting

_SERVERS: Final = {
    "postgresql": os.environ.get("TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/postgres"),
    "mysql": os.environ.get("TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/mysql"),
}
#: Each engine, and what its driver does with many rows: writing, reading.
_ENGINES: Final = {
    "sqlite": ("executemany", "fetchall"),
    "postgresql": ("COPY", "binary COPY"),
    "mysql": ("executemany", "fetchall"),
}
_DATABASE: Final = "uphours_bench"
#: All of our tables, those before that others refer to.
_TABLES: Final = [table.name for table in reversed(metadata.sorted_tables) if table.name != "locks"]


# --- with the driver alone ------------------------------------------------------------------------------------


def opened(url: str) -> Any:
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
        yield f"sqlite:///{folder / 'engine.db'}"
        remove(folder / "engine.db")
        return
    with closing(opened(_SERVERS[engine])) as connection:
        execute(connection, f"DROP DATABASE IF EXISTS {_DATABASE}")
        execute(connection, f"CREATE DATABASE {_DATABASE}")
        try:
            yield make_url(_SERVERS[engine]).set(database=_DATABASE).render_as_string(hide_password=False)
        finally:
            execute(connection, f"DROP DATABASE {_DATABASE}")


def empty(engine: str, url: str) -> None:
    """Take away all rows, and the parts that the observations are cut into."""
    with closing(opened(url)) as connection:
        if engine == "postgresql":
            execute(connection, f"TRUNCATE {', '.join(_TABLES)}")
            parts = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'observations'::regclass"
            for (part,) in execute(connection, parts).fetchall():
                execute(connection, f"DROP TABLE {part}")
            return
        for table in _TABLES:
            quick = engine == "mysql" and table == "observations"
            execute(connection, f"TRUNCATE {table}" if quick else f"DELETE FROM {table}")


def insert(engine: str, url: str, polls: Sequence[tuple[int, int, int]]) -> None:
    with closing(opened(url)) as connection:
        execute(connection, "DROP TABLE IF EXISTS bare")
        execute(
            connection,
            "CREATE TABLE bare (store INT NOT NULL, observed_at BIGINT NOT NULL, status SMALLINT NOT NULL, "
            f"PRIMARY KEY (store, observed_at)){' WITHOUT ROWID' if engine == 'sqlite' else ''}",
        )
        cursor = connection.cursor()
        if engine == "postgresql":
            with cursor.copy("COPY bare FROM STDIN") as copy:
                for row in polls:
                    copy.write_row(row)
            return
        mark = "?" if engine == "sqlite" else "%s"
        execute(connection, "BEGIN")
        cursor.executemany(f"INSERT INTO bare VALUES ({mark}, {mark}, {mark})", polls)
        execute(connection, "COMMIT")


def read(engine: str, url: str) -> None:
    query = "SELECT store, observed_at, status FROM observations"
    with closing(opened(url)) as connection:
        if engine == "postgresql":
            with connection.cursor().copy(f"COPY ({query}) TO STDOUT (FORMAT binary)") as copy:
                b"".join(copy)
        else:
            execute(connection, query).fetchall()


# --- what is measured -----------------------------------------------------------------------------------------


def load_and_report(engine: str, fleet: Fleet) -> list[Row]:
    columns = (fleet.loaded.stores.tolist(), fleet.loaded.times.tolist(), fleet.loaded.statuses.tolist())
    polls = sorted({row[:2]: row for row in zip(*columns, strict=True)}.values())
    written, fetched = _ENGINES[engine]
    with new_database(engine, fleet.folder) as url:
        database = connect(url)
        database.migrate()

        def load() -> None:
            empty(engine, url)
            load_files(database, fleet.files, now=NOW)

        return [
            compare(
                f"{engine}: load", f"{written} of the polls", side(load), side(partial(insert, engine, url, polls)),
                at_most=None, pairs=fleet.pairs(3),
            ),
            compare(
                f"{engine}: report", f"{fetched} of its rows", side(lambda: report(database)),
                side(partial(read, engine, url)), at_most=None, pairs=fleet.pairs(5),
            ),
        ]  # fmt: skip


@dataclass(frozen=True)
class Year(Row):
    """Seconds with a year of hourly polls: an hour appended, reports of the last week, and pruning."""

    engine: str
    observations: int
    append_s: float
    report_after_a_week_s: float
    report_after_a_year_s: float
    prune_90_days_s: float
    prune_one_more_day_s: float
    prune_89_more_days_s: float

    def __str__(self) -> str:
        return ", ".join(f"{field.name} {getattr(self, field.name)}" for field in fields(self))


def year(engine: str, fleet: Fleet) -> list[Row]:
    """Fill a year, append hours, report the last week, and prune; with a twentieth of the stores."""
    store_ids = [f"{place:019}" for place in range(max(1, fleet.stores // 20))]
    first = demo.AS_OF - 365 * DAY_US
    with new_database(engine, fleet.folder) as url:
        database = connect(url)
        database.write(hours_of(store_ids, first, 7 * 24))
        week = measured(lambda: report(database))
        for day in range(7, 365, 7):
            database.write(hours_of(store_ids, first + day * DAY_US, min(7, 365 - day) * 24))
        hours = [hours_of(store_ids, demo.AS_OF + hour * HOUR_US, 1) for hour in range(5)]
        appended = [measured(partial(database.write, hour)).seconds for hour in hours]
        reported = [measured(lambda: report(database)).seconds for _ in range(3)]
        pruned = [
            measured(partial(prune, database, first + days * DAY_US, now=NOW, actor="bench")).seconds
            for days in (90, 91, 180)
        ]
    observations = len(store_ids) * 365 * 24
    return [Year(engine, observations, statistics.median(appended), week.seconds, statistics.median(reported), *pruned)]


def hours_of(store_ids: Sequence[str], first: int, hours: int) -> Loaded:
    """Return a load of a poll of each store for each of some hours."""
    chance = np.random.default_rng(first % 2**32)
    count = len(store_ids) * hours
    stores = np.tile(np.arange(len(store_ids), dtype=np.int32), hours)
    times = np.repeat(first + np.arange(hours, dtype=np.int64) * HOUR_US, len(store_ids))
    times += chance.integers(0, HOUR_US // 4, count)
    statuses = (chance.random(count) < 0.95).astype(np.uint8)
    none = np.empty((0, 5), dtype=np.int64)
    unusable: dict[Setting, list[Any]] = {"hours": [], "timezones": []}
    file = LoadedFile("polls", "bench", "", 0, count, count, 0)
    return Loaded(NOW, store_ids, stores, times, statuses, none, {}, unusable, unusable, 0, 0, [file], [], [])


SECTIONS: dict[str, Section] = {
    f"{title} on {engine}": partial(section, engine)
    for title, section in (("load and report", load_and_report), ("year", year))
    for engine in _ENGINES
}

if __name__ == "__main__":
    main(SECTIONS, __doc__)
