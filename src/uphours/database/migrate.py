"""How a database grows from one version of its tables to the next: one numbered file a step, run by Alembic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlalchemy import Connection

from uphours.errors import DatabaseError, SchemaVersionError

#: The last step.
SCHEMA_VERSION: Final = "0011"
#: What stands before the version of a store that is being copied into.
_COPYING: Final = "copy "
#: Tables that every store has, those that earlier versions had, and how those begin that engines make by themselves.
_ALWAYS: Final = frozenset({"stores", "observations", "loads"})
_EARLIER: Final = ("report_results",)
_OF_ENGINES: Final = ("observations_", "uphours_")
#: The first version that was ever on a server.
_FIRST_ON_SERVERS: Final = "0003"


def upgrade(connection: Connection) -> bool:
    """Take the steps that the database has not seen, inside the caller's transaction; say whether there were any.

    Raises
    ------
    SchemaVersionError
        The database has seen steps that this program does not know.
    DatabaseError
        The database has tables of another program.
    """
    names = check_ours(connection)
    found = None
    if "alembic_version" in names:
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    check(found)
    if connection.dialect.name == "mysql" and "alembic_version" in names and (found or "") < _FIRST_ON_SERVERS:
        # Each change of a table is a transaction of its own there. This store was being made when its maker was
        # killed: nothing is in it yet.
        _drop_half_made(connection, names)
        found = None
    if found == SCHEMA_VERSION:
        return False
    _run_alembic(connection)
    return True


def check_ours(connection: Connection) -> set[str]:
    """Refuse a database in which another program has tables and we have none; return the names of all.

    Raises
    ------
    DatabaseError
        It belongs to another program.
    """
    from uphours.database.dialects.dialect import dialect_of
    from uphours.database.tables import metadata

    names = dialect_of(connection).table_names(connection)
    ours = {*metadata.tables, *_EARLIER, "alembic_version"}
    foreign = {name for name in names if name not in ours and not name.startswith(_OF_ENGINES)}
    if "alembic_version" not in names:
        foreign |= names & ours  # called as ours, but nothing of ours is without its version
    elif names >= _ALWAYS:
        foreign = set()  # anyone who made tables beside ours knows why
    if foreign:
        raise DatabaseError(
            f"the database has a table {min(foreign)!r} of another program; give uphours one of its own"
        )
    return names


def _drop_half_made(connection: Connection, names: set[str]) -> None:
    from uphours.database.tables import locks, metadata

    tables = [*_EARLIER, *(table.name for table in reversed(metadata.sorted_tables))]
    for name in tables:
        filled = name in names and name != locks.name and connection.exec_driver_sql(f"SELECT 1 FROM {name} LIMIT 1")
        if filled and filled.first() is not None:
            raise DatabaseError(f"the database has a table {name!r} of another program; give uphours one of its own")
    for name in (*tables, "alembic_version"):
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")


def check(found: str | None) -> bool:
    """Refuse a database of a newer version; say whether it is of an older one, or not made yet.

    Raises
    ------
    SchemaVersionError
        It is newer.
    DatabaseError
        What stands there is no version of ours, or the store is a copy that was interrupted.
    """
    if found is None or found == SCHEMA_VERSION:
        return found is None
    if found.startswith(_COPYING):
        raise DatabaseError(
            "the database holds a copy that was interrupted or still runs; if none runs, drop the database "
            "(with SQLite: delete the file) and copy into a new one"
        )
    if not (len(found) == len(SCHEMA_VERSION) and found.isdecimal()):
        raise DatabaseError(f"the database belongs to another program (its tables are at {found!r})")
    if found > SCHEMA_VERSION:
        raise SchemaVersionError(found, SCHEMA_VERSION)
    return True


def close(connection: Connection) -> None:
    """Keep everybody out of a store, until it is opened again."""
    connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{_COPYING}{SCHEMA_VERSION}'")


def reopen(connection: Connection) -> None:
    """Let everybody in again."""
    connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{SCHEMA_VERSION}'")


def _run_alembic(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "uphours:database/migrations")
    command.upgrade(config, "head")
