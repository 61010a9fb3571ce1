"""How many polls were made on each day."""

import sqlalchemy as sa
from alembic import op

from uphours.schema import DAY_US

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the table again with a count, from the observations, which reads all of them once."""
    # Where a change of tables is a transaction of its own, this step may have been broken off before.
    op.execute("DROP TABLE IF EXISTS polled_days")
    op.create_table(
        "polled_days",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("polls", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", name="pk_polled_days"),
    )
    # Of what was pruned, single observations are left: they do not tell on which days polls were made.
    pruned_before = op.get_bind().scalar(sa.text("SELECT value FROM properties WHERE name = 'pruned_before'"))
    first = int(pruned_before or 0) // DAY_US * DAY_US
    divided = "DIV" if op.get_context().dialect.name in ("mysql", "mariadb") else "/"
    op.execute(
        f"INSERT INTO polled_days SELECT observed_at {divided} {DAY_US} AS polled_day, count(*) FROM observations "
        f"WHERE observed_at >= {first} GROUP BY polled_day"
    )
