"""What is particular to PostgreSQL, 13 and later: COPY, partitions by time, advisory locks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg.types.string import StrDumper
from sqlalchemy import URL, Connection

from uphours.database import locks
from uphours.database.dialects import time_partitions
from uphours.database.dialects.dialect import Finding, parts
from uphours.database.dialects.server_dialect import CONNECT_TIMEOUT_S, KEPT, LOCK_TIMEOUT_S, Server, long_transactions
from uphours.database.tables import metadata
from uphours.errors import DatabaseError
from uphours.schema import Codes, Instants, Statuses

_OLDEST: Final = 13
#: Any number, the same in every version: anyone who changes tables holds the advisory lock of this number.
_MIGRATION_LOCK: Final = 7_310_593_858_020_254_331
_ROWS_PER_STATEMENT: Final = 20_000
_BYTES_AT_ONCE: Final = 1 << 20
#: What a connection is refused with that does not go away by itself; the driver has no code for it.
_REFUSED: Final = ("authentication failed", "no pg_hba.conf entry", "does not exist", "permission denied for database")
#: From this number of rows on, parts are filled before they are indexed, and the planner is brought up to date.
_LARGE: Final = 100_000
_OBSERVATION: Final = ("int4", "int8", "int2")


class PostgreSQL(Server):
    """A store in a PostgreSQL database."""

    name: ClassVar[str] = "postgresql"
    driver: ClassVar[str] = "postgresql+psycopg"

    def connect_options(self, url: URL) -> Mapping[str, Any]:
        # A server that is gone without a word is noticed after a minute, not after two hours.
        defaults = {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "application_name": "uphours",
        }
        # What texts are sent and read in is ours to say, whatever the URL, the environment or the database says.
        forced = {"client_encoding": "utf8"}
        return {name: value for name, value in defaults.items() if name not in url.query} | forced

    def session_settings(self) -> list[str]:
        return [f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'", "SET synchronous_commit = on", _ONE_SCHEMA]

    def check_version(self, connection: Connection) -> None:
        found = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one())
        if found // 10_000 < _OLDEST:
            raise DatabaseError(f"the server of {self.described} is too old; valid is PostgreSQL {_OLDEST} and later")

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        with self.writing() as connection:
            self.check_version(connection)
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
            yield connection

    def begin_reading(self, connection: Connection) -> None:
        connection.execution_options(isolation_level="REPEATABLE READ")  # costs no statement of its own

    def begin_snapshot(self, connection: Connection) -> None:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # Before the snapshot is taken: a partition that someone replaces after it would look empty to it.
        connection.exec_driver_sql("LOCK TABLE observations IN ACCESS SHARE MODE")

    def is_missing_database(self, error: BaseException) -> bool:
        # The driver has no code for what a connection is refused with.
        refused = isinstance(error, psycopg.OperationalError) and error.sqlstate in (None, "3D000")
        return refused and f'database "{self._url.database}" does not exist' in str(error)

    def is_missing_table(self, error: BaseException) -> bool:
        return isinstance(error, psycopg.errors.UndefinedTable)

    def is_passing(self, error: BaseException) -> bool:
        refused = any(words in str(error) for words in _REFUSED)
        return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)) and not refused

    def on_connect(self, connection: Any) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding not in _ENCODINGS:
            made = f"CREATE DATABASE {self._url.database} ENCODING 'UTF8' TEMPLATE template0"
            raise DatabaseError(
                f"the database {self.described} is in {encoding}, which cannot hold every text; valid is UTF8: {made}",
                about="encoding",
            )
        connection.adapters.register_dumper(str, _Text)

    def prepare(self, connection: Connection, times: Instants) -> None:
        if len(times) < _LARGE:
            self._make_parts(connection, times, np.empty((0, 3), dtype=np.int64))

    def _make_parts(
        self, connection: Connection, times: Instants, rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Make the parts that are missing, with their rows in them; say which of the rows that are.

        Filled before it is indexed, a table costs half as much. And to attach one keeps no one waiting; to create it
        as a partition would.
        """
        found = self.bounds(connection)
        lower = found[-1] if found else None
        inside = np.zeros(len(rows), dtype=np.bool_)
        for bound in time_partitions.missing(found, times):
            part = time_partitions.name(bound)
            mine = rows[:, 1] < bound if lower is None else (rows[:, 1] >= lower) & (rows[:, 1] < bound)
            connection.exec_driver_sql(f"CREATE TABLE {part} (LIKE observations)")
            _copy(connection, part, rows[mine], _OBSERVATION)
            connection.exec_driver_sql(f"ALTER TABLE {part} ADD PRIMARY KEY (store, observed_at)")
            self._attach(connection, bound, lower)
            inside |= mine
            lower = bound
        return inside

    def insert_observations(
        self, connection: Connection, stores: Codes, times: Instants, statuses: Statuses
    ) -> tuple[int, int]:
        rows = np.column_stack([stores.astype(np.int64), times, statuses])
        inside = self._make_parts(connection, times, rows)
        added, replaced = _insert_all(connection, rows[~inside])
        added += int(inside.sum())
        if added >= _LARGE:
            connection.exec_driver_sql("ANALYZE observations")
        return added, replaced

    def insert_rows(self, connection: Connection, table: str, rows: npt.NDArray[np.int64]) -> None:
        _copy(connection, table, rows, _types(connection, table))

    def insert_names(self, connection: Connection, table: str, rows: Sequence[tuple[int | str, ...]]) -> None:
        with connection.connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def bounds(self, connection: Connection) -> list[int]:
        sql = (
            "SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = 'observations'::regclass"
        )
        return sorted(time_partitions.bound_of(name) for name in connection.exec_driver_sql(sql).scalars())

    def drop_part(self, bound: int, before: int, *, timeout_s: int) -> int:
        part = time_partitions.name(bound)
        with self.writing() as connection:
            locks.take(connection, "loads")
            lower = max((earlier for earlier in self.bounds(connection) if earlier < bound), default=None)
            connection.exec_driver_sql(f"CREATE TABLE {part}_kept (LIKE observations INCLUDING ALL)")
            keep = f"INSERT INTO {part}_kept {KEPT.format(part=part, before=before)}"
            kept = connection.exec_driver_sql(keep).rowcount
            held: int = connection.exec_driver_sql(f"SELECT count(*) FROM {part}").scalar_one()
            if kept == held:
                connection.exec_driver_sql(f"DROP TABLE {part}_kept")
                return 0
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{timeout_s}s'")
            connection.exec_driver_sql(f"ALTER TABLE observations DETACH PARTITION {part}")
            connection.exec_driver_sql(f"DROP TABLE {part}")
            connection.exec_driver_sql(f"ALTER TABLE {part}_kept RENAME TO {part}")
            self._attach(connection, bound, lower)
        return held - kept

    def _attach(self, connection: Connection, bound: int, lower: int | None) -> None:
        of = f"FROM ({'MINVALUE' if lower is None else lower}) TO ({bound})"
        connection.exec_driver_sql(
            f"ALTER TABLE observations ATTACH PARTITION {time_partitions.name(bound)} FOR VALUES {of}"
        )

    def table_names(self, connection: Connection) -> set[str]:
        return set(connection.exec_driver_sql(_TABLE_NAMES).scalars())

    def is_writable(self) -> bool:
        with self.reading() as connection:
            setting = connection.exec_driver_sql("SHOW default_transaction_read_only").scalar_one()
            return setting == "off" and not connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar_one()

    def checkup(self) -> Iterator[Finding]:
        with self.reading() as connection:
            self.check_version(connection)
            yield _encoding(connection)
            yield _schema(connection)
            version, size = connection.exec_driver_sql(
                "SELECT split_part(version(), ' on ', 1), pg_size_pretty(pg_database_size(current_database()))"
            ).one()
            yield Finding("engine", "good", f"{version}, {size}")
            off = connection.exec_driver_sql(
                "SELECT name FROM pg_settings "
                "WHERE name IN ('fsync', 'full_page_writes', 'autovacuum') AND setting = 'off'"
            ).scalars()
            yield from _switched_off(list(off))
            yield _rights(connection)
            yield long_transactions(connection.exec_driver_sql(_LONG_TRANSACTIONS).scalars().all())

    def server_time(self, connection: Connection) -> int | None:
        sql = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"
        found: int = connection.exec_driver_sql(sql).scalar_one()
        return found

    def set_counters(self, connection: Connection) -> None:
        last = "(SELECT coalesce(max(entry), 0) + 1 FROM audit)"
        connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('audit', 'entry'), {last}, false)")

    def known_statuses(self, connection: Connection, keys: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], int]:
        sql = (
            "SELECT o.store, o.observed_at, o.status FROM unnest(%s::int[], %s::bigint[]) AS w(store, observed_at) "
            "JOIN observations AS o ON o.store = w.store AND o.observed_at = w.observed_at"
        )
        stores, times = zip(*keys, strict=True)
        found = connection.exec_driver_sql(sql, (list(stores), list(times)))
        return {(store, at): status for store, at, status in found}


