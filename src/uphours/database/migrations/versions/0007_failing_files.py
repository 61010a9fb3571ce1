"""Files of watched sources that could not be read, each with its error and when it is tried again."""

import sqlalchemy as sa
from alembic import op

from uphours.database.column_types import LONG_TEXT, text

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the table."""
    # Where a change of tables is a transaction of its own, this step may have been broken off before.
    op.execute("DROP TABLE IF EXISTS failing_files")
    op.create_table(
        "failing_files",
        sa.Column("source", text(255), nullable=False),
        sa.Column("fingerprint", text(64), nullable=False),
        sa.Column("name", LONG_TEXT, nullable=False),
        sa.Column("error", LONG_TEXT, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.BigInteger(), nullable=False),
        sa.Column("retry_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "fingerprint", name="pk_failing_files"),
    )
