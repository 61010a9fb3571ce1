"""The made-up fleet of a run: its files, what was read from them, and databases that hold it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from uphours import demo
from uphours.database.database import Database, connect
from uphours.ingest.inputs import Kind
from uphours.ingest.load import read_files
from uphours.load_record import Loaded
from uphours.reports.measure import run_report
from uphours.reports.writers import written
from uphours.schema import DAY_US, HOUR_US

#: The clock of all that is loaded, UTC microseconds.
NOW = demo.AS_OF + HOUR_US


@dataclass
class Fleet:
    """A fleet of the shape of the published data set, in a folder that is removed in the end."""

    #: As many stores as the published data set has.
    USUAL: ClassVar = 14_092

    folder: Path
    stores: int
    most_pairs: int

    def pairs(self, wanted: int) -> int:
        """Return how often the sides of a comparison take turns."""
        return min(wanted, self.most_pairs)

    @cached_property
    def files(self) -> dict[Kind, list[str]]:
        return files(self.folder / "files", self.stores)

    @cached_property
    def loaded(self) -> Loaded:
        return read_files(self.files, now=NOW)

    @cached_property
    def path(self) -> Path:
        """A SQLite database with the fleet, which sections do not change."""
        return self.new_database("fleet")

    @cached_property
    def database(self) -> Database:
        return connect(f"sqlite:///{self.path}")

    @cached_property
    def store_ids(self) -> list[str]:
        with self.database.snapshot() as fleet:
            return list(fleet.store_ids)

    @cached_property
    def year(self) -> Path:
        """A SQLite database with a year of history; its last eight days are the fleet."""
        path = self.folder / "year.db"
        make_year(path, self.path)
        return path

    def new_database(self, name: str) -> Path:
        """Load the fleet into a SQLite database of its own."""
        path = self.folder / f"{name}.db"
        remove(path)
        connect(f"sqlite:///{path}").write(self.loaded)
        return path


def store_ids(stores: int) -> pl.Series:
    """Return ids such as the published data set has: numbers of up to 19 digits, in no order."""
    drawn = np.unique(np.random.default_rng(7).integers(10**15, 9 * 10**18, stores * 2))[:stores]
    return pl.Series("store_id", drawn).shuffle(seed=1).cast(pl.String)


def files(folder: Path, stores: int) -> dict[Kind, list[str]]:
    """Write the polls, hours and time zones of a fleet."""
    demo.write_files(folder, store_ids(stores))
    return {kind: [str(folder / f"{kind}.csv")] for kind in demo.KINDS}


def remove(path: Path) -> None:
    """Remove a SQLite database, with what lies beside it."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def report(database: Database, store_ids: list[str] | None = None, *, as_of: int | None = None) -> bytes:
    """Make the usual report, as a CSV."""
    with database.snapshot(store_ids) as fleet:
        made = run_report(fleet, as_of=as_of)
    return written(made, "csv")


def make_year(path: Path, eight_days: Path, days: int = 365) -> None:
    """Copy a database, and put the polls of its last week before it again, week by week."""
    remove(path)
    source = sqlite3.connect(eight_days)
    source.execute("VACUUM INTO ?", (str(path),))
    source.close()
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = OFF", "cache_size = -1000000"):
        connection.execute(f"PRAGMA {pragma}")
    (table,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'observations'").fetchone()
    (last,) = connection.execute("SELECT max(observed_at) FROM observations").fetchone()
    connection.execute("ALTER TABLE observations RENAME TO week")
    connection.execute(table)
    connection.execute("BEGIN")
    connection.execute(
        "WITH RECURSIVE back (n) AS (SELECT ? UNION ALL SELECT n - 1 FROM back WHERE n > 0)"
        " INSERT OR IGNORE INTO observations (store, observed_at, status)"
        " SELECT store, observed_at - n * 604800000000, status"
        " FROM stores CROSS JOIN back CROSS JOIN week USING (store) WHERE n = 0 OR observed_at > ?",
        (days // 7 - 1, last - 7 * DAY_US),
    )
    connection.execute("DROP TABLE week")
    connection.execute("COMMIT")
    connection.close()
