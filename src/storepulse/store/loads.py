"""Writing a load, and reading back what was loaded: all through SQLAlchemy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, ScalarSelect, Select, Table, and_, delete, func, insert, select, tuple_

from storepulse.errors import NotFoundError
from storepulse.kernel.observations import distinct
from storepulse.schema import ACTIVE, INACTIVE, Codes, Instants, Statuses
from storepulse.store import days, engines, locks
from storepulse.store.engines import Engine
from storepulse.store.tables import (
    business_hours,
    load_files,
    loads,
    observations,
    quarantine,
    stores,
    timezones,
)

T = TypeVar("T")

_PARAMETERS: Final = 500


@dataclass(frozen=True)
class LoadedFile:
    """A source of a load: what it was, and how many of its rows went where; of a CSV file also its first line."""

    kind: str
    name: str
    sha256: str
    bytes: int
    rows_read: int
    accepted: int
    quarantined: int
    header: str | None = None


@dataclass(frozen=True)
class Quarantined:
    """A row that was set aside: the position of its file in the load, its line, the line as it was, and why."""

    file: int
    line: int
    raw: bytes
    reason: str


@dataclass(frozen=True)
class Loaded:
    """What a load brings; its stores are numbered by their position in ``store_ids``.

    ``stores``, ``times``, ``statuses``: observations as they came. ``hours``: int64 of shape (rows, 4), columns
    store, day, start, end, each row once. ``timezones``: name by store. ``repeated``, ``conflicting``: rows of
    hours and zones left out.
    """

    started_at: int
    version: str
    store_ids: Sequence[str]
    stores: Codes
    times: Instants
    statuses: Statuses
    hours: npt.NDArray[np.int64]
    timezones: Mapping[int, str]
    repeated: int
    conflicting: int
    files: Sequence[LoadedFile]
    quarantine: Sequence[Quarantined]


@dataclass(frozen=True)
class Load:
    """The record of a load.

    ``accepted`` rows are well-formed; among them ``repeated`` ones said again what was known already and
    ``conflicting`` ones contradicted another row for the same store and instant.
    """

    load: int
    started_at: int
    version: str
    rows_read: int
    accepted: int
    repeated: int
    conflicting: int
    quarantined: int
    first_observed_at: int | None
    last_observed_at: int | None
    files: Sequence[LoadedFile]

    def facts(self) -> dict[str, Any]:
        """Return the record as plain values."""
        return asdict(self)


def write(connection: Connection, loaded: Loaded) -> Load:
    """Write all that a load brings, and its record."""
    engine = _begin(connection, loaded)
    numbers = _store_numbers(connection, loaded.store_ids)
    order = np.argsort(numbers)  # in the order of their numbers the rows of stores lie as the table has them
    places = np.empty(len(order), dtype=np.int32)
    places[order] = np.arange(len(order))
    found = distinct(places[loaded.stores], loaded.times, loaded.statuses, len(order))
    polls = found.observations
    added, replaced = engine.insert_observations(
        connection, np.repeat(numbers[order], np.diff(polls.offsets)), polls.times, polls.statuses
    )
    _replace_hours(engine, connection, numbers, loaded.hours)
    _replace_timezones(connection, numbers, loaded.timezones)
    known_already = len(polls.times) - added - replaced
    return _record(
        connection,
        loaded,
        repeated=loaded.repeated + found.repeated + known_already,
        conflicting=loaded.conflicting + found.conflicting + replaced,
    )


def write_each(
    connection: Connection, loaded: Loaded, requests: Codes, count: int
) -> tuple[Load, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Write the observations of ``count`` requests as if each were a load of its own, and one record of all.

    ``requests``: the request of each observation, ascending. Returns the record, and how many observations of each
    request were repeated and conflicting. Made for some hundred observations.
    """
    engine = _begin(connection, loaded)
    numbers = _store_numbers(connection, loaded.store_ids)
    keys = list(zip(numbers[loaded.stores].tolist(), loaded.times.tolist(), strict=True))
    status_of: dict[tuple[int, int], int] = {}
    for part in _parts(keys):
        status_of |= engine.known_statuses(connection, part)
    before = dict(status_of)
    # What each request says of each instant of a store: how many rows, and how many of them are inactive.
    said: dict[tuple[int, tuple[int, int]], list[int]] = {}
    for key, status, request in zip(keys, loaded.statuses.tolist(), requests.tolist(), strict=True):
        rows = said.setdefault((request, key), [0, 0])
        rows[0] += 1
        rows[1] += status == INACTIVE
    repeated, conflicting = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    for (request, key), (rows_said, inactive) in said.items():
        # Inside one load, inactive wins; a later load replaces an earlier one.
        status, agreeing = (INACTIVE, inactive) if inactive else (ACTIVE, rows_said)
        known = status_of.get(key)
        repeated[request] += agreeing - 1 + (known == status)
        conflicting[request] += rows_said - agreeing + (known is not None and known != status)
        status_of[key] = status
    changed = sorted((*key, status) for key, status in status_of.items() if before.get(key) != status)
    stores, times, statuses = np.array(changed, dtype=np.int64).reshape(-1, 3).T
    engine.insert_observations(connection, stores.astype(np.int32), times, statuses.astype(np.uint8))
    record = _record(connection, loaded, repeated=int(repeated.sum()), conflicting=int(conflicting.sum()))
    return record, repeated, conflicting


