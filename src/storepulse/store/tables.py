"""The tables of a store, the same on every database engine.

Instants are BIGINT microseconds since the epoch, UTC. The text of a store id stands in ``stores`` alone; all
other tables use its number.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

from storepulse.schema import STORE_ID_MAX_LENGTH

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

stores = Table(
    "stores",
    metadata,
    Column("store", Integer, primary_key=True),
    Column("store_id", String(STORE_ID_MAX_LENGTH), nullable=False, unique=True),
)

# By store, then time: all of a store's polls lie together, so that its last one before a window, however
# old, is one step away, and a report's cost depends on its windows and not on the length of the history.
observations = Table(
    "observations",
    metadata,
    Column("store", Integer, primary_key=True, autoincrement=False),
    Column("observed_at", BigInteger, primary_key=True, autoincrement=False),
    Column("status", SmallInteger, nullable=False),
    sqlite_with_rowid=False,
)

business_hours = Table(
    "business_hours",
    metadata,
    Column("store", Integer, primary_key=True, autoincrement=False),
    Column("day", SmallInteger, primary_key=True, autoincrement=False),
    Column("start_local_us", BigInteger, primary_key=True, autoincrement=False),
    Column("end_local_us", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

timezones = Table(
    "timezones",
    metadata,
    Column("store", Integer, primary_key=True, autoincrement=False),
    Column("timezone", String(64), nullable=False),
)

loads = Table(
    "loads",
    metadata,
    Column("load", Integer, primary_key=True),
    Column("started_at", BigInteger, nullable=False),
    Column("version", String(32), nullable=False),
    Column("rows_read", BigInteger, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("repeated", BigInteger, nullable=False),
    Column("conflicting", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("first_observed_at", BigInteger),
    Column("last_observed_at", BigInteger),
)
Index(None, loads.c.last_observed_at)

load_files = Table(
    "load_files",
    metadata,
    Column("load", ForeignKey(loads.c.load), primary_key=True),
    Column("file", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("rows_read", BigInteger, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("load", ForeignKey(loads.c.load), primary_key=True),
    Column("file", Integer, primary_key=True, autoincrement=False),
    Column("line", BigInteger, primary_key=True, autoincrement=False),
    Column("raw", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
)
