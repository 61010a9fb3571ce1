"""What is particular to the embedded store: one SQLite file, in WAL mode, so that readers work while a load runs.

Everything goes through Python's own SQLite library. A second copy of SQLite in the process (such as a bulk
reading driver brings along) would drop the locks of the first whenever it closes the file, as POSIX locks
belong to processes: a store can be damaged by that.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from storepulse.errors import InputError, NotFoundError, StoreError, StoreUnavailableError
from storepulse.schema import Codes, Instants, Statuses
from storepulse.store import engines
from storepulse.store.engines import Finding, Grouped, parts

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy import Connection

_BUSY_TIMEOUT_MS: Final = 60_000
_ROWS_PER_STATEMENT: Final = 300
_QUERIES: Final = engines.queries("sqlite")


class SQLite(engines.Engine):
    """A store in one file, which is made at the first write if it is not there."""

    name: ClassVar[str] = "sqlite"
    mark: ClassVar[str] = "?"

    def __init__(self, url: str, *, keep_open: bool = False) -> None:
        self.path = _path_of(url)
        self.described = str(self.path)
        self._keep_open = keep_open

    def check_there(self) -> None:
        if not self.path.exists():
            raise NotFoundError("store", self.described, "`storepulse load` makes one, --db names another")

    @cached_property
    def engine(self) -> sa.Engine:
        """The file as SQLAlchemy sees it.

        A transaction with the execution option ``writes`` takes the write lock at its beginning, and waits for
        it; commits are synced to disk.
        """
        from sqlalchemy import URL, NullPool, QueuePool, create_engine, event

        # Whoever closes a file last makes SQLite write its log back, which costs more than a small transaction.
        pool = (
            {"poolclass": QueuePool, "pool_size": 8, "max_overflow": -1} if self._keep_open else {"poolclass": NullPool}
        )
        url = URL.create("sqlite", database=str(self.path))
        made = create_engine(url, **pool, execution_options={engines.OPTION: self})

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

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction for the small things.

        Raises
        ------
        StoreUnavailableError, StoreError
            As with `writing`.
        """
        with _driver_errors(self.path), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that writes, as the only one.

        Raises
        ------
        StoreUnavailableError
            Another writer kept the store for over a minute, or the disk is full.
        StoreError
            The file is no store, or damaged.
        """
        with _driver_errors(self.path), self.engine.execution_options(writes=True).begin() as connection:
            yield connection

    migrating = writing

    @contextmanager
    def snapshot(self) -> Iterator[_Reader]:
        """Read the store as it is at this moment, in one transaction, without keeping a writer waiting.

        Raises
        ------
        StoreUnavailableError, StoreError
            As with `writing`; or the file is a database, but no store.
        """
        uri = f"file:{quote(str(self.path))}?mode=rw"
        timeout_s = _BUSY_TIMEOUT_MS / 1000
        with (
            _driver_errors(self.path),
            closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout_s)) as connection,
        ):
            connection.execute("BEGIN")
            reader = _Reader(connection)
            if not reader.rows("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"):
                raise StoreError(f"{self.path} is a database, but no store of storepulse")
            yield reader

    def look_over(self, seconds: float) -> bool:
        """Look for damage, for some seconds at most; return whether all of it was looked at.

        Raises
        ------
        StoreError
            It is damaged.
        """
        deadline = time.monotonic() + seconds
        with _driver_errors(self.path), closing(sqlite3.connect(self.path)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
            try:
                ((found,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                    return False
                raise
        if found != "ok":
            mend = f"put back a copy, or try `sqlite3 {self.path} .recover`"
            raise StoreError(f"the store {self.path} is damaged ({found}); {mend}")
        return True

    def close(self) -> None:
        self.engine.dispose()

    def prepare(self, connection: Connection, times: Instants) -> None:
        pass  # one table holds all of them

    def insert_observations(
        self, connection: Connection, stores: Codes, times: Instants, statuses: Statuses
    ) -> tuple[int, int]:
        rows = np.column_stack([stores.astype(np.int64), times, statuses])
        added = _insert(connection, "observations", rows, "ON CONFLICT DO NOTHING")
        if added == len(rows):
            return added, 0
        # Some were there: only now is it worth asking which of them differ.
        replace = "ON CONFLICT DO UPDATE SET status = excluded.status WHERE status <> excluded.status"
        return added, _insert(connection, "observations", rows, replace)

    def insert_rows(self, connection: Connection, table: str, rows: npt.NDArray[np.int64]) -> None:
        _insert(connection, table, rows)

    def drop_parts(self, before: int) -> int:
        return 0

    def checkup(self) -> Iterator[Finding]:
        yield Finding("engine", "good", f"SQLite {sqlite3.sqlite_version}, {self.path.stat().st_size / 1e6:,.1f} MB")
        with self.reading() as connection:
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        if mode == "wal":
            yield Finding("durability", "good", "write-ahead log, each commit is synced to disk")
        else:
            yield Finding("durability", "bad", f"the journal mode is {mode}: the file system does not allow a WAL")
        writable = os.access(self.path, os.W_OK) and os.access(self.path.absolute().parent, os.W_OK)
        if writable:
            yield Finding("rights", "good", "the file and its folder can be written")
        else:
            yield Finding("rights", "bad", "the file, or its folder, which holds the log too, cannot be written")

    def server_time(self, connection: Connection) -> int | None:
        return None

    def set_counters(self, connection: Connection) -> None:
        pass  # the next number is after the last row anyway

    def known_statuses(self, connection: Connection, keys: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], int]:
        rows = ", ".join(["(?, ?)"] * len(keys))
        # A list of pairs after IN would make SQLite read the whole table.
        sql = (
            f"WITH wanted(store, observed_at) AS (VALUES {rows}) "
            "SELECT o.store, o.observed_at, o.status FROM wanted AS w CROSS JOIN observations AS o "
            "ON o.store = w.store AND o.observed_at = w.observed_at"
        )
        parameters = tuple(value for key in keys for value in key)
        return {(store, at): status for store, at, status in connection.exec_driver_sql(sql, parameters)}


def _path_of(url: str) -> Path:
    """Return the file that ``sqlite:///relative.db`` or ``sqlite:////absolute.db`` names."""
    path = url.removeprefix("sqlite:///")
    if path == url or path in ("", ":memory:") or "?" in path:
        raise InputError(f"{url!r} names no store; valid is sqlite:///FILE, such as sqlite:///storepulse.db")
    return Path(path)


