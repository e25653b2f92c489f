"""The tables of trade."""

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled in with the issue."""


def downgrade() -> None:
    """Filled in with the issue."""