#: A database in SQL_ASCII keeps the bytes that it is given, and ours are UTF-8.
_ENCODINGS: Final = ("UTF8", "SQL_ASCII")
#: Objects are made in, and looked up from, one schema: the first one of the path that holds our tables, else the first.
_ONE_SCHEMA: Final = """\
SELECT set_config('search_path', quote_ident(coalesce((
    SELECT n.nspname FROM unnest(current_schemas(false)) WITH ORDINALITY AS p(name, place)
    JOIN pg_namespace AS n ON n.nspname = p.name
    JOIN pg_class AS v ON v.relnamespace = n.oid AND v.relname = 'alembic_version'
    JOIN pg_class AS o ON o.relnamespace = n.oid AND o.relname = 'observations'
    ORDER BY p.place LIMIT 1
), current_schema())), false) WHERE current_schema() IS NOT NULL"""
#: What an extension brings, such as the tables of PostGIS, is not data of ours.
_TABLE_NAMES: Final = """\
SELECT c.relname FROM pg_class AS c
WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema())) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e')"""
_PARTS_ELSEWHERE: Final = """\
SELECT pn.nspname || '.' || p.relname FROM pg_inherits AS i
JOIN pg_class AS p ON p.oid = i.inhrelid JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
JOIN pg_class AS o ON o.oid = i.inhparent AND o.relname = 'observations'
WHERE o.relnamespace = to_regnamespace(quote_ident(current_schema())) AND p.relnamespace <> o.relnamespace
ORDER BY 1"""
_OTHER_STORES: Final = """\
SELECT n.nspname FROM pg_namespace AS n
JOIN pg_class AS v ON v.relnamespace = n.oid AND v.relname = 'alembic_version'
JOIN pg_class AS o ON o.relnamespace = n.oid AND o.relname = 'observations'
WHERE n.nspname <> current_schema() ORDER BY 1"""


