"""The first tables: stores, observations, business hours, time zones, loads, quarantine."""

import sqlalchemy as sa
from alembic import op

from uphours.database.column_types import LONG_BYTES, LONG_TEXT, PARTITIONS, text

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "stores",
        sa.Column("store", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("store_id", text(255), nullable=False),
        sa.PrimaryKeyConstraint("store", name="pk_stores"),
        sa.UniqueConstraint("store_id", name="uq_stores_store_id"),
    )
    op.create_table(
        "observations",
        sa.Column("store", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("observed_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("store", "observed_at", name="pk_observations"),
        sqlite_with_rowid=False,
        **PARTITIONS,
    )
    if op.get_context().dialect.name == "postgresql":
        op.create_index("ix_observations_observed_at", "observations", ["observed_at"], postgresql_using="brin")
    op.create_table(
        "business_hours",
        sa.Column("store", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("start_local_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("end_local_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("store", "day", "start_local_us", "end_local_us", name="pk_business_hours"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "timezones",
        sa.Column("store", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("timezone", text(64), nullable=False),
        sa.PrimaryKeyConstraint("store", name="pk_timezones"),
    )
    op.create_table(
        "loads",
        sa.Column("load", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("version", text(32), nullable=False),
        sa.Column("rows_read", sa.BigInteger(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("repeated", sa.BigInteger(), nullable=False),
        sa.Column("conflicting", sa.BigInteger(), nullable=False),
        sa.Column("quarantined", sa.BigInteger(), nullable=False),
        sa.Column("first_observed_at", sa.BigInteger()),
        sa.Column("last_observed_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("load", name="pk_loads"),
    )
    op.create_index("ix_loads_last_observed_at", "loads", ["last_observed_at"])
    op.create_table(
        "load_files",
        sa.Column("load", sa.Integer(), nullable=False),
        sa.Column("file", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", text(16), nullable=False),
        sa.Column("name", LONG_TEXT, nullable=False),
        sa.Column("sha256", text(64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("rows_read", sa.BigInteger(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("quarantined", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("load", "file", name="pk_load_files"),
        sa.ForeignKeyConstraint(["load"], ["loads.load"], name="fk_load_files_load"),
    )
    op.create_table(
        "quarantine",
        sa.Column("load", sa.Integer(), nullable=False),
        sa.Column("file", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("line", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("raw", LONG_BYTES, nullable=False),
        sa.Column("reason", LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("load", "file", "line", name="pk_quarantine"),
        sa.ForeignKeyConstraint(["load"], ["loads.load"], name="fk_quarantine_load"),
    )
