"""The store: observations, business hours, time zones, and the record of what was loaded.

``connect(url)`` opens one. What differs between database engines has one file an engine, in `storepulse.store.engines`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from storepulse.errors import InputError, NotFoundError
from storepulse.kernel.observations import sort_each
from storepulse.schema import DEFAULT_TIMEZONE, Codes, Observations, WeeklyHours, instant_text
from storepulse.store import engines
from storepulse.store.engines import Engine, Grouped, Reader

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from storepulse.store.loads import Load, Loaded

_LARGEST: Final = np.iinfo(np.int32).max
#: The histories of so many stores are read at once.
_STORES_AT_ONCE: Final = 200
_CONTENT: Final = (
    "SELECT (SELECT coalesce(max(loads.load), 0) FROM loads), "
    "(SELECT value FROM properties WHERE name = 'pruned_before')"
)


class Content(NamedTuple):
    """What a fleet follows from: the same content, the same fleet. The last load, and until when was pruned."""

    load: int
    pruned_before: str | None


def connect(url: str, *, keep_open: bool = False) -> Store:
    """Name a store; nothing is opened before it is used.

    ``keep_open`` is for processes that go on: connections are used again instead of being closed each time.

    Raises
    ------
    InputError
        The URL is not of a database that storepulse can use, or its driver is not installed.
    """
    return Store(engines.engine_of(url, keep_open=keep_open))


class Store:
    """A store in a database."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._migrated = False

    @property
    def described(self) -> str:
        """What people call it: its file or URL, without a password."""
        return self.engine.described

    @contextmanager
    def snapshot(self, store_ids: Sequence[str] | None = None) -> Iterator[Snapshot]:
        """Read the fleet, or the named stores of it, as it is at this moment.

        Raises
        ------
        NotFoundError
            There is no such store, or no database.
        SchemaVersionError
            The store is of a newer version.
        """
        self.engine.check_there()
        with self.engine.snapshot() as reader:
            outdated = self._check(reader.rows("SELECT version_num FROM alembic_version"))
            if not outdated:
                yield Snapshot(reader, store_ids)
                return
        self.migrate()
        with self.snapshot(store_ids) as fleet:
            yield fleet

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
            Another writer kept the store for over a minute, the disk is full, or the server does not answer.
        SchemaVersionError
            The store is of a newer version.
        """
        if not self._migrated:
            self.migrate()
        with self.engine.writing() as connection:
            self._check(connection.exec_driver_sql("SELECT version_num FROM alembic_version").all())
            yield connection

    def migrate(self) -> bool:
        """Make the store if it is not there, and bring its tables to this program's version; say whether it was done.

        However many processes do it at the same time, one does.
        """
        from storepulse.store import migrations

        with self.engine.migrating() as connection:
            changed = migrations.upgrade(connection)
        self._migrated = True
        return changed

    def look_over(self, seconds: float) -> bool:
        """Look for damage, for some seconds at most; return whether all was looked at that can be.

        Raises
        ------
        StoreError
            It is damaged.
        """
        return self.engine.look_over(seconds)

    def content(self) -> Content:
        """Return what the store holds now, by one small query."""
        with self.reading() as connection:
            return Content(*connection.exec_driver_sql(_CONTENT).one())

    def close(self) -> None:
        """Close the connections that were kept open."""
        self.engine.close()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction for the small things: lists of stores, loads and quarantined rows."""
        self.engine.check_there()
        with self.engine.reading() as connection:
            outdated = self._check(connection.exec_driver_sql("SELECT version_num FROM alembic_version").all())
            if not outdated:
                yield connection
                return
        self.migrate()
        with self.reading() as connection:
            yield connection

    def _check(self, versions: Sequence[Sequence[str]]) -> bool:
        """Refuse a store of a newer version; say whether it is of an older one."""
        from storepulse.store import migrations

        if not versions:  # its tables are just being made
            raise NotFoundError("store", self.described, "`storepulse load` makes one, --db names another")
        return migrations.check(versions[0][0])


