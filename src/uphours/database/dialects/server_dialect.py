"""What the engines with a server of their own share: connections, transactions, errors."""

from __future__ import annotations

import re
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, ClassVar, Final

from sqlalchemy import URL, Connection, Dialect, NullPool, QueuePool, create_engine, event, inspect, make_url
from sqlalchemy import Engine as Database
from sqlalchemy.engine.interfaces import IsolationLevel
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

from uphours.database.dialects import dialect as dialect_module
from uphours.database.dialects import urls
from uphours.database.dialects.dialect import OPTION, Engine, Finding, Grouped, Numbers, query
from uphours.errors import DatabaseError, DatabaseUnavailableError, InputError, NotFoundError

#: How long a statement waits for someone else's lock, and a connection for a server that does not answer.
LOCK_TIMEOUT_S: Final = 60
CONNECT_TIMEOUT_S: Final = 10
_POOL_SIZE: Final = 5
#: A server has some hundred connections for everybody: a process with many threads lets them wait for one another.
_POOL_OVERFLOW: Final = 10
#: A connection that was idle for longer may have been dropped by something in between, without a word.
_RECYCLE_S: Final = 1800
#: How long everybody waits at most for a part that is being dropped, how often that is tried, and after which pause.
_DROP_TIMEOUT_S: Final = 2
_DROP_ATTEMPTS: Final = 30
_DROP_PAUSE_S: Final = 2.0
_LONG_TRANSACTION_S: Final = 300


