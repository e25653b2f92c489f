"""Appraisals with editions, assumptions, analyses, and the digest of what they were computed from."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, kind in ADDED.items():
        op.add_column("appraisals", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    for name in ADDED:
        op.drop_column("appraisals", name)


# What was recorded before says nothing of the new columns, so they are empty there.
ADDED: dict[str, sa.types.TypeEngine[object]] = {
    "edition": sa.BigInteger(),
    "replaces_id": sa.String(length=36),
    "assumptions": sa.Text(),
    "analyses": sa.Text(),
    "inputs_digest": sa.Text(),
    "method_versions": sa.Text(),
}
