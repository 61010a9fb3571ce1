"""What is particular to MySQL (8 and later) and MariaDB (10.6 and later): statements of many rows, partitions, locks.

There is no ``LOAD DATA LOCAL``: a client that allows it sends any file that the server asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from ssl import CERT_NONE, PROTOCOL_TLS_CLIENT, SSLContext
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pymysql
from pymysql.constants import CR, ER
from sqlalchemy import URL, Connection, Dialect, NullPool, event
from sqlalchemy import Engine as Database
from sqlalchemy.exc import DBAPIError

from uphours.database import locks
from uphours.database.dialects import time_partitions
from uphours.database.dialects.dialect import Finding, parts
from uphours.database.dialects.server_dialect import CONNECT_TIMEOUT_S, KEPT, LOCK_TIMEOUT_S, Server, long_transactions
from uphours.database.tables import metadata
from uphours.errors import DatabaseError, DatabaseUnavailableError, InputError
from uphours.schema import Codes, Instants, Statuses

_OLDEST: Final = (8, 0)
_OLDEST_MARIADB: Final = (10, 6)
#: How long a connection waits for an answer: a statement of ours never takes so long.
_ANSWER_TIMEOUT_S: Final = 3600
_MIGRATION_LOCK: Final = "uphours tables"
_ROWS_PER_STATEMENT: Final = 10_000
#: Servers take statements of 16 MiB at the least, unless set otherwise.
_CERTAINLY_TAKEN: Final = 5 << 20
#: Errors that go away: of connections and their number, of locks, of a server that is full, read-only or stopping.
_PASSING: Final = frozenset(
    {
        ER.CON_COUNT_ERROR, ER.TOO_MANY_USER_CONNECTIONS, ER.USER_LIMIT_REACHED, ER.OUT_OF_RESOURCES, ER.OUTOFMEMORY,
        ER.SERVER_SHUTDOWN, ER.NORMAL_SHUTDOWN, ER.SHUTDOWN_COMPLETE, ER.FORCING_CLOSE, ER.ABORTING_CONNECTION,
        ER.NEW_ABORTING_CONNECTION, ER.NET_READ_ERROR, ER.NET_READ_INTERRUPTED, ER.NET_ERROR_ON_WRITE,
        ER.NET_WRITE_INTERRUPTED, ER.LOCK_WAIT_TIMEOUT, ER.LOCK_DEADLOCK, ER.LOCK_TABLE_FULL, ER.QUERY_INTERRUPTED,
        ER.DISK_FULL, ER.RECORD_FILE_FULL, ER.OPTION_PREVENTS_STATEMENT, ER.TABLE_DEF_CHANGED,
        1836,  # read-only for its own reasons
        1927,  # the connection was killed
        3024, 1969,  # a statement took longer than the server allows
        3572,  # someone has the row locked
        4031,  # the connection was idle for too long
        *(getattr(CR, name) for name in dir(CR) if name.startswith("CR_")),  # what the driver says of connections
    }
)  # fmt: skip


class _Connection(pymysql.Connection):
    """A connection that reads no certificates where its URL names none.

    The driver then encrypts if the server can, and verifies nothing; yet it reads all certificates of the system for
    each connection, which takes ten times as long as to connect.
    """

    def _create_ssl_ctx(self, options: Any) -> SSLContext:
        if options:
            named: SSLContext = super()._create_ssl_ctx(options)  # type: ignore[misc]  # it is private
            return named
        return _unverified()


@cache
def _unverified() -> SSLContext:
    context = SSLContext(PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, CERT_NONE
    return context


class MySQL(Server):
    """A store in a MySQL or MariaDB database."""

    name: ClassVar[str] = "mysql"
    driver: ClassVar[str] = "mysql+pymysql"

    def connect_options(self, url: URL) -> Mapping[str, Any]:
        # As bytes: the driver would write a text in Latin-1, which not every password is.
        password = {} if url.password is None else {"password": str(url.password).encode()}
        return password | {
            "charset": "utf8mb4",
            "connect_timeout": CONNECT_TIMEOUT_S,
            "read_timeout": _ANSWER_TIMEOUT_S,
            "write_timeout": _ANSWER_TIMEOUT_S,
        }

    def open(self, dialect: Dialect, *positional: Any, **named: Any) -> Any:
        return _Connection(*positional, **named)

    def session_settings(self) -> list[str]:
        return [
            f"SET SESSION innodb_lock_wait_timeout = {LOCK_TIMEOUT_S}",
            f"SET SESSION lock_wait_timeout = {LOCK_TIMEOUT_S}",
            # Without it a text that is too long would be cut off instead of refused.
            "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
            "SET SESSION group_concat_max_len = 1073741824",
        ]

    def check_version(self, connection: Connection) -> None:
        found = connection.dialect.server_version_info or (0,)
        is_mariadb = bool(getattr(connection.dialect, "is_mariadb", False))
        if found < (_OLDEST_MARIADB if is_mariadb else _OLDEST):
            valid = "valid are MySQL 8.0 and MariaDB 10.6, and later"
            raise DatabaseError(f"the server of {self.described} is too old; {valid}")

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        # Each change of a table commits what was before it, so the lock is one of a connection; and of another one, so
        # that it is kept until the last change is committed too.
        with self._changing_tables() as holder:
            name = f"{_MIGRATION_LOCK} {self._url.database}"[:64]
            taken = holder.exec_driver_sql("SELECT GET_LOCK(%s, %s)", (name, LOCK_TIMEOUT_S)).scalar()
            if taken != 1:
                raise DatabaseUnavailableError(f"the tables of {self.described} are being changed by another process")
            try:
                with self.writing() as connection:
                    self.check_version(connection)
                    yield connection
            finally:
                holder.exec_driver_sql("SELECT RELEASE_LOCK(%s)", (name,))

    @contextmanager
    def _changing_tables(self) -> Iterator[Connection]:
        """Open a connection of its own for changes of tables, which would commit what the transaction of another did.

        Each statement is a transaction: in a longer one MariaDB's EXCHANGE PARTITION waits for itself.
        """
        with self.driver_errors(), self._autocommit.connect() as connection:
            yield connection

    @cached_property
    def _autocommit(self) -> Database:
        # Set as it connects and never set back: a connection of the pool that breaks on being set back keeps its place
        # there for ever.
        return self._created("AUTOCOMMIT", {"poolclass": NullPool})

    def begin_reading(self, connection: Connection) -> None:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")

    def begin_snapshot(self, connection: Connection) -> None:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        # From here on no one can replace a partition: the table is in use.
        connection.exec_driver_sql("SELECT 1 FROM observations LIMIT 1")

    @cached_property
    def database(self) -> Database:
        made = super().database
        event.listen(made, "before_cursor_execute", _check_size)
        return made

    def is_missing_database(self, error: BaseException) -> bool:
        return isinstance(error, pymysql.OperationalError) and error.args[0] == ER.BAD_DB_ERROR

    def is_missing_table(self, error: BaseException) -> bool:
        return isinstance(error, pymysql.ProgrammingError) and error.args[0] == ER.NO_SUCH_TABLE

    def is_passing(self, error: BaseException) -> bool:
        code = error.args[0] if error.args else 0
        # An InterfaceError is a connection that was closed.
        return isinstance(error, pymysql.InterfaceError) or code in _PASSING

    def message(self, error: BaseException) -> str:
        return super().message(Exception(error.args[-1]) if error.args else error)

    def prepare(self, connection: Connection, times: Instants) -> None:
        missing = time_partitions.missing(self.bounds(connection), times)
        if not missing:
            return
        new = ", ".join(f"PARTITION {time_partitions.name(bound)} VALUES LESS THAN ({bound})" for bound in missing)
        with self._changing_tables() as other:
            other.exec_driver_sql(f"ALTER TABLE observations ADD PARTITION ({new})")

    def insert_observations(
        self, connection: Connection, stores: Codes, times: Instants, statuses: Statuses
    ) -> tuple[int, int]:
        rows = np.column_stack([stores.astype(np.int64), times, statuses])
        added = _insert(connection, "observations", rows, ignore="IGNORE")
        if added == len(rows):
            return added, 0
        # Some were there: only now is it worth asking which of them differ. The server counts a row that was there
        # as one where it stays as it is, and as two where it is changed.
        counted = _insert(connection, "observations", rows, then="ON DUPLICATE KEY UPDATE status = VALUES(status)")
        return added, counted - len(rows)

    def insert_rows(self, connection: Connection, table: str, rows: npt.NDArray[np.int64]) -> None:
        _insert(connection, table, rows)

    def bounds(self, connection: Connection) -> list[int]:
        sql = (
            "SELECT partition_name FROM information_schema.partitions "
            "WHERE table_schema = database() AND table_name = 'observations'"
        )
        found = sorted(time_partitions.bound_of(name) for name in connection.exec_driver_sql(sql).scalars())
        return found[1:]  # the first one is there because there must be one: it ends where time begins

    def drop_part(self, bound: int, before: int, *, timeout_s: int) -> int:
        part = time_partitions.name(bound)
        source = f"observations PARTITION ({part})"
        with self.writing() as holder, self._changing_tables() as connection:
            locks.take(holder, "loads")
            connection.exec_driver_sql("DROP TABLE IF EXISTS observations_kept")  # of one that was broken off
            connection.exec_driver_sql("CREATE TABLE observations_kept LIKE observations")
            connection.exec_driver_sql("ALTER TABLE observations_kept REMOVE PARTITIONING")
            keep = f"INSERT INTO observations_kept {KEPT.format(part=source, before=before)}"
            kept = connection.exec_driver_sql(keep).rowcount
            held: int = connection.exec_driver_sql(f"SELECT count(*) FROM {source}").scalar_one()
            if kept < held:
                connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {timeout_s}")
                try:
                    connection.exec_driver_sql(
                        f"ALTER TABLE observations EXCHANGE PARTITION {part} WITH TABLE observations_kept"
                    )
                finally:
                    connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {LOCK_TIMEOUT_S}")
            connection.exec_driver_sql("DROP TABLE observations_kept")
        return held - kept

    def table_names(self, connection: Connection) -> set[str]:
        return set(connection.exec_driver_sql("SHOW TABLES").scalars())

    def checkup(self) -> Iterator[Finding]:
        with self.reading() as connection:
            self.check_version(connection)
            yield _encoding(connection)
            yield Finding("engine", "good", f"{connection.exec_driver_sql('SELECT version()').scalar_one()}")
            of = dict(map(tuple, connection.exec_driver_sql(f"SHOW VARIABLES WHERE variable_name IN {_SETTINGS}")))
            if of.get("innodb_flush_log_at_trx_commit") == "1":
                yield Finding("durability", "good", "each commit is synced to disk")
            else:
                says = "innodb_flush_log_at_trx_commit is not 1: what was acknowledged can be lost"
                yield Finding("durability", "bad", says)
            if of.get("log_bin") == "ON" and of.get("sync_binlog") != "1":
                says = "sync_binlog is not 1: replicas and backups can lack what was acknowledged"
                yield Finding("binary log", "warning", says)
            buffer = int(of.get("innodb_buffer_pool_size", 0))
            size = int(connection.exec_driver_sql(_SIZE).scalar_one() or 0)
            says = f"{size / 1e6:,.0f} MB of tables, innodb_buffer_pool_size is {buffer / 1e6:,.0f} MB"
            yield Finding("memory", "warning" if size > 4 * buffer else "good", says)
        yield self._rights()
        with self.reading() as connection:
            try:
                open_for = connection.exec_driver_sql(_LONG_TRANSACTIONS).scalars().all()
            except DBAPIError:  # the right to see what others do is not everybody's
                yield Finding("transactions", "good", "the user may not see those of others")
            else:
                yield long_transactions(open_for)

    def _rights(self) -> Finding:
        """Do once all that is ever done with a table."""
        name = "uphours_checkup"
        try:
            with self._changing_tables() as connection:
                for statement in (
                    f"DROP TABLE IF EXISTS {name}",
                    f"CREATE TABLE {name} (a INT PRIMARY KEY) "
                    "PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (1))",
                    f"ALTER TABLE {name} ADD PARTITION (PARTITION p1 VALUES LESS THAN (2))",
                    f"INSERT INTO {name} VALUES (1)",
                    f"UPDATE {name} SET a = 0",
                    f"DELETE FROM {name}",
                    f"DROP TABLE {name}",
                ):
                    connection.exec_driver_sql(statement)
        except DatabaseError as error:
            return Finding("rights", "bad", str(error))
        return Finding("rights", "good", "the user may read, write and make partitions")

    def server_time(self, connection: Connection) -> int | None:
        sql = "SELECT CAST(unix_timestamp(now(6)) * 1000000 AS SIGNED)"
        found: int = connection.exec_driver_sql(sql).scalar_one()
        return found

    def set_counters(self, connection: Connection) -> None:
        pass  # the next number is after the last row anyway

    def known_statuses(self, connection: Connection, keys: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], int]:
        wanted = " UNION ALL SELECT ".join(f"{store}, {at}" for store, at in keys)
        sql = (
            f"WITH wanted(store, observed_at) AS (SELECT {wanted}) SELECT o.store, o.observed_at, o.status "
            "FROM wanted AS w STRAIGHT_JOIN observations AS o ON o.store = w.store AND o.observed_at = w.observed_at"
        )
        return {(store, at): status for store, at, status in connection.exec_driver_sql(sql)}


def _encoding(connection: Connection) -> Finding:
    """Look at the texts of our tables, whatever the database's own character set is."""
    found = connection.exec_driver_sql(_OTHER_TEXTS, (tuple(metadata.tables),)).all()
    if found:
        columns = ", ".join(f"{table}.{column} ({collation})" for table, column, collation in found)
        says = f"{columns}: valid is utf8mb4_bin; with another one ids are lost or taken for one another"
        return Finding("encoding", "bad", says)
    return Finding("encoding", "good", "all texts of the tables are utf8mb4, compared byte for byte")


