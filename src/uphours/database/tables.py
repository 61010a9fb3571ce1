"""The tables of a database, the same on every database engine.

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
    MetaData,
    SmallInteger,
    Table,
    UniqueConstraint,
)

from uphours.database.column_types import LONG_BYTES, LONG_TEXT, PARTITIONS, text
from uphours.wire.values import STORE_ID_MAX_LENGTH

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
    Column("store", Integer, primary_key=True, autoincrement=False),
    Column("store_id", text(STORE_ID_MAX_LENGTH), nullable=False, unique=True),
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
    **PARTITIONS,
)
# Rows come in the order of time, so that this tiny index finds a recent window.
Index(None, observations.c.observed_at, postgresql_using="brin").ddl_if(dialect="postgresql")

# The days of UTC on which observations were made, counted from the epoch, and how many; see
# `uphours.database.polled_days`.
polled_days = Table(
    "polled_days",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("polls", BigInteger, nullable=False),
)

# What was given for a store since a local date, counted in days from the epoch; without a date it is
# `uphours.schema.SINCE_EVER`. Here and in the tables that follow, ``load`` is the load that brought a row: none of rows
# of earlier versions.
business_hours = Table(
    "business_hours",
    metadata,
    Column("store", Integer, primary_key=True, autoincrement=False),
    Column("valid_from", Integer, primary_key=True, autoincrement=False),
    Column("day", SmallInteger, primary_key=True, autoincrement=False),
    Column("start_local_us", BigInteger, primary_key=True, autoincrement=False),
    Column("end_local_us", BigInteger, primary_key=True, autoincrement=False),
    Column("load", Integer),
    sqlite_with_rowid=False,
)

timezones = Table(
    "timezones",
    metadata,
    Column("store", Integer, primary_key=True, autoincrement=False),
    Column("valid_from", Integer, primary_key=True, autoincrement=False),
    Column("timezone", text(64), nullable=False),
    Column("load", Integer),
    sqlite_with_rowid=False,
)

# The hours of single local dates; those of store 0 speak for every store without rows of its own on that date.
special_hours = Table(
    "special_hours",
    metadata,
    Column("store", Integer, primary_key=True, autoincrement=False),
    Column("date", Integer, primary_key=True, autoincrement=False),
    Column("start_local_us", BigInteger, primary_key=True, autoincrement=False),
    Column("end_local_us", BigInteger, primary_key=True, autoincrement=False),
    Column("name", LONG_TEXT, nullable=False),
    Column("load", Integer),
    sqlite_with_rowid=False,
)

# What a store belongs to, such as a region.
attributes = Table(
    "attributes",
    metadata,
    Column("store", Integer, primary_key=True, autoincrement=False),
    Column("name", text(64), primary_key=True),
    Column("valid_from", Integer, primary_key=True, autoincrement=False),
    Column("value", text(255), nullable=False),
    Column("load", Integer),
    sqlite_with_rowid=False,
)
Index(None, attributes.c.name)

# What availability is expected of the stores that a filter chooses, in 100,000ths of their business time; without a
# share there is no target of that name from the date on.
targets = Table(
    "targets",
    metadata,
    Column("name", text(255), primary_key=True),
    Column("valid_from", Integer, primary_key=True, autoincrement=False),
    Column("filter", LONG_TEXT, nullable=False),  # NAME=VALUE, one a line; blank for every store
    Column("share", Integer),
    Column("period", text(16), nullable=False),
    Column("load", Integer),
    sqlite_with_rowid=False,
)

# Stores for which rows of a kind (hours, timezones) were given and none could be used: when they are open is not known.
unknown_hours = Table(
    "unknown_hours",
    metadata,
    Column("store", Integer, primary_key=True, autoincrement=False),
    Column("kind", text(16), primary_key=True),
)

loads = Table(
    "loads",
    metadata,
    Column("load", Integer, primary_key=True, autoincrement=False),
    Column("started_at", BigInteger, nullable=False),
    Column("version", text(32), nullable=False),
    Column("rows_read", BigInteger, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("repeated", BigInteger, nullable=False),
    Column("conflicting", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("first_observed_at", BigInteger),
    Column("last_observed_at", BigInteger),
    Column("summary", LONG_TEXT),  # what the load did, as JSON; none of loads of earlier versions
)
Index(None, loads.c.last_observed_at)

# The ledger: entries are added, never changed or taken away; one that withdraws another has no intervals. ``asked``: a
# checksum of the request that came with an idempotency key.
adjustments = Table(
    "adjustments",
    metadata,
    Column("entry", Integer, primary_key=True, autoincrement=False),
    Column("counts_as", text(16), nullable=False),
    Column("withdraws", Integer),
    Column("reason", text(64), nullable=False),
    Column("note", LONG_TEXT, nullable=False),
    Column("actor", text(64), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("load", Integer),
    Column("idempotency_key", text(255)),
    Column("asked", text(64)),
    UniqueConstraint("actor", "idempotency_key"),
)

adjusted = Table(
    "adjusted",
    metadata,
    Column("entry", ForeignKey(adjustments.c.entry), primary_key=True),
    Column("store", Integer, primary_key=True, autoincrement=False),
    Column("start_at", BigInteger, primary_key=True, autoincrement=False),
    Column("end_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
Index(None, adjusted.c.store)

load_files = Table(
    "load_files",
    metadata,
    Column("load", ForeignKey(loads.c.load), primary_key=True),
    Column("file", Integer, primary_key=True, autoincrement=False),
    Column("kind", text(16), nullable=False),
    Column("name", LONG_TEXT, nullable=False),
    Column("sha256", text(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("rows_read", BigInteger, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("header", LONG_TEXT),  # of a CSV file: with it quarantined lines become a file again
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("load", ForeignKey(loads.c.load), primary_key=True),
    Column("file", Integer, primary_key=True, autoincrement=False),
    Column("line", BigInteger, primary_key=True, autoincrement=False),
    Column("raw", LONG_BYTES, nullable=False),
    Column("reason", LONG_TEXT, nullable=False),
)

# Durable work: only the holder of the lease with the newest fence may finish a job.
jobs = Table(
    "jobs",
    metadata,
    Column("job", text(32), primary_key=True),
    Column("kind", text(16), nullable=False),
    Column("request", LONG_TEXT, nullable=False),
    Column("share", text(64)),
    Column("state", text(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("turn_at", BigInteger, nullable=False, server_default="0"),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("worker", text(128)),
    Column("fence", Integer, nullable=False),
    Column("lease_until", BigInteger),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger),
    Column("reason", LONG_TEXT),
    Column("as_of", BigInteger),
    Column("loads_seen", Integer),
    Column("load", Integer),
    Column("entries_seen", Integer),
)
Index(None, jobs.c.state, jobs.c.due_at)
Index(None, jobs.c.share)

# What someone asked for; several may wait for one job.
reports = Table(
    "reports",
    metadata,
    Column("report", text(32), primary_key=True),
    Column("job", ForeignKey(jobs.c.job), nullable=False, index=True),
    Column("requested_by", text(32), nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("cancelled_at", BigInteger),
    Column("idempotency_key", text(255)),
    UniqueConstraint("requested_by", "idempotency_key"),
)

# Requests by name. ``owner``: the bound key that has it to itself; blank: all who see every store share it.
saved_reports = Table(
    "saved_reports",
    metadata,
    Column("owner", text(32), primary_key=True),
    Column("name", text(255), primary_key=True),
    Column("request", LONG_TEXT, nullable=False),
    Column("created_by", text(32), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

# What reports came to. In parts, as with uploads: a statement of a database server has a largest size.
results = Table(
    "results",
    metadata,
    Column("job", ForeignKey(jobs.c.job), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("content", LONG_BYTES, nullable=False),
)

# Files that were sent and wait for their job, in parts.
uploads = Table(
    "uploads",
    metadata,
    Column("job", ForeignKey(jobs.c.job), primary_key=True),
    Column("file", Integer, primary_key=True, autoincrement=False),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("content", LONG_BYTES, nullable=False),
)

# A schedule fires once at a time: for the process that inserts the row.
ticks = Table(
    "ticks",
    metadata,
    Column("schedule", text(255), primary_key=True),
    Column("due_at", BigInteger, primary_key=True, autoincrement=False),
)

sources = Table(
    "sources",
    metadata,
    Column("source", text(255), primary_key=True),
    Column("checked_at", BigInteger),
    Column("succeeded_at", BigInteger),
    Column("brought_at", BigInteger),
    Column("files_read", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("retry_at", BigInteger),
    Column("error", LONG_TEXT),
)

# Files of sources that were read; the fingerprint is made of name and version.
source_files = Table(
    "source_files",
    metadata,
    Column("source", text(255), primary_key=True),
    Column("fingerprint", text(64), primary_key=True),
    Column("name", LONG_TEXT, nullable=False),
    Column("load", ForeignKey(loads.c.load), nullable=False),
    Column("read_at", BigInteger, nullable=False),
)

# Files of sources that could not be read; a file that is written again has another fingerprint.
failing_files = Table(
    "failing_files",
    metadata,
    Column("source", text(255), primary_key=True),
    Column("fingerprint", text(64), primary_key=True),
    Column("name", LONG_TEXT, nullable=False),
    Column("error", LONG_TEXT, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("failed_at", BigInteger, nullable=False),
    Column("retry_at", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", text(16), primary_key=True),
    Column("name", text(255), nullable=False),
    Column("scopes", text(64), nullable=False),
    Column("hash", text(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("only", LONG_TEXT),  # JSON of values by attribute: the stores that the key sees; null: all
)

# Browsers that have signed in with a key; where the key goes, they go with it.
sessions = Table(
    "sessions",
    metadata,
    Column("hash", text(64), primary_key=True),
    Column("key_id", ForeignKey(api_keys.c.key_id, ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

audit = Table(
    "audit",
    metadata,
    Column("entry", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", text(64), nullable=False),
    Column("action", text(32), nullable=False),
    Column("subject", text(255), nullable=False),
    Column("details", LONG_TEXT, nullable=False),
)

# Anyone who does what only one process may do at a time has the row of that name locked; see `uphours.database.locks`.
locks = Table("locks", metadata, Column("name", text(32), primary_key=True))

# What is true of the whole database, by name; see `uphours.database.properties`.
properties = Table(
    "properties",
    metadata,
    Column("name", text(32), primary_key=True),
    Column("value", LONG_TEXT, nullable=False),
)
