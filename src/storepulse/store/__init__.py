"""The store: observations, business hours, time zones, and the record of what was loaded.

``connect(url)`` opens one. What differs between database engines has one file an engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from storepulse.errors import NotFoundError, SchemaVersionError, StoreError
from storepulse.kernel.observations import sort_each
from storepulse.schema import DEFAULT_TIMEZONE, Codes, Observations, WeeklyHours
from storepulse.store import sqlite

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from storepulse.store.loads import Load, Loaded

_LARGEST: Final = np.iinfo(np.int32).max
_OBSERVATIONS_SQL: Final = resources.files(__name__).joinpath("observations.sql").read_text(encoding="utf-8")


def connect(url: str, *, keep_open: bool = False) -> Store:
    """Name a store; nothing is opened before it is used.

    ``keep_open`` is for processes that go on: connections are used again instead of being closed each time.

    Raises
    ------
    InputError
        The URL is not of a database that storepulse can use.
    """
    return Store(sqlite.path_of(url), keep_open=keep_open)


class Store:
    """The embedded store in one SQLite file."""

    def __init__(self, path: Path, *, keep_open: bool = False) -> None:
        self.path = path
        self._keep_open = keep_open
        self._migrated = False

    @contextmanager
    def snapshot(self, store_ids: Sequence[str] | None = None) -> Iterator[Snapshot]:
        """Read the fleet, or the named stores of it, as it is at this moment.

        Raises
        ------
        NotFoundError
            There is no such store, or no file.
        SchemaVersionError
            The file is of a newer version.
        """
        self._check_there()
        with sqlite.snapshot(self.path) as reader:
            if not reader.rows("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"):
                raise StoreError(f"{self.path} is a database, but no store of storepulse")
            [(version,)] = reader.rows("SELECT version_num FROM alembic_version")
            _check_version(version)
            yield Snapshot(reader, store_ids)

    def write(self, loaded: Loaded) -> Load:
        """Write a load, all of it or nothing; return its record. Makes the store if it is not there."""
        from storepulse.store import loads

        with self.writing() as connection:
            return loads.write(connection, loaded)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that writes: all of it or nothing. Makes the store if it is not there.

        Raises
        ------
        StoreUnavailableError
            Another writer kept the store for over a minute, or the disk is full.
        SchemaVersionError
            The file is of a newer version.
        """
        if not self._migrated:
            self.migrate()
        with sqlite.writing(self._engine) as connection:
            _check_version(_version(connection))
            yield connection

    def migrate(self) -> None:
        """Make the store if it is not there, and bring its tables to this program's version."""
        from storepulse.store import migrations

        with sqlite.writing(self._engine) as connection:
            migrations.upgrade(connection)
        self._migrated = True

    def look_over(self, seconds: float) -> bool:
        """Look for damage, for some seconds at most; return whether all of it was looked at.

        Raises
        ------
        StoreError
            It is damaged.
        """
        return sqlite.look_over(self.path, seconds)

    def close(self) -> None:
        """Close the connections that were kept open."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction for the small things: lists of stores, loads and quarantined rows."""
        self._check_there()
        with sqlite.driver_errors(self.path), self._engine.connect() as connection:
            outdated = _check_version(_version(connection))
            if not outdated:
                yield connection
                return
        self.migrate()
        with self.reading() as connection:
            yield connection

    @cached_property
    def _engine(self) -> Engine:
        return sqlite.engine(self.path, keep_open=self._keep_open)

    def _check_there(self) -> None:
        if not self.path.exists():
            raise NotFoundError("store", str(self.path), "`storepulse load` makes one, --db names another")


def _version(connection: Connection) -> str:
    return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())


def _check_version(found: str) -> bool:
    """Refuse a store of a newer version; say whether it is of an older one."""
    from storepulse.store.migrations import SCHEMA_VERSION

    if found > SCHEMA_VERSION:
        raise SchemaVersionError(found, SCHEMA_VERSION)
    return found < SCHEMA_VERSION


