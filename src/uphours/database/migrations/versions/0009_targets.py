"""Targets of availability, and the stores that a key is limited to."""

import sqlalchemy as sa
from alembic import op

from uphours.database.column_types import LONG_TEXT, text

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the table; keys that were made before see every store."""
    # Where a change of tables is a transaction of its own, this step may have been broken off anywhere.
    op.execute("DROP TABLE IF EXISTS targets")
    op.create_table(
        "targets",
        sa.Column("name", text(255), nullable=False),
        sa.Column("valid_from", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("filter", LONG_TEXT, nullable=False),
        sa.Column("share", sa.Integer()),
        sa.Column("period", text(16), nullable=False),
        sa.Column("load", sa.Integer()),
        sa.PrimaryKeyConstraint("name", "valid_from", name="pk_targets"),
        sqlite_with_rowid=False,
    )
    if not any(column["name"] == "only" for column in sa.inspect(op.get_bind()).get_columns("api_keys")):
        op.add_column("api_keys", sa.Column("only", LONG_TEXT))
