"""The tables of payments."""

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled in with the issue."""


def downgrade() -> None:
    """Filled in with the issue."""
