"""The tables of the books."""

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled in with the issue."""


def downgrade() -> None:
    """Filled in with the issue."""