def _begin(connection: Connection, loaded: Loaded) -> Engine:
    """Wait for the loads that are being written, and make room for this one."""
    locks.take(connection, "loads")
    engine = engines.of(connection)
    engine.prepare(connection, loaded.times)
    return engine


def _record(connection: Connection, loaded: Loaded, *, repeated: int, conflicting: int) -> Load:
    """Write the record of a load, its files and its quarantine, and the days of its observations."""
    times = loaded.times
    record = Load(
        load=connection.execute(select(func.coalesce(func.max(loads.c.load), 0) + 1)).scalar_one(),
        started_at=loaded.started_at,
        version=loaded.version,
        rows_read=sum(file.rows_read for file in loaded.files),
        accepted=sum(file.accepted for file in loaded.files),
        repeated=repeated,
        conflicting=conflicting,
        quarantined=len(loaded.quarantine),
        first_observed_at=int(times.min()) if len(times) else None,
        last_observed_at=int(times.max()) if len(times) else None,
        files=loaded.files,
    )
    facts = record.facts()
    files = [{**file, "load": record.load, "file": place} for place, file in enumerate(facts.pop("files"))]
    connection.execute(insert(loads).values(facts))
    connection.execute(insert(load_files), files)
    days.record(connection, times)
    if loaded.quarantine:
        set_aside = [{**asdict(row), "load": record.load} for row in loaded.quarantine]
        connection.execute(insert(quarantine), set_aside)
    return record


def _store_numbers(connection: Connection, store_ids: Sequence[str]) -> Codes:
    """Return the number of each store, giving new stores the next ones in order of id."""
    numbers = _known_numbers(connection, store_ids)
    if new := sorted(set(store_ids) - numbers.keys()):
        last = connection.execute(select(func.coalesce(func.max(stores.c.store), 0))).scalar_one()
        added = {store_id: number for number, store_id in enumerate(new, last + 1)}
        engines.of(connection).insert_names(connection, stores.name, [(added[name], name) for name in new])
        numbers |= added
    return np.array([numbers[store_id] for store_id in store_ids], dtype=np.int32)


def _known_numbers(connection: Connection, store_ids: Sequence[str]) -> dict[str, int]:
    numbers: dict[str, int] = {}
    mark = engines.of(connection).mark
    for part in _parts(store_ids):
        # As text: to build the same query each time takes longer than to run it.
        sql = f"SELECT store_id, store FROM stores WHERE store_id IN ({', '.join([mark] * len(part))})"
        numbers |= dict(map(tuple, connection.exec_driver_sql(sql, tuple(part))))
    return numbers


def _replace_hours(engine: Engine, connection: Connection, numbers: Codes, hours: npt.NDArray[np.int64]) -> None:
    rows = np.column_stack([numbers[hours[:, 0]], hours[:, 1:]])
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    _delete(connection, business_hours, np.unique(rows[:, 0]).tolist())
    engine.insert_rows(connection, business_hours.name, rows)


def _replace_timezones(connection: Connection, numbers: Codes, names: Mapping[int, str]) -> None:
    rows = sorted((int(numbers[store]), name) for store, name in names.items())
    _delete(connection, timezones, [store for store, _ in rows])
    if rows:
        engines.of(connection).insert_names(connection, timezones.name, rows)


