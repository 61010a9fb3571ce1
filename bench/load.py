"""Load the three files into a new database, against ``executemany`` of the same rows, which are parsed already."""

from __future__ import annotations

import sqlite3
from typing import Final

from bench.fleet import NOW, Fleet, remove
from bench.results import Row, compare, main, side
from uphours.database.database import connect
from uphours.ingest.load import load_files

#: The settings of our own databases.
PRAGMAS: Final = ("journal_mode = WAL", "synchronous = FULL", "cache_size = -65536")
_TABLES: Final = """
CREATE TABLE stores (store INTEGER PRIMARY KEY, store_id TEXT NOT NULL UNIQUE);
CREATE TABLE observations (store INTEGER NOT NULL, observed_at INTEGER NOT NULL, status INTEGER NOT NULL,
    PRIMARY KEY (store, observed_at)) WITHOUT ROWID;
CREATE TABLE business_hours (store INTEGER, day INTEGER, start INTEGER, "end" INTEGER,
    PRIMARY KEY (store, day, start, "end")) WITHOUT ROWID;
CREATE TABLE timezones (store INTEGER PRIMARY KEY, timezone TEXT);
"""


def load(fleet: Fleet) -> list[Row]:
    loaded = fleet.loaded
    polls = list(zip(loaded.stores.tolist(), loaded.times.tolist(), loaded.statuses.tolist(), strict=True))
    in_order = sorted(polls)
    hours = loaded.hours[:, [0, 2, 3, 4]].tolist()
    zones = [(store, name) for (store, _), name in loaded.timezones.items()]

    def ours() -> None:
        remove(fleet.folder / "load.db")
        load_files(connect(f"sqlite:///{fleet.folder / 'load.db'}"), fleet.files, now=NOW)

    def executemany(rows: list[tuple[int, int, int]]) -> None:
        remove(fleet.folder / "yardstick.db")
        connection = sqlite3.connect(fleet.folder / "yardstick.db", isolation_level=None)
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        connection.executescript(_TABLES)
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO stores VALUES (?, ?)", enumerate(loaded.store_ids))
        connection.executemany("INSERT OR IGNORE INTO observations VALUES (?, ?, ?)", rows)
        connection.executemany("INSERT INTO business_hours VALUES (?, ?, ?, ?)", hours)
        connection.executemany("INSERT INTO timezones VALUES (?, ?)", zones)
        connection.execute("COMMIT")
        connection.close()

    name, pairs = "load of the three files", fleet.pairs(3)
    return [
        compare(
            name, "executemany of the parsed rows", side(ours), side(lambda: executemany(polls)),
            at_most=0.55, pairs=pairs,
        ),
        compare(
            name, "executemany of the parsed rows in order of the key", side(ours), side(lambda: executemany(in_order)),
            at_most=None, pairs=pairs,
        ),
    ]  # fmt: skip


SECTIONS = {"load": load}

if __name__ == "__main__":
    main(SECTIONS, __doc__)