_OTHER_TEXTS: Final = (
    "SELECT table_name, column_name, collation_name FROM information_schema.columns "
    "WHERE table_schema = database() AND table_name IN %s AND collation_name <> 'utf8mb4_bin' ORDER BY 1, 2"
)
_SETTINGS: Final = ("innodb_flush_log_at_trx_commit", "log_bin", "sync_binlog", "innodb_buffer_pool_size")
_SIZE: Final = "SELECT sum(data_length + index_length) FROM information_schema.tables WHERE table_schema = database()"
_LONG_TRANSACTIONS: Final = (
    "SELECT timestampdiff(SECOND, trx_started, now()) FROM information_schema.innodb_trx "
    "WHERE trx_mysql_thread_id <> connection_id() AND trx_mysql_thread_id <> 0"
)


def _check_size(
    connection: Connection, _cursor: object, _statement: str, parameters: Any, _context: object, many: bool
) -> None:
    """Refuse what the server would not take: it cuts the connection off, which looks like a failure that passes.

    Raises
    ------
    InputError
        A row is too large.
    """
    for row in parameters if many else (parameters,):
        values = row.values() if isinstance(row, dict) else row
        size = sum(len(value) for value in values if isinstance(value, (bytes, str)))
        if size > _CERTAINLY_TAKEN:
            most = connection.exec_driver_sql("SELECT @@max_allowed_packet").scalar_one()
            if 2 * size + (1 << 20) > most:  # as text a byte may become two
                valid = "valid are smaller ones, or a server with a larger max_allowed_packet"
                raise InputError(f"a row of {size} bytes is too large for the server, which takes {most}; {valid}")


def _insert(
    connection: Connection, table: str, rows: npt.NDArray[np.int64], *, ignore: str = "", then: str = ""
) -> int:
    """Insert whole rows of integers; return how many rows changed, as the server counts them."""
    changed = 0
    for part in parts(rows, _ROWS_PER_STATEMENT):
        values = "),(".join(",".join(map(str, row)) for row in part.tolist())
        changed += connection.exec_driver_sql(f"INSERT {ignore} INTO {table} VALUES ({values}) {then}").rowcount
    return changed