def _encoding(connection: Connection) -> Finding:
    found = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if found == "SQL_ASCII":
        says = "the database is in SQL_ASCII: it keeps our UTF-8 as bytes, and counts ids in bytes; UTF8 checks them"
        return Finding("encoding", "warning", says)
    return Finding("encoding", "good", f"the database is in {found}")


def _schema(connection: Connection) -> Finding:
    schema = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
    if schema is None:
        says = "no schema of the search_path is there, or the user may not use it; nothing can be made or found"
        return Finding("schema", "bad", says)
    if parts_elsewhere := connection.exec_driver_sql(_PARTS_ELSEWHERE).scalars().all():
        says = f"{', '.join(parts_elsewhere)}: parts of observations that do not lie in its schema {schema}; "
        return Finding("schema", "bad", says + f"`ALTER TABLE … SET SCHEMA {schema}` moves each there")
    if others := connection.exec_driver_sql(_OTHER_STORES).scalars().all():
        says = f"{schema} is used, and {', '.join(others)} of this database has such tables too; search_path decides"
        return Finding("schema", "warning", says)
    return Finding("schema", "good", f"everything is made in, and looked up from, the schema {schema}")


def _switched_off(names: Sequence[str]) -> Iterator[Finding]:
    unsafe = [name for name in names if name != "autovacuum"]
    if unsafe:
        says = f"{' and '.join(unsafe)} off: what was acknowledged can be lost when the server's machine fails"
        yield Finding("durability", "bad", says)
    else:
        yield Finding("durability", "good", "each commit is synced to disk")
    if "autovacuum" in names:
        yield Finding("autovacuum", "warning", "autovacuum is off: queries will grow slow; switch it on")


def _rights(connection: Connection) -> Finding:
    tables = (
        "SELECT oid, relname, relowner FROM pg_class WHERE relkind IN ('r', 'p') AND relname = ANY(%s) "
        "AND relnamespace = to_regnamespace(quote_ident(current_schema()))"
    )
    rights = ("SELECT", "INSERT", "UPDATE", "DELETE")
    lacking = " OR ".join(f"NOT has_table_privilege(oid, '{right}')" for right in rights)
    sql = f"SELECT relname FROM ({tables}) AS t WHERE {lacking} OR NOT pg_has_role(relowner, 'USAGE') ORDER BY relname"
    found = connection.exec_driver_sql(sql, (list(metadata.tables),)).scalars().all()
    may_create = connection.exec_driver_sql("SELECT has_schema_privilege(current_schema(), 'CREATE')").scalar_one()
    may_help_itself = connection.exec_driver_sql(
        "SELECT has_database_privilege(current_database(), 'TEMP')"
    ).scalar_one()
    if found:
        says = f"{', '.join(found)}: the user must own the tables, as partitions are made and dropped"
        return Finding("rights", "bad", says)
    if not may_create:
        says = "the user may not create tables in the schema, which partitions are: `GRANT CREATE ON SCHEMA …`"
        return Finding("rights", "bad", says)
    if not may_help_itself:
        return Finding("rights", "bad", "the user may not make temporary tables: `GRANT TEMPORARY ON DATABASE …`")
    return Finding("rights", "good", "the user may read, write and make partitions")


