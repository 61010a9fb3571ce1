"""How a store grows from one version of its tables to the next: one numbered file a step, run by Alembic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlalchemy import Connection

from storepulse.errors import SchemaVersionError, StoreError

#: The last step.
SCHEMA_VERSION: Final = "0004"
#: What stands before the version of a store that is being copied into.
_COPYING: Final = "copy "
#: The first version that was ever on a server.
_FIRST_ON_SERVERS: Final = "0003"


def upgrade(connection: Connection) -> bool:
    """Take the steps that the store has not seen, inside the caller's transaction; say whether there were any.

    Raises
    ------
    SchemaVersionError
        The store has seen steps that this program does not know.
    StoreError
        The database has tables of another program.
    """
    from sqlalchemy import inspect

    from storepulse.store.tables import metadata

    names = set(inspect(connection).get_table_names())
    ours = names & metadata.tables.keys()
    found = None
    if "alembic_version" in names:
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    elif ours:
        raise StoreError(f"the database has a table {min(ours)!r} of another program; give storepulse one of its own")
    check(found)
    if connection.dialect.name == "mysql" and "alembic_version" in names and (found or "") < _FIRST_ON_SERVERS:
        # Each change of a table is a transaction of its own there. This store was being made when its maker was
        # killed: nothing is in it yet.
        for name in ("report_results", *(table.name for table in reversed(metadata.sorted_tables)), "alembic_version"):
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
        found = None
    if found == SCHEMA_VERSION:
        return False
    _run_alembic(connection)
    return True


def check(found: str | None) -> bool:
    """Refuse a store of a newer version; say whether it is of an older one, or not made yet.

    Raises
    ------
    SchemaVersionError
        It is newer.
    StoreError
        What stands there is no version of ours, or the store is a copy that has not ended.
    """
    if found is None or found == SCHEMA_VERSION:
        return found is None
    if found.startswith(_COPYING):
        raise StoreError("the store is a copy that has not ended; `storepulse copy` again goes on with it")
    if not (len(found) == len(SCHEMA_VERSION) and found.isdecimal()):
        raise StoreError(f"the database belongs to another program (its tables are at {found!r})")
    if found > SCHEMA_VERSION:
        raise SchemaVersionError(found, SCHEMA_VERSION)
    return True


def close(connection: Connection) -> None:
    """Keep everybody out of a store, until it is opened again."""
    connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{_COPYING}{SCHEMA_VERSION}'")


def reopen(connection: Connection) -> None:
    """Let everybody in again, if the store was closed."""
    from sqlalchemy import inspect

    if inspect(connection).has_table("alembic_version"):
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        if found is not None and found.startswith(_COPYING):
            version = found.removeprefix(_COPYING)
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")


def _run_alembic(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "storepulse:store/migrations")
    command.upgrade(config, "head")