class Server(Engine):
    """A store in a database of a server."""

    mark: ClassVar[str] = "%s"
    is_server: ClassVar[bool] = True
    #: The driver as SQLAlchemy names it.
    driver: ClassVar[str]

    def __init__(self, url: str, *, keep_open: bool = False) -> None:
        self._url = self._parsed(url)
        # Without options: they too may hold a password.
        self.described = self._url.set(drivername=self.name, query={}).render_as_string(hide_password=True)
        self._keep_open = keep_open

    def _parsed(self, url: str) -> URL:
        urls.check(url)
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):
            parsed = None
        if parsed is None or not parsed.database:
            shown = urls.shown(url)
            raise InputError(f"{shown!r} names no database; valid is {self.name}://USER:PASSWORD@HOST:PORT/DATABASE")
        return parsed.set(drivername=self.driver)

    def check_there(self) -> None:
        """Leave it to the server to say whether there is such a database."""

    @cached_property
    def database(self) -> Database:
        """The database as SQLAlchemy sees it."""
        pool: dict[str, Any] = {"poolclass": NullPool}
        if self._keep_open:
            # Asked before each use whether it still answers: a server may have been started again.
            pool = {
                "poolclass": QueuePool,
                "pool_size": _POOL_SIZE,
                "max_overflow": _POOL_OVERFLOW,
                "pool_timeout": LOCK_TIMEOUT_S,
                "pool_recycle": _RECYCLE_S,
                "pool_pre_ping": True,
            }
        return self._created("READ COMMITTED", pool)

    def _created(self, isolation_level: IsolationLevel, pool: Mapping[str, Any]) -> Database:
        made = create_engine(
            self._url,
            connect_args=self.connect_options(self._url),
            isolation_level=isolation_level,
            execution_options={OPTION: self},
            pool_reset_on_return=None,  # see _on_return
            **pool,
        )
        event.listen(made, "do_connect", self._connected)
        event.listen(made, "connect", self._on_connect)
        event.listen(made, "reset", self._on_return)
        return made

    @abstractmethod
    def connect_options(self, url: URL) -> Mapping[str, Any]:
        """Return what the driver is passed, beside what the URL says."""

    @abstractmethod
    def session_settings(self) -> list[str]:
        """Return the statements that a new connection begins with."""

    @abstractmethod
    def begin_reading(self, connection: Connection) -> None:
        """Let the transaction that follows see the database as it is at its first statement."""

    @abstractmethod
    def begin_snapshot(self, connection: Connection) -> None:
        """Begin a transaction that only reads, and sees the database as it is at this moment until it ends."""

    @abstractmethod
    def check_version(self, connection: Connection) -> None:
        """Refuse a server that is too old.

        Raises
        ------
        DatabaseError
            It is.
        """

    def open(self, dialect: Dialect, *positional: Any, **named: Any) -> Any:
        """Return a new connection of the driver."""
        return dialect.connect(*positional, **named)

    def on_connect(self, connection: Any) -> None:
        """Prepare a connection of the driver."""

    def _connected(self, dialect: Dialect, _record: object, positional: list[Any], named: dict[str, Any]) -> Any:
        """Connect; what the driver says of options that it cannot take may hold a part of a password."""
        try:
            return self.open(dialect, *positional, **named)
        except (TypeError, ValueError, OSError, dialect.loaded_dbapi.ProgrammingError) as error:
            if isinstance(error, dialect.loaded_dbapi.Error) and getattr(error, "sqlstate", None) is not None:
                raise
            what = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise InputError(
                f"cannot connect to {self.described}: the driver does not take the user, the password or an option of "
                f"the URL ({what})"
            ) from None

    def _on_connect(self, connection: Any, _record: object) -> None:
        self.on_connect(connection)
        with connection.cursor() as cursor:
            for statement in self.session_settings():
                cursor.execute(statement)
        connection.commit()

    def _on_return(self, connection: Any, record: ConnectionPoolEntry, state: PoolResetState) -> None:
        """Leave no transaction open in a connection that goes back to the pool.

        One that broke after its last transaction is let go in silence: nothing is lost, and no one could act on it.
        """
        if state.transaction_was_reset:
            return
        try:
            connection.rollback()
        except self.database.dialect.loaded_dbapi.Error:
            record.invalidate()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction for the small things.

        Raises
        ------
        DatabaseUnavailableError
            The server does not answer, or is busy.
        DatabaseError
            It refuses.
        """
        with self.driver_errors(), self.database.connect() as connection:
            self.begin_reading(connection)
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that writes.

        Raises
        ------
        DatabaseUnavailableError, DatabaseError
            As with `reading`.
        """
        with self.driver_errors(), self.database.begin() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[_Reader]:
        """Read the database as it is at this moment.

        Raises
        ------
        DatabaseUnavailableError, DatabaseError
            As with `reading`.
        NotFoundError
            There is no database.
        """
        with self.driver_errors(), self.database.connect() as connection:
            self.begin_snapshot(connection)
            yield _Reader(connection, self.name)

    def look_over(self, seconds: float) -> bool:
        """Leave it to the server to look after its files."""
        return True

    def close(self) -> None:
        self.database.dispose()

    def drop_parts(self, before: int) -> int:
        with self.reading() as connection:
            old = [bound for bound in self.bounds(connection) if bound <= before]
        return sum(self._drop_in_time(bound, before) for bound in old)

    def _drop_in_time(self, bound: int, before: int) -> int:
        """Drop a part, and try again as long as reports read it: who comes later waits with us, but not for long."""
        for attempt in range(1, _DROP_ATTEMPTS + 1):
            try:
                return self.drop_part(bound, before, timeout_s=_DROP_TIMEOUT_S)
            except DatabaseUnavailableError:
                if attempt == _DROP_ATTEMPTS:
                    raise
                time.sleep(_DROP_PAUSE_S)
        raise AssertionError

    @abstractmethod
    def bounds(self, connection: Connection) -> list[int]:
        """Return the bounds of the parts of the observations that are there, ascending."""

    @abstractmethod
    def drop_part(self, bound: int, before: int, *, timeout_s: int) -> int:
        """Replace a part by one that has only what must stay of it; return how many observations went."""

    @contextmanager
    def driver_errors(self) -> Iterator[None]:
        """Turn what the driver raises into the errors of the database."""
        try:
            yield
        except PoolTimeoutError as error:
            raise DatabaseUnavailableError(f"the database {self.described} is busy: no connection came free") from error
        except (DBAPIError, self.database.dialect.loaded_dbapi.Error) as error:
            # What breaks between two statements comes as the driver raised it.
            original = getattr(error, "orig", None) or error
            if self.is_missing_database(original):
                raise NotFoundError("database", self.described, "make it on the server, or name another") from error
            if self.is_missing_table(original) and not self._has_tables():
                hint = "`uphours load` or `uphours migrate` makes one, --db names another"
                raise NotFoundError("uphours database", self.described, hint) from error
            passing = getattr(error, "connection_invalidated", False) or self.is_passing(original)
            kind = DatabaseUnavailableError if passing else DatabaseError
            raise kind(f"the database {self.described} failed: {self.message(original)}") from error

    def _has_tables(self) -> bool:
        """Say whether tables of a database are there: then one of them being missed is no sign that there is none."""
        try:
            with self.database.connect() as connection:
                return inspect(connection).has_table("alembic_version")
        except DBAPIError:
            return True

    @abstractmethod
    def is_missing_database(self, error: BaseException) -> bool:
        """Say whether the server has no such database."""

    @abstractmethod
    def is_missing_table(self, error: BaseException) -> bool:
        """Say whether a table is not there."""

    @abstractmethod
    def is_passing(self, error: BaseException) -> bool:
        """Say whether an error is of the kind that goes away: a lock, a full disk, a server that is being started."""

    def message(self, error: BaseException) -> str:
        """Return what the server said, on one line."""
        return " ".join(str(error).split())


