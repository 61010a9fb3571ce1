"""What is particular to the embedded store: one SQLite file, in WAL mode, so that readers work while a load runs.

Everything goes through Python's own SQLite library. A second copy of SQLite in the process (such as a bulk
reading driver brings along) would drop the locks of the first whenever it closes the file, as POSIX locks
belong to processes: a store can be damaged by that.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from storepulse.errors import InputError, StoreError, StoreUnavailableError
from storepulse.schema import Codes, Instants, Statuses

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_BUSY_TIMEOUT_MS: Final = 60_000
_ROWS_PER_STATEMENT: Final = 300


def path_of(url: str) -> Path:
    """Return the file that ``sqlite:///relative.db`` or ``sqlite:////absolute.db`` names."""
    path = url.removeprefix("sqlite:///")
    if path == url or path in ("", ":memory:") or "?" in path:
        raise InputError(f"{url!r} names no store; valid is sqlite:///FILE, such as sqlite:///storepulse.db")
    return Path(path)


def engine(path: Path, *, keep_open: bool = False) -> Engine:
    """Return an engine on the file, which is made at the first write if it is not there.

    A transaction with the execution option ``writes`` takes the write lock at its beginning, and waits for
    it; commits are synced to disk.
    """
    from sqlalchemy import URL, NullPool, QueuePool, create_engine, event

    # Whoever closes a file last makes SQLite write its log back, which costs more than a small transaction.
    pool = {"poolclass": QueuePool, "pool_size": 8, "max_overflow": -1} if keep_open else {"poolclass": NullPool}
    made = create_engine(URL.create("sqlite", database=str(path)), **pool)

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


@dataclass(frozen=True)
class Grouped:
    """Integers of some stores: the number of each store, how many values it has, and all values."""

    stores: Codes
    counts: npt.NDArray[np.int64]
    values: npt.NDArray[np.int64]


class Reader:
    """Queries on the store as it was at one moment."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, **parameters: str | int) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        return self._connection.execute(sql, parameters).fetchall()

    def grouped(self, sql: str, **parameters: int) -> Grouped:
        """Return the integers that a query gives as ``(store, comma-separated text)``, a row a store.

        One text a store instead of one Python object a value: as fast as a driver made for bulk reads.
        """
        rows = sorted((store, text) for store, text in self.rows(sql, **parameters) if text)
        return Grouped(
            np.array([store for store, _ in rows], dtype=np.int32),
            np.array([text.count(",") + 1 for _, text in rows], dtype=np.int64),
            np.fromstring(",".join(text for _, text in rows), dtype=np.int64, sep=","),
        )


@contextmanager
def snapshot(path: Path) -> Iterator[Reader]:
    """Read the store as it is at this moment, in one transaction, without keeping a writer waiting.

    Raises
    ------
    StoreUnavailableError, StoreError
        As with `writing`.
    """
    uri = f"file:{quote(str(path))}?mode=rw"
    with (
        driver_errors(path),
        closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_TIMEOUT_MS / 1000)) as connection,
    ):
        connection.execute("BEGIN")
        yield Reader(connection)


def look_over(path: Path, seconds: float) -> bool:
    """Look for damage, for some seconds at most; return whether all of it was looked at.

    Raises
    ------
    StoreError
        It is damaged.
    """
    deadline = time.monotonic() + seconds
    with driver_errors(path), closing(sqlite3.connect(path)) as connection:
        connection.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
        try:
            ((found,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                return False
            raise
    if found != "ok":
        raise StoreError(f"the store {path} is damaged ({found}); put back a copy, or try `sqlite3 {path} .recover`")
    return True


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
    with driver_errors(made.url.database), made.execution_options(writes=True).begin() as connection:
        yield connection


@contextmanager
def driver_errors(path: object) -> Iterator[None]:
    """Turn what SQLite raises, directly or through SQLAlchemy, into the errors of the store."""
    try:
        yield
    except Exception as error:
        original = getattr(error, "orig", error)
        if not isinstance(original, sqlite3.Error):
            raise
        kind = StoreUnavailableError if isinstance(original, sqlite3.OperationalError) else StoreError
        raise kind(f"the store {path} failed: {original}") from error
