"""What the service needs: jobs, reports, uploads, schedules, sources, keys, audit; and the header of loaded files."""

import sqlalchemy as sa
from alembic import op

from uphours.database.column_types import LONG_BYTES, LONG_TEXT, text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables."""
    op.add_column("load_files", sa.Column("header", LONG_TEXT))
    op.create_table(
        "jobs",
        sa.Column("job", text(32), nullable=False),
        sa.Column("kind", text(16), nullable=False),
        sa.Column("request", LONG_TEXT, nullable=False),
        sa.Column("share", text(64)),
        sa.Column("state", text(16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("worker", text(128)),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.BigInteger()),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger()),
        sa.Column("reason", LONG_TEXT),
        sa.Column("as_of", sa.BigInteger()),
        sa.Column("loads_seen", sa.Integer()),
        sa.Column("load", sa.Integer()),
        sa.PrimaryKeyConstraint("job", name="pk_jobs"),
    )
    op.create_index("ix_jobs_state", "jobs", ["state", "due_at"])
    op.create_index("ix_jobs_share", "jobs", ["share"])
    op.create_table(
        "reports",
        sa.Column("report", text(32), nullable=False),
        sa.Column("job", text(32), nullable=False),
        sa.Column("requested_by", text(32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("cancelled_at", sa.BigInteger()),
        sa.Column("idempotency_key", text(255)),
        sa.PrimaryKeyConstraint("report", name="pk_reports"),
        sa.ForeignKeyConstraint(["job"], ["jobs.job"], name="fk_reports_job"),
        sa.UniqueConstraint("requested_by", "idempotency_key", name="uq_reports_requested_by"),
    )
    op.create_index("ix_reports_job", "reports", ["job"])
    op.create_index("ix_reports_created_at", "reports", ["created_at"])
    op.create_table(
        "report_results",
        sa.Column("job", text(32), nullable=False),
        sa.Column("content", LONG_BYTES, nullable=False),
        sa.PrimaryKeyConstraint("job", name="pk_report_results"),
        sa.ForeignKeyConstraint(["job"], ["jobs.job"], name="fk_report_results_job"),
    )
    op.create_table(
        "uploads",
        sa.Column("job", text(32), nullable=False),
        sa.Column("file", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", LONG_BYTES, nullable=False),
        sa.PrimaryKeyConstraint("job", "file", "part", name="pk_uploads"),
        sa.ForeignKeyConstraint(["job"], ["jobs.job"], name="fk_uploads_job"),
    )
    op.create_table(
        "ticks",
        sa.Column("schedule", text(255), nullable=False),
        sa.Column("due_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("schedule", "due_at", name="pk_ticks"),
    )
    op.create_table(
        "sources",
        sa.Column("source", text(255), nullable=False),
        sa.Column("checked_at", sa.BigInteger()),
        sa.Column("succeeded_at", sa.BigInteger()),
        sa.Column("brought_at", sa.BigInteger()),
        sa.Column("files_read", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.BigInteger()),
        sa.Column("error", LONG_TEXT),
        sa.PrimaryKeyConstraint("source", name="pk_sources"),
    )
    op.create_table(
        "source_files",
        sa.Column("source", text(255), nullable=False),
        sa.Column("fingerprint", text(64), nullable=False),
        sa.Column("name", LONG_TEXT, nullable=False),
        sa.Column("load", sa.Integer(), nullable=False),
        sa.Column("read_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "fingerprint", name="pk_source_files"),
        sa.ForeignKeyConstraint(["load"], ["loads.load"], name="fk_source_files_load"),
    )
    op.create_table(
        "api_keys",
        sa.Column("key_id", text(16), nullable=False),
        sa.Column("name", text(255), nullable=False),
        sa.Column("scopes", text(64), nullable=False),
        sa.Column("hash", text(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("key_id", name="pk_api_keys"),
    )
    op.create_table(
        "audit",
        sa.Column("entry", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", text(64), nullable=False),
        sa.Column("action", text(32), nullable=False),
        sa.Column("subject", text(255), nullable=False),
        sa.Column("details", LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("entry", name="pk_audit"),
    )
