"""Nothing: it holds the place of a step."""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Change nothing."""
