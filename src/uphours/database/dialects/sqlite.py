"""What is particular to the embedded store: one SQLite file, in WAL mode, so that readers work while a load runs.

Everything goes through Python's own SQLite library. A second copy of SQLite in the process (such as a bulk
reading driver brings along) would drop the locks of the first whenever it closes the file, as POSIX locks
belong to processes: a store can be damaged by that.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from uphours.database.dialects import dialect, sqlite_file, urls
from uphours.database.dialects.dialect import (
    ALL_STORES,
    CONTENT,
    OPTION,
    Engine,
    Finding,
    Grouped,
    Numbers,
    query,
)
from uphours.errors import DatabaseError, DatabaseUnavailableError, InputError, NotFoundError
from uphours.schema import Codes, Instants, Statuses

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy import Connection

T = TypeVar("T")

_BUSY_TIMEOUT_MS: Final = 60_000
_ROWS_PER_STATEMENT: Final = 300
#: Statements whose values are put together at once.
_STATEMENTS_AT_ONCE: Final = 100
#: What stores have many rows of. It is read of some stores at once and, where there are more of them than that, through
#: two connections: less takes some ten milliseconds.
_LONG: Final = ("observations", "business_hours", "attributes")
_STORES_AT_ONCE: Final = 2_000


class SQLite(Engine):
    """A store in one file, which is made at the first write if it is not there."""

    name: ClassVar[str] = "sqlite"
    mark: ClassVar[str] = "?"

    def __init__(self, url: str, *, keep_open: bool = False) -> None:
        self.path = _path_of(url)
        self.described = str(self.path)
        self._keep_open = keep_open
        self._seen = False

    def check_there(self) -> None:
        """Refuse to read where there is no database.

        Raises
        ------
        NotFoundError
            There is no file, or an empty one.
        DatabaseError
            It is no SQLite database, or another program's.
        """
        if not self._is_store():
            raise NotFoundError("uphours database", self.described, "`uphours load` makes one, --db names another")

    def _is_store(self) -> bool:
        """Say whether there is a database; once there is, it is looked at no more."""
        if not (self._seen and self.path.exists()):
            self._seen = sqlite_file.check(self.path)
        return self._seen

    @cached_property
    def engine(self) -> sa.Engine:
        """The file as SQLAlchemy sees it.

        A transaction with the execution option ``writes`` takes the write lock at its beginning, and waits for
        it; commits are synced to disk.
        """
        from sqlalchemy import URL, NullPool, QueuePool, create_engine, event

        # Anyone who closes a file last makes SQLite write its log back, which costs more than a small transaction.
        pool = (
            {"poolclass": QueuePool, "pool_size": 8, "max_overflow": -1} if self._keep_open else {"poolclass": NullPool}
        )
        url = URL.create("sqlite", database=str(self.path))
        made = create_engine(url, **pool, execution_options={OPTION: self})

        @event.listens_for(made, "connect")
        def on_connect(connection: sqlite3.Connection, _record: object) -> None:
            connection.isolation_level = None  # the module must not begin transactions of its own accord
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
            _keep_a_log(connection)
            for pragma in ("synchronous = FULL", "foreign_keys = ON", "cache_size = -65536"):
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
        DatabaseUnavailableError, DatabaseError
            As with `writing`.
        """
        with _driver_errors(self.path):
            if sqlite_file.is_writable(self.path):
                with self.engine.connect() as connection:
                    yield connection
                return
            with (
                sqlite_file.read_only_connection(self.path, _BUSY_TIMEOUT_MS / 1000) as opened,
                self._engine_of(lambda: opened).connect() as connection,
            ):
                yield connection

    def _engine_of(self, creator: Callable[[], sqlite3.Connection]) -> sa.Engine:
        """Return an engine for one connection that is open already."""
        from sqlalchemy import NullPool, create_engine, event

        made = create_engine("sqlite://", creator=creator, poolclass=NullPool, execution_options={OPTION: self})
        event.listen(made, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        return made

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that writes, as the only one.

        Raises
        ------
        DatabaseUnavailableError
            Another writer kept the store for over a minute, or the disk is full.
        DatabaseError
            The file is no store, read-only, or damaged.
        """
        self._is_store()
        sqlite_file.check_writable(self.path)
        sqlite_file.make(self.path)
        with _driver_errors(self.path), self.engine.execution_options(writes=True).begin() as connection:
            yield connection

    migrating = writing

    @contextmanager
    def snapshot(self) -> Iterator[_Reader]:
        """Read the database as it is at this moment, in one transaction, without keeping a writer waiting.

        Raises
        ------
        DatabaseUnavailableError, DatabaseError
            As with `writing`; or the file is a database, but no store.
        """
        with _driver_errors(self.path), ExitStack() as stack:
            connection = stack.enter_context(self._opened())
            connection.execute("BEGIN")
            reader = _Reader(connection, lambda: stack.enter_context(self._opened()))
            if not reader.rows("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"):
                raise DatabaseError(f"{self.path} is a database, but no store of uphours")
            yield reader

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Open the file with the driver alone; it must be there."""
        timeout_s = _BUSY_TIMEOUT_MS / 1000
        if not sqlite_file.is_writable(self.path):
            with sqlite_file.read_only_connection(self.path, timeout_s) as connection:
                yield connection
            return
        uri = f"file:{quote(str(self.path))}?mode=rw"
        # What one thread has opened, another one reads with.
        made = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout_s, check_same_thread=False)
        with closing(made) as connection:
            yield connection

    def look_over(self, seconds: float) -> bool:
        """Look for damage, for some seconds at most; return whether all of it was looked at.

        Raises
        ------
        DatabaseError
            It is damaged.
        """
        deadline = time.monotonic() + seconds
        with _driver_errors(self.path), self._opened() as connection:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
            try:
                ((found,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                    return False
                raise
        if found != "ok":
            mend = f"put back a copy, or try `sqlite3 {self.path} .recover`"
            raise DatabaseError(f"the database {self.path} is damaged ({found}); {mend}")
        return True

    def close(self) -> None:
        self.engine.dispose()

    def prepare(self, connection: Connection, times: Instants) -> None:
        pass  # one table holds all of them

    def insert_observations(
        self, connection: Connection, stores: Codes, times: Instants, statuses: Statuses
    ) -> tuple[int, int]:
        columns = (stores, times, statuses)
        added = _insert(connection, "observations", columns, "ON CONFLICT DO NOTHING")
        if added == len(times):
            return added, 0
        # Some were there: only now is it worth asking which of them differ.
        replace = "ON CONFLICT DO UPDATE SET status = excluded.status WHERE status <> excluded.status"
        return added, _insert(connection, "observations", columns, replace)

    def insert_rows(self, connection: Connection, table: str, rows: npt.NDArray[np.int64]) -> None:
        _insert(connection, table, list(rows.T))

    def drop_parts(self, before: int) -> int:
        return 0

    def checkup(self) -> Iterator[Finding]:
        size = self.path.stat().st_size if self.path.exists() else 0
        yield Finding("engine", "good", f"SQLite {sqlite3.sqlite_version}, {size / 1e6:,.1f} MB")
        yield self._rights()
        if not (self._is_store() and self.is_writable()):
            return
        with self.reading() as connection:
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        if mode == "wal":
            yield Finding("durability", "good", "write-ahead log, each commit is synced to disk")
        else:
            yield Finding("durability", "bad", f"the journal mode is {mode}: the file system does not allow a WAL")

    def _rights(self) -> Finding:
        if not self.path.absolute().parent.is_dir():
            return Finding(
                "rights", "bad", f"there is no folder {self.path.absolute().parent}: no file can be made in it"
            )
        if sqlite_file.is_writable(self.path):
            return Finding("rights", "good", "the file and its folder can be written")
        says = "the file, or its folder, which holds the log too, is read-only: reports can be made, nothing else"
        return Finding("rights", "warning" if self.path.exists() else "bad", says)

    def is_writable(self) -> bool:
        return sqlite_file.is_writable(self.path)

    def table_names(self, connection: Connection) -> set[str]:
        sql = (
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        )
        return set(connection.exec_driver_sql(sql).scalars())

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
        raise InputError(
            f"{urls.shown(url)!r} names no database; valid is sqlite:///FILE, such as sqlite:///uphours.db"
        )
    return Path(path)


def _insert(connection: Connection, table: str, columns: Sequence[npt.NDArray[Any]], on_conflict: str = "") -> int:
    """Insert whole rows of integers, given column by column; return how many rows changed.

    Many rows a statement: most of the time of an insert goes into stepping through the driver (2.5 times faster).
    """
    cursor = connection.connection.cursor()
    changed = 0
    rows = len(columns[0])
    whole = rows - rows % _ROWS_PER_STATEMENT
    one = f"({', '.join('?' * len(columns))})"
    for first, stop, height in ((0, whole, _ROWS_PER_STATEMENT), (whole, rows, 1)):
        statement = f"INSERT INTO {table} VALUES {', '.join([one] * height)} {on_conflict}"
        parameters = _parameters(columns, first, stop, height)
        cursor.executemany(statement, parameters)  # type: ignore[arg-type]  # a generator: not all rows at once
        changed += max(cursor.rowcount, 0)
    return changed


def _parameters(columns: Sequence[npt.NDArray[Any]], first: int, stop: int, height: int) -> Iterator[list[int]]:
    """Yield the values of ``height`` rows at a time, row by row."""
    step = height * _STATEMENTS_AT_ONCE
    for start in range(first, stop, step):
        some = [column[start : min(start + step, stop)] for column in columns]
        yield from np.stack(some, axis=1, dtype=np.int64).reshape(-1, height * len(columns)).tolist()


class _Reader:
    """Queries on the database as it was at one moment; ``open_beside`` opens the same file once more."""

    def __init__(self, connection: sqlite3.Connection, open_beside: Callable[[], sqlite3.Connection]) -> None:
        self._connection = connection
        self._open_beside = open_beside

    def rows(self, sql: str, **parameters: str | int) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, parameters).fetchall()

    def named(self, name: str, stores: Numbers, **parameters: str | int) -> list[tuple[Any, ...]]:
        parts = self._in_parts(
            name, stores, lambda reader, some: reader.rows(query("sqlite", name, some), **parameters)
        )
        return [row for rows in parts for row in rows]

    def grouped(self, name: str, stores: Numbers, *, columns: int = 1, **parameters: int) -> Grouped:
        def read(reader: _Reader, some: Numbers) -> Grouped:
            return dialect.grouped(reader.rows(query("sqlite", name, some), **parameters), columns)

        return dialect.together(self._in_parts(name, stores, read), columns)

    def _in_parts(self, name: str, stores: Numbers, read: Callable[[_Reader, Numbers], T]) -> list[T]:
        """Read some stores or, where that takes long, two halves of all at the same time, the second one in a thread.

        SQLite works without Python's lock, but each connection does one thing at a time. Of each half some stores are
        read at once: all of their rows as text take as much memory as everything else.
        """
        if name not in _LONG or stores != ALL_STORES or self._last <= _STORES_AT_ONCE or self._beside is None:
            return [read(self, stores)]

        def read_each(reader: _Reader, parts: Sequence[range]) -> list[T]:
            return [read(reader, part) for part in parts]

        middle = self._last // 2
        halves = [_cut(0, middle), _cut(middle, self._last + 1)]
        with ThreadPoolExecutor(1) as pool:
            others = pool.submit(read_each, self._beside, halves[1])
            return [*read_each(self, halves[0]), *others.result()]

    @cached_property
    def _last(self) -> int:
        """The greatest number of a store."""
        last: int = self.rows("SELECT coalesce(max(store), 0) FROM stores")[0][0]
        return last

    @cached_property
    def _beside(self) -> _Reader | None:
        """Another connection that sees the same; None where something was committed since this transaction began."""
        content = self.rows(CONTENT)
        connection = self._open_beside()
        connection.execute("BEGIN")
        beside = _Reader(connection, self._open_beside)
        return beside if beside.rows(CONTENT) == content else None


def _cut(start: int, stop: int) -> list[range]:
    """Cut numbers of stores into parts that are read at once."""
    return [range(first, min(first + _STORES_AT_ONCE, stop)) for first in range(start, stop, _STORES_AT_ONCE)]


def _keep_a_log(connection: sqlite3.Connection) -> None:
    """Set WAL mode, which a file stays in: a new file is changed to it by the first of its connections.

    That needs the file alone, and unlike any other statement it fails at once where another one has it open: no busy
    timeout holds here (SQLite, ``sqlite3PagerOpenWal``).
    """
    deadline = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


@contextmanager
def _driver_errors(path: object) -> Iterator[None]:
    """Turn what SQLite raises, directly or through SQLAlchemy, into the errors of the database."""
    try:
        yield
    except Exception as error:
        original = getattr(error, "orig", error)
        if not isinstance(original, sqlite3.Error):
            raise
        # A mistake in SQL, or a table that is not there, does not go away.
        if original.sqlite_errorcode & 0xFF == sqlite3.SQLITE_READONLY:
            raise sqlite_file.read_only(Path(str(path))) from error
        passing = isinstance(original, sqlite3.OperationalError) and original.sqlite_errorcode != sqlite3.SQLITE_ERROR
        kind = DatabaseUnavailableError if passing else DatabaseError
        raise kind(f"the database {path} failed: {original}") from error
