"""Sessions of browsers that have signed in with a key."""

import sqlalchemy as sa
from alembic import op

from uphours.database.column_types import text

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the table."""
    # Where a change of tables is a transaction of its own, this step may have been broken off before.
    op.execute("DROP TABLE IF EXISTS sessions")
    op.create_table(
        "sessions",
        sa.Column("hash", text(64), nullable=False),
        sa.Column("key_id", text(16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_sessions"),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.key_id"], name="fk_sessions_key_id", ondelete="CASCADE"),
    )
    op.create_index("ix_sessions_key_id", "sessions", ["key_id"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
