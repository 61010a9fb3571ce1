"""What many processes on one database need: locks, turns of jobs, results in parts; and properties of a database."""

import sqlalchemy as sa
from alembic import op

from uphours.database.column_types import LONG_BYTES, LONG_TEXT, text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables; keep the results that are there."""
    locks = op.create_table(
        "locks", sa.Column("name", text(32), nullable=False), sa.PrimaryKeyConstraint("name", name="pk_locks")
    )
    op.bulk_insert(locks, [{"name": "loads"}, {"name": "queue"}])
    op.create_table(
        "properties",
        sa.Column("name", text(32), nullable=False),
        sa.Column("value", LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_properties"),
    )
    op.add_column("jobs", sa.Column("turn_at", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute("UPDATE jobs SET turn_at = due_at")
    op.create_table(
        "results",
        sa.Column("job", text(32), nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", LONG_BYTES, nullable=False),
        sa.PrimaryKeyConstraint("job", "part", name="pk_results"),
        sa.ForeignKeyConstraint(["job"], ["jobs.job"], name="fk_results_job"),
    )
    op.execute("INSERT INTO results (job, part, content) SELECT job, 0, content FROM report_results")
    op.drop_table("report_results")
