"""Copy all tables into an empty database of any kind, and compare counts and checksums of both at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from sqlalchemy import Table, func, insert, select

from uphours.database import audit, properties
from uphours.database.database import Database
from uphours.database.dialects.dialect import Engine, Reader
from uphours.database.migrate import close, reopen, upgrade
from uphours.database.tables import loads, locks, metadata, observations, sessions
from uphours.database.tables import properties as property_table
from uphours.errors import ConflictError, DatabaseError, InputError
from uphours.kernel.observations import sort_each
from uphours.schema import unpack

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with the name of a table, the rows of it that are done, and the rows in total."""

#: So much is read at once: the observations of some stores, rows of another table, rows that hold files or results.
_STORES_AT_ONCE: Final = 200
_ROWS_AT_ONCE: Final = 1_000
_LARGE_ROWS_AT_ONCE: Final = 8

_Row: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True)
class CopiedTable:
    """A table that both stores have the same: how many rows, and the SHA-256 of them in the order of their key."""

    table: str
    rows: int
    sha256: str


def copy(
    source: Database,
    target: Database,
    *,
    progress: Progress | None = None,
    actor: str | None = None,
    now: int = 0,
) -> list[CopiedTable]:
    """Copy a database, as it is at this moment, into an empty one.

    Nothing can use the target until the end; after an interruption it must be emptied. Jobs are copied as they stand,
    so services and workers on the source should have stopped.

    ``actor``, ``now``: who has copied it and when (UTC microseconds), for the audit trail of the target.

    Raises
    ------
    InputError
        Both are the same store.
    ConflictError
        The target is not empty.
    DatabaseError
        The target holds a copy that was interrupted, or is not the same as the source in the end.
    """
    if source.described == target.described:
        raise InputError(f"{source.described} cannot be copied to itself")
    with source.reading():
        pass  # which migrates it if it must be; what is read-only may be a source too
    _begin(source, target)
    with source.engine.snapshot() as reader:
        made = [_copied(reader, target.engine, table, progress) for table in _TABLES]
    with target.engine.snapshot() as reader:
        for one in made:
            _check(one, _digest(metadata.tables[one.table], _blocks(reader, metadata.tables[one.table])), target)
    with target.engine.writing() as connection:
        target.engine.set_counters(connection)
        if actor is not None:
            details = {"from": source.described, "rows": sum(one.rows for one in made)}
            audit.record(connection, at=now, actor=actor, action="copy", subject="store", details=details)
        reopen(connection)
    return made


#: In an order in which rows come after what they refer to. Locks, properties and logins are not copied:
#: browsers sign in again to a service on the copy.
_TABLES: Final = [table for table in metadata.sorted_tables if table not in (locks, property_table, sessions)]


def _begin(source: Database, target: Database) -> None:
    """Make the tables of the target, and keep everything else out of it."""
    with target.engine.migrating() as connection:
        upgrade(connection)
        if any(connection.execute(select(table).limit(1)).first() is not None for table in _TABLES):
            raise ConflictError(f"{target.described} is not empty; valid is a new database, which `copy` fills")
        with source.reading() as reading:
            properties.put(connection, "pruned_before", properties.get(reading, "pruned_before"))
            reach = reading.execute(
                select(func.min(loads.c.first_observed_at), func.max(loads.c.last_observed_at))
            ).one()
        close(connection)
    if reach[0] is not None:
        with target.engine.writing() as connection:  # for all of them: the first ones may be of a young store
            target.engine.prepare(connection, np.array(reach, dtype=np.int64))


def _check(wanted: CopiedTable, found: CopiedTable, target: Database) -> None:
    if found != wanted:
        raise DatabaseError(
            f"the table {wanted.table} of {target.described} has {found.rows} rows with the checksum {found.sha256}, "
            f"and should have {wanted.rows} with {wanted.sha256}; empty the database and copy again"
        )


def _copied(reader: Reader, engine: Engine, table: Table, progress: Progress | None) -> CopiedTable:
    [(total,)] = reader.rows(f"SELECT count(*) FROM {table.name}")
    done = 0

    def written() -> Iterator[_Block]:
        nonlocal done
        for block in _blocks(reader, table):
            block.write(engine)
            done += block.rows
            if progress is not None:
                progress(table.name, done, total)
            yield block

    return _digest(table, written())


def _digest(table: Table, blocks: Iterator[_Block]) -> CopiedTable:
    rows, digest = 0, sha256()
    for block in blocks:
        rows += block.rows
        digest.update(block.content)
    return CopiedTable(table.name, rows, digest.hexdigest())


def _blocks(reader: Reader, table: Table) -> Iterator[_Block]:
    return _observations(reader) if table is observations else _pages(reader, table)


@dataclass(frozen=True)
class _Block:
    """Some rows of a table that follow each other in the order of its key."""

    rows: int
    content: bytes
    write: Callable[[Engine], None]


# --- observations: those of some stores, as arrays --------------------------------------------------------------


def _observations(reader: Reader) -> Iterator[_Block]:
    [(last,)] = reader.rows("SELECT coalesce(max(store), 0) FROM stores")
    for first in range(1, last + 1, _STORES_AT_ONCE):
        rows = _history(reader, first)
        if len(rows):
            yield _Block(len(rows), rows.tobytes(), partial(_insert_history, rows=rows))


def _history(reader: Reader, first: int) -> npt.NDArray[np.int64]:
    """Return store, instant and status of each observation of some stores, in order; little-endian."""
    found = reader.grouped("history", range(first, first + _STORES_AT_ONCE))
    sort_each(np.concatenate([[0], np.cumsum(found.counts)]), found.columns[0])
    of = np.repeat(found.keys.astype(np.int64), found.counts)
    return np.ascontiguousarray(np.column_stack([of, *unpack(found.columns[0])]), dtype="<i8")


def _insert_history(engine: Engine, rows: npt.NDArray[np.int64]) -> None:
    with engine.writing() as connection:
        engine.prepare(connection, rows[:, 1])
        engine.insert_rows(connection, observations.name, rows)


# --- all other tables: pages in the order of the key ------------------------------------------------------------


def _pages(reader: Reader, table: Table) -> Iterator[_Block]:
    """Read a table in the order of its key, some rows at a time."""
    of = {column.name: f"{table.name}.{column.name}" for column in table.c}  # so written, no name is a reserved word
    key = [column.name for column in table.primary_key]
    order = ", ".join(of[name] for name in key)
    size = _LARGE_ROWS_AT_ONCE if "content" in of else _ROWS_AT_ONCE
    after: dict[str, Any] = {}
    while True:
        # The first condition says no more than the second, but MySQL finds rows by it.
        marks = ", ".join(f":{name}" for name in after)
        where = f"WHERE {of[key[0]]} >= :{key[0]} AND ({order}) > ({marks})" if after else ""
        rows = reader.rows(
            f"SELECT {', '.join(of.values())} FROM {table.name} {where} ORDER BY {order} LIMIT {size}", **after
        )
        if not rows:
            return
        yield _page_block(table, rows)
        after = {name: rows[-1][list(of).index(name)] for name in key}


def _page_block(table: Table, rows: Sequence[_Row]) -> _Block:
    content = "".join(f"{row!r}\n" for row in rows).encode("ascii", "backslashreplace")
    return _Block(len(rows), content, lambda engine: _insert_page(engine, table, rows))


def _insert_page(engine: Engine, table: Table, rows: Sequence[_Row]) -> None:
    with engine.writing() as connection:
        connection.execute(insert(table), [dict(zip(table.c.keys(), row, strict=True)) for row in rows])