_LONG_TRANSACTIONS: Final = (
    "SELECT CAST(extract(epoch FROM now() - xact_start) AS bigint) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
)


def _insert_all(connection: Connection, rows: npt.NDArray[np.int64]) -> tuple[int, int]:
    """Insert observations into parts that are there; return how many were new and how many replaced."""
    if not len(rows):
        return 0, 0
    if _nothing_there(connection, rows[:, 1]):
        _copy(connection, "observations", rows, _OBSERVATION)
        return len(rows), 0
    if len(rows) >= _LARGE:
        return _merge(connection, rows)
    added = _insert(connection, rows, "DO NOTHING")
    if added == len(rows):
        return added, 0
    # Some were there: only now is it worth asking which of them differ.
    replace = "DO UPDATE SET status = excluded.status WHERE observations.status <> excluded.status"
    return added, _insert(connection, rows, replace)


def _merge(connection: Connection, rows: npt.NDArray[np.int64]) -> tuple[int, int]:
    """Insert many observations of which some may be there, by joining them all with those that are there.

    No one else writes any meanwhile: loads take turns.
    """
    connection.exec_driver_sql("CREATE TEMPORARY TABLE coming (LIKE observations) ON COMMIT DROP")
    _copy(connection, "coming", rows, _OBSERVATION)
    connection.exec_driver_sql("ANALYZE coming")
    # The bounds say no more than the join, but by them parts are left out.
    same = "o.store = c.store AND o.observed_at = c.observed_at AND o.observed_at BETWEEN %s AND %s"
    bounds = (int(rows[:, 1].min()), int(rows[:, 1].max()))
    known = f"SELECT FROM observations AS o WHERE {same}"
    add = f"INSERT INTO observations SELECT * FROM coming AS c WHERE NOT EXISTS ({known})"
    replace = f"UPDATE observations AS o SET status = c.status FROM coming AS c WHERE {same} AND o.status <> c.status"
    replaced = connection.exec_driver_sql(replace, bounds).rowcount
    added = connection.exec_driver_sql(add, bounds).rowcount
    connection.exec_driver_sql("DROP TABLE coming")
    return added, replaced


def _nothing_there(connection: Connection, times: Instants) -> bool:
    """Say whether the store has no observation of the time from the first to the last of these."""
    sql = "SELECT 1 FROM observations WHERE observed_at BETWEEN %s AND %s LIMIT 1"
    return connection.exec_driver_sql(sql, (int(times.min()), int(times.max()))).first() is None


def _insert(connection: Connection, rows: npt.NDArray[np.int64], on_conflict: str) -> int:
    """Insert observations of which some may be there; return how many rows changed."""
    sql = (
        "INSERT INTO observations SELECT * FROM unnest(%s::int[], %s::bigint[], %s::smallint[]) "
        f"ON CONFLICT (store, observed_at) {on_conflict}"
    )
    return sum(
        connection.exec_driver_sql(sql, tuple(column.tolist() for column in part.T)).rowcount
        for part in parts(rows, _ROWS_PER_STATEMENT)
    )


#: The binary format of COPY, as the manual describes it: a header, for each row the number of its fields and for
#: each field its length and its value, and an end.
_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END: Final = b"\xff\xff"
_WIDTHS: Final = {"int2": 2, "int4": 4, "int8": 8}


def _copy(connection: Connection, table: str, rows: npt.NDArray[np.int64], types: Sequence[str]) -> None:
    fields = [(f"{part}{place}", form) for place, name in enumerate(types) for part, form in _field(name)]
    made = np.empty(len(rows), dtype=[("fields", ">i2"), *fields])
    made["fields"] = len(types)
    for place, name in enumerate(types):
        made[f"length{place}"] = _WIDTHS[name]
        made[f"value{place}"] = rows[:, place]
    content = memoryview(made.tobytes())
    cursor = connection.connection.cursor()
    with cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
        copy.write(_HEADER)
        for start in range(0, len(content), _BYTES_AT_ONCE):
            copy.write(content[start : start + _BYTES_AT_ONCE])
        copy.write(_END)


def _field(type_name: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("length", ">i4"), ("value", f">i{_WIDTHS[type_name]}")


def _types(connection: Connection, table: str) -> list[str]:
    sql = (
        "SELECT t.typname FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid "
        "WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
    )
    return list(connection.exec_driver_sql(sql, (table,)).scalars())


class _Text(StrDumper):
    """Text as PostgreSQL can keep it: a NUL becomes the character that stands for unknown ones."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\ufffd") if "\0" in obj else obj)