#: What must stay of a part: the last observation of each store in it, unless the store has a later one before the
#: instant. ``{part}`` is what a query calls the part.
KEPT: Final = """\
SELECT o.store, o.observed_at, o.status
FROM {part} AS o
JOIN (SELECT store, max(observed_at) AS observed_at FROM {part} GROUP BY store) AS l
    ON l.store = o.store AND l.observed_at = o.observed_at
WHERE NOT EXISTS (
    SELECT 1 FROM observations AS n
    WHERE n.store = o.store AND n.observed_at > o.observed_at AND n.observed_at < {before}
)"""


def long_transactions(seconds: Sequence[int]) -> Finding:
    """Say whether someone keeps a transaction open for so long that it is in the way of others."""
    longest = max(seconds, default=0)
    if longest > _LONG_TRANSACTION_S:
        says = f"one has been open for {longest:,} s: what it has seen cannot be cleaned up, and others may wait for it"
        return Finding("transactions", "warning", says)
    return Finding("transactions", "good", f"{len(seconds)} open, the longest for {longest} s")


class _Reader:
    """Queries on the database as it was at one moment."""

    def __init__(self, connection: Connection, engine: str) -> None:
        self._connection, self._engine = connection, engine

    def rows(self, sql: str, **parameters: str | int) -> list[tuple[Any, ...]]:
        of_driver = re.sub(r"(?<!:):(\w+)", r"%(\1)s", sql)
        return [tuple(row) for row in self._connection.exec_driver_sql(of_driver, parameters)]

    def named(self, name: str, stores: Numbers, **parameters: str | int) -> list[tuple[Any, ...]]:
        return self.rows(query(self._engine, name, stores), **parameters)

    def grouped(self, name: str, stores: Numbers, *, columns: int = 1, **parameters: int) -> Grouped:
        return dialect_module.grouped(_whole(self.named(name, stores, **parameters)), columns)


def _whole(rows: list[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Return number and texts of each row ``(number, values, text, …)``, whose texts hold all of their values.

    Raises
    ------
    DatabaseError
        One does not: a server that cuts a text off at its limit only warns.
    """
    for number, values, *texts in rows:
        for text in texts:
            if text is not None and text.count(",") + 1 != values:
                raise DatabaseError(f"the server cut a result off: {text.count(',') + 1} of {values} values came")
        yield number, *texts
