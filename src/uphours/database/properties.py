"""What is true of the whole database, such as until when observations were pruned."""

from __future__ import annotations

from typing import Literal, TypeAlias

from sqlalchemy import Connection, delete, insert, select

from uphours.database.tables import properties

Name: TypeAlias = Literal["pruned_before", "checked_up", "store_counts"]


def get(connection: Connection, name: Name) -> str | None:
    """Return a property; None where it was never set."""
    value: str | None = connection.execute(select(properties.c.value).where(properties.c.name == name)).scalar()
    return value


def put(connection: Connection, name: Name, value: str | None) -> None:
    """Set a property; None takes it away."""
    connection.execute(delete(properties).where(properties.c.name == name))
    if value is not None:
        connection.execute(insert(properties).values(name=name, value=value))
