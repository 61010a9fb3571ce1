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
    UniqueConstraint,
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
    Column("header", Text),  # of a CSV file: with it quarantined lines become a file again
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

# Durable work: whoever holds the lease with the newest fence may finish a job, nobody else.
jobs = Table(
    "jobs",
    metadata,
    Column("job", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("request", Text, nullable=False),
    Column("share", String(64)),
    Column("state", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("worker", String(128)),
    Column("fence", Integer, nullable=False),
    Column("lease_until", BigInteger),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger),
    Column("reason", Text),
    Column("as_of", BigInteger),
    Column("loads_seen", Integer),
    Column("load", Integer),
)
Index(None, jobs.c.state, jobs.c.due_at)
Index(None, jobs.c.share)

# What somebody asked for; several may wait for one job.
reports = Table(
    "reports",
    metadata,
    Column("report", String(32), primary_key=True),
    Column("job", ForeignKey(jobs.c.job), nullable=False, index=True),
    Column("requested_by", String(32), nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("cancelled_at", BigInteger),
    Column("idempotency_key", String(255)),
    UniqueConstraint("requested_by", "idempotency_key"),
)

report_results = Table(
    "report_results",
    metadata,
    Column("job", ForeignKey(jobs.c.job), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

# Files that were sent and wait for their job, in parts.
uploads = Table(
    "uploads",
    metadata,
    Column("job", ForeignKey(jobs.c.job), primary_key=True),
    Column("file", Integer, primary_key=True, autoincrement=False),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)

# A schedule fires once at a time: whoever inserts the row.
ticks = Table(
    "ticks",
    metadata,
    Column("schedule", String(255), primary_key=True),
    Column("due_at", BigInteger, primary_key=True, autoincrement=False),
)

sources = Table(
    "sources",
    metadata,
    Column("source", String(255), primary_key=True),
    Column("checked_at", BigInteger),
    Column("succeeded_at", BigInteger),
    Column("brought_at", BigInteger),
    Column("files_read", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("retry_at", BigInteger),
    Column("error", Text),
)

# Files of sources that were read; the fingerprint is made of name and version.
source_files = Table(
    "source_files",
    metadata,
    Column("source", String(255), primary_key=True),
    Column("fingerprint", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("load", ForeignKey(loads.c.load), nullable=False),
    Column("read_at", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String(16), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("scopes", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

audit = Table(
    "audit",
    metadata,
    Column("entry", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("action", String(32), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("details", Text, nullable=False),
)
