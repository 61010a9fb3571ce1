"""How a store grows from one version of its tables to the next: one numbered file a step, run by Alembic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlalchemy import Connection

from storepulse.errors import SchemaVersionError

#: The last step.
SCHEMA_VERSION: Final = "0002"


def upgrade(connection: Connection) -> None:
    """Take the steps that the store has not seen, inside the caller's transaction.

    Raises
    ------
    SchemaVersionError
        The store has seen steps that this program does not know.
    """
    from sqlalchemy import inspect

    found = None
    if inspect(connection).has_table("alembic_version"):
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if found is not None and found > SCHEMA_VERSION:
        raise SchemaVersionError(found, SCHEMA_VERSION)
    if found != SCHEMA_VERSION:
        _run_alembic(connection)


def _run_alembic(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "storepulse:store/migrations")
    command.upgrade(config, "head")
