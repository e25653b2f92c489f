"""The tables of distribution."""

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled in with the issue."""


def downgrade() -> None:
    """Filled in with the issue."""
