"""The store: observations, business hours, time zones, and the record of what was loaded.

``connect(url)`` opens one. What differs between database engines has one file an engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from storepulse.errors import NotFoundError, SchemaVersionError, StoreError
from storepulse.schema import DEFAULT_TIMEZONE, Codes, Observations, WeeklyHours
from storepulse.store import sqlite

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from storepulse.store.loads import Load, Loaded

_OBSERVATIONS_SQL: Final = resources.files(__name__).joinpath("observations.sql").read_text(encoding="utf-8")


def connect(url: str) -> Store:
    """Name a store; nothing is opened before it is used.

    Raises
    ------
    InputError
        The URL is not of a database that storepulse can use.
    """
    return Store(sqlite.path_of(url))


class Store:
    """The embedded store in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self.path = path

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
        with sqlite.snapshot(self.path) as read:
            _check_version(read("SELECT version_num FROM alembic_version", {"version": pl.String}).item())
            yield Snapshot(read, store_ids)

    def write(self, loaded: Loaded) -> Load:
        """Write a load, all of it or nothing; return its record. Makes the store if it is not there."""
        from storepulse.store import loads

        self._migrate()
        with sqlite.writing(self._engine) as connection:
            return loads.write(connection, loaded)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction for the small things: lists of stores, loads and quarantined rows."""
        self._check_there()
        with sqlite.sqlalchemy_errors(self._engine), self._engine.connect() as connection:
            _check_version(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())
            yield connection

    @cached_property
    def _engine(self) -> Engine:
        return sqlite.engine(self.path)

    def _check_there(self) -> None:
        if not self.path.exists():
            raise NotFoundError("store", str(self.path), "`storepulse load` makes one, --db names another")

    def _migrate(self) -> None:
        from storepulse.store import migrations

        with sqlite.writing(self._engine) as connection:
            migrations.upgrade(connection)


def _check_version(found: str) -> None:
    from storepulse.store.migrations import SCHEMA_VERSION

    if found > SCHEMA_VERSION:
        raise SchemaVersionError(found, SCHEMA_VERSION)


class Snapshot:
    """A fleet as a store has it at one moment (see `storepulse.schema.Fleet`)."""

    def __init__(self, read: sqlite.Read, store_ids: Sequence[str] | None) -> None:
        self._read = read
        stores = self._stores(store_ids)
        self.store_ids = stores["store_id"].to_list()
        self._numbers: Codes = stores["store"].to_numpy()
        everything = pl.DataFrame({"first": [0], "last": [np.iinfo(np.int32).max]}, schema=_RANGE)
        # The whole fleet is one range of numbers, chosen stores are as many ranges of one.
        self._ranges = everything if store_ids is None else stores.select(first="store", last="store").cast(_RANGE)
        self.hours = self._hours()

    def latest_observation(self) -> int | None:
        """Return when anything was last observed, at any store of the fleet."""
        latest = self._read("SELECT max(last_observed_at) FROM loads", {"latest": pl.Int64}, None).item()
        return None if latest is None else int(latest)

    def observations(self, start: int, end: int, as_of: int) -> Observations:
        """Return what a timeline over ``[start, end)`` needs, nothing of it after ``as_of``."""
        bounds = self._ranges.select(start=start, end=end, as_of=as_of, first="first", last="last")
        columns = {"store": pl.Int32, "observation": pl.Int64}
        rows = self._read(_OBSERVATIONS_SQL, columns, bounds.cast(pl.Int64))
        stores = self._positions(rows["store"])
        if len(stores) and (np.diff(stores) < 0).any():
            raise StoreError("the store gave observations out of order; its file is damaged")
        counts = np.bincount(stores, minlength=len(self.store_ids))
        observed = rows["observation"].to_numpy()
        offsets = np.concatenate([[0], np.cumsum(counts)])
        return Observations(offsets, observed >> 1, (observed & 1).astype(np.uint8))

    def _stores(self, store_ids: Sequence[str] | None) -> pl.DataFrame:
        columns = {"store": pl.Int32, "store_id": pl.String}
        if store_ids is None:
            return self._read("SELECT store, store_id FROM stores ORDER BY store", columns, None)
        asked = pl.DataFrame({"store_id": sorted(set(store_ids))}, schema={"store_id": pl.String})
        stores = self._read("SELECT store, store_id FROM stores WHERE store_id = ?1", columns, asked)
        if missing := set(store_ids) - set(stores["store_id"]):
            raise NotFoundError("store", min(missing), "`storepulse stores` lists the ones that are known")
        return stores.sort("store")

    def _hours(self) -> WeeklyHours:
        rows = self._read(
            "SELECT store, day, start_local_us, end_local_us FROM business_hours WHERE store BETWEEN ?1 AND ?2",
            {"store": pl.Int32, "day": pl.Int64, "start": pl.Int64, "end": pl.Int64},
            self._ranges,
        )
        zones = self._read(
            "SELECT store, timezone FROM timezones WHERE store BETWEEN ?1 AND ?2",
            {"store": pl.Int32, "timezone": pl.String},
            self._ranges,
        )
        names = sorted({DEFAULT_TIMEZONE, *zones["timezone"].unique()})
        codes = np.full(len(self.store_ids), names.index(DEFAULT_TIMEZONE), dtype=np.int32)
        by_name = {name: code for code, name in enumerate(names)}
        codes[self._positions(zones["store"])] = zones["timezone"].replace_strict(by_name, return_dtype=pl.Int32)
        return WeeklyHours(
            self._positions(rows["store"]), rows["day"].to_numpy(), rows["start"].to_numpy(), rows["end"].to_numpy(),
            codes, tuple(names),
        )  # fmt: skip

    def _positions(self, numbers: pl.Series) -> Codes:
        """Turn the numbers that the store gives its stores into positions in ``store_ids``."""
        return np.searchsorted(self._numbers, numbers.to_numpy()).astype(np.int32)


_RANGE: Final = pl.Schema({"first": pl.Int64, "last": pl.Int64})
