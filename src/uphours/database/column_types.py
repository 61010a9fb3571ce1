"""Types of columns and options of tables that are called differently from engine to engine."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import LargeBinary, String, Text
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import TypeEngine

# Compared and sorted byte for byte, as Python and SQLite do: names that differ in capitals are two names.
_CHARSET: Final = {"charset": "utf8mb4", "collation": "utf8mb4_bin"}


def text(length: int) -> TypeEngine[str]:
    """Return the type of a text of at most ``length`` characters, by which rows may be found and sorted."""
    return (
        String(length)
        .with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")
        .with_variant(mysql.VARCHAR(length, **_CHARSET), "mysql", "mariadb")
    )


LONG_TEXT: Final = Text().with_variant(mysql.LONGTEXT(**_CHARSET), "mysql", "mariadb")
LONG_BYTES: Final = LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")

#: How observations are cut by time; see `uphours.database.dialects.time_partitions`. MySQL wants one part at least.
PARTITIONS: Final[dict[str, Any]] = {
    "postgresql_partition_by": "RANGE (observed_at)",
    "mysql_partition_by": "RANGE (observed_at) (PARTITION observations_p0 VALUES LESS THAN (0))",
    "mariadb_partition_by": "RANGE (observed_at) (PARTITION observations_p0 VALUES LESS THAN (0))",
}