def _delete(connection: Connection, table: Table, numbers: Collection[int]) -> None:
    for part in _parts(sorted(numbers)):
        connection.execute(delete(table).where(table.c.store.in_(part)))


def _parts(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut values into parts that fit into the parameters of one statement."""
    return (values[start : start + _PARAMETERS] for start in range(0, len(values), _PARAMETERS))


def list_loads(connection: Connection, *, before: int | None = None, limit: int | None = None) -> list[Load]:
    """Return the record of every load, the newest first; those ``before`` one, at most ``limit``."""
    query = select(loads).order_by(loads.c.load.desc()).limit(limit)
    return _records(connection, query if before is None else query.where(loads.c.load < before))


def find_load(connection: Connection, load: int) -> Load:
    """Return the record of one load.

    Raises
    ------
    NotFoundError
        There is no such load.
    """
    found = _records(connection, select(loads).where(loads.c.load == load))
    if not found:
        raise NotFoundError("load", str(load), "`storepulse loads` lists them")
    return found[0]


def _records(connection: Connection, query: Select[Any]) -> list[Load]:
    rows = connection.execute(query).mappings().all()
    files: dict[int, list[LoadedFile]] = {row["load"]: [] for row in rows}
    for part in _parts(list(files)):
        of_part = select(load_files).where(load_files.c.load.in_(part)).order_by(load_files.c.load, load_files.c.file)
        for row in connection.execute(of_part).mappings():
            fields = {name: value for name, value in row.items() if name not in ("load", "file")}
            files[row["load"]].append(LoadedFile(**fields))
    return [Load(**row, files=files[row["load"]]) for row in rows]


def list_quarantine(
    connection: Connection,
    load: int | None = None,
    *,
    file: int | None = None,
    after: tuple[int, int] | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Return the quarantined rows of one load, or of all, in order of load, file and line.

    Each is a dictionary of ``load``, ``kind``, ``file`` (its name), ``position`` (of the file in the load, from 0),
    ``header`` (of a CSV file, else None), ``line``, ``reason`` and ``raw`` (bytes).

    Parameters
    ----------
    file
        Only rows of the file at this position of the load.
    after
        Position and line of the last row of the page before; with ``load`` alone.
    limit
        At most so many rows.

    Raises
    ------
    NotFoundError
        There is no such load.
    """
    if load is not None and connection.execute(select(loads.c.load).where(loads.c.load == load)).first() is None:
        raise NotFoundError("load", str(load), "`storepulse loads` lists them")
    q, f = quarantine.c, load_files.c
    query = (
        select(q.load, f.kind, f.name.label("file"), q.file.label("position"), f.header, q.line, q.reason, q.raw)
        .join_from(quarantine, load_files, and_(q.load == f.load, q.file == f.file))
        .order_by(q.load, q.file, q.line)
        .limit(limit)
    )
    if load is not None:
        query = query.where(q.load == load)
    if file is not None:
        query = query.where(q.file == file)
    if after is not None:
        query = query.where(tuple_(q.file, q.line) > after)
    return [dict(row) for row in connection.execute(query).mappings()]


def any_observation(connection: Connection) -> bool:
    """Say whether the store holds any observation."""
    return connection.execute(select(observations.c.store).limit(1)).first() is not None


def list_stores(connection: Connection) -> list[dict[str, Any]]:
    """Return every store: its id, zone (null: none given), rows of hours, and when it was first and last observed."""

    def seen(extreme: Callable[..., Any]) -> ScalarSelect[Any]:
        # One look at the end of the store's own part of the table, not a pass over its history.
        observed = observations.c
        return select(extreme(observed.observed_at)).where(observed.store == stores.c.store).scalar_subquery()

    rows_of_hours = select(func.count()).where(business_hours.c.store == stores.c.store).scalar_subquery()
    query = (
        select(
            stores.c.store_id,
            timezones.c.timezone,
            rows_of_hours.label("hours_rows"),
            seen(func.min).label("first_observed_at"),
            seen(func.max).label("last_observed_at"),
        )
        .join_from(stores, timezones, stores.c.store == timezones.c.store, isouter=True)
        .order_by(stores.c.store_id)
    )
    return [dict(row) for row in connection.execute(query).mappings()]