class Snapshot:
    """A fleet as a store has it at one moment (see `storepulse.schema.Fleet`)."""

    def __init__(self, reader: sqlite.Reader, store_ids: Sequence[str] | None) -> None:
        self._reader = reader
        stores = self._all_stores() if store_ids is None else self._named_stores(store_ids)
        self.store_ids = [store_id for _, store_id in stores]
        self._numbers: Codes = np.array([number for number, _ in stores], dtype=np.int32)
        # The whole fleet is one range of numbers, chosen stores are as many ranges of one.
        self._ranges = [(0, _LARGEST)] if store_ids is None else [(number, number) for number, _ in stores]
        self.hours = self._hours()

    def latest_observation(self) -> int | None:
        """Return when anything was last observed, at any store that the file knows."""
        latest: list[tuple[int | None]] = self._reader.rows("SELECT max(last_observed_at) FROM loads")
        return latest[0][0]

    def latest_load(self) -> int:
        """Return the number of the last load that this snapshot holds; 0 before the first."""
        latest: list[tuple[int]] = self._reader.rows("SELECT coalesce(max(load), 0) FROM loads")
        return latest[0][0]

    def observations(self, start: int, end: int, as_of: int) -> Observations:
        """Return what a timeline over ``[start, end)`` needs, nothing of it after ``as_of``."""
        found = self._grouped(_OBSERVATIONS_SQL, start=start, end=end, as_of=as_of)
        counts = np.zeros(len(self.store_ids), dtype=np.int64)
        counts[self._positions(found.stores)] = found.counts
        offsets = np.concatenate([[0], np.cumsum(counts)])
        sort_each(offsets, found.values)  # they are in order, but SQLite does not promise it
        return Observations(offsets, found.values >> 1, (found.values & 1).astype(np.uint8))

    def _all_stores(self) -> list[tuple[int, str]]:
        return self._reader.rows("SELECT store, store_id FROM stores ORDER BY store")

    def _named_stores(self, store_ids: Sequence[str]) -> list[tuple[int, str]]:
        stores = []
        for store_id in sorted(set(store_ids)):
            # What is no text (a lone surrogate, from bytes of a command line) cannot be sent to a database.
            is_text = store_id == store_id.encode(errors="replace").decode()
            query = "SELECT store, store_id FROM stores WHERE store_id = :id"
            found = self._reader.rows(query, id=store_id) if is_text else []
            if not found:
                raise NotFoundError("store", store_id, "`storepulse stores` lists the ones that are known")
            stores += found
        return sorted(stores)

    def _hours(self) -> WeeklyHours:
        found = self._grouped(
            "SELECT store, group_concat(day || ',' || start_local_us || ',' || end_local_us)"
            " FROM business_hours WHERE store BETWEEN :first AND :last GROUP BY store"
        )
        days, starts, ends = found.values.reshape(-1, 3).T
        zones = [
            row
            for first, last in self._ranges
            for row in self._reader.rows(
                "SELECT store, timezone FROM timezones WHERE store BETWEEN :first AND :last", first=first, last=last
            )
        ]
        names = sorted({DEFAULT_TIMEZONE, *(name for _, name in zones)})
        codes = {name: code for code, name in enumerate(names)}
        zone_of = np.full(len(self.store_ids), codes[DEFAULT_TIMEZONE], dtype=np.int32)
        zone_of[self._positions([number for number, _ in zones])] = [codes[name] for _, name in zones]
        rows_of = np.repeat(self._positions(found.stores), found.counts // 3)
        return WeeklyHours(rows_of, days, starts, ends, zone_of, tuple(names))

    def _grouped(self, sql: str, **parameters: int) -> sqlite.Grouped:
        """Run a query for each range of stores, and put the results together."""
        parts = [self._reader.grouped(sql, first=first, last=last, **parameters) for first, last in self._ranges]
        if not parts:
            nothing = np.empty(0, dtype=np.int64)
            return sqlite.Grouped(nothing.astype(np.int32), nothing, nothing)
        return sqlite.Grouped(
            *(np.concatenate(column) for column in zip(*(astuple(part) for part in parts), strict=True))
        )

    def _positions(self, numbers: npt.ArrayLike) -> Codes:
        """Turn the numbers that the store gives its stores into positions in ``store_ids``."""
        return np.searchsorted(self._numbers, np.asarray(numbers, dtype=np.int32)).astype(np.int32)
