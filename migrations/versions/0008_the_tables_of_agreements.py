"""What an agreement allows, its evaluations, and its end."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, columns in ADDED.items():
        for name, kind in columns.items():
            op.add_column(table, sa.Column(name, kind, nullable=True))
    op.create_table(
        "evaluations",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.String(length=36), nullable=False),
        sa.Column("period", sa.BigInteger(), nullable=False),
        sa.Column("from_on", sa.Text(), nullable=False),
        sa.Column("until_on", sa.Text(), nullable=False),
        sa.Column("due_on", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("score", sa.BigInteger(), nullable=True),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.Column("mend", sa.Text(), nullable=False),
        sa.Column("mend_by_on", sa.Text(), nullable=True),
        sa.Column("made_on", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("commented_by", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreements.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("agreement_id", "period"),
        sa.UniqueConstraint("number"),
    )


def downgrade() -> None:
    op.drop_table("evaluations")
    for table, columns in ADDED.items():
        for name in columns:
            op.drop_column(table, name)


# What was recorded before says nothing of the new columns, so they are empty there.
ADDED: dict[str, dict[str, sa.types.TypeEngine[object]]] = {
    "agreements": {
        "scenes": sa.Text(), "domains": sa.Text(), "price_cap_fen": sa.BigInteger(),
        "renews_id": sa.String(length=36), "provider_ids": sa.Text(), "consents": sa.Text(),
        "end_kind": sa.Text(), "end_ground": sa.Text(), "end_side": sa.Text(), "end_by": sa.Text(),
        "ended_on": sa.Text(), "hand_back": sa.Text(),
    },
}  # fmt: skip