def _insert(connection: Connection, table: str, rows: npt.NDArray[np.int64], on_conflict: str = "") -> int:
    """Insert whole rows of integers; return how many rows changed.

    Many rows a statement: most of the time of an insert goes into stepping through the driver (2.5 times faster).
    """
    cursor = connection.connection.cursor()
    changed = 0
    whole = len(rows) - len(rows) % _ROWS_PER_STATEMENT
    for part, height in ((rows[:whole], _ROWS_PER_STATEMENT), (rows[whole:], 1)):
        one = f"({', '.join('?' * rows.shape[1])})"
        statement = f"INSERT INTO {table} VALUES {', '.join([one] * height)} {on_conflict}"
        parameters = (some.ravel().tolist() for some in parts(part, height))
        cursor.executemany(statement, parameters)  # type: ignore[arg-type]  # a generator: not all rows at once
        changed += max(cursor.rowcount, 0)
    return changed


class _Reader:
    """Queries on the store as it was at one moment."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, **parameters: str | int) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, parameters).fetchall()

    def grouped(self, name: str, **parameters: int) -> Grouped:
        return engines.grouped(self.rows(_QUERIES[name], **parameters))


@contextmanager
def _driver_errors(path: object) -> Iterator[None]:
    """Turn what SQLite raises, directly or through SQLAlchemy, into the errors of the store."""
    try:
        yield
    except Exception as error:
        original = getattr(error, "orig", error)
        if not isinstance(original, sqlite3.Error):
            raise
        # A mistake in SQL, or a table that is not there, does not go away.
        passing = isinstance(original, sqlite3.OperationalError) and original.sqlite_errorcode != sqlite3.SQLITE_ERROR
        kind = StoreUnavailableError if passing else StoreError
        raise kind(f"the store {path} failed: {original}") from error