class Snapshot:
    """A fleet as a store has it at one moment (see `storepulse.schema.Fleet`)."""

    def __init__(self, reader: Reader, store_ids: Sequence[str] | None) -> None:
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
        return self.content().load

    def content(self) -> Content:
        """Return what this snapshot holds."""
        return Content(*self._reader.rows(_CONTENT)[0])

    def observations(self, start: int, end: int, as_of: int) -> Observations:
        """Return what a timeline over ``[start, end)`` needs, nothing of it after ``as_of``.

        Raises
        ------
        InputError
            Observations of that time were pruned.
        """
        self._check_kept(start, min(end, as_of))
        found = self._grouped("observations", start=start, end=end, as_of=as_of)
        counts = np.zeros(len(self.store_ids), dtype=np.int64)
        counts[self._positions(found.stores)] = found.counts
        offsets = np.concatenate([[0], np.cumsum(counts)])
        sort_each(offsets, found.values)  # they are in order, but no engine promises it
        return Observations(offsets, found.values >> 1, (found.values & 1).astype(np.uint8))

    def histories(self) -> Iterator[tuple[int, Observations]]:
        """Yield all observations, of some stores at a time: the position of the first of these stores, and theirs."""
        for first in range(0, len(self.store_ids), _STORES_AT_ONCE):
            numbers = self._numbers[first : first + _STORES_AT_ONCE]
            found = self._reader.grouped("history", first=int(numbers[0]), last=int(numbers[-1]))
            counts = np.zeros(len(numbers), dtype=np.int64)
            counts[self._positions(found.stores) - first] = found.counts
            offsets = np.concatenate([[0], np.cumsum(counts)])
            sort_each(offsets, found.values)
            yield first, Observations(offsets, found.values >> 1, (found.values & 1).astype(np.uint8))

    def _all_stores(self) -> list[tuple[int, str]]:
        return self._reader.rows("SELECT store, store_id FROM stores ORDER BY store")

    def _named_stores(self, store_ids: Sequence[str]) -> list[tuple[int, str]]:
        stores = []
        for store_id in sorted(set(store_ids)):
            # What is no text (a lone surrogate, from bytes of a command line) cannot be sent to a database.
            is_text = store_id == store_id.encode(errors="replace").decode()
            query = "SELECT store, store_id FROM stores WHERE store_id = :id"
            # Nor is every text that a database takes for the same one the same: MySQL sees no blanks at an end.
            found = [row for row in self._reader.rows(query, id=store_id) if row[1] == store_id] if is_text else []
            if not found:
                raise NotFoundError("store", store_id, "`storepulse stores` lists the ones that are known")
            stores += found
        return sorted(stores)

    def _hours(self) -> WeeklyHours:
        found = self._grouped("business_hours")
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
        with_zone = self._positions([number for number, _ in zones])
        zone_of[with_zone] = [codes[name] for _, name in zones]
        is_default = np.ones(len(zone_of), dtype=np.bool_)
        is_default[with_zone] = False
        rows_of = np.repeat(self._positions(found.stores), found.counts // 3)
        return WeeklyHours(rows_of, days, starts, ends, zone_of, tuple(names), is_default)

    def _check_kept(self, start: int, end: int) -> None:
        pruned: list[tuple[str]] = self._reader.rows("SELECT value FROM properties WHERE name = 'pruned_before'")
        if pruned and start < end and start < int(pruned[0][0]):
            raise InputError(
                f"observations before {instant_text(int(pruned[0][0]))} were pruned, all but the last one of each "
                f"store; this begins at {instant_text(start)}, valid are windows that begin later"
            )

    def _grouped(self, name: str, **parameters: int) -> Grouped:
        """Run a query for each range of stores, and put the results together."""
        parts = [self._reader.grouped(name, first=first, last=last, **parameters) for first, last in self._ranges]
        if not parts:
            nothing = np.empty(0, dtype=np.int64)
            return Grouped(nothing.astype(np.int32), nothing, nothing)
        return Grouped(*(np.concatenate(column) for column in zip(*(astuple(part) for part in parts), strict=True)))

    def _positions(self, numbers: npt.ArrayLike) -> Codes:
        """Turn the numbers that the store gives its stores into positions in ``store_ids``."""
        return np.searchsorted(self._numbers, np.asarray(numbers, dtype=np.int32)).astype(np.int32)
