"""Dated weeks and zones, special hours, attributes of stores, and the ledger."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from uphours.database.column_types import LONG_TEXT, text
from uphours.schema import SINCE_EVER

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the tables; what is known of hours and zones holds since ever."""
    # Where a change of tables is a transaction of its own, this step may have been broken off anywhere.
    for name in ("adjusted", "adjustments", "attributes", "special_hours"):
        op.execute(f"DROP TABLE IF EXISTS {name}")
    _date(
        "business_hours",
        [
            sa.Column("day", sa.SmallInteger(), autoincrement=False, nullable=False),
            sa.Column("start_local_us", sa.BigInteger(), autoincrement=False, nullable=False),
            sa.Column("end_local_us", sa.BigInteger(), autoincrement=False, nullable=False),
        ],
        key=["day", "start_local_us", "end_local_us"],
    )
    _date("timezones", [sa.Column("timezone", text(64), nullable=False)], key=[])
    op.create_table(
        "special_hours",
        sa.Column("store", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("date", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("start_local_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("end_local_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", LONG_TEXT, nullable=False),
        sa.Column("load", sa.Integer()),
        sa.PrimaryKeyConstraint("store", "date", "start_local_us", "end_local_us", name="pk_special_hours"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "attributes",
        sa.Column("store", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", text(64), nullable=False),
        sa.Column("valid_from", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", text(255), nullable=False),
        sa.Column("load", sa.Integer()),
        sa.PrimaryKeyConstraint("store", "name", "valid_from", name="pk_attributes"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_attributes_name", "attributes", ["name"])
    op.create_table(
        "adjustments",
        sa.Column("entry", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("counts_as", text(16), nullable=False),
        sa.Column("withdraws", sa.Integer()),
        sa.Column("reason", text(64), nullable=False),
        sa.Column("note", LONG_TEXT, nullable=False),
        sa.Column("actor", text(64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("load", sa.Integer()),
        sa.Column("idempotency_key", text(255)),
        sa.Column("asked", text(64)),
        sa.PrimaryKeyConstraint("entry", name="pk_adjustments"),
        sa.UniqueConstraint("actor", "idempotency_key", name="uq_adjustments_actor"),
    )
    op.create_table(
        "adjusted",
        sa.Column("entry", sa.Integer(), nullable=False),
        sa.Column("store", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("start_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("end_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entry", "store", "start_at", name="pk_adjusted"),
        sa.ForeignKeyConstraint(["entry"], ["adjustments.entry"], name="fk_adjusted_entry"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_adjusted_store", "adjusted", ["store"])
    if not _has_column("jobs", "entries_seen"):
        op.add_column("jobs", sa.Column("entries_seen", sa.Integer()))
    op.execute("DELETE FROM locks WHERE name = 'ledger'")
    op.execute("INSERT INTO locks (name) VALUES ('ledger')")


def _date(name: str, columns: Sequence[sa.Column[Any]], *, key: Sequence[str]) -> None:
    """Give a table of stores ``valid_from`` and ``load``: as a new one beside it, which then takes its place."""
    dated = f"uphours_{name}"
    if sa.inspect(op.get_bind()).has_table(name):
        if _has_column(name, "valid_from"):
            return
        op.execute(f"DROP TABLE IF EXISTS {dated}")
        if op.get_context().dialect.name == "postgresql":
            op.drop_constraint(f"pk_{name}", name)  # names of keys are those of a schema there
        op.create_table(
            dated,
            sa.Column("store", sa.Integer(), autoincrement=False, nullable=False),
            sa.Column("valid_from", sa.Integer(), autoincrement=False, nullable=False),
            *columns,
            sa.Column("load", sa.Integer()),
            sa.PrimaryKeyConstraint("store", "valid_from", *key, name=f"pk_{name}"),
            sqlite_with_rowid=False,
        )
        kept = ", ".join(column.name for column in columns)
        op.execute(
            f"INSERT INTO {dated} (store, valid_from, {kept}) SELECT store, {SINCE_EVER}, {kept} FROM {name} "
            "ORDER BY store"
        )
        op.drop_table(name)
    op.rename_table(dated, name)


def _has_column(table: str, name: str) -> bool:
    return any(column["name"] == name for column in sa.inspect(op.get_bind()).get_columns(table))
