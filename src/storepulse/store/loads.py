"""Writing a load, and reading back what was loaded: all through SQLAlchemy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, ScalarSelect, Table, and_, delete, func, insert, select

from storepulse.errors import NotFoundError
from storepulse.kernel.observations import distinct
from storepulse.schema import Codes, Instants, Statuses
from storepulse.store import sqlite
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
    numbers = _store_numbers(connection, loaded.store_ids)
    order = np.argsort(numbers)  # in the order of their numbers the rows of stores lie as the table has them
    places = np.empty(len(order), dtype=np.int32)
    places[order] = np.arange(len(order))
    found = distinct(places[loaded.stores], loaded.times, loaded.statuses, len(order))
    polls = found.observations
    added, replaced = sqlite.insert_observations(
        connection, np.repeat(numbers[order], np.diff(polls.offsets)), polls.times, polls.statuses
    )
    _replace_hours(connection, numbers, loaded.hours)
    _replace_timezones(connection, numbers, loaded.timezones)
    known_already = len(polls.times) - added - replaced
    record = Load(
        load=connection.execute(select(func.coalesce(func.max(loads.c.load), 0) + 1)).scalar_one(),
        started_at=loaded.started_at,
        version=loaded.version,
        rows_read=sum(file.rows_read for file in loaded.files),
        accepted=sum(file.accepted for file in loaded.files),
        repeated=loaded.repeated + found.repeated + known_already,
        conflicting=loaded.conflicting + found.conflicting + replaced,
        quarantined=len(loaded.quarantine),
        first_observed_at=int(polls.times.min()) if len(polls.times) else None,
        last_observed_at=int(polls.times.max()) if len(polls.times) else None,
        files=loaded.files,
    )
    facts = record.facts()
    files = [{**file, "load": record.load, "file": place} for place, file in enumerate(facts.pop("files"))]
    connection.execute(insert(loads).values(facts))
    connection.execute(insert(load_files), files)
    if loaded.quarantine:
        set_aside = [{**asdict(row), "load": record.load} for row in loaded.quarantine]
        connection.execute(insert(quarantine), set_aside)
    return record


def _store_numbers(connection: Connection, store_ids: Sequence[str]) -> Codes:
    """Return the number of each store, giving new stores the next ones in order of id."""
    numbers = _known_numbers(connection, store_ids)
    if new := sorted(set(store_ids) - numbers.keys()):
        connection.execute(insert(stores), [{"store_id": store_id} for store_id in new])
        numbers |= _known_numbers(connection, new)
    return np.array([numbers[store_id] for store_id in store_ids], dtype=np.int32)


def _known_numbers(connection: Connection, store_ids: Sequence[str]) -> dict[str, int]:
    query = select(stores.c.store_id, stores.c.store)
    rows = (row for part in _parts(store_ids) for row in connection.execute(query.where(stores.c.store_id.in_(part))))
    return dict(map(tuple, rows))


def _replace_hours(connection: Connection, numbers: Codes, hours: npt.NDArray[np.int64]) -> None:
    rows = np.column_stack([numbers[hours[:, 0]], hours[:, 1:]])
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    _delete(connection, business_hours, np.unique(rows[:, 0]).tolist())
    sqlite.insert(connection, business_hours.name, rows)


def _replace_timezones(connection: Connection, numbers: Codes, names: Mapping[int, str]) -> None:
    rows = {int(numbers[store]): name for store, name in names.items()}
    _delete(connection, timezones, rows.keys())
    if rows:
        connection.execute(
            insert(timezones), [{"store": store, "timezone": name} for store, name in sorted(rows.items())]
        )


def _delete(connection: Connection, table: Table, numbers: Collection[int]) -> None:
    for part in _parts(sorted(numbers)):
        connection.execute(delete(table).where(table.c.store.in_(part)))


def _parts(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut values into parts that fit into the parameters of one statement."""
    return (values[start : start + _PARAMETERS] for start in range(0, len(values), _PARAMETERS))


def list_loads(connection: Connection) -> list[Load]:
    """Return the record of every load, the newest first."""
    files: dict[int, list[LoadedFile]] = {}
    for row in connection.execute(select(load_files).order_by(load_files.c.load, load_files.c.file)).mappings():
        fields = {name: value for name, value in row.items() if name not in ("load", "file")}
        files.setdefault(row["load"], []).append(LoadedFile(**fields))
    rows = connection.execute(select(loads).order_by(loads.c.load.desc())).mappings()
    return [Load(**row, files=files.get(row["load"], [])) for row in rows]


def list_quarantine(connection: Connection, load: int | None = None) -> list[dict[str, Any]]:
    """Return the quarantined rows of one load, or of all: load, kind, file, line, reason and raw bytes.

    Raises
    ------
    NotFoundError
        There is no such load.
    """
    if load is not None and connection.execute(select(loads.c.load).where(loads.c.load == load)).first() is None:
        raise NotFoundError("load", str(load), "`storepulse loads` lists them")
    q, f = quarantine.c, load_files.c
    query = (
        select(q.load, f.kind, f.name.label("file"), q.line, q.reason, q.raw)
        .join_from(quarantine, load_files, and_(q.load == f.load, q.file == f.file))
        .order_by(q.load, q.file, q.line)
    )
    rows = connection.execute(query if load is None else query.where(q.load == load)).mappings()
    return [dict(row) for row in rows]


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
