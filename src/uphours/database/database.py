"""The store: observations, business hours, time zones, and the record of what was loaded.

``connect(url)`` opens one. What differs between kinds of database has one file a kind, in `uphours.database.dialects`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from uphours.database import attribute_values
from uphours.database.dialects.dialect import (
    ALL_STORES,
    CONTENT,
    Content,
    Engine,
    Grouped,
    Numbers,
    Reader,
    among,
    engine_of,
    together,
)
from uphours.database.entry_words import Words
from uphours.errors import NotFoundError, no_store
from uphours.kernel import schedule_rows
from uphours.kernel.adjustments import nothing_adjusted, resolved
from uphours.kernel.live_entries import withdrawn_by
from uphours.kernel.observations import sort_each
from uphours.kernel.schedule import SESSION_REACH_US, may_be_endless
from uphours.schema import (
    BEGINNING_OF_TIME,
    DAY_US,
    END_OF_TIME,
    EVERY_STORE,
    FOR_EVER,
    SINCE_EVER,
    SPAN_STATUSES,
    Adjustments,
    Codes,
    Instants,
    Observations,
    Schedule,
    SpecialHours,
    Target,
    check_kept,
    unpack,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from uphours.load_record import Load, Loaded

T = TypeVar("T")

#: Stores whose histories are read at once.
_STORES_AT_ONCE: Final = 200
#: So far around a timeline its first and last observations are looked for: nearly all stores have theirs there.
_NEAR_US: Final = 2 * DAY_US
#: Named stores that go into one query: servers bound how many values and how much text one may have.
_NAMED_AT_ONCE: Final = 5000


def connect(url: str, *, keep_open: bool = False) -> Database:
    """Name a store; nothing is opened before it is used.

    ``keep_open`` is for processes that go on: connections are used again instead of being closed each time.

    Raises
    ------
    InputError
        The URL is not of a database that uphours can use, or its driver is not installed.
    """
    return Database(engine_of(url, keep_open=keep_open))


class Database:
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

    def write(self, loaded: Loaded, *, actor: str | None = None) -> Load:
        """Write a load, all of it or nothing; return its record. Makes the database if it is not there.

        ``actor``: who did it, for the audit trail; None puts nothing on record.
        """
        from uphours.database import audit, loads

        with self.writing() as connection:
            made = loads.write(connection, loaded, actor=actor)
            if actor is not None:
                details = {"rows": made.rows_read, "files": [file.name for file in made.files]}
                at, subject = made.started_at, str(made.load)
                audit.record(connection, at=at, actor=actor, action="load", subject=subject, details=details)
            return made

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that writes: all of it or nothing. Makes the database if it is not there.

        Raises
        ------
        DatabaseUnavailableError
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
        """Make the database if it is not there, or bring its tables to this version; say whether it was done.

        However many processes do it at the same time, one does.
        """
        from uphours.database.migrate import upgrade

        with self.engine.migrating() as connection:
            changed = upgrade(connection)
        self._migrated = True
        return changed

    def look_over(self, seconds: float) -> bool:
        """Look for damage, for some seconds at most; return whether all was looked at that can be.

        Raises
        ------
        DatabaseError
            It is damaged.
        """
        return self.engine.look_over(seconds)

    def content(self) -> Content:
        """Return what the database holds now, by one small query."""
        with self.reading() as connection:
            return Content(*connection.exec_driver_sql(CONTENT).one())

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
        """Refuse a database of a newer version; say whether it is of an older one."""
        from uphours.database.migrate import check

        if not versions:  # its tables are just being made
            raise NotFoundError("uphours database", self.described, "`uphours load` makes one, --db names another")
        return check(versions[0][0])


class Snapshot:
    """A fleet as a store has it at one moment (see `uphours.schema.Fleet`)."""

    def __init__(self, reader: Reader, store_ids: Sequence[str] | None, *, is_alone: bool = False) -> None:
        self._reader = reader
        self._is_alone = is_alone
        everywhere = "SELECT store, store_id FROM stores ORDER BY store"
        stores = reader.rows(everywhere) if store_ids is None else self._named_stores(store_ids)
        self.store_ids = [store_id for _, store_id in stores]
        self._numbers: Codes = np.array([number for number, _ in stores], dtype=np.int32)
        # The whole fleet is one range of numbers, named stores are lists of some thousand.
        numbers = self._numbers.tolist()
        self._chosen: list[Numbers] = [ALL_STORES] if store_ids is None else list(_batches(numbers))

    def of(self, store_ids: Sequence[str] | None) -> Snapshot:
        """Return the named stores alone, as they are at the same moment; all of these for None.

        Raises
        ------
        NotFoundError
            There is no such store.
        """
        if store_ids is None:
            return self
        if self._is_alone and (foreign := set(store_ids) - set(self.store_ids)):
            raise no_store(min(foreign))
        return Snapshot(self._reader, store_ids, is_alone=self._is_alone)

    def alone(self, store_ids: Sequence[str]) -> Snapshot:
        """Return the named stores as though there were no others: also the latest observation is one of theirs."""
        return Snapshot(self._reader, store_ids, is_alone=True)

    def latest_observation(self) -> int | None:
        """Return when anything was last observed, at any store that the database knows."""
        queries = ["SELECT max(last_observed_at) FROM loads"]
        if self._is_alone:  # one seek a store
            one = "SELECT max(observed_at) FROM observations WHERE observations.store = stores.store"
            queries = [f"SELECT ({one}) FROM stores WHERE {among(stores)}" for stores in self._chosen]
        found = [at for query in queries for (at,) in self._reader.rows(query)]
        return max((int(at) for at in found if at is not None), default=None)

    def latest_load(self) -> int:
        """Return the number of the last load that this snapshot holds; 0 before the first."""
        return self.content().load

    def latest_entry(self) -> int:
        """Return the number of the last entry of the ledger that this snapshot holds; 0 before the first."""
        return self.content().entry

    def pruned_before(self) -> int | None:
        """Return from when on all observations are there, UTC microseconds; None: none was ever pruned."""
        pruned: list[tuple[str]] = self._reader.rows("SELECT value FROM properties WHERE name = 'pruned_before'")
        return int(pruned[0][0]) if pruned else None

    def content(self) -> Content:
        """Return what this snapshot holds."""
        return Content(*self._reader.rows(CONTENT)[0])

    @cached_property
    def schedule(self) -> Schedule:
        """When these stores are open, on all dates and with their names; read when it is first asked for."""
        query = "SELECT store, special_hours.date, start_local_us, end_local_us, special_hours.name FROM special_hours"
        common = self._reader.rows(f"{query} WHERE store = 0")
        own = [row for row in self._rows_of(query) if row[0]]
        rows = [(EVERY_STORE, *row[1:]) for row in common] + self._placed(own)
        return replace(self.clocks, special=schedule_rows.special_hours(rows))

    def schedule_over(self, start: int, end: int, first_seen: Instants, last_seen: Instants) -> Schedule:
        """Return when these stores are open, with the special hours that a timeline over ``[start, end)`` depends on.

        That is those from its first observation to its last one. Where these are far away, it is those around the
        timeline; further away only stores that may be open for so long depend on them: always open ones and such with
        many hours.
        """
        if not self._reader.rows("SELECT 1 FROM special_hours LIMIT 1"):
            return self.clocks
        is_far = (first_seen < start - _NEAR_US) | (last_seen > end + _NEAR_US)
        near = None if is_far.all() else self._special_between(self._chosen, start - _NEAR_US, end + _NEAR_US)
        if not is_far.any():
            return replace(self.clocks, special=near)
        first, last = start - SESSION_REACH_US, end + SESSION_REACH_US
        chosen = self._chosen if is_far.all() else list(_batches(self._numbers[is_far].tolist()))
        around = self._special_between(chosen, first, last)
        made = replace(self.clocks, special=schedule_rows.joined(near, around))
        may_be_long = may_be_endless(made) | (np.bincount(made.stores, minlength=len(self.store_ids)) == 0)
        is_further = may_be_long & ((first_seen < first) | (last_seen > last))
        if not is_further.any():
            return made
        chosen = list(_batches(self._numbers[is_further].tolist()))
        everywhere = self._special_between(chosen, BEGINNING_OF_TIME, END_OF_TIME)
        return replace(made, special=schedule_rows.joined(made.special, everywhere))

    def _special_between(self, chosen: Sequence[Numbers], start: int, end: int) -> SpecialHours | None:
        """Return the special hours of some stores that may count in ``[start, end)``, and those of every store."""
        # A row may end two days after its date, and local dates are a day off those of UTC at most.
        dates = {"first": max(start // DAY_US - 3, SINCE_EVER), "last": min(end // DAY_US + 3, FOR_EVER)}
        query = "SELECT date, start_local_us, end_local_us FROM special_hours WHERE store = 0 AND date BETWEEN "
        common = [(EVERY_STORE, *row, "") for row in self._reader.rows(f"{query}:first AND :last", **dates)]
        packed, opens, closes = self._grouped("special_hours", chosen, columns=3, **dates).columns
        days, numbers = schedule_rows.dates_and_stores(packed)
        own = schedule_rows.special_rows(self._positions(numbers), days, opens, closes)
        return schedule_rows.joined(schedule_rows.special_hours(common), own)

    @cached_property
    def adjustments(self) -> Adjustments:
        """What the ledger says of these stores; read when it is first asked for."""
        return self.adjustments_over(BEGINNING_OF_TIME, END_OF_TIME)

    def adjustments_over(self, start: int, end: int) -> Adjustments:
        """Return what the ledger says of these stores, as far as a timeline over ``[start, end)`` depends on it."""
        said = self.entries()
        withdrawn = withdrawn_by({entry.entry: entry.withdraws for entry in said})
        live = [
            (entry.entry, SPAN_STATUSES.index(entry.counts_as))
            for entry in said
            if entry.withdraws is None and entry.entry not in withdrawn
        ]
        if not live:
            return nothing_adjusted(len(self.store_ids))
        numbers, codes = np.array(live, dtype=np.int64).T
        stores, entries, starts, ends = self.intervals(start, end)
        used = np.isin(entries, numbers)
        counts_as = codes[np.searchsorted(numbers, entries[used])].astype(np.uint8)
        return resolved(len(self.store_ids), stores[used], starts[used], ends[used], counts_as, entries[used])

    def entries(self) -> list[Words]:
        """Return what all entries of the ledger say, live or withdrawn, in order."""
        query = "SELECT entry, counts_as, withdraws, reason, note FROM adjustments ORDER BY entry"
        return [Words(*row) for row in self._reader.rows(query)]

    def intervals(
        self, start: int = BEGINNING_OF_TIME, end: int = END_OF_TIME
    ) -> tuple[Codes, npt.NDArray[np.int64], Instants, Instants]:
        """Return the intervals of all entries at these stores that reach into ``[start, end)``.

        Position of the store, entry, start and end.
        """
        found = self._grouped("adjusted", self._chosen, columns=3, start=start, end=end)
        stores, starts, ends = found.columns
        return self._positions(stores), np.repeat(found.keys.astype(np.int64), found.counts), starts, ends

    def attributes(self, names: Sequence[str] | None = None) -> list[tuple[int, str, int, str]]:
        """Return the attributes of these stores: position of the store, name, valid_from and value, in any order."""
        names = sorted(self.attribute_names()) if names is None else names
        return attribute_values.read(self._reader, self._chosen, names, self._positions)

    def attribute_names(self) -> set[str]:
        """Return the names of the attributes of these stores."""
        return attribute_values.names(self._reader, self._chosen)

    def targets(self) -> list[Target]:
        """Return all targets, also those of other stores than these, in order of name and date."""
        query = "SELECT targets.name, valid_from, targets.filter, targets.share, targets.period FROM targets"
        return sorted((Target(*row) for row in self._reader.rows(query)), key=lambda row: (row.name, row.since))

    def observations(self, start: int, end: int, as_of: int) -> Observations:
        """Return what a timeline over ``[start, end)`` needs, nothing of it after ``as_of``.

        Raises
        ------
        InputError
            Observations of that time were pruned.
        """
        check_kept(self.pruned_before(), start, min(end, as_of))
        found = self._grouped("observations", self._chosen, start=start, end=end, as_of=as_of)
        counts = np.zeros(len(self.store_ids), dtype=np.int64)
        counts[self._positions(found.keys)] = found.counts
        return _observations(counts, found)

    def histories(self) -> Iterator[tuple[int, Observations]]:
        """Yield all observations, of some stores at a time: the position of the first of these stores, and theirs."""
        for first in range(0, len(self.store_ids), _STORES_AT_ONCE):
            numbers = self._numbers[first : first + _STORES_AT_ONCE]
            found = self._reader.grouped("history", numbers.tolist())
            counts = np.zeros(len(numbers), dtype=np.int64)
            counts[self._positions(found.keys) - first] = found.counts
            yield first, _observations(counts, found)

    def _named_stores(self, store_ids: Sequence[str]) -> list[tuple[int, str]]:
        wanted = sorted(set(store_ids))
        number_of: dict[str, int] = {}
        # What is no text (a lone surrogate, from bytes of a command line) cannot be sent to a database.
        for batch in _batches([text for text in wanted if text == text.encode(errors="replace").decode()]):
            ids = {f"id{place}": text for place, text in enumerate(batch)}
            query = f"SELECT store_id, store FROM stores WHERE store_id IN ({', '.join(f':{name}' for name in ids)})"
            number_of |= dict(self._reader.rows(query, **ids))
        for store_id in wanted:
            # Nor is every text that a database takes for the same one the same: MySQL sees no blanks at an end.
            if store_id not in number_of:
                raise no_store(store_id)
        return sorted((number_of[store_id], store_id) for store_id in wanted)

    @cached_property
    def clocks(self) -> Schedule:
        """All of the schedule but special hours; read when it is first asked for."""
        n = len(self.store_ids)
        packed, starts, ends = self._grouped("business_hours", self._chosen, columns=3).columns
        dates, numbers = schedule_rows.dates_and_stores(packed)
        zones = attribute_values.by_value(self._reader, "timezones", self._chosen, self._positions)
        unknown = self._placed(self._rows_of("SELECT store, kind FROM unknown_hours"))
        limits = "SELECT store, attributes.name, valid_from, attributes.value FROM attributes WHERE attributes.name IN "
        return schedule_rows.schedule(
            schedule_rows.weekly_rows(self._positions(numbers), dates, starts, ends),
            schedule_rows.zones_of(n, zones, [place for place, kind in unknown if kind == "timezones"]),
            [place for place, _ in unknown],
            None,
            self._placed(self._rows_of(f"{limits}('first_day', 'last_day')")),
        )

    def _placed(self, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return rows that begin with the number of a store with its position in ``store_ids`` instead."""
        numbers, *columns = zip(*rows, strict=True) if rows else ((),)
        return list(zip(self._positions(numbers).tolist(), *columns, strict=True))

    def _rows_of(self, query: str) -> list[tuple[Any, ...]]:
        """Return what a query finds of the chosen stores."""
        word = "AND" if " WHERE " in query else "WHERE"
        return [row for stores in self._chosen for row in self._reader.rows(f"{query} {word} {among(stores)}")]

    def _grouped(self, name: str, chosen: Sequence[Numbers], *, columns: int = 1, **parameters: int) -> Grouped:
        """Run a query for some stores, and put the results together."""
        return together(
            (self._reader.grouped(name, stores, columns=columns, **parameters) for stores in chosen), columns
        )

    def _positions(self, numbers: npt.ArrayLike) -> Codes:
        """Turn the numbers that the database gives its stores into positions in ``store_ids``."""
        return np.searchsorted(self._numbers, np.asarray(numbers, dtype=np.int32)).astype(np.int32)


def _observations(counts: npt.NDArray[np.int64], found: Grouped) -> Observations:
    offsets, (packed,) = np.concatenate([[0], np.cumsum(counts)]), found.columns
    sort_each(offsets, packed)  # they are in order, but no engine promises it
    return Observations(offsets, *unpack(packed))


def _batches(values: Sequence[T]) -> Iterator[Sequence[T]]:
    return (values[start : start + _NAMED_AT_ONCE] for start in range(0, len(values), _NAMED_AT_ONCE))
