"""Reports that are saved by name."""

import sqlalchemy as sa
from alembic import op

from uphours.database.column_types import LONG_TEXT, text

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create the table, and the lock under which it is changed."""
    # Where a change of tables is a transaction of its own, this step may have been broken off anywhere.
    op.execute("DROP TABLE IF EXISTS saved_reports")
    op.create_table(
        "saved_reports",
        sa.Column("owner", text(32), nullable=False),
        sa.Column("name", text(255), nullable=False),
        sa.Column("request", LONG_TEXT, nullable=False),
        sa.Column("created_by", text(32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "name", name="pk_saved_reports"),
    )
    op.execute("DELETE FROM locks WHERE name = 'saved reports'")
    op.execute("INSERT INTO locks (name) VALUES ('saved reports')")
