"""What loads did, and the stores whose hours are unknown."""

import sqlalchemy as sa
from alembic import op

from uphours.database.column_types import LONG_TEXT, text

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the table, and the column of loads."""
    # Where a change of tables is a transaction of its own, this step may have been broken off before.
    op.execute("DROP TABLE IF EXISTS unknown_hours")
    op.create_table(
        "unknown_hours",
        sa.Column("store", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", text(16), nullable=False),
        sa.PrimaryKeyConstraint("store", "kind", name="pk_unknown_hours"),
    )
    if not any(column["name"] == "summary" for column in sa.inspect(op.get_bind()).get_columns("loads")):
        op.add_column("loads", sa.Column("summary", LONG_TEXT))
