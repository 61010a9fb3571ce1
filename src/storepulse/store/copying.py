"""Copying a whole store from one database to another, whatever their engines; every row is compared in the end.

A copy makes the target equal to the source, some rows at a time, and passes over what is equal already: to go on with
a copy that was broken off is to copy again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, Table, and_, delete, func, insert, select, tuple_, update

from storepulse.errors import ConflictError, InputError, StoreError
from storepulse.kernel.observations import sort_each
from storepulse.store import Store, migrations, properties
from storepulse.store.engines import Engine, Reader
from storepulse.store.tables import loads, locks, metadata, observations, sessions
from storepulse.store.tables import properties as property_table

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


def copy(source: Store, target: Store, *, progress: Progress | None = None) -> list[CopiedTable]:
    """Make a store the same as another one, as that is at this moment.

    The target is new, or the copy of the same source that was broken off; nothing else can use it until the end. Jobs
    are copied as they stand, so whoever works on the source should have stopped.

    Raises
    ------
    InputError
        Both are the same store.
    ConflictError
        There is something else in the target.
    StoreError
        The target is not the same as the source in the end.
    """
    if source.described == target.described:
        raise InputError(f"{source.described} cannot be copied to itself")
    source.migrate()
    _begin(source, target)
    with source.engine.snapshot() as reader:
        for table in reversed(_TABLES):
            _drop_surplus(reader, target.engine, table)
        made = [_copied(reader, target.engine, table, progress) for table in _TABLES]
    with target.engine.snapshot() as reader:
        for one in made:
            _check(one, _digest(metadata.tables[one.table], _blocks(reader, metadata.tables[one.table])), target)
    with target.engine.writing() as connection:
        target.engine.set_counters(connection)
        properties.put(connection, "copying_from", None)
        migrations.reopen(connection)
    return made


#: In an order in which rows come after what they refer to. Locks, and properties, belong to each store alone; and
#: nobody is signed in to a service on a copy who has not signed in there.
_TABLES: Final = [table for table in metadata.sorted_tables if table not in (locks, property_table, sessions)]


def _begin(source: Store, target: Store) -> None:
    """Make the tables of the target, and keep everybody out of it."""
    with target.engine.migrating() as connection:
        migrations.reopen(connection)
        migrations.upgrade(connection)
        of = properties.get(connection, "copying_from")
        filled = [table.name for table in _TABLES if connection.execute(select(table).limit(1)).first() is not None]
        if of != source.described and (of or filled):
            what = f"a copy of {of} that has not ended" if of else "not empty"
            raise ConflictError(f"{target.described} is {what}; valid is a new database, which `copy` makes a store of")
        properties.put(connection, "copying_from", source.described)
        with source.reading() as reading:
            properties.put(connection, "pruned_before", properties.get(reading, "pruned_before"))
            reach = reading.execute(
                select(func.min(loads.c.first_observed_at), func.max(loads.c.last_observed_at))
            ).one()
        migrations.close(connection)
    if reach[0] is not None:
        with target.engine.writing() as connection:  # for all of them: the first ones may be of a young store
            target.engine.prepare(connection, np.array(reach, dtype=np.int64))


def _check(wanted: CopiedTable, found: CopiedTable, target: Store) -> None:
    if found != wanted:
        raise StoreError(
            f"the table {wanted.table} of {target.described} has {found.rows} rows with the checksum {found.sha256}, "
            f"and should have {wanted.rows} with {wanted.sha256}; copy again"
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
        yield _history_block(first, _history(reader, first))


def _history_block(first: int, rows: npt.NDArray[np.int64]) -> _Block:
    return _Block(len(rows), rows.tobytes(), lambda engine: _replace_history(engine, first, rows))


def _history(reader: Reader, first: int) -> npt.NDArray[np.int64]:
    """Return store, instant and status of each observation of some stores, in order; little-endian."""
    found = reader.grouped("history", first=first, last=first + _STORES_AT_ONCE - 1)
    sort_each(np.concatenate([[0], np.cumsum(found.counts)]), found.values)
    of = np.repeat(found.stores.astype(np.int64), found.counts)
    return np.ascontiguousarray(np.column_stack([of, found.values >> 1, found.values & 1]), dtype="<i8")


def _replace_history(engine: Engine, first: int, rows: npt.NDArray[np.int64]) -> None:
    with engine.snapshot() as reader:
        if np.array_equal(_history(reader, first), rows):
            return
    with engine.writing() as connection:
        engine.prepare(connection, rows[:, 1])
        mine = observations.c.store.between(first, first + _STORES_AT_ONCE - 1)
        connection.execute(delete(observations).where(mine))
        engine.insert_rows(connection, observations.name, rows)


# --- all other tables: pages in the order of the key ------------------------------------------------------------


def _pages(reader: Reader, table: Table) -> Iterator[_Block]:
    for rows in _in_order(reader, table, list(table.c.keys())):
        yield _page_block(table, rows)


def _page_block(table: Table, rows: Sequence[_Row]) -> _Block:
    content = "".join(f"{row!r}\n" for row in rows).encode("ascii", "backslashreplace")
    return _Block(len(rows), content, lambda engine: _make_equal(engine, table, rows))


def _in_order(reader: Reader, table: Table, columns: Sequence[str]) -> Iterator[list[_Row]]:
    """Read columns of a table, the key among them or all of it, some rows at a time."""
    of = {column.name: f"{table.name}.{column.name}" for column in table.c}  # so written, no name is a reserved word
    key = [column.name for column in table.primary_key]
    order = ", ".join(of[name] for name in key)
    size = _LARGE_ROWS_AT_ONCE if "content" in columns else _ROWS_AT_ONCE
    after: dict[str, Any] = {}
    while True:
        # The first condition says no more than the second, but MySQL finds rows by it.
        marks = ", ".join(f":{name}" for name in after)
        where = f"WHERE {of[key[0]]} >= :{key[0]} AND ({order}) > ({marks})" if after else ""
        wanted = ", ".join(of[name] for name in columns)
        rows = reader.rows(f"SELECT {wanted} FROM {table.name} {where} ORDER BY {order} LIMIT {size}", **after)
        if not rows:
            return
        yield rows
        after = {name: rows[-1][columns.index(name)] for name in key}


def _make_equal(engine: Engine, table: Table, rows: Sequence[_Row]) -> None:
    """Insert the rows of a page that are not there, and change those that differ."""
    names, key = list(table.c.keys()), [column.name for column in table.primary_key]
    places = [names.index(name) for name in key]
    keys = [tuple(row[place] for place in places) for row in rows]
    with engine.writing() as connection:
        there = {
            tuple(row[place] for place in places): tuple(row)
            for row in connection.execute(select(table).where(_among(table, keys)))
        }
        new = [row for row, name in zip(rows, keys, strict=True) if name not in there]
        if new:
            connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in new])
        for row, name in zip(rows, keys, strict=True):
            if name in there and there[name] != row:
                one = and_(*(table.c[column] == value for column, value in zip(key, name, strict=True)))
                connection.execute(update(table).where(one).values(dict(zip(names, row, strict=True))))


def _drop_surplus(reader: Reader, engine: Engine, table: Table) -> None:
    """Delete the rows of the target that the source does not have any more."""
    if table is observations:
        return  # they are replaced as a whole
    key = [column.name for column in table.primary_key]
    with engine.snapshot() as written:
        there = {row for rows in _in_order(written, table, key) for row in rows}
    if there:
        there -= {row for rows in _in_order(reader, table, key) for row in rows}
    surplus = sorted(there)
    with engine.writing() as connection:
        for start in range(0, len(surplus), _ROWS_AT_ONCE):
            connection.execute(delete(table).where(_among(table, surplus[start : start + _ROWS_AT_ONCE])))


def _among(table: Table, keys: Sequence[_Row]) -> ColumnElement[bool]:
    columns = list(table.primary_key)
    if len(columns) == 1:
        return columns[0].in_([key[0] for key in keys])
    first, last = min(keys), max(keys)
    # Bounds, so that the rows are found by their key; a list of pairs alone makes SQLite read the whole table.
    return and_(columns[0].between(first[0], last[0]), tuple_(*columns).in_(keys))
