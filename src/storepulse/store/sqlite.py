"""What is particular to the embedded store: one SQLite file.

Written through SQLAlchemy, in WAL mode, so that readers work while a load runs; read in bulk through ADBC,
which hands whole columns over without making a Python object of each value.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias
from urllib.parse import quote

import adbc_driver_manager
import adbc_driver_sqlite
import numpy as np
import numpy.typing as npt
import polars as pl

from storepulse.errors import InputError, StoreError, StoreUnavailableError
from storepulse.schema import Codes, Instants, Statuses

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_BUSY_TIMEOUT_MS: Final = 60_000
_ROWS_PER_STATEMENT: Final = 300

Columns: TypeAlias = Mapping[str, "type[pl.DataType]"]


class Read(Protocol):
    """Run a query on a snapshot."""

    def __call__(self, sql: str, columns: Columns, parameters: pl.DataFrame | None = None) -> pl.DataFrame:
        """Return the rows as ``columns``; the query runs once for each row of ``parameters`` (?1, ?2, … in it)."""


def path_of(url: str) -> Path:
    """Return the file that ``sqlite:///relative.db`` or ``sqlite:////absolute.db`` names."""
    path = url.removeprefix("sqlite:///")
    if path == url or path in ("", ":memory:") or "?" in path:
        raise InputError(f"{url!r} names no store; valid is sqlite:///FILE, such as sqlite:///storepulse.db")
    return Path(path)


def engine(path: Path) -> Engine:
    """Return an engine on the file, which is made at the first write if it is not there.

    A transaction with the execution option ``writes`` takes the write lock at its beginning, and waits for
    it; commits are synced to disk.
    """
    from sqlalchemy import URL, create_engine, event

    made = create_engine(URL.create("sqlite", database=str(path)))

    @event.listens_for(made, "connect")
    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the module shall not begin transactions of its own accord
        for pragma in (
            f"busy_timeout = {_BUSY_TIMEOUT_MS}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "cache_size = -65536",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(made, "begin")
    def on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return made


def insert_observations(connection: Connection, stores: Codes, times: Instants, statuses: Statuses) -> tuple[int, int]:
    """Insert observations, each instant of a store once; return how many were new and how many replaced.

    An observation that is there already is replaced if its status differs.
    """
    rows = np.column_stack([stores.astype(np.int64), times, statuses])
    added = insert(connection, "observations", rows, "ON CONFLICT DO NOTHING")
    if added == len(rows):
        return added, 0
    # Some were there: only now is it worth asking which of them differ.
    replace = "ON CONFLICT DO UPDATE SET status = excluded.status WHERE status <> excluded.status"
    return added, insert(connection, "observations", rows, replace)


def insert(connection: Connection, table: str, rows: npt.NDArray[np.int64], on_conflict: str = "") -> int:
    """Insert whole rows of integers, fastest in the order of the table's key; return how many rows changed.

    Many rows a statement: most of the time of an insert goes into stepping through the driver (2.5 times faster).
    """
    cursor = connection.connection.cursor()
    changed = 0
    whole = len(rows) - len(rows) % _ROWS_PER_STATEMENT
    for part, height in ((rows[:whole], _ROWS_PER_STATEMENT), (rows[whole:], 1)):
        one = f"({', '.join('?' * rows.shape[1])})"
        statement = f"INSERT INTO {table} VALUES {', '.join([one] * height)} {on_conflict}"
        parameters = (part[i : i + height].ravel().tolist() for i in range(0, len(part), height))
        cursor.executemany(statement, parameters)  # type: ignore[arg-type]  # a generator: not all rows at once
        changed += max(cursor.rowcount, 0)
    return changed


@contextmanager
def snapshot(path: Path) -> Iterator[Read]:
    """Read the store as it is at this moment, in one transaction, without keeping a writer waiting."""
    uri = f"file:{quote(str(path))}?mode=rw"
    with (
        _driver_errors(path),
        adbc_driver_sqlite.connect(uri) as database,
        adbc_driver_manager.AdbcConnection(database) as connection,
    ):

        def read(sql: str, columns: Columns, parameters: pl.DataFrame | None = None) -> pl.DataFrame:
            with adbc_driver_manager.AdbcStatement(connection) as statement:
                statement.set_sql_query(sql)
                if parameters is not None:
                    statement.prepare()
                    statement.bind_stream(parameters)
                stream, _ = statement.execute_query()
                # SQLite has no types of columns; the driver guesses, and of an empty result it guesses wrong.
                return pl.DataFrame(stream).select(
                    pl.nth(place).cast(dtype).alias(name) for place, (name, dtype) in enumerate(columns.items())
                )

        read(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}", {"timeout": pl.Int64})
        connection.set_autocommit(False)
        yield read


@contextmanager
def _driver_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except adbc_driver_manager.Error as error:
        kind = StoreUnavailableError if isinstance(error, adbc_driver_manager.OperationalError) else StoreError
        raise kind(f"cannot read the store {path}: {str(error).splitlines()[0]}") from error


@contextmanager
def writing(made: Engine) -> Iterator[Connection]:
    """Open a transaction that writes: all of it or nothing.

    Raises
    ------
    StoreUnavailableError
        Another writer kept the store for over a minute, or the disk is full.
    StoreError
        The file is no store, or damaged.
    """
    with (
        sqlalchemy_errors(made),
        made.execution_options(writes=True).begin() as connection,
    ):
        yield connection


@contextmanager
def sqlalchemy_errors(made: Engine) -> Iterator[None]:
    """Turn what the driver raises into the errors of the store."""
    from sqlalchemy.exc import DatabaseError, OperationalError

    try:
        yield
    except OperationalError as error:
        raise StoreUnavailableError(f"the store {made.url.database} failed: {error.orig}") from error
    except (DatabaseError, sqlite3.Error) as error:
        original = getattr(error, "orig", error)
        raise StoreError(f"the store {made.url.database} failed: {original}") from error
